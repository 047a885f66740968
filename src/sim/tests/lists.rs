//! Lists other than that of users: groups, members, deleted users, audits. They take the same questions, by the same
//! rules, and what they do not take they refuse.

use serde_json::json;

use super::*;
use crate::model::GroupId;
use crate::sim::administrator::DeletedFrom;
use crate::sim::groups::{Membership, NewGroup};

const BIN: &str = "/directory/deletedItems/microsoft.graph.user";
const UNSUPPORTED: &str = "Request_UnsupportedQuery";

fn group(lab: &mut Lab, name: &str, membership: Membership) -> GroupId {
    let new = NewGroup { id: None, name: name.to_owned(), membership, licences: Vec::new() };
    lab.tenant.add_group(lab.now, new)
}

/// A property of all objects of a list, in its order.
fn column(reply: &Reply, name: &str) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.json);
    let objects = reply.json["value"].as_array().expect("a list").iter();
    objects.map(|object| object[name].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn groups_are_listed_page_by_page() {
    let mut lab = Lab::new();
    let mut ids =
        ["Law", "Licences", "Sales"].map(|name| group(&mut lab, name, Membership::Assigned).to_string());
    ids.sort();
    let walked = lab.walk("/groups?$select=id,displayName&$top=1");
    let mut seen: Vec<String> =
        walked.iter().filter_map(|group| Some(group["id"].as_str()?.to_owned())).collect();
    seen.sort();
    assert_eq!(seen, ids);
    let named = lab.get("/groups?$filter=startswith(displayName,'L')&$select=displayName").json;
    assert_eq!(named["value"].as_array().map(Vec::len), Some(2));
    assert_eq!(lab.get("/groups?$filter=nosuch%20eq%201").code(), "Request_UnsupportedQuery");
    assert_eq!(lab.get("/groups/$count").status, 400);
    let request = lab.request(Method::Get, "/groups/$count").with_header("ConsistencyLevel", "eventual");
    assert_eq!(lab.send(request).response.body, b"3");
}

#[test]
fn groups_are_searched_sorted_and_filtered() {
    let mut lab = Lab::new();
    for name in ["Sales Nordic", "Law", "Licences"] {
        group(&mut lab, name, Membership::Assigned);
    }
    let dynamic = group(&mut lab, "Everybody", Membership::Dynamic("user.department -eq \"HR\"".to_owned()));
    group(&mut lab, "Old", Membership::Synced);
    let none = lab.get_eventual("/groups?$search=\"displayName:zzzz\"");
    assert_eq!(none.json["value"], json!([]));
    let found = lab.get_eventual(
        "/groups?$search=\"displayName:nordic\" OR \"displayName:law\"&$orderby=displayName&$count=true",
    );
    assert_eq!(column(&found, "displayName"), ["Law", "Sales Nordic"]);
    assert_eq!(lab.get("/groups?$search=\"displayName:law\"").code(), UNSUPPORTED);
    let sorted = lab.get("/groups?$orderby=displayName");
    assert_eq!(column(&sorted, "displayName"), ["Everybody", "Law", "Licences", "Old", "Sales Nordic"]);
    let walked = lab.walk("/groups?$top=2&$select=displayName&$orderby=displayName%20desc");
    let names: Vec<&str> = walked.iter().filter_map(|group| group["displayName"].as_str()).collect();
    assert_eq!(names, ["Sales Nordic", "Old", "Licences", "Law", "Everybody"]);
    let nickname = dynamic.simple();
    for (filter, expected) in [
        (format!("mailNickname eq '{nickname}'"), "Everybody"),
        ("mail eq 'sales@contoso.com'".to_owned(), ""),
        ("onPremisesSyncEnabled eq true".to_owned(), "Old"),
        ("membershipRuleProcessingState eq 'On'".to_owned(), "Everybody"),
        ("groupTypes/any(g:g eq 'DynamicMembership')".to_owned(), "Everybody"),
        ("createdDateTime ge 2099-01-01T00:00:00Z".to_owned(), ""),
        ("hasMembersWithLicenseErrors eq true".to_owned(), ""),
    ] {
        let found = lab.get(&format!("/groups?$filter={filter}"));
        assert_eq!(column(&found, "displayName").join(" "), expected, "{filter}");
    }
    for bad in [
        "$orderby=mail",
        "$orderby=createdDateTime",
        "$filter=displayName%20ne%20'Law'",
        "$filter=theme%20eq%20'x'",
    ] {
        assert_eq!(lab.get(&format!("/groups?{bad}")).code(), UNSUPPORTED, "{bad}");
    }
}

#[test]
fn members_take_advanced_queries() {
    let mut lab = Lab::new();
    let (outer, inner) =
        (group(&mut lab, "Outer", Membership::Assigned), group(&mut lab, "Anything", Membership::Assigned));
    lab.tenant.nest_group(START, outer, inner);
    for name in ["anna", "bo", "arne"] {
        let user = lab.add(name, UserKind::WithoutMailbox, false);
        lab.tenant.add_member(START, outer, user);
    }
    for kind in ["members", "transitiveMembers"] {
        let all = format!("/groups/{outer}/{kind}");
        let users = format!("{all}/microsoft.graph.user");
        for (target, query, expected) in [
            (&users, "$filter=startswith(displayName,'a')&$orderby=displayName", "anna arne"),
            (&users, "$orderby=displayName desc", "bo arne anna"),
            (&users, "$search=\"displayName:bo\"", "bo"),
            (&all, "$filter=startswith(displayName,'a')&$orderby=displayName desc", "arne Anything anna"),
            (&all, "$search=\"displayName:any\"", "Anything"),
        ] {
            let reply = lab.get_eventual(&format!("{target}?$count=true&$select=displayName&{query}"));
            assert_eq!(column(&reply, "displayName").join(" "), expected, "{target} {query}");
            assert_eq!(reply.json["@odata.count"], expected.split(' ').count(), "{target} {query}");
        }
        for query in
            ["$filter=startswith(displayName,'a')", "$search=\"displayName:bo\"", "$orderby=displayName"]
        {
            assert_eq!(lab.get(&format!("{users}?{query}")).code(), UNSUPPORTED, "{query}");
        }
        let count = lab.get_eventual(&format!("{users}/$count?$filter=startswith(displayName,'a')"));
        assert_eq!(count.response.body, b"2");
        assert_eq!(lab.get_eventual(&format!("{all}/$count")).response.body, b"4");
        assert_eq!(column(&lab.get(&format!("{all}/microsoft.graph.group")), "displayName"), ["Anything"]);
        assert_eq!(lab.get(&format!("{all}/microsoft.graph.device")).json["value"], json!([]));
        assert_eq!(lab.get(&format!("{all}/microsoft.graph.nonsense")).status, 400);
    }
}

#[test]
fn the_bin_is_asked_as_users_are() {
    let mut lab = Lab::new();
    for (minutes, name) in [(1, "carl"), (1, "anna"), (1, "bo")] {
        let user = lab.member(name);
        lab.wait(Span::from_minutes(minutes));
        lab.tenant.delete_user(lab.now, user, DeletedFrom::Graph);
    }
    for (query, expected) in [
        ("$orderby=displayName", "anna bo carl"),
        ("$orderby=deletedDateTime desc", "bo anna carl"),
        ("$filter=startswith(displayName,'a')", "anna"),
        ("$filter=endswith(mail,'bo@contoso.com')", "bo"),
        ("$filter=deletedDateTime ge 2027-01-15T08:02:00Z and displayName ne 'bo'", "anna"),
        ("$search=\"displayName:carl\"", "carl"),
    ] {
        let reply = lab.get_eventual(&format!("{BIN}?$count=true&{query}"));
        assert_eq!(column(&reply, "displayName").join(" "), expected, "{query}");
    }
    assert_eq!(
        column(&lab.get(&format!("{BIN}?$orderby=displayName desc")), "displayName"),
        ["carl", "bo", "anna"]
    );
    assert_eq!(lab.get(&format!("{BIN}?$expand=memberOf")).json["value"][0]["memberOf"], json!([]));
    assert_eq!(lab.get(&format!("{BIN}?$expand=bogus")).status, 400);
    for bad in [
        "$orderby=deletedDateTime",
        "$filter=nosuch eq 'x'",
        "$filter=not(nosuch eq 'x')",
        "$filter=displayName ne 'x'",
        "$filter=endswith(mail,'x')",
        "$search=\"displayName:carl\"",
    ] {
        assert_eq!(lab.get(&format!("{BIN}?{bad}")).code(), UNSUPPORTED, "{bad}");
    }
}

#[test]
fn audits_come_in_the_order_that_is_asked_for() {
    let mut lab = Lab::new();
    for name in ["anna", "bo", "carl"] {
        lab.member(name);
        lab.wait(Span::from_minutes(10));
    }
    let audits = "/auditLogs/directoryAudits";
    let newest = column(&lab.get(audits), "id");
    let mut oldest = newest.clone();
    oldest.reverse();
    for (order, expected) in
        [("activityDateTime", &oldest), ("activityDateTime asc", &oldest), ("activityDateTime desc", &newest)]
    {
        let walked = lab.walk(&format!("{audits}?$top=1&$orderby={order}"));
        let ids: Vec<&str> = walked.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids, *expected, "{order}");
    }
    assert_eq!(lab.get(&format!("{audits}?$count=true&$top=1")).json["@odata.count"], 3);
    for bad in ["$orderby=mood", "$search=\"id:x\"", "$skip=1", "$filter=not(category eq 'UserManagement')"] {
        assert_eq!(lab.get(&format!("{audits}?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn relations_are_expanded() {
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let (outer, inner) =
        (group(&mut lab, "Outer", Membership::Assigned), group(&mut lab, "Inner", Membership::Assigned));
    lab.tenant.nest_group(START, outer, inner);
    lab.tenant.add_member(START, inner, user);
    let one = lab.get(&format!("/users/{user}?$select=id&$expand=memberOf($select=id,displayName)")).json;
    let shown = json!([{"@odata.type": "#microsoft.graph.group", "id": inner, "displayName": "Inner"}]);
    assert_eq!(one["memberOf"], shown);
    assert_eq!(lab.get("/users?$expand=memberOf($select=displayName)").json["value"][0]["memberOf"], shown);
    let all = lab.get(&format!("/users/{user}?$expand=transitiveMemberOf")).json;
    assert_eq!(all["transitiveMemberOf"].as_array().map(Vec::len), Some(2));
    assert_eq!(lab.get(&format!("/users/{user}?$expand=directReports")).json["directReports"], json!([]));
    for number in 0..21 {
        let other = lab.add(&format!("u{number}"), UserKind::WithoutMailbox, false);
        lab.tenant.add_member(START, inner, other);
    }
    let members = lab.get(&format!("/groups/{inner}?$expand=members($select=id)")).json["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(20), "no more than twenty");
    assert_eq!(members[0]["@odata.type"], "#microsoft.graph.user");
    for bad in [format!("/users/{user}?$expand=bogus"), format!("/groups/{inner}?$expand=bogus")] {
        let reply = lab.get(&bad);
        assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"), "{bad}");
    }
    assert_eq!(lab.get_eventual("/users?$count=true&$expand=memberOf").code(), UNSUPPORTED);
}

#[test]
fn only_what_is_selected_comes_and_the_unknown_is_refused() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let group = group(&mut lab, "G", Membership::Assigned);
    let settings = lab.get(&format!("/users/{user}?$select=mailboxSettings")).json;
    let members: Vec<&String> = settings.as_object().expect("a user").keys().collect();
    assert_eq!(members, ["@odata.context", "id", "mailboxSettings"]);
    let sku = lab.get("/subscribedSkus").ids().remove(0);
    for target in [
        "/groups".to_owned(),
        format!("/groups/{group}"),
        format!("/groups/{group}/members"),
        "/subscribedSkus".to_owned(),
        format!("/subscribedSkus/{sku}"),
        "/organization".to_owned(),
        "/directory/subscriptions".to_owned(),
        "/auditLogs/directoryAudits".to_owned(),
        format!("/users/{user}/licenseDetails"),
        format!("/users/{user}/mailboxSettings"),
        format!("/users/{user}/settings/exchange"),
    ] {
        let reply = lab.get(&format!("{target}?$select=bogus"));
        assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"), "{target}");
        assert!(reply.message().contains("Could not find a property named 'bogus' on type"), "{target}");
        assert_eq!(lab.get(&format!("{target}?$search=\"a:b\"")).status, 400, "{target}");
        assert_eq!(lab.get(&format!("{target}?$apply=aggregate")).status, 400, "{target}");
    }
    let zone = lab.get(&format!("/users/{user}/mailboxSettings?$select=timeZone")).json;
    assert_eq!(zone.as_object().map(serde_json::Map::len), Some(2), "{zone}");
    for target in [
        "/subscribedSkus?$filter=skuId eq 'x'",
        "/organization?$top=1",
        "/directory/subscriptions?$orderby=id",
    ] {
        assert_eq!(lab.get(target).status, 400, "{target}");
    }
}
