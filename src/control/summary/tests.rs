//! Forty days of a journal, and the figures of the last thirty.

use super::*;
use crate::model::TenantId;
use crate::report::sample::{NOW, assign, troubled};
use crate::store::journal::{Journal, MemoryLog};

const HOUR: Span = Span::from_hours(1);

fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

fn days_ago(days: i64) -> Timestamp {
    NOW - Span::from_days(days)
}

fn started(number: u128, at: Timestamp, cause: Option<Cause>) -> (Timestamp, Entry) {
    let entry = Entry::ClockStarted {
        user: user(number),
        upn: format!("user{number}@contoso.com"),
        kind: DriftKind::Unlicensed,
        earliest: Some(at),
        latest: at,
        deadline: Some(at + Span::from_days(30)),
        cause,
        memory: None,
    };
    (at, entry)
}

fn sent(number: u128, at: Timestamp, rule: &str, kind: OutcomeKind, detail: &str) -> [(Timestamp, Entry); 2] {
    let step_id = format!("step{number}");
    let intent = Entry::Intent {
        step_id: step_id.clone(),
        user: user(number),
        upn: format!("user{number}@contoso.com"),
        action: assign(),
        drift: DriftKind::Unlicensed,
        rule: rule.to_owned(),
        policy_digest: "p".to_owned(),
        plan_digest: "q".to_owned(),
        expected_mailbox: None,
    };
    let outcome =
        Entry::Outcome { step_id, user: user(number), kind, detail: detail.to_owned(), request_id: None };
    [(at, intent), (at, outcome)]
}

fn judged(number: u128, at: Timestamp, verdict: Verdict) -> (Timestamp, Entry) {
    (at, Entry::Verdict { user: user(number), step_id: None, verdict, detail: String::new() })
}

fn policy(at: Timestamp, digest: &str) -> (Timestamp, Entry) {
    (at, Entry::PolicyLoaded { digest: digest.repeat(8), revision: Some("9c41e07d2b8a".to_owned()) })
}

/// Forty days, of which the last thirty are asked for.
fn journal() -> Vec<(Timestamp, Entry)> {
    let asked = |at, ask: &str| {
        let (ask, question) = (ask.to_owned(), "restore?".to_owned());
        (
            at,
            Entry::Asked {
                ask,
                reason: Reason::Ask,
                question,
                mailboxes: 1,
                act_by: None,
                users: BTreeSet::new(),
            },
        )
    };
    let by = || "carl (uid 1000)".to_owned();
    let refused = "400 Request_BadRequest \"no\" (request-id";
    let mut entries = vec![
        policy(days_ago(40), "5f2b1c9e"),
        // Noticed before the period and kept in it: the time left still counts.
        started(1, days_ago(35), Some(Cause::LicenseRemoved)),
        judged(9, days_ago(34), Verdict::Verified),
        (days_ago(33), Entry::SeatsMissing { part_number: "SPE_E5".to_owned(), missing: 2 }),
        policy(days_ago(29), "5f2b1c9e"),
    ];
    entries.extend(sent(1, days_ago(6), "staff", OutcomeKind::Accepted, "200 (request-id a)"));
    entries.extend([
        judged(1, days_ago(6), Verdict::Verified),
        started(2, days_ago(20), Some(Cause::GroupLicenseRemoved)),
        started(3, days_ago(20), None),
        (days_ago(20), Entry::SeatsMissing { part_number: "SPE_E3".to_owned(), missing: 3 }),
        (days_ago(19), Entry::SeatsMissing { part_number: "SPE_E3".to_owned(), missing: 0 }),
        asked(days_ago(19), "1f9f0c9b2e01"),
        asked(days_ago(19), "1f9f0c9b2e01"),
        asked(days_ago(18), "77aa0c9b2e01"),
        (
            days_ago(18),
            Entry::Approved {
                ask: "1f9f0c9b2e01".to_owned(),
                by: by(),
                digest: "c0ffee".repeat(4),
                users: BTreeSet::new(),
            },
        ),
        (
            days_ago(18),
            Entry::Denied {
                ask: "77aa0c9b2e01".to_owned(),
                by: by(),
                digest: "c0ffee".repeat(4),
                reason: None,
                users: [].into(),
            },
        ),
    ]);
    entries.extend(sent(2, days_ago(18), "executives", OutcomeKind::Accepted, "200 (request-id b)"));
    entries.push(judged(2, days_ago(18) + HOUR, Verdict::Unverified));
    entries.extend(sent(3, days_ago(17), "staff", OutcomeKind::Refused, &format!("{refused} c)")));
    entries.extend(sent(3, days_ago(16), "staff", OutcomeKind::Refused, &format!("{refused} d)")));
    entries.extend([
        (days_ago(15), Entry::Held { by: by(), reason: Some("migration".to_owned()), until: None }),
        (days_ago(14), Entry::Resumed { by: by() }),
        policy(days_ago(10), "aa00bb11"),
        (days_ago(3), Entry::Lost { user: user(4), upn: "frida@contoso.com".to_owned(), warned: false }),
        (days_ago(2), Entry::ObservationRejected { problems: Vec::new() }),
        (days_ago(2), Entry::ClockStopped { user: user(3), reason: "healed_by_others".to_owned() }),
    ]);
    entries
}

fn counted() -> Summary {
    let journal_of_tenant =
        Journal::open(Box::new(MemoryLog::new()), TenantId::from_u128(1)).expect("opens").0;
    for (at, entry) in journal() {
        journal_of_tenant.append(&entry, at).expect("recorded");
    }
    let mut counting = Counting::new("contoso", days_ago(30), NOW);
    journal_of_tenant.for_each(|line| counting.note(line)).expect("readable");
    counting.finish(Some(&troubled()))
}

#[test]
fn a_month_is_told_to_those_who_pay() {
    insta::assert_snapshot!(counted().to_text());
}

#[test]
fn figures_are_those_of_the_period() {
    let summary = counted();
    assert_eq!((summary.kept.verified, summary.kept.unverified), (1, 1));
    assert_eq!(summary.kept.least_left, Some(Span::from_days(1)));
    // One day, and 28 days less an hour.
    assert_eq!(summary.kept.median_left, Some(Span::from_minutes((29 * 24 * 60 - 60) / 2)));
    assert_eq!(summary.asks.opened, 2, "the same question is counted once");
    assert_eq!(summary.refusals.len(), 1, "two requests, one reason");
    assert_eq!(summary.refusals[0].count, 2);
    assert_eq!(summary.seats_missing, BTreeMap::from([("SPE_E3".to_owned(), 3), ("SPE_E5".to_owned(), 2)]));
    assert_eq!(summary.policies.len(), 1, "a start under the same policy is no change");
    assert_eq!((summary.lost.warned, summary.lost.unwarned, summary.healed_by_others), (0, 1, 1));
}
