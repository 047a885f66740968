//! The mailboxes at risk against their deadlines: one row each, all on the same scale of days.
//!
//! Every row draws its own small picture with positions in per cent, so that the text beside it wraps freely and the
//! whole fits a phone. Draws only: what is urgent, and in which order, the document says.

use maud::{Markup, html};

use super::{foreign, percent};
use crate::model::{Span, Timestamp};
use crate::report::TenantView;
use crate::report::status::{RiskRow, Urgency};
use crate::report::words;

/// Rows that are drawn: about two screens of dense ones; the command line lists them all.
const ROWS: usize = 50;

/// Up to so many rows show their second line; more of them show it as a tooltip only.
const ROOMY: usize = 16;

/// Labels on the axis that a phone has room for.
const TICKS: i64 = 6;

/// The longest retention that exists is 60 days; what lies further away is drawn at the edge.
const FURTHEST: Span = Span::from_days(62);

pub(super) fn timeline(view: &TenantView, now: Timestamp) -> Markup {
    let rows = view.most_urgent(now);
    let (drawn, rest) = rows.split_at(rows.len().min(ROWS));
    let scale = Scale::of(drawn, now);
    html! {
        section.card.timeline {
            h3 { "Mailboxes at risk" span { "each against its deadline, the most urgent first" } }
            (legend())
            (axis(&scale))
            ol.dense[drawn.len() > ROOMY] { @for row in drawn { (risk(row, &scale)) } }
            @if let Some(first) = rest.first() {
                p.more {
                    "and " (words::count_of(rest.len() as u64)) " more, the next of them: "
                    (first.time_left_text(now))
                    " · " code { "mailkeeper status" } " lists all"
                }
            }
        }
    }
}

/// Time to horizontal position.
struct Scale {
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
}

impl Scale {
    /// Holds every start and deadline of `rows`, a day around `now` and some air.
    fn of(rows: &[&RiskRow], now: Timestamp) -> Self {
        let day = Span::from_days(1);
        let times = || rows.iter().flat_map(|row| [Some(row.since), row.act_by, row.deadline]).flatten();
        let start = times().fold(now - day, Timestamp::min).max(now - FURTHEST);
        let end = times().fold(now + day, Timestamp::max).min(now + FURTHEST);
        let air = Span::from_millis((end - start).as_millis() / 40);
        Self { start: start - air, end: end + air, now }
    }

    /// 0 at the left edge, 100 at the right; what lies outside is drawn at the edge.
    fn position(&self, at: Timestamp) -> f64 {
        let share = (at - self.start).as_secs_f64() / (self.end - self.start).as_secs_f64();
        (share * 100.0).clamp(0.0, 100.0)
    }

    /// Midnights (UTC) at a spacing that leaves at most about [`TICKS`] of them.
    fn ticks(&self) -> Vec<Timestamp> {
        let day = Span::from_days(1).as_millis();
        let days = (self.end - self.start).as_millis() / day;
        let steps = [1, 2, 3, 5, 7, 10, 14, 21];
        let step = steps.into_iter().find(|step| days / step <= TICKS).unwrap_or(28);
        let first = self.start.as_millis().div_euclid(day) + 1;
        (first..=self.end.as_millis().div_euclid(day))
            .filter(|midnight| midnight.rem_euclid(step) == 0)
            .map(|midnight| Timestamp::from_millis(midnight * day))
            .collect()
    }
}

fn axis(scale: &Scale) -> Markup {
    let now = scale.position(scale.now);
    let ticks = scale.ticks();
    // A label needs about a twelfth of a phone's width on either side of today's.
    let is_clear = |percent: f64| (percent - now).abs() > 8.0 && (3.0..97.0).contains(&percent);
    html! {
        div.row.axis aria-hidden="true" {
            div.who {} div.lane {
                svg {
                    @for tick in ticks.iter().filter(|tick| is_clear(scale.position(**tick))) {
                        text.tick x=(percent(scale.position(*tick))) y="70%" { (tick.to_datetime().format("%b %-d")) }
                    }
                    text.tick.today x=(percent(now.clamp(4.0, 96.0))) y="70%" { "today" }
                }
            } div.left {} div.next {}
        }
    }
}

fn risk(row: &RiskRow, scale: &Scale) -> Markup {
    let now = scale.now;
    let upn = words::one_line(&row.upn);
    let rule = words::one_line(&row.rule);
    let cause = words::plain(row.cause.label());
    let why = words::why(&row.next);
    html! {
        li.row.(urgency_class(row.urgency(now))) {
            div.who {
                b.cut title=(format!("{upn} · {} · {cause} · rule {rule}", row.user)) { (foreign(&upn)) }
                span.cut.muted.small { (cause) " · " (rule) }
            }
            div.lane { (picture(row, scale)) }
            div.left {
                b title=[row.deadline.map(Timestamp::human)] { (row.time_left_text(now)) }
                @if let Some(deadline) = row.deadline {
                    span.cut.muted.small { (deadline.to_datetime().format("%b %-d %H:%M")) }
                }
            }
            div.next title=[why] { (words::next(&row.next, now)) }
        }
    }
}

fn picture(row: &RiskRow, scale: &Scale) -> Markup {
    let now = scale.position(scale.now);
    let since = scale.position(row.since);
    html! {
        svg role="img" aria-label=(spoken(row)) {
            @for tick in scale.ticks() {
                line.grid x1=(percent(scale.position(tick))) x2=(percent(scale.position(tick))) y1="0" y2="100%" {}
            }
            @match row.deadline {
                Some(deadline) => (bar(row, scale, deadline)),
                None => line.open x1=(percent(since)) x2="98%" y1="50%" y2="50%" {},
            }
            line.now x1=(percent(now)) x2=(percent(now)) y1="0" y2="100%" {}
            circle.start cx=(percent(since)) cy="50%" r="4" {}
        }
    }
}

/// What has passed pale, what is left full, the zone after "act by" hatched, the deadline as an upright stroke.
fn bar(row: &RiskRow, scale: &Scale, deadline: Timestamp) -> Markup {
    let [since, now, end] = [row.since, scale.now, deadline].map(|time| scale.position(time));
    let act_by = scale.position(row.act_by.unwrap_or(deadline).max(row.since)).min(end);
    let turn = now.clamp(since.min(end), end);
    let width = |from: f64, to: f64| percent((to - from).max(0.0));
    html! {
        g transform="translate(0 -5)" {
            rect.elapsed x=(percent(since)) width=(width(since, turn)) y="50%" height="10" rx="5" {}
            rect.ahead x=(percent(turn)) width=(width(turn, end)) y="50%" height="10" rx="2" {}
            rect.zone x=(percent(act_by.max(turn))) width=(width(act_by.max(turn), end)) y="50%" height="10" {}
            rect.zone-lines x=(percent(act_by)) width=(width(act_by, end)) y="50%" height="10" {}
            rect.edge x=(percent(act_by.max(turn))) width=(width(act_by.max(turn), end)) y="50%" height="10" {}
        }
        g transform="translate(-1.5 -11)" { rect.end x=(percent(end)) y="50%" width="3" height="22" rx="1.5" {} }
    }
}

/// The picture for those who do not see it.
fn spoken(row: &RiskRow) -> String {
    let since = format!("lost or first seen {}", row.since.human());
    match (row.act_by, row.deadline) {
        (Some(act_by), Some(deadline)) => {
            format!("{since}, act by {}, deadline {}", act_by.human(), deadline.human())
        }
        (None, Some(deadline)) => format!("{since}, deadline {}", deadline.human()),
        (_, None) => format!("{since}, no known deadline"),
    }
}

fn legend() -> Markup {
    let full = |class: &'static str, meaning: &'static str| {
        html! { span { svg class=(class) { rect.ahead width="100%" rx="2" {} } (meaning) } }
    };
    html! {
        p.legend aria-hidden="true" {
            span { svg.u-later { rect.elapsed width="100%" rx="5" {} } "time passed" }
            (full("u-critical", "a day left, or past “act by”"))
            (full("u-soon", "a week"))
            (full("u-later", "longer"))
            span {
                svg.u-later { rect.zone-lines width="100%" {} rect.edge width="100%" {} }
                "between “act by” and the deadline"
            }
        }
    }
}

/// The hatching that all pictures of the page refer to; stands once in the page.
pub(super) fn definitions() -> Markup {
    html! {
        svg.unseen aria-hidden="true" {
            defs {
                pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatching x1="0" y1="0" x2="0" y2="5" {}
                }
            }
        }
    }
}

fn urgency_class(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Critical => "u-critical",
        Urgency::Soon => "u-soon",
        Urgency::Later => "u-later",
        Urgency::Unknown => "u-unknown",
        Urgency::Resting => "u-resting",
        Urgency::Passed => "u-passed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, NOW};

    #[test]
    fn the_scale_holds_what_it_shows_and_bounds_what_is_absurd() {
        let view = sample::troubled();
        let scale = Scale::of(&view.most_urgent(NOW), NOW);
        for row in &view.at_risk {
            for time in [Some(row.since), row.deadline].into_iter().flatten() {
                assert!((0.1..99.9).contains(&scale.position(time)), "{time}");
            }
        }
        let mut ancient = view.at_risk[0].clone();
        ancient.since = Timestamp::from_secs(0);
        ancient.deadline = Some(Timestamp::from_millis(i64::MAX));
        let scale = Scale::of(&[&ancient], NOW);
        assert!(scale.ticks().len() <= 8);
        assert!((40.0..60.0).contains(&scale.position(NOW)));
        assert_eq!(scale.position(ancient.since), 0.0);
    }

    #[test]
    fn an_empty_scale_still_has_a_width() {
        let scale = Scale::of(&[], NOW);
        assert_eq!(scale.position(NOW), 50.0);
        assert!(!scale.ticks().is_empty());
    }
}
