//! Order and spacing: who comes first, how long a drift must stand, when a failed attempt is repeated.

use crate::model::{Certainty, Drift, LedgerEntry, OutcomeKind, Span, Timestamp, UserId};

/// First wait after a failed attempt; doubles with each further one.
const BACKOFF_FIRST: Span = Span::from_minutes(15);

/// Longest wait between attempts: several a day, for as long as the mailbox can be kept.
const BACKOFF_LONGEST: Span = Span::from_hours(6);

/// Shortest wait to which a near deadline shortens the others: at most 48 attempts a day for one mailbox, so that one
/// that cannot be repaired does not use up the day's limit for all.
const BACKOFF_SHORTEST: Span = Span::from_minutes(30);

/// So many repairs of ours that did not last, and the drift again: somebody undoes us.
const FLAPS_ALLOWED: usize = 2;

/// Sort key: unknown deadlines first, then by day of "act by", within a day by priority, then by the minute.
///
/// A day as the unit lets the rule's priority decide who gets the last seat among mailboxes that are equally urgent.
pub fn urgency(drift: &Drift, now: Timestamp) -> (i64, i64, i64, UserId) {
    let priority = -i64::from(drift.rule.priority);
    match (drift.clock.certainty, drift.clock.act_by) {
        (Certainty::Unknown, _) => (i64::MIN, priority, 0, drift.user),
        (Certainty::Known | Certainty::Hinted, Some(act_by)) => {
            let left = act_by - now;
            (
                left.as_millis().div_euclid(Span::from_days(1).as_millis()),
                priority,
                act_by.as_millis(),
                drift.user,
            )
        }
        (Certainty::Known | Certainty::Hinted | Certainty::NotRunning, _) => {
            (i64::MAX, priority, 0, drift.user)
        }
    }
}

/// Sort key: unknown deadlines first, then the soonest; last those that do not run.
pub fn time_left(drift: &Drift) -> (u8, i64, UserId) {
    match (drift.clock.certainty, drift.clock.act_by) {
        (Certainty::Unknown, _) => (0, 0, drift.user),
        (Certainty::Known | Certainty::Hinted, Some(act_by)) => (1, act_by.as_millis(), drift.user),
        (Certainty::Known | Certainty::Hinted | Certainty::NotRunning, _) => (2, 0, drift.user),
    }
}

/// When the drift has stood long enough. Never later than "act by": settling must not cost the mailbox.
pub fn settled_at(drift: &Drift, entry: &LedgerEntry) -> Timestamp {
    let settled = entry.first_seen + drift.settle;
    match drift.clock.act_by {
        Some(act_by) => settled.min(act_by),
        None => settled,
    }
}

/// When to try again after `failures` failed attempts: doubling, but at most an eighth of the time that is left, so
/// that attempts come closer together as the deadline does.
pub fn next_attempt(failures: u32, act_by: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let doubled = BACKOFF_FIRST.as_millis().saturating_mul(1_i64 << failures.saturating_sub(1).min(16));
    let wait = Span::from_millis(doubled).min(BACKOFF_LONGEST);
    let eighth = act_by.map(|act_by| Span::from_millis((act_by - now).as_millis() / 8));
    now + eighth.map_or(wait, |eighth| wait.min(eighth.max(BACKOFF_SHORTEST)))
}

/// A request that Graph refused for good is tried again after so long: somebody may have removed the cause.
const REFUSED_AGAIN: Span = Span::from_days(1);

/// The last try before "act by" comes so long before it, so that a person still has time when it is refused, too.
const LAST_TRY: Span = Span::from_hours(2);

/// When to try again what Graph refused for good: once a day, and once shortly before "act by".
pub fn after_refusal(act_by: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let daily = now + REFUSED_AGAIN;
    let last_try = act_by.map(|act_by| act_by - LAST_TRY);
    last_try.filter(|last| *last > now && *last < daily).unwrap_or(daily)
}

/// When to try again after a request that came to nothing in this way, as the `failures`th.
pub fn again(kind: OutcomeKind, failures: u32, act_by: Option<Timestamp>, now: Timestamp) -> Timestamp {
    if kind == OutcomeKind::Refused {
        return after_refusal(act_by, now);
    }
    next_attempt(failures, act_by, now)
}

/// The newest setback when this drift follows two of them: a proved repair, or an accepted request that did not last.
pub fn flapping_since(entry: &LedgerEntry) -> Option<Timestamp> {
    let setbacks = entry.setbacks();
    setbacks.last().copied().filter(|_| setbacks.len() >= FLAPS_ALLOWED)
}
