//! The journal as it lies on the disk, read without the product's own reader: what is not here was not durable.

use std::sync::{Arc, Mutex, PoisonError};

use mailkeeper::model::UserId;
use mailkeeper::store::journal::MemoryLog;
use serde_json::Value;

/// The durable intent that a write was covered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    pub line: usize,
    pub step_id: String,
}

/// Reads the durable journal as somebody would who finds the disk: lines of JSON, nothing of the product's own reader.
#[derive(Clone)]
pub struct Eye {
    log: MemoryLog,
    seen: Arc<Mutex<(usize, Vec<Value>)>>,
}

impl Eye {
    pub fn new(log: MemoryLog) -> Self {
        Self { log, seen: Arc::default() }
    }

    /// Every durable line so far.
    pub fn lines(&self) -> Vec<Value> {
        self.read(|lines| lines.to_vec())
    }

    pub fn len(&self) -> usize {
        self.read(<[Value]>::len)
    }

    fn read<T>(&self, look: impl FnOnce(&[Value]) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.log.bytes();
        let durable = &bytes[..bytes.len() - self.log.unsynced()];
        let (offset, lines) = &mut *seen;
        // What was synced stays; a torn end may be cut off by a restart, and is read when it is a line.
        let fresh = durable.get(*offset..).unwrap_or_default();
        for line in fresh.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            *offset += line.len();
            if let Ok(line) = serde_json::from_slice(line) {
                lines.push(line);
            }
        }
        look(lines)
    }

    /// The newest intent for this user and action that no outcome has closed.
    pub fn open_intent(&self, user: UserId, label: &str) -> Option<Cover> {
        let user = user.to_string();
        self.read(|lines| {
            let found = lines.iter().enumerate().rev().find(|(_, line)| {
                let entry = &line["entry"];
                entry["event"] == "intent"
                    && entry["user"] == user.as_str()
                    && entry["action"]["action"] == label
            });
            let (number, line) = found?;
            let step_id = line["entry"]["step_id"].as_str()?.to_owned();
            let is_closed = lines[number..].iter().any(|line| {
                line["entry"]["event"] == "outcome" && line["entry"]["step_id"] == step_id.as_str()
            });
            (!is_closed).then_some(Cover { line: number, step_id })
        })
    }
}
