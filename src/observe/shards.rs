//! The listing of all live users, in parts at a time where there are many: by the first character of the user
//! principal name, because a listing cannot be split in any other way, and its pages come one after the other.
//!
//! Parts are trusted only as far as they bring everybody: the last one holds whatever begins with an odd character. A
//! server that ignores the filter, refuses it or brings too few is asked for everybody at once.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::graph::{Client, Error, Pager, Understood, UserShard};
use crate::model::{Problem, ProblemKind, Sighting, User};
use crate::store::{self, Stage};

use super::{Watch, problem};

/// From so many users on a listing is split. Below, it is six pages.
const SPLIT_FROM: u64 = 5_000;

/// Parts that are listed at the same time: a page takes about a second of waiting, and four pages are in memory.
const AT_ONCE: usize = 4;

/// A listing whose page token expires is begun again this often; twice in a row is a problem of the tenant.
const LISTINGS_MAX: u32 = 2;

/// `$count` reads a separate, lagging index (Graph: advanced queries). A listing that is short by more than this
/// share, and by more than a handful, has lost pages.
const COUNT_TOLERANCE_SHARE: f64 = 0.01;
const COUNT_TOLERANCE: u64 = 20;

/// How the live users were listed.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) is_split: bool,
    /// Parts do not bring everybody here.
    pub(super) are_shards_refused: bool,
}

/// Why the parts are not good enough.
enum Unfit {
    /// The filter is refused or ignored.
    Refused,
    Failed(Error),
    Store(store::Error),
}

/// Lists every live user into the stage and compares with the count.
pub(super) async fn live(
    watch: &Watch<'_>,
    stage: &mut Stage,
    problems: &mut Vec<Problem>,
) -> Result<Listed, store::Error> {
    let mut listed = Listed::default();
    if watch.cursor.live_users >= SPLIT_FROM && !watch.cursor.are_shards_refused {
        match split(watch.graph, stage).await {
            Ok(parts) if !parts.is_short(watch.graph).await => {
                return Ok(Listed { is_split: true, ..listed });
            }
            Ok(_) | Err(Unfit::Refused) => listed.are_shards_refused = true,
            Err(Unfit::Failed(error)) => {
                problems.push(problem("users", &error));
                return Ok(listed);
            }
            Err(Unfit::Store(error)) => return Err(error),
        }
        tracing::info!("users cannot be listed in parts here, they are listed one page after the other");
    }
    let before = problems.len();
    let count = whole(watch.graph, stage, problems).await?;
    if problems.len() == before && is_short(watch.graph, count, tolerated).await {
        let detail = format!("{count} users listed, Graph counts more");
        problems.push(Problem { kind: ProblemKind::Truncated, detail });
    }
    Ok(listed)
}

/// Everybody, page after page. Users seen twice are harmless: the later sighting counts.
async fn whole(graph: &Client, stage: &mut Stage, problems: &mut Vec<Problem>) -> Result<u64, store::Error> {
    let mut listings = 1;
    let mut pages = graph.users(None);
    let mut count = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => count += push(stage, page)?,
            Ok(None) => return Ok(count),
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

/// What the parts brought.
struct Parts {
    count: u64,
    /// Also those whose names begin with an odd character.
    has_others: bool,
}

impl Parts {
    /// Without the last part one user less than Graph counts may be one who begins with an odd character.
    async fn is_short(&self, graph: &Client) -> bool {
        let tolerance = if self.has_others { tolerated } else { |_| 0 };
        is_short(graph, self.count, tolerance).await
    }
}

type Page = Vec<Understood<User>>;

/// One part on its way.
struct Part {
    shard: UserShard,
    pages: Pager<Understood<User>>,
    /// Since it was begun last: who is seen twice must not stand for who is missing.
    count: u64,
    listings: u32,
}

async fn split(graph: &Client, stage: &mut Stage) -> Result<Parts, Unfit> {
    let shards = std::iter::once(UserShard::OTHERS).chain(UserShard::usual());
    let mut waiting = shards.map(|shard| Part::begin(graph, shard, 1));
    let mut under_way: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).map(Part::next).collect();
    let mut parts = Parts { count: 0, has_others: true };
    while let Some((mut part, page)) = under_way.next().await {
        match page {
            Ok(Some(page)) => {
                if page.iter().flatten().any(|user| !part.shard.may_hold(&user.upn)) {
                    return Err(Unfit::Refused);
                }
                part.count += push(stage, page).map_err(Unfit::Store)?;
                under_way.push(part.next());
            }
            Ok(None) => {
                parts.count += part.count;
                under_way.extend(waiting.next().map(Part::next));
            }
            Err(error) if error.is_expired_page() && part.listings < LISTINGS_MAX => {
                under_way.push(Part::begin(graph, part.shard, part.listings + 1).next());
            }
            // 400 Request_UnsupportedQuery from Graph, 501 or 404 from stand-ins.
            Err(Error::Answer { answer, .. }) if matches!(answer.status, 400 | 404 | 501) => {
                if part.shard != UserShard::OTHERS {
                    return Err(Unfit::Refused);
                }
                tracing::debug!(status = answer.status, "users with odd names cannot be asked for here");
                parts.has_others = false;
                under_way.extend(waiting.next().map(Part::next));
            }
            Err(error) => return Err(Unfit::Failed(error)),
        }
    }
    Ok(parts)
}

impl Part {
    fn begin(graph: &Client, shard: UserShard, listings: u32) -> Self {
        Self { shard, pages: graph.users(Some(shard)), count: 0, listings }
    }

    async fn next(mut self) -> (Self, Result<Option<Page>, Error>) {
        let page = self.pages.next().await;
        (self, page)
    }
}

fn push(stage: &mut Stage, page: Page) -> Result<u64, store::Error> {
    let count = page.len() as u64;
    for user in page {
        stage.push(user.map_or_else(Sighting::Unreadable, Sighting::Live))?;
    }
    Ok(count)
}

/// Of so many users, so many may be missing: the index of the count lags.
fn tolerated(counted: u64) -> u64 {
    COUNT_TOLERANCE.max((counted as f64 * COUNT_TOLERANCE_SHARE) as u64)
}

/// Compares with Graph's own count where it is to be had.
async fn is_short(graph: &Client, listed: u64, tolerance: fn(u64) -> u64) -> bool {
    match graph.users_count().await {
        Ok(counted) => listed + tolerance(counted) < counted,
        Err(error) => {
            tracing::debug!(%error, "the number of users cannot be read, the listing is not compared");
            false
        }
    }
}
