//! What a plan says that the one before did not: questions that were opened, seats that went missing. For the journal,
//! so that a report of a month can count them. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Plan;
use crate::store::journal::Entry;

/// The entries that tell the difference between two plans.
pub fn news(before: Option<&Plan>, now: &Plan) -> Vec<Entry> {
    let asked: BTreeSet<&str> =
        before.iter().flat_map(|plan| &plan.asks).map(|ask| ask.id.as_str()).collect();
    let new_asks = now.asks.iter().filter(|ask| !asked.contains(ask.id.as_str()));
    let asks = new_asks.map(|ask| Entry::Asked {
        ask: ask.id.clone(),
        reason: ask.reason,
        question: ask.question.clone(),
        mailboxes: ask.users.len() as u64,
        act_by: ask.act_by,
    });
    let (missed, missing) = (before.map(missing).unwrap_or_default(), missing(now));
    let products: BTreeSet<&str> = missed.keys().chain(missing.keys()).copied().collect();
    let seats = products.into_iter().filter_map(|product| {
        let [before, now] = [&missed, &missing].map(|needs| needs.get(product).copied().unwrap_or_default());
        (before != now).then(|| Entry::SeatsMissing { part_number: product.to_owned(), missing: now })
    });
    asks.chain(seats).collect()
}

fn missing(plan: &Plan) -> BTreeMap<&str, u32> {
    plan.seats.iter().map(|need| (need.part_number.as_str(), need.missing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ask, Reason, SeatNeed, SkuId, Timestamp, UserId};

    fn plan(asks: &[&str], missing: u32) -> Plan {
        let ask = |id: &&str| Ask {
            id: (*id).to_owned(),
            reason: Reason::Ask,
            users: vec![UserId::from_u128(1)],
            question: "really?".to_owned(),
            opened: Timestamp::from_secs(0),
            act_by: None,
        };
        let need = SeatNeed { sku: SkuId::from_u128(3), part_number: "SPE_E3".to_owned(), missing, by: None };
        let seats = if missing == 0 { Vec::new() } else { vec![need] };
        Plan { asks: asks.iter().map(ask).collect(), seats, ..Plan::default() }
    }

    #[test]
    fn only_what_changed_is_told() {
        let seats = |missing| Entry::SeatsMissing { part_number: "SPE_E3".to_owned(), missing };
        let told = news(None, &plan(&["a"], 2));
        assert!(matches!(&told[0], Entry::Asked { ask, mailboxes: 1, .. } if ask == "a"));
        assert_eq!(told[1..], [seats(2)]);
        assert_eq!(news(Some(&plan(&["a"], 2)), &plan(&["a"], 2)), []);
        assert_eq!(news(Some(&plan(&["a"], 2)), &plan(&[], 0)), [seats(0)]);
    }
}
