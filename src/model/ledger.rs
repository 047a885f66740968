//! What was tried for one user: kept from the first sight of a drift until long after its repair.

use serde::{Deserialize, Serialize};

use super::{Action, DriftKind, OutcomeKind, Timestamp, Verdict};

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

    /// A complete observation shows this drift. A drift that had gone, or became one of another kind, starts anew; what
    /// follows a restore of ours is the same story and keeps its age.
    pub fn saw(&mut self, drift: DriftKind, now: Timestamp) {
        let is_our_restore = drift == DriftKind::Unlicensed
            && self.drift != DriftKind::Unlicensed
            && self.attempts.iter().any(|attempt| attempt.action == Action::Restore);
        if self.resolved.is_some() || (self.drift != drift && !is_our_restore) {
            self.first_seen = now;
            self.sightings = 0;
            self.next_attempt = None;
            self.warned = false;
            self.counted_lost = false;
        }
        self.drift = drift;
        self.resolved = None;
        self.sightings = self.sightings.saturating_add(1);
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
    /// The mailbox that must come back, where one was recorded.
    pub expected_mailbox: Option<String>,
}
