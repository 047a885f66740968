//! The first failure stops an engine: shared by every implementation of the seam, so that all stop alike.
//!
//! sled goes on answering after its flusher thread has died of a full disk; nothing that it says then may be believed.

use std::sync::{Mutex, PoisonError};

use super::{Cause, Error, Operation, Result, keys};

/// Remembers the first failure.
#[derive(Debug, Default)]
pub(super) struct Poison(Mutex<Option<String>>);

impl Poison {
    /// # Errors
    /// [`Error::Poisoned`] once anything failed.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.first() {
            None => Ok(()),
            Some(first) => Err(Error::Poisoned { first: first.clone() }),
        }
    }

    /// Notes a failure and gives the error for the call that met it.
    pub(super) fn note(&self, operation: Operation, key: &[u8], cause: Cause) -> Error {
        let key = keys::describe(key);
        self.first().get_or_insert_with(|| format!("cannot {operation} {key}: {cause}"));
        Error::Failed { operation, key, source: cause }
    }

    /// The engine was reopened.
    pub(super) fn clear(&self) {
        *self.first() = None;
    }

    fn first(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
