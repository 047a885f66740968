//! Memberships of the groups that the policy names. Users' deltas say nothing of them, so they are listed with
//! every full listing and once an hour, and asked for singly for everybody about whom something is to be decided in
//! this pass.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Client, Error};
use crate::model::{GroupId, Problem, ProblemKind, Span, UserId};

use super::fold::Memberships;
use super::{Watch, problem};

/// A rule may begin or cease to apply to a user by membership alone: how late that is noticed for a user who does
/// not change. Listing 100,000 members takes 101 requests.
const LISTED_EVERY: Span = Span::from_hours(1);

/// What single questions brought.
pub(super) enum Single {
    Known(Memberships),
    /// A user lost a membership, which also a deleted group looks like, or the question is refused here.
    ListAll,
}

impl Watch<'_> {
    pub(super) fn are_groups_due(&self) -> bool {
        let is_old = self.cursor.groups_read_at.is_none_or(|read| read + LISTED_EVERY <= self.started);
        let groups = self.policy.groups();
        !groups.is_empty() && (is_old || groups != self.cursor.groups_read)
            || groups.is_empty() && !self.cursor.groups_read.is_empty()
    }
}

/// Lists the members of all groups that the policy names.
pub(super) async fn list(watch: &Watch<'_>, problems: &mut Vec<Problem>) -> Memberships {
    let mut memberships = Memberships::default();
    for group in watch.policy.groups() {
        match members(watch.graph, group).await {
            Ok(members) => memberships.insert(group, members),
            Err(Error::Answer { answer, .. }) if answer.status == 404 => problems.push(Problem {
                kind: ProblemKind::GroupMissing,
                detail: format!("the policy names group {group}, which does not exist in the tenant"),
            }),
            Err(error) => problems.push(problem(&format!("members of group {group}"), &error)),
        }
    }
    memberships
}

async fn members(graph: &Client, group: GroupId) -> Result<Vec<UserId>, Error> {
    let mut pages = graph.group_members(group);
    let mut members = Vec::new();
    while let Some(page) = pages.next().await? {
        members.extend(page);
    }
    Ok(members)
}

/// Asks for the memberships of these users, each with the groups that were known before.
pub(super) async fn single(
    watch: &Watch<'_>,
    users: &BTreeMap<UserId, BTreeSet<GroupId>>,
    problems: &mut Vec<Problem>,
) -> Single {
    let groups = watch.policy.groups();
    let mut members: BTreeMap<GroupId, Vec<UserId>> =
        groups.iter().map(|group| (*group, Vec::new())).collect();
    let asked: Vec<UserId> = users.keys().copied().collect();
    for (user, held) in watch.graph.memberships(&asked, &groups).await {
        let held = match held {
            Ok(held) => held.unwrap_or_default(),
            Err(Error::Answer { .. }) => return Single::ListAll,
            Err(error) => {
                problems.push(problem("memberships of single users", &error));
                return Single::Known(Memberships::default());
            }
        };
        if users[&user].iter().any(|known| groups.contains(known) && !held.contains(known)) {
            return Single::ListAll;
        }
        for group in held {
            members.entry(group).or_default().push(user);
        }
    }
    let mut memberships = Memberships::default();
    for (group, members) in members.into_iter().filter(|(group, _)| groups.contains(group)) {
        memberships.insert(group, members);
    }
    Single::Known(memberships)
}
