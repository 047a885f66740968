//! What a person is asked about one mailbox: what yes does, why, what there is to do it with, and until when. The text
//! is made anew in every pass; which question it is, its id says.

use crate::model::{Action, Candidate, Certainty, Drift, Reason, Remedy, Timestamp, between};

use super::Input;
use super::explain::{because, changes, describe, trouble};

/// The question about one drift; `detail` is what is particular about it.
pub fn question(drift: &Drift, reason: Reason, detail: Option<&str>, input: &Input<'_>) -> String {
    let mut facts = vec![began(drift)];
    if reason == Reason::Flapping {
        facts.push(reason.sentence().to_owned());
        facts.extend(detail.map(str::to_owned));
    }
    facts.extend(seats(drift, input));
    facts.push(fate(drift, input.now));
    format!("{}? {}", yes(drift, input), facts.join("; "))
}

/// What is done after a yes.
fn yes(drift: &Drift, input: &Input<'_>) -> String {
    let upn = &drift.upn;
    let first = |action: &Action| capital(&describe(action));
    match &drift.remedy {
        Remedy::AssignLicense { candidates } => match chosen(candidates, input) {
            Some(candidate) => format!("Assign {} to {upn}", candidate.part_number),
            None => format!("Assign a licence to {upn}"),
        },
        Remedy::EnablePlan { part_number, .. } => {
            format!("Switch the Exchange plan on again in {part_number} for {upn}")
        }
        Remedy::AddToGroup { group, .. } => format!("Put {upn} back into the licensing group {group}"),
        Remedy::ReprocessLicenses { group, part_number, .. } => {
            format!("Let the group {group} try again to give {part_number} to {upn}")
        }
        Remedy::SetUsageLocation { location } => {
            format!("{} for {upn}", first(&Action::SetUsageLocation { location: location.clone() }))
        }
        Remedy::Restore(options) => format!("Restore the deleted account {upn}{}", changes(options)),
        Remedy::Nothing => format!("Repair {upn}"),
    }
}

/// The candidate that would be taken now: the first with a seat, else the first.
fn chosen<'a>(candidates: &'a [Candidate], input: &Input<'_>) -> Option<&'a Candidate> {
    let has_seat = |candidate: &&Candidate| {
        input.catalog.get(candidate.sku).is_some_and(|sku| sku.free() > reserved(&sku.part_number, input))
    };
    candidates.iter().find(has_seat).or(candidates.first())
}

fn reserved(part_number: &str, input: &Input<'_>) -> i64 {
    let reserved = &input.policy.limits.seats_reserved;
    let found = reserved.iter().find(|(name, _)| name.eq_ignore_ascii_case(part_number));
    found.map_or(0, |(_, seats)| i64::from(*seats))
}

fn seats(drift: &Drift, input: &Input<'_>) -> Option<String> {
    let Remedy::AssignLicense { candidates } = &drift.remedy else { return None };
    let sku = input.catalog.get(chosen(candidates, input)?.sku)?;
    let free = (sku.free() - reserved(&sku.part_number, input)).max(0);
    Some(match free {
        1 => "1 seat free".to_owned(),
        _ => format!("{free} seats free"),
    })
}

/// What happened, and when.
fn began(drift: &Drift) -> String {
    let what = capital(because(drift.cause).unwrap_or_else(|| trouble(drift.kind)));
    let clock = &drift.clock;
    match clock.earliest {
        Some(earliest) if earliest == clock.latest => format!("{what} on {}", earliest.human()),
        Some(earliest) => format!("{what} {}", between(earliest, clock.latest)),
        None => format!("{what} before {}", clock.latest.human()),
    }
}

fn fate(drift: &Drift, now: Timestamp) -> String {
    match (drift.clock.certainty, drift.clock.deadline) {
        (Certainty::NotRunning, _) => "no clock runs".to_owned(),
        (Certainty::Unknown, _) | (_, None) => "nobody knows how much time is left".to_owned(),
        (Certainty::Known | Certainty::Hinted, Some(deadline)) if deadline <= now => {
            format!("the limit was {}", deadline.human())
        }
        (Certainty::Known | Certainty::Hinted, Some(deadline)) => {
            format!("lost for good on {}", deadline.human())
        }
    }
}

fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| first.to_uppercase().chain(signs).collect())
}
