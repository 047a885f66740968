//! A pass that costs what changed: the delta since the last observation, the recycle bin, the seats, and single
//! reads of everybody about whom something is to be decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::DeletedUser;
use crate::model::{Catalog, GroupId, KnownUser, ObservationKind, Presence, Sighting, Span, User, UserId};
use crate::store::records::{Cursor, RecycleBin, Seats, SmallGroups, Tally};
use crate::store::{self};

use super::bin::{self, Addresses};
use super::changes::{self, Change, Changes, Halt};
use super::entry::{Applied, applied};
use super::fold::{self, Context, Memberships};
use super::plausible;
use super::released::Releases;
use super::reread::{self, Found};
use super::{Observed, Reach, Seen, Watch, problem};
use super::{full, groups, surroundings};

/// A drift that is gone is looked at for so long after: a replica that lags must not hide it until the next full
/// listing.
const LOOK_BACK: Span = Span::from_hours(1);

/// Newly deleted users that are held in memory, some kilobytes each; a full listing holds them on disk.
const BINNED_MAX: usize = 20_000;

/// What came of it.
pub(super) enum Outcome {
    Observed(Box<Observed>),
    /// A delta is not enough, and why.
    ListEverybody(&'static str),
}

/// What was read, before it is believed.
struct Read {
    changes: Changes,
    bin: RecycleBin,
    /// Deleted users that the last observation did not know as they are now.
    binned: BTreeMap<UserId, DeletedUser>,
    found: BTreeMap<UserId, Found>,
    /// Users whose entries in the delta could be applied to what is known.
    patched: BTreeMap<UserId, User>,
    /// Users that are looked at and known to be live, with the groups known before.
    groups_before: BTreeMap<UserId, BTreeSet<GroupId>>,
}

pub(super) async fn observe(watch: &Watch<'_>) -> Result<Outcome, store::Error> {
    let mut seen = Seen::default();
    let Some(before) = watch.store.get::<RecycleBin>()? else {
        return Ok(Outcome::ListEverybody("the recycle bin of the last observation is not known"));
    };
    if watch.is_first {
        full::check_tenant(watch, &mut seen.problems).await;
    }
    let mut binned = BTreeMap::new();
    let mut is_too_much = false;
    let bin = bin::read(watch.graph, &before, watch.started, &mut seen.problems, |deleted| {
        is_too_much = is_too_much || binned.len() >= BINNED_MAX;
        if !is_too_much {
            binned.insert(deleted.user.id, deleted);
        }
        Ok(())
    })
    .await?;
    if is_too_much {
        return Ok(Outcome::ListEverybody("so many users were deleted that they do not fit into memory"));
    }
    let changes = match read_changes(watch, &mut seen).await {
        Ok(changes) => changes,
        Err(reason) => return Ok(Outcome::ListEverybody(reason)),
    };
    let Some(changes) = changes.filter(|_| seen.is_believable()) else {
        return rejected(watch, &seen);
    };
    let gone = gone_without_trace(watch, &changes, &before, &bin)?;
    seen.problems.extend(plausible::removed(gone, watch.cursor.live_users));
    if !seen.is_believable() {
        return rejected(watch, &seen);
    }
    let small = groups::small(watch, &mut seen.problems).await?;
    if small.as_ref().is_some_and(|small| small.left.is_sample()) {
        return Ok(Outcome::ListEverybody("so many users left a small group"));
    }
    let mut read = Read {
        changes,
        bin,
        binned,
        found: BTreeMap::new(),
        patched: BTreeMap::new(),
        groups_before: BTreeMap::new(),
    };
    let left = small.as_ref().map(|small| small.left.users());
    let wanted = read.wanted(watch, &before, left.into_iter().flatten())?;
    if is_listing_cheaper(wanted.len(), watch.cursor.live_users) {
        return Ok(Outcome::ListEverybody("so many users must be read again that a listing is cheaper"));
    }
    let wanted: Vec<UserId> = wanted.into_iter().collect();
    read.found = reread::read(watch, &wanted, &read.binned, &mut seen.problems).await;
    groups::licensing(watch).await?;
    let groups = groups::read(watch, small, &read.live(), &mut seen.problems).await?;
    // Seats last: whatever licence a user was seen with is in the products' count by then.
    seen.catalog = watch.products(&mut seen.problems).await?;
    if seen.is_believable() && has_changed(watch, &seen.catalog)? {
        return Ok(Outcome::ListEverybody("the products are worth other mailboxes than before"));
    }
    seen.problems.extend(watch.clock_problem());
    seen.problems.extend(reread::oddity(&read.found, watch.cursor.live_users));
    let nowhere = read.found.values().filter(|found| matches!(found, Found::Nowhere)).count() as u64;
    seen.problems.extend(plausible::vanished(nowhere, watch.cursor.live_users + watch.cursor.deleted_users));
    if !seen.is_believable() {
        return rejected(watch, &seen);
    }
    believe(watch, read, groups, seen).map(|observed| Outcome::Observed(Box::new(observed)))
}

fn rejected(watch: &Watch<'_>, seen: &Seen) -> Result<Outcome, store::Error> {
    watch.reject(ObservationKind::Delta, seen).map(|observed| Outcome::Observed(Box::new(observed)))
}

/// The complete round; `Ok(None)` when it could not be read, which is then a problem; `Err` why everybody must be
/// listed.
async fn read_changes(watch: &Watch<'_>, seen: &mut Seen) -> Result<Option<Changes>, &'static str> {
    let link = watch.cursor.delta_link.as_deref().ok_or("there is no delta to go on from")?;
    match changes::read(watch.graph, link).await {
        Ok(changes) => Ok(Some(changes)),
        Err(Halt::Lost) => Err("the delta was reset"),
        Err(Halt::TooMany) => Err("the delta is longer than a listing"),
        Err(Halt::Failed(error)) => {
            seen.problems.push(problem("changed users", &error));
            Ok(None)
        }
    }
}

/// Live users of whom the delta says that they were removed, and whom the recycle bin never had. A few of them are read
/// singly; so many that nobody can have purged them are no news but a broken feed.
fn gone_without_trace(
    watch: &Watch<'_>,
    changes: &Changes,
    before: &RecycleBin,
    bin: &RecycleBin,
) -> Result<u64, store::Error> {
    let is_removed = |(user, change): &(&UserId, &Change)| {
        let was_binned = bin.users.contains_key(user) || before.users.contains_key(user);
        matches!(change, Change::Removed { .. }) && !was_binned
    };
    let removed: BTreeSet<UserId> = changes.users.iter().filter(is_removed).map(|(user, _)| *user).collect();
    let mut live = 0;
    watch.store.visit_users(&removed, |_, known| {
        live += u64::from(known.is_some_and(|known| known.presence == Presence::Live));
    })?;
    Ok(live)
}

/// What a licence is worth depends on the product, also for users who did not change.
fn has_changed(watch: &Watch<'_>, catalog: &Catalog) -> Result<bool, store::Error> {
    let Some(before) = watch.store.get::<Seats>()? else { return Ok(true) };
    let worth = |catalog: &Catalog| -> BTreeMap<_, (bool, Vec<_>)> {
        catalog.iter().map(|sku| (sku.id, (sku.is_assignable(), sku.mailbox_plans().collect()))).collect()
    };
    Ok(worth(&before.catalog) != worth(catalog))
}

/// Twenty single reads cost a request, and so do 999 users of a listing, which is more to read.
fn is_listing_cheaper(single_reads: usize, live_users: u64) -> bool {
    single_reads as u64 / 20 > 50 + live_users / 200
}

impl Read {
    /// Who must be read singly. Applies the entries for which that is not needed.
    fn wanted<'u>(
        &mut self,
        watch: &Watch<'_>,
        before: &RecycleBin,
        left_groups: impl Iterator<Item = &'u UserId>,
    ) -> Result<BTreeSet<UserId>, store::Error> {
        let mut candidates: BTreeSet<UserId> = self.changes.users.keys().copied().collect();
        let left = before.users.keys().filter(|user| !self.bin.users.contains_key(user));
        let arrived = self.binned.keys().filter(|user| !before.users.contains_key(user));
        // Said by the bin alone, and replicas lag.
        let mut wanted: BTreeSet<UserId> = left.chain(arrived).copied().collect();
        wanted.extend(&watch.cursor.recheck);
        wanted.extend(left_groups);
        let in_ledger = in_ledger(watch)?;
        candidates.extend(&in_ledger);
        candidates.extend(&wanted);
        watch.store.visit_users(&candidates, |user, known| {
            if let Some(known) = &known {
                self.groups_before.insert(user, known.groups.clone());
            }
            let is_alive = matches!(
                known.as_ref().map(|known| &known.presence),
                Some(Presence::Live | Presence::Missing { .. })
            );
            if wanted.contains(&user) || (is_alive && in_ledger.contains(&user)) {
                wanted.insert(user);
            } else if let Some(change) = self.changes.users.get(&user) {
                match applied(change, known, self.bin.users.contains_key(&user)) {
                    Applied::Same => {}
                    Applied::Changed(user) => {
                        self.patched.insert(user.id, *user);
                    }
                    Applied::Unclear => {
                        wanted.insert(user);
                    }
                }
            }
        })?;
        Ok(wanted)
    }

    /// Everything newer than what is known, by user; `None` for a user that is nowhere.
    fn sightings(&mut self) -> BTreeMap<UserId, Option<Sighting>> {
        let mut sightings: BTreeMap<UserId, Option<Sighting>> = BTreeMap::new();
        for (user, deleted) in std::mem::take(&mut self.binned) {
            sightings.insert(user, Some(Sighting::Deleted { user: deleted.user, since: deleted.deleted }));
        }
        for (user, patched) in std::mem::take(&mut self.patched) {
            sightings.insert(user, Some(Sighting::Live(patched)));
        }
        for (user, found) in std::mem::take(&mut self.found) {
            let is_purged =
                matches!(found, Found::Nowhere) && changes::is_purge(self.changes.users.get(&user));
            let sighting = found.into_sighting(&mut self.bin);
            sightings.insert(user, if is_purged { Some(Sighting::Purged(user)) } else { sighting });
        }
        sightings
    }

    /// Users of whom the next pass will know better.
    fn doubtful(&self) -> BTreeSet<UserId> {
        let mut doubtful = reread::contradicted(&self.changes.users, &self.found);
        // Alive, and in the recycle bin for the first time.
        let is_in_both = |(user, found): &(&UserId, &Found)| {
            matches!(found, Found::Live(_)) && self.binned.contains_key(user)
        };
        doubtful.extend(self.found.iter().filter(is_in_both).map(|(user, _)| *user));
        doubtful
    }

    /// Users seen alive in this observation, with the groups known before.
    fn live(&self) -> BTreeMap<UserId, BTreeSet<GroupId>> {
        let is_live = |found: &Found| matches!(found, Found::Live(_) | Found::Unreadable(_));
        let found = self.found.iter().filter(|(_, found)| is_live(found));
        let users = found.map(|(user, _)| *user).chain(self.patched.keys().copied());
        users.map(|user| (user, self.groups_before.get(&user).cloned().unwrap_or_default())).collect()
    }
}

/// Users with an open drift, an effect to be observed, or a drift that has just gone.
fn in_ledger(watch: &Watch<'_>) -> Result<BTreeSet<UserId>, store::Error> {
    let mut users = BTreeSet::new();
    for entry in watch.store.ledger_entries() {
        let (user, entry) = entry?;
        let is_fresh = entry.resolved.is_some_and(|resolved| resolved + LOOK_BACK > watch.started);
        if entry.is_open() || is_fresh {
            users.insert(user);
        }
    }
    Ok(users)
}

fn believe(
    watch: &Watch<'_>,
    mut read: Read,
    groups: groups::Read,
    mut seen: Seen,
) -> Result<Observed, store::Error> {
    let mut recheck = read.doubtful();
    // Read again once and then left to the next delta or listing.
    recheck.retain(|user| !watch.cursor.recheck.contains(user));
    let mut sightings = read.sightings();
    // These until they say something.
    let silent = sightings.values().flatten().filter(|sighting| sighting.is_silent());
    recheck.extend(silent.map(Sighting::id));
    let tally = watch.store.get::<Tally>()?;
    if groups.is_for_all || !groups.joined.is_empty() || !sightings.is_empty() {
        watch.store.remove::<Tally>()?;
    }
    let context = Context {
        kind: ObservationKind::Delta,
        observed: watch.started,
        previous: watch.previous(),
        catalog: &seen.catalog,
        memberships: &groups.memberships,
    };
    let mut releases = Releases::of(watch)?;
    let reach = if groups.is_for_all {
        recheck.extend(walk(watch, &groups.memberships, &mut releases)?);
        Reach::Everyone
    } else {
        Reach::These(BTreeMap::new())
    };
    let mut changed = Changed { reach, recheck, releases, live: 0, deleted: 0 };
    let ids: BTreeSet<UserId> = sightings.keys().copied().collect();
    let addresses = addresses(watch, &mut read, &sightings)?;
    watch.store.update_users(&ids, |user, before| {
        let sighting = sightings.remove(&user).flatten();
        if let Some(Sighting::Live(live)) = &sighting {
            addresses.claim(live, &mut read.bin.taken);
        }
        let after = fold_one(before.clone(), sighting, &context);
        changed.note(user, &before, after.as_ref());
        after
    })?;
    join_users(watch, &groups, &ids, &mut changed)?;
    seen.live_users = watch.cursor.live_users.saturating_add_signed(changed.live);
    seen.deleted_users = watch.cursor.deleted_users.saturating_add_signed(changed.deleted);
    changed.releases.keep(watch)?;
    keep(watch, &read, &seen, changed.recheck, &groups)?;
    Ok(Observed {
        observation: watch.observation(ObservationKind::Delta, &seen),
        surroundings: surroundings::surroundings(watch, &read.bin)?,
        catalog: seen.catalog,
        reach: changed.reach,
        tally,
    })
}

/// What folding changed.
struct Changed<'a> {
    reach: Reach,
    recheck: BTreeSet<UserId>,
    releases: Releases<'a>,
    /// More live users than before, or fewer.
    live: i64,
    deleted: i64,
}

impl Changed<'_> {
    fn note(&mut self, user: UserId, before: &Option<KnownUser>, after: Option<&KnownUser>) {
        if before.as_ref() == after {
            return;
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.releases.note(before, after);
        }
        for (known, weight) in [(before.as_ref(), -1), (after, 1)] {
            match known.map(|known| &known.presence) {
                Some(Presence::Live) => self.live += weight,
                Some(Presence::Deleted { .. }) => self.deleted += weight,
                Some(Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. }) | None => {
                }
            }
        }
        if after.is_some_and(|after| matches!(after.presence, Presence::Missing { .. })) {
            self.recheck.insert(user);
        }
        self.reach.note(user, before);
    }
}

/// A user who is in neither place by single reads is absent as after a full listing: both places were asked.
fn fold_one(
    before: Option<KnownUser>,
    sighting: Option<Sighting>,
    context: &Context<'_>,
) -> Option<KnownUser> {
    let kind = if sighting.is_none() { ObservationKind::Full } else { context.kind };
    fold::fold(before, sighting, &Context { kind, ..*context })
}

/// Gives every live user the memberships that were listed anew. Who lost one may have been deleted, which the delta
/// tells later: such users keep what is known of them and are returned, to be read singly.
fn walk(
    watch: &Watch<'_>,
    memberships: &Memberships,
    releases: &mut Releases<'_>,
) -> Result<BTreeSet<UserId>, store::Error> {
    let mut losing = BTreeSet::new();
    let nobody = watch.store.stage()?.finish()?;
    watch.store.fold(&nobody, |known, _| {
        let mut known = known?;
        if known.presence == Presence::Live {
            let before = known.groups.clone();
            memberships.give(&mut known);
            let groups_read = &known.groups_read;
            if before.iter().any(|group| groups_read.contains(group) && !known.groups.contains(group)) {
                losing.insert(known.id());
                known.groups.extend(before.intersection(&known.groups_read).copied().collect::<Vec<_>>());
            }
            releases.note_return(&known);
        }
        Some(known)
    })?;
    watch.store.clear_stage()?;
    Ok(losing)
}

/// Gives those who joined a small group, and were not seen otherwise, their memberships of now.
fn join_users(
    watch: &Watch<'_>,
    groups: &groups::Read,
    folded: &BTreeSet<UserId>,
    changed: &mut Changed<'_>,
) -> Result<(), store::Error> {
    let others = groups.joined.difference(folded).copied().collect();
    watch.store.update_users(&others, |user, before| {
        let mut known = before.clone()?;
        if known.presence == Presence::Live {
            groups.memberships.adjust(&mut known, groups.small.0.keys());
        }
        changed.note(user, &before, Some(&known));
        Some(known)
    })
}

/// The addresses of the deleted users, those included that the new ones had before.
fn addresses(
    watch: &Watch<'_>,
    read: &mut Read,
    sightings: &BTreeMap<UserId, Option<Sighting>>,
) -> Result<Addresses, store::Error> {
    let deleted: BTreeSet<UserId> = sightings
        .iter()
        .filter(|(_, sighting)| matches!(sighting, Some(Sighting::Deleted { .. })))
        .map(|(user, _)| *user)
        .collect();
    watch.store.visit_users(&deleted, |_, known| {
        if let Some(known) = known {
            read.bin.remember(&known.user);
        }
    })?;
    let is_anybody_live = sightings.values().any(|sighting| matches!(sighting, Some(Sighting::Live(_))));
    Ok(if is_anybody_live { Addresses::of(&read.bin) } else { Addresses::default() })
}

fn keep(
    watch: &Watch<'_>,
    read: &Read,
    seen: &Seen,
    recheck: BTreeSet<UserId>,
    groups: &groups::Read,
) -> Result<(), store::Error> {
    if watch.store.get::<RecycleBin>()?.as_ref() != Some(&read.bin) {
        watch.store.put(&read.bin)?;
    }
    watch.store.put(&Seats { catalog: seen.catalog.clone(), read_at: watch.started })?;
    let mut cursor = Cursor {
        last_complete: Some(watch.started),
        live_users: seen.live_users,
        deleted_users: seen.deleted_users,
        delta_link: Some(read.changes.link.clone()),
        recheck,
        policy_digest: Some(watch.policy.digest.clone()),
        ..watch.cursor.clone()
    };
    if watch.store.get::<SmallGroups>()?.as_ref() != Some(&groups.small) {
        watch.store.put(&groups.small)?;
    }
    if groups.is_for_all {
        cursor.groups_read = watch.policy.groups();
        cursor.groups_read_at = Some(watch.started);
    }
    watch.store.put(&cursor)
}
