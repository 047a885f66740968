//! Faults that we plant ourselves, to see that the checker finds them, and by which promise. A checker that never
//! failed proves nothing.

use std::collections::BTreeSet;

use super::keeper::Sabotage;
use super::run::run;

/// Seeds that a planted fault gets to come to light.
const TRIALS: u64 = 16;

/// The promises that broke first, of the seeds until one breaks `promise`.
fn broken_until(sabotage: Sabotage, promise: &str) -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    for seed in 0..TRIALS {
        if let Err(failure) = run(seed, Some(sabotage), false) {
            broken.insert(failure.broken.promise);
        }
        if broken.contains(promise) {
            break;
        }
    }
    broken
}

/// `promise` breaks, and nothing before it but what `also` names.
fn check(sabotage: Sabotage, promise: &str, also: &[&str]) {
    let broken = broken_until(sabotage, promise);
    assert!(broken.contains(promise), "{sabotage:?} was not found by {promise}: {broken:?}");
    assert!(broken.iter().all(|found| found == promise || also.contains(&found.as_str())), "{broken:?}");
}

#[test]
fn a_policy_without_its_exclusions_breaks_safe_1() {
    // Who counts the wrong people as kept allows himself too large a share of them.
    check(Sabotage::PolicyIgnored, "SAFE-1", &["SAFE-2"]);
}

#[test]
fn an_intent_that_is_not_written_breaks_safe_3() {
    check(Sabotage::IntentLost, "SAFE-3", &[]);
}

#[test]
fn a_write_sent_twice_is_noticed() {
    check(Sabotage::RepeatsWrites, "REPEAT", &[]);
}

#[test]
fn never_acting_breaks_live_1() {
    // Where nobody could be saved, the plan that is never carried out is what remains.
    check(Sabotage::NeverActs, "LIVE-1", &["CONV-1"]);
}

/// A store that forgets everything at each crash costs time, and warnings come late; but what was decided stands in the
/// journal, so that nothing wrong is sent, nothing before its time, and nothing again while it works.
#[test]
fn a_flush_that_lies_breaks_no_promise_of_safety() {
    let broken: BTreeSet<String> = (0..TRIALS)
        .filter_map(|seed| run(seed, Some(Sabotage::FlushLies), false).err())
        .map(|failure| failure.broken.promise)
        .collect();
    assert!(broken.iter().all(|promise| promise.starts_with("LIVE-")), "{broken:?}");
}
