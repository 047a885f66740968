//! How many requests a pass makes: the cost of a pass is the cost of what changed.

use mailkeeper::model::ObservationKind;
use mailkeeper::sim::administrator::{NewUser, UserKind};
use mailkeeper::sim::scenario::products::SPE_E3;

use super::lab::{Lab, POLICY};

#[tokio::test(start_paused = true)]
async fn a_pass_in_which_nothing_changed_makes_three_requests() {
    let lab = Lab::new(300, 1);
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Full);
    lab.odd.asked();
    let observed = lab.believed().await;
    assert_eq!(observed.observation.kind, ObservationKind::Delta);
    assert_eq!(
        lab.odd.asked(),
        ["directory/deletedItems/microsoft.graph.user", "users/delta", "subscribedSkus"]
    );
    assert_eq!(observed.observation.live_users, lab.odd.inner.tenant().user_count() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_changes_are_five_pages_of_a_delta() {
    let lab = Lab::new(1_200, 2);
    lab.believed().await;
    for person in lab.company.people.iter().take(1_000) {
        lab.act(|tenant, now| tenant.set_employee_type(now, person.id, "moved"));
    }
    lab.odd.asked();
    lab.believed().await;
    assert!(lab.odd.asked().len() <= 9, "{:?}", lab.odd.asked());
}

#[tokio::test(start_paused = true)]
async fn licence_changes_are_read_again_twenty_to_a_request() {
    let lab = Lab::new(600, 3);
    lab.believed().await;
    let licensed: Vec<_> = lab
        .company
        .people
        .iter()
        .filter(|person| person.user.licences.iter().any(|(sku, _)| *sku == SPE_E3))
        .take(200)
        .map(|person| person.id)
        .collect();
    for user in &licensed {
        lab.act(|tenant, now| tenant.remove_licence(now, *user, SPE_E3).expect("a direct licence"));
    }
    lab.odd.asked();
    lab.believed().await;
    let asked = lab.odd.asked();
    assert_eq!(asked.iter().filter(|path| *path == "$batch").count(), 10, "{asked:?}");
    assert!(asked.len() <= 15, "{asked:?}");
    for user in licensed {
        let known = lab.store.user(user).expect("readable").expect("known");
        assert_eq!((known.user.licenses().len(), known.user.assignments.len()), (0, 0));
        assert!(known.loss.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn groups_are_asked_about_for_those_who_changed_and_listed_once_an_hour() {
    let policy = |company: &mailkeeper::sim::scenario::Company| {
        let excluded = format!(
            "protected:\n  - match: {{ group: {} }}\n    reason: administrators\nkeep:",
            company.administrators
        );
        POLICY.replace("keep:", &excluded)
    };
    let lab = Lab::with_policy(300, 4, policy);
    lab.believed().await;
    let person = lab.company.people[0].id;
    let other = lab.company.people[1].id;
    lab.act(|tenant, now| {
        tenant.add_member(now, lab.company.administrators, person);
        tenant.add_member(now, lab.company.administrators, other);
        tenant.set_employee_type(now, person, "promoted");
    });
    lab.odd.asked();
    lab.believed().await;
    let asked = lab.odd.asked();
    assert!(asked.contains(&format!("users/{person}/checkMemberGroups")), "{asked:?}");
    assert_eq!(asked.len(), 4);
    let holds = |user| {
        let known = lab.store.user(user).expect("readable").expect("known");
        known.groups.contains(&lab.company.administrators)
    };
    assert_eq!((holds(person), holds(other)), (true, false));
    for _ in 0..5 {
        lab.believed().await;
    }
    assert!(holds(person) && holds(other));
}

#[tokio::test(start_paused = true)]
async fn new_users_are_known_from_the_delta_alone() {
    let lab = Lab::new(100, 5);
    lab.believed().await;
    lab.act(|tenant, now| {
        tenant.add_user(now, NewUser::new("new@contoso.com", "New", UserKind::WithoutMailbox));
    });
    lab.odd.asked();
    let observed = lab.believed().await;
    assert_eq!(lab.odd.asked().len(), 3);
    assert_eq!(observed.observation.live_users, lab.odd.inner.tenant().user_count() as u64);
}

/// Measured by hand: `cargo test --release --test it observe::cost::measure -- --ignored --nocapture`; the number
/// of users is taken from `MAILKEEPER_SIM_USERS`.
#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn measure() {
    let users = std::env::var("MAILKEEPER_SIM_USERS").ok().and_then(|text| text.parse().ok());
    let users = users.unwrap_or(100_000);
    let lab = Lab::on_disk(users, 1);
    report("moved in", std::time::Duration::ZERO, &lab);
    for round in ["first listing", "no change"] {
        measured(round, &lab, false).await;
    }
    for changes in [100, 1_000] {
        for person in lab.company.people.iter().take(changes) {
            lab.act(|tenant, now| tenant.set_employee_type(now, person.id, &format!("changed {changes}")));
        }
        measured(&format!("{changes} changes"), &lab, false).await;
    }
    measured("full listing in parts", &lab, true).await;
}

async fn measured(what: &str, lab: &Lab, is_full_wanted: bool) {
    lab.odd.asked();
    let spent = lab.odd.spent();
    let started = std::time::Instant::now();
    let observed = lab.observe(&lab.store, is_full_wanted).await;
    assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
    let inside = lab.odd.spent() - spent;
    report(what, started.elapsed().saturating_sub(inside), lab);
}

/// The time without what the simulated tenant itself took.
fn report(what: &str, took: std::time::Duration, lab: &Lab) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    eprintln!(
        "{what}: {took:?}, {} requests, {} MB now, {} MB at most",
        lab.odd.asked().len(),
        memory("VmRSS"),
        memory("VmHWM")
    );
}
