//! The groups of a policy that is not in force yet, read before it is judged: what was observed so far knows only those
//! of the policy before, and nothing of a group that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::{Clock, within};
use crate::errors::chain;
use crate::graph::Client;
use crate::model::{GroupId, KnownUser, Presence, Span, Timestamp, UserId};

/// A waiting policy is held against newer members once in this time.
const GOOD_FOR: Span = Span::from_hours(1);

/// The policy in force judges meanwhile, and its pass must not wait for a group of another one for long. A hundred
/// thousand members are a hundred pages.
const WAIT: Duration = Duration::from_secs(60);

/// What reading the groups of one policy brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    policy_digest: String,
    read_at: Option<Timestamp>,
    members: BTreeMap<GroupId, BTreeSet<UserId>>,
    /// Groups that were not read, and why.
    pub unread: BTreeMap<GroupId, Unread>,
}

/// Why a group was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    Missing,
    Failed(String),
}

impl Preview {
    /// Reads these groups, unless they were read for this policy a short while ago.
    pub async fn read(
        &mut self,
        graph: &Client,
        clock: &dyn Clock,
        policy_digest: &str,
        groups: BTreeSet<GroupId>,
        now: Timestamp,
    ) {
        let is_recent = self.read_at.is_some_and(|at| at.is_within(GOOD_FOR, now));
        let is_whole = self.unread.is_empty() && self.members.keys().copied().eq(groups.iter().copied());
        if self.policy_digest == policy_digest && is_recent && is_whole {
            return;
        }
        let read_at = Some(now);
        *self = Self { policy_digest: policy_digest.to_owned(), read_at, ..Self::default() };
        let mut wait = WAIT;
        for group in groups {
            match within(clock, wait, members(graph, group)).await {
                Some(Ok(members)) => drop(self.members.insert(group, members)),
                Some(Err(why)) => drop(self.unread.insert(group, why)),
                None => {
                    wait = Duration::ZERO;
                    self.unread.insert(group, Unread::Failed(format!("no answer in {} s", WAIT.as_secs())));
                }
            }
        }
    }

    /// The user as the next observation would know it. Memberships of deleted accounts cannot be listed.
    pub fn shown(&self, mut known: KnownUser) -> KnownUser {
        if known.presence == Presence::Live {
            for (group, members) in &self.members {
                known.groups_read.insert(*group);
                if members.contains(&known.id()) {
                    known.groups.insert(*group);
                }
            }
        }
        known
    }
}

async fn members(graph: &Client, group: GroupId) -> Result<BTreeSet<UserId>, Unread> {
    match graph.group(group).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Unread::Missing),
        Err(error) => return Err(Unread::Failed(chain(&error))),
    }
    let mut pages = graph.group_members(group);
    let mut members = BTreeSet::new();
    loop {
        match pages.next().await {
            Ok(Some(page)) => members.extend(page),
            Ok(None) => return Ok(members),
            Err(error) => return Err(Unread::Failed(chain(&error))),
        }
    }
}
