//! What was tried for one user: kept from the first sight of a drift until long after its repair.

use serde::{Deserialize, Serialize};

use super::{Action, DriftKind, Outcome, OutcomeKind, Timestamp, Verdict};

/// The ledger entry of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub drift: DriftKind,
    pub first_seen: Timestamp,
    /// In how many complete observations the drift stood, without interruption.
    pub sightings: u32,
    pub attempts: Vec<Attempt>,
    /// A request whose effect was not observed yet.
    pub pending: Option<Pending>,
    pub next_attempt: Option<Timestamp>,
    /// When our repairs were proved, newest last: a drift that follows one is a flap.
    pub repaired: Vec<Timestamp>,
    pub last_verdict: Option<Verdict>,
    /// Set once the drift was gone at a complete observation.
    pub resolved: Option<Timestamp>,
    /// The deadline was shown at least once before it passed.
    pub warned: bool,
    /// The loss was counted.
    pub counted_lost: bool,
}

/// Attempts of one user that the ledger keeps: the journal keeps everything, the ledger what planning looks at.
const ATTEMPTS_KEPT: usize = 20;

/// Repairs remembered for each user: enough to see a flap.
const REPAIRS_KEPT: usize = 5;

impl LedgerEntry {
    pub fn opened(drift: DriftKind, now: Timestamp) -> Self {
        Self {
            drift,
            first_seen: now,
            sightings: 0,
            attempts: Vec::new(),
            pending: None,
            next_attempt: None,
            repaired: Vec::new(),
            last_verdict: None,
            resolved: None,
            warned: false,
            counted_lost: false,
        }
    }

    pub fn is_open(&self) -> bool {
        self.resolved.is_none() || self.pending.is_some()
    }

    /// How often an action of this kind was tried since the drift was first seen.
    pub fn attempts_at(&self, action: &Action) -> u32 {
        let tried = self.attempts.iter().filter(|attempt| attempt.at >= self.first_seen);
        let count = tried.filter(|attempt| attempt.action.label() == action.label()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// A complete observation shows this drift. A drift that had gone is a new story; one that becomes of another kind
    /// must be confirmed anew, but it is the same mailbox, warned of and counted already. What follows a restore of
    /// ours is no news at all and keeps its age.
    pub fn saw(&mut self, drift: DriftKind, now: Timestamp) {
        let is_new_story = self.resolved.is_some();
        if is_new_story {
            self.warned = false;
            self.counted_lost = false;
        }
        if is_new_story || (self.drift != drift && !self.is_our_restore(drift)) {
            self.first_seen = now;
            self.sightings = 0;
            self.next_attempt = None;
        }
        self.drift = drift;
        self.resolved = None;
        self.sightings = self.sightings.saturating_add(1);
    }

    /// A request is about to be sent.
    pub fn began(
        &mut self,
        step_id: &str,
        action: &Action,
        sent: Timestamp,
        expected_mailbox: Option<String>,
    ) {
        self.attempts.push(Attempt {
            at: sent,
            action: action.clone(),
            outcome: None,
            detail: String::new(),
        });
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
        self.pending = Some(Pending {
            step_id: step_id.to_owned(),
            action: action.clone(),
            sent,
            is_uncertain: true,
            expected_mailbox,
        });
    }

    /// What came of the newest request. `next` says when to try again after so many failures.
    pub fn answered(&mut self, outcome: &Outcome, next: impl FnOnce(u32) -> Timestamp) {
        let Some(attempt) = self.attempts.last_mut() else { return };
        attempt.outcome = Some(outcome.kind);
        attempt.detail.clone_from(&outcome.detail);
        let action = attempt.action.clone();
        match outcome.kind {
            OutcomeKind::Accepted | OutcomeKind::AlreadyDone => {
                if let Some(pending) = &mut self.pending {
                    pending.is_uncertain = false;
                }
            }
            OutcomeKind::Uncertain => {}
            OutcomeKind::Deferred | OutcomeKind::NoSeat | OutcomeKind::Refused | OutcomeKind::NotSent => {
                self.pending = None;
                self.next_attempt = Some(next(self.attempts_at(&action)));
            }
        }
    }

    /// The last word on a repair; `Stuck` is none, a later observation may still prove it.
    pub fn concluded(&mut self, verdict: Verdict, at: Timestamp) {
        self.last_verdict = Some(verdict);
        if verdict != Verdict::Stuck {
            self.pending = None;
            self.next_attempt = None;
            self.repaired.push(at);
            let surplus = self.repaired.len().saturating_sub(REPAIRS_KEPT);
            self.repaired.drain(..surplus);
        }
    }

    /// The account came back by a request of ours in this story, and only its licence is still missing.
    fn is_our_restore(&self, drift: DriftKind) -> bool {
        let was_deleted = matches!(self.drift, DriftKind::Deleted | DriftKind::UnlicensedAndDeleted);
        let was_sent = |attempt: &Attempt| match attempt.outcome {
            Some(OutcomeKind::Accepted | OutcomeKind::AlreadyDone | OutcomeKind::Uncertain) | None => true,
            Some(
                OutcomeKind::Deferred | OutcomeKind::NoSeat | OutcomeKind::Refused | OutcomeKind::NotSent,
            ) => false,
        };
        let is_ours = |attempt: &Attempt| {
            attempt.action == Action::Restore && attempt.at >= self.first_seen && was_sent(attempt)
        };
        drift == DriftKind::Unlicensed && was_deleted && self.attempts.iter().any(is_ours)
    }
}

/// One request that was sent, or stopped on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: Timestamp,
    pub action: Action,
    /// `None` when the process ended between the intent and its outcome.
    pub outcome: Option<OutcomeKind>,
    pub detail: String,
}

/// A request whose effect must still be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub step_id: String,
    pub action: Action,
    pub sent: Timestamp,
    /// No answer said whether the request was applied: it is read back, and repeated at once when it was not.
    pub is_uncertain: bool,
    /// The mailbox that must come back, where one was recorded.
    pub expected_mailbox: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_secs(hours * 3600)
    }

    fn restored(outcome: Option<OutcomeKind>, hours: i64) -> LedgerEntry {
        let mut entry = LedgerEntry::opened(DriftKind::Deleted, at(10));
        entry.saw(DriftKind::Deleted, at(10));
        entry.saw(DriftKind::Deleted, at(11));
        entry.attempts.push(Attempt {
            at: at(hours),
            action: Action::Restore,
            outcome,
            detail: String::new(),
        });
        entry.saw(DriftKind::Unlicensed, at(13));
        entry
    }

    #[test]
    fn what_follows_a_restore_of_ours_keeps_its_age() {
        let entry = restored(Some(OutcomeKind::Accepted), 12);
        assert_eq!((entry.first_seen, entry.sightings), (at(10), 3));
    }

    #[test]
    fn what_follows_the_restore_of_somebody_else_is_confirmed_anew() {
        for entry in [restored(Some(OutcomeKind::Refused), 12), restored(Some(OutcomeKind::Accepted), 2)] {
            assert_eq!((entry.first_seen, entry.sightings), (at(13), 1));
        }
    }

    #[test]
    fn a_mailbox_that_expires_and_is_purged_was_warned_of_and_is_lost_once() {
        let mut entry = LedgerEntry::opened(DriftKind::Deleted, at(10));
        entry.saw(DriftKind::Deleted, at(10));
        (entry.warned, entry.counted_lost) = (true, true);
        entry.saw(DriftKind::Gone, at(11));
        assert!(entry.warned && entry.counted_lost);
        assert_eq!((entry.first_seen, entry.sightings), (at(11), 1));
        entry.resolved = Some(at(12));
        entry.saw(DriftKind::Unlicensed, at(13));
        assert!(!entry.warned && !entry.counted_lost, "a new story");
    }
}
