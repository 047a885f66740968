//! The diff over all users: drifts and counters are kept, everything else streams by.

use std::collections::BTreeMap;

use crate::diff::{Finding, diff, state_of};
use crate::model::{Drift, DriftKind, LedgerEntry, MailboxState, Reason, Timestamp, UserId, Waiting};
use crate::observe::Observed;
use crate::policy::Policy;
use crate::store::records::Tally;
use crate::store::{self, TenantStore};

/// Users left alone although something is wrong: listed up to this many, counted beyond.
const LEFT_ALONE_LISTED: usize = 200;

/// What the policy makes of the tenant.
#[derive(Debug, Default)]
pub struct Findings {
    pub drifts: Vec<Drift>,
    pub tally: Tally,
    /// Users that are not ours to touch and whose mailbox is at risk nevertheless.
    pub left_alone: Vec<Waiting>,
}

impl Findings {
    /// The ledger entries of the drifts.
    pub fn ledger(&self, store: &TenantStore) -> Result<BTreeMap<UserId, LedgerEntry>, store::Error> {
        let mut ledger = BTreeMap::new();
        for entry in store.open_ledger() {
            let (user, entry) = entry?;
            ledger.insert(user, entry);
        }
        Ok(ledger)
    }
}

/// Compares every known user with the policy.
pub fn find(
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    now: Timestamp,
) -> Result<Findings, store::Error> {
    let mut findings = Findings::default();
    store.for_each_user(|known| {
        let finding = diff(policy, &known, &observed.catalog, &observed.conflicts, now);
        findings.add(finding, &known, now);
    })?;
    Ok(findings)
}

impl Findings {
    fn add(&mut self, finding: Finding, known: &crate::model::KnownUser, now: Timestamp) {
        match finding {
            Finding::Healthy => self.count_kept(MailboxState::Healthy),
            Finding::Drift(drift) => {
                self.count_kept(state_of(&drift, false, now));
                self.drifts.push(*drift);
            }
            // A user whom no rule names is counted and nothing else: it is not ours to have an opinion on.
            Finding::LeftAlone { reason: Reason::NoRule, .. } => self.tally.unmatched += 1,
            Finding::LeftAlone { reason, drift, detail } => {
                // Without a mailbox there is nothing at risk.
                let drift = drift.filter(|_| known.had_mailbox());
                *self.tally.left_alone.entry(reason).or_default() += 1;
                if let Some(kind) = drift.filter(|_| self.left_alone.len() < LEFT_ALONE_LISTED) {
                    self.left_alone.push(left_alone(known, kind, reason, detail));
                }
            }
        }
    }

    fn count_kept(&mut self, state: MailboxState) {
        self.tally.kept += 1;
        *self.tally.by_state.entry(state).or_default() += 1;
    }
}

fn left_alone(
    known: &crate::model::KnownUser,
    drift: DriftKind,
    reason: Reason,
    detail: Option<String>,
) -> Waiting {
    Waiting {
        user: known.id(),
        upn: known.user.upn.clone(),
        drift,
        rule: None,
        reason,
        until: None,
        deadline: None,
        act_by: None,
        detail,
    }
}
