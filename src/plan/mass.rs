//! Mass events: more mailboxes concerned within a day than the policy lets pass without a person. Knows counts and
//! answers; seats, order and the limits per pass and day are not its business.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Answer, Ask, Drift, Reason, Response, Span, Timestamp, UserId};

use super::{Input, stable_id};

/// What "within a day" means, as for the intents of [`Input::sent_last_day`].
const DAY: Span = Span::from_days(1);

/// One question for many, when there is a mass event. It names those that no answer covers yet.
pub fn event(input: &Input<'_>) -> Option<Ask> {
    let mut open: Vec<&Drift> = input.drifts.iter().filter(|drift| is_open(drift, input)).collect();
    if open.is_empty() || input.closed.is_some() {
        return None;
    }
    let count = concerned(&open, input);
    let allowed = allowed(input);
    if count <= allowed {
        return None;
    }
    open.sort_by_key(|drift| drift.user);
    let users: Vec<UserId> = open.iter().map(|drift| drift.user).collect();
    let id = stable_id(&users.iter().map(|user| user as &dyn std::fmt::Display).collect::<Vec<_>>());
    let question = format!(
        "{count} of {} kept mailboxes are concerned within a day, the policy allows {allowed} without a person ({})",
        input.kept,
        causes(&open)
    );
    Some(Ask {
        id,
        reason: Reason::MassEvent,
        question,
        opened: open.iter().map(|drift| first_seen(drift, input)).min().unwrap_or(input.now),
        act_by: open.iter().filter_map(|drift| drift.clock.act_by).min(),
        users,
    })
}

/// The newest answer to a mass event that names this user and was given while this drift stood: a later drift of the
/// same user is a new question.
pub fn answer<'a>(drift: &Drift, input: &Input<'a>) -> Option<&'a Answer> {
    let since = input.ledger.get(&drift.user)?.first_seen;
    let covers = |answer: &&Answer| {
        answer.reason == Reason::MassEvent && answer.at >= since && answer.users.contains(&drift.user)
    };
    // Of two answers at the same moment, the careful one counts.
    input.answers.values().filter(covers).max_by_key(|answer| (answer.at, !answer.granted))
}

/// A drift that could become a step and that nobody answered for.
fn is_open(drift: &Drift, input: &Input<'_>) -> bool {
    drift.blocked.is_none() && drift.response != Response::Report && answer(drift, input).is_none()
}

/// Mailboxes concerned within a day: those that drift, those that something was sent for, each once. What was sent for
/// users who no longer drift is known by number only, and every request counts as one mailbox.
fn concerned(open: &[&Drift], input: &Input<'_>) -> u64 {
    let mut users: BTreeSet<UserId> = open.iter().map(|drift| drift.user).collect();
    let mut known = 0_u64;
    for (user, entry) in input.ledger {
        let recent = entry.attempts.iter().filter(|attempt| attempt.at >= input.now - DAY).count() as u64;
        if recent > 0 {
            users.insert(*user);
            known += recent;
        }
    }
    users.len() as u64 + u64::from(input.sent_last_day).saturating_sub(known)
}

fn allowed(input: &Input<'_>) -> u64 {
    let limits = &input.policy.limits;
    // A hair more: 29 % of 100 is 28.999999999999996 in floating point.
    let share = (limits.share * input.kept as f64 + 1e-9).floor() as u64;
    share.max(u64::from(limits.floor))
}

fn first_seen(drift: &Drift, input: &Input<'_>) -> Timestamp {
    input.ledger.get(&drift.user).map_or(input.now, |entry| entry.first_seen)
}

fn causes(drifts: &[&Drift]) -> String {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for drift in drifts {
        *causes.entry(drift.cause.label()).or_default() += 1;
    }
    let causes: Vec<String> =
        causes.iter().map(|(cause, count)| format!("{count} {}", cause.replace('_', " "))).collect();
    causes.join(", ")
}
