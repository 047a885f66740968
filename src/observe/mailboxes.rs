//! Questions to Exchange: of what kind a mailbox is, and which one. Asked once for each kept mailbox, and again
//! only on suspicion: one request a user is too much for every pass.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};

use crate::clock::Clock;
use crate::graph::Client;
use crate::model::{
    DriftKind, Entitlement, KnownUser, Loss, MAILBOX_SETTLE, MailboxKind, Presence, Probe, ProbeAnswer,
    Problem, ProblemKind, RecordedMailbox, Span, Timestamp, UserId, UserType,
};
use crate::policy::{Policy, Ruling};
use crate::store::records::{Cursor, Identities, Probing, Tally};
use crate::store::{self, TenantStore};

use super::{Observed, Reach};

/// Mailboxes asked for in one pass; the rest follow in the next ones, the most telling first.
const PROBES_PER_PASS: usize = 5_000;

/// Time that a pass gives to these questions, whatever is still under way then: a slow Exchange never keeps licences
/// waiting.
const PROBE_TIME: Duration = Duration::from_secs(20);

/// A shared mailbox without a licence is lost when it turns into one of a user: attributes from on premises do that
/// (Microsoft: "Convert a user mailbox to a shared mailbox").
const ASK_KIND_AGAIN: Span = Span::from_hours(24);

/// Answers that are written together.
const REMEMBERED_AT_ONCE: usize = 64;

/// A licensed user whose mailbox did not answer is asked again after this; it may still be in the making.
const ASK_AGAIN: Span = Span::from_hours(1);

/// A question that was not answered goes out again after this, and not in every pass: some mailboxes never answer.
/// Where a proof waits for it, it does.
const ASK_UNANSWERED_AGAIN: Span = Span::from_minutes(5);

/// An answer that could not be read will not be readable a minute later.
const ASK_UNREADABLE_AGAIN: Span = Span::from_hours(24);

/// Without its identity a mailbox cannot be recognised after a repair; where it is never to be had, asking once a day
/// is cheap enough.
const ASK_IDENTITY_AGAIN: Span = Span::from_hours(24);

/// How much an answer would tell; the order of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// A repair waits for its proof: one of ours, or of others. Or nobody looked for long.
    Proof,
    /// Without a licence: is it a shared mailbox?
    Kind,
    /// Healthy: which mailbox is it, so that it can be recognised later?
    Identity,
}

/// What the answers brought.
#[derive(Debug, Default)]
pub struct Learned {
    /// Identities that were recorded now: they belong into the journal, and until they are there [`Identities`] does
    /// not say so.
    pub recorded: Vec<RecordedMailbox>,
    /// Licensed users whose mailbox became another one while nobody looked, see [`Probing::doubted_before`].
    pub replaced: BTreeSet<UserId>,
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
) -> Result<Learned, store::Error> {
    let mut learned = Learned::default();
    let cursor = store.get_or_default::<Cursor>()?;
    let now = clock.now();
    let repairs = Repairs::of(store)?;
    let Wanted { users, mut probing } = wanted(store, policy, observed, &repairs, &cursor.probes, now)?;
    if !users.is_empty() {
        // An answer changes what a user is counted as.
        store.remove::<Tally>()?;
        store.put(&Identities { are_journalled: false })?;
    }
    let (mut asked, mut unreadable) = (0_usize, 0_usize);
    let mut answers = BTreeMap::new();
    let mut arriving = graph.probe_mailboxes(users);
    let mut too_late = pin!(clock.deadline(PROBE_TIME));
    loop {
        let next = match select(arriving.next(), too_late.as_mut()).await {
            Either::Left((next, _)) => next,
            Either::Right(((), _)) => {
                probing.is_behind = true;
                None
            }
        };
        let Some((user, answer)) = next else { break };
        asked += 1;
        match answer {
            Ok(answer) => {
                unreadable += usize::from(answer == ProbeAnswer::Unreadable);
                answers.insert(user, Probe { at: clock.now(), answer });
            }
            Err(error) => {
                unreadable += 1;
                probing.ask_at(clock.now() + ASK_UNANSWERED_AGAIN);
                tracing::debug!(%error, user.id = %user, "a mailbox could not be asked about");
            }
        }
        if answers.len() >= REMEMBERED_AT_ONCE {
            let some = std::mem::take(&mut answers);
            remember(store, observed, some, &repairs, &mut probing, &mut learned)?;
        }
    }
    remember(store, observed, answers, &repairs, &mut probing, &mut learned)?;
    if asked > 0 && asked == unreadable {
        let detail = format!("none of {asked} mailboxes could be read: MailboxSettings.Read may be missing");
        observed.observation.problems.push(Problem { kind: ProblemKind::MailboxUnreadable, detail });
    }
    if probing != cursor.probes {
        let cursor = store.get_or_default::<Cursor>()?;
        store.put(&Cursor { probes: probing, ..cursor })?;
    }
    Ok(learned)
}

/// Repairs whose proof is awaited.
#[derive(Default)]
struct Repairs {
    /// Those of ours since they were sent, those of others since they showed.
    awaited: BTreeMap<UserId, Timestamp>,
    /// Who was not live at the last observation: who is now, was restored since, by whomever.
    away: BTreeSet<UserId>,
}

impl Repairs {
    fn of(store: &TenantStore) -> Result<Self, store::Error> {
        let mut repairs = Self::default();
        for entry in store.open_ledger() {
            let (user, entry) = entry?;
            if let Some(since) = entry.pending.as_ref().map(|pending| pending.sent).max(entry.healed) {
                repairs.awaited.insert(user, since);
            }
            let was_live = match entry.drift {
                DriftKind::Unlicensed => true,
                DriftKind::Deleted | DriftKind::UnlicensedAndDeleted | DriftKind::Gone => false,
            };
            if entry.resolved.is_none() && !was_live {
                repairs.away.insert(user);
            }
        }
        Ok(repairs)
    }

    /// Exchange takes up a restored account within minutes to hours; until then its silence says nothing.
    /// `observed`: the start of the observation, by which verification, too, tells when it has waited long enough.
    fn is_fresh(&self, user: UserId, observed: Timestamp) -> bool {
        let is_awaited = |since: &Timestamp| observed - *since < MAILBOX_SETTLE;
        self.away.contains(&user) || self.awaited.get(&user).is_some_and(is_awaited)
    }
}

/// Who is to be asked about, the most telling first.
struct Wanted {
    users: Vec<UserId>,
    /// What is left for later passes.
    probing: Probing,
}

/// Chooses among everybody after a full listing, while earlier passes left some out, and when an answer is due
/// again; else among those whose record changed and those who wait for a proof.
fn wanted(
    store: &TenantStore,
    policy: &Policy,
    observed: &Observed,
    repairs: &Repairs,
    before: &Probing,
    now: Timestamp,
) -> Result<Wanted, store::Error> {
    let is_due = before.is_behind || before.next_at.is_some_and(|next| next <= now);
    let probing = Probing { doubted_before: before.doubted_before, ..Probing::default() };
    let wanted = BTreeSet::new();
    let mut choice = Choice { repairs, policy, observed, now, wanted, probing };
    let mut is_behind = false;
    match &observed.reach {
        Reach::These(changed) if !is_due => {
            choice.probing.next_at = before.next_at;
            let users = changed.keys().chain(repairs.awaited.keys()).copied().collect();
            store.visit_users(&users, |_, known| {
                if let Some(known) = known {
                    is_behind |= choice.consider(&known);
                }
            })?;
        }
        Reach::These(_) | Reach::Everyone => {
            store.for_each_user(|known| is_behind |= choice.consider(&known))?;
        }
    }
    let probing = Probing { is_behind, ..choice.probing };
    Ok(Wanted { users: choice.wanted.into_iter().map(|(_, _, user)| user).collect(), probing })
}

/// The most telling questions so far; bounded.
struct Choice<'a> {
    repairs: &'a Repairs,
    policy: &'a Policy,
    observed: &'a Observed,
    now: Timestamp,
    /// Those of one urgency in another order each time: what is left over today must not be left over for ever.
    wanted: BTreeSet<(Urgency, u64, UserId)>,
    probing: Probing,
}

impl Choice<'_> {
    /// True when a question had to be left out.
    fn consider(&mut self, known: &KnownUser) -> bool {
        let is_pending = self.repairs.awaited.contains_key(&known.id());
        let urgency = match is_pending {
            true => (known.presence == Presence::Live).then_some(Urgency::Proof),
            false => urgency(known, self.policy, self.observed, &self.probing),
        };
        let Some(urgency) = urgency else { return false };
        let again = if is_pending { Again::Now } else { again_at(known) };
        match again {
            Again::Never => return false,
            Again::At(at) if at > self.now => {
                self.probing.ask_at(at);
                return false;
            }
            Again::At(_) | Again::Now => {}
        }
        self.wanted.insert((urgency, self.lot(known.id()), known.id()));
        self.wanted.len() > PROBES_PER_PASS && self.wanted.pop_last().is_some()
    }

    fn lot(&self, user: UserId) -> u64 {
        let mut lot = DefaultHasher::new();
        (user, self.now.as_millis()).hash(&mut lot);
        lot.finish()
    }
}

fn urgency(known: &KnownUser, policy: &Policy, observed: &Observed, probing: &Probing) -> Option<Urgency> {
    if known.presence != Presence::Live || known.user.user_type == UserType::Guest {
        return None;
    }
    let is_ours = || matches!(policy.ruling(known), Ruling::Keep(_) | Ruling::Undetermined { .. });
    if is_suspicious(known) {
        return is_ours().then_some(Urgency::Kind);
    }
    let is_licensed = Entitlement::of(&known.user, &observed.catalog).is_licensed();
    let is_asked = known.mailbox.last_probe.is_some();
    if is_licensed && is_doubted(known, probing) {
        return is_ours().then_some(Urgency::Proof);
    }
    let urgency = match (&known.mailbox.kind, &known.mailbox.primary_id) {
        (Some(kind), Some(_)) if is_asked && (is_licensed || kind.needs_license()) => return None,
        // It may have been converted: a shared mailbox since the last answer, or any since the journal told of it.
        (Some(_), Some(_)) if !is_licensed => Urgency::Kind,
        // A mailbox without a licence has at least an address.
        (None, _) if !is_licensed && known.user.mail.is_none() => return None,
        (None, _) if !is_licensed => Urgency::Kind,
        (None, _) | (Some(_), None | Some(_)) => Urgency::Identity,
    };
    // A shared mailbox may only become ours by the answer, so everybody with an address is asked about once.
    (urgency == Urgency::Kind && policy.needs_mailbox_kind() || is_ours()).then_some(urgency)
}

/// A licence that went since the mailbox was last asked about may have gone on purpose: a mailbox that was converted
/// to a shared one needs none.
fn is_suspicious(known: &KnownUser) -> bool {
    let asked = known.mailbox.last_probe.as_ref().map(|probe| probe.at);
    known.loss.as_ref().is_some_and(|loss| asked.is_some_and(|asked| asked < loss.noticed))
}

/// When a mailbox that was asked about before is worth another question.
enum Again {
    Now,
    At(Timestamp),
    Never,
}

fn again_at(known: &KnownUser) -> Again {
    let Some(probe) = &known.mailbox.last_probe else { return Again::Now };
    if is_suspicious(known) {
        return Again::Now;
    }
    if known.loss.is_some() && known.mailbox.kind.as_ref().is_some_and(|kind| !kind.needs_license()) {
        return Again::At(probe.at + ASK_KIND_AGAIN);
    }
    match probe.answer {
        // Its identity was not to be had: not in this cloud, or not from a replica that lagged behind.
        ProbeAnswer::Reachable { primary_id: None, .. } => Again::At(probe.at + ASK_IDENTITY_AGAIN),
        ProbeAnswer::Reachable { primary_id: Some(_), ref kind } if kind.needs_license() => Again::Now,
        ProbeAnswer::Reachable { primary_id: Some(_), .. } => Again::At(probe.at + ASK_KIND_AGAIN),
        ProbeAnswer::NoMailbox if known.loss.is_some() || known.remembered.is_none() => Again::Never,
        ProbeAnswer::NoMailbox => Again::At(probe.at + ASK_AGAIN),
        ProbeAnswer::Unreadable => Again::At(probe.at + ASK_UNREADABLE_AGAIN),
    }
}

fn remember(
    store: &TenantStore,
    observed: &mut Observed,
    mut answers: BTreeMap<UserId, Probe>,
    repairs: &Repairs,
    probing: &mut Probing,
    learned: &mut Learned,
) -> Result<(), store::Error> {
    let users: BTreeSet<UserId> = answers.keys().copied().collect();
    let Observed { catalog, reach, observation, .. } = observed;
    store.update_users(&users, |user, before| {
        let mut known = before.clone()?;
        let is_awaited = repairs.awaited.contains_key(&user);
        if let Some(probe) = answers.remove(&user) {
            let is_licensed = Entitlement::of(&known.user, catalog).is_licensed();
            let is_fresh = repairs.is_fresh(user, observation.started);
            note(&mut known, probe, is_licensed, is_fresh);
            let is_new = before.as_ref().is_some_and(|before| before.mailbox.primary_id.is_none());
            learned.recorded.extend(RecordedMailbox::of(&known).filter(|_| is_new));
            let was_doubted = before.as_ref().is_some_and(|before| is_doubted(before, probing));
            if was_doubted && is_licensed && !is_awaited && is_another(&known) {
                learned.replaced.insert(user);
            }
        }
        // Whose proof is awaited is asked about in every pass anyway.
        if let (Again::At(at), false) = (again_at(&known), is_awaited) {
            probing.ask_at(at);
        }
        reach.note(user, &before);
        Some(known)
    })
}

/// The kind is what was last read; the identity is recorded once, while the mailbox is healthy, and is not
/// overwritten by another one: comparing the two is the proof of a recovery. While a repair is fresh, a mailbox without
/// a licence is not held to its silence: what Exchange said before stands, and a clock would count from then.
fn note(known: &mut KnownUser, probe: Probe, is_licensed: bool, is_fresh: bool) {
    if !is_licensed && known.mailbox.kind.as_ref().is_some_and(|kind| !kind.needs_license()) {
        if is_fresh && probe.answer == ProbeAnswer::NoMailbox {
            return;
        }
        known.loss = turned(known, &probe);
    }
    if let ProbeAnswer::Reachable { kind, primary_id } = &probe.answer {
        if !kind.needs_license() {
            known.loss = None;
        }
        let is_healthy = is_licensed || !kind.needs_license();
        // A mailbox that turned stays what its rule knew it as, until it is licensed or turns back.
        if is_healthy || known.mailbox.kind.as_ref().is_none_or(MailboxKind::needs_license) {
            known.mailbox.kind = Some(kind.clone());
        }
        if is_healthy && known.mailbox.primary_id.is_none() {
            known.mailbox.primary_id.clone_from(primary_id);
        }
    }
    known.mailbox.last_probe = Some(probe);
}

/// The mailbox was recorded, and whether it is still the same is not known.
fn is_doubted(known: &KnownUser, probing: &Probing) -> bool {
    let asked = known.mailbox.last_probe.as_ref().map(|probe| probe.at);
    known.mailbox.primary_id.is_some() && asked.is_some() && asked < probing.doubted_before
}

/// The mailbox that answered last is not the one that was recorded.
fn is_another(known: &KnownUser) -> bool {
    let Some(Probe { answer: ProbeAnswer::Reachable { primary_id: Some(found), .. }, .. }) =
        &known.mailbox.last_probe
    else {
        return false;
    };
    known.mailbox.primary_id.as_ref().is_some_and(|recorded| recorded != found)
}

/// The loss of a mailbox that needed no licence when it last answered, has none, and now needs one or does not answer.
fn turned(known: &KnownUser, probe: &Probe) -> Option<Loss> {
    let has_turned = match &probe.answer {
        ProbeAnswer::Reachable { kind, .. } => kind.needs_license(),
        ProbeAnswer::NoMailbox => true,
        ProbeAnswer::Unreadable => return known.loss.clone(),
    };
    let is_news = has_turned && known.loss.is_none();
    if is_news {
        tracing::error!(user.id = %known.id(), "a mailbox without a licence turned into one that needs a licence");
    }
    let answered =
        known.mailbox.last_probe.as_ref().filter(|before| before.answer != ProbeAnswer::Unreadable);
    let begun = || Loss {
        last_with: answered.map(|before| before.at),
        noticed: probe.at,
        hint: None,
        had_mailbox_plan: true,
    };
    has_turned.then(|| known.loss.clone().unwrap_or_else(begun))
}
