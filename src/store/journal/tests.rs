//! The journal over a log in memory and over files: format, chain, crashes, faults.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::model::{Action, DriftKind, MailboxKind, OutcomeKind, RecordedMailbox};
use crate::store::samples::{TENANT, id};

const AT: Timestamp = Timestamp::from_secs(1_795_000_000);

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_secs(AT.as_millis() / 1000 + 60 * minutes)
}

fn intent(step: &str, user: u128) -> Entry {
    Entry::Intent {
        step_id: step.into(),
        user: id(user),
        upn: format!("user{user}@contoso.com"),
        action: Action::PLAIN_RESTORE,
        drift: DriftKind::Deleted,
        rule: "staff".into(),
        policy_digest: "p".into(),
        plan_digest: "q".into(),
        expected_mailbox: None,
    }
}

fn outcome(step: &str, user: u128) -> Entry {
    Entry::Outcome {
        step_id: step.into(),
        user: id(user),
        kind: OutcomeKind::Accepted,
        detail: "a line break\nand \"quotes\" and {\"seq\":1".into(),
        request_id: None,
    }
}

fn mailbox(number: u128, kind: Option<MailboxKind>) -> RecordedMailbox {
    let switched_off = crate::store::samples::full(number).user.licenses.unwrap_or_default();
    RecordedMailbox { user: id(number), primary_id: format!("MBX:{number}@t"), kind, switched_off }
}

fn open(log: &MemoryLog) -> Result<(Journal, Recovery)> {
    Journal::open(Box::new(log.clone()), TENANT)
}

fn opened(log: &MemoryLog) -> Journal {
    open(log).expect("opens").0
}

/// Three appends: one entry, two entries, one entry.
fn written() -> (MemoryLog, Vec<u8>) {
    let log = MemoryLog::new();
    let journal = opened(&log);
    journal.append(&Entry::Started { version: "1".into() }, AT).expect("recorded");
    journal.append_all(&[intent("s1", 1), intent("s2", 2)], at(1)).expect("recorded");
    journal.append(&outcome("s1", 1), at(2)).expect("recorded");
    let bytes = log.bytes();
    (log, bytes)
}

fn with_bytes(bytes: &[u8]) -> MemoryLog {
    let log = MemoryLog::new();
    drop(opened(&log));
    log.damage(1, |content| *content = bytes.to_vec());
    log
}

/// Where each line ends, line break included.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

#[test]
fn the_format_of_a_line_is_pinned() {
    let (_, bytes) = written();
    insta::assert_snapshot!("lines", String::from_utf8(bytes).expect("text"));
}

#[test]
fn every_kind_of_entry_is_read_back() {
    let user = id(1);
    let entries = [
        intent("s", 1),
        outcome("s", 1),
        Entry::Verdict {
            user,
            step_id: None,
            verdict: crate::model::Verdict::Verified,
            detail: String::new(),
        },
        Entry::ClockStarted {
            user,
            upn: "a@b".into(),
            kind: DriftKind::Unlicensed,
            earliest: None,
            latest: AT,
            deadline: Some(at(9)),
            cause: Some(crate::model::Cause::LicenseRemoved),
            memory: Some(Box::new(crate::store::samples::full(1).memory())),
        },
        Entry::ClockStopped { user, reason: "healthy".into() },
        Entry::MailboxRecorded { user, primary_id: "MBX:1@t".into() },
        Entry::MailboxesRecorded { mailboxes: vec![mailbox(1, None), mailbox(2, Some(MailboxKind::Shared))] },
        Entry::Lost { user, upn: "a@b".into(), warned: true },
        Entry::Held { by: "uid 0".into(), reason: None, until: Some(AT) },
        Entry::Resumed { by: "uid 0".into() },
        Entry::Approved { ask: "a".into(), by: "uid 0".into(), digest: "d".into(), users: [user].into() },
        Entry::ApprovalRefused { ask: "a".into(), by: "uid 0".into(), reason: "r".into() },
        Entry::Denied {
            ask: "a".into(),
            by: "uid 0".into(),
            digest: "d".into(),
            reason: Some(crate::model::Reason::MassEvent),
            users: [user].into(),
        },
        Entry::PolicyLoaded { digest: "d".into(), revision: None },
        Entry::ObservationRejected { problems: Vec::new() },
        Entry::Asked {
            ask: "a".into(),
            reason: crate::model::Reason::Ask,
            question: "?".into(),
            mailboxes: 1,
            act_by: None,
            users: [user].into(),
        },
        Entry::SeatsMissing { part_number: "SPE_E3".into(), missing: 2 },
        Entry::Restored { backup: "b.ndjson".into(), made_at: AT },
        Entry::Recalled { after: 3, mailboxes: 2, clocks: 1, ledgers: 0 },
        Entry::Started { version: "1".into() },
        Entry::Stopped,
    ];
    let log = MemoryLog::new();
    opened(&log).append_all(&entries, AT).expect("recorded");
    let mut read = Vec::new();
    let verification = opened(&log)
        .for_each(|line| read.push(line.entry.known().expect("known").clone()))
        .expect("readable");
    assert_eq!(read, entries);
    assert_eq!((verification.entries, verification.first_seq, verification.first_bad), (21, Some(1), None));
}

#[test]
fn a_crash_at_any_byte_of_the_last_append_keeps_what_was_acknowledged() {
    for entries in [vec![outcome("s2", 2)], vec![outcome("s2", 2), intent("s3", 3), outcome("s3", 3)]] {
        let (_, before) = written();
        let full = {
            let log = with_bytes(&before);
            opened(&log).append_all(&entries, at(3)).expect("recorded");
            log.bytes()
        };
        let ends = line_ends(&full);
        for end in before.len()..=full.len() {
            let log = with_bytes(&full[..end]);
            let (journal, recovery) = open(&log).expect("opens");
            let whole = ends.iter().filter(|line_end| **line_end <= end).count() as u64;
            assert_eq!(recovery.entries, whole, "cut at {end}");
            assert_eq!(recovery.torn.is_some(), !ends.contains(&end), "cut at {end}");
            let cut: Vec<u8> = [log.bytes(), log.aside().concat()].concat();
            assert_eq!(cut, &full[..end], "nothing is thrown away");
            assert_eq!(journal.append(&Entry::Stopped, at(4)).expect("recorded"), whole + 1);
            assert_eq!(journal.verify().expect("readable").first_bad, None);
            assert_eq!(open(&log).expect("opens").1, Recovery { entries: whole + 1, torn: None });
        }
    }
}

#[test]
fn lost_pages_inside_the_last_append_are_a_crash_too() {
    let (_, mut bytes) = written();
    let ends = line_ends(&bytes);
    bytes.truncate(ends[2]);
    bytes[ends[0] + 5..ends[0] + 90].fill(0);
    let (journal, recovery) = open(&with_bytes(&bytes)).expect("opens");
    assert_eq!(recovery.entries, 1);
    assert_eq!(recovery.torn.expect("cut off").bytes, (ends[2] - ends[0]) as u64);
    assert_eq!(journal.head().seq, 1);
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let (_, bytes) = written();
    let ends = line_ends(&bytes);
    let last_append = ends[2];
    for at in 0..bytes.len() {
        // Bit 5 turns letter case, the hardest one to notice in hex.
        for bit in [5, at % 8] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match open(&with_bytes(&flipped)) {
                Err(JournalError::Broken(_)) => {}
                Ok((_, recovery)) => {
                    assert!(at >= last_append, "an acknowledged line was cut off: byte {at} bit {bit}");
                    assert!(recovery.torn.is_some(), "byte {at} bit {bit}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_removed_line_a_foreign_tenant_and_a_missing_segment_are_breaks() {
    let (_, bytes) = written();
    let ends = line_ends(&bytes);
    let shorter = [&bytes[..ends[0]], &bytes[ends[1]..]].concat();
    let Err(JournalError::Broken(bad)) = open(&with_bytes(&shorter)) else { panic!("not noticed") };
    assert_eq!((bad.segment, bad.offset), (1, ends[0] as u64));
    assert_eq!(bad.reason, "line 3 does not follow line 1");

    let log = with_bytes(&bytes[..ends[0]]);
    let foreign = Journal::open(Box::new(log.clone()), TenantId::from_u128(5)).map(drop);
    assert!(matches!(foreign, Err(JournalError::Broken(bad)) if bad.reason.contains("belongs to tenant")));
    assert_eq!(log.bytes(), &bytes[..ends[0]], "nothing was changed");
}

#[test]
fn segments_continue_the_chain() {
    let log = MemoryLog::new();
    let journal = Journal::open_with_segments_of(Box::new(log.clone()), TENANT, 600).expect("opens").0;
    for number in 0..10 {
        journal.append(&intent(&format!("s{number}"), number), at(1)).expect("recorded");
    }
    assert_eq!(log.segments().expect("listed"), [1, 2, 3, 4, 5]);
    let whole = journal.verify().expect("readable");
    assert_eq!((whole.entries, whole.first_bad), (10, None));
    let newest: Vec<u64> = journal.history(None, 5).expect("readable").iter().map(|line| line.seq).collect();
    assert_eq!(newest, [10, 9, 8, 7, 6]);
    let of_user = journal.history(Some(id(3)), 5).expect("readable");
    assert_eq!(of_user.iter().map(|line| line.seq).collect::<Vec<_>>(), [4]);

    log.remove(1);
    let archived = opened(&log).verify().expect("readable");
    assert_eq!((archived.first_seq, archived.first_bad), (Some(3), None));
    log.remove(3);
    assert!(matches!(open(&log), Err(JournalError::Broken(bad)) if bad.reason.contains("missing")));
}

#[test]
fn damage_in_an_older_segment_is_found_at_once() {
    let log = MemoryLog::new();
    let journal = Journal::open_with_segments_of(Box::new(log.clone()), TENANT, 1).expect("opens").0;
    for number in 0..3 {
        journal.append(&intent("s", number), at(1)).expect("recorded");
    }
    log.damage(2, |bytes| bytes[30] ^= 1);
    let bad = journal.verify().expect("readable").first_bad.expect("noticed");
    assert_eq!((bad.segment, bad.offset), (2, 0));
    assert!(matches!(open(&log), Err(JournalError::Broken(bad)) if bad.segment == 2));
}

#[test]
fn a_failed_append_poisons_until_repaired() {
    for calls in 0..2 {
        let (log, bytes) = written();
        let journal = opened(&log);
        log.fail_after(calls);
        assert!(matches!(journal.append(&intent("s9", 9), at(3)), Err(JournalError::Io { .. })));
        log.heal();
        assert!(matches!(journal.append(&Entry::Stopped, at(3)), Err(JournalError::Poisoned { .. })));
        assert_eq!(journal.head().seq, 4);
        assert_eq!(journal.intents_since(AT), 2, "what was not acknowledged is not recalled");
        journal.repair().expect("repaired");
        assert_eq!(log.bytes(), bytes);
        assert_eq!(journal.append(&Entry::Stopped, at(3)).expect("recorded"), 5);
        assert_eq!(open(&log).expect("opens").1.torn, None);
    }
}

#[test]
fn a_repair_that_fails_changes_nothing() {
    let (log, _) = written();
    let journal = opened(&log);
    log.fail_after(0);
    assert!(journal.append(&Entry::Stopped, AT).is_err());
    assert!(matches!(journal.repair(), Err(JournalError::Io { .. })));
    assert!(matches!(journal.append(&Entry::Stopped, AT), Err(JournalError::Poisoned { .. })));
}

#[test]
fn a_failure_while_a_segment_is_made_is_repaired() {
    let log = MemoryLog::new();
    let journal = Journal::open_with_segments_of(Box::new(log.clone()), TENANT, 1).expect("opens").0;
    journal.append(&intent("s", 1), AT).expect("recorded");
    for calls in 0..3 {
        log.fail_after(calls);
        assert!(journal.append(&intent("t", 2), AT).is_err());
        log.heal();
        journal.repair().expect("repaired");
        let seq = journal.head().seq;
        assert_eq!(journal.append(&intent("t", 2), AT).expect("recorded"), seq + 1);
        assert_eq!(journal.verify().expect("readable").entries, seq + 1);
    }
    assert_eq!(open(&log).expect("opens").1, Recovery { entries: 4, torn: None });
}

#[test]
fn open_intents_survive_any_number_of_restarts_until_they_are_closed() {
    let (log, _) = written();
    for _ in 0..3 {
        let journal = opened(&log);
        let open = journal.open_intents();
        assert_eq!(open.iter().map(|intent| intent.step_id.as_str()).collect::<Vec<_>>(), ["s2"]);
        journal.append(&Entry::Started { version: "1".into() }, at(5)).expect("recorded");
    }
    let journal = opened(&log);
    journal.append(&outcome("s2", 2), at(6)).expect("recorded");
    assert_eq!(journal.open_intents(), []);
    assert_eq!(opened(&log).open_intents(), []);
}

#[test]
fn intents_are_counted_across_restarts() {
    let (log, _) = written();
    let journal = opened(&log);
    journal.append(&intent("s3", 3), at(10)).expect("recorded");
    for journal in [journal, opened(&log)] {
        assert_eq!(journal.intents_since(AT), 3);
        assert_eq!(journal.intents_since(at(2)), 1);
        assert_eq!(journal.intents_since(at(11)), 0);
    }
}

#[test]
fn an_entry_of_a_newer_version_is_kept_and_counted() {
    let (log, _) = written();
    let journal = opened(&log);
    let mut line = Line::next(&journal.head(), 5, at(3), TENANT, intent("s8", 8));
    line.entry = Recorded::Unknown(serde_json::json!({"event": "intent", "user": id(8), "reshaped": true}));
    let text = String::from_utf8(line.to_bytes()).expect("text");
    let body = text.split(",\"hash\"").next().expect("a body");
    let hash = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(body.as_bytes()));
    log.damage(1, |bytes| bytes.extend(format!("{body},\"hash\":\"{hash}\"}}\n").into_bytes()));
    let (journal, recovery) = open(&log).expect("opens");
    assert_eq!(recovery, Recovery { entries: 5, torn: None });
    assert_eq!(journal.intents_since(AT), 3);
    assert_eq!(journal.history(Some(id(8)), 1).expect("readable")[0].seq, 5);
}

#[test]
fn large_appends_are_split_and_too_large_entries_refused() {
    let log = MemoryLog::new();
    let journal = opened(&log);
    let large = |bytes: usize| Entry::ClockStopped { user: id(1), reason: "x".repeat(bytes) };
    assert_eq!(journal.append_all(&vec![large(300_000); 10], AT).expect("recorded"), 10);
    assert_eq!(journal.verify().expect("readable").entries, 10);
    let batches: std::collections::BTreeSet<u64> =
        journal.history(None, 10).expect("readable").iter().map(|line| line.batch).collect();
    assert_eq!(batches.len(), 4);
    assert!(matches!(journal.append(&large(APPEND_BYTES), AT), Err(JournalError::TooLarge { .. })));
    journal.append(&Entry::Stopped, AT).expect("still usable");
}

fn file_journal(directory: &Path) -> (Journal, Recovery) {
    let log = FileLog::open(directory).expect("a directory");
    Journal::open_with_segments_of(Box::new(log), TENANT, 700).expect("opens")
}

#[test]
fn files_hold_the_journal_for_the_owner_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tenant/journal");
    let (journal, _) = file_journal(&path);
    for number in 0..5 {
        journal.append(&intent("s", number), AT).expect("recorded");
    }
    let head = journal.head();
    drop(journal);
    let (journal, recovery) = file_journal(&path);
    assert_eq!(recovery, Recovery { entries: 5, torn: None });
    assert_eq!(journal.head(), head);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("journal-00000001.ndjson")), 0o600);
    assert!(path.join("journal-00000002.ndjson").exists());
}

#[test]
fn a_torn_file_is_cut_and_its_end_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let (journal, _) = file_journal(directory.path());
    journal.append(&intent("s", 1), AT).expect("recorded");
    drop(journal);
    let file = directory.path().join("journal-00000001.ndjson");
    let good = std::fs::read(&file).expect("there");
    for number in 1..3 {
        std::fs::write(&file, [&good[..], b"{\"seq\":2,\"ba"].concat()).expect("written");
        let (_, recovery) = file_journal(directory.path());
        let torn = recovery.torn.expect("cut off");
        assert_eq!((torn.bytes, torn.kept_as), (12, format!("journal.torn-{number}")));
        assert_eq!(std::fs::read(&file).expect("there"), good);
        let kept = directory.path().join(format!("journal.torn-{number}"));
        assert_eq!(std::fs::read(kept).expect("there"), b"{\"seq\":2,\"ba");
    }
}

#[test]
fn entries_from_before_they_could_be_replayed_are_still_read() {
    let user = id(1);
    let texts = [
        format!(
            r#"{{"event":"intent","step_id":"s","user":"{user}","upn":"a@b","action":{{"action":"restore"}},"drift":"deleted","rule":"r","policy_digest":"p","plan_digest":"q"}}"#
        ),
        format!(
            r#"{{"event":"clock_started","user":"{user}","upn":"a@b","kind":"unlicensed","earliest":null,"latest":"2026-11-20T00:00:00Z","deadline":null}}"#
        ),
        r#"{"event":"denied","ask":"a","by":"uid 0","digest":"d"}"#.to_owned(),
    ];
    for text in texts {
        let read: Recorded = serde_json::from_str(&text).expect("readable");
        assert!(read.known().is_some(), "{text}");
        assert_eq!(serde_json::to_string(&read).expect("writable"), text, "what is absent stays absent");
    }
}

#[test]
fn the_history_of_a_user_has_the_line_that_names_many() {
    let journal = opened(&MemoryLog::new());
    let many = Entry::MailboxesRecorded { mailboxes: vec![mailbox(1, None), mailbox(2, None)] };
    journal.append_all(&[many, intent("s", 3)], AT).expect("recorded");
    let lines = |user| journal.history(Some(id(user)), 9).expect("readable").len();
    assert_eq!([lines(1), lines(2), lines(3), lines(4)], [1, 1, 1, 0]);
}
