//! A separate checker of the finished plan: looks at the result only and shares no arithmetic with the planner.
//!
//! Run in production before anything is sent. A plan that fails is not executed.

use std::collections::{BTreeMap, BTreeSet};

use crate::invariant::{InvariantId, holds};
use crate::model::{Action, KnownUser, Plan, SkuId, UserId};
use crate::policy::Ruling;

use super::Input;

/// True when the plan keeps every promise that can be read off it. `known` holds the users of the steps.
pub fn check(plan: &Plan, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    let checks = [
        only_kept_users(plan, input, known),
        within_limits(plan, input),
        within_seats(plan, input),
        believed(plan, input),
        accounted_for(plan, input),
        plans_stay_off(plan, known),
    ];
    checks.iter().all(|held| *held)
}

/// SAFE-1.
fn only_kept_users(plan: &Plan, input: &Input<'_>, known: &BTreeMap<UserId, KnownUser>) -> bool {
    plan.steps.iter().all(|step| {
        let is_kept = known.get(&step.user).is_some_and(
            |user| matches!(input.policy.ruling(user), Ruling::Keep(rule) if rule.name == step.rule),
        );
        holds(InvariantId::Safe1, is_kept, || {
            format!("step {} is for {}, whom no keep rule names", step.id, step.user)
        })
    })
}

/// SAFE-2. The share is judged on what was sent and would be sent, so an approved mass event still obeys the counts.
fn within_limits(plan: &Plan, input: &Input<'_>) -> bool {
    let limits = &input.policy.limits;
    let steps = plan.steps.len() as u64;
    let is_within = steps <= u64::from(limits.per_pass)
        && (steps == 0 || steps + u64::from(input.sent_last_day) <= u64::from(limits.per_day));
    holds(InvariantId::Safe2, is_within, || {
        format!("{steps} steps, {} sent within a day, limits {limits:?}", input.sent_last_day)
    })
}

/// SAFE-5.
fn within_seats(plan: &Plan, input: &Input<'_>) -> bool {
    let mut taken: BTreeMap<SkuId, i64> = BTreeMap::new();
    for step in &plan.steps {
        if let Action::AssignLicense { sku, takes_seat: true, .. } = &step.action {
            *taken.entry(*sku).or_default() += 1;
        }
    }
    taken.iter().all(|(sku, taken)| {
        let product = input.catalog.get(*sku);
        let units =
            product.map_or(0, |product| product.units.enabled + product.units.warning - product.consumed);
        let in_flight = i64::from(input.in_flight.get(sku).copied().unwrap_or(0));
        let reserve = product
            .and_then(|product| {
                let reserved = &input.policy.limits.seats_reserved;
                reserved.iter().find(|(name, _)| name.eq_ignore_ascii_case(&product.part_number))
            })
            .map_or(0, |(_, seats)| i64::from(*seats));
        holds(InvariantId::Safe5, taken + in_flight + reserve <= units, || {
            format!("{taken} seats of {sku} planned, {units} free, {reserve} reserved, {in_flight} in flight")
        })
    })
}

/// SAFE-4.
fn believed(plan: &Plan, input: &Input<'_>) -> bool {
    holds(InvariantId::Safe4, input.closed.is_none() || plan.steps.is_empty(), || {
        format!("{} steps although {:?}", plan.steps.len(), input.closed)
    })
}

/// LIVE-3, and at most one step a user.
fn accounted_for(plan: &Plan, input: &Input<'_>) -> bool {
    let stepped: BTreeSet<UserId> = plan.steps.iter().map(|step| step.user).collect();
    let waiting: BTreeSet<UserId> = plan.waiting.iter().map(|waiting| waiting.user).collect();
    let is_exact = stepped.len() == plan.steps.len()
        && stepped.is_disjoint(&waiting)
        && input.drifts.iter().all(|drift| stepped.contains(&drift.user) || waiting.contains(&drift.user));
    holds(InvariantId::Live3, is_exact, || {
        format!("{} drifts, {} steps, {} waiting", input.drifts.len(), stepped.len(), waiting.len())
    })
}

/// SAFE-8: what a person switched off stays off, but for the mailbox plan.
fn plans_stay_off(plan: &Plan, known: &BTreeMap<UserId, KnownUser>) -> bool {
    plan.steps.iter().all(|step| {
        let Action::AssignLicense { sku, disabled_plans, .. } = &step.action else { return true };
        let Some(user) = known.get(&step.user) else { return true };
        let remembered = user.remembered.iter().flat_map(|memory| &memory.licenses);
        let license = user.user.licenses().iter().chain(remembered).find(|license| license.sku == *sku);
        let switched_on = license.and_then(|license| {
            let mut off = license.disabled_plans.iter();
            off.find(|plan| !disabled_plans.contains(*plan) && !crate::model::is_mailbox_plan(**plan))
        });
        holds(InvariantId::Safe8, switched_on.is_none(), || {
            format!("step {} would switch on plan {switched_on:?} of {}", step.id, step.user)
        })
    })
}
