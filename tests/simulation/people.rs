//! What the generator knows of each person, because it did everything that happened to them: the truth that the checker
//! judges by. Sampled from the simulated tenant's own truth, never from anything that the product says.

use std::collections::BTreeMap;

use mailkeeper::model::{PlanId, SkuId, Timestamp, UserId};
use mailkeeper::sim::scenario::{Company, Role};
use mailkeeper::sim::tenant::Tenant;
use mailkeeper::sim::truth::MailboxState;
use uuid::Uuid;

use super::shape::{Facts, Shape, Standing};

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: UserId,
    pub facts: Facts,
    pub upn: String,
    pub is_enabled: bool,
    pub is_synced: bool,
    pub has_location: bool,
    /// The mailbox at the start: the only one that counts as kept.
    pub mailbox: Uuid,
    /// What a person had switched off in a product before anything happened.
    pub switched_off: Vec<(SkuId, Vec<PlanId>)>,
    /// Since when the mailbox is not where it should be; to the accuracy of sampling.
    pub at_risk_since: Option<Timestamp>,
    last_at_risk: Option<Timestamp>,
    pub unlicensed_since: Option<Timestamp>,
    pub deleted_since: Option<Timestamp>,
    /// A believed observation saw the mailbox while it was healthy.
    pub was_seen_healthy: bool,
    /// The same, before anything happened to it: the choices in `switched_off` can be known.
    pub was_seen_untouched: bool,
    /// Exchange was asked of what kind the mailbox is, and answered.
    pub was_probed: bool,
    /// Somebody said no to a repair.
    pub was_denied: bool,
    /// A second account has the same addresses.
    pub has_duplicate: bool,
    standings: Vec<(Timestamp, Standing)>,
}

impl Person {
    pub fn needs_license(&self) -> bool {
        !matches!(self.facts.role, Role::SharedMailbox | Role::Room)
    }

    pub fn has_mailbox(&self) -> bool {
        self.facts.role != Role::Guest
    }

    pub fn standing(&self) -> Standing {
        self.standings.last().map_or(Standing::NotNamed, |(_, standing)| *standing)
    }

    /// Every standing that was true at some moment of the interval.
    pub fn standings_within(&self, from: Timestamp, to: Timestamp) -> Vec<Standing> {
        let mut within = Vec::new();
        for (number, (since, standing)) in self.standings.iter().enumerate() {
            let until =
                self.standings.get(number + 1).map_or(Timestamp::from_millis(i64::MAX), |(next, _)| *next);
            if *since <= to && until >= from {
                within.push(*standing);
            }
        }
        within
    }

    /// The mailbox was where it should be, at every sample from then on.
    pub fn was_healthy_since(&self, from: Timestamp) -> bool {
        self.has_mailbox() && self.at_risk_since.is_none() && self.last_at_risk.is_none_or(|last| last < from)
    }

    /// Kept during the whole interval.
    pub fn was_kept_throughout(&self, from: Timestamp, to: Timestamp) -> bool {
        self.standings_within(from, to).iter().all(|standing| matches!(standing, Standing::Kept(_)))
    }
}

/// Everybody.
#[derive(Debug, Clone)]
pub struct People {
    by_id: BTreeMap<UserId, Person>,
}

impl People {
    /// As they are when the company has moved in.
    pub fn of(company: &Company, shape: &Shape, tenant: &Tenant, now: Timestamp) -> Self {
        let person = |person: &mailkeeper::sim::scenario::Person| {
            let facts = Facts {
                role: person.role,
                is_leaver: person.role == Role::Leaver,
                holds_admin_group: person.role == Role::Administrator,
                is_executive: person.role == Role::Executive,
            };
            let user = Person {
                id: person.id,
                facts,
                upn: person.user.user_principal_name.clone(),
                is_enabled: person.user.account_enabled,
                is_synced: person.user.on_premises_synced,
                has_location: person.user.usage_location.is_some(),
                mailbox: tenant.mailbox_truth(person.id).id,
                switched_off: person
                    .user
                    .licences
                    .iter()
                    .filter(|(_, off)| !off.is_empty())
                    .cloned()
                    .collect(),
                at_risk_since: None,
                last_at_risk: None,
                unlicensed_since: None,
                deleted_since: None,
                was_seen_healthy: false,
                was_seen_untouched: false,
                was_probed: false,
                was_denied: false,
                has_duplicate: false,
                standings: vec![(now, shape.standing(person.id, facts))],
            };
            (person.id, user)
        };
        Self { by_id: company.people.iter().map(person).collect() }
    }

    pub fn get(&self, user: UserId) -> Option<&Person> {
        self.by_id.get(&user)
    }

    pub fn get_mut(&mut self, user: UserId) -> Option<&mut Person> {
        self.by_id.get_mut(&user)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.by_id.values()
    }

    /// Whose mailbox is not where it should be, and since when.
    pub fn at_risk(&self) -> BTreeMap<UserId, Timestamp> {
        self.iter().filter_map(|person| Some((person.id, person.at_risk_since?))).collect()
    }

    /// How many mailboxes the policy keeps at the moment.
    pub fn kept(&self) -> usize {
        self.iter().filter(|person| matches!(person.standing(), Standing::Kept(_))).count()
    }

    /// Takes over what the tenant has come to, and what the policy makes of it.
    pub fn sample(&mut self, shape: &Shape, tenant: &Tenant, now: Timestamp) {
        for person in self.by_id.values_mut() {
            let standing = shape.standing(person.id, person.facts);
            if person.standing() != standing {
                person.standings.push((now, standing));
            }
            let is_live = tenant.is_live(person.id);
            let is_unlicensed = person.needs_license() && !tenant.has_mailbox_plan(person.id);
            let truth = tenant.mailbox_truth(person.id);
            let is_working = truth.state == MailboxState::Active;
            let is_at_risk = person.has_mailbox() && (!is_live || is_unlicensed || !is_working);
            if is_at_risk || person.at_risk_since.is_some() {
                person.last_at_risk = Some(now);
            }
            note(&mut person.at_risk_since, is_at_risk, now);
            note(&mut person.unlicensed_since, is_unlicensed, now);
            note(&mut person.deleted_since, !is_live, now);
        }
    }

    /// After a believed observation: who was healthy all the time since `from` was seen so, and the probed were probed.
    pub fn observed(&mut self, from: Timestamp, was_probed: impl Fn(UserId) -> bool) {
        for person in self.by_id.values_mut() {
            let is_seen_healthy = person.was_healthy_since(from);
            person.was_seen_healthy |= is_seen_healthy;
            person.was_seen_untouched |= is_seen_healthy && person.last_at_risk.is_none();
            person.was_probed |= was_probed(person.id);
        }
    }
}

fn note(since: &mut Option<Timestamp>, holds: bool, now: Timestamp) {
    match (holds, *since) {
        (true, None) => *since = Some(now),
        (false, Some(_)) => *since = None,
        (true, Some(_)) | (false, None) => {}
    }
}
