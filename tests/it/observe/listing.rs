//! Full listings: in parts, under change, and on servers that cannot do it.

use std::collections::BTreeSet;

use mailkeeper::clock::Clock;
use mailkeeper::model::{ObservationKind, Presence, ProblemKind, UserId};
use mailkeeper::sim::administrator::{DeletedFrom, NewUser, UserKind};
use mailkeeper::sim::scenario::Role;
use mailkeeper::sim::scenario::products::SPE_E3;
use mailkeeper::store::records::Cursor;

use serde_json::{Value, json};

use super::lab::{Lab, facts};
use super::quirks::Quirks;

#[tokio::test(start_paused = true)]
async fn parts_and_whole_bring_the_same() {
    let lab = Lab::new(400, 1);
    lab.believed().await;
    let whole = facts(&lab.store);
    lab.odd.asked();
    let observed = lab.full_pass().await;
    assert_eq!(
        (observed.observation.kind, observed.observation.is_complete()),
        (ObservationKind::Full, true)
    );
    assert_eq!(lab.odd.asked().iter().filter(|path| *path == "users").count(), 38);
    assert_eq!(facts(&lab.store), whole);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_say_which_it_is_is_not_believed() {
    let lab = Lab::new(60, 41);
    lab.odd.set(Quirks { names_no_organization: true, ..Quirks::default() });
    let observation = lab.full_pass().await.observation;
    assert_eq!(observation.problems.first().map(|problem| problem.kind), Some(ProblemKind::Malformed));
    lab.odd.set(Quirks::default());
    lab.believed().await;
}

#[tokio::test(start_paused = true)]
async fn names_outside_the_usual_parts_stay_known() {
    let lab = Lab::new(100, 2);
    lab.act(|tenant, now| {
        for name in ["_backup", "!scanner", "'quoted"] {
            let user = NewUser::new(&format!("{name}@contoso.com"), name, UserKind::Shared);
            tenant.add_user(now, user);
        }
    });
    lab.believed().await;
    for _ in 0..3 {
        let observed = lab.full_pass().await;
        assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
        assert_eq!(observed.observation.live_users, lab.odd.inner.tenant().user_count() as u64);
    }
    assert_eq!(facts(&lab.store), lab.truth().await);
}

#[tokio::test(start_paused = true)]
async fn new_users_with_odd_names_are_found_by_a_listing_in_parts() {
    for refused in [None, Some(400), Some(501)] {
        let lab = Lab::new(300, 2);
        lab.believed().await;
        lab.odd.set(Quirks { advanced_status: refused, ..Quirks::default() });
        lab.act(|tenant, now| {
            tenant.reset_delta();
            for name in ["_backup", "!scanner", "#printer", "~old", "^up"] {
                let mut user = NewUser::new(&format!("{name}@contoso.com"), name, UserKind::Member);
                user.licences = vec![(SPE_E3, Vec::new())];
                tenant.add_user(now, user);
            }
        });
        let observed = lab.full_pass().await;
        assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
        assert_eq!(observed.observation.live_users, 305, "{refused:?}");
        assert_eq!(facts(&lab.store), lab.truth().await, "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_filters_is_asked_for_everybody_and_not_again_in_parts() {
    let odd = [
        Quirks { ignores_filters: true, ..Quirks::default() },
        Quirks { filter_status: Some(400), ..Quirks::default() },
        Quirks { filter_status: Some(501), ..Quirks::default() },
    ];
    for quirks in odd {
        let lab = Lab::new(300, 3);
        lab.odd.set(quirks);
        lab.believed().await;
        let observed = lab.full_pass().await;
        assert!(observed.observation.is_complete(), "{quirks:?} {:?}", observed.observation.problems);
        assert_eq!(facts(&lab.store), lab.truth().await, "{quirks:?}");
        lab.odd.asked();
        lab.full_pass().await;
        assert_eq!(lab.odd.asked().iter().filter(|path| *path == "users").count(), 1, "{quirks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_deltas_is_listed_in_every_pass() {
    for status in [400, 404, 405, 501] {
        let lab = Lab::new(60, 4);
        lab.odd.set(Quirks { delta_status: Some(status), ..Quirks::default() });
        for _ in 0..3 {
            let observed = lab.believed().await;
            assert_eq!(observed.observation.kind, ObservationKind::Full);
        }
        assert!(lab.store.get_or_default::<Cursor>().expect("readable").is_delta_missing);
        assert_eq!(facts(&lab.store), lab.truth().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_token_of_any_kind_leads_to_a_listing() {
    for status in [400, 404, 410] {
        let lab = Lab::new(60, 5);
        lab.believed().await;
        lab.odd.set(Quirks { token_status: Some(status), ..Quirks::default() });
        let observed = lab.believed().await;
        assert_eq!(observed.observation.kind, ObservationKind::Full, "{status}");
        lab.odd.set(Quirks::default());
        assert_eq!(lab.believed().await.observation.kind, ObservationKind::Delta, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_reset_or_is_a_week_old_leads_to_a_listing() {
    let lab = Lab::new(60, 6);
    lab.believed().await;
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Delta);
    lab.act(|tenant, _| tenant.reset_delta());
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Full);
    tokio::time::sleep(std::time::Duration::from_secs(8 * 86_400)).await;
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Full);
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Delta);
    assert_eq!(facts(&lab.store), lab.truth().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_batches_is_asked_singly() {
    let lab = Lab::new(200, 7);
    lab.odd.set(Quirks { batch_status: Some(404), ..Quirks::default() });
    lab.believed().await;
    let people: Vec<_> = lab.company.people.iter().map(|person| person.id).collect();
    for user in &people {
        lab.act(|tenant, now| {
            let _ = tenant.remove_licence(now, *user, mailkeeper::sim::scenario::products::SPE_E3);
        });
    }
    lab.believed().await;
    assert_eq!(facts(&lab.store), lab.truth().await);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_lost_many_users_is_not_believed() {
    let lab = Lab::new(300, 8);
    lab.believed().await;
    let before = facts(&lab.store);
    let gone: BTreeSet<_> = lab.company.people.iter().take(100).map(|person| person.id).collect();
    for user in &gone {
        lab.act(|tenant, now| tenant.hard_delete_user(now, *user));
    }
    let observed = lab.pass().await;
    assert!(!observed.observation.is_complete());
    assert_eq!(facts(&lab.store), before);
    let known = lab.store.user(*gone.first().expect("a user")).expect("readable").expect("known");
    assert_eq!(known.presence, Presence::Live);
    assert_eq!(lab.store.get_or_default::<Cursor>().expect("readable").delta_link, None);
}

const LICENSES: &str = "assignedLicenses";

/// One whose licences cannot be read, and one who loses a licence meanwhile: the second is found, the first waits.
#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_understood_hides_nobody_and_is_not_judged() {
    for (odd, is_told) in [(json!("SPE_E3"), true), (json!([7]), true), (Value::Null, false)] {
        let lab = Lab::new(60, 9);
        lab.believed().await;
        let mut staff = lab.company.people.iter().filter(|person| person.role == Role::Staff);
        let (unread, other) = (staff.next().expect("staff").id, staff.next().expect("more").id);
        let known = |user: UserId| lab.store.user(user).expect("readable").expect("known");
        lab.odd.garble([unread].into_iter(), LICENSES, odd.clone());
        for user in [unread, other] {
            lab.act(|tenant, now| tenant.remove_licence(now, user, SPE_E3).expect("had one"));
        }
        let delta = lab.believed().await;
        assert_eq!(delta.observation.kind, ObservationKind::Delta);
        assert_eq!((&known(unread).user.licenses, &known(unread).loss), (&None, &None), "{odd}");
        assert!(known(other).loss.is_some_and(|loss| loss.last_with.is_some()), "{odd}");
        let told = |problems: &[mailkeeper::model::Problem]| {
            problems.iter().any(|problem| problem.kind == ProblemKind::UserUnreadable)
        };
        assert_eq!(told(&delta.observation.problems), is_told, "{odd}: {:?}", delta.observation.problems);
        // Asked again as long as there is no answer, and told by the listings, too.
        assert!(lab.believed().await.observation.kind == ObservationKind::Delta);
        let listing = lab.full_pass().await.observation;
        assert!(listing.is_complete() && told(&listing.problems), "{odd}: {:?}", listing.problems);
        assert_eq!((listing.live_users, &known(unread).user.licenses), (60, &None));
        lab.believed().await;
        // When it was lost in all that time, nobody saw.
        lab.odd.garble(std::iter::empty(), LICENSES, Value::Null);
        lab.believed().await;
        assert!(known(unread).loss.is_some_and(|loss| loss.last_with.is_none()), "{odd}");
        assert_eq!(facts(&lab.store), lab.truth().await);
    }
}

/// In the recycle bin without a date: counted from the last sight, told, and no reason to see nothing at all.
#[tokio::test(start_paused = true)]
async fn a_deleted_user_without_a_date_is_deleted_all_the_same() {
    for odd in [Value::Null, json!("9999-12-31T23:59:59Z"), json!("soon")] {
        let lab = Lab::new(60, 11);
        lab.believed().await;
        let last_sight = lab.clock.now();
        let (gone, other) = (lab.company.people[7].id, lab.company.people[8].id);
        for user in [gone, other] {
            lab.act(|tenant, now| tenant.delete_user(now, user, DeletedFrom::Graph));
        }
        lab.odd.garble([gone].into_iter(), "deletedDateTime", odd.clone());
        let since = |user| match lab.store.user(user).expect("readable").expect("known").presence {
            Presence::Deleted { since } => since,
            presence => panic!("{odd}: {presence:?}"),
        };
        for _ in 0..2 {
            let delta = lab.believed().await.observation;
            assert!(
                delta.problems.iter().any(|problem| problem.kind == ProblemKind::UserUnreadable),
                "{odd}"
            );
            assert!(since(gone) <= last_sight && since(other) >= last_sight, "{odd}");
        }
        let listing = lab.full_pass().await.observation;
        assert!(listing.is_complete() && since(gone) <= last_sight, "{odd}: {listing:?}");
        assert_eq!((listing.live_users, listing.deleted_users), (58, 2), "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_are_not_understood_are_an_odd_server() {
    let lab = Lab::new(60, 10);
    lab.believed().await;
    let before = facts(&lab.store);
    lab.odd.garble(lab.company.people.iter().take(20).map(|person| person.id), LICENSES, json!("SPE_E3"));
    let observation = lab.full_pass().await.observation;
    let problem = observation.problems.first().expect("a problem");
    assert_eq!((observation.is_complete(), problem.kind), (false, ProblemKind::Malformed), "{problem:?}");
    assert_eq!(facts(&lab.store), before);
}
