//! The seam in memory, for simulation and tests: what is staged and what is durable stand apart, a crash drops the
//! difference or keeps a part of it, failures can be ordered. Stops after a failure as sled does. No randomness of its
//! own: the caller chooses what survives.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kv::{Batch, Entry, Kv, Write};
use super::poison::Poison;
use super::{Cause, Operation, Result};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// An engine in memory. Clones share their content, as two handles of one disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryKv {
    disk: Arc<Mutex<Disk>>,
    poison: Arc<Poison>,
}

#[derive(Debug, Default)]
struct Disk {
    /// What reads see.
    staged: Map,
    /// What a crash leaves for certain.
    durable: Map,
    /// What was applied since the last flush, in order.
    unflushed: Vec<Batch>,
    /// Calls until the next failure; the call that finds zero fails.
    fails_after: Option<u64>,
    applied: u64,
}

impl MemoryKv {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the process die: of the batches since the last flush the first `survivors` are kept, as a log that was
    /// written in order keeps them. The engine is open again afterwards.
    pub fn crash(&self, survivors: usize) {
        let mut disk = self.disk();
        let lost = std::mem::take(&mut disk.unflushed);
        for batch in lost.into_iter().take(survivors) {
            write(&mut disk.durable, batch);
        }
        disk.staged = disk.durable.clone();
        disk.fails_after = None;
        self.poison.clear();
    }

    /// Batches that a crash may lose: the bound for the choice of survivors.
    pub fn unflushed(&self) -> usize {
        self.disk().unflushed.len()
    }

    /// Batches applied so far.
    pub fn applied(&self) -> u64 {
        self.disk().applied
    }

    /// After `calls` more calls of any kind one fails, and with it, as on sled, every later one until
    /// [`MemoryKv::reopen`].
    pub fn fail_after(&self, calls: u64) {
        self.disk().fails_after = Some(calls);
    }

    /// Opens again after a failure. What was applied before it is still there.
    pub fn reopen(&self) {
        self.disk().fails_after = None;
        self.poison.clear();
    }

    /// Changes the bytes of one record behind everybody's back. False when there is no such key.
    pub fn damage(&self, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut disk = self.disk();
        let Some(value) = disk.staged.get_mut(key) else { return false };
        change(value);
        let value = value.clone();
        disk.durable.insert(key.to_vec(), value);
        true
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(&self, operation: Operation, key: &[u8], work: impl FnOnce(&mut Disk) -> T) -> Result<T> {
        self.poison.check()?;
        let mut disk = self.disk();
        match disk.fails_after.as_mut() {
            Some(0) => Err(self.poison.note(operation, key, Cause::new("an injected failure"))),
            Some(calls) => {
                *calls -= 1;
                Ok(work(&mut disk))
            }
            None => Ok(work(&mut disk)),
        }
    }
}

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.call(Operation::Read, key, |disk| disk.staged.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        self.call(Operation::Scan, prefix, |disk| {
            let entries = disk.staged.range::<[u8], _>((start, Bound::Unbounded));
            entries
                .take_while(|(key, _)| key.starts_with(prefix))
                .take(limit)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        })
    }

    fn floor(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Entry>> {
        self.call(Operation::Scan, key, |disk| {
            let entry = disk.staged.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
            entry.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.clone()))
        })
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let key = batch.writes().first().map(|write| write.key().to_vec()).unwrap_or_default();
        self.call(Operation::Write, &key, |disk| {
            disk.applied += 1;
            write(&mut disk.staged, batch.clone());
            disk.unflushed.push(batch);
        })
    }

    fn flush(&self) -> Result<()> {
        self.call(Operation::Flush, b"", |disk| {
            for batch in std::mem::take(&mut disk.unflushed) {
                write(&mut disk.durable, batch);
            }
        })
    }
}

fn write(map: &mut Map, batch: Batch) {
    for write in batch {
        match write {
            Write::Put { key, value } => map.insert(key, value),
            Write::Delete { key } => map.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests;
