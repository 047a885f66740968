//! The format of a plan case file. Only names, dates and numbers that an operator knows; nothing of the inner types.

use std::collections::{BTreeMap, BTreeSet};

use mailkeeper::model::{AuditEvent, Timestamp};
use serde::{Deserialize, Serialize};

/// One case: what is wanted, what was observed, what was done before, and what must be planned.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub now: Timestamp,
    /// The policy file, as text.
    pub policy: String,
    /// Products of the tenant by name, with their seats. A name is one of `stage::PRODUCTS`.
    #[serde(default)]
    pub products: BTreeMap<String, Seats>,
    /// The subscriptions behind them; without it they are not known.
    pub subscriptions: Option<Vec<SubscriptionCase>>,
    /// Groups by id, as far as they are known.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupCase>,
    pub users: Vec<UserCase>,
    /// Kept mailboxes of the whole tenant, where there are more than the users listed.
    pub kept: Option<u64>,
    /// Requests sent within the last day, also for users that are not listed.
    pub sent_last_day: Option<u32>,
    /// Seats taken by requests whose effect is not visible in the counters yet.
    #[serde(default)]
    pub in_flight: BTreeMap<String, u32>,
    /// Names that are not free.
    #[serde(default)]
    pub names_in_use: BTreeSet<String>,
    /// Why nothing may follow from this pass, as the label of a reason.
    pub closed: Option<String>,
    #[serde(default)]
    pub answers: Vec<AnswerCase>,
    pub expect: Expected,
}

/// Seats of one product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seats {
    /// Bought and free; consumed seats only matter where they are more than bought.
    #[serde(default)]
    pub free: i64,
    /// Of these, seats of an expired subscription in its grace period.
    #[serde(default)]
    pub warning: i64,
    #[serde(default = "enabled")]
    pub status: String,
}

/// One group.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupCase {
    /// Products, as in a look.
    pub gives: Vec<LicenseCase>,
    pub dynamic: bool,
    pub synced: bool,
}

/// One subscription of a product.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionCase {
    pub product: String,
    pub status: String,
    pub next: Option<Timestamp>,
    #[serde(default)]
    pub seats: i64,
}

fn enabled() -> String {
    "Enabled".to_owned()
}

/// One user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCase {
    /// The part before `@contoso.com`.
    pub name: String,
    pub id: Option<String>,
    #[serde(default)]
    pub properties: Properties,
    pub mailbox: Option<MailboxCase>,
    /// The complete observations that changed something, oldest first.
    pub seen: Vec<Look>,
    pub ledger: Option<LedgerCase>,
    /// What the audit log said of the loss or deletion.
    #[serde(default)]
    pub audited: Vec<AuditEvent>,
    /// Another user with one of the same addresses, one of the two deleted.
    pub same_address_as: Option<String>,
    /// What of the user's own that one holds; without it that is not known.
    pub taken: Option<TakenCase>,
}

/// What others hold of a deleted account's by now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenCase {
    #[serde(default)]
    pub name: bool,
    #[serde(default)]
    pub addresses: BTreeSet<String>,
}

/// What does not change in a case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Properties {
    pub department: Option<String>,
    pub employee_type: Option<String>,
    /// `member` unless said.
    pub user_type: Option<String>,
    #[serde(default)]
    pub synced: bool,
}

/// What Exchange said of the mailbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxCase {
    pub kind: String,
    pub id: Option<String>,
}

/// One observation of one user; what it does not mention is as it was at the look before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    pub at: Timestamp,
    /// The last complete observation before this one, where that is not the look before.
    pub previous: Option<Timestamp>,
    pub licenses: Option<Vec<LicenseCase>>,
    /// Graph did not say which licences there are.
    #[serde(default)]
    pub licenses_unsaid: bool,
    /// `assignedPlans`; without it, on for what is licensed and deleted without a date for what was.
    pub plans: Option<Vec<PlanCase>>,
    /// The group through which the licences come.
    pub by_group: Option<String>,
    /// An error of group licensing, with the group in `by_group`: the product that it should give.
    pub group_error: Option<String>,
    /// Licences that are listed although the group in `by_group` reports that it had no seat for them.
    #[serde(default)]
    pub failed_licenses: Vec<String>,
    /// The name of that error; `CountViolation` unless said.
    pub group_error_is: Option<String>,
    pub enabled: Option<bool>,
    /// `none`, or two letters; NO unless said.
    pub usage_location: Option<String>,
    pub groups: Option<Vec<String>>,
    /// Exchange's complaint, with its date, that it may not disconnect the mailbox; empty once it is over.
    pub holds: Option<Vec<Timestamp>>,
    /// Among the deleted users since then; later looks without it are at a restored account.
    pub deleted: Option<Timestamp>,
    /// In neither list.
    #[serde(default)]
    pub absent: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum LicenseCase {
    Whole(String),
    Parts { sku: String, off: Vec<String> },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanCase {
    pub plan: String,
    pub status: String,
    pub date: Option<Timestamp>,
}

/// What was done before. Without it a drift stood in two observations, the first at the last look.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerCase {
    pub seen_since: Option<Timestamp>,
    pub sightings: Option<u32>,
    #[serde(default)]
    pub attempts: Vec<AttemptCase>,
    /// The newest attempt was accepted, its effect was not observed yet.
    #[serde(default)]
    pub pending: bool,
    pub next_attempt: Option<Timestamp>,
    #[serde(default)]
    pub repaired: Vec<Timestamp>,
    /// When requests were noticed to have been undone before anything was proved.
    #[serde(default)]
    pub undone: Vec<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptCase {
    pub at: Timestamp,
    /// `restore`, `assign SPE_E3` or `add to group ID`.
    pub action: String,
    pub outcome: String,
    /// What Graph said; the outcome unless said.
    pub detail: Option<String>,
}

/// A person's answer to the ask with this reason and these users.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCase {
    pub reason: String,
    pub users: Vec<String>,
    pub granted: bool,
    pub at: Timestamp,
}

/// What must be planned. Everything that is not mentioned must be empty, but deadlines, act-by dates, evidence and
/// causes, which are only compared where they are mentioned.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// In the order of sending: user to action.
    pub steps: Vec<BTreeMap<String, String>>,
    /// User to reason.
    pub waiting: BTreeMap<String, String>,
    /// Reason to users.
    pub asks: Vec<BTreeMap<String, Vec<String>>>,
    pub seats_missing: BTreeMap<String, String>,
    /// Users that are not ours to touch: user to reason and what would be repaired.
    pub left_alone: BTreeMap<String, String>,
    pub healthy: Vec<String>,
    /// What a waiting drift is told beside its reason: a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadlines: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act_by: Option<BTreeMap<String, String>>,
    /// What speaks for the clock of a user, as explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causes: Option<BTreeMap<String, String>>,
}
