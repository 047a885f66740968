//! What one observation saw, and whether it may be believed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AuditEvent, Timestamp, User, UserId};

/// One user in one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sighting {
    Live(User),
    /// Among the deleted users; `User::upn` already without the object-id prefix.
    Deleted {
        user: User,
        since: Timestamp,
    },
    /// A delta said that the user is gone for good.
    Purged(UserId),
}

impl Sighting {
    pub fn id(&self) -> UserId {
        match self {
            Self::Live(user) | Self::Deleted { user, .. } => user.id,
            Self::Purged(id) => *id,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationKind {
    /// Every user was listed: absence means something.
    Full,
    /// Only what changed was listed: absence means nothing.
    Delta,
}

/// The summary of one observation. The sightings themselves stream through the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub kind: ObservationKind,
    /// Local clock before the first request: nothing in the observation is older.
    pub started: Timestamp,
    pub finished: Timestamp,
    pub live_users: u64,
    pub deleted_users: u64,
    pub problems: Vec<Problem>,
}

impl Observation {
    pub fn completeness(&self) -> Completeness {
        if self.problems.iter().any(|problem| problem.kind.is_blocking()) {
            Completeness::Rejected
        } else {
            Completeness::Complete
        }
    }

    pub fn is_complete(&self) -> bool {
        self.completeness() == Completeness::Complete
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    Complete,
    /// Something was missing or not believable: no step follows from it.
    Rejected,
}

/// What the whole tenant says about one user: only for the few that are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// User to another user with one of the same addresses, one of the two deleted.
    pub same_address: BTreeMap<UserId, UserId>,
    /// What the audit log says of the user's loss and deletion, where it was asked.
    pub audited: BTreeMap<UserId, Vec<AuditEvent>>,
}

impl Conflicts {
    pub fn audited(&self, user: UserId) -> &[AuditEvent] {
        self.audited.get(&user).map_or(&[], Vec::as_slice)
    }
}

/// Something that went wrong while observing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What was asked for, and what came instead; no secrets, no addresses of people.
    pub detail: String,
}

/// Why an observation is doubted; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Signing in failed.
    SignIn,
    /// 401 or 403 on an endpoint that the policy needs.
    Refused,
    /// No complete answer after all retries.
    Unanswered,
    /// An answer that could not be understood.
    Malformed,
    /// A link to another origin, or one that loops.
    HostileLink,
    /// Fewer users than `$count` says, or the listing broke off.
    Truncated,
    /// The tenant is not the configured one.
    WrongTenant,
    /// A group that the policy names does not exist.
    GroupMissing,
    /// A large share of the known users is in neither list.
    MassDisappearance,
    /// Seats of a product jumped in a way that no purchase explains.
    SeatsJumped,
    /// The local clock and Graph's `Date` header disagree by more than the tolerance.
    ClockSkew,
    /// Mailbox kind or identity could not be read; only rules and proofs that need it are affected.
    MailboxUnreadable,
}

impl ProblemKind {
    pub const ALL: [Self; 12] = [
        Self::SignIn,
        Self::Refused,
        Self::Unanswered,
        Self::Malformed,
        Self::HostileLink,
        Self::Truncated,
        Self::WrongTenant,
        Self::GroupMissing,
        Self::MassDisappearance,
        Self::SeatsJumped,
        Self::ClockSkew,
        Self::MailboxUnreadable,
    ];

    /// True when no step may follow from the observation.
    pub fn is_blocking(self) -> bool {
        self != Self::MailboxUnreadable
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Malformed => "malformed",
            Self::HostileLink => "hostile_link",
            Self::Truncated => "truncated",
            Self::WrongTenant => "wrong_tenant",
            Self::GroupMissing => "group_missing",
            Self::MassDisappearance => "mass_disappearance",
            Self::SeatsJumped => "seats_jumped",
            Self::ClockSkew => "clock_skew",
            Self::MailboxUnreadable => "mailbox_unreadable",
        }
    }
}
