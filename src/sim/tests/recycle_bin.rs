//! Deleted users: listing, restore with its conflicts and options, purge.

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;

const BIN: &str = "/directory/deletedItems/microsoft.graph.user";

#[test]
fn a_deleted_user_moves_to_the_bin_under_a_mangled_name() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    assert_eq!(lab.delete(&format!("/users/{user}")).status, 204);
    assert_eq!(lab.get(&format!("/users/{user}")).status, 404);
    assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(0));
    for path in [BIN, "/directory/deletedItems/graph.user"] {
        let page = lab.get(&format!("{path}?$select=id,userPrincipalName,mail,deletedDateTime"));
        let deleted = &page.json["value"][0];
        assert_eq!(deleted["userPrincipalName"], format!("{}kari@contoso.com", user.simple()));
        assert_eq!(
            (&deleted["mail"], &deleted["deletedDateTime"]),
            (&json!("kari@contoso.com"), &json!(START.to_string()))
        );
    }
    assert!(lab.get(BIN).json["value"][0].get("deletedDateTime").is_none(), "only when selected");
    assert_eq!(lab.get("/directory/deletedItems").status, 400);
    assert_eq!(lab.get(&format!("/directory/deletedItems/{user}")).json["id"], json!(user));
}

#[test]
fn restore_brings_the_user_back_once() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    assert_eq!(lab.post(&format!("/users/{user}/restore"), json!({})).status, 404);
    let reply = lab.post(&format!("/directory/deletedItems/{user}/restore"), json!({}));
    assert_eq!((reply.status, &reply.json["@odata.type"]), (200, &json!("#microsoft.graph.user")));
    assert_eq!(reply.json["userPrincipalName"], "kari@contoso.com");
    assert_eq!(
        lab.get(&format!("/users/{user}?$select=deletedDateTime")).json["deletedDateTime"],
        Value::Null
    );
    let again = lab.post(&format!("/directory/deletedItems/{user}/restore"), json!({}));
    assert_eq!((again.status, again.code()), (404, "Request_ResourceNotFound"));
}

#[test]
fn licences_return_or_not_and_may_exceed_the_seats_or_not() {
    let licensed_after = |switches: Switches, from: DeletedFrom| {
        let mut lab = Lab::with(switches);
        let user = lab.member("kari");
        lab.tenant.delete_user(lab.now, user, from);
        lab.tenant.set_seats(lab.now, SPE_E3, 0);
        lab.tenant.restore_user(lab.now, user).expect("in the bin");
        !lab.tenant.licences_of(user).is_empty()
    };
    let base = Switches::default;
    assert!(licensed_after(base(), DeletedFrom::Graph));
    assert!(!licensed_after(base(), DeletedFrom::AdminCentre));
    assert!(!licensed_after(Switches { licences_return_on_restore: false, ..base() }, DeletedFrom::Graph));
    assert!(!licensed_after(Switches { restore_exceeds_seats: false, ..base() }, DeletedFrom::Graph));
}

#[test]
fn deleted_licences_are_visible_or_not_and_seats_held_or_not() {
    for is_on in [true, false] {
        let switches = Switches {
            deleted_licences_visible: is_on,
            deleted_users_hold_seats: is_on,
            ..Switches::default()
        };
        let mut lab = Lab::with(switches);
        let user = lab.member("kari");
        lab.delete(&format!("/users/{user}"));
        let page = lab.get(&format!("{BIN}?$select=assignedLicenses"));
        assert_eq!(
            page.json["value"][0]["assignedLicenses"].as_array().map(Vec::len),
            Some(usize::from(is_on))
        );
        assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(u32::from(is_on)));
        lab.wait(Span::from_days(30));
        assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(0), "a purge frees the seat");
    }
}

#[test]
fn a_taken_name_stops_the_restore_unless_another_is_given() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    lab.add("kari", UserKind::WithoutMailbox, false);
    let path = format!("/directory/deletedItems/{user}/restore");
    let reply = lab.post(&path, json!({}));
    assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"));
    assert_eq!(reply.json["error"]["details"][0]["target"], "userPrincipalName");
    for bad in ["kari2@fabrikam.com", "kari 2@contoso.com", "@contoso.com", "kari2", "kari.@contoso.com"] {
        let reply = lab.post(&path, json!({"newUserPrincipalName": bad}));
        assert_eq!((reply.status, reply.message()), (400, "Property userPrincipalName is invalid."), "{bad}");
    }
    let reply = lab.post(&path, json!({"newUserPrincipalName": "kari2@contoso.com"}));
    assert_eq!((reply.status, &reply.json["userPrincipalName"]), (200, &json!("kari2@contoso.com")));
}

#[test]
fn a_taken_address_is_given_up_only_when_asked() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    let twin = lab.tenant.add_duplicate(lab.now, user).expect("deleted");
    lab.tenant.set_user_principal_name(lab.now, twin, "other@contoso.com");
    let path = format!("/directory/deletedItems/{user}/restore");
    let reply = lab.post(&path, json!({"autoReconcileProxyConflict": false}));
    assert_eq!(
        reply.message(),
        "Another object with the same value for property proxyAddresses already exists."
    );
    assert_eq!(lab.post(&path, json!({"autoReconcileProxyConflict": true})).status, 200);
    let reply = lab.get(&format!("/users/{user}?$select=proxyAddresses,mail"));
    assert_eq!((&reply.json["proxyAddresses"], &reply.json["mail"]), (&json!([]), &Value::Null));
}

#[test]
fn administrators_are_not_restored_by_an_application() {
    for is_denied in [true, false] {
        let mut lab =
            Lab::with(Switches { restore_of_administrators_denied: is_denied, ..Switches::default() });
        let mut admin = NewUser::new("root@contoso.com", "Root", UserKind::Member);
        admin.holds_admin_role = true;
        let admin = lab.tenant.add_user(START, admin);
        lab.tenant.delete_user(START, admin, DeletedFrom::Graph);
        let reply = lab.post(&format!("/directory/deletedItems/{admin}/restore"), json!({}));
        assert_eq!(reply.status, if is_denied { 403 } else { 200 });
    }
}

#[test]
fn nobody_purges_as_an_application_but_time_does() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    let reply = lab.delete(&format!("/directory/deletedItems/{user}"));
    assert_eq!((reply.status, reply.code()), (403, "Authorization_RequestDenied"));
    assert_eq!(lab.tenant.counters().denied, 1);
    lab.wait(Span::from_days(30));
    assert!(!lab.tenant.is_in_recycle_bin(user));
    assert_eq!(lab.get(&format!("/directory/deletedItems/{user}")).status, 404);
}

#[test]
fn the_bin_is_paged_and_counted() {
    let mut lab = Lab::new();
    let users: Vec<UserId> =
        (0..7).map(|number| lab.add(&format!("u{number}"), UserKind::Shared, false)).collect();
    for user in &users {
        lab.tenant.delete_user(lab.now, *user, DeletedFrom::Graph);
    }
    let found = lab.walk(&format!("{BIN}?$select=id&$top=3"));
    assert_eq!(found.len(), 7);
    let page = lab.get_eventual(&format!("{BIN}?$count=true&$top=3&$orderby=deletedDateTime"));
    assert_eq!(page.json["@odata.count"], 7);
    assert_eq!(lab.get(&format!("{BIN}?$orderby=deletedDateTime")).code(), "Request_UnsupportedQuery");
}

#[test]
fn a_user_deleted_again_gets_a_new_clock() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    lab.wait(Span::from_days(20));
    lab.post(&format!("/directory/deletedItems/{user}/restore"), json!({}));
    lab.delete(&format!("/users/{user}"));
    lab.wait(Span::from_days(15));
    assert!(lab.tenant.is_in_recycle_bin(user));
    lab.wait(Span::from_days(15));
    assert!(!lab.tenant.is_in_recycle_bin(user));
}

#[test]
fn the_bin_is_cast_to_a_type_and_counted() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    let items = "/directory/deletedItems";
    for cast in ["graph.user", "microsoft.graph.user", "Microsoft.Graph.User"] {
        let single = lab.get(&format!("{items}/{user}/{cast}?$select=id"));
        assert_eq!(
            (&single.json["id"], &single.json["@odata.context"]),
            (&json!(user), &json!(format!("{ROOT}/$metadata#users(id)/$entity"))),
            "{cast}"
        );
        assert_eq!(
            lab.get(&format!("{items}/{cast}/$count")).message(),
            "$count is not currently supported."
        );
        assert_eq!(lab.get_eventual(&format!("{items}/{cast}/$count")).response.body, b"1");
    }
    let none = lab.get_eventual(&format!("{items}/graph.user/$count?$filter=startswith(displayName,'z')"));
    assert_eq!(none.response.body, b"0");
    assert_eq!(lab.get(&format!("{items}/{user}/graph.group")).status, 404);
    assert_eq!(lab.get(&format!("{items}/{user}/graph.nonsense")).status, 400);
    for cast in ["graph.group", "microsoft.graph.group"] {
        let groups = lab.get(&format!("{items}/{cast}?$select=id,displayName"));
        assert_eq!((groups.status, &groups.json["value"]), (200, &json!([])), "{cast}");
        assert_eq!(lab.get_eventual(&format!("{items}/{cast}/$count")).response.body, b"0");
        assert_eq!(lab.get(&format!("{items}/{cast}?$filter=nosuch eq 'x'")).status, 400);
    }
    for kind in ["application", "servicePrincipal", "administrativeUnit", "device"] {
        assert_eq!(lab.get(&format!("{items}/microsoft.graph.{kind}")).status, 403, "{kind}");
    }
    lab.tenant.set_roles(&["Directory.Read.All"]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    for kind in ["application", "servicePrincipal", "administrativeUnit", "device"] {
        assert_eq!(lab.get(&format!("{items}/microsoft.graph.{kind}")).json["value"], json!([]), "{kind}");
        let count = format!("{items}/microsoft.graph.{kind}/$count");
        assert_eq!(lab.get(&count).message(), "$count is not currently supported.", "{kind}");
        let counted = lab.get_eventual(&format!("{count}?$filter=appId eq 'x'"));
        assert_eq!(counted.response.body, b"0", "{kind}");
    }
}

#[test]
fn the_cast_may_stand_before_the_key() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    let path = format!("/directory/deletedItems/microsoft.graph.user/{user}");
    assert_eq!(lab.get(&format!("{path}?$select=id")).json["id"], user.to_string());
    let group = format!("/directory/deletedItems/microsoft.graph.group/{user}");
    assert_eq!(lab.get(&group).status, 404, "it is no group");
    assert_eq!(lab.post(&format!("{path}/restore"), serde_json::json!({})).status, 200);
    assert_eq!(lab.get(&path).status, 404);
}
