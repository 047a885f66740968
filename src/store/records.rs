//! Records that a tenant has once. Plain data: no key-value call, no clock, no judgement.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Catalog, GroupId, KnownUser, LedgerEntry, MailboxState, Observation, Plan, Reason, Sighting, Timestamp,
};

use super::codec::{Encoding, Record};

/// A record that a tenant has once, stored under its name.
pub trait Single: Record {
    const NAME: &'static str;
}

macro_rules! singles {
    ($($name:ident = $key:literal;)+) => {
        $(
            impl Record for $name {
                const ENCODING: Encoding = Encoding::Json;
            }

            impl Single for $name {
                const NAME: &'static str = $key;
            }
        )+

        /// The name of every record that a tenant has once.
        pub const NAMES: &[&str] = &[$($key,)+];
    };
}

singles! {
    Cursor = "cursor";
    Seats = "seats";
    Plan = "plan";
    Observation = "observation";
    LastPass = "last_pass";
    Hold = "hold";
    Approvals = "approvals";
    Tally = "tally";
}

impl Record for Vec<KnownUser> {
    const ENCODING: Encoding = Encoding::Postcard;
}

impl Record for Vec<Sighting> {
    const ENCODING: Encoding = Encoding::Postcard;
}

impl Record for LedgerEntry {
    const ENCODING: Encoding = Encoding::Json;
}

/// Where observing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// Start of the last complete observation: every unchanged user was seen then.
    pub last_complete: Option<Timestamp>,
    /// Users that the last complete observation saw, for judging the next one.
    pub live_users: u64,
    pub deleted_users: u64,
    /// Where the next delta starts; `None` asks for a full listing.
    pub delta_link: Option<String>,
    /// The policy that the known groups were read for.
    pub policy_digest: Option<String>,
    pub groups_read: BTreeSet<GroupId>,
}

/// The products of the tenant as last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    pub catalog: Catalog,
    pub read_at: Timestamp,
}

/// Summary of the last pass, for status and readiness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastPass {
    pub started: Timestamp,
    pub finished: Timestamp,
    /// A label of the report's own.
    pub outcome: String,
    /// Whatever else the report shows; `null` when nothing.
    #[serde(default)]
    pub summary: Value,
}

/// The big red button, while it is pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    /// `None` until somebody resumes.
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
    /// Who, from the peer's credentials.
    pub by: String,
}

impl Hold {
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Answers to asks, by ask id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approvals(pub BTreeMap<String, Answer>);

/// A person's answer to one ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub granted: bool,
    pub at: Timestamp,
    /// Who, from the peer's credentials.
    pub by: String,
    /// Digest of the plan that the person saw.
    pub digest: String,
}

/// How many users stand where, after the last complete pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Users that a keep rule names.
    pub kept: u64,
    pub by_state: BTreeMap<MailboxState, u64>,
    pub left_alone: BTreeMap<Reason, u64>,
    /// Users that nothing in the policy names.
    pub unmatched: u64,
}
