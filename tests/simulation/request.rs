//! Requests and answers, taken apart: what a request asks for, whom it is about, and what an answer tells the client.
//! Reads the bytes itself, so that a mistake in the product's request builder is not believed.

use std::collections::BTreeSet;

use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Method, TransportError};
use mailkeeper::model::{GroupId, PlanId, SkuId, UserId};
use serde_json::Value;

/// What a write asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Assign {
        add: Vec<(SkuId, BTreeSet<PlanId>)>,
        removes: usize,
    },
    AddMember(GroupId),
    /// Group licensing is to try again.
    Reprocess,
    Location,
    Restore {
        new_name: Option<String>,
        drops_addresses: bool,
    },
    /// Anything that the product must never send.
    Other,
}

impl Kind {
    /// The name of the same action in the journal.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Assign { .. } => "assign_license",
            Self::AddMember(_) => "add_to_group",
            Self::Reprocess => "reprocess_licenses",
            Self::Location => "set_usage_location",
            Self::Restore { .. } => "restore",
            Self::Other => "other",
        }
    }
}

/// What the client saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Accepted,
    /// A clear no.
    Refused(u16),
    /// Nobody can tell from it whether the request was applied.
    Unclear,
    /// The process died first.
    Nothing,
}

pub fn path_of(url: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    path.split("/v1.0").last().unwrap_or_default().to_owned()
}

pub fn last_id(path: &str) -> Option<UserId> {
    path.rsplit('/').next()?.parse().ok()
}

/// The name of a listing that planning depends on.
pub fn listing(path: &str) -> Option<String> {
    match path {
        "/users" => Some("users".to_owned()),
        "/users/delta" => Some("changes".to_owned()),
        "/directory/deletedItems/microsoft.graph.user" => Some("deleted".to_owned()),
        "/subscribedSkus" => Some("products".to_owned()),
        // Not the group's own record, which Graph itself goes by when it takes a member or not.
        other if other.starts_with("/groups/") && other.contains("/transitiveMembers") => {
            Some(other.to_owned())
        }
        _ => None,
    }
}

/// What a state-changing request asks for; `None` for a read or a sign-in.
pub fn kind_of(request: &HttpRequest) -> Option<Kind> {
    if request.method == Method::Get || !request.url.contains("/v1.0/") {
        return None;
    }
    let path = path_of(&request.url);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let asks_for_groups = |path: &str| path.starts_with("/users/") && path.ends_with("/checkMemberGroups");
    if request.method == Method::Post && asks_for_groups(&path) {
        return None;
    }
    if path == "/$batch" {
        let items = body["requests"].as_array().cloned().unwrap_or_default();
        let reads_only = items.iter().all(|item| {
            let is_question = item["url"].as_str().is_some_and(asks_for_groups);
            item["method"].as_str() == Some("GET") || is_question
        });
        return (!reads_only).then_some(Kind::Other);
    }
    Some(match request.method {
        Method::Post if path.ends_with("/assignLicense") && path.starts_with("/users/") => assignment(&body),
        Method::Post if path.ends_with("/restore") && path.starts_with("/directory/deletedItems/") => {
            restoration(&body)
        }
        Method::Post if path.ends_with("/members/$ref") => {
            path.split('/').nth(2).and_then(|id| id.parse().ok()).map_or(Kind::Other, Kind::AddMember)
        }
        Method::Post if path.starts_with("/users/") && path.ends_with("/reprocessLicenseAssignment") => {
            Kind::Reprocess
        }
        Method::Patch if body.as_object().is_some_and(|body| body.keys().eq(["usageLocation"])) => {
            Kind::Location
        }
        Method::Get | Method::Post | Method::Patch | Method::Delete => Kind::Other,
    })
}

fn restoration(body: &Value) -> Kind {
    let fields = body.as_object().cloned().unwrap_or_default();
    let mut drops_addresses = false;
    let mut new_name = None;
    for (field, value) in &fields {
        match (field.as_str(), value) {
            ("autoReconcileProxyConflict", Value::Bool(true)) => drops_addresses = true,
            ("newUserPrincipalName", Value::String(name)) => new_name = Some(name.clone()),
            _ => return Kind::Other,
        }
    }
    Kind::Restore { new_name, drops_addresses }
}

fn assignment(body: &Value) -> Kind {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let added = list(&body["addLicenses"]);
    let add = added.iter().filter_map(|entry| {
        let off = list(&entry["disabledPlans"]);
        let off = off.iter().filter_map(|plan| plan.as_str()?.parse().ok()).collect();
        Some((entry["skuId"].as_str()?.parse().ok()?, off))
    });
    Kind::Assign { add: add.collect(), removes: list(&body["removeLicenses"]).len() }
}

/// The user that a write is about.
pub fn user_of(request: &HttpRequest) -> Option<UserId> {
    let path = path_of(&request.url);
    if path.ends_with("/members/$ref") {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        return last_id(body["@odata.id"].as_str()?);
    }
    path.split('/').find_map(|part| part.parse().ok())
}

pub fn seen(outcome: &Result<HttpResponse, TransportError>) -> Seen {
    match outcome {
        Ok(response) if (200..300).contains(&response.status) => {
            let is_whole =
                response.body.is_empty() || serde_json::from_slice::<Value>(&response.body).is_ok();
            if is_whole { Seen::Accepted } else { Seen::Unclear }
        }
        Ok(response) if (400..500).contains(&response.status) && response.status != 408 => {
            Seen::Refused(response.status)
        }
        Err(TransportError::Connect(_)) => Seen::Refused(0),
        Ok(_) | Err(_) => Seen::Unclear,
    }
}
