//! The journal as sentences, for people who have never seen the tool: when, which mailbox, what happened, why, by
//! whom. One line an entry. Reads entries; knows neither files nor the chain.

use crate::model::{OutcomeKind, Problem, Timestamp, UserId, Verdict, between};
use crate::plan::explain::{because, trouble};
use crate::report::words;
use crate::store::journal::{Entry, Line, Recorded};

use super::Names;

/// The widest column of mailboxes; longer names push their own line only.
const WIDEST_SUBJECT: usize = 36;

/// The lines as text in the order given, one line each.
pub fn text<'l>(lines: impl IntoIterator<Item = &'l Line>, names: &Names) -> String {
    let rows: Vec<(Timestamp, String, String)> =
        lines.into_iter().map(|line| (line.at, subject(&line.entry, names), what(line))).collect();
    let widest = rows.iter().map(|(_, subject, _)| subject.chars().count()).max().unwrap_or_default();
    let width = widest.min(WIDEST_SUBJECT);
    rows.iter().map(|(at, subject, what)| format!("{}  {subject:width$}  {what}\n", at.human())).collect()
}

/// Whom the entry is about: a mailbox, or mailkeeper itself.
pub fn subject(entry: &Recorded, names: &Names) -> String {
    let own = match entry.known() {
        Some(Entry::Intent { upn, .. } | Entry::ClockStarted { upn, .. } | Entry::Lost { upn, .. }) => {
            Some(upn.as_str())
        }
        Some(_) | None => None,
    };
    let named = entry
        .user()
        .or_else(|| sole(entry))
        .map(|user| names.get(&user).cloned().unwrap_or_else(|| user.to_string()));
    own.map(words::one_line).or(named).unwrap_or_else(|| "mailkeeper".to_owned())
}

/// The only one whom a question or an answer is about.
pub fn sole(entry: &Recorded) -> Option<UserId> {
    let users = entry.known()?.asked_about()?;
    users.first().copied().filter(|_| users.len() == 1)
}

/// What happened, why, and by whom; one sentence without the mailbox.
pub fn what(line: &Line) -> String {
    match &line.entry {
        Recorded::Known(entry) => words::one_line(&sentence(entry, line.at)),
        Recorded::Unknown(value) => {
            let event = value.get("event").and_then(serde_json::Value::as_str).unwrap_or("something");
            format!("{}, recorded by a newer version", words::plain(&words::one_line(event)))
        }
    }
}

fn sentence(entry: &Entry, at: Timestamp) -> String {
    match entry {
        Entry::Intent { action, drift, rule, .. } => {
            format!(
                "asks Microsoft to {}, because {} (rule \"{rule}\")",
                words::action(action),
                trouble(*drift)
            )
        }
        Entry::Outcome { kind, detail, .. } => outcome(*kind, detail),
        Entry::Verdict { verdict, detail, .. } => {
            format!("{}{}", judged(*verdict), in_brackets(detail))
        }
        Entry::ClockStarted { kind, earliest, latest, deadline, cause, .. } => {
            format!(
                "noticed: {}{}{}; {}",
                trouble(*kind),
                cause.and_then(because).map(in_brackets).unwrap_or_default(),
                interval(*earliest, *latest),
                ends(*deadline, at)
            )
        }
        Entry::ClockStopped { reason, .. } => stopped(reason),
        Entry::MailboxRecorded { primary_id, .. } => {
            format!("healthy mailbox recorded as {primary_id}; a recovery is compared with it")
        }
        Entry::MailboxesRecorded { mailboxes } => identities(mailboxes.len() as u64),
        Entry::Lost { warned: true, .. } => {
            "LOST: Microsoft's limit has passed. It had been reported before".to_owned()
        }
        Entry::Lost { warned: false, .. } => {
            "LOST: Microsoft's limit has passed. It had never been reported before".to_owned()
        }
        Entry::Held { by, reason, until } => held(by, reason.as_deref(), *until),
        Entry::Resumed { by } => format!("resumed by {by}: acts again"),
        Entry::Asked { ask, question, mailboxes, .. } => {
            let count = words::how_many(*mailboxes, "mailbox", "mailboxes");
            format!("asks a person (question {ask}, {count}): {question}")
        }
        Entry::Approved { ask, by, digest, .. } => {
            format!("question {ask} approved by {by}, who saw plan {}", short(digest))
        }
        Entry::ApprovalRefused { ask, by, reason } => {
            format!("question {ask} was not approved, {by} may not: {reason}")
        }
        Entry::Denied { ask, by, digest, .. } => denied(ask, by, digest),
        Entry::PolicyLoaded { digest, revision } => {
            let commit = revision.as_deref().map(|commit| format!(", commit {}", short(commit)));
            format!("policy {} in force{}", short(digest), commit.unwrap_or_default())
        }
        Entry::ObservationRejected { problems } => {
            let details: Vec<&str> = Problem::told(problems).map(|problem| problem.detail.as_str()).collect();
            format!("did not believe what it saw, so nothing was done: {}", details.join("; "))
        }
        Entry::SeatsMissing { part_number, missing: 0 } => format!("enough seats of {part_number} again"),
        Entry::SeatsMissing { part_number, missing } => {
            let seats = words::how_many(u64::from(*missing), "seat", "seats");
            format!("{seats} of {part_number} missing for the repairs that wait")
        }
        Entry::Restored { backup, made_at } => {
            format!("the state was lost and read back from the backup {backup} of {}", made_at.human())
        }
        Entry::Recalled { mailboxes, clocks, ledgers, .. } => recalled(*mailboxes, *clocks, *ledgers),
        Entry::Started { version } => format!("mailkeeper {version} started"),
        Entry::Stopped => "mailkeeper stopped".to_owned(),
    }
}

fn denied(ask: &str, by: &str, digest: &str) -> String {
    format!(
        "question {ask} denied by {by}, who saw plan {}; while the trouble stands `mailkeeper approve {ask}` takes that \
         back",
        short(digest)
    )
}

fn held(by: &str, reason: Option<&str>, until: Option<Timestamp>) -> String {
    let until = until.map_or_else(|| "resumed".to_owned(), Timestamp::human);
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("put on hold by {by} until {until}{reason}")
}

fn identities(count: u64) -> String {
    let count = words::how_many(count, "healthy mailbox", "healthy mailboxes");
    format!("identity of {count} recorded; a recovery is compared with it")
}

fn recalled(mailboxes: u64, clocks: u64, ledgers: u64) -> String {
    format!(
        "the state was behind the journal and was brought up to date from it: {}, {}, what was tried for {}",
        words::how_many(mailboxes, "mailbox identity", "mailbox identities"),
        words::how_many(clocks, "clock", "clocks"),
        words::how_many(ledgers, "user", "users"),
    )
}

/// Labels of the bookkeeping; a newer one is shown as it stands.
fn stopped(reason: &str) -> String {
    match reason {
        "repaired" => {
            "no longer at risk after mailkeeper's request; the proof of the mailbox follows".to_owned()
        }
        "left_alone" => "no longer watched: the policy does not keep it any more".to_owned(),
        "vanished" => "in neither list when the state was rebuilt".to_owned(),
        "healed_by_others" => "no longer at risk, without mailkeeper: somebody else repaired it".to_owned(),
        other => format!("no longer at risk: {}", words::plain(other)),
    }
}

fn outcome(kind: OutcomeKind, detail: &str) -> String {
    let what = match kind {
        OutcomeKind::Accepted => "Microsoft accepted the request; a later look must show that it worked",
        OutcomeKind::AlreadyDone => "Microsoft says that it is already so",
        OutcomeKind::Uncertain => "no clear answer: looks before it asks again",
        OutcomeKind::Deferred => "Microsoft put the request off, nothing was changed",
        OutcomeKind::NoSeat => "no seat was left at that moment, nothing was changed",
        OutcomeKind::Refused => "REFUSED by Microsoft, a person must look",
        OutcomeKind::NotSent => "not sent",
    };
    // Of a success the ids say nothing to people; `--output json` has them.
    match kind {
        OutcomeKind::Accepted | OutcomeKind::AlreadyDone => what.to_owned(),
        OutcomeKind::Uncertain
        | OutcomeKind::Deferred
        | OutcomeKind::NoSeat
        | OutcomeKind::Refused
        | OutcomeKind::NotSent => format!("{what}{}", in_brackets(detail)),
    }
}

/// What a later look said of a repair.
pub fn judged(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "KEPT: the mailbox is back, and it is the same one",
        Verdict::Unverified => "KEPT, as far as can be seen: the mailbox is back",
        Verdict::NewEmptyMailbox => "DATA LOSS: a new, empty mailbox is in the place of the old one",
        Verdict::Stuck => "NOT BACK: the mailbox does not answer a day after the repair",
    }
}

fn interval(earliest: Option<Timestamp>, latest: Timestamp) -> String {
    match earliest {
        Some(earliest) if earliest == latest => format!(", on {}", latest.human()),
        Some(earliest) => format!(", {}", between(earliest, latest)),
        None => String::new(),
    }
}

fn ends(deadline: Option<Timestamp>, now: Timestamp) -> String {
    match deadline {
        Some(deadline) if deadline > now => {
            format!("lost for good on {}, in {}", deadline.human(), deadline - now)
        }
        Some(deadline) => format!("the limit was {}, {} before", deadline.human(), now - deadline),
        None => "no deadline is known, or none runs".to_owned(),
    }
}

fn in_brackets(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

/// Enough of a digest or commit to tell it from others.
pub fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests;
