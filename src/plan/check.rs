//! A separate checker of the finished plan: looks at the result only and shares no arithmetic with the planner.
//!
//! Run in production before anything is sent. A step that fails is not sent, and neither is a plan that fails as a
//! whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::invariant::{InvariantId, holds};
use crate::model::{
    Action, Answer, Drift, DriftKind, GroupId, KnownUser, License, Plan, PlanId, Presence, Reason, Remedy,
    Response, RestoreOptions, Sku, SkuId, Span, Step, Timestamp, UserId, is_mailbox_plan,
};
use crate::policy::{Assign, KeepRule, Ruling, Unanswered};

use super::Input;

/// What the checker says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Users whose step breaks a promise by itself.
    pub offenders: BTreeSet<UserId>,
    /// Promises about the whole plan hold: limits, seats, every drift accounted for.
    pub is_whole: bool,
}

impl Judgement {
    pub fn is_good(&self) -> bool {
        self.is_whole && self.offenders.is_empty()
    }
}

/// True when the plan keeps every promise that can be read off it. `known` holds the users of the steps.
pub fn check(plan: &Plan, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    judge(plan, input, known).is_good()
}

/// Looks at every step and at the plan as a whole, and names the steps that must not go out.
pub fn judge(plan: &Plan, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> Judgement {
    let keeps_every_promise = |step: &Step| {
        let checks = [
            only_a_kept_user(step, input, known),
            permitted(step, input),
            due(step, input),
            only_what_is_asked_for(step, input, known),
            plans_stay_off(step, input, known),
        ];
        checks.iter().all(|held| *held)
    };
    let offenders =
        plan.steps.iter().filter(|step| !keeps_every_promise(step)).map(|step| step.user).collect();
    let whole = [
        within_limits(plan, input),
        within_share(plan, input),
        within_seats(plan, input),
        believed(plan, input),
        accounted_for(plan, input),
    ];
    Judgement { offenders, is_whole: whole.iter().all(|held| *held) }
}

/// SAFE-1.
fn only_a_kept_user(step: &Step, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    holds(InvariantId::Safe1, rule_of(step, input, known).is_some(), || {
        format!("step {} is for {}, whom no keep rule names", step.id, step.user)
    })
}

/// SAFE-1: the rule allows it, a person was asked where that is wanted, and nothing in the user's situation forbids it.
fn permitted(step: &Step, input: &Input<'_>) -> bool {
    let is_permitted = drift_of(step, input).is_some_and(|drift| {
        let is_answered = match drift.response {
            Response::Act => true,
            Response::Ask => is_asked_for(drift, input, None),
            Response::Report => false,
        };
        let is_answered = is_answered
            && undone_again(drift, input).is_none_or(|since| is_asked_for(drift, input, Some(since)));
        drift.blocked.is_none() && is_answered && !is_denied(drift, input)
    });
    holds(InvariantId::Safe1, is_permitted, || {
        format!("step {} for {} is not what the policy or a person allows", step.id, step.user)
    })
}

/// Two repairs, proved or not, did not last, and the drift did not stay away for 30 days since: the newest of them.
fn undone_again(drift: &Drift, input: &Input<'_>) -> Option<Timestamp> {
    let entry = input.ledger.get(&drift.user)?;
    let since = entry.first_seen - Span::from_days(30);
    let proved = entry.repaired.iter().filter(|at| **at > since);
    let unproved = entry.undone.iter().map(|undone| &undone.at).filter(|at| **at > since);
    if proved.clone().count() + unproved.clone().count() < 2 {
        return None;
    }
    proved.chain(unproved).max().copied()
}

/// `since`: a question that was opened then; an earlier answer was to another one.
fn is_asked_for(drift: &Drift, input: &Input<'_>, since: Option<Timestamp>) -> bool {
    let is_too_late_to_wait = input.policy.unanswered_asks == Unanswered::Act
        && drift.clock.act_by.is_some_and(|act_by| act_by <= input.now);
    let about = |answer: &&Answer| {
        answer.reason != Reason::MassEvent
            && since.is_none_or(|since| answer.at >= since)
            && answer.users.contains(&drift.user)
    };
    let stands = input.ledger.get(&drift.user).map(|entry| entry.first_seen);
    let is_no = |answer: &Answer| !answer.granted && stands.is_some_and(|stands| answer.at >= stands);
    let is_yes = |answer: &Answer| answer.granted && stands.is_some_and(|stands| answer.at >= stands);
    // Of two answers at the same moment, the careful one counts.
    match input.answers.values().filter(about).max_by_key(|answer| (answer.at, !answer.granted)) {
        // A yes that was taken back stands no more; one beside a later no was to another way of coming back.
        Some(newest) if is_no(newest) && !input.answers.values().filter(about).any(is_yes) => false,
        Some(_) => is_too_late_to_wait || input.answers.values().filter(about).any(|answer| answer.granted),
        None => is_too_late_to_wait,
    }
}

/// The newest answer to a mass event with this user in it was no.
fn is_denied(drift: &Drift, input: &Input<'_>) -> bool {
    let Some(entry) = input.ledger.get(&drift.user) else { return false };
    let about = |answer: &&Answer| {
        answer.reason == Reason::MassEvent
            && answer.at >= entry.first_seen
            && answer.users.contains(&drift.user)
    };
    let newest = input.answers.values().filter(about).map(|answer| answer.at).max();
    input.answers.values().filter(about).any(|answer| Some(answer.at) == newest && !answer.granted)
}

/// SAFE-2.
fn within_limits(plan: &Plan, input: &Input<'_>) -> bool {
    let limits = &input.policy.limits;
    let steps = plan.steps.len() as u64;
    let is_within = steps <= u64::from(limits.per_pass)
        && (steps == 0 || steps + u64::from(input.sent_last_day) <= u64::from(limits.per_day));
    holds(InvariantId::Safe2, is_within, || {
        format!("{steps} steps, {} sent within a day, limits {limits:?}", input.sent_last_day)
    })
}

/// SAFE-2: more users than the share only where a person approved these very users. Judged on what would be sent, and
/// what was sent within a day for others.
fn within_share(plan: &Plan, input: &Input<'_>) -> bool {
    let limits = &input.policy.limits;
    let is_approved = |step: &&Step| {
        let since = input.ledger.get(&step.user).map_or(input.now, |entry| entry.first_seen);
        input.answers.values().any(|answer| {
            answer.granted
                && answer.reason == Reason::MassEvent
                && answer.at >= since
                && answer.users.contains(&step.user)
        })
    };
    let unapproved = plan.steps.iter().filter(|step| !is_approved(step)).count();
    let day_ago = input.now - Span::from_days(1);
    let attempts = input.ledger.values().flat_map(|entry| &entry.attempts);
    let for_drifting = attempts.filter(|attempt| attempt.at >= day_ago).count();
    let for_others = (input.sent_last_day as usize).saturating_sub(for_drifting);
    let count = (unapproved + for_others) as f64;
    let is_within = unapproved == 0
        || count <= f64::from(limits.floor)
        || count <= limits.share * input.kept as f64 + 0.001;
    holds(InvariantId::Safe2, is_within, || {
        format!("{count} of {} kept mailboxes within a day without a person", input.kept)
    })
}

/// SAFE-5.
fn within_seats(plan: &Plan, input: &Input<'_>) -> bool {
    let mut taken: BTreeMap<SkuId, i64> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(sku) = seat_of(step, input) {
            *taken.entry(sku).or_default() += 1;
        }
    }
    taken.iter().all(|(sku, taken)| {
        let product = input.catalog.get(*sku).filter(|product| product.is_assignable());
        let units =
            product.map_or(0, |product| product.units.enabled + product.units.warning - product.consumed);
        let in_flight = i64::from(input.in_flight.get(sku).copied().unwrap_or(0));
        let is_of_product = |name: &str| match name.parse::<SkuId>() {
            Ok(id) => id == *sku,
            Err(_) => product.is_some_and(|product| name.trim().eq_ignore_ascii_case(&product.part_number)),
        };
        let reserved = input.policy.limits.seats_reserved.iter().filter(|(name, _)| is_of_product(name));
        let reserve: i64 = reserved.map(|(_, seats)| i64::from(*seats)).sum();
        holds(InvariantId::Safe5, taken + in_flight + reserve <= units, || {
            format!("{taken} seats of {sku} planned, {units} free, {reserve} reserved, {in_flight} in flight")
        })
    })
}

/// The product of which the step takes a seat; a licensing group gives its licence to a new member by itself.
fn seat_of(step: &Step, input: &Input<'_>) -> Option<SkuId> {
    match &step.action {
        Action::AssignLicense { sku, takes_seat, .. } => takes_seat.then_some(*sku),
        Action::AddToGroup { .. } => match drift_of(step, input)?.remedy {
            Remedy::AddToGroup { sku, .. } => sku,
            Remedy::AssignLicense { .. }
            | Remedy::EnablePlan { .. }
            | Remedy::ReprocessLicenses { .. }
            | Remedy::SetUsageLocation { .. }
            | Remedy::Restore(_)
            | Remedy::Nothing => None,
        },
        Action::ReprocessLicenses { sku, .. } => Some(*sku),
        Action::SetUsageLocation { .. } | Action::Restore(_) => None,
    }
}

/// SAFE-4: nothing follows from an observation that may not be believed.
fn believed(plan: &Plan, input: &Input<'_>) -> bool {
    holds(InvariantId::Safe4, plan.steps.is_empty() || input.closed.is_none(), || {
        format!("{} steps although the pass is closed: {:?}", plan.steps.len(), input.closed)
    })
}

/// SAFE-4: nothing follows from a single observation, before the rule's settle time, or before an earlier request was
/// observed.
fn due(step: &Step, input: &Input<'_>) -> bool {
    let is_due = input.ledger.get(&step.user).zip(drift_of(step, input)).is_some_and(|(entry, drift)| {
        let has_settled = entry.first_seen + drift.settle <= input.now
            || drift.clock.act_by.is_some_and(|act_by| act_by <= input.now);
        let may_be_repeated = entry.next_attempt.is_none_or(|next| next <= input.now);
        entry.sightings >= 2 && entry.pending.is_none() && has_settled && may_be_repeated
    });
    holds(InvariantId::Safe4, is_due, || format!("step {} for {} is too early", step.id, step.user))
}

/// LIVE-3: every drift ends exactly once, as a step or with a reason, and nobody else appears.
fn accounted_for(plan: &Plan, input: &Input<'_>) -> bool {
    let mut ends: Vec<UserId> = plan.steps.iter().map(|step| step.user).collect();
    ends.extend(plan.waiting.iter().map(|waiting| waiting.user));
    ends.sort_unstable();
    let mut drifting: Vec<UserId> = input.drifts.iter().map(|drift| drift.user).collect();
    drifting.sort_unstable();
    holds(InvariantId::Live3, ends == drifting, || {
        format!("{} drifts, {} steps, {} waiting", drifting.len(), plan.steps.len(), plan.waiting.len())
    })
}

/// SAFE-8: the action is one that the user's rule asks for, and fits where the account is.
fn only_what_is_asked_for(step: &Step, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    let (Some(rule), Some(user)) = (rule_of(step, input, known), known.get(&step.user)) else {
        return false;
    };
    let is_deleted = matches!(user.presence, Presence::Deleted { .. });
    let is_live = user.presence == Presence::Live && step.drift == DriftKind::Unlicensed;
    let is_asked_for = match &step.action {
        Action::AssignLicense { sku, takes_seat, disabled_plans, .. } => {
            let names = |product: &Sku| {
                rule.licenses
                    .iter()
                    .any(|name| name.find(input.catalog).is_some_and(|sku| sku.id == product.id))
            };
            let has_plan_on =
                |product: &Sku| product.mailbox_plans().any(|plan| !disabled_plans.contains(&plan));
            let product = input.catalog.get(*sku);
            is_live
                && rule.assign == Assign::Direct
                && product.is_some_and(|product| names(product) && has_plan_on(product))
                && *takes_seat == user.user.license(*sku).is_none()
        }
        Action::AddToGroup { group } => is_live && rule.assign == Assign::Group(*group),
        Action::ReprocessLicenses { group, sku, .. } => {
            is_live
                && rule.assign == Assign::Group(*group)
                && rule
                    .licenses
                    .iter()
                    .any(|name| name.find(input.catalog).is_some_and(|found| found.id == *sku))
                && is_retried_for_good_reason(*group, *sku, rule, user)
                && !frees_a_reserve(*sku, user, input)
        }
        Action::SetUsageLocation { location } => {
            is_live && rule.usage_location.as_ref() == Some(location) && user.user.usage_location.is_none()
        }
        Action::Restore(options) => {
            is_deleted && !user.user.on_premises_synced && is_restore_of_rule(options, rule, user)
        }
    };
    holds(InvariantId::Safe8, is_asked_for, || {
        format!("step {} for {} is not what rule {} asks for", step.id, step.user, rule.name)
    })
}

/// What goes beyond a plain restore is written in the rule.
pub(super) fn is_restore_of_rule(options: &RestoreOptions, rule: &KeepRule, user: &KnownUser) -> bool {
    let allowed = rule.restore.upn_if_taken.as_ref().and_then(|pattern| pattern.name(&user.user.upn));
    let is_name_allowed = options.new_upn.is_none() || options.new_upn == allowed;
    is_name_allowed && (!options.drops_taken_addresses || rule.restore.drop_taken_addresses)
}

/// The group reports that no seat was left, or a location that the user has by now.
fn is_retried_for_good_reason(group: GroupId, sku: SkuId, rule: &KeepRule, user: &KnownUser) -> bool {
    user.groups.contains(&group)
        && user.user.assignments.iter().any(|assignment| {
            let is_located = rule.usage_location.as_ref().is_some_and(|wanted| {
                user.user.usage_location.as_ref().is_some_and(|is| is.eq_ignore_ascii_case(wanted))
            });
            let says =
                |name: &str| assignment.error.as_ref().is_some_and(|error| error.eq_ignore_ascii_case(name));
            let is_over = says("CountViolation") || says("ProhibitedInUsageLocationViolation") && is_located;
            assignment.by_group == Some(group) && assignment.sku == sku && is_over
        })
}

/// Graph tries again whatever the user's groups could not give; a reserve of another product would not be kept.
fn frees_a_reserve(sku: SkuId, user: &KnownUser, input: &Input<'_>) -> bool {
    let failed = user
        .user
        .assignments
        .iter()
        .filter(|other| other.state.eq_ignore_ascii_case("error") && other.sku != sku);
    failed.filter_map(|other| input.catalog.get(other.sku)).any(|product| {
        let reserved = input.policy.limits.seats_reserved.iter();
        reserved.filter(|(_, seats)| **seats > 0).any(|(name, _)| {
            name.trim().eq_ignore_ascii_case(&product.part_number) || name.parse::<SkuId>() == Ok(product.id)
        })
    })
}

/// SAFE-8: what a person switched off stays off, but for the mailbox plan.
fn plans_stay_off(step: &Step, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    let Action::AssignLicense { sku, disabled_plans, .. } = &step.action else { return true };
    let Some(user) = known.get(&step.user) else { return false };
    let switched_on = switched_off(*sku, user, input)
        .into_iter()
        .find(|plan| !is_mailbox_plan(*plan) && !disabled_plans.contains(plan));
    holds(InvariantId::Safe8, switched_on.is_none(), || {
        format!("step {} would switch on plan {switched_on:?} of {}", step.id, step.user)
    })
}

/// What was off in this product when the user last had it, or else, of what the product offers, in the others.
fn switched_off(sku: SkuId, user: &KnownUser, input: &Input<'_>) -> BTreeSet<PlanId> {
    let remembered: Vec<&License> = user.remembered.iter().flat_map(|memory| &memory.licenses).collect();
    let same = |license: &&License| license.sku == sku;
    if let Some(license) = user.user.license(sku).or_else(|| remembered.iter().copied().find(same)) {
        return license.disabled_plans.clone();
    }
    let offers = |plan: &PlanId| {
        input.catalog.get(sku).is_some_and(|product| product.plans.iter().any(|offered| offered.id == *plan))
    };
    remembered.iter().flat_map(|license| license.disabled_plans.iter().copied()).filter(offers).collect()
}

fn drift_of<'a>(step: &Step, input: &'a Input<'_>) -> Option<&'a Drift> {
    input.drifts.iter().find(|drift| drift.user == step.user)
}

/// The keep rule that decides for the user of this step, when it is the one that the step names.
fn rule_of<'a>(
    step: &Step,
    input: &'a Input<'_>,
    known: &BTreeMap<UserId, KnownUser>,
) -> Option<&'a KeepRule> {
    match input.policy.ruling(known.get(&step.user)?) {
        Ruling::Keep(rule) if rule.name == step.rule => Some(rule),
        Ruling::Keep(_) | Ruling::Offboarded(_) | Ruling::Protected(_) | Ruling::NoRule => None,
        Ruling::Undetermined { .. } => None,
    }
}
