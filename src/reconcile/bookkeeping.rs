//! The ledger, brought up to date after an observation: which drifts are new, confirmed or gone, what pending requests
//! turned out to be, which mailboxes were lost. Everything that matters later goes into the journal.

use std::collections::BTreeMap;

use crate::invariant::{InvariantId, holds};
use crate::model::{
    Attempt, Cause, DIRECTORY_SETTLE, Drift, DriftKind, KnownUser, LedgerEntry, OutcomeKind, Pending,
    Presence, Reason, Timestamp, UserId, Verdict,
};
use crate::observe::Observed;
use crate::plan::pace;
use crate::report::metrics::Metrics;
use crate::report::status::{EventKind, RecentEvent};
use crate::store::journal::{Entry, Journal};
use crate::store::{self, TenantStore};
use crate::verify::{Progress, has_worked, shows_effect, verify};

use super::findings::Findings;

/// What keeping the books needs.
pub struct Books<'a> {
    pub tenant: &'a str,
    pub store: &'a TenantStore,
    pub journal: &'a Journal,
    pub metrics: &'a Metrics,
    pub now: Timestamp,
}

/// What the status document tells of it.
#[derive(Debug, Default)]
pub struct Kept {
    pub events: Vec<RecentEvent>,
}

/// Brings the ledger up to date. Does nothing after an observation that may not be believed, and nothing about a user
/// of whom it tells nothing: unreadable is not absent, and not healed either.
pub fn update(books: &mut Books<'_>, findings: &Findings, observed: &Observed) -> Result<Kept, store::Error> {
    let mut kept = Kept::default();
    if !observed.observation.is_complete() {
        return Ok(kept);
    }
    let mut drifts: BTreeMap<UserId, &Drift> =
        findings.drifts.iter().map(|drift| (drift.user, drift)).collect();
    let open: Vec<(UserId, LedgerEntry)> = books.store.open_ledger().collect::<Result<_, _>>()?;
    for (user, mut entry) in open {
        if !drifts.contains_key(&user) && books.store.user(user)?.is_some_and(|known| known.is_unread()) {
            continue;
        }
        let before = entry.clone();
        books.judge(user, &mut entry, observed, &mut kept)?;
        books.compare(user, &mut entry, observed, &mut kept)?;
        match drifts.remove(&user) {
            Some(drift) => {
                books.sighted(&mut entry, drift, &mut kept)?;
                books.undone(user, &mut entry, observed)?;
            }
            None => books.absent(user, &mut entry, &mut kept)?,
        }
        if entry != before {
            books.store.put_ledger(user, &entry)?;
        }
    }
    for drift in drifts.into_values() {
        let mut entry =
            books.store.ledger(drift.user)?.unwrap_or_else(|| LedgerEntry::opened(drift.kind, books.now));
        books.sighted(&mut entry, drift, &mut kept)?;
        books.store.put_ledger(drift.user, &entry)?;
    }
    books.store.flush()?;
    Ok(kept)
}

impl Books<'_> {
    /// What became of a pending request.
    fn judge(
        &self,
        user: UserId,
        entry: &mut LedgerEntry,
        observed: &Observed,
        kept: &mut Kept,
    ) -> Result<(), store::Error> {
        let Some(pending) = entry.pending.clone() else { return Ok(()) };
        let Some(known) = self.store.user(user)? else { return Ok(()) };
        if observed.observation.started > pending.sent
            && has_worked(&pending.action, &known, &observed.catalog)
        {
            entry.effect_seen(&pending, observed.observation.started);
        }
        match verify(&pending, &known, &observed.catalog, observed.observation.started) {
            Progress::Waiting => {}
            Progress::StepDone => {
                entry.pending = None;
                entry.next_attempt = None;
            }
            Progress::NoEffect => {
                entry.pending = None;
                entry.next_attempt = self.repeat_at(entry, &pending);
                entry.effect_never_seen(&pending, observed.observation.started);
            }
            Progress::Concluded { verdict, detail } => {
                self.conclude(&known.user.upn, user, entry, &pending, verdict, detail, kept)?;
                if verdict == Verdict::NewEmptyMailbox {
                    self.replace_mailbox(known, entry, &pending, kept)?;
                }
            }
        }
        Ok(())
    }

    /// A request that probably never arrived is repeated at once, the first time; everything else backs off.
    fn repeat_at(&self, entry: &LedgerEntry, pending: &Pending) -> Option<Timestamp> {
        let attempts = entry.attempts_at(&pending.action);
        let is_first_doubt = pending.is_uncertain && attempts <= 1;
        (!is_first_doubt).then(|| pace::next_attempt(attempts, None, self.now))
    }

    #[expect(clippy::too_many_arguments, reason = "one event with everything that is said of it")]
    fn conclude(
        &self,
        upn: &str,
        user: UserId,
        entry: &mut LedgerEntry,
        pending: &Pending,
        verdict: Verdict,
        detail: String,
        kept: &mut Kept,
    ) -> Result<(), store::Error> {
        let is_news = entry.last_verdict != Some(verdict) || verdict != Verdict::Stuck;
        entry.concluded(verdict, self.now);
        if !is_news {
            return Ok(());
        }
        let step_id = Some(pending.step_id.clone());
        let journal_entry = Entry::Verdict { user, step_id, verdict, detail: detail.clone() };
        self.journal.append(&journal_entry, self.now)?;
        self.tell(upn, user, verdict, detail, kept);
        Ok(())
    }

    /// Counts a verdict, and says it.
    pub(super) fn tell(&self, upn: &str, user: UserId, verdict: Verdict, detail: String, kept: &mut Kept) {
        self.metrics.judged(self.tenant, verdict);
        match verdict {
            Verdict::Verified | Verdict::Unverified => {
                tracing::info!(user.id = %user, verdict = verdict.label(), "mailbox recovered");
            }
            Verdict::NewEmptyMailbox | Verdict::Stuck => {
                tracing::error!(user.id = %user, verdict = verdict.label(), detail, "the repair did not bring the mailbox back");
            }
        }
        let what = EventKind::Judged { verdict };
        kept.events.push(RecentEvent {
            at: self.now,
            user: Some(user),
            upn: Some(upn.to_owned()),
            what,
            detail,
        });
    }

    /// The drift stands in this observation.
    fn sighted(&self, entry: &mut LedgerEntry, drift: &Drift, kept: &mut Kept) -> Result<(), store::Error> {
        entry.saw(drift.kind, self.now);
        if entry.sightings == 1 && entry.first_seen == self.now {
            self.clock_started(drift, kept)?;
        }
        let is_lost = matches!(drift.blocked, Some(Reason::Expired | Reason::Gone));
        if is_lost && !entry.counted_lost {
            entry.counted_lost = true;
            self.expired(entry, drift, kept)?;
        }
        // From here on the drift is in the status document, the metrics and their alerts.
        entry.warned = true;
        Ok(())
    }

    /// Whether the drift that stands is one that a request of ours had ended already.
    fn undone(&self, user: UserId, entry: &mut LedgerEntry, observed: &Observed) -> Result<(), store::Error> {
        if entry.unproved.is_empty() {
            return Ok(());
        }
        let Some(known) = self.store.user(user)? else { return Ok(()) };
        let before = entry.undone.last().cloned();
        entry.effects_gone(observed.observation.started, |action| {
            shows_effect(action, &known, &observed.catalog)
        });
        if let Some(undone) = entry.undone.last().filter(|undone| Some(*undone) != before.as_ref()) {
            let action = undone.action.label();
            tracing::warn!(user.id = %user, action.kind = action, "a repair was undone before it was proved");
        }
        Ok(())
    }

    fn clock_started(&self, drift: &Drift, kept: &mut Kept) -> Result<(), store::Error> {
        let journal_entry = Entry::ClockStarted {
            user: drift.user,
            upn: drift.upn.clone(),
            kind: drift.kind,
            earliest: drift.clock.earliest,
            latest: drift.clock.latest,
            deadline: drift.clock.deadline,
            cause: Some(drift.cause),
            memory: self.store.user(drift.user)?.map(|known| Box::new(known.memory())),
        };
        self.journal.append(&journal_entry, self.now)?;
        kept.events.push(RecentEvent {
            at: self.now,
            user: Some(drift.user),
            upn: Some(drift.upn.clone()),
            what: EventKind::DriftSeen { drift: drift.kind },
            detail: drift.cause.label().replace('_', " "),
        });
        Ok(())
    }

    /// The limit has passed.
    fn expired(&self, entry: &LedgerEntry, drift: &Drift, kept: &mut Kept) -> Result<(), store::Error> {
        let could_have_been_kept =
            drift.clock.deadline.is_some_and(|deadline| entry.first_seen + DIRECTORY_SETTLE < deadline);
        holds(
            InvariantId::Live2,
            entry.warned || !could_have_been_kept || drift.kind == DriftKind::Gone,
            || format!("{} was lost without a warning", drift.user),
        );
        self.lost(drift.user, &drift.upn, drift.cause, entry.warned, kept)
    }

    /// No drift in a complete observation: repaired by us, by others, or no longer ours.
    fn absent(&self, user: UserId, entry: &mut LedgerEntry, kept: &mut Kept) -> Result<(), store::Error> {
        if entry.resolved.is_some() {
            return Ok(());
        }
        entry.resolved = Some(self.now);
        entry.sightings = 0;
        let is_ours = entry.pending.is_some() || entry.repaired.last() == Some(&self.now);
        let known = self.store.user(user)?;
        if known.is_none() && !entry.counted_lost {
            // The state was lost in between, and now the account is in neither list.
            entry.counted_lost = true;
            self.lost(user, &user.to_string(), Cause::AccountPurged, entry.warned, kept)?;
        }
        let reason = match &known {
            _ if is_ours => "repaired",
            None => "vanished",
            Some(known) if is_healthy(known) => {
                // A mailbox without a licence that stays silent is told of, too, whether or not it can be recognised.
                let is_asked = known.mailbox.primary_id.is_some() || !known.needs_license();
                entry.healed = is_asked.then_some(self.now);
                "healed_by_others"
            }
            // Something is wrong still, and no rule keeps it any more.
            Some(_) => "left_alone",
        };
        self.journal.append(&Entry::ClockStopped { user, reason: reason.to_owned() }, self.now)?;
        if !is_ours {
            let upn = known.map(|known| known.user.upn);
            let detail = "the drift is gone without a request of ours".to_owned();
            kept.events.push(RecentEvent {
                at: self.now,
                user: Some(user),
                upn,
                what: EventKind::HealedByOthers,
                detail,
            });
        }
        Ok(())
    }
}

fn is_healthy(known: &KnownUser) -> bool {
    known.presence == Presence::Live && (known.loss.is_none() || !known.needs_license())
}

/// After a crash: an intent without an outcome becomes a pending request, so that it is read back before anything is
/// repeated, also when the state lost its last half second.
pub fn adopt_open_intents(
    store: &TenantStore,
    journal: &Journal,
    now: Timestamp,
) -> Result<(), store::Error> {
    for intent in journal.open_intents() {
        let mut entry =
            store.ledger(intent.user)?.unwrap_or_else(|| LedgerEntry::opened(intent.drift, intent.at));
        let uncertain = Attempt {
            at: intent.at,
            action: intent.action.clone(),
            outcome: Some(OutcomeKind::Uncertain),
            detail: UNANSWERED.to_owned(),
        };
        match entry.attempts.iter_mut().find(|attempt| attempt.at == intent.at) {
            Some(attempt) => *attempt = uncertain,
            None => entry.attempts.push(uncertain),
        }
        entry.pending = Some(Pending {
            step_id: intent.step_id.clone(),
            action: intent.action,
            sent: intent.at,
            is_uncertain: true,
            expected_mailbox: store.user(intent.user)?.and_then(|known| known.mailbox.primary_id),
        });
        store.put_ledger(intent.user, &entry)?;
        // The ledger first: the intent must stay open in the journal until it is known where it is looked at.
        store.flush()?;
        let outcome = Entry::Outcome {
            step_id: intent.step_id,
            user: intent.user,
            kind: OutcomeKind::Uncertain,
            detail: UNANSWERED.to_owned(),
            request_id: None,
        };
        journal.append(&outcome, now)?;
    }
    Ok(())
}

const UNANSWERED: &str = "the process ended before the answer";
