//! Questions to the audit log: they are few, they name who did it, and nothing depends on an answer.

use mailkeeper::clock::Clock as _;
use mailkeeper::model::{ActorKind, AuditEvent, Span, UserId};
use mailkeeper::observe::{self, Observed};
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::scenario::products::SPE_E3;
use mailkeeper::store::records::Traces;

use super::lab::Lab;
use super::quirks::Quirks;

/// One pass that also asks the log, and the questions that it took.
async fn pass(lab: &Lab) -> (Observed, usize) {
    let observed = lab.believed().await;
    lab.odd.asked();
    let asking = observe::audit::ask(&lab.client, &lab.store, &lab.policy, &observed, &*lab.clock);
    asking.await.expect("the store works");
    (observed, lab.odd.asked().len())
}

fn told(lab: &Lab, user: UserId) -> Vec<AuditEvent> {
    observe::audit::recall(&lab.store).expect("readable").remove(&user).unwrap_or_default()
}

fn traces(lab: &Lab) -> Traces {
    lab.store.get_or_default::<Traces>().expect("readable")
}

/// Users with a direct licence and nothing else.
fn holders(lab: &Lab) -> Vec<UserId> {
    let holds = |user: &mailkeeper::sim::administrator::NewUser| matches!(&user.licences[..], [(sku, _)] if *sku == SPE_E3);
    lab.company.people.iter().filter(|person| holds(&person.user)).map(|person| person.id).collect()
}

fn unlicense(lab: &Lab, user: UserId) {
    lab.act(|tenant, now| tenant.remove_licence(now, user, SPE_E3).expect("held"));
}

#[tokio::test(start_paused = true)]
async fn whoever_took_a_licence_or_deleted_the_account_is_named_once_the_log_knows() {
    let lab = Lab::new(60, 1);
    assert_eq!(pass(&lab).await.1, 0, "nobody has lost anything");
    let [lost, deleted] = holders(&lab)[..2] else { panic!("two have a licence") };
    lab.clock.sleep(Span::from_minutes(8).to_duration()).await;
    unlicense(&lab, lost);
    lab.act(|tenant, now| tenant.delete_user(now, deleted, DeletedFrom::Graph));
    let at = lab.clock.now();
    // The log is minutes late, so the first answers tell nothing.
    let mut asked = 0;
    for _ in 0..3 {
        asked += pass(&lab).await.1;
    }
    assert!((2..=4).contains(&asked), "{asked}");
    let [event] = &told(&lab, lost)[..] else { panic!("{:?}", told(&lab, lost)) };
    assert_eq!((event.at, event.activity.as_str()), (at, "Change user license"));
    assert_eq!(event.removed, ["SPE_E3"]);
    let by = event.by.as_ref().expect("the administrator");
    assert_eq!((by.kind, by.name.as_str()), (ActorKind::User, "admin@contoso.com"));
    let [event] = &told(&lab, deleted)[..] else { panic!("{:?}", told(&lab, deleted)) };
    assert_eq!((event.at, event.activity.as_str()), (at, "Delete user"));

    // What was told is not asked again, and what is over is forgotten.
    assert_eq!(pass(&lab).await.1, 0);
    lab.act(|tenant, now| tenant.restore_user(now, deleted).expect("restored"));
    pass(&lab).await;
    assert_eq!(traces(&lab).users.keys().copied().collect::<Vec<_>>(), [lost]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_refused_is_replaced_by_a_simpler_one_once() {
    let lab = Lab::new(60, 1);
    pass(&lab).await;
    let holders = holders(&lab);
    lab.odd.set(Quirks { audit_time_status: Some(400), ..Quirks::default() });
    unlicense(&lab, holders[0]);
    assert_eq!(pass(&lab).await.1, 2);
    assert!(traces(&lab).is_plain && traces(&lab).failure.is_none());
    assert_eq!(told(&lab, holders[0]).len(), 1);
    unlicense(&lab, holders[1]);
    assert_eq!(pass(&lab).await.1, 1);
    assert_eq!(told(&lab, holders[1]).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_stops_nothing_and_is_left_alone_for_an_hour() {
    for status in [400, 403, 404, 429, 500, 501, 503] {
        let lab = Lab::new(60, 1);
        pass(&lab).await;
        lab.odd.set(Quirks { audit_status: Some(status), ..Quirks::default() });
        let user = holders(&lab)[0];
        unlicense(&lab, user);
        let before = lab.clock.now();
        assert!(pass(&lab).await.1 > 0, "{status}");
        assert!(lab.clock.now() - before <= Span::from_minutes(11), "{status}: the pass waits too long");
        assert!(traces(&lab).failure.is_some(), "{status}");
        assert_eq!(pass(&lab).await.1, 0, "{status}");
        lab.odd.set(Quirks::default());
        lab.clock.sleep(Span::from_hours(1).to_duration()).await;
        assert_eq!(pass(&lab).await.1, 1, "{status}");
        assert_eq!((traces(&lab).failure, told(&lab, user).len()), (None, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mass_event_is_asked_about_a_few_users_at_a_time() {
    let lab = Lab::new(1_500, 1);
    pass(&lab).await;
    let holders = holders(&lab);
    assert!(holders.len() > 520, "{}", holders.len());
    holders.iter().for_each(|user| unlicense(&lab, *user));
    for round in 1..=3 {
        assert_eq!(pass(&lab).await.1, 20, "round {round}");
        assert!(traces(&lab).users.len() == 500, "{}", traces(&lab).users.len());
    }
}
