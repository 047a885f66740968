//! The journal: every decision and every fact that cannot be observed again, one JSON line each, chained by SHA-256.
//! It is what an intent is durable in before its request leaves, what limits per day are counted from after a restart,
//! and the audit log. Nothing is ever changed or removed by this module, except a tail that no caller was ever told of.
//!
//! A line is `{"seq":..,"batch":..,"at":..,"tenant":..,"prev":..,"entry":{..},"hash":".."}`. `hash` is the SHA-256 of
//! the line's bytes before `,"hash"`; `prev` is the hash of the line before. `batch` is the `seq` of the first line
//! of the same append: lines of one append become durable together, so damage that a later append has seen is not a
//! crash.
//!
//! A chain alone does not show that its end was cut off, or that all of it was replaced: compare [`Journal::head`]
//! with the one that metrics and backups carry. One journal belongs to one tenant; whoever opens it holds the lock of
//! the store.

mod chain;
mod entry;
mod file;
mod line;
mod log;
mod memory;
mod recall;

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::model::{TenantId, Timestamp, UserId};

pub use chain::{Bad, Head, Verification};
pub use entry::{Entry, Recorded};
pub use file::FileLog;
pub use line::Line;
pub use log::LogFile;
pub use memory::MemoryLog;
pub use recall::OpenIntent;

use chain::{Extent, walk};
use recall::Recall;

/// A segment that has grown to this much is followed by a new one: small enough for `history` to read whole.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Lines of one append are synced together up to this much: a torn tail stays a small one.
const APPEND_BYTES: usize = 1 << 20;

/// The journal of one tenant. All methods may be called from several threads.
pub struct Journal {
    tenant: TenantId,
    inner: Mutex<Inner>,
}

struct Inner {
    log: Box<dyn LogFile>,
    head: Head,
    /// What is acknowledged: the newest segment and its length. Bytes behind it were never promised to anybody.
    segment: u32,
    len: u64,
    segment_bytes: u64,
    recall: Recall,
    failure: Option<String>,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub entries: u64,
    /// The end of an append that a crash interrupted, cut off. Nobody was told that it was recorded.
    pub torn: Option<Torn>,
}

/// A tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    pub bytes: u64,
    /// Where the bytes are kept.
    pub kept_as: String,
    pub reason: String,
}

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk failed while doing `operation`.
    #[error("cannot {operation} the journal")]
    Io { operation: &'static str, source: io::Error },

    /// An acknowledged line is damaged, missing, or of another tenant. A person must look; nothing was changed.
    #[error("the journal is broken in segment {} at byte {}: {}", .0.segment, .0.offset, .0.reason)]
    Broken(Bad),

    /// An append failed; nothing is recorded, and so nothing may be sent, until [`Journal::repair`] succeeds.
    #[error("the journal stopped after an earlier failure: {first}")]
    Poisoned { first: String },

    /// The entry is larger than any that this program writes.
    #[error("a journal entry of {bytes} bytes is too large")]
    TooLarge { bytes: usize },
}

type Result<T> = std::result::Result<T, JournalError>;

impl Journal {
    /// Verifies the whole chain, cuts off a torn tail and recalls what a restart needs. Reads everything: some 100 MB a
    /// second, and years of a large tenant are some 100 MB.
    ///
    /// # Errors
    /// [`JournalError::Broken`] for damage that a crash does not explain.
    pub fn open(log: Box<dyn LogFile>, tenant: TenantId) -> Result<(Self, Recovery)> {
        Self::open_with_segments_of(log, tenant, SEGMENT_BYTES)
    }

    fn open_with_segments_of(
        mut log: Box<dyn LogFile>,
        tenant: TenantId,
        segment_bytes: u64,
    ) -> Result<(Self, Recovery)> {
        if log.segments().map_err(failed("list"))?.is_empty() {
            log.create(1).map_err(failed("create"))?;
        }
        let extent = Extent::of(log.as_ref()).map_err(failed("list"))?;
        let mut recall = Recall::default();
        let walked = walk(
            &extent,
            tenant,
            |segment, offset, limit| log.read(segment, offset, limit),
            |line| {
                recall.note(line);
            },
        )
        .map_err(failed("read"))?;
        let mut recovery = Recovery { entries: walked.entries, torn: None };
        let mut len = walked.end_of_newest;
        if let Some(bad) = walked.first_bad {
            recovery.torn = Some(cut_tail(log.as_mut(), &extent, &walked.head, bad.clone())?);
            len = bad.offset;
        }
        let head = walked.head;
        let inner = Inner { log, head, segment: extent.newest(), len, segment_bytes, recall, failure: None };
        Ok((Self { tenant, inner: Mutex::new(inner) }, recovery))
    }

    /// Records one entry; returns its `seq` once it would survive the loss of power.
    pub fn append(&self, entry: &Entry, at: Timestamp) -> Result<u64> {
        self.append_all(std::slice::from_ref(entry), at)
    }

    /// Records the entries in order with as few syncs as their size allows; returns the `seq` of the last one, of the
    /// head when there are none.
    ///
    /// # Errors
    /// After [`JournalError::Io`] the journal is poisoned; the entries may or may not have been recorded.
    pub fn append_all(&self, entries: &[Entry], at: Timestamp) -> Result<u64> {
        let mut inner = self.inner();
        if let Some(first) = &inner.failure {
            return Err(JournalError::Poisoned { first: first.clone() });
        }
        let mut rest = entries;
        while !rest.is_empty() {
            rest = inner.append_some(self.tenant, rest, at)?;
        }
        Ok(inner.head.seq)
    }

    /// Makes a poisoned journal usable: cuts off what was not acknowledged and syncs. Does nothing to a healthy one.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the journal stays poisoned.
    pub fn repair(&self) -> Result<()> {
        let mut inner = self.inner();
        if inner.failure.is_none() {
            return Ok(());
        }
        let newest = inner.log.segments().map_err(failed("list"))?.last().copied().unwrap_or(inner.segment);
        if newest != inner.segment {
            // Made, but its first line was never acknowledged.
            inner.segment = newest;
            inner.len = 0;
        }
        let len = inner.len;
        inner.log.truncate(newest, len).map_err(failed("truncate"))?;
        inner.failure = None;
        Ok(())
    }

    /// Why nothing can be recorded any more.
    pub fn failure(&self) -> Option<String> {
        self.inner().failure.clone()
    }

    /// The last acknowledged line.
    pub fn head(&self) -> Head {
        self.inner().head.clone()
    }

    /// Reads everything that is acknowledged and checks the chain, up to the first fault.
    pub fn verify(&self) -> Result<Verification> {
        self.walk(|_| {})
    }

    /// Shows every line, oldest first, up to the first fault of the chain.
    pub fn for_each(&self, look: impl FnMut(&Line)) -> Result<Verification> {
        self.walk(look)
    }

    /// The newest lines, at most `limit`, newest first; of one user when asked.
    pub fn history(&self, user: Option<UserId>, limit: usize) -> Result<Vec<Line>> {
        let extent = self.extent()?;
        let mut found = Vec::new();
        for segment in extent.segments.iter().rev() {
            let wanted = limit - found.len();
            if wanted == 0 {
                break;
            }
            let mut newest = VecDeque::new();
            self.walk_in(&extent.only(*segment), |line| {
                if user.is_none_or(|user| line.entry.concerns(user)) {
                    newest.push_back(line.clone());
                    if newest.len() > wanted {
                        newest.pop_front();
                    }
                }
            })?;
            found.extend(newest.into_iter().rev());
        }
        Ok(found)
    }

    /// Intents that no outcome followed, oldest first: requests of which nobody knows whether they left. Recording an
    /// outcome for each, such as `uncertain`, closes them; until then they survive any number of restarts.
    pub fn open_intents(&self) -> Vec<OpenIntent> {
        self.inner().recall.open_intents()
    }

    /// True while the step's intent has no outcome.
    pub fn is_open(&self, step_id: &str) -> bool {
        self.inner().recall.is_open(step_id)
    }

    /// How many intents were recorded at `since` or later, for limits per day. Counts at most the newest 65,536,
    /// which is above any limit.
    pub fn intents_since(&self, since: Timestamp) -> usize {
        self.inner().recall.intents_since(since)
    }

    fn walk(&self, look: impl FnMut(&Line)) -> Result<Verification> {
        self.walk_in(&self.extent()?, look)
    }

    /// Locks for each piece that is read, so that appending goes on meanwhile.
    fn walk_in(&self, extent: &Extent, look: impl FnMut(&Line)) -> Result<Verification> {
        let read = |segment, offset, limit| self.inner().log.read(segment, offset, limit);
        walk(extent, self.tenant, read, look).map_err(failed("read"))
    }

    fn extent(&self) -> Result<Extent> {
        let inner = self.inner();
        let mut extent = Extent::of(inner.log.as_ref()).map_err(failed("list"))?;
        extent.end = Some(inner.len);
        extent.segments.retain(|segment| *segment <= inner.segment);
        Ok(extent)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("tenant", &self.tenant)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Records as many of the entries as one sync takes, and returns the others.
    fn append_some<'e>(
        &mut self,
        tenant: TenantId,
        entries: &'e [Entry],
        at: Timestamp,
    ) -> Result<&'e [Entry]> {
        let batch = self.head.seq + 1;
        let mut head = self.head.clone();
        let mut bytes = Vec::new();
        let mut lines = Vec::new();
        for entry in entries {
            let line = Line::next(&head, batch, at, tenant, entry.clone());
            let text = line.to_bytes();
            if text.len() > APPEND_BYTES {
                return Err(JournalError::TooLarge { bytes: text.len() });
            }
            if bytes.len() + text.len() > APPEND_BYTES {
                break;
            }
            head = line.head();
            bytes.extend(text);
            lines.push(line);
        }
        self.write(&bytes)
            .inspect_err(|error| {
                self.failure.get_or_insert_with(|| error.to_string());
            })
            .map_err(failed("append to"))?;
        self.len += bytes.len() as u64;
        self.head = head;
        lines.iter().for_each(|line| self.recall.note(line));
        Ok(&entries[lines.len()..])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.len >= self.segment_bytes {
            let next = self.segment + 1;
            self.log.create(next)?;
            self.segment = next;
            self.len = 0;
        }
        self.log.append(bytes)?;
        self.log.sync()
    }
}

/// Keeps the tail in a file of its own and cuts it off, provided that no later append has seen it.
fn cut_tail(log: &mut dyn LogFile, extent: &Extent, head: &Head, bad: Bad) -> Result<Torn> {
    let newest = extent.newest();
    if bad.segment != newest {
        return Err(JournalError::Broken(bad));
    }
    let tail = log::read_from(log, newest, bad.offset).map_err(failed("read"))?;
    if chain::was_acknowledged(&tail, head.seq + 1) {
        return Err(JournalError::Broken(bad));
    }
    let kept_as = log.set_aside(&tail).map_err(failed("keep the torn end of"))?;
    log.truncate(newest, bad.offset).map_err(failed("truncate"))?;
    Ok(Torn { bytes: tail.len() as u64, kept_as, reason: bad.reason })
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    move |source| JournalError::Io { operation, source }
}

#[cfg(test)]
mod tests;
