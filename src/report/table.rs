//! Documents as text: tables for people, JSON for pipes. The only file that names comfy-table.
//!
//! Takes a document, the time and a style, and returns text. Prints nothing, reads neither terminal nor environment,
//! except in [`Style::of_stdout`]. Colour only repeats what the words say.

use std::ffi::OsStr;
use std::io::IsTerminal as _;

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};
use serde::Serialize;

use super::doubts::{self, Doubt};
use super::status::{RiskRow, TenantView, Urgency, waiting_by_reason};
use super::words;
use crate::model::{Action, Ask, DriftKind, Plan, Reason, SeatNeed, Step, Timestamp, UserId, Waiting};

/// Where no terminal says otherwise.
const DEFAULT_WIDTH: u16 = 80;

/// Narrower terminals scroll: with less, words break in the middle everywhere.
const LEAST_WIDTH: u16 = 60;

/// From here on `status` gives each fact a column of its own.
const WIDE: u16 = 110;

/// Users listed under one reason of a plan; `--output json` has them all.
const LISTED: usize = 20;

/// How text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// In columns.
    pub width: u16,
    pub has_colour: bool,
}

impl Style {
    /// For what stands on standard output: the terminal's width and colours, else 80 columns without.
    pub fn of_stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self::choose(Table::new().width(), is_terminal, std::env::var_os("NO_COLOR").as_deref())
    }

    /// `NO_COLOR` counts when it is set to anything but the empty string, as <https://no-color.org> asks.
    fn choose(terminal_width: Option<u16>, is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        let width = terminal_width.filter(|_| is_terminal).unwrap_or(DEFAULT_WIDTH).max(LEAST_WIDTH);
        Self { width, has_colour: is_terminal && no_color.is_none_or(OsStr::is_empty) }
    }
}

/// One row of `status` for machines.
#[derive(Debug, Serialize)]
pub struct StatusRow<'a> {
    pub tenant: &'a str,
    #[serde(flatten)]
    pub row: StatusKind<'a>,
}

/// What a row of `status` is about; `state` tells them apart.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StatusKind<'a> {
    Risk(&'a RiskRow),
    /// A doubt about the whole tenant (`blind`), or about an account that is not among those at risk (`unknown`,
    /// `left_alone`, `data_loss`).
    Doubt(Doubt<'a>),
}

/// One row of `plan` for machines: a step, or a drift that waits.
#[derive(Debug, Serialize)]
pub struct PlanRow<'a> {
    /// The user's.
    pub id: UserId,
    pub upn: &'a str,
    pub drift: DriftKind,
    pub rule: Option<&'a str>,
    pub deadline: Option<Timestamp>,
    pub act_by: Option<Timestamp>,
    #[serde(flatten)]
    pub decision: PlanDecision<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum PlanDecision<'a> {
    Step { step_id: &'a str, step: &'a Action, attempt: u32 },
    Waiting { reason: Reason, until: Option<Timestamp>, detail: Option<&'a str> },
}

/// The mailboxes at risk, the most urgent first, then what keeps the rest from being known.
pub fn status_rows(view: &TenantView, now: Timestamp) -> Vec<StatusRow<'_>> {
    let at_risk = view.most_urgent(now).into_iter().map(StatusKind::Risk);
    let doubts = doubts::rows(view).into_iter().map(StatusKind::Doubt);
    at_risk.chain(doubts).map(|row| StatusRow { tenant: &view.tenant, row }).collect()
}

/// Steps in the order in which they are sent, then what waits.
pub fn plan_rows(plan: &Plan) -> Vec<PlanRow<'_>> {
    plan.steps.iter().map(PlanRow::from).chain(plan.waiting.iter().map(PlanRow::from)).collect()
}

/// One array of objects, with a line break at the end.
///
/// # Errors
/// When a row is not JSON, which none of ours is.
pub fn json<T: Serialize>(rows: &[T]) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

/// One object a line.
///
/// # Errors
/// As [`json`].
pub fn ndjson<T: Serialize>(rows: &[T]) -> serde_json::Result<String> {
    rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect()
}

/// What is at risk, soonest first, below one line about the tenant.
pub fn status(view: &TenantView, now: Timestamp, style: Style) -> String {
    let rows = view.most_urgent(now);
    let body = if rows.is_empty() {
        wrapped(&doubts::at_ease(view), style.width) + "\n"
    } else {
        risks(&rows, now, style)
    };
    let mut doubts = doubts::sentences(view, now);
    doubts.extend(doubts::unproved(view));
    let doubts: String =
        doubts.iter().map(|sentence| format!("\n{}\n", wrapped(sentence, style.width))).collect();
    heading(view, now, style) + &body + &doubts
}

/// A fact a column where there is room, else two lines a mailbox.
fn risks(rows: &[&RiskRow], now: Timestamp, style: Style) -> String {
    let (header, whole): (&[&str], &[usize]) = if style.width >= WIDE {
        (&["TIME LEFT", "DEADLINE (UTC)", "MAILBOX", "WHY", "RULE", "WHAT HAPPENS NEXT"], &[0, 1, 2])
    } else {
        (&["TIME LEFT\nDEADLINE (UTC)", "MAILBOX\nWHY, RULE", "WHAT HAPPENS NEXT"], &[0, 1])
    };
    let mut table = table(header, style);
    for row in rows {
        table.add_row(risk(row, now, style));
    }
    keep_whole(&mut table, whole, style);
    lines(&table)
}

fn risk(row: &RiskRow, now: Timestamp, style: Style) -> Vec<Cell> {
    let [upn, rule] = [&row.upn, &row.rule].map(|text| words::one_line(text));
    let [cause, next] = [words::plain(row.cause.label()), words::next(&row.next, now)];
    let [left, deadline] = [row.time_left_text(now), row.deadline.map_or_else(|| "-".to_owned(), minute)];
    if style.width >= WIDE {
        let [deadline, upn, cause, rule, next] = [deadline, upn, cause, rule, next].map(Cell::new);
        vec![urgent(left, row.urgency(now)), deadline, upn, cause, rule, next]
    } else {
        let left = urgent(format!("{left}\n{deadline}"), row.urgency(now));
        vec![left, Cell::new(format!("{upn}\n{cause}, {rule}")), Cell::new(next)]
    }
}

fn heading(view: &TenantView, now: Timestamp, style: Style) -> String {
    let mode = if view.is_acting { "acting" } else { "observing only" };
    let seen =
        view.last_complete_observation.map_or_else(|| "never".to_owned(), |at| words::distance(at, now));
    let mut sentences = vec![format!(
        "{}: {} kept, {} at risk, observed {seen}, {mode}",
        words::one_line(&view.tenant),
        words::how_many(view.kept, "mailbox", "mailboxes"),
        words::count_of(view.at_risk.len() as u64),
    )];
    sentences.extend(on_hold(view, now));
    if let Some(failure) = &view.policy.failed {
        sentences.push(format!("THE NEWEST POLICY CANNOT BE LOADED: {}", words::policy_failure(failure)));
    }
    if !view.policy.waiting.is_empty() {
        let denied = view.plan.denied.iter().find(|ask| ask.reason == Reason::PolicyChange);
        let stands = match denied {
            Some(ask) => format!(
                "A CHANGED POLICY WAS DENIED, nothing is started until its files are put right or `mailkeeper approve {}`",
                words::one_line(&ask.id)
            ),
            None => "A CHANGED POLICY WAITS FOR APPROVAL".to_owned(),
        };
        sentences.push(format!("{stands}: {}", view.policy.waiting.join("; ")));
    }
    sentences.extend(view.settings_changed.as_ref().map(|changed| format!("CHANGED SETTINGS: {changed}")));
    let to_renew = view.subscriptions_to_renew();
    sentences.extend(to_renew.iter().map(|row| format!("RENEW {}", words::subscription(row, now))));
    let lines: String = sentences.iter().map(|sentence| wrapped(sentence, style.width) + "\n").collect();
    lines + "\n"
}

/// Who holds mailkeeper, since when, until when and why.
pub fn on_hold(view: &TenantView, now: Timestamp) -> Option<String> {
    let hold = view.hold.as_ref()?;
    let [by, reason] = [&hold.by, &hold.reason].map(|text| words::one_line(text));
    let until = hold.until.map_or_else(|| "somebody resumes".to_owned(), Timestamp::human);
    Some(format!("ON HOLD by {by}, {}, until {until}: {reason}", words::distance(hold.since, now)))
}

/// Steps, what waits by reason, seats that are missing, and asks.
pub fn plan(plan: &Plan, now: Timestamp, style: Style) -> String {
    let mut parts = vec![steps(plan, now, style)];
    parts.extend(waiting(plan, now, style));
    parts.extend(seats(&plan.seats, now, style));
    parts.extend(asks(&plan.asks, now, style));
    let digest: String = plan.digest.chars().take(12).collect();
    // Without a policy there is none.
    if !digest.is_empty() {
        let only = match plan.steps.is_empty() {
            true => String::new(),
            false => format!("\n`mailkeeper apply --digest {digest}` sends exactly this."),
        };
        parts.push(format!("Plan {digest}, made {}.{only}\n", plan.made_at.human()));
    }
    parts.join("\n")
}

fn steps(plan: &Plan, now: Timestamp, style: Style) -> String {
    if plan.steps.is_empty() {
        return "No steps.\n".to_owned();
    }
    let mut table = table(&["#", "TIME LEFT", "MAILBOX", "STEP", "RULE", "ATTEMPT"], style);
    for (index, step) in plan.steps.iter().enumerate() {
        table.add_row([
            Cell::new(index + 1).set_alignment(CellAlignment::Right),
            Cell::new(time_left(step.deadline, now)),
            Cell::new(words::one_line(&step.upn)),
            Cell::new(words::action(&step.action)),
            Cell::new(words::one_line(&step.rule)),
            Cell::new(step.attempt).set_alignment(CellAlignment::Right),
        ]);
    }
    keep_whole(&mut table, &[0, 1, 2], style);
    let count = words::how_many(plan.steps.len() as u64, "step", "steps");
    format!("{count}, in the order in which they are sent:\n\n{}", lines(&table))
}

/// One part a reason, those with the most mailboxes first.
fn waiting(plan: &Plan, now: Timestamp, style: Style) -> Vec<String> {
    let mut groups: Vec<(Reason, Vec<&Waiting>)> = waiting_by_reason(plan).into_iter().collect();
    groups.sort_by_key(|(reason, rows)| (std::cmp::Reverse(rows.len()), *reason));
    groups.into_iter().map(|(reason, rows)| waiting_group(reason, rows, now, style)).collect()
}

fn waiting_group(reason: Reason, mut rows: Vec<&Waiting>, now: Timestamp, style: Style) -> String {
    rows.sort_by_key(|row| (row.deadline.is_none(), row.deadline, row.upn.as_str()));
    let mut table = table(&["TIME LEFT", "MAILBOX", "RULE", "NOTE"], style);
    let notes: Vec<String> = rows.iter().map(|row| note(row, now)).collect();
    // What is the same for all is said once, above.
    let shared = notes.first().filter(|first| notes.len() > 1 && notes.iter().all(|note| note == *first));
    for (row, note) in rows.iter().zip(&notes).take(LISTED) {
        table.add_row([
            Cell::new(time_left(row.deadline, now)),
            Cell::new(words::one_line(&row.upn)),
            Cell::new(row.rule.as_deref().map_or_else(|| "-".to_owned(), words::one_line)),
            Cell::new(if shared.is_some() { "" } else { note }),
        ]);
    }
    keep_whole(&mut table, &[0, 1], style);
    let count = words::count_of(rows.len() as u64);
    let shared = shared.filter(|note| !note.is_empty()).map(|note| format!(" {note}.")).unwrap_or_default();
    let title = format!("{count} waiting, {}: {}.{shared}", words::plain(reason.label()), reason.sentence());
    let mut text = format!("{}\n\n{}", wrapped(&title, style.width), lines(&table));
    if rows.len() > LISTED {
        text += &format!("and {} more\n", words::count_of((rows.len() - LISTED) as u64));
    }
    text
}

/// What is particular about one case; mostly empty.
fn note(row: &Waiting, now: Timestamp) -> String {
    let due = row.until.map(|until| format!("due {}", words::distance(until, now)));
    let parts: Vec<String> = due.into_iter().chain(row.detail.as_deref().map(words::one_line)).collect();
    parts.join(", ")
}

fn seats(needs: &[SeatNeed], now: Timestamp, style: Style) -> Option<String> {
    let mut table = table(&["LICENCE", "MISSING", "NEEDED BY (UTC)", ""], style);
    for need in needs {
        table.add_row([
            Cell::new(words::one_line(&need.part_number)),
            Cell::new(need.missing).set_alignment(CellAlignment::Right),
            Cell::new(need.by.map_or_else(|| "-".to_owned(), minute)),
            Cell::new(need.by.map_or_else(String::new, |by| words::distance(by, now))),
        ]);
    }
    (!needs.is_empty()).then(|| format!("Seats that are missing:\n\n{}", lines(&table)))
}

/// The questions that wait for a person.
pub fn asks(asks: &[Ask], now: Timestamp, style: Style) -> Option<String> {
    let mut table = table(&["ID", "ASKED", "ACT BY", "MAILBOXES", "QUESTION"], style);
    for ask in asks {
        table.add_row([
            Cell::new(words::one_line(&ask.id)),
            Cell::new(words::distance(ask.opened, now)),
            Cell::new(ask.act_by.map_or_else(|| "-".to_owned(), |act_by| words::distance(act_by, now))),
            Cell::new(ask.users.len()).set_alignment(CellAlignment::Right),
            Cell::new(words::one_line(&ask.question)),
        ]);
    }
    keep_whole(&mut table, &[0, 1, 2], style);
    (!asks.is_empty()).then(|| format!("Waiting for a person:\n\n{}", lines(&table)))
}

impl<'a> From<&'a Step> for PlanRow<'a> {
    fn from(step: &'a Step) -> Self {
        Self {
            id: step.user,
            upn: &step.upn,
            drift: step.drift,
            rule: Some(&step.rule),
            deadline: step.deadline,
            act_by: step.act_by,
            decision: PlanDecision::Step { step_id: &step.id, step: &step.action, attempt: step.attempt },
        }
    }
}

impl<'a> From<&'a Waiting> for PlanRow<'a> {
    fn from(row: &'a Waiting) -> Self {
        let detail = row.detail.as_deref();
        Self {
            id: row.user,
            upn: &row.upn,
            drift: row.drift,
            rule: row.rule.as_deref(),
            deadline: row.deadline,
            act_by: row.act_by,
            decision: PlanDecision::Waiting { reason: row.reason, until: row.until, detail },
        }
    }
}

/// An empty table in our style: a line under the header and nothing else.
fn table(header: &[&str], style: Style) -> Table {
    let rule = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(rule))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.width)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    if style.has_colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// Keeps columns from wrapping, as long as one takes no more than 45 % of the width.
fn keep_whole(table: &mut Table, columns: &[usize], style: Style) {
    let natural = table.column_max_content_widths();
    for index in columns {
        if let (Some(column), Some(natural)) = (table.column_mut(*index), natural.get(*index)) {
            let width = (*natural).min(style.width * 9 / 20) + column.padding_width();
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
}

/// Without the blanks that the last column is filled with.
fn lines(table: &Table) -> String {
    table.trim_fmt() + "\n"
}

/// A sentence over as many lines as it needs; a word that is longer than a line stays whole.
fn wrapped(sentence: &str, width: u16) -> String {
    let mut text = String::new();
    let mut used = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > usize::from(width) {
            text.push('\n');
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text
}

fn urgent(text: String, urgency: Urgency) -> Cell {
    let cell = Cell::new(text);
    match urgency {
        Urgency::Critical => cell.fg(Color::Red),
        Urgency::Soon => cell.fg(Color::Yellow),
        Urgency::Passed => cell.fg(Color::DarkGrey),
        Urgency::Later | Urgency::Unknown | Urgency::Resting => cell,
    }
}

/// `2026-11-24 07:00`; the header says UTC.
fn minute(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d %H:%M").to_string()
}

fn time_left(deadline: Option<Timestamp>, now: Timestamp) -> String {
    match deadline {
        None => "unknown".to_owned(),
        Some(deadline) if deadline > now => (deadline - now).to_string(),
        Some(deadline) => words::distance(deadline, now),
    }
}

#[cfg(test)]
mod tests;
