//! Groups, memberships and nesting. What a group's licences do to its members is in `group_licensing`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::Initiator;
use super::call::Call;
use super::directory::User;
use super::errors::GraphError;
use super::odata::{Entity, Page, SkipToken, count_answer, json_answer, page_size};
use super::properties::Select;
use super::subscriptions::narrow_all;
use super::tenant::Tenant;
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, PlanId, SkuId, Timestamp, UserId};

/// Who decides on the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// Administrators, and this API.
    Assigned,
    /// A rule; its text is only shown, the simulation does not evaluate it.
    Dynamic(String),
    /// On-premises Active Directory.
    Synced,
}

/// A group to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// `None`: a random one.
    pub id: Option<GroupId>,
    pub name: String,
    pub membership: Membership,
    /// Products, each with the service plans switched off in it.
    pub licences: Vec<(SkuId, Vec<PlanId>)>,
}

#[derive(Debug)]
pub(super) struct Group {
    id: GroupId,
    name: String,
    membership: Membership,
    pub licences: Vec<(SkuId, Vec<PlanId>)>,
    /// Live direct members.
    pub members: BTreeSet<UserId>,
    nested: BTreeSet<GroupId>,
    pub is_processing: bool,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    pub by_id: BTreeMap<GroupId, Group>,
}

impl Groups {
    pub fn get(&self, id: GroupId) -> Option<&Group> {
        self.by_id.get(&id)
    }

    pub fn insert(&mut self, id: GroupId, new: NewGroup) {
        let group = Group {
            id,
            name: new.name,
            membership: new.membership,
            licences: new.licences,
            members: BTreeSet::new(),
            nested: BTreeSet::new(),
            is_processing: false,
        };
        self.by_id.insert(id, group);
    }

    pub fn nest(&mut self, outer: GroupId, inner: GroupId) {
        if let Some(group) = self.by_id.get_mut(&outer) {
            group.nested.insert(inner);
        }
    }

    /// False when the group is unknown or the user was in it.
    pub fn join(&mut self, group: GroupId, user: UserId) -> bool {
        self.by_id.get_mut(&group).is_some_and(|group| group.members.insert(user))
    }

    pub fn leave(&mut self, group: GroupId, user: UserId) -> bool {
        self.by_id.get_mut(&group).is_some_and(|group| group.members.remove(&user))
    }

    /// The group and all groups nested below it. Cycles are cut.
    fn below(&self, id: GroupId) -> BTreeSet<GroupId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            if found.insert(next)
                && let Some(group) = self.by_id.get(&next)
            {
                open.extend(&group.nested);
            }
        }
        found
    }

    pub fn is_transitive_member(&self, id: GroupId, direct: &[GroupId]) -> bool {
        let below = self.below(id);
        direct.iter().any(|group| below.contains(group))
    }

    fn transitive_members(&self, id: GroupId) -> BTreeSet<UserId> {
        self.below(id)
            .iter()
            .filter_map(|group| self.by_id.get(group))
            .flat_map(|group| group.members.iter().copied())
            .collect()
    }
}

impl Group {
    pub fn json(&self, tenant: &Tenant) -> Value {
        let licences: Vec<Value> = self
            .licences
            .iter()
            .map(|(sku, disabled)| json!({"skuId": sku.to_string(), "disabledPlans": disabled}))
            .collect();
        let (types, rule) = match &self.membership {
            Membership::Dynamic(rule) => (vec!["DynamicMembership"], Some(rule.as_str())),
            Membership::Assigned | Membership::Synced => (Vec::new(), None),
        };
        let has_errors = self.members.iter().filter_map(|id| tenant.directory.live(*id)).any(|user| {
            user.licences.iter().any(|path| path.group == Some(self.id) && path.failure.is_some())
        });
        json!({
            "id": self.id.to_string(), "displayName": self.name, "deletedDateTime": null,
            "description": null, "groupTypes": types, "mail": null, "mailEnabled": false,
            "mailNickname": self.id.simple(), "securityEnabled": true, "visibility": null,
            "assignedLicenses": licences, "hasMembersWithLicenseErrors": has_errors,
            "licenseProcessingState": {"state": if self.is_processing { "QueuedForProcessing" } else { "ProcessingComplete" }},
            "onPremisesSyncEnabled": (self.membership == Membership::Synced).then_some(true),
            "membershipRule": rule,
            "membershipRuleProcessingState": rule.map(|_| "On"),
            "proxyAddresses": [], "createdDateTime": null, "isAssignableToRole": null,
        })
    }
}

const DEFAULT_GROUP_SELECT: [&str; 9] = [
    "id",
    "deletedDateTime",
    "description",
    "displayName",
    "groupTypes",
    "mail",
    "mailEnabled",
    "mailNickname",
    "securityEnabled",
];

impl Tenant {
    pub(super) fn group(&self, id: GroupId) -> Result<&Group, GraphError> {
        self.groups.get(id).ok_or_else(|| GraphError::not_found(&id.to_string()))
    }

    pub(super) fn get_group(&self, call: &Call, id: GroupId) -> Result<HttpResponse, GraphError> {
        let mut value = self.group(id)?.json(self);
        if call.has_option("select") {
            value = narrow_all(call, vec![value]).pop().unwrap_or_default();
        } else if let Value::Object(members) = &mut value {
            members.retain(|name, _| DEFAULT_GROUP_SELECT.contains(&name.as_str()));
        }
        Ok(json_answer(200, &Entity { context: call.context("groups/$entity"), entity: value }))
    }

    pub(super) fn list_members(
        &self,
        call: &Call,
        id: GroupId,
        is_transitive: bool,
        is_cast: bool,
    ) -> Result<HttpResponse, GraphError> {
        let group = self.group(id)?;
        if call.has_option("filter") || call.has_option("search") {
            return Err(GraphError::unsupported_query("Unsupported Query."));
        }
        let select = Select::parse(call.option("select"))?;
        let size = page_size(call, &self.switches)?;
        let token = SkipToken::read(call)?;
        let is_first = token.is_none();
        let after: Option<UserId> = token.and_then(|token| token.after.parse().ok());
        let collected;
        let members = if is_transitive {
            collected = self.groups.transitive_members(id);
            &collected
        } else {
            &group.members
        };
        let limit = if call.view.empty_page { 0 } else { size };
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let ids: Vec<UserId> =
            members.range((start, std::ops::Bound::Unbounded)).take(limit + 1).copied().collect();
        let shown = &ids[..ids.len().min(limit)];
        let last = shown.last().copied().or(after).map(|id| id.to_string()).unwrap_or_default();
        let users: Vec<&Arc<User>> = shown.iter().filter_map(|id| self.directory.live(*id)).collect();
        let project = |user: &&'_ Arc<User>| -> Value {
            let mut projection = Projection::new(user, &select, &self.switches);
            if !is_cast {
                projection.annotations.push(("@odata.type", "#microsoft.graph.user".into()));
            }
            serde_json::to_value(projection).expect("a user has text keys")
        };
        let mut value: Vec<Value> = users.iter().map(project).collect();
        if !is_cast && is_first {
            value.extend(
                group
                    .nested
                    .iter()
                    .map(|inner| json!({"@odata.type": "#microsoft.graph.group", "id": inner.to_string()})),
            );
        }
        let resource = if is_cast { select.context("users") } else { select.context("directoryObjects") };
        let page = Page {
            context: call.context(&resource),
            count: (is_first && call.is_advanced()).then_some(members.len()),
            next_link: (ids.len() > limit).then(|| SkipToken::link(call, &last)),
            delta_link: None,
            value,
        };
        Ok(json_answer(200, &page))
    }

    pub(super) fn count_members(
        &self,
        call: &Call,
        id: GroupId,
        is_transitive: bool,
    ) -> Result<HttpResponse, GraphError> {
        let group = self.group(id)?;
        if !call.is_eventual() {
            return Err(GraphError::bad_request("$count is not currently supported."));
        }
        let count =
            if is_transitive { self.groups.transitive_members(id).len() } else { group.members.len() };
        Ok(count_answer(count))
    }

    pub(super) fn add_member_call(
        &mut self,
        now: Timestamp,
        call: &Call,
        group: GroupId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "@odata.id")]
            reference: String,
        }
        let body: Body = call.json()?;
        let key = body.reference.rsplit('/').next().unwrap_or_default();
        let user = self.live_id(key)?;
        self.check_members_editable(group)?;
        if self.group(group)?.members.contains(&user) {
            return Err(GraphError::bad_request(
                "One or more added object references already exist for the following modified properties: 'members'.",
            ));
        }
        self.join_group(now, group, user, by);
        Ok(HttpResponse::new(204))
    }

    pub(super) fn remove_member_call(
        &mut self,
        now: Timestamp,
        group: GroupId,
        user: UserId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        self.check_members_editable(group)?;
        if !self.group(group)?.members.contains(&user) {
            return Err(GraphError::not_found(&user.to_string()));
        }
        self.leave_group(now, group, user, by);
        Ok(HttpResponse::new(204))
    }

    fn check_members_editable(&self, group: GroupId) -> Result<(), GraphError> {
        match &self.group(group)?.membership {
            Membership::Assigned => Ok(()),
            Membership::Dynamic(_) => Err(GraphError::bad_request(
                "Insufficient privileges or the group has dynamic membership: members cannot be edited.",
            )),
            Membership::Synced => Err(GraphError::bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
            )),
        }
    }

    pub(super) fn join_group(&mut self, now: Timestamp, group: GroupId, user: UserId, by: &Initiator) {
        if self.groups.join(group, user) {
            self.note_membership(now, user, |groups| groups.push(group));
            self.audit_membership(now, by, "Add member to group", group, user);
            self.schedule_group_licensing(now, group, user);
        }
    }

    pub(super) fn leave_group(&mut self, now: Timestamp, group: GroupId, user: UserId, by: &Initiator) {
        if self.groups.leave(group, user) {
            self.note_membership(now, user, |groups| groups.retain(|held| *held != group));
            self.audit_membership(now, by, "Remove member from group", group, user);
            self.schedule_group_licensing(now, group, user);
        }
    }

    fn note_membership(&mut self, now: Timestamp, user: UserId, change: impl FnOnce(&mut Vec<GroupId>)) {
        if let Some(user) = self.directory.live(user) {
            let mut user = User::clone(user);
            change(&mut user.groups);
            self.directory.put(now, user);
        }
    }
}
