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
    // The same people another time are another event: an answer is to this one.
    let since: Vec<Timestamp> = open.iter().map(|drift| first_seen(drift, input)).collect();
    let about: Vec<&dyn std::fmt::Display> =
        users.iter().zip(&since).flat_map(|(user, since)| [user as &dyn std::fmt::Display, since]).collect();
    let id = stable_id(&about);
    let question = format!(
        "{count} of {} kept mailboxes are concerned within a day, the policy allows {allowed} without a person ({}){}",
        input.kept,
        causes(&open),
        others(count, open.len() as u64, input)
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

/// Mass events that a person said no to, each with the drifts that still wait because of it.
pub fn denied(input: &Input<'_>) -> Vec<Ask> {
    if input.closed.is_some() {
        return Vec::new();
    }
    let stands = |drift: &&Drift| drift.blocked.is_none() && drift.response != Response::Report;
    let standing: Vec<(&Drift, &Answer)> =
        input.drifts.iter().filter(stands).filter_map(|drift| Some((drift, answer(drift, input)?))).collect();
    let denials = input.answers.iter().filter(|(_, denial)| !denial.granted);
    let asks = denials.filter_map(|(id, denial)| {
        let covered = standing.iter().filter(|(_, answer)| std::ptr::eq(*answer, denial));
        let mut drifts: Vec<&Drift> = covered.map(|(drift, _)| *drift).collect();
        drifts.sort_by_key(|drift| drift.user);
        (!drifts.is_empty()).then(|| Ask {
            id: id.clone(),
            reason: Reason::MassEvent,
            question: format!("Repair {} of a mass event? ({})", drifts.len(), causes(&drifts)),
            opened: drifts.iter().map(|drift| first_seen(drift, input)).min().unwrap_or(input.now),
            act_by: drifts.iter().filter_map(|drift| drift.clock.act_by).min(),
            users: drifts.iter().map(|drift| drift.user).collect(),
        })
    });
    asks.collect()
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
    input.policy.limits.allowed_of(input.kept)
}

fn first_seen(drift: &Drift, input: &Input<'_>) -> Timestamp {
    input.ledger.get(&drift.user).map_or(input.now, |entry| entry.first_seen)
}

/// Why the question is about fewer than it counts, and which limit counted.
fn others(count: u64, open: u64, input: &Input<'_>) -> String {
    let limits = &input.policy.limits;
    let limit = match allowed(input) == u64::from(limits.floor) {
        true => format!("limits.floor {}", limits.floor),
        false => format!("limits.share {} %", limits.share * 100.0),
    };
    match count.saturating_sub(open) {
        0 => format!("; {limit}"),
        others => format!(
            "; {open} wait for the answer, {others} were repaired or answered within the day; {limit}"
        ),
    }
}

fn causes(drifts: &[&Drift]) -> String {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for drift in drifts {
        *causes.entry(drift.cause.label()).or_default() += 1;
    }
    let causes: Vec<String> = causes
        .iter()
        .map(|(cause, count)| format!("{count} {}", cause.replace("license", "licence").replace('_', " ")))
        .collect();
    causes.join(", ")
}
