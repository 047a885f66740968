//! What deltas say of users who come and go.

use mailkeeper::model::{ObservationKind, Presence, ProblemKind, Taken};
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::switches::Switches;

use super::lab::{Lab, facts};

fn presence(lab: &Lab, user: mailkeeper::model::UserId) -> Option<Presence> {
    lab.store.user(user).expect("readable").map(|known| known.presence)
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_dated_by_the_recycle_bin_and_ends_with_the_restore() {
    for switches in [
        Switches::default(),
        Switches { delta_repeats_objects: true, delta_lists_deleted: true, ..Switches::default() },
    ] {
        let lab = Lab::new(60, 1);
        lab.act(|tenant, _| tenant.set_switches(switches.clone()));
        lab.believed().await;
        let person = lab.company.people[7].id;
        lab.act(|tenant, now| tenant.delete_user(now, person, DeletedFrom::Graph));
        let observed = lab.believed().await;
        assert_eq!(observed.observation.kind, ObservationKind::Delta);
        assert!(matches!(presence(&lab, person), Some(Presence::Deleted { .. })));
        assert_eq!((observed.observation.live_users, observed.observation.deleted_users), (59, 1));
        lab.act(|tenant, now| tenant.restore_user(now, person).expect("restored"));
        let observed = lab.believed().await;
        assert_eq!(presence(&lab, person), Some(Presence::Live));
        assert_eq!((observed.observation.live_users, observed.observation.deleted_users), (60, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_told_by_the_delta_or_by_looking_twice() {
    let lab = Lab::new(60, 2);
    lab.believed().await;
    let (live, deleted) = (lab.company.people[20].id, lab.company.people[21].id);
    lab.act(|tenant, now| tenant.delete_user(now, deleted, DeletedFrom::Graph));
    lab.believed().await;
    lab.act(|tenant, now| {
        tenant.hard_delete_user(now, live);
        tenant.hard_delete_user(now, deleted);
    });
    for _ in 0..3 {
        assert_eq!(lab.believed().await.observation.kind, ObservationKind::Delta);
    }
    for user in [live, deleted] {
        assert!(matches!(presence(&lab, user), None | Some(Presence::Gone { .. })), "{user}");
    }
    assert_eq!(facts(&lab.store), lab.truth().await);
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_removes_nearly_everybody_is_rejected_and_a_listing_decides() {
    let lab = Lab::new(400, 4);
    lab.believed().await;
    let singly =
        || lab.odd.asked().iter().filter(|path| path.starts_with("users/") && path.len() > 40).count();
    let people = || lab.company.people.iter().map(|person| person.id);
    lab.odd.remove_in_deltas(people().take(8));
    lab.odd.asked();
    assert_eq!(lab.believed().await.observation.kind, ObservationKind::Delta);
    assert!(singly() >= 8, "a few are looked at");
    lab.odd.remove_in_deltas(people().take(300));
    lab.odd.asked();
    let rejected = lab.pass().await;
    let kinds: Vec<ProblemKind> = rejected.observation.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::MassDisappearance], "{:?}", rejected.observation.problems);
    assert_eq!(singly(), 0, "nobody is asked about one by one");
    let listed = lab.believed().await;
    assert_eq!((listed.observation.kind, listed.observation.live_users), (ObservationKind::Full, 400));
    assert_eq!(facts(&lab.store), lab.truth().await);
}

#[tokio::test(start_paused = true)]
async fn an_address_taken_over_from_a_deleted_user_is_noticed() {
    let lab = Lab::new(60, 3);
    lab.believed().await;
    let original = lab.company.people[30].id;
    lab.act(|tenant, now| tenant.delete_user(now, original, DeletedFrom::Graph));
    assert!(lab.believed().await.surroundings.rivals.is_empty());
    let mut twin = None;
    lab.act(|tenant, now| twin = tenant.add_duplicate(now, original));
    let twin = twin.expect("the original is deleted");
    for _ in 0..3 {
        let observed = lab.believed().await;
        assert_eq!(observed.observation.kind, ObservationKind::Delta);
        let rivals = &observed.surroundings.rivals;
        assert_eq!((rivals[&twin].other, rivals[&original].other), (original, twin));
        let taken = &rivals[&original].taken;
        assert!(matches!(taken, Taken::Of { name: true, addresses } if !addresses.is_empty()), "{taken:?}");
    }
    let listed = lab.full_pass().await;
    assert_eq!(listed.observation.kind, ObservationKind::Full);
    assert_eq!(listed.surroundings.rivals[&twin].other, original);
    // The natural remedy: whoever took its place goes, and nothing is in the way any more.
    lab.act(|tenant, now| tenant.delete_user(now, twin, DeletedFrom::Graph));
    let observed = lab.believed().await;
    assert_eq!(observed.observation.kind, ObservationKind::Delta);
    assert!(observed.surroundings.rivals.is_empty(), "{:?}", observed.surroundings);
    lab.act(|tenant, now| tenant.hard_delete_user(now, twin));
    assert!(lab.believed().await.surroundings.rivals.is_empty());
    lab.act(|tenant, now| tenant.hard_delete_user(now, original));
    assert!(lab.believed().await.surroundings.rivals.is_empty());
}
