//! The live view as lines of text: what is at risk against its deadline, what was just done and why, what waits. Pure:
//! the same scene gives the same lines.

use std::collections::BTreeMap;

use crate::model::{MailboxState, Reason, Span, Timestamp, Verdict, Waiting};
use crate::report::status::{RiskRow, TenantView, Urgency};
use crate::report::words;

use super::lines::day;
use super::paint::{Line, Style, bar, cut};
use super::story::{Chronicle, How, Note, NoteKind, Story, short, why_alone};
use super::world::Weather;

/// Everything that one frame shows.
pub struct Scene<'a> {
    pub company: &'a str,
    pub users: usize,
    pub starts: Timestamp,
    pub ends: Timestamp,
    pub now: Timestamp,
    pub view: &'a TenantView,
    pub chronicle: &'a Chronicle,
    pub weather: &'a Weather,
    pub pages: &'a str,
}

/// Below this the lines are cut, not arranged anew.
const NARROWEST: usize = 60;

/// Columns beyond which longer lines only make reading harder.
const WIDEST: usize = 132;

/// Full width of a bar: the whole of Microsoft's limit.
const LIMIT: Span = Span::from_days(30);

/// How long a mailbox that is back stays on the board, in the company's time.
const LINGER: Span = Span::from_hours(60);

/// Lines of the frame that neither board nor notes use.
const FIXED: usize = 12;

/// The frame for a terminal of that size: at most `height` lines of at most `width` columns.
pub fn frame(scene: &Scene<'_>, width: usize, height: usize) -> Vec<Line> {
    let width = width.clamp(NARROWEST, WIDEST);
    let room = height.saturating_sub(FIXED);
    let board_rows = (room * 3 / 5).max(1);
    let note_rows = room.saturating_sub(board_rows).max(1);
    let mut lines = vec![title(scene, width), progress(scene, width), states(scene.view), Line::new()];
    lines.extend(board(scene, width, board_rows));
    lines.push(Line::new());
    lines.push(heading("just now", "", width));
    lines.extend(notes(scene, note_rows));
    lines.push(Line::new());
    lines.push(waits(scene.view));
    lines.push(left_alone(scene.view));
    lines.push(seats(scene.view));
    lines.push(weather(scene, width));
    lines.truncate(height);
    lines
}

fn title(scene: &Scene<'_>, width: usize) -> Line {
    let accounts = words::how_many(scene.users as u64, "account", "accounts");
    Line::new()
        .add(Style::Bold, "mailkeeper")
        .add(Style::Dim, format!("  {}, {accounts}, simulated", scene.company))
        .end_at(width, Style::Plain, &scene.now.to_datetime().format(" %a %e %b %Y  %H:%M").to_string())
}

fn progress(scene: &Scene<'_>, width: usize) -> Line {
    let days = day(scene.ends, scene.starts) - 1;
    let today = day(scene.now, scene.starts).min(days);
    let label = format!("day {today:>2} of {days}  ");
    let share = (scene.now - scene.starts).as_secs_f64() / (scene.ends - scene.starts).as_secs_f64();
    let columns = width.saturating_sub(label.len());
    // The cast cannot lose anything: clamped to the columns of a screen.
    let done = (share.clamp(0.0, 1.0) * columns as f64).round() as usize;
    Line::new()
        .add(Style::Plain, label)
        .add(Style::Accent, "━".repeat(done))
        .add(Style::Dim, "─".repeat(columns - done))
}

fn states(view: &TenantView) -> Line {
    let mut line = Line::new().add(Style::Plain, format!("{} kept", words::count_of(view.kept)));
    for state in MailboxState::ALL {
        let count = view.states.get(&state).copied().unwrap_or(0);
        let style = match state {
            MailboxState::Healthy => Style::Good,
            MailboxState::Settling => Style::Accent,
            MailboxState::Unlicensed
            | MailboxState::Deleted
            | MailboxState::UnlicensedAndDeleted
            | MailboxState::Unknown => Style::Soon,
            MailboxState::Expired => Style::Critical,
        };
        if count > 0 || state == MailboxState::Healthy {
            let text = format!("{} {}", words::count_of(count), words::plain(state.label()));
            line = line.add(Style::Dim, "  ·  ").add(style, text);
        }
    }
    line
}

fn heading(text: &str, end: &str, width: usize) -> Line {
    Line::new().add(Style::Accent, text.to_uppercase()).end_at(width, Style::Dim, end)
}

/// Columns of the board.
struct Columns {
    name: usize,
    bar: usize,
    left: usize,
    next: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        let (name, left) = (width / 4, 9);
        let bar = width / 4;
        // Three gaps of two columns and the mark.
        let next = width.saturating_sub(2 + name + bar + left + 4);
        Self { name, bar, left, next }
    }
}

fn board(scene: &Scene<'_>, width: usize, rows: usize) -> Vec<Line> {
    let columns = Columns::of(width);
    let at_risk = scene.view.most_urgent(scene.now);
    let back = scene.chronicle.ended_within(LINGER, scene.now);
    let count = words::how_many(at_risk.len() as u64, "mailbox", "mailboxes");
    let ends = format!("lost{}gone", "┄".repeat(columns.bar.saturating_sub(8)));
    let mut lines = vec![
        Line::new()
            .add(Style::Accent, "AT RISK  ")
            .cell(Style::Dim, &count, columns.name + 2 - 9)
            .add(Style::Dim, ends)
            .add(Style::Plain, "  ")
            .right(Style::Dim, "left", columns.left)
            .add(Style::Dim, "  what comes next"),
    ];
    let shown = at_risk.iter().filter(|row| !back.iter().any(|story| story.user == row.user));
    let mut board: Vec<Line> = shown.map(|row| risk(row, scene, &columns)).collect();
    board.extend(back.iter().map(|story| ended(story, &columns)));
    board.extend(
        without_step(scene.view, false).into_values().flatten().map(|waiting| alone(waiting, &columns)),
    );
    let surplus = board.len().saturating_sub(rows);
    if surplus > 0 {
        board.truncate(rows - 1);
        board.push(Line::new().add(Style::Dim, format!("  and {} more", surplus + 1)));
    }
    if board.is_empty() {
        board.push(Line::new().add(Style::Good, "  every kept mailbox is where it should be"));
    }
    board.resize_with(rows, Line::new);
    lines.extend(board);
    lines
}

fn risk(row: &RiskRow, scene: &Scene<'_>, columns: &Columns) -> Line {
    let urgency = row.urgency(scene.now);
    let style = match urgency {
        Urgency::Passed | Urgency::Critical => Style::Critical,
        Urgency::Soon => Style::Soon,
        Urgency::Later => Style::Accent,
        Urgency::Unknown | Urgency::Resting => Style::Dim,
    };
    let share = match row.time_left(scene.now) {
        Some(left) => 1.0 - left.as_secs_f64() / LIMIT.as_secs_f64(),
        None => 0.0,
    };
    let (filled, empty) = bar(share, columns.bar);
    Line::new()
        .add(style, "● ")
        .cell(Style::Plain, &short(&row.upn), columns.name)
        .add(style, filled)
        .add(Style::Dim, empty)
        .add(Style::Plain, "  ")
        .right(style, &row.time_left_text(scene.now), columns.left)
        .add(Style::Plain, "  ")
        .add(Style::Plain, cut(&words::next(&row.next, scene.now), columns.next))
}

/// A mailbox whose story has ended: its bar stops where it was saved.
fn ended(story: &Story, columns: &Columns) -> Line {
    let Some(ending) = story.ending else { return Line::new() };
    let (style, mark, text) = match ending.how {
        How::Judged(Verdict::Verified) => (Style::Good, "✓ ", "back, the same mailbox"),
        How::Judged(Verdict::Unverified) => (Style::Good, "✓ ", "back"),
        How::Judged(Verdict::NewEmptyMailbox) => (Style::Critical, "✗ ", "another, empty mailbox"),
        How::Judged(Verdict::Stuck) => (Style::Critical, "! ", "repaired, not reachable yet"),
        How::HealedByOthers => (Style::Good, "✓ ", "repaired by somebody else"),
        How::Lost => (Style::Critical, "✗ ", "passed the limit"),
    };
    let left = story.left().unwrap_or(Span::ZERO);
    let share = 1.0 - left.as_secs_f64() / LIMIT.as_secs_f64();
    let (filled, empty) = bar(share, columns.bar);
    let rest = if story.is_back() { "━".repeat(empty.chars().count()) } else { empty };
    let time = if left.is_negative() { String::new() } else { left.to_string() };
    Line::new()
        .add(style, mark)
        .cell(Style::Dim, &short(&story.upn), columns.name)
        .add(style, filled)
        .add(style, rest)
        .add(Style::Plain, "  ")
        .right(Style::Dim, &time, columns.left)
        .add(Style::Plain, "  ")
        .add(style, cut(text, columns.next))
}

/// Somebody in trouble whom the policy tells to leave alone.
fn alone(waiting: &Waiting, columns: &Columns) -> Line {
    let trouble = words::plain(waiting.drift.label());
    Line::new()
        .add(Style::Dim, "○ ")
        .cell(Style::Dim, &short(&waiting.upn), columns.name)
        .cell(Style::Dim, &trouble, columns.bar)
        .cell(Style::Dim, "", columns.left + 4)
        .add(Style::Dim, cut(&format!("left alone: {}", why_alone(waiting)), columns.next))
}

fn notes(scene: &Scene<'_>, rows: usize) -> Vec<Line> {
    let notes = &scene.chronicle.notes;
    let newest = &notes[notes.len().saturating_sub(rows)..];
    let mut lines: Vec<Line> = newest.iter().map(note).collect();
    lines.resize_with(rows, Line::new);
    lines
}

fn note(note: &Note) -> Line {
    let (style, mark) = match note.kind {
        NoteKind::Happened => (Style::Dim, "◦"),
        NoteKind::Noticed => (Style::Soon, "?"),
        NoteKind::Acted => (Style::Accent, "→"),
        NoteKind::Proved => (Style::Good, "✓"),
        NoteKind::Alarm => (Style::Critical, "!"),
    };
    Line::new()
        .add(Style::Dim, note.at.to_datetime().format("%a %H:%M  ").to_string())
        .add(style, format!("{mark} "))
        .add(if note.kind == NoteKind::Happened { Style::Dim } else { Style::Plain }, note.text.clone())
}

fn label(text: &str) -> Line {
    Line::new().cell(Style::Dim, text, 12)
}

/// What the newest plan gives no step, by reason: drifts of kept mailboxes, or users that are left alone.
fn without_step(view: &TenantView, is_kept: bool) -> BTreeMap<Reason, Vec<&Waiting>> {
    let mut groups: BTreeMap<Reason, Vec<&Waiting>> = BTreeMap::new();
    for waiting in view.plan.waiting.iter().filter(|waiting| waiting.rule.is_some() == is_kept) {
        groups.entry(waiting.reason).or_default().push(waiting);
    }
    groups
}

/// The parts one after the other, or `nothing`.
fn enumeration(mut line: Line, parts: impl IntoIterator<Item = (Style, String)>, nothing: &str) -> Line {
    let mut is_empty = true;
    for (style, text) in parts {
        line = line.add(Style::Dim, if is_empty { "" } else { "  ·  " }).add(style, text);
        is_empty = false;
    }
    if is_empty { line.add(Style::Dim, nothing) } else { line }
}

fn waits(view: &TenantView) -> Line {
    let parts = without_step(view, true).into_iter().map(|(reason, waiting)| {
        (Style::Plain, format!("{} {}", waiting.len(), words::plain(reason.label())))
    });
    enumeration(label("waits"), parts, "nothing")
}

fn left_alone(view: &TenantView) -> Line {
    let parts = without_step(view, false).into_iter().map(|(reason, waiting)| {
        let name = waiting.last().map_or_else(String::new, |last| short(&last.upn));
        let more = if waiting.len() > 1 { format!(" +{}", waiting.len() - 1) } else { String::new() };
        (Style::Plain, format!("{} ({name}{more})", words::plain(reason.label())))
    });
    enumeration(label("left alone"), parts, "nobody in trouble")
}

fn seats(view: &TenantView) -> Line {
    let parts = view.seats.iter().map(|row| {
        let need = view.seat_needs.iter().find(|need| need.part_number == row.part_number);
        let style = if need.is_some() || row.free <= 0 { Style::Critical } else { Style::Plain };
        let missing = need.map_or_else(String::new, |need| format!(", {} missing", need.missing));
        (style, format!("{} {}{missing}", words::one_line(&row.part_number), words::count(row.free)))
    });
    enumeration(label("free seats"), parts, "unknown")
}

fn weather(scene: &Scene<'_>, width: usize) -> Line {
    let weather = scene.weather;
    let (style, sky) = if weather.is_storming { (Style::Critical, "storm") } else { (Style::Good, "calm") };
    let counts = format!(
        "  {} requests, {} throttled, {} repeated",
        words::count_of(weather.requests),
        words::count_of(weather.throttled),
        words::count_of(weather.failed()),
    );
    let line = label("Graph").add(style, sky).add(Style::Plain, counts);
    // Where there is no room the address is left out: it is said again at the end.
    let has_room = line.width() + scene.pages.len() + 2 <= width;
    if has_room { line.end_at(width, Style::Accent, scene.pages) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{NOW, crowded, healthy, hostile, troubled};

    fn drawn(view: &TenantView, width: usize, height: usize) -> Vec<String> {
        let scene = Scene {
            company: "contoso.com",
            users: 3_000,
            starts: NOW - Span::from_days(12),
            ends: NOW + Span::from_days(28),
            now: NOW,
            view,
            chronicle: &Chronicle::default(),
            weather: &Weather::default(),
            pages: "http://127.0.0.1:9464",
        };
        frame(&scene, width, height).iter().map(|line| line.render(width, false)).collect()
    }

    #[test]
    fn a_frame_fits_every_terminal() {
        for view in [healthy(), troubled(), crowded(300), hostile()] {
            for (width, height) in [(20, 5), (79, 24), (120, 40), (400, 100)] {
                let lines = drawn(&view, width, height);
                assert!(lines.len() <= height);
                for line in lines {
                    assert!(console::measure_text_width(&line) <= width, "{width}: {line}");
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn the_most_urgent_mailbox_stands_first_and_the_rest_is_counted() {
        let lines = drawn(&troubled(), 100, 30);
        assert!(lines[1].starts_with("day 13 of 40"), "{}", lines[1]);
        assert!(lines[4].starts_with("AT RISK  6 mailboxes"), "{}", lines[4]);
        assert!(lines[5].contains("anna.berg"), "{}", lines[5]);
        let crowd = drawn(&crowded(300), 79, 24);
        assert!(crowd.iter().any(|line| line == "  and 294 more"), "{crowd:#?}");
        let calm = drawn(&healthy(), 79, 24);
        assert!(calm[5].contains("every kept mailbox is where it should be"), "{}", calm[5]);
    }
}
