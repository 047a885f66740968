//! Soft deletion, restore and the recycle bin: `/directory/deletedItems`. The mailbox follows in `mailbox`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::audit::Initiator;
use super::call::Call;
use super::casts::{Bin, Cast};
use super::directory::{User, bare_address};
use super::errors::GraphError;
use super::expand::Expansion;
use super::group_query::{GROUP, GROUPS};
use super::licensing::refresh_plans;
use super::mailbox::RETENTION;
use super::narrow::Wanted;
use super::odata::query::{Place, Query};
use super::odata::{Entity, Page, count_answer, json_answer, page_size};
use super::properties::Select;
use super::tenant::{Job, Tenant};
use super::user_fields::USERS;
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;
use crate::model::{Timestamp, UserId};

/// Graph: directory-deleteditems-restore; both are optional.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestoreBody {
    auto_reconcile_proxy_conflict: Option<bool>,
    new_user_principal_name: Option<String>,
}

impl Tenant {
    /// Moves a live user to the recycle bin: the name is prefixed with the object id, licences stay recorded.
    pub(super) fn soft_delete(&mut self, now: Timestamp, id: UserId, by: &Initiator, strips_licences: bool) {
        let Some(user) = self.directory.live(id).cloned() else { return };
        self.audit_user(now, by, "Delete user", id, &[]);
        let mut deleted = User::clone(&user);
        if strips_licences {
            deleted.licences.clear();
            refresh_plans(now, &mut deleted, &self.catalogue, &self.switches);
        }
        deleted.deleted_at = Some(now);
        deleted.user_principal_name = format!("{}{}", id.simple(), user.user_principal_name).into();
        deleted.provisioning_error_at = None;
        for group in &user.groups {
            self.groups.leave(*group, id);
        }
        self.store_user(now, deleted);
        self.mailbox_of_deleted_user(now, id);
        self.schedule(now + RETENTION, Job::PurgeUser(id));
    }

    /// Removes a user from the recycle bin for good.
    pub(super) fn purge_user(&mut self, now: Timestamp, id: UserId, by: &Initiator) {
        let Some(user) = self.directory.deleted(id).cloned() else { return };
        self.audit_user(now, by, "Hard Delete user", id, &[]);
        if self.switches.deleted_users_hold_seats {
            user.working_skus().into_iter().for_each(|sku| self.catalogue.free(sku));
        }
        self.mailbox_of_purged_user(now, id, &user.user_principal_name);
        self.directory.purge(id);
        self.changes.record_purge(now, id);
    }

    /// Thirty days in the recycle bin; a user deleted again since then has its own time.
    pub(super) fn purge_due_user(&mut self, now: Timestamp, id: UserId) {
        let is_due = self
            .directory
            .deleted(id)
            .and_then(|user| user.deleted_at)
            .is_some_and(|deleted_at| deleted_at + RETENTION <= now);
        if is_due {
            self.purge_user(now, id, &Initiator::service("Microsoft Entra ID"));
        }
    }

    pub(super) fn restore_item(
        &mut self,
        now: Timestamp,
        call: &Call,
        key: &str,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let body = if call.body.is_empty() {
            RestoreBody::default()
        } else {
            call.parameters("restore", &["autoReconcileProxyConflict", "newUserPrincipalName"])?
        };
        let user = self.deleted_user(key)?;
        if user.holds_admin_role && self.switches.restore_of_administrators_denied {
            return Err(GraphError::denied());
        }
        let id = user.id;
        self.restore(now, &user, &body, by)?;
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(key))?;
        let select = Select::default_set();
        let mut entity = Projection::new(user, &select, &self.switches);
        entity.annotations.push(("@odata.type", "#microsoft.graph.user".into()));
        Ok(json_answer(200, &Entity { context: call.context("directoryObjects/$entity"), entity }))
    }

    pub(super) fn restore_by(
        &mut self,
        now: Timestamp,
        id: UserId,
        by: &Initiator,
    ) -> Result<(), GraphError> {
        let user = self.deleted_user(&id.to_string())?;
        self.restore(now, &user, &RestoreBody::default(), by)
    }

    fn restore(
        &mut self,
        now: Timestamp,
        user: &User,
        body: &RestoreBody,
        by: &Initiator,
    ) -> Result<(), GraphError> {
        let restored = self.free_of_conflicts(user, body)?;
        self.audit_user(now, by, "Restore user", user.id, &[]);
        self.revive(now, restored);
        Ok(())
    }

    /// The user as it will be, or the conflict that stops the restore.
    fn free_of_conflicts(&self, user: &User, body: &RestoreBody) -> Result<User, GraphError> {
        let mut restored = user.clone();
        let prefix = user.id.simple();
        let original =
            user.user_principal_name.strip_prefix(prefix.as_str()).unwrap_or(&user.user_principal_name);
        let wanted = body.new_user_principal_name.as_deref().unwrap_or(original);
        if let Some(name) = &body.new_user_principal_name {
            self.check_new_name(name)?;
        }
        if self.directory.find_upn(wanted).is_some() {
            return Err(GraphError::object_conflict("userPrincipalName"));
        }
        restored.user_principal_name = wanted.into();
        let is_free = |proxy: &str| self.directory.find_address(&bare_address(proxy)).is_none();
        if restored.proxy_addresses.iter().all(|proxy| is_free(proxy)) {
            return Ok(restored);
        }
        if body.auto_reconcile_proxy_conflict != Some(true) {
            return Err(GraphError::object_conflict("proxyAddresses"));
        }
        restored.proxy_addresses.retain(|proxy| is_free(proxy));
        restored.mail = restored.mail.filter(|mail| is_free(mail));
        Ok(restored)
    }

    fn revive(&mut self, now: Timestamp, mut user: User) {
        let id = user.id;
        user.deleted_at = None;
        let returns = self.switches.licences_return_on_restore;
        let exceeds = self.switches.restore_exceeds_seats;
        let catalogue = &self.catalogue;
        let holds_seats = self.switches.deleted_users_hold_seats;
        user.licences.retain(|path| {
            let has_seat =
                holds_seats || catalogue.get(path.sku).is_some_and(|product| product.has_free_seat());
            returns && (exceeds || has_seat)
        });
        refresh_plans(now, &mut user, catalogue, &self.switches);
        let groups = user.groups.clone();
        self.store_user(now, user);
        for group in groups {
            self.groups.join(group, id);
            self.schedule_group_licensing(now, group, id);
        }
        self.settle_mailbox(now, id);
    }

    pub(super) fn purge_item(
        &mut self,
        now: Timestamp,
        key: &str,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let id = self.deleted_user(key)?.id;
        self.purge_user(now, id, by);
        Ok(HttpResponse::new(204))
    }

    /// Cast to a type it is an object of that type's set, or not found.
    pub(super) fn get_deleted_item(
        &self,
        call: &Call,
        key: &str,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        let user = self.deleted_user(key)?;
        let select = Select::parse(call.option("select"))?;
        let mut entity = Projection::new(&user, &select, &self.switches);
        let context = match cast {
            Cast::None => {
                entity.annotations.push(("@odata.type", "#microsoft.graph.user".into()));
                "directoryObjects/$entity".to_owned()
            }
            Cast::User => format!("{}/$entity", select.context("users")),
            Cast::Group | Cast::Other => return Err(GraphError::not_found(key)),
        };
        Ok(json_answer(200, &Entity { context: call.context(&context), entity }))
    }

    /// Asked as live ones are. Nothing but users is ever deleted here. Graph: directory-deleteditems-list.
    pub(super) fn list_deleted(&self, call: &Call, bin: Bin) -> Result<HttpResponse, GraphError> {
        if bin != Bin::Users {
            return self.list_nothing(call, bin);
        }
        let select = Select::parse(call.option("select"))?;
        let query = Query::read(call, &USERS, Place::Set)?;
        let expansion = Expansion::of_users(call)?;
        let all = self.directory.deleted_after(None);
        let shown = query.page(call, &self.switches, all, |user| user.id.to_string())?;
        let page = Page {
            context: call.context(&select.context("users")),
            count: shown.count,
            next_link: shown.next_link,
            delta_link: None,
            value: shown
                .objects
                .iter()
                .map(|user| {
                    let mut projection = Projection::new(user, &select, &self.switches);
                    projection.annotations.extend(expansion.of_user(self, user));
                    projection
                })
                .collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }

    fn list_nothing(&self, call: &Call, bin: Bin) -> Result<HttpResponse, GraphError> {
        let set = match bin {
            Bin::Users => "users",
            Bin::Groups => "groups",
            Bin::Applications => "applications",
            Bin::AdministrativeUnits => "directory/administrativeUnits",
            Bin::Devices => "devices",
        };
        let mut page = Page::<Value>::whole(call.context(set), Vec::new());
        if bin == Bin::Groups {
            page.context = call.context(&Wanted::read(call, &GROUP)?.context(set));
            Query::read(call, &GROUPS, Place::Set)?;
            Expansion::of_groups(call)?;
        }
        page_size(call, &self.switches)?;
        page.count = call.is_advanced().then_some(0);
        Ok(json_answer(200, &page))
    }

    pub(super) fn count_deleted(&self, call: &Call, bin: Bin) -> Result<HttpResponse, GraphError> {
        let count = match bin {
            Bin::Users => {
                let query = Query::read_count(call, &USERS)?;
                self.directory.deleted_after(None).filter(|user| query.wants(user)).count()
            }
            Bin::Groups => Query::read_count(call, &GROUPS).map(|_| 0)?,
            Bin::Applications | Bin::AdministrativeUnits | Bin::Devices if !call.is_eventual() => {
                return Err(GraphError::bad_request("$count is not currently supported."));
            }
            Bin::Applications | Bin::AdministrativeUnits | Bin::Devices => 0,
        };
        Ok(count_answer(count))
    }

    fn deleted_user(&self, key: &str) -> Result<Arc<User>, GraphError> {
        let found = key.parse().ok().and_then(|id| self.directory.deleted(id));
        found.cloned().ok_or_else(|| GraphError::not_found(key))
    }
}
