//! What is exported can be imported, and what is damaged cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor as Bytes;
use std::sync::Arc;

use super::*;
use crate::model::{Answer, Catalog, DriftKind, ObservationKind, Reason, Released, UserId};
use crate::store::memory::MemoryKv;
use crate::store::records::{NAMES, ReleasedUsers};
use crate::store::samples::{TENANT, full, id, known};

const AT: Timestamp = Timestamp::from_secs(1_795_000_000);

fn empty() -> TenantStore {
    TenantStore::new(Arc::new(MemoryKv::new()), TENANT)
}

/// A store with every kind of record.
fn filled() -> TenantStore {
    let store = empty();
    let cursor =
        Cursor { last_complete: Some(AT), delta_link: Some("https://x".into()), ..Cursor::default() };
    store.put(&cursor).expect("written");
    store.put(&Seats { catalog: Catalog::default(), read_at: AT }).expect("written");
    store.put(&Plan { made_at: AT, ..Plan::default() }).expect("written");
    let observation = Observation {
        kind: ObservationKind::Full,
        started: AT,
        finished: AT,
        live_users: 1,
        deleted_users: 2,
        problems: Vec::new(),
    };
    store.put(&observation).expect("written");
    let summary = serde_json::json!({"steps": [1.5]});
    store.put(&LastPass { started: AT, finished: AT, outcome: "done".into(), summary }).expect("written");
    store.put(&Hold { since: AT, until: None, reason: None, by: "uid 0".into() }).expect("written");
    let answer = Answer {
        granted: true,
        at: AT,
        by: "uid 0".into(),
        digest: "d".into(),
        reason: Reason::Ask,
        users: BTreeSet::from([UserId::from_u128(7)]),
    };
    let denial = Answer { granted: false, ..answer.clone() };
    let answers = BTreeMap::from([("ask".into(), answer), ("denied".into(), denial)]);
    store.put(&Approvals(answers)).expect("written");
    store.put(&Tally { kept: 4, ..Tally::default() }).expect("written");
    let sources = vec![("policy.yaml".into(), "version: 1".into())];
    store.put(&AcceptedPolicy { digest: "d".into(), revision: None, sources }).expect("written");
    let released = Released { rule: "sales".into(), at: AT, is_over: false };
    store.put(&ReleasedUsers(BTreeMap::from([(UserId::from_u128(8), released)]))).expect("written");
    store.put_ledger(id(7), &LedgerEntry::opened(DriftKind::Deleted, AT)).expect("written");
    store.put_users((0..5000).map(|number| known(number, 0)).chain([full(9000)])).expect("written");
    store
}

fn exported(store: &TenantStore) -> Vec<u8> {
    let mut bytes = Vec::new();
    export(store, AT, Some(Head::default()), &mut bytes).expect("exported");
    bytes
}

#[test]
fn what_was_exported_is_imported() {
    let bytes = exported(&filled());
    let store = empty();
    store.put_users([known(123_456, 0)]).expect("written");
    let (header, counts) = import(&store, &mut Bytes::new(&bytes)).expect("imported");
    assert_eq!((header.made_at, header.journal_head), (AT, Some(Head::default())));
    // All but the recycle bin, the small and licensing groups, the subscriptions, the traces and the new names: after
    // an import everything is read anew. How far the records have the journal stands in the header, and what of them is
    // in the journal is compared.
    assert_eq!(counts, Counts { users: 5001, ledger: 1, records: NAMES.len() as u64 - 8 });

    let expected = filled();
    let mut answers = expected.get_or_default::<Approvals>().expect("readable");
    answers.0.retain(|ask, _| ask == "denied");
    assert_eq!(answers.0.len(), 1);
    expected.put(&answers).expect("written");
    let cursor = Cursor { last_complete: Some(AT), ..Cursor::default() };
    expected.put(&cursor).expect("written");
    // A backup of before it was recorded has the journal up to the line that it names.
    expected.put(&Reflected(Head::default())).expect("written");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    assert_eq!(
        text(exported(&store)),
        text(exported(&expected)),
        "all but what was approved, and delta link"
    );
}

#[test]
fn a_damaged_backup_is_refused_and_changes_nothing() {
    let small = empty();
    small.put_users([known(1, 0), full(2)]).expect("written");
    small.put_ledger(id(1), &LedgerEntry::opened(DriftKind::Gone, AT)).expect("written");
    let bytes = exported(&small);
    let store = empty();
    store.put_users([known(5, 5)]).expect("written");
    let refuse = |bytes: Vec<u8>, what: String| {
        let refused = import(&store, &mut Bytes::new(bytes));
        assert!(matches!(refused, Err(Error::Backup(_) | Error::Failed { .. })), "{what}: {refused:?}");
        assert_eq!(store.user(id(5)), Ok(Some(known(5, 5))), "{what}");
    };
    for end in 0..bytes.len() {
        refuse(bytes[..end].to_vec(), format!("cut at {end}"));
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 7);
        refuse(flipped, format!("flipped at {at}"));
    }
    refuse([bytes.clone(), b"{}\n".to_vec()].concat(), "longer".into());
    refuse([bytes.clone(), bytes].concat(), "twice".into());
}

#[test]
fn another_tenant_and_a_newer_version_are_refused() {
    let bytes = exported(&filled());
    let other = TenantStore::new(Arc::new(MemoryKv::new()), TenantId::from_u128(1));
    let Err(Error::Backup(reason)) = import(&other, &mut Bytes::new(&bytes)) else { panic!("not noticed") };
    assert!(reason.contains("belongs to tenant"), "{reason}");
    let newer = String::from_utf8(bytes).expect("text").replacen("\"version\":1", "\"version\":2", 1);
    let Err(Error::Backup(reason)) = import(&empty(), &mut Bytes::new(newer)) else { panic!("not noticed") };
    assert!(reason.contains("version is 2"), "{reason}");
}

#[test]
fn a_record_that_cannot_be_read_stops_the_export() {
    let kv = MemoryKv::new();
    let store = TenantStore::new(Arc::new(kv.clone()), TENANT);
    store.put(&Tally::default()).expect("written");
    assert!(kv.damage(&store.keys.record(Tally::NAME), |bytes| bytes[0] = 9));
    let stopped = export(&store, AT, None, &mut Vec::new());
    assert!(matches!(stopped, Err(Error::Corrupt { .. })), "{stopped:?}");
}
