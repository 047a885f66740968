//! The seam on sled 0.34.7; the only file that names it.
//!
//! What sled does not do by itself is done here: every call is guarded against panics (its reader of damaged files has
//! some), the first failure poisons the handle (its flusher dies of a full disk without telling), `flush` adds the
//! `fdatasync` that sled leaves out on Linux, and scans see batches whole. A directory that cannot be read is moved
//! aside, never deleted: the state can be rebuilt from a backup, the journal and a full observation.
//!
//! sled ends its recovery at the first damaged byte of its log and opens what came before without a word. So flushes
//! are counted, in sled and in a file beside its log; an opening that finds fewer of them in sled says so.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::thread;
use std::time::Duration;

use ::sled::{Config, Db, Error as SledError};

use crate::model::Timestamp;

use super::kv::{Batch, Entry, Kv, Write};
use super::poison::Poison;
use super::{Cause, Error, Operation, Result};

/// sled's page cache. With blocks of 64 users a million users need 143 MB in all at this size; sled's default of 1 GB
/// would be the largest thing in the daemon.
const CACHE_BYTES: u64 = 64 << 20;

/// sled's log, inside its directory: what must reach the disk.
const LOG_FILE: &str = "db";

/// How many flushes succeeded: in sled outside of all tenants, and in a file inside its directory.
const MARK_KEY: &[u8] = b"flushes";
const MARK_FILE: &str = "flushes";

/// How sled words that another process holds its lock; it has no error kind for it.
const LOCK_WORDS: &str = "could not acquire lock";

/// How long closing may take: it flushes, which takes well below a second for what a pass writes.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// sled, opened.
#[derive(Debug)]
pub struct SledKv {
    path: PathBuf,
    /// `None` only when a reopening failed. Written while a batch is applied, so that scans see it whole.
    db: RwLock<Option<Db>>,
    poison: Poison,
    /// Held while flushes are counted: tenants share the engine and flush when they like.
    flushing: Mutex<()>,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The directory was read, or made.
    Good,
    /// It could not be read. It stands at `moved_to` now, and the state starts empty.
    MovedAside { moved_to: PathBuf, reason: String },
    /// It was read up to some damage: `flushes` had succeeded, `found` of them are left. What is there is whole and
    /// old, as a restored backup is: approvals and the delta link must not be used. Told once.
    RolledBack { flushes: u64, found: u64 },
}

impl SledKv {
    /// Opens the directory, or makes it. `now` names the directory that is moved aside.
    ///
    /// # Errors
    /// [`Error::InUse`], and [`Error::Open`] when the machine is in the way (permissions, space): nothing is moved
    /// then.
    pub fn open(path: &Path, now: Timestamp) -> Result<(Self, Opened)> {
        let (db, opened) = match open_db(path) {
            Ok(db) => (db, Opened::Good),
            Err(Refusal::Unreadable(reason)) => {
                let moved_to = move_aside(path, now)?;
                let db = open_db(path).map_err(|refusal| refusal.into_error(path))?;
                (db, Opened::MovedAside { moved_to, reason })
            }
            Err(refusal) => return Err(refusal.into_error(path)),
        };
        let kv = Self {
            path: path.to_owned(),
            db: RwLock::new(Some(db)),
            poison: Poison::default(),
            flushing: Mutex::default(),
        };
        let rolled_back = kv.rolled_back()?;
        Ok((kv, rolled_back.unwrap_or(opened)))
    }

    /// Closes and opens again after a failure. Never moves anything aside: that is for the start of the process, with a
    /// person told.
    ///
    /// # Errors
    /// As [`SledKv::open`]; [`Error::Open`] also for an unreadable directory, and when sled does not let go of its
    /// files: then only a new process helps. The handle stays poisoned.
    pub fn reopen(&self) -> Result<Opened> {
        self.reopen_within(CLOSE_LIMIT)
    }

    fn reopen_within(&self, limit: Duration) -> Result<Opened> {
        let mut db = self.write();
        if let Some(old) = db.take() {
            close(old, limit).map_err(|refusal| refusal.into_error(&self.path))?;
        }
        let reopened = open_when_free(&self.path, limit);
        *db = Some(reopened.map_err(|refusal| refusal.into_error(&self.path))?);
        drop(db);
        self.poison.clear();
        Ok(self.rolled_back()?.unwrap_or(Opened::Good))
    }

    /// Compares the counted flushes with those that sled remembers.
    fn rolled_back(&self) -> Result<Option<Opened>> {
        let (flushes, found) = (self.marked()?, self.reading(Operation::Read, MARK_KEY, count_in)?);
        if found >= flushes {
            return Ok(None);
        }
        self.mark(found)?;
        Ok(Some(Opened::RolledBack { flushes, found }))
    }

    /// The flushes that the file beside sled's log has counted; none where there is no file yet.
    fn marked(&self) -> Result<u64> {
        match fs::read_to_string(self.path.join(MARK_FILE)) {
            // A name that is there with other content was damaged itself; what sled says is all there is.
            Ok(text) => Ok(text.trim().parse().unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Error::Open { path: self.path.clone(), source: Cause::new(error) }),
        }
    }

    fn mark(&self, flushes: u64) -> Result<()> {
        replace_file(&self.path, MARK_FILE, &format!("{flushes}\n"))
            .map_err(|error| self.poison.note(Operation::Flush, MARK_KEY, Cause::new(error)))
    }

    /// Bytes on disk, for the metric.
    pub fn size_on_disk(&self) -> Result<u64> {
        self.reading(Operation::Read, b"", Db::size_on_disk)
    }

    fn reading<T>(
        &self,
        operation: Operation,
        key: &[u8],
        work: impl FnOnce(&Db) -> ::sled::Result<T>,
    ) -> Result<T> {
        self.poison.check()?;
        let db = self.read();
        guarded(db.as_ref(), work).map_err(|cause| self.poison.note(operation, key, cause))
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Db>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Db>> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failed sled is left to the end of the process: closing it flushes, and some failures leave a flush waiting for
/// ever.
impl Drop for SledKv {
    fn drop(&mut self) {
        if self.poison.check().is_err() {
            std::mem::forget(self.write().take());
        }
    }
}

impl Kv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.reading(Operation::Read, key, |db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>> {
        self.reading(Operation::Scan, prefix, |db| {
            let start = match after {
                Some(after) if after >= prefix => [after, &[0]].concat(),
                Some(_) | None => prefix.to_vec(),
            };
            let entries =
                db.range(start..).map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())));
            entries
                .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
                .take(limit)
                .collect()
        })
    }

    fn floor(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Entry>> {
        self.reading(Operation::Scan, key, |db| {
            let entry = db.range(..=key).next_back().transpose()?;
            let entry = entry.filter(|(key, _)| key.starts_with(prefix));
            Ok(entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
        })
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.poison.check()?;
        let first = batch.writes().first().map(|write| write.key().to_vec()).unwrap_or_default();
        let mut writes = ::sled::Batch::default();
        for write in batch {
            match write {
                Write::Put { key, value } => writes.insert(key, value),
                Write::Delete { key } => writes.remove(key),
            }
        }
        let db = self.write();
        guarded(db.as_ref(), |db| db.apply_batch(writes))
            .map_err(|cause| self.poison.note(Operation::Write, &first, cause))
    }

    /// sled's own flush ends in `sync_file_range`, which does not empty the disk's cache (sled issues 1351 and 1452); a
    /// sync of the same file through any descriptor does.
    fn flush(&self) -> Result<()> {
        let _flushing = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let flushes = self.reading(Operation::Flush, b"", |db| {
            let flushes = count_in(db)? + 1;
            db.insert(MARK_KEY, &flushes.to_be_bytes())?;
            db.flush()?;
            File::open(self.path.join(LOG_FILE)).and_then(|file| file.sync_data()).map_err(SledError::Io)?;
            Ok(flushes)
        })?;
        self.mark(flushes)
    }
}

/// The flushes that sled itself remembers.
fn count_in(db: &Db) -> ::sled::Result<u64> {
    let value = db.get(MARK_KEY)?;
    Ok(value.and_then(|value| value.as_ref().try_into().ok().map(u64::from_be_bytes)).unwrap_or_default())
}

/// Writes a small file whole or not at all, durably.
fn replace_file(directory: &Path, name: &str, content: &str) -> io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Runs one call of sled; a panic is a failure like any other.
fn guarded<T>(db: Option<&Db>, work: impl FnOnce(&Db) -> ::sled::Result<T>) -> std::result::Result<T, Cause> {
    let db = db.ok_or_else(|| Cause::new("the store is closed"))?;
    match catch_unwind(AssertUnwindSafe(|| work(db))) {
        Ok(outcome) => outcome.map_err(Cause::new),
        Err(panic) => Err(Cause::new(panic_text(panic.as_ref()))),
    }
}

/// Why the directory did not open.
enum Refusal {
    InUse,
    /// The machine is in the way; the directory may be perfectly good.
    Machine(String),
    /// The content is not readable.
    Unreadable(String),
}

impl Refusal {
    fn into_error(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::InUse => Error::InUse { path },
            Self::Machine(reason) | Self::Unreadable(reason) => {
                Error::Open { path, source: Cause::new(reason) }
            }
        }
    }
}

fn open_db(path: &Path) -> std::result::Result<Db, Refusal> {
    // No flushing in the background: a flusher that dies does so silently. Whoever needs durability calls flush.
    let config = Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(panic) => Err(Refusal::Unreadable(panic_text(panic.as_ref()))),
    }
}

/// Closes on a thread of its own, since sled may wait for ever for a write that failed half-way (seen with a large
/// value whose file could not be made).
fn close(db: Db, limit: Duration) -> std::result::Result<(), Refusal> {
    let (done, closed) = mpsc::channel();
    thread::spawn(move || {
        // A panic while closing loses nothing that the failure before had not lost, and lets go of the lock.
        drop(catch_unwind(AssertUnwindSafe(move || drop(db))));
        // Nobody listens any more once the limit has passed.
        let _ = done.send(());
    });
    closed.recv_timeout(limit).map_err(|_| {
        Refusal::Machine("sled does not close; a restart of the process frees its files".to_owned())
    })
}

/// The lock of files that were just closed may outlive them for a moment: a program that is being started from another
/// thread has them, too, until it runs.
#[expect(clippy::disallowed_methods, reason = "everything here blocks, and no test waits for it")]
fn open_when_free(path: &Path, limit: Duration) -> std::result::Result<Db, Refusal> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match open_db(path) {
            Err(Refusal::InUse) if waited < limit => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            opened => return opened,
        }
    }
}

fn refusal(error: &SledError) -> Refusal {
    let text = error.to_string();
    match error {
        SledError::Io(_) if text.contains(LOCK_WORDS) => Refusal::InUse,
        SledError::Io(cause) if !speaks_of_content(cause) => Refusal::Machine(text),
        // Corruption, an unsupported format, a bug that sled reports, or an open set of others: the content.
        _ => Refusal::Unreadable(text),
    }
}

/// True for the kinds with which sled reports bytes that it does not understand.
fn speaks_of_content(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput)
}

/// Renames the directory to `<dir>.unreadable-<timestamp>`, with a number behind it where that name is taken.
fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf> {
    let failed = |error: io::Error| Error::Open { path: path.to_owned(), source: Cause::new(error) };
    let stamp = now.to_datetime().format("%Y%m%dT%H%M%SZ");
    let base = format!("{}.unreadable-{stamp}", path.display());
    let target = std::iter::once(base.clone())
        .chain((2_u32..).map(|number| format!("{base}-{number}")))
        .map(PathBuf::from)
        .find(|candidate| !candidate.exists())
        .expect("the numbers do not run out");
    fs::rename(path, &target).map_err(failed)?;
    Ok(target)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "sled panicked".to_owned(), |text| format!("sled panicked: {text}"))
}

#[cfg(test)]
mod tests;
