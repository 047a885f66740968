//! The bytes of each kind of record, pinned: a change here is a change of every installed state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::{
    Action, Actor, ActorKind, Answer, Attempt, AuditEvent, CapabilityStatus, Catalog, DriftKind, GroupId,
    KnownUser, LedgerEntry, MailboxState, Observation, ObservationKind, OutcomeKind, Pending, Plan, Reason,
    Sighting, SkuId, Subscription, Timestamp,
};
use crate::store::Error;
use crate::store::records::{
    Approvals, Binned, Cursor, Hold, LastPass, Probing, RecycleBin, Seats, SmallGroups, Subscriptions, Tally,
    Trace, Traces, Trouble,
};
use crate::store::samples::{full, id, known, user};

const AT: Timestamp = Timestamp::from_secs(1_795_000_000);

fn check<T: Record + PartialEq + std::fmt::Debug>(record: &T, name: &str) {
    let bytes = encode(b"key", record).expect("encodes");
    let shown = match T::ENCODING {
        Encoding::Json => format!("{:02x} {}", bytes[0], String::from_utf8_lossy(&bytes[1..])),
        Encoding::Postcard => hex_lines(&bytes),
    };
    insta::assert_snapshot!(name, shown);
    assert_eq!(&decode::<T>(b"key", &bytes).expect("decodes"), record);
    for end in 0..bytes.len() {
        assert!(matches!(decode::<T>(b"key", &bytes[..end]), Err(Error::Corrupt { .. })), "cut at {end}");
    }
    let longer = [&bytes[..], b"!"].concat();
    assert!(matches!(decode::<T>(b"key", &longer), Err(Error::Corrupt { .. })), "one byte too many");
    let newer = [&[T::VERSION + 1], &bytes[1..]].concat();
    let Err(Error::Corrupt { reason, .. }) = decode::<T>(b"key", &newer) else { panic!("a newer format") };
    assert!(reason.contains("format 2 is not known"), "{reason}");
}

fn hex_lines(bytes: &[u8]) -> String {
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).map(hex).collect::<Vec<_>>().join("\n")
}

#[test]
fn known_users() {
    check(&vec![known(1, 0)], "known_users");
    check(&vec![full(0x0102_0304)], "known_users_full");
}

#[test]
fn sightings() {
    let deleted = Sighting::Deleted { user: user(2, 0), since: AT };
    check(&vec![Sighting::Live(user(1, 0)), deleted, Sighting::Purged(id(3))], "sightings");
}

#[test]
fn ledger() {
    let mut entry = LedgerEntry::opened(DriftKind::Deleted, AT);
    entry.attempts = vec![Attempt {
        at: AT,
        action: Action::PLAIN_RESTORE,
        outcome: Some(OutcomeKind::Accepted),
        detail: "204".into(),
    }];
    entry.pending = Some(Pending {
        step_id: "s1".into(),
        action: Action::AddToGroup { group: GroupId::from_u128(1) },
        sent: AT,
        is_uncertain: false,
        expected_mailbox: None,
    });
    check(&entry, "ledger");
}

#[test]
fn a_plain_restore_is_written_as_it_always_was() {
    let plain = r#"{"action":"restore"}"#;
    assert_eq!(serde_json::to_string(&Action::PLAIN_RESTORE).expect("writes"), plain);
    assert_eq!(serde_json::from_str::<Action>(plain).expect("reads"), Action::PLAIN_RESTORE);
    let new_upn = Some("anna-restored@contoso.com".to_owned());
    let more = Action::Restore(crate::model::RestoreOptions { new_upn, drops_taken_addresses: true });
    let text = serde_json::to_string(&more).expect("writes");
    assert_eq!(
        text,
        r#"{"action":"restore","new_upn":"anna-restored@contoso.com","drops_taken_addresses":true}"#
    );
    assert_eq!(serde_json::from_str::<Action>(&text).expect("reads"), more);
}

#[test]
fn cursor() {
    let cursor = Cursor {
        last_complete: Some(AT),
        last_full: Some(AT),
        live_users: 7,
        deleted_users: 1,
        delta_link: Some("https://graph.microsoft.com/v1.0/users/delta?$deltatoken=x".into()),
        policy_digest: Some("abc".into()),
        groups_read: BTreeSet::from([GroupId::from_u128(1)]),
        groups_read_at: Some(AT),
        recheck: BTreeSet::from([id(1)]),
        is_delta_missing: true,
        are_shards_refused: true,
        probes: Probing { is_behind: true, next_at: Some(AT), doubted_before: Some(AT) },
    };
    check(&cursor, "cursor");
}

#[test]
fn recycle_bin_and_small_groups() {
    let binned = Binned { digest: 3, addresses: BTreeSet::from([u64::MAX]) };
    let taken = BTreeSet::from([(id(2), id(1))]);
    let members = BTreeSet::from([id(1)]);
    check(&SmallGroups(BTreeMap::from([(GroupId::from_u128(1), members)])), "small_groups");
    check(&RecycleBin { users: BTreeMap::from([(id(1), binned)]), taken }, "recycle_bin");
}

#[test]
fn hold_approvals_and_tally() {
    check(&Hold { since: AT, until: None, reason: Some("audit".into()), by: "uid 1000".into() }, "hold");
    let answer = Answer {
        granted: true,
        at: AT,
        by: "uid 0".into(),
        digest: "d".into(),
        reason: Reason::Ask,
        users: BTreeSet::from([id(1)]),
    };
    check(&Approvals(BTreeMap::from([("ask-1".into(), answer)])), "approvals");
    let tally = Tally {
        kept: 2,
        by_state: BTreeMap::from([(MailboxState::Healthy, 1)]),
        left_alone: BTreeMap::from([(Reason::Protected, 3)]),
        unmatched: 4,
        ..Tally::default()
    };
    check(&tally, "tally");
}

#[test]
fn seats_plan_observation_and_last_pass() {
    check(&Seats { catalog: Catalog::default(), read_at: AT }, "seats");
    check(&sample_of_subscriptions(), "subscriptions");
    check(&sample_of_traces(), "traces");
    check(&Plan { made_at: AT, ..Plan::default() }, "plan");
    let observation = Observation {
        kind: ObservationKind::Full,
        started: AT,
        finished: AT,
        live_users: 1,
        deleted_users: 0,
        problems: Vec::new(),
    };
    check(&observation, "observation");
    let pass = LastPass {
        started: AT,
        finished: AT,
        outcome: "done".into(),
        summary: serde_json::json!({"steps": 1}),
    };
    check(&pass, "last_pass");
}

fn sample_of_subscriptions() -> Subscriptions {
    let subscription = Subscription {
        sku: SkuId::from_u128(3),
        part_number: "SPE_E3".into(),
        status: CapabilityStatus::Other("Paused".into()),
        seats: 25,
        is_trial: true,
        next: Some(AT),
    };
    let failure = Some("no answer in 20 s".into());
    Subscriptions { list: vec![subscription], read_at: Some(AT), asked_at: Some(AT), failure }
}

fn sample_of_traces() -> Traces {
    let actor = Actor { kind: ActorKind::User, name: "admin@contoso.com".into() };
    let activity = AuditEvent::CHANGE_LICENSE.to_owned();
    let event = AuditEvent { at: AT, activity, by: Some(actor), removed: vec!["SPE_E3".into()] };
    let trouble = Trouble { lost: Some((Some(AT), AT)), deleted: None };
    let trace = Trace { trouble, asked: 1, next: Some(AT), events: vec![event] };
    Traces { users: BTreeMap::from([(id(1), trace)]), is_plain: true, failure: None, next_try: Some(AT) }
}

/// Written before the subscriptions were known.
#[test]
fn older_seats_and_tallies_are_read() {
    let seats: Seats =
        decode(b"key", b"\x01{\"catalog\":{\"skus\":{}},\"read_at\":\"2026-11-18T10:26:40Z\"}")
            .expect("read");
    assert_eq!(seats.catalog.subscriptions(), None);
    let tally: Tally = decode(b"key", b"\x01{\"policy_digest\":\"\",\"kept\":2}").expect("read");
    assert_eq!((tally.kept, tally.resting.len()), (2, 0));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Vec<Sighting>>(b"key", &bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = decode::<Vec<KnownUser>>(b"key", &bytes);
        let _ = decode::<Vec<Sighting>>(b"key", &bytes);
        let _ = decode::<LedgerEntry>(b"key", &bytes);
    }

    #[test]
    fn a_flipped_bit_never_panics(at in 0_usize..400, bit in 0_u8..8) {
        let mut bytes = encode(b"key", &vec![full(1), full(2)]).expect("encodes");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let _ = decode::<Vec<KnownUser>>(b"key", &bytes);
    }
}
