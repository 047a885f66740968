//! What `doctor` found: a list of findings, and their text for somebody at three in the morning. Judges nothing itself.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::words;

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub level: Level,
    pub area: Area,
    /// What was found.
    pub what: String,
    /// Why it matters; empty when it does not.
    pub why: String,
    /// What to do; empty when nothing.
    pub to_do: String,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something is worse than it could be.
    Warning,
    /// Something does not work.
    Error,
}

impl Level {
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// What a finding is about; findings are grouped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    SignIn,
    Permissions,
    Licences,
    Policy,
    Exchange,
    State,
    Machine,
}

impl Area {
    fn title(self) -> &'static str {
        match self {
            Self::SignIn => "Sign-in and tenant",
            Self::Permissions => "Permissions",
            Self::Licences => "Licences and subscriptions",
            Self::Policy => "Policy against tenant",
            Self::Exchange => "Exchange",
            Self::State => "State and journal",
            Self::Machine => "This machine",
        }
    }
}

impl Finding {
    pub fn ok(area: Area, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, area, what: what.into(), why: String::new(), to_do: String::new() }
    }

    pub fn new(
        level: Level,
        area: Area,
        what: impl Into<String>,
        why: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self { level, area, what: what.into(), why: why.into(), to_do: to_do.into() }
    }
}

impl Examination {
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// Grouped by area, the worst first within each; below it how many there are of each kind.
    pub fn to_text(&self) -> String {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (finding.area, std::cmp::Reverse(finding.level)));
        let mut text = String::new();
        let mut area = None;
        for finding in findings {
            if area != Some(finding.area) {
                let space = if area.is_some() { "\n" } else { "" };
                let _ = writeln!(text, "{space}{}", finding.area.title());
                area = Some(finding.area);
            }
            finding.write(&mut text);
        }
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count() as u64;
        let _ = writeln!(
            text,
            "\n{}, {}, {}, {} ok",
            words::how_many(count(Level::Error), "error", "errors"),
            words::how_many(count(Level::Warning), "warning", "warnings"),
            words::how_many(count(Level::Note), "note", "notes"),
            count(Level::Ok)
        );
        text
    }
}

impl Finding {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "  {:8} {}", self.level.mark(), words::one_line(&self.what));
        if !self.why.is_empty() {
            let _ = writeln!(text, "  {:8} why    {}", "", words::one_line(&self.why));
        }
        for (index, line) in self.to_do.lines().enumerate() {
            let label = if index == 0 { "do" } else { "" };
            let _ = writeln!(text, "  {:8} {label:6} {}", "", words::one_line(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_grouped_and_the_worst_of_a_group_comes_first() {
        let mut examination = Examination::default();
        examination.push(Finding::ok(Area::Permissions, "users can be read"));
        examination.push(Finding::new(
            Level::Error,
            Area::Permissions,
            "no seats",
            "nothing starts",
            "grant\nwait",
        ));
        examination.push(Finding::ok(Area::SignIn, "signed in"));
        assert_eq!(examination.worst(), Level::Error);
        insta::assert_snapshot!(examination.to_text(), @r"
        Sign-in and tenant
          ok       signed in

        Permissions
          ERROR    no seats
                   why    nothing starts
                   do     grant
                          wait
          ok       users can be read

        1 error, 0 warnings, 0 notes, 2 ok
        ");
    }
}
