//! The commands that ask and print: status, explain, plan, apply, asks, approve, deny, hold, resume, history, report,
//! backup.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use crate::cli::{
    ApplyArgs, BackupArgs, Exit, Global, HistoryArgs, HoldArgs, OutputFormat, PlanArgs, ReportArgs,
};
use crate::clock::{Clock as _, SystemClock};
use crate::control::{Answer, Answers, Names, Question, Sent, Verification, chronicle};
use crate::model::{Ask, OutcomeKind, Problem, Span, Timestamp};
use crate::plan::explain::Explanation;
use crate::policy::scalar;
use crate::report::doubts;
use crate::report::examination::Level;
use crate::report::questions;
use crate::report::status::{PassOutcome, TenantView};
use crate::report::table::{self, Style};
use crate::report::words;
use crate::store::backup;
use crate::store::journal::Line;

use super::{private, session};

/// Asks and prints the answers.
pub async fn ask(global: &Global, question: Question) -> Exit {
    match session::ask(global, question).await {
        Ok(answers) => print(global.output, &answers),
        Err(exit) => exit,
    }
}

/// `mailkeeper plan`
pub async fn plan(global: &Global, arguments: &PlanArgs) -> Exit {
    let answers = match session::ask(global, Question::Plan).await {
        Ok(answers) => answers,
        Err(exit) => return exit,
    };
    let printed = print(global.output, &answers);
    let has_steps = views(&answers).any(|view| !view.plan.steps.is_empty());
    match has_steps && arguments.detailed_exitcode && printed == Exit::Done {
        true => Exit::Steps,
        false => printed,
    }
}

/// `mailkeeper apply`
pub async fn apply(global: &Global, arguments: ApplyArgs) -> Exit {
    if let Some(digest) = &arguments.digest
        && !is_digest(digest)
    {
        eprintln!(
            "mailkeeper: {digest:?} is no digest of a plan: `mailkeeper plan` ends with it, 12 hex digits or more"
        );
        return Exit::Usage;
    }
    ask(global, Question::Apply { digest: arguments.digest }).await
}

/// The beginning of a SHA-256 in hex.
fn is_digest(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `mailkeeper approve` and `deny`
pub async fn answer(global: &Global, ask_id: String, granted: bool) -> Exit {
    ask(global, Question::Answer { ask: ask_id, granted }).await
}

/// `mailkeeper hold`
pub async fn hold(global: &Global, arguments: &HoldArgs) -> Exit {
    let duration: Option<Span> = match arguments.duration.as_deref().map(scalar::duration) {
        None => None,
        Some(Ok(span)) => Some(span),
        Some(Err(_)) => {
            eprintln!("mailkeeper: --for takes a time such as 30m, 4h or 2d");
            return Exit::Usage;
        }
    };
    ask(global, Question::Hold { duration, reason: arguments.reason.clone() }).await
}

/// `mailkeeper report`
pub async fn report(global: &Global, arguments: &ReportArgs) -> Exit {
    match scalar::duration(&arguments.since) {
        Ok(since) => ask(global, Question::Report { since }).await,
        Err(_) => {
            eprintln!("mailkeeper: --since takes a time such as 24h or 30d");
            Exit::Usage
        }
    }
}

/// `mailkeeper history`
pub async fn history(global: &Global, arguments: HistoryArgs) -> Exit {
    let question = match arguments.verify {
        true => Question::Verify,
        false => Question::History { user: arguments.user, limit: arguments.limit },
    };
    ask(global, question).await
}

/// `mailkeeper backup`
pub async fn backup(global: &Global, arguments: &BackupArgs) -> Exit {
    // Asked first: nobody waits for a large state only to be refused.
    if let Err(text) = replaceable(&arguments.file) {
        eprintln!("mailkeeper: {text}");
        return Exit::Failed;
    }
    let answers = match session::ask(global, Question::Backup).await {
        Ok(answers) => answers,
        Err(exit) => return exit,
    };
    let [(tenant, Answer::Backup { text })] = answers.as_slice() else {
        eprintln!("mailkeeper: a backup file holds one tenant: name it with --tenant");
        return Exit::Usage;
    };
    match private::write(&arguments.file, text.as_bytes()) {
        Ok(()) => {
            eprintln!("wrote the state of {tenant} to {}", arguments.file.display());
            Exit::Done
        }
        Err(error) => {
            eprintln!("mailkeeper: {} cannot be written: {error}", arguments.file.display());
            Exit::Failed
        }
    }
}

/// An older backup may be replaced, and nothing else.
fn replaceable(path: &Path) -> Result<(), String> {
    let place = path.display();
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{place} is there and cannot be read: {error}")),
        Ok(file) => match backup::header(&mut BufReader::new(file)) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "{place} is there and is no backup of mailkeeper, so it is not replaced: name another file"
            )),
        },
    }
}

fn views(answers: &Answers) -> impl Iterator<Item = &TenantView> {
    answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Status { view } | Answer::Pass { view, .. } => Some(&**view),
        Answer::Explanation { .. }
        | Answer::Asks { .. }
        | Answer::History { .. }
        | Answer::Examination { .. }
        | Answer::Report { .. }
        | Answer::Verification { .. }
        | Answer::Backup { .. }
        | Answer::Said { .. } => None,
    })
}

fn print(format: OutputFormat, answers: &Answers) -> Exit {
    match format {
        OutputFormat::Table => answers.iter().for_each(|(tenant, answer)| {
            if answers.len() > 1 {
                println!("== {tenant}");
            }
            print!("{}", text(answer));
        }),
        OutputFormat::Json | OutputFormat::Ndjson => print_objects(format, answers),
    }
    let exits = answers.iter().map(|(_, answer)| exit(answer));
    exits.fold(Exit::Done, |worst, exit| if worst == Exit::Done { exit } else { worst })
}

fn text(answer: &Answer) -> String {
    match answer {
        Answer::Status { view } => status(view),
        Answer::Explanation { explanation } => explanation.to_text(),
        Answer::Pass { view, sent, refused } => pass(view, sent, refused.as_deref()),
        Answer::Asks { asks, denied, names, acts_unanswered } => {
            questions::text(asks, denied, names, *acts_unanswered, now())
        }
        // Newest last, as in a log.
        Answer::History { lines, names } => chronicle::text(lines.iter().rev(), names),
        Answer::Examination { examination } => examination.to_text(),
        Answer::Report { summary } => summary.to_text(),
        Answer::Verification { verification } => verification_text(verification),
        Answer::Backup { text } => text.clone(),
        Answer::Said { message } => format!("{message}\n"),
    }
}

fn print_objects(format: OutputFormat, answers: &Answers) {
    let objects: Vec<serde_json::Value> = answers.iter().flat_map(|(_, answer)| objects(answer)).collect();
    match format {
        OutputFormat::Ndjson => objects.iter().for_each(|object| println!("{object}")),
        OutputFormat::Json | OutputFormat::Table => {
            println!("{}", serde_json::to_string_pretty(&objects).expect("documents are plain data"));
        }
    }
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// The plan, and below it what was sent of it.
fn pass(view: &TenantView, sent: &[Sent], refused: Option<&str>) -> String {
    let hold = table::on_hold(view, now()).map(|hold| format!("{hold}\n\n")).unwrap_or_default();
    let mut text = hold;
    let rejected = view.last_observation.as_ref().filter(|observation| !observation.is_complete());
    if rejected.is_some() {
        text.push_str("THE TENANT COULD NOT BE OBSERVED: nothing follows from this pass.\n\n");
    }
    text.push_str(&table::plan(&view.plan, now(), Style::of_stdout()));
    if view.plan.steps.is_empty() && rejected.is_none() {
        let kept = words::how_many(view.kept, "mailbox", "mailboxes");
        let stands = match view.at_risk.len() as u64 {
            0 => doubts::at_ease(view),
            count => format!("{} at risk: mailkeeper status", words::count_of(count)),
        };
        let _ = writeln!(text, "looked at {kept} that the policy keeps. {stands}");
    }
    if let Some(undecided) = doubts::undecided(view) {
        let _ = writeln!(text, "note      {undecided}");
    }
    if let Some(observation) = rejected {
        for problem in Problem::told(&observation.problems) {
            let _ = writeln!(text, "problem   {}", words::problem(problem));
        }
    }
    if let Some(failed) = &view.policy.failed {
        let _ = write!(text, "the policy cannot be loaded, nothing is started until it can:\n{failed}");
    }
    if !sent.is_empty() {
        let _ = writeln!(text, "\nsent");
    }
    for sent in sent {
        let what = words::action(&sent.action);
        let _ = writeln!(
            text,
            "  {}  {what}: {}. {}",
            sent.upn,
            sent.outcome.label().replace('_', " "),
            sent.detail
        );
    }
    if let Some(reason) = refused {
        let _ = writeln!(text, "\nnothing was sent: {reason}");
    }
    text
}

/// The table, and where to read on.
fn status(view: &TenantView) -> String {
    let mut text = table::status(view, now(), Style::of_stdout());
    if let Some(row) = view.most_urgent(now()).first() {
        let _ = writeln!(text, "\nwhy: mailkeeper explain {}", words::one_line(&row.upn));
    }
    if !view.asks.is_empty() {
        let waiting = words::how_many(view.asks.len() as u64, "question waits", "questions wait");
        let _ = writeln!(text, "{waiting} for a person: mailkeeper asks");
    }
    text
}

/// A line of the journal for machines, with the name and the sentence that people see.
fn history_row(line: &Line, names: &Names) -> serde_json::Value {
    let mut row = serde_json::to_value(line).expect("a line is plain data");
    row["hash"] = serde_json::json!(line.hash);
    if let Some(user) = line.entry.user() {
        row["id"] = serde_json::json!(user);
        row["upn"] = serde_json::json!(chronicle::subject(&line.entry, names));
    }
    row["text"] = serde_json::json!(chronicle::what(line));
    row
}

/// The words of the state are written like those of every other document.
fn explanation_row(explanation: &Explanation) -> serde_json::Value {
    let mut row = serde_json::to_value(explanation).expect("documents are plain data");
    for field in ["presence", "entitlement"] {
        let value = row["observed"][field].take();
        row["observed"][field] = snake_case(value);
    }
    if !row["same_address"].is_null() {
        let value = row["same_address"]["presence"].take();
        row["same_address"]["presence"] = snake_case(value);
    }
    row
}

/// `"Live"` becomes `"live"`, `{"PlanDisabled": ..}` becomes `{"plan_disabled": ..}`.
fn snake_case(value: serde_json::Value) -> serde_json::Value {
    let snake = |name: &str| {
        let mut text = String::new();
        for (index, sign) in name.char_indices() {
            if sign.is_ascii_uppercase() && index > 0 {
                text.push('_');
            }
            text.push(sign.to_ascii_lowercase());
        }
        text
    };
    match value {
        serde_json::Value::String(name) => snake(&name).into(),
        serde_json::Value::Object(fields) => fields
            .into_iter()
            .map(|(name, inner)| (snake(&name), inner))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

/// A question for machines: each user has an id and a name.
fn ask_row(ask: &Ask, names: &Names) -> serde_json::Value {
    let mut row = serde_json::to_value(ask).expect("documents are plain data");
    let users = ask.users.iter().map(|user| serde_json::json!({ "id": user, "upn": names.get(user) }));
    row["users"] = users.collect();
    row
}

fn verification_text(verification: &Verification) -> String {
    let Verification { entries, head, first_bad, missing } = verification;
    match (first_bad, missing) {
        (None, None) => format!("the journal is whole: {entries} entries, head {head}\n"),
        (None, Some(missing)) => {
            format!(
                "the chain of {entries} entries is whole, head {head}; BUT ENTRIES ARE MISSING: {missing}\n"
            )
        }
        (Some(bad), _) => format!("the journal is BROKEN after {entries} good entries: {bad}\n"),
    }
}

/// The rows of an answer: what a listing lists, else the answer itself.
fn objects(answer: &Answer) -> Vec<serde_json::Value> {
    fn rows<T: serde::Serialize>(items: &[T]) -> Vec<serde_json::Value> {
        items.iter().map(|item| serde_json::to_value(item).expect("documents are plain data")).collect()
    }
    match answer {
        Answer::Status { view } => rows(&table::status_rows(view, now())),
        Answer::Explanation { explanation } => vec![explanation_row(explanation)],
        Answer::Pass { view, sent, .. } if sent.is_empty() => rows(&table::plan_rows(&view.plan)),
        Answer::Pass { sent, .. } => rows(sent),
        Answer::Asks { asks, names, .. } => asks.iter().map(|ask| ask_row(ask, names)).collect(),
        Answer::History { lines, names } => lines.iter().rev().map(|line| history_row(line, names)).collect(),
        Answer::Examination { examination } => rows(&examination.findings),
        Answer::Report { summary } => rows(std::slice::from_ref(&**summary)),
        Answer::Verification { verification } => rows(std::slice::from_ref(verification)),
        Answer::Backup { .. } => Vec::new(),
        Answer::Said { message } => vec![serde_json::json!({ "message": message })],
    }
}

fn exit(answer: &Answer) -> Exit {
    match answer {
        // A policy that cannot be read is wrong configuration, whatever a last good one let the pass do.
        Answer::Pass { view, .. } if view.policy.failed.is_some() => Exit::Usage,
        Answer::Pass { view, sent, refused } => {
            let is_observed = view.last_pass.as_ref().is_some_and(|pass| pass.outcome == PassOutcome::Done);
            let is_sent = sent.iter().all(|sent| match sent.outcome {
                OutcomeKind::Accepted
                | OutcomeKind::AlreadyDone
                | OutcomeKind::Deferred
                | OutcomeKind::NoSeat => true,
                OutcomeKind::Uncertain | OutcomeKind::Refused | OutcomeKind::NotSent => false,
            });
            let is_refused = refused.is_some();
            if is_observed && is_sent && !is_refused { Exit::Done } else { Exit::Failed }
        }
        Answer::Verification { verification }
            if verification.first_bad.is_some() || verification.missing.is_some() =>
        {
            Exit::Failed
        }
        Answer::Examination { examination } if examination.worst() == Level::Error => Exit::Failed,
        Answer::Status { .. }
        | Answer::Explanation { .. }
        | Answer::Asks { .. }
        | Answer::History { .. }
        | Answer::Examination { .. }
        | Answer::Report { .. }
        | Answer::Verification { .. }
        | Answer::Backup { .. }
        | Answer::Said { .. } => Exit::Done,
    }
}
