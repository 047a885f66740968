//! What an administrator does to the tenant, by hand, by script or by mistake. Every act takes the time, runs the
//! background work that was due before, and leaves an audit event. None goes over HTTP, none needs a permission.

use std::sync::Arc;

use serde_json::Value;

use super::audit::Initiator;
use super::directory::{User, UserType};
use super::groups::{Membership, NewGroup};
use super::licensing::{AddLicence, keeps_mailbox, refresh_plans};
use super::mailbox::MailboxKind;
use super::quota::Quota;
use super::subscriptions::{NewSku, Stage};
use super::switches::Switches;
use super::tenant::Tenant;
use crate::model::{GroupId, PlanId, SkuId, Span, Timestamp, UserId};

/// What kind of account, and whether a mailbox exists from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// With a user mailbox, at once.
    Member,
    /// Gets a mailbox when licensed.
    WithoutMailbox,
    Shared,
    Room,
    Equipment,
    /// From another organisation; no mailbox.
    Guest,
}

impl UserKind {
    fn mailbox(self) -> Option<MailboxKind> {
        match self {
            UserKind::Member => Some(MailboxKind::User),
            UserKind::Shared => Some(MailboxKind::Shared),
            UserKind::Room => Some(MailboxKind::Room),
            UserKind::Equipment => Some(MailboxKind::Equipment),
            UserKind::WithoutMailbox | UserKind::Guest => None,
        }
    }
}

/// A user to create. [`NewUser::new`] fills in what a plain one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// `None`: a random one.
    pub id: Option<UserId>,
    pub user_principal_name: String,
    pub display_name: String,
    pub given_name: Option<String>,
    pub surname: Option<String>,
    pub kind: UserKind,
    pub account_enabled: bool,
    pub department: Option<String>,
    pub company_name: Option<String>,
    pub country: Option<String>,
    pub job_title: Option<String>,
    pub employee_type: Option<String>,
    pub usage_location: Option<String>,
    pub on_premises_synced: bool,
    pub holds_admin_role: bool,
    /// Further addresses, without prefix.
    pub other_addresses: Vec<String>,
    /// Direct licences, each with the service plans switched off in it. Taken without asking for seats.
    pub licences: Vec<(SkuId, Vec<PlanId>)>,
    /// Direct memberships; licences of these groups are there at once.
    pub groups: Vec<GroupId>,
}

impl NewUser {
    /// An enabled account with usage location NO and no licence.
    pub fn new(user_principal_name: &str, display_name: &str, kind: UserKind) -> Self {
        Self {
            id: None,
            user_principal_name: user_principal_name.to_owned(),
            display_name: display_name.to_owned(),
            given_name: None,
            surname: None,
            kind,
            account_enabled: true,
            department: None,
            company_name: None,
            country: None,
            job_title: None,
            employee_type: None,
            usage_location: Some("NO".to_owned()),
            on_premises_synced: false,
            holds_admin_role: false,
            other_addresses: Vec::new(),
            licences: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn addresses(&self) -> Vec<Box<str>> {
        if self.kind == UserKind::WithoutMailbox {
            return Vec::new();
        }
        let primary = format!("SMTP:{}", self.user_principal_name).into_boxed_str();
        let others = self.other_addresses.iter().map(|address| format!("smtp:{address}").into_boxed_str());
        std::iter::once(primary).chain(others).collect()
    }
}

/// Where a user is deleted: it decides what is left of the licences. Source: office365itpros 2023-08-07.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedFrom {
    /// Graph, PowerShell or the Entra admin centre: the deleted user keeps its licences on record.
    Graph,
    /// The Microsoft 365 admin centre: takes the licences away first.
    AdminCentre,
}

fn administrator() -> Initiator {
    Initiator::Person {
        id: uuid::Uuid::from_u128(0x0ad0_0000_0000_4000_8000_0000_0000_0001),
        name: "admin@contoso.com".to_owned(),
    }
}

impl Tenant {
    pub fn add_sku(&mut self, now: Timestamp, sku: NewSku) {
        self.advance(now);
        self.insert_product(now, sku);
    }

    /// Changes the number of seats bought; may go below what is used.
    pub fn set_seats(&mut self, now: Timestamp, sku: SkuId, seats: u32) {
        self.advance(now);
        if let Some(product) = self.catalogue.get_mut(sku) {
            product.seats = seats;
        }
    }

    /// Moves a subscription to a stage; the following ones come by themselves unless it is renewed.
    pub fn set_subscription_stage(&mut self, now: Timestamp, sku: SkuId, stage: Stage) {
        self.advance(now);
        self.enter_stage(now, sku, stage);
    }

    /// From now on nobody may hold both plans.
    pub fn forbid_plans_together(&mut self, one: PlanId, other: PlanId) {
        self.plan_rules.exclusive.push((one, other));
    }

    /// From now on the first plan needs the second.
    pub fn require_plan(&mut self, plan: PlanId, needed: PlanId) {
        self.plan_rules.depends.push((plan, needed));
    }

    /// Creates a user as it has long been: licences, memberships and mailbox are in place at once.
    pub fn add_user(&mut self, now: Timestamp, new: NewUser) -> UserId {
        self.advance(now);
        self.insert_user(now, new, &administrator(), |_| ())
    }

    /// `finish` writes what a [`NewUser`] does not know of.
    pub(super) fn insert_user(
        &mut self,
        now: Timestamp,
        new: NewUser,
        by: &Initiator,
        finish: impl FnOnce(&mut User),
    ) -> UserId {
        let id = new.id.unwrap_or_else(|| UserId::from(self.ids.uuid()));
        let has_mailbox = new.kind.mailbox();
        let proxy_addresses = new.addresses();
        let mail = (!proxy_addresses.is_empty()).then(|| new.user_principal_name.clone().into_boxed_str());
        let direct = new.licences.into_iter().map(|(sku, disabled_plans)| super::directory::LicencePath {
            sku,
            disabled_plans,
            group: None,
            failure: None,
            updated_at: now,
        });
        let mut user = User {
            id,
            user_principal_name: new.user_principal_name.into(),
            display_name: new.display_name.into(),
            given_name: self.shared_text(new.given_name),
            surname: self.shared_text(new.surname),
            mail,
            proxy_addresses,
            department: self.shared_text(new.department),
            company_name: self.shared_text(new.company_name),
            country: self.shared_text(new.country),
            job_title: self.shared_text(new.job_title),
            employee_type: self.shared_text(new.employee_type),
            kept: None,
            usage_location: self.shared_text(new.usage_location),
            user_type: UserType::of(new.kind),
            account_enabled: new.account_enabled,
            on_premises_synced: new.on_premises_synced,
            on_premises_immutable_id: new.on_premises_synced.then(|| id.simple().into()),
            holds_admin_role: new.holds_admin_role,
            created_at: now,
            deleted_at: None,
            licences: direct.collect(),
            plans: Arc::default(),
            provisioning_error_at: None,
            groups: new.groups.clone(),
            duplicate_of: None,
        };
        finish(&mut user);
        refresh_plans(now, &mut user, &self.catalogue, &self.switches);
        self.store_user(now, user);
        for group in new.groups {
            self.groups.join(group, id);
            self.apply_group_licences(now, group, id);
        }
        let is_licensed = self.directory.live(id).is_some_and(|user| keeps_mailbox(user));
        match has_mailbox {
            Some(kind) => self.create_mailbox(now, id, kind, is_licensed),
            None => self.settle_mailbox(now, id),
        }
        self.audit_user(now, by, "Add user", id, &[]);
        id
    }

    pub fn add_group(&mut self, now: Timestamp, new: NewGroup) -> GroupId {
        self.advance(now);
        let id = new.id.unwrap_or_else(|| GroupId::from(self.ids.uuid()));
        self.groups.insert(now, id, new);
        self.audit_group(now, &administrator(), "Add group", id);
        id
    }

    /// Makes `inner` a member of `outer`. Licences do not reach through nesting.
    pub fn nest_group(&mut self, now: Timestamp, outer: GroupId, inner: GroupId) {
        self.advance(now);
        self.groups.nest(outer, inner);
        self.audit_group(now, &administrator(), "Add member to group", outer);
    }

    pub fn add_member(&mut self, now: Timestamp, group: GroupId, user: UserId) {
        self.advance(now);
        self.join_group(now, group, user, &administrator());
    }

    pub fn remove_member(&mut self, now: Timestamp, group: GroupId, user: UserId) {
        self.advance(now);
        self.leave_group(now, group, user, &administrator());
    }

    pub fn set_membership(&mut self, now: Timestamp, group: GroupId, membership: Membership) {
        self.advance(now);
        self.groups.set_membership(group, membership);
    }

    /// Takes a product from a group and so, some minutes later, from all its members.
    pub fn remove_group_licence(&mut self, now: Timestamp, group: GroupId, sku: SkuId) {
        self.advance(now);
        self.change_group_licences(now, group, &[], &[sku], &administrator());
    }

    pub fn add_group_licence(&mut self, now: Timestamp, group: GroupId, sku: SkuId) {
        self.advance(now);
        let licence = AddLicence { sku_id: sku, disabled_plans: Vec::new() };
        self.change_group_licences(now, group, &[licence], &[], &administrator());
    }

    /// Assigns a product directly. Fails, with Graph's message, where Graph would.
    pub fn assign_licence(
        &mut self,
        now: Timestamp,
        user: UserId,
        sku: SkuId,
        disabled_plans: Vec<PlanId>,
    ) -> Result<(), String> {
        self.advance(now);
        let licence = AddLicence { sku_id: sku, disabled_plans };
        self.assign(now, user, &[licence], &[], &administrator()).map_err(|error| error.message)
    }

    /// Removes a direct licence. Fails, with Graph's message, where Graph would.
    pub fn remove_licence(&mut self, now: Timestamp, user: UserId, sku: SkuId) -> Result<(), String> {
        self.advance(now);
        self.assign(now, user, &[], &[sku], &administrator()).map_err(|error| error.message)
    }

    /// Switches a service plan off in a product that the user holds directly.
    pub fn disable_plan(&mut self, now: Timestamp, user: UserId, sku: SkuId, plan: PlanId) {
        self.advance(now);
        self.audit_user(now, &administrator(), "Change user license", user, &[]);
        self.change_licences(now, user, |user| {
            for path in user.licences.iter_mut().filter(|path| path.sku == sku && path.group.is_none()) {
                if !path.disabled_plans.contains(&plan) {
                    path.disabled_plans.push(plan);
                }
                path.updated_at = now;
            }
        });
    }

    pub fn delete_user(&mut self, now: Timestamp, user: UserId, from: DeletedFrom) {
        self.advance(now);
        let by = administrator();
        let strips = from == DeletedFrom::AdminCentre;
        if strips && !self.switches.admin_centre_delete_soft_deletes {
            self.audit_user(now, &by, "Change user license", user, &[]);
            self.change_licences(now, user, |user| user.licences.clear());
        }
        self.soft_delete(now, user, &by, strips);
    }

    /// Restores a user as the Entra admin centre does, without options. Fails with Graph's message on a conflict.
    pub fn restore_user(&mut self, now: Timestamp, user: UserId) -> Result<(), String> {
        self.advance(now);
        self.restore_by(now, user, &administrator()).map_err(|error| error.message)
    }

    /// Removes a deleted user from the recycle bin, or a live one at once and for good.
    pub fn hard_delete_user(&mut self, now: Timestamp, user: UserId) {
        self.advance(now);
        self.soft_delete(now, user, &administrator(), false);
        self.purge_user(now, user, &administrator());
    }

    pub fn set_account_enabled(&mut self, now: Timestamp, user: UserId, is_enabled: bool) {
        let activity = if is_enabled { "Enable account" } else { "Disable account" };
        self.edit(now, user, activity, |user| user.account_enabled = is_enabled);
    }

    pub fn set_employee_type(&mut self, now: Timestamp, user: UserId, employee_type: &str) {
        self.edit(now, user, "Update user", |user| user.employee_type = Some(employee_type.into()));
    }

    pub fn set_usage_location(&mut self, now: Timestamp, user: UserId, location: Option<&str>) {
        self.edit(now, user, "Update user", |user| user.usage_location = location.map(Into::into));
    }

    /// Gives another user principal name; the addresses stay.
    pub fn set_user_principal_name(&mut self, now: Timestamp, user: UserId, name: &str) {
        self.edit(now, user, "Update user", |user| user.user_principal_name = name.into());
    }

    fn edit(&mut self, now: Timestamp, id: UserId, activity: &'static str, change: impl FnOnce(&mut User)) {
        self.advance(now);
        let Some(user) = self.directory.live(id) else { return };
        let mut user = User::clone(user);
        change(&mut user);
        self.audit_user(
            now,
            &administrator(),
            activity,
            id,
            &[("Included Updated Properties", &Value::Null, &Value::Null)],
        );
        self.store_user(now, user);
    }

    /// A litigation hold, or its end.
    pub fn set_hold(&mut self, now: Timestamp, user: UserId, is_held: bool) {
        self.advance(now);
        self.hold_mailbox(now, user, is_held);
    }

    /// Converts between user and shared, room or equipment mailbox.
    pub fn set_mailbox_kind(&mut self, now: Timestamp, user: UserId, kind: MailboxKind) {
        self.advance(now);
        self.convert_mailbox(now, user, kind);
    }

    /// Creates a second account for a deleted person: same name, same addresses, same on-premises `ExchangeGuid`.
    /// Licensing it destroys the original's mailbox. `None` while the original is live, because Entra refuses it.
    pub fn add_duplicate(&mut self, now: Timestamp, original: UserId) -> Option<UserId> {
        self.advance(now);
        let deleted = self.directory.deleted(original)?;
        let mut twin = User::clone(deleted);
        twin.id = UserId::from(self.ids.uuid());
        twin.user_principal_name = deleted
            .user_principal_name
            .strip_prefix(original.simple().as_str())
            .unwrap_or(&deleted.user_principal_name)
            .into();
        twin.deleted_at = None;
        twin.created_at = now;
        twin.licences.clear();
        twin.plans = Arc::default();
        twin.groups.clear();
        twin.duplicate_of = Some(original);
        let id = twin.id;
        self.store_user(now, twin);
        self.audit_user(now, &administrator(), "Add user", id, &[]);
        Some(id)
    }

    pub fn set_switches(&mut self, switches: Switches) {
        self.switches = switches;
    }

    pub fn set_quota(&mut self, quota: Quota) {
        self.meter.set_quota(quota);
    }

    /// The application permissions that tokens issued from now on carry.
    pub fn set_roles(&mut self, roles: &[&str]) {
        self.tokens.set_roles(roles);
    }

    /// A bearer token with the application's permissions, without asking the token endpoint.
    pub fn issue_token(&mut self, now: Timestamp, lifetime: Span) -> String {
        self.tokens.issue(now, "4b2b8a50-0000-4000-8000-3c2f2d6b7f10", lifetime, false)
    }

    /// All tokens stop working; the next request is a 401.
    pub fn revoke_tokens(&mut self) {
        self.tokens.revoke_all();
    }

    /// Tokens that were not asked for with `claims` are answered with a claims challenge.
    pub fn demand_claims(&mut self) {
        self.tokens.demand_claims();
    }

    /// Microsoft resets the change feed: every delta token is answered with 410 from now on.
    pub fn reset_delta(&mut self) {
        self.changes.reset();
    }

    /// While a company moves in, acts leave neither audit events nor entries in the change feed, which has no readers
    /// yet: a large tenant would carry a week of them.
    pub fn set_moving_in(&mut self, is_moving_in: bool) {
        self.is_moving_in = is_moving_in;
    }
}
