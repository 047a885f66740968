//! Why mailkeeper does what it does for one user: a document, and its text. Pure; the same facts give the same text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::diff::{Finding, diff};
use crate::model::{
    Action, Attempt, Catalog, Certainty, Conflicts, Drift, Entitlement, Evidence, KnownUser, LedgerEntry,
    Pending, Plan, Presence, ProbeAnswer, Reason, RuleRef, Timestamp, UserId, Verdict,
};
use crate::policy::{Policy, Ruling};

/// Everything an administrator asks at three in the morning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub id: UserId,
    pub upn: String,
    pub display_name: Option<String>,
    pub at: Timestamp,
    pub verdict: Standing,
    /// One sentence: what is the matter.
    pub summary: String,
    pub rule: RuleView,
    pub observed: ObservedView,
    pub drift: Option<Drift>,
    pub next: String,
    pub attempts: Vec<Attempt>,
    pub pending: Option<Pending>,
    pub last_verdict: Option<Verdict>,
}

/// Where the user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Healthy,
    LeftAlone,
    AtRisk,
}

/// Which entry of the policy decides, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum RuleView {
    Keep { rule: RuleRef, policy_digest: String, revision: Option<String> },
    Offboarded { reason: String, file: String, line: u32 },
    Protected { reason: String, file: String, line: u32 },
    NoRule,
    Undetermined { fact: String },
}

/// What was observed, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedView {
    /// Start of the newest complete observation: everything below is as of then, unless it says otherwise.
    pub as_of: Option<Timestamp>,
    pub presence: Presence,
    pub account_enabled: Option<bool>,
    pub licenses: Vec<String>,
    pub entitlement: Entitlement,
    pub remembered_licenses: Vec<String>,
    pub mailbox_kind: Option<String>,
    pub mailbox_id: Option<String>,
    pub mailbox_asked: Option<Timestamp>,
    pub mailbox_answer: Option<String>,
    pub first_seen: Option<Timestamp>,
    pub sightings: u32,
}

/// What an explanation is made from.
#[derive(Debug)]
pub struct Facts<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    pub known: &'a KnownUser,
    pub entry: Option<&'a LedgerEntry>,
    pub catalog: &'a Catalog,
    pub conflicts: &'a Conflicts,
    pub last_complete: Option<Timestamp>,
    /// The newest plan.
    pub plan: Option<&'a Plan>,
    /// Why nothing at all is sent at the moment (`observe` mode, hold), if so.
    pub stopped: Option<Reason>,
}

/// Explains one user.
pub fn explain(facts: &Facts<'_>) -> Explanation {
    let known = facts.known;
    let finding = diff(facts.policy, known, facts.catalog, facts.conflicts, facts.now);
    let (verdict, summary, drift) = match finding {
        Finding::Healthy => (Standing::Healthy, "the mailbox is where the policy wants it".to_owned(), None),
        Finding::LeftAlone { reason, drift, detail } => {
            let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            let trouble =
                drift.map_or(String::new(), |kind| format!("{}, but ", kind.label().replace('_', " ")));
            (Standing::LeftAlone, format!("{trouble}{}{detail}", reason.sentence()), None)
        }
        Finding::Drift(drift) => (Standing::AtRisk, drift_summary(&drift, facts.now), Some(*drift)),
    };
    let next = match &drift {
        Some(_) => next_move(facts),
        None => "nothing: there is nothing to do for this user".to_owned(),
    };
    Explanation {
        id: known.id(),
        upn: known.user.upn.clone(),
        display_name: known.user.display_name.clone(),
        at: facts.now,
        verdict,
        summary,
        rule: rule_view(facts),
        observed: observed_view(facts),
        drift,
        next,
        attempts: facts.entry.map(|entry| entry.attempts.clone()).unwrap_or_default(),
        pending: facts.entry.and_then(|entry| entry.pending.clone()),
        last_verdict: facts.entry.and_then(|entry| entry.last_verdict),
    }
}

fn drift_summary(drift: &Drift, now: Timestamp) -> String {
    let what = drift.kind.label().replace('_', " ");
    let cause = drift.cause.label().replace('_', " ");
    match (drift.clock.certainty, drift.clock.deadline) {
        (Certainty::NotRunning, _) => format!("{what} ({cause}); no clock runs"),
        (Certainty::Unknown, _) | (_, None) => {
            format!("{what} ({cause}); the deadline is NOT KNOWN, it may be close")
        }
        (Certainty::Known | Certainty::Hinted, Some(deadline)) if deadline <= now => {
            format!("{what} ({cause}); the limit was reached on {}", deadline.human())
        }
        (Certainty::Known | Certainty::Hinted, Some(deadline)) => {
            format!("{what} ({cause}); lost for good on {}, in {}", deadline.human(), deadline - now)
        }
    }
}

fn rule_view(facts: &Facts<'_>) -> RuleView {
    match facts.policy.ruling(facts.known) {
        Ruling::Keep(rule) => RuleView::Keep {
            rule: rule.reference(),
            policy_digest: facts.policy.digest.clone(),
            revision: facts.policy.revision.clone(),
        },
        Ruling::Offboarded(entry) => {
            RuleView::Offboarded { reason: entry.reason.clone(), file: entry.file.clone(), line: entry.line }
        }
        Ruling::Protected(entry) => {
            RuleView::Protected { reason: entry.reason.clone(), file: entry.file.clone(), line: entry.line }
        }
        Ruling::NoRule => RuleView::NoRule,
        Ruling::Undetermined { fact } => RuleView::Undetermined { fact },
    }
}

fn observed_view(facts: &Facts<'_>) -> ObservedView {
    let known = facts.known;
    let names = |licenses: &[crate::model::License]| -> Vec<String> {
        let names: BTreeSet<String> =
            licenses.iter().map(|license| facts.catalog.name(license.sku)).collect();
        names.into_iter().collect()
    };
    let probe = known.mailbox.last_probe.as_ref();
    ObservedView {
        as_of: facts.last_complete,
        presence: known.presence.clone(),
        account_enabled: known.user.account_enabled,
        licenses: names(known.user.licenses()),
        entitlement: Entitlement::of(&known.user, facts.catalog),
        remembered_licenses: known
            .remembered
            .as_ref()
            .map(|memory| names(&memory.licenses))
            .unwrap_or_default(),
        mailbox_kind: known.mailbox.kind.as_ref().map(|kind| kind.as_str().to_owned()),
        mailbox_id: known.mailbox.primary_id.clone(),
        mailbox_asked: probe.map(|probe| probe.at),
        mailbox_answer: probe.map(|probe| match &probe.answer {
            ProbeAnswer::Reachable { kind, .. } => format!("answers, {}", kind.as_str()),
            ProbeAnswer::NoMailbox => "no reachable mailbox".to_owned(),
            ProbeAnswer::Unreadable => "cannot be read with these permissions or in this cloud".to_owned(),
        }),
        first_seen: facts.entry.filter(|entry| entry.is_open()).map(|entry| entry.first_seen),
        sightings: facts.entry.map_or(0, |entry| entry.sightings),
    }
}

fn next_move(facts: &Facts<'_>) -> String {
    let id = facts.known.id();
    let Some(plan) = facts.plan else { return "no pass has planned yet".to_owned() };
    if let Some(step) = plan.steps.iter().find(|step| step.user == id) {
        let what = describe(&step.action);
        return match facts.stopped {
            Some(reason) => format!("would {what}, but {}", reason.sentence()),
            None => format!("{what} (attempt {})", step.attempt),
        };
    }
    let Some(waiting) = plan.waiting.iter().find(|waiting| waiting.user == id) else {
        return "the next pass looks at it: it was not in the newest plan".to_owned();
    };
    let until = waiting.until.map(|until| format!(", until {}", until.human())).unwrap_or_default();
    let detail = waiting.detail.as_ref().map(|detail| format!(" [{detail}]")).unwrap_or_default();
    format!("{}{until}{detail}", waiting.reason.sentence())
}

/// An action as a person says it.
pub fn describe(action: &Action) -> String {
    match action {
        Action::AssignLicense { part_number, disabled_plans, takes_seat, .. } => {
            let verb = if *takes_seat { "assign" } else { "switch the Exchange plan on again in" };
            let kept = match disabled_plans.len() {
                0 => String::new(),
                1 => ", leaving 1 service plan off as it was".to_owned(),
                count => format!(", leaving {count} service plans off as they were"),
            };
            format!("{verb} {part_number}{kept}")
        }
        Action::AddToGroup { group } => format!("put back into the licensing group {group}"),
        Action::SetUsageLocation { location } => {
            format!("set the usage location {location} that the policy gives")
        }
        Action::Restore => "restore the deleted account".to_owned(),
    }
}

impl Explanation {
    /// The explanation as text, for a terminal; no colour, no times but those of the facts.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let name = self.display_name.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
        let _ = writeln!(text, "{}{name}\n  {}\n  id {}\n", self.upn, self.summary, self.id);
        let _ = writeln!(text, "rule      {}", self.rule.to_text());
        self.write_observed(&mut text);
        if let Some(drift) = &self.drift {
            write_clock(&mut text, drift, self.at);
        }
        let _ = writeln!(text, "next      {}", self.next);
        if let Some(pending) = &self.pending {
            let _ = writeln!(
                text,
                "pending   {} sent {}, effect not observed yet",
                describe(&pending.action),
                pending.sent.human()
            );
        }
        for attempt in &self.attempts {
            let outcome = attempt.outcome.map_or("no outcome was recorded", |outcome| outcome.label());
            let _ = writeln!(
                text,
                "tried     {}  {}: {outcome}. {}",
                attempt.at.human(),
                describe(&attempt.action),
                attempt.detail
            );
        }
        if let Some(verdict) = self.last_verdict {
            let _ = writeln!(text, "proof     {}", verdict.label());
        }
        text
    }

    fn write_observed(&self, text: &mut String) {
        let seen = &self.observed;
        let as_of =
            seen.as_of.map_or("never observed completely".to_owned(), |at| format!("as of {}", at.human()));
        let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let account = match (&seen.presence, seen.account_enabled) {
            (Presence::Live, Some(true)) => "live, enabled".to_owned(),
            (Presence::Live, Some(false)) => "live, disabled".to_owned(),
            (Presence::Live, None) => "live".to_owned(),
            (Presence::Deleted { since }, _) => format!("deleted on {}", since.human()),
            (Presence::Missing { noticed }, _) => format!("in neither list since {}", noticed.human()),
            (Presence::Gone { noticed }, _) => format!("gone since {}", noticed.human()),
        };
        let _ = writeln!(text, "observed  {as_of}: {account}");
        let _ = writeln!(
            text,
            "          licences {}; while healthy {}",
            list(&seen.licenses),
            list(&seen.remembered_licenses)
        );
        let kind = seen.mailbox_kind.as_deref().unwrap_or("of unknown kind");
        let id = seen.mailbox_id.as_deref().unwrap_or("not recorded");
        let asked = match (&seen.mailbox_answer, seen.mailbox_asked) {
            (Some(answer), Some(at)) => format!("; asked {}: {answer}", at.human()),
            (Some(_) | None, _) => String::new(),
        };
        let _ = writeln!(text, "          mailbox {kind}, identity {id}{asked}");
    }
}

impl RuleView {
    fn to_text(&self) -> String {
        match self {
            Self::Keep { rule, policy_digest, revision } => {
                let short: String = policy_digest.chars().take(12).collect();
                let commit = revision.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
                format!("keep \"{}\", {}:{} (policy {short}{commit})", rule.name, rule.file, rule.line)
            }
            Self::Offboarded { reason, file, line } => format!("off-boarded, {file}:{line}: {reason}"),
            Self::Protected { reason, file, line } => format!("protected, {file}:{line}: {reason}"),
            Self::NoRule => "no keep rule names this user".to_owned(),
            Self::Undetermined { fact } => format!("not decided: {fact}"),
        }
    }
}

fn write_clock(text: &mut String, drift: &Drift, now: Timestamp) {
    let clock = &drift.clock;
    let left =
        |at: Timestamp| if at > now { format!("in {}", at - now) } else { format!("{} ago", now - at) };
    if let (Some(deadline), Some(act_by)) = (clock.deadline, clock.act_by) {
        let _ = writeln!(
            text,
            "clock     deadline {} ({}), act by {} ({})",
            deadline.human(),
            left(deadline),
            act_by.human(),
            left(act_by)
        );
    }
    if let Some(earliest) = clock.earliest.filter(|earliest| *earliest != clock.latest) {
        let uncertainty = clock.latest - earliest;
        let _ = writeln!(
            text,
            "          lost between {} and {} ({uncertainty}); the earlier end counts",
            earliest.human(),
            clock.latest.human()
        );
    }
    for evidence in &clock.evidence {
        let _ = writeln!(text, "evidence  {}", evidence_text(evidence));
    }
}

fn evidence_text(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Observed { last_with, noticed } => {
            format!("our observations: with licence on {}, without on {}", last_with.human(), noticed.human())
        }
        Evidence::FirstSeenWithout { noticed } => {
            format!("first seen on {}, already without a licence", noticed.human())
        }
        Evidence::AssignedPlan { date } => {
            format!("assignedPlans dates the Exchange plan {} (undocumented, a hint only)", date.human())
        }
        Evidence::DeletedDateTime { date } => format!("the directory dates the deletion {}", date.human()),
        Evidence::Hold { service_instance } => {
            format!("{service_instance} reports a provisioning error: a hold keeps the mailbox active")
        }
    }
}
