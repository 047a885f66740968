//! One sighting folded into what is known of the user: the place where a loss is first noticed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Catalog, Entitlement, GroupId, KnownUser, Loss, MailboxMemory, ObservationKind, Presence, Remembered,
    Sighting, Timestamp, User, UserId, is_mailbox_plan,
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
        (known, Some(Sighting::Deleted { user, since })) => Some(deleted(known, user, since)),
        (Some(known), Some(Sighting::Purged(_))) => Some(purged(known, context)),
        (None, Some(Sighting::Purged(_)) | None) => None,
        (Some(known), None) => absent(known, context),
    }
}

fn live(known: Option<KnownUser>, user: User, context: &Context<'_>) -> KnownUser {
    let entitlement = Entitlement::of(&user, context.catalog);
    let groups = context.memberships.of(user.id);
    let (mailbox, remembered, loss) = match known {
        Some(known) => (known.mailbox, known.remembered, known.loss),
        None => (MailboxMemory::default(), None, None),
    };
    if entitlement.is_licensed() {
        let remembered = Some(remember(&user, remembered, context.catalog));
        let groups_read = context.memberships.read();
        return KnownUser {
            user,
            presence: Presence::Live,
            groups,
            groups_read,
            mailbox,
            remembered,
            loss: None,
        };
    }
    let loss = loss.or_else(|| begin_loss(&entitlement, remembered.is_some(), context));
    KnownUser {
        user,
        presence: Presence::Live,
        groups,
        groups_read: context.memberships.read(),
        mailbox,
        remembered,
        loss,
    }
}

/// A loss begins when the licence was seen before, or a mailbox plan stands in the directory as gone. A user who never had one
/// has lost nothing.
fn begin_loss(entitlement: &Entitlement, was_licensed: bool, context: &Context<'_>) -> Option<Loss> {
    let (had_mailbox_plan, hint) = match entitlement {
        Entitlement::None { had_mailbox_plan, lost_hint } => (*had_mailbox_plan, *lost_hint),
        Entitlement::PlanDisabled { .. } | Entitlement::SubscriptionLapsed { .. } => (true, None),
        Entitlement::GroupError { .. } | Entitlement::Licensed { .. } => (false, None),
    };
    (was_licensed || had_mailbox_plan).then(|| Loss {
        last_with: was_licensed.then_some(context.previous).flatten(),
        noticed: context.observed,
        hint,
        had_mailbox_plan,
    })
}

/// The licences that carry a mailbox, with what is switched off in them, and how they came. What was switched off in a
/// product that the user held before is not forgotten: a later repair may come back to it.
fn remember(user: &User, before: Option<Remembered>, catalog: &Catalog) -> Remembered {
    let carries = |sku| match catalog.get(sku) {
        Some(product) => product.carries_mailbox(),
        None => user.plans.iter().any(|plan| is_mailbox_plan(plan.plan)),
    };
    let earlier = before.into_iter().flat_map(|before| before.licenses);
    let earlier = earlier.filter(|past| !past.disabled_plans.is_empty() && user.license(past.sku).is_none());
    Remembered {
        licenses: user
            .licenses()
            .iter()
            .filter(|license| carries(license.sku))
            .cloned()
            .chain(earlier)
            .collect(),
        assignments: user.assignments.iter().filter(|entry| carries(entry.sku)).cloned().collect(),
    }
}

/// A deleted user is judged by what was known before the deletion; the listing adds the date, what became of the
/// licences, and what was written to the account after it was last seen alive.
fn deleted(known: Option<KnownUser>, listed: User, since: Timestamp) -> KnownUser {
    match known {
        Some(mut known) => {
            known.user.licenses = listed.licenses.or(known.user.licenses);
            // What HR wrote in the last minutes counts, too: a leaver is often marked and deleted by one script.
            known.user.employee_type = listed.employee_type.or(known.user.employee_type);
            known.user.department = listed.department.or(known.user.department);
            known.user.company = listed.company.or(known.user.company);
            known.user.country = listed.country.or(known.user.country);
            known.user.job_title = listed.job_title.or(known.user.job_title);
            known.presence = Presence::Deleted { since };
            known
        }
        None => KnownUser {
            user: listed,
            presence: Presence::Deleted { since },
            groups: BTreeSet::new(),
            groups_read: BTreeSet::new(),
            mailbox: MailboxMemory::default(),
            remembered: None,
            loss: None,
        },
    }
}

fn purged(mut known: KnownUser, context: &Context<'_>) -> KnownUser {
    known.presence = Presence::Gone { noticed: first_noticed(&known.presence, context) };
    known
}

/// In neither list. Once is a doubt, twice is a fact; a user without a mailbox is then forgotten.
fn absent(mut known: KnownUser, context: &Context<'_>) -> Option<KnownUser> {
    if context.kind == ObservationKind::Delta {
        return Some(known);
    }
    let noticed = first_noticed(&known.presence, context);
    known.presence = match known.presence {
        Presence::Live | Presence::Deleted { .. } => Presence::Missing { noticed },
        Presence::Missing { .. } if !known.had_mailbox() => return None,
        Presence::Missing { .. } | Presence::Gone { .. } => Presence::Gone { noticed },
    };
    let is_forgotten = noticed + FORGET_AFTER <= context.observed;
    (!is_forgotten).then_some(known)
}

/// How long a vanished user is shown before it is forgotten.
const FORGET_AFTER: crate::model::Span = crate::model::Span::from_days(60);

fn first_noticed(presence: &Presence, context: &Context<'_>) -> Timestamp {
    match presence {
        Presence::Live | Presence::Deleted { .. } => context.observed,
        Presence::Missing { noticed } | Presence::Gone { noticed } => *noticed,
    }
}
