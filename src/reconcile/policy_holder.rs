//! The policy in force: the last good one stands until a better one is read.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::policy::{Format, Policy, render, source};

/// What the newest reading gave.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub current: Option<Arc<Policy>>,
    /// Why the newest policy cannot be used; the one in `current` stands, and nothing is started.
    pub failed: Option<String>,
}

/// Reads the policy anew on demand. Clones share what was read.
#[derive(Debug, Clone)]
pub struct PolicyHolder {
    path: PathBuf,
    loaded: Arc<RwLock<Loaded>>,
}

impl PolicyHolder {
    pub fn new(path: PathBuf) -> Self {
        Self { path, loaded: Arc::default() }
    }

    pub fn loaded(&self) -> Loaded {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn current(&self) -> Option<Arc<Policy>> {
        self.loaded().current
    }

    /// The digest of the files as they are now, whatever they say; `None` when they cannot be read.
    pub fn digest_on_disk(&self) -> Option<String> {
        source::digest(&self.path).ok()
    }

    /// Reads the files. A bad policy never replaces a good one.
    pub fn reload(&self) {
        let newest = source::load(&self.path);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        match newest {
            Ok(policy) => {
                if loaded.current.as_ref().is_none_or(|current| **current != policy) {
                    tracing::info!(digest = policy.digest, revision = policy.revision, "policy loaded");
                    loaded.current = Some(Arc::new(policy));
                }
                loaded.failed = None;
            }
            Err(faults) => {
                let text = render(&faults, Format::Text);
                if loaded.failed.as_deref() != Some(text.as_str()) {
                    let stands = match loaded.current {
                        Some(_) => "the last good one stands",
                        None => "and there is no earlier one",
                    };
                    tracing::error!(faults = faults.len(), "the policy cannot be loaded, {stands}:\n{text}");
                }
                loaded.failed = Some(text);
            }
        }
    }
}
