//! The diff over the users: drifts and counters are kept, everything else streams by.
//!
//! Only users whose record changed, and those with an open entry in the ledger, can stand elsewhere than before:
//! nothing in a finding but the state of a drift depends on the time. Everybody is compared after a full listing,
//! under another policy, and when the counters of the last pass are not there to be carried on.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{Finding, diff, state_of, unkept_until};
use crate::model::{
    Catalog, Drift, DriftKind, Entitlement, KnownUser, LedgerEntry, MailboxState, Reason, Timestamp, UserId,
    Waiting,
};
use crate::observe::{Observed, Reach};
use crate::policy::{Policy, Retention};
use crate::store::records::Tally;
use crate::store::{self, TenantStore};

/// Users left alone although something is wrong: listed up to this many for each reason, counted beyond.
const LEFT_ALONE_LISTED: usize = 200;

/// What the policy makes of the tenant.
#[derive(Debug, Default)]
pub struct Findings {
    pub drifts: Vec<Drift>,
    pub tally: Tally,
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

/// Compares known users with the policy: everybody, or whoever may stand elsewhere than before.
pub fn find(
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    now: Timestamp,
) -> Result<Findings, store::Error> {
    let judge = Judge { policy, observed, now };
    let tally = observed.tally.as_ref().filter(|tally| tally.policy_digest == policy.digest);
    match (&observed.reach, tally) {
        (Reach::These(changed), Some(tally)) => judge.some(store, changed, tally),
        (Reach::Everyone, Some(tally)) => {
            let findings = judge.everybody(store)?;
            log_difference(tally, &findings.tally);
            Ok(findings)
        }
        (Reach::Everyone | Reach::These(_), None) => judge.everybody(store),
    }
}

/// What one comparison depends on, beside the user.
struct Judge<'a> {
    policy: &'a Policy,
    observed: &'a Observed,
    now: Timestamp,
}

impl Judge<'_> {
    fn finding(&self, known: &KnownUser) -> Finding {
        diff(self.policy, known, &self.observed.catalog, &self.observed.surroundings, self.now)
    }

    fn everybody(&self, store: &TenantStore) -> Result<Findings, store::Error> {
        let mut findings = self.begin(Tally::default());
        store.for_each_user(|known| findings.add(self.finding(&known), &known, self))?;
        Ok(findings)
    }

    /// Carries on from the counters of the last pass.
    fn some(
        &self,
        store: &TenantStore,
        changed: &BTreeMap<UserId, Option<KnownUser>>,
        before: &Tally,
    ) -> Result<Findings, store::Error> {
        let mut findings = self.begin(before.clone());
        findings.forget_drifts();
        for known in changed.values().flatten() {
            findings.subtract(&self.finding(known), known, &self.observed.catalog);
        }
        let mut concerned: BTreeSet<UserId> = changed.keys().copied().collect();
        for entry in store.open_ledger() {
            concerned.insert(entry?.0);
        }
        store.visit_users(&concerned, |user, known| {
            let Some(known) = known else { return };
            let finding = self.finding(&known);
            // Who did not change and does not drift is in the counters already.
            if changed.contains_key(&user) || matches!(finding, Finding::Drift(_)) {
                findings.add(finding, &known, self);
            }
        })?;
        Ok(findings)
    }

    fn begin(&self, tally: Tally) -> Findings {
        let policy_digest = self.policy.digest.clone();
        Findings { drifts: Vec::new(), tally: Tally { policy_digest, ..tally } }
    }
}

impl Findings {
    fn add(&mut self, finding: Finding, known: &KnownUser, judge: &Judge<'_>) {
        match finding {
            Finding::Healthy => {
                self.count_kept(MailboxState::Healthy);
                if let Some(sku) = Entitlement::sole_product(&known.user, &judge.observed.catalog) {
                    *self.tally.resting.entry(sku).or_default() += 1;
                }
            }
            Finding::Drift(drift) => {
                self.count_kept(state_of(&drift, false, judge.now));
                self.drifts.push(*drift);
            }
            // A user whom no rule names is counted and nothing else: it is not ours to have an opinion on.
            Finding::LeftAlone { reason: Reason::NoRule, .. } => self.tally.unmatched += 1,
            Finding::LeftAlone { reason, drift, detail } => {
                // Without a mailbox there is nothing at risk; where nobody can find out any more there may be one.
                let may_have_had = reason == Reason::Undetermined && known.may_have_had_mailbox();
                let drift = drift.filter(|_| known.had_mailbox() || may_have_had);
                *self.tally.left_alone.entry(reason).or_default() += 1;
                // Each reason for itself, so that leavers by the hundred do not hide who cannot be judged.
                let listed = self.tally.listed.iter().filter(|row| row.reason == reason).count();
                if let Some(kind) = drift.filter(|_| listed < LEFT_ALONE_LISTED) {
                    self.tally.listed.push(left_alone(known, kind, reason, detail, judge.policy.retention));
                }
            }
        }
    }

    fn count_kept(&mut self, state: MailboxState) {
        self.tally.kept += 1;
        *self.tally.by_state.entry(state).or_default() += 1;
    }

    /// Leaves what does not depend on the time: all drifts are compared and counted anew.
    fn forget_drifts(&mut self) {
        self.tally.by_state.retain(|state, _| *state == MailboxState::Healthy);
        self.tally.kept = self.tally.by_state.values().sum();
    }

    /// Takes a user out of the counters, as he stood before this observation.
    fn subtract(&mut self, before: &Finding, known: &KnownUser, catalog: &Catalog) {
        match before {
            Finding::Healthy => {
                lower(&mut self.tally.kept);
                self.tally.by_state.entry(MailboxState::Healthy).and_modify(lower);
                if let Some(sku) = Entitlement::sole_product(&known.user, catalog) {
                    self.tally.resting.entry(sku).and_modify(lower);
                }
            }
            Finding::Drift(_) => {}
            Finding::LeftAlone { reason: Reason::NoRule, .. } => lower(&mut self.tally.unmatched),
            Finding::LeftAlone { reason, .. } => {
                self.tally.left_alone.entry(*reason).and_modify(lower);
                self.tally.left_alone.retain(|_, count| *count > 0);
                self.tally.listed.retain(|listed| listed.user != known.id());
            }
        }
    }
}

fn lower(count: &mut u64) {
    *count = count.saturating_sub(1);
}

/// The difference is what the listing found and the deltas had not told, or a mistake of ours: worth a look when it
/// is large.
fn log_difference(before: &Tally, now: &Tally) {
    let before_kept = before.kept;
    if (before_kept, before.unmatched, &before.left_alone) != (now.kept, now.unmatched, &now.left_alone) {
        tracing::info!(
            kept = now.kept,
            before_kept,
            unmatched = now.unmatched,
            before_unmatched = before.unmatched,
            "everybody was counted anew, and the counters corrected"
        );
    }
}

fn left_alone(
    known: &KnownUser,
    drift: DriftKind,
    reason: Reason,
    detail: Option<String>,
    retention: Retention,
) -> Waiting {
    Waiting {
        user: known.id(),
        upn: known.user.upn.clone(),
        drift,
        rule: None,
        reason,
        until: None,
        deadline: unkept_until(known, retention),
        act_by: None,
        detail,
    }
}
