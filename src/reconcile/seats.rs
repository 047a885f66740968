//! Seats that are on their way: counted against the free ones before the products' own counters show them.

use std::collections::BTreeMap;

use crate::model::{Action, GroupId, LedgerEntry, SkuId, UserId};
use crate::observe::Observed;
use crate::policy::{Assign, Policy};

/// Seats that requests of ours may take and that the observed counters may not show yet: those whose effect was not
/// seen. A membership counts for the product that its rule names.
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
        let sku = match entry.pending.as_ref().map(|pending| &pending.action) {
            Some(
                Action::AssignLicense { sku, takes_seat: true, .. } | Action::ReprocessLicenses { sku, .. },
            ) => Some(*sku),
            Some(Action::AddToGroup { group }) => group_product(*group, policy, observed),
            Some(
                Action::AssignLicense { takes_seat: false, .. }
                | Action::SetUsageLocation { .. }
                | Action::Restore,
            )
            | None => None,
        };
        if let Some(sku) = sku {
            *seats.entry(sku).or_default() += 1;
        }
    }
    seats
}

/// The product that the policy expects of a licensing group.
fn group_product(group: GroupId, policy: &Policy, observed: &Observed) -> Option<SkuId> {
    let rule = policy.keep.iter().find(|rule| rule.assign == Assign::Group(group))?;
    rule.licenses.iter().find_map(|name| name.find(&observed.catalog)).map(|sku| sku.id)
}
