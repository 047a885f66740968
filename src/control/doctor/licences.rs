//! The policy's products against those that the tenant has, their seats, and the subscriptions behind them. Pure.

use crate::model::{CapabilityStatus, Catalog, Outlook, Sku, Span, Subscription, Timestamp};
use crate::policy::Policy;
use crate::report::examination::{Area, Finding, Level};
use crate::report::words;

/// A subscription that ends within this time is worth a word: a renewal takes weeks in most companies.
const ENDS_SOON: Span = Span::from_days(30);

pub fn judge(policy: &Policy, catalog: &Catalog, now: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> = policy
        .faults_against(catalog)
        .into_iter()
        .map(|fault| {
            let level = if fault.is_error() { Level::Error } else { Level::Warning };
            let place = if fault.line == 0 { fault.path } else { format!("{}:{}", fault.file, fault.line) };
            let why = if level == Level::Error {
                "the rule cannot give this mailbox back"
            } else {
                "the rule goes on to its next licence"
            };
            Finding::new(
                level,
                Area::Licences,
                format!("{} ({place})", fault.message),
                why,
                "correct the policy, or buy the product",
            )
        })
        .collect();
    let named = catalog.iter().filter(|sku| is_named(policy, catalog, sku) && sku.carries_mailbox());
    for sku in named {
        findings.push(seats(policy, sku));
        let outlook = catalog.outlook(sku.id);
        let behind = catalog.subscriptions().unwrap_or_default().iter().filter(|one| one.sku == sku.id);
        findings.extend(behind.filter_map(|one| ending(one, outlook.as_ref(), now)));
    }
    findings
}

fn is_named(policy: &Policy, catalog: &Catalog, sku: &Sku) -> bool {
    let mut names = policy.keep.iter().flat_map(|rule| &rule.licenses);
    names.any(|name| name.find(catalog).is_some_and(|found| found.id == sku.id))
}

fn seats(policy: &Policy, sku: &Sku) -> Finding {
    let reserved = policy.limits.seats_reserved.iter();
    let reserved = reserved
        .filter(|(name, _)| name.eq_ignore_ascii_case(&sku.part_number))
        .map(|(_, seats)| i64::from(*seats))
        .sum::<i64>();
    let free = sku.free();
    let usable = free - reserved;
    let kept = if reserved > 0 { format!(", {reserved} of them reserved") } else { String::new() };
    let what = format!(
        "{}: {} free of {}{kept}",
        sku.part_number,
        words::count(free),
        words::count(sku.units.enabled + sku.units.warning)
    );
    if sku.units.suspended > 0 && sku.units.enabled + sku.units.warning == 0 {
        return Finding::new(
            Level::Error,
            Area::Licences,
            format!("{}: the subscription is suspended", sku.part_number),
            "no seat of it can be given, and its users lose their mailboxes",
            "renew it",
        );
    }
    if usable <= 0 {
        return Finding::new(
            Level::Warning,
            Area::Licences,
            what,
            "the next lost licence of this product waits for a seat",
            "buy seats, or free some that nobody uses",
        );
    }
    if sku.units.warning > 0 {
        let what = format!("{what}; {} are in their grace period", words::count(sku.units.warning));
        return Finding::new(
            Level::Warning,
            Area::Licences,
            what,
            "they stop working when it ends",
            "renew the subscription",
        );
    }
    Finding::ok(Area::Licences, what)
}

/// A warning only where seats in use are concerned: a subscription that others stand in for, or that renews itself, is
/// worth a note.
fn ending(subscription: &Subscription, outlook: Option<&Outlook>, now: Timestamp) -> Option<Finding> {
    let ends = subscription.next?;
    let kind = if subscription.is_trial { "trial" } else { "subscription" };
    let seats = words::how_many(u64::try_from(subscription.seats).unwrap_or_default(), "seat", "seats");
    let name = &subscription.part_number;
    let is_missed = outlook.is_some_and(Outlook::is_alarming);
    let level = if is_missed { Level::Warning } else { Level::Note };
    if subscription.status != CapabilityStatus::Enabled {
        let status = words::one_line(subscription.status.as_str());
        let what = format!("{name}: a {kind} with {seats} is {status}, next change {}", ends.human());
        let why = if is_missed {
            "its seats stop working step by step"
        } else {
            "its seats stop working step by step; the others are enough for those in use"
        };
        return Some(Finding::new(level, Area::Licences, what, why, "renew it, unless it is to end"));
    }
    if ends > now + ENDS_SOON {
        return None;
    }
    let what =
        format!("{name}: a {kind} with {seats} ends {} ({})", ends.human(), words::distance(ends, now));
    Some(Finding::new(
        level,
        Area::Licences,
        what,
        "unless it renews by itself, all its users lose their licence at once",
        "see whether it renews by itself; Graph does not say",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MAILBOX_PLANS, SkuId, SkuPlan, Units};

    const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
    const E3: SkuId = SkuId::from_u128(3);

    fn policy() -> Policy {
        let text = "version: 1\nlimits: { seats_reserved: { SPE_E3: 5 } }\nkeep:\n  - name: a\n    match: { domain: d }\n    \
                    licenses: [SPE_E3, SPE_E5]\n";
        Policy::parse("policy.yaml", text).expect("good")
    }

    fn found(consumed: i64, ends_in_days: i64) -> Vec<(Level, String)> {
        let plan = SkuPlan { id: MAILBOX_PLANS[0].0, name: "P".to_owned(), applies_to: "User".to_owned() };
        let sku = Sku {
            id: E3,
            part_number: "SPE_E3".to_owned(),
            capability_status: "Enabled".to_owned(),
            consumed,
            units: Units { enabled: 100, ..Units::default() },
            plans: vec![plan],
        };
        let subscription = Subscription {
            sku: E3,
            part_number: "SPE_E3".to_owned(),
            status: CapabilityStatus::Enabled,
            seats: 100,
            is_trial: false,
            next: Some(NOW + Span::from_days(ends_in_days)),
        };
        let catalog = std::iter::once(sku).collect::<Catalog>().backed_by(Some(vec![subscription]));
        let findings = judge(&policy(), &catalog, NOW);
        findings.into_iter().map(|finding| (finding.level, finding.what)).collect()
    }

    #[test]
    fn seats_products_and_subscriptions_are_judged() {
        let missing = (Level::Warning, "the tenant has no product SPE_E5 (policy.yaml:6)".to_owned());
        assert_eq!(
            found(50, 90),
            [missing.clone(), (Level::Ok, "SPE_E3: 50 free of 100, 5 of them reserved".to_owned())]
        );
        let found = found(96, 12);
        assert_eq!(found[1], (Level::Warning, "SPE_E3: 4 free of 100, 5 of them reserved".to_owned()));
        assert_eq!(found[2].1, "SPE_E3: a subscription with 100 seats ends 2026-12-05 12:00 UTC (in 12d)");
    }
}
