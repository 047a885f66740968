//! What a plan says that the one before did not: questions that were opened, seats that went missing. For the journal,
//! so that a report of a month can count them. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Answer, Ask, Drift, Plan, Reason, UserId};
use crate::store::journal::Entry;

/// A pass that may start nothing asks nothing either: what the one before asked, and the seats that it missed, stay
/// as they were for those who are still in trouble.
pub fn carry_over(before: &Plan, drifts: &[Drift], answers: &BTreeMap<String, Answer>, now: &mut Plan) {
    let in_trouble: BTreeSet<UserId> = drifts.iter().map(|drift| drift.user).collect();
    let stands = |ask: &&Ask| {
        let is_about_users = matches!(ask.reason, Reason::Ask | Reason::Flapping | Reason::MassEvent);
        is_about_users && ask.users.iter().any(|user| in_trouble.contains(user))
    };
    for ask in before.questions().filter(stands) {
        match answers.get(&ask.id).map(|answer| answer.granted) {
            None => now.asks.push(ask.clone()),
            Some(false) => now.denied.push(ask.clone()),
            Some(true) => {}
        }
    }
    for asks in [&mut now.asks, &mut now.denied] {
        asks.sort_by_cached_key(|ask| (ask.act_by.is_none(), ask.act_by, ask.id.clone()));
    }
    now.seats.clone_from(&before.seats);
}

/// A question was asked when it was first in a plan, whenever its trouble began. One about many is made anew whenever
/// somebody joins, and is as old as the one before.
pub fn date(before: Option<&Plan>, now: &mut Plan) {
    let before: Vec<&Ask> = before.into_iter().flat_map(Plan::questions).collect();
    for ask in now.asks.iter_mut().chain(&mut now.denied) {
        let is_same = |former: &&&Ask| {
            let overlaps = || former.users.iter().any(|user| ask.users.contains(user));
            former.id == ask.id
                || former.reason == ask.reason && ask.reason == Reason::MassEvent && overlaps()
        };
        ask.opened = before.iter().find(is_same).map_or(now.made_at, |former| former.opened);
    }
}

/// Users that the line of a question names: one about more is asked anew whenever it grows, and each line is kept for
/// ever.
const ASKED_NAMED: usize = 500;

/// The entries that tell the difference between two plans.
pub fn news(before: Option<&Plan>, now: &Plan) -> Vec<Entry> {
    let asked: BTreeSet<&str> =
        before.into_iter().flat_map(Plan::questions).map(|ask| ask.id.as_str()).collect();
    let new_asks = now.asks.iter().filter(|ask| !asked.contains(ask.id.as_str()));
    let asks = new_asks.map(|ask| Entry::Asked {
        ask: ask.id.clone(),
        reason: ask.reason,
        question: ask.question.clone(),
        mailboxes: ask.users.len() as u64,
        act_by: ask.act_by,
        users: match ask.users.len() {
            0..=ASKED_NAMED => ask.users.iter().copied().collect(),
            _ => BTreeSet::new(),
        },
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
    use crate::model::{SeatNeed, SkuId, Timestamp, UserId};

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
    fn a_question_is_as_old_as_its_asking() {
        let at = Timestamp::from_secs;
        let mut first = Plan { made_at: at(100), ..plan(&["a"], 0) };
        date(None, &mut first);
        assert_eq!(first.asks[0].opened, at(100));
        let mut second = Plan { made_at: at(200), ..plan(&["a", "b"], 0) };
        second.asks[1].reason = Reason::MassEvent;
        date(Some(&first), &mut second);
        assert_eq!([0, 1].map(|ask| second.asks[ask].opened), [at(100), at(200)]);
        let mut third = Plan { made_at: at(300), ..plan(&["c"], 0) };
        third.asks[0].reason = Reason::MassEvent;
        date(Some(&second), &mut third);
        assert_eq!(third.asks[0].opened, at(200), "the same event, with somebody more");
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
