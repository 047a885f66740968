//! What is kept in memory of the journal: requests without an outcome, and when the newest intents were.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Action, DriftKind, Timestamp, UserId};

use super::entry::Entry;
use super::line::Line;

/// Intents whose time is kept: above any limit per day that a policy would set, and half a megabyte.
const INTENT_TIMES: usize = 1 << 16;

/// A request of which nobody knows whether it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    pub seq: u64,
    pub at: Timestamp,
    pub step_id: String,
    pub user: UserId,
    pub upn: String,
    pub action: Action,
    pub drift: DriftKind,
}

/// Built while the journal is opened, kept up to date by every append.
#[derive(Debug, Default)]
pub(super) struct Recall {
    /// By step: a step is one request at a time.
    open: BTreeMap<String, OpenIntent>,
    times: VecDeque<Timestamp>,
}

impl Recall {
    pub(super) fn note(&mut self, line: &Line) {
        if line.entry.is_intent() {
            if self.times.len() == INTENT_TIMES {
                self.times.pop_front();
            }
            self.times.push_back(line.at);
        }
        match line.entry.known() {
            Some(Entry::Intent { step_id, user, upn, action, drift, .. }) => {
                let intent = OpenIntent {
                    seq: line.seq,
                    at: line.at,
                    step_id: step_id.clone(),
                    user: *user,
                    upn: upn.clone(),
                    action: action.clone(),
                    drift: *drift,
                };
                self.open.insert(step_id.clone(), intent);
            }
            Some(Entry::Outcome { step_id, .. }) => drop(self.open.remove(step_id)),
            Some(_) | None => {}
        }
    }

    pub(super) fn is_open(&self, step_id: &str) -> bool {
        self.open.contains_key(step_id)
    }

    pub(super) fn open_intents(&self) -> Vec<OpenIntent> {
        let mut intents: Vec<OpenIntent> = self.open.values().cloned().collect();
        intents.sort_by_key(|intent| intent.seq);
        intents
    }

    /// Not a search: the clock may have jumped between two entries.
    pub(super) fn intents_since(&self, since: Timestamp) -> usize {
        self.times.iter().filter(|at| **at >= since).count()
    }
}
