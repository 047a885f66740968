//! Groups: members, nesting, and the licensing worker.

use serde_json::json;

use super::*;
use crate::model::GroupId;
use crate::sim::groups::{Membership, NewGroup};
use crate::sim::truth::MailboxState;

fn group(lab: &mut Lab, membership: Membership, is_licensing: bool) -> GroupId {
    let licences = if is_licensing { vec![(SPE_E3, Vec::new())] } else { Vec::new() };
    lab.tenant.add_group(START, NewGroup { id: None, name: "A group".to_owned(), membership, licences })
}

fn reference(user: UserId) -> Value {
    json!({"@odata.id": format!("{ROOT}/directoryObjects/{user}")})
}

fn states(lab: &mut Lab, user: UserId) -> Value {
    lab.get(&format!("/users/{user}?$select=licenseAssignmentStates")).json["licenseAssignmentStates"].clone()
}

#[test]
fn members_come_and_go_over_the_api() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, false);
    let user = lab.member("kari");
    let path = format!("/groups/{group}/members");
    assert_eq!(lab.post(&format!("{path}/$ref"), reference(user)).status, 204);
    let again = lab.post(&format!("{path}/$ref"), reference(user));
    assert_eq!(
        again.message(),
        "One or more added object references already exist for the following modified properties: 'members'."
    );
    assert_eq!(lab.get(&path).json["value"][0]["@odata.type"], "#microsoft.graph.user");
    assert_eq!(
        lab.get(&format!("{path}/microsoft.graph.user?$select=id")).json["value"],
        json!([{"id": user}])
    );
    assert_eq!(lab.get_eventual(&format!("{path}/$count")).response.body, b"1");
    assert_eq!(lab.tenant.writes()[0].user, Some(user));
    assert_eq!(lab.delete(&format!("{path}/{user}/$ref")).status, 204);
    assert_eq!(lab.delete(&format!("{path}/{user}/$ref")).status, 404);
    assert_eq!(lab.delete(&format!("{path}/{user}")).status, 400, "without $ref it would mean the user");
    assert!(lab.tenant.is_live(user));
}

#[test]
fn dynamic_and_synced_groups_refuse_members() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    for membership in [Membership::Dynamic("user.department -eq \"HR\"".to_owned()), Membership::Synced] {
        let group = group(&mut lab, membership, false);
        assert_eq!(lab.post(&format!("/groups/{group}/members/$ref"), reference(user)).status, 400);
    }
}

#[test]
fn nested_members_count_as_transitive_but_get_no_licence() {
    let mut lab = Lab::new();
    let [outer, inner] =
        [true, false].map(|is_licensing| group(&mut lab, Membership::Assigned, is_licensing));
    lab.tenant.nest_group(START, outer, inner);
    lab.tenant.nest_group(START, inner, outer);
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(START, inner, user);
    lab.wait(Span::from_hours(1));
    let cast = |kind: &str| format!("/groups/{outer}/{kind}/microsoft.graph.user?$select=id");
    assert_eq!(lab.get(&cast("members")).ids(), Vec::<String>::new());
    assert_eq!(lab.get(&cast("transitiveMembers")).ids(), [user.to_string()]);
    let checked = lab.post(&format!("/users/{user}/checkMemberGroups"), json!({"groupIds": [outer, inner]}));
    assert_eq!(checked.json["value"].as_array().map(Vec::len), Some(2));
    assert_eq!(lab.tenant.licences_of(user), []);
}

#[test]
fn members_are_paged_and_deleted_ones_left_out() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, false);
    let users: Vec<UserId> =
        (0..25).map(|number| lab.add(&format!("u{number}"), UserKind::Shared, false)).collect();
    for user in &users {
        lab.tenant.add_member(START, group, *user);
    }
    lab.delete(&format!("/users/{}", users[0]));
    assert_eq!(
        lab.walk(&format!("/groups/{group}/members/microsoft.graph.user?$select=id&$top=7")).len(),
        24
    );
    lab.tenant.restore_user(START, users[0]).expect("in the bin");
    assert_eq!(lab.walk(&format!("/groups/{group}/transitiveMembers?$select=id&$top=7")).len(), 25);
}

#[test]
fn the_worker_gives_takes_and_gives_back() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, true);
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(lab.now, group, user);
    assert_eq!(states(&mut lab, user), json!([]), "not yet");
    lab.wait(Span::from_minutes(5));
    assert_eq!(states(&mut lab, user)[0]["assignedByGroup"], json!(group));
    lab.wait(PROVISIONING);
    let mailbox = lab.tenant.mailbox_truth(user);
    assert_eq!(mailbox.state, MailboxState::Active);
    let removal = json!({"addLicenses": [], "removeLicenses": [SPE_E3]});
    let refused = lab.post(&format!("/users/{user}/assignLicense"), removal);
    assert!(
        refused.message().starts_with("User license is inherited from a group membership"),
        "{}",
        refused.message()
    );
    lab.tenant.remove_member(lab.now, group, user);
    lab.wait(Span::from_minutes(5));
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::Disconnected { since: lab.now });
    lab.tenant.add_member(lab.now, group, user);
    lab.wait(Span::from_hours(1));
    assert_eq!(lab.tenant.mailbox_truth(user), mailbox);
}

#[test]
fn two_paths_take_one_seat() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, true);
    let user = lab.member("kari");
    lab.tenant.add_member(lab.now, group, user);
    lab.wait(Span::from_hours(1));
    assert_eq!(states(&mut lab, user).as_array().map(Vec::len), Some(2));
    assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(1));
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held directly");
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::Active);
}

#[test]
fn without_a_seat_the_failure_is_on_the_user_until_reprocessed() {
    for is_listed in [true, false] {
        let mut lab = Lab::with(Switches { failed_group_licence_listed: is_listed, ..Switches::default() });
        let group = group(&mut lab, Membership::Assigned, true);
        lab.tenant.set_seats(START, SPE_E3, 0);
        let user = lab.add("kari", UserKind::WithoutMailbox, false);
        lab.tenant.add_member(lab.now, group, user);
        lab.wait(Span::from_hours(1));
        let state = &states(&mut lab, user)[0];
        assert_eq!((&state["state"], &state["error"]), (&json!("Error"), &json!("CountViolation")));
        let reply = lab.get(&format!("/users/{user}?$select=assignedLicenses"));
        assert_eq!(reply.json["assignedLicenses"].as_array().map(Vec::len), Some(usize::from(is_listed)));
        let shown = lab.get(&format!("/groups/{group}?$select=hasMembersWithLicenseErrors"));
        assert_eq!(shown.json["hasMembersWithLicenseErrors"], true);
        let path = format!("/users/{user}/reprocessLicenseAssignment");
        assert!(lab.post(&path, json!({})).message().contains("does not have any available licenses"));
        lab.tenant.set_seats(lab.now, SPE_E3, 1);
        lab.wait(Span::from_days(1));
        assert_eq!(states(&mut lab, user)[0]["state"], "Error", "no automatic retry");
        assert_eq!(lab.post(&path, json!({})).status, 200);
        assert_eq!(states(&mut lab, user)[0]["state"], "Active");
    }
}

#[test]
fn a_groups_own_licences_change_in_the_background() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, false);
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(START, group, user);
    let body = json!({"addLicenses": [{"skuId": SPE_E3, "disabledPlans": []}], "removeLicenses": []});
    assert_eq!(lab.post(&format!("/groups/{group}/assignLicense"), body).status, 202);
    let state = |lab: &mut Lab| {
        lab.get(&format!("/groups/{group}?$select=licenseProcessingState")).json["licenseProcessingState"]["state"].clone()
    };
    assert_eq!(state(&mut lab), "QueuedForProcessing");
    lab.wait(Span::from_minutes(5));
    assert_eq!(state(&mut lab), "ProcessingComplete");
    assert_eq!(lab.tenant.licences_of(user), [SPE_E3]);
    lab.tenant.remove_group_licence(lab.now, group, SPE_E3);
    lab.wait(Span::from_minutes(5));
    assert_eq!(lab.tenant.licences_of(user), []);
}

#[test]
fn group_licences_follow_a_restore_even_when_direct_ones_do_not() {
    let mut lab = Lab::with(Switches { licences_return_on_restore: false, ..Switches::default() });
    let group = group(&mut lab, Membership::Assigned, true);
    let mut user = NewUser::new("kari@contoso.com", "Kari", UserKind::Member);
    user.groups.push(group);
    let user = lab.tenant.add_user(START, user);
    assert_eq!(lab.tenant.licences_of(user), [SPE_E3]);
    lab.delete(&format!("/users/{user}"));
    lab.tenant.restore_user(lab.now, user).expect("in the bin");
    assert_eq!(lab.tenant.licences_of(user), []);
    lab.wait(Span::from_minutes(5));
    assert_eq!(lab.tenant.licences_of(user), [SPE_E3]);
}

#[test]
fn conflicting_plans_fail_in_the_background_with_their_name() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, true);
    lab.tenant.forbid_plans_together(EXCHANGE_S_ENTERPRISE, TEAMS1);
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(lab.now, group, user);
    lab.wait(Span::from_hours(1));
    assert_eq!(states(&mut lab, user)[0]["error"], "MutuallyExclusiveViolation");
    let reply = lab.post(&format!("/users/{user}/reprocessLicenseAssignment"), json!({}));
    assert!(reply.message().ends_with("are mutually exclusive"), "{}", reply.message());
}

#[test]
fn twenty_members_are_added_at_once_all_or_none() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Assigned, true);
    let users: Vec<UserId> =
        (0..21).map(|number| lab.add(&format!("u{number}"), UserKind::WithoutMailbox, false)).collect();
    let path = format!("/groups/{group}");
    let bind = |users: &[UserId]| {
        let all: Vec<String> = users.iter().map(|user| format!("{ROOT}/directoryObjects/{user}")).collect();
        json!({ "members@odata.bind": all })
    };
    assert_eq!(lab.patch(&path, bind(&users)).status, 400, "21");
    assert_eq!(lab.patch(&path, bind(&users[..20])).status, 204);
    let again = lab.patch(&path, bind(&users[19..]));
    assert!(
        again.message().starts_with("One or more added object references already exist"),
        "{}",
        again.json
    );
    let unknown = json!({"members@odata.bind": [format!("{ROOT}/directoryObjects/{group}")]});
    assert_eq!(lab.patch(&path, unknown).status, 404);
    assert_eq!(lab.get_eventual(&format!("{path}/members/$count")).response.body, b"20");
    assert_eq!(lab.tenant.writes()[1].group, Some(group));
    lab.wait(Span::from_hours(1));
    assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(10), "the worker follows");
    assert_eq!(lab.patch(&path, json!({"nosuch": 1})).status, 400);
    assert_eq!(lab.patch(&path, json!({"mailEnabled": true})).status, 501);
    assert_eq!(lab.patch(&path, json!({"members@odata.bind": "x"})).status, 400);
}

#[test]
fn members_with_licence_errors_are_listed_and_their_groups_found() {
    let mut lab = Lab::new();
    let (full, other) =
        (group(&mut lab, Membership::Assigned, true), group(&mut lab, Membership::Assigned, false));
    lab.tenant.set_seats(START, SPE_E3, 1);
    for name in ["anna", "bo"] {
        let user = lab.add(name, UserKind::WithoutMailbox, false);
        lab.tenant.add_member(lab.now, full, user);
        lab.tenant.add_member(lab.now, other, user);
    }
    lab.wait(Span::from_hours(1));
    let failed = lab.get(&format!("/groups/{full}/membersWithLicenseErrors?$select=id,displayName"));
    assert_eq!(failed.json["value"].as_array().map(Vec::len), Some(1), "{}", failed.json);
    assert_eq!(failed.json["value"][0]["@odata.type"], "#microsoft.graph.user");
    assert_eq!(lab.get(&format!("/groups/{other}/membersWithLicenseErrors")).json["value"], json!([]));
    let found = lab.get("/groups?$filter=hasMembersWithLicenseErrors eq true&$select=id");
    assert_eq!(found.ids(), [full.to_string()]);
}

#[test]
fn a_user_tells_its_groups() {
    let mut lab = Lab::new();
    let [outer, inner] =
        [false, false].map(|is_licensing| group(&mut lab, Membership::Assigned, is_licensing));
    lab.tenant.nest_group(START, outer, inner);
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(START, inner, user);
    let mut both = [outer.to_string(), inner.to_string()];
    both.sort();
    for key in [user.to_string(), "kari@contoso.com".to_owned()] {
        let direct = lab.get(&format!("/users/{key}/memberOf?$select=id,displayName"));
        assert_eq!(
            direct.json["value"],
            json!([{"@odata.type": "#microsoft.graph.group", "id": inner, "displayName": "A group"}])
        );
        assert_eq!(lab.get(&format!("/users/{key}/transitiveMemberOf")).ids(), both);
        let cast = format!("/users/{key}/transitiveMemberOf/microsoft.graph.group");
        let page = lab.get_eventual(&format!("{cast}?$count=true&$filter=startswith(displayName,'a')"));
        assert_eq!((page.ids(), &page.json["@odata.count"]), (both.to_vec(), &json!(2)));
        assert!(page.json["value"][0].get("@odata.type").is_none(), "the cast says it");
        assert_eq!(lab.get_eventual(&format!("{cast}/$count")).response.body, b"2");
        assert_eq!(lab.get(&format!("{cast}/$count")).status, 400);
        assert_eq!(
            lab.get(&format!("/users/{key}/memberOf/microsoft.graph.directoryRole")).json["value"],
            json!([])
        );
    }
    assert_eq!(lab.get("/users/nobody@contoso.com/memberOf").status, 404);
    assert_eq!(lab.walk(&format!("/users/{user}/transitiveMemberOf?$top=1")).len(), 2);
}

#[test]
fn a_group_shows_unasked_what_graph_shows() {
    let mut lab = Lab::new();
    let group = group(&mut lab, Membership::Dynamic("user.department -eq \"HR\"".to_owned()), true);
    let shown = lab.get(&format!("/groups/{group}")).json;
    assert_eq!(shown["createdDateTime"], json!(START.to_string()));
    assert_eq!(
        (&shown["membershipRuleProcessingState"], &shown["proxyAddresses"]),
        (&json!("On"), &json!([]))
    );
    for name in ["membershipRule", "onPremisesSyncEnabled", "visibility", "isAssignableToRole"] {
        assert!(shown.get(name).is_some(), "{name}");
    }
    assert!(
        shown["securityIdentifier"].as_str().is_some_and(|text| text.starts_with("S-1-12-1-")),
        "{shown}"
    );
    assert!(shown.get("assignedLicenses").is_none(), "only when selected");
}

#[test]
fn a_group_is_made_changed_and_deleted() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let creation = json!({
        "displayName": "New", "mailEnabled": false, "mailNickname": "new", "securityEnabled": true,
        "description": "By hand", "members@odata.bind": [format!("{ROOT}/users/{user}")],
    });
    let made = lab.post("/groups", creation.clone());
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!((&made.json["description"], &made.json["mailNickname"]), (&json!("By hand"), &json!("new")));
    let path = format!("/groups/{}", made.json["id"].as_str().expect("an id"));
    assert_eq!(lab.get(&format!("{path}/members?$select=id")).ids(), [user.to_string()]);
    let changes = json!({"displayName": "Newer", "description": null, "visibility": "Private"});
    assert_eq!(lab.patch(&path, changes).status, 204);
    let read = lab.get(&path).json;
    assert_eq!((&read["displayName"], &read["description"]), (&json!("Newer"), &Value::Null));
    assert_eq!(lab.get("/groups?$filter=displayName eq 'Newer'&$select=id").ids().len(), 1);
    assert_eq!(lab.delete(&path).status, 204);
    assert_eq!(lab.get(&path).status, 404);
    assert_eq!(lab.get(&format!("/users/{user}/memberOf")).json["value"], json!([]));

    let without = |name: &str| {
        let mut body = creation.clone();
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    let reply = lab.post("/groups", without("mailNickname"));
    assert_eq!(reply.message(), "A value is required for property 'mailNickname' of resource 'Group'.");
    let mut unified = creation.clone();
    unified["groupTypes"] = json!(["Unified"]);
    assert_eq!(lab.post("/groups", unified).status, 501);
    let mut stranger = creation.clone();
    stranger["members@odata.bind"] = json!([format!("{ROOT}/users/{}", UserId::from_u128(1))]);
    assert_eq!(lab.post("/groups", stranger).status, 404);
    assert_eq!(lab.get("/groups?$select=id").json["value"], json!([]), "all or nothing");
    let mut dynamic = without("members@odata.bind");
    dynamic["groupTypes"] = json!(["DynamicMembership"]);
    assert_eq!(lab.post("/groups", dynamic.clone()).status, 400, "a rule is missing");
    dynamic["membershipRule"] = json!("user.department -eq \"IT\"");
    assert_eq!(lab.post("/groups", dynamic).json["membershipRuleProcessingState"], "On");
}

#[test]
fn a_group_that_gives_licences_is_not_deleted() {
    let mut lab = Lab::new();
    let id = group(&mut lab, Membership::Assigned, true);
    let reply = lab.delete(&format!("/groups/{id}"));
    assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"));
    assert_eq!(lab.get(&format!("/groups/{id}")).status, 200);
}

#[test]
fn a_group_tells_in_which_groups_it_is() {
    let mut lab = Lab::new();
    let [outer, middle, inner] = [0; 3].map(|_| group(&mut lab, Membership::Assigned, false));
    lab.tenant.nest_group(lab.now, outer, middle);
    lab.tenant.nest_group(lab.now, middle, inner);
    assert_eq!(lab.get(&format!("/groups/{inner}/memberOf?$select=id")).ids(), [middle.to_string()]);
    let all = lab.get(&format!("/groups/{inner}/transitiveMemberOf/microsoft.graph.group?$select=id")).ids();
    assert_eq!(all.len(), 2);
    assert!(all.contains(&outer.to_string()) && all.contains(&middle.to_string()), "{all:?}");
    assert_eq!(lab.get(&format!("/groups/{outer}/memberOf")).json["value"], json!([]));
}

#[test]
fn a_group_joins_and_leaves_another_as_a_user_does() {
    let mut lab = Lab::new();
    let (outer, inner) =
        (group(&mut lab, Membership::Assigned, true), group(&mut lab, Membership::Assigned, false));
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    lab.tenant.add_member(lab.now, inner, user);
    let members = format!("/groups/{outer}/members");
    let reference = json!({"@odata.id": format!("{ROOT}/directoryObjects/{inner}")});
    assert_eq!(lab.post(&format!("{members}/$ref"), reference.clone()).status, 204);
    assert_eq!(lab.post(&format!("{members}/$ref"), reference).status, 400, "twice");
    assert_eq!(lab.get(&format!("{members}?$select=id")).ids(), [inner.to_string()]);
    let all = lab.get(&format!("/groups/{outer}/transitiveMembers?$select=id")).ids();
    assert_eq!(all, [user.to_string(), inner.to_string()]);
    lab.wait(Span::from_hours(1));
    assert_eq!(
        lab.tenant.seats(SPE_E3).map(|seats| seats.consumed),
        Some(0),
        "licences do not reach through"
    );
    assert_eq!(lab.delete(&format!("{members}/{inner}/$ref")).status, 204);
    assert_eq!(lab.delete(&format!("{members}/{inner}/$ref")).status, 404);
    assert_eq!(lab.get(&members).json["value"], json!([]));
}
