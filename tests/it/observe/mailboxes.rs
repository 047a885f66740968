//! Questions to Exchange: what the answers change in what is known.

use mailkeeper::clock::Clock as _;
use mailkeeper::diff::{Finding, diff};
use mailkeeper::model::{Catalog, Cause, KnownUser, MailboxKind, Reason, Span, Surroundings, UserId};
use mailkeeper::observe;
use mailkeeper::policy::Policy;
use mailkeeper::sim::mailbox::MailboxKind as Kind;
use mailkeeper::sim::scenario::Role;

use super::lab::Lab;
use super::quirks::Quirks;

const SHARED: &str = "
version: 1
keep:
  - { name: shared, match: { mailbox: shared }, on_license_lost: act, on_deleted: act }
";

async fn pass(lab: &Lab, user: UserId) -> KnownUser {
    let mut observed = lab.believed().await;
    let asking = observe::mailboxes(&lab.client, &lab.store, &lab.policy, &mut observed, &*lab.clock);
    asking.await.expect("the store works");
    lab.store.user(user).expect("readable").expect("known")
}

#[tokio::test(start_paused = true)]
async fn a_shared_mailbox_that_turns_into_one_of_a_user_is_noticed_within_a_day() {
    let lab = Lab::new(60, 3);
    let shared = lab.company.of(Role::SharedMailbox).next().expect("a company has some").id;
    let before = pass(&lab, shared).await;
    assert_eq!((&before.mailbox.kind, &before.loss), (&Some(MailboxKind::Shared), &None));
    let asked = before.mailbox.last_probe.expect("it was asked about").at;

    lab.act(|tenant, now| tenant.set_mailbox_kind(now, shared, Kind::User));
    assert_eq!(pass(&lab, shared).await.loss, None, "it is not asked about in every pass");

    tokio::time::sleep(Span::from_hours(24).to_duration()).await;
    let after = pass(&lab, shared).await;
    assert_eq!(after.mailbox.kind, Some(MailboxKind::Shared), "its rule still knows it");
    let loss = after.loss.expect("it needs a licence now and has none");
    assert_eq!(loss.last_with, Some(asked), "the clock may have started right after the last answer");
    let still = pass(&lab, shared).await;
    assert_eq!(still.loss, Some(loss));
    let policy = Policy::parse("policy.yaml", SHARED).expect("a good policy");
    let finding = diff(&policy, &still, &Catalog::default(), &Surroundings::default(), lab.clock.now());
    let Finding::Drift(drift) = finding else { panic!("{finding:?}") };
    assert_eq!((drift.cause, drift.blocked), (Cause::KindChanged, Some(Reason::KindChanged)));
    assert_eq!(drift.clock.deadline, Some(asked + Span::from_days(30)));

    lab.act(|tenant, now| tenant.set_mailbox_kind(now, shared, Kind::Shared));
    tokio::time::sleep(Span::from_hours(24).to_duration()).await;
    assert_eq!(pass(&lab, shared).await.loss, None, "it was converted back");
}

/// A pass has other things to do, and the directory is asked in the meantime as ever.
#[tokio::test(start_paused = true)]
async fn a_busy_exchange_holds_nobody_up_for_long() {
    let lab = Lab::new(80, 5);
    lab.odd.set(Quirks { is_exchange_busy: true, ..Quirks::default() });
    let mut observed = lab.believed().await;
    for _ in 0..2 {
        let begun = lab.clock.monotonic();
        let asking = observe::mailboxes(&lab.client, &lab.store, &lab.policy, &mut observed, &*lab.clock);
        asking.await.expect("the store works");
        let taken = lab.clock.monotonic() - begun;
        assert!(taken <= std::time::Duration::from_secs(21), "{taken:?}");
        let begun = lab.clock.monotonic();
        assert!(lab.client.users_count().await.is_ok());
        assert!(
            lab.clock.monotonic() - begun < std::time::Duration::from_secs(1),
            "the directory is not busy"
        );
    }
    lab.odd.set(Quirks::default());
    tokio::time::sleep(Span::from_minutes(2).to_duration()).await;
    let asking = observe::mailboxes(&lab.client, &lab.store, &lab.policy, &mut observed, &*lab.clock);
    asking.await.expect("the store works");
    let mut known = 0;
    lab.store.for_each_user(|user| known += u32::from(user.mailbox.kind.is_some())).expect("readable");
    assert!(known > 50, "{known} are known once Exchange answers");
}
