//! What is known of one user, also after deletion.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GroupId, License, LicenseAssignment, MailboxMemory, Timestamp, User, UserId};

/// The record of one user in the state. Changes only when an observation changes it: "last seen" of an unchanged user
/// is the tenant's last complete observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownUser {
    /// As last seen alive; for a user first seen deleted, as the deleted listing shows it.
    pub user: User,
    pub presence: Presence,
    /// Of the groups that the policy names, those the user was in when last seen alive.
    pub groups: BTreeSet<GroupId>,
    /// The policy groups whose membership was known when `groups` was written. A group outside is "not known".
    pub groups_read: BTreeSet<GroupId>,
    pub mailbox: MailboxMemory,
    /// The licences while the user last was entitled to a mailbox: what a repair puts back.
    pub remembered: Option<Remembered>,
    /// Set while the entitlement is lost.
    pub loss: Option<Loss>,
}

impl KnownUser {
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// True when a mailbox is known to have existed: an identity or kind was read, or a licence was seen to carry it.
    pub fn had_mailbox(&self) -> bool {
        self.mailbox.kind.is_some()
            || self.mailbox.primary_id.is_some()
            || self.remembered.is_some()
            || self.loss.as_ref().is_some_and(|loss| loss.had_mailbox_plan)
    }
}

/// Where the account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    Live,
    /// Among the deleted users since `since` (Graph: `deletedDateTime`, the directory's own clock).
    Deleted {
        since: Timestamp,
    },
    /// In neither list, first noticed at `noticed`. One observation does not prove anything.
    Missing {
        noticed: Timestamp,
    },
    /// In neither list in two complete observations, or reported as purged.
    Gone {
        noticed: Timestamp,
    },
}

/// Licences of the last healthy observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub licenses: Vec<License>,
    /// Which of them came through a group.
    pub assignments: Vec<LicenseAssignment>,
}

/// When the right to a mailbox was lost, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Start of the last complete observation that still saw the licence; `None` when it was never seen.
    pub last_with: Option<Timestamp>,
    /// Start of the first observation without it.
    pub noticed: Timestamp,
    /// Date on the `Deleted` entry of `assignedPlans`: undocumented, only a hint.
    pub hint: Option<Timestamp>,
    /// A mailbox plan stands or stood in `assignedPlans`.
    pub had_mailbox_plan: bool,
}
