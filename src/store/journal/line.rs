//! One line: its fields, its bytes and its hash. The hash is taken over the bytes as they stand, never over fields that
//! were read and written again, so that a line of a newer version verifies too.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{TenantId, Timestamp};

use super::chain::Head;
use super::entry::{Entry, Recorded};

/// What stands before and behind the hash at the end of a line.
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";

/// Hex digits of a SHA-256.
const HASH_DIGITS: usize = 64;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1, without gaps.
    pub seq: u64,
    /// The `seq` of the first line of the same append.
    pub batch: u64,
    pub at: Timestamp,
    pub tenant: TenantId,
    /// The hash of the line before; of the first line, 64 zeros.
    pub prev: String,
    pub entry: Recorded,
    /// SHA-256, hex, of the line's bytes up to this field, which therefore stays the last one.
    pub hash: String,
}

impl Line {
    /// The line that follows `head`.
    pub(super) fn next(head: &Head, batch: u64, at: Timestamp, tenant: TenantId, entry: Entry) -> Self {
        let entry = Recorded::Known(Box::new(entry));
        let mut line = Self {
            seq: head.seq + 1,
            batch,
            at,
            tenant,
            prev: head.hash.clone(),
            entry,
            hash: String::new(),
        };
        line.hash = sha256(line.body().as_bytes());
        line
    }

    /// The bytes in the file, line break included.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.text().into_bytes();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a line without its line break and checks its own hash.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let tail = BEFORE_HASH.len() + HASH_DIGITS + AFTER_HASH.len();
        let Some(body) = bytes.len().checked_sub(tail).map(|end| &bytes[..end]) else {
            return Err("it is too short for a line".to_owned());
        };
        let line: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is not a line of the journal: {error}"))?;
        if bytes[body.len()..] != *format!("{BEFORE_HASH}{}{AFTER_HASH}", sha256(body)).as_bytes() {
            return Err("its hash does not match its content".to_owned());
        }
        Ok(line)
    }

    pub(super) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone() }
    }

    /// The line's bytes before its hash.
    fn body(&self) -> String {
        let mut text = self.text();
        text.truncate(text.len() - BEFORE_HASH.len() - self.hash.len() - AFTER_HASH.len());
        text
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("an entry holds text, numbers and lists only")
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
