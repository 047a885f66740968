//! The status page: one self-contained document without scripts, for a screen on the wall and a phone at night.
//!
//! Lays out what the documents say and computes nothing of its own. Text from the tenant passes through
//! `words::one_line` and maud's escaping; addresses stand in `bdi`, so that none can turn the line around.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Health, Views};
use crate::invariant;
use crate::model::{MailboxState, Observation, Span, Timestamp};
use crate::report::TenantView;
use crate::report::status::RiskRow;
use crate::report::{doubts, words};

mod sections;
mod timeline;

/// The only style sheet; the content security policy names it by its hash.
pub(super) const STYLE: &str = include_str!("page/style.css");

/// Problems of one observation that are shown; the log has them all.
const DOUBTS: usize = 5;

/// A closed envelope.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' \
    stroke='%232f7d6d' stroke-width='2'%3E%3Crect x='2.5' y='5' width='19' height='14' rx='2.5'/%3E%3Cpath \
    d='m3 7 9 6.5L21 7'/%3E%3C/svg%3E";

pub(super) fn page(views: &Views, health: &Health, now: Timestamp, refreshes: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                @if refreshes { meta http-equiv="refresh" content="30"; }
                title { (title(views)) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                (timeline::definitions())
                div.page {
                    (top(now, refreshes))
                    main {
                        @if views.is_empty() {
                            (calm(false, "No tenant has reported yet.", "The first pass is under way."))
                        }
                        @for view in views.values() { (tenant(view, health, now)) }
                    }
                    footer {
                        (sections::promises(invariant::violations))
                        nav {
                            a href="/metrics" { "metrics" }
                            a href="/api/v1/status" { "status as JSON" }
                            a href="/readyz" { "readiness" }
                        }
                    }
                }
            }
        }
    }
}

/// Text that others wrote, on one line and unable to turn the line around; maud escapes it.
fn foreign(text: &str) -> Markup {
    html! { bdi { (words::one_line(text)) } }
}

/// A horizontal position or width inside a picture, as an attribute.
fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

/// Readable in a row of browser tabs.
fn title(views: &Views) -> String {
    let at_risk: usize = views.values().map(|view| view.at_risk.len()).sum();
    match at_risk {
        0 => "mailkeeper".to_owned(),
        _ => format!("{at_risk} at risk · mailkeeper"),
    }
}

fn top(now: Timestamp, refreshes: bool) -> Markup {
    html! {
        header.top {
            svg.mark viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true" {
                rect x="2.5" y="5" width="19" height="14" rx="2.5" {}
                path d="m3 7 9 6.5L21 7" {}
            }
            h1 { "mailkeeper" }
            p.small.muted {
                (now.human()) " · "
                @if refreshes { "refreshes every 30 s · " a href="/?refresh=off" { "stop" } }
                @else { "does not refresh · " a href="/" { "start" } }
            }
        }
    }
}

fn tenant(view: &TenantView, health: &Health, now: Timestamp) -> Markup {
    let is_pressing = !view.asks.is_empty() || !view.seat_needs.is_empty();
    html! {
        section.tenant {
            (head(view, health, now))
            (banners(view, health, now))
            @if view.at_risk.is_empty() {
                (at_ease(view, now))
                (states(view))
            } @else {
                p.lead { (lead(view, now)) }
                (states(view))
                (timeline::timeline(view, now))
            }
            div.pair {
                @if is_pressing {
                    div { (sections::asks(&view.asks, now)) (sections::waiting(view)) }
                } @else {
                    div { (sections::waiting(view)) (sections::asks(&view.asks, now)) }
                }
                div { (sections::seats(view, now)) (sections::history(view, now)) }
            }
        }
    }
}

fn head(view: &TenantView, health: &Health, now: Timestamp) -> Markup {
    let is_late = health.tenants.get(&view.tenant).is_some_and(|tenant| tenant.is_observation_missing(now));
    let short = |digest: &str| words::one_line(digest).chars().take(12).collect::<String>();
    html! {
        div.head {
            h2 { (foreign(&view.tenant)) }
            @if view.is_acting { span.chip.good { "acting" } } @else { span.chip { "observing only" } }
            @if view.hold.is_some() { span.chip.bad { "on hold" } }
        }
        dl.facts {
            div {
                dt { "observed" }
                dd.late[is_late] {
                    @match view.last_complete_observation { Some(at) => (words::distance(at, now)), None => "never" }
                }
            }
            div {
                dt { "policy" }
                dd {
                    code title=(view.policy.digest) { (short(&view.policy.digest)) }
                    @if let Some(revision) = &view.policy.revision { " at commit " code { (short(revision)) } }
                }
            }
            @if let Some(journal) = &view.journal_head {
                div { dt { "journal" } dd { code title=(journal) { (short(journal)) } } }
            }
        }
    }
}

/// What keeps mailkeeper from its work.
fn banners(view: &TenantView, health: &Health, now: Timestamp) -> Markup {
    html! {
        @if let Some(hold) = &view.hold {
            p.banner.bad.break {
                b { "On hold" } " by " (foreign(&hold.by)) ", " (words::distance(hold.since, now)) ": "
                (foreign(&hold.reason)) ". "
                @match hold.until {
                    Some(until) => { "Ends " (words::distance(until, now)) "." }
                    None => "Nothing is sent until somebody resumes.",
                }
            }
        }
        @if !view.policy.waiting.is_empty() {
            p.banner.bad.break {
                b { "A changed policy waits for approval." }
                " Nothing is started until then: " (foreign(&view.policy.waiting.join("; ")))
            }
        }
        @if let Some(failure) = &view.policy.failed {
            p.banner.bad.break {
                b { "The newest policy cannot be loaded." }
                @if !view.policy.digest.is_empty() { " The last good one stands." }
                " Nothing is started until it can: " (words::policy_failure(failure))
            }
        }
        @if let Some(failure) = &health.store_failure {
            p.banner.bad.break {
                b { "State or journal cannot be written" } ", so nothing is sent: " (foreign(failure))
            }
        }
        @for sentence in doubts::sentences(view, now) {
            p.banner.bad.break { (foreign(&sentence)) }
        }
        @if let Some(observation) = &view.last_observation { (distrust(observation)) }
        @for row in view.subscriptions_to_renew() {
            p.banner.bad.break { b { "Renew" } " " (foreign(&words::subscription(row, now))) "." }
        }
    }
}

fn distrust(observation: &Observation) -> Markup {
    let blocking = || observation.problems.iter().filter(|problem| problem.kind.is_blocking());
    html! {
        @if !observation.is_complete() {
            div.banner.bad.break {
                p { b { "The last observation is not believed" } ", and nothing follows from it:" }
                ul {
                    @for problem in blocking().take(DOUBTS) {
                        li { (words::plain(problem.kind.label())) ": " (foreign(&problem.detail)) }
                    }
                    @if blocking().count() > DOUBTS { li { "and " (blocking().count() - DOUBTS) " more" } }
                }
            }
        }
    }
}

/// The one sentence to read when there is time for one.
fn lead(view: &TenantView, now: Timestamp) -> Markup {
    let rows = view.most_urgent(now);
    let is_within =
        |row: &&&RiskRow, span| row.time_left(now).is_some_and(|left| left > Span::ZERO && left <= span);
    let within_a_week = rows.iter().filter(|row| is_within(row, Span::from_days(7))).count() as u64;
    let next = rows.first().filter(|row| row.deadline.is_some_and(|deadline| deadline > now));
    html! {
        b { (words::how_many(rows.len() as u64, "mailbox", "mailboxes")) " at risk" }
        " of " (words::count_of(view.kept)) " kept, " (words::count_of(within_a_week)) " within a week."
        @if let Some(next) = next {
            " The next deadline is in " b { (next.time_left_text(now)) } ": "
            span.break { (foreign(&next.upn)) } "."
        } @else { " No deadline that is known lies ahead." }
    }
}

fn states(view: &TenantView) -> Markup {
    html! {
        ul.states {
            @for state in MailboxState::ALL {
                @let count = view.states.get(&state).copied().unwrap_or(0);
                li class=(if count == 0 { "none" } else { state_class(state) }) {
                    b { (words::count_of(count)) } span { (words::plain(state.label())) }
                }
            }
        }
    }
}

fn state_class(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Healthy => "good",
        MailboxState::Unlicensed | MailboxState::Deleted | MailboxState::UnlicensedAndDeleted => "soon",
        MailboxState::Expired => "critical",
        MailboxState::Settling => "later",
        MailboxState::Unknown => "unknown",
    }
}

/// In place of an empty timeline; says "all is well" only where that was seen.
fn at_ease(view: &TenantView, now: Timestamp) -> Markup {
    let unproved = view.states.get(&MailboxState::Settling).copied().unwrap_or(0);
    match view.last_complete_observation {
        None => calm(false, "Nothing is known yet.", "There has been no complete observation."),
        Some(_) if view.kept == 0 => {
            calm(false, "No mailbox is kept.", "No keep rule of the policy names one.")
        }
        Some(_) if view.kept > 0 && !doubts::sentences(view, now).is_empty() => {
            calm(false, &doubts::at_ease(view), "What is not known, or not kept, stands above.")
        }
        Some(at) => {
            let kept = words::how_many(view.kept, "mailbox", "mailboxes");
            let seen = format!("{kept} kept, seen {}.", words::distance(at, now));
            let detail = match unproved {
                0 => seen,
                _ => format!(
                    "{seen} {} to be proved by a later observation.",
                    words::how_many(unproved, "repair is still", "repairs are still")
                ),
            };
            calm(true, "Every kept mailbox is where it should be.", &detail)
        }
    }
}

fn calm(is_good: bool, sentence: &str, detail: &str) -> Markup {
    html! {
        section.card.calm.waiting[!is_good] {
            svg viewBox="0 0 48 48" aria-hidden="true" {
                circle cx="24" cy="24" r="21" {}
                @if is_good { path d="m15 25 6.5 6.5L34 18" {} } @else { path d="M24 13v12l7 5" {} }
            }
            p { b { (sentence) } span.muted { (detail) } }
        }
    }
}
