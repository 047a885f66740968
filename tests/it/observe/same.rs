//! The property: listings in parts with the delta after them, and histories of deltas alone, come to what a new
//! installation would see once everything stands still. Whatever happens meanwhile, and on whatever network.

use mailkeeper::clock::Clock;
use mailkeeper::model::ObservationKind;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::rng::Rng;

use super::lab::{Lab, PASS, POLICY, facts, something_happens};

/// Histories of each property; `MAILKEEPER_SIM_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("MAILKEEPER_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// The state stands still, the network is healed: after the lag of the oldest replica and two passes everything is
/// known.
async fn settle(lab: &Lab) {
    lab.odd.settle();
    lab.odd.inner.faults().heal();
    lab.clock.sleep(PASS.to_duration()).await;
    for _ in 0..3 {
        lab.believed().await;
    }
}

async fn assert_same(lab: &Lab, what: &str) {
    let (mut known, mut truth) = (facts(&lab.store), lab.truth().await);
    let extra: Vec<_> = known.iter().filter(|(user, _)| !truth.contains_key(user)).collect();
    let lacking: Vec<_> = truth.iter().filter(|(user, _)| !known.contains_key(user)).collect();
    assert!(extra.is_empty() && lacking.is_empty(), "{what}: too many {extra:?}, too few {lacking:?}");
    while let (Some((user, known)), Some((_, truth))) = (known.pop_first(), truth.pop_first()) {
        assert_eq!(known, truth, "{what}, user {user}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_in_parts_under_change_comes_to_the_state_at_rest() {
    for seed in 0..seeds() {
        let lab = Lab::new(150, seed);
        lab.believed().await;
        let faults = if seed % 3 == 0 { Faults::none() } else { Faults::swarm(seed) };
        *lab.odd.inner.faults() = faults;
        let (company, mut rng) = (lab.company.clone(), Rng::stream(seed, "meanwhile"));
        lab.odd.meanwhile(move |transport, _| something_happens(&company, transport, &mut rng));
        lab.full_pass().await;
        settle(&lab).await;
        assert_same(&lab, &format!("seed {seed}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn deltas_alone_come_to_what_a_listing_shows() {
    for seed in 0..seeds() {
        let policy = |company: &mailkeeper::sim::scenario::Company| {
            POLICY.replace(
                "match: { user_type: member }",
                &format!(
                    "match: {{ any: [{{ group: {} }}, {{ user_type: member }}] }}",
                    company.licensing_group
                ),
            )
        };
        let lab = Lab::with_policy(120, seed, policy);
        lab.believed().await;
        if seed % 3 != 0 {
            *lab.odd.inner.faults() = Faults::swarm(seed);
        }
        let mut rng = Rng::stream(seed, "history");
        for _ in 0..12 {
            for _ in 0..rng.below(12) {
                something_happens(&lab.company, &lab.odd.inner, &mut rng);
            }
            lab.pass().await;
        }
        settle(&lab).await;
        // Memberships of users who did not change are listed once an hour.
        lab.clock.sleep(std::time::Duration::from_secs(3_600)).await;
        let last = lab.believed().await;
        assert!(seed % 3 != 0 || last.observation.kind == ObservationKind::Delta);
        assert_eq!(last.observation.live_users, lab.odd.inner.tenant().user_count() as u64, "seed {seed}");
        assert_same(&lab, &format!("seed {seed}")).await;
    }
}
