//! The explanation as text, for a terminal: labels on the left, the most pressing first. No colour, no clock.

use std::fmt::Write as _;

use crate::model::{
    Action, ActorKind, Certainty, Drift, Evidence, Presence, Replaced, Response, RestoreOptions, Timestamp,
    Verdict, between,
};

use super::{Backed, Explanation, ObservedView, OtherAccount, RuleView, Standing};

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
        Action::ReprocessLicenses { group, part_number, .. } => {
            format!("let the licensing group {group} try again to give {part_number}")
        }
        Action::SetUsageLocation { location } => {
            format!("set the usage location {location} that the policy gives")
        }
        Action::Restore(options) => format!("restore the deleted account{}", changes(options)),
    }
}

/// What a restored account is without: nothing, or what others hold by now.
pub fn changes(options: &RestoreOptions) -> String {
    let name =
        options.new_upn.as_ref().map(|name| format!(" as {name}, for its name is taken")).unwrap_or_default();
    match (options.drops_taken_addresses, name.is_empty()) {
        (false, _) => name,
        (true, true) => " without the addresses that others hold by now".to_owned(),
        (true, false) => format!("{name}, and without the addresses that others hold by now"),
    }
}

impl Explanation {
    /// For people. The same explanation gives the same text.
    pub fn to_text(&self) -> String {
        let mut page = Page::default();
        let name = self.display_name.as_ref().map(|name| format!("  ({})", plain(name))).unwrap_or_default();
        let _ = writeln!(page.0, "{}{name}\nid {}\n", plain(&self.upn), self.id);
        // Whatever is well by now: what was in the old mailbox is gone.
        let is_loss = self.verdict == Standing::Healthy && self.replaced.is_some();
        let headline = if is_loss { "DATA LOSS" } else { self.verdict.words() };
        let loss =
            is_loss.then(|| "a new, empty mailbox answers: what was in the old one is gone".to_owned());
        page.block(headline, loss.into_iter().chain([self.summary.clone()]).chain(self.fate.clone()));
        page.block("next", [self.next.clone()]);
        page.block("product", self.subscription.iter().map(|backed| product(backed, self.at)));
        page.block("rule", self.rule.lines(self.policy_failed));
        page.block("observed", self.observed.lines(self.at));
        if let Some(other) = &self.same_address {
            page.block("conflict", [conflict(other)]);
        }
        if let Some(drift) = &self.drift {
            page.block("clock", clock(drift, self.at));
            page.block("evidence", drift.clock.evidence.iter().map(evidence));
        }
        page.block("tried", self.tried());
        let setbacks =
            self.setbacks.iter().map(|setback| format!("{}  {}", setback.at.human(), setback.what));
        page.block("undone", setbacks);
        let proof = self.last_verdict.map(|verdict| proof(verdict).to_owned());
        page.block("proof", proof.into_iter().chain(self.replaced.as_ref().map(replaced)));
        page.block("past", self.past.iter().map(|past| format!("{}  {}", past.at.human(), past.what)));
        page.0
    }

    fn tried(&self) -> Vec<String> {
        let attempts = self.attempts.iter().map(|attempt| {
            let outcome = attempt
                .outcome
                .map_or("no outcome was recorded", |outcome| outcome.label())
                .replace('_', " ");
            let detail = if attempt.detail.is_empty() {
                String::new()
            } else {
                format!(" ({})", plain(&attempt.detail))
            };
            format!("{}  {}: {outcome}{detail}", attempt.at.human(), describe(&attempt.action))
        });
        let next = self.next_attempt.filter(|next| *next > self.at);
        let next = next.map(|next| format!("not before {}, in {}", next.human(), next - self.at));
        let pending = self.pending.as_ref().map(|pending| {
            let doubt = if pending.is_uncertain { ", and nobody knows whether it arrived" } else { "" };
            format!(
                "{} sent {}; its effect is not proved yet{doubt}",
                describe(&pending.action),
                pending.sent.human()
            )
        });
        attempts.chain(next).chain(pending).collect()
    }
}

/// Labelled blocks below each other.
#[derive(Default)]
struct Page(String);

/// The longest label, `LEFT ALONE`, and two blanks.
const MARGIN: usize = 12;

impl Page {
    /// Nothing where there are no lines.
    fn block(&mut self, label: &str, lines: impl IntoIterator<Item = String>) {
        for (index, line) in lines.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _ = writeln!(self.0, "{label:MARGIN$}{line}");
        }
    }
}

impl Standing {
    fn words(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Unproved => "UNPROVED",
            Self::LeftAlone => "LEFT ALONE",
            Self::AtRisk => "AT RISK",
            Self::Lost => "TOO LATE",
        }
    }
}

impl RuleView {
    fn lines(&self, policy_failed: bool) -> Vec<String> {
        let mut lines = match self {
            Self::Keep { rule, on_license_lost, on_deleted, settle, policy_digest, revision } => {
                let short: String = policy_digest.chars().take(12).collect();
                let commit = revision.as_ref().map(|commit| commit.chars().take(12).collect::<String>());
                let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
                vec![
                    format!(
                        "keep \"{}\" at {}:{} (policy {short}{commit})",
                        plain(&rule.name),
                        rule.file,
                        rule.line
                    ),
                    format!(
                        "licence lost: {}; account deleted: {}; a drift must stand for {settle}",
                        response(*on_license_lost),
                        response(*on_deleted)
                    ),
                ]
            }
            Self::Offboarded { reason, file, line } => {
                vec![format!("off-boarded at {file}:{line}: {}", plain(reason))]
            }
            Self::Protected { reason, file, line } => {
                vec![format!("protected at {file}:{line}: {}", plain(reason))]
            }
            Self::NoRule { tried, misses } => {
                let misses = misses.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
                let tried = tried.iter().zip(misses).take(RULES_SHOWN).map(|(rule, misses)| {
                    let why = if misses.is_empty() {
                        String::new()
                    } else {
                        format!(": {}", plain(&misses.join(", ")))
                    };
                    format!("  \"{}\" ({}:{}){why}", plain(&rule.name), rule.file, rule.line)
                });
                std::iter::once("none; these do not match:".to_owned()).chain(tried).collect()
            }
            Self::Undetermined { fact } => {
                vec![format!("not decided, because this is not known: {}", plain(fact))]
            }
        };
        if policy_failed {
            lines.push(
                "the newest policy cannot be loaded; this is the last good one, and nothing is started"
                    .to_owned(),
            );
        }
        lines
    }
}

/// Rules that are listed for a user whom none names.
const RULES_SHOWN: usize = 12;

impl ObservedView {
    fn lines(&self, now: Timestamp) -> Vec<String> {
        let as_of = self.as_of.map_or("never observed completely".to_owned(), |at| {
            format!("as of {}, {} ago", at.human(), now - at)
        });
        let synced = if self.on_premises_synced { ", synchronised from on premises" } else { "" };
        let location = self.usage_location.as_deref().unwrap_or("none");
        let kind = self.mailbox_kind.as_deref().unwrap_or("of unknown kind");
        let id = self.mailbox_id.as_deref().unwrap_or("not recorded");
        let asked = match (&self.mailbox_answer, self.mailbox_asked) {
            (Some(answer), Some(at)) => format!("; asked {}: {answer}", at.human()),
            (Some(_) | None, _) => "; never asked".to_owned(),
        };
        let mut lines = vec![
            format!("{as_of}: {}{synced}", presence(&self.presence, self.account_enabled)),
            format!(
                "licences {}; while healthy {}; usage location {location}",
                list(&self.licenses),
                list(&self.remembered_licenses)
            ),
            format!("mailbox {kind}, identity {id}{asked}"),
        ];
        if let Some(first_seen) = self.first_seen {
            let times = if self.sightings == 1 { "once" } else { "in each observation" };
            let count =
                if self.sightings > 1 { format!(" ({} by now)", self.sightings) } else { String::new() };
            lines.push(format!("trouble first seen {}, {times} since{count}", first_seen.human()));
        }
        lines
    }
}

fn conflict(other: &OtherAccount) -> String {
    let what = match (other.has_same_name, other.shared.as_slice()) {
        (true, _) => "has the same user principal name".to_owned(),
        (false, []) => "answers to an address of this account".to_owned(),
        (false, shared) => format!("answers to {} as well", plain(&shared.join(", "))),
    };
    format!("{} (id {}, {}) {what}", plain(&other.upn), other.id, presence(&other.presence, None))
}

/// The mailbox is healthy, so the subscription is in its grace period or a trial, or the directory has not noticed yet.
fn product(backed: &Backed, now: Timestamp) -> String {
    let Backed { product, outlook } = backed;
    let when = match outlook.next {
        Some(next) if next > now => format!("until {}, in {}", next.human(), next - now),
        Some(next) => format!("until {}, which has passed", next.human()),
        None => "until a day that is not known".to_owned(),
    };
    format!(
        "{} is {} {when}: nobody renewed its subscription; when it lapses no licence helps",
        plain(product),
        outlook.backing.label().replace('_', " ")
    )
}

fn presence(presence: &Presence, is_enabled: Option<bool>) -> String {
    match (presence, is_enabled) {
        (Presence::Live, Some(true)) => "live, enabled".to_owned(),
        (Presence::Live, Some(false)) => "live, disabled".to_owned(),
        (Presence::Live, None) => "live".to_owned(),
        (Presence::Deleted { since }, _) => format!("deleted on {}", since.human()),
        (Presence::Missing { noticed }, _) => format!("in neither list since {}", noticed.human()),
        (Presence::Gone { noticed }, _) => format!("gone since {}", noticed.human()),
        (Presence::Recalled { .. }, _) => "not observed since the state was lost".to_owned(),
    }
}

fn clock(drift: &Drift, now: Timestamp) -> Vec<String> {
    let clock = &drift.clock;
    let left =
        |at: Timestamp| if at > now { format!("in {}", at - now) } else { format!("{} ago", now - at) };
    if clock.certainty == Certainty::NotRunning {
        return vec!["none runs".to_owned()];
    }
    let mut lines = Vec::new();
    let by_subscription =
        |one: &Evidence| matches!(one, Evidence::Subscription { .. } | Evidence::SubscriptionNotKnown { .. });
    match clock.earliest {
        None if clock.evidence.iter().any(by_subscription) => {
            lines.push(
                "the subscription's own, not the 30 days: Microsoft keeps the mailbox as long".to_owned(),
            );
        }
        Some(earliest) if earliest == clock.latest => lines.push(format!("started {}", earliest.human())),
        Some(earliest) => {
            let uncertainty = clock.latest - earliest;
            lines.push(format!(
                "started {} ({uncertainty} apart); the earlier end counts",
                between(earliest, clock.latest)
            ));
        }
        None => lines.push(format!("started before {}; nobody saw when", clock.latest.human())),
    }
    if let (Some(deadline), Some(act_by)) = (clock.deadline, clock.act_by) {
        lines.push(format!("act by {}, {}", act_by.human(), left(act_by)));
        lines.push(format!("deadline {}, {}", deadline.human(), left(deadline)));
    }
    lines
}

/// One thing that speaks for the clock, as a sentence.
pub fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Observed { last_with, noticed } => {
            format!("our observations: still there on {}, gone on {}", last_with.human(), noticed.human())
        }
        Evidence::FirstSeenWithout { noticed } => {
            format!("first seen on {}, already without a licence", noticed.human())
        }
        Evidence::AssignedPlan { date } => {
            format!("assignedPlans dates the Exchange plan {} (undocumented, a hint only)", date.human())
        }
        Evidence::DeletedDateTime { date } => format!("the directory dates the deletion {}", date.human()),
        Evidence::Subscription { product, status, next, is_deletion } => {
            let until = next.map_or_else(
                || "until a day that is not known".to_owned(),
                |next| format!("until {}", next.human()),
            );
            let stands = match (is_deletion, status.as_str()) {
                (true, "LockedOut") => format!("{until}: then it is deleted, and the mailbox with it"),
                (true, _) => format!(
                    "{until}: then it is deleted, and the mailbox with it (or locked out first, where Microsoft does that)"
                ),
                (false, "Deleted") => ": its data may be deleted already".to_owned(),
                (false, _) => format!("{until}: that is only its next stage, the deletion comes later"),
            };
            let blank = if stands.starts_with(':') { "" } else { " " };
            format!("the subscription of {} is {}{blank}{stands}", plain(product), plain(status))
        }
        Evidence::SubscriptionNotKnown { product } => format!(
            "{} has lapsed, and Microsoft does not tell until when it keeps the mailbox (`mailkeeper doctor` says \
             whether subscriptions can be read)",
            plain(product)
        ),
        Evidence::Audit(event) => {
            let by = event.by.as_ref().map_or_else(
                || "it does not say by whom".to_owned(),
                |actor| match actor.kind {
                    ActorKind::User => format!("by {}", plain(&actor.name)),
                    ActorKind::Application => format!("by the application {}", plain(&actor.name)),
                },
            );
            let taken: Vec<String> = event.removed.iter().map(|product| plain(product)).collect();
            let taken =
                if taken.is_empty() { String::new() } else { format!(", taking {} away", taken.join(", ")) };
            format!("the audit log: {} on {}, {by}{taken}", plain(&event.activity), event.at.human())
        }
        Evidence::Hold { service_instance } => {
            format!(
                "{} reports a provisioning error: a hold keeps the mailbox active",
                plain(service_instance)
            )
        }
    }
}

fn proof(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "the last repair was proved: the same mailbox answers",
        Verdict::Unverified => {
            "the last repair worked, as far as can be seen: nothing was recorded to compare with"
        }
        Verdict::NewEmptyMailbox => "DATA LOSS: after the last repair another, empty mailbox answers",
        Verdict::Stuck => "the last repair did not bring the mailbox back within a day",
    }
}

fn replaced(replaced: &Replaced) -> String {
    let Replaced { at, lost, by } = replaced;
    format!("mailbox {} was lost, noticed {}; {} is another one", plain(lost), at.human(), plain(by))
}

fn response(response: Response) -> &'static str {
    match response {
        Response::Act => "act",
        Response::Ask => "ask",
        Response::Report => "report",
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// Without signs that a terminal would obey or not show.
fn plain(text: &str) -> String {
    crate::policy::fault::visible(text)
}
