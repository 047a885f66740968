//! Lines of the journal, put together to what a state that is older than them lacks. Pure: no store, no clock, no log.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Answer, DriftKind, KnownUser, LedgerEntry, Loss, Memory, Outcome, Presence, Reason, RecordedMailbox,
    Remembered, Timestamp, UserId,
};
use crate::plan::pace;
use crate::store::journal::{Entry, Line};
use crate::store::records::{Approvals, Hold};

/// What the lines behind the state say, put together. Pure.
#[derive(Debug, Default)]
pub struct Recollection {
    /// As the state has it, and then as the lines change it.
    pub ledger: BTreeMap<UserId, LedgerEntry>,
    /// Whose entry a line was about.
    pub told: BTreeSet<UserId>,
    pub clocks: BTreeMap<UserId, Clock>,
    pub identities: BTreeMap<UserId, RecordedMailbox>,
    /// The last word on it: held, or resumed.
    pub hold: Option<Option<Hold>>,
    pub answers: BTreeMap<String, Answer>,
    asked: BTreeMap<String, Reason>,
}

/// The last word on a user's clock.
#[derive(Debug)]
pub enum Clock {
    Runs { upn: String, deadline: Option<Timestamp>, memory: Box<Memory> },
    Stopped { at: Timestamp, is_healed: bool, remembered: Option<Remembered> },
}

impl Recollection {
    pub fn new(ledger: BTreeMap<UserId, LedgerEntry>) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// One more line. A line that the state has already changes nothing.
    pub fn note(&mut self, line: &Line) {
        let Some(entry) = line.entry.known() else { return };
        let at = line.at;
        match entry {
            Entry::MailboxRecorded { user, primary_id } => {
                let mailbox = RecordedMailbox {
                    user: *user,
                    primary_id: primary_id.clone(),
                    kind: None,
                    switched_off: Vec::new(),
                };
                self.identities.insert(*user, mailbox);
            }
            Entry::MailboxesRecorded { mailboxes } => {
                self.identities.extend(mailboxes.iter().map(|mailbox| (mailbox.user, mailbox.clone())));
            }
            Entry::Held { by, reason, until } => {
                let hold = Hold { since: at, until: *until, reason: reason.clone(), by: by.clone() };
                self.hold = Some(Some(hold));
            }
            Entry::Resumed { .. } => self.hold = Some(None),
            Entry::Asked { ask, reason, .. } => {
                self.asked.insert(ask.clone(), *reason);
            }
            Entry::Approved { ask, by, digest, .. } => {
                self.answer(ask, true, at, by, digest, BTreeSet::new(), None);
            }
            Entry::Denied { ask, by, digest, reason, users } => {
                self.answer(ask, false, at, by, digest, users.clone(), *reason);
            }
            Entry::ClockStarted { user, upn, kind, earliest, latest, deadline, memory, .. } => {
                let memory = memory.clone().unwrap_or_else(|| Box::new(older(*kind, *earliest, *latest)));
                let clock = Clock::Runs { upn: upn.clone(), deadline: *deadline, memory };
                self.clocks.insert(*user, clock);
                self.note_ledger(*user, at, entry);
            }
            Entry::ClockStopped { user, reason } => {
                let is_healed = ["repaired", "healed_by_others"].contains(&reason.as_str());
                let remembered = self.clocks.remove(user).and_then(Clock::remembered);
                self.clocks.insert(*user, Clock::Stopped { at, is_healed, remembered });
                self.note_ledger(*user, at, entry);
            }
            Entry::Intent { user, .. }
            | Entry::Outcome { user, .. }
            | Entry::Verdict { user, .. }
            | Entry::Lost { user, .. } => self.note_ledger(*user, at, entry),
            Entry::SeatsMissing { .. }
            | Entry::ApprovalRefused { .. }
            | Entry::Restored { .. }
            | Entry::Recalled { .. }
            | Entry::PolicyLoaded { .. }
            | Entry::ObservationRejected { .. }
            | Entry::Started { .. }
            | Entry::Stopped => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one answer with everything that is recorded of it")]
    fn answer(
        &mut self,
        ask: &str,
        granted: bool,
        at: Timestamp,
        by: &str,
        digest: &str,
        users: BTreeSet<UserId>,
        reason: Option<Reason>,
    ) {
        let reason = reason.or(self.asked.get(ask).copied()).unwrap_or(Reason::Ask);
        let (by, digest) = (by.to_owned(), digest.to_owned());
        self.answers.insert(ask.to_owned(), Answer { granted, at, by, digest, reason, users });
    }

    fn note_ledger(&mut self, user: UserId, at: Timestamp, line: &Entry) {
        let deadline = match self.clocks.get(&user) {
            Some(Clock::Runs { deadline, .. }) => *deadline,
            Some(Clock::Stopped { .. }) | None => None,
        };
        let before = self.ledger.remove(&user);
        if let Some(entry) = replayed(before, at, line, deadline) {
            self.told.insert(user);
            self.ledger.insert(user, entry);
        }
    }
}

impl Clock {
    fn remembered(self) -> Option<Remembered> {
        match self {
            Self::Runs { memory, .. } => memory.remembered,
            Self::Stopped { remembered, .. } => remembered,
        }
    }

    pub fn apply(&self, user: UserId, before: Option<KnownUser>) -> Option<KnownUser> {
        match self {
            Self::Runs { upn, memory, .. } => {
                let mut known = before.unwrap_or_else(|| KnownUser::recalled(user));
                known.recall(memory);
                if matches!(known.presence, Presence::Recalled { .. }) {
                    known.user.upn.clone_from(upn);
                }
                Some(known)
            }
            Self::Stopped { at, is_healed, remembered } => before.map(|mut known| {
                if matches!(known.presence, Presence::Recalled { .. }) && remembered.is_some() {
                    known.remembered.clone_from(remembered);
                }
                // A loss that was noticed later is another one.
                if *is_healed && known.loss.as_ref().is_some_and(|loss| loss.noticed < *at) {
                    known.loss = None;
                }
                known
            }),
        }
    }
}

/// A line of before memories were recorded says at least when.
fn older(kind: DriftKind, earliest: Option<Timestamp>, latest: Timestamp) -> Memory {
    let is_unlicensed = match kind {
        DriftKind::Unlicensed | DriftKind::UnlicensedAndDeleted => true,
        DriftKind::Deleted | DriftKind::Gone => false,
    };
    let loss = Loss { last_with: earliest, noticed: latest, hint: None, had_mailbox_plan: true };
    Memory { loss: is_unlicensed.then_some(loss), ..Memory::default() }
}

/// A denial holds; an approval only takes back an earlier one, and is asked for anew.
pub fn answered(mut answers: Approvals, told: BTreeMap<String, Answer>) -> Approvals {
    for (ask, answer) in told {
        let is_newer = answers.0.get(&ask).is_none_or(|before| before.at < answer.at);
        match (is_newer, answer.granted) {
            (true, true) => drop(answers.0.remove(&ask)),
            (true, false) => drop(answers.0.insert(ask, answer)),
            (false, _) => {}
        }
    }
    answers
}

/// The ledger entry of one user after one more line. `deadline`: of the clock that runs.
fn replayed(
    before: Option<LedgerEntry>,
    at: Timestamp,
    line: &Entry,
    deadline: Option<Timestamp>,
) -> Option<LedgerEntry> {
    let mut entry = match (before, line) {
        (Some(entry), _) => entry,
        (None, Entry::ClockStarted { kind, .. } | Entry::Intent { drift: kind, .. }) => {
            LedgerEntry::opened(*kind, at)
        }
        (None, _) => return None,
    };
    if let Entry::ClockStarted { kind, .. } = line {
        let is_had = entry.sightings > 0 && entry.first_seen >= at;
        if !is_had {
            entry.saw(*kind, at);
        }
        entry.warned = true;
    }
    if let Entry::ClockStopped { reason, .. } = line
        && entry.first_seen <= at
        && entry.resolved.is_none()
    {
        entry.resolved = Some(at);
        entry.sightings = 0;
        // Else nothing of ours was under way.
        entry.pending = entry.pending.filter(|pending| reason == "repaired" || pending.sent > at);
    }
    if let Entry::Lost { warned, .. } = line
        && entry.first_seen <= at
    {
        entry.counted_lost = true;
        entry.warned |= warned;
    }
    tried(&mut entry, at, line, deadline);
    Some(entry)
}

/// What was tried, and what came of it.
fn tried(entry: &mut LedgerEntry, at: Timestamp, line: &Entry, deadline: Option<Timestamp>) {
    let pending = entry.pending.as_ref().map(|pending| pending.step_id.as_str());
    if let Entry::Intent { step_id, action, expected_mailbox, .. } = line
        && entry.attempts.iter().all(|attempt| attempt.at != at)
    {
        entry.began(step_id, action, at, expected_mailbox.clone());
    } else if let Entry::Outcome { step_id, kind, detail, request_id, .. } = line
        && pending == Some(step_id)
    {
        let outcome = Outcome { kind: *kind, detail: detail.clone(), request_id: request_id.clone() };
        entry.answered(&outcome, |failures| pace::again(*kind, failures, deadline, at));
    } else if let Entry::Verdict { step_id, verdict, .. } = line
        // Not what others repaired, nor a later request that waits for its own.
        && step_id.is_some()
        && pending.is_none_or(|pending| Some(pending) == step_id.as_deref())
        && !entry.repaired.contains(&at)
    {
        entry.concluded(*verdict, at);
    }
}

#[cfg(test)]
mod tests;
