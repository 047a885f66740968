//! TEMPORARY STUB
use crate::model::*;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry {
    Intent {
        step_id: String,
        user: UserId,
        upn: String,
        action: Action,
        drift: DriftKind,
        rule: String,
        policy_digest: String,
        plan_digest: String,
    },
    Outcome {
        step_id: String,
        user: UserId,
        kind: OutcomeKind,
        detail: String,
        request_id: Option<String>,
    },
    Verdict {
        user: UserId,
        step_id: String,
        verdict: Verdict,
        detail: String,
    },
    ClockStarted {
        user: UserId,
        upn: String,
        kind: DriftKind,
        earliest: Option<Timestamp>,
        latest: Timestamp,
        deadline: Option<Timestamp>,
    },
    ClockStopped {
        user: UserId,
        reason: String,
    },
    Lost {
        user: UserId,
        warned: bool,
    },
    Held {
        until: Option<Timestamp>,
        reason: String,
        by: String,
    },
    Resumed {
        by: String,
    },
    Approved {
        ask: String,
        by: String,
    },
    Denied {
        ask: String,
        by: String,
    },
    PolicyLoaded {
        digest: String,
        revision: Option<String>,
    },
    ObservationRejected {
        reasons: Vec<String>,
    },
    Started {
        version: String,
    },
    Stopped,
}
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {}
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    pub first_bad: Option<u64>,
}
pub struct OpenIntent {
    pub at: Timestamp,
    pub step_id: String,
    pub user: UserId,
    pub action: Action,
    pub drift: DriftKind,
}
#[derive(Default)] pub struct Journal { n: u64 }
pub struct Recovery {
    pub torn: Option<String>,
}
pub struct FileLog;
impl FileLog {
    pub fn open(_: &std::path::Path) -> Result<Self, super::Error> {
        Ok(Self)
    }
}
impl Journal {
    pub fn open(_: Box<FileLog>, _: TenantId) -> Result<(Self, Recovery), super::Error> {
        Ok((Self::default(), Recovery { torn: None }))
    }
    pub fn append(&mut self, _: Entry, _: Timestamp) -> Result<u64, super::Error> {
        Ok(0)
    }
    pub fn len(&self) -> u64 {
        0
    }
    pub fn head(&self) -> &str {
        ""
    }
    pub fn intents_since(&self, _: Timestamp) -> usize {
        0
    }
    pub fn open_intents(&self) -> Vec<OpenIntent> {
        Vec::new()
    }
    pub fn newest(&self, _: Option<UserId>, _: usize) -> Result<Vec<Line>, super::Error> {
        Ok(vec![])
    }
    pub fn verify(&self) -> Result<Verification, super::Error> {
        Ok(Verification { first_bad: None })
    }
}
