//! Who did it, and when: the directory's audit log, asked about users with a new loss. Optional and off by default: it
//! takes a permission of its own. Nothing depends on an answer; a failure is said once and tried again an hour later.
//!
//! The log knows an event some minutes after it happened, and forgets it after 7 or 30 days.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::clock::Clock;
use crate::errors::chain;
use crate::graph::{Audit, Client, Error};
use crate::model::{AuditEvent, Catalog, KnownUser, Presence, Span, Timestamp, UserId};
use crate::policy::{Policy, Ruling};
use crate::store::records::{Trace, Traces, Trouble};
use crate::store::{self, TenantStore};

use super::{Observed, Reach};

/// Users asked about in one pass. Graph allows 100 requests in 10 s (throttling limits, audit logs), and each user
/// takes one, or two where the first form is refused.
const USERS_PER_PASS: usize = 20;

/// Users that are followed; of a mass event the rest has the same cause.
const FOLLOWED_MAX: usize = 500;

/// All questions of one pass together.
const WAIT: Duration = Duration::from_secs(20);

/// After an answer that told nothing: an event may take minutes to appear, rarely longer.
const ASK_AGAIN: [Span; 2] = [Span::from_minutes(10), Span::from_hours(2)];

/// After a failure, which is about the permission or the service and not about a user.
const TRY_AGAIN: Span = Span::from_hours(1);

/// The log's clock and ours.
const SKEW: Span = Span::from_minutes(5);

/// The longest that Entra keeps the log (Microsoft Entra: data retention).
const RETENTION: Span = Span::from_days(30);

/// Asks about users whose loss or deletion is new, and remembers the answers.
///
/// # Errors
/// Only of the store.
pub async fn ask(
    graph: &Client,
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    clock: &dyn Clock,
) -> Result<(), store::Error> {
    let before = store.get_or_default::<Traces>()?;
    let mut traces = before.clone();
    follow(store, policy, observed, &mut traces, clock.now())?;
    if traces.next_try.is_none_or(|next| next <= clock.now()) {
        question(graph, &observed.catalog, &mut traces, clock).await;
        log_change(&before, &traces);
    }
    if traces != before {
        store.put(&traces)?;
    }
    Ok(())
}

/// What is remembered of the log, for the judgement.
///
/// # Errors
/// Of the store.
pub fn recall(store: &TenantStore) -> Result<BTreeMap<UserId, Vec<AuditEvent>>, store::Error> {
    let traces = store.get_or_default::<Traces>()?;
    let told = traces.users.into_iter().filter(|(_, trace)| !trace.events.is_empty());
    Ok(told.map(|(user, trace)| (user, trace.events)).collect())
}

/// Begins to follow users with new trouble, and forgets those without any.
fn follow(
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    traces: &mut Traces,
    now: Timestamp,
) -> Result<(), store::Error> {
    match &observed.reach {
        Reach::These(changed) => {
            let users: BTreeSet<UserId> = changed.keys().copied().collect();
            store.visit_users(&users, |user, known| look(traces, policy, user, known.as_ref(), now))
        }
        Reach::Everyone => {
            let mut seen = BTreeSet::new();
            store.for_each_user(|known| {
                look(traces, policy, known.id(), Some(&known), now);
                if traces.users.contains_key(&known.id()) {
                    seen.insert(known.id());
                }
            })?;
            traces.users.retain(|user, _| seen.contains(user));
            Ok(())
        }
    }
}

fn look(traces: &mut Traces, policy: &Policy, user: UserId, known: Option<&KnownUser>, now: Timestamp) {
    let kept = known.filter(|known| matches!(policy.ruling(known), Ruling::Keep(_)));
    let Some(trouble) = kept.and_then(trouble) else {
        traces.users.remove(&user);
        return;
    };
    let is_full = traces.users.len() >= FOLLOWED_MAX;
    match traces.users.get_mut(&user) {
        Some(trace) if trace.trouble == trouble => {}
        // The account was deleted after the licence was lost, or the loss is another one.
        Some(trace) => {
            let events = std::mem::take(&mut trace.events);
            *trace = Trace { trouble, asked: 0, next: Some(now), events };
        }
        None if is_full => {}
        None => {
            let trace = Trace { trouble, asked: 0, next: Some(now), events: Vec::new() };
            traces.users.insert(user, trace);
        }
    }
}

fn trouble(known: &KnownUser) -> Option<Trouble> {
    let deleted = match known.presence {
        Presence::Live => None,
        Presence::Deleted { since } => Some(since),
        Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => return None,
    };
    let lost = known.loss.as_ref().map(|loss| (loss.last_with, loss.noticed));
    (lost.is_some() || deleted.is_some()).then_some(Trouble { lost, deleted })
}

async fn question(graph: &Client, catalog: &Catalog, traces: &mut Traces, clock: &dyn Clock) {
    let due = due(traces, clock.now());
    let mut too_late = pin!(clock.deadline(WAIT));
    for (index, user) in due.into_iter().enumerate() {
        let Some(trace) = traces.users.get_mut(&user) else { continue };
        let (from, until) = window(&trace.trouble);
        let answer = pin!(entries(graph, user, (from, until), &mut traces.is_plain));
        let answer = match select(answer, too_late.as_mut()).await {
            Either::Left((answer, _)) => answer.map_err(|error| chain(&error)),
            // A slow log is no broken one: the next pass goes on.
            Either::Right(((), _)) if index > 0 => return,
            Either::Right(((), _)) => Err(format!("no answer in {} s", WAIT.as_secs())),
        };
        let now = clock.now();
        match answer {
            Ok(entries) => {
                note(trace, events(user, &trace.trouble, &entries, catalog), now);
                (traces.failure, traces.next_try) = (None, None);
            }
            Err(failure) => {
                (traces.failure, traces.next_try) = (Some(failure), Some(now + TRY_AGAIN));
                return;
            }
        }
    }
}

/// Those who wait for an answer, who were never asked about first, and the newest trouble of these.
fn due(traces: &Traces, now: Timestamp) -> Vec<UserId> {
    let mut due: Vec<(u8, std::cmp::Reverse<Timestamp>, UserId)> = traces
        .users
        .iter()
        .filter(|(_, trace)| trace.next.is_some_and(|next| next <= now))
        .map(|(user, trace)| (trace.asked, std::cmp::Reverse(window(&trace.trouble).1), *user))
        .collect();
    due.sort_unstable();
    due.into_iter().take(USERS_PER_PASS).map(|(_, _, user)| user).collect()
}

/// Where the events may lie: between our own observations, around the deletion, or anywhere before the first look.
fn window(trouble: &Trouble) -> (Timestamp, Timestamp) {
    let lost = trouble.lost.map(|(last_with, noticed)| (last_with.unwrap_or(noticed - RETENTION), noticed));
    let deleted = trouble.deleted.map(|since| (since, since));
    let both = lost.into_iter().chain(deleted);
    let (from, until) = both
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
        .expect("a trouble is a loss or a deletion");
    (from - SKEW, until + SKEW)
}

/// The newest entries about the user within the window. Some tenants refuse a filter on both user and time; then the
/// time is compared here.
async fn entries(
    graph: &Client,
    user: UserId,
    (from, until): (Timestamp, Timestamp),
    is_plain: &mut bool,
) -> Result<Vec<Audit>, Error> {
    let mut answer = match *is_plain {
        true => graph.directory_audits(user, None).await,
        false => graph.directory_audits(user, Some((from, until))).await,
    };
    if let Err(Error::Answer { answer: refusal, .. }) = &answer
        && refusal.status == 400
        && !*is_plain
    {
        answer = graph.directory_audits(user, None).await;
        *is_plain = answer.is_ok();
    }
    let mut entries = answer?;
    entries.retain(|entry| entry.has_succeeded && from <= entry.at && entry.at <= until);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    Ok(entries)
}

/// What of it speaks for the trouble: the newest that took a licence, or may have; and the newest deletion.
fn events(user: UserId, trouble: &Trouble, entries: &[Audit], catalog: &Catalog) -> Vec<AuditEvent> {
    let id = user.to_string();
    let mine = entries.iter().filter_map(|entry| {
        let target = entry.targets.iter().find(|target| target.id.eq_ignore_ascii_case(&id))?;
        let carrying =
            target.removed.iter().filter_map(|sku| catalog.get(*sku)).filter(|sku| sku.carries_mailbox());
        Some(AuditEvent {
            at: entry.at,
            activity: entry.activity.clone(),
            by: entry.by.clone(),
            removed: carrying.map(|sku| sku.part_number.clone()).collect(),
        })
    });
    let mine: Vec<AuditEvent> = mine.collect();
    let lost = trouble.lost.and_then(|(last_with, noticed)| {
        let is_within = |event: &&AuditEvent| event.at <= noticed + SKEW;
        let took = mine.iter().filter(is_within).find(|event| !event.removed.is_empty());
        // Anything may have happened in a month without an observation.
        let from = last_with.map(|last_with| last_with - SKEW);
        let is_between = |event: &&AuditEvent| from.is_some_and(|from| from <= event.at) && is_within(event);
        let named =
            |activity| mine.iter().filter(is_between).find(move |event: &&AuditEvent| event.is(activity));
        took.or_else(|| named(AuditEvent::LEAVE_GROUP)).or_else(|| named(AuditEvent::CHANGE_LICENSE))
    });
    let deleted = trouble.deleted.and_then(|since| {
        let is_near = |event: &&AuditEvent| since - SKEW <= event.at && event.at <= since + SKEW;
        mine.iter().filter(is_near).find(|event| event.is(AuditEvent::DELETE_USER))
    });
    lost.into_iter().chain(deleted).cloned().collect()
}

fn note(trace: &mut Trace, found: Vec<AuditEvent>, now: Timestamp) {
    let again = ASK_AGAIN.get(usize::from(trace.asked)).map(|after| now + *after);
    trace.asked = trace.asked.saturating_add(1);
    let expected = usize::from(trace.trouble.lost.is_some()) + usize::from(trace.trouble.deleted.is_some());
    trace.next = again.filter(|_| found.len() < expected);
    // The log forgets: what was found once stays.
    if found.len() >= trace.events.len() {
        trace.events = found;
    }
}

fn log_change(before: &Traces, after: &Traces) {
    match (&before.failure, &after.failure) {
        (None, Some(failure)) => tracing::warn!(
            failure,
            "the audit log cannot be read (AuditLog.Read.All), so nobody is told who took a licence"
        ),
        (Some(_), None) => tracing::info!("the audit log can be read again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}
