//! The difference between what should be and what is, for one user.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AuditEvent, GroupId, PlanId, Reason, RestoreOptions, SkuId, Span, Timestamp, UserId};

/// A kept mailbox that is on its way to being lost, or already is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub user: UserId,
    pub upn: String,
    pub kind: DriftKind,
    pub cause: Cause,
    pub rule: RuleRef,
    pub clock: LossClock,
    /// What the rule wants done about this kind of drift.
    pub response: Response,
    pub settle: Span,
    pub remedy: Remedy,
    /// Set when the user's own situation forbids the remedy; wins over everything that planning could say.
    pub blocked: Option<Reason>,
    /// What is particular about this case, beyond the sentence of `blocked`.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Which of the four promises is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    Unlicensed,
    Deleted,
    UnlicensedAndDeleted,
    /// In neither list.
    Gone,
}

impl DriftKind {
    pub const ALL: [Self; 4] = [Self::Unlicensed, Self::Deleted, Self::UnlicensedAndDeleted, Self::Gone];

    pub fn label(self) -> &'static str {
        match self {
            Self::Unlicensed => "unlicensed",
            Self::Deleted => "deleted",
            Self::UnlicensedAndDeleted => "unlicensed_and_deleted",
            Self::Gone => "gone",
        }
    }

    /// The account is in the recycle bin, with its licence or without.
    pub fn is_deletion(self) -> bool {
        match self {
            Self::Deleted | Self::UnlicensedAndDeleted => true,
            Self::Unlicensed | Self::Gone => false,
        }
    }
}

/// How it came about, as far as the directory shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A directly assigned licence is gone.
    LicenseRemoved,
    /// A licence that came through a group is gone.
    GroupLicenseRemoved,
    /// The group should give it and reports an error.
    GroupLicenseError,
    /// The product is there, its Exchange plan is switched off.
    PlanDisabled,
    SubscriptionLapsed,
    /// A shared, room or equipment mailbox became one that needs a licence, or does not answer any more.
    KindChanged,
    /// Never seen licensed.
    NeverLicensed,
    /// The account was deleted.
    AccountDeleted,
    /// The account was purged, or vanished.
    AccountPurged,
}

impl Cause {
    pub fn label(self) -> &'static str {
        match self {
            Self::LicenseRemoved => "license_removed",
            Self::GroupLicenseRemoved => "group_license_removed",
            Self::GroupLicenseError => "group_license_error",
            Self::PlanDisabled => "plan_disabled",
            Self::SubscriptionLapsed => "subscription_lapsed",
            Self::KindChanged => "kind_changed",
            Self::NeverLicensed => "never_licensed",
            Self::AccountDeleted => "account_deleted",
            Self::AccountPurged => "account_purged",
        }
    }
}

/// The keep rule that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    pub name: String,
    /// Line in the policy, 1-based.
    pub line: u32,
    pub file: String,
    /// Higher gets the last seat.
    pub priority: i32,
}

/// `act | ask | report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Act,
    Ask,
    Report,
}

/// The clock of one drift. All times UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossClock {
    pub certainty: Certainty,
    /// Earliest moment at which the loss can have happened; the deadline counts from here.
    pub earliest: Option<Timestamp>,
    /// Latest moment at which it can have happened.
    pub latest: Timestamp,
    /// When Microsoft's limit is reached; `None` when no clock runs or nothing is known.
    pub deadline: Option<Timestamp>,
    /// The deadline less the policy's margin.
    pub act_by: Option<Timestamp>,
    pub evidence: Vec<Evidence>,
}

/// How well the start of the clock is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Bounded by our own observations or the directory's own date.
    Known,
    /// Only an undocumented date speaks for it.
    Hinted,
    /// Absent at the first look: it may be a minute or a month.
    Unknown,
    /// A hold, or a mailbox that needs no licence: nothing runs.
    NotRunning,
}

/// One thing that speaks for the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Evidence {
    /// Two of our own observations enclose the loss.
    Observed { last_with: Timestamp, noticed: Timestamp },
    /// First seen without a licence; never seen with one.
    FirstSeenWithout { noticed: Timestamp },
    /// The date on the `Deleted` Exchange entry of `assignedPlans`: undocumented.
    AssignedPlan { date: Timestamp },
    /// `deletedDateTime` of the directory.
    DeletedDateTime { date: Timestamp },
    /// The subscription's own clock preserves the mailbox. `is_deletion`: at `next` it may be deleted, and the mailbox
    /// with it; else that is only the date of its next stage, and the deletion comes later.
    Subscription { product: String, status: String, next: Option<Timestamp>, is_deletion: bool },
    /// A lapsed subscription preserves the mailbox, and how long is not known: subscriptions cannot be read, or none of
    /// the product is on its way out.
    SubscriptionNotKnown { product: String },
    /// The directory's audit log: who did it, and when. Dates a loss that was not observed, as a hint.
    Audit(AuditEvent),
    /// A provisioning error of Exchange: a hold blocks the disconnect.
    Hold { service_instance: String },
}

/// What would repair the drift. Data for the planner; nothing is chosen yet that depends on seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "remedy", rename_all = "snake_case")]
pub enum Remedy {
    /// The first candidate with a seat.
    AssignLicense {
        candidates: Vec<Candidate>,
    },
    /// The product is assigned already; switch its Exchange plan on again, leave the others as they are. Needs no seat.
    EnablePlan {
        sku: SkuId,
        part_number: String,
        disabled_plans: BTreeSet<PlanId>,
    },
    /// Put back into the licensing group.
    AddToGroup {
        group: GroupId,
        sku: Option<SkuId>,
    },
    /// A member of the licensing group whose licence could not be given, and now can.
    ReprocessLicenses {
        group: GroupId,
        sku: SkuId,
        part_number: String,
    },
    /// Set the usage location that the policy gives, before anything else.
    SetUsageLocation {
        location: String,
    },
    Restore(RestoreOptions),
    /// Nothing that can be done from here.
    Nothing,
}

/// A licence that would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub sku: SkuId,
    pub part_number: String,
    /// What stays switched off: what a person had switched off, less the Exchange plan that the policy asks for.
    pub disabled_plans: BTreeSet<PlanId>,
}

/// The state of a kept mailbox; the `state` label of `mailkeeper_mailboxes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxState {
    Healthy,
    Unlicensed,
    Deleted,
    UnlicensedAndDeleted,
    /// The deadline has passed.
    Expired,
    /// Repaired by us, not proved yet.
    Settling,
    /// The deadline is not known.
    Unknown,
}

impl MailboxState {
    pub const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Unlicensed,
        Self::Deleted,
        Self::UnlicensedAndDeleted,
        Self::Expired,
        Self::Settling,
        Self::Unknown,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unlicensed => "unlicensed",
            Self::Deleted => "deleted",
            Self::UnlicensedAndDeleted => "unlicensed_and_deleted",
            Self::Expired => "expired",
            Self::Settling => "settling",
            Self::Unknown => "unknown",
        }
    }
}
