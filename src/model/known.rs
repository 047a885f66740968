//! What is known of one user, also after deletion.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    GroupId, License, LicenseAssignment, MailboxKind, MailboxMemory, Span, Timestamp, User, UserId, UserType,
};

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

/// How long Exchange keeps the mailbox of a purged account that was licensed (Microsoft: "Delete or restore user
/// mailboxes in Exchange Online").
const SOFT_DELETED_KEPT: Span = Span::from_days(30);

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

    /// Until when Exchange still has the mailbox of a purged account, soft-deleted and out of Graph's reach; at the
    /// latest, since the purge is known by its notice. `None` where the licence was removed first: then Exchange keeps
    /// nothing.
    pub fn soft_deleted_until(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Missing { noticed } | Presence::Gone { noticed } if self.loss.is_none() => {
                Some(noticed + SOFT_DELETED_KEPT)
            }
            Presence::Missing { .. } | Presence::Gone { .. } => None,
            Presence::Live | Presence::Deleted { .. } | Presence::Recalled { .. } => None,
        }
    }

    /// What is left of a user of whom only the journal tells, before anything is filled in.
    pub fn recalled(id: UserId) -> Self {
        Self {
            user: User::new(id, ""),
            presence: Presence::Recalled { deleted: None },
            groups: BTreeSet::new(),
            groups_read: BTreeSet::new(),
            mailbox: MailboxMemory::default(),
            remembered: None,
            loss: None,
        }
    }

    /// Whether the mailbox would be lost without a licence, as far as its kind is known.
    pub fn needs_license(&self) -> bool {
        self.mailbox.kind.as_ref().is_none_or(MailboxKind::needs_license)
    }

    /// The account was deleted before any observation asked about its mailbox, and looks as if it had one. Guests have
    /// addresses, too, and never a mailbox.
    pub fn may_have_had_mailbox(&self) -> bool {
        let user = &self.user;
        let has_traces = user.mail.is_some()
            || !user.proxy_addresses.is_empty()
            || !user.licenses().is_empty()
            || user.had_mailbox_plan();
        matches!(self.presence, Presence::Deleted { .. }) && user.user_type != UserType::Guest && has_traces
    }

    /// The account is there, and nobody knows at the moment which licences it has: nothing can be decided about it, and
    /// nothing that waits for an effect has come to an end.
    pub fn is_unread(&self) -> bool {
        match self.presence {
            Presence::Live => self.user.licenses.is_none(),
            Presence::Recalled { .. } => true,
            Presence::Deleted { .. } | Presence::Missing { .. } | Presence::Gone { .. } => false,
        }
    }

    /// Who is in an account's groups may change for as long as it lives, so those of a live one are not remembered:
    /// they are read again.
    pub fn memory(&self) -> Memory {
        let deleted = match self.presence {
            Presence::Deleted { since } => Some(since),
            Presence::Live | Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => {
                None
            }
        };
        let of_deleted = |groups: &BTreeSet<GroupId>| deleted.map(|_| groups.clone()).unwrap_or_default();
        Memory {
            deleted,
            groups: of_deleted(&self.groups),
            groups_read: of_deleted(&self.groups_read),
            kind: self.mailbox.kind.clone(),
            primary_id: self.mailbox.primary_id.clone(),
            remembered: self.remembered.clone(),
            loss: self.loss.clone(),
        }
    }

    /// Takes over what was known when the loss was noticed. A mailbox that is known here stays the one.
    pub fn recall(&mut self, memory: &Memory) {
        if memory.deleted.is_some() {
            self.groups.clone_from(&memory.groups);
            self.groups_read.clone_from(&memory.groups_read);
        }
        if let Presence::Recalled { deleted } = &mut self.presence {
            *deleted = memory.deleted;
        }
        self.remembered = memory.remembered.clone().or(self.remembered.take());
        self.loss.clone_from(&memory.loss);
        self.mailbox.kind = self.mailbox.kind.take().or_else(|| memory.kind.clone());
        self.mailbox.primary_id = self.mailbox.primary_id.take().or_else(|| memory.primary_id.clone());
    }
}

/// What of a user cannot be observed again once licence or account are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// When the account was deleted, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    /// Of a deleted account, those from before.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupId>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups_read: BTreeSet<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MailboxKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Remembered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
}

/// The identity of one mailbox, recorded while it was healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMailbox {
    pub user: UserId,
    pub primary_id: String,
    /// `None` for an ordinary mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MailboxKind>,
    /// The licences in which something was switched off then: what a repair would keep off, were nothing newer known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched_off: Vec<License>,
}

impl RecordedMailbox {
    /// `None` when no identity is recorded.
    pub fn of(known: &KnownUser) -> Option<Self> {
        let primary_id = known.mailbox.primary_id.clone()?;
        let kind = known.mailbox.kind.clone().filter(|kind| *kind != MailboxKind::User);
        let licenses = known.remembered.iter().flat_map(|remembered| &remembered.licenses);
        let switched_off = licenses.filter(|license| !license.disabled_plans.is_empty()).cloned().collect();
        Some(Self { user: known.id(), primary_id, kind, switched_off })
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
    /// The state was lost, and until the next complete observation only the journal tells of the user.
    Recalled {
        /// The deletion that the journal tells of: the groups are those of before it.
        deleted: Option<Timestamp>,
    },
}

/// A deleted account stays recoverable for 30 days, whatever the tenant's settings (Microsoft Entra: "Restore or
/// remove a recently deleted user").
pub const DELETED_RETENTION: Span = Span::from_days(30);

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
