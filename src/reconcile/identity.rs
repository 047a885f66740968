//! Whether a mailbox that came back is the one that was lost: after repairs of ours, and after those of others. A
//! person who gives the licence back on day 31 gets a new, empty mailbox, too, and somebody must be told.

use std::collections::BTreeSet;

use crate::model::{
    Action, Cause, DriftKind, KnownUser, LedgerEntry, Pending, ProbeAnswer, Replaced, Span, Timestamp,
    UserId, Verdict,
};
use crate::observe::Observed;
use crate::report::status::{EventKind, RecentEvent};
use crate::store::journal::Entry;
use crate::store::{self, TenantStore};
use crate::verify::{Progress, verify};

use super::bookkeeping::{Books, Kept};

impl Books<'_> {
    /// Compares the mailbox of a user whom others repaired with the one that was recorded while it was healthy.
    pub(super) fn compare(
        &self,
        user: UserId,
        entry: &mut LedgerEntry,
        observed: &Observed,
        kept: &mut Kept,
    ) -> Result<(), store::Error> {
        let Some(healed) = entry.healed else { return Ok(()) };
        let Some(known) = self.store.user(user)? else { return Ok(()) };
        let repair = repair_of_others(healed, &known);
        match verify(&repair, &known, &observed.catalog, observed.observation.started) {
            Progress::Waiting => {}
            Progress::StepDone | Progress::NoEffect => entry.healed = None,
            Progress::Concluded { verdict, detail } => {
                entry.healed = None;
                let was_asked = known.mailbox.last_probe.as_ref().is_some_and(|probe| probe.at > healed);
                match verdict {
                    // Exchange owes the answer: nothing is known against a repair that is not ours to prove.
                    Verdict::Stuck if !was_asked => {}
                    Verdict::Verified | Verdict::Unverified => {
                        tracing::debug!(user.id = %user, verdict = verdict.label(), "others brought the mailbox back");
                    }
                    Verdict::NewEmptyMailbox | Verdict::Stuck => {
                        let said = Entry::Verdict { user, step_id: None, verdict, detail: detail.clone() };
                        self.journal.append(&said, self.now)?;
                        self.tell(&known.user.upn, user, verdict, detail, kept);
                    }
                }
                if verdict == Verdict::NewEmptyMailbox {
                    entry.last_verdict = Some(verdict);
                    self.replace_mailbox(known, entry, &repair, kept)?;
                }
            }
        }
        Ok(())
    }

    /// The old mailbox is lost, and that is counted and in the journal: later repairs are judged by the one that
    /// exists now.
    pub(super) fn replace_mailbox(
        &self,
        mut known: KnownUser,
        entry: &mut LedgerEntry,
        pending: &Pending,
        kept: &mut Kept,
    ) -> Result<(), store::Error> {
        if !entry.counted_lost {
            entry.counted_lost = true;
            self.lost(known.id(), &known.user.upn, cause_of(entry.drift), entry.warned, kept)?;
        }
        let probe = known.mailbox.last_probe.as_ref().map(|probe| &probe.answer);
        let Some(ProbeAnswer::Reachable { primary_id: Some(found), .. }) = probe.cloned() else {
            return Ok(());
        };
        if let Some(lost) = pending.expected_mailbox.clone() {
            entry.replaced = Some(Replaced { at: self.now, lost, by: found.clone() });
        }
        known.mailbox.primary_id = Some(found);
        self.store.put_users([known])
    }

    /// A mailbox is lost for good.
    pub(super) fn lost(
        &self,
        user: UserId,
        upn: &str,
        cause: Cause,
        warned: bool,
        kept: &mut Kept,
    ) -> Result<(), store::Error> {
        self.journal.append(&Entry::Lost { user, upn: upn.to_owned(), warned }, self.now)?;
        self.metrics.lost(self.tenant, cause, warned);
        tracing::error!(user.id = %user, cause = cause.label(), warned, "a kept mailbox is lost");
        kept.events.push(RecentEvent {
            at: self.now,
            user: Some(user),
            upn: Some(upn.to_owned()),
            what: EventKind::Lost { warned },
            detail: cause.label().replace('_', " "),
        });
        Ok(())
    }
}

/// Opens the case of mailboxes that turned out to be others although nobody saw a loss: as if others had repaired them
/// just before the observation of that `started`.
pub(super) fn doubt(
    store: &TenantStore,
    users: &BTreeSet<UserId>,
    started: Timestamp,
) -> Result<(), store::Error> {
    for user in users {
        let entry =
            store.ledger(*user)?.unwrap_or_else(|| LedgerEntry::opened(DriftKind::Unlicensed, started));
        let (healed, resolved) = (Some(started - Span::from_millis(1)), entry.resolved.or(Some(started)));
        store.put_ledger(*user, &LedgerEntry { healed, resolved, ..entry })?;
    }
    Ok(())
}

/// What others did, as if it had been a request of ours: the same proof is asked of it.
fn repair_of_others(healed: Timestamp, known: &KnownUser) -> Pending {
    Pending {
        step_id: String::new(),
        action: Action::PLAIN_RESTORE,
        sent: healed,
        is_uncertain: false,
        expected_mailbox: known.mailbox.primary_id.clone(),
    }
}

fn cause_of(drift: DriftKind) -> Cause {
    match drift {
        DriftKind::Unlicensed => Cause::LicenseRemoved,
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => Cause::AccountDeleted,
        DriftKind::Gone => Cause::AccountPurged,
    }
}
