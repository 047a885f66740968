//! The sightings of one observation, on their way to the known users: pages arrive in any order and are sorted on
//! disk in runs, because a listing does not fit in memory. Nothing is judged here; [`TenantStore::join`] and
//! [`TenantStore::fold`] bring stage and users together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::model::{Sighting, UserId};

use super::codec::{decode, encode};
use super::kv::{Batches, Write, clear};
use super::tenant::Pages;
use super::{Result, TenantStore};

/// Sightings in memory before a run is written: some 20 MB of users with many licences.
const RUN_SIGHTINGS: usize = 8192;

/// Sightings in one block of a run. While runs are merged one block of each is in memory: of a million users in 123
/// runs that is less than half of one run.
const BLOCK_SIGHTINGS: usize = 32;

/// Receives the sightings of one observation.
#[derive(Debug)]
pub struct Stage {
    store: TenantStore,
    /// By id, so that of several sightings of one user the last one counts.
    buffer: BTreeMap<UserId, Sighting>,
    capacity: usize,
    runs: u32,
    pushed: u64,
}

/// A finished stage: what [`TenantStore::join`] and [`TenantStore::fold`] read. Good until the stage is cleared.
#[derive(Debug, Default)]
pub struct Staged {
    runs: u32,
    /// Sightings pushed, repeated ones included.
    pub pushed: u64,
}

impl TenantStore {
    /// Clears the stage, whatever an earlier pass left there, and opens it. There is one stage per tenant.
    pub fn stage(&self) -> Result<Stage> {
        self.stage_with_capacity(RUN_SIGHTINGS)
    }

    /// Frees the space of the stage.
    pub fn clear_stage(&self) -> Result<()> {
        clear(self.kv.as_ref(), &self.keys.stage())
    }

    pub(super) fn stage_with_capacity(&self, capacity: usize) -> Result<Stage> {
        self.clear_stage()?;
        Ok(Stage { store: self.clone(), buffer: BTreeMap::new(), capacity, runs: 0, pushed: 0 })
    }

    /// All staged sightings in id order, one per user.
    pub(super) fn sightings(&self, staged: &Staged) -> Result<Merge<'_>> {
        let mut merge = Merge { runs: Vec::new(), heads: BinaryHeap::new(), last: None };
        for number in 0..staged.runs {
            let blocks = Pages::new(self.kv.as_ref(), self.keys.stage_run(number), 1);
            merge.runs.push(Run { blocks, block: Vec::new().into_iter(), head: None });
            merge.advance(number as usize)?;
        }
        Ok(merge)
    }
}

impl Stage {
    /// A user may come several times, also once live and once deleted (a listing takes a while): the last push counts.
    pub fn push(&mut self, sighting: Sighting) -> Result<()> {
        self.pushed += 1;
        self.buffer.insert(sighting.id(), sighting);
        if self.buffer.len() >= self.capacity { self.write_run() } else { Ok(()) }
    }

    pub fn finish(mut self) -> Result<Staged> {
        self.write_run()?;
        Ok(Staged { runs: self.runs, pushed: self.pushed })
    }

    fn write_run(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut sightings = std::mem::take(&mut self.buffer).into_values().peekable();
        let mut batches = Batches::new(self.store.kv.as_ref());
        while let Some(first) = sightings.peek().map(Sighting::id) {
            let block: Vec<Sighting> = sightings.by_ref().take(BLOCK_SIGHTINGS).collect();
            let key = self.store.keys.stage_block(self.runs, first);
            let value = encode(&key, &block)?;
            batches.add(vec![Write::Put { key, value }])?;
        }
        self.runs += 1;
        batches.finish()
    }
}

/// The merge of all runs; of several sightings of one user the one of the newest run.
pub(super) struct Merge<'a> {
    runs: Vec<Run<'a>>,
    /// The next id of each run that has one; of equal ids the newest run first.
    heads: BinaryHeap<Reverse<(UserId, Reverse<usize>)>>,
    last: Option<UserId>,
}

struct Run<'a> {
    blocks: Pages<'a>,
    block: std::vec::IntoIter<Sighting>,
    head: Option<Sighting>,
}

impl Merge<'_> {
    /// Gives out the head of a run and reads the next one.
    fn advance(&mut self, number: usize) -> Result<Option<Sighting>> {
        let run = &mut self.runs[number];
        let head = run.head.take();
        run.head = run.read()?;
        if let Some(next) = &run.head {
            self.heads.push(Reverse((next.id(), Reverse(number))));
        }
        Ok(head)
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(UserId, Sighting)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((id, Reverse(number))) = self.heads.pop()?;
            match self.advance(number) {
                Err(error) => return Some(Err(error)),
                Ok(Some(sighting)) if self.last != Some(id) => {
                    self.last = Some(id);
                    return Some(Ok((id, sighting)));
                }
                Ok(_) => {}
            }
        }
    }
}

impl Run<'_> {
    fn read(&mut self) -> Result<Option<Sighting>> {
        loop {
            if let Some(sighting) = self.block.next() {
                return Ok(Some(sighting));
            }
            let Some((key, value)) = self.blocks.next().transpose()? else { return Ok(None) };
            self.block = decode::<Vec<Sighting>>(&key, &value)?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests;
