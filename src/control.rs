//! How commands reach the state: the questions, the answers, and the Unix socket between them while the daemon runs.
//!
//! sled locks its directory, so while the daemon runs there is no other way in. A command asks the same questions of
//! the same [`desk::Desk`] either way; only the transport differs.

pub mod chronicle;
pub mod client;
pub mod desk;
pub mod doctor;
pub mod four_eyes;
mod lookup;
pub mod server;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;

use serde::{Deserialize, Serialize};

use crate::model::{Ask, Span};
use crate::plan::explain::Explanation;
use crate::report::examination::Examination;
use crate::report::status::TenantView;
use crate::store::journal::{self, Line};

pub use crate::report::questions::{Denied, Names};
use summary::Summary;

/// One question, for one tenant or for all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// `None` asks all tenants.
    pub tenant: Option<String>,
    pub question: Question,
}

/// What a command wants to know or have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    Status,
    Explain {
        user: String,
    },
    Plan,
    Apply {
        digest: Option<String>,
    },
    Asks,
    Answer {
        ask: String,
        granted: bool,
    },
    Hold {
        duration: Option<Span>,
        reason: String,
    },
    Resume,
    History {
        user: Option<String>,
        limit: usize,
    },
    Verify,
    Backup,
    /// What is wrong with sign-in, permissions, tenant, policy and state.
    Doctor,
    /// What came of the last `since`.
    Report {
        since: Span,
    },
}

/// The answer of one tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status {
        view: Box<TenantView>,
    },
    Explanation {
        explanation: Box<Explanation>,
    },
    Pass {
        view: Box<TenantView>,
        sent: Vec<Sent>,
        refused: Option<String>,
    },
    Asks {
        asks: Vec<Ask>,
        /// Answered with no, and still to be taken back.
        #[serde(default)]
        denied: Vec<Denied>,
        /// Of the users that the questions concern.
        names: Names,
        /// What the policy does when nobody answers in time; `None` while no policy is loaded.
        acts_unanswered: Option<bool>,
    },
    /// Newest first.
    History {
        lines: Vec<Line>,
        names: Names,
    },
    Examination {
        examination: Box<Examination>,
    },
    Report {
        summary: Box<Summary>,
    },
    Verification {
        verification: Verification,
    },
    /// The whole state in portable form.
    Backup {
        text: String,
    },
    Said {
        message: String,
    },
}

/// What checking the hash chain of the journal found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// Good lines.
    pub entries: u64,
    /// The hash of the last good line: compare with the metric `mailkeeper_journal_info`.
    pub head: String,
    /// What is wrong with the first line that does not fit.
    pub first_bad: Option<String>,
    /// The chain is whole, and lines that a backup knows of are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl From<journal::Verification> for Verification {
    fn from(found: journal::Verification) -> Self {
        let first_bad = found
            .first_bad
            .map(|bad| format!("segment {} at byte {}: {}", bad.segment, bad.offset, bad.reason));
        Self { entries: found.entries, head: found.head.hash, first_bad, missing: None }
    }
}

/// A step that `apply` sent, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    pub id: crate::model::UserId,
    pub upn: String,
    #[serde(flatten)]
    pub action: crate::model::Action,
    pub outcome: crate::model::OutcomeKind,
    pub detail: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub message: String,
    /// True when the question was wrong (exit code 64) rather than the world (1).
    pub is_usage: bool,
}

impl Refusal {
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_usage: false }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_usage: true }
    }
}

impl From<crate::store::Error> for Refusal {
    fn from(error: crate::store::Error) -> Self {
        Self::failed(crate::errors::chain(&error))
    }
}

/// The answers of the tenants, by name, in the order of the settings.
pub type Answers = Vec<(String, Answer)>;

/// What travels back over the socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    Answers(Answers),
    Refused(Refusal),
}

/// Who asks: from the peer's credentials on the socket, never from what the peer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
}

impl Person {
    /// By numeric user id, with the name that the machine's user list gives it.
    pub fn of_uid(uid: u32) -> Self {
        let listed = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = listed.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let listed_uid = fields.nth(1)?;
            (listed_uid == uid.to_string()).then(|| name.to_owned())
        });
        Self { name: name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})")) }
    }

    /// The name without the number; `uid 1234` where the machine knows no name.
    pub fn login(&self) -> &str {
        self.name.split(" (uid ").next().unwrap_or_default()
    }

    /// The user that runs this process.
    pub fn of_this_process() -> Self {
        use std::os::unix::fs::MetadataExt as _;
        match std::fs::metadata("/proc/self") {
            Ok(metadata) => Self::of_uid(metadata.uid()),
            Err(_) => Self { name: "unknown".to_owned() },
        }
    }
}
