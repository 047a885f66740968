//! The reads of a full listing: tenant, products, groups, deleted users, users. Each failure becomes a problem, and
//! the rest is read all the same, so that one report names everything that is wrong.

use crate::errors::chain;
use crate::graph::{Client, Error};
use crate::model::{Catalog, GroupId, Problem, ProblemKind, Sighting, UserId};
use crate::policy::Policy;
use crate::store::{self, Stage, TenantStore};

use super::Read;
use super::fold::Memberships;

/// A listing whose page token expires is begun again this often; twice in a row is a problem of the tenant.
const LISTINGS_MAX: u32 = 2;

/// `$count` reads a separate, lagging index (Graph: advanced queries). A listing that is short by more than this
/// share, and by more than a handful, has lost pages.
const COUNT_TOLERANCE_SHARE: f64 = 0.01;
const COUNT_TOLERANCE: u64 = 20;

pub(super) async fn read(graph: &Client, store: &TenantStore, policy: &Policy) -> Result<Read, store::Error> {
    let mut problems = Vec::new();
    check_tenant(graph, store, &mut problems).await;
    let memberships = memberships(graph, policy, &mut problems).await;
    let mut stage = store.stage()?;
    // Deleted first: a user restored in between is then in both lists, and the later sighting counts.
    let deleted_users = deleted(graph, &mut stage, &mut problems).await?;
    let live_users = live(graph, &mut stage, &mut problems).await?;
    check_count(graph, live_users, &mut problems).await;
    // Seats last: whatever licence a user was seen with is in the products' count by then.
    let catalog: Catalog = match graph.subscribed_skus().await {
        Ok(skus) => skus.into_iter().collect(),
        Err(error) => {
            problems.push(problem("products", &error));
            Catalog::default()
        }
    };
    Ok(Read { staged: stage.finish()?, catalog, memberships, live_users, deleted_users, problems })
}

fn problem(what: &str, error: &Error) -> Problem {
    Problem { kind: error.problem_kind(), detail: format!("{what}: {}", chain(error)) }
}

/// The tenant that the credentials lead to must be the configured one. That the question itself is not answered is no
/// problem: it needs a permission that nothing else needs.
async fn check_tenant(graph: &Client, store: &TenantStore, problems: &mut Vec<Problem>) {
    match graph.organization().await {
        Ok(organization) if organization.id == store.tenant() => {}
        Ok(organization) => problems.push(Problem {
            kind: ProblemKind::WrongTenant,
            detail: format!("signed in to tenant {}, the settings say {}", organization.id, store.tenant()),
        }),
        Err(error @ Error::SignIn(_)) => problems.push(problem("sign-in", &error)),
        Err(error) => tracing::debug!(%error, "the tenant's own record cannot be read"),
    }
}

async fn memberships(graph: &Client, policy: &Policy, problems: &mut Vec<Problem>) -> Memberships {
    let mut memberships = Memberships::default();
    for group in policy.groups() {
        match members(graph, group).await {
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

async fn deleted(
    graph: &Client,
    stage: &mut Stage,
    problems: &mut Vec<Problem>,
) -> Result<u64, store::Error> {
    let mut pages = graph.deleted_users();
    let mut count = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                count += page.len() as u64;
                for deleted in page {
                    stage.push(Sighting::Deleted { user: deleted.user, since: deleted.deleted })?;
                }
            }
            Ok(None) => return Ok(count),
            Err(error) => {
                problems.push(problem("deleted users", &error));
                return Ok(count);
            }
        }
    }
}

async fn live(graph: &Client, stage: &mut Stage, problems: &mut Vec<Problem>) -> Result<u64, store::Error> {
    let mut listings = 1;
    let mut pages = graph.users(None);
    let mut count = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                count += page.len() as u64;
                for user in page {
                    stage.push(Sighting::Live(user))?;
                }
            }
            Ok(None) => return Ok(count),
            // Users seen twice are harmless: the later sighting counts.
            Err(error) if error.is_expired_page() && listings < LISTINGS_MAX => {
                listings += 1;
                count = 0;
                pages = graph.users(None);
            }
            Err(error) => {
                problems.push(problem("users", &error));
                return Ok(count);
            }
        }
    }
}

/// Compares with Graph's own count where it is to be had.
async fn check_count(graph: &Client, listed: u64, problems: &mut Vec<Problem>) {
    if problems.iter().any(|problem| problem.kind.is_blocking()) {
        return;
    }
    match graph.users_count().await {
        Ok(counted) => {
            let tolerated = COUNT_TOLERANCE.max((counted as f64 * COUNT_TOLERANCE_SHARE) as u64);
            if listed + tolerated < counted {
                let detail = format!("{listed} users listed, Graph counts {counted}");
                problems.push(Problem { kind: ProblemKind::Truncated, detail });
            }
        }
        Err(error) => {
            tracing::debug!(%error, "the number of users cannot be read, the listing is not compared")
        }
    }
}
