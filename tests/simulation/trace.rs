//! What happened in one run, as lines for people, and as one number for comparing runs.

use std::sync::{Arc, Mutex, PoisonError};

use mailkeeper::model::Timestamp;
use sha2::{Digest, Sha256};

/// The lines of one run. Clones share them.
#[derive(Clone, Default)]
pub struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    is_loud: bool,
}

impl Trace {
    /// A loud trace prints each line as it comes.
    pub fn new(is_loud: bool) -> Self {
        Self { is_loud, ..Self::default() }
    }

    pub fn note(&self, at: Timestamp, text: impl AsRef<str>) {
        let line = format!("{} {}", at.to_datetime().format("%m-%d %H:%M:%S%.3f"), text.as_ref());
        if self.is_loud {
            println!("{line}");
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The last lines, oldest first.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Equal for runs that did the same at the same times.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hash.update(line);
            hash.update("\n");
        }
        format!("{:x}", hash.finalize())
    }
}
