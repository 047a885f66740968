//! The store that the simulation crashes: what survives, and what a failure leaves.

use proptest::prelude::*;

use super::*;
use crate::store::Error;

fn put(kv: &MemoryKv, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(key.to_vec(), value.to_vec()).expect("room");
    kv.apply(batch).expect("applied");
}

#[test]
fn a_crash_loses_what_was_not_flushed_from_the_end() {
    let kv = MemoryKv::new();
    put(&kv, b"a", b"1");
    kv.flush().expect("flushed");
    put(&kv, b"a", b"2");
    put(&kv, b"b", b"3");
    assert_eq!(kv.unflushed(), 2);
    kv.crash(1);
    assert_eq!(kv.get(b"a"), Ok(Some(b"2".to_vec())));
    assert_eq!(kv.get(b"b"), Ok(None));
}

#[test]
fn after_one_failure_everything_fails_until_reopened() {
    let kv = MemoryKv::new();
    put(&kv, b"a", b"1");
    kv.fail_after(1);
    assert!(kv.get(b"a").is_ok());
    assert!(matches!(kv.flush(), Err(Error::Failed { operation: Operation::Flush, .. })));
    assert!(matches!(kv.get(b"a"), Err(Error::Poisoned { .. })));
    assert!(matches!(kv.apply(Batch::new()), Err(Error::Poisoned { .. })));
    assert!(matches!(kv.scan(b"", None, 1), Err(Error::Poisoned { .. })));
    assert!(matches!(kv.floor(b"", b"z"), Err(Error::Poisoned { .. })));
    kv.reopen();
    assert_eq!(kv.get(b"a"), Ok(Some(b"1".to_vec())));
}

#[test]
fn scans_stay_inside_their_prefix_and_behind_their_start() {
    let kv = MemoryKv::new();
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        put(&kv, key.as_bytes(), b"");
    }
    let keys = |after: Option<&[u8]>, limit| -> Vec<Vec<u8>> {
        kv.scan(b"b/", after, limit).expect("scanned").into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(None, 2), [b"b/1", b"b/2"]);
    assert_eq!(keys(Some(b"b/1"), 9), [b"b/2", b"b/3"]);
    assert_eq!(keys(Some(b"a"), 9).len(), 3);
    assert_eq!(keys(Some(b"b/3"), 9).len(), 0);
    assert_eq!(kv.floor(b"b/", b"b/25").expect("read").expect("found").0, b"b/2");
    assert_eq!(kv.floor(b"b/", b"b/0"), Ok(None));
}

proptest! {
    #[test]
    fn what_was_flushed_survives_every_crash(
        writes in prop::collection::vec((0_u8..8, any::<u8>(), any::<bool>()), 1..40),
        survivors in 0_usize..40,
    ) {
        let kv = MemoryKv::new();
        let mut history = vec![Map::new()];
        let mut flushed = 0;
        for (key, value, flush) in writes {
            put(&kv, &[key], &[value]);
            let mut state = history.last().expect("never empty").clone();
            state.insert(vec![key], vec![value]);
            history.push(state);
            if flush {
                kv.flush().expect("flushed");
                flushed = history.len() - 1;
            }
        }
        kv.crash(survivors);
        let after: Map = kv.scan(b"", None, 100).expect("scanned").into_iter().collect();
        prop_assert_eq!(&after, &history[(flushed + survivors).min(history.len() - 1)]);
    }
}
