//! The audit log and `/auditLogs/directoryAudits`. Events appear some minutes late and are forgotten after the tenant's
//! retention, as in Entra. Shape: Graph directoryAudit.

use std::collections::VecDeque;

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::errors::GraphError;
use super::odata::filter::Filter;
use super::odata::{Page, SkipToken, json_answer, page_size};
use super::tenant::Tenant;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, Span, Timestamp, UserId};

/// How long an event needs to appear. Entra: log latency, "minutes".
const LATENCY: Span = Span::from_minutes(5);

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Initiator {
    Application { client_id: Option<String>, name: String },
    Person { id: Uuid, name: String },
}

impl Initiator {
    /// A Microsoft service acting by itself.
    pub fn service(name: &str) -> Self {
        Self::Application { client_id: None, name: name.to_owned() }
    }

    fn json(&self) -> Value {
        match self {
            Self::Application { client_id, name } => json!({
                "user": null,
                "app": {"appId": client_id, "displayName": name, "servicePrincipalId": null, "servicePrincipalName": null},
            }),
            Self::Person { id, name } => json!({
                "app": null,
                "user": {"id": id.to_string(), "displayName": null, "userPrincipalName": name, "ipAddress": "192.0.2.10"},
            }),
        }
    }
}

#[derive(Debug)]
struct Event {
    id: Uuid,
    at: Timestamp,
    activity: &'static str,
    category: &'static str,
    succeeded: bool,
    by: Initiator,
    targets: Vec<Value>,
}

impl Event {
    fn json(&self) -> Value {
        json!({
            "id": format!("Directory_{}", self.id),
            "category": self.category, "correlationId": self.id.to_string(),
            "result": if self.succeeded { "success" } else { "failure" },
            "resultReason": if self.succeeded { "" } else { "CountViolation" },
            "activityDisplayName": self.activity,
            "activityDateTime": self.at.to_datetime().format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string(),
            "loggedByService": "Core Directory", "operationType": operation_type(self.activity),
            "initiatedBy": self.by.json(), "targetResources": self.targets, "additionalDetails": [],
        })
    }

    fn holds(&self, leaf: &Filter) -> bool {
        match leaf {
            Filter::StartsWith { path, text } => {
                path == "activitydisplayname" && self.activity.starts_with(text.as_str())
            }
            Filter::Any { value, .. } => {
                self.targets.iter().any(|target| target["id"] == value.to_lowercase())
            }
            Filter::Compare { path, comparison, value } => match path.as_str() {
                "activitydisplayname" => comparison.holds(&self.activity, &value.as_str()),
                "activitydatetime" => {
                    Timestamp::parse(value).is_some_and(|bound| comparison.holds(&self.at, &bound))
                }
                "loggedbyservice" => comparison.holds(&"Core Directory", &value.as_str()),
                "initiatedby/user/id" => self.by.json()["user"]["id"] == *value,
                "initiatedby/user/userprincipalname" => self.by.json()["user"]["userPrincipalName"] == *value,
                "initiatedby/app/appid" => self.by.json()["app"]["appId"] == *value,
                "initiatedby/app/displayname" => self.by.json()["app"]["displayName"] == *value,
                _ => false,
            },
            Filter::And(..) | Filter::Or(..) | Filter::Not(_) => false,
        }
    }
}

fn is_supported(leaf: &Filter) -> bool {
    match leaf {
        Filter::StartsWith { path, .. } => path == "activitydisplayname",
        Filter::Any { path, inner, .. } => path == "targetresources" && inner == "id",
        Filter::Compare { path, .. } => matches!(
            path.as_str(),
            "activitydisplayname"
                | "activitydatetime"
                | "loggedbyservice"
                | "initiatedby/user/id"
                | "initiatedby/user/userprincipalname"
                | "initiatedby/app/appid"
                | "initiatedby/app/displayname"
        ),
        Filter::And(..) | Filter::Or(..) | Filter::Not(_) => false,
    }
}

fn operation_type(activity: &str) -> &'static str {
    match activity.split(' ').next() {
        Some("Add") => "Add",
        Some("Delete" | "Hard" | "Remove") => "Delete",
        Some("Restore") => "Restore",
        Some(_) | None => "Update",
    }
}

#[derive(Debug, Default)]
pub(super) struct AuditLog {
    events: VecDeque<Event>,
    /// Number of events forgotten; the position of the first one kept.
    forgotten: usize,
}

impl AuditLog {
    pub fn prune(&mut self, now: Timestamp, retention: Span) {
        while self.events.front().is_some_and(|event| now - event.at > retention) {
            self.events.pop_front();
            self.forgotten += 1;
        }
    }
}

impl Tenant {
    /// Writes an event about a user; `changes` are `(property, old, new)`.
    pub(super) fn audit_user(
        &mut self,
        now: Timestamp,
        by: &Initiator,
        activity: &'static str,
        id: UserId,
        changes: &[(&str, &Value, &Value)],
    ) {
        let target = self.user_target(id, changes);
        self.write_event(now, by.clone(), activity, "UserManagement", true, vec![target]);
    }

    pub(super) fn audit_group_licensing(&mut self, now: Timestamp, id: UserId, has_failed: bool) {
        let target = self.user_target(id, &[]);
        let by = Initiator::service("Microsoft Entra ID Group-Based Licensing");
        self.write_event(now, by, "Change user license", "UserManagement", !has_failed, vec![target]);
    }

    pub(super) fn audit_membership(
        &mut self,
        now: Timestamp,
        by: &Initiator,
        activity: &'static str,
        group: GroupId,
        user: UserId,
    ) {
        let targets = vec![self.user_target(user, &[]), group_target(group)];
        self.write_event(now, by.clone(), activity, "GroupManagement", true, targets);
    }

    pub(super) fn audit_group(
        &mut self,
        now: Timestamp,
        by: &Initiator,
        activity: &'static str,
        group: GroupId,
    ) {
        self.write_event(now, by.clone(), activity, "GroupManagement", true, vec![group_target(group)]);
    }

    fn user_target(&self, id: UserId, changes: &[(&str, &Value, &Value)]) -> Value {
        let upn = self.directory.any(id).map(|user| user.user_principal_name.to_string());
        let modified: Vec<Value> = changes
            .iter()
            .map(|(name, old, new)| json!({"displayName": name, "oldValue": old.to_string(), "newValue": new.to_string()}))
            .collect();
        json!({
            "id": id.to_string(), "displayName": null, "type": "User", "userPrincipalName": upn,
            "groupType": null, "modifiedProperties": modified,
        })
    }

    fn write_event(
        &mut self,
        now: Timestamp,
        by: Initiator,
        activity: &'static str,
        category: &'static str,
        succeeded: bool,
        targets: Vec<Value>,
    ) {
        if self.is_moving_in {
            return;
        }
        let id = self.ids.uuid();
        self.audit.events.push_back(Event { id, at: now, activity, category, succeeded, by, targets });
    }

    /// Newest first. Filters: those that Graph's directoryaudit-list names.
    pub(super) fn list_audits(&self, now: Timestamp, call: &Call) -> Result<HttpResponse, GraphError> {
        let size = page_size(call, &self.switches)?;
        let filter = match call.option("filter") {
            Some(text) => {
                let filter =
                    Filter::parse(text).filter(|filter| filter.leaves().into_iter().all(is_supported));
                Some(filter.ok_or_else(|| GraphError::new(400, "BadRequest", "Invalid filter clause"))?)
            }
            None => None,
        };
        let before: Option<usize> = SkipToken::read(call)?.and_then(|token| token.after.parse().ok());
        let wanted = |event: &Event| {
            let matches = filter.as_ref().is_none_or(|filter| filter.holds(&|leaf| event.holds(leaf)));
            matches && event.at + LATENCY <= now
        };
        let log = &self.audit;
        let newest = (0..log.events.len()).rev().map(|index| (index + log.forgotten, &log.events[index]));
        let mut found: Vec<(usize, &Event)> = newest
            .filter(|(position, event)| before.is_none_or(|before| *position < before) && wanted(event))
            .take(size + 1)
            .collect();
        let has_more = found.len() > size;
        found.truncate(size);
        let next_link = found
            .last()
            .filter(|_| has_more)
            .map(|(position, _)| SkipToken::link(call, &position.to_string()));
        let page = Page {
            context: call.context("auditLogs/directoryAudits"),
            count: None,
            next_link,
            delta_link: None,
            value: found.iter().map(|(_, event)| event.json()).collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }
}

fn group_target(group: GroupId) -> Value {
    json!({
        "id": group.to_string(), "displayName": null, "type": "Group", "userPrincipalName": null,
        "groupType": "azureAD", "modifiedProperties": [],
    })
}
