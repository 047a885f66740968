//! Policy against what is known of one user. Pure: no I/O, no clock, no async; one user at a time, so that a pass costs
//! what changed. Does not know seats, limits, the ledger or the mode: that is planning.

mod deadline;
mod remedy;
#[cfg(test)]
mod tests;

use crate::model::{
    Catalog, Cause, Conflicts, Drift, DriftKind, Entitlement, KnownUser, MailboxKind, MailboxState, Presence,
    Reason, Response, Timestamp,
};
use crate::policy::{KeepRule, Policy, Ruling};

pub use deadline::DELETED_RETENTION;

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
    conflicts: &Conflicts,
    now: Timestamp,
) -> Finding {
    let entitlement = Entitlement::of(&known.user, catalog);
    let kind = drift_kind(known, &entitlement);
    let left_alone = |reason, detail| Finding::LeftAlone { reason, drift: kind, detail };
    let rule = match policy.ruling(known) {
        Ruling::Keep(rule) => rule,
        Ruling::Offboarded(entry) => return left_alone(Reason::Offboarded, Some(entry.reason.clone())),
        Ruling::Protected(entry) => return left_alone(Reason::Protected, Some(entry.reason.clone())),
        Ruling::NoRule => return left_alone(Reason::NoRule, None),
        Ruling::Undetermined { fact } => return left_alone(Reason::Undetermined, Some(fact)),
    };
    let Some(kind) = kind else { return Finding::Healthy };
    if !known.had_mailbox() && !(rule.adopt && kind == DriftKind::Unlicensed) {
        return left_alone(Reason::NeverHadMailbox, None);
    }
    Finding::Drift(Box::new(drift(policy, rule, known, &entitlement, kind, catalog, conflicts, now)))
}

#[expect(clippy::too_many_arguments, reason = "the second half of diff(), split only to fit a screen")]
fn drift(
    policy: &Policy,
    rule: &KeepRule,
    known: &KnownUser,
    entitlement: &Entitlement,
    kind: DriftKind,
    catalog: &Catalog,
    conflicts: &Conflicts,
    now: Timestamp,
) -> Drift {
    let clock = deadline::clock(known, entitlement, kind, policy.retention, now);
    let (remedy, impossible) = remedy::remedy(rule, known, entitlement, kind, catalog);
    let blocked = blocked(rule, known, entitlement, kind, &clock, conflicts, now, policy).or(impossible);
    Drift {
        user: known.id(),
        upn: known.user.upn.clone(),
        kind,
        cause: cause(known, entitlement, kind),
        rule: rule.reference(),
        clock,
        response: response(rule, kind),
        settle: rule.settle,
        remedy,
        blocked,
    }
}

/// `None` when the mailbox is where it should be.
fn drift_kind(known: &KnownUser, entitlement: &Entitlement) -> Option<DriftKind> {
    let is_unlicensed = needs_license(known) && !entitlement.is_licensed();
    match known.presence {
        Presence::Live => is_unlicensed.then_some(DriftKind::Unlicensed),
        Presence::Deleted { .. } if needs_license(known) && lost_before_deletion(known) => {
            Some(DriftKind::UnlicensedAndDeleted)
        }
        Presence::Deleted { .. } => Some(DriftKind::Deleted),
        Presence::Missing { .. } | Presence::Gone { .. } => Some(DriftKind::Gone),
    }
}

/// The licence was gone already when the account was deleted, as far as can be seen: either noticed before, or the
/// deleted object lists none although it had one (an admin-centre deletion strips them first).
fn lost_before_deletion(known: &KnownUser) -> bool {
    let stripped = known.remembered.is_some() && known.user.licenses.as_ref().is_some_and(Vec::is_empty);
    known.loss.is_some() || stripped
}

fn needs_license(known: &KnownUser) -> bool {
    known.mailbox.kind.as_ref().is_none_or(MailboxKind::needs_license)
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
            None if known.had_mailbox() => Cause::LicenseRemoved,
            None => Cause::NeverLicensed,
        },
    }
}

/// What in the user's own situation forbids the remedy, the most final first.
#[expect(clippy::too_many_arguments, reason = "a list of independent questions about one user")]
fn blocked(
    rule: &KeepRule,
    known: &KnownUser,
    entitlement: &Entitlement,
    kind: DriftKind,
    clock: &crate::model::LossClock,
    conflicts: &Conflicts,
    now: Timestamp,
    policy: &Policy,
) -> Option<Reason> {
    let is_deleted = matches!(kind, DriftKind::Deleted | DriftKind::UnlicensedAndDeleted);
    let is_disabled = known.user.account_enabled == Some(false) && !rule.names_account_enabled();
    match known.presence {
        Presence::Missing { .. } => return Some(Reason::Confirming),
        Presence::Gone { .. } => return Some(Reason::Gone),
        Presence::Live | Presence::Deleted { .. } => {}
    }
    if deadline::has_passed(clock, kind, policy.retention, now) {
        return Some(Reason::Expired);
    }
    if let Entitlement::SubscriptionLapsed { .. } = entitlement {
        return Some(Reason::SubscriptionLapsed);
    }
    if is_deleted && known.user.on_premises_synced {
        return Some(Reason::SyncedDeleted);
    }
    if conflicts.same_address.contains_key(&known.id()) {
        return Some(Reason::Duplicate);
    }
    if is_disabled && needs_license(known) {
        return Some(Reason::AccountDisabled);
    }
    deadline::is_contradicted(clock).then_some(Reason::DeadlineUnknown)
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
