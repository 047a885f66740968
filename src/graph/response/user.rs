//! Users on the wire: whole ones from listings, partial ones from deltas, deleted ones with their mangled names.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::model::{
    AssignedPlan, CapabilityStatus, GroupId, License, LicenseAssignment, PlanId, ProvisioningError, SkuId,
    Timestamp, Unreadable, User, UserId, UserType,
};

use super::{Decoded, Entries, licenses};

/// Absent: outer `None`; `null`: `Some(None)`.
type Said<T> = Option<Option<T>>;

fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Said<T>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// One user as Graph sends it, whatever was selected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserWire {
    id: UserId,
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<RemovedWire>,
    user_principal_name: Option<String>,
    /// Only groups have it.
    group_types: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "said")]
    display_name: Said<String>,
    #[serde(default, deserialize_with = "said")]
    mail: Said<String>,
    #[serde(default, deserialize_with = "said")]
    proxy_addresses: Said<Entries<String>>,
    #[serde(default, deserialize_with = "said")]
    account_enabled: Said<bool>,
    #[serde(default, deserialize_with = "said")]
    user_type: Said<String>,
    #[serde(default, deserialize_with = "said")]
    department: Said<String>,
    #[serde(default, deserialize_with = "said")]
    company_name: Said<String>,
    #[serde(default, deserialize_with = "said")]
    country: Said<String>,
    #[serde(default, deserialize_with = "said")]
    job_title: Said<String>,
    #[serde(default, deserialize_with = "said")]
    employee_type: Said<String>,
    #[serde(default, deserialize_with = "said")]
    usage_location: Said<String>,
    #[serde(default, deserialize_with = "said")]
    on_premises_sync_enabled: Said<bool>,
    #[serde(default, deserialize_with = "said")]
    on_premises_immutable_id: Said<String>,
    created_date_time: Option<String>,
    #[serde(default, deserialize_with = "said")]
    deleted_date_time: Said<String>,
    /// Not nullable in the schema: a `null` says nothing, and is not read as "no licences".
    assigned_licenses: Option<Entries<LicenseWire>>,
    assigned_plans: Option<Entries<PlanWire>>,
    #[serde(default, deserialize_with = "said")]
    license_assignment_states: Said<Entries<AssignmentWire>>,
    #[serde(default, deserialize_with = "said")]
    service_provisioning_errors: Said<Entries<ProvisioningWire>>,
}

#[derive(Deserialize)]
struct RemovedWire {
    reason: Option<String>,
}

/// The ids inside licences and plans are nullable in the schema; an entry without one says nothing and is left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LicenseWire {
    sku_id: Option<SkuId>,
    disabled_plans: Option<Entries<PlanId>>,
}

impl LicenseWire {
    pub(super) fn into_license(self) -> Option<License> {
        let disabled_plans = self.disabled_plans.into_iter().flatten().collect();
        Some(License { sku: self.sku_id?, disabled_plans })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlanWire {
    service_plan_id: Option<PlanId>,
    capability_status: Option<String>,
    assigned_date_time: Option<String>,
}

impl PlanWire {
    fn into_plan(self) -> Option<AssignedPlan> {
        Some(AssignedPlan {
            plan: self.service_plan_id?,
            status: CapabilityStatus::from(self.capability_status.unwrap_or_default()),
            assigned: self.assigned_date_time.as_deref().and_then(Timestamp::parse),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentWire {
    sku_id: Option<SkuId>,
    disabled_plans: Option<Entries<PlanId>>,
    assigned_by_group: Option<String>,
    state: Option<String>,
    error: Option<String>,
    last_updated_date_time: Option<String>,
}

impl AssignmentWire {
    fn into_assignment(self) -> Decoded<Option<LicenseAssignment>> {
        let Some(sku) = self.sku_id else { return Ok(None) };
        let by_group = match self.assigned_by_group.as_deref().map(str::trim) {
            None | Some("") => None,
            // A group that cannot be read must not turn the licence into a direct one.
            Some(id) => {
                Some(id.parse::<GroupId>().map_err(|_| "assignedByGroup is no object id".to_owned())?)
            }
        };
        Ok(Some(LicenseAssignment {
            sku,
            disabled_plans: self.disabled_plans.into_iter().flatten().collect::<BTreeSet<_>>(),
            by_group,
            state: self.state.unwrap_or_default(),
            error: self.error.filter(|error| !error.is_empty() && !error.eq_ignore_ascii_case("None")),
            updated: self.last_updated_date_time.as_deref().and_then(Timestamp::parse),
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProvisioningWire {
    service_instance: Option<String>,
    created_date_time: Option<String>,
    is_resolved: Option<bool>,
}

impl From<ProvisioningWire> for ProvisioningError {
    fn from(wire: ProvisioningWire) -> Self {
        Self {
            service_instance: wire.service_instance.unwrap_or_default(),
            created: wire.created_date_time.as_deref().and_then(Timestamp::parse),
            is_resolved: wire.is_resolved.unwrap_or(false),
        }
    }
}

/// A user among the deleted ones (Graph: directory/deletedItems).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedUser {
    /// With the principal name that the user had when alive.
    pub user: User,
    /// `deletedDateTime`, the directory's own clock; [`Timestamp::LATEST`] where there is none that can be read. A date
    /// in the future dates nothing: the user is deleted all the same.
    pub deleted: Timestamp,
}

/// One entry of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaItem {
    /// New, restored or changed: the properties that came.
    Changed(Box<UserPatch>),
    /// Soft-deleted (`is_purged` false) or gone for good.
    Removed { id: UserId, is_purged: bool },
    /// Something about this user.
    Unreadable(Unreadable),
}

/// The properties of one user that one delta entry carries. Outer `None`: not said, so unchanged as far as is known.
/// Inner `None`: set to null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPatch {
    pub id: UserId,
    pub upn: Option<String>,
    pub display_name: Option<Option<String>>,
    pub mail: Option<Option<String>>,
    pub proxy_addresses: Option<Vec<String>>,
    pub account_enabled: Option<Option<bool>>,
    pub user_type: Option<UserType>,
    pub department: Option<Option<String>>,
    pub company: Option<Option<String>>,
    pub country: Option<Option<String>>,
    pub job_title: Option<Option<String>>,
    pub employee_type: Option<Option<String>>,
    pub usage_location: Option<Option<String>>,
    pub on_premises_synced: Option<bool>,
    pub immutable_id: Option<Option<String>>,
    pub created: Option<Timestamp>,
    /// `Some(None)`: alive.
    pub deleted: Option<Option<Timestamp>>,
    pub licenses: Option<Vec<License>>,
    pub plans: Option<Vec<AssignedPlan>>,
    /// Changes of this property alone raise no delta (Graph: user-delta), so an absent one may be stale.
    pub assignments: Option<Vec<LicenseAssignment>>,
    pub provisioning_errors: Option<Vec<ProvisioningError>>,
}

impl UserPatch {
    /// Writes the properties that came over those of `user`; the others stay. Says nothing of `deleted`.
    pub fn apply_to(self, user: &mut User) {
        fn set<T>(target: &mut T, said: Option<T>) {
            if let Some(value) = said {
                *target = value;
            }
        }
        set(&mut user.upn, self.upn);
        set(&mut user.display_name, self.display_name);
        set(&mut user.mail, self.mail);
        set(&mut user.proxy_addresses, self.proxy_addresses);
        set(&mut user.account_enabled, self.account_enabled);
        set(&mut user.user_type, self.user_type);
        set(&mut user.department, self.department);
        set(&mut user.company, self.company);
        set(&mut user.country, self.country);
        set(&mut user.job_title, self.job_title);
        set(&mut user.employee_type, self.employee_type);
        set(&mut user.usage_location, self.usage_location);
        set(&mut user.on_premises_synced, self.on_premises_synced);
        set(&mut user.immutable_id, self.immutable_id);
        set(&mut user.created, self.created.map(Some));
        set(&mut user.licenses, self.licenses.map(Some));
        set(&mut user.plans, self.plans);
        set(&mut user.assignments, self.assignments);
        set(&mut user.provisioning_errors, self.provisioning_errors);
    }

    /// The user as far as this entry tells it; `None` without a principal name, as changed users mostly come.
    pub fn into_user(self) -> Option<User> {
        let mut user = User::new(self.id, self.upn.clone()?);
        self.apply_to(&mut user);
        Some(user)
    }
}

impl UserWire {
    pub(super) fn id(&self) -> UserId {
        self.id
    }

    /// By its type where that is named; samples of Microsoft's show a deleted group without it.
    pub(super) fn is_another_type(&self) -> bool {
        match self.odata_type.as_deref() {
            Some(name) => !name.eq_ignore_ascii_case("#microsoft.graph.user"),
            None => self.group_types.is_some() && self.user_principal_name.is_none(),
        }
    }

    pub(super) fn into_user(self) -> Decoded<User> {
        self.into_patch()?.into_user().ok_or_else(|| "a user without userPrincipalName".to_owned())
    }

    pub(super) fn into_deleted(mut self) -> Decoded<DeletedUser> {
        let date = self.deleted_date_time.take().flatten();
        let deleted = date.as_deref().and_then(Timestamp::parse).unwrap_or(Timestamp::LATEST);
        let mut patch = self.into_patch()?;
        patch.upn = patch.upn.map(|upn| demangled(patch.id, upn));
        let user = patch.into_user().ok_or_else(|| "a deleted user without userPrincipalName".to_owned())?;
        Ok(DeletedUser { user, deleted })
    }

    pub(super) fn into_delta_item(self) -> Decoded<DeltaItem> {
        match &self.removed {
            // An unknown reason is not taken for the end of the user.
            Some(removed) => {
                let is_purged =
                    removed.reason.as_deref().is_some_and(|reason| reason.eq_ignore_ascii_case("deleted"));
                Ok(DeltaItem::Removed { id: self.id, is_purged })
            }
            None => self.into_patch().map(|patch| DeltaItem::Changed(Box::new(patch))),
        }
    }

    pub(super) fn into_patch(self) -> Decoded<UserPatch> {
        let assignments = self.license_assignment_states.map(|entries| {
            let readable =
                entries.into_iter().flatten().filter_map(|entry| entry.into_assignment().transpose());
            readable.collect::<Decoded<Vec<_>>>()
        });
        let named = |all| licenses(all).ok_or_else(|| "a licence without skuId".to_owned());
        let held = self.assigned_licenses.map(named).transpose()?;
        Ok(UserPatch {
            id: self.id,
            upn: self.user_principal_name.filter(|upn| !upn.is_empty()),
            display_name: self.display_name,
            mail: self.mail,
            proxy_addresses: self.proxy_addresses.map(|all| all.into_iter().flatten().collect()),
            account_enabled: self.account_enabled,
            user_type: self.user_type.map(user_type),
            department: self.department,
            company: self.company_name,
            country: self.country,
            job_title: self.job_title,
            employee_type: self.employee_type,
            usage_location: self.usage_location,
            on_premises_synced: self.on_premises_sync_enabled.map(|synced| synced == Some(true)),
            immutable_id: self.on_premises_immutable_id,
            created: self.created_date_time.as_deref().and_then(Timestamp::parse),
            deleted: self.deleted_date_time.map(deletion_time).transpose()?,
            licenses: held,
            plans: self.assigned_plans.map(|all| all.into_iter().filter_map(PlanWire::into_plan).collect()),
            assignments: assignments.transpose()?,
            provisioning_errors: self
                .service_provisioning_errors
                .map(|all| all.into_iter().flatten().map(ProvisioningError::from).collect()),
        })
    }
}

fn user_type(text: Option<String>) -> UserType {
    match text {
        None => UserType::Unknown,
        Some(text) if text.eq_ignore_ascii_case("member") => UserType::Member,
        Some(text) if text.eq_ignore_ascii_case("guest") => UserType::Guest,
        Some(text) => UserType::Other(text),
    }
}

/// A deletion time starts a clock, so one that cannot be read is an error and not "alive".
fn deletion_time(text: Option<String>) -> Decoded<Option<Timestamp>> {
    text.map(|text| Timestamp::parse(&text).ok_or_else(|| "deletedDateTime is no time".to_owned()))
        .transpose()
}

/// The directory puts the object id, without dashes, before the principal name of a deleted user. Only the user's own
/// id is taken off: a name may start with 32 hex digits of its own.
fn demangled(id: UserId, upn: String) -> String {
    let prefix = id.simple();
    match upn.split_at_checked(prefix.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(&prefix) && !rest.is_empty() => rest.to_owned(),
        Some(_) | None => upn,
    }
}
