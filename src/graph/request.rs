//! Every request that mailkeeper can make of Graph, as values. No I/O, no tokens, no hosts.
//!
//! Invariant of absence: nothing here creates, deletes, purges, unlicenses or disables anyone. `removeLicenses` is
//! always empty, `PATCH` carries a usage location only, and no request uses `DELETE`.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::json;

use crate::model::{GroupId, PlanId, SkuId, Timestamp, UserId};

use super::transport::Method;

/// What a request is for: the `endpoint` label of the request metrics. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Token,
    Organization,
    Users,
    UsersCount,
    UsersDelta,
    DeletedUsers,
    User,
    DeletedUser,
    SubscribedSkus,
    Subscriptions,
    DirectoryAudits,
    Group,
    GroupMembers,
    MailboxKind,
    MailboxIdentity,
    CheckMemberGroups,
    Batch,
    AssignLicense,
    RestoreUser,
    AddGroupMember,
    SetUsageLocation,
    ReprocessLicenses,
}

impl Endpoint {
    pub const ALL: [Self; 22] = [
        Self::Token,
        Self::Organization,
        Self::Users,
        Self::UsersCount,
        Self::UsersDelta,
        Self::DeletedUsers,
        Self::User,
        Self::DeletedUser,
        Self::SubscribedSkus,
        Self::Subscriptions,
        Self::DirectoryAudits,
        Self::Group,
        Self::GroupMembers,
        Self::MailboxKind,
        Self::MailboxIdentity,
        Self::CheckMemberGroups,
        Self::Batch,
        Self::AssignLicense,
        Self::RestoreUser,
        Self::AddGroupMember,
        Self::SetUsageLocation,
        Self::ReprocessLicenses,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Organization => "organization",
            Self::Users => "users",
            Self::UsersCount => "users_count",
            Self::UsersDelta => "users_delta",
            Self::DeletedUsers => "deleted_users",
            Self::User => "user",
            Self::DeletedUser => "deleted_user",
            Self::SubscribedSkus => "subscribed_skus",
            Self::Subscriptions => "subscriptions",
            Self::DirectoryAudits => "directory_audits",
            Self::Group => "group",
            Self::GroupMembers => "group_members",
            Self::MailboxKind => "mailbox_kind",
            Self::MailboxIdentity => "mailbox_identity",
            Self::CheckMemberGroups => "check_member_groups",
            Self::Batch => "batch",
            Self::AssignLicense => "assign_license",
            Self::RestoreUser => "restore_user",
            Self::AddGroupMember => "add_group_member",
            Self::SetUsageLocation => "set_usage_location",
            Self::ReprocessLicenses => "reprocess_licenses",
        }
    }

    /// Resource units that one request costs the tenant's budget. Source: Graph throttling limits, identity and
    /// access; `$select` already taken off, unlisted endpoints count 1.
    pub(super) fn resource_units(self) -> u32 {
        match self {
            Self::SubscribedSkus => 3,
            Self::GroupMembers => 4,
            // Sign-in has a budget of its own; the parts of a batch are counted one by one.
            Self::Token | Self::Batch => 0,
            Self::Organization
            | Self::Users
            | Self::UsersCount
            | Self::UsersDelta
            | Self::DeletedUsers
            | Self::User
            | Self::DeletedUser
            | Self::Subscriptions
            | Self::DirectoryAudits
            | Self::Group
            | Self::MailboxKind
            | Self::MailboxIdentity
            | Self::CheckMemberGroups
            | Self::AssignLicense
            | Self::RestoreUser
            | Self::AddGroupMember
            | Self::SetUsageLocation
            | Self::ReprocessLicenses => 1,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// How Graph shall rank a request when it runs short (header `x-ms-throttle-priority`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    Low,
    Normal,
    High,
}

impl Priority {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Normal => "Normal",
            Self::High => "High",
        }
    }
}

/// One request of ours. `path` is below the version and may carry a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) path: String,
    /// Adds `ConsistencyLevel: eventual`, which advanced queries need on every page.
    pub(super) is_eventual: bool,
    pub(super) priority: Priority,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
    pub(super) resource_units: u32,
}

impl Request {
    fn get(endpoint: Endpoint, path: impl Into<String>) -> Self {
        Self {
            endpoint,
            method: Method::Get,
            path: path.into(),
            is_eventual: false,
            priority: Priority::Normal,
            body: None,
            resource_units: endpoint.resource_units(),
        }
    }

    /// True for what can change the tenant, and costs a write of the budget. Two reads are made by POST.
    pub(super) fn is_write(&self) -> bool {
        self.method != Method::Get && !matches!(self.endpoint, Endpoint::Batch | Endpoint::CheckMemberGroups)
    }

    /// The media type of the answer: a count comes as plain text.
    pub(super) fn accept(&self) -> &'static str {
        if self.endpoint == Endpoint::UsersCount { "text/plain" } else { "application/json" }
    }

    fn write(endpoint: Endpoint, method: Method, path: String, body: Option<serde_json::Value>) -> Self {
        let body = body.map(|body| body.to_string().into_bytes());
        Self { method, priority: Priority::High, body, ..Self::get(endpoint, path) }
    }
}

/// Every property that [`crate::model::User`] holds.
const USER_SELECT: &str = "id,userPrincipalName,displayName,mail,proxyAddresses,accountEnabled,userType,department,\
companyName,country,jobTitle,employeeType,usageLocation,onPremisesSyncEnabled,onPremisesImmutableId,createdDateTime,\
assignedLicenses,assignedPlans,licenseAssignmentStates,serviceProvisioningErrors";

/// The largest page that Graph gives of users, deleted users and members.
const PAGE_SIZE: u32 = 999;

/// Part of the users, so that a large tenant can be listed in parallel: those whose principal name starts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserShard(char);

impl UserShard {
    /// `None` for anything but a letter or digit of ASCII, `-`, `_`, `.`, `!`, `#`, `^`, `~` or `'`: the characters
    /// that a user principal name may start with (Graph: user resource type).
    pub fn starting_with(first: char) -> Option<Self> {
        let is_allowed = first.is_ascii_alphanumeric() || "-_.!#^~'".contains(first);
        is_allowed.then(|| Self(first.to_ascii_lowercase()))
    }

    /// The 37 shards that hold nearly every user. What starts with anything else is missed: compare with the count.
    pub fn usual() -> Vec<Self> {
        ('a'..='z').chain('0'..='9').chain(['-']).map(Self).collect()
    }

    /// False for a name that a server which obeys the filter puts into another of the usual shards.
    pub fn may_hold(self, user_principal_name: &str) -> bool {
        let first = user_principal_name.chars().next().map(|first| first.to_ascii_lowercase());
        first.is_none_or(|first| first == self.0 || !(first.is_ascii_alphanumeric() || first == '-'))
    }

    fn filter(self) -> String {
        let quoted = if self.0 == '\'' { "''".to_owned() } else { self.0.to_string() };
        encode(&format!("startswith(userPrincipalName,'{quoted}')"))
    }
}

pub(super) fn organization() -> Request {
    Request::get(Endpoint::Organization, "/organization?$select=id,displayName,verifiedDomains")
}

pub(super) fn users(shard: Option<UserShard>) -> Request {
    let filter = shard.map(|shard| format!("&$filter={}", shard.filter())).unwrap_or_default();
    Request::get(Endpoint::Users, format!("/users?$select={USER_SELECT}&$top={PAGE_SIZE}{filter}"))
}

pub(super) fn users_count() -> Request {
    Request { is_eventual: true, ..Request::get(Endpoint::UsersCount, "/users/$count") }
}

/// Without `deletedDateTime` in the selection a restored user is not reported (microsoft-graph-docs issues 5821,
/// 5866).
pub(super) fn users_delta(from_now: bool) -> Request {
    let start = if from_now { "$deltatoken=latest&" } else { "" };
    Request::get(Endpoint::UsersDelta, format!("/users/delta?{start}$select={USER_SELECT},deletedDateTime"))
}

/// The cast is mandatory, and `deletedDateTime` comes only when selected. Source: Graph directory-deleteditems-list.
pub(super) fn deleted_users() -> Request {
    let path = format!(
        "/directory/deletedItems/microsoft.graph.user?$select={USER_SELECT},deletedDateTime&$top={PAGE_SIZE}"
    );
    Request::get(Endpoint::DeletedUsers, path)
}

pub(super) fn user(id: UserId) -> Request {
    Request::get(Endpoint::User, format!("/users/{id}?$select={USER_SELECT}"))
}

pub(super) fn deleted_user(id: UserId) -> Request {
    let path = format!("/directory/deletedItems/{id}?$select={USER_SELECT},deletedDateTime");
    Request::get(Endpoint::DeletedUser, path)
}

pub(super) fn subscribed_skus() -> Request {
    let path = "/subscribedSkus?$select=skuId,skuPartNumber,appliesTo,capabilityStatus,consumedUnits,prepaidUnits,servicePlans";
    Request::get(Endpoint::SubscribedSkus, path)
}

pub(super) fn subscriptions() -> Request {
    Request::get(Endpoint::Subscriptions, "/directory/subscriptions")
}

/// Entries of the audit log in one answer: what happens to one user in a month is less.
const AUDITS: u32 = 100;

/// The newest entries about one user (Graph: directoryaudit-list).
pub(super) fn directory_audits(user: UserId, within: Option<(Timestamp, Timestamp)>) -> Request {
    let mut filter = format!("targetResources/any(t:t/id eq '{user}')");
    if let Some((from, until)) = within {
        filter.push_str(&format!(" and activityDateTime ge {from} and activityDateTime le {until}"));
    }
    let path = format!("/auditLogs/directoryAudits?$filter={}&$top={AUDITS}", encode(&filter));
    Request { priority: Priority::Low, ..Request::get(Endpoint::DirectoryAudits, path) }
}

pub(super) fn group(id: GroupId) -> Request {
    let path =
        format!("/groups/{id}?$select=id,displayName,assignedLicenses,onPremisesSyncEnabled,groupTypes");
    Request::get(Endpoint::Group, path)
}

pub(super) fn group_members(id: GroupId) -> Request {
    let path = format!("/groups/{id}/transitiveMembers/microsoft.graph.user?$select=id&$top={PAGE_SIZE}");
    Request::get(Endpoint::GroupMembers, path)
}

/// The users in the group itself, not in groups inside it: whom a licence of the group reaches (Entra: group-based
/// licensing has no nested groups).
pub(super) fn group_direct_members(id: GroupId) -> Request {
    let path = format!("/groups/{id}/members/microsoft.graph.user?$select=id&$top={PAGE_SIZE}");
    Request::get(Endpoint::GroupMembers, path)
}

pub(super) fn mailbox_kind(id: UserId) -> Request {
    let path = format!("/users/{id}/mailboxSettings/userPurpose");
    Request { priority: Priority::Low, ..Request::get(Endpoint::MailboxKind, path) }
}

pub(super) fn mailbox_identity(id: UserId) -> Request {
    let path = format!("/users/{id}/settings/exchange");
    Request { priority: Priority::Low, ..Request::get(Endpoint::MailboxIdentity, path) }
}

/// Most groups that one question about memberships may name (Graph: directoryobject-checkmembergroups).
pub(super) const GROUPS_PER_CHECK: usize = 20;

/// Which of at most [`GROUPS_PER_CHECK`] groups hold the user, directly or through other groups. A read, though a
/// POST.
pub(super) fn check_member_groups(user: UserId, groups: &[GroupId]) -> Request {
    let ids: Vec<String> = groups.iter().map(GroupId::to_string).collect();
    let body = json!({ "groupIds": ids }).to_string().into_bytes();
    let shell = Request::get(Endpoint::CheckMemberGroups, format!("/users/{user}/checkMemberGroups"));
    Request { method: Method::Post, body: Some(body), ..shell }
}

/// Several reads in one request. Only reads: a batch of writes cannot say which of them was applied when its answer
/// is lost.
pub(super) fn batch(parts: &[(String, Request)]) -> Request {
    let requests: Vec<_> = parts.iter().map(|(id, part)| batch_part(id, part)).collect();
    let body = json!({ "requests": requests }).to_string().into_bytes();
    let resource_units = parts.iter().map(|(_, part)| part.resource_units).sum();
    let priority = parts.iter().map(|(_, part)| part.priority).max().unwrap_or(Priority::Low);
    let shell = Request::get(Endpoint::Batch, "/$batch");
    Request { method: Method::Post, priority, body: Some(body), resource_units, ..shell }
}

/// Graph: json-batching; a part with a body must name its type.
fn batch_part(id: &str, part: &Request) -> serde_json::Value {
    let mut object = json!({ "id": id, "method": part.method.as_str(), "url": part.path });
    let body = part.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
    if let Some(body) = body {
        object["headers"] = json!({ "Content-Type": "application/json" });
        object["body"] = body;
    }
    object
}

/// Adds one product. A product that the user already has directly gets exactly these disabled plans.
pub(super) fn assign_license(user: UserId, sku: SkuId, disabled_plans: &BTreeSet<PlanId>) -> Request {
    let disabled: Vec<String> = disabled_plans.iter().map(PlanId::to_string).collect();
    let body = json!({
        "addLicenses": [{ "skuId": sku.to_string(), "disabledPlans": disabled }],
        "removeLicenses": [],
    });
    let path = format!("/users/{user}/assignLicense");
    Request::write(Endpoint::AssignLicense, Method::Post, path, Some(body))
}

/// What a restore may do beyond bringing the user back. Both are off unless the policy asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Removes addresses from the restored user that others hold by now.
    pub auto_reconcile_proxy_conflict: bool,
    pub new_user_principal_name: Option<String>,
}

pub(super) fn restore(user: UserId, options: &RestoreOptions) -> Request {
    let mut body = serde_json::Map::new();
    if options.auto_reconcile_proxy_conflict {
        body.insert("autoReconcileProxyConflict".to_owned(), json!(true));
    }
    if let Some(upn) = &options.new_user_principal_name {
        body.insert("newUserPrincipalName".to_owned(), json!(upn));
    }
    let body = (!body.is_empty()).then_some(serde_json::Value::Object(body));
    let path = format!("/directory/deletedItems/{user}/restore");
    Request::write(Endpoint::RestoreUser, Method::Post, path, body)
}

/// `graph_root` is needed inside the body: a reference is an absolute URL.
pub(super) fn add_group_member(graph_root: &str, group: GroupId, user: UserId) -> Request {
    let body = json!({ "@odata.id": format!("{graph_root}/directoryObjects/{user}") });
    let path = format!("/groups/{group}/members/$ref");
    Request::write(Endpoint::AddGroupMember, Method::Post, path, Some(body))
}

/// `location`: two letters, ISO 3166.
pub(super) fn set_usage_location(user: UserId, location: &str) -> Request {
    let body = json!({ "usageLocation": location });
    Request::write(Endpoint::SetUsageLocation, Method::Patch, format!("/users/{user}"), Some(body))
}

pub(super) fn reprocess_licenses(user: UserId) -> Request {
    let path = format!("/users/{user}/reprocessLicenseAssignment");
    Request::write(Endpoint::ReprocessLicenses, Method::Post, path, None)
}

/// Percent-encodes everything but unreserved characters and the marks that OData filters use literally.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~(),'".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const USER: UserId = UserId::from_u128(7);
    const GROUP: GroupId = GroupId::from_u128(8);
    const SKU: SkuId = SkuId::from_u128(9);

    fn body(request: &Request) -> Value {
        serde_json::from_slice(request.body.as_deref().expect("a body")).expect("JSON")
    }

    #[test]
    fn listings_select_what_the_model_holds_in_the_largest_pages() {
        let users = users(None);
        assert!(users.path.starts_with("/users?$select=id,userPrincipalName,displayName,mail,"));
        assert!(
            users.path.ends_with("assignedPlans,licenseAssignmentStates,serviceProvisioningErrors&$top=999")
        );
        assert!(!users.path.contains(' '));
        let deleted = deleted_users().path;
        assert!(deleted.starts_with("/directory/deletedItems/microsoft.graph.user?"));
        assert!(deleted.contains(",deletedDateTime&$top=999"));
        assert!(users_delta(true).path.starts_with("/users/delta?$deltatoken=latest&$select="));
        assert!(users_delta(false).path.ends_with(",deletedDateTime"));
        assert!(users_count().is_eventual && !users.is_eventual);
    }

    #[test]
    fn a_shard_filters_by_first_character_and_quotes_it() {
        let shard = |first| UserShard::starting_with(first).map(|shard| users(Some(shard)).path);
        assert!(shard('A').is_some_and(|path| path.ends_with("&$filter=startswith(userPrincipalName,'a')")));
        assert!(
            shard('\'').is_some_and(|path| path.ends_with("&$filter=startswith(userPrincipalName,'''')"))
        );
        assert!(shard('#').is_some_and(|path| path.ends_with("'%23')")));
        assert_eq!(shard('&'), None);
        assert_eq!(UserShard::usual().len(), 37);
        let a = UserShard::starting_with('a').expect("a letter");
        let held = [
            "anna@contoso.com",
            "Anna@contoso.com",
            "\u{e5}se@contoso.com",
            "_svc@contoso.com",
            "bo@contoso.com",
        ];
        assert_eq!(held.map(|name| a.may_hold(name)), [true, true, true, true, false]);
    }

    #[test]
    fn an_assignment_adds_one_product_and_removes_none() {
        let disabled = BTreeSet::from([PlanId::from_u128(1)]);
        let request = assign_license(USER, SKU, &disabled);
        assert_eq!(request.path, format!("/users/{USER}/assignLicense"));
        let expected = json!({
            "addLicenses": [{ "skuId": SKU.to_string(), "disabledPlans": [PlanId::from_u128(1).to_string()] }],
            "removeLicenses": [],
        });
        assert_eq!(body(&request), expected);
    }

    #[test]
    fn a_restore_is_empty_unless_asked() {
        assert_eq!(restore(USER, &RestoreOptions::default()).body, None);
        let options = RestoreOptions {
            auto_reconcile_proxy_conflict: true,
            new_user_principal_name: Some("a@contoso.com".to_owned()),
        };
        let expected = json!({ "autoReconcileProxyConflict": true, "newUserPrincipalName": "a@contoso.com" });
        assert_eq!(body(&restore(USER, &options)), expected);
    }

    #[test]
    fn a_question_about_memberships_is_a_read_alone_and_in_a_batch() {
        let alone = check_member_groups(USER, &[GROUP]);
        assert_eq!(body(&alone), json!({ "groupIds": [GROUP.to_string()] }));
        assert!(!alone.is_write() && alone.method == Method::Post);
        let together = batch(&[("a".to_owned(), alone), ("b".to_owned(), mailbox_kind(USER))]);
        assert!(!together.is_write());
        assert_eq!(together.priority, Priority::Normal);
        let parts = &body(&together)["requests"];
        assert_eq!(parts[0]["body"], json!({ "groupIds": [GROUP.to_string()] }));
        assert_eq!(parts[0]["headers"], json!({ "Content-Type": "application/json" }));
        assert_eq!((&parts[1]["body"], &parts[1]["headers"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn the_other_writes_have_the_documented_shape() {
        let member = add_group_member("https://graph.microsoft.com/v1.0", GROUP, USER);
        assert_eq!(member.path, format!("/groups/{GROUP}/members/$ref"));
        let reference = format!("https://graph.microsoft.com/v1.0/directoryObjects/{USER}");
        assert_eq!(body(&member), json!({ "@odata.id": reference }));
        let location = set_usage_location(USER, "NO");
        assert_eq!((location.method, body(&location)), (Method::Patch, json!({ "usageLocation": "NO" })));
        assert_eq!(reprocess_licenses(USER).body, None);
    }

    #[test]
    fn nothing_is_ever_deleted_removed_or_disabled() {
        let all = [
            organization(),
            users(None),
            users_count(),
            users_delta(true),
            deleted_users(),
            user(USER),
            deleted_user(USER),
            subscribed_skus(),
            subscriptions(),
            directory_audits(USER, None),
            group(GROUP),
            group_members(GROUP),
            mailbox_kind(USER),
            mailbox_identity(USER),
            check_member_groups(USER, &[GROUP]),
            batch(&[("a".to_owned(), mailbox_kind(USER))]),
            assign_license(USER, SKU, &BTreeSet::new()),
            restore(USER, &RestoreOptions::default()),
            add_group_member("https://g/v1.0", GROUP, USER),
            set_usage_location(USER, "NO"),
            reprocess_licenses(USER),
        ];
        // One for each label but the token request, which is no Graph request.
        assert_eq!(all.len(), Endpoint::ALL.len() - 1);
        for request in all {
            assert_ne!(request.method, Method::Delete, "{request:?}");
            let text = String::from_utf8(request.body.unwrap_or_default()).expect("UTF-8");
            assert!(!text.contains("accountEnabled"), "{text}");
            if let Some(removed) =
                serde_json::from_str::<Value>(&text).ok().map(|body| body["removeLicenses"].clone())
            {
                assert!(removed.is_null() || removed == json!([]), "{text}");
            }
        }
    }
}
