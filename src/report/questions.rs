//! Open questions for people who were woken by an alert: what is asked, since when, until when, and the two commands
//! that answer it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::{Ask, Timestamp, UserId};

use super::words;

/// The principal names of users that are otherwise known by id only.
pub type Names = BTreeMap<UserId, String>;

/// Mailboxes of one question that are named.
const NAMED: usize = 20;

/// A question that somebody said no to, while what was asked about still stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Denied {
    pub ask: Ask,
    pub by: String,
    pub at: Timestamp,
}

/// All open questions, the most urgent first, then those that were denied. `acts_unanswered`: what the policy does when
/// nobody answers in time.
pub fn text(
    asks: &[Ask],
    denied: &[Denied],
    names: &Names,
    acts_unanswered: Option<bool>,
    now: Timestamp,
) -> String {
    let mut text = open(asks, names, acts_unanswered, now);
    if !denied.is_empty() {
        let were = words::how_many(denied.len() as u64, "question was", "questions were");
        let _ = writeln!(text, "\n{were} denied, and what was asked about still stands");
    }
    for Denied { ask, by, at } in denied {
        let id = words::one_line(&ask.id);
        let _ = writeln!(text, "\n{id}  {}", words::one_line(&ask.question));
        let _ = writeln!(text, "  who      {}", concerned(ask, names));
        let _ = writeln!(
            text,
            "  denied   {}, {}, by {}",
            at.human(),
            words::distance(*at, now),
            words::one_line(by)
        );
        let _ = writeln!(text, "  take it back with  mailkeeper approve {id}");
    }
    text
}

fn open(asks: &[Ask], names: &Names, acts_unanswered: Option<bool>, now: Timestamp) -> String {
    if asks.is_empty() {
        return "nothing waits for a person\n".to_owned();
    }
    let mut sorted: Vec<&Ask> = asks.iter().collect();
    sorted.sort_by_key(|ask| (ask.act_by.is_none(), ask.act_by, ask.id.as_str()));
    let mut text =
        format!("{} for a person\n", words::how_many(asks.len() as u64, "question waits", "questions wait"));
    for ask in sorted {
        write(&mut text, ask, names, acts_unanswered, now);
    }
    text
}

fn write(text: &mut String, ask: &Ask, names: &Names, acts_unanswered: Option<bool>, now: Timestamp) {
    let id = words::one_line(&ask.id);
    let act_by = match ask.act_by {
        Some(act_by) if act_by > now => {
            format!("answer before {}, {}", act_by.human(), words::distance(act_by, now))
        }
        Some(act_by) => {
            format!("ANSWER NOW: \"act by\" was {}, {}", act_by.human(), words::distance(act_by, now))
        }
        None => "no deadline is known".to_owned(),
    };
    let _ = writeln!(text, "\n{id}  {}", words::one_line(&ask.question));
    let _ = writeln!(text, "  why      {}", ask.reason.sentence());
    let _ = writeln!(text, "  who      {}", concerned(ask, names));
    let _ =
        writeln!(text, "  asked    {}, {}; {act_by}", ask.opened.human(), words::distance(ask.opened, now));
    let _ = writeln!(text, "  yes      mailkeeper approve {id}");
    let _ = writeln!(text, "  no       mailkeeper deny {id}");
    let unanswered = match (acts_unanswered, ask.act_by) {
        (Some(true), Some(_)) => {
            "mailkeeper acts by itself once \"act by\" is reached (policy: unanswered_asks: act)"
        }
        (Some(true), None) => "nothing is done, since no \"act by\" is known",
        (Some(false), _) => {
            "nothing is done, and the mailbox is lost at its deadline (policy: unanswered_asks: report)"
        }
        (None, _) => "the policy decides (unanswered_asks); it cannot be read at the moment",
    };
    let _ = writeln!(text, "  silence  {unanswered}");
}

fn concerned(ask: &Ask, names: &Names) -> String {
    if ask.users.is_empty() {
        return "the policy as a whole".to_owned();
    }
    let named = ask.users.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|user| names.get(user).map_or_else(|| user.to_string(), |name| words::one_line(name)))
        .collect();
    let count = words::how_many(ask.users.len() as u64, "mailbox", "mailboxes");
    let more = match ask.users.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more: mailkeeper asks --output json"),
    };
    format!("{count}: {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Reason, Span};
    use crate::report::sample::{NOW, troubled};

    #[test]
    fn a_question_says_how_to_answer_it_and_what_silence_means() {
        let mut asks = troubled().asks;
        asks.push(Ask {
            id: "77aa0c9b2e01".to_owned(),
            reason: Reason::MassEvent,
            users: (10..40).map(UserId::from_u128).collect(),
            question: "30 of 400 kept mailboxes are concerned within a day".to_owned(),
            opened: NOW - Span::from_hours(2),
            act_by: Some(NOW - Span::from_hours(1)),
        });
        let names = Names::from([(UserId::from_u128(2), "carl.vonberg@contoso.com".to_owned())]);
        insta::assert_snapshot!(text(&asks, &[], &names, Some(false), NOW));
        assert_eq!(text(&[], &[], &names, None, NOW), "nothing waits for a person\n");
    }

    #[test]
    fn a_denied_question_says_who_said_no_and_how_to_take_it_back() {
        let ask = troubled().asks.remove(0);
        let id = ask.id.clone();
        let (by, at) = ("carl (uid 1000)".to_owned(), NOW - Span::from_hours(3));
        let told = text(&[], &[Denied { ask, by, at }], &Names::new(), None, NOW);
        assert!(told.starts_with("nothing waits for a person\n\n1 question was denied"), "{told}");
        assert!(told.contains("3h ago, by carl (uid 1000)"), "{told}");
        assert!(told.contains(&format!("mailkeeper approve {id}")), "{told}");
    }
}
