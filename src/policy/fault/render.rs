//! Faults as text: like a compiler for people, one JSON array for programs, workflow commands for GitHub.

use std::fmt::Write as _;

use super::{Fault, visible};

/// How faults are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With the line and a caret under it; no colour needed.
    Text,
    /// One array of objects.
    Json,
    /// `::error file=..,line=..,col=..::..`, one line a fault: annotations on a pull request.
    Github,
}

/// Writes all faults. Ends with a line break unless there is nothing to say.
pub fn render(faults: &[Fault], format: Format) -> String {
    match format {
        Format::Text => faults.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => {
            let mut json = serde_json::to_string_pretty(faults).expect("faults are strings and numbers");
            json.push('\n');
            json
        }
        Format::Github => faults.iter().map(github).collect(),
    }
}

fn text(fault: &Fault) -> String {
    let mut out = format!("{}: {}\n", fault.severity.label(), fault.message);
    let width = fault.line.to_string().len();
    let margin = " ".repeat(width);
    let place = match (fault.line, fault.path.as_str()) {
        (0, _) => fault.file.clone(),
        (line, "") => format!("{}:{line}:{}", fault.file, fault.column),
        (line, path) => format!("{}:{line}:{} at {path}", fault.file, fault.column),
    };
    push(&mut out, format_args!("{margin}--> {place}"));
    if let Some(excerpt) = &fault.excerpt {
        let (line, caret) = underlined(excerpt, fault.column, fault.width);
        push(&mut out, format_args!("{margin} |"));
        push(&mut out, format_args!("{} | {line}", fault.line));
        push(&mut out, format_args!("{margin} | {caret}"));
    }
    if !fault.hint.is_empty() {
        push(&mut out, format_args!("{margin} = {}", fault.hint));
    }
    out
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    let start = out.len();
    out.write_fmt(line).expect("writing to a string does not fail");
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// The line, cut to what a terminal shows around the place, and the carets under it.
fn underlined(excerpt: &str, column: u32, width: u32) -> (String, String) {
    // As much as a usual terminal shows beside the margin.
    const LONGEST_LINE: usize = 100;
    let line: Vec<char> =
        visible(excerpt).chars().map(|sign| if sign == '\t' { ' ' } else { sign }).collect();
    let column = (column.max(1) as usize - 1).min(line.len());
    let first = if column > LONGEST_LINE - 20 { column - 20 } else { 0 };
    let shown: String = line.iter().skip(first).take(LONGEST_LINE).collect();
    let offset = column - first;
    let carets = (width.max(1) as usize).min(shown.chars().count().saturating_sub(offset).max(1));
    (shown, format!("{}{}", " ".repeat(offset), "^".repeat(carets)))
}

fn github(fault: &Fault) -> String {
    let place =
        if fault.line == 0 { String::new() } else { format!(",line={},col={}", fault.line, fault.column) };
    let message = match fault.hint.as_str() {
        "" => fault.message.clone(),
        hint => format!("{} ({hint})", fault.message),
    };
    format!(
        "::{} file={}{place}::{}\n",
        fault.severity.label(),
        escaped(&fault.file).replace(':', "%3A").replace(',', "%2C"),
        escaped(&message)
    )
}

/// GitHub's own escapes for workflow commands.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
