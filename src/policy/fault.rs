//! What is wrong with a policy or a settings file, where, and what to write instead. Collects; prints nothing.

mod render;

use std::collections::BTreeSet;

use serde::Serialize;

use super::scalar;

pub use render::{Format, render};

/// The text of one file under its name. The name is what faults show: the path as the operator gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// Where something stands. Lines and columns count from 1, columns and `width` in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
    pub width: u32,
}

/// How much a fault weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used; somebody should look.
    Warning,
}

impl Severity {
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub severity: Severity,
    pub file: String,
    /// From 1; 0 when the fault concerns the file as a whole.
    pub line: u32,
    /// From 1, in characters; 0 when the fault concerns the file as a whole.
    pub column: u32,
    /// `keep[2].match.group`, indices from 0; empty for the document itself.
    pub path: String,
    /// What is written there, shortened; empty where a list or a map stands.
    pub value: String,
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// The line as written, for people; `None` where there is no such line.
    #[serde(skip)]
    pub excerpt: Option<String>,
    /// Characters to underline.
    #[serde(skip)]
    pub width: u32,
}

impl Fault {
    /// A fault of a file as a whole: unreadable, too long, not text.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.into(),
            line: 0,
            column: 0,
            path: String::new(),
            value: String::new(),
            message: message.into(),
            hint: hint.into(),
            excerpt: None,
            width: 0,
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// What a check says against a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub hint: String,
}

impl Complaint {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// The faults of one source, as they are found.
#[derive(Debug)]
pub struct Faults<'s> {
    source: &'s Source,
    list: Vec<Fault>,
    hidden: Vec<String>,
    hidden_lines: BTreeSet<u32>,
    left_out: usize,
}

/// Longest value shown in a fault, in characters: long enough for an id or an address, short enough for one line.
const LONGEST_VALUE: usize = 80;

/// Faults of one file that are shown. Nobody reads more, and a file that is wrong throughout must not cost minutes.
const MOST_FAULTS: usize = 200;

impl<'s> Faults<'s> {
    pub fn new(source: &'s Source) -> Self {
        Self { source, list: Vec::new(), hidden: Vec::new(), hidden_lines: BTreeSet::new(), left_out: 0 }
    }

    pub fn error(&mut self, place: Place, path: &str, value: &str, complaint: Complaint) {
        self.add(Severity::Error, place, path, value, complaint);
    }

    pub fn warning(&mut self, place: Place, path: &str, value: &str, complaint: Complaint) {
        self.add(Severity::Warning, place, path, value, complaint);
    }

    /// A text that no fault may show: a secret that stands where none belongs. Neither are its lines shown, because
    /// there it may be written with escapes.
    pub fn hide(&mut self, place: Place, secret: &str) {
        let lines: Vec<String> = secret.lines().map(|line| visible(line.trim())).collect();
        let last = place.line.saturating_add(u32::try_from(lines.len()).unwrap_or(u32::MAX));
        self.hidden_lines.extend(place.line..=last);
        // A shorter one is no secret, and covering it would garble every text.
        self.hidden.extend(lines.into_iter().filter(|line| line.chars().count() >= 4));
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Fault::is_error)
    }

    /// True when something at or below this path was refused: what is left of it says little.
    pub fn touches(&self, path: &str) -> bool {
        self.list.iter().filter(|fault| fault.is_error()).any(|fault| {
            fault.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The faults in the order of the file.
    pub fn into_list(mut self) -> Vec<Fault> {
        // Longest first, so that a secret that contains another is covered whole.
        self.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for fault in &mut self.list {
            for secret in &self.hidden {
                let stars = "*".repeat(secret.chars().count());
                for text in [&mut fault.path, &mut fault.value, &mut fault.message, &mut fault.hint] {
                    *text = text.replace(secret, &stars);
                }
            }
            if self.hidden_lines.contains(&fault.line) {
                fault.excerpt = None;
            }
        }
        self.list.sort_by_key(|fault| (fault.line, fault.column, fault.severity));
        self.list.dedup();
        if self.left_out > 0 {
            let message = format!("{} more faults are not shown", self.left_out);
            self.list.push(Fault::of_file(&self.source.name, message, "repair these first"));
        }
        self.list
    }

    fn add(&mut self, severity: Severity, place: Place, path: &str, value: &str, complaint: Complaint) {
        if self.list.len() >= MOST_FAULTS {
            self.left_out += 1;
            return;
        }
        let excerpt = (place.line as usize)
            .checked_sub(1)
            .and_then(|index| self.source.text.lines().nth(index))
            .filter(|line| !mentions_secret(line))
            .map(str::to_owned);
        self.list.push(Fault {
            severity,
            file: self.source.name.clone(),
            line: place.line,
            column: place.column,
            path: visible(path),
            value: visible(&shortened(value)),
            message: visible(&complaint.message),
            hint: visible(&complaint.hint),
            excerpt,
            width: place.width,
        });
    }
}

/// With the replacement sign for what a terminal would obey or not show: escapes in quoted texts can hold anything.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|sign| if scalar::is_hidden(sign) { char::REPLACEMENT_CHARACTER } else { sign })
        .collect()
}

/// True for a line that may hold a secret. Where a file cannot even be parsed, this is all there is to go by.
fn mentions_secret(line: &str) -> bool {
    let lowered = line.to_ascii_lowercase();
    ["secret:", "secret\"", "secret'", "password", "token:", "-----begin"]
        .iter()
        .any(|word| lowered.contains(word))
}

fn shortened(value: &str) -> String {
    let line = value.lines().next().unwrap_or("");
    if line.chars().count() <= LONGEST_VALUE && line.len() == value.trim_end().len() {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(LONGEST_VALUE).collect();
    short.push('…');
    short
}

/// `; did you mean "x"?` material: the candidate that is nearest in spelling, letter case ignored, when one is near.
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Beyond this no name is a misspelling of another one, and comparing costs the product of both lengths.
    const LONGEST_NAME: usize = 120;
    let lowered = written.to_lowercase();
    if lowered.len() > LONGEST_NAME {
        return None;
    }
    let allowed = (lowered.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
