//! The group licensing worker: it works in the background, some minutes late, and records its failures on the user. A
//! failure stands until someone asks for it to be reprocessed. Source: Entra "resolve group licence assignment
//! problems".

use super::audit::Initiator;
use super::call::Call;
use super::directory::{LicenceFailure, LicencePath, User};
use super::errors::GraphError;
use super::group_query::GROUP;
use super::licensing::{AddLicence, read_assignment};
use super::narrow::Wanted;
use super::odata::{Entity, json_answer};
use super::properties::Select;
use super::tenant::{Job, Tenant};
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, SkuId, Timestamp, UserId};

impl Tenant {
    pub(super) fn schedule_group_licensing(&mut self, now: Timestamp, group: GroupId, user: UserId) {
        let has_licences = self.groups.get(group).is_some_and(|group| !group.licences.is_empty());
        if has_licences {
            let at = now + self.group_licensing_delay();
            self.schedule(at, Job::GroupLicensing { group, user: Some(user) });
        }
    }

    /// 202: the worker follows. Graph: group-assignlicense.
    pub(super) fn group_assign_license(
        &mut self,
        now: Timestamp,
        call: &Call,
        id: GroupId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let (add, remove) = read_assignment(call)?;
        self.group(id)?;
        if let Some(unknown) = add.iter().find(|licence| self.catalogue.get(licence.sku_id).is_none()) {
            return Err(GraphError::bad_request(format!(
                "License {} does not correspond to a valid company License.",
                unknown.sku_id
            )));
        }
        self.change_group_licences(now, id, &add, &remove, by);
        let entity = self.group_json(self.group(id)?, &Wanted::parse(None, &GROUP)?);
        Ok(json_answer(202, &Entity { context: call.context("groups/$entity"), entity }))
    }

    pub(super) fn change_group_licences(
        &mut self,
        now: Timestamp,
        id: GroupId,
        add: &[AddLicence],
        remove: &[SkuId],
        by: &Initiator,
    ) {
        let at = now + self.group_licensing_delay();
        let Some(group) = self.groups.by_id.get_mut(&id) else { return };
        group
            .licences
            .retain(|(sku, _)| !remove.contains(sku) && !add.iter().any(|licence| licence.sku_id == *sku));
        group.licences.extend(add.iter().map(|licence| (licence.sku_id, licence.disabled_plans.clone())));
        group.is_processing = true;
        self.audit_group(now, by, "Set group license", id);
        self.schedule(at, Job::GroupLicensing { group: id, user: None });
    }

    /// The worker: one member, or all after the group's own licences changed.
    pub(super) fn run_group_licensing(&mut self, now: Timestamp, group: GroupId, user: Option<UserId>) {
        let users = match user {
            Some(user) => vec![user],
            None => {
                let Some(group) = self.groups.by_id.get_mut(&group) else { return };
                group.is_processing = false;
                group.members.iter().copied().collect()
            }
        };
        for user in users {
            self.apply_group_licences(now, group, user);
        }
    }

    /// Gives a member what the group has and takes what it has no more. True when something failed.
    pub(super) fn apply_group_licences(&mut self, now: Timestamp, group: GroupId, id: UserId) -> bool {
        let Some(user) = self.directory.live(id) else { return false };
        let mut user = User::clone(user);
        let before = user.licences.clone();
        let is_member = self.groups.get(group).is_some_and(|group| group.members.contains(&id));
        let due = self
            .groups
            .get(group)
            .filter(|_| is_member)
            .map(|group| group.licences.clone())
            .unwrap_or_default();
        user.licences.retain(|path| path.group != Some(group) || due.iter().any(|(sku, _)| *sku == path.sku));
        let mut has_failed = false;
        for (sku, disabled_plans) in due {
            let held = user.licences.iter().position(|path| path.group == Some(group) && path.sku == sku);
            if held.is_some_and(|held| {
                user.licences[held].failure.is_none() && user.licences[held].disabled_plans == disabled_plans
            }) {
                continue;
            }
            let failure = self.inherited_failure(&user, sku, &disabled_plans);
            has_failed |= failure.is_some();
            let path = LicencePath { sku, disabled_plans, group: Some(group), failure, updated_at: now };
            match held {
                Some(held) => user.licences[held] = path,
                None => user.licences.push(path),
            }
        }
        if user.licences != before {
            self.audit_group_licensing(now, id, has_failed);
            self.change_licences(now, id, |live| live.licences = user.licences);
        }
        has_failed
    }

    /// Graph: user-reprocesslicenseassignment. A failure that stands is a 400 with the reason.
    pub(super) fn reprocess_licenses(
        &mut self,
        now: Timestamp,
        call: &Call,
        key: &str,
    ) -> Result<HttpResponse, GraphError> {
        let id = self.live_id(key)?;
        let groups = self.directory.live(id).map(|user| user.groups.clone()).unwrap_or_default();
        let failed: Vec<GroupId> =
            groups.into_iter().filter(|group| self.apply_group_licences(now, *group, id)).collect();
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(key))?;
        let failure = user.licences.iter().find_map(|path| {
            let is_fresh = path.group.is_some_and(|group| failed.contains(&group));
            path.failure.filter(|_| is_fresh).map(|failure| (path.sku, failure))
        });
        if let Some((sku, failure)) = failure {
            return Err(GraphError::bad_request(match failure {
                LicenceFailure::NoSeat => {
                    format!("Subscription with SKU {sku} does not have any available licenses.")
                }
                LicenceFailure::ExclusivePlans => {
                    "License assignment failed because service plans are mutually exclusive".to_owned()
                }
                LicenceFailure::MissingPlan => {
                    "License assignment failed because a service plan depends on other service plan(s)"
                        .to_owned()
                }
            }));
        }
        let select = Select::default_set();
        let entity = Projection::new(user, &select, &self.switches);
        Ok(json_answer(200, &Entity { context: call.context("users/$entity"), entity }))
    }
}
