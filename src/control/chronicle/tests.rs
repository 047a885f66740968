//! A month of one mailbox, written by the real journal and read by a stranger.

use super::*;
use crate::model::{Cause, DriftKind, Problem, ProblemKind, Reason, Span, UserId};
use crate::report::sample::{NOW, assign};
use crate::store::journal::{Journal, MemoryLog};

fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

/// A month of one mailbox and of mailkeeper itself, written by the real journal.
fn month() -> Vec<(i64, Entry)> {
    let anna = user(1);
    let upn = || "anna.berg@contoso.com".to_owned();
    let step_id = || "5d9b1f3a70c6".to_owned();
    vec![
        (0, Entry::Started { version: "0.1.0".to_owned() }),
        (
            0,
            Entry::PolicyLoaded {
                digest: "5f2b1c9e8a7d6f30".repeat(4),
                revision: Some("9c41e07d2b8a55".repeat(3)),
            },
        ),
        (
            10,
            Entry::ClockStarted {
                user: anna,
                upn: upn(),
                kind: DriftKind::Unlicensed,
                earliest: Some(NOW),
                latest: NOW + Span::from_minutes(10),
                deadline: Some(NOW + Span::from_days(30)),
                cause: Some(Cause::GroupLicenseRemoved),
                memory: None,
            },
        ),
        (10, Entry::SeatsMissing { part_number: "SPE_E3".to_owned(), missing: 1 }),
        (20, Entry::SeatsMissing { part_number: "SPE_E3".to_owned(), missing: 0 }),
        (
            20,
            Entry::Asked {
                ask: "1f9f0c9b2e01".to_owned(),
                reason: Reason::Ask,
                question: "anna.berg@contoso.com: the rule says ask".to_owned(),
                mailboxes: 1,
                act_by: None,
                users: [anna].into(),
            },
        ),
        (
            30,
            Entry::Approved {
                ask: "1f9f0c9b2e01".to_owned(),
                by: "carl (uid 1000)".to_owned(),
                digest: "c0ffee".repeat(10),
                users: [anna].into(),
            },
        ),
        (
            40,
            Entry::Intent {
                step_id: step_id(),
                user: anna,
                upn: upn(),
                action: assign(),
                drift: DriftKind::Unlicensed,
                rule: "executives".to_owned(),
                policy_digest: "p".to_owned(),
                plan_digest: "q".to_owned(),
                expected_mailbox: None,
            },
        ),
        (
            41,
            Entry::Outcome {
                step_id: step_id(),
                user: anna,
                kind: OutcomeKind::Accepted,
                detail: "200".to_owned(),
                request_id: None,
            },
        ),
        (
            50,
            Entry::Verdict {
                user: anna,
                step_id: Some(step_id()),
                verdict: Verdict::Verified,
                detail: String::new(),
            },
        ),
        (50, Entry::ClockStopped { user: anna, reason: "repaired".to_owned() }),
        (
            60,
            Entry::ObservationRejected {
                problems: vec![Problem { kind: ProblemKind::Refused, detail: "users: 403\nno".to_owned() }],
            },
        ),
        (
            70,
            Entry::Held {
                by: "carl (uid 1000)".to_owned(),
                reason: Some("migration".to_owned()),
                until: Some(NOW + Span::from_hours(5)),
            },
        ),
        (80, Entry::Resumed { by: "carl (uid 1000)".to_owned() }),
        (90, Entry::Lost { user: user(6), upn: "frida@contoso.com".to_owned(), warned: true }),
        (
            95,
            Entry::Restored {
                backup: "contoso-2026-11-22.ndjson".to_owned(),
                made_at: NOW - Span::from_days(1),
            },
        ),
        (99, Entry::Stopped),
    ]
}

#[test]
fn a_stranger_can_read_the_history() {
    let journal =
        Journal::open(Box::new(MemoryLog::new()), crate::model::TenantId::from_u128(1)).expect("opens").0;
    for (minutes, entry) in month() {
        journal.append(&entry, NOW + Span::from_minutes(minutes)).expect("recorded");
    }
    let mut lines = journal.history(None, 100).expect("readable");
    lines.reverse();
    let names = Names::from([(user(1), "anna.berg@contoso.com".to_owned())]);
    insta::assert_snapshot!(text(&lines, &names));
}

#[test]
fn an_entry_of_a_newer_version_is_named() {
    let entry = Recorded::Unknown(serde_json::json!({"event": "mailbox_moved"}));
    let line = Line {
        seq: 1,
        batch: 1,
        at: NOW,
        tenant: crate::model::TenantId::from_u128(1),
        prev: String::new(),
        entry,
        hash: String::new(),
    };
    assert_eq!(what(&line), "mailbox moved, recorded by a newer version");
    assert_eq!(subject(&line.entry, &Names::new()), "mailkeeper");
}
