//! Subscriptions are optional: whatever answers the question about them, the observation is what it would be without.

use mailkeeper::clock::Clock as _;
use mailkeeper::model::{CapabilityStatus, Span};
use mailkeeper::sim::scenario::products::SPE_E3;
use mailkeeper::sim::subscriptions::Stage;
use mailkeeper::store::records::Subscriptions;

use super::lab::Lab;
use super::quirks::Quirks;

const SUBSCRIPTIONS: &str = "directory/subscriptions";

fn is_asked(lab: &Lab) -> bool {
    lab.odd.asked().iter().any(|path| path == SUBSCRIPTIONS)
}

#[tokio::test(start_paused = true)]
async fn no_answer_makes_an_observation_incomplete_and_none_is_asked_for_in_each_pass() {
    for status in [400, 403, 404, 429, 500, 501, 503] {
        let lab = Lab::new(40, 1);
        lab.odd.set(Quirks { subscriptions_status: Some(status), ..Quirks::default() });
        let mut asked = 0;
        for _ in 0..12 {
            let before = lab.clock.now();
            let observed = lab.believed().await;
            assert_eq!(observed.catalog.subscriptions(), None, "{status}");
            assert!(lab.clock.now() - before <= Span::from_minutes(11), "{status}: the pass waits too long");
            asked += u32::from(is_asked(&lab));
        }
        // Twelve passes are two hours.
        assert_eq!(asked, 2, "{status}");
        let state = lab.store.get::<Subscriptions>().expect("readable").expect("written");
        assert!(state.failure.is_some() && state.read_at.is_none(), "{status}: {state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_told_from_the_others_and_heals() {
    let lab = Lab::new(40, 1);
    lab.leave_permissions(&["User.Read.All", "LicenseAssignment.Read.All"]);
    assert_eq!(lab.believed().await.catalog.subscriptions(), None);
    lab.leave_permissions(&["User.Read.All", "LicenseAssignment.Read.All", "Organization.Read.All"]);
    lab.clock.sleep(Span::from_hours(1).to_duration()).await;
    let observed = lab.believed().await;
    assert!(observed.catalog.subscriptions().is_some_and(|list| !list.is_empty()));
    assert_eq!(lab.store.get::<Subscriptions>().expect("readable").expect("written").failure, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_believed_for_a_week_and_no_longer() {
    let lab = Lab::new(40, 1);
    lab.act(|tenant, now| tenant.set_subscription_stage(now, SPE_E3, Stage::Warning));
    let is_expiring = |observed: &mailkeeper::observe::Observed| {
        let mut list = observed.catalog.subscriptions()?.iter();
        Some(list.any(|one| one.sku == SPE_E3 && one.status == CapabilityStatus::Warning))
    };
    assert_eq!(is_expiring(&lab.believed().await), Some(true));
    lab.odd.set(Quirks { subscriptions_status: Some(403), ..Quirks::default() });
    lab.clock.sleep(Span::from_days(6).to_duration()).await;
    assert_eq!(is_expiring(&lab.believed().await), Some(true));
    lab.clock.sleep(Span::from_days(1).to_duration()).await;
    assert_eq!(is_expiring(&lab.believed().await), None);
}
