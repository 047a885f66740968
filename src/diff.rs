//! Policy against what is known of one user. Pure: no I/O, no clock, no async; one user at a time, so that a pass costs
//! what changed. Does not know seats, limits, the ledger or the mode: that is planning.

pub mod change;
mod deadline;
mod group_error;
mod remedy;
mod restore;
#[cfg(test)]
pub(crate) mod tests;

use crate::model::{
    Catalog, Cause, Drift, DriftKind, Entitlement, KnownUser, MailboxState, Presence, Reason, Released,
    Response, Surroundings, Timestamp,
};
use crate::policy::{KeepRule, Policy, Ruling};

pub use deadline::unkept_until;
use remedy::Proposal;
pub use remedy::usable_skus;

/// What the policy makes of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Kept, and nothing is wrong.
    Healthy,
    /// Kept, and on its way to being lost.
    Drift(Box<Drift>),
    /// Not ours to touch. `drift` says what would be repaired if it were; `None` when nothing is wrong.
    LeftAlone { reason: Reason, drift: Option<DriftKind>, detail: Option<String> },
}

/// Compares one user with the policy.
pub fn diff(
    policy: &Policy,
    known: &KnownUser,
    catalog: &Catalog,
    surroundings: &Surroundings,
    now: Timestamp,
) -> Finding {
    let entitlement = Entitlement::of(&known.user, catalog);
    let kind = drift_kind(known, &entitlement);
    let left_alone = |reason, detail| Finding::LeftAlone { reason, drift: kind, detail };
    if matches!(known.presence, Presence::Recalled { .. }) {
        return left_alone(
            Reason::Undetermined,
            Some("the user, not observed since the state was lost".to_owned()),
        );
    }
    let rule = match policy.ruling(known) {
        Ruling::Keep(rule) => rule,
        Ruling::Offboarded(entry) => return left_alone(Reason::Offboarded, Some(entry.reason.clone())),
        Ruling::Protected(entry) => return left_alone(Reason::Protected, Some(entry.reason.clone())),
        Ruling::NoRule => {
            return match surroundings.released.get(&known.id()) {
                Some(Released { rule, at, .. }) => {
                    left_alone(Reason::Released, Some(format!("rule {rule} did until {}", at.human())))
                }
                None => left_alone(Reason::NoRule, None),
            };
        }
        Ruling::Undetermined { fact } => return left_alone(Reason::Undetermined, Some(fact)),
    };
    let Some(kind) = kind else { return Finding::Healthy };
    if kind == DriftKind::Unlicensed && known.user.licenses.is_none() {
        return left_alone(
            Reason::Undetermined,
            Some("the licences of the account, which the newest answer of Microsoft leaves out".to_owned()),
        );
    }
    let had_mailbox = known.had_mailbox() || known.user.had_mailbox_plan();
    let is_adopted = rule.adopt && kind == DriftKind::Unlicensed;
    if !had_mailbox && !is_adopted {
        return left_alone(Reason::NeverHadMailbox, None);
    }
    let case = Case { policy, rule, known, entitlement: &entitlement, kind, now };
    Finding::Drift(Box::new(case.drift(catalog, surroundings)))
}

/// `None` when the mailbox is where it should be.
fn drift_kind(known: &KnownUser, entitlement: &Entitlement) -> Option<DriftKind> {
    match known.presence {
        Presence::Live => {
            let is_wanted = known.needs_license() || has_turned(known);
            (is_wanted && !entitlement.is_licensed()).then_some(DriftKind::Unlicensed)
        }
        Presence::Deleted { since } if known.needs_license() && was_unlicensed(known, since) => {
            Some(DriftKind::UnlicensedAndDeleted)
        }
        Presence::Deleted { .. } => Some(DriftKind::Deleted),
        Presence::Missing { .. } | Presence::Gone { .. } => Some(DriftKind::Gone),
        Presence::Recalled { .. } => None,
    }
}

/// The licence was gone before the account was deleted: it was missed while the account was live, or the deleted
/// account still lists other products. An empty list says nothing: whether Graph fills it for deleted users is not
/// documented.
fn was_unlicensed(known: &KnownUser, deleted: Timestamp) -> bool {
    known.loss.as_ref().is_some_and(|loss| loss.noticed < deleted || !known.user.licenses().is_empty())
}

/// It needed no licence when its kind was last known, and a clock runs all the same.
fn has_turned(known: &KnownUser) -> bool {
    !known.needs_license() && known.loss.is_some()
}

/// One kept user whose mailbox is not where it should be.
struct Case<'a> {
    policy: &'a Policy,
    rule: &'a KeepRule,
    known: &'a KnownUser,
    entitlement: &'a Entitlement,
    kind: DriftKind,
    now: Timestamp,
}

impl Case<'_> {
    fn drift(&self, catalog: &Catalog, surroundings: &Surroundings) -> Drift {
        let Self { policy, rule, known, entitlement, kind, now } = *self;
        let audited = surroundings.audited(known.id());
        let reading = deadline::read(known, entitlement, kind, catalog, audited, policy.retention, now);
        let Proposal { remedy, impossible, detail } =
            remedy::remedy(policy, rule, known, kind, catalog, surroundings);
        let is_duplicate = match kind {
            // Licensing the account that took the place of a deleted one can destroy the mailbox of that one.
            DriftKind::Unlicensed => surroundings.rivals.contains_key(&known.id()),
            DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => impossible == Some(Reason::Duplicate),
            DriftKind::Gone => false,
        };
        let blocked = self.blocked(&reading, is_duplicate).or(impossible);
        let detail = detail.filter(|_| blocked == impossible);
        Drift {
            user: known.id(),
            upn: known.user.upn.clone(),
            kind,
            cause: cause(known, entitlement, kind),
            rule: rule.reference(),
            clock: reading.clock,
            response: response(rule, kind),
            settle: rule.settle,
            remedy,
            blocked,
            detail,
        }
    }

    /// What in the user's own situation forbids the remedy, the most final first.
    fn blocked(&self, reading: &deadline::Reading, is_duplicate: bool) -> Option<Reason> {
        let Self { known, entitlement, .. } = self;
        let is_deleted = self.kind.is_deletion();
        match known.presence {
            Presence::Missing { .. } | Presence::Recalled { .. } => return Some(Reason::Confirming),
            Presence::Gone { .. } => return Some(Reason::Gone),
            Presence::Live | Presence::Deleted { .. } => {}
        }
        if reading.has_passed {
            return Some(Reason::Expired);
        }
        // Only a licence is useless then: a deleted account is restored, whatever became of the subscription.
        if !is_deleted && matches!(entitlement, Entitlement::SubscriptionLapsed { .. }) {
            return Some(Reason::SubscriptionLapsed);
        }
        if !is_deleted && has_turned(known) {
            return Some(Reason::KindChanged);
        }
        if is_deleted && known.user.on_premises_synced {
            return Some(Reason::SyncedDeleted);
        }
        if is_duplicate {
            return Some(Reason::Duplicate);
        }
        self.disabled().or_else(|| {
            deadline::is_contradicted(&reading.clock, self.now).then_some(Reason::DeadlineUnknown)
        })
    }

    /// A disabled account is touched only where the rule speaks of it; the accounts of shared mailboxes are disabled by
    /// design (Microsoft: "block sign-in for the shared mailbox account").
    fn disabled(&self) -> Option<Reason> {
        if !self.known.needs_license() || self.rule.names_account_enabled() {
            return None;
        }
        match self.known.user.account_enabled {
            Some(true) => None,
            Some(false) => Some(Reason::AccountDisabled),
            None => Some(Reason::Undetermined),
        }
    }
}

fn response(rule: &KeepRule, kind: DriftKind) -> Response {
    match kind {
        DriftKind::Unlicensed => rule.on_license_lost,
        DriftKind::Deleted | DriftKind::Gone => rule.on_deleted,
        // Both must be allowed: restoring without licensing keeps nothing, so the more careful answer counts.
        DriftKind::UnlicensedAndDeleted => rule.on_deleted.max(rule.on_license_lost),
    }
}

fn cause(known: &KnownUser, entitlement: &Entitlement, kind: DriftKind) -> Cause {
    match kind {
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => return Cause::AccountDeleted,
        DriftKind::Gone => return Cause::AccountPurged,
        DriftKind::Unlicensed if has_turned(known) => return Cause::KindChanged,
        DriftKind::Unlicensed => {}
    }
    match entitlement {
        Entitlement::PlanDisabled { .. } => Cause::PlanDisabled,
        Entitlement::SubscriptionLapsed { .. } => Cause::SubscriptionLapsed,
        Entitlement::GroupError { .. } => Cause::GroupLicenseError,
        Entitlement::Licensed { .. } | Entitlement::None { .. } => match &known.remembered {
            Some(remembered)
                if remembered.assignments.iter().any(|assignment| assignment.by_group.is_some()) =>
            {
                Cause::GroupLicenseRemoved
            }
            Some(_) => Cause::LicenseRemoved,
            // Also where `assignedPlans` shows that there was one: nobody saw on which path it came.
            None => Cause::NeverLicensed,
        },
    }
}

/// The state under which a drift is counted.
pub fn state_of(drift: &Drift, is_settling: bool, now: Timestamp) -> MailboxState {
    if drift.blocked == Some(Reason::Expired) || drift.blocked == Some(Reason::Gone) {
        return MailboxState::Expired;
    }
    if is_settling {
        return MailboxState::Settling;
    }
    if deadline::is_unknown(&drift.clock, now) {
        return MailboxState::Unknown;
    }
    match drift.kind {
        DriftKind::Unlicensed => MailboxState::Unlicensed,
        DriftKind::Deleted => MailboxState::Deleted,
        DriftKind::UnlicensedAndDeleted => MailboxState::UnlicensedAndDeleted,
        DriftKind::Gone => MailboxState::Unknown,
    }
}
