//! Why mailkeeper does what it does for one user: a document; its text is in `text`. Pure; the same facts give the same
//! document.
//!
//! Users that are left alone are explained as completely as those that are repaired: whoever asks wants to know which
//! line of the policy says so, and what becomes of the mailbox meanwhile.

mod document;
mod text;

use std::collections::BTreeSet;

use crate::diff::{Finding, diff, unkept_until};
use crate::model::{
    Ask, Catalog, Cause, Certainty, Drift, DriftKind, Entitlement, Evidence, KnownUser, LedgerEntry, License,
    Outlook, Plan, Presence, ProbeAnswer, Reason, Surroundings, Timestamp,
};
use crate::policy::{Policy, Ruling};

pub use document::{Backed, Explanation, ObservedView, OtherAccount, Past, RuleView, Setback, Standing};
pub use text::{changes, describe, evidence};

/// What an explanation is made from.
#[derive(Debug)]
pub struct Facts<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    /// The newest policy is bad; `policy` is the last good one.
    pub policy_failed: bool,
    pub known: &'a KnownUser,
    pub entry: Option<&'a LedgerEntry>,
    pub catalog: &'a Catalog,
    /// What concerns this user, so that the explanation says what the plan says.
    pub surroundings: &'a Surroundings,
    /// The other account of `surroundings`.
    pub same_address: Option<OtherAccount>,
    pub last_complete: Option<Timestamp>,
    /// The newest plan.
    pub plan: Option<&'a Plan>,
    /// Why nothing at all is sent at the moment (`observe` mode, hold), if so.
    pub stopped: Option<Reason>,
    /// The last entries of the journal about this user, oldest first.
    pub past: Vec<Past>,
}

/// Explains one user.
pub fn explain(facts: &Facts<'_>) -> Explanation {
    let known = facts.known;
    let finding = diff(facts.policy, known, facts.catalog, facts.surroundings, facts.now);
    let next = next_move(facts, &finding);
    let (verdict, summary, fate) = standing(facts, &finding);
    let drift = match finding {
        Finding::Drift(drift) => Some(*drift),
        Finding::Healthy | Finding::LeftAlone { .. } => None,
    };
    let subscription = backed(facts).filter(|_| verdict == Standing::Healthy);
    let entry = facts.entry;
    Explanation {
        id: known.id(),
        upn: known.user.upn.clone(),
        display_name: known.user.display_name.clone(),
        at: facts.now,
        verdict,
        summary,
        fate,
        subscription,
        rule: rule_view(facts),
        policy_failed: facts.policy_failed,
        observed: observed_view(facts),
        same_address: facts.same_address.clone(),
        drift,
        next,
        attempts: entry.map(|entry| entry.attempts.clone()).unwrap_or_default(),
        next_attempt: entry.and_then(|entry| entry.next_attempt),
        pending: entry.and_then(|entry| entry.pending.clone()),
        last_verdict: entry.and_then(|entry| entry.last_verdict),
        replaced: entry.and_then(|entry| entry.replaced.clone()),
        setbacks: entry.filter(|entry| entry.resolved.is_none()).map(setbacks).unwrap_or_default(),
        past: facts.past.clone(),
    }
}

/// Oldest first.
fn setbacks(entry: &LedgerEntry) -> Vec<Setback> {
    let bearing = entry.setbacks();
    let proved = entry.repaired.iter().map(|at| Setback {
        at: *at,
        what: "the mailbox was proved; the trouble came back afterwards".to_owned(),
    });
    let undone = entry.undone.iter().map(|undone| {
        let (what, sent) = (describe(&undone.action), undone.sent.human());
        let what = match undone.seen {
            Some(seen) => {
                format!("{what}, sent {sent}: seen {}, then undone before it was proved", seen.human())
            }
            None => format!("{what}, sent {sent}: accepted, and its effect was never seen"),
        };
        Setback { at: undone.at, what }
    });
    let mut setbacks: Vec<Setback> = proved.chain(undone).collect();
    setbacks.retain(|setback| bearing.contains(&setback.at));
    setbacks.sort_by_key(|setback| setback.at);
    setbacks
}

fn standing(facts: &Facts<'_>, finding: &Finding) -> (Standing, String, Option<String>) {
    match finding {
        Finding::Healthy if facts.entry.is_some_and(|entry| entry.pending.is_some()) => {
            let summary = "the repair shows in the directory; that the mailbox is the same is not proved yet";
            (Standing::Unproved, summary.to_owned(), None)
        }
        Finding::Healthy if facts.entry.is_some_and(|entry| entry.healed.is_some()) => {
            let summary = "others repaired it; that the mailbox is the same is not proved yet";
            (Standing::Unproved, summary.to_owned(), None)
        }
        Finding::Healthy => (Standing::Healthy, "the mailbox is where the policy wants it".to_owned(), None),
        Finding::LeftAlone { reason, drift, detail } => {
            let detail = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            // Who never had a mailbox has lost none.
            let known = facts.known;
            let had_one =
                known.had_mailbox() || known.user.had_mailbox_plan() || known.may_have_had_mailbox();
            let summary = match drift.filter(|_| had_one) {
                Some(kind) => format!("{}, but {}{detail}", trouble(kind), reason.sentence()),
                None => format!("{}{detail}", reason.sentence()),
            };
            (Standing::LeftAlone, summary, drift.and_then(|_| unkept(facts)))
        }
        Finding::Drift(drift) => {
            let cause = because(drift.cause).map(|cause| format!(": {cause}")).unwrap_or_default();
            let standing = match drift.blocked {
                Some(Reason::Expired | Reason::Gone) => Standing::Lost,
                Some(_) | None => Standing::AtRisk,
            };
            (standing, format!("{}{cause}", trouble(drift.kind)), Some(drift_fate(drift, facts)))
        }
    }
}

/// What is the matter with a mailbox, as a clause.
pub fn trouble(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::Unlicensed => "no licence gives this mailbox any more",
        DriftKind::Deleted => "the account was deleted",
        DriftKind::UnlicensedAndDeleted => "the licence was lost and the account deleted",
        DriftKind::Gone => "the account is neither live nor among the deleted ones",
    }
}

/// How it came about, as a clause; `None` where [`trouble`] says it already.
pub fn because(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::LicenseRemoved => Some("a direct licence was removed"),
        Cause::GroupLicenseRemoved => Some("it came through a group, and no longer does"),
        Cause::GroupLicenseError => Some("the licensing group reports an error"),
        Cause::PlanDisabled => Some("Exchange was switched off in the licence"),
        Cause::SubscriptionLapsed => Some("the subscription lapsed"),
        Cause::KindChanged => {
            Some("the mailbox turned into one that needs a licence, or does not answer any more")
        }
        Cause::NeverLicensed => Some("never seen licensed"),
        Cause::AccountDeleted => None,
        Cause::AccountPurged => Some("purged, or vanished"),
    }
}

fn drift_fate(drift: &Drift, facts: &Facts<'_>) -> String {
    let now = facts.now;
    if drift.kind == DriftKind::Gone {
        return purged_fate(facts);
    }
    match (drift.clock.certainty, drift.clock.deadline) {
        (Certainty::NotRunning, _) => "no clock runs: nothing is lost by waiting".to_owned(),
        (Certainty::Unknown, _) | (_, None) => {
            "nobody knows how much time is left: it may be a month or nothing".to_owned()
        }
        (Certainty::Known | Certainty::Hinted, Some(deadline)) if deadline <= now => {
            format!("the limit was reached on {}, {} ago", deadline.human(), now - deadline)
        }
        (Certainty::Known | Certainty::Hinted, Some(deadline)) => {
            let is_later = |one: &Evidence| matches!(one, Evidence::Subscription { is_deletion: false, .. });
            let doubt = if drift.clock.evidence.iter().any(is_later) { " at the earliest" } else { "" };
            format!("lost for good on {}{doubt}, in {}", deadline.human(), deadline - now)
        }
    }
}

/// What is left of a purged account's mailbox.
fn purged_fate(facts: &Facts<'_>) -> String {
    match facts.known.soft_deleted_until() {
        Some(until) if until <= facts.now => {
            format!(
                "Exchange kept the mailbox until {} at the latest: only a backup helps now",
                until.human()
            )
        }
        Some(until) => format!(
            "Exchange keeps the mailbox until {} at the latest, in {}, and a person can bring it back: Get-Mailbox \
             -SoftDeletedMailbox, then Undo-SoftDeletedMailbox or New-MailboxRestoreRequest (Exchange PowerShell)",
            until.human(),
            until - facts.now
        ),
        None => "the licence had been removed before: Exchange keeps no such mailbox, look for a backup"
            .to_owned(),
    }
}

/// When Microsoft deletes what nobody keeps.
fn unkept(facts: &Facts<'_>) -> Option<String> {
    let said = |end: Timestamp, doubt: &str| match end > facts.now {
        true => {
            format!("if nobody acts: lost for good on {}{doubt}, in {}", end.human(), end - facts.now)
        }
        false => format!("nobody acted: the limit was {}{doubt}", end.human()),
    };
    match facts.known.presence {
        Presence::Deleted { .. } => {
            unkept_until(facts.known, facts.policy.retention).map(|end| said(end, ""))
        }
        Presence::Live => {
            let loss = facts.known.loss.as_ref()?;
            let start = loss.last_with.unwrap_or(loss.noticed);
            Some(said(start + facts.policy.retention.days, " at the earliest"))
        }
        Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => None,
    }
}

/// Licences that somebody renews, and mailboxes that a second product keeps, are not worth a word.
fn backed(facts: &Facts<'_>) -> Option<Backed> {
    let sku = Entitlement::sole_product(&facts.known.user, facts.catalog)?;
    let outlook = facts.catalog.outlook(sku).filter(Outlook::is_alarming)?;
    Some(Backed { product: facts.catalog.name(sku), outlook })
}

fn rule_view(facts: &Facts<'_>) -> RuleView {
    match facts.policy.ruling(facts.known) {
        Ruling::Keep(rule) => RuleView::Keep {
            rule: rule.reference(),
            on_license_lost: rule.on_license_lost,
            on_deleted: rule.on_deleted,
            settle: rule.settle,
            policy_digest: facts.policy.digest.clone(),
            revision: facts.policy.revision.clone(),
        },
        Ruling::Offboarded(entry) => {
            RuleView::Offboarded { reason: entry.reason.clone(), file: entry.file.clone(), line: entry.line }
        }
        Ruling::Protected(entry) => {
            RuleView::Protected { reason: entry.reason.clone(), file: entry.file.clone(), line: entry.line }
        }
        Ruling::NoRule => RuleView::NoRule {
            tried: facts.policy.keep.iter().map(|rule| rule.reference()).collect(),
            misses: facts.policy.keep.iter().map(|rule| rule.matcher.misses(facts.known)).collect(),
        },
        Ruling::Undetermined { fact } => RuleView::Undetermined { fact },
    }
}

fn observed_view(facts: &Facts<'_>) -> ObservedView {
    let known = facts.known;
    let names = |licenses: &[License]| -> Vec<String> {
        let names: BTreeSet<String> =
            licenses.iter().map(|license| facts.catalog.name(license.sku)).collect();
        names.into_iter().collect()
    };
    let probe = known.mailbox.last_probe.as_ref();
    ObservedView {
        as_of: facts.last_complete,
        presence: known.presence.clone(),
        account_enabled: known.user.account_enabled,
        on_premises_synced: known.user.on_premises_synced,
        usage_location: known.user.usage_location.clone(),
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
        first_seen: facts.entry.filter(|entry| entry.resolved.is_none()).map(|entry| entry.first_seen),
        sightings: facts.entry.map_or(0, |entry| entry.sightings),
    }
}

fn next_move(facts: &Facts<'_>, finding: &Finding) -> String {
    match finding {
        Finding::Healthy => match facts.entry.and_then(|entry| entry.pending.as_ref()) {
            Some(pending) => format!(
                "the proof of the repair ({}, {}) is awaited",
                describe(&pending.action),
                pending.sent.human()
            ),
            None => match facts.entry.and_then(|entry| entry.healed) {
                Some(healed) => {
                    format!("the proof of the repair (by others, seen {}) is awaited", healed.human())
                }
                None => "nothing: there is nothing to do for this user".to_owned(),
            },
        },
        Finding::LeftAlone { reason: Reason::Undetermined, drift: None, .. } => {
            "nothing until that fact is known: the next passes ask on; `mailkeeper doctor` says what is in the way".to_owned()
        }
        Finding::LeftAlone { drift: None, .. } => {
            "nothing: there is nothing to do for this user".to_owned()
        }
        Finding::LeftAlone { reason: Reason::Undetermined, drift: Some(_), .. }
            if matches!(facts.known.presence, Presence::Deleted { .. }) =>
        {
            format!("nothing is sent: {}", Reason::DELETED_UNDETERMINED)
        }
        Finding::LeftAlone { reason: Reason::Undetermined, drift: Some(_), .. } => {
            "nothing is sent until that fact can be read; `mailkeeper doctor` says what is in the way".to_owned()
        }
        Finding::LeftAlone { reason: Reason::NeverHadMailbox, drift: Some(_), .. } => {
            "nothing, unless the rule says adopt: true".to_owned()
        }
        Finding::LeftAlone { drift: Some(_), .. } => {
            "nothing, ever, while the policy says so: whoever wants the mailbox acts by hand, or changes the policy"
                .to_owned()
        }
        Finding::Drift(drift) => drift_move(facts, drift),
    }
}

fn drift_move(facts: &Facts<'_>, drift: &Drift) -> String {
    let plan = facts.plan.filter(|_| drift.blocked.is_none());
    let step = plan.and_then(|plan| plan.steps.iter().find(|step| step.user == drift.user));
    if let Some(step) = step {
        let what = describe(&step.action);
        let is_sent = facts.entry.is_some_and(|entry| entry.pending.is_some());
        return match facts.stopped {
            _ if is_sent => format!("{what}: sent, its effect is awaited"),
            Some(reason) => format!("would {what}, but {}", reason.sentence()),
            None => format!("{what}, at the next pass (attempt {})", step.attempt),
        };
    }
    let waiting = facts.plan.and_then(|plan| plan.waiting.iter().find(|waiting| waiting.user == drift.user));
    let reason = drift.blocked.or(waiting.map(|waiting| waiting.reason));
    let Some(reason) = reason else {
        return "the next pass decides: it was not in the newest plan".to_owned();
    };
    let waiting = waiting.filter(|waiting| waiting.reason == reason);
    let until = waiting.and_then(|waiting| waiting.until).filter(|until| *until > facts.now);
    let until = until.map(|until| format!("; next look {}, in {}", until.human(), until - facts.now));
    let detail = waiting.and_then(|waiting| waiting.detail.as_ref());
    let detail = detail
        .or(drift.detail.as_ref().filter(|_| drift.blocked == Some(reason)))
        .map(|detail| format!(" [{detail}]"));
    let ask = facts.plan.and_then(|plan| question(plan, drift, reason));
    let [until, detail, ask] = [until, detail, ask].map(Option::unwrap_or_default);
    format!("nothing is sent: {}{detail}{until}{ask}", reason.sentence())
}

/// The command that answers what this drift waits for. One drift may be asked about twice: as one of many, and by its
/// rule.
fn question(plan: &Plan, drift: &Drift, reason: Reason) -> Option<String> {
    let concerns = |ask: &&Ask| ask.users.contains(&drift.user);
    if reason == Reason::Denied {
        let denied = plan.denied.iter().find(concerns)?;
        return Some(format!("; taken back with: mailkeeper approve {}", denied.id));
    }
    let mut asks: Vec<&Ask> = plan.asks.iter().filter(concerns).collect();
    asks.sort_by_key(|ask| ask.reason != reason);
    asks.first().map(|ask| format!("; answer with: mailkeeper approve {} (or deny)", ask.id))
}

#[cfg(test)]
mod tests;
