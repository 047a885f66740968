//! What is recorded. Entries are only ever added to: a journal of years ago must still be readable.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Action, Cause, DriftKind, Memory, OutcomeKind, Problem, Reason, RecordedMailbox, Timestamp, UserId,
    Verdict,
};

/// One thing that was decided, done or learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// A request is about to be sent.
    Intent {
        step_id: String,
        user: UserId,
        upn: String,
        action: Action,
        drift: DriftKind,
        /// Name of the keep rule.
        rule: String,
        policy_digest: String,
        plan_digest: String,
        /// The mailbox that must come back, where one was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_mailbox: Option<String>,
    },
    /// What came of the request. Closes the intent.
    Outcome {
        step_id: String,
        user: UserId,
        kind: OutcomeKind,
        detail: String,
        request_id: Option<String>,
    },
    /// What a later observation says of the repair.
    Verdict {
        user: UserId,
        step_id: Option<String>,
        verdict: Verdict,
        detail: String,
    },
    /// A loss was noticed, with its evidence in the interval: cannot be observed again.
    ClockStarted {
        user: UserId,
        upn: String,
        kind: DriftKind,
        earliest: Option<Timestamp>,
        latest: Timestamp,
        deadline: Option<Timestamp>,
        /// `None` in journals of before it was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// What a state that was lost gets back of the user. `None` in journals of before it was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<Box<Memory>>,
    },
    /// The loss is over, for whatever reason.
    ClockStopped {
        user: UserId,
        reason: String,
    },
    /// The identity of one healthy mailbox. No longer written: [`Entry::MailboxesRecorded`] takes its place.
    MailboxRecorded {
        user: UserId,
        primary_id: String,
    },
    /// The identities of healthy mailboxes, first seen: cannot be observed again once they are lost. Many in one line,
    /// since a large tenant has a million of them.
    MailboxesRecorded {
        mailboxes: Vec<RecordedMailbox>,
    },
    /// The limit has passed. `warned`: the deadline was shown before.
    Lost {
        user: UserId,
        upn: String,
        warned: bool,
    },
    Held {
        by: String,
        reason: Option<String>,
        until: Option<Timestamp>,
    },
    Resumed {
        by: String,
    },
    /// A question to a person was opened.
    Asked {
        ask: String,
        reason: Reason,
        question: String,
        /// How many mailboxes wait for the answer.
        mailboxes: u64,
        act_by: Option<Timestamp>,
        /// For whom; empty in journals of before it was recorded, and where there were too many to be named in one
        /// line.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        users: BTreeSet<UserId>,
    },
    /// A person said yes to the plan with this digest.
    Approved {
        ask: String,
        by: String,
        digest: String,
        /// As of a question.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        users: BTreeSet<UserId>,
    },
    /// Somebody may not approve this: with four eyes, who changed the policy. The question stays open.
    ApprovalRefused {
        ask: String,
        by: String,
        reason: String,
    },
    Denied {
        ask: String,
        by: String,
        digest: String,
        /// What was asked, and for whom, so that a state that was lost still knows the answer. `None` and empty in
        /// journals of before it was recorded; empty also where there were too many to be named in one line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        users: BTreeSet<UserId>,
    },
    /// A policy became the one that decides. `revision`: the commit, in a git work tree.
    PolicyLoaded {
        digest: String,
        revision: Option<String>,
    },
    ObservationRejected {
        problems: Vec<Problem>,
    },
    /// Seats of a product that the plan would need and that are not there changed to this many; 0: there are enough.
    SeatsMissing {
        part_number: String,
        missing: u32,
    },
    /// The state was lost and read back from a backup of this moment.
    Restored {
        backup: String,
        made_at: Timestamp,
    },
    /// The state was older than the journal, and was brought up to date from the lines behind `after`.
    Recalled {
        after: u64,
        /// Identities of mailboxes, clocks that run, and users whose attempts and repairs were put right.
        mailboxes: u64,
        clocks: u64,
        ledgers: u64,
    },
    Started {
        version: String,
    },
    Stopped,
}

impl Entry {
    /// The user that the entry is about.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Intent { user, .. }
            | Self::Outcome { user, .. }
            | Self::Verdict { user, .. }
            | Self::ClockStarted { user, .. }
            | Self::ClockStopped { user, .. }
            | Self::MailboxRecorded { user, .. }
            | Self::Lost { user, .. } => Some(*user),
            Self::Held { .. }
            | Self::Resumed { .. }
            | Self::Asked { .. }
            | Self::SeatsMissing { .. }
            | Self::Restored { .. }
            | Self::Recalled { .. }
            | Self::MailboxesRecorded { .. }
            | Self::Approved { .. }
            | Self::ApprovalRefused { .. }
            | Self::Denied { .. }
            | Self::PolicyLoaded { .. }
            | Self::ObservationRejected { .. }
            | Self::Started { .. }
            | Self::Stopped => None,
        }
    }
}

impl Entry {
    /// Those whom a question to a person, or the answer to it, is about.
    pub fn asked_about(&self) -> Option<&BTreeSet<UserId>> {
        match self {
            Self::Asked { users, .. } | Self::Approved { users, .. } | Self::Denied { users, .. } => {
                Some(users)
            }
            Self::Intent { .. }
            | Self::Outcome { .. }
            | Self::Verdict { .. }
            | Self::ClockStarted { .. }
            | Self::ClockStopped { .. }
            | Self::MailboxRecorded { .. }
            | Self::MailboxesRecorded { .. }
            | Self::Lost { .. }
            | Self::Held { .. }
            | Self::Resumed { .. }
            | Self::ApprovalRefused { .. }
            | Self::SeatsMissing { .. }
            | Self::Restored { .. }
            | Self::Recalled { .. }
            | Self::PolicyLoaded { .. }
            | Self::ObservationRejected { .. }
            | Self::Started { .. }
            | Self::Stopped => None,
        }
    }
}

/// An entry as read back. One that a newer version wrote is kept as it stands: the chain covers it all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded {
    Known(Box<Entry>),
    Unknown(Value),
}

impl Recorded {
    pub fn known(&self) -> Option<&Entry> {
        match self {
            Self::Known(entry) => Some(entry),
            Self::Unknown(_) => None,
        }
    }

    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Known(entry) => entry.user(),
            Self::Unknown(value) => value.get("user")?.as_str()?.parse().ok(),
        }
    }

    /// True when the entry is about this user, alone or among others.
    pub fn concerns(&self, user: UserId) -> bool {
        match self.known() {
            Some(Entry::MailboxesRecorded { mailboxes }) => {
                mailboxes.iter().any(|mailbox| mailbox.user == user)
            }
            Some(entry) if entry.asked_about().is_some_and(|users| users.contains(&user)) => true,
            Some(_) | None => self.user() == Some(user),
        }
    }

    /// True for an intent, also for one of a newer version: it counts towards the limits.
    pub fn is_intent(&self) -> bool {
        match self {
            Self::Known(entry) => matches!(**entry, Entry::Intent { .. }),
            Self::Unknown(value) => value.get("event").and_then(Value::as_str) == Some("intent"),
        }
    }
}
