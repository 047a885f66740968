//! The seam to the storage engine: ordered bytes, five calls, no async.
//!
//! Implementations: [`super::sled`] in production, [`super::memory`] in simulation and tests. No typed record is known
//! here, and no engine.

use super::{Error, Result};

/// Most writes in one batch. With sled 0.34.7 batches of 128 keep a million writes at 143 MB of memory, batches of
/// 1,000 at 2.5 GB that are not given back.
pub const MAX_WRITES: usize = 128;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// An ordered map of bytes. Every call sees each batch whole or not at all. After the first failure of an
/// implementation every call answers [`Error::Poisoned`] until it is reopened.
pub trait Kv: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// At most `limit` entries whose key starts with `prefix`, in key order; with `after`, only keys greater than it.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>>;

    /// The entry with the greatest key that starts with `prefix` and is not greater than `key`.
    fn floor(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Entry>>;

    /// Applies all writes or none, also across a crash. Not durable before [`Kv::flush`].
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Returns once everything applied so far would survive the loss of power.
    fn flush(&self) -> Result<()>;
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
}

impl Write {
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

/// Writes that happen together: at most [`MAX_WRITES`]. A later write of the same key wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: Vec<Write>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// # Errors
    /// [`Error::BatchFull`]; the batch is unchanged.
    pub fn push(&mut self, write: Write) -> Result<()> {
        if self.writes.len() == MAX_WRITES {
            return Err(Error::BatchFull);
        }
        self.writes.push(write);
        Ok(())
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.push(Write::Put { key, value })
    }

    pub fn delete(&mut self, key: Vec<u8>) -> Result<()> {
        self.push(Write::Delete { key })
    }

    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl IntoIterator for Batch {
    type Item = Write;
    type IntoIter = std::vec::IntoIter<Write>;

    fn into_iter(self) -> Self::IntoIter {
        self.writes.into_iter()
    }
}

/// Collects groups of writes into batches; a group is never torn apart.
pub(super) struct Batches<'a> {
    kv: &'a dyn Kv,
    batch: Batch,
    bytes: usize,
}

/// A batch is sent at the latest when it holds this much: it stands in memory twice while the engine copies it.
const BATCH_BYTES: usize = 1 << 20;

impl<'a> Batches<'a> {
    pub(super) fn new(kv: &'a dyn Kv) -> Self {
        Self { kv, batch: Batch::new(), bytes: 0 }
    }

    /// # Errors
    /// [`Error::BatchFull`] when the group alone is too large; nothing of it is written.
    pub(super) fn add(&mut self, group: Vec<Write>) -> Result<()> {
        if group.len() > MAX_WRITES {
            return Err(Error::BatchFull);
        }
        let bytes: usize = group.iter().map(Write::bytes).sum();
        if self.batch.writes.len() + group.len() > MAX_WRITES || self.bytes + bytes > BATCH_BYTES {
            self.send()?;
        }
        self.bytes += bytes;
        group.into_iter().try_for_each(|write| self.batch.push(write))
    }

    /// Sends what is left. Not calling it loses the last groups.
    pub(super) fn finish(mut self) -> Result<()> {
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { Ok(()) } else { self.kv.apply(batch) }
    }
}

/// Deletes everything under `prefix`, a page at a time.
pub(super) fn clear(kv: &dyn Kv, prefix: &[u8]) -> Result<()> {
    loop {
        let page = kv.scan(prefix, None, MAX_WRITES)?;
        if page.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        page.into_iter().try_for_each(|(key, _)| batch.delete(key))?;
        kv.apply(batch)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_refuses_the_129th_write() {
        let mut batch = Batch::new();
        for key in 0..MAX_WRITES {
            batch.put(key.to_be_bytes().to_vec(), Vec::new()).expect("room");
        }
        assert_eq!(batch.delete(b"one more".to_vec()), Err(Error::BatchFull));
        assert_eq!(batch.writes().len(), MAX_WRITES);
    }
}
