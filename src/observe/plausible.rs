//! Whether an observation may be believed: a mass disappearance, seats that jump, clocks that disagree.

use std::collections::BTreeSet;

use crate::model::{Catalog, KnownUser, Presence, Problem, ProblemKind, Span, Timestamp, User, UserId};
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

    /// A server that leaves out what was asked for: who lost a licence would look as healthy as before.
    pub(super) fn silence(&self) -> Option<Problem> {
        let is_doubtful = self.silent > allowed(self.live) || self.silent > 0 && self.silent == self.live;
        is_doubtful.then(|| Problem {
            kind: ProblemKind::Malformed,
            detail: format!("users: {} of {} came without assignedLicenses", self.silent, self.live),
        })
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

/// Whether so many of the known users may vanish between two observations.
pub(super) fn vanished(vanished: u64, known: u64) -> Option<Problem> {
    (vanished > allowed(known)).then(|| Problem {
        kind: ProblemKind::MassDisappearance,
        detail: format!("{vanished} of {known} known users are neither live nor deleted"),
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

fn apart(skew: Span) -> String {
    let size = Span::from_millis(skew.as_millis().saturating_abs());
    format!("{size} {} Graph's", if skew.is_negative() { "behind" } else { "ahead of" })
}

/// The local clock against the `Date` header of Graph.
pub(super) fn clock_skew(skew: Option<Span>) -> Option<Problem> {
    let skew = skew?;
    let is_tolerated = skew <= SKEW_TOLERATED && Span::from_millis(-skew.as_millis()) <= SKEW_TOLERATED;
    (!is_tolerated).then(|| Problem {
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
    }
}
