//! What was tried for one user: kept from the first sight of a drift until long after its repair.

use serde::{Deserialize, Serialize};

use super::{Action, DIRECTORY_SETTLE, DriftKind, Outcome, OutcomeKind, Span, Timestamp, Verdict};

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
    /// Requests whose effect was seen and whose mailbox is not proved yet.
    #[serde(default)]
    pub unproved: Vec<Unproved>,
    /// Requests of ours that did not last, newest last. Those that were proved before stand in `repaired` alone.
    #[serde(default)]
    pub undone: Vec<Undone>,
    pub last_verdict: Option<Verdict>,
    /// The mailbox that was lost last, where another one answered after a repair. Later verdicts do not undo it.
    #[serde(default)]
    pub replaced: Option<Replaced>,
    /// When others had repaired the drift, until it is known whether the same mailbox came back.
    #[serde(default)]
    pub healed: Option<Timestamp>,
    /// Set once the drift was gone at a complete observation.
    pub resolved: Option<Timestamp>,
    /// The deadline was shown at least once before it passed.
    pub warned: bool,
    /// The loss was counted.
    pub counted_lost: bool,
}

/// Attempts of one user that the ledger keeps: the journal keeps everything, the ledger what planning looks at.
const ATTEMPTS_KEPT: usize = 20;

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
            unproved: Vec::new(),
            undone: Vec::new(),
            last_verdict: None,
            replaced: None,
            healed: None,
            resolved: None,
            warned: false,
            counted_lost: false,
        }
    }

    pub fn is_open(&self) -> bool {
        self.resolved.is_none() || self.pending.is_some() || self.healed.is_some()
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
        self.healed = None;
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
            self.proved(at);
        }
    }

    /// A later observation shows what a request was for. Proof may take a day longer, and somebody may undo it before.
    pub fn effect_seen(&mut self, pending: &Pending, at: Timestamp) {
        if self.unproved.iter().any(|seen| seen.sent == pending.sent) {
            return;
        }
        self.unproved.push(Unproved { sent: pending.sent, action: pending.action.clone(), seen: at });
        keep_newest(&mut self.unproved);
    }

    /// Graph accepted the request, and there was time, but no observation shows an effect: it was undone in between,
    /// or never came about. Requests that were answered unclearly, refused or put off are no sign of anybody.
    pub fn effect_never_seen(&mut self, pending: &Pending, at: Timestamp) {
        let is_this = |attempt: &&Attempt| attempt.at == pending.sent;
        let outcome = self.attempts.iter().rfind(is_this).and_then(|attempt| attempt.outcome);
        let was_seen = self.unproved.iter().any(|seen| seen.sent == pending.sent);
        // Group licensing works in the background, and fails by itself.
        let is_background = matches!(pending.action, Action::ReprocessLicenses { .. });
        if outcome == Some(OutcomeKind::Accepted) && !pending.is_uncertain && !was_seen && !is_background {
            let action = pending.action.clone();
            self.undone.push(Undone { at, sent: pending.sent, action, seen: None });
            keep_newest(&mut self.undone);
        }
    }

    /// The drift is confirmed again: effects that were seen and no longer show were undone. Nothing waits any longer
    /// for the proof of a repair that did not last; a restored account that is still there may yet prove its mailbox.
    /// `observed`: the start of the observation.
    pub fn effects_gone(&mut self, observed: Timestamp, shows: impl Fn(&Action) -> bool) {
        let is_old_enough = |sent: Timestamp| observed - sent >= DIRECTORY_SETTLE;
        if self.sightings < 2 {
            return;
        }
        let is_answered = |pending: &Pending| {
            let lasts = matches!(pending.action, Action::Restore(_)) && shows(&pending.action);
            !lasts
                && is_old_enough(pending.sent)
                && self.unproved.iter().any(|seen| seen.sent == pending.sent)
        };
        if self.pending.as_ref().is_some_and(is_answered) {
            self.pending = None;
        }
        for effect in std::mem::take(&mut self.unproved) {
            let Unproved { sent, action, seen } = effect;
            if is_old_enough(sent) && !shows(&action) {
                self.undone.push(Undone { at: observed, sent, action, seen: Some(seen) });
            } else if seen + FLAP_WINDOW > observed {
                self.unproved.push(Unproved { sent, action, seen });
            }
        }
        keep_newest(&mut self.undone);
    }

    /// The mailbox was proved: whatever led to it lasted that long.
    pub fn proved(&mut self, at: Timestamp) {
        self.pending = None;
        self.next_attempt = None;
        self.unproved.clear();
        self.repaired.push(at);
        keep_newest(&mut self.repaired);
    }

    /// When repairs of ours were proved or did not last, oldest first, as far as it bears on the drift that stands
    /// now: a drift that stayed away for [`FLAP_WINDOW`] is a new story, one that stands does not become so by
    /// waiting.
    pub fn setbacks(&self) -> Vec<Timestamp> {
        let all = self.repaired.iter().copied().chain(self.undone.iter().map(|undone| undone.at));
        let mut setbacks: Vec<Timestamp> = all.filter(|at| *at + FLAP_WINDOW > self.first_seen).collect();
        setbacks.sort_unstable();
        setbacks
    }

    /// The account came back by a request of ours in this story, and only its licence is still missing.
    fn is_our_restore(&self, drift: DriftKind) -> bool {
        let was_sent = |attempt: &Attempt| match attempt.outcome {
            Some(OutcomeKind::Accepted | OutcomeKind::AlreadyDone | OutcomeKind::Uncertain) | None => true,
            Some(
                OutcomeKind::Deferred | OutcomeKind::NoSeat | OutcomeKind::Refused | OutcomeKind::NotSent,
            ) => false,
        };
        let is_ours = |attempt: &Attempt| {
            matches!(attempt.action, Action::Restore(_)) && attempt.at >= self.first_seen && was_sent(attempt)
        };
        drift == DriftKind::Unlicensed && self.drift.is_deletion() && self.attempts.iter().any(is_ours)
    }
}

/// Setbacks within this time, and the drift again, belong together: somebody who undoes our work once a week disagrees
/// with it as much as one who does so daily, and no accident strikes the same mailbox three times within a month.
pub const FLAP_WINDOW: Span = Span::from_days(30);

/// Repairs and setbacks remembered for each user: enough to see a flap, and to tell of it.
const SETBACKS_KEPT: usize = 5;

fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(SETBACKS_KEPT);
    list.drain(..surplus);
}

/// A request whose effect was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproved {
    pub sent: Timestamp,
    pub action: Action,
    pub seen: Timestamp,
}

/// A mailbox that is gone for good, and the one in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    pub at: Timestamp,
    pub lost: String,
    pub by: String,
}

/// A request of ours that was accepted and did not last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// When it was noticed.
    pub at: Timestamp,
    pub sent: Timestamp,
    pub action: Action,
    /// When its effect was observed; `None` when no observation ever showed it.
    pub seen: Option<Timestamp>,
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
    use crate::model::RestoreOptions;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_secs(hours * 3600)
    }

    fn restored(outcome: Option<OutcomeKind>, hours: i64) -> LedgerEntry {
        restored_by(Action::PLAIN_RESTORE, outcome, hours)
    }

    fn restored_by(action: Action, outcome: Option<OutcomeKind>, hours: i64) -> LedgerEntry {
        let mut entry = LedgerEntry::opened(DriftKind::Deleted, at(10));
        entry.saw(DriftKind::Deleted, at(10));
        entry.saw(DriftKind::Deleted, at(11));
        entry.attempts.push(Attempt { at: at(hours), action, outcome, detail: String::new() });
        entry.saw(DriftKind::Unlicensed, at(13));
        entry
    }

    #[test]
    fn what_follows_a_restore_of_ours_keeps_its_age() {
        let entry = restored(Some(OutcomeKind::Accepted), 12);
        assert_eq!((entry.first_seen, entry.sightings), (at(10), 3));
        let options = RestoreOptions { new_upn: None, drops_taken_addresses: true };
        let entry = restored_by(Action::Restore(options), Some(OutcomeKind::Accepted), 12);
        assert_eq!((entry.first_seen, entry.sightings), (at(10), 3), "less addresses, and ours all the same");
    }

    #[test]
    fn what_follows_the_restore_of_somebody_else_is_confirmed_anew() {
        for entry in [restored(Some(OutcomeKind::Refused), 12), restored(Some(OutcomeKind::Accepted), 2)] {
            assert_eq!((entry.first_seen, entry.sightings), (at(13), 1));
        }
    }

    /// A restore that was sent at hour 12 and answered like this; the drift has gone, and its proof is open.
    fn sent(outcome: OutcomeKind) -> LedgerEntry {
        let mut entry = restored(Some(outcome), 12);
        entry.pending = Some(Pending {
            step_id: "s".to_owned(),
            action: Action::PLAIN_RESTORE,
            sent: at(12),
            is_uncertain: outcome != OutcomeKind::Accepted,
            expected_mailbox: None,
        });
        entry
    }

    #[test]
    fn an_effect_that_is_gone_before_it_was_proved_was_undone_and_hides_nothing() {
        let mut entry = sent(OutcomeKind::Accepted);
        let pending = entry.pending.clone().expect("it is set");
        entry.effect_seen(&pending, at(13));
        entry.resolved = Some(at(13));
        entry.saw(DriftKind::Deleted, at(14));
        entry.effects_gone(at(14), |_| false);
        assert!(entry.undone.is_empty() && entry.pending.is_some(), "one look may be a stale read");
        entry.saw(DriftKind::Deleted, at(15));
        entry.effects_gone(at(15), |_| true);
        assert!(entry.undone.is_empty() && entry.unproved.len() == 1, "the effect shows");
        entry.effects_gone(at(15), |_| false);
        assert_eq!(entry.undone.len(), 1);
        assert_eq!(entry.undone[0].seen, Some(at(13)));
        assert!(entry.pending.is_none() && entry.unproved.is_empty());
        entry.effect_never_seen(&pending, at(15));
        assert_eq!(entry.undone.len(), 2, "nothing of it is left to be told from");
    }

    #[test]
    fn only_an_accepted_request_without_effect_tells_of_somebody_else() {
        for (outcome, setbacks) in [
            (OutcomeKind::Accepted, 1),
            (OutcomeKind::AlreadyDone, 0),
            (OutcomeKind::Uncertain, 0),
            (OutcomeKind::Deferred, 0),
            (OutcomeKind::NoSeat, 0),
            (OutcomeKind::Refused, 0),
        ] {
            let mut entry = sent(outcome);
            let pending = entry.pending.clone().expect("it is set");
            entry.effect_never_seen(&pending, at(13));
            assert_eq!(entry.setbacks().len(), setbacks, "{outcome:?}");
        }
    }

    #[test]
    fn a_setback_counts_once_and_is_forgotten_only_when_the_drift_stays_away() {
        let mut entry = sent(OutcomeKind::Accepted);
        let pending = entry.pending.clone().expect("it is set");
        entry.effect_seen(&pending, at(13));
        entry.effect_seen(&pending, at(14));
        entry.proved(at(14));
        entry.resolved = Some(at(14));
        entry.saw(DriftKind::Deleted, at(15));
        entry.saw(DriftKind::Deleted, at(16));
        entry.effects_gone(at(16), |_| false);
        assert_eq!(entry.setbacks(), [at(14)], "proved and undone is one setback");
        entry.saw(DriftKind::Deleted, at(16 + 24 * 40));
        assert_eq!(entry.setbacks(), [at(14)], "waiting is no new story");
        entry.resolved = Some(at(17 + 24 * 40));
        entry.saw(DriftKind::Deleted, at(18 + 24 * 40));
        assert!(entry.setbacks().is_empty());
    }

    #[test]
    fn an_entry_of_an_earlier_version_is_read() {
        let entry = LedgerEntry::opened(DriftKind::Deleted, at(1));
        let mut old = serde_json::to_value(&entry).expect("an entry is plain data");
        let fields = old.as_object_mut().expect("an object");
        for newer in ["unproved", "undone", "replaced", "healed"] {
            assert!(fields.remove(newer).is_some(), "{newer}");
        }
        assert_eq!(serde_json::from_value::<LedgerEntry>(old).ok(), Some(entry));
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
