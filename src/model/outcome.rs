//! What came of a request, and what a later observation says of it.

use serde::{Deserialize, Serialize};

use super::Span;

/// After a request of ours, contrary reads within this time are stale reads and no new drift. Microsoft gives no
/// replication promise; a quarter of an hour covers what is reported for the directory.
pub const DIRECTORY_SETTLE: Span = Span::from_minutes(15);

/// Exchange: "usually under 30 minutes, up to 24 hours" until a licence shows in the mailbox; after that it is stuck.
pub const MAILBOX_SETTLE: Span = Span::from_hours(24);

/// What is known right after sending. Never "fixed": that is a [`Verdict`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub kind: OutcomeKind,
    /// For people: status, Graph's code and message, request id.
    pub detail: String,
    pub request_id: Option<String>,
}

/// The `outcome` label of `mailkeeper_actions_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// Graph accepted the request.
    Accepted,
    /// Graph says that it is already so.
    AlreadyDone,
    /// No answer, or one that does not say whether the request was applied: read before anything is repeated.
    Uncertain,
    /// Refused for now (throttled, busy): the request was not applied.
    Deferred,
    /// No seat was left at that moment.
    NoSeat,
    /// Refused for a reason that only a person can remove.
    Refused,
    /// Stopped before sending: hold, shutdown, journal or state not writable.
    NotSent,
}

impl OutcomeKind {
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::AlreadyDone,
        Self::Uncertain,
        Self::Deferred,
        Self::NoSeat,
        Self::Refused,
        Self::NotSent,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AlreadyDone => "already_done",
            Self::Uncertain => "uncertain",
            Self::Deferred => "deferred",
            Self::NoSeat => "no_seat",
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
        }
    }
}

/// What an observation later than the action says. The `verdict` label of `mailkeeper_recoveries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Licensed, reachable, and the mailbox is the one recorded while healthy.
    Verified,
    /// Licensed and reachable; nothing was recorded to compare with.
    Unverified,
    /// Another mailbox than the recorded one: data loss.
    NewEmptyMailbox,
    /// Not reachable 24 hours after the action.
    Stuck,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Verified, Self::Unverified, Self::NewEmptyMailbox, Self::Stuck];

    pub fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::NewEmptyMailbox => "new_empty_mailbox",
            Self::Stuck => "stuck",
        }
    }
}
