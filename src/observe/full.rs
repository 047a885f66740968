//! A full listing: everybody, whatever the deltas said. Each failure becomes a problem, and the rest is read all
//! the same, so that one report names everything that is wrong.
//!
//! A listing takes a while, and its pages may come from replicas that lag, so it is followed by the delta since the
//! last observation (or since just before the listing, where there was none): everybody in it is read singly.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{DeletedUser, Error};
use crate::model::{KnownUser, ObservationKind, Presence, Problem, ProblemKind, Sighting, Timestamp, UserId};
use crate::store::records::{Cursor, Probing, RecycleBin, Seats, SmallGroups, Tally};
use crate::store::{self, Stage, Staged};

use super::bin::{self, Addresses};
use super::changes::{self, Changes};
use super::fold::{self, Context, Memberships};
use super::plausible::Look;
use super::released::Releases;
use super::reread::{self, Found};
use super::{Observed, Reach, Seen, Watch, groups, problem, shards, surroundings};

/// Changed users that are read singly after a listing; of more, the next pass reads the delta.
const REPLAYED_MAX: usize = 5_000;

/// Vanished users that are looked for singly before they count as missing: names outside the usual parts, users
/// renamed or replicas passed over while the listing ran.
const LOOKED_FOR_MAX: usize = 1_000;

/// Users to be read again that are remembered; of more, the next full listing tells.
const RECHECK_MAX: usize = 1_000;

/// Where the deltas go on after this listing.
enum Onwards {
    Link(String),
    /// Not offered here: list everybody again next time.
    NotOffered,
    /// Not to be had this time.
    Unknown,
}

/// What was read, before it is believed.
struct Read {
    staged: Staged,
    /// Sightings that are newer than the staged ones, of known users.
    late: BTreeMap<UserId, Sighting>,
    bin: RecycleBin,
    /// Users of whom the next pass will know better.
    recheck: BTreeSet<UserId>,
    /// Users who say nothing of their licences, some of them if they are many.
    unread: BTreeSet<UserId>,
    memberships: Memberships,
    onwards: Onwards,
    are_shards_refused: bool,
}

pub(super) async fn observe(watch: &Watch<'_>) -> Result<Observed, store::Error> {
    let mut seen = Seen::default();
    let onwards = onwards(watch).await;
    check_tenant(watch, &mut seen.problems).await;
    groups::licensing(watch).await?;
    let memberships = groups::all(watch, &mut seen.problems).await?;
    let mut stage = watch.store.stage()?;
    // Deleted first: a user restored in between is then in both lists, and the later sighting counts.
    let bin = deleted(watch, &mut stage, &mut seen.problems).await?;
    let listed = shards::live(watch, &mut stage, &mut seen.problems).await?;
    let are_shards_refused = watch.cursor.are_shards_refused || listed.are_shards_refused;
    let mut read = Read {
        staged: Staged::default(),
        late: BTreeMap::new(),
        bin,
        recheck: BTreeSet::new(),
        unread: BTreeSet::new(),
        memberships,
        onwards,
        are_shards_refused,
    };
    if seen.is_believable() {
        replay(watch, &mut read, &mut stage, &mut seen.problems).await?;
    }
    read.staged = stage.finish()?;
    seen.problems.extend(watch.clock_problem());
    if seen.is_believable() {
        seen.problems.extend(missed(watch, &mut read, listed.is_split).await?);
    }
    // Seats last: whatever licence a user was seen with is in the products' count by then.
    seen.catalog = watch.products(&mut seen.problems).await?;
    if !seen.is_believable() {
        note_refused_shards(watch, read.are_shards_refused)?;
        return watch.reject(ObservationKind::Full, &seen);
    }
    believe(watch, read, seen)
}

/// The tenant that the credentials lead to must be the configured one, and an answer that does not say which it is does
/// not tell. That the question itself is refused is no problem: it needs a permission that nothing else needs.
pub(super) async fn check_tenant(watch: &Watch<'_>, problems: &mut Vec<Problem>) {
    let configured = watch.store.tenant();
    match watch.graph.organization().await {
        Ok(organization) if organization.id == configured => {}
        Ok(organization) => problems.push(Problem {
            kind: ProblemKind::WrongTenant,
            detail: format!("signed in to tenant {}, the settings say {configured}", organization.id),
        }),
        Err(error @ Error::SignIn(_)) => problems.push(problem("sign-in", &error)),
        Err(error @ Error::Malformed { .. }) => problems.push(problem("the tenant's own record", &error)),
        Err(error) => tracing::debug!(%error, "the tenant's own record cannot be read"),
    }
}

async fn onwards(watch: &Watch<'_>) -> Onwards {
    match changes::latest(watch.graph).await {
        Ok(Some(link)) => Onwards::Link(link),
        Ok(None) => {
            if !watch.cursor.is_delta_missing {
                tracing::info!("this tenant offers no delta of its users: every pass lists everybody");
            }
            Onwards::NotOffered
        }
        Err(error) => {
            tracing::debug!(%error, "where the delta stands could not be read");
            Onwards::Unknown
        }
    }
}

async fn deleted(
    watch: &Watch<'_>,
    stage: &mut Stage,
    problems: &mut Vec<Problem>,
) -> Result<RecycleBin, store::Error> {
    let push =
        |deleted: DeletedUser| stage.push(Sighting::Deleted { user: deleted.user, since: deleted.deleted });
    bin::read(watch.graph, &RecycleBin::default(), watch.started, problems, push).await
}

/// Reads again everybody who changed since the last observation, or since the listing began.
async fn replay(
    watch: &Watch<'_>,
    read: &mut Read,
    stage: &mut Stage,
    problems: &mut Vec<Problem>,
) -> Result<(), store::Error> {
    let Onwards::Link(latest) = &read.onwards else { return Ok(()) };
    let Some(Changes { users, link }) = since_last(watch, latest).await else { return Ok(()) };
    if users.len() > REPLAYED_MAX {
        return Ok(());
    }
    let ids: Vec<UserId> = users.keys().copied().collect();
    let found = reread::read(watch, &ids, &BTreeMap::new(), problems).await;
    read.recheck = reread::contradicted(&users, &found);
    for (user, found) in found {
        let is_nowhere = matches!(found, Found::Nowhere);
        match found.into_sighting(&mut read.bin) {
            Some(sighting) => stage.push(sighting)?,
            None if is_nowhere && changes::is_purge(users.get(&user)) => {
                stage.push(Sighting::Purged(user))?
            }
            // Whatever the listing said of it stands until the next pass.
            None => {}
        }
    }
    read.onwards = Onwards::Link(link);
    Ok(())
}

/// `None`: the next pass reads on from where the listing began.
async fn since_last(watch: &Watch<'_>, latest: &str) -> Option<Changes> {
    if let Some(last) = &watch.cursor.delta_link
        && let Ok(changes) = changes::read(watch.graph, last).await
    {
        return Some(changes);
    }
    changes::read(watch.graph, latest).await.ok()
}

/// Looks for known users who are in neither list, and judges how many stay missing, and how many are not understood.
async fn missed(watch: &Watch<'_>, read: &mut Read, is_split: bool) -> Result<Vec<Problem>, store::Error> {
    let mut look = Look::default();
    watch.store.join(&read.staged, |known, sighting| {
        look.see(known, sighting.is_some());
        match sighting {
            Some(Sighting::Live(user)) => look.listed(user),
            Some(Sighting::Unreadable(odd)) => look.unreadable(odd),
            Some(Sighting::Deleted { .. } | Sighting::Purged(_)) | None => {}
        }
        if let Some(sighting) = sighting.filter(|sighting| sighting.is_silent())
            && read.unread.len() < RECHECK_MAX
        {
            read.unread.insert(sighting.id());
        }
        // Does nothing for those who are not in it.
        if let Some(known) = known.filter(|_| !matches!(sighting, Some(Sighting::Live(_)))) {
            read.bin.remember(&known.user);
        }
    })?;
    let mut problems = Vec::new();
    let wanted: Vec<UserId> = look.vanished().iter().copied().take(LOOKED_FOR_MAX).collect();
    if !wanted.is_empty() && look.problem().is_none_or(|_| is_split) {
        for (user, found) in reread::read(watch, &wanted, &BTreeMap::new(), &mut problems).await {
            let Some(sighting) = found.into_sighting(&mut read.bin) else { continue };
            if let Sighting::Unreadable(odd) = &sighting {
                look.unreadable(odd);
            }
            if sighting.is_silent() {
                read.unread.insert(user);
            }
            read.late.insert(user, sighting);
            look.found(user);
        }
    }
    let problem = look.problem();
    // So many who are there and were not listed: the parts do not bring everybody.
    read.are_shards_refused |= is_split && problem.is_some();
    problems.extend(problem.into_iter().chain(look.oddities()));
    Ok(problems)
}

fn note_refused_shards(watch: &Watch<'_>, are_refused: bool) -> Result<(), store::Error> {
    if are_refused == watch.cursor.are_shards_refused {
        return Ok(());
    }
    let cursor = watch.store.get_or_default::<Cursor>()?;
    watch.store.put(&Cursor { are_shards_refused: are_refused, ..cursor })
}

fn believe(watch: &Watch<'_>, mut read: Read, mut seen: Seen) -> Result<Observed, store::Error> {
    take_stock(watch, &mut read)?;
    let tally = watch.store.get::<Tally>()?;
    watch.store.remove::<Tally>()?;
    let context = Context {
        kind: ObservationKind::Full,
        observed: watch.started,
        previous: watch.previous(),
        catalog: &seen.catalog,
        memberships: &read.memberships,
    };
    let mut recheck = std::mem::take(&mut read.recheck);
    recheck.extend(&read.unread);
    // Before the users: whoever is unread after a crash here is read again all the same.
    let mut cursor = watch.cursor.clone();
    cursor.recheck.extend(&read.unread);
    watch.store.put(&cursor)?;
    let (mut live_users, mut deleted_users) = (0, 0);
    let mut late = std::mem::take(&mut read.late);
    let mut releases = Releases::of(watch)?;
    watch.store.fold(&read.staged, |known, sighting| {
        let before = known.clone();
        let sighting = known.as_ref().and_then(|known| late.remove(&known.id())).or(sighting);
        let known = fold::fold(known, sighting, &context)?;
        if let Some(before) = before {
            releases.note(&before, &known);
        }
        releases.note_return(&known);
        match known.presence {
            Presence::Live => live_users += 1,
            Presence::Deleted { .. } => deleted_users += 1,
            Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => {}
        }
        if matches!(known.presence, Presence::Missing { .. }) && recheck.len() < RECHECK_MAX {
            recheck.insert(known.id());
        }
        Some(known)
    })?;
    (seen.live_users, seen.deleted_users) = (live_users, deleted_users);
    releases.forget_settled();
    releases.keep(watch)?;
    keep(watch, &read, &seen, recheck)?;
    watch.store.clear_stage()?;
    Ok(Observed {
        observation: watch.observation(ObservationKind::Full, &seen),
        surroundings: surroundings::surroundings(watch, &read.bin)?,
        catalog: seen.catalog,
        reach: Reach::Everyone,
        tally,
    })
}

/// Which live users hold an address of a deleted one.
fn take_stock(watch: &Watch<'_>, read: &mut Read) -> Result<(), store::Error> {
    let mut taken = BTreeSet::new();
    if !read.bin.users.is_empty() {
        let addresses = Addresses::of(&read.bin);
        watch.store.join(&read.staged, |known, sighting| {
            let late = known.and_then(|known: &KnownUser| read.late.get(&known.id()));
            match (late.or(sighting), known) {
                (Some(Sighting::Live(user)), _) => addresses.claim(user, &mut taken),
                // Holds what it held, as far as anybody knows.
                (Some(Sighting::Unreadable(_)), Some(known)) => addresses.claim(&known.user, &mut taken),
                (Some(_), _) | (None, _) => {}
            }
        })?;
    }
    read.bin.taken = taken;
    Ok(())
}

fn keep(watch: &Watch<'_>, read: &Read, seen: &Seen, recheck: BTreeSet<UserId>) -> Result<(), store::Error> {
    let delta_link = match &read.onwards {
        Onwards::Link(link) => Some(link.clone()),
        Onwards::NotOffered | Onwards::Unknown => None,
    };
    watch.store.put(&Seats { catalog: seen.catalog.clone(), read_at: watch.started })?;
    watch.store.put(&read.bin)?;
    watch.store.put(&SmallGroups(read.memberships.small(groups::SMALL)))?;
    watch.store.put(&Cursor {
        last_complete: Some(watch.started),
        last_full: Some(watch.started),
        live_users: seen.live_users,
        deleted_users: seen.deleted_users,
        delta_link,
        recheck,
        policy_digest: Some(watch.policy.digest.clone()),
        groups_read: watch.policy.groups(),
        groups_read_at: Some(watch.started),
        is_delta_missing: matches!(read.onwards, Onwards::NotOffered),
        are_shards_refused: read.are_shards_refused,
        probes: probes(watch),
    })
}

/// After so long without an observation a licence may have been away for too long and given back since, and a new,
/// empty mailbox answers: everybody is asked again. A delta is never that old.
fn probes(watch: &Watch<'_>) -> Probing {
    let before = watch.cursor.probes.clone();
    let is_blind = |previous: Timestamp| watch.started - previous >= watch.policy.retention.days;
    match watch.previous().is_some_and(is_blind) {
        true => Probing { doubted_before: Some(watch.started), is_behind: true, ..before },
        false => before,
    }
}
