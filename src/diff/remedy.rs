//! What would repair a drift. Chooses between kinds of repair; the choice between seats is planning's.

use std::collections::BTreeSet;

use crate::model::{
    Candidate, Catalog, DriftKind, KnownUser, License, PlanId, Reason, Remedy, RestoreOptions, Sku,
    Surroundings, is_mailbox_plan,
};
use crate::policy::{Assign, KeepRule, Policy};

use super::group_error::{self, WayOut};
use super::restore;

/// What would repair a drift, as far as the user and the rule are concerned.
pub struct Proposal {
    pub remedy: Remedy,
    /// Why it cannot be applied, where that is known already.
    pub impossible: Option<Reason>,
    /// What is particular about `impossible`.
    pub detail: Option<String>,
}

impl Proposal {
    fn of(remedy: Remedy) -> Self {
        Self { remedy, impossible: None, detail: None }
    }

    fn blocked(remedy: Remedy, reason: Reason) -> Self {
        Self { impossible: Some(reason), ..Self::of(remedy) }
    }
}

/// The remedy, and why it cannot be applied where that is known already.
pub fn remedy(
    policy: &Policy,
    rule: &KeepRule,
    known: &KnownUser,
    kind: DriftKind,
    catalog: &Catalog,
    surroundings: &Surroundings,
) -> Proposal {
    match kind {
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => {
            match restore::options(policy, rule, known, surroundings) {
                Ok(options) => Proposal::of(Remedy::Restore(options)),
                Err(detail) => Proposal {
                    detail: Some(detail),
                    ..Proposal::blocked(Remedy::Restore(RestoreOptions::PLAIN), Reason::Duplicate)
                },
            }
        }
        DriftKind::Gone => Proposal::blocked(Remedy::Nothing, Reason::Gone),
        DriftKind::Unlicensed => match rule.assign {
            Assign::Group(group) => {
                let case = group_error::Case { policy, rule, user: &known.user, group, catalog };
                group_remedy(&case, known, surroundings)
            }
            // Also where a group should give the licence and cannot: the rule says direct, which takes no second seat
            // of the same product and works without a right to the whole user.
            Assign::Direct => license_remedy(rule, known, catalog),
        },
    }
}

/// What is not known of the group blocks nothing: Graph itself refuses.
fn group_remedy(case: &group_error::Case<'_>, known: &KnownUser, surroundings: &Surroundings) -> Proposal {
    let group = surroundings.groups.get(&case.group);
    let sku = surroundings.given_by(case.group, usable_skus(case.rule, case.catalog));
    let add = Remedy::AddToGroup { group: case.group, sku };
    if let Some(group) = group.filter(|_| sku.is_none()) {
        return unusable(add, format!("{} gives no licence of the rule with a mailbox", group.title()));
    }
    if !known.groups_read.contains(&case.group) {
        return Proposal::blocked(add, Reason::Undetermined);
    }
    if !known.groups.contains(&case.group) {
        return match group.and_then(|group| Some((group, group.takes_nobody()?))) {
            Some((group, (what, why))) => unusable(add, format!("{} {what}: {why}", group.title())),
            None => Proposal::of(add),
        };
    }
    match case.way_out() {
        WayOut::Reprocess { sku, part_number } => {
            Proposal::of(Remedy::ReprocessLicenses { group: case.group, sku, part_number })
        }
        WayOut::Locate { location } => Proposal::of(Remedy::SetUsageLocation { location }),
        WayOut::NoLocation => Proposal::blocked(Remedy::Nothing, Reason::NoUsageLocation),
        WayOut::Person { detail } => Proposal { detail, ..Proposal::blocked(add, Reason::GroupLicenseError) },
    }
}

fn unusable(remedy: Remedy, detail: String) -> Proposal {
    Proposal { detail: Some(detail), ..Proposal::blocked(remedy, Reason::GroupUnusable) }
}

fn license_remedy(rule: &KeepRule, known: &KnownUser, catalog: &Catalog) -> Proposal {
    if usable_skus(rule, catalog).next().is_none() {
        return Proposal::blocked(Remedy::AssignLicense { candidates: Vec::new() }, Reason::NoUsableSku);
    }
    if known.user.usage_location.is_none() {
        return match &rule.usage_location {
            Some(location) => Proposal::of(Remedy::SetUsageLocation { location: location.clone() }),
            None => Proposal::blocked(Remedy::Nothing, Reason::NoUsageLocation),
        };
    }
    // A product that the rule asks for and the user holds already has only its Exchange plan switched off.
    let held = usable_skus(rule, catalog).find_map(|sku| known.user.license(sku.id).map(|held| (sku, held)));
    if let Some((sku, license)) = held {
        let disabled_plans = without_mailbox_plans(&license.disabled_plans);
        let part_number = sku.part_number.clone();
        return Proposal::of(Remedy::EnablePlan { sku: sku.id, part_number, disabled_plans });
    }
    let candidate = |sku: &Sku| Candidate {
        sku: sku.id,
        part_number: sku.part_number.clone(),
        disabled_plans: disabled_plans_for(sku, known),
    };
    Proposal::of(Remedy::AssignLicense { candidates: usable_skus(rule, catalog).map(candidate).collect() })
}

/// The rule's products, in its order, as far as the tenant has them and they carry a mailbox.
pub fn usable_skus<'a>(rule: &'a KeepRule, catalog: &'a Catalog) -> impl Iterator<Item = &'a Sku> {
    rule.licenses.iter().filter_map(|name| catalog.find(name.as_str())).filter(|sku| sku.carries_mailbox())
}

/// What a person had switched off stays off, also in another product that contains the same plan; never the mailbox.
fn disabled_plans_for(sku: &Sku, known: &KnownUser) -> BTreeSet<PlanId> {
    let remembered: &[License] = known.remembered.as_ref().map_or(&[], |memory| &memory.licenses);
    if let Some(license) = remembered.iter().find(|license| license.sku == sku.id) {
        return without_mailbox_plans(&license.disabled_plans);
    }
    let offered: BTreeSet<PlanId> = sku.plans.iter().map(|plan| plan.id).collect();
    let switched_off: BTreeSet<PlanId> =
        remembered.iter().flat_map(|license| &license.disabled_plans).copied().collect();
    without_mailbox_plans(&switched_off.intersection(&offered).copied().collect())
}

fn without_mailbox_plans(plans: &BTreeSet<PlanId>) -> BTreeSet<PlanId> {
    plans.iter().copied().filter(|plan| !is_mailbox_plan(*plan)).collect()
}
