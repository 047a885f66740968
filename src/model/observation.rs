//! What one observation saw, and whether it may be believed.

use serde::{Deserialize, Serialize};

use super::{Timestamp, User, UserId};

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
    Unreadable(Unreadable),
}

/// A user whose entry does not have the documented shape, and is understood only so far as to say whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    pub id: UserId,
    /// Among the deleted users.
    pub is_deleted: bool,
    /// What is wrong with it, for people.
    pub fault: String,
}

impl Sighting {
    /// Of a user who is there, and not a word on the licences.
    pub fn is_silent(&self) -> bool {
        match self {
            Self::Live(user) => user.licenses.is_none(),
            Self::Unreadable(_) => true,
            Self::Deleted { .. } | Self::Purged(_) => false,
        }
    }

    pub fn id(&self) -> UserId {
        match self {
            Self::Live(user) | Self::Deleted { user, .. } => user.id,
            Self::Purged(id) => *id,
            Self::Unreadable(odd) => odd.id,
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

/// Something that went wrong while observing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What was asked for, and what came instead; no secrets, no addresses of people.
    pub detail: String,
}

impl Problem {
    /// Those worth telling: without a token every question fails alike, and the first failure tells all of them.
    pub fn told(problems: &[Self]) -> impl Iterator<Item = &Self> {
        let of_sign_in = |problem: &&Self| problem.kind == ProblemKind::SignIn;
        problems
            .iter()
            .find(of_sign_in)
            .into_iter()
            .chain(problems.iter().filter(move |one| !of_sign_in(one)))
    }
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
    /// What Graph says of single users could not be understood: nothing is decided about those.
    UserUnreadable,
}

impl ProblemKind {
    pub const ALL: [Self; 13] = [
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
        Self::UserUnreadable,
    ];

    /// True when no step may follow from the observation.
    pub fn is_blocking(self) -> bool {
        !matches!(self, Self::MailboxUnreadable | Self::UserUnreadable)
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
            Self::UserUnreadable => "user_unreadable",
        }
    }
}
