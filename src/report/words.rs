//! How documents read to people: short phrases for tables and the status page. No layout, no markup, no colour.

use super::status::{EventKind, NextMove, RecentEvent, SubscriptionRow};
use crate::model::{
    Action, Backing, Observation, Problem, ProblemKind, Reason, RestoreOptions, Span, Timestamp, Verdict,
};

/// A label of ours as words: `license_removed` becomes `licence removed`, as we write it in prose.
pub fn plain(label: &str) -> String {
    let words = label.split('_').map(|word| match word {
        "license" => "licence",
        "licenses" => "licences",
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Text that others wrote, fit for one line: control characters and those that turn the reading direction become
/// `\u{FFFD}`.
pub fn one_line(text: &str) -> String {
    let is_hidden = |char: char| {
        char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|char| if is_hidden(char) { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// What is wrong with an observation, the blocking problems first, in one line.
pub fn problems(observation: &Observation) -> String {
    const NAMED: usize = 2;
    let blocking: Vec<&Problem> =
        Problem::told(&observation.problems).filter(|problem| problem.kind.is_blocking()).collect();
    let mut named: Vec<String> = blocking.iter().take(NAMED).map(|found| problem(found)).collect();
    if blocking.len() > NAMED {
        named.push(format!("and {} more", blocking.len() - NAMED));
    }
    named.join("; ")
}

/// One problem as a clause. The detail names what was asked for.
pub fn problem(problem: &Problem) -> String {
    let what = match problem.kind {
        ProblemKind::SignIn => "sign-in failed",
        ProblemKind::Refused => "Microsoft refuses",
        ProblemKind::Unanswered => "no usable answer",
        ProblemKind::Malformed => "an answer that is not understood",
        ProblemKind::HostileLink => "a link that was not followed",
        ProblemKind::Truncated => "a listing is not whole",
        ProblemKind::WrongTenant => "another tenant answers",
        ProblemKind::GroupMissing => "a group of the policy is missing",
        ProblemKind::MassDisappearance => "many users are gone at once",
        ProblemKind::SeatsJumped => "the number of seats jumped",
        ProblemKind::ClockSkew => "the clocks differ",
        ProblemKind::MailboxUnreadable => "a mailbox could not be read",
        ProblemKind::UserUnreadable => "not understood",
    };
    format!("{what}: {}", one_line(&problem.detail))
}

/// The rendered faults of a policy in one line: the place and the sentence of the first, how many more there are, and
/// where to see them all.
pub fn policy_failure(rendered: &str) -> String {
    let heads: Vec<(&str, &str)> = rendered
        .lines()
        .zip(rendered.lines().skip(1).chain([""]))
        .filter_map(|(line, next)| Some((line.strip_prefix("error: ")?, next)))
        .collect();
    let Some((message, place)) = heads.first() else {
        return one_line(rendered.lines().next().unwrap_or_default());
    };
    let place = place.trim_start().strip_prefix("--> ").map(|place| format!("{place}: ")).unwrap_or_default();
    let more = if heads.len() > 1 { format!(", and {} more", heads.len() - 1) } else { String::new() };
    format!("{}{}{more}; see: mailkeeper check", one_line(&place), one_line(message))
}

/// `4,127`.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// [`count`] of an unsigned number.
pub fn count_of(number: u64) -> String {
    count(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `1 mailbox`, `4,127 mailboxes`; `plural` is the whole word.
pub fn how_many(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count_of(number), if number == 1 { singular } else { plural })
}

/// `3.2 MB`, in units of a million bytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1_000_000.0)
}

/// `4m ago`, `in 2h`, `now`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let span = at - now;
    let absolute = Span::from_millis(span.as_millis().saturating_abs());
    if absolute < Span::from_secs(1) {
        "now".to_owned()
    } else if span.is_negative() {
        format!("{absolute} ago")
    } else {
        format!("in {absolute}")
    }
}

/// What a request does, in the imperative.
pub fn action(action: &Action) -> String {
    match action {
        Action::AssignLicense { part_number, takes_seat: true, .. } => {
            format!("assign {}", one_line(part_number))
        }
        Action::AssignLicense { part_number, takes_seat: false, .. } => {
            format!("switch Exchange on in {}", one_line(part_number))
        }
        Action::AddToGroup { group } => format!("add to group {group}"),
        Action::ReprocessLicenses { part_number, .. } => {
            format!("let the group try {} again", one_line(part_number))
        }
        Action::SetUsageLocation { location } => format!("set usage location {}", one_line(location)),
        Action::Restore(RestoreOptions { new_upn: Some(name), .. }) => {
            format!("restore the account as {}", one_line(name))
        }
        Action::Restore(RestoreOptions { new_upn: None, drops_taken_addresses: true }) => {
            "restore the account, less taken addresses".to_owned()
        }
        Action::Restore(_) => "restore the account".to_owned(),
    }
}

/// What happens next, in a few words.
pub fn next(next: &NextMove, now: Timestamp) -> String {
    match next {
        NextMove::Step { action: step, is_sent: true } => format!("{}: sent, to be verified", action(step)),
        NextMove::Step { action: step, is_sent: false } => action(step),
        NextMove::Waiting { reason, until: Some(until), .. } if *until > now => {
            format!("{}, due {}", waiting(*reason), distance(*until, now))
        }
        NextMove::Waiting { reason: Reason::Gone, detail: Some(detail), .. } => {
            format!("{}: {}", waiting(Reason::Gone), one_line(detail))
        }
        NextMove::Waiting { reason, .. } => waiting(*reason).to_owned(),
        NextMove::Approved { .. } => "approved: the next pass acts".to_owned(),
    }
}

/// `SPE_E3: 40 kept mailboxes rest on a subscription in its grace period, ..`: who is concerned, and by when.
pub fn subscription(row: &SubscriptionRow, now: Timestamp) -> String {
    let outlook = row.outlook;
    let (what, then) = match outlook.backing {
        Backing::Enabled => ("a subscription", "next stage"),
        Backing::Trial => ("a trial", "it ends"),
        Backing::Warning => ("an expired subscription in its grace period (Warning)", "suspended"),
        Backing::Suspended => ("a suspended subscription", "deleted or locked out"),
        Backing::LockedOut => ("a locked-out subscription", "deleted"),
        Backing::Deleted => ("a deleted subscription", "deleted"),
        Backing::Unknown => ("a subscription in an unknown state", "next stage"),
    };
    let when = match outlook.next {
        Some(next) => format!("{then} {} ({})", next.human(), distance(next, now)),
        None => "on a day that is not known".to_owned(),
    };
    let kept = how_many(row.kept, "kept mailbox rests", "kept mailboxes rest");
    let is_or_will =
        if matches!(outlook.backing, Backing::Trial | Backing::Warning) { "lose" } else { "have lost" };
    let short = u64::try_from(outlook.short).unwrap_or_default();
    let seats = how_many(short, "seat", "seats");
    format!(
        "{}: {kept} on {what}, {when}; {seats} in use {is_or_will} their subscription",
        one_line(&row.part_number)
    )
}

/// A reason as what happens next: what it waits for, or who must move.
fn waiting(reason: Reason) -> &'static str {
    match reason {
        Reason::Offboarded => "nothing: off-boarded",
        Reason::Protected => "nothing: protected",
        Reason::NoRule => "nothing: no rule names it",
        Reason::Released => "nothing: no rule names it any more",
        Reason::Undetermined => "waits for facts that cannot be read",
        Reason::ReportOnly => "a person decides: report only",
        Reason::AccountDisabled => "nothing: account disabled",
        Reason::SyncedDeleted => "repair on premises",
        Reason::NeverHadMailbox => "nothing: never had a mailbox",
        Reason::Expired => "too late",
        Reason::DeadlineUnknown => "a person decides: deadline unknown",
        Reason::Gone => "a person, with Exchange PowerShell or a backup",
        Reason::OnHold => "nothing: a litigation or retention hold keeps it",
        Reason::SubscriptionLapsed => "renew the subscription",
        Reason::Duplicate => "a person decides: address exists twice",
        Reason::NoUsageLocation => "needs a usage location",
        Reason::KindChanged => "convert it back to shared",
        Reason::NoUsableSku => "needs a licence with a mailbox in its rule",
        Reason::GroupLicenseError => "repair the licensing group",
        Reason::GroupUnusable => "needs another licensing group",
        Reason::Confirming => "waits for a second observation",
        Reason::Settling => "settles",
        Reason::AwaitingEffect => "waits for the effect to show",
        Reason::BackingOff => "tries again",
        Reason::Refused => "a person acts: Graph refuses it",
        Reason::Flapping => "a person decides: undone by others",
        Reason::NoSeat => "waits for a seat",
        Reason::LimitPerPass => "waits for the next pass",
        Reason::LimitPerDay => "waits for the next day",
        Reason::MassEvent => "waits for approval: many at once",
        Reason::Ask => "waits for approval",
        Reason::Denied => "nothing: a person said no",
        Reason::ObserveMode => "nothing: observe mode",
        Reason::Held => "waits for mailkeeper to be resumed",
        Reason::ObservationRejected => "waits for a believable observation",
        Reason::PolicyFailed => "waits for a policy that loads",
        Reason::PolicyChange => "waits for approval of a changed policy",
        Reason::PolicyReloaded => "waits for the next pass: the policy was read anew",
        Reason::PolicyOld => "waits for approval of an old policy",
        Reason::Unsafe => "a person looks: the plan checker refuses it",
        Reason::StateUnhealthy => "waits for a writable state",
    }
}

/// Why, for a tooltip or a second line: the reason's sentence and what is particular about the case.
pub fn why(next: &NextMove) -> Option<String> {
    match next {
        NextMove::Step { .. } => None,
        NextMove::Approved { by, at } => Some(format!("approved by {} on {}", one_line(by), at.human())),
        NextMove::Waiting { reason, detail: None, .. } => Some(reason.sentence().to_owned()),
        NextMove::Waiting { reason, detail: Some(detail), .. } => {
            Some(format!("{}; {}", reason.sentence(), one_line(detail)))
        }
    }
}

/// What was done or found, without the mailbox.
pub fn event(event: &RecentEvent) -> String {
    match &event.what {
        EventKind::Acted { action: done, outcome } => format!("{}: {}", action(done), plain(outcome.label())),
        EventKind::Judged { verdict: Verdict::Verified } => {
            "recovered, and it is the same mailbox".to_owned()
        }
        EventKind::Judged { verdict: Verdict::Unverified } => {
            "recovered; nothing was recorded to compare it with".to_owned()
        }
        EventKind::Judged { verdict: Verdict::NewEmptyMailbox } => {
            "another, empty mailbox answers: data loss".to_owned()
        }
        EventKind::Judged { verdict: Verdict::Stuck } => "not reachable a day after the repair".to_owned(),
        EventKind::Lost { warned: true } => "passed the limit".to_owned(),
        EventKind::Lost { warned: false } => "passed the limit without having been reported".to_owned(),
        EventKind::HealedByOthers => "repaired by somebody else".to_owned(),
        EventKind::DriftSeen { drift } => format!("first seen {}", plain(drift.label())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{NOW, assign};

    #[test]
    fn numbers_and_distances_read_like_a_person_writes_them() {
        for (number, text) in [(0, "0"), (999, "999"), (4_127, "4,127"), (-1_234_567, "-1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(how_many(1, "mailbox", "mailboxes"), "1 mailbox");
        assert_eq!(distance(NOW - Span::from_minutes(4), NOW), "4m ago");
        assert_eq!(distance(NOW + Span::from_hours(26), NOW), "in 1d 2h");
        assert_eq!(distance(NOW, NOW), "now");
    }

    #[test]
    fn what_happens_next_is_short() {
        let waiting = |until| NextMove::Waiting { reason: Reason::Settling, until, detail: None };
        assert_eq!(next(&waiting(Some(NOW + Span::from_minutes(95))), NOW), "settles, due in 1h 35m");
        assert_eq!(next(&waiting(Some(NOW)), NOW), "settles");
        assert_eq!(
            next(&NextMove::Step { action: assign(), is_sent: true }, NOW),
            "assign SPE_E3: sent, to be verified"
        );
        assert_eq!(
            next(&NextMove::Step { action: Action::PLAIN_RESTORE, is_sent: false }, NOW),
            "restore the account"
        );
    }

    #[test]
    fn a_label_is_prose_and_a_bad_policy_is_one_line() {
        assert_eq!(plain("group_license_removed"), "group licence removed");
        assert_eq!(plain("never_licensed"), "never licensed");
        let rendered = "error: unknown key `nonsense`\n --> policy.yaml:4:14 at keep[0]\n  |\n4 | nonsense: 1\n\n\
                        error: `match` is missing\n --> policy.yaml:9:1\n";
        assert_eq!(
            policy_failure(rendered),
            "policy.yaml:4:14 at keep[0]: unknown key `nonsense`, and 1 more; see: mailkeeper check"
        );
        assert_eq!(policy_failure("gone\nbad"), "gone");
    }

    #[test]
    fn hidden_characters_are_shown() {
        assert_eq!(one_line("a\n\u{1b}[31m\u{202e}b"), "a\u{fffd}\u{fffd}[31m\u{fffd}b");
    }
}
