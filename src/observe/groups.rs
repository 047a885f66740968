//! Memberships of the groups that the policy names. Users' deltas say nothing of them.
//!
//! Small groups are listed in every pass: they are those of administrators and leavers, and whoever is put into one
//! and deleted an hour later must not be restored. Large ones are listed with every full listing and once an hour,
//! and asked for singly for everybody who is seen alive and about whom something may be decided in this pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::within;
use crate::graph::{Client, Error};
use crate::model::{GroupId, Problem, ProblemKind, Span, Timestamp, UserId};
use crate::store;
use crate::store::records::{LicensingGroups, SmallGroups};

use super::fold::Memberships;
use super::left::{self, Left};
use super::{Watch, problem};

/// How late it is noticed that a rule begins or ceases to apply to a user who does not change, by membership of a
/// large group alone. Listing 100,000 members takes 101 requests.
const LISTED_EVERY: Span = Span::from_hours(1);

/// How long what was known of a licensing group stands while it cannot be read.
const BELIEVED_FOR: Span = Span::from_days(1);

/// Nothing is observed before these answers, and a pass can do without them.
const WAIT: Duration = Duration::from_secs(20);

/// Members of a small group: three pages.
pub(super) const SMALL: usize = 3_000;

/// Reads what the groups of rules with `assign: { group: … }` give and whether they take members, once an hour. What is
/// known of one that cannot be read for a day is forgotten: it blocks nothing then, and Graph decides.
pub(super) async fn licensing(watch: &Watch<'_>) -> Result<(), store::Error> {
    let wanted = watch.policy.licensing_groups();
    let before = watch.store.get_or_default::<LicensingGroups>()?;
    let is_recent = |asked: Timestamp| asked.is_within(LISTED_EVERY, watch.started);
    if before.wanted == wanted && (wanted.is_empty() || before.asked_at.is_some_and(is_recent)) {
        return Ok(());
    }
    let (mut groups, mut failing_since) = (BTreeMap::new(), BTreeMap::new());
    let mut wait = WAIT;
    for id in &wanted {
        match within(watch.clock, wait, watch.graph.group(*id)).await {
            Some(Ok(Some(group))) => drop(groups.insert(*id, group)),
            // That it does not exist is a problem of its members' listing.
            Some(Ok(None)) => {}
            failure @ (None | Some(Err(_))) => {
                if failure.is_none() {
                    wait = Duration::ZERO;
                }
                tracing::debug!(group = %id, "a licensing group cannot be read");
                let since = before.failing_since.get(id).copied().unwrap_or(watch.started);
                failing_since.insert(*id, since);
                if let Some(group) = before.groups.get(id).filter(|_| watch.started < since + BELIEVED_FOR) {
                    groups.insert(*id, group.clone());
                }
            }
        }
    }
    watch.store.put(&LicensingGroups { groups, wanted, failing_since, asked_at: Some(watch.started) })
}

/// The memberships of one pass.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Of everybody in all groups, or else in the small groups of everybody and in the large ones of those asked
    /// about.
    pub(super) memberships: Memberships,
    pub(super) is_for_all: bool,
    /// Users who joined a small group.
    pub(super) joined: BTreeSet<UserId>,
    pub(super) small: SmallGroups,
}

impl Read {
    fn of_all(memberships: Memberships) -> Self {
        let small = SmallGroups(memberships.small(SMALL));
        Self { memberships, is_for_all: true, joined: BTreeSet::new(), small }
    }
}

/// What single questions brought.
enum Single {
    Known,
    /// A user lost a membership, which also a deleted group looks like, or the question is refused here.
    ListAll,
}

impl Watch<'_> {
    fn are_groups_due(&self) -> bool {
        let is_old = self.cursor.groups_read_at.is_none_or(|read| read + LISTED_EVERY <= self.started);
        let groups = self.policy.groups();
        groups != self.cursor.groups_read || !groups.is_empty() && is_old
    }
}

/// What the small groups show, compared with the last pass.
#[derive(Debug, Default)]
pub(super) struct Small {
    memberships: Memberships,
    now: SmallGroups,
    joined: BTreeSet<UserId>,
    /// Who leaves a group may have been deleted, which the delta tells later: to be read singly.
    pub(super) left: Left,
}

/// Lists the small groups; `None` when all groups are to be listed.
pub(super) async fn small(
    watch: &Watch<'_>,
    problems: &mut Vec<Problem>,
) -> Result<Option<Small>, store::Error> {
    let before = watch.store.get::<SmallGroups>()?.filter(|_| !watch.are_groups_due());
    let Some(SmallGroups(before)) = before else { return Ok(None) };
    let groups = before.keys().copied().collect();
    let memberships = list(watch, &groups, problems).await;
    let now = memberships.small(usize::MAX);
    let mut small = Small { memberships, ..Small::default() };
    for (group, members) in &now {
        small.joined.extend(members.difference(&before[group]));
        let left = before[group].difference(members);
        left.for_each(|user| small.left.note(*user, &BTreeSet::from([*group])));
    }
    small.now = SmallGroups(now);
    Ok(Some(small))
}

/// The memberships of those who are seen `live`, each with the groups known before, and of whoever else is in small
/// groups.
pub(super) async fn read(
    watch: &Watch<'_>,
    small: Option<Small>,
    live: &BTreeMap<UserId, BTreeSet<GroupId>>,
    problems: &mut Vec<Problem>,
) -> Result<Read, store::Error> {
    let groups = watch.policy.groups();
    let Some(mut small) = small else { return all(watch, problems).await.map(Read::of_all) };
    left::confirm(watch, &small.left, &mut small.memberships, problems).await;
    small.now = SmallGroups(small.memberships.small(usize::MAX));
    let large: BTreeSet<GroupId> =
        groups.into_iter().filter(|group| !small.now.0.contains_key(group)).collect();
    if !large.is_empty() && !live.is_empty() {
        match single(watch, live, &large, &mut small.memberships, problems).await {
            Single::Known => {}
            Single::ListAll => return all(watch, problems).await.map(Read::of_all),
        }
    }
    Ok(Read { memberships: small.memberships, is_for_all: false, joined: small.joined, small: small.now })
}

/// Everybody's memberships in the groups that the policy names.
pub(super) async fn all(watch: &Watch<'_>, problems: &mut Vec<Problem>) -> Result<Memberships, store::Error> {
    let mut lists = list(watch, &watch.policy.groups(), problems).await;
    let left = Left::of_everybody(watch.store, &lists)?;
    left::confirm(watch, &left, &mut lists, problems).await;
    Ok(lists)
}

/// Lists the members of these groups.
async fn list(watch: &Watch<'_>, groups: &BTreeSet<GroupId>, problems: &mut Vec<Problem>) -> Memberships {
    let mut memberships = Memberships::default();
    for group in groups {
        match members(watch.graph, *group).await {
            Ok(members) => memberships.insert(*group, members),
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

/// Asks for the memberships of these users in these groups, and adds them to what was listed.
async fn single(
    watch: &Watch<'_>,
    users: &BTreeMap<UserId, BTreeSet<GroupId>>,
    groups: &BTreeSet<GroupId>,
    memberships: &mut Memberships,
    problems: &mut Vec<Problem>,
) -> Single {
    let mut members: BTreeMap<GroupId, Vec<UserId>> =
        groups.iter().map(|group| (*group, Vec::new())).collect();
    let asked: Vec<UserId> = users.keys().copied().collect();
    for (user, held) in watch.graph.memberships(&asked, groups).await {
        let held = match held {
            Ok(held) => held.unwrap_or_default(),
            Err(Error::Answer { .. }) => return Single::ListAll,
            Err(error) => {
                problems.push(problem("memberships of single users", &error));
                return Single::Known;
            }
        };
        if users[&user].iter().any(|known| groups.contains(known) && !held.contains(known)) {
            return Single::ListAll;
        }
        for group in held.intersection(groups) {
            members.entry(*group).or_default().push(user);
        }
    }
    for (group, members) in members {
        memberships.insert(group, members);
    }
    Single::Known
}
