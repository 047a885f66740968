//! The audit log and `/auditLogs/directoryAudits`. Events appear some minutes late and are forgotten after the tenant's
//! retention, as in Entra. Shape: Graph directoryAudit.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::call::Call;
use super::errors::GraphError;
use super::narrow::{Type, Wanted};
use super::odata::query::{Entity, Place, Query, Value};
use super::odata::schema::Operator::{Equal, GreaterOrEqual, LessOrEqual, StartsWith};
use super::odata::schema::{Field, Kind, Operator, Schema};
use super::odata::{Entity as Single, Page, SkipToken, json_answer, page_size};
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

    fn json(&self) -> Json {
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
    targets: Vec<Json>,
}

const SERVICE: &str = "Core Directory";

impl Event {
    fn name(&self) -> String {
        format!("Directory_{}", self.id)
    }

    fn result(&self) -> &'static str {
        if self.succeeded { "success" } else { "failure" }
    }

    fn json(&self) -> Json {
        json!({
            "id": self.name(),
            "category": self.category, "correlationId": self.id.to_string(),
            "result": self.result(),
            "resultReason": if self.succeeded { "" } else { "CountViolation" },
            "activityDisplayName": self.activity,
            "activityDateTime": self.at.to_datetime().format("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string(),
            "loggedByService": SERVICE, "operationType": operation_type(self.activity),
            "initiatedBy": self.by.json(), "targetResources": self.targets, "additionalDetails": [],
        })
    }
}

/// The filters that Graph's directoryaudit-list names.
static AUDITS: Schema = Schema {
    name: "DirectoryAudit",
    fields: &[
        field("id", Kind::Text, &[Equal]),
        field("activitydisplayname", Kind::Text, &[Equal, StartsWith]),
        field("activitydatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual]),
        field("loggedbyservice", Kind::Text, &[Equal]),
        field("category", Kind::Text, &[Equal]),
        field("correlationid", Kind::Text, &[Equal]),
        field("result", Kind::Text, &[Equal]),
        field("initiatedby/user/id", Kind::Text, &[Equal]),
        field("initiatedby/user/displayname", Kind::Text, &[Equal]),
        field("initiatedby/user/userprincipalname", Kind::Text, &[Equal, StartsWith]),
        field("initiatedby/app/appid", Kind::Text, &[Equal]),
        field("initiatedby/app/displayname", Kind::Text, &[Equal]),
        field("targetresources", Kind::Objects(&["id", "displayname"]), &[Equal, StartsWith]),
    ],
    orders: &["activitydatetime"],
    advanced_orders: &[],
    searched: &[],
    is_directory: false,
};

const fn field(name: &'static str, kind: Kind, by_default: &'static [Operator]) -> Field {
    Field::new(name, kind, by_default, &[])
}

impl Entity for Event {
    fn value(&self, name: &str) -> Value<'_> {
        let by = |side: &str, member: &str| match &self.by.json()[side][member] {
            Json::String(text) => Value::Text(text.clone().into()),
            _ => Value::Null,
        };
        match name {
            "id" => Value::Text(self.name().into()),
            "activitydisplayname" => Value::text(self.activity),
            "activitydatetime" => Value::Time(self.at),
            "loggedbyservice" => Value::text(SERVICE),
            "category" => Value::text(self.category),
            "correlationid" => Value::Text(self.id.to_string().into()),
            "result" => Value::text(self.result()),
            "initiatedby/user/id" => by("user", "id"),
            "initiatedby/user/displayname" => by("user", "displayName"),
            "initiatedby/user/userprincipalname" => by("user", "userPrincipalName"),
            "initiatedby/app/appid" => by("app", "appId"),
            "initiatedby/app/displayname" => by("app", "displayName"),
            "targetresources" => Value::Objects(self.targets.iter().map(target_members).collect()),
            _ => Value::Null,
        }
    }
}

fn target_members(target: &Json) -> Vec<(&'static str, String)> {
    let member = |name, key: &str| target[key].as_str().map(|text| (name, text.to_owned()));
    [member("id", "id"), member("displayname", "displayName")].into_iter().flatten().collect()
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
        changes: &[(&str, &Json, &Json)],
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

    fn user_target(&self, id: UserId, changes: &[(&str, &Json, &Json)]) -> Json {
        let upn = self.directory.any(id).map(|user| user.user_principal_name.to_string());
        let modified: Vec<Json> = changes
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
        targets: Vec<Json>,
    ) {
        if self.is_moving_in {
            return;
        }
        let id = self.ids.uuid();
        self.audit.events.push_back(Event { id, at: now, activity, category, succeeded, by, targets });
    }

    /// Newest first, or oldest first where that is asked for.
    pub(super) fn list_audits(&self, now: Timestamp, call: &Call) -> Result<HttpResponse, GraphError> {
        let size = page_size(call, &self.switches)?;
        let wanted = Wanted::read(call, &AUDIT)?;
        let query = Query::read(call, &AUDITS, Place::Set)?;
        let token = SkipToken::read(call)?;
        let is_first = token.is_none();
        let seen: Option<usize> = token.and_then(|token| token.after.parse().ok());
        let log = &self.audit;
        let is_shown = |event: &Event| query.wants(event) && event.at + LATENCY <= now;
        let all = || (0..log.events.len()).map(|index| (index + log.forgotten, &log.events[index]));
        let is_oldest_first = call.has_option("orderby") && !query.is_descending();
        let is_ahead = |position: usize| {
            seen.is_none_or(|seen| if is_oldest_first { position > seen } else { position < seen })
        };
        let ahead = all().filter(|(position, event)| is_ahead(*position) && is_shown(event));
        let mut found: Vec<(usize, &Event)> = ahead.collect();
        if !is_oldest_first {
            found.reverse();
        }
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| has_more);
        let page = Page {
            context: call.context(&wanted.context("auditLogs/directoryAudits")),
            count: (is_first && call.wants_count())
                .then(|| all().filter(|(_, event)| is_shown(event)).count()),
            next_link: last.map(|(position, _)| SkipToken::link(call, &position.to_string())),
            delta_link: None,
            value: found.iter().map(|(_, event)| wanted.of(event.json())).collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }
}

impl Tenant {
    pub(super) fn get_audit(
        &self,
        now: Timestamp,
        call: &Call,
        id: &str,
    ) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &AUDIT)?;
        let is_meant = |event: &&Event| event.name() == id && event.at + LATENCY <= now;
        let event = self.audit.events.iter().find(is_meant).ok_or_else(|| GraphError::not_found(id))?;
        let context = call.context(&format!("{}/$entity", wanted.context("auditLogs/directoryAudits")));
        Ok(json_answer(200, &Single { context, entity: wanted.of(event.json()) }))
    }
}

/// Graph: directoryAudit.
pub(super) static AUDIT: Type = Type {
    name: "directoryAudit",
    default: &[
        "id",
        "category",
        "correlationId",
        "result",
        "resultReason",
        "activityDisplayName",
        "activityDateTime",
        "loggedByService",
        "operationType",
        "initiatedBy",
        "targetResources",
        "additionalDetails",
    ],
    selectable: &[],
    empty: &[],
};

fn group_target(group: GroupId) -> Json {
    json!({
        "id": group.to_string(), "displayName": null, "type": "Group", "userPrincipalName": null,
        "groupType": "azureAD", "modifiedProperties": [],
    })
}
