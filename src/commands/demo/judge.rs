//! Who was to be kept, and who was: from the script and the truth of the tenant alone. The daemon's own account of
//! itself is not heard here, so that no excuse of its making changes the exit code.

use std::collections::BTreeMap;

use crate::model::{Timestamp, UserId};
use crate::sim::scenario::{Action, Company, Event, Month, Person, Role};
use crate::sim::tenant::Tenant;
use crate::sim::truth::{LossCause, LostMailbox, MailboxState};

/// What the policy of the demo wants for one mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// A keep rule with `act` names it, and everything that is needed can be done through Graph.
    Keep,
    /// Its owner left the company.
    Release,
    /// Its owner holds a directory role.
    Protect,
    /// Deleted on premises: nothing that Graph restores would stay.
    OutOfReach,
}

impl Duty {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Keep => "to be kept",
            Self::Release => "left the company: off-boarded, never licensed again",
            Self::Protect => "holds a directory role: protected, reported only",
            Self::OutOfReach => "deleted on premises: reported, repaired only there",
        }
    }
}

/// The rule behind the exit code, as the summary states it.
pub const RULE: [&str; 3] = [
    "A mailbox can be kept when a keep rule with `act` names it and the account was not deleted on premises.",
    "Short seats, throttling and lost replies excuse nothing: they all end long before the deadlines.",
    "Kept means: 31 days after the month the account lives and has the mailbox that it had at the start.",
];

/// The verdict on a finished month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Mailboxes to which something happened, by duty.
    pub concerned: BTreeMap<Duty, Vec<UserId>>,
    /// Of those to be kept, how many are what they were.
    pub kept: usize,
    /// To be kept, and not what they were; also mailboxes to which nothing happened in the script.
    pub lost: Vec<UserId>,
    /// Lost, and not to be kept.
    pub let_go: Vec<UserId>,
}

impl Judgement {
    /// Judges the tenant at a time at which every clock has run out.
    pub fn of(company: &Company, month: &Month, tenant: &Tenant) -> Self {
        let mut judgement = Self::default();
        let events: BTreeMap<UserId, &Event> =
            month.events.iter().filter_map(|event| Some((event.user()?, event))).collect();
        for person in company.people.iter().filter(|person| person.role != Role::Guest) {
            let event = events.get(&person.id).copied();
            let duty = duty(person, event);
            if event.is_some() {
                judgement.concerned.entry(duty).or_default().push(person.id);
            }
            match (duty, is_as_it_was(tenant, person.id)) {
                (Duty::Keep, true) => judgement.kept += usize::from(event.is_some()),
                (Duty::Keep, false) => judgement.lost.push(person.id),
                (Duty::Release | Duty::Protect | Duty::OutOfReach, true) => {}
                (Duty::Release | Duty::Protect | Duty::OutOfReach, false) => judgement.let_go.push(person.id),
            }
        }
        judgement
    }

    pub fn to_be_kept(&self) -> usize {
        self.concerned.get(&Duty::Keep).map_or(0, Vec::len)
    }
}

/// What the policy of [`crate::commands::sample`] wants for this person, given what happened.
pub fn duty(person: &Person, event: Option<&Event>) -> Duty {
    let action = event.map(|event| &event.action);
    match (person.role, action) {
        (Role::Leaver, _) | (_, Some(Action::Leave { .. })) => Duty::Release,
        (Role::Administrator, _) => Duty::Protect,
        (_, Some(Action::Delete { .. })) if person.user.on_premises_synced => Duty::OutOfReach,
        (
            Role::Staff
            | Role::GroupStaff
            | Role::Executive
            | Role::Frontline
            | Role::SharedMailbox
            | Role::Room
            | Role::Guest,
            _,
        ) => Duty::Keep,
    }
}

fn is_as_it_was(tenant: &Tenant, user: UserId) -> bool {
    let mailbox = tenant.mailbox_truth(user);
    tenant.is_live(user) && mailbox.state == MailboxState::Active && mailbox.generation == 1
}

/// One mailbox that nobody saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    pub upn: String,
    pub at: Timestamp,
    pub how: &'static str,
}

/// Those of the lost mailboxes that the policy wants kept, in the order of their end.
pub fn unsaved(company: &Company, month: &Month, lost: &[LostMailbox]) -> Vec<Unsaved> {
    let mut unsaved = Vec::new();
    for lost in lost {
        let Some(person) = company.people.iter().find(|person| person.id == lost.user) else { continue };
        let event = month.events.iter().find(|event| event.user() == Some(person.id));
        if duty(person, event) == Duty::Keep {
            let upn = person.user.user_principal_name.clone();
            unsaved.push(Unsaved { upn, at: lost.at, how: how(lost.cause) });
        }
    }
    unsaved
}

fn how(cause: LossCause) -> &'static str {
    match cause {
        LossCause::LicenceLost => "30 days without a licence",
        LossCause::AccountPurged => "30 days after the deletion",
        LossCause::AccountPurgedUnlicensed => "30 days after the deletion, without a licence",
        LossCause::ReplacedByDuplicate => "replaced by a duplicate account",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::faults::Faults;
    use crate::sim::tenant::TenantOptions;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// The month of a small company in which nobody acts, and a bystander is purged by hand.
    fn neglected() -> (Company, Month, Tenant) {
        let company = Company::build(60, 5);
        let month = Month::script(&company, START, 5);
        let mut tenant = Tenant::new(TenantOptions::new(5));
        company.move_in(&mut tenant, START);
        for event in &month.events {
            event.apply(&mut tenant, &mut Faults::none(), event.at);
        }
        tenant.advance(month.ends + crate::commands::demo::world::AFTERMATH);
        (company, month, tenant)
    }

    #[test]
    fn nothing_is_kept_where_nobody_acts_and_bystanders_count() {
        let (company, month, mut tenant) = neglected();
        let judgement = Judgement::of(&company, &month, &tenant);
        assert_eq!(judgement.kept, 0);
        assert_eq!(judgement.lost.len(), judgement.to_be_kept());
        assert_eq!(unsaved(&company, &month, tenant.lost_mailboxes()).len(), judgement.to_be_kept());
        let is_untouched =
            |person: &&Person| month.events.iter().all(|event| event.user() != Some(person.id));
        let bystander = company.of(Role::Frontline).find(is_untouched).expect("the script spares some");
        tenant.hard_delete_user(month.ends, bystander.id);
        assert!(Judgement::of(&company, &month, &tenant).lost.contains(&bystander.id));
    }

    #[test]
    fn leavers_administrators_and_on_premises_deletions_are_not_held_against_anybody() {
        let (company, month, tenant) = neglected();
        let judgement = Judgement::of(&company, &month, &tenant);
        for duty in [Duty::Release, Duty::Protect, Duty::OutOfReach] {
            let users = &judgement.concerned[&duty];
            assert!(!users.is_empty(), "{duty:?}");
            assert!(users.iter().all(|user| judgement.let_go.contains(user)), "{duty:?}");
        }
    }
}
