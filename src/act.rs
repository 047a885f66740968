//! Each step: make the intent durable, send, record the outcome. No `if` about policy is in here; what is sent was
//! decided by planning and checked before this is called.
//!
//! After an answer that does not say whether the request was applied, the state is read before anything is repeated;
//! and whatever the reason of a repeat, the user must still be as the step was decided on.

mod again;

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;
use crate::errors::chain;
use crate::graph::{Client, Refusal, WriteResult};
use crate::invariant::{InvariantId, holds};
use crate::model::{Action, Outcome, OutcomeKind, Plan, Reason, Step, Timestamp, UserId};
use crate::plan::pace;
use crate::store::journal::{Entry, Journal};
use crate::store::{self, Cause, TenantStore};

/// Reads after an unclear answer, with these pauses before each: one stale read must not cause a second request.
const READ_BACKS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Requests for one step within one pass: the first and two repeats after unclear answers that were read back.
const SENDS_PER_STEP: u32 = 3;

/// Steps that wait beside those under way, because Graph told them to come back later.
const WAITING: usize = 32;

/// Longest `Retry-After` that a step waits for; a longer one is left to the next pass.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits of one step within one pass.
const PATIENCE: u32 = 2;

/// What acting needs.
pub struct Hands<'a> {
    pub graph: &'a Client,
    pub store: &'a TenantStore,
    pub journal: &'a Journal,
    pub clock: &'a dyn Clock,
    /// Asked before each request: `Some` stops everything that has not been sent yet.
    pub stopped: &'a (dyn Fn() -> Option<Reason> + Send + Sync),
    /// Steps under way at a time, 1 to [`AT_ONCE`].
    pub at_once: usize,
}

/// One step and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub step: Step,
    pub outcome: Outcome,
    pub at: Timestamp,
}

/// Requests under way at a time. Microsoft allows 20 writes a second for each application and tenant; a request takes
/// some tenths of a second, so that eight together reach the quota, and a hold still stops nearly everything.
pub const AT_ONCE: usize = 8;

/// Sends the steps of a checked plan: begun in their order, a few under way at a time. Never fails: what could not be
/// sent is an outcome.
pub async fn act(plan: &Plan, hands: &Hands<'_>) -> Vec<Done> {
    let broken = OnceLock::new();
    let turns = Semaphore::new(hands.at_once);
    let mut sending = Vec::with_capacity(plan.steps.len());
    for (place, step) in plan.steps.iter().enumerate() {
        let taken = take_step(step, plan, hands, &broken, &turns);
        sending.push(async move { (place, taken.await) });
    }
    // One after the other means that nobody overtakes one that waits.
    let begun = if hands.at_once == 1 { 1 } else { hands.at_once + WAITING };
    let mut done: Vec<(usize, Done)> = stream::iter(sending).buffer_unordered(begun).collect().await;
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, done)| done).collect()
}

/// One step, unless acting was stopped or broke before its turn.
async fn take_step(
    step: &Step,
    plan: &Plan,
    hands: &Hands<'_>,
    broken: &OnceLock<String>,
    turns: &Semaphore,
) -> Done {
    // Turns are given in the order of asking, and that is the order of the plan.
    let turn = turns.acquire().await.ok();
    let stopped = (hands.stopped)().map(|reason| reason.sentence().to_owned());
    let outcome = match stopped.or_else(|| broken.get().cloned()) {
        Some(detail) => not_sent(detail),
        None => match intend(step, plan, hands) {
            Ok(()) => send(step, hands, turns, turn).await,
            Err(error) => not_sent(stop_all(&error, broken)),
        },
    };
    let at = hands.clock.now();
    // What is not recorded here is uncertain at the next start, and is read back.
    if broken.get().is_none()
        && let Err(error) = record(step, &outcome, at, hands)
    {
        stop_all(&error, broken);
    }
    Done { step: step.clone(), outcome, at }
}

/// After one write error neither store nor journal can be trusted: nothing more is sent.
fn stop_all(error: &store::Error, broken: &OnceLock<String>) -> String {
    let error = chain(error);
    tracing::error!(error, "the state cannot be written, no more steps are sent");
    broken.get_or_init(|| error).clone()
}

fn not_sent(detail: String) -> Outcome {
    Outcome { kind: OutcomeKind::NotSent, detail, request_id: None }
}

/// Makes the intent durable; without it nothing may be sent.
fn intend(step: &Step, plan: &Plan, hands: &Hands<'_>) -> Result<(), store::Error> {
    let sent = hands.clock.now();
    let expected_mailbox = hands.store.user(step.user)?.and_then(|known| known.mailbox.primary_id);
    let before = hands.journal.head().seq;
    let intent = Entry::Intent {
        step_id: step.id.clone(),
        user: step.user,
        upn: step.upn.clone(),
        action: step.action.clone(),
        drift: step.drift,
        rule: step.rule.clone(),
        policy_digest: plan.policy_digest.clone(),
        plan_digest: plan.digest.clone(),
        expected_mailbox: expected_mailbox.clone(),
    };
    let recorded = hands.journal.append(&intent, sent)?;
    let is_durable =
        holds(InvariantId::Safe3, recorded > before, || format!("no intent of step {}", step.id));
    if !is_durable {
        return Err(store::Error::Journal { source: Cause::new("an intent was not recorded") });
    }
    update(step.user, hands.store, |entry| entry.began(&step.id, &step.action, sent, expected_mailbox))
}

/// Records what came of the request, or that it was not sent after all.
fn record(step: &Step, outcome: &Outcome, at: Timestamp, hands: &Hands<'_>) -> Result<(), store::Error> {
    let entry = Entry::Outcome {
        step_id: step.id.clone(),
        user: step.user,
        kind: outcome.kind,
        detail: outcome.detail.clone(),
        request_id: outcome.request_id.clone(),
    };
    if outcome.kind == OutcomeKind::NotSent && !hands.journal.is_open(&step.id) {
        // Stopped before its turn: there is no intent to close.
        return Ok(());
    }
    hands.journal.append(&entry, at)?;
    close_attempt(step, outcome, at, hands.store)?;
    tracing::info!(
        user.id = %step.user,
        action.kind = step.action.label(),
        outcome = outcome.kind.label(),
        attempt = step.attempt,
        "step sent"
    );
    Ok(())
}

/// Sends, and after an unclear answer reads before sending again.
async fn send<'a>(
    step: &Step,
    hands: &Hands<'_>,
    turns: &'a Semaphore,
    mut turn: Option<SemaphorePermit<'a>>,
) -> Outcome {
    let (mut sends, mut refusals) = (1, 0);
    loop {
        let result = request(step, hands.graph).await;
        if let Some(delay) = asked_to_wait(&result).filter(|_| refusals < PATIENCE) {
            refusals += 1;
            // Others go ahead meanwhile.
            drop(turn.take());
            hands.clock.sleep(delay).await;
            turn = turns.acquire().await.ok();
            return match may_repeat(step, hands).await {
                Ok(()) => continue,
                Err(why) => told(result.into_outcome(), &why),
            };
        }
        let outcome = result.into_outcome();
        if outcome.kind != OutcomeKind::Uncertain {
            return outcome;
        }
        match read_back(step, hands).await {
            Some(true) => {
                let detail = format!("{}; a read shows that it was applied", outcome.detail);
                return Outcome { kind: OutcomeKind::Accepted, detail, ..outcome };
            }
            Some(false) if sends < SENDS_PER_STEP => match may_repeat(step, hands).await {
                Ok(()) => sends += 1,
                Err(why) => return told(outcome, &why),
            },
            Some(false) | None => return outcome,
        }
    }
}

/// Asked before each repeat; `Err` says why the next pass decides instead.
async fn may_repeat(step: &Step, hands: &Hands<'_>) -> Result<(), String> {
    let stopped = || (hands.stopped)().map_or(Ok(()), |reason| Err(reason.sentence().to_owned()));
    stopped()?;
    if !again::is_as_decided(step.user, hands.graph, hands.store).await {
        return Err("not repeated: the account is not known to be as it was when this was decided".to_owned());
    }
    stopped()
}

fn told(outcome: Outcome, why: &str) -> Outcome {
    Outcome { detail: format!("{}; {why}", outcome.detail), ..outcome }
}

/// The delay after which a request that was refused for going too fast may be repeated within this pass.
fn asked_to_wait(result: &WriteResult) -> Option<Duration> {
    let is_throttled = result.refusal == Some(Refusal::Throttled);
    result.retry_after.filter(|delay| is_throttled && *delay <= LONGEST_WAIT)
}

async fn request(step: &Step, graph: &Client) -> WriteResult {
    match &step.action {
        Action::AssignLicense { sku, disabled_plans, .. } => {
            graph.assign_license(step.user, *sku, disabled_plans).await
        }
        Action::ReprocessLicenses { .. } => graph.reprocess_licenses(step.user).await,
        Action::AddToGroup { group } => graph.add_group_member(*group, step.user).await,
        Action::SetUsageLocation { location } => graph.set_usage_location(step.user, location).await,
        Action::Restore(options) => graph.restore(step.user, options).await,
    }
}

/// Whether the effect can be read; `None` when no read was answered.
async fn read_back(step: &Step, hands: &Hands<'_>) -> Option<bool> {
    let mut seen = None;
    for pause in READ_BACKS {
        hands.clock.sleep(pause).await;
        seen = has_effect(step, hands.graph).await.or(seen);
        if seen == Some(true) {
            return seen;
        }
    }
    seen
}

async fn has_effect(step: &Step, graph: &Client) -> Option<bool> {
    let user = match graph.user(step.user).await {
        Ok(user) => user.transpose().ok()?,
        Err(error) => {
            tracing::debug!(%error, user.id = %step.user, "read after an unclear answer failed");
            return None;
        }
    };
    Some(match &step.action {
        Action::Restore(_) => user.is_some(),
        Action::AssignLicense { sku, disabled_plans, .. } => user.is_some_and(|user| {
            user.license(*sku).is_some_and(|license| license.disabled_plans.is_subset(disabled_plans))
        }),
        Action::ReprocessLicenses { sku, .. } => user.is_some_and(|user| user.license(*sku).is_some()),
        Action::SetUsageLocation { location } => {
            user.is_some_and(|user| user.usage_location.as_deref() == Some(location.as_str()))
        }
        // Membership is not part of the user; the next observation tells.
        Action::AddToGroup { .. } => return None,
    })
}

fn close_attempt(
    step: &Step,
    outcome: &Outcome,
    now: Timestamp,
    store: &TenantStore,
) -> Result<(), store::Error> {
    update(step.user, store, |entry| {
        entry.answered(outcome, |failures| pace::again(outcome.kind, failures, step.act_by, now));
    })
}

fn update(
    user: UserId,
    store: &TenantStore,
    change: impl FnOnce(&mut crate::model::LedgerEntry),
) -> Result<(), store::Error> {
    let Some(mut entry) = store.ledger(user)? else { return Ok(()) };
    change(&mut entry);
    store.put_ledger(user, &entry)
}
