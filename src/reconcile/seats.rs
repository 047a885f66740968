//! Seats that are on their way: counted against the free ones before the products' own counters show them.

use std::collections::BTreeMap;

use crate::diff::usable_skus;
use crate::model::{Action, GroupId, LedgerEntry, MAILBOX_SETTLE, Pending, SkuId, UserId};
use crate::observe::Observed;
use crate::policy::{Assign, Policy};

/// Seats that requests of ours may take and that the observed counters may not show yet: those whose effect was not
/// seen. A membership counts for the product that the group brings.
pub fn in_flight(
    ledger: &BTreeMap<UserId, LedgerEntry>,
    policy: &Policy,
    observed: &Observed,
) -> BTreeMap<SkuId, u32> {
    let mut seats = BTreeMap::new();
    for entry in ledger.values() {
        // Once the licence was observed, the products' own count, which is read later, has it.
        if entry.resolved.is_some() {
            continue;
        }
        // As long as nobody can read the user, the request stays pending; the count has its seat long before.
        let is_fresh = |pending: &&Pending| observed.observation.started - pending.sent < MAILBOX_SETTLE;
        let sku = match entry.pending.as_ref().filter(is_fresh).map(|pending| &pending.action) {
            Some(
                Action::AssignLicense { sku, takes_seat: true, .. } | Action::ReprocessLicenses { sku, .. },
            ) => Some(*sku),
            Some(Action::AddToGroup { group }) => group_product(*group, policy, observed),
            Some(
                Action::AssignLicense { takes_seat: false, .. }
                | Action::SetUsageLocation { .. }
                | Action::Restore(_),
            )
            | None => None,
        };
        if let Some(sku) = sku {
            *seats.entry(sku).or_default() += 1;
        }
    }
    seats
}

/// The product that a licensing group brings to those of its rule.
fn group_product(group: GroupId, policy: &Policy, observed: &Observed) -> Option<SkuId> {
    let rule = policy.keep.iter().find(|rule| rule.assign == Assign::Group(group))?;
    observed.surroundings.given_by(group, usable_skus(rule, &observed.catalog))
}
