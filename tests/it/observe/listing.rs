//! Full listings: in parts, under change, and on servers that cannot do it.

use std::collections::BTreeSet;

use mailkeeper::model::{ObservationKind, Presence};
use mailkeeper::sim::administrator::{NewUser, UserKind};
use mailkeeper::store::records::Cursor;

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
    assert_eq!(lab.odd.asked().iter().filter(|path| *path == "users").count(), 37);
    assert_eq!(facts(&lab.store), whole);
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
