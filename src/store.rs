//! The state: typed records over a small key-value seam, and the journal.
//!
//! Two kinds of truth live here. The key-value part ([`kv::Kv`], in production sled) holds what was observed and can be
//! observed again; it may be lost. The [`journal`] holds what was decided and what cannot be known again; it is durable
//! before a request leaves. Nothing here reads the clock, knows Graph or judges an observation.

// The portable copy of one tenant's records.
pub mod backup;

// Versioned bytes of one record.
pub mod codec;

// What can go wrong, and which key it concerns.
mod error;

// Every decision, in an append-only, hash-chained file.
pub mod journal;

// How keys are made, and how they are shown.
mod keys;

// The seam to the storage engine.
pub mod kv;

// The seam in memory: staged and durable apart, crashes, injected failures.
pub mod memory;

// The first failure stops an engine.
mod poison;

// Records of a tenant that exist once.
pub mod records;

// Daily backups as files.
pub mod shelf;

// The seam on sled.
pub mod sled;

// The sightings of one observation, sorted on disk.
mod stage;

// The records of one tenant.
mod tenant;

// The known users of one tenant, in blocks.
mod users;

#[cfg(test)]
mod samples;

pub use error::{Cause, Error, Operation};
pub use stage::{Stage, Staged};
pub use tenant::TenantStore;
pub use users::{Folded, Users};

/// What every operation of the store answers.
pub type Result<T> = std::result::Result<T, Error>;
