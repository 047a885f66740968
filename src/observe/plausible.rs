//! Whether an observation may be believed: a mass disappearance, seats that jump, clocks that disagree.

use std::collections::BTreeSet;

use crate::model::{
    Catalog, KnownUser, Presence, Problem, ProblemKind, Span, Timestamp, Unreadable, User, UserId,
};
use crate::store::records::Seats;

/// Users that may vanish between two observations without a doubt: administrators purge a few accounts.
const VANISHED_FLOOR: u64 = 10;

/// Above the floor, this share of the known users may vanish.
const VANISHED_SHARE: f64 = 0.02;

/// Purchased seats that grow by more than this factor and number at once were counted wrongly before (seen in the
/// field: 791 to 1567 for one night).
const SEATS_FACTOR: f64 = 1.5;
const SEATS_FLOOR: i64 = 20;

/// A jump that still stands after this time is a purchase.
const SEATS_BELIEVED_AFTER: Span = Span::from_hours(24);

/// Deadlines are days, so minutes do not matter; more than this means that one of the clocks is wrong.
const SKEW_TOLERATED: Span = Span::from_minutes(5);

/// What a first look over stage and state shows, before anything is changed.
#[derive(Debug, Default)]
pub(super) struct Look {
    known: u64,
    /// Known users in neither list: 16 bytes each, and when they are many the observation is not believed.
    vanished: BTreeSet<UserId>,
    live: u64,
    /// Live users without a word on their licences.
    silent: u64,
    /// Of whom only the id is understood.
    unread: Oddities,
}

impl Look {
    pub(super) fn see(&mut self, known: Option<&KnownUser>, is_seen: bool) {
        let Some(known) = known else { return };
        match known.presence {
            Presence::Live | Presence::Deleted { .. } => {
                self.known += 1;
                if !is_seen {
                    self.vanished.insert(known.id());
                }
            }
            Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => {}
        }
    }

    /// A user in the listing.
    pub(super) fn listed(&mut self, user: &User) {
        self.live += 1;
        self.silent += u64::from(user.licenses.is_none());
    }

    /// An entry of the listing that says nothing but whose it is.
    pub(super) fn unreadable(&mut self, odd: &Unreadable) {
        self.live += 1;
        self.unread.note(odd);
    }

    /// Users of whom it is not known which licences they have: of a server that leaves out what was asked for, nobody
    /// would lose one.
    pub(super) fn oddities(&self) -> impl Iterator<Item = Problem> {
        let silent = (self.silent > 0).then(|| Problem {
            kind: oddness(self.silent, self.live),
            detail: format!("users: {} of {} came without assignedLicenses", self.silent, self.live),
        });
        silent.into_iter().chain(self.unread.problem("users", self.live))
    }

    pub(super) fn vanished(&self) -> &BTreeSet<UserId> {
        &self.vanished
    }

    /// The user was only not listed.
    pub(super) fn found(&mut self, user: UserId) {
        self.vanished.remove(&user);
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        vanished(self.vanished.len() as u64, self.known)
    }
}

/// Of so many users, these may be odd.
fn allowed(users: u64) -> u64 {
    VANISHED_FLOOR.max((users as f64 * VANISHED_SHARE) as u64)
}

/// About a few odd users nothing is decided; many are no odd users but an odd server.
fn oddness(odd: u64, users: u64) -> ProblemKind {
    if odd > allowed(users) { ProblemKind::Malformed } else { ProblemKind::UserUnreadable }
}

/// Users of whom an answer tells nothing but the id, with one of them for people to look at.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    count: u64,
    example: Option<Unreadable>,
}

impl Oddities {
    pub(super) fn note(&mut self, odd: &Unreadable) {
        self.count += 1;
        self.example.get_or_insert_with(|| odd.clone());
    }

    /// `what` they are, and how many of those were seen in all.
    pub(super) fn problem(&self, what: &str, seen: u64) -> Option<Problem> {
        let Unreadable { id, fault, .. } = self.example.as_ref()?;
        let detail =
            format!("{} of {seen} {what} could not be understood, such as {id}: {fault}", self.count);
        Some(Problem { kind: oddness(self.count, seen), detail })
    }
}

/// Whether so many of the known users may vanish between two observations.
pub(super) fn vanished(vanished: u64, known: u64) -> Option<Problem> {
    (vanished > allowed(known)).then(|| Problem {
        kind: ProblemKind::MassDisappearance,
        detail: format!("{vanished} of {known} known users are neither live nor deleted"),
    })
}

/// Whether a delta may say of so many live users that they were removed, with no trace of them in the recycle bin.
pub(super) fn removed(removed: u64, live: u64) -> Option<Problem> {
    (removed > allowed(live)).then(|| Problem {
        kind: ProblemKind::MassDisappearance,
        detail: format!(
            "the list of changes says that {removed} of {live} users were removed, and the recycle bin has none of them"
        ),
    })
}

/// Seats compared with the last reading that was believed.
pub(super) fn seats(before: Option<&Seats>, now: &Catalog, at: Timestamp) -> Option<Problem> {
    let before = before.filter(|before| before.read_at + SEATS_BELIEVED_AFTER > at)?;
    let jumped = now.iter().find(|sku| {
        let Some(known) = before.catalog.get(sku.id) else { return false };
        let grown = sku.units.enabled - known.units.enabled;
        grown > SEATS_FLOOR && sku.units.enabled as f64 > known.units.enabled as f64 * SEATS_FACTOR
    });
    if let Some(sku) = jumped {
        let known = before.catalog.get(sku.id).map_or(0, |known| known.units.enabled);
        return Some(Problem {
            kind: ProblemKind::SeatsJumped,
            detail: format!("{} has {} seats, they were {known}", sku.part_number, sku.units.enabled),
        });
    }
    let all_gone = now.is_empty() && !before.catalog.is_empty();
    all_gone.then(|| Problem {
        kind: ProblemKind::SeatsJumped,
        detail: "the tenant has no products all of a sudden".to_owned(),
    })
}

/// A clock that was set while the tenant was read: nobody knows what the date of the observation is worth.
pub fn clock_set(by: Span) -> Option<Problem> {
    by.is_beyond(SKEW_TOLERATED).then(|| Problem {
        kind: ProblemKind::ClockSkew,
        detail: format!(
            "the local clock was set by {by} while the tenant was read: the next pass looks again"
        ),
    })
}

fn apart(skew: Span) -> String {
    let size = Span::from_millis(skew.as_millis().saturating_abs());
    format!("{size} {} Graph's", if skew.is_negative() { "behind" } else { "ahead of" })
}

/// The local clock against the `Date` header of Graph.
pub(super) fn clock_skew(skew: Option<Span>) -> Option<Problem> {
    let skew = skew?;
    skew.is_beyond(SKEW_TOLERATED).then(|| Problem {
        kind: ProblemKind::ClockSkew,
        detail: format!("the local clock is {}: check time synchronisation", apart(skew)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        let told = |skew| clock_skew(Some(skew)).map(|problem| problem.detail);
        let day = Span::from_hours(24);
        let behind = told(Span::from_millis(-day.as_millis())).expect("far off");
        assert_eq!(behind, "the local clock is 1d behind Graph's: check time synchronisation");
        assert!(told(day).expect("far off").contains("1d ahead of Graph's"));
        assert_eq!(told(Span::ZERO), None);
        assert_eq!(clock_set(Span::from_minutes(-4)), None);
        assert!(clock_set(Span::from_minutes(-6)).expect("set").detail.contains("set by -6m"));
    }
}
