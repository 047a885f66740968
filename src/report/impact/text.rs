//! An impact as text for a terminal, and as markdown.

use std::fmt::Write as _;

use crate::report::words;

use super::{Impact, Listed, Moved, RuleCount, StepRow};

/// Users named on a terminal and, folded away, on a pull request.
const IN_TEXT: usize = 15;
const IN_MARKDOWN: usize = 50;

/// Above this, a comment on GitHub is refused (65,536 characters); what is folded away is cut first.
const LONGEST_MARKDOWN: usize = 60_000;

impl Impact {
    /// For a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.headline());
        let _ = writeln!(
            text,
            "state of {}, {}",
            self.state_of.human(),
            words::how_many(self.users, "user", "users")
        );
        let _ = writeln!(text, "\n{}", self.kept());
        for rule in &self.rules {
            let _ = writeln!(text, "  {}", rule_text(rule));
        }
        for (title, list) in self.lists() {
            if list.count > 0 {
                let _ = writeln!(text, "\n{title}: {}", words::count_of(list.count));
                list.first.iter().take(IN_TEXT).for_each(|moved| {
                    let _ = writeln!(text, "  {}", moved_text(moved));
                });
                more(&mut text, list.count, IN_TEXT, "  ");
            }
        }
        if !self.concerns.is_empty() {
            let _ = writeln!(text, "\nthe daemon asks a person before this policy counts:");
            self.concerns.iter().for_each(|concern| {
                let _ = writeln!(text, "  {concern}");
            });
        }
        let _ = writeln!(text, "\n{}", self.steps_title());
        self.steps.first.iter().take(IN_TEXT).for_each(|step| {
            let _ = writeln!(text, "  {}", step_text(step));
        });
        more(&mut text, self.steps.count, IN_TEXT, "  ");
        for line in self.waits() {
            let _ = writeln!(text, "  {line}");
        }
        text
    }

    /// For a comment on a pull request. Names are code, so that nothing in them is markup or calls somebody.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### mailkeeper: {}\n\n", self.headline());
        let _ = writeln!(
            text,
            "Judged against the state of {} ({}). {}\n",
            self.state_of.human(),
            words::how_many(self.users, "user", "users"),
            self.kept()
        );
        if !self.concerns.is_empty() {
            let _ = writeln!(text, "**The daemon asks a person before this policy counts:**\n");
            self.concerns.iter().for_each(|concern| {
                let _ = writeln!(text, "- {}", code(concern));
            });
            text.push('\n');
        }
        text += "| | users |\n|---|---:|\n";
        for (title, list) in self.lists() {
            let count = words::count_of(list.count);
            let _ = match list.count {
                0 => writeln!(text, "| {title} | {count} |"),
                _ => writeln!(text, "| **{title}** | **{count}** |"),
            };
        }
        let _ = writeln!(text, "| steps that would follow | {} |\n", words::count_of(self.steps.count));
        for line in self.waits() {
            let _ = writeln!(text, "- {line}");
        }
        for (title, list) in self.lists().into_iter().filter(|(_, list)| list.count > 0) {
            let rows = list.first.iter().take(IN_MARKDOWN).map(moved_markdown).collect();
            fold(&mut text, title, list.count, rows);
        }
        let steps = self.steps.first.iter().take(IN_MARKDOWN).map(step_markdown).collect();
        fold(&mut text, "Steps that would follow", self.steps.count, steps);
        let rules = self.rules.iter().map(|rule| format!("- {}", rule_markdown(rule))).collect();
        fold(&mut text, "Users of each rule", self.rules.len() as u64, rules);
        text
    }

    fn headline(&self) -> String {
        let policy = words::one_line(&self.policy);
        match &self.base {
            None => format!("what {policy} would do"),
            Some(base) if self.is_unchanged() => {
                format!("{policy} treats every known user as {} does", words::one_line(base))
            }
            Some(base) => format!("what changes with {policy}, compared with {}", words::one_line(base)),
        }
    }

    fn kept(&self) -> String {
        let after = words::how_many(self.kept_after, "user is", "users are");
        match self.kept_before {
            Some(before) => format!("{after} kept, {} were.", words::count_of(before)),
            None => format!("{after} kept."),
        }
    }

    fn lists(&self) -> Vec<(&'static str, &Listed<Moved>)> {
        let mut lists = Vec::new();
        if self.base.is_some() {
            lists.push(("become kept", &self.becomes_kept));
            lists.push(("released", &self.released));
            lists.push(("change their rule", &self.changes_rule));
            lists.push(("left alone for another reason", &self.left_alone_otherwise));
        }
        lists.push(("cannot be decided from this state", &self.undetermined));
        lists
    }

    fn steps_title(&self) -> String {
        let compared = match (self.steps_new, self.steps_dropped) {
            (Some(new), Some(dropped)) => {
                format!(" ({} new, {} dropped)", words::count_of(new), words::count_of(dropped))
            }
            (Some(_), None) | (None, _) => String::new(),
        };
        format!("steps that would follow: {}{compared}", words::count_of(self.steps.count))
    }

    fn waits(&self) -> Vec<String> {
        let waiting = self.waiting.iter().map(|(reason, count)| {
            format!(
                "{} without a step: {}",
                words::how_many(*count, "mailbox", "mailboxes"),
                reason.sentence()
            )
        });
        let seats = self.seats_missing.iter().map(|need| {
            let seats = words::how_many(u64::from(need.missing), "seat", "seats");
            format!("{seats} of {} missing", words::one_line(&need.part_number))
        });
        waiting.chain(seats).collect()
    }
}

fn rule_text(rule: &RuleCount) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "none".to_owned(), words::count_of);
    let name = words::one_line(&rule.rule);
    match (rule.before, rule.after) {
        (before, after) if before == after || before.is_none() => format!("\"{name}\": {}", count(after)),
        (before, after) => format!("\"{name}\": {}, was {}", count(after), count(before)),
    }
}

fn moved_text(moved: &Moved) -> String {
    let before = moved.before.as_ref().map(|before| format!("{} -> ", words::one_line(before)));
    let risk = if moved.is_at_risk { "  AT RISK NOW" } else { "" };
    format!(
        "{}  {}{}{risk}",
        words::one_line(&moved.upn),
        before.unwrap_or_default(),
        words::one_line(&moved.after)
    )
}

fn step_text(step: &StepRow) -> String {
    let deadline = step.deadline.map(|at| format!(", lost for good {}", at.human())).unwrap_or_default();
    let new = if step.is_new { "  NEW" } else { "" };
    format!(
        "{}  {} (rule \"{}\"{deadline}){new}",
        words::one_line(&step.upn),
        words::action(&step.action),
        words::one_line(&step.rule)
    )
}

fn more(text: &mut String, count: u64, shown: usize, margin: &str) {
    let rest = count.saturating_sub(shown as u64);
    if rest > 0 {
        let _ = writeln!(text, "{margin}and {} more", words::count_of(rest));
    }
}

fn moved_markdown(moved: &Moved) -> String {
    let before = moved.before.as_ref().map(|before| format!("{} to ", code(before))).unwrap_or_default();
    let risk = if moved.is_at_risk { ", **at risk now**" } else { "" };
    format!("- {}: {before}{}{risk}", code(&moved.upn), code(&moved.after))
}

fn step_markdown(step: &StepRow) -> String {
    let new = if step.is_new { ", **new**" } else { "" };
    format!("- {}: {} ({}){new}", code(&step.upn), code(&words::action(&step.action)), code(&step.rule))
}

fn rule_markdown(rule: &RuleCount) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "none".to_owned(), words::count_of);
    match (rule.before, rule.after) {
        (before, after) if before == after || before.is_none() => {
            format!("{}: {}", code(&rule.rule), count(after))
        }
        (before, after) => format!("{}: {}, was {}", code(&rule.rule), count(after), count(before)),
    }
}

/// Text of others as inline code: no markup, no link, and an `@` that calls nobody.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", words::one_line(text).replace('`', "'"))
}

fn fold(text: &mut String, title: &str, count: u64, rows: Vec<String>) {
    if count == 0 {
        return;
    }
    let _ = write!(text, "\n<details><summary>{title} ({})</summary>\n\n", words::count_of(count));
    let mut shown = 0;
    for row in rows {
        if text.len() + row.len() > LONGEST_MARKDOWN {
            break;
        }
        let _ = writeln!(text, "{row}");
        shown += 1;
    }
    more(text, count, shown, "- ");
    text.push_str("\n</details>\n");
}
