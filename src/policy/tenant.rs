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
        // A product that is not bought yet is a preference; one without a mailbox, or no usable one at all, is a mistake.
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
