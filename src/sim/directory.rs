//! The user objects, their indexes and their recent past. Knows no rules: who may change what, and what follows from a
//! change, is decided elsewhere; every change goes through `Tenant::store_user`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::properties::Property;
use crate::model::{GroupId, PlanId, SkuId, Span, Timestamp, UserId};

/// How long earlier versions of a user are kept for stale reads.
const HISTORY: Span = Span::from_hours(1);

/// `userType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserType {
    Member,
    Guest,
}

impl UserType {
    pub fn as_str(self) -> &'static str {
        match self {
            UserType::Member => "Member",
            UserType::Guest => "Guest",
        }
    }
}

/// `capabilityStatus` of an assigned plan. Graph: assignedPlan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlanStatus {
    Enabled,
    Warning,
    Suspended,
    Deleted,
}

impl PlanStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            PlanStatus::Enabled => "Enabled",
            PlanStatus::Warning => "Warning",
            PlanStatus::Suspended => "Suspended",
            PlanStatus::Deleted => "Deleted",
        }
    }
}

/// Why a group's licence did not reach a member. Graph: licenseAssignmentState.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LicenceFailure {
    NoSeat,
    ExclusivePlans,
    MissingPlan,
}

impl LicenceFailure {
    pub fn as_str(self) -> &'static str {
        match self {
            LicenceFailure::NoSeat => "CountViolation",
            LicenceFailure::ExclusivePlans => "MutuallyExclusiveViolation",
            LicenceFailure::MissingPlan => "DependencyViolation",
        }
    }
}

/// One path on which a product reaches a user: directly, or through one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LicencePath {
    pub sku: SkuId,
    pub disabled_plans: Vec<PlanId>,
    pub group: Option<GroupId>,
    pub failure: Option<LicenceFailure>,
    pub updated_at: Timestamp,
}

/// One entry of `assignedPlans`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserPlan {
    pub plan: PlanId,
    pub service: Arc<str>,
    pub status: PlanStatus,
    pub assigned_at: Timestamp,
}

/// A user as the directory keeps it, live or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub id: UserId,
    pub user_principal_name: Box<str>,
    pub display_name: Box<str>,
    pub given_name: Option<Arc<str>>,
    pub surname: Option<Arc<str>>,
    pub mail: Option<Box<str>>,
    /// As Graph shows them: `SMTP:` marks the primary address, `smtp:` the others.
    pub proxy_addresses: Vec<Box<str>>,
    pub department: Option<Arc<str>>,
    pub company_name: Option<Arc<str>>,
    pub country: Option<Arc<str>>,
    pub job_title: Option<Arc<str>>,
    pub employee_type: Option<Arc<str>>,
    /// What was written and means nothing to the simulation, by its name in Graph. Most users have none of it.
    pub kept: Option<Arc<BTreeMap<&'static str, Value>>>,
    pub usage_location: Option<Arc<str>>,
    pub user_type: UserType,
    pub account_enabled: bool,
    pub on_premises_synced: bool,
    pub on_premises_immutable_id: Option<Box<str>>,
    pub holds_admin_role: bool,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub licences: Vec<LicencePath>,
    /// Shared with other users whose plans are the same to the second: most of a company.
    pub plans: Arc<Vec<UserPlan>>,
    /// When Exchange reported that a hold blocks the removal of the mailbox.
    pub provisioning_error_at: Option<Timestamp>,
    /// Direct memberships; the groups hold the other direction while the user is live.
    pub groups: Vec<GroupId>,
    /// The account whose on-premises `ExchangeGuid` this one carries too.
    pub duplicate_of: Option<UserId>,
}

impl User {
    /// The addresses without their prefix, in lower case.
    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        self.proxy_addresses.iter().map(|proxy| bare_address(proxy))
    }

    /// As it was written, or what stands before the domain.
    pub fn mail_nickname(&self) -> &str {
        let written = self.kept(Property::MailNickname).and_then(Value::as_str);
        written.or_else(|| self.user_principal_name.split('@').next()).unwrap_or_default()
    }

    /// A property as it was written.
    pub fn kept(&self, property: Property) -> Option<&Value> {
        self.kept.as_ref()?.get(property.name())
    }

    /// Null takes a property away.
    pub fn keep(&mut self, property: Property, value: Value) {
        let mut kept = self.kept.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        kept.remove(property.name());
        if !value.is_null() {
            kept.insert(property.name(), value);
        }
        self.kept = (!kept.is_empty()).then(|| Arc::new(kept));
    }

    /// Whether a licence of this group did not reach the user.
    pub fn has_failed_through(&self, group: GroupId) -> bool {
        self.licences.iter().any(|path| path.group == Some(group) && path.failure.is_some())
    }

    /// The products that work for this user, each once.
    pub fn working_skus(&self) -> Vec<SkuId> {
        let mut skus: Vec<SkuId> =
            self.licences.iter().filter(|path| path.failure.is_none()).map(|path| path.sku).collect();
        skus.sort_unstable();
        skus.dedup();
        skus
    }
}

/// `SMTP:Kari@contoso.com` to `kari@contoso.com`.
pub(super) fn bare_address(proxy: &str) -> String {
    let address = proxy.split_once(':').map_or(proxy, |(_, address)| address);
    address.to_lowercase()
}

/// One earlier state of a user: what a reader saw before `until`. `None`: it was not live.
#[derive(Debug)]
struct Past {
    until: Timestamp,
    user: Option<Arc<User>>,
}

#[derive(Debug, Default)]
pub(super) struct Directory {
    live: BTreeMap<UserId, Arc<User>>,
    deleted: BTreeMap<UserId, Arc<User>>,
    by_upn: BTreeMap<Box<str>, UserId>,
    /// Addresses other than the user principal name.
    by_address: BTreeMap<Box<str>, UserId>,
    history: BTreeMap<UserId, VecDeque<Past>>,
    history_order: VecDeque<(Timestamp, UserId)>,
}

impl Directory {
    pub fn live(&self, id: UserId) -> Option<&Arc<User>> {
        self.live.get(&id)
    }

    pub fn deleted(&self, id: UserId) -> Option<&Arc<User>> {
        self.deleted.get(&id)
    }

    pub fn any(&self, id: UserId) -> Option<&Arc<User>> {
        self.live.get(&id).or_else(|| self.deleted.get(&id))
    }

    pub fn live_count(&self) -> usize {
        self.live.len()
    }

    /// Live users in id order, those after `after`.
    pub fn live_after(&self, after: Option<UserId>) -> impl Iterator<Item = &Arc<User>> {
        range_after(&self.live, after)
    }

    /// Users in the recycle bin in id order, those after `after`.
    pub fn deleted_after(&self, after: Option<UserId>) -> impl Iterator<Item = &Arc<User>> {
        range_after(&self.deleted, after)
    }

    pub fn find_upn(&self, upn: &str) -> Option<UserId> {
        self.by_upn.get(upn.to_lowercase().as_str()).copied()
    }

    pub fn find_address(&self, address: &str) -> Option<UserId> {
        let by_name = || {
            let id = self.by_upn.get(address)?;
            self.live.get(id)?.addresses().any(|owned| owned == address).then_some(*id)
        };
        self.by_address.get(address).copied().or_else(by_name)
    }

    /// The user as a reader saw it at `as_of`; `None`: not live then. Creation is not dated, so a user that was never
    /// changed was always there.
    pub fn version_at(&self, id: UserId, as_of: Timestamp) -> Option<&Arc<User>> {
        let past = self.history.get(&id).and_then(|versions| versions.iter().find(|past| past.until > as_of));
        match past {
            Some(past) => past.user.as_ref(),
            None => self.live.get(&id),
        }
    }

    /// Live users as a reader saw them at `as_of`, by lower-case user principal name: those that start with `prefix`
    /// and come after `after`, at most `limit`.
    pub fn page(
        &self,
        as_of: Timestamp,
        prefix: &str,
        after: &str,
        wanted: impl Fn(&User) -> bool,
        limit: usize,
    ) -> Vec<Arc<User>> {
        let mut found: BTreeMap<Box<str>, Arc<User>> = BTreeMap::new();
        for (id, versions) in &self.history {
            let Some(past) = versions.iter().find(|past| past.until > as_of) else { continue };
            let Some(user) = &past.user else { continue };
            let upn = user.user_principal_name.to_lowercase();
            if upn.starts_with(prefix) && upn.as_str() > after && wanted(user) {
                found.insert(upn.into_boxed_str(), Arc::clone(user));
            }
            debug_assert_eq!(*id, user.id);
        }
        let from = if after < prefix { prefix } else { after };
        let mut fresh = 0;
        for (upn, id) in
            self.by_upn.range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
        {
            if fresh >= limit || !upn.starts_with(prefix) {
                break;
            }
            let is_current = !self.is_past(*id, as_of);
            let user = self.live.get(id).expect("the name index holds live users only");
            if upn.as_ref() > after && is_current && wanted(user) {
                found.insert(upn.clone(), Arc::clone(user));
                fresh += 1;
            }
        }
        found.into_values().take(limit).collect()
    }

    /// How many live users there are whose lower-case user principal name starts with `prefix`.
    pub fn count(&self, prefix: &str, wanted: impl Fn(&User) -> bool) -> usize {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        let named = self.by_upn.range::<str, _>(from).take_while(|(upn, _)| upn.starts_with(prefix));
        named.filter(|(_, id)| self.live.get(id).is_some_and(|user| wanted(user))).count()
    }

    fn is_past(&self, id: UserId, as_of: Timestamp) -> bool {
        self.history.get(&id).is_some_and(|versions| versions.iter().any(|past| past.until > as_of))
    }

    /// Puts a user where its `deleted_at` says, and its indexes right. Returns the version before.
    pub fn put(&mut self, now: Timestamp, user: User) -> Option<Arc<User>> {
        let id = user.id;
        let live_before = self.live.remove(&id);
        if let Some(before) = &live_before {
            self.unindex(before);
        }
        let before = live_before.clone().or_else(|| self.deleted.remove(&id));
        let is_live = user.deleted_at.is_none();
        if before.is_some() {
            self.remember(now, id, live_before);
        }
        let user = Arc::new(user);
        if is_live {
            self.index(&user);
            self.live.insert(id, user);
        } else {
            self.deleted.insert(id, user);
        }
        before
    }

    /// Takes a user out of the recycle bin for good.
    pub fn purge(&mut self, id: UserId) -> Option<Arc<User>> {
        self.deleted.remove(&id)
    }

    fn index(&mut self, user: &User) {
        let name = user.user_principal_name.to_lowercase().into_boxed_str();
        for address in user.addresses().filter(|address| address.as_str() != name.as_ref()) {
            self.by_address.insert(address.into_boxed_str(), user.id);
        }
        self.by_upn.insert(name, user.id);
    }

    fn unindex(&mut self, user: &User) {
        self.by_upn.remove(user.user_principal_name.to_lowercase().as_str());
        for address in user.addresses() {
            self.by_address.remove(address.as_str());
        }
    }

    fn remember(&mut self, now: Timestamp, id: UserId, before: Option<Arc<User>>) {
        self.history.entry(id).or_default().push_back(Past { until: now, user: before });
        self.history_order.push_back((now, id));
    }

    /// Forgets versions that no stale read reaches any more.
    pub fn prune(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.history_order.front().copied() {
            if now - until < HISTORY {
                break;
            }
            self.history_order.pop_front();
            if let Some(versions) = self.history.get_mut(&id) {
                versions.pop_front();
                if versions.is_empty() {
                    self.history.remove(&id);
                }
            }
        }
    }
}

fn range_after(
    users: &BTreeMap<UserId, Arc<User>>,
    after: Option<UserId>,
) -> impl Iterator<Item = &Arc<User>> {
    use std::ops::Bound::{Excluded, Unbounded};
    let start = after.map_or(Unbounded, Excluded);
    users.range((start, Unbounded)).map(|(_, user)| user)
}
