//! What a change of the policy would do to the users that are known: a document, as text and as markdown for a pull
//! request. Lists are bounded, counts are not. Computes nothing.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Action, Reason, SeatNeed, TenantId, Timestamp, UserId};

/// Users that a list names; the count beside it covers all.
pub const LISTED: usize = 200;

/// The effect of one policy, beside that of another where one is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impact {
    pub tenant: TenantId,
    /// When the state was as it is judged here.
    pub state_of: Timestamp,
    pub users: u64,
    /// The policy, and the one it is compared with.
    pub policy: String,
    pub base: Option<String>,
    pub kept_before: Option<u64>,
    pub kept_after: u64,
    /// Users of each rule, in the order of the policy; rules that are gone come last.
    pub rules: Vec<RuleCount>,
    pub becomes_kept: Listed<Moved>,
    pub released: Listed<Moved>,
    pub changes_rule: Listed<Moved>,
    /// Not kept before and after, for different reasons.
    pub left_alone_otherwise: Listed<Moved>,
    pub undetermined: Listed<Moved>,
    /// What would be sent once each drift has been confirmed and has settled, limits per pass and day aside.
    pub steps: Listed<StepRow>,
    /// How many of them the other policy does not make, and how many of its steps this one does not make.
    pub steps_new: Option<u64>,
    pub steps_dropped: Option<u64>,
    /// Why the daemon asks a person before it uses this policy after the other; empty when it does not.
    pub concerns: Vec<String>,
    pub waiting: BTreeMap<Reason, u64>,
    pub seats_missing: Vec<SeatNeed>,
}

/// A count, and the first of what was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    pub count: u64,
    pub first: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Listed<T> {
    pub fn push(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(item);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    pub rule: String,
    /// `None` where the rule is not there, or nothing is compared with.
    pub before: Option<u64>,
    pub after: Option<u64>,
}

/// One user for whom something changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub id: UserId,
    pub upn: String,
    /// `keep "staff"`, `off-boarded (HR-2291)`, `no rule`.
    pub before: Option<String>,
    pub after: String,
    /// On its way to being lost, so that the change is felt soon.
    pub is_at_risk: bool,
}

/// One request that would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRow {
    pub id: UserId,
    pub upn: String,
    pub rule: String,
    #[serde(flatten)]
    pub action: Action,
    pub deadline: Option<Timestamp>,
    /// The policy that is compared with would not send it.
    pub is_new: bool,
}

impl Impact {
    /// True when no user is treated otherwise than before.
    pub fn is_unchanged(&self) -> bool {
        let moved = [&self.becomes_kept, &self.released, &self.changes_rule, &self.left_alone_otherwise];
        self.base.is_some()
            && moved.iter().all(|list| list.count == 0)
            && (self.steps_new, self.steps_dropped) == (Some(0), Some(0))
    }
}
