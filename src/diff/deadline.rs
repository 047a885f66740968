//! The clocks: when a mailbox is lost for good, and what speaks for it.
//!
//! Two independent clocks run: from the loss of the licence (Microsoft: "removes the mailbox after 30 days", 60 with
//! Delicensing Resiliency), and from the deletion of the account (always 30 days). The earlier one counts, and within
//! an interval of uncertainty its earlier end.

use crate::model::{
    Certainty, DriftKind, Entitlement, Evidence, KnownUser, Loss, LossClock, Presence, ProvisioningError,
    Span, Timestamp,
};
use crate::policy::Retention;

/// A deleted account stays recoverable for 30 days, whatever the tenant's settings (Microsoft Entra: "Restore or
/// remove a recently deleted user").
pub const DELETED_RETENTION: Span = Span::from_days(30);

/// The clocks of one drift, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The clock that counts.
    pub clock: LossClock,
    /// Even the latest possible start of one of the clocks lies a whole retention back: the mailbox is gone for
    /// certain.
    pub has_passed: bool,
}

/// Reads the clocks of one drift.
pub fn read(
    known: &KnownUser,
    entitlement: &Entitlement,
    kind: DriftKind,
    retention: Retention,
    now: Timestamp,
) -> Reading {
    let license = match kind {
        DriftKind::Unlicensed => Some(license_clock(known, entitlement, retention, now)),
        // A licence that is not listed after the deletion may have gone somewhat before it.
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted | DriftKind::Gone => {
            known.loss.as_ref().map(|loss| loss_clock(loss, retention, now))
        }
    };
    let deletion = match kind {
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => deletion_clock(known, retention),
        DriftKind::Unlicensed | DriftKind::Gone => None,
    };
    let has_passed = |clock: &Option<LossClock>, limit: Span| {
        clock.as_ref().is_some_and(|clock| is_running(clock) && clock.latest + limit <= now)
    };
    let has_passed = has_passed(&license, retention.days) || has_passed(&deletion, DELETED_RETENTION);
    let clock = match (license, deletion) {
        (Some(license), Some(deletion)) => earlier(license, deletion),
        (Some(clock), None) | (None, Some(clock)) => clock,
        (None, None) => not_running(now, Vec::new()),
    };
    Reading { clock, has_passed }
}

/// True when the deadline is not known, or only its earliest possible date has passed.
pub fn is_unknown(clock: &LossClock, now: Timestamp) -> bool {
    match clock.certainty {
        Certainty::NotRunning => false,
        Certainty::Unknown => true,
        Certainty::Known | Certainty::Hinted => clock.deadline.is_some_and(|deadline| deadline <= now),
    }
}

/// True when the loss itself was not observed and the only date for it says that it is too late.
pub fn is_contradicted(clock: &LossClock, now: Timestamp) -> bool {
    match clock.certainty {
        Certainty::Hinted => clock.deadline.is_some_and(|deadline| deadline <= now),
        Certainty::Unknown => {
            clock.evidence.iter().any(|evidence| matches!(evidence, Evidence::AssignedPlan { .. }))
        }
        Certainty::Known | Certainty::NotRunning => false,
    }
}

fn is_running(clock: &LossClock) -> bool {
    clock.certainty != Certainty::NotRunning
}

fn license_clock(
    known: &KnownUser,
    entitlement: &Entitlement,
    retention: Retention,
    now: Timestamp,
) -> LossClock {
    let Some(loss) = &known.loss else {
        // A lapsed subscription preserves the mailbox, and who never had one loses none. Else it was just found
        // missing.
        let is_kept = matches!(entitlement, Entitlement::SubscriptionLapsed { .. }) || !known.had_mailbox();
        return if is_kept { not_running(now, Vec::new()) } else { first_seen(now) };
    };
    let hold =
        |error: &ProvisioningError| Evidence::Hold { service_instance: error.service_instance.clone() };
    let holds: Vec<Evidence> = known.user.holds(loss).map(hold).collect();
    if holds.is_empty() { loss_clock(loss, retention, now) } else { not_running(now, holds) }
}

fn first_seen(now: Timestamp) -> LossClock {
    LossClock {
        certainty: Certainty::Unknown,
        earliest: None,
        latest: now,
        deadline: None,
        act_by: None,
        evidence: vec![Evidence::FirstSeenWithout { noticed: now }],
    }
}

fn loss_clock(loss: &Loss, retention: Retention, now: Timestamp) -> LossClock {
    let hint = loss.hint.filter(|date| *date <= loss.noticed);
    let hint_evidence = hint.map(|date| Evidence::AssignedPlan { date });
    if let Some(last_with) = loss.last_with {
        let observed = Evidence::Observed { last_with, noticed: loss.noticed };
        let evidence = std::iter::once(observed).chain(hint_evidence).collect();
        return running(Certainty::Known, last_with, loss.noticed, retention.days, retention, evidence);
    }
    let first = Evidence::FirstSeenWithout { noticed: loss.noticed };
    let evidence: Vec<Evidence> = std::iter::once(first).chain(hint_evidence).collect();
    match hint.filter(|date| *date + retention.days > loss.noticed) {
        Some(date) => running(Certainty::Hinted, date, loss.noticed, retention.days, retention, evidence),
        None => LossClock {
            certainty: Certainty::Unknown,
            earliest: None,
            latest: loss.noticed.min(now),
            deadline: None,
            act_by: None,
            evidence,
        },
    }
}

fn deletion_clock(known: &KnownUser, retention: Retention) -> Option<LossClock> {
    let Presence::Deleted { since } = known.presence else { return None };
    let evidence = vec![Evidence::DeletedDateTime { date: since }];
    Some(running(Certainty::Known, since, since, DELETED_RETENTION, retention, evidence))
}

fn running(
    certainty: Certainty,
    earliest: Timestamp,
    latest: Timestamp,
    limit: Span,
    retention: Retention,
    evidence: Vec<Evidence>,
) -> LossClock {
    let deadline = earliest + limit;
    LossClock {
        certainty,
        earliest: Some(earliest),
        latest,
        deadline: Some(deadline),
        act_by: Some(deadline - retention.margin),
        evidence,
    }
}

fn not_running(now: Timestamp, evidence: Vec<Evidence>) -> LossClock {
    LossClock {
        certainty: Certainty::NotRunning,
        earliest: None,
        latest: now,
        deadline: None,
        act_by: None,
        evidence,
    }
}

/// The clock that ends first, with the evidence of both. A clock without a known end counts as the earlier one.
fn earlier(license: LossClock, deletion: LossClock) -> LossClock {
    let evidence: Vec<Evidence> = license.evidence.iter().chain(&deletion.evidence).cloned().collect();
    let winner = match (license.deadline, deletion.deadline) {
        (Some(first), Some(second)) if first > second => deletion,
        (None, _) if license.certainty == Certainty::Unknown => {
            LossClock { certainty: Certainty::Unknown, ..deletion }
        }
        _ => license,
    };
    LossClock { evidence, ..winner }
}
