//! A policy that nobody has looked at for longer than it allows itself. Its rules then start nothing until a person
//! says that they are still meant. Pure: time, date and answers are arguments.

use std::collections::BTreeMap;

use crate::model::{Answer, Ask, Reason, Span, Timestamp};
use crate::policy::Policy;

use super::stable_id;

/// How a policy stands to its own age.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Set when nothing may be started under it.
    pub closed: Option<Reason>,
    /// Open until it is answered, and there to be taken back after a denial; another one follows when an approval has
    /// run out.
    pub ask: Option<Ask>,
    /// How long it has stood since it was changed or approved, and how long it may. `None` without a limit or a date.
    pub age: Option<(Span, Span)>,
}

/// What follows at this moment from the date of the policy and from what people said of it. An approval is good for as
/// long as the policy was; a denial stands until the policy changes.
pub fn standing(now: Timestamp, policy: &Policy, answers: &BTreeMap<String, Answer>) -> Standing {
    let (Some(limit), Some(dated)) = (policy.limits.policy_age, policy.dated) else {
        return Standing::default();
    };
    let mut since = dated;
    loop {
        let age = Some((now - since, limit));
        if now - since <= limit {
            return Standing { closed: None, ask: None, age };
        }
        let id = stable_id(&[&Reason::PolicyOld.label(), &policy.digest, &since]);
        let closed = Some(Reason::PolicyOld);
        match answers.get(&id) {
            // Answers are younger than what they answer, so that this ends.
            Some(answer) if answer.granted && answer.at > since => since = answer.at,
            Some(_) | None => return Standing { closed, ask: Some(ask(id, now, dated, since + limit)), age },
        }
    }
}

fn ask(id: String, now: Timestamp, dated: Timestamp, opened: Timestamp) -> Ask {
    let days = (now - dated).as_millis() / Span::from_days(1).as_millis();
    Ask {
        id,
        reason: Reason::PolicyOld,
        users: Vec::new(),
        question: format!("the policy is {days} days old: is it still what you want?"),
        opened,
        act_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATED: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn policy(extra: &str) -> Policy {
        let text = format!("version: 1\nkeep:\n  - {{ name: a, match: {{ domain: contoso.com }} }}\n{extra}");
        let policy = Policy::parse("policy.yaml", &text).expect("good");
        Policy { dated: Some(DATED), ..policy }
    }

    fn after(days: i64) -> Timestamp {
        DATED + Span::from_days(days)
    }

    fn said(granted: bool, at: Timestamp) -> Answer {
        let (by, digest) = ("anna".to_owned(), String::new());
        Answer { granted, at, by, digest, reason: Reason::PolicyOld, users: Default::default() }
    }

    #[test]
    fn without_a_limit_or_a_date_a_policy_is_never_old() {
        let none = BTreeMap::new();
        assert_eq!(standing(after(9_999), &policy(""), &none), Standing::default());
        let undated = Policy { dated: None, ..policy("limits: { policy_age: 180d }") };
        assert_eq!(standing(after(9_999), &undated, &none), Standing::default());
    }

    #[test]
    fn an_approval_is_good_for_as_long_again_and_a_denial_for_good() {
        let policy = policy("limits: { policy_age: 180d }");
        let mut answers = BTreeMap::new();
        assert_eq!(standing(after(180), &policy, &answers).closed, None, "the last day");
        let old = standing(after(181), &policy, &answers);
        assert_eq!(old.closed, Some(Reason::PolicyOld));
        let first = old.ask.expect("a question");
        assert_eq!(first.question, "the policy is 181 days old: is it still what you want?");
        assert_eq!(standing(after(190), &policy, &answers).ask.map(|ask| ask.id), Some(first.id.clone()));

        answers.insert(first.id.clone(), said(true, after(190)));
        assert_eq!(standing(after(370), &policy, &answers).closed, None, "180 days from the approval");
        let again = standing(after(371), &policy, &answers);
        assert_eq!(again.closed, Some(Reason::PolicyOld));
        let second = again.ask.expect("another question");
        assert_ne!(second.id, first.id);

        answers.insert(second.id.clone(), said(false, after(372)));
        let denied = standing(after(5_000), &policy, &answers);
        assert_eq!(denied.closed, Some(Reason::PolicyOld));
        assert_eq!(denied.ask.map(|ask| ask.id), Some(second.id), "the same one, to be taken back");
    }

    #[test]
    fn an_answer_is_to_one_policy() {
        let old = policy("limits: { policy_age: 180d }");
        let first = standing(after(181), &old, &BTreeMap::new()).ask.expect("a question");
        let answers = BTreeMap::from([(first.id.clone(), said(true, after(182)))]);
        let other = policy("limits: { policy_age: 180d, floor: 11 }");
        let second = standing(after(183), &other, &answers);
        assert_eq!(second.closed, Some(Reason::PolicyOld));
        assert_ne!(second.ask.expect("a question of its own").id, first.id);
    }
}
