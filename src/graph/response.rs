//! Bodies of Graph, decoded. The serde types of the wire live here and nowhere else. No I/O.
//!
//! Unknown members are ignored, unknown enum values kept, `null` and absent told apart where it matters. What does
//! not have the documented shape is an error text, never a guess: serde_json's depth limit holds for every body.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::model::{
    CapabilityStatus, Group, GroupId, License, MailboxKind, PlanId, Sku, SkuId, SkuPlan, Subscription,
    TenantId, Timestamp, Units, Unreadable, User, UserId,
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

impl<T> Page<Option<T>> {
    /// Leaves out what cannot be named for lack of its id; the rest of the list is good.
    fn named(self, what: &str) -> Page<T> {
        let came = self.items.len();
        let items: Vec<T> = self.items.into_iter().flatten().collect();
        if items.len() < came {
            tracing::debug!(what, left_out = came - items.len(), "entries without a usable id left out");
        }
        Page { items, next: self.next, delta: self.delta }
    }
}

/// A list inside an object. The schema lets most of them hold `null`s, which say nothing and are left out.
#[derive(Deserialize)]
#[serde(transparent)]
struct Entries<T>(Vec<Option<T>>);

impl<T> IntoIterator for Entries<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Option<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
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
    json(body).and_then(|wire: PageWire<W>| wire.into_page(item))
}

impl<W> PageWire<W> {
    fn into_page<T>(self, item: impl Fn(W) -> Decoded<T>) -> Decoded<Page<T>> {
        if self.next.is_some() && self.delta.is_some() {
            return Err("the page carries both a nextLink and a deltaLink".to_owned());
        }
        let items = self.value.into_iter().map(item).collect::<Decoded<Vec<T>>>()?;
        Ok(Page { items, next: self.next, delta: self.delta })
    }
}

/// What an entry says, or whose it is.
pub type Understood<T> = Result<T, Unreadable>;

/// A page of users, entry by entry where it cannot be read as a whole: one odd user must not hide all others. An entry
/// that does not even have an id is a fault of the page, since it could be anybody.
fn users_page<T>(body: &[u8], item: impl Fn(UserWire) -> Decoded<T>) -> Decoded<Page<Understood<T>>> {
    match json::<PageWire<UserWire>>(body) {
        Ok(wire) => wire.into_page(|wire| Ok(understood(wire, &item))),
        Err(_) => page(body, |entry: Box<RawValue>| user_entry(entry.get().as_bytes(), &item)),
    }
}

fn user_entry<T>(entry: &[u8], item: impl Fn(UserWire) -> Decoded<T>) -> Decoded<Understood<T>> {
    match json(entry) {
        Ok(wire) => Ok(understood(wire, item)),
        Err(fault) => json(entry).map(|IdWire { id }| Err(Unreadable { id, is_deleted: false, fault })),
    }
}

fn understood<T>(wire: UserWire, item: impl Fn(UserWire) -> Decoded<T>) -> Understood<T> {
    let id = wire.id();
    item(wire).map_err(|fault| Unreadable { id, is_deleted: false, fault })
}

fn deleted<T>(entry: Understood<T>) -> Understood<T> {
    entry.map_err(|odd| Unreadable { is_deleted: true, ..odd })
}

pub(super) fn decode_users(body: &[u8]) -> Decoded<Page<Understood<User>>> {
    users_page(body, UserWire::into_user)
}

pub(super) fn decode_deleted_users(body: &[u8]) -> Decoded<Page<Understood<DeletedUser>>> {
    let Page { items, next, delta } = users_page(body, UserWire::into_deleted)?;
    Ok(Page { items: items.into_iter().map(deleted).collect(), next, delta })
}

pub(super) fn decode_delta(body: &[u8]) -> Decoded<Page<DeltaItem>> {
    let Page { items, next, delta } = users_page(body, UserWire::into_delta_item)?;
    let items = items.into_iter().map(|item| item.unwrap_or_else(DeltaItem::Unreadable)).collect();
    let page = Page { items, next, delta };
    if page.next.is_none() && page.delta.is_none() {
        return Err("the page carries neither a nextLink nor a deltaLink".to_owned());
    }
    Ok(page)
}

pub(super) fn decode_user(body: &[u8]) -> Decoded<Understood<User>> {
    user_entry(body, UserWire::into_user)
}

/// `None` when the deleted object is no user.
pub(super) fn decode_deleted_user(body: &[u8]) -> Decoded<Option<Understood<DeletedUser>>> {
    let entry = user_entry(body, |wire| match wire.is_another_type() {
        true => Ok(None),
        false => wire.into_deleted().map(Some),
    })?;
    Ok(deleted(entry).transpose())
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
    verified_domains: Option<Entries<DomainWire>>,
}

#[derive(Deserialize)]
struct DomainWire {
    name: Option<String>,
}

pub(super) fn decode_organization(body: &[u8]) -> Decoded<Organization> {
    let page = page(body, |wire: OrganizationWire| {
        let domains = wire.verified_domains.into_iter().flatten().filter_map(|domain| domain.name);
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
    /// Nullable in the schema, as all ids of products and plans are. An entry that does not even have the member is no
    /// product.
    #[serde(deserialize_with = "Option::deserialize")]
    sku_id: Option<SkuId>,
    sku_part_number: Option<String>,
    capability_status: Option<String>,
    consumed_units: Option<i64>,
    prepaid_units: Option<UnitsWire>,
    service_plans: Option<Entries<SkuPlanWire>>,
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
    service_plan_id: Option<PlanId>,
    service_plan_name: Option<String>,
    applies_to: Option<String>,
}

pub(super) fn decode_skus(body: &[u8]) -> Decoded<Page<Sku>> {
    page(body, |wire: SkuWire| Ok(wire.into_sku())).map(|page| page.named("products"))
}

impl SkuWire {
    fn into_sku(self) -> Option<Sku> {
        let units = self.prepaid_units.map_or_else(Units::default, |units| Units {
            enabled: units.enabled.unwrap_or(0),
            warning: units.warning.unwrap_or(0),
            suspended: units.suspended.unwrap_or(0),
            locked_out: units.locked_out.unwrap_or(0),
        });
        let plans = self.service_plans.into_iter().flatten().filter_map(|plan| {
            Some(SkuPlan {
                id: plan.service_plan_id?,
                name: plan.service_plan_name.unwrap_or_default(),
                applies_to: plan.applies_to.unwrap_or_default(),
            })
        });
        Some(Sku {
            id: self.sku_id?,
            part_number: self.sku_part_number.unwrap_or_default(),
            capability_status: self.capability_status.unwrap_or_default(),
            // Nullable in the schema. How many are free is then not known, and no seat is counted on.
            consumed: self.consumed_units.unwrap_or_else(|| units.enabled.max(0)),
            units,
            plans: plans.collect(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionWire {
    /// A text in the schema, not a GUID as everywhere else.
    sku_id: Option<String>,
    sku_part_number: Option<String>,
    status: Option<String>,
    total_licenses: Option<i64>,
    is_trial: Option<bool>,
    next_lifecycle_date_time: Option<String>,
}

pub(super) fn decode_subscriptions(body: &[u8]) -> Decoded<Page<Subscription>> {
    let page = page(body, |wire: SubscriptionWire| {
        let sku = wire.sku_id.as_deref().and_then(|id| id.trim().parse().ok());
        Ok(sku.map(|sku| Subscription {
            sku,
            part_number: wire.sku_part_number.unwrap_or_default(),
            status: CapabilityStatus::from(wire.status.unwrap_or_default()),
            seats: wire.total_licenses.unwrap_or(0),
            is_trial: wire.is_trial.unwrap_or(false),
            next: wire.next_lifecycle_date_time.as_deref().and_then(Timestamp::parse),
        }))
    })?;
    Ok(page.named("subscriptions"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupWire {
    id: GroupId,
    display_name: Option<String>,
    assigned_licenses: Option<Entries<LicenseWire>>,
    on_premises_sync_enabled: Option<bool>,
    group_types: Option<Entries<String>>,
}

pub(super) fn decode_group(body: &[u8]) -> Decoded<Group> {
    let wire: GroupWire = json(body)?;
    let mut types = wire.group_types.into_iter().flatten();
    Ok(Group {
        id: wire.id,
        display_name: wire.display_name,
        licenses: wire.assigned_licenses.and_then(licenses),
        on_premises_synced: wire.on_premises_sync_enabled.unwrap_or(false),
        is_dynamic: types.any(|kind| kind.eq_ignore_ascii_case("DynamicMembership")),
    })
}

/// `None` where one of them is not named, which the schema allows: then nobody knows what is held.
fn licenses(entries: Entries<LicenseWire>) -> Option<Vec<License>> {
    entries.into_iter().map(LicenseWire::into_license).collect()
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
