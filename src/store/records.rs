//! Records that a tenant has once. Plain data: no key-value call, no clock, no judgement.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Answer, AuditEvent, Catalog, Group, GroupId, KnownUser, LedgerEntry, MailboxState, Observation, Plan,
    Reason, Released, Sighting, SkuId, Subscription, Timestamp, UserId, Waiting,
};

use super::codec::{Encoding, Record};
use super::journal::Head;

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
    RecycleBin = "recycle_bin";
    SmallGroups = "small_groups";
    Reflected = "reflected";
    Identities = "identities";
    Subscriptions = "subscriptions";
    Traces = "traces";
    AcceptedPolicy = "accepted_policy";
    NewNames = "new_names";
    LicensingGroups = "licensing_groups";
    ReleasedUsers = "released_users";
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
    /// Start of the last complete observation that listed everybody.
    pub last_full: Option<Timestamp>,
    /// Users that the last complete observation saw, for judging the next one.
    pub live_users: u64,
    pub deleted_users: u64,
    /// Where the next delta starts; `None` asks for a full listing.
    pub delta_link: Option<String>,
    /// Users whom single reads contradicted or did not find: read again next time.
    pub recheck: BTreeSet<UserId>,
    /// The policy that the known groups were read for.
    pub policy_digest: Option<String>,
    pub groups_read: BTreeSet<GroupId>,
    /// When the members of all these groups were listed.
    pub groups_read_at: Option<Timestamp>,
    /// The tenant offers no delta: every pass lists everybody.
    pub is_delta_missing: bool,
    /// Listing in parts did not bring everybody here, so it is not tried again.
    pub are_shards_refused: bool,
    pub probes: Probing,
}

/// How far the questions about mailboxes have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probing {
    /// More mailboxes were to be asked about than one pass does.
    pub is_behind: bool,
    /// When an answer that told nothing is worth asking for again.
    pub next_at: Option<Timestamp>,
    /// Nobody looked for as long as a mailbox outlives its licence: what was answered before may be of another one.
    pub doubted_before: Option<Timestamp>,
}

impl Probing {
    /// Asks again then, or before.
    pub fn ask_at(&mut self, at: Timestamp) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }
}

/// The soft-deleted users of the last complete observation, small enough to be compared in every pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecycleBin {
    pub users: BTreeMap<UserId, Binned>,
    /// Live users that hold an address of a deleted one, each with that one.
    pub taken: BTreeSet<(UserId, UserId)>,
}

/// One deleted user, as numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binned {
    /// Hash of everything that the listing says.
    pub digest: u64,
    /// Hashes of the addresses, those from before the deletion included.
    pub addresses: BTreeSet<u64>,
}

/// Names that restored accounts would get, looked up among everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNames {
    pub looked_up: Timestamp,
    /// Each with those who would get it.
    #[serde(default)]
    pub wanted_by: BTreeMap<String, BTreeSet<UserId>>,
    /// Of these, those that are not free.
    pub in_use: BTreeSet<String>,
}

/// Users whom a keep rule named until something about them changed, and none names now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedUsers(pub BTreeMap<UserId, Released>);

/// The groups by which the policy gives licences, as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LicensingGroups {
    pub groups: BTreeMap<GroupId, Group>,
    /// The groups of the policy then, also those that could not be read.
    pub wanted: BTreeSet<GroupId>,
    /// Since when a group cannot be read.
    pub failing_since: BTreeMap<GroupId, Timestamp>,
    pub asked_at: Option<Timestamp>,
}

/// The members of those groups of the policy that are small enough to be listed in every pass, for comparing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SmallGroups(pub BTreeMap<GroupId, BTreeSet<UserId>>);

/// The products of the tenant as last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    pub catalog: Catalog,
    pub read_at: Timestamp,
}

/// The subscriptions as last read. Optional, so an answer that did not come is remembered, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscriptions {
    pub list: Vec<Subscription>,
    /// When `list` was read; `None`: never.
    pub read_at: Option<Timestamp>,
    pub asked_at: Option<Timestamp>,
    /// Why the newest question brought nothing.
    pub failure: Option<String>,
}

/// What the audit log was asked and said, of users whose loss or deletion is new. Bounded by whoever asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traces {
    pub users: BTreeMap<UserId, Trace>,
    /// The tenant refuses to filter by user and time together.
    pub is_plain: bool,
    /// Why the newest question brought nothing.
    pub failure: Option<String>,
    /// After a failure: not before this.
    pub next_try: Option<Timestamp>,
}

/// What is known from the log of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub trouble: Trouble,
    /// Answers so far.
    pub asked: u8,
    /// When to ask again; `None`: everything was told, or it was asked often enough.
    pub next: Option<Timestamp>,
    pub events: Vec<AuditEvent>,
}

/// What the log was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Last observed with a licence, if ever, and first without.
    pub lost: Option<(Option<Timestamp>, Timestamp)>,
    /// When the account was deleted.
    pub deleted: Option<Timestamp>,
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

/// How far the state has what the journal says. A state that is older than the journal is brought up to date from the
/// lines behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reflected(pub Head);

/// Whether the identities of healthy mailboxes are in the journal, too. Not said while they are being written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identities {
    pub are_journalled: bool,
}

/// Answers to asks, by ask id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approvals(pub BTreeMap<String, Answer>);

impl Approvals {
    /// What an old state still stands for: a "no" only keeps hands still, while a "yes" was given to a situation that
    /// nobody watched since.
    pub fn denials(self) -> Self {
        Self(self.0.into_iter().filter(|(_, answer)| !answer.granted).collect())
    }
}

/// How many users stand where, after the last complete pass. Missing while users are being changed, so that a crash
/// in between leaves no wrong numbers: they are then counted anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// The policy that the users were judged by.
    pub policy_digest: String,
    /// Users that a keep rule names.
    pub kept: u64,
    pub by_state: BTreeMap<MailboxState, u64>,
    pub left_alone: BTreeMap<Reason, u64>,
    /// Healthy kept mailboxes that one product alone keeps.
    pub resting: BTreeMap<SkuId, u64>,
    /// Users that nothing in the policy names.
    pub unmatched: u64,
    /// Some of those left alone although something is wrong.
    pub listed: Vec<Waiting>,
}

/// The policy that was last put into force, as text: a changed one is held against it, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedPolicy {
    pub digest: String,
    pub revision: Option<String>,
    /// Name and text of each file, in the order of the files.
    pub sources: Vec<(String, String)>,
}
