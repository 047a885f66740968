//! Questions to Exchange: of what kind a mailbox is, and which one. Asked once for each kept mailbox, and again only on
//! suspicion: one request a user is too much for every pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Clock;
use crate::graph::Client;
use crate::model::{
    Entitlement, KnownUser, Presence, Probe, ProbeAnswer, Problem, ProblemKind, Span, Timestamp, UserId,
    UserType,
};
use crate::policy::{Policy, Ruling};
use crate::store::{self, TenantStore};

use super::Observed;

/// Mailboxes asked for in one pass; the rest follow in the next ones, the most telling first.
const PROBES_PER_PASS: usize = 5_000;

/// Time that a pass gives to these questions, so that a slow Exchange never keeps licences waiting.
const PROBE_TIME: Duration = Duration::from_secs(20);

/// Users asked about between two looks at the clock.
const PROBES_AT_ONCE: usize = 64;

/// A licensed user whose mailbox did not answer is asked again after this; it may still be in the making.
const ASK_AGAIN: Span = Span::from_hours(1);

/// An answer that could not be read will not be readable a minute later.
const ASK_UNREADABLE_AGAIN: Span = Span::from_hours(24);

/// Without its identity a mailbox cannot be recognised after a repair; where it is never to be had, asking once a day
/// is cheap enough.
const ASK_IDENTITY_AGAIN: Span = Span::from_hours(24);

/// How much an answer would tell; the order of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// A repair of ours waits for its proof.
    Proof,
    /// Without a licence: is it a shared mailbox?
    Kind,
    /// Healthy: which mailbox is it, so that it can be recognised later?
    Identity,
}

/// Asks for what is missing and remembers the answers.
///
/// # Errors
/// Only of the store. Unanswered questions stay open; if nothing could be read at all, that is a problem of the
/// observation.
pub async fn mailboxes(
    graph: &Client,
    store: &TenantStore,
    policy: &Policy,
    observed: &mut Observed,
    clock: &dyn Clock,
) -> Result<(), store::Error> {
    let wanted = wanted(store, policy, observed, clock.now())?;
    let begun = clock.monotonic();
    let (mut asked, mut unreadable) = (0_usize, 0_usize);
    for users in wanted.chunks(PROBES_AT_ONCE) {
        if clock.monotonic().saturating_sub(begun) > PROBE_TIME {
            tracing::debug!(
                asked,
                wanted = wanted.len(),
                "the other mailboxes are asked about in the next pass"
            );
            break;
        }
        let mut answers = BTreeMap::new();
        for (user, answer) in graph.probe_mailboxes(users).await {
            asked += 1;
            match answer {
                Ok(answer) => {
                    unreadable += usize::from(answer == ProbeAnswer::Unreadable);
                    answers.insert(user, Probe { at: clock.now(), answer });
                }
                Err(error) => {
                    unreadable += 1;
                    tracing::debug!(%error, user.id = %user, "a mailbox could not be asked about");
                }
            }
        }
        remember(store, observed, answers)?;
    }
    if asked > 0 && asked == unreadable {
        let detail = format!("none of {asked} mailboxes could be read: MailboxSettings.Read may be missing");
        observed.observation.problems.push(Problem { kind: ProblemKind::MailboxUnreadable, detail });
    }
    Ok(())
}

/// Who is to be asked about, the most telling first; bounded.
fn wanted(
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    now: Timestamp,
) -> Result<Vec<UserId>, store::Error> {
    let mut pending = BTreeSet::new();
    for entry in store.open_ledger() {
        let (user, entry) = entry?;
        if entry.pending.is_some() {
            pending.insert(user);
        }
    }
    let mut wanted: BTreeSet<(Urgency, UserId)> = BTreeSet::new();
    store.for_each_user(|known| {
        let urgency = match pending.contains(&known.id()) {
            true => (known.presence == Presence::Live).then_some(Urgency::Proof),
            false => urgency(&known, policy, observed, now),
        };
        if let Some(urgency) = urgency {
            wanted.insert((urgency, known.id()));
            if wanted.len() > PROBES_PER_PASS {
                wanted.pop_last();
            }
        }
    })?;
    Ok(wanted.into_iter().map(|(_, user)| user).collect())
}

fn urgency(known: &KnownUser, policy: &Policy, observed: &Observed, now: Timestamp) -> Option<Urgency> {
    let is_guest = known.user.user_type == UserType::Guest;
    if known.presence != Presence::Live || is_guest || is_too_early(known, now) {
        return None;
    }
    let is_ours = || matches!(policy.ruling(known), Ruling::Keep(_) | Ruling::Undetermined { .. });
    let is_licensed = Entitlement::of(&known.user, &observed.catalog).is_licensed();
    let urgency = match (&known.mailbox.kind, &known.mailbox.primary_id) {
        (Some(_), Some(_)) => return None,
        (Some(_), None) if answered_without_identity(known, now) => return None,
        // A mailbox without a licence has at least an address.
        (None, _) if !is_licensed && known.user.mail.is_none() => return None,
        (None, _) if !is_licensed => Urgency::Kind,
        (None, _) | (Some(_), None) => Urgency::Identity,
    };
    // A shared mailbox may only become ours by the answer, so everybody with an address is asked about once.
    (urgency == Urgency::Kind && policy.needs_mailbox_kind() || is_ours()).then_some(urgency)
}

/// The mailbox answered a short while ago, and its identity was not to be had: not in this cloud, or not from a
/// replica that lagged behind.
fn answered_without_identity(known: &KnownUser, now: Timestamp) -> bool {
    let Some(probe) = &known.mailbox.last_probe else { return false };
    matches!(probe.answer, ProbeAnswer::Reachable { primary_id: None, .. })
        && probe.at + ASK_IDENTITY_AGAIN > now
}

fn is_too_early(known: &KnownUser, now: Timestamp) -> bool {
    let Some(probe) = &known.mailbox.last_probe else { return false };
    match probe.answer {
        ProbeAnswer::Reachable { .. } => false,
        ProbeAnswer::NoMailbox if known.loss.is_some() || known.remembered.is_none() => true,
        ProbeAnswer::NoMailbox => probe.at + ASK_AGAIN > now,
        ProbeAnswer::Unreadable => probe.at + ASK_UNREADABLE_AGAIN > now,
    }
}

fn remember(
    store: &TenantStore,
    observed: &Observed,
    mut answers: BTreeMap<UserId, Probe>,
) -> Result<(), store::Error> {
    let users: BTreeSet<UserId> = answers.keys().copied().collect();
    store.update_users(&users, |user, known| {
        let mut known = known?;
        if let Some(probe) = answers.remove(&user) {
            let is_healthy = Entitlement::of(&known.user, &observed.catalog).is_licensed();
            note(&mut known, probe, is_healthy);
        }
        Some(known)
    })
}

/// The kind is what was last read; the identity is recorded once, while the mailbox is healthy, and is not
/// overwritten by another one: comparing the two is the proof of a recovery.
fn note(known: &mut KnownUser, probe: Probe, is_licensed: bool) {
    if let ProbeAnswer::Reachable { kind, primary_id } = &probe.answer {
        let is_healthy = is_licensed || !kind.needs_license();
        known.mailbox.kind = Some(kind.clone());
        if is_healthy && known.mailbox.primary_id.is_none() {
            known.mailbox.primary_id.clone_from(primary_id);
        }
    }
    known.mailbox.last_probe = Some(probe);
}
