//! The commands that ask and print: status, explain, plan, apply, asks, approve, deny, hold, resume, history, backup.

use std::fmt::Write as _;

use crate::cli::{ApplyArgs, BackupArgs, Exit, Global, HistoryArgs, HoldArgs, OutputFormat, PlanArgs};
use crate::clock::{Clock as _, SystemClock};
use crate::control::{Answer, Answers, Question, Sent, Verification};
use crate::model::{Ask, OutcomeKind, Span, Timestamp};
use crate::policy::scalar;
use crate::report::status::{PassOutcome, TenantView};
use crate::report::table::{self, Style};
use crate::report::words;

use crate::store::journal::Line;

use super::session;

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
    ask(global, Question::Apply { digest: arguments.digest }).await
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
    let answers = match session::ask(global, Question::Backup).await {
        Ok(answers) => answers,
        Err(exit) => return exit,
    };
    let [(tenant, Answer::Backup { text })] = answers.as_slice() else {
        eprintln!("mailkeeper: a backup file holds one tenant: name it with --tenant");
        return Exit::Usage;
    };
    // Beside the target first, so that an older backup is never half overwritten.
    let partial = arguments.file.with_extension("partial");
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, &arguments.file));
    match written {
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

fn views(answers: &Answers) -> impl Iterator<Item = &TenantView> {
    answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Status { view } | Answer::Pass { view, .. } => Some(&**view),
        Answer::Explanation { .. }
        | Answer::Asks { .. }
        | Answer::History { .. }
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
        Answer::Status { view } => table::status(view, now(), Style::of_stdout()),
        Answer::Explanation { explanation } => explanation.to_text(),
        Answer::Pass { view, sent, refused } => pass(view, sent, refused.as_deref()),
        Answer::Asks { asks } => asks_text(asks),
        Answer::History { lines } => history_text(lines),
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
    let mut text = table::plan(&view.plan, now(), Style::of_stdout());
    if let Some(observation) = view.last_observation.as_ref().filter(|observation| !observation.is_complete())
    {
        for problem in &observation.problems {
            let _ = writeln!(text, "problem   {}: {}", problem.kind.label(), problem.detail);
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

fn asks_text(asks: &[Ask]) -> String {
    table::asks(asks, now(), Style::of_stdout()).unwrap_or_else(|| "nothing waits for a person\n".to_owned())
}

fn history_text(lines: &[Line]) -> String {
    let mut text = String::new();
    // Newest last, as in a log.
    for line in lines.iter().rev() {
        let entry = serde_json::to_value(&line.entry).expect("an entry is plain data");
        let event = entry.get("event").and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
        let fields = entry
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| *name != "event" && !value.is_null());
        let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
        let _ = writeln!(text, "{:>6}  {}  {event:<20} {}", line.seq, line.at, fields.join(" "));
    }
    text
}

fn verification_text(verification: &Verification) -> String {
    let Verification { entries, head, first_bad } = verification;
    match first_bad {
        None => format!("the journal is whole: {entries} entries, head {head}\n"),
        Some(bad) => format!("the journal is BROKEN after {entries} good entries: {bad}\n"),
    }
}

/// The rows of an answer: what a listing lists, else the answer itself.
fn objects(answer: &Answer) -> Vec<serde_json::Value> {
    fn rows<T: serde::Serialize>(items: &[T]) -> Vec<serde_json::Value> {
        items.iter().map(|item| serde_json::to_value(item).expect("documents are plain data")).collect()
    }
    match answer {
        Answer::Status { view } => rows(&table::status_rows(view, now())),
        Answer::Explanation { explanation } => rows(std::slice::from_ref(&**explanation)),
        Answer::Pass { view, sent, .. } if sent.is_empty() => rows(&table::plan_rows(&view.plan)),
        Answer::Pass { sent, .. } => rows(sent),
        Answer::Asks { asks } => rows(asks),
        Answer::History { lines } => rows(lines),
        Answer::Verification { verification } => rows(std::slice::from_ref(verification)),
        Answer::Backup { .. } => Vec::new(),
        Answer::Said { message } => vec![serde_json::json!({ "message": message })],
    }
}

fn exit(answer: &Answer) -> Exit {
    match answer {
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
        Answer::Verification { verification } if verification.first_bad.is_some() => Exit::Failed,
        Answer::Status { .. }
        | Answer::Explanation { .. }
        | Answer::Asks { .. }
        | Answer::History { .. }
        | Answer::Verification { .. }
        | Answer::Backup { .. }
        | Answer::Said { .. } => Exit::Done,
    }
}
