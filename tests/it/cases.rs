//! Runs the case files of `tests/cases/plan`: a policy and what was observed of a few users, to the plan. The format
//! of the case files is in `cases/format.rs`, how a case becomes the input of planning in `cases/stage.rs`.
//!
//! Users are not made by hand: each look at a user goes through the same fold as in the daemon.

mod format;
mod stage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mailkeeper::model::{Action, Certainty, Drift, Plan, Reason, Timestamp, UserId};
use mailkeeper::plan::{self, check, explain};

use format::{Case, Expected};
use stage::Stage;

#[test]
fn every_case_plans_what_it_says() {
    let mut failures = String::new();
    let files = case_files();
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("case files have plain names");
        let text = std::fs::read_to_string(file).expect("the case file can be read");
        if let Err(failure) = run(&text) {
            let _ = writeln!(failures, "\n=== tests/cases/plan/{name}\n{failure}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(files.len() >= 45, "only {} case files were found", files.len());
}

fn case_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan");
    let entries = std::fs::read_dir(&directory).expect("the case directory can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Plans the case, also with its users in reverse order; the error shows what was expected and what came.
fn run(text: &str) -> Result<(), String> {
    let is_described = text.starts_with("# ") && text.lines().next().is_some_and(|line| line.len() > 20);
    if !is_described {
        return Err("the file does not start with a sentence that says what it shows".to_owned());
    }
    let case: Case = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let stage = Stage::build(&case)?;
    let got = stage.plan();
    check::check(&got, &stage.input(&stage.drifts), &stage.known);
    let reversed: Vec<Drift> = stage.drifts.iter().rev().cloned().collect();
    if plan::plan(&stage.input(&reversed)) != got {
        return Err("the plan depends on the order of the drifts".to_owned());
    }
    compare(&case.expect, &shown(&stage, &got, &case.expect))
}

fn compare(expected: &Expected, got: &Expected) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let yaml = |expected| serde_yaml::to_string(expected).expect("an expectation is plain data");
    Err(format!("--- expected\n{}--- got\n{}", yaml(expected), yaml(got)))
}

/// The plan in the words of a case file. Deadlines and causes are left out where the case does not speak of them.
fn shown(stage: &Stage, plan: &Plan, expected: &Expected) -> Expected {
    let name = |user: &UserId| stage.name(*user);
    let of_drifts = |text: fn(&Drift) -> String| -> BTreeMap<String, String> {
        stage.drifts.iter().map(|drift| (name(&drift.user), text(drift))).collect()
    };
    Expected {
        steps: plan
            .steps
            .iter()
            .map(|step| BTreeMap::from([(name(&step.user), stage.describe(&step.action))]))
            .collect(),
        waiting: plan
            .waiting
            .iter()
            .map(|waiting| (name(&waiting.user), reason(waiting.reason, waiting.until)))
            .collect(),
        asks: plan
            .asks
            .iter()
            .map(|ask| {
                BTreeMap::from([(ask.reason.label().to_owned(), ask.users.iter().map(name).collect())])
            })
            .collect(),
        seats_missing: plan
            .seats
            .iter()
            .map(|need| (need.part_number.clone(), by(need.missing, need.by)))
            .collect(),
        left_alone: stage.left_alone.clone(),
        healthy: stage.healthy.clone(),
        details: expected.details.as_ref().map(|parts| details(stage, plan, parts)),
        deadlines: expected.deadlines.as_ref().map(|_| of_drifts(deadline)),
        act_by: expected.act_by.as_ref().map(|_| of_drifts(act_by)),
        evidence: expected.evidence.as_ref().map(|_| {
            let spoken = |drift: &Drift| drift.clock.evidence.iter().map(explain::evidence).collect();
            stage.drifts.iter().map(|drift| (name(&drift.user), spoken(drift))).collect()
        }),
        causes: expected.causes.as_ref().map(|_| of_drifts(|drift| drift.cause.label().to_owned())),
    }
}

/// The expected part where it is there, else the whole detail.
fn details(stage: &Stage, plan: &Plan, parts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let waiting = plan.waiting.iter().map(|waiting| (stage.name(waiting.user), waiting.detail.clone()));
    let told = waiting.filter_map(|(name, detail)| {
        let (part, detail) = (parts.get(&name)?, detail.unwrap_or_default());
        Some((name, if detail.contains(part) { part.clone() } else { detail }))
    });
    told.collect()
}

fn reason(reason: Reason, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("{reason} until {until}"),
        None => reason.to_string(),
    }
}

fn by(missing: u32, by: Option<Timestamp>) -> String {
    by.map_or_else(|| missing.to_string(), |by| format!("{missing} by {by}"))
}

fn deadline(drift: &Drift) -> String {
    let certainty = match drift.clock.certainty {
        Certainty::Known => "known",
        Certainty::Hinted => "hinted",
        Certainty::Unknown => "unknown",
        Certainty::NotRunning => "not running",
    };
    drift.clock.deadline.map_or_else(|| certainty.to_owned(), |deadline| format!("{deadline} {certainty}"))
}

fn act_by(drift: &Drift) -> String {
    drift.clock.act_by.map_or_else(|| "none".to_owned(), |act_by| act_by.to_string())
}

/// `assign SPE_E3 without TEAMS1`, `enable mailbox in SPE_E3`, `add to group ..1`, `set usage location NO`,
/// `restore as NAME less taken addresses`.
fn describe(action: &Action, plan_name: impl Fn(&mailkeeper::model::PlanId) -> String) -> String {
    match action {
        Action::AssignLicense { part_number, disabled_plans, takes_seat, .. } => {
            let verb = if *takes_seat { "assign" } else { "enable mailbox in" };
            let off: Vec<String> = disabled_plans.iter().map(plan_name).collect();
            match off.is_empty() {
                true => format!("{verb} {part_number}"),
                false => format!("{verb} {part_number} without {}", off.join(" ")),
            }
        }
        Action::AddToGroup { group } => format!("add to group {group}"),
        Action::ReprocessLicenses { part_number, .. } => format!("reprocess {part_number}"),
        Action::SetUsageLocation { location } => format!("set usage location {location}"),
        Action::Restore(options) => {
            let name = options.new_upn.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
            let less = if options.drops_taken_addresses { " less taken addresses" } else { "" };
            format!("restore{name}{less}")
        }
    }
}
