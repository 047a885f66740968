//! Bodies of Graph, decoded. The serde types of the wire live here and nowhere else. No I/O.
//!
//! Unknown members are ignored, unknown enum values kept, `null` and absent told apart where it matters. What does
//! not have the documented shape is an error text, never a guess: serde_json's depth limit holds for every body.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::{
    CapabilityStatus, GroupId, License, MailboxKind, Sku, SkuId, SkuPlan, Subscription, TenantId, Timestamp,
    Units, UserId,
};

mod audit;
mod batch;
mod error_body;
mod user;

pub(super) use audit::decode_audits;
pub use audit::{Audit, AuditTarget};
pub(super) use batch::{BatchPart, decode_batch};
pub(super) use error_body::{decode_error, is_error_readable};
pub use user::{DeletedUser, DeltaItem, UserPatch};

use user::{LicenseWire, UserWire};

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
    pub(super) delta: Option<String>,
}

#[derive(Deserialize)]
struct PageWire<T> {
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
    value: Vec<T>,
}

/// `Err` says for people what is wrong with the body; it quotes none of it.
pub(super) type Decoded<T> = Result<T, String>;

fn json<T: DeserializeOwned>(body: &[u8]) -> Decoded<T> {
    serde_json::from_slice(body).map_err(|fault| match fault.classify() {
        serde_json::error::Category::Eof if body.is_empty() => "the body is empty".to_owned(),
        serde_json::error::Category::Eof => "the body is cut off".to_owned(),
        serde_json::error::Category::Syntax if body.trim_ascii_start().starts_with(b"<") => {
            "the body is HTML, not JSON".to_owned()
        }
        // serde quotes the offending value; where it stands says enough.
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Io
        | serde_json::error::Category::Data => {
            format!("unexpected content at line {} column {}", fault.line(), fault.column())
        }
    })
}

fn page<W: DeserializeOwned, T>(body: &[u8], item: impl Fn(W) -> Decoded<T>) -> Decoded<Page<T>> {
    let wire: PageWire<W> = json(body)?;
    if wire.next.is_some() && wire.delta.is_some() {
        return Err("the page carries both a nextLink and a deltaLink".to_owned());
    }
    let items = wire.value.into_iter().map(item).collect::<Decoded<Vec<T>>>()?;
    Ok(Page { items, next: wire.next, delta: wire.delta })
}

pub(super) fn decode_users(body: &[u8]) -> Decoded<Page<crate::model::User>> {
    page(body, |wire: UserWire| wire.into_user())
}

pub(super) fn decode_deleted_users(body: &[u8]) -> Decoded<Page<DeletedUser>> {
    page(body, |wire: UserWire| wire.into_deleted())
}

pub(super) fn decode_delta(body: &[u8]) -> Decoded<Page<DeltaItem>> {
    let page = page(body, |wire: UserWire| wire.into_delta_item())?;
    if page.next.is_none() && page.delta.is_none() {
        return Err("the page carries neither a nextLink nor a deltaLink".to_owned());
    }
    Ok(page)
}

pub(super) fn decode_user(body: &[u8]) -> Decoded<crate::model::User> {
    json::<UserWire>(body)?.into_user()
}

/// `None` when the deleted object is no user.
pub(super) fn decode_deleted_user(body: &[u8]) -> Decoded<Option<DeletedUser>> {
    let wire: UserWire = json(body)?;
    if wire.is_another_type() { Ok(None) } else { wire.into_deleted().map(Some) }
}

/// The plain number of `/users/$count`; some servers put a byte order mark before it.
pub(super) fn decode_count(body: &[u8]) -> Decoded<u64> {
    let text = std::str::from_utf8(body).map_err(|_| "the count is no text".to_owned())?;
    text.trim_start_matches('\u{feff}').trim().parse().map_err(|_| "the count is no number".to_owned())
}

#[derive(Deserialize)]
struct IdWire {
    id: UserId,
}

pub(super) fn decode_member_ids(body: &[u8]) -> Decoded<Page<UserId>> {
    page(body, |wire: IdWire| Ok(wire.id))
}

#[derive(Deserialize)]
struct HeldGroupsWire {
    value: Vec<GroupId>,
}

/// The groups of the question that hold the user.
pub(super) fn decode_held_groups(body: &[u8]) -> Decoded<Vec<GroupId>> {
    Ok(json::<HeldGroupsWire>(body)?.value)
}

/// The tenant that the token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: TenantId,
    pub display_name: Option<String>,
    /// Verified domain names, lower case.
    pub domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationWire {
    id: TenantId,
    display_name: Option<String>,
    verified_domains: Option<Vec<DomainWire>>,
}

#[derive(Deserialize)]
struct DomainWire {
    name: Option<String>,
}

pub(super) fn decode_organization(body: &[u8]) -> Decoded<Organization> {
    let page = page(body, |wire: OrganizationWire| {
        let domains = wire.verified_domains.unwrap_or_default().into_iter().filter_map(|domain| domain.name);
        Ok(Organization {
            id: wire.id,
            display_name: wire.display_name,
            domains: domains.map(|name| name.to_ascii_lowercase()).collect(),
        })
    })?;
    page.items.into_iter().next().ok_or_else(|| "the tenant has no organization".to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SkuWire {
    sku_id: SkuId,
    sku_part_number: Option<String>,
    capability_status: Option<String>,
    consumed_units: Option<i64>,
    prepaid_units: Option<UnitsWire>,
    service_plans: Option<Vec<SkuPlanWire>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnitsWire {
    enabled: Option<i64>,
    warning: Option<i64>,
    suspended: Option<i64>,
    locked_out: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SkuPlanWire {
    service_plan_id: crate::model::PlanId,
    service_plan_name: Option<String>,
    applies_to: Option<String>,
}

pub(super) fn decode_skus(body: &[u8]) -> Decoded<Page<Sku>> {
    page(body, |wire: SkuWire| Ok(wire.into_sku()))
}

impl SkuWire {
    fn into_sku(self) -> Sku {
        let units = self.prepaid_units.map_or_else(Units::default, |units| Units {
            enabled: units.enabled.unwrap_or(0),
            warning: units.warning.unwrap_or(0),
            suspended: units.suspended.unwrap_or(0),
            locked_out: units.locked_out.unwrap_or(0),
        });
        let plans = self.service_plans.unwrap_or_default().into_iter().map(|plan| SkuPlan {
            id: plan.service_plan_id,
            name: plan.service_plan_name.unwrap_or_default(),
            applies_to: plan.applies_to.unwrap_or_default(),
        });
        Sku {
            id: self.sku_id,
            part_number: self.sku_part_number.unwrap_or_default(),
            capability_status: self.capability_status.unwrap_or_default(),
            consumed: self.consumed_units.unwrap_or(0),
            units,
            plans: plans.collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionWire {
    sku_id: SkuId,
    sku_part_number: Option<String>,
    status: Option<String>,
    total_licenses: Option<i64>,
    is_trial: Option<bool>,
    next_lifecycle_date_time: Option<String>,
}

pub(super) fn decode_subscriptions(body: &[u8]) -> Decoded<Page<Subscription>> {
    page(body, |wire: SubscriptionWire| {
        Ok(Subscription {
            sku: wire.sku_id,
            part_number: wire.sku_part_number.unwrap_or_default(),
            status: CapabilityStatus::from(wire.status.unwrap_or_default()),
            seats: wire.total_licenses.unwrap_or(0),
            is_trial: wire.is_trial.unwrap_or(false),
            next: wire.next_lifecycle_date_time.as_deref().and_then(Timestamp::parse),
        })
    })
}

/// A group that the policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub display_name: Option<String>,
    /// What members get through group-based licensing.
    pub licenses: Vec<License>,
    /// Members can only be changed on premises.
    pub on_premises_synced: bool,
    /// Members follow from a rule and cannot be added.
    pub is_dynamic: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupWire {
    id: GroupId,
    display_name: Option<String>,
    assigned_licenses: Option<Vec<LicenseWire>>,
    on_premises_sync_enabled: Option<bool>,
    group_types: Option<Vec<String>>,
}

pub(super) fn decode_group(body: &[u8]) -> Decoded<Group> {
    let wire: GroupWire = json(body)?;
    let types = wire.group_types.unwrap_or_default();
    Ok(Group {
        id: wire.id,
        display_name: wire.display_name,
        licenses: wire
            .assigned_licenses
            .unwrap_or_default()
            .into_iter()
            .filter_map(LicenseWire::into_license)
            .collect(),
        on_premises_synced: wire.on_premises_sync_enabled.unwrap_or(false),
        is_dynamic: types.iter().any(|kind| kind.eq_ignore_ascii_case("DynamicMembership")),
    })
}

/// `{"value":"shared"}` from the property path, `{"userPurpose":"shared"}` from the whole settings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PurposeWire {
    value: Option<String>,
    user_purpose: Option<String>,
}

pub(super) fn decode_mailbox_kind(body: &[u8]) -> Decoded<MailboxKind> {
    let wire: PurposeWire = json(body)?;
    let purpose = wire.value.or(wire.user_purpose).ok_or_else(|| "the answer names no purpose".to_owned())?;
    Ok(MailboxKind::parse(&purpose))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeWire {
    primary_mailbox_id: Option<String>,
}

pub(super) fn decode_mailbox_identity(body: &[u8]) -> Decoded<Option<String>> {
    let wire: ExchangeWire = json(body)?;
    Ok(wire.primary_mailbox_id.filter(|id| !id.is_empty()))
}

/// A body that must be a JSON object without an `error` member: what a write may be believed by.
pub(super) fn decode_object(body: &[u8]) -> Decoded<()> {
    let object: serde_json::Map<String, serde_json::Value> = json(body)?;
    if object.contains_key("error") { Err("a success that carries an error".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
