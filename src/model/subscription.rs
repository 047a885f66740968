//! The subscriptions behind the products, and what becomes of a product's seats when one of them is not renewed.

use serde::{Deserialize, Serialize};

use super::{CapabilityStatus, Sku, SkuId, Timestamp};

/// One subscription that seats come from (Graph: companySubscription). A product may have several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub sku: SkuId,
    pub part_number: String,
    pub status: CapabilityStatus,
    pub seats: i64,
    pub is_trial: bool,
    /// When it moves to its next status unless renewed; of a renewing one that never comes. Graph does not say which
    /// status is the next, nor whether it renews by itself.
    pub next: Option<Timestamp>,
}

impl Subscription {
    /// Its seats work: paid, or expired and in its grace period.
    fn is_usable(&self) -> bool {
        match self.status {
            CapabilityStatus::Enabled | CapabilityStatus::Warning => true,
            CapabilityStatus::Suspended
            | CapabilityStatus::LockedOut
            | CapabilityStatus::Deleted
            | CapabilityStatus::Other(_) => false,
        }
    }

    /// Nobody renewed it, or nobody can: a trial ends (Microsoft: "What happens to my data and access when my
    /// subscription ends"), everything else that is enabled is taken to renew itself. Most do, and alerts on them
    /// teach people to look away.
    fn is_ending(&self) -> bool {
        match self.status {
            CapabilityStatus::Enabled => self.is_trial,
            CapabilityStatus::Warning => true,
            CapabilityStatus::Suspended
            | CapabilityStatus::LockedOut
            | CapabilityStatus::Deleted
            | CapabilityStatus::Other(_) => false,
        }
    }

    /// Its users are out and their data is kept.
    pub fn is_suspended(&self) -> bool {
        matches!(self.status, CapabilityStatus::Suspended | CapabilityStatus::LockedOut)
    }
}

/// Where a product's subscriptions stand, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backing {
    /// Paid, and taken to renew itself.
    Enabled,
    /// A trial, which ends.
    Trial,
    /// Expired, in its grace period: everything works until it ends.
    Warning,
    /// Users are out, data is kept.
    Suspended,
    /// As suspended, the last stage before the end.
    LockedOut,
    /// Over: data may be deleted.
    Deleted,
    /// In a state that is not known here.
    Unknown,
}

impl Backing {
    pub fn label(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Trial => "trial",
            Self::Warning => "warning",
            Self::Suspended => "suspended",
            Self::LockedOut => "locked_out",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }

    fn of(subscription: &Subscription) -> Self {
        match subscription.status {
            CapabilityStatus::Enabled if subscription.is_trial => Self::Trial,
            CapabilityStatus::Enabled => Self::Enabled,
            CapabilityStatus::Warning => Self::Warning,
            CapabilityStatus::Suspended => Self::Suspended,
            CapabilityStatus::LockedOut => Self::LockedOut,
            CapabilityStatus::Deleted => Self::Deleted,
            CapabilityStatus::Other(_) => Self::Unknown,
        }
    }
}

/// What is to be expected of a product's seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    pub backing: Backing,
    /// When the subscription that counts moves to its next status; `None` where that is not known.
    pub next: Option<Timestamp>,
    /// Seats in use that have no subscription once that date is reached; of a suspended one that have none already.
    pub short: i64,
}

impl Outlook {
    /// Users lose something that they use, or have lost it, unless somebody renews.
    pub fn is_alarming(&self) -> bool {
        self.short > 0 && self.backing != Backing::Enabled
    }
}

/// What is to be expected of a product. Of several subscriptions that one counts
///
/// 1. that is suspended, while fewer seats work than are in use: the one that is deleted first;
/// 2. else, of those that are not renewed, in the order of their dates, the first that leaves too few seats;
/// 3. else the soonest that is not renewed: the others hold enough seats;
/// 4. else the soonest that is paid.
///
/// Where the subscriptions are not known, the product's own count of seats says everything but the date.
pub fn outlook(sku: &Sku, subscriptions: Option<&[Subscription]>) -> Option<Outlook> {
    let Some(all) = subscriptions else { return counted(sku) };
    let mut mine: Vec<&Subscription> = all.iter().filter(|one| one.sku == sku.id).collect();
    // A date that is not known counts as the soonest.
    mine.sort_by_key(|one| one.next);
    // What a server says may be any number.
    let seats = mine.iter().filter(|one| one.is_usable()).map(|one| one.seats);
    let usable = seats.fold(0, i64::saturating_add);
    let look = |one: &Subscription, short: i64| Outlook {
        backing: Backing::of(one),
        next: one.next,
        short: short.max(0),
    };
    let missing = sku.consumed.saturating_sub(usable);
    // One that was deleted long ago is not what is missed while others stand.
    let is_missed =
        |one: &&&Subscription| !one.is_usable() && (usable == 0 || one.status != CapabilityStatus::Deleted);
    if missing > 0
        && let Some(gone) = mine.iter().filter(is_missed).min_by_key(|one| rank(one))
    {
        return Some(look(gone, missing));
    }
    let mut left = usable;
    for one in mine.iter().filter(|one| one.is_ending()) {
        left = left.saturating_sub(one.seats);
        if sku.consumed > left {
            return Some(look(one, sku.consumed.saturating_sub(left)));
        }
    }
    let soonest = mine.iter().find(|one| one.is_ending()).or_else(|| mine.iter().find(|one| one.is_usable()));
    soonest.or_else(|| mine.iter().min_by_key(|one| rank(one))).map(|one| look(one, 0))
}

/// Data that can still be kept before data that cannot; the list is in the order of dates already.
fn rank(subscription: &Subscription) -> bool {
    !subscription.is_suspended()
}

/// From the product alone (Graph: licenseUnitsDetail).
fn counted(sku: &Sku) -> Option<Outlook> {
    let units = sku.units;
    let usable = units.enabled.saturating_add(units.warning);
    let lost = units.suspended.saturating_add(units.locked_out);
    let (backing, short) = if lost > 0 && sku.consumed > usable {
        let backing = if units.suspended > 0 { Backing::Suspended } else { Backing::LockedOut };
        (backing, sku.consumed.saturating_sub(usable))
    } else if units.warning > 0 {
        (Backing::Warning, sku.consumed.saturating_sub(units.enabled))
    } else if usable > 0 {
        (Backing::Enabled, 0)
    } else {
        return None;
    };
    Some(Outlook { backing, next: None, short: short.max(0) })
}

/// Of a product whose plans are suspended: the subscription that is deleted first, as far as is known.
///
/// The one in its last stage before others: its date is that of the deletion, while the date of one in its grace
/// period is only that of the next stage.
pub fn first_to_end(sku: SkuId, subscriptions: &[Subscription]) -> Option<&Subscription> {
    let mine = || subscriptions.iter().filter(move |one| one.sku == sku);
    let suspended = mine().filter(|one| one.is_suspended()).min_by_key(|one| one.next);
    let ending = || mine().filter(|one| one.is_ending()).min_by_key(|one| one.next);
    suspended.or_else(|| mine().find(|one| one.status == CapabilityStatus::Deleted)).or_else(ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Span, Units};

    const E3: SkuId = SkuId::from_u128(3);
    const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);

    fn sku(consumed: i64, units: Units) -> Sku {
        Sku {
            id: E3,
            part_number: "SPE_E3".to_owned(),
            capability_status: "Enabled".to_owned(),
            consumed,
            units,
            plans: Vec::new(),
        }
    }

    fn day(days: i64) -> Timestamp {
        NOW + Span::from_days(days)
    }

    fn one(status: CapabilityStatus, seats: i64, days: i64) -> Subscription {
        let part_number = "SPE_E3".to_owned();
        Subscription { sku: E3, part_number, status, seats, is_trial: false, next: Some(day(days)) }
    }

    fn seen(consumed: i64, all: &[Subscription]) -> (Backing, Option<Timestamp>, i64) {
        let outlook = outlook(&sku(consumed, Units::default()), Some(all)).expect("subscriptions are there");
        (outlook.backing, outlook.next, outlook.short)
    }

    #[test]
    fn the_subscription_that_leaves_too_few_seats_counts() {
        use CapabilityStatus::{Enabled, Suspended, Warning};
        let paid = || one(Enabled, 50, 5);
        assert_eq!(seen(50, &[paid()]), (Backing::Enabled, Some(day(5)), 0), "it renews itself");
        let two = [paid(), one(Warning, 10, 9), one(Warning, 20, 20)];
        assert_eq!(seen(75, &two), (Backing::Warning, Some(day(9)), 5), "the first is missed already");
        assert_eq!(seen(65, &two), (Backing::Warning, Some(day(20)), 15), "only the second is missed");
        assert_eq!(seen(40, &two), (Backing::Warning, Some(day(9)), 0), "neither is missed");
        let gone = [paid(), one(Suspended, 30, 40), one(Suspended, 10, 30), one(Warning, 5, 2)];
        assert_eq!(seen(60, &gone), (Backing::Suspended, Some(day(30)), 5));
        assert_eq!(seen(50, &gone), (Backing::Warning, Some(day(2)), 0), "nobody uses what is suspended");
    }

    #[test]
    fn only_a_trial_ends_by_itself() {
        let trial = Subscription { is_trial: true, ..one(CapabilityStatus::Enabled, 25, 12) };
        assert_eq!(seen(9, std::slice::from_ref(&trial)), (Backing::Trial, Some(day(12)), 9));
        let both = [trial, one(CapabilityStatus::Enabled, 50, 1)];
        assert_eq!(seen(9, &both), (Backing::Trial, Some(day(12)), 0), "the paid one holds everybody");
    }

    #[test]
    fn what_is_over_counts_only_while_nothing_else_is_there() {
        let over = || one(CapabilityStatus::Deleted, 50, -3);
        assert_eq!(seen(50, &[over()]), (Backing::Deleted, Some(day(-3)), 50));
        let saved = [over(), one(CapabilityStatus::LockedOut, 50, 60)];
        assert_eq!(seen(50, &saved), (Backing::LockedOut, Some(day(60)), 50), "data can still be kept");
        assert_eq!(outlook(&sku(1, Units::default()), Some(&[])), None);
    }

    #[test]
    fn without_the_subscriptions_the_seats_say_everything_but_the_date() {
        let units = |enabled, warning, suspended| Units { enabled, warning, suspended, locked_out: 0 };
        let seen = |consumed, units| {
            let outlook = outlook(&sku(consumed, units), None)?;
            assert_eq!(outlook.next, None);
            Some((outlook.backing, outlook.short))
        };
        assert_eq!(seen(40, units(50, 0, 0)), Some((Backing::Enabled, 0)));
        assert_eq!(seen(40, units(30, 20, 0)), Some((Backing::Warning, 10)));
        assert_eq!(seen(40, units(0, 0, 50)), Some((Backing::Suspended, 40)));
        assert_eq!(seen(40, units(0, 0, 0)), None);
    }

    #[test]
    fn numbers_that_no_tenant_has_break_nothing() {
        use CapabilityStatus::{Enabled, Suspended, Warning};
        let absurd = |seats| [Enabled, Warning, Warning, Suspended].map(|status| one(status, seats, 1));
        assert_eq!(seen(5, &absurd(i64::MAX)).2, 5, "too careful rather than too late");
        assert_eq!(seen(i64::MAX, &absurd(i64::MIN)), (Backing::Suspended, Some(day(1)), i64::MAX));
        let units = Units { enabled: i64::MAX, warning: 1, suspended: i64::MAX, locked_out: i64::MAX };
        assert_eq!(outlook(&sku(i64::MIN, units), None).map(|outlook| outlook.short), Some(0));
    }

    #[test]
    fn a_suspended_subscription_ends_before_one_in_grace() {
        use CapabilityStatus::{Deleted, Enabled, LockedOut, Suspended, Warning};
        let ends = |all: &[Subscription]| first_to_end(E3, all).map(|one| (one.status.clone(), one.next));
        let all = [one(Warning, 1, 1), one(Suspended, 1, 80), one(LockedOut, 1, 70), one(Deleted, 1, -5)];
        assert_eq!(ends(&all), Some((LockedOut, Some(day(70)))));
        assert_eq!(ends(&[one(Warning, 1, 1), one(Deleted, 1, -5)]), Some((Deleted, Some(day(-5)))));
        assert_eq!(ends(&[one(Enabled, 1, 3), one(Warning, 1, 9)]), Some((Warning, Some(day(9)))));
        assert_eq!(ends(&[one(Enabled, 1, 3)]), None);
    }
}
