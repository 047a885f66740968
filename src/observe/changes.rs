//! The delta as data: who changed, and where the next delta starts. Applies nothing.

use std::collections::BTreeMap;

use crate::graph::{Client, DeltaItem, DeltaStart, Error, UserPatch};
use crate::model::UserId;

/// Users in one delta that are held in memory, some kilobytes each: beyond, a listing is cheaper than 200 users a
/// page and single reads.
const CHANGES_MAX: usize = 20_000;

/// What the delta says of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Changed(Box<UserPatch>),
    Removed {
        is_purged: bool,
    },
    /// An entry that is not understood, or several entries, and no order is guaranteed between them (Graph:
    /// delta-query-overview).
    Unclear,
}

/// True when the delta says that the user is gone for good.
pub(super) fn is_purge(change: Option<&Change>) -> bool {
    change == Some(&Change::Removed { is_purged: true })
}

/// One complete round.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) users: BTreeMap<UserId, Change>,
    /// Where the next round starts.
    pub(super) link: String,
}

/// Why there is no complete round.
#[derive(Debug)]
pub(super) enum Halt {
    /// The stored link leads nowhere any more.
    Lost,
    TooMany,
    Failed(Error),
}

/// Reads everything that changed since `link`.
pub(super) async fn read(graph: &Client, link: &str) -> Result<Changes, Halt> {
    let mut pages = graph.users_delta(&DeltaStart::Link(link.to_owned())).map_err(halt)?;
    let mut users = BTreeMap::new();
    while let Some(page) = pages.next().await.map_err(halt)? {
        for item in page {
            let (user, change) = change(item);
            let merged = match users.get(&user) {
                Some(known) if *known != change => Change::Unclear,
                Some(_) | None => change,
            };
            users.insert(user, merged);
        }
        if users.len() > CHANGES_MAX {
            return Err(Halt::TooMany);
        }
    }
    match pages.delta_link() {
        Some(link) => Ok(Changes { users, link: link.to_owned() }),
        None => Err(Halt::Lost),
    }
}

fn change(item: DeltaItem) -> (UserId, Change) {
    match item {
        DeltaItem::Changed(patch) => (patch.id, Change::Changed(patch)),
        DeltaItem::Removed { id, is_purged } => (id, Change::Removed { is_purged }),
        DeltaItem::Unreadable(odd) => (odd.id, Change::Unclear),
    }
}

/// Where a delta that starts now begins; `Ok(None)` when the tenant, cloud or stand-in offers none.
pub(super) async fn latest(graph: &Client) -> Result<Option<String>, Error> {
    let mut pages = graph.users_delta(&DeltaStart::Latest)?;
    loop {
        match pages.next().await {
            // A server that does not know `latest` starts with everybody. That is no error, only slow.
            Ok(Some(_)) => {}
            Ok(None) => return Ok(pages.delta_link().map(str::to_owned)),
            Err(Error::DeltaReset(_)) => return Ok(None),
            Err(Error::Answer { answer, .. }) if matches!(answer.status, 400 | 403..=405 | 501) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A refusal means that the link is of no use, whatever the reason: everybody is listed, and that says more.
fn halt(error: Error) -> Halt {
    match error {
        Error::DeltaReset(_) | Error::HostileLink { .. } | Error::Answer { .. } => Halt::Lost,
        Error::SignIn(_) | Error::Unanswered { .. } | Error::Malformed { .. } => Halt::Failed(error),
    }
}
