//! The records of one tenant that are not users: the ledger, and what exists once. Users are in `users`, the
//! stage in `stage`; all three are methods of [`TenantStore`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{LedgerEntry, TenantId, UserId};

use super::codec::{decode, encode};
use super::keys::{Keys, trailing_id};
use super::kv::{Batch, Kv, clear};
use super::records::{Hold, Single};
use super::{Error, Result, keys};

/// Entries read at a time while streaming: some kilobytes each.
const PAGE: usize = 64;

/// The records of one tenant. Cheap to clone. Make one per tenant and clone it: the clones share the lock that lets
/// only one of them change users at a time.
#[derive(Clone)]
pub struct TenantStore {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) keys: Keys,
    tenant: TenantId,
    writer: Arc<Mutex<()>>,
}

impl std::fmt::Debug for TenantStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantStore").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl TenantStore {
    pub fn new(kv: Arc<dyn Kv>, tenant: TenantId) -> Self {
        Self { kv, keys: Keys::new(tenant), tenant, writer: Arc::default() }
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Reads the record that the tenant has once; `None` when it was never written.
    pub fn get<T: Single>(&self) -> Result<Option<T>> {
        let key = self.keys.record(T::NAME);
        self.kv.get(&key)?.map(|bytes| decode(&key, &bytes)).transpose()
    }

    /// Like [`TenantStore::get`]; the default when it was never written.
    pub fn get_or_default<T: Single + Default>(&self) -> Result<T> {
        self.get().map(Option::unwrap_or_default)
    }

    pub fn put<T: Single>(&self, record: &T) -> Result<()> {
        let key = self.keys.record(T::NAME);
        let value = encode(&key, record)?;
        self.write_one(|batch| batch.put(key, value))
    }

    pub fn remove<T: Single>(&self) -> Result<()> {
        let key = self.keys.record(T::NAME);
        self.write_one(|batch| batch.delete(key))
    }

    /// Why the store has stopped for good, after a full disk or a directory that is gone: only opening it anew helps.
    pub fn failure(&self) -> Option<String> {
        match self.kv.get(&self.keys.record(Hold::NAME)) {
            Err(Error::Poisoned { first }) => Some(first),
            Ok(_) | Err(_) => None,
        }
    }

    /// What was tried for the user; `None` when the user never drifted.
    pub fn ledger(&self, user: UserId) -> Result<Option<LedgerEntry>> {
        let key = self.keys.ledger_entry(user);
        self.kv.get(&key)?.map(|bytes| decode(&key, &bytes)).transpose()
    }

    pub fn put_ledger(&self, user: UserId, entry: &LedgerEntry) -> Result<()> {
        let key = self.keys.ledger_entry(user);
        let value = encode(&key, entry)?;
        self.write_one(|batch| batch.put(key, value))
    }

    pub fn remove_ledger(&self, user: UserId) -> Result<()> {
        let key = self.keys.ledger_entry(user);
        self.write_one(|batch| batch.delete(key))
    }

    /// All entries in user order, a page at a time.
    pub fn ledger_entries(&self) -> impl Iterator<Item = Result<(UserId, LedgerEntry)>> + '_ {
        let prefix = self.keys.ledger();
        Pages::new(self.kv.as_ref(), prefix, PAGE).map(|entry| {
            let (key, value) = entry?;
            let user = trailing_id(&key).ok_or_else(|| misplaced(&key))?;
            decode(&key, &value).map(|entry| (user, entry))
        })
    }

    /// The entries that still want something: an unresolved drift, or an effect to be observed.
    pub fn open_ledger(&self) -> impl Iterator<Item = Result<(UserId, LedgerEntry)>> + '_ {
        self.ledger_entries().filter(|entry| entry.as_ref().map_or(true, |(_, entry)| entry.is_open()))
    }

    /// Returns once everything written so far would survive the loss of power.
    pub fn flush(&self) -> Result<()> {
        self.kv.flush()
    }

    /// Removes every record of the tenant, users and stage included.
    pub fn clear_all(&self) -> Result<()> {
        let _writer = self.lock();
        clear(self.kv.as_ref(), self.keys.all())
    }

    /// Held while users are changed. A panic in a caller's closure leaves nothing half done: blocks change in batches.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_one(&self, write: impl FnOnce(&mut Batch) -> Result<()>) -> Result<()> {
        let mut batch = Batch::new();
        write(&mut batch)?;
        self.kv.apply(batch)
    }
}

/// A key that does not end in an id where one must.
pub(super) fn misplaced(key: &[u8]) -> Error {
    Error::Corrupt { key: keys::describe(key), reason: "its key carries no user id".to_owned() }
}

/// Streams everything under a prefix, a page at a time. What is written behind the position is not seen again.
pub(super) struct Pages<'a> {
    kv: &'a dyn Kv,
    prefix: Vec<u8>,
    page: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    after: Option<Vec<u8>>,
    size: usize,
    is_done: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(kv: &'a dyn Kv, prefix: Vec<u8>, size: usize) -> Self {
        Self { kv, prefix, page: Vec::new().into_iter(), after: None, size, is_done: false }
    }

    /// Starts behind `key`.
    pub(super) fn after(mut self, key: Vec<u8>) -> Self {
        self.after = Some(key);
        self
    }

    fn read(&mut self) -> Result<()> {
        let page = self.kv.scan(&self.prefix, self.after.as_deref(), self.size)?;
        self.is_done = page.len() < self.size;
        if let Some((last, _)) = page.last() {
            self.after = Some(last.clone());
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && !self.is_done
            && let Err(error) = self.read()
        {
            self.is_done = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}
