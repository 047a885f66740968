//! What a person does about a request that Graph refuses for good. Pure; knows Graph's answer only as the text that the
//! ledger keeps of it.

use crate::model::{Attempt, LedgerEntry, OutcomeKind, Span, Timestamp, UserId};

use super::Input;

/// Others whose fate tells a role holder from a missing permission are those of so long.
const RECENT: Span = Span::from_days(1);

/// The newest attempt of this story when Graph refused it for good.
pub fn refused(entry: &LedgerEntry) -> Option<&Attempt> {
    let last = entry.attempts.last().filter(|attempt| attempt.at >= entry.first_seen)?;
    (last.outcome == Some(OutcomeKind::Refused)).then_some(last)
}

/// What Graph said, and what to do about it.
pub fn told(attempt: &Attempt, user: UserId, input: &Input<'_>) -> String {
    let advice = match is_forbidden(attempt) {
        true => forbidden(others(attempt, user, input)),
        false => by_message(&attempt.detail),
    };
    format!("Graph said {}; {advice}", attempt.detail)
}

/// How the same request fared for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Succeed,
    AreForbidden,
    Unknown,
}

fn others(attempt: &Attempt, user: UserId, input: &Input<'_>) -> Others {
    let since: Timestamp = attempt.at - RECENT;
    let alike =
        input.ledger.iter().filter(|(other, _)| **other != user).flat_map(|(_, entry)| &entry.attempts);
    let alike = alike.filter(|other| other.at >= since && other.action.label() == attempt.action.label());
    let mut others = Others::Unknown;
    for other in alike {
        match other.outcome {
            Some(OutcomeKind::Accepted | OutcomeKind::AlreadyDone) => return Others::Succeed,
            Some(OutcomeKind::Refused) if is_forbidden(other) => others = Others::AreForbidden,
            Some(
                OutcomeKind::Refused
                | OutcomeKind::Uncertain
                | OutcomeKind::Deferred
                | OutcomeKind::NoSeat
                | OutcomeKind::NotSent,
            )
            | None => {}
        }
    }
    others
}

fn is_forbidden(attempt: &Attempt) -> bool {
    attempt.detail.starts_with("403")
}

const ROLE_HOLDER: &str = "the account probably holds a directory role, which this application may not touch: name it \
                           under `protected` and repair it by hand";
const NO_PERMISSION: &str = "a permission is missing: `mailkeeper doctor` says which one";

fn forbidden(others: Others) -> String {
    match others {
        Others::Succeed => format!("the same request works for others, so {ROLE_HOLDER}"),
        Others::AreForbidden => format!("nobody's request of this kind is let through: {NO_PERMISSION}"),
        Others::Unknown => {
            format!("where it works for others, {ROLE_HOLDER}; where it works for nobody, {NO_PERMISSION}")
        }
    }
}

/// Parts of messages, lower case, and what a person does. Source: Microsoft documents and captured answers.
const ADVICE: [(&str, &str); 11] = [
    (
        "mutually exclusive",
        "another licence of this user contains a plan that excludes this product: take that one away, or name a \
         product in the rule that goes with it",
    ),
    (
        "depends on",
        "the product needs another one that this user does not hold: name a product in the rule that stands alone",
    ),
    (
        "usage location",
        "the product cannot be given at the user's usage location: correct the location of the user",
    ),
    (
        "usagelocation",
        "the product is not sold at the user's usage location: correct the location of the user",
    ),
    ("valid company license", "the tenant does not own the product: correct the rule"),
    ("inherited from a group", "the licence comes from a group: repair the group"),
    (
        "dynamic membership",
        "a rule chooses the members of this group: let the rule name another group, or `assign: direct`",
    ),
    (
        "on-premises mastered",
        "the group is synchronised from on premises: put the user into it there, or let the rule name another group",
    ),
    (
        "userprincipalname is invalid",
        "the rule's `upn_if_taken` makes a name that Graph does not take: its domain must be a verified one",
    ),
    (
        "proxy address is already",
        "another object holds an address of this account: take it away there by hand",
    ),
    (
        "already exists",
        "another object holds an address or the name of this account: a person decides whose it is",
    ),
];

fn by_message(detail: &str) -> String {
    let detail = detail.to_ascii_lowercase();
    let known = ADVICE.iter().find(|(part, _)| detail.contains(part));
    known.map_or("it is not known why: a person looks at the account", |(_, advice)| advice).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_refusal_says_what_a_person_does() {
        for (message, expected) in [
            ("400 Request_BadRequest \"service plans A, B are mutually exclusive\"", "excludes this product"),
            ("400 \"invalid usage location.\"", "correct the location"),
            ("400 \"ProhibitedInUsageLocationViolation\"", "correct the location"),
            (
                "400 \"Another object with the same value for property proxyAddresses already exists.\"",
                "decides whose",
            ),
            ("400 \"the group has dynamic membership: members cannot be edited\"", "another group"),
            ("400 \"for on-premises mastered Directory Sync objects\"", "put the user into it there"),
            ("400 \"Property userPrincipalName is invalid.\"", "a verified one"),
            ("400 \"something new\"", "a person looks"),
        ] {
            assert!(by_message(message).contains(expected), "{message}: {}", by_message(message));
        }
    }
}
