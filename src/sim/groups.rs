//! Groups, memberships and nesting. How groups are asked for is in `group_query`, written in `group_write`, members in
//! `members`; what a group's licences do to its members is in `group_licensing`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::audit::Initiator;
use super::call::Call;
use super::directory::User;
use super::errors::GraphError;
use super::lookups::referenced;
use super::tenant::Tenant;
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
    pub id: GroupId,
    pub name: String,
    pub membership: Membership,
    pub created_at: Timestamp,
    pub licences: Vec<(SkuId, Vec<PlanId>)>,
    /// Live direct members.
    pub members: BTreeSet<UserId>,
    pub nested: BTreeSet<GroupId>,
    pub is_processing: bool,
    /// What was written and means nothing to the simulation, as Graph spells it.
    pub kept: Map<String, Value>,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    pub by_id: BTreeMap<GroupId, Group>,
}

impl Groups {
    pub fn get(&self, id: GroupId) -> Option<&Group> {
        self.by_id.get(&id)
    }

    pub fn insert(&mut self, now: Timestamp, id: GroupId, new: NewGroup) {
        let group = Group {
            id,
            name: new.name,
            membership: new.membership,
            created_at: now,
            licences: new.licences,
            members: BTreeSet::new(),
            nested: BTreeSet::new(),
            is_processing: false,
            kept: Map::new(),
        };
        self.by_id.insert(id, group);
    }

    /// The group, and its place in others.
    pub fn remove(&mut self, id: GroupId) -> Option<Group> {
        for group in self.by_id.values_mut() {
            group.nested.remove(&id);
        }
        self.by_id.remove(&id)
    }

    pub fn nest(&mut self, outer: GroupId, inner: GroupId) {
        if let Some(group) = self.by_id.get_mut(&outer) {
            group.nested.insert(inner);
        }
    }

    pub fn set_membership(&mut self, id: GroupId, membership: Membership) {
        if let Some(group) = self.by_id.get_mut(&id) {
            group.membership = membership;
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
    pub fn below(&self, id: GroupId) -> BTreeSet<GroupId> {
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

    pub fn transitive_members(&self, id: GroupId) -> BTreeSet<UserId> {
        self.below(id)
            .iter()
            .filter_map(|group| self.by_id.get(group))
            .flat_map(|group| group.members.iter().copied())
            .collect()
    }
}

impl Tenant {
    pub(super) fn group(&self, id: GroupId) -> Result<&Group, GraphError> {
        self.groups.get(id).ok_or_else(|| GraphError::not_found(&id.to_string()))
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
        self.add_members(now, group, &[body.reference], by)
    }

    /// `https://graph.microsoft.com/v1.0/directoryObjects/{id}` each, of users or of groups. Licences do not reach
    /// through a group within a group. Entra: group-based licensing limitations.
    pub(super) fn add_members(
        &mut self,
        now: Timestamp,
        group: GroupId,
        references: &[String],
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let mut users = BTreeSet::new();
        let mut inner = BTreeSet::new();
        for key in references.iter().map(|reference| referenced(reference)) {
            match key.parse().ok().filter(|id| *id != group && self.groups.get(*id).is_some()) {
                Some(id) => drop(inner.insert(id)),
                None => drop(users.insert(self.live_id(key)?)),
            }
        }
        self.check_members_editable(group)?;
        let Group { members, nested, .. } = self.group(group)?;
        let is_in = users.iter().any(|user| members.contains(user)) || !nested.is_disjoint(&inner);
        if users.len() + inner.len() < references.len() || is_in {
            return Err(GraphError::bad_request(
                "One or more added object references already exist for the following modified properties: 'members'.",
            ));
        }
        for user in users {
            self.join_group(now, group, user, by);
        }
        for inner in inner {
            self.groups.nest(group, inner);
            self.audit_group(now, by, "Add member to group", group);
        }
        Ok(HttpResponse::new(204))
    }

    /// The id may be a group's, too.
    pub(super) fn remove_member_call(
        &mut self,
        now: Timestamp,
        group: GroupId,
        user: UserId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        self.check_members_editable(group)?;
        let inner = user.to_string().parse().ok();
        if inner.is_some_and(|inner| {
            self.groups.by_id.get_mut(&group).is_some_and(|group| group.nested.remove(&inner))
        }) {
            self.audit_group(now, by, "Remove member from group", group);
            return Ok(HttpResponse::new(204));
        }
        if !self.group(group)?.members.contains(&user) {
            return Err(GraphError::not_found(&user.to_string()));
        }
        self.leave_group(now, group, user, by);
        Ok(HttpResponse::new(204))
    }

    pub(super) fn check_members_editable(&self, group: GroupId) -> Result<(), GraphError> {
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
