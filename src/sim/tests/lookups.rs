//! Single properties, references to members, objects of any type, and actions on users.

use serde_json::json;

use super::*;
use crate::sim::groups::{Membership, NewGroup};

#[test]
fn a_single_property_can_be_had_and_its_bare_value() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let path = format!("/users/{user}");
    let reply = lab.get(&format!("{path}/displayName"));
    assert_eq!((reply.status, &reply.json["value"]), (200, &"kari".into()));
    assert_eq!(reply.json["@odata.context"], format!("{ROOT}/$metadata#users('{user}')/displayName"));
    let reply = lab.get(&format!("{path}/displayname/$value"));
    assert_eq!((reply.status, reply.response.body.as_slice()), (200, &b"kari"[..]));
    assert_eq!(reply.response.header("content-type"), Some("text/plain"));
    let reply = lab.get(&format!("{path}/assignedLicenses"));
    assert_eq!(reply.json["value"][0]["skuId"], SPE_E3.to_string());
    assert_eq!(lab.get(&format!("{path}/mobilePhone")).status, 204, "null is no content");
    for refused in ["assignedLicenses/$value", "bogus", "displayName/bogus", "displayName?$select=id"] {
        assert_eq!(lab.get(&format!("{path}/{refused}")).status, 400, "{refused}");
    }
    lab.tenant.set_roles(&["Organization.Read.All"]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    assert_eq!(lab.get(&format!("{path}/displayName")).status, 403);
}

#[test]
fn members_are_referred_to_in_every_form() {
    let mut lab = Lab::new();
    let group = lab.tenant.add_group(
        START,
        NewGroup { id: None, name: "all".to_owned(), membership: Membership::Assigned, licences: Vec::new() },
    );
    let (kari, ola) = (lab.member("kari"), lab.member("ola"));
    let path = format!("/groups/{group}/members/$ref");
    for reference in [format!("directoryObjects('{kari}')"), format!("directoryObjects/{ola}")] {
        let body = json!({"@odata.id": format!("{ROOT}/{reference}")});
        assert_eq!(lab.post(&path, body).status, 204, "{reference}");
    }
    assert_eq!(lab.tenant.writes().last().and_then(|write| write.user), Some(ola));
    let reply = lab.get(&path);
    let mut references: Vec<&str> = reply.json["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["@odata.id"].as_str())
        .collect();
    references.sort_unstable();
    let mut expected = [kari, ola].map(|user| format!("{ROOT}/directoryObjects/{user}"));
    expected.sort_unstable();
    assert_eq!(references, expected);
    assert_eq!(reply.json["@odata.context"], format!("{ROOT}/$metadata#Collection($ref)"));
    let first = lab.get(&format!("{path}?$top=1"));
    assert!(first.json["@odata.nextLink"].as_str().expect("a link").contains("/members/$ref?$top=1&"));
    let named = format!("{path}?@id={ROOT}/directoryObjects/{kari}");
    assert_eq!((lab.delete(&named).status, lab.delete(&named).status), (204, 404));
    assert_eq!(lab.delete(&path).status, 404, "of nobody");
    assert_eq!(lab.walk(&format!("/groups/{group}/members")).len(), 1);
}

#[test]
fn a_group_comes_with_its_members_with_errors_and_has_no_delta() {
    let mut lab = Lab::new();
    lab.tenant.set_seats(START, SPE_E3, 0);
    let group = lab.tenant.add_group(
        START,
        NewGroup {
            id: None,
            name: "licences".to_owned(),
            membership: Membership::Assigned,
            licences: vec![(SPE_E3, Vec::new())],
        },
    );
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(START, group, user);
    lab.wait(Span::from_hours(1));
    let reply = lab.get(&format!("/groups/{group}?$expand=membersWithLicenseErrors($select=id)"));
    assert_eq!(reply.json["membersWithLicenseErrors"][0]["id"], user.to_string());
    let reply = lab.get("/groups/delta?$select=displayName");
    assert_eq!((reply.status, reply.message()), (501, "This operation target is not yet supported."));
}

#[test]
fn what_somebody_is_a_member_of_is_told_and_checked() {
    let mut lab = Lab::new();
    let group = |name: &str| NewGroup {
        id: None,
        name: name.to_owned(),
        membership: Membership::Assigned,
        licences: Vec::new(),
    };
    let (of_kari, other) = (lab.tenant.add_group(START, group("a")), lab.tenant.add_group(START, group("b")));
    let user = lab.member("kari");
    lab.tenant.add_member(START, of_kari, user);
    let path = format!("/users/{user}");
    for action in ["getMemberGroups", "microsoft.graph.getMemberObjects"] {
        let reply = lab.post(&format!("{path}/{action}"), json!({"securityEnabledOnly": false}));
        assert_eq!((reply.status, &reply.json["value"]), (200, &json!([of_kari])), "{action}");
        assert_eq!(reply.json["@odata.context"], format!("{ROOT}/$metadata#Collection(Edm.String)"));
        let reply = lab.post(&format!("{path}/{action}"), json!({}));
        assert!(reply.message().ends_with("are: securityEnabledOnly."), "{}", reply.message());
        assert_eq!(lab.get(&format!("{path}/{action}")).status, 405);
    }
    let reply = lab.post(&format!("{path}/checkMemberObjects"), json!({"ids": [other, of_kari, user]}));
    assert_eq!((reply.status, &reply.json["value"]), (200, &json!([of_kari])));
    assert_eq!(lab.post(&format!("{path}/checkMemberObjects"), json!({"ids": vec![other; 21]})).status, 400);
    let reply = lab.get(&format!("/groups/{other}/owners"));
    assert_eq!((reply.status, &reply.json["value"]), (200, &json!([])));
    assert_eq!(lab.get("/groups/11111111-1111-4111-8111-111111111111/owners").status, 404);
}

#[test]
fn objects_of_any_type_need_a_permission_for_the_directory() {
    let mut lab = Lab::new();
    let group = lab.tenant.add_group(
        START,
        NewGroup { id: None, name: "all".to_owned(), membership: Membership::Assigned, licences: Vec::new() },
    );
    let user = lab.member("kari");
    let ids = json!({"ids": [group, user, "11111111-1111-4111-8111-111111111111"]});
    assert_eq!(lab.get(&format!("/directoryObjects/{user}")).status, 403);
    assert_eq!(lab.post("/directoryObjects/getByIds", ids.clone()).status, 403);
    lab.tenant.set_roles(&["Directory.Read.All"]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    for (id, kind) in [(user.to_string(), "user"), (group.to_string(), "group")] {
        let reply = lab.get(&format!("/directoryObjects('{id}')?$select=displayName"));
        assert_eq!(
            (&reply.json["id"], &reply.json["@odata.type"]),
            (&json!(id), &json!(format!("#microsoft.graph.{kind}")))
        );
        assert_eq!(reply.json["@odata.context"], format!("{ROOT}/$metadata#directoryObjects/$entity"));
        let mut body = ids.clone();
        body["types"] = json!([kind]);
        assert_eq!(lab.post("/directoryObjects/getByIds", body).ids(), [id]);
    }
    assert_eq!(lab.post("/directoryObjects/getByIds", ids).ids(), [group.to_string(), user.to_string()]);
    assert_eq!(lab.get("/directoryObjects/11111111-1111-4111-8111-111111111111").status, 404);
    assert_eq!(lab.get("/directoryObjects").status, 400);
}

#[test]
fn sessions_are_revoked_and_provisioning_tried_again_where_that_is_allowed() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let revoke = format!("/users/{user}/revokeSignInSessions");
    let retry = format!("/users/{user}/retryServiceProvisioning");
    let empty = |lab: &mut Lab, target: &str| {
        let request = lab.request(Method::Post, target);
        lab.send(request)
    };
    let reply = empty(&mut lab, &revoke);
    assert_eq!((reply.status, &reply.json["value"]), (200, &json!(true)));
    assert_eq!(empty(&mut lab, &retry).status, 204);
    assert_eq!(empty(&mut lab, "/users/nobody@contoso.com/retryServiceProvisioning").status, 404);
    assert_eq!(lab.tenant.writes()[0].user, Some(user));
    lab.tenant.set_roles(&["User.Read.All"]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    assert_eq!((empty(&mut lab, &revoke).status, empty(&mut lab, &retry).status), (403, 403));
}

#[test]
fn what_graph_has_and_this_tenant_does_not_is_no_mistake_of_the_client() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    for target in [
        "/domains".to_owned(),
        "/applications/1".to_owned(),
        "/auditLogs/signIns".to_owned(),
        "/directory/administrativeUnits".to_owned(),
        format!("/users/{user}/messages"),
        format!("/users/{user}/photo/$value"),
    ] {
        let reply = lab.get(&target);
        assert_eq!((reply.status, reply.code()), (501, "NotImplemented"), "{target}");
    }
    for target in
        ["/nonsense".to_owned(), "/directory/nonsense".to_owned(), format!("/users/{user}/nonsense")]
    {
        let reply = lab.get(&target);
        assert_eq!((reply.status, reply.code()), (400, "BadRequest"), "{target}");
    }
    for relation in ["directReports", "ownedObjects", "registeredDevices/microsoft.graph.device"] {
        assert_eq!(lab.get(&format!("/users/{user}/{relation}")).json["value"], json!([]), "{relation}");
    }
    assert_eq!(lab.get("/users/nobody@contoso.com/directReports").status, 404);
}

#[test]
fn an_object_can_be_cast_and_asked_as_what_it_is() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    for target in
        [format!("/users/{user}/microsoft.graph.user"), format!("/directoryObjects/{user}/graph.user")]
    {
        assert_eq!(lab.get(&format!("{target}?$select=id")).json["id"], user.to_string(), "{target}");
    }
    let action = format!("/directoryObjects/{user}/getMemberGroups");
    assert_eq!(lab.post(&action, json!({"securityEnabledOnly": false})).json["value"], json!([]));
    assert_eq!(lab.get(&format!("/directoryObjects/{user}/microsoft.graph.group")).status, 404);
    assert_eq!(lab.patch(&format!("/users/{user}/mailboxSettings"), json!({"timeZone": "UTC"})).status, 501);
}
