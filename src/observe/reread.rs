//! Single reads: where a user is, asked for in both places. The only reading that a step may rest on between two listings.

use std::collections::BTreeMap;

use crate::graph::{DeletedUser, Error};
use crate::model::{Problem, User, UserId};

use super::{Watch, problem};

/// What single reads say of one user.
#[derive(Debug)]
pub(super) enum Found {
    Live(Box<User>),
    Deleted(Box<DeletedUser>),
    /// Neither among the live nor among the deleted users. Once is a doubt: replicas lag.
    Nowhere,
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
            (Ok(Some(live)), _) => {
                found.insert(user, Found::Live(Box::new(live)));
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
                Ok(Some(deleted)) => {
                    found.insert(user, Found::Deleted(Box::new(deleted)));
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

/// One problem tells of all of its kind.
fn note(problems: &mut Vec<Problem>, what: &str, error: &Error) {
    let problem = problem(what, error);
    if problems.iter().all(|known| known.kind != problem.kind) {
        problems.push(problem);
    }
}
