//! Which operation a method and a path mean. No state, no rights.

use std::str::FromStr;

use super::call::Call;
use super::casts::{Bin, Cast, Relation};
use super::errors::GraphError;
use super::lookups::{Lookup, referenced};
use super::mailbox_probes::setting;
use super::not_modelled;
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
    /// One of the mailbox settings, by its name.
    MailboxSetting(String, &'static str),
    ExchangeSettings(String),
    CheckMemberGroups(String),
    ListMemberOf {
        user: String,
        relation: Relation,
        cast: Cast,
    },
    CountMemberOf {
        user: String,
        relation: Relation,
        cast: Cast,
    },
    ListDeleted(Bin),
    CountDeleted(Bin),
    /// The cast says which type is expected.
    GetDeletedItem(String, Cast),
    RestoreDeletedItem(String),
    PurgeDeletedItem(String),
    ListSkus,
    GetSku(String),
    ListSubscriptions,
    GetSubscription(String),
    Organization,
    GetOrganization(String),
    ListGroups,
    CountGroups,
    GetGroup(GroupId),
    CreateGroup,
    UpdateGroup(GroupId),
    /// New members by a `PATCH` that writes nothing else: a smaller right suffices.
    BindMembers(GroupId),
    DeleteGroup(GroupId),
    GroupAssignLicense(GroupId),
    MembersWithLicenseErrors(GroupId),
    ListMembers {
        group: GroupId,
        relation: Relation,
        cast: Cast,
    },
    CountMembers {
        group: GroupId,
        relation: Relation,
        cast: Cast,
    },
    AddMember(GroupId),
    RemoveMember(GroupId, UserId),
    ListAudits,
    GetAudit(String),
    Batch,
    /// The root: which collections there are.
    Service,
    Lookup(Lookup),
}

impl Operation {
    pub fn parse(call: &Call) -> Result<Self, GraphError> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        match segments.split_first() {
            Some((&("users" | "groups"), ["getByIds" | "microsoft.graph.getByIds"])) => {
                post(call.method, Self::Lookup(Lookup::ObjectsByIds))
            }
            Some((&"users", rest)) => Self::parse_users(call.method, rest),
            Some((&"directory", ["deletedItems", rest @ ..])) => Self::parse_deleted(call.method, rest),
            Some((&"groups", [])) => match call.method {
                Method::Get => Ok(Self::ListGroups),
                Method::Post => Ok(Self::CreateGroup),
                Method::Patch | Method::Delete => Err(wrong_method()),
            },
            Some((
                &"groups",
                ["delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()"],
            )) => Err(not_supported()),
            Some((&"groups", ["$count"])) => get(call.method, Self::CountGroups),
            Some((&"groups", [id, rest @ ..])) => Self::parse_group(call, id, rest),
            Some((&"directory", ["subscriptions"])) => get(call.method, Self::ListSubscriptions),
            Some((&"directory", ["subscriptions", id])) => {
                get(call.method, Self::GetSubscription((*id).to_owned()))
            }
            Some((&"subscribedSkus", [])) => get(call.method, Self::ListSkus),
            Some((&"subscribedSkus", [id])) => get(call.method, Self::GetSku((*id).to_owned())),
            Some((&"organization", [])) => get(call.method, Self::Organization),
            Some((&"organization", [id])) => get(call.method, Self::GetOrganization((*id).to_owned())),
            Some((&"auditLogs", ["directoryAudits"])) => get(call.method, Self::ListAudits),
            Some((&"auditLogs", ["directoryAudits", id])) => {
                get(call.method, Self::GetAudit((*id).to_owned()))
            }
            Some((&"$batch", [])) => post(call.method, Self::Batch),
            Some((&"me", _)) => Err(GraphError::new(
                400,
                "BadRequest",
                "/me request is only valid with delegated authentication flow.",
            )),
            // Actions of users, and of whatever a key is cast to.
            Some((&"directoryObjects", [id, action])) if !action.starts_with('$') => match Cast::read(action)
            {
                Some(Cast::Group) => Self::parse_group(call, id, &[]),
                Some(_) | None => Self::parse_users(call.method, &[id, action]),
            },
            Some((&"directoryObjects", rest)) => match Lookup::of_objects(call.method, rest) {
                Some(lookup) => lookup.map(Self::Lookup),
                None => Err(unknown_segment(rest.last().unwrap_or(&"directoryObjects"))),
            },
            Some((root @ &("auditLogs" | "directory"), [first, ..])) => {
                Err(not_modelled::below(root, first).unwrap_or_else(|| unknown_segment(first)))
            }
            Some((first, _)) => {
                Err(not_modelled::at_the_root(first).unwrap_or_else(|| unknown_segment(first)))
            }
            None => get(call.method, Self::Service),
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
            (_, ["memberOf", casts @ ..]) => Self::parse_member_of(method, first, Relation::Direct, casts),
            (_, ["transitiveMemberOf", casts @ ..]) => {
                Self::parse_member_of(method, first, Relation::Transitive, casts)
            }
            // Nobody in this tenant has one.
            (_, ["manager"]) if method == Method::Get => Err(GraphError::not_found("manager")),
            (_, [cast]) if Cast::read(cast) == Some(Cast::User) => get(method, Self::GetUser(key())),
            (_, ["mailboxSettings"]) if method == Method::Patch => {
                Err(not_modelled::change("mailboxSettings"))
            }
            (_, ["licenseDetails"]) => get(method, Self::LicenseDetails(key())),
            (_, ["mailboxSettings"]) => get(method, Self::MailboxSettings(key())),
            (_, ["mailboxSettings", "userPurpose"]) => get(method, Self::UserPurpose(key())),
            (_, ["mailboxSettings", name]) => {
                let setting = setting(name).ok_or_else(|| unknown_segment(name))?;
                get(method, Self::MailboxSetting(key(), setting))
            }
            (_, ["settings", "exchange"]) => get(method, Self::ExchangeSettings(key())),
            (_, [.., last]) => match Lookup::of_user(method, first, rest) {
                Some(lookup) => lookup.map(Self::Lookup),
                None => Err(not_modelled::below_a_user(rest).unwrap_or_else(|| unknown_segment(last))),
            },
        }
    }

    fn parse_member_of(
        method: Method,
        user: &str,
        relation: Relation,
        casts: &[&str],
    ) -> Result<Self, GraphError> {
        let user = user.to_owned();
        match Cast::of_relation(casts) {
            Some((cast, true)) => get(method, Self::CountMemberOf { user, relation, cast }),
            Some((cast, false)) => get(method, Self::ListMemberOf { user, relation, cast }),
            None => Err(unknown_segment(casts.last().unwrap_or(&"memberOf"))),
        }
    }

    fn parse_deleted(method: Method, rest: &[&str]) -> Result<Self, GraphError> {
        let bin = rest.first().and_then(|first| Bin::read(first));
        match (rest, bin) {
            ([_], Some(bin)) => return get(method, Self::ListDeleted(bin)),
            ([_, "$count"], Some(bin)) => return get(method, Self::CountDeleted(bin)),
            // The cast may stand before the key, too.
            ([cast, id], Some(_)) if method == Method::Get => {
                let cast = Cast::read(cast).ok_or_else(|| unknown_segment(cast))?;
                return Ok(Self::GetDeletedItem((*id).to_owned(), cast));
            }
            ([_, rest @ ..], Some(_)) => return Self::parse_deleted_item(method, rest),
            _ => {}
        }
        Self::parse_deleted_item(method, rest)
    }

    fn parse_deleted_item(method: Method, rest: &[&str]) -> Result<Self, GraphError> {
        match rest {
            [] => Err(GraphError::bad_request(
                "The cast to the type of the deleted items is required, for example microsoft.graph.user.",
            )),
            [id] => match method {
                Method::Get => Ok(Self::GetDeletedItem((*id).to_owned(), Cast::None)),
                Method::Delete => Ok(Self::PurgeDeletedItem((*id).to_owned())),
                Method::Post | Method::Patch => Err(wrong_method()),
            },
            [id, "restore" | "microsoft.graph.restore"] => {
                post(method, Self::RestoreDeletedItem((*id).to_owned()))
            }
            [id, last] => match Cast::read(last) {
                Some(cast) => get(method, Self::GetDeletedItem((*id).to_owned(), cast)),
                None => Err(unknown_segment(last)),
            },
            [.., last] => Err(unknown_segment(last)),
        }
    }

    fn parse_group(call: &Call, id: &str, rest: &[&str]) -> Result<Self, GraphError> {
        let method = call.method;
        let group = GroupId::from_str(id).map_err(|_| GraphError::not_found(id))?;
        match rest {
            [] => match method {
                Method::Get => Ok(Self::GetGroup(group)),
                Method::Patch if binds_members(call) => Ok(Self::BindMembers(group)),
                Method::Patch => Ok(Self::UpdateGroup(group)),
                Method::Delete => Ok(Self::DeleteGroup(group)),
                Method::Post => Err(wrong_method()),
            },
            ["membersWithLicenseErrors"] => get(method, Self::MembersWithLicenseErrors(group)),
            ["assignLicense" | "microsoft.graph.assignLicense"] => {
                post(method, Self::GroupAssignLicense(group))
            }
            ["members", "$ref"] if method == Method::Get => Ok(Self::Lookup(Lookup::MemberReferences(group))),
            // Clients made from Microsoft's description name the member here.
            ["members", "$ref"] if method == Method::Delete => {
                let user = call.option("@id").map(referenced).unwrap_or_default();
                let user = UserId::from_str(user).map_err(|_| GraphError::not_found(user))?;
                Ok(Self::RemoveMember(group, user))
            }
            ["members", "$ref"] => post(method, Self::AddMember(group)),
            ["members", user, "$ref"] if method == Method::Delete => {
                let user = UserId::from_str(user).map_err(|_| GraphError::not_found(user))?;
                Ok(Self::RemoveMember(group, user))
            }
            ["members" | "transitiveMembers", casts @ ..] => {
                let relation = if rest[0] == "members" { Relation::Direct } else { Relation::Transitive };
                let (cast, is_count) = Cast::of_relation(casts)
                    .ok_or_else(|| unknown_segment(casts.last().unwrap_or(&"members")))?;
                if is_count {
                    return get(method, Self::CountMembers { group, relation, cast });
                }
                get(method, Self::ListMembers { group, relation, cast })
            }
            [.., last] => match Lookup::of_group(method, group, rest) {
                Some(lookup) => lookup.map(Self::Lookup),
                None => Err(not_modelled::below_a_group(rest).unwrap_or_else(|| unknown_segment(last))),
            },
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
            Self::MailboxSetting(..) => "mailbox setting",
            Self::ExchangeSettings(_) => "exchange settings",
            Self::CheckMemberGroups(_) => "check member groups",
            Self::ListMemberOf { .. } => "list memberships",
            Self::CountMemberOf { .. } => "count memberships",
            Self::ListDeleted(Bin::Users) => "list deleted users",
            Self::ListDeleted(_) => "list other deleted items",
            Self::CountDeleted(_) => "count deleted items",
            Self::GetDeletedItem(..) => "get deleted item",
            Self::RestoreDeletedItem(_) => "restore deleted item",
            Self::PurgeDeletedItem(_) => "purge deleted item",
            Self::ListSkus => "list skus",
            Self::GetSku(_) => "get sku",
            Self::ListSubscriptions => "list subscriptions",
            Self::GetSubscription(_) => "get subscription",
            Self::Organization => "organization",
            Self::GetOrganization(_) => "get organization",
            Self::ListGroups => "list groups",
            Self::CountGroups => "count groups",
            Self::GetGroup(_) => "get group",
            Self::CreateGroup => "create group",
            Self::UpdateGroup(_) => "update group",
            Self::BindMembers(_) => "bind members",
            Self::DeleteGroup(_) => "delete group",
            Self::MembersWithLicenseErrors(_) => "members with license errors",
            Self::GroupAssignLicense(_) => "group assign license",
            Self::ListMembers { .. } => "list members",
            Self::CountMembers { .. } => "count members",
            Self::AddMember(_) => "add member",
            Self::RemoveMember(..) => "remove member",
            Self::ListAudits => "list audits",
            Self::GetAudit(_) => "get audit",
            Self::Batch => "batch",
            Self::Service => "service document",
            Self::Lookup(_) => "look-up",
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
            | Self::CreateGroup
            | Self::UpdateGroup(_)
            | Self::BindMembers(_)
            | Self::DeleteGroup(_)
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
            | Self::MailboxSetting(..)
            | Self::ExchangeSettings(_)
            | Self::CheckMemberGroups(_)
            | Self::ListMemberOf { .. }
            | Self::CountMemberOf { .. }
            | Self::ListDeleted(_)
            | Self::CountDeleted(_)
            | Self::GetDeletedItem(..)
            | Self::ListSkus
            | Self::GetSku(_)
            | Self::ListSubscriptions
            | Self::GetSubscription(_)
            | Self::Organization
            | Self::GetOrganization(_)
            | Self::ListGroups
            | Self::CountGroups
            | Self::GetGroup(_)
            | Self::MembersWithLicenseErrors(_)
            | Self::ListMembers { .. }
            | Self::CountMembers { .. }
            | Self::ListAudits
            | Self::GetAudit(_)
            | Self::Batch
            | Self::Service => false,
            Self::Lookup(lookup) => lookup.is_write(),
        }
    }

    /// The user that a write names, as it names it.
    pub fn user_key(&self) -> Option<String> {
        if let Self::RemoveMember(_, user) = self {
            return Some(user.to_string());
        }
        if let Self::Lookup(Lookup::RevokeSessions(key) | Lookup::RetryProvisioning(key)) = self {
            return Some(key.clone());
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
        let (Self::UpdateGroup(group)
        | Self::BindMembers(group)
        | Self::DeleteGroup(group)
        | Self::GroupAssignLicense(group)
        | Self::AddMember(group)
        | Self::RemoveMember(group, _)) = self
        else {
            return None;
        };
        Some(*group)
    }
}

pub(super) fn get<T>(method: Method, operation: T) -> Result<T, GraphError> {
    if method == Method::Get { Ok(operation) } else { Err(wrong_method()) }
}

pub(super) fn post<T>(method: Method, operation: T) -> Result<T, GraphError> {
    if method == Method::Post { Ok(operation) } else { Err(wrong_method()) }
}

pub(super) fn wrong_method() -> GraphError {
    GraphError::new(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
}

/// Whether a body adds members to a group and does nothing else.
fn binds_members(call: &Call) -> bool {
    let body = call.body_value();
    body.as_object().is_some_and(|body| body.len() == 1 && body.contains_key("members@odata.bind"))
}

/// A target of Graph's that there is not here.
fn not_supported() -> GraphError {
    GraphError::new(501, "NotImplemented", "This operation target is not yet supported.")
}

fn unknown_segment(segment: &str) -> GraphError {
    GraphError::new(400, "BadRequest", format!("Resource not found for the segment '{segment}'."))
}
