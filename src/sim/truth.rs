//! What only the judge may know: the true state of mailboxes, every write received, every count. Nothing here is
//! reachable over HTTP.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::directory::LicenceFailure;
use super::licensing::keeps_mailbox;
use super::mailbox::{MailboxKind, State};
use super::tenant::Tenant;
use crate::graph::transport::Method;
use crate::model::{GroupId, SkuId, Timestamp, UserId};

/// What state a mailbox is really in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxState {
    /// There never was one.
    None,
    /// Works; also in the grace of Delicensing Resiliency.
    Active,
    /// Licence lost; purged 30 days after `since`. Stays so until a reconnection is through.
    Disconnected { since: Timestamp },
    /// The user is in the recycle bin, or was purged from it at most 30 days ago.
    SoftDeleted { since: Timestamp },
    /// Kept by a hold although the user is deleted.
    Inactive,
    /// Gone.
    Purged { at: Timestamp },
}

/// One user's mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxTruth {
    pub state: MailboxState,
    /// The mailbox itself; another id is another, empty mailbox. Nil where there is none.
    pub id: Uuid,
    /// 0 without a mailbox, 1 for the first, one more for each replacement.
    pub generation: u32,
}

/// Why a mailbox can no longer be had back through Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossCause {
    /// 30 days without a licence.
    LicenceLost,
    /// The user left the recycle bin. For 30 days more Exchange itself could recover the mailbox.
    AccountPurged,
    /// The user left the recycle bin and had lost the licence before: nothing is left.
    AccountPurgedUnlicensed,
    /// A duplicate account with the same `ExchangeGuid` was licensed.
    ReplacedByDuplicate,
}

/// A mailbox out of reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostMailbox {
    pub user: UserId,
    /// As it last was; prefixed with the object id when the user was deleted.
    pub user_principal_name: String,
    pub at: Timestamp,
    pub cause: LossCause,
    pub generation: u32,
}

/// One state-changing request, also one that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRecord {
    pub at: Timestamp,
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The operation, `assign license` for instance.
    pub operation: &'static str,
    pub user: Option<UserId>,
    pub group: Option<GroupId>,
    pub body: String,
    pub status: u16,
    /// The tenant was changed.
    pub applied: bool,
}

/// Counts since the tenant was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Graph requests, items of a batch one by one.
    pub requests: u64,
    pub by_operation: BTreeMap<&'static str, u64>,
    /// Answered 429 by the quota.
    pub throttled: u64,
    /// Answered 403 for want of a permission.
    pub denied: u64,
    /// Answered 401.
    pub unauthenticated: u64,
    pub tokens_issued: u64,
    pub resource_units: u64,
}

/// The seats of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatTruth {
    pub seats: u32,
    pub consumed: u32,
}

impl Tenant {
    pub fn mailbox_truth(&self, user: UserId) -> MailboxTruth {
        let Some(mailbox) = self.mailboxes.get(user) else {
            return MailboxTruth { state: MailboxState::None, id: Uuid::nil(), generation: 0 };
        };
        let state = match mailbox.state {
            State::Active | State::Grace => MailboxState::Active,
            State::Disconnected { since } => MailboxState::Disconnected { since },
            State::SoftDeleted { since } => MailboxState::SoftDeleted { since },
            State::Inactive => MailboxState::Inactive,
            State::Purged { at } => MailboxState::Purged { at },
        };
        MailboxTruth { state, id: mailbox.id, generation: mailbox.generation }
    }

    pub fn mailbox_kind(&self, user: UserId) -> Option<MailboxKind> {
        self.mailboxes.get(user).map(|mailbox| mailbox.kind)
    }

    /// Every mailbox that went out of Graph's reach, in that order.
    pub fn lost_mailboxes(&self) -> &[LostMailbox] {
        &self.lost
    }

    /// Every state-changing request received, in that order.
    pub fn writes(&self) -> &[WriteRecord] {
        &self.writes
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn seats(&self, sku: SkuId) -> Option<SeatTruth> {
        self.catalogue.get(sku).map(|product| SeatTruth { seats: product.seats, consumed: product.consumed })
    }

    /// Live, in the recycle bin, or neither.
    pub fn is_live(&self, user: UserId) -> bool {
        self.directory.live(user).is_some()
    }

    pub fn is_in_recycle_bin(&self, user: UserId) -> bool {
        self.directory.deleted(user).is_some()
    }

    pub fn user_count(&self) -> usize {
        self.directory.live_count()
    }

    /// The live user with this user principal name.
    pub fn find_user(&self, user_principal_name: &str) -> Option<UserId> {
        self.directory.find_upn(user_principal_name)
    }

    /// The products that work for a user, also a deleted one, that it held at deletion.
    pub fn licences_of(&self, user: UserId) -> Vec<SkuId> {
        self.directory.any(user).map(|user| user.working_skus()).unwrap_or_default()
    }

    /// True while a licence keeps the mailbox: one whose mailbox plan is not switched off.
    pub fn has_mailbox_plan(&self, user: UserId) -> bool {
        self.directory.any(user).is_some_and(|user| keeps_mailbox(user))
    }

    /// A group should give this user a licence, and there was no seat when it tried.
    pub fn lacks_group_seat(&self, user: UserId) -> bool {
        let licences = self.directory.live(user).map(|user| &user.licences);
        licences.into_iter().flatten().any(|path| path.failure == Some(LicenceFailure::NoSeat))
    }

    pub fn is_member(&self, group: GroupId, user: UserId) -> bool {
        self.groups.get(group).is_some_and(|group| group.members.contains(&user))
    }
}
