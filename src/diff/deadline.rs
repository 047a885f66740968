//! The clocks: when a mailbox is lost for good, and what speaks for it.
//!
//! Two independent clocks run: from the loss of the licence (Microsoft: "removes the mailbox after 30 days", 60 with
//! Delicensing Resiliency), and from the deletion of the account (always 30 days). The earlier one counts, and within
//! an interval of uncertainty its earlier end. Behind a lapsed subscription neither runs: the subscription has a clock
//! of its own, whose dates Microsoft gives.

use crate::model::{
    AuditEvent, CapabilityStatus, Catalog, Certainty, DELETED_RETENTION, DriftKind, Entitlement, Evidence,
    KnownUser, Loss, LossClock, Presence, ProvisioningError, SkuId, Span, Timestamp, first_to_end,
};
use crate::policy::Retention;

/// When Microsoft deletes the mailbox of an account that nobody repairs, at the earliest; `None` where nobody saw the
/// beginning.
pub fn unkept_until(known: &KnownUser, retention: Retention) -> Option<Timestamp> {
    let loss = known.loss.as_ref().and_then(|loss| loss.last_with).map(|start| start + retention.days);
    match known.presence {
        Presence::Deleted { since } => {
            Some(loss.map_or(since + DELETED_RETENTION, |loss| loss.min(since + DELETED_RETENTION)))
        }
        Presence::Live => loss,
        Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => None,
    }
}

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
    catalog: &Catalog,
    audited: &[AuditEvent],
    retention: Retention,
    now: Timestamp,
) -> Reading {
    let license = match kind {
        DriftKind::Unlicensed => Some(license_clock(known, entitlement, catalog, audited, retention, now)),
        // A licence that is not listed after the deletion may have gone somewhat before it.
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted | DriftKind::Gone => {
            known.loss.as_ref().map(|loss| loss_clock(loss, audited, retention, now))
        }
    };
    let deletion = if kind.is_deletion() { deletion_clock(known, audited, retention) } else { None };
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
        // The loss is somewhere in an interval that began too long ago, and its only date says that it is too late.
        Certainty::Known => match (clock.earliest, clock.deadline) {
            (Some(earliest), Some(deadline)) if deadline <= now => clock.evidence.iter().any(|evidence| {
                let limit = deadline - earliest;
                matches!(evidence, Evidence::AssignedPlan { date } if *date >= earliest && *date + limit <= now)
            }),
            (Some(_) | None, Some(_) | None) => false,
        },
        Certainty::NotRunning => false,
    }
}

fn is_running(clock: &LossClock) -> bool {
    clock.certainty != Certainty::NotRunning
}

fn license_clock(
    known: &KnownUser,
    entitlement: &Entitlement,
    catalog: &Catalog,
    audited: &[AuditEvent],
    retention: Retention,
    now: Timestamp,
) -> LossClock {
    let Some(loss) = &known.loss else {
        return match entitlement {
            Entitlement::SubscriptionLapsed { sku, .. } => subscription_clock(*sku, catalog, retention, now),
            // Who never had one loses none. Else it was just found missing.
            Entitlement::Licensed { .. }
            | Entitlement::PlanDisabled { .. }
            | Entitlement::GroupError { .. }
            | Entitlement::None { .. } => match known.had_mailbox() {
                true => first_seen(now),
                false => not_running(now, Vec::new()),
            },
        };
    };
    let hold =
        |error: &ProvisioningError| Evidence::Hold { service_instance: error.service_instance.clone() };
    let holds: Vec<Evidence> = known.user.holds(loss).map(hold).collect();
    if holds.is_empty() { loss_clock(loss, audited, retention, now) } else { not_running(now, holds) }
}

/// Microsoft keeps the data while the subscription is suspended or locked out, and deletes it with the subscription
/// (Microsoft: "What happens to my data and access when my subscription ends"). Suspended is the last stage before that
/// for most, and locking out comes in between for some, so its date counts as the earliest possible end.
fn subscription_clock(sku: SkuId, catalog: &Catalog, retention: Retention, now: Timestamp) -> LossClock {
    let product = catalog.name(sku);
    let Some(subscription) = catalog.subscriptions().and_then(|all| first_to_end(sku, all)) else {
        return unknown(now, vec![Evidence::SubscriptionNotKnown { product }]);
    };
    let is_deletion = subscription.is_suspended();
    let (status, next) = (subscription.status.as_str().to_owned(), subscription.next);
    let evidence = vec![Evidence::Subscription { product, status, next, is_deletion }];
    match next.filter(|_| subscription.status != CapabilityStatus::Deleted) {
        None => unknown(now, evidence),
        Some(deadline) => LossClock {
            certainty: if is_deletion { Certainty::Known } else { Certainty::Hinted },
            earliest: None,
            latest: now,
            deadline: Some(deadline),
            act_by: Some(deadline - retention.margin),
            evidence,
        },
    }
}

fn first_seen(now: Timestamp) -> LossClock {
    unknown(now, vec![Evidence::FirstSeenWithout { noticed: now }])
}

fn unknown(latest: Timestamp, evidence: Vec<Evidence>) -> LossClock {
    LossClock {
        certainty: Certainty::Unknown,
        earliest: None,
        latest,
        deadline: None,
        act_by: None,
        evidence,
    }
}

/// Our own observations count before everything else, and their earlier bound before the date of an event in between:
/// the log may lack the one that took the mailbox. Without them the earliest hint counts that leaves the mailbox alive.
fn loss_clock(loss: &Loss, audited: &[AuditEvent], retention: Retention, now: Timestamp) -> LossClock {
    let hint = loss.hint.filter(|date| *date <= loss.noticed);
    let hint_evidence = hint.map(|date| Evidence::AssignedPlan { date });
    let is_of_loss = |event: &&AuditEvent| !event.is(AuditEvent::DELETE_USER);
    let audit = audited.iter().filter(is_of_loss).cloned().map(Evidence::Audit);
    if let Some(last_with) = loss.last_with {
        let observed = Evidence::Observed { last_with, noticed: loss.noticed };
        let evidence = std::iter::once(observed).chain(hint_evidence).chain(audit).collect();
        return running(Certainty::Known, last_with, loss.noticed, retention.days, retention, evidence);
    }
    let first = Evidence::FirstSeenWithout { noticed: loss.noticed };
    let evidence: Vec<Evidence> = std::iter::once(first).chain(hint_evidence).chain(audit).collect();
    let taken =
        audited.iter().filter(|event| !event.removed.is_empty()).map(|event| event.at.min(loss.noticed));
    let alive = hint.into_iter().chain(taken).filter(|date| *date + retention.days > loss.noticed);
    match alive.min() {
        Some(date) => running(Certainty::Hinted, date, loss.noticed, retention.days, retention, evidence),
        None => unknown(loss.noticed.min(now), evidence),
    }
}

fn deletion_clock(known: &KnownUser, audited: &[AuditEvent], retention: Retention) -> Option<LossClock> {
    let Presence::Deleted { since } = known.presence else { return None };
    let deletions = audited.iter().filter(|event| event.is(AuditEvent::DELETE_USER)).cloned();
    let dated = std::iter::once(Evidence::DeletedDateTime { date: since });
    let evidence = dated.chain(deletions.map(Evidence::Audit)).collect();
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
