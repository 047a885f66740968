//! Every request that mailkeeper can make of Graph, as values. No I/O, no tokens, no hosts.
//!
//! Invariant of absence: nothing here creates, deletes, purges, unlicenses or disables anyone. `removeLicenses` is
//! always empty, `PATCH` carries a usage location only, and no request uses `DELETE`.

mod endpoint;
mod shard;

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::{GroupId, PlanId, RestoreOptions, SkuId, Timestamp, UserId};

use super::transport::Method;

pub use endpoint::Endpoint;
pub(super) use endpoint::Workload;
pub use shard::UserShard;

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
    pub(super) workload: Workload,
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
            workload: endpoint.workload(),
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

pub(super) fn organization() -> Request {
    Request::get(Endpoint::Organization, "/organization?$select=id,displayName,verifiedDomains")
}

pub(super) fn users(shard: Option<UserShard>) -> Request {
    let filter = shard.map(|shard| format!("&$filter={}", shard.filter())).unwrap_or_default();
    let is_eventual = shard == Some(UserShard::OTHERS);
    let count = if is_eventual { "&$count=true" } else { "" };
    let path = format!("/users?$select={USER_SELECT}&$top={PAGE_SIZE}{count}{filter}");
    Request { is_eventual, ..Request::get(Endpoint::Users, path) }
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
    // Questions of one kind go together.
    let workload = parts.first().map_or(shell.workload, |(_, part)| part.workload);
    Request { method: Method::Post, priority, body: Some(body), resource_units, workload, ..shell }
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

pub(super) fn restore(user: UserId, options: &RestoreOptions) -> Request {
    let mut body = serde_json::Map::new();
    if options.drops_taken_addresses {
        body.insert("autoReconcileProxyConflict".to_owned(), json!(true));
    }
    if let Some(upn) = &options.new_upn {
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
    fn a_shard_filters_by_first_character_and_the_last_one_holds_the_rest() {
        let usual: Vec<UserShard> = UserShard::usual().collect();
        assert_eq!(usual.len(), 37);
        let (a, others) = (usual[0], UserShard::OTHERS);
        assert!(users(Some(a)).path.ends_with("&$filter=startswith(userPrincipalName,'a')"));
        let rest = users(Some(others));
        assert!(
            rest.is_eventual
                && rest.path.contains("&$count=true&$filter=not(startswith(userPrincipalName,'a'))")
        );
        assert_eq!(rest.path.matches("not(").count(), 37);
        assert!(rest.path.len() < 4_000, "{}", rest.path.len());
        let names = [
            "anna@contoso.com",
            "Anna@contoso.com",
            "\u{e5}se@contoso.com",
            "_svc@contoso.com",
            "bo@contoso.com",
        ];
        assert_eq!(names.map(|name| a.may_hold(name)), [true, true, true, true, false]);
        assert_eq!(names.map(|name| others.may_hold(name)), [false, false, true, true, false]);
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
        assert_eq!(restore(USER, &RestoreOptions::PLAIN).body, None);
        let options =
            RestoreOptions { drops_taken_addresses: true, new_upn: Some("a@contoso.com".to_owned()) };
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
            restore(USER, &RestoreOptions::PLAIN),
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
