//! Which operation a method and a path mean. No state, no rights.

use std::str::FromStr;

use super::call::Call;
use super::errors::GraphError;
use crate::graph::transport::Method;
use crate::model::{GroupId, UserId};

/// The operations of Graph v1.0 that the simulated tenant offers. A user key is an object id or a user principal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    ListUsers,
    CountUsers,
    UsersDelta,
    CreateUser,
    GetUser(String),
    UpdateUser(String),
    DeleteUser(String),
    AssignLicense(String),
    ReprocessLicenses(String),
    RestoreLiveUser(String),
    LicenseDetails(String),
    MailboxSettings(String),
    UserPurpose(String),
    ExchangeSettings(String),
    CheckMemberGroups(String),
    ListDeletedUsers,
    GetDeletedItem(String),
    RestoreDeletedItem(String),
    PurgeDeletedItem(String),
    ListSkus,
    GetSku(String),
    ListSubscriptions,
    GetSubscription(String),
    Organization,
    GetGroup(GroupId),
    GroupAssignLicense(GroupId),
    ListMembers { group: GroupId, is_transitive: bool, is_cast: bool },
    CountMembers { group: GroupId, is_transitive: bool },
    AddMember(GroupId),
    RemoveMember(GroupId, UserId),
    ListAudits,
    Batch,
}

impl Operation {
    pub fn parse(call: &Call) -> Result<Self, GraphError> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        match segments.split_first() {
            Some((&"users", rest)) => Self::parse_users(call.method, rest),
            Some((&"directory", ["deletedItems", rest @ ..])) => Self::parse_deleted(call.method, rest),
            Some((&"groups", [id, rest @ ..])) => Self::parse_group(call.method, id, rest),
            Some((&"directory", ["subscriptions"])) => get(call.method, Self::ListSubscriptions),
            Some((&"directory", ["subscriptions", id])) => {
                get(call.method, Self::GetSubscription((*id).to_owned()))
            }
            Some((&"subscribedSkus", [])) => get(call.method, Self::ListSkus),
            Some((&"subscribedSkus", [id])) => get(call.method, Self::GetSku((*id).to_owned())),
            Some((&"organization", [])) => get(call.method, Self::Organization),
            Some((&"auditLogs", ["directoryAudits"])) => get(call.method, Self::ListAudits),
            Some((&"$batch", [])) => post(call.method, Self::Batch),
            Some((first, _)) => Err(unknown_segment(first)),
            None => Err(unknown_segment("")),
        }
    }

    fn parse_users(method: Method, rest: &[&str]) -> Result<Self, GraphError> {
        let Some((&first, rest)) = rest.split_first() else {
            return match method {
                Method::Get => Ok(Self::ListUsers),
                Method::Post => Ok(Self::CreateUser),
                Method::Patch | Method::Delete => Err(wrong_method()),
            };
        };
        let key = || first.to_owned();
        match (first, rest) {
            ("$count", []) => get(method, Self::CountUsers),
            ("delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()", []) => {
                get(method, Self::UsersDelta)
            }
            (_, []) => match method {
                Method::Get => Ok(Self::GetUser(key())),
                Method::Patch => Ok(Self::UpdateUser(key())),
                Method::Delete => Ok(Self::DeleteUser(key())),
                Method::Post => Err(wrong_method()),
            },
            (_, ["assignLicense" | "microsoft.graph.assignLicense"]) => {
                post(method, Self::AssignLicense(key()))
            }
            (_, ["reprocessLicenseAssignment" | "microsoft.graph.reprocessLicenseAssignment"]) => {
                post(method, Self::ReprocessLicenses(key()))
            }
            (_, ["restore" | "microsoft.graph.restore"]) => post(method, Self::RestoreLiveUser(key())),
            (_, ["checkMemberGroups" | "microsoft.graph.checkMemberGroups"]) => {
                post(method, Self::CheckMemberGroups(key()))
            }
            (_, ["licenseDetails"]) => get(method, Self::LicenseDetails(key())),
            (_, ["mailboxSettings"]) => get(method, Self::MailboxSettings(key())),
            (_, ["mailboxSettings", "userPurpose"]) => get(method, Self::UserPurpose(key())),
            (_, ["settings", "exchange"]) => get(method, Self::ExchangeSettings(key())),
            (_, [.., last]) => Err(unknown_segment(last)),
        }
    }

    fn parse_deleted(method: Method, rest: &[&str]) -> Result<Self, GraphError> {
        match rest {
            ["microsoft.graph.user" | "graph.user"] => get(method, Self::ListDeletedUsers),
            [] => Err(GraphError::bad_request(
                "The cast to the type of the deleted items is required, for example microsoft.graph.user.",
            )),
            [id] => match method {
                Method::Get => Ok(Self::GetDeletedItem((*id).to_owned())),
                Method::Delete => Ok(Self::PurgeDeletedItem((*id).to_owned())),
                Method::Post | Method::Patch => Err(wrong_method()),
            },
            [id, "restore" | "microsoft.graph.restore"] => {
                post(method, Self::RestoreDeletedItem((*id).to_owned()))
            }
            [.., last] => Err(unknown_segment(last)),
        }
    }

    fn parse_group(method: Method, id: &str, rest: &[&str]) -> Result<Self, GraphError> {
        let group = GroupId::from_str(id).map_err(|_| GraphError::not_found(id))?;
        let is_transitive = rest.first() == Some(&"transitiveMembers");
        match rest {
            [] => get(method, Self::GetGroup(group)),
            ["assignLicense" | "microsoft.graph.assignLicense"] => {
                post(method, Self::GroupAssignLicense(group))
            }
            ["members" | "transitiveMembers"] => {
                get(method, Self::ListMembers { group, is_transitive, is_cast: false })
            }
            ["members" | "transitiveMembers", "microsoft.graph.user" | "graph.user"] => {
                get(method, Self::ListMembers { group, is_transitive, is_cast: true })
            }
            ["members" | "transitiveMembers", "$count"]
            | ["members" | "transitiveMembers", "microsoft.graph.user" | "graph.user", "$count"] => {
                get(method, Self::CountMembers { group, is_transitive })
            }
            ["members", "$ref"] => post(method, Self::AddMember(group)),
            ["members", user, "$ref"] if method == Method::Delete => {
                let user = UserId::from_str(user).map_err(|_| GraphError::not_found(user))?;
                Ok(Self::RemoveMember(group, user))
            }
            [.., last] => Err(unknown_segment(last)),
        }
    }

    /// A stable name for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ListUsers => "list users",
            Self::CountUsers => "count users",
            Self::UsersDelta => "users delta",
            Self::CreateUser => "create user",
            Self::GetUser(_) => "get user",
            Self::UpdateUser(_) => "update user",
            Self::DeleteUser(_) => "delete user",
            Self::AssignLicense(_) => "assign license",
            Self::ReprocessLicenses(_) => "reprocess licenses",
            Self::RestoreLiveUser(_) => "restore live user",
            Self::LicenseDetails(_) => "license details",
            Self::MailboxSettings(_) => "mailbox settings",
            Self::UserPurpose(_) => "user purpose",
            Self::ExchangeSettings(_) => "exchange settings",
            Self::CheckMemberGroups(_) => "check member groups",
            Self::ListDeletedUsers => "list deleted users",
            Self::GetDeletedItem(_) => "get deleted item",
            Self::RestoreDeletedItem(_) => "restore deleted item",
            Self::PurgeDeletedItem(_) => "purge deleted item",
            Self::ListSkus => "list skus",
            Self::GetSku(_) => "get sku",
            Self::ListSubscriptions => "list subscriptions",
            Self::GetSubscription(_) => "get subscription",
            Self::Organization => "organization",
            Self::GetGroup(_) => "get group",
            Self::GroupAssignLicense(_) => "group assign license",
            Self::ListMembers { .. } => "list members",
            Self::CountMembers { .. } => "count members",
            Self::AddMember(_) => "add member",
            Self::RemoveMember(..) => "remove member",
            Self::ListAudits => "list audits",
            Self::Batch => "batch",
        }
    }

    /// Whether it can change the tenant. A batch does not by itself: its items do.
    pub fn is_write(&self) -> bool {
        match self {
            Self::CreateUser
            | Self::UpdateUser(_)
            | Self::DeleteUser(_)
            | Self::AssignLicense(_)
            | Self::ReprocessLicenses(_)
            | Self::RestoreLiveUser(_)
            | Self::RestoreDeletedItem(_)
            | Self::PurgeDeletedItem(_)
            | Self::GroupAssignLicense(_)
            | Self::AddMember(_)
            | Self::RemoveMember(..) => true,
            Self::ListUsers
            | Self::CountUsers
            | Self::UsersDelta
            | Self::GetUser(_)
            | Self::LicenseDetails(_)
            | Self::MailboxSettings(_)
            | Self::UserPurpose(_)
            | Self::ExchangeSettings(_)
            | Self::CheckMemberGroups(_)
            | Self::ListDeletedUsers
            | Self::GetDeletedItem(_)
            | Self::ListSkus
            | Self::GetSku(_)
            | Self::ListSubscriptions
            | Self::GetSubscription(_)
            | Self::Organization
            | Self::GetGroup(_)
            | Self::ListMembers { .. }
            | Self::CountMembers { .. }
            | Self::ListAudits
            | Self::Batch => false,
        }
    }

    /// The user that a write names, as it names it.
    pub fn user_key(&self) -> Option<String> {
        if let Self::RemoveMember(_, user) = self {
            return Some(user.to_string());
        }
        let (Self::UpdateUser(key)
        | Self::DeleteUser(key)
        | Self::AssignLicense(key)
        | Self::ReprocessLicenses(key)
        | Self::RestoreLiveUser(key)
        | Self::RestoreDeletedItem(key)
        | Self::PurgeDeletedItem(key)) = self
        else {
            return None;
        };
        Some(key.clone())
    }

    /// The group that a write names.
    pub fn group(&self) -> Option<GroupId> {
        let (Self::GroupAssignLicense(group) | Self::AddMember(group) | Self::RemoveMember(group, _)) = self
        else {
            return None;
        };
        Some(*group)
    }
}

fn get(method: Method, operation: Operation) -> Result<Operation, GraphError> {
    if method == Method::Get { Ok(operation) } else { Err(wrong_method()) }
}

fn post(method: Method, operation: Operation) -> Result<Operation, GraphError> {
    if method == Method::Post { Ok(operation) } else { Err(wrong_method()) }
}

fn wrong_method() -> GraphError {
    GraphError::new(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
}

fn unknown_segment(segment: &str) -> GraphError {
    GraphError::new(400, "BadRequest", format!("Resource not found for the segment '{segment}'."))
}
