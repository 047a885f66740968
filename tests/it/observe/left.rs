//! Groups that answer oddly: lists of members that come empty, what they give not at all.

use mailkeeper::clock::Clock;
use mailkeeper::model::{GroupId, ObservationKind, Span, UserId};
use mailkeeper::sim::scenario::Role;

use super::lab::{Lab, POLICY};
use super::quirks::Quirks;

fn is_member(lab: &Lab, user: UserId, group: GroupId) -> bool {
    let known = lab.store.user(user).expect("readable").expect("known");
    assert!(known.groups_read.contains(&group), "it was asked");
    known.groups.contains(&group)
}

#[tokio::test(start_paused = true)]
async fn who_left_by_the_list_alone_has_not_left() {
    let by_group = |group: GroupId| {
        format!("{POLICY}protected:\n  - {{ match: {{ group: \"{group}\" }}, reason: R }}\n")
    };
    let lab = Lab::with_policy(60, 40, |company| by_group(company.executives));
    let group = lab.company.executives;
    let mut executives = lab.company.of(Role::Executive).map(|person| person.id);
    let (stays, leaves) = (executives.next().expect("one"), executives.next().expect("two"));
    lab.believed().await;
    assert!(is_member(&lab, stays, group) && is_member(&lab, leaves, group));
    lab.odd.set(Quirks { lists_no_members: true, ..Quirks::default() });
    let mut kinds = Vec::new();
    for number in 0..4 {
        if number == 2 {
            // All groups are listed once an hour.
            lab.clock.sleep(Span::from_hours(2).to_duration()).await;
        }
        let observed = if number == 3 { lab.full_pass().await } else { lab.believed().await };
        kinds.push(observed.observation.kind);
        assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
        assert!(is_member(&lab, stays, group) && is_member(&lab, leaves, group), "pass {number}");
    }
    assert_eq!(kinds.iter().filter(|kind| **kind == ObservationKind::Full).count(), 1);
    // Who really left has left, also by an empty list.
    lab.act(|tenant, now| tenant.remove_member(now, group, leaves));
    for _ in 0..2 {
        lab.believed().await;
    }
    assert!(is_member(&lab, stays, group) && !is_member(&lab, leaves, group));
    lab.odd.set(Quirks::default());
    lab.believed().await;
    assert!(is_member(&lab, stays, group) && !is_member(&lab, leaves, group));
}

#[tokio::test(start_paused = true)]
async fn one_odd_answer_makes_nobody_leave() {
    let by_group = |group: GroupId| {
        format!("{POLICY}protected:\n  - {{ match: {{ group: \"{group}\" }}, reason: R }}\n")
    };
    let lab = Lab::with_policy(60, 40, |company| by_group(company.executives));
    let group = lab.company.executives;
    let mut executives: Vec<UserId> = lab.company.of(Role::Executive).map(|person| person.id).collect();
    executives.sort_unstable();
    lab.believed().await;
    assert!(executives.len() > 1 && executives.iter().all(|user| is_member(&lab, *user, group)));
    let odd_member = Some(executives[0]);
    lab.odd.set(Quirks { lists_no_members: true, odd_member, ..Quirks::default() });
    lab.believed().await;
    assert!(executives.iter().all(|user| is_member(&lab, *user, group)));
}

/// Nobody can be asked about: the lists are believed where a rule needs them, and not where an exclusion does.
#[tokio::test(start_paused = true)]
async fn nobody_leaves_an_exclusion_without_an_answer() {
    for is_exclusion in [true, false] {
        let lab = Lab::with_policy(60, 40, |company| {
            let group = company.executives;
            match is_exclusion {
                true => {
                    format!("{POLICY}offboarded:\n  - {{ match: {{ group: \"{group}\" }}, reason: R }}\n")
                }
                false => POLICY.replace("user_type: member", &format!("group: \"{group}\"")),
            }
        });
        let group = lab.company.executives;
        let mut executives = lab.company.of(Role::Executive).map(|person| person.id);
        let alone = executives.next().expect("one");
        executives.for_each(|user| lab.act(|tenant, now| tenant.remove_member(now, group, user)));
        lab.believed().await;
        assert!(is_member(&lab, alone, group));
        lab.odd.set(Quirks { lists_no_members: true, odd_member: Some(alone), ..Quirks::default() });
        lab.believed().await;
        assert_eq!(is_member(&lab, alone, group), is_exclusion);
    }
}

#[tokio::test(start_paused = true)]
async fn licensing_groups_that_do_not_answer_keep_no_pass_waiting() {
    let lab = Lab::with_policy(60, 40, |company| {
        let by_group = |group: GroupId, number: u32| {
            format!(
                "  - {{ name: g{number}, match: {{ group: \"{group}\" }}, licenses: [SPE_E3], assign: {{ group: {group} }} }}\n"
            )
        };
        let rules = [company.executives, company.administrators];
        let rules: String =
            rules.into_iter().zip(1..).map(|(group, number)| by_group(group, number)).collect();
        POLICY.replace("keep:\n", &format!("keep:\n{rules}"))
    });
    lab.odd.set(Quirks { group_status: Some(500), ..Quirks::default() });
    let started = tokio::time::Instant::now();
    let observed = lab.observe(&lab.store, false).await;
    assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
    assert!(started.elapsed() < std::time::Duration::from_secs(25), "{:?}", started.elapsed());
}
