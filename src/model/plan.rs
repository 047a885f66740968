//! The plan of one pass: what will be sent, in which order, and why everything else waits.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{DriftKind, GroupId, PlanId, Reason, SkuId, Timestamp, UserId};

/// Steps in the order in which they are sent, and a reason for every drift without one. Leaves no choice to act.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub made_at: Timestamp,
    /// SHA-256, hex, of the steps alone: the same steps have the same digest whenever they are planned.
    pub digest: String,
    pub policy_digest: String,
    pub steps: Vec<Step>,
    pub waiting: Vec<Waiting>,
    pub asks: Vec<Ask>,
    /// Questions that a person said no to and whose cause still stands: the answer can be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Ask>,
    pub seats: Vec<SeatNeed>,
}

impl Plan {
    /// What waits for an answer, and what was denied and can be taken back.
    pub fn questions(&self) -> impl Iterator<Item = &Ask> {
        self.asks.iter().chain(&self.denied)
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Stable for the same user, action and drift: the idempotency key of the intent.
    pub id: String,
    #[serde(rename = "user_id")]
    pub user: UserId,
    pub upn: String,
    pub drift: DriftKind,
    pub rule: String,
    pub action: Action,
    pub deadline: Option<Timestamp>,
    pub act_by: Option<Timestamp>,
    /// Which attempt at this drift, from 1.
    pub attempt: u32,
}

/// What is sent. There is deliberately nothing here that creates, purges, unlicenses or disables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// `POST /users/{id}/assignLicense` with one entry; also used to switch the Exchange plan on inside a product.
    AssignLicense { sku: SkuId, part_number: String, disabled_plans: BTreeSet<PlanId>, takes_seat: bool },
    /// `POST /groups/{id}/members/$ref`.
    AddToGroup { group: GroupId },
    /// `POST /users/{id}/reprocessLicenseAssignment`: group licensing tries again for this user. Takes a seat of the
    /// product that the group could not give.
    ReprocessLicenses { group: GroupId, sku: SkuId, part_number: String },
    /// `PATCH /users/{id}` with the location that the policy gives.
    SetUsageLocation { location: String },
    /// `POST /directory/deletedItems/{id}/restore`; the body is empty unless the policy asks for more.
    Restore(RestoreOptions),
}

/// What a restore may do beyond bringing the account back (Graph: directory-deleteditems-restore). Both stay out of the
/// record where they are off: a plain restore is written as it always was.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// `newUserPrincipalName`: somebody else has the old one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_upn: Option<String>,
    /// `autoReconcileProxyConflict`: addresses that others hold by now are taken from the restored account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drops_taken_addresses: bool,
}

impl RestoreOptions {
    /// The account as it was.
    pub const PLAIN: Self = Self { new_upn: None, drops_taken_addresses: false };

    /// What makes one way of coming back another than the next, for ids: never shown, so that its words stay. `None`
    /// for the plain one.
    pub fn key(&self) -> Option<String> {
        let name = self.new_upn.as_deref().unwrap_or_default();
        (*self != Self::PLAIN).then(|| format!("{name} {}", self.drops_taken_addresses))
    }
}

impl Action {
    /// The account as it was.
    pub const PLAIN_RESTORE: Self = Self::Restore(RestoreOptions::PLAIN);

    pub const LABELS: [&'static str; 5] =
        ["assign_license", "add_to_group", "reprocess_licenses", "set_usage_location", "restore"];

    /// The `action` label of `mailkeeper_actions_total`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::AssignLicense { .. } => "assign_license",
            Self::AddToGroup { .. } => "add_to_group",
            Self::ReprocessLicenses { .. } => "reprocess_licenses",
            Self::SetUsageLocation { .. } => "set_usage_location",
            Self::Restore(_) => "restore",
        }
    }
}

/// A drift, or a user that would be one, without a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    #[serde(rename = "user_id")]
    pub user: UserId,
    pub upn: String,
    pub drift: DriftKind,
    pub rule: Option<String>,
    pub reason: Reason,
    /// When the reason may end by itself.
    pub until: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    pub act_by: Option<Timestamp>,
    /// What is particular about this case, beyond the reason's sentence.
    pub detail: Option<String>,
}

/// A question to a person, bound to the digest of the plan that raised it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Stable for the same question.
    pub id: String,
    pub reason: Reason,
    /// The drifts that the answer would release.
    pub users: Vec<UserId>,
    pub question: String,
    pub opened: Timestamp,
    pub act_by: Option<Timestamp>,
}

/// A person's answer to one ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub granted: bool,
    pub at: Timestamp,
    /// Who, from the peer's credentials.
    pub by: String,
    /// Digest of the plan that the person saw.
    pub digest: String,
    /// What was asked, and for whom: the answer holds for these users and nobody else.
    pub reason: Reason,
    pub users: BTreeSet<UserId>,
}

/// Seats that the drifts of this pass would need and that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatNeed {
    pub sku: SkuId,
    pub part_number: String,
    pub missing: u32,
    /// The soonest act-by among the drifts that go without.
    pub by: Option<Timestamp>,
}
