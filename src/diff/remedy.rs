//! What would repair a drift. Chooses between kinds of repair; the choice between seats is planning's.

use std::collections::BTreeSet;

use crate::model::{
    Candidate, Catalog, DriftKind, Entitlement, KnownUser, License, PlanId, Reason, Remedy, Sku,
    is_mailbox_plan,
};
use crate::policy::{Assign, KeepRule};

/// The remedy, and why it cannot be applied where that is known already.
pub fn remedy(
    rule: &KeepRule,
    known: &KnownUser,
    entitlement: &Entitlement,
    kind: DriftKind,
    catalog: &Catalog,
) -> (Remedy, Option<Reason>) {
    match kind {
        DriftKind::Deleted | DriftKind::UnlicensedAndDeleted => (Remedy::Restore, None),
        DriftKind::Gone => (Remedy::Nothing, None),
        DriftKind::Unlicensed => license_remedy(rule, known, entitlement, catalog),
    }
}

fn license_remedy(
    rule: &KeepRule,
    known: &KnownUser,
    entitlement: &Entitlement,
    catalog: &Catalog,
) -> (Remedy, Option<Reason>) {
    if let Assign::Group(group) = rule.assign {
        let is_member = known.groups.contains(&group);
        let sku = usable_skus(rule, catalog).next().map(|sku| sku.id);
        return (Remedy::AddToGroup { group, sku }, is_member.then_some(Reason::GroupLicenseError));
    }
    if known.user.usage_location.is_none() {
        return match &rule.usage_location {
            Some(location) => (Remedy::SetUsageLocation { location: location.clone() }, None),
            None => (Remedy::Nothing, Some(Reason::NoUsageLocation)),
        };
    }
    if let Entitlement::PlanDisabled { sku } = entitlement
        && let (Some(license), Some(product)) = (known.user.license(*sku), catalog.get(*sku))
    {
        let disabled_plans = without_mailbox_plans(&license.disabled_plans);
        return (
            Remedy::EnablePlan { sku: *sku, part_number: product.part_number.clone(), disabled_plans },
            None,
        );
    }
    let candidates: Vec<Candidate> = usable_skus(rule, catalog)
        .map(|sku| Candidate {
            sku: sku.id,
            part_number: sku.part_number.clone(),
            disabled_plans: disabled_plans_for(sku, known),
        })
        .collect();
    let impossible = candidates.is_empty().then_some(Reason::NoUsableSku);
    (Remedy::AssignLicense { candidates }, impossible)
}

/// The rule's products, in its order, as far as the tenant has them and they carry a mailbox.
fn usable_skus<'a>(rule: &'a KeepRule, catalog: &'a Catalog) -> impl Iterator<Item = &'a Sku> {
    rule.licenses.iter().filter_map(|name| catalog.find(name.as_str())).filter(|sku| sku.carries_mailbox())
}

/// What a person had switched off stays off, also in another product that contains the same plan; never the mailbox.
fn disabled_plans_for(sku: &Sku, known: &KnownUser) -> BTreeSet<PlanId> {
    let remembered: &[License] = known.remembered.as_ref().map_or(&[], |memory| &memory.licenses);
    let of_product = |license: &&License| license.sku == sku.id;
    if let Some(license) =
        known.user.licenses().iter().find(of_product).or(remembered.iter().find(of_product))
    {
        return without_mailbox_plans(&license.disabled_plans);
    }
    let offered: BTreeSet<PlanId> = sku.plans.iter().map(|plan| plan.id).collect();
    let switched_off = remembered
        .iter()
        .filter(|license| license.disabled_plans.iter().any(|plan| offered.contains(plan)))
        .flat_map(|license| license.disabled_plans.iter().copied());
    switched_off.filter(|plan| offered.contains(plan) && !is_mailbox_plan(*plan)).collect()
}

fn without_mailbox_plans(plans: &BTreeSet<PlanId>) -> BTreeSet<PlanId> {
    plans.iter().copied().filter(|plan| !is_mailbox_plan(*plan)).collect()
}
