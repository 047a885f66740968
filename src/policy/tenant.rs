//! The policy against the products that the tenant really has. Pure.

use crate::model::Catalog;

use super::{Fault, KeepRule, Policy, Severity, SkuName};

/// Nothing when the catalogue is empty: then it was not read.
pub fn faults(policy: &Policy, catalog: &Catalog) -> Vec<Fault> {
    if catalog.is_empty() {
        return Vec::new();
    }
    let mut faults: Vec<Fault> = policy.keep.iter().flat_map(|rule| rule_faults(rule, catalog)).collect();
    let unknown = policy.limits.seats_reserved.keys().filter(|name| catalog.find(name).is_none());
    faults.extend(unknown.map(|name| Fault {
        severity: Severity::Warning,
        path: format!("limits.seats_reserved.{name}"),
        value: name.clone(),
        ..Fault::of_file("", format!("seats of {name} are reserved, and the tenant has no such product"), "")
    }));
    faults
}

fn rule_faults(rule: &KeepRule, catalog: &Catalog) -> Vec<Fault> {
    let is_usable = |name: &SkuName| name.find(catalog).is_some_and(crate::model::Sku::carries_mailbox);
    let has_usable = rule.licenses.iter().any(is_usable);
    let mut faults = Vec::new();
    for name in rule.licenses.iter().filter(|name| !is_usable(name)) {
        let message = match name.find(catalog) {
            Some(sku) => format!("{} carries no mailbox plan in this tenant", sku.part_number),
            None => format!("the tenant has no product {}", name.as_str()),
        };
        // A product that is not bought yet is a preference; one without a mailbox, or no usable one at all, is a
        // mistake.
        let severity = match (has_usable, name.find(catalog)) {
            (true, None) => Severity::Warning,
            (true, Some(_)) | (false, _) => Severity::Error,
        };
        let hint = if has_usable { "" } else { "none of the rule's licences can give a mailbox here" };
        faults.push(Fault {
            severity,
            line: name.line,
            column: name.column,
            path: format!("rule \"{}\"", rule.name),
            value: name.written.clone(),
            ..Fault::of_file(&rule.file, message, hint)
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MAILBOX_PLANS, PlanId, Sku, SkuId, SkuPlan, Units};

    fn sku(part_number: &str, id: u128, plan: PlanId) -> Sku {
        let plans = vec![SkuPlan { id: plan, name: "PLAN".to_owned(), applies_to: "User".to_owned() }];
        Sku {
            id: SkuId::from_u128(id),
            part_number: part_number.to_owned(),
            capability_status: "Enabled".to_owned(),
            consumed: 0,
            units: Units::default(),
            plans,
        }
    }

    fn found(licenses: &str, skus: &[Sku]) -> Vec<(Severity, u32, String)> {
        let text = format!(
            "version: 1\nlimits: {{ seats_reserved: {{ SPE_E5: 1 }} }}\nkeep:\n  - name: a\n    match: {{ domain: d }}\n    \
             licenses: {licenses}\n"
        );
        let policy = Policy::parse("policy.yaml", &text).expect("good");
        let faults = policy.faults_against(&skus.iter().cloned().collect());
        faults.into_iter().map(|fault| (fault.severity, fault.line, fault.message)).collect()
    }

    #[test]
    fn rules_need_one_product_of_the_tenant_that_carries_a_mailbox() {
        let carrying = MAILBOX_PLANS[0].0;
        let e5 = sku("SPE_E5", 5, carrying);
        let e3 = sku("SPE_E3", 3, carrying);
        let empty = sku("SPE_E3", 3, PlanId::from_u128(1));
        let missing = "the tenant has no product SPE_E3".to_owned();
        let without = "SPE_E3 carries no mailbox plan in this tenant".to_owned();

        assert_eq!(found("[SPE_E3]", &[]), [], "an empty catalogue was not read");
        assert_eq!(found("[SPE_E3, spe_e5]", &[e3, e5.clone()]), []);
        assert_eq!(
            found("[SPE_E3, SPE_E5]", std::slice::from_ref(&e5)),
            [(Severity::Warning, 6, missing.clone())]
        );
        assert_eq!(found("[SPE_E3]", std::slice::from_ref(&e5)), [(Severity::Error, 6, missing)]);
        assert_eq!(found("[SPE_E3, SPE_E5]", &[empty, e5.clone()]), [(Severity::Error, 6, without)]);
        let id = "[00000000-0000-0000-0000-000000000005]";
        assert_eq!(found(id, &[e5]), [], "by id");
    }

    #[test]
    fn a_reserve_of_a_product_that_is_not_there_is_a_warning() {
        let e3 = sku("SPE_E3", 3, MAILBOX_PLANS[0].0);
        let message = "seats of SPE_E5 are reserved, and the tenant has no such product".to_owned();
        assert_eq!(found("[SPE_E3]", &[e3]), [(Severity::Warning, 0, message)]);
    }
}
