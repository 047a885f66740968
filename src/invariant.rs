//! The promises of mailkeeper, each with an id, a sentence, a check and a count.
//!
//! A broken promise panics in debug builds, so that tests and simulations stop at it. In release builds it is counted
//! (`mailkeeper_invariant_violations_total`), and the caller stops acting: [`holds`] returns whether it held.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! invariants {
    ($($name:ident = $label:literal, $sentence:literal;)+) => {
        /// One promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum InvariantId {
            $(#[doc = $sentence] $name,)+
        }

        impl InvariantId {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// `SAFE-1`, ...
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

invariants! {
    Safe1 = "SAFE-1", "nothing is sent for a user that no keep rule names, or that an offboarded or protected entry names";
    Safe2 = "SAFE-2", "never more steps per pass, per day or as a share than the limits; also when an approval is executed";
    Safe3 = "SAFE-3", "an intent is durable before its request is sent";
    Safe4 = "SAFE-4", "an incomplete or implausible observation never causes a step; unreadable is not absent";
    Safe5 = "SAFE-5", "our assignments never exceed free seats less the reserve";
    Safe6 = "SAFE-6", "nothing is sent in observe mode or while held";
    Safe7 = "SAFE-7", "fixed is only said after an observation later than the action";
    Safe8 = "SAFE-8", "nobody is created, purged, unlicensed or disabled, and no service plan that a person turned off is turned on except the Exchange plan that the policy asks for";
    Live1 = "LIVE-1", "once faults stop, every drift that can be repaired is repaired within a bounded number of passes";
    Live2 = "LIVE-2", "no mailbox that could have been kept is lost without having been alerted on before";
    Live3 = "LIVE-3", "every drift without a step has a reason";
    Conv1 = "CONV-1", "a second pass over a healed tenant plans nothing";
}

static VIOLATIONS: [AtomicU64; InvariantId::ALL.len()] =
    [const { AtomicU64::new(0) }; InvariantId::ALL.len()];

/// Records a violation when `held` is false and returns `held`.
///
/// # Panics
/// In debug builds, when `held` is false.
#[track_caller]
pub fn holds(id: InvariantId, held: bool, detail: impl FnOnce() -> String) -> bool {
    if !held {
        VIOLATIONS[id as usize].fetch_add(1, Ordering::Relaxed);
        let detail = detail();
        tracing::error!(invariant.id = id.label(), detail, "an invariant is broken");
        if cfg!(debug_assertions) {
            panic!("{} is broken ({}): {detail}", id.label(), id.sentence());
        }
    }
    held
}

/// How often the promise was broken since the process started.
pub fn violations(id: InvariantId) -> u64 {
    VIOLATIONS[id as usize].load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_promise_costs_nothing() {
        assert!(holds(InvariantId::Conv1, true, || unreachable!(
            "the detail is only built when it is needed"
        )));
    }

    #[test]
    #[should_panic(expected = "CONV-1 is broken")]
    fn a_broken_promise_stops_a_debug_build() {
        holds(InvariantId::Conv1, false, || "for the test".to_owned());
    }
}
