//! `POST`, `PATCH` and `DELETE` on groups. Only security groups are made here. What a membership brings with it is in
//! `groups`. Sources: Graph group-post-groups, group-update, group-delete.

use serde_json::{Map, Value};

use super::audit::Initiator;
use super::call::Call;
use super::errors::GraphError;
use super::group_query::GROUP;
use super::groups::{Membership, NewGroup};
use super::narrow::Wanted;
use super::odata::{Entity, json_answer};
use super::tenant::Tenant;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, Timestamp, UserId};

/// Graph: group-post-members.
const MOST_MEMBERS_AT_ONCE: usize = 20;

/// What a group is given at its creation. Graph: group-post-groups.
const REQUIRED: [&str; 4] = ["displayName", "mailEnabled", "mailNickname", "securityEnabled"];

/// Texts that the simulation keeps and makes nothing of.
const KEPT: [&str; 6] =
    ["description", "mailNickname", "visibility", "classification", "preferredLanguage", "theme"];

/// A body, taken apart.
#[derive(Debug, Default)]
struct Changes {
    name: Option<String>,
    kept: Map<String, Value>,
    /// The text of the rule of a dynamic group.
    rule: Option<String>,
    is_dynamic: Option<bool>,
    /// References to users.
    members: Vec<String>,
}

impl Changes {
    /// What is not modelled is a 501, what a group does not have a 400. Nothing is dropped.
    fn read(body: Map<String, Value>) -> Result<Self, GraphError> {
        let mut changes = Self::default();
        for (name, value) in body {
            changes.add(name, value)?;
        }
        Ok(changes)
    }

    fn add(&mut self, name: String, value: Value) -> Result<(), GraphError> {
        let text = || value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        match name.as_str() {
            "displayName" => self.name = Some(text().ok_or_else(|| invalid(&name))?),
            "membershipRule" => self.rule = text(),
            "membershipRuleProcessingState" if value == "On" => {}
            "groupTypes" => match value.as_array().map(Vec::as_slice) {
                Some([]) => self.is_dynamic = Some(false),
                Some([one]) if one == "DynamicMembership" => self.is_dynamic = Some(true),
                _ => return Err(not_modelled(&name)),
            },
            "mailEnabled" if value == false => {}
            "securityEnabled" if value == true => {}
            "isAssignableToRole" if value == false || value.is_null() => {}
            "members@odata.bind" => self.members = references(&value)?,
            _ if KEPT.contains(&name.as_str()) => {
                if text().is_none() && (!value.is_null() || name == "mailNickname") {
                    return Err(invalid(&name));
                }
                self.kept.insert(name, value);
            }
            _ if name.ends_with("@odata.bind") || GROUP.knows(&name) => return Err(not_modelled(&name)),
            _ if name.contains('@') => {}
            _ => return Err(GraphError::bad_request(format!("Invalid property '{name}'."))),
        }
        Ok(())
    }
}

/// `https://graph.microsoft.com/v1.0/directoryObjects/{id}` each.
fn references(value: &Value) -> Result<Vec<String>, GraphError> {
    let references: Vec<String> = serde_json::from_value(value.clone())
        .map_err(|_| GraphError::bad_request("Invalid value specified for property 'members'."))?;
    if references.len() > MOST_MEMBERS_AT_ONCE {
        return Err(GraphError::bad_request("The number of members to add exceeds the limit of 20."));
    }
    Ok(references)
}

fn invalid(name: &str) -> GraphError {
    GraphError::bad_request(format!("Invalid value specified for property '{name}' of resource 'Group'."))
}

fn not_modelled(name: &str) -> GraphError {
    let text = format!("The simulated tenant does not change '{name}' of a group.");
    GraphError::new(501, "NotImplemented", text)
}

impl Tenant {
    pub(super) fn create_group(
        &mut self,
        now: Timestamp,
        call: &Call,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let body: Map<String, Value> = call.json()?;
        if let Some(missing) = REQUIRED.iter().find(|name| body.get(**name).is_none_or(Value::is_null)) {
            return Err(GraphError::bad_request(format!(
                "A value is required for property '{missing}' of resource 'Group'."
            )));
        }
        let changes = Changes::read(body)?;
        let membership = match (changes.is_dynamic, changes.rule) {
            (Some(true), Some(rule)) => Membership::Dynamic(rule),
            (Some(true), None) => return Err(invalid("membershipRule")),
            (Some(false) | None, Some(_)) => return Err(invalid("groupTypes")),
            (Some(false) | None, None) => Membership::Assigned,
        };
        let id = GroupId::from(self.ids.uuid());
        let name = changes.name.unwrap_or_default();
        self.groups.insert(now, id, NewGroup { id: Some(id), name, membership, licences: Vec::new() });
        self.keep_of_group(id, changes.kept);
        if !changes.members.is_empty()
            && let Err(error) = self.add_members(now, id, &changes.members, by)
        {
            self.groups.remove(id);
            return Err(error);
        }
        self.audit_group(now, by, "Add group", id);
        let entity = self.group_json(self.group(id)?, &Wanted::parse(None, &GROUP)?);
        Ok(json_answer(201, &Entity { context: call.context("groups/$entity"), entity }))
    }

    /// Up to twenty new members at once, all or none, besides whatever else changes.
    pub(super) fn update_group(
        &mut self,
        now: Timestamp,
        call: &Call,
        id: GroupId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let group = self.group(id)?;
        let changes = Changes::read(call.json()?)?;
        let is_dynamic = matches!(group.membership, Membership::Dynamic(_));
        if changes.is_dynamic.is_some_and(|wanted| wanted != is_dynamic) {
            return Err(not_modelled("groupTypes"));
        }
        if changes.rule.is_some() && !is_dynamic {
            return Err(invalid("membershipRule"));
        }
        let writes_more = changes.name.is_some() || changes.rule.is_some() || !changes.kept.is_empty();
        if writes_more && group.membership == Membership::Synced {
            return Err(GraphError::bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
            ));
        }
        if !changes.members.is_empty() {
            self.add_members(now, id, &changes.members, by)?;
        }
        if let Some(group) = self.groups.by_id.get_mut(&id).filter(|_| writes_more) {
            group.name = changes.name.unwrap_or_else(|| std::mem::take(&mut group.name));
            if let Some(rule) = changes.rule {
                group.membership = Membership::Dynamic(rule);
            }
            self.keep_of_group(id, changes.kept);
            self.audit_group(now, by, "Update group", id);
        }
        Ok(HttpResponse::new(204))
    }

    /// A security group is gone at once and for good. One that gives licences must give them up first. Graph:
    /// group-delete; Entra: group-based licensing limitations. The text is an inference.
    pub(super) fn delete_group(
        &mut self,
        now: Timestamp,
        id: GroupId,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let group = self.group(id)?;
        if !group.licences.is_empty() {
            return Err(GraphError::bad_request(
                "The group cannot be deleted because licenses are assigned to it.",
            ));
        }
        let members: Vec<UserId> = group.members.iter().copied().collect();
        for user in members {
            self.leave_group(now, id, user, by);
        }
        self.audit_group(now, by, "Delete group", id);
        self.groups.remove(id);
        Ok(HttpResponse::new(204))
    }

    fn keep_of_group(&mut self, id: GroupId, kept: Map<String, Value>) {
        let Some(group) = self.groups.by_id.get_mut(&id) else { return };
        group.kept.extend(kept);
        group.kept.retain(|_, value| !value.is_null());
    }
}
