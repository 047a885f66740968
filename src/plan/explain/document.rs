//! An explanation as a document: what `explain` says, in its parts; also what its JSON says.

use serde::{Deserialize, Serialize};

use crate::model::{
    Attempt, Drift, Entitlement, Outlook, Pending, Presence, Replaced, Response, RuleRef, Span, Timestamp,
    UserId, Verdict,
};

/// Everything an administrator asks at three in the morning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub id: UserId,
    pub upn: String,
    pub display_name: Option<String>,
    pub at: Timestamp,
    pub verdict: Standing,
    /// One sentence: what is the matter.
    pub summary: String,
    /// What becomes of the mailbox while nobody acts, where that is known.
    pub fate: Option<String>,
    /// The subscription of the only product that keeps the mailbox, where nobody renewed it.
    #[serde(default)]
    pub subscription: Option<Backed>,
    pub rule: RuleView,
    /// Why the newest policy is not the one in force.
    pub policy_failed: bool,
    pub observed: ObservedView,
    /// Another account with one of the same addresses.
    pub same_address: Option<OtherAccount>,
    pub drift: Option<Drift>,
    pub next: String,
    pub attempts: Vec<Attempt>,
    pub next_attempt: Option<Timestamp>,
    pub pending: Option<Pending>,
    pub last_verdict: Option<Verdict>,
    /// The mailbox that was lost last, and the one that exists now.
    #[serde(default)]
    pub replaced: Option<Replaced>,
    /// When repairs of ours did not last, as far as it bears on this drift.
    #[serde(default)]
    pub setbacks: Vec<Setback>,
    /// The last entries of the journal about this user, oldest first.
    pub past: Vec<Past>,
}

/// Where the user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Healthy,
    /// Healthy as far as the directory shows, after a repair of ours whose mailbox is not proved yet.
    Unproved,
    LeftAlone,
    AtRisk,
    /// The limit has passed, or the account is in neither list.
    Lost,
}

/// Which entry of the policy decides, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum RuleView {
    Keep {
        rule: RuleRef,
        on_license_lost: Response,
        on_deleted: Response,
        #[serde(rename = "settle_ms")]
        settle: Span,
        policy_digest: String,
        revision: Option<String>,
    },
    Offboarded {
        reason: String,
        file: String,
        line: u32,
    },
    Protected {
        reason: String,
        file: String,
        line: u32,
    },
    /// `tried`: every keep rule, none of which matches.
    NoRule {
        tried: Vec<RuleRef>,
        /// Of each of them, what does not hold.
        #[serde(default)]
        misses: Vec<Vec<String>>,
    },
    Undetermined {
        fact: String,
    },
}

/// What was observed, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedView {
    /// Start of the newest complete observation: everything below is as of then, unless it says otherwise.
    pub as_of: Option<Timestamp>,
    pub presence: Presence,
    pub account_enabled: Option<bool>,
    pub on_premises_synced: bool,
    pub usage_location: Option<String>,
    pub licenses: Vec<String>,
    pub entitlement: Entitlement,
    pub remembered_licenses: Vec<String>,
    pub mailbox_kind: Option<String>,
    pub mailbox_id: Option<String>,
    pub mailbox_asked: Option<Timestamp>,
    pub mailbox_answer: Option<String>,
    pub first_seen: Option<Timestamp>,
    pub sightings: u32,
}

/// Another account that answers to an address of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAccount {
    pub id: UserId,
    pub upn: String,
    pub presence: Presence,
    /// The addresses that both answer to, lower case.
    #[serde(default)]
    pub shared: Vec<String>,
    /// The user principal name is one and the same: a restore needs another name. Else only addresses collide.
    #[serde(default)]
    pub has_same_name: bool,
}

/// One repair that did not last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// When the mailbox was proved, or when it was noticed that a request without proof had been undone.
    pub at: Timestamp,
    pub what: String,
}

/// What stands behind a mailbox that is still healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backed {
    pub product: String,
    #[serde(flatten)]
    pub outlook: Outlook,
}

/// One entry of the journal, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub at: Timestamp,
    pub what: String,
}
