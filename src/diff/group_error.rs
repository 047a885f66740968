//! A member of the licensing group without the licence: what the group reports for this user, and what helps. Group
//! licensing works in the background, records its failures on the user, and does not try again by itself (Entra:
//! "Resolve group license assignment problems").

use crate::model::{Catalog, GroupId, LicenseAssignment, Sku, SkuId, User};
use crate::policy::{KeepRule, Policy};

use super::remedy::usable_skus;

/// A member of the rule's group.
pub struct Case<'a> {
    pub policy: &'a Policy,
    pub rule: &'a KeepRule,
    pub user: &'a User,
    pub group: GroupId,
    pub catalog: &'a Catalog,
}

/// What helps.
pub enum WayOut {
    /// What stood in the way may be gone: group licensing is to try again.
    Reprocess {
        sku: SkuId,
        part_number: String,
    },
    /// The user has no location, and the rule gives one.
    Locate {
        location: String,
    },
    /// The user has no location, and neither has the rule.
    NoLocation,
    Person {
        detail: Option<String>,
    },
}

impl Case<'_> {
    pub fn way_out(&self) -> WayOut {
        let Some((sku, assignment)) = self.failed() else {
            return WayOut::Person { detail: self.failed_elsewhere() };
        };
        let error = assignment.error.as_deref().unwrap_or("Other");
        let reprocess = || WayOut::Reprocess { sku: sku.id, part_number: sku.part_number.clone() };
        let location = self.user.usage_location.as_ref();
        match Failure::of(error) {
            Failure::NoSeat if self.takes_a_reserve(sku.id) => {
                let detail =
                    "trying again would also take a reserved seat of another product that the user waits for";
                WayOut::Person { detail: Some(detail.to_owned()) }
            }
            Failure::NoSeat => reprocess(),
            Failure::Location => match (location, &self.rule.usage_location) {
                (None, Some(location)) => WayOut::Locate { location: location.clone() },
                (None, None) => WayOut::NoLocation,
                (Some(is), Some(wanted)) if is.eq_ignore_ascii_case(wanted) => reprocess(),
                (Some(_), Some(_) | None) => self.person(sku, error, LOCATION),
            },
            Failure::Exclusive => self.person(sku, error, EXCLUSIVE),
            Failure::Dependency => self.person(sku, error, DEPENDENCY),
            Failure::Uniqueness => self.person(sku, error, UNIQUENESS),
            Failure::Other => self.person(sku, error, OTHER),
        }
    }

    fn person(&self, sku: &Sku, error: &str, advice: &str) -> WayOut {
        let (group, sku) = (self.group, &sku.part_number);
        WayOut::Person { detail: Some(format!("group {group} cannot give {sku}: {error}; {advice}")) }
    }

    /// What the group should give, the rule names, and the group reports an error for.
    fn failed(&self) -> Option<(&Sku, &LicenseAssignment)> {
        usable_skus(self.rule, self.catalog).find_map(|sku| {
            let mut errors = self.errors().filter(|assignment| assignment.by_group == Some(self.group));
            errors.find(|assignment| assignment.sku == sku.id).map(|assignment| (sku, assignment))
        })
    }

    /// One failing product stops the others of the same group; and a group may give what no rule names.
    fn failed_elsewhere(&self) -> Option<String> {
        let failed = self.errors().find(|assignment| assignment.by_group == Some(self.group))?;
        let (group, sku) = (self.group, self.catalog.name(failed.sku));
        let error = failed.error.as_deref().unwrap_or("Other");
        Some(format!("group {group} cannot give {sku}, which the rule does not name: {error}"))
    }

    fn errors(&self) -> impl Iterator<Item = &LicenseAssignment> {
        let has_failed = |assignment: &&LicenseAssignment| assignment.state.eq_ignore_ascii_case("error");
        self.user.assignments.iter().filter(|assignment| assignment.by_group.is_some()).filter(has_failed)
    }

    /// Graph tries again for all groups of the user at once.
    fn takes_a_reserve(&self, sku: SkuId) -> bool {
        let reserved = &self.policy.limits.seats_reserved;
        self.errors().filter(|assignment| assignment.sku != sku).any(|assignment| {
            let is_of = |name: &String| self.catalog.find(name).is_some_and(|sku| sku.id == assignment.sku);
            reserved.iter().any(|(name, seats)| *seats > 0 && is_of(name))
        })
    }
}

/// `licenseAssignmentState.error`: an open set (Graph: licenseAssignmentState).
enum Failure {
    NoSeat,
    Location,
    Exclusive,
    Dependency,
    Uniqueness,
    Other,
}

impl Failure {
    fn of(error: &str) -> Self {
        let named = [
            ("countviolation", Self::NoSeat),
            ("prohibitedinusagelocationviolation", Self::Location),
            ("mutuallyexclusiveviolation", Self::Exclusive),
            ("dependencyviolation", Self::Dependency),
            ("uniquenessviolation", Self::Uniqueness),
        ];
        let error = error.to_ascii_lowercase();
        named.into_iter().find(|(name, _)| *name == error).map_or(Self::Other, |(_, failure)| failure)
    }
}

const LOCATION: &str =
    "the product is not sold at the user's usage location: correct the location, then reprocess the user";
const EXCLUSIVE: &str = "another licence of the user contains a plan that excludes it: take that one away, then reprocess the user";
const DEPENDENCY: &str =
    "it needs a plan that the user does not have: give the product that carries it, then reprocess the user";
const UNIQUENESS: &str =
    "another object holds an address of the user: take it away there, then reprocess the user";
const OTHER: &str = "look at the group's licence errors in the Entra admin centre, then reprocess the user";
