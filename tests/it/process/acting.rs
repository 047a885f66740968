//! `apply`, and everything that keeps it from acting.

use std::collections::BTreeSet;

use mailkeeper::model::UserId;
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::mailbox::MailboxKind;
use mailkeeper::sim::scenario::{Role, products};
use serde_json::Value;

use crate::site::{Ran, Site, now};

#[test]
fn a_licence_returns_after_the_second_observation_without_what_was_switched_off() {
    let site = Site::observed();
    let users = site.unlicense(3);
    let without_teams: BTreeSet<UserId> = site
        .company
        .of(Role::Staff)
        .filter(|person| person.user.licences.iter().any(|(_, off)| off.contains(&products::TEAMS1)))
        .map(|person| person.id)
        .collect();
    let extra = *without_teams.iter().find(|user| !users.contains(user)).expect("one in ten has no Teams");
    site.tenant().remove_licence(now(), extra, products::SPE_E3).expect("the licence is held directly");

    let first = site.run(&["apply"]);
    assert_eq!(first.code, Some(0), "{first}");
    assert!(site.writes().is_empty(), "acted on a single observation: {first}");
    assert!(first.stdout.contains("a second observation must confirm it"), "{first}");

    let second = site.run(&["apply", "--output", "json"]);
    assert_eq!(second.code, Some(0), "{second}");
    let expected: BTreeSet<UserId> = users.iter().copied().chain([extra]).collect();
    assert_eq!(site.licensed(), expected);
    for write in site.writes() {
        let body: Value = serde_json::from_str(&write.body).expect("the body is JSON");
        let added = &body["addLicenses"][0];
        assert_eq!(added["skuId"], products::SPE_E3.to_string(), "{body}");
        assert_eq!(body["removeLicenses"], Value::Array(Vec::new()), "nothing is ever taken: {body}");
        let has_teams_off = added["disabledPlans"].to_string().contains(&products::TEAMS1.to_string());
        let user = write.user.expect("a licence is assigned to a user");
        assert_eq!(has_teams_off, without_teams.contains(&user), "{user}: {body}");
    }

    let third = site.run(&["apply"]);
    assert_eq!(third.code, Some(0), "{third}");
    assert_eq!(site.writes().len(), expected.len(), "a healed tenant needs nothing more: {third}");
}

#[test]
fn the_last_seats_are_given_out_over_several_passes() {
    let site = Site::new();
    site.set_policy(&site.policy().replace("per_pass: 25", "per_pass: 4"));
    let site = site.with_observation();
    let users = site.unlicense(8);
    let used = site.tenant().seats(products::SPE_E3).expect("it was bought").consumed;
    site.tenant().set_seats(now(), products::SPE_E3, used + 8);
    let spare = site.tenant().seats(products::EXCHANGESTANDARD).expect("it was bought").consumed;
    site.tenant().set_seats(now(), products::EXCHANGESTANDARD, spare);
    for expected in [0, 4, 8] {
        let ran = site.run(&["apply"]);
        assert_eq!((ran.code, site.writes().len()), (Some(0), expected), "{ran}");
    }
    assert_eq!(site.licensed(), users.into_iter().collect());
}

#[test]
fn a_deleted_user_and_a_deleted_shared_mailbox_are_restored() {
    let site = Site::observed();
    let in_the_cloud = |role| {
        let person = site.company.of(role).find(|person| !person.user.on_premises_synced);
        person.expect("somebody is not synchronised").id
    };
    let deleted = [in_the_cloud(Role::Staff), in_the_cloud(Role::SharedMailbox)];
    let synchronised = site.company.of(Role::Staff).find(|person| person.user.on_premises_synced);
    let synchronised = synchronised.expect("one in four is synchronised").id;
    for user in deleted.iter().copied().chain([synchronised]) {
        site.tenant().delete_user(now(), user, DeletedFrom::Graph);
    }
    for _ in 0..2 {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    for user in deleted {
        assert!(site.tenant().is_live(user), "{user} is not back: {:#?}", site.writes());
    }
    assert!(!site.tenant().is_live(synchronised), "a synchronised user is repaired at its source");
    assert_eq!(site.writes().len(), deleted.len(), "{:#?}", site.writes());
}

#[test]
fn whom_the_policy_does_not_keep_is_never_touched() {
    let site = Site::observed();
    let outsiders: Vec<UserId> = [Role::Leaver, Role::Administrator]
        .map(|role| site.company.of(role).next().expect("exists").id)
        .into();
    for user in &outsiders {
        site.tenant().remove_licence(now(), *user, products::SPE_E3).expect("the licence is held directly");
    }
    for _ in 0..3 {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    assert!(site.writes().is_empty(), "{:#?}", site.writes());
}

#[test]
fn observe_mode_refuses_and_says_why() {
    let site = ready_to_act();
    site.set_mode("observe");
    refuses(&site, &["apply"], "mode is observe");
    let planned = site.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(planned.code, Some(2), "there are steps: {planned}");
    assert!(site.writes().is_empty());
}

#[test]
fn only_the_reviewed_plan_is_applied() {
    let site = ready_to_act();
    let reviewed = digest(&site.run(&["plan"]));
    refuses(&site, &["apply", "--digest", "0123456789ab"], "the plan has changed");
    let ran = site.run(&["apply", "--digest", &reviewed]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(site.writes().len(), 2);
}

#[test]
fn while_held_nothing_is_sent() {
    let site = ready_to_act();
    let held = site.run(&["hold", "--for", "4h", "people are moving groups"]);
    assert_eq!(held.code, Some(0), "{held}");
    refuses(&site, &["apply"], "on hold");
    let resumed = site.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(site.writes().len(), 2);
    let journal = site.run(&["history"]).stdout;
    for event in [
        "put on hold by",
        "people are moving groups",
        "resumed by",
        "asks Microsoft to",
        "accepted the request",
    ] {
        assert!(journal.contains(event), "{event} is not in the journal:\n{journal}");
    }
}

#[test]
fn a_backup_goes_into_an_empty_state_only() {
    let site = ready_to_act();
    let file = site.path("state.backup");
    let file = file.to_str().expect("the path is UTF-8");
    assert_eq!(site.run(&["backup", file]).code, Some(0));
    assert_eq!(site.run(&["restore-state", file]).code, Some(1), "the state is not empty");
    std::fs::rename(site.path("state"), site.path("lost")).expect("nobody has it open");
    let restored = site.run(&["restore-state", file]);
    assert_eq!(restored.code, Some(0), "{restored}");
    // The drifts are known with their age: the next observation is enough to act.
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(site.writes().len(), 2, "{ran}");
}

/// Two users of the staff lost their licence and were seen so once.
fn ready_to_act() -> Site {
    let site = Site::observed();
    site.unlicense(2);
    let seen = site.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(seen.code, Some(0), "seen once: {seen}");
    site
}

fn refuses(site: &Site, command: &[&str], why: &str) {
    let ran = site.run(command);
    assert_eq!(ran.code, Some(1), "{command:?}: {ran}");
    assert!(ran.stdout.contains("nothing was sent") && ran.stdout.contains(why), "{why:?}: {ran}");
    assert!(site.writes().is_empty(), "{command:?}");
}

/// As the last line of `plan` names it.
fn digest(plan: &Ran) -> String {
    let named = plan.stdout.split("Plan ").nth(1).and_then(|rest| rest.split(',').next());
    named.unwrap_or_else(|| panic!("no digest: {plan}")).to_owned()
}

#[test]
fn a_mailbox_that_was_converted_to_a_shared_one_may_lose_its_licence() {
    let site = Site::observed();
    let user = site.staff().next().expect("the company has staff");
    site.tenant().set_mailbox_kind(now(), user, MailboxKind::Shared);
    site.tenant().remove_licence(now(), user, products::SPE_E3).expect("it is a direct licence");
    for _ in 0..3 {
        let ran = site.run(&["apply"]);
        assert_eq!((ran.code, site.writes().len()), (Some(0), 0), "{ran}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_wrong_configuration() {
    let site = Site::observed();
    site.unlicense(1);
    for policy in ["", "version: 1\n", "version: 1\nkeep: [staff\n"] {
        site.set_policy(policy);
        for command in ["plan", "apply"] {
            let ran = site.run(&[command]);
            assert_eq!(ran.code, Some(64), "{command} with {policy:?}: {ran}");
        }
    }
    assert!(site.writes().is_empty());
}
