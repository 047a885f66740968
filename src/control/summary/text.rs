//! The summary as text: short sentences and figures, for people who do not run mailkeeper.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::control::chronicle::short;
use crate::model::{OutcomeKind, Span};
use crate::report::words;

use super::{Standing, Summary};

/// Reasons and rules listed; JSON has all.
const LISTED: usize = 8;

impl Summary {
    /// For people. The same summary gives the same text.
    pub fn to_text(&self) -> String {
        let mut text =
            format!("{}, {} to {}\n\n", words::one_line(&self.tenant), self.from.human(), self.to.human());
        self.write_mailboxes(&mut text);
        self.write_asks(&mut text);
        self.write_requests(&mut text);
        self.write_seats(&mut text);
        self.write_policy(&mut text);
        if let Some(now) = &self.now {
            write_standing(now, &mut text);
        }
        text
    }

    fn write_mailboxes(&self, text: &mut String) {
        let kept = &self.kept;
        line(
            text,
            "kept",
            &format!(
                "{}: {} proved to be the same mailbox, {} without proof",
                mailboxes(kept.verified + kept.unverified),
                words::count_of(kept.verified),
                words::count_of(kept.unverified)
            ),
        );
        if let (Some(least), Some(median)) = (kept.least_left, kept.median_left) {
            line(
                text,
                "",
                &format!("time left when kept: {} at the least, {} in the middle", left(least), left(median)),
            );
        }
        breakdown(text, "by cause", &kept.by_cause);
        breakdown(text, "by rule", &kept.by_rule);
        let lost = &self.lost;
        let total = lost.warned + lost.unwarned;
        let reported = match (total, lost.unwarned) {
            (0, _) => String::new(),
            (_, 0) => ", each reported before".to_owned(),
            (_, unwarned) => format!(", {} NEVER REPORTED BEFORE", words::count_of(unwarned)),
        };
        line(text, "lost", &format!("{}{reported}", mailboxes(total)));
        for mailbox in &lost.mailboxes {
            let warned = if mailbox.warned { "" } else { " (never reported before)" };
            line(text, "", &format!("{}  {}{warned}", mailbox.at.human(), words::one_line(&mailbox.upn)));
        }
        if self.new_empty_mailboxes > 0 {
            line(
                text,
                "data loss",
                &format!("{} came back new and empty", mailboxes(self.new_empty_mailboxes)),
            );
        }
        if self.stuck > 0 {
            line(text, "stuck", &format!("{} did not answer a day after the repair", mailboxes(self.stuck)));
        }
        line(
            text,
            "noticed",
            &format!(
                "{} came into danger; {} repaired by others",
                mailboxes(self.noticed),
                words::count_of(self.healed_by_others)
            ),
        );
    }

    fn write_asks(&self, text: &mut String) {
        let asks = &self.asks;
        line(
            text,
            "questions",
            &format!(
                "{} asked, {} approved, {} denied",
                words::count_of(asks.opened),
                words::count_of(asks.approved),
                words::count_of(asks.denied)
            ),
        );
        breakdown(text, "answered by", &asks.by);
    }

    fn write_requests(&self, text: &mut String) {
        let total: u64 = self.requests.values().sum();
        let kinds: Vec<String> = self
            .requests
            .iter()
            .map(|(kind, count)| format!("{} {}", words::count_of(*count), words::plain(kind.label())))
            .collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        line(text, "requests", &format!("{} to Microsoft{kinds}", words::count_of(total)));
        if self.requests.contains_key(&OutcomeKind::Refused) {
            for refused in self.refusals.iter().take(LISTED) {
                let detail = words::one_line(&refused.detail);
                line(text, "", &format!("{} refused: {detail}", words::count_of(refused.count)));
            }
        }
        if self.observations_rejected > 0 {
            let count = words::how_many(self.observations_rejected, "observation", "observations");
            line(text, "not believed", &format!("{count}, incomplete or odd: nothing followed"));
        }
    }

    fn write_seats(&self, text: &mut String) {
        let seats: Vec<String> = self
            .seats_missing
            .iter()
            .filter(|(_, missing)| **missing > 0)
            .map(|(product, missing)| {
                format!("{} of {}", words::count_of(u64::from(*missing)), words::one_line(product))
            })
            .collect();
        if !seats.is_empty() {
            line(text, "seats", &format!("missing at the most: {}", seats.join(", ")));
        }
    }

    fn write_policy(&self, text: &mut String) {
        line(text, "policy", &words::how_many(self.policies.len() as u64, "change", "changes"));
        let shown = self.policies.len().saturating_sub(LISTED);
        for change in &self.policies[shown..] {
            let commit = change.revision.as_deref().map(|commit| format!(", commit {}", short(commit)));
            let commit = commit.unwrap_or_else(|| ", not in git".to_owned());
            line(text, "", &format!("{}  {}{commit}", change.at.human(), short(&change.digest)));
        }
        for hold in &self.holds {
            let ended = hold
                .ended
                .map_or_else(|| "not resumed by hand".to_owned(), |at| format!("to {}", at.human()));
            let reason = hold.reason.as_deref().map(words::one_line).unwrap_or_default();
            line(
                text,
                "on hold",
                &format!("{} {ended}, by {}: {reason}", hold.from.human(), words::one_line(&hold.by)),
            );
        }
    }
}

fn write_standing(now: &Standing, text: &mut String) {
    line(
        text,
        "now",
        &format!(
            "{} kept, {} at risk, {} open (as of {})",
            mailboxes(now.kept),
            words::count_of(now.at_risk),
            words::how_many(now.asks_open, "question", "questions"),
            now.at.human()
        ),
    );
    let mut waiting: Vec<_> = now.waiting.iter().collect();
    waiting.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
    for (reason, count) in waiting.into_iter().take(LISTED) {
        line(text, "", &format!("{}: {}", words::how_many(*count, "waits", "wait"), reason.sentence()));
    }
    for need in &now.seats_missing {
        let by = need.by.map(|by| format!(", needed by {}", by.human())).unwrap_or_default();
        let seats = words::how_many(u64::from(need.missing), "seat", "seats");
        line(text, "", &format!("{seats} of {} to be bought{by}", words::one_line(&need.part_number)));
    }
}

fn mailboxes(count: u64) -> String {
    words::how_many(count, "mailbox", "mailboxes")
}

/// Hours are what people plan with; below two days they say more than days.
fn left(span: Span) -> String {
    if span.is_negative() { "after the limit".to_owned() } else { span.to_string() }
}

fn breakdown(text: &mut String, label: &str, counts: &BTreeMap<String, u64>) {
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let more = counts.len().saturating_sub(LISTED);
    // Rules and people are named as they are written; causes are labels of ours.
    let shown = |name: &str| if label == "by cause" { words::plain(name) } else { name.to_owned() };
    let mut parts: Vec<String> = counts
        .into_iter()
        .take(LISTED)
        .map(|(name, count)| format!("{} {}", shown(&words::one_line(name)), words::count_of(*count)))
        .collect();
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    if !parts.is_empty() {
        line(text, "", &format!("{label}: {}", parts.join(", ")));
    }
}

fn line(text: &mut String, label: &str, content: &str) {
    let _ = writeln!(text, "{label:14}{content}");
}
