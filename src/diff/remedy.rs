//! What would repair a drift. Chooses between kinds of repair; the choice between seats is planning's.

use std::collections::BTreeSet;

use crate::model::{
    Candidate, Catalog, DriftKind, GroupId, KnownUser, License, PlanId, Reason, Remedy, Sku, is_mailbox_plan,
};
use crate::policy::{Assign, KeepRule};

/// The remedy, and why it cannot be applied where that is known already.
pub fn remedy(
    rule: &KeepRule,
    known: &KnownUser,
    kind: DriftKind,
    catalog: &Catalog,
) -> (Remedy, Option<Reason>) {
    match kind {
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => (Remedy::Restore, None),
        DriftKind::Gone => (Remedy::Nothing, Some(Reason::Gone)),
        DriftKind::Unlicensed => match rule.assign {
            Assign::Group(group) => group_remedy(rule, known, group, catalog),
            Assign::Direct => license_remedy(rule, known, catalog),
        },
    }
}

fn group_remedy(
    rule: &KeepRule,
    known: &KnownUser,
    group: GroupId,
    catalog: &Catalog,
) -> (Remedy, Option<Reason>) {
    let sku = usable_skus(rule, catalog).next().map(|sku| sku.id);
    let impossible = if !known.groups_read.contains(&group) {
        Some(Reason::Undetermined)
    } else {
        known.groups.contains(&group).then_some(Reason::GroupLicenseError)
    };
    (Remedy::AddToGroup { group, sku }, impossible)
}

fn license_remedy(rule: &KeepRule, known: &KnownUser, catalog: &Catalog) -> (Remedy, Option<Reason>) {
    if usable_skus(rule, catalog).next().is_none() {
        return (Remedy::AssignLicense { candidates: Vec::new() }, Some(Reason::NoUsableSku));
    }
    if known.user.usage_location.is_none() {
        return match &rule.usage_location {
            Some(location) => (Remedy::SetUsageLocation { location: location.clone() }, None),
            None => (Remedy::Nothing, Some(Reason::NoUsageLocation)),
        };
    }
    // A product that the rule asks for and the user holds already has only its Exchange plan switched off.
    let held = usable_skus(rule, catalog).find_map(|sku| known.user.license(sku.id).map(|held| (sku, held)));
    if let Some((sku, license)) = held {
        let disabled_plans = without_mailbox_plans(&license.disabled_plans);
        return (
            Remedy::EnablePlan { sku: sku.id, part_number: sku.part_number.clone(), disabled_plans },
            None,
        );
    }
    let candidate = |sku: &Sku| Candidate {
        sku: sku.id,
        part_number: sku.part_number.clone(),
        disabled_plans: disabled_plans_for(sku, known),
    };
    (Remedy::AssignLicense { candidates: usable_skus(rule, catalog).map(candidate).collect() }, None)
}

/// The rule's products, in its order, as far as the tenant has them and they carry a mailbox.
fn usable_skus<'a>(rule: &'a KeepRule, catalog: &'a Catalog) -> impl Iterator<Item = &'a Sku> {
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
