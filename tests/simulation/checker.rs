//! Judges every pass by what the tenant received and what the generator knows. Uses nothing of the product's
//! planning: its own model of the policy, the writes as they arrived, and the journal as it lay on the disk when they
//! left.

use std::collections::{BTreeMap, BTreeSet};

use mailkeeper::model::{Span, Timestamp, UserId};
use mailkeeper::report::status::{PassOutcome, TenantView};
use mailkeeper::sim::licensing::MAILBOX_PLANS;
use mailkeeper::sim::tenant::Tenant;
use mailkeeper::sim::truth::MailboxState;
use serde_json::Value;

use super::people::{People, Person};
use super::request::{Kind, Seen};
use super::shape::{BESIDE, Shape, Standing, reserved};
use super::wire::{Sent, Wire};
use super::world::OLDEST_REPLICA;

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub promise: String,
    pub detail: String,
}

pub fn broken(promise: &str, detail: impl Into<String>) -> Broken {
    Broken { promise: promise.to_owned(), detail: detail.into() }
}

type Check = Result<(), Broken>;

/// Fails with `promise` unless it holds.
fn demand(promise: &str, holds: bool, detail: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(broken(promise, detail())) }
}

/// One pass, as the harness made it.
pub struct Pass<'a> {
    pub number: u32,
    /// By the tenant's clock.
    pub began: Timestamp,
    pub ended: Timestamp,
    /// How far the daemon's clock is off.
    pub clock_off: Span,
    /// The daemon was told to act, in its settings and for this pass.
    pub may_act: bool,
    /// Who was at risk when it began, and since when.
    pub at_risk: &'a BTreeMap<UserId, Timestamp>,
    /// Durable lines of the journal when it began.
    pub lines_before: usize,
    /// `None` when the process died.
    pub view: Option<&'a TenantView>,
}

impl Pass<'_> {
    /// The product says that it saw everything.
    fn is_believed(&self) -> bool {
        self.view
            .and_then(|view| view.last_pass.as_ref())
            .is_some_and(|pass| pass.outcome == PassOutcome::Done)
    }
}

/// What everything is judged by.
pub struct Ground<'a> {
    pub shape: &'a Shape,
    pub people: &'a People,
    pub tenant: &'a Tenant,
    pub wire: &'a Wire,
}

/// The big red button, as the harness pressed it.
#[derive(Debug, Clone, Copy)]
pub struct Pressed {
    /// Durable lines of the journal at that moment.
    pub line: usize,
    /// By the daemon's clock.
    pub until: Option<Timestamp>,
}

/// What the checker remembers from pass to pass.
#[derive(Default)]
pub struct Checker {
    pub pressed: Option<Pressed>,
    /// Users of mass events that a person approved.
    pub approved: BTreeSet<UserId>,
    /// When people last did something to a user.
    pub touched: BTreeMap<UserId, Timestamp>,
    /// An administrator took a permission away, and did not give it back yet.
    pub lacks_permission: bool,
    /// Mailboxes that took the place of lost ones, as the product said itself: it judges by them from then on.
    replaced: BTreeMap<UserId, uuid::Uuid>,
    believed: Vec<(Timestamp, Timestamp)>,
    /// Since when a user's drift stands, as far as somebody who only sees passes can know.
    drifting: BTreeMap<UserId, Timestamp>,
    passes: Vec<Timestamp>,
    warned: BTreeMap<UserId, Timestamp>,
    kept_most: usize,
    lost_seen: usize,
    denied_seen: u64,
}

/// After an accepted request nothing is sent again for this long, unless somebody undid it.
const QUIET: Span = Span::from_minutes(15);

/// A pass takes minutes, and a replica lags: what is told in minutes is judged with this tolerance.
const TOLERANCE: Span = Span::from_minutes(15);

/// What the daemon tolerates as a difference of clocks, and a little: `Date` tells whole seconds.
const SKEW_TOLERATED: Span = Span::from_minutes(6);

impl Checker {
    /// Judges one pass, also one that a crash cut short.
    pub fn after_pass(&mut self, pass: &Pass<'_>, ground: &Ground<'_>) -> Check {
        let writes = ground.wire.writes();
        self.passes.push(pass.ended);
        self.kept_most = self.kept_most.max(ground.people.kept());
        for sent in writes.iter().filter(|sent| sent.pass == pass.number) {
            only_what_is_allowed(sent, ground)?;
            only_for_the_kept(sent, pass, ground)?;
            covered_by_an_intent(sent)?;
            after_a_whole_observation(sent, pass)?;
            self.while_allowed(sent, pass)?;
            self.settled(sent, ground, pass)?;
            self.not_repeated(sent, &writes)?;
        }
        self.within_limits(pass, &writes, ground)?;
        within_seats(pass, &writes, ground)?;
        rejected_means_nothing(pass, &writes, ground)?;
        self.verdicts(pass, &writes, ground)?;
        self.remember(pass, ground);
        self.everybody_at_risk_is_shown(pass, ground)?;
        self.nobody_lost_unwarned(ground)?;
        self.nothing_beyond_the_permissions(ground)
    }

    /// The least permissions are enough: nothing is asked for that they do not cover.
    fn nothing_beyond_the_permissions(&mut self, ground: &Ground<'_>) -> Check {
        let denied = ground.tenant.counters().denied;
        let before = std::mem::replace(&mut self.denied_seen, denied);
        demand("PERMISSIONS", self.lacks_permission || denied == before, || {
            format!("{} requests were denied for want of a permission", denied - before)
        })
    }

    /// SAFE-6.
    fn while_allowed(&self, sent: &Sent, pass: &Pass<'_>) -> Check {
        demand("SAFE-6", pass.may_act, || format!("{} was sent by a pass that may not act", sent.path))?;
        let Some(pressed) = self.pressed else { return Ok(()) };
        let is_over = pressed.until.is_some_and(|until| until <= sent.local);
        let is_older = sent.cover.as_ref().is_some_and(|cover| cover.line < pressed.line);
        demand("SAFE-6", is_over || is_older, || format!("{} was begun while held", sent.path))
    }

    /// A drift stands for the rule's time, and in two observations, before anything is sent for it.
    fn settled(&self, sent: &Sent, ground: &Ground<'_>, pass: &Pass<'_>) -> Check {
        let Some(person) = sent.user.and_then(|user| ground.people.get(user)) else { return Ok(()) };
        let Standing::Kept(rule) = person.standing() else { return Ok(()) };
        let seen_before = self.drifting.get(&person.id).or(pass.at_risk.get(&person.id)).copied();
        let since = seen_before.or(person.at_risk_since).unwrap_or(pass.ended);
        let stood = sent.at - since;
        let settle = ground.shape.rule(rule).settle;
        let is_urgent = since + ground.shape.retention < sent.at + Span::from_days(3);
        demand("SETTLE", since + settle <= sent.at + TOLERANCE || is_urgent, || {
            format!("{} was sent after {stood}, the rule says {settle}", sent.path)
        })?;
        let sightings = self.passes.iter().filter(|ended| **ended >= since).count();
        demand("CONFIRM", sightings >= 2, || format!("{} was sent at first sight", sent.path))
    }

    /// Nothing accepted is sent again while it works; an intent is re-issued at most once.
    fn not_repeated(&self, sent: &Sent, writes: &[Sent]) -> Check {
        let same = |other: &&Sent| {
            other.user == sent.user
                && other.kind == sent.kind
                && !std::ptr::eq(*other, sent)
                && other.at <= sent.at
        };
        let position = writes.iter().position(|other| std::ptr::eq(other, sent)).unwrap_or(0);
        let touched = sent.user.and_then(|user| self.touched.get(&user)).copied();
        for earlier in writes[..position].iter().filter(same) {
            let is_known = earlier.seen == Seen::Accepted && sent.at - earlier.at < QUIET;
            let is_undone = touched.is_some_and(|touched| touched >= earlier.at);
            demand("REPEAT", !is_known || is_undone, || {
                format!("{} was accepted at {} and sent again at {}", sent.path, earlier.at, sent.at)
            })?;
        }
        let line = sent.cover.as_ref().map(|cover| cover.line);
        let of_intent =
            |other: &&Sent| other.cover.as_ref().map(|cover| cover.line) == line && other.is_applied;
        let applied = writes[..=position].iter().filter(of_intent).count();
        demand("REPEAT", applied <= 2, || format!("{} was applied {applied} times for one intent", sent.path))
    }

    /// SAFE-2.
    fn within_limits(&self, pass: &Pass<'_>, writes: &[Sent], ground: &Ground<'_>) -> Check {
        let limits = &ground.shape.limits;
        let within = |from: Timestamp, to: Timestamp| {
            writes.iter().filter(move |sent| sent.local > from && sent.local <= to)
        };
        let in_pass: BTreeSet<_> = writes
            .iter()
            .filter(|sent| sent.pass == pass.number)
            .filter_map(|sent| sent.cover.as_ref().map(|cover| cover.line))
            .collect();
        demand("SAFE-2", in_pass.len() <= limits.per_pass, || {
            format!("{} steps in a pass, the limit is {}", in_pass.len(), limits.per_pass)
        })?;
        let share = self.kept_most * limits.share_percent / 100;
        let most = share.max(limits.floor);
        for sent in writes.iter().filter(|sent| sent.pass == pass.number) {
            let day = sent.local - Span::from_days(1);
            let steps: BTreeSet<_> = within(day, sent.local)
                .filter_map(|sent| sent.cover.as_ref().map(|cover| cover.line))
                .collect();
            demand("SAFE-2", steps.len() <= limits.per_day, || {
                format!("{} steps in a day, the limit is {}", steps.len(), limits.per_day)
            })?;
            let users: BTreeSet<_> = within(day, sent.local).filter_map(|sent| sent.user).collect();
            let unasked = users.difference(&self.approved).count();
            demand("SAFE-2", unasked <= most, || {
                format!("{unasked} mailboxes in a day that nobody approved, floor and share allow {most}")
            })?;
        }
        Ok(())
    }

    fn remember(&mut self, pass: &Pass<'_>, ground: &Ground<'_>) {
        // A pass that died may have noted what it saw.
        for (user, since) in pass.at_risk {
            self.drifting.entry(*user).or_insert(*since);
        }
        if !pass.is_believed() {
            return;
        }
        self.believed.push((pass.began, pass.ended));
        for person in ground.people.iter() {
            if person.was_healthy_since(pass.began - OLDEST_REPLICA) {
                self.drifting.remove(&person.id);
            } else if let Some(since) = person.at_risk_since {
                self.drifting.entry(person.id).or_insert(since);
            }
        }
        for row in pass.view.iter().flat_map(|view| &view.at_risk) {
            self.warned.entry(row.user).or_insert(pass.ended);
        }
    }

    /// LIVE-3.
    fn everybody_at_risk_is_shown(&self, pass: &Pass<'_>, ground: &Ground<'_>) -> Check {
        let Some(view) = pass.view.filter(|_| pass.is_believed()) else { return Ok(()) };
        // Who cannot be judged is named in the status, too.
        let at_risk = view.at_risk.iter().map(|row| row.user);
        let shown: BTreeSet<UserId> = at_risk.chain(view.unjudged().iter().map(|row| row.user)).collect();
        for person in ground.people.iter().filter(|person| is_visible(person, ground)) {
            let is_gone = !ground.tenant.is_live(person.id) || !ground.tenant.has_mailbox_plan(person.id);
            let Some(since) = person.at_risk_since.filter(|_| is_gone && person.has_mailbox()) else {
                continue;
            };
            let is_old_enough = since < pass.began - OLDEST_REPLICA;
            let is_forgotten = since + Span::from_days(50) < pass.began;
            let is_healed_by_replica = person.deleted_since.is_none() && !person.needs_license();
            if !is_old_enough || is_forgotten || is_healed_by_replica {
                continue;
            }
            if !person.was_kept_throughout(pass.began - OLDEST_REPLICA, pass.ended) {
                continue;
            }
            demand("LIVE-3", shown.contains(&person.id), || {
                format!(
                    "{} ({:?}) is at risk since {since} and not in the status",
                    person.upn, person.facts.role
                )
            })?;
        }
        Ok(())
    }

    /// SAFE-7.
    fn verdicts(&mut self, pass: &Pass<'_>, writes: &[Sent], ground: &Ground<'_>) -> Check {
        let lines = ground.wire.journal.lines();
        let fresh = lines[pass.lines_before.min(lines.len())..].iter().map(|line| &line["entry"]);
        for entry in fresh.filter(|entry| entry["event"] == "verdict") {
            let Some(person) = user_of(entry).and_then(|user| ground.people.get(user)) else {
                return Err(broken("SAFE-7", "a verdict on somebody unknown"));
            };
            let truth = ground.tenant.mailbox_truth(person.id);
            let is_known = truth.id == person.mailbox || self.replaced.get(&person.id) == Some(&truth.id);
            let is_same = is_known && truth.state == MailboxState::Active;
            let verdict = entry["verdict"].as_str().unwrap_or_default();
            demand("SAFE-7", verdict != "verified" || is_same, || {
                format!("{} is called {verdict}, the truth is {truth:?}", person.upn)
            })?;
            demand("SAFE-7", verdict != "new_empty_mailbox" || truth.id != person.mailbox, || {
                format!("{} is called {verdict}, the truth is {truth:?}", person.upn)
            })?;
            if verdict == "new_empty_mailbox" {
                self.replaced.insert(person.id, truth.id);
            }
            // Without a step it is about what people did.
            let last = if entry["step_id"].is_null() {
                self.touched.get(&person.id).copied()
            } else {
                let ours = |sent: &&Sent| sent.user == Some(person.id) && sent.pass < pass.number;
                writes.iter().rev().find(ours).map(|sent| sent.at)
            };
            demand("SAFE-7", last.is_some_and(|at| at < pass.began), || {
                format!("{} is called {verdict} without an observation later than the repair", person.upn)
            })?;
        }
        Ok(())
    }

    /// LIVE-2.
    fn nobody_lost_unwarned(&mut self, ground: &Ground<'_>) -> Check {
        let lost = ground.tenant.lost_mailboxes();
        for lost in &lost[self.lost_seen.min(lost.len())..] {
            let Some(person) = ground.people.get(lost.user).filter(|person| is_visible(person, ground))
            else {
                continue;
            };
            let since = person.at_risk_since.unwrap_or(lost.at);
            let could_be_seen = |(began, ended): &&(Timestamp, Timestamp)| {
                *began > since + OLDEST_REPLICA
                    && *ended < lost.at
                    && person.was_kept_throughout(since - OLDEST_REPLICA, *ended)
            };
            if self.believed.iter().any(|pass| could_be_seen(&pass)) {
                let is_warned = self.warned.get(&lost.user).is_some_and(|warned| *warned < lost.at);
                demand("LIVE-2", is_warned, || format!("{} was lost at {} unwarned", person.upn, lost.at))?;
            }
        }
        self.lost_seen = lost.len();
        Ok(())
    }
}

/// The product had a chance to know that there is a mailbox, and which rule it falls under.
fn is_visible(person: &Person, ground: &Ground<'_>) -> bool {
    person.was_seen_healthy && (person.was_probed || !ground.shape.asks_kind)
}

/// SAFE-8.
fn only_what_is_allowed(sent: &Sent, ground: &Ground<'_>) -> Check {
    demand("SAFE-8", sent.kind != Kind::Other, || format!("{} is nothing that may be sent", sent.path))?;
    if let Kind::Restore { new_name, drops_addresses } = &sent.kind {
        return only_around_a_rival(sent, new_name.as_deref(), *drops_addresses, ground);
    }
    let Kind::Assign { add, removes } = &sent.kind else { return Ok(()) };
    demand("SAFE-8", *removes == 0, || format!("{} takes a licence away", sent.path))?;
    demand("SAFE-8", add.len() == 1, || format!("{} assigns {} licences", sent.path, add.len()))?;
    for (sku, off) in add {
        demand("SAFE-8", off.iter().all(|plan| !MAILBOX_PLANS.contains(plan)), || {
            format!("{} switches the mailbox off", sent.path)
        })?;
        let Some(person) = sent.user.and_then(|user| ground.people.get(user)) else { continue };
        let remembered =
            person.switched_off.iter().filter(|(held, _)| held == sku && person.was_seen_untouched);
        for plan in remembered.flat_map(|(_, plans)| plans).filter(|plan| !MAILBOX_PLANS.contains(plan)) {
            demand("SAFE-8", off.contains(plan), || format!("{} switches {plan} on", sent.path))?;
        }
    }
    Ok(())
}

/// A restore goes beyond the plain one where the policy allows it and somebody took the account's place, and only then.
fn only_around_a_rival(sent: &Sent, new_name: Option<&str>, drops: bool, ground: &Ground<'_>) -> Check {
    if new_name.is_none() && !drops {
        return Ok(());
    }
    demand("SAFE-8", ground.shape.restores_beside, || {
        format!("{} has options that the policy does not give", sent.path)
    })?;
    let Some(person) = sent.user.and_then(|user| ground.people.get(user)) else { return Ok(()) };
    demand("SAFE-8", person.has_duplicate, || {
        format!("{} has options, and nobody is in its way", sent.path)
    })?;
    let (old, domain) = person.upn.split_once('@').unwrap_or_default();
    let is_as_written = |name: &str| {
        // Deleted and restored more than once, it got the ending each time.
        let local = name.strip_suffix(&format!("{BESIDE}@{domain}")).unwrap_or_default();
        !local.is_empty() && local.trim_end_matches(BESIDE).eq_ignore_ascii_case(old)
    };
    demand("SAFE-8", new_name.is_none_or(is_as_written), || {
        format!("{} gives {} the name {new_name:?}", sent.path, person.upn)
    })
}

/// SAFE-1.
fn only_for_the_kept(sent: &Sent, pass: &Pass<'_>, ground: &Ground<'_>) -> Check {
    let person = sent.user.and_then(|user| ground.people.get(user));
    let Some(person) = person else {
        return Err(broken("SAFE-1", format!("{} is for somebody whom the policy does not name", sent.path)));
    };
    let standings = person.standings_within(pass.began - OLDEST_REPLICA, sent.at);
    let is_kept = standings.iter().any(|standing| matches!(standing, Standing::Kept(_)));
    demand("SAFE-1", is_kept && !ground.shape.offboarded.contains(&person.id), || {
        format!("{} is for {}, who is {:?}", sent.path, person.upn, person.standing())
    })
}

/// SAFE-3.
fn covered_by_an_intent(sent: &Sent) -> Check {
    demand("SAFE-3", sent.cover.is_some(), || format!("{} left without a durable intent", sent.path))
}

/// SAFE-4, by the answers that the observation got.
fn after_a_whole_observation(sent: &Sent, pass: &Pass<'_>) -> Check {
    demand("SAFE-4", sent.has_listings, || format!("{} was sent without an observation", sent.path))?;
    demand("SAFE-4", sent.open_listings.is_empty(), || {
        format!("{} was sent although {:?} could not be read to the end", sent.path, sent.open_listings)
    })?;
    let off = Span::from_millis(pass.clock_off.as_millis().abs());
    demand("SAFE-4", off <= SKEW_TOLERATED, || {
        format!("{} was sent with a clock that is {off} off", sent.path)
    })
}

/// SAFE-4, by what the product itself wrote down.
fn rejected_means_nothing(pass: &Pass<'_>, writes: &[Sent], ground: &Ground<'_>) -> Check {
    let lines = ground.wire.journal.lines();
    let is_rejected = lines[pass.lines_before.min(lines.len())..]
        .iter()
        .any(|line| line["entry"]["event"] == "observation_rejected");
    let sent = writes.iter().find(|sent| sent.pass == pass.number);
    demand("SAFE-4", !is_rejected || sent.is_none(), || {
        "something was sent after a rejected observation".to_owned()
    })
}

/// SAFE-5.
fn within_seats(pass: &Pass<'_>, writes: &[Sent], ground: &Ground<'_>) -> Check {
    let seats = ground.wire.seats();
    let mut takers: BTreeMap<_, BTreeSet<UserId>> = BTreeMap::new();
    for sent in writes.iter().filter(|sent| sent.pass == pass.number) {
        if let (Some(sku), Some(user)) = (sent.takes_seat, sent.user) {
            takers.entry(sku).or_default().insert(user);
        }
    }
    for (sku, users) in takers {
        let joining = if sku == mailkeeper::sim::scenario::products::SPE_E3 { seats.joining } else { 0 };
        let free = seats.free.get(&sku).copied().unwrap_or(0);
        let left = free - joining - i64::from(reserved(&ground.shape.limits, sku));
        demand("SAFE-5", i64::try_from(users.len()).unwrap_or(i64::MAX) <= left.max(0), || {
            format!(
                "{} seats of {sku} were taken; {free} were free, {joining} on their way, the rest reserved",
                users.len()
            )
        })?;
    }
    Ok(())
}

fn user_of(entry: &Value) -> Option<UserId> {
    entry["user"].as_str()?.parse().ok()
}
