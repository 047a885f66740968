//! `mailkeeper check --against`: the policy held against the users of a backup or of this machine's state, beside
//! another policy where one is given. Streams over the backup; keeps counts, drifts and bounded lists.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Seek};

use crate::diff::change::Comparison;
use crate::diff::{Finding, diff};
use crate::model::{
    Catalog, Drift, KnownUser, LedgerEntry, Plan, Presence, Span, Surroundings, Timestamp, UserId,
};
use crate::plan;
use crate::policy::{Policy, Ruling};
use crate::report::impact::{Impact, Listed, Moved, RuleCount, StepRow};
use crate::store;
use crate::store::backup::{self, Header, Part};

/// A policy and the name that people know it by.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
}

/// Compares. `input` is a backup.
///
/// # Errors
/// Of a backup that cannot be read, or is damaged.
pub fn compare(
    policy: Named<'_>,
    base: Option<Named<'_>>,
    input: &mut (impl BufRead + Seek),
) -> store::Result<Impact> {
    let policies: Vec<&Policy> = std::iter::once(policy.policy).chain(base.map(|base| base.policy)).collect();
    let world = World::read(input, &policies)?;
    let mut after = Side::new(policy.policy);
    let mut before = base.map(|base| Side::new(base.policy));
    let mut change = base.map(|base| Comparison::new(base.policy, policy.policy));
    let mut lists = Lists::default();
    let mut users = 0;
    backup::read(input, |part| {
        let Part::User(known) = part else { return };
        users += 1;
        if let Some(change) = &mut change {
            change.see(&known, &world.catalog, &world.surroundings, world.header.made_at);
        }
        let now = after.judge(&known, &world);
        let was = before.as_mut().map(|before| before.judge(&known, &world));
        lists.sort(&known, was, now);
    })?;
    let plan = after.plan(&world);
    let steps_before = before.as_ref().map(|before| steps_of(&before.plan(&world)));
    let mut steps = Listed::default();
    for step in &plan.steps {
        let is_new =
            steps_before.as_ref().is_some_and(|steps| !steps.contains(&(step.user, step.action.label())));
        steps.push(StepRow {
            id: step.user,
            upn: step.upn.clone(),
            rule: step.rule.clone(),
            action: step.action.clone(),
            deadline: step.deadline,
            is_new,
        });
    }
    let steps_new = steps_before.as_ref().map(|before| steps_of(&plan).difference(before).count() as u64);
    let steps_dropped = steps_before.map(|before| before.difference(&steps_of(&plan)).count() as u64);
    let mut waiting = BTreeMap::new();
    for row in &plan.waiting {
        *waiting.entry(row.reason).or_default() += 1;
    }
    Ok(Impact {
        tenant: world.header.tenant,
        state_of: world.header.made_at,
        users,
        policy: policy.name.to_owned(),
        base: base.map(|base| base.name.to_owned()),
        kept_before: before.as_ref().map(Side::kept),
        kept_after: after.kept(),
        rules: rules(&after, before.as_ref()),
        becomes_kept: lists.becomes_kept,
        released: lists.released,
        changes_rule: lists.changes_rule,
        left_alone_otherwise: lists.left_alone_otherwise,
        undetermined: lists.undetermined,
        steps,
        steps_new,
        steps_dropped,
        concerns: change.map(|change| change.concerns()).unwrap_or_default(),
        waiting,
        seats_missing: plan.seats,
    })
}

/// The policy that was in force when the backup was made, where it names one that this version reads.
///
/// # Errors
/// As [`compare`].
pub fn in_force(input: &mut (impl BufRead + Seek)) -> store::Result<Option<Policy>> {
    let mut found = None;
    backup::read(input, |part| {
        if let Part::Policy(accepted) = part {
            found = Policy::of_sources(&accepted.sources).ok();
        }
    })?;
    Ok(found)
}

fn steps_of(plan: &Plan) -> BTreeSet<(UserId, &'static str)> {
    plan.steps.iter().map(|step| (step.user, step.action.label())).collect()
}

/// What is the same for every user.
struct World {
    header: Header,
    catalog: Catalog,
    ledger: BTreeMap<UserId, LedgerEntry>,
    surroundings: Surroundings,
}

impl World {
    fn read(input: &mut (impl BufRead + Seek), policies: &[&Policy]) -> store::Result<Self> {
        let mut catalog = Catalog::default();
        let mut ledger = BTreeMap::new();
        let mut deleted: BTreeMap<UserId, KnownUser> = BTreeMap::new();
        let mut new_names: BTreeSet<String> = BTreeSet::new();
        let header = backup::read(input, |part| match part {
            Part::Seats(seats) => catalog = seats.catalog,
            Part::Ledger(user, entry) => drop(ledger.insert(user, *entry)),
            Part::User(known) if matches!(known.presence, Presence::Deleted { .. }) => {
                new_names.extend(policies.iter().filter_map(|policy| policy.name_if_taken(&known)));
                deleted.insert(known.id(), *known);
            }
            Part::User(_) | Part::Policy(_) => {}
        })?;
        let mut owners: BTreeMap<String, BTreeSet<UserId>> = BTreeMap::new();
        for (id, known) in &deleted {
            for address in known.user.addresses() {
                owners.entry(address).or_default().insert(*id);
            }
        }
        let mut surroundings = Surroundings::default();
        if !deleted.is_empty() {
            backup::read(input, |part| {
                let Part::User(known) = part else { return };
                if known.presence != Presence::Live {
                    return;
                }
                let addresses = known.user.addresses();
                let of_deleted: BTreeSet<UserId> =
                    addresses.iter().filter_map(|address| owners.get(address)).flatten().copied().collect();
                for owner in of_deleted.iter().filter_map(|owner| deleted.get(owner)) {
                    surroundings.note(&known, owner);
                }
                surroundings.names_in_use.extend(addresses.intersection(&new_names).cloned());
            })?;
        }
        Ok(Self { header, catalog, ledger, surroundings })
    }
}

/// One policy, and what it makes of the users so far.
struct Side<'a> {
    policy: &'a Policy,
    by_rule: BTreeMap<String, u64>,
    drifts: Vec<Drift>,
}

/// What a policy makes of one user.
struct Judged {
    standing: Standing,
    is_at_risk: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Kept(String),
    LeftAlone(String),
    Undetermined(String),
}

impl Standing {
    fn text(&self) -> String {
        match self {
            Self::Kept(rule) => format!("keep \"{rule}\""),
            Self::LeftAlone(why) => why.clone(),
            Self::Undetermined(fact) => format!("not decided: {fact}"),
        }
    }
}

impl<'a> Side<'a> {
    fn new(policy: &'a Policy) -> Self {
        Self { policy, by_rule: BTreeMap::new(), drifts: Vec::new() }
    }

    fn judge(&mut self, known: &KnownUser, world: &World) -> Judged {
        let standing = match self.policy.ruling(known) {
            Ruling::Keep(rule) => Standing::Kept(rule.name.clone()),
            Ruling::Offboarded(entry) => Standing::LeftAlone(format!("off-boarded ({})", entry.reason)),
            Ruling::Protected(entry) => Standing::LeftAlone(format!("protected ({})", entry.reason)),
            Ruling::NoRule => Standing::LeftAlone("no rule".to_owned()),
            Ruling::Undetermined { fact } => Standing::Undetermined(fact),
        };
        if let Standing::Kept(rule) = &standing {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
        let finding = diff(self.policy, known, &world.catalog, &world.surroundings, world.header.made_at);
        let is_at_risk = match finding {
            Finding::Healthy | Finding::LeftAlone { drift: None, .. } => false,
            Finding::LeftAlone { drift: Some(_), .. } => known.had_mailbox(),
            Finding::Drift(drift) => {
                self.drifts.push(*drift);
                true
            }
        };
        Judged { standing, is_at_risk }
    }

    fn kept(&self) -> u64 {
        self.by_rule.values().sum()
    }

    /// What would follow once everything has been confirmed and has settled. Limits per pass and per day only say
    /// when.
    fn plan(&self, world: &World) -> Plan {
        let now = world.header.made_at;
        let mut policy = self.policy.clone();
        (policy.limits.per_pass, policy.limits.per_day) = (u32::MAX, u32::MAX);
        let ledger =
            self.drifts.iter().map(|drift| (drift.user, settled(drift, &world.ledger, now))).collect();
        plan::plan(&plan::Input {
            now,
            policy: &policy,
            drifts: &self.drifts,
            ledger: &ledger,
            catalog: &world.catalog,
            kept: self.kept(),
            sent_last_day: 0,
            in_flight: &BTreeMap::new(),
            answers: &BTreeMap::new(),
            closed: None,
            standing_ask: None,
        })
    }
}

/// The ledger entry as it will be when the drift has stood long enough.
fn settled(drift: &Drift, ledger: &BTreeMap<UserId, LedgerEntry>, now: Timestamp) -> LedgerEntry {
    let known = ledger.get(&drift.user).filter(|entry| entry.is_open() && entry.drift == drift.kind);
    let mut entry = known.cloned().unwrap_or_else(|| LedgerEntry::opened(drift.kind, now));
    entry.sightings = entry.sightings.max(2);
    entry.first_seen = entry.first_seen.min(now - drift.settle - Span::from_days(1));
    entry.next_attempt = None;
    entry
}

#[derive(Default)]
struct Lists {
    becomes_kept: Listed<Moved>,
    released: Listed<Moved>,
    changes_rule: Listed<Moved>,
    left_alone_otherwise: Listed<Moved>,
    undetermined: Listed<Moved>,
}

impl Lists {
    fn sort(&mut self, known: &KnownUser, was: Option<Judged>, now: Judged) {
        let moved = |before: Option<&Standing>| Moved {
            id: known.id(),
            upn: known.user.upn.clone(),
            before: before.map(Standing::text),
            after: now.standing.text(),
            is_at_risk: now.is_at_risk,
        };
        let before = was.map(|was| was.standing);
        if let Standing::Undetermined(_) = now.standing
            && before.as_ref() != Some(&now.standing)
        {
            self.undetermined.push(moved(before.as_ref()));
            return;
        }
        let Some(before) = before.filter(|before| *before != now.standing) else { return };
        let list = match (&before, &now.standing) {
            (Standing::Kept(_), Standing::Kept(_)) => &mut self.changes_rule,
            (Standing::Kept(_), Standing::LeftAlone(_) | Standing::Undetermined(_)) => &mut self.released,
            (Standing::LeftAlone(_) | Standing::Undetermined(_), Standing::Kept(_)) => &mut self.becomes_kept,
            (
                Standing::LeftAlone(_) | Standing::Undetermined(_),
                Standing::LeftAlone(_) | Standing::Undetermined(_),
            ) => &mut self.left_alone_otherwise,
        };
        list.push(moved(Some(&before)));
    }
}

fn rules(after: &Side<'_>, before: Option<&Side<'_>>) -> Vec<RuleCount> {
    let count = |side: &Side<'_>, name: &str| {
        let is_there = side.policy.keep.iter().any(|rule| rule.name == name);
        is_there.then(|| side.by_rule.get(name).copied().unwrap_or_default())
    };
    let names = after.policy.keep.iter().map(|rule| rule.name.as_str());
    let gone = before.iter().flat_map(|before| &before.policy.keep).map(|rule| rule.name.as_str());
    let gone = gone.filter(|name| count(after, name).is_none());
    names
        .chain(gone)
        .map(|name| RuleCount {
            rule: name.to_owned(),
            before: before.and_then(|before| count(before, name)),
            after: count(after, name),
        })
        .collect()
}

#[cfg(test)]
mod tests;
