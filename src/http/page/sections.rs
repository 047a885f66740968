//! The cards below the timeline: asks, seats, what waits and why, the last pass, recent events, promises.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{foreign, percent};
use crate::invariant::InvariantId;
use crate::model::{Ask, Reason, SeatNeed, Timestamp};
use crate::report::TenantView;
use crate::report::status::{RecentEvent, SeatRow, waiting_by_reason};
use crate::report::words;

/// Asks, seats and events that are shown each; the command line lists all.
const SHOWN: usize = 20;

pub(super) fn asks(asks: &[Ask], now: Timestamp) -> Markup {
    html! {
        section.card {
            h3 { "Waiting for a person" }
            @if asks.is_empty() { p.muted { "Nothing is being asked." } }
            ul.list.asks {
                @for ask in asks.iter().take(SHOWN) {
                    li {
                        p.break { (foreign(&ask.question)) }
                        p.small.muted {
                            "asked " (words::distance(ask.opened, now)) ", for "
                            @if ask.users.is_empty() { "the policy as a whole" }
                            @else { (words::how_many(ask.users.len() as u64, "mailbox", "mailboxes")) }
                            @if let Some(act_by) = ask.act_by {
                                ", act by " (act_by.human()) " (" (words::distance(act_by, now)) ")"
                            }
                        }
                        p.small {
                            code { "mailkeeper approve " (words::one_line(&ask.id)) }
                            ", or "
                            code { "mailkeeper deny " (words::one_line(&ask.id)) }
                        }
                    }
                }
                (more(asks.len()))
            }
        }
    }
}

pub(super) fn seats(view: &TenantView, now: Timestamp) -> Markup {
    let needs: BTreeMap<&str, &SeatNeed> =
        view.seat_needs.iter().map(|need| (need.part_number.as_str(), need)).collect();
    html! {
        section.card {
            h3 { "Seats" }
            @if view.seats.is_empty() { p.muted { "No product has been observed yet." } }
            ul.list {
                @for seat in view.seats.iter().take(SHOWN) {
                    li.seat { (seat_row(seat, needs.get(seat.part_number.as_str()).copied(), now)) }
                }
                (more(view.seats.len()))
            }
        }
    }
}

fn seat_row(seat: &SeatRow, need: Option<&SeatNeed>, now: Timestamp) -> Markup {
    let total = seat.enabled.saturating_add(seat.warning);
    let used = (seat.consumed.max(0) as f64 / total.max(1) as f64 * 100.0).min(100.0);
    let reserve = (f64::from(seat.reserved) / total.max(1) as f64 * 100.0).min(100.0 - used);
    let is_full = seat.free <= i64::from(seat.reserved);
    html! {
        span.break { (foreign(&seat.part_number)) }
        span.muted.small {
            @if seat.free < 0 { (words::count(seat.free.saturating_neg())) " more assigned than bought" }
            @else { (words::count(seat.free)) " free of " (words::count(total)) }
            @if seat.reserved > 0 { ", " (seat.reserved) " kept in reserve" }
        }
        svg role="img" aria-label=(format!("{used:.0} % in use")) {
            rect.track width="100%" height="100%" rx="4" {}
            rect.used.full[is_full] width=(percent(used)) height="100%" rx="4" {}
            rect.zone-lines x=(percent(100.0 - reserve)) width=(percent(reserve)) height="100%" {}
        }
        @if let Some(need) = need {
            b.small {
                (need.missing) " missing"
                @if let Some(by) = need.by { ", needed by " (by.human()) " (" (words::distance(by, now)) ")" }
            }
        }
    }
}

pub(super) fn waiting(view: &TenantView) -> Markup {
    let mut groups: Vec<(Reason, u64)> =
        waiting_by_reason(&view.plan).into_iter().map(|(reason, rows)| (reason, rows.len() as u64)).collect();
    groups.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    let left_alone: Vec<(Reason, u64)> = view
        .left_alone
        .iter()
        .map(|(reason, count)| (*reason, *count))
        .filter(|(_, count)| *count > 0)
        .collect();
    let total = left_alone.iter().map(|(_, count)| count).sum();
    html! {
        section.card {
            h3 { "What waits, and why" span { "drifts without a step" } }
            @if groups.is_empty() { p.muted { "No drift is waiting." } }
            (reasons(&groups))
            @if total > 0 {
                details {
                    summary { (words::how_many(total, "user", "users")) " left alone" }
                    (reasons(&left_alone))
                }
            }
        }
    }
}

fn reasons(groups: &[(Reason, u64)]) -> Markup {
    html! {
        ul.list.reasons {
            @for (reason, count) in groups {
                li {
                    b { (words::count_of(*count)) }
                    div { (words::plain(reason.label())) p.small.muted { (reason.sentence()) } }
                }
            }
        }
    }
}

pub(super) fn history(view: &TenantView, now: Timestamp) -> Markup {
    html! {
        section.card {
            h3 { "Last pass and recent events" }
            ul.list.events {
                (last_pass(view, now))
                @for event in view.recent.iter().take(SHOWN) { li { (event_row(event, now)) } }
                (more(view.recent.len()))
            }
        }
    }
}

fn last_pass(view: &TenantView, now: Timestamp) -> Markup {
    let Some(pass) = &view.last_pass else {
        return html! { li { span.muted { "never" } span { "no pass has ended yet" } } };
    };
    let (planned, took) =
        (words::how_many(pass.steps_planned.into(), "step", "steps"), pass.finished - pass.started);
    html! {
        li {
            span.muted title=(pass.finished.human()) { (words::distance(pass.finished, now)) }
            div {
                "pass " (words::count_of(pass.number)) " " (pass.outcome.label()) " in " (took) ": "
                (planned) " planned, " (pass.steps_sent) " sent"
                @if let Some(seen) = &view.last_observation {
                    p.small.muted {
                        (words::count_of(seen.live_users)) " users and "
                        (words::how_many(seen.deleted_users, "deleted one", "deleted ones")) " seen"
                    }
                }
            }
        }
    }
}

fn event_row(event: &RecentEvent, now: Timestamp) -> Markup {
    html! {
        span.muted title=(event.at.human()) { (words::distance(event.at, now)) }
        div {
            span.urgent[event.is_alarming()] { (words::event(event)) }
            @if let Some(upn) = &event.upn { p.small.break { (foreign(upn)) } }
            @if !event.detail.is_empty() { p.small.muted.break { (foreign(&event.detail)) } }
        }
    }
}

/// Promises are kept or broken by the process, not by a tenant. `violations` counts the times that one was broken.
pub(super) fn promises(violations: fn(InvariantId) -> u64) -> Markup {
    let broken = |id: &InvariantId| violations(*id);
    let total: u64 = InvariantId::ALL.iter().map(broken).sum();
    html! {
        details open[total > 0] {
            summary {
                @if total == 0 { "All " (InvariantId::ALL.len()) " promises kept" }
                @else { span.urgent { (words::how_many(total, "broken promise", "broken promises")) } }
                " since the start of the process"
            }
            ul.list {
                @for id in InvariantId::ALL {
                    li {
                        b { (id.label()) } " " (id.sentence())
                        @if broken(id) > 0 {
                            " " span.urgent { "broken " (words::how_many(broken(id), "time", "times")) }
                        }
                    }
                }
            }
        }
    }
}

fn more(count: usize) -> Markup {
    let hidden = count.saturating_sub(SHOWN) as u64;
    html! { @if hidden > 0 { li.muted { "and " (words::count_of(hidden)) " more" } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, NOW};

    #[test]
    fn a_broken_promise_opens_the_list_and_is_named() {
        let kept = promises(|_| 0).into_string();
        assert!(kept.contains("All 12 promises kept since") && !kept.contains("<details open"), "{kept}");
        let broken = promises(|id| if id == InvariantId::Safe5 { 2 } else { 0 }).into_string();
        assert!(broken.contains("<details open") && broken.contains("2 broken promises"), "{broken}");
        assert!(broken.contains("broken 2 times") && !broken.contains("All 12"), "{broken}");
    }

    #[test]
    fn more_assigned_than_bought_is_said_and_drawn_within_the_bar() {
        let mut seat = sample::troubled().seats.remove(0);
        (seat.enabled, seat.consumed, seat.free) = (10, 13, -3);
        let row = seat_row(&seat, None, NOW).into_string();
        assert!(row.contains("3 more assigned than bought"), "{row}");
        assert!(row.contains("width=\"100.00%\"") && row.contains("used full"), "{row}");
        (seat.enabled, seat.consumed, seat.free) = (0, 0, 0);
        assert!(!seat_row(&seat, None, NOW).into_string().contains("NaN"));
    }
}
