//! Sightings on their way to the users: order and repetition.

use std::sync::Arc;

use super::*;
use crate::model::Timestamp;
use crate::store::memory::MemoryKv;
use crate::store::samples::{TENANT, id, user};

fn all(store: &TenantStore, staged: &Staged) -> Vec<Sighting> {
    let merge = store.sightings(staged).expect("readable");
    merge.map(|entry| entry.map(|(_, sighting)| sighting)).collect::<Result<_>>().expect("readable")
}

#[test]
fn the_last_push_counts_within_a_run_and_across_runs() {
    let deleted = |number| Sighting::Deleted { user: user(number, 2), since: Timestamp::from_secs(5) };
    for capacity in [1, 2, 100] {
        let store = TenantStore::new(Arc::new(MemoryKv::new()), TENANT);
        let mut stage = store.stage_with_capacity(capacity).expect("a stage");
        let pushes = [
            Sighting::Live(user(2, 1)),
            deleted(1),
            deleted(2),
            Sighting::Live(user(1, 3)),
            Sighting::Purged(id(3)),
        ];
        for sighting in pushes {
            stage.push(sighting).expect("pushed");
        }
        let staged = stage.finish().expect("finished");
        assert_eq!(staged.pushed, 5);
        assert_eq!(all(&store, &staged), [Sighting::Live(user(1, 3)), deleted(2), Sighting::Purged(id(3))]);
    }
}

#[test]
fn opening_a_stage_forgets_the_one_before() {
    let kv = MemoryKv::new();
    let store = TenantStore::new(Arc::new(kv.clone()), TENANT);
    let mut stage = store.stage_with_capacity(10).expect("a stage");
    for number in 0..1000 {
        stage.push(Sighting::Live(user(number, 0))).expect("pushed");
    }
    drop(stage);
    let staged = store.stage().expect("a stage").finish().expect("finished");
    assert_eq!(all(&store, &staged), []);
    store.clear_stage().expect("cleared");
    assert_eq!(kv_len(&kv), 0);
}

fn kv_len(kv: &MemoryKv) -> usize {
    use crate::store::kv::Kv;
    kv.scan(b"", None, 10_000).expect("scanned").len()
}
