//! What can go wrong in the store. Every variant names the operation and its subject; the engine's own error is a text,
//! so that no engine type leaks through the seam.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::kv::MAX_WRITES;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Another process holds the lock: usually the daemon, which answers on its control socket.
    #[error("the state at {} is in use by another process", path.display())]
    InUse { path: PathBuf },

    /// The machine does not let us: permissions, space, a file in the way. Nothing was moved.
    #[error("cannot open the state at {}", path.display())]
    Open { path: PathBuf, source: Cause },

    /// The engine failed. It is poisoned from here on.
    #[error("cannot {operation} {key}")]
    Failed { operation: Operation, key: String, source: Cause },

    /// The engine failed earlier; nothing is read or written until it is reopened.
    #[error("the store stopped after an earlier failure: {first}")]
    Poisoned { first: String },

    /// The bytes under `key` are not a record that this version can read. They are left as they are.
    #[error("the record {key} cannot be read: {reason}")]
    Corrupt { key: String, reason: String },

    /// More writes than one batch takes; the caller splits.
    #[error("a batch takes at most {MAX_WRITES} writes")]
    BatchFull,

    /// The journal failed; nothing may be sent until it can be written again.
    #[error("the journal cannot be used")]
    Journal { source: Cause },

    /// A change of one user answered with another user's record; nothing of it was written.
    #[error("the record of user {expected} would be replaced by that of {found}")]
    WrongUser { expected: String, found: String },

    /// The backup is damaged, of another tenant, or of a version that this one does not read. Nothing was changed.
    #[error("the backup cannot be used: {0}")]
    Backup(String),
}

impl From<super::journal::JournalError> for Error {
    fn from(error: super::journal::JournalError) -> Self {
        Self::Journal { source: Cause::new(crate::errors::chain(&error)) }
    }
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read,
    Scan,
    Write,
    Flush,
    Encode,
    Export,
    Import,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Scan => "scan",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Encode => "encode",
            Self::Export => "export",
            Self::Import => "import",
        })
    }
}

/// The text of an error beneath the seam.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}
