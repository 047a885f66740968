//! `/users/delta`: rounds, tokens, annotations, and that replaying the feed ends in the true state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;

const DELTA: &str =
    "/users/delta?$select=id,userPrincipalName,accountEnabled,assignedLicenses,deletedDateTime";

impl Lab {
    /// One round from this link: all objects and the delta link.
    pub(super) fn round(&mut self, link: &str) -> (Vec<Value>, String) {
        let mut objects = Vec::new();
        let mut link = link.to_owned();
        loop {
            let reply = self.get(&link);
            assert_eq!(reply.status, 200, "{}", reply.json);
            objects.extend(reply.json["value"].as_array().expect("a page").iter().cloned());
            match (reply.json["@odata.nextLink"].as_str(), reply.json["@odata.deltaLink"].as_str()) {
                (Some(next), None) => link = next.to_owned(),
                (None, Some(delta)) => return (objects, delta.to_owned()),
                links => panic!("a page has one of the links, not {links:?}"),
            }
        }
    }
}

#[test]
fn a_first_round_lists_all_and_the_next_only_changes() {
    let mut lab = Lab::new();
    let users: Vec<UserId> =
        (0..450).map(|number| lab.add(&format!("u{number}"), UserKind::Shared, false)).collect();
    let (objects, link) = lab.round(DELTA);
    assert_eq!(objects.len(), 450);
    let (objects, link) = lab.round(&link);
    assert_eq!(objects, Vec::<Value>::new());
    lab.tenant.set_account_enabled(lab.now, users[3], false);
    let (objects, link) = lab.round(&link);
    assert_eq!(objects.len(), 1);
    assert_eq!((&objects[0]["id"], &objects[0]["accountEnabled"]), (&json!(users[3]), &json!(false)));
    assert_eq!(lab.round(&link).0, Vec::<Value>::new());
}

#[test]
fn all_spellings_and_latest_work() {
    let mut lab = Lab::new();
    lab.member("kari");
    for path in
        ["/users/delta", "/users/delta()", "/users/microsoft.graph.delta", "/users/microsoft.graph.delta()"]
    {
        assert_eq!(lab.round(path).0.len(), 1, "{path}");
    }
    let (objects, link) = lab.round("/users/delta?$deltatoken=latest&$select=id,department");
    assert_eq!(objects, Vec::<Value>::new());
    lab.member("ola");
    assert_eq!(lab.round(&link).0.len(), 1);
}

#[test]
fn deletion_restore_and_purge_are_told_apart() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let (_, link) = lab.round(DELTA);
    lab.tenant.delete_user(lab.now, user, DeletedFrom::Graph);
    let (objects, link) = lab.round(&link);
    assert_eq!(objects, [json!({"id": user, "@removed": {"reason": "changed"}})]);
    lab.tenant.restore_user(lab.now, user).expect("in the bin");
    let (objects, link) = lab.round(&link);
    assert!(objects[0].get("@removed").is_none() && objects[0]["userPrincipalName"] == "kari@contoso.com");
    lab.tenant.hard_delete_user(lab.now, user);
    let (objects, _) = lab.round(&link);
    assert_eq!(objects, [json!({"id": user, "@removed": {"reason": "deleted"}})]);
}

#[test]
fn a_restore_is_hidden_without_deleted_date_time_or_not() {
    for (hides, shown) in [(true, 0), (false, 1)] {
        let mut lab = Lab::with(Switches { delta_hides_restores: hides, ..Switches::default() });
        let user = lab.member("kari");
        lab.tenant.delete_user(lab.now, user, DeletedFrom::Graph);
        let (_, link) = lab.round("/users/delta?$deltatoken=latest&$select=id,mail");
        lab.tenant.restore_user(lab.now, user).expect("in the bin");
        assert_eq!(lab.round(&link).0.len(), shown);
    }
}

#[test]
fn only_selected_properties_count_and_assignment_states_never() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let (_, departments) = lab.round("/users/delta?$select=department");
    let (_, states) = lab.round("/users/delta?$select=licenseAssignmentStates");
    let (_, everything) = lab.round("/users/delta");
    lab.tenant.set_account_enabled(lab.now, user, false);
    assert_eq!(lab.round(&departments).0.len(), 0);
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
    assert_eq!(lab.round(&states).0.len(), 0);
    let (objects, _) = lab.round(&everything);
    assert_eq!((objects.len(), &objects[0]["assignedLicenses"]), (1, &json!([])));
}

#[test]
fn unset_properties_are_left_out_and_cleared_ones_null() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let (objects, link) = lab.round("/users/delta?$select=id,department,usageLocation");
    assert!(objects[0].get("department").is_none() && objects[0]["usageLocation"] == "NO");
    lab.tenant.set_usage_location(lab.now, user, None);
    let (objects, _) = lab.round(&link);
    assert_eq!(objects[0], json!({"id": user, "usageLocation": null}));
}

#[test]
fn minimal_returns_only_what_changed() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let (_, link) = lab.round(DELTA);
    lab.tenant.set_account_enabled(lab.now, user, false);
    let request = lab.request(Method::Get, &link).with_header("Prefer", "return=minimal");
    assert_eq!(lab.send(request).json["value"], json!([{"id": user, "accountEnabled": false}]));
    assert_eq!(lab.round(&link).0[0]["userPrincipalName"], "kari@contoso.com");
}

#[test]
fn the_bin_is_in_the_first_round_or_not() {
    for lists in [true, false] {
        let mut lab = Lab::with(Switches { delta_lists_deleted: lists, ..Switches::default() });
        let gone = lab.member("gone");
        lab.member("here");
        lab.tenant.delete_user(lab.now, gone, DeletedFrom::Graph);
        let removed = lab.round(DELTA).0.iter().filter(|object| object.get("@removed").is_some()).count();
        assert_eq!(removed, usize::from(lists));
    }
}

#[test]
fn tokens_die_after_seven_days_and_at_a_reset() {
    for status in [400, 404, 410] {
        let mut lab = Lab::with(Switches { delta_expired_status: status, ..Switches::default() });
        lab.member("kari");
        let (_, link) = lab.round(DELTA);
        lab.wait(Span::from_days(7));
        let (_, link) = lab.round(&link);
        lab.wait(Span::from_days(7));
        lab.wait(Span::from_secs(1));
        let reply = lab.get(&link);
        assert_eq!((reply.status, reply.code()), (status, "syncStateNotFound"));
        assert_eq!(reply.response.header("location").is_some(), status == 410);
    }
    let mut lab = Lab::new();
    lab.member("kari");
    let (_, link) = lab.round(DELTA);
    lab.tenant.reset_delta();
    let reply = lab.get(&link);
    let location = reply.response.header("location").expect("where to start again").to_owned();
    assert_eq!(
        (reply.status, location.as_str()),
        (410, "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=")
    );
    assert_eq!(lab.round(&location).0.len(), 1);
}

#[test]
fn options_that_delta_does_not_know_are_refused() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.member("ola");
    for query in ["$top=5", "$orderby=id", "$expand=manager", "$filter=accountEnabled eq true"] {
        assert_eq!(lab.get(&format!("/users/delta?{query}")).code(), "Request_UnsupportedQuery", "{query}");
    }
    let (objects, _) = lab.round(&format!("/users/delta?$select=id&$filter=id eq '{user}'"));
    assert_eq!(objects, [json!({"id": user})]);
    let many = vec![format!("id eq '{user}'"); 51].join(" or ");
    assert_eq!(lab.get(&format!("/users/delta?$filter={many}")).status, 400);
    assert_eq!(lab.get("/users/delta?$deltatoken=nonsense").status, 400);
}

#[test]
fn changes_during_a_first_round_are_in_the_next() {
    let mut lab = Lab::new();
    let users: Vec<UserId> =
        (0..300).map(|number| lab.add(&format!("u{number}"), UserKind::Shared, false)).collect();
    let first = lab.get(DELTA);
    let shown = first.ids();
    for user in &users {
        lab.tenant.set_account_enabled(lab.now, *user, false);
    }
    let (rest, link) = lab.round(first.json["@odata.nextLink"].as_str().expect("more"));
    assert_eq!(shown.len() + rest.len(), 300);
    assert_eq!(lab.round(&link).0.len(), 300);
}

#[derive(Debug, Clone)]
enum Step {
    Add,
    Delete(prop::sample::Index),
    Restore(prop::sample::Index),
    Purge(prop::sample::Index),
    Toggle(prop::sample::Index, bool),
    Unlicense(prop::sample::Index),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => Just(Step::Add),
        1 => index().prop_map(Step::Delete),
        1 => index().prop_map(Step::Restore),
        1 => index().prop_map(Step::Purge),
        2 => (index(), any::<bool>()).prop_map(|(user, is_enabled)| Step::Toggle(user, is_enabled)),
        1 => index().prop_map(Step::Unlicense),
        2 => Just(Step::Read),
    ]
}

/// What a reader of the feed holds.
fn replay(known: &mut BTreeMap<String, Value>, objects: Vec<Value>) {
    for object in objects {
        let id = object["id"].as_str().expect("an id").to_owned();
        if object.get("@removed").is_some() {
            known.remove(&id);
        } else {
            let entry = known.entry(id).or_insert_with(|| json!({}));
            for (name, value) in object.as_object().expect("an object") {
                entry[name] = value.clone();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replaying_the_feed_ends_in_the_true_state(steps in prop::collection::vec(step(), 1..60), repeats in any::<bool>()) {
        let mut lab = Lab::with(Switches { delta_repeats_objects: repeats, ..Switches::default() });
        let mut users = vec![lab.member("first")];
        let (objects, mut link) = lab.round(DELTA);
        let mut known = BTreeMap::new();
        replay(&mut known, objects);
        for step in steps {
            lab.wait(Span::from_minutes(7));
            let now = lab.now;
            match step {
                Step::Add => users.push(lab.add(&format!("u{}", users.len()), UserKind::Member, true)),
                Step::Delete(index) => lab.tenant.delete_user(now, *index.get(&users), DeletedFrom::Graph),
                Step::Restore(index) => drop(lab.tenant.restore_user(now, *index.get(&users))),
                Step::Purge(index) => lab.tenant.hard_delete_user(now, *index.get(&users)),
                Step::Toggle(index, is_enabled) => lab.tenant.set_account_enabled(now, *index.get(&users), is_enabled),
                Step::Unlicense(index) => drop(lab.tenant.remove_licence(now, *index.get(&users), SPE_E3)),
                Step::Read => {
                    let (objects, next) = lab.round(&link);
                    replay(&mut known, objects);
                    link = next;
                }
            }
        }
        let (objects, _) = lab.round(&link);
        replay(&mut known, objects);
        let select = DELTA.split_once('?').expect("a query").1;
        let listed = lab.walk(&format!("/users?{select}"));
        let live: BTreeSet<&str> = listed.iter().map(|user| user["id"].as_str().expect("an id")).collect();
        prop_assert_eq!(live, known.keys().map(String::as_str).collect::<BTreeSet<_>>());
        let licensed = listed.iter().filter(|user| user["assignedLicenses"] != json!([])).count();
        prop_assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed as usize), Some(licensed));
        for user in &listed {
            let held = &known[user["id"].as_str().expect("an id")];
            for name in ["userPrincipalName", "accountEnabled", "assignedLicenses"] {
                prop_assert_eq!(&held[name], &user[name], "{} of {}", name, user["id"]);
            }
        }
    }
}

#[test]
fn a_delta_may_name_the_manager() {
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let (objects, link) = lab.round("/users/delta?$select=id,displayName,manager");
    assert_eq!(objects, [json!({"id": user, "displayName": "kari"})]);
    lab.patch(&format!("/users/{user}"), json!({"displayName": "Kari"}));
    assert_eq!(lab.round(&link).0, [json!({"id": user, "displayName": "Kari"})]);
    assert_eq!(lab.get("/users/delta?$select=manager").status, 200);
    assert_eq!(lab.get("/users/delta?$select=directReports").status, 400);
}
