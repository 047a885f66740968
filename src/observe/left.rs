//! Who is in the list of a group no more. A list that came cut short, or empty, looks as if everybody had left: leavers
//! would be brought back, and kept mailboxes forgotten. So whoever left by the list is asked about singly, and belongs
//! to the group for as long as Graph says so there.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Error;
use crate::model::{GroupId, KnownUser, Presence, Problem, ProblemKind, UserId};
use crate::store::{self, TenantStore};

use super::fold::Memberships;
use super::{Watch, problem};

/// Users that are asked about; of more, these are a sample.
const ASKED_MAX: usize = 1_000;

/// Users with the groups whose lists they are missing from.
#[derive(Debug, Default)]
pub(super) struct Left {
    users: BTreeMap<UserId, BTreeSet<GroupId>>,
    /// How many more there are.
    others: u64,
}

impl Left {
    /// Compares the lists with what is known of everybody who is alive.
    pub(super) fn of_everybody(store: &TenantStore, lists: &Memberships) -> Result<Self, store::Error> {
        let mut left = Self::default();
        if lists.is_empty() {
            return Ok(left);
        }
        for known in store.users() {
            let known: KnownUser = known?;
            if known.presence == Presence::Live {
                left.note(known.id(), &lists.lacks(&known));
            }
        }
        Ok(left)
    }

    pub(super) fn note(&mut self, user: UserId, groups: &BTreeSet<GroupId>) {
        if groups.is_empty() {
            return;
        }
        if self.users.len() < ASKED_MAX || self.users.contains_key(&user) {
            self.users.entry(user).or_default().extend(groups);
        } else {
            self.others += 1;
        }
    }

    /// So many that not all of them are asked about.
    pub(super) fn is_sample(&self) -> bool {
        self.others > 0
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &UserId> {
        self.users.keys()
    }
}

/// Asks about those who left, and puts back into the lists who did not, and who alone cannot be asked about. Where
/// nobody can, the lists are all there is, but nobody loses the cover of an exclusion by that: whoever it is would be
/// repaired against somebody's will.
pub(super) async fn confirm(
    watch: &Watch<'_>,
    left: &Left,
    lists: &mut Memberships,
    problems: &mut Vec<Problem>,
) {
    let asked: Vec<UserId> = left.users.keys().copied().collect();
    let groups: BTreeSet<GroupId> = left.users.values().flatten().copied().collect();
    let mut stayed: BTreeMap<GroupId, u64> = BTreeMap::new();
    let mut refused = Vec::new();
    for (user, held) in watch.graph.memberships(&asked, &groups).await {
        match held {
            Ok(held) => {
                for group in held.unwrap_or_default().intersection(&left.users[&user]) {
                    lists.add(*group, user);
                    *stayed.entry(*group).or_default() += 1;
                }
            }
            Err(Error::Answer { answer, .. }) => {
                tracing::debug!(status = answer.status, user.id = %user, "memberships cannot be asked for singly");
                refused.push(user);
            }
            Err(error) => return problems.push(problem("memberships of single users", &error)),
        }
    }
    let excluding = watch.policy.excluding_groups();
    let is_one_asked = refused.len() < asked.len();
    for user in refused {
        for group in left.users[&user].iter().filter(|group| is_one_asked || excluding.contains(group)) {
            lists.add(*group, user);
            tracing::warn!(%group, user.id = %user, "missing from the list and not to be asked about: counts as a member");
        }
    }
    for (group, users) in stayed {
        tracing::warn!(
            %group,
            users,
            "the list of members lacks users who belong to the group when asked about singly: they count as members"
        );
        if left.others > 0 {
            let count = left.users.len() as u64 + left.others;
            let detail = format!(
                "members of group {group}: {count} users left the groups by their lists, not all did"
            );
            problems.push(Problem { kind: ProblemKind::Truncated, detail });
        }
    }
}
