//! What happened, for people and machines: the status document, metrics, the line in the log.
//!
//! Reads documents of the model; asks nobody and changes nothing.

pub mod doubts;
pub mod examination;
pub mod impact;
pub mod metrics;
pub mod questions;
pub mod status;
pub mod table;
pub mod words;

#[cfg(test)]
pub(crate) mod sample;

pub use status::TenantView;
