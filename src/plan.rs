//! All drifts, the ledger, seats and limits to a [`Plan`]. Pure: no I/O, no clock, no async.
//!
//! Every drift ends exactly once: as a step, or as [`Waiting`] with a [`Reason`]. Nothing is left for `act` to choose.
//! Does not know whether mailkeeper is in `observe` mode or held: the plan says what would be done, and `reconcile`
//! decides whether it is.

pub mod check;
pub mod explain;
pub mod pace;
mod seats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::model::{
    Action, Answer, Ask, Catalog, Certainty, DIRECTORY_SETTLE, Drift, LedgerEntry, Plan, Reason, Remedy,
    Response, SkuId, Step, Timestamp, UserId, Waiting,
};
use crate::policy::Policy;
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
}

/// Makes the plan of one pass.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan { made_at: input.now, policy_digest: input.policy.digest.clone(), ..Plan::default() };
    let mut ready = Vec::new();
    for drift in input.drifts {
        match readiness(drift, input) {
            Ok(()) => ready.push(drift),
            Err(held) => {
                plan.asks.extend(held.ask);
                plan.waiting.push(waiting(drift, held.reason, held.until, held.detail));
            }
        }
    }
    ready.sort_by_key(|drift| pace::urgency(drift, input.now));
    if let Some(ask) = mass_event(input) {
        for drift in ready.drain(..) {
            plan.waiting.push(waiting(drift, Reason::MassEvent, None, Some(ask.question.clone())));
        }
        plan.asks.push(ask);
    }
    give_out(ready, input, &mut plan);
    plan.waiting.sort_by_key(|waiting| (waiting.deadline.is_none(), waiting.deadline, waiting.user));
    plan.digest = digest(&plan.steps);
    plan
}

/// Why a drift has no step yet.
struct Held {
    reason: Reason,
    until: Option<Timestamp>,
    detail: Option<String>,
    ask: Option<Ask>,
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
    if let Some(reason) = drift.blocked {
        return Err(Held::because(reason));
    }
    if let Some(reason) = input.closed {
        return Err(Held::because(reason));
    }
    if drift.response == Response::Report {
        return Err(Held::because(Reason::ReportOnly));
    }
    let entry = input.ledger.get(&drift.user);
    if let Some(pending) = entry.and_then(|entry| entry.pending.as_ref()) {
        return Err(Held::until(Reason::AwaitingEffect, pending.sent + DIRECTORY_SETTLE));
    }
    match entry {
        Some(entry) if entry.sightings >= 2 => {}
        Some(_) | None => return Err(Held::because(Reason::Confirming)),
    }
    let settled = pace::settled_at(drift, entry);
    if settled > input.now {
        return Err(Held::until(Reason::Settling, settled));
    }
    if let Some(next) = entry.and_then(|entry| entry.next_attempt).filter(|next| *next > input.now) {
        let detail = entry.and_then(|entry| entry.attempts.last()).map(|attempt| attempt.detail.clone());
        return Err(Held { detail, ..Held::until(Reason::BackingOff, next) });
    }
    approved(drift, entry, input)
}

/// Questions that only a person answers: the rule says `ask`, or our repair was undone twice.
fn approved(drift: &Drift, entry: Option<&LedgerEntry>, input: &Input<'_>) -> Result<(), Held> {
    let is_flapping = entry.is_some_and(|entry| pace::is_flapping(entry, input.now));
    let reason = match (is_flapping, drift.response) {
        (true, _) => Reason::Flapping,
        (false, Response::Ask) => Reason::Ask,
        (false, Response::Act | Response::Report) => return Ok(()),
    };
    let first_seen = entry.map_or(input.now, |entry| entry.first_seen);
    let id = ask_id(&[&reason.label(), &drift.user, &drift.kind.label(), &first_seen]);
    match input.answers.get(&id).map(|answer| answer.granted) {
        Some(true) => Ok(()),
        Some(false) => Err(Held::because(Reason::Denied)),
        None => {
            let question = format!("{}: {} ({})", drift.upn, reason.sentence(), drift.cause.label());
            let ask = Ask {
                id,
                reason,
                users: vec![drift.user],
                question,
                opened: first_seen,
                act_by: drift.clock.act_by,
            };
            Err(Held { ask: Some(ask), ..Held::because(reason) })
        }
    }
}

/// One question for many: more mailboxes are concerned than the policy lets pass without a person.
fn mass_event(input: &Input<'_>) -> Option<Ask> {
    let limits = &input.policy.limits;
    let concerned: Vec<&Drift> = input
        .drifts
        .iter()
        .filter(|drift| {
            drift.blocked.is_none() && drift.response != Response::Report && input.closed.is_none()
        })
        .collect();
    let is_open = |drift: &&Drift| !input.answers.values().any(|answer| is_mass_approval(answer, drift.user));
    let concerned: Vec<&Drift> = concerned.into_iter().filter(is_open).collect();
    if concerned.is_empty() {
        return None;
    }
    let count = concerned.len() as u64 + u64::from(input.sent_last_day);
    let allowed = (limits.share * input.kept as f64).floor() as u64;
    if count <= u64::from(limits.floor) || count <= allowed {
        return None;
    }
    let users: Vec<UserId> = concerned.iter().map(|drift| drift.user).collect();
    let id = ask_id(&users.iter().map(|user| user as &dyn std::fmt::Display).collect::<Vec<_>>());
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for drift in &concerned {
        *causes.entry(drift.cause.label()).or_default() += 1;
    }
    let causes: Vec<String> = causes.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
    Some(Ask {
        id,
        reason: Reason::MassEvent,
        question: format!(
            "{count} of {} kept mailboxes are concerned within a day, the policy allows {} without a person ({})",
            input.kept,
            allowed.max(u64::from(limits.floor)),
            causes.join(", "),
        ),
        opened: input.now,
        act_by: concerned.iter().filter_map(|drift| drift.clock.act_by).min(),
        users,
    })
}

fn is_mass_approval(answer: &Answer, user: UserId) -> bool {
    answer.granted && answer.reason == Reason::MassEvent && answer.users.contains(&user)
}

/// Gives limits and seats to the ready drifts, the most urgent first.
fn give_out(ready: Vec<&Drift>, input: &Input<'_>, plan: &mut Plan) {
    let limits = &input.policy.limits;
    let mut seats = Seats::new(input.catalog, &limits.seats_reserved, input.in_flight);
    for drift in ready {
        let sent = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        if sent.saturating_add(input.sent_last_day) >= limits.per_day {
            plan.waiting.push(waiting(drift, Reason::LimitPerDay, None, None));
            continue;
        }
        if sent >= limits.per_pass {
            plan.waiting.push(waiting(drift, Reason::LimitPerPass, None, None));
            continue;
        }
        match action(drift, &mut seats) {
            Ok(action) => plan.steps.push(step(drift, action, input)),
            Err(reason) => plan.waiting.push(waiting(drift, reason, None, None)),
        }
    }
    plan.seats = seats.into_needs();
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
        Remedy::SetUsageLocation { location } => Ok(Action::SetUsageLocation { location: location.clone() }),
        Remedy::Restore => Ok(Action::Restore),
        Remedy::Nothing => Err(Reason::NoUsableSku),
    }
}

fn step(drift: &Drift, action: Action, input: &Input<'_>) -> Step {
    let entry = input.ledger.get(&drift.user);
    let first_seen = entry.map_or(input.now, |entry| entry.first_seen);
    let attempts = entry.map_or(0, |entry| entry.attempts_at(&action));
    Step {
        id: ask_id(&[&drift.user, &action.label(), &first_seen, &attempts]),
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

fn waiting(drift: &Drift, reason: Reason, until: Option<Timestamp>, detail: Option<String>) -> Waiting {
    let detail = detail.or_else(|| match drift.clock.certainty {
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

/// Twelve hex digits that stay the same for the same question.
fn ask_id(parts: &[&dyn std::fmt::Display]) -> String {
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
