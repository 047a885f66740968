//! The log in memory, for simulation and tests: a crash keeps a chosen part of what was not synced, failures can be
//! ordered. No randomness of its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::LogFile;

/// Segments in memory. Clones share their content, as two handles of one disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    segments: BTreeMap<u32, Segment>,
    aside: Vec<Vec<u8>>,
    /// Changing calls until the next failure; the call that finds zero fails, and so do all after it.
    fails_after: Option<u64>,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Bytes that a crash leaves for certain.
    synced: usize,
}

impl MemoryLog {
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that a crash may lose: the bound for the choice of survivors.
    pub fn unsynced(&self) -> usize {
        self.disk().segments.values().map(|segment| segment.bytes.len() - segment.synced).sum()
    }

    /// Lets the process die: the first `survivors` of the bytes that were not synced are kept, torn lines included.
    pub fn crash(&self, survivors: usize) {
        let mut disk = self.disk();
        disk.fails_after = None;
        let mut survivors = survivors;
        for segment in disk.segments.values_mut() {
            let kept = survivors.min(segment.bytes.len() - segment.synced);
            survivors -= kept;
            segment.bytes.truncate(segment.synced + kept);
            segment.synced = segment.bytes.len();
        }
    }

    /// After `calls` more changing calls everything fails, until [`MemoryLog::heal`] or a crash. A failing append
    /// leaves half of its bytes, as a full disk does.
    pub fn fail_after(&self, calls: u64) {
        self.disk().fails_after = Some(calls);
    }

    pub fn heal(&self) {
        self.disk().fails_after = None;
    }

    /// Everything in the segments, oldest first.
    pub fn bytes(&self) -> Vec<u8> {
        self.disk().segments.values().flat_map(|segment| segment.bytes.clone()).collect()
    }

    /// What was cut off and kept.
    pub fn aside(&self) -> Vec<Vec<u8>> {
        self.disk().aside.clone()
    }

    /// Changes the bytes of a segment behind everybody's back; all of them count as synced then.
    pub fn damage(&self, segment: u32, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(segment) = self.disk().segments.get_mut(&segment) {
            change(&mut segment.bytes);
            segment.synced = segment.bytes.len();
        }
    }

    /// Takes a segment away, as an archiving administrator does.
    pub fn remove(&self, segment: u32) {
        self.disk().segments.remove(&segment);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn attempt(&mut self) -> io::Result<()> {
        match self.fails_after.as_mut() {
            Some(0) => Err(io::Error::other("an injected failure")),
            Some(calls) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn newest(&mut self) -> io::Result<&mut Segment> {
        let newest = self.segments.values_mut().next_back();
        newest.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no segment yet"))
    }
}

impl LogFile for MemoryLog {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.disk().segments.keys().copied().collect())
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        let mut disk = self.disk();
        disk.attempt()?;
        disk.segments.insert(segment, Segment::default());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let attempt = disk.attempt();
        let added = if attempt.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        disk.newest()?.bytes.extend_from_slice(added);
        attempt
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.attempt()?;
        let newest = disk.newest()?;
        newest.synced = newest.bytes.len();
        Ok(())
    }

    fn read(&self, segment: u32, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        let segment = disk.segments.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(segment.bytes.len());
        let end = start.saturating_add(limit).min(segment.bytes.len());
        Ok(segment.bytes[start..end].to_vec())
    }

    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.attempt()?;
        let segment = disk.segments.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        segment.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        segment.synced = segment.bytes.len();
        Ok(())
    }

    fn set_aside(&mut self, bytes: &[u8]) -> io::Result<String> {
        let mut disk = self.disk();
        disk.attempt()?;
        disk.aside.push(bytes.to_vec());
        Ok(format!("journal.torn-{}", disk.aside.len()))
    }
}
