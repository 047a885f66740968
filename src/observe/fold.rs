//! One sighting folded into what is known of the user: the place where a loss is first noticed. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Catalog, DELETED_RETENTION, Entitlement, GroupId, KnownUser, License, Loss, MailboxMemory,
    ObservationKind, Presence, Remembered, Sighting, Span, Timestamp, User, UserId, UserType,
    is_mailbox_plan,
};

/// What is the same for every user of one observation.
#[derive(Debug)]
pub struct Context<'a> {
    pub kind: ObservationKind,
    /// Start of this observation.
    pub observed: Timestamp,
    /// Start of the last complete observation before this one.
    pub previous: Option<Timestamp>,
    pub catalog: &'a Catalog,
    pub memberships: &'a Memberships,
}

/// Members of the groups that the policy names, as read in this observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memberships {
    /// Sorted members of each group that could be read.
    groups: BTreeMap<GroupId, Vec<UserId>>,
}

impl Memberships {
    pub fn insert(&mut self, group: GroupId, mut members: Vec<UserId>) {
        members.sort_unstable();
        members.dedup();
        self.groups.insert(group, members);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn add(&mut self, group: GroupId, user: UserId) {
        let members = self.groups.entry(group).or_default();
        if let Err(place) = members.binary_search(&user) {
            members.insert(place, user);
        }
    }

    /// The groups of the user, of those that were read, whose lists have the user no more.
    pub(super) fn lacks(&self, known: &KnownUser) -> BTreeSet<GroupId> {
        let held = self.of(known.id());
        let was_read = |group: &&GroupId| self.groups.contains_key(group);
        known.groups.iter().filter(was_read).filter(|group| !held.contains(group)).copied().collect()
    }

    /// Writes what these lists say over what was known of a live user.
    pub(super) fn give(&self, known: &mut KnownUser) {
        known.groups = self.of(known.id());
        known.groups_read = self.read();
    }

    /// Writes what the lists of these groups say over what was known of a live user; other groups stay.
    pub(super) fn adjust<'g>(&self, known: &mut KnownUser, groups: impl Iterator<Item = &'g GroupId>) {
        let held = self.of(known.id());
        for group in groups {
            match held.contains(group) {
                true => known.groups.insert(*group),
                false => known.groups.remove(group),
            };
        }
    }

    /// The lists that are no longer than that.
    pub(super) fn small(&self, members: usize) -> BTreeMap<GroupId, BTreeSet<UserId>> {
        let small = self.groups.iter().filter(|(_, list)| list.len() <= members);
        small.map(|(group, list)| (*group, list.iter().copied().collect())).collect()
    }

    fn of(&self, user: UserId) -> BTreeSet<GroupId> {
        let is_member = |members: &Vec<UserId>| members.binary_search(&user).is_ok();
        self.groups.iter().filter(|(_, members)| is_member(members)).map(|(group, _)| *group).collect()
    }

    fn read(&self) -> BTreeSet<GroupId> {
        self.groups.keys().copied().collect()
    }
}

/// The new knowledge of one user; `None` when there is nothing worth remembering.
pub fn fold(
    known: Option<KnownUser>,
    sighting: Option<Sighting>,
    context: &Context<'_>,
) -> Option<KnownUser> {
    match (known, sighting) {
        (known, Some(Sighting::Live(user))) => Some(live(known, user, context)),
        (known, Some(Sighting::Deleted { user, since })) => {
            let since = deletion_date(known.as_ref(), since, context);
            Some(deleted(known, user, since, context))
        }
        (Some(known), Some(Sighting::Purged(_))) => purged(known, context),
        (Some(known), Some(Sighting::Unreadable(odd))) => Some(unreadable(known, odd.is_deleted, context)),
        (None, Some(Sighting::Purged(_) | Sighting::Unreadable(_)) | None) => None,
        (Some(known), None) => absent(known, context),
    }
}

fn live(known: Option<KnownUser>, mut user: User, context: &Context<'_>) -> KnownUser {
    if let (None, Some(known)) = (&user.licenses, &known) {
        keep_traces(&mut user, &known.user);
    }
    let entitlement = Entitlement::of(&user, context.catalog);
    let loss = loss(known.as_ref(), &user, &entitlement, context);
    let before = known.as_ref().and_then(|known| known.remembered.as_ref());
    let remembered = match &entitlement {
        Entitlement::Licensed { .. } => Some(remember(&user, before, context.catalog)),
        Entitlement::PlanDisabled { .. } => before.map(|memory| switched_off_since(memory, &user)),
        Entitlement::SubscriptionLapsed { .. }
        | Entitlement::GroupError { .. }
        | Entitlement::None { .. } => before.cloned(),
    };
    KnownUser {
        presence: Presence::Live,
        groups: context.memberships.of(user.id),
        groups_read: context.memberships.read(),
        mailbox: known.map(|known| known.mailbox).unwrap_or_default(),
        remembered,
        loss,
        user,
    }
}

/// Graph did not say which licences there are: that is not "none", and not "as before". What else hangs on licences
/// stays.
fn keep_traces(user: &mut User, before: &User) {
    user.plans.clone_from(&before.plans);
    user.assignments.clone_from(&before.assignments);
}

/// The user is there, and that is all: nobody knows whether the licences still are. In the recycle bin for the first
/// time, nobody knows either whether it may be taken out again, so it counts as a live one that cannot be read, and as
/// lost from now on.
fn unreadable(known: KnownUser, is_deleted: bool, context: &Context<'_>) -> KnownUser {
    match known.presence {
        Presence::Recalled { .. } => known,
        Presence::Deleted { .. } if is_deleted => known,
        Presence::Deleted { .. } | Presence::Live | Presence::Missing { .. } | Presence::Gone { .. } => {
            let user = User { licenses: None, ..known.user.clone() };
            if is_deleted { deleted_unread(known, user, context) } else { live(Some(known), user, context) }
        }
    }
}

/// No list of members has a deleted user, so the groups are those of before.
fn deleted_unread(known: KnownUser, user: User, context: &Context<'_>) -> KnownUser {
    let (groups, groups_read) = (known.groups.clone(), known.groups_read.clone());
    let last_with = context.previous.filter(|_| known.presence == Presence::Live);
    let lost = known.had_mailbox().then(|| Loss {
        last_with,
        noticed: context.observed,
        hint: None,
        had_mailbox_plan: known.user.had_mailbox_plan(),
    });
    let after = live(Some(known), user, context);
    KnownUser { groups, groups_read, loss: after.loss.clone().or(lost), ..after }
}

/// The loss that runs after this observation; `None` while nothing is lost.
fn loss(
    before: Option<&KnownUser>,
    user: &User,
    entitlement: &Entitlement,
    context: &Context<'_>,
) -> Option<Loss> {
    let running = before.and_then(|known| known.loss.as_ref());
    if user.licenses.is_none() {
        // Not said is not lost, and not found again.
        return running.cloned();
    }
    if !before.is_none_or(KnownUser::needs_license) {
        // Only Exchange's own answer starts a clock here, see `mailboxes`.
        return running.filter(|_| !entitlement.is_licensed()).cloned();
    }
    match entitlement {
        Entitlement::Licensed { .. } => None,
        // The subscription's own clock preserves the mailbox; a loss from before it goes on.
        Entitlement::SubscriptionLapsed { .. } => running.cloned(),
        Entitlement::PlanDisabled { .. } | Entitlement::GroupError { .. } | Entitlement::None { .. } => {
            match running {
                Some(loss) if is_hold_over(before, user, loss) => {
                    let last_with = context.previous.filter(|_| before.is_some_and(was_read));
                    Some(Loss { last_with, noticed: context.observed, ..loss.clone() })
                }
                Some(loss) => Some(loss.clone()),
                None => begin_loss(before, user, context),
            }
        }
    }
}

/// A hold kept the mailbox until now: the disconnect begins with its end.
fn is_hold_over(before: Option<&KnownUser>, user: &User, loss: &Loss) -> bool {
    before.is_some_and(|known| known.presence == Presence::Live && known.user.holds(loss).next().is_some())
        && user.holds(loss).next().is_none()
}

/// A loss begins when a licence or a mailbox was seen before, or a mailbox plan stands in the directory as gone. A
/// user who never had one has lost nothing.
fn begin_loss(before: Option<&KnownUser>, user: &User, context: &Context<'_>) -> Option<Loss> {
    let had_mailbox_plan = user.had_mailbox_plan();
    if !had_mailbox_plan && !before.is_some_and(KnownUser::had_mailbox) {
        return None;
    }
    let last_with = match before {
        Some(known) if was_covered(known, context) => match known.presence {
            Presence::Live => context.previous,
            Presence::Deleted { since } => context.previous.map(|previous| previous.min(since)),
            // What became of the licence while the user was nowhere, nobody saw.
            Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => None,
        },
        Some(_) | None => None,
    };
    Some(Loss { last_with, noticed: context.observed, hint: user.lost_hint(), had_mailbox_plan })
}

/// No loss was running, and at the observation before this one a licence or a lapsed subscription kept the mailbox.
fn was_covered(known: &KnownUser, context: &Context<'_>) -> bool {
    let is_lapsed =
        || matches!(Entitlement::of(&known.user, context.catalog), Entitlement::SubscriptionLapsed { .. });
    was_read(known) && (known.remembered.is_some() || is_lapsed())
}

/// The observation before this one knew the licences.
fn was_read(known: &KnownUser) -> bool {
    known.user.licenses.is_some()
}

/// A person switched the Exchange plan off, and may have switched off more with it.
fn switched_off_since(memory: &Remembered, user: &User) -> Remembered {
    let newer = |license: &License| user.license(license.sku).unwrap_or(license).clone();
    Remembered { licenses: memory.licenses.iter().map(newer).collect(), ..memory.clone() }
}

/// The licences that carry a mailbox, with what is switched off in them, and how they came. What was switched off
/// in a product that the user held before is not forgotten: a later repair may come back to it.
fn remember(user: &User, before: Option<&Remembered>, catalog: &Catalog) -> Remembered {
    let carries = |sku| match catalog.get(sku) {
        Some(product) => product.carries_mailbox(),
        None => user.plans.iter().any(|plan| is_mailbox_plan(plan.plan)),
    };
    let earlier = before.into_iter().flat_map(|before| &before.licenses);
    let earlier = earlier.filter(|past| !past.disabled_plans.is_empty() && user.license(past.sku).is_none());
    Remembered {
        licenses: user
            .licenses()
            .iter()
            .filter(|license| carries(license.sku))
            .chain(earlier)
            .cloned()
            .collect(),
        assignments: user.assignments.iter().filter(|entry| carries(entry.sku)).cloned().collect(),
    }
}

/// The date that the recycle bin gives, unless it cannot be: in the future, or so early that the user would have been
/// purged before we saw it alive. Then the deletion counts from that last sight, which is earlier than it was.
fn deletion_date(known: Option<&KnownUser>, listed: Timestamp, context: &Context<'_>) -> Timestamp {
    let not_before = known.and_then(|known| match known.presence {
        Presence::Live => context.previous,
        Presence::Deleted { since } => Some(since),
        Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => None,
    });
    let is_too_early = |known| listed + BIN_LAG < known && listed + DELETED_RETENTION < context.observed;
    let is_future = listed > context.observed + CLOCKS_APART;
    match not_before {
        Some(known) if is_future || is_too_early(known) => known,
        None if is_future => context.observed,
        Some(_) | None => listed,
    }
}

/// A deletion later than that after the start of an observation is none that happened.
pub(super) const CLOCKS_APART: Span = Span::from_hours(1);

/// How long a deletion may take until observations show it.
const BIN_LAG: Span = Span::from_days(1);

/// A deleted user is judged by what was known before the deletion; the listing adds the date and what became of the
/// licences.
fn deleted(known: Option<KnownUser>, listed: User, since: Timestamp, context: &Context<'_>) -> KnownUser {
    let Some(mut known) = known else { return first_seen_deleted(listed, since, context) };
    if let Presence::Recalled { deleted } = known.presence {
        known.user.clone_from(&listed);
        if deleted != Some(since) {
            // Another deletion than the one that the journal tells of: what the groups were before it, nobody knows.
            known.groups.clear();
            known.groups_read.clear();
        }
    }
    let was_unread = known.presence == Presence::Live && known.is_unread();
    if was_unread {
        note_new_names(&mut known.user, &listed);
        if listed.licenses.is_none() && known.loss.is_none() && known.had_mailbox() && known.needs_license() {
            // Whether the licence was there until the deletion, nobody saw.
            known.loss = Some(Loss {
                last_with: None,
                noticed: since.min(context.observed),
                hint: known.user.lost_hint(),
                had_mailbox_plan: known.user.had_mailbox_plan(),
            });
        }
    }
    if was_unread && Entitlement::of(&listed, context.catalog).is_licensed() {
        known.loss = None;
    }
    if let Some(licenses) = listed.licenses.clone() {
        known.user.licenses = Some(licenses);
        if known.loss.is_none() && known.remembered.is_some() && is_stripped(&known, context) {
            let was_live = known.presence == Presence::Live;
            known.loss = Some(Loss {
                last_with: context
                    .previous
                    .filter(|_| was_live && !was_unread)
                    .map(|previous| previous.min(since)),
                noticed: since.min(context.observed),
                hint: None,
                had_mailbox_plan: known.user.had_mailbox_plan(),
            });
        }
    }
    known.user.note_last_words(listed);
    known.presence = Presence::Deleted { since };
    known
}

/// The record is from before nobody could read it: what the recycle bin shows of who it is, is newer.
fn note_new_names(user: &mut User, listed: &User) {
    if listed.mail.is_some() {
        user.mail.clone_from(&listed.mail);
    }
    if !listed.proxy_addresses.is_empty() {
        user.proxy_addresses.clone_from(&listed.proxy_addresses);
    }
    if listed.user_type != UserType::Unknown {
        user.user_type = listed.user_type.clone();
    }
    user.on_premises_synced |= listed.on_premises_synced;
}

fn first_seen_deleted(listed: User, since: Timestamp, context: &Context<'_>) -> KnownUser {
    let is_licensed = Entitlement::of(&listed, context.catalog).is_licensed();
    let mut known = KnownUser {
        presence: Presence::Deleted { since },
        groups: BTreeSet::new(),
        groups_read: BTreeSet::new(),
        mailbox: MailboxMemory::default(),
        remembered: is_licensed.then(|| remember(&listed, None, context.catalog)),
        loss: None,
        user: listed,
    };
    let is_lost = known.user.had_mailbox_plan() && !known.user.has_usable_mailbox_plan();
    if known.user.licenses.is_some() && is_lost && is_stripped(&known, context) {
        known.loss = Some(Loss {
            last_with: None,
            noticed: since.min(context.observed),
            hint: known.user.lost_hint(),
            had_mailbox_plan: true,
        });
    }
    known
}

/// The licence was taken before the account was deleted; the admin centre does that (Microsoft: "Restore a user").
fn is_stripped(known: &KnownUser, context: &Context<'_>) -> bool {
    known.needs_license()
        && match Entitlement::of(&known.user, context.catalog) {
            Entitlement::PlanDisabled { .. } | Entitlement::GroupError { .. } | Entitlement::None { .. } => {
                true
            }
            Entitlement::Licensed { .. } | Entitlement::SubscriptionLapsed { .. } => false,
        }
}

fn purged(mut known: KnownUser, context: &Context<'_>) -> Option<KnownUser> {
    let is_recalled = matches!(known.presence, Presence::Recalled { .. });
    known.presence = Presence::Gone { noticed: first_noticed(&known.presence, context) };
    (known.had_mailbox() && !is_recalled).then_some(known)
}

/// In neither list. Once is a doubt, twice is a fact; a user without a mailbox is then forgotten.
fn absent(mut known: KnownUser, context: &Context<'_>) -> Option<KnownUser> {
    if context.kind == ObservationKind::Delta {
        return Some(known);
    }
    let noticed = first_noticed(&known.presence, context);
    known.presence = match known.presence {
        // Nothing is known of the user that a policy could be asked about.
        Presence::Recalled { .. } => return None,
        Presence::Live | Presence::Deleted { .. } => Presence::Missing { noticed },
        // The same observation again, after a crash.
        Presence::Missing { .. } if noticed >= context.observed => Presence::Missing { noticed },
        Presence::Missing { .. } if !known.had_mailbox() => return None,
        Presence::Missing { .. } | Presence::Gone { .. } => Presence::Gone { noticed },
    };
    let is_forgotten = noticed + FORGET_AFTER <= context.observed;
    (!is_forgotten).then_some(known)
}

/// How long a vanished user is shown before it is forgotten.
const FORGET_AFTER: Span = Span::from_days(60);

fn first_noticed(presence: &Presence, context: &Context<'_>) -> Timestamp {
    match presence {
        Presence::Live | Presence::Deleted { .. } | Presence::Recalled { .. } => context.observed,
        Presence::Missing { noticed } | Presence::Gone { noticed } => *noticed,
    }
}
