//! All drifts, the ledger, seats and limits to a [`Plan`]. Pure: no I/O, no clock, no async.
//!
//! Every drift ends exactly once: as a step, or as [`Waiting`] with a [`Reason`]. Nothing is left for `act` to choose.
//! Does not know whether mailkeeper is in `observe` mode or held: the plan says what would be done, and `reconcile`
//! decides whether it is.

pub mod age;
pub mod check;
pub mod explain;
mod mass;
pub mod pace;
mod question;
mod refusal;
mod seats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::model::{
    Action, Answer, Ask, Catalog, Certainty, DIRECTORY_SETTLE, Drift, KnownUser, LedgerEntry, MAILBOX_SETTLE,
    Plan, Reason, Remedy, Response, SkuId, Step, Timestamp, UserId, Waiting,
};
use crate::policy::{Policy, Unanswered};
use seats::Seats;

/// Everything a plan depends on.
#[derive(Debug)]
pub struct Input<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    pub drifts: &'a [Drift],
    pub ledger: &'a BTreeMap<UserId, LedgerEntry>,
    pub catalog: &'a Catalog,
    /// Mailboxes that a keep rule names: what the share is a share of.
    pub kept: u64,
    /// Intents of the last 24 hours.
    pub sent_last_day: u32,
    /// Seats that our own requests took and that the observed counters may not show yet.
    pub in_flight: &'a BTreeMap<SkuId, u32>,
    /// Answers of people, by ask id.
    pub answers: &'a BTreeMap<String, Answer>,
    /// Set when nothing may follow from this pass, whatever the drifts.
    pub closed: Option<Reason>,
    /// A question that does not depend on any drift, and is asked also while everything is closed.
    pub standing_ask: Option<Ask>,
}

/// Makes the plan of one pass.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan { made_at: input.now, policy_digest: input.policy.digest.clone(), ..Plan::default() };
    let mut ready = Vec::new();
    for drift in input.drifts {
        match readiness(drift, input) {
            Ok(()) => ready.push(drift),
            Err(held) => {
                plan.asks.extend(held.ask.map(|ask| *ask));
                plan.waiting.push(waiting(drift, held.reason, held.until, held.detail));
            }
        }
    }
    if let Some(event) = mass::event(input) {
        let is_released = |drift: &&Drift| mass::answer(drift, input).is_some_and(|answer| answer.granted);
        let (released, held): (Vec<&Drift>, Vec<&Drift>) = ready.into_iter().partition(is_released);
        ready = released;
        let question = event.question.clone();
        let held = held.into_iter();
        plan.waiting
            .extend(held.map(|drift| waiting(drift, Reason::MassEvent, None, Some(question.clone()))));
        plan.asks.push(event);
    }
    plan.asks.extend(input.standing_ask.clone());
    let is_denied = |ask: &Ask| input.answers.get(&ask.id).is_some_and(|answer| !answer.granted);
    (plan.denied, plan.asks) = plan.asks.into_iter().partition(is_denied);
    plan.denied.extend(mass::denied(input));
    ready.sort_by_key(|drift| pace::urgency(drift, input.now));
    give_out(ready, input, &mut plan);
    plan.waiting.sort_by_key(|waiting| (waiting.deadline.is_none(), waiting.deadline, waiting.user));
    for asks in [&mut plan.asks, &mut plan.denied] {
        asks.sort_by_cached_key(|ask| (ask.act_by.is_none(), ask.act_by, ask.id.clone()));
    }
    plan.digest = digest(&plan.steps);
    plan
}

/// The plan, less the steps that the separate checker refuses; nothing at all when the rest fails, too.
pub fn checked(made: Plan, input: Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> Plan {
    let judgement = check::judge(&made, &input, known);
    if judgement.is_good() {
        return made;
    }
    let rest = without(made, &judgement.offenders);
    if !judgement.offenders.is_empty() && check::check(&rest, &input, known) {
        return rest;
    }
    plan(&Input { closed: Some(Reason::Unsafe), ..input })
}

/// The same plan without the steps of these users: a person must look at them.
pub fn without(plan: Plan, offenders: &BTreeSet<UserId>) -> Plan {
    let (refused, steps): (Vec<Step>, Vec<Step>) =
        plan.steps.into_iter().partition(|step| offenders.contains(&step.user));
    let refused = refused.into_iter().map(|step| Waiting {
        user: step.user,
        upn: step.upn,
        drift: step.drift,
        rule: Some(step.rule),
        reason: Reason::Unsafe,
        until: None,
        deadline: step.deadline,
        act_by: step.act_by,
        detail: Some(format!("the step was: {}", explain::describe(&step.action))),
    });
    let waiting = plan.waiting.into_iter().chain(refused).collect();
    Plan { digest: digest(&steps), steps, waiting, ..plan }
}

/// Observations in which a drift must have stood before anything is done: one may be a stale read.
const CONFIRMED_BY: u32 = 2;

/// Why a drift has no step yet.
struct Held {
    reason: Reason,
    until: Option<Timestamp>,
    detail: Option<String>,
    ask: Option<Box<Ask>>,
}

impl Held {
    fn because(reason: Reason) -> Self {
        Self { reason, until: None, detail: None, ask: None }
    }

    fn until(reason: Reason, until: Timestamp) -> Self {
        Self { until: Some(until), ..Self::because(reason) }
    }
}

/// Whether a drift may become a step as far as it alone is concerned; the checks stand in order of precedence.
fn readiness(drift: &Drift, input: &Input<'_>) -> Result<(), Held> {
    let entry = input.ledger.get(&drift.user);
    let pending = entry.and_then(|entry| entry.pending.as_ref());
    // Right after our own request a member without a licence is no fault of the group's yet.
    let is_fresh = pending.is_some_and(|pending| pending.sent + MAILBOX_SETTLE > input.now);
    let is_blocked_by_us = is_fresh && drift.blocked == Some(Reason::GroupLicenseError);
    if let Some(reason) = drift.blocked.filter(|_| !is_blocked_by_us) {
        return Err(Held::because(reason));
    }
    if let Some(reason) = input.closed {
        return Err(Held::because(reason));
    }
    if drift.response == Response::Report {
        return Err(Held::because(Reason::ReportOnly));
    }
    if let Some(pending) = pending {
        return Err(Held::until(Reason::AwaitingEffect, pending.sent + DIRECTORY_SETTLE));
    }
    let Some(entry) = entry.filter(|entry| entry.sightings >= CONFIRMED_BY) else {
        return Err(Held::because(Reason::Confirming));
    };
    let settled = pace::settled_at(drift, entry);
    if settled > input.now {
        return Err(Held::until(Reason::Settling, settled));
    }
    if let Some(next) = entry.next_attempt.filter(|next| *next > input.now) {
        if let Some(attempt) = refusal::refused(entry) {
            let detail = Some(refusal::told(attempt, drift.user, input));
            return Err(Held { detail, ..Held::until(Reason::Refused, next) });
        }
        let detail = entry.attempts.last().map(|attempt| attempt.detail.clone());
        return Err(Held { detail, ..Held::until(Reason::BackingOff, next) });
    }
    approved(drift, entry, input)
}

/// Questions that only a person answers: the rule says `ask`, or our repair was undone twice.
fn approved(drift: &Drift, entry: &LedgerEntry, input: &Input<'_>) -> Result<(), Held> {
    if mass::answer(drift, input).is_some_and(|answer| !answer.granted) {
        return Err(Held::because(Reason::Denied));
    }
    let flapping = pace::flapping_since(entry);
    let reason = match (flapping, drift.response) {
        (Some(_), _) => Reason::Flapping,
        (None, Response::Ask) => Reason::Ask,
        (None, Response::Act | Response::Report) => return Ok(()),
    };
    // An answer holds until we are undone again.
    let since = flapping.unwrap_or(entry.first_seen);
    let asked = question_id(drift, reason, since, way(drift));
    // A yes to one way of coming back is none to another; a no to coming back is one to all ways.
    let as_it_was = question_id(drift, reason, since, None);
    let said = |id: &String| input.answers.get(id).map(|answer| answer.granted);
    let (id, answer) = match said(&as_it_was) {
        Some(false) => (as_it_was, Some(false)),
        Some(true) | None => {
            let answer = said(&asked);
            (asked, answer)
        }
    };
    let may_time_decide = || is_decided_by_time(drift, input) && !was_denied(drift, entry, input);
    if answer == Some(true) || answer.is_none() && may_time_decide() {
        return Ok(());
    }
    let detail = flapping.map(|_| setbacks_of(entry));
    let ask = Ask {
        id,
        reason,
        users: vec![drift.user],
        question: question::question(drift, reason, detail.as_deref(), input),
        opened: entry.first_seen,
        act_by: drift.clock.act_by,
    };
    // What was denied is not asked again, and can be taken back.
    let (reason, detail) = if answer.is_some() { (Reason::Denied, None) } else { (reason, detail) };
    Err(Held { ask: Some(Box::new(ask)), detail, ..Held::because(reason) })
}

fn question_id(drift: &Drift, reason: Reason, since: Timestamp, way: Option<String>) -> String {
    let (label, kind) = (reason.label(), drift.kind.label());
    let mut parts: Vec<&dyn std::fmt::Display> = vec![&label, &drift.user, &kind, &since];
    parts.extend(way.iter().map(|way| way as &dyn std::fmt::Display));
    stable_id(&parts)
}

/// How a deleted account would come back, where that is not as it was.
fn way(drift: &Drift) -> Option<String> {
    match &drift.remedy {
        Remedy::Restore(options) => options.key(),
        Remedy::AssignLicense { .. }
        | Remedy::EnablePlan { .. }
        | Remedy::AddToGroup { .. }
        | Remedy::ReprocessLicenses { .. }
        | Remedy::SetUsageLocation { .. }
        | Remedy::Nothing => None,
    }
}

/// Somebody said no to a question about this mailbox since its trouble began, in whatever words: time does not overrule
/// them.
fn was_denied(drift: &Drift, entry: &LedgerEntry, input: &Input<'_>) -> bool {
    let is_no = |answer: &Answer| {
        !answer.granted && answer.reason != Reason::MassEvent && answer.at >= entry.first_seen
    };
    input.answers.values().any(|answer| is_no(answer) && answer.users.contains(&drift.user))
}

/// How often and when repairs of ours did not last.
fn setbacks_of(entry: &LedgerEntry) -> String {
    let setbacks = entry.setbacks();
    let when: Vec<String> = setbacks.iter().map(|at| at.human()).collect();
    format!("{} repairs did not last: {}", setbacks.len(), when.join(", "))
}

/// Nobody answered, "act by" is reached, and the policy wants the mailbox kept then.
fn is_decided_by_time(drift: &Drift, input: &Input<'_>) -> bool {
    match input.policy.unanswered_asks {
        Unanswered::Act => drift.clock.act_by.is_some_and(|act_by| act_by <= input.now),
        Unanswered::Report => false,
    }
}

/// Gives limits and seats to the ready drifts, the most urgent first.
fn give_out(ready: Vec<&Drift>, input: &Input<'_>, plan: &mut Plan) {
    let limits = &input.policy.limits;
    let mut seats = Seats::new(input.catalog, &limits.seats_reserved, input.in_flight);
    let mut given = Vec::new();
    for drift in ready {
        let sent = u32::try_from(given.len()).unwrap_or(u32::MAX);
        if sent.saturating_add(input.sent_last_day) >= limits.per_day {
            plan.waiting.push(waiting(drift, Reason::LimitPerDay, None, None));
            continue;
        }
        if sent >= limits.per_pass {
            plan.waiting.push(waiting(drift, Reason::LimitPerPass, None, None));
            continue;
        }
        match action(drift, &mut seats) {
            Ok(action) => given.push((drift, action)),
            Err(reason) => plan.waiting.push(waiting(drift, reason, None, None)),
        }
    }
    plan.seats = seats.into_needs();
    // Priority decided who gets a seat; what goes out first is what has the least time left.
    given.sort_by_key(|(drift, _)| pace::time_left(drift));
    plan.steps.extend(given.into_iter().map(|(drift, action)| step(drift, action, input)));
}

fn action(drift: &Drift, seats: &mut Seats<'_>) -> Result<Action, Reason> {
    match &drift.remedy {
        Remedy::AssignLicense { candidates } => match seats.take(candidates, drift.clock.act_by) {
            Some(candidate) => Ok(Action::AssignLicense {
                sku: candidate.sku,
                part_number: candidate.part_number.clone(),
                disabled_plans: candidate.disabled_plans.clone(),
                takes_seat: true,
            }),
            None => Err(Reason::NoSeat),
        },
        Remedy::EnablePlan { sku, part_number, disabled_plans } => Ok(Action::AssignLicense {
            sku: *sku,
            part_number: part_number.clone(),
            disabled_plans: disabled_plans.clone(),
            takes_seat: false,
        }),
        Remedy::AddToGroup { group, sku } => match sku {
            Some(sku) if !seats.take_one(*sku, drift.clock.act_by) => Err(Reason::NoSeat),
            Some(_) | None => Ok(Action::AddToGroup { group: *group }),
        },
        Remedy::ReprocessLicenses { group, sku, part_number } => {
            match seats.take_one(*sku, drift.clock.act_by) {
                true => {
                    let (group, sku, part_number) = (*group, *sku, part_number.clone());
                    Ok(Action::ReprocessLicenses { group, sku, part_number })
                }
                false => Err(Reason::NoSeat),
            }
        }
        Remedy::SetUsageLocation { location } => Ok(Action::SetUsageLocation { location: location.clone() }),
        Remedy::Restore(options) => Ok(Action::Restore(options.clone())),
        Remedy::Nothing => Err(drift.blocked.unwrap_or(Reason::NoUsableSku)),
    }
}

fn step(drift: &Drift, action: Action, input: &Input<'_>) -> Step {
    let entry = input.ledger.get(&drift.user);
    let first_seen = entry.map_or(input.now, |entry| entry.first_seen);
    let attempts = entry.map_or(0, |entry| entry.attempts_at(&action));
    // The ledger forgets old attempts, so their number alone would repeat.
    let last_attempt = entry.and_then(|entry| entry.attempts.last()).map_or(0, |last| last.at.as_millis());
    Step {
        id: stable_id(&[&drift.user, &name_of(&action), &first_seen, &attempts, &last_attempt]),
        user: drift.user,
        upn: drift.upn.clone(),
        drift: drift.kind,
        rule: drift.rule.name.clone(),
        action,
        deadline: drift.clock.deadline,
        act_by: drift.clock.act_by,
        attempt: attempts.saturating_add(1),
    }
}

/// What makes one action another than the last for the same drift: a restore under another name is another request.
fn name_of(action: &Action) -> String {
    let label = action.label();
    let way = match action {
        Action::Restore(options) => options.key(),
        Action::AssignLicense { .. }
        | Action::AddToGroup { .. }
        | Action::ReprocessLicenses { .. }
        | Action::SetUsageLocation { .. } => None,
    };
    way.map_or_else(|| label.to_owned(), |way| format!("{label} {way}"))
}

fn waiting(drift: &Drift, reason: Reason, until: Option<Timestamp>, detail: Option<String>) -> Waiting {
    let detail = detail.or_else(|| drift.detail.clone()).or_else(|| match drift.clock.certainty {
        Certainty::Unknown => Some("the deadline is not known".to_owned()),
        Certainty::Known | Certainty::Hinted | Certainty::NotRunning => None,
    });
    Waiting {
        user: drift.user,
        upn: drift.upn.clone(),
        drift: drift.kind,
        rule: Some(drift.rule.name.clone()),
        reason,
        until,
        deadline: drift.clock.deadline,
        act_by: drift.clock.act_by,
        detail,
    }
}

/// Twelve hex digits that stay the same for the same question or step.
pub fn stable_id(parts: &[&dyn std::fmt::Display]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.to_string());
        hash.update([0]);
    }
    hex(&hash.finalize()[..6])
}

/// The digest of what would be sent: users and actions, no times.
pub fn digest(steps: &[Step]) -> String {
    let mut hash = Sha256::new();
    let sent: BTreeSet<(UserId, &Action)> = steps.iter().map(|step| (step.user, &step.action)).collect();
    for (user, action) in sent {
        hash.update(user.as_bytes());
        hash.update(serde_json::to_vec(action).expect("an action is plain data"));
        hash.update([0]);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
