//! Single reads: where a user is, asked for in both places. The only reading that a step may rest on between two
//! listings.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{DeletedUser, Error, UserPatch};
use crate::model::{Problem, Sighting, Unreadable, User, UserId};
use crate::store::records::RecycleBin;

use super::changes::Change;
use super::plausible::Oddities;
use super::{Watch, problem};

/// What single reads say of one user.
#[derive(Debug)]
pub(super) enum Found {
    Live(Box<User>),
    Unreadable(Unreadable),
    Deleted(Box<DeletedUser>),
    /// Neither among the live nor among the deleted users. Once is a doubt: replicas lag.
    Nowhere,
}

impl Found {
    /// What to fold; `None` where there was nothing to see. The bin follows.
    pub(super) fn into_sighting(self, bin: &mut RecycleBin) -> Option<Sighting> {
        Some(match self {
            Self::Live(live) => {
                bin.remove(live.id);
                Sighting::Live(*live)
            }
            Self::Unreadable(odd) => {
                if !odd.is_deleted {
                    bin.remove(odd.id);
                }
                Sighting::Unreadable(odd)
            }
            Self::Deleted(deleted) => {
                bin.add(&deleted, &RecycleBin::default());
                Sighting::Deleted { user: deleted.user, since: deleted.deleted }
            }
            Self::Nowhere => return None,
        })
    }
}

/// Reads each user singly. `listed` are deleted users that the listing of this observation showed.
pub(super) async fn read(
    watch: &Watch<'_>,
    users: &[UserId],
    listed: &BTreeMap<UserId, DeletedUser>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<UserId, Found> {
    let mut found = BTreeMap::new();
    let mut not_live = Vec::new();
    for (user, answer) in watch.graph.users_by_id(users).await {
        match (answer, listed.get(&user)) {
            (Ok(Some(Ok(live))), _) => {
                found.insert(user, Found::Live(Box::new(live)));
            }
            (Ok(Some(Err(odd))), _) => {
                found.insert(user, Found::Unreadable(odd));
            }
            (Ok(None), Some(deleted)) => {
                found.insert(user, Found::Deleted(Box::new(deleted.clone())));
            }
            (Ok(None), None) => not_live.push(user),
            (Err(error), _) => note(problems, "a single user", &error),
        }
    }
    if !not_live.is_empty() {
        for (user, answer) in watch.graph.deleted_users_by_id(&not_live).await {
            match answer {
                Ok(Some(Ok(deleted))) => {
                    found.insert(user, Found::Deleted(Box::new(deleted)));
                }
                Ok(Some(Err(odd))) => {
                    found.insert(user, Found::Unreadable(odd));
                }
                Ok(None) => {
                    found.insert(user, Found::Nowhere);
                }
                Err(error) => note(problems, "a single deleted user", &error),
            }
        }
    }
    found
}

/// Users whom the delta and the single read describe differently: one of the two is older, and nobody can tell which.
pub(super) fn contradicted(
    changes: &BTreeMap<UserId, Change>,
    found: &BTreeMap<UserId, Found>,
) -> BTreeSet<UserId> {
    let is_contradicted = |(user, found): &(&UserId, &Found)| match (changes.get(user), found) {
        (Some(Change::Changed(patch)), Found::Live(live)) => !agree(patch, live),
        (Some(Change::Changed(_)), Found::Deleted(_) | Found::Nowhere) => true,
        (Some(Change::Removed { .. }), Found::Live(_)) => true,
        (Some(Change::Removed { is_purged }), Found::Nowhere) => !is_purged,
        (Some(Change::Removed { is_purged }), Found::Deleted(_)) => *is_purged,
        (_, Found::Unreadable(_)) | (Some(Change::Unclear), _) => true,
        (None, _) => false,
    };
    found.iter().filter(is_contradicted).map(|(user, _)| *user).collect()
}

/// Tells of users that are not understood, of `live` ones in all.
pub(super) fn oddity(found: &BTreeMap<UserId, Found>, live: u64) -> Option<Problem> {
    let mut odd = Oddities::default();
    for found in found.values() {
        if let Found::Unreadable(unread) = found {
            odd.note(unread);
        }
    }
    odd.problem("users", live)
}

/// Whether the entry says what the single read says, as far as deltas go.
fn agree(patch: &UserPatch, live: &User) -> bool {
    let mut user = live.clone();
    patch.clone().apply_to(&mut user);
    user.assignments.clone_from(&live.assignments);
    user == *live
}

/// One problem tells of all of its kind.
fn note(problems: &mut Vec<Problem>, what: &str, error: &Error) {
    let problem = problem(what, error);
    if problems.iter().all(|known| known.kind != problem.kind) {
        problems.push(problem);
    }
}
