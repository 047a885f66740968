//! `/users`: selection, paging, filters, counts, single users, writes.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;
use crate::sim::call::View;

fn crowd(lab: &mut Lab, count: usize) -> Vec<UserId> {
    (0..count).map(|number| lab.add(&format!("user{number:04}"), UserKind::WithoutMailbox, false)).collect()
}

#[test]
fn a_walk_sees_every_user_once() {
    let mut lab = Lab::new();
    let users: BTreeSet<String> = crowd(&mut lab, 257).iter().map(UserId::to_string).collect();
    for top in [1, 10, 100, 256, 257, 999] {
        let found = lab.walk(&format!("/users?$select=id&$top={top}"));
        let ids: Vec<String> =
            found.iter().map(|user| user["id"].as_str().expect("text").to_owned()).collect();
        assert_eq!(ids.len(), 257, "$top={top}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), users, "$top={top}");
    }
}

#[test]
fn pages_with_sign_ins_are_smaller() {
    let mut lab = Lab::new();
    crowd(&mut lab, 501);
    let page = lab.get("/users?$top=999&$select=id,signInActivity");
    assert_eq!(page.json["value"].as_array().map(Vec::len), Some(500));
    assert_eq!(lab.walk("/users?$top=999&$select=id,signInActivity").len(), 501);
    assert_eq!(lab.get("/users?$top=999&$select=id").json["value"].as_array().map(Vec::len), Some(501));
}

#[test]
fn without_select_only_the_default_set_comes() {
    let mut lab = Lab::new();
    lab.member("kari");
    let page = lab.get("/users");
    let members: BTreeSet<&str> =
        page.json["value"][0].as_object().expect("a user").keys().map(String::as_str).collect();
    let expected = [
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ];
    assert_eq!(members, BTreeSet::from(expected));
    assert_eq!(page.json["@odata.context"], format!("{ROOT}/$metadata#users"));
}

#[test]
fn mailbox_settings_are_a_single_users_matter() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    assert_eq!(
        (lab.get("/users?$select=id,mailboxSettings").status, lab.get("/users?$select=nose").status),
        (501, 400)
    );
    let reply = lab.get(&format!("/users/{user}?$select=id,mailboxSettings"));
    assert_eq!(reply.json["mailboxSettings"]["userPurpose"], "user");
}

#[test]
fn mailbox_settings_are_read_one_by_one() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let without = lab.add("ola", UserKind::WithoutMailbox, false);
    let path = format!("/users/{user}/mailboxSettings");
    for name in ["timeZone", "TIMEZONE"] {
        let zone = lab.get(&format!("{path}/{name}"));
        let context = format!("{ROOT}/$metadata#users('{user}')/mailboxSettings/timeZone");
        assert_eq!(
            zone.json,
            json!({"@odata.context": context, "value": "W. Europe Standard Time"}),
            "{name}"
        );
    }
    assert_eq!(lab.get(&format!("{path}/automaticRepliesSetting")).json["status"], "disabled");
    assert_eq!(lab.get(&format!("{path}/workingHours")).json["startTime"], "08:00:00.0000000");
    assert_eq!(lab.get(&format!("{path}/nosuch")).status, 400);
    let reply = lab.get(&format!("/users/{without}/mailboxSettings/timeZone"));
    assert_eq!((reply.status, reply.code()), (404, "MailboxNotEnabledForRESTAPI"));
}

#[test]
fn counting_needs_the_header() {
    let mut lab = Lab::new();
    crowd(&mut lab, 12);
    assert_eq!(lab.get("/users/$count").message(), "$count is not currently supported.");
    let reply = lab.get_eventual("/users/$count");
    assert_eq!(reply.response.body, b"12");
    assert!(lab.get("/users?$count=true").json.get("@odata.count").is_none(), "silently ignored");
    let first = lab.get_eventual("/users?$count=true&$top=5");
    assert_eq!(first.json["@odata.count"], 12);
    let next = first.json["@odata.nextLink"].as_str().expect("more").to_owned();
    assert!(lab.get_eventual(&next).json.get("@odata.count").is_none(), "first page only");
}

#[test]
fn filters_select_and_the_rest_is_refused() {
    let mut lab = Lab::new();
    let anna = lab.member("anna");
    let bert = lab.add("bert", UserKind::Guest, false);
    let carl = lab.add("carl", UserKind::WithoutMailbox, false);
    lab.tenant.set_account_enabled(START, carl, false);
    let cases: [(&str, Vec<UserId>); 8] = [
        ("startswith(userPrincipalName,'B')", vec![bert]),
        ("accountEnabled eq false", vec![carl]),
        ("userType eq 'Guest'", vec![bert]),
        ("assignedLicenses/$count ne 0", vec![anna]),
        ("assignedLicenses/$count eq 0 and userType eq 'Member'", vec![carl]),
        ("not(startswith(userPrincipalName,'a')) and not(startswith(userPrincipalName,'b'))", vec![carl]),
        ("assignedLicenses/any(x:x/skuId eq 05e9a617-0261-4cee-bb44-138d3ef5d965)", vec![anna]),
        ("startswith(userPrincipalName,'a') or startswith(userPrincipalName,'c')", vec![anna, carl]),
    ];
    for (filter, expected) in cases {
        let reply = lab.get_eventual(&format!("/users?$count=true&$filter={filter}"));
        assert_eq!(reply.ids(), expected.iter().map(UserId::to_string).collect::<Vec<_>>(), "{filter}");
        assert_eq!(reply.json["@odata.count"], expected.len(), "{filter}");
    }
    for filter in ["assignedLicenses/$count ne 0", "shoeSize eq 4", "userType ne 'Guest'"] {
        assert_eq!(
            lab.get(&format!("/users?$filter={filter}")).code(),
            "Request_UnsupportedQuery",
            "{filter}"
        );
    }
}

#[test]
fn shards_by_first_letter_and_their_rest_cover_all() {
    let mut lab = Lab::new();
    for name in ["anna", "arne", "bert", "øyvind", "9to5", "_x"] {
        lab.add(name, UserKind::WithoutMailbox, false);
    }
    let mut found = Vec::new();
    for letter in ["a", "b"] {
        found.extend(
            lab.walk(&format!("/users?$select=id&$top=1&$filter=startswith(userPrincipalName,'{letter}')")),
        );
    }
    let rest = "not(startswith(userPrincipalName,'a')) and not(startswith(userPrincipalName,'b'))";
    found.extend(lab.walk(&format!("/users?$select=id&$top=2&$count=true&$filter={rest}")));
    assert_eq!(found.len(), 6);
}

#[test]
fn users_are_found_by_id_and_by_name() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    for key in [user.to_string(), "KARI@contoso.com".to_owned()] {
        assert_eq!(lab.get(&format!("/users/{key}?$select=id")).json["id"], json!(user));
    }
    let reply = lab.get("/users/nobody@contoso.com");
    assert_eq!((reply.status, reply.code()), (404, "Request_ResourceNotFound"));
}

#[test]
fn updates_reach_the_user_and_synced_ones_refuse() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    assert_eq!(lab.patch(&format!("/users/{user}"), json!({"usageLocation": "DE"})).status, 204);
    assert_eq!(lab.get(&format!("/users/{user}?$select=usageLocation")).json["usageLocation"], "DE");
    assert_eq!(lab.patch(&format!("/users/{user}"), json!({"usageLocation": "Norway"})).status, 400);
    let mut synced = NewUser::new("synced@contoso.com", "Synced", UserKind::Member);
    synced.on_premises_synced = true;
    let synced = lab.tenant.add_user(START, synced);
    assert_eq!(lab.patch(&format!("/users/{synced}"), json!({"department": "HR"})).status, 400);
    assert_eq!(lab.patch(&format!("/users/{synced}"), json!({"usageLocation": "DE"})).status, 204);
}

#[test]
fn a_user_is_created_and_its_name_is_unique() {
    let mut lab = Lab::new();
    let body = json!({
        "accountEnabled": true, "displayName": "Nora", "mailNickname": "nora",
        "userPrincipalName": "nora@contoso.com", "passwordProfile": {"password": "x"},
    });
    let reply = lab.post("/users", body.clone());
    assert_eq!((reply.status, &reply.json["displayName"]), (201, &json!("Nora")));
    assert_eq!(lab.post("/users", body).status, 400);
}

#[test]
fn a_stale_replica_shows_the_past() {
    let mut lab = Lab::new();
    let [kept, renamed, deleted] = ["kept", "renamed", "deleted"].map(|name| lab.member(name));
    let before = lab.now;
    lab.wait(Span::from_minutes(10));
    lab.tenant.set_user_principal_name(lab.now, renamed, "another@contoso.com");
    lab.tenant.delete_user(lab.now, deleted, DeletedFrom::Graph);
    lab.wait(Span::from_minutes(1));
    let request = lab.request(Method::Get, "/users?$select=userPrincipalName");
    let mut names = |as_of| -> Vec<String> {
        let response = lab.tenant.handle_viewed(lab.now, View::clear(as_of), &request);
        let page: Value = serde_json::from_slice(&response.body).expect("JSON");
        let users = page["value"].as_array().expect("a page").iter();
        users.map(|user| user["userPrincipalName"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(names(before), ["deleted@contoso.com", "kept@contoso.com", "renamed@contoso.com"]);
    assert_eq!(names(lab.now), ["another@contoso.com", "kept@contoso.com"]);
    let request = lab.request(Method::Get, &format!("/users/{deleted}"));
    let view = View::clear(before);
    assert_eq!(lab.tenant.handle_viewed(lab.now, view, &request).status, 200);
    assert_eq!(lab.get(&format!("/users/{kept}")).status, 200);
}

#[test]
fn an_empty_page_still_leads_on() {
    let mut lab = Lab::new();
    crowd(&mut lab, 3);
    let request = lab.request(Method::Get, "/users?$select=id");
    let response =
        lab.tenant.handle_viewed(lab.now, View { empty_page: true, ..View::clear(lab.now) }, &request);
    let page: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(page["value"], json!([]));
    let next = page["@odata.nextLink"].as_str().expect("a link").to_owned();
    assert_eq!(lab.walk(&next).len(), 3);
}

#[test]
fn every_answer_carries_the_diagnostic_headers() {
    let mut lab = Lab::new();
    let request = lab.request(Method::Get, "/users").with_header("client-request-id", "my-id");
    let reply = lab.send(request);
    assert_eq!(reply.response.header("client-request-id"), Some("my-id"));
    assert_eq!(reply.response.header("date"), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    assert!(reply.response.header("request-id").is_some());
    assert_eq!(reply.response.header("x-ms-resource-unit"), Some("2"));
    let error = lab.get("/users/nobody");
    let inner = &error.json["error"]["innerError"];
    assert_eq!(inner["request-id"].as_str(), error.response.header("request-id"));
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let mut lab = Lab::new();
    assert_eq!(lab.get("/planets").status, 400);
    assert_eq!(lab.post("/subscribedSkus", json!({})).status, 405);
    assert_eq!(lab.get("/users/x/assignLicense").status, 405);
}
