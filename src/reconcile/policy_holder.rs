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
    /// A newer policy that a person must say yes to first, and why. The one in `current` stands, and nothing is
    /// started.
    pub waiting: Option<Waiting>,
}

impl Loaded {
    fn newest(&self) -> Option<&Arc<Policy>> {
        self.waiting.as_ref().map(|waiting| &waiting.policy).or(self.current.as_ref())
    }
}

/// What was read, to be compared only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edition {
    digest: Option<String>,
    failed: Option<String>,
}

/// A policy that is not in force yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub policy: Arc<Policy>,
    /// What it would do that a person should look at first, as sentences.
    pub concerns: Vec<String>,
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
            Ok(policy)
                if loaded.waiting.as_ref().is_some_and(|waiting| waiting.policy.digest == policy.digest) =>
            {
                loaded.failed = None;
            }
            Ok(policy) => {
                loaded.waiting = None;
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
                        None => {
                            "and this process read no earlier one: what the state has from before stands, if anything"
                        }
                    };
                    tracing::error!(faults = faults.len(), "the policy cannot be loaded, {stands}:\n{text}");
                }
                loaded.failed = Some(text);
            }
        }
    }

    /// Keeps the policy of before in force, and the newest one waiting.
    pub fn hold_back(&self, before: Arc<Policy>, waiting: Waiting) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.current = Some(before);
        loaded.waiting = Some(waiting);
    }

    /// What was in force before stands, where the files were bad from the start.
    pub fn fall_back(&self, policy: Arc<Policy>) {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).current.get_or_insert(policy);
    }

    /// Puts the waiting policy into force.
    pub fn accept(&self) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = loaded.waiting.take() {
            loaded.current = Some(waiting.policy);
        }
    }

    /// Changes whenever a reading brings something else than the one before.
    pub fn edition(&self) -> Edition {
        let loaded = self.loaded();
        Edition { digest: loaded.newest().map(|policy| policy.digest.clone()), failed: loaded.failed }
    }

    /// The policy that the files say, in force or not.
    pub fn newest(&self) -> Option<Arc<Policy>> {
        self.loaded().newest().cloned()
    }
}
