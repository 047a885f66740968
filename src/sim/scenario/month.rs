//! What happens to a company in a month: mistakes, cost cutting, leavers, short seats and bad weather, as dated events.
//! Each can be told in one line.

use super::company::{Company, Person, Role, products};
use crate::model::{GroupId, PlanId, SkuId, Span, Timestamp, UserId};
use crate::sim::administrator::DeletedFrom;
use crate::sim::faults::Faults;
use crate::sim::rng::Rng;
use crate::sim::tenant::Tenant;

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    RemoveLicence {
        user: UserId,
        sku: SkuId,
    },
    LeaveGroup {
        user: UserId,
        group: GroupId,
    },
    DisablePlan {
        user: UserId,
        sku: SkuId,
        plan: PlanId,
    },
    Delete {
        user: UserId,
        from: DeletedFrom,
    },
    /// Someone leaves the company: marked by HR, disabled, unlicensed.
    Leave {
        user: UserId,
        sku: SkuId,
    },
    SetSeats {
        sku: SkuId,
        seats: u32,
    },
    /// Microsoft throttles, until the next such event says otherwise.
    Storm {
        is_storming: bool,
    },
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub action: Action,
    /// One line for people.
    pub description: String,
}

impl Event {
    /// Makes it happen. What cannot happen any more, because someone changed the user meanwhile, does not.
    pub fn apply(&self, tenant: &mut Tenant, faults: &mut Faults, now: Timestamp) {
        match &self.action {
            Action::RemoveLicence { user, sku } => drop(tenant.remove_licence(now, *user, *sku)),
            Action::LeaveGroup { user, group } => tenant.remove_member(now, *group, *user),
            Action::DisablePlan { user, sku, plan } => tenant.disable_plan(now, *user, *sku, *plan),
            Action::Delete { user, from } => tenant.delete_user(now, *user, *from),
            Action::Leave { user, sku } => {
                tenant.set_employee_type(now, *user, "leaver");
                tenant.set_account_enabled(now, *user, false);
                drop(tenant.remove_licence(now, *user, *sku));
            }
            Action::SetSeats { sku, seats } => tenant.set_seats(now, *sku, *seats),
            Action::Storm { is_storming } => faults.set_storm(*is_storming),
        }
    }

    /// The user that it happens to.
    pub fn user(&self) -> Option<UserId> {
        match &self.action {
            Action::RemoveLicence { user, .. }
            | Action::LeaveGroup { user, .. }
            | Action::DisablePlan { user, .. }
            | Action::Delete { user, .. }
            | Action::Leave { user, .. } => Some(*user),
            Action::SetSeats { .. } | Action::Storm { .. } => None,
        }
    }
}

/// A month of events in the order in which they happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    pub starts: Timestamp,
    /// Late enough that every mailbox that nobody saved is gone.
    pub ends: Timestamp,
    pub events: Vec<Event>,
}

/// Things go wrong in the first days of the month; the rest is for the deadlines to come.
const EVENTFUL_DAYS: i64 = 29;
const LENGTH: Span = Span::from_days(40);

impl Month {
    /// What happens to this company from `starts` on.
    pub fn script(company: &Company, starts: Timestamp, seed: u64) -> Self {
        let mut script =
            Script { company, starts, rng: Rng::stream(seed, "month"), hit: Vec::new(), events: Vec::new() };
        script.certain_events();
        script.short_seats();
        script.storms();
        for _ in 0..company.people.len() / 80 {
            script.random_event();
        }
        let mut events = script.events;
        events.sort_by_key(|event| event.at);
        Self { starts, ends: starts + LENGTH, events }
    }
}

struct Script<'a> {
    company: &'a Company,
    starts: Timestamp,
    rng: Rng,
    hit: Vec<UserId>,
    events: Vec<Event>,
}

impl<'a> Script<'a> {
    /// Someone of this role to whom nothing has happened yet.
    fn victim(&mut self, role: Role, synced: bool) -> Option<&'a Person> {
        let free: Vec<&Person> = self
            .company
            .of(role)
            .filter(|person| person.user.on_premises_synced == synced && !self.hit.contains(&person.id))
            .collect();
        let person = *self.rng.pick(&free)?;
        self.hit.push(person.id);
        Some(person)
    }

    /// In office hours of a day of the script.
    fn moment(&mut self, day: i64) -> Timestamp {
        self.starts + Span::from_days(day) + Span::from_minutes(self.rng.between(7 * 60, 16 * 60))
    }

    fn happen(&mut self, day: i64, action: Action, description: String) {
        let at = self.moment(day);
        self.events.push(Event { at, action, description });
    }

    /// One of each kind, so that every month shows everything.
    fn certain_events(&mut self) {
        self.lose_licence(1, Role::Staff, "a cost-saving script takes the licence of");
        self.lose_licence(1, Role::Staff, "a cost-saving script takes the licence of");
        // Nobody can repair this one from the cloud, and its limit passes within the month.
        self.delete(2, Role::Staff, true, DeletedFrom::Graph, "a moved OU makes the sync delete");
        self.leave_group(2);
        self.lose_plan(3);
        self.delete(4, Role::Staff, false, DeletedFrom::Graph, "the user clean-up deletes");
        self.delete(
            5,
            Role::SharedMailbox,
            false,
            DeletedFrom::Graph,
            "someone tidies up the shared mailbox",
        );
        self.delete(
            6,
            Role::Staff,
            false,
            DeletedFrom::AdminCentre,
            "by mistake the admin centre deletes, with the licence,",
        );
        self.leave(7);
        self.lose_licence(8, Role::Administrator, "an administrator's licence is taken from");
        self.lose_licence(9, Role::Executive, "a renewal goes wrong and takes the licence of");
        self.lose_licence(10, Role::Frontline, "the wrong row of a spreadsheet takes the licence of");
        self.leave(12);
    }

    fn random_event(&mut self) {
        let day = self.rng.between(1, EVENTFUL_DAYS);
        match self.rng.below(10) {
            0..=4 => self.lose_licence(day, Role::Staff, "a licence is taken from"),
            5..=6 => self.leave_group(day),
            7 => self.lose_plan(day),
            8 => self.delete(
                day,
                Role::SharedMailbox,
                false,
                DeletedFrom::Graph,
                "someone deletes the shared mailbox",
            ),
            _ => self.leave(day),
        }
    }

    fn lose_licence(&mut self, day: i64, role: Role, what: &str) {
        let Some(person) = self.victim(role, false) else { return };
        let Some((sku, _)) = person.user.licences.first() else { return };
        let action = Action::RemoveLicence { user: person.id, sku: *sku };
        self.happen(day, action, format!("{what} {}", person.user.display_name));
    }

    fn leave_group(&mut self, day: i64) {
        let Some(person) = self.victim(Role::GroupStaff, false) else { return };
        let action = Action::LeaveGroup { user: person.id, group: self.company.licensing_group };
        self.happen(day, action, format!("{} drops out of the licensing group", person.user.display_name));
    }

    fn lose_plan(&mut self, day: i64) {
        let Some(person) = self.victim(Role::Staff, false) else { return };
        let action = Action::DisablePlan {
            user: person.id,
            sku: products::SPE_E3,
            plan: products::EXCHANGE_S_ENTERPRISE,
        };
        self.happen(
            day,
            action,
            format!("Exchange is switched off inside the licence of {}", person.user.display_name),
        );
    }

    fn delete(&mut self, day: i64, role: Role, synced: bool, from: DeletedFrom, what: &str) {
        let Some(person) = self.victim(role, synced) else { return };
        let action = Action::Delete { user: person.id, from };
        self.happen(day, action, format!("{what} {}", person.user.display_name));
    }

    fn leave(&mut self, day: i64) {
        let Some(person) = self.victim(Role::Staff, false) else { return };
        let action = Action::Leave { user: person.id, sku: products::SPE_E3 };
        self.happen(day, action, format!("{} leaves the company", person.user.display_name));
    }

    /// For eight days there are fewer seats than users; within them people lose their licence and wait for a seat.
    fn short_seats(&mut self) {
        let sku = products::SPE_E3;
        let used = u32::try_from(self.company.seats_needed(sku)).unwrap_or(u32::MAX);
        let short = used.saturating_sub((used / 8).max(12));
        self.happen(
            13,
            Action::SetSeats { sku, seats: short },
            format!("the E3 contract is cut to {short} seats"),
        );
        for day in [14, 15, 16, 18, 19] {
            self.lose_licence(day, Role::Staff, "a licence is taken from");
        }
        let again = used + (used / 30).max(5);
        self.happen(
            21,
            Action::SetSeats { sku, seats: again },
            format!("the E3 contract is raised to {again} seats"),
        );
    }

    fn storms(&mut self) {
        for day in [10, 20] {
            let begins = self.moment(day);
            let ends = begins + Span::from_hours(self.rng.between(3, 8));
            let event = |at, is_storming, description: &str| Event {
                at,
                action: Action::Storm { is_storming },
                description: description.to_owned(),
            };
            self.events.push(event(begins, true, "Microsoft throttles almost everything"));
            self.events.push(event(ends, false, "Microsoft recovers"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::tenant::TenantOptions;
    use crate::sim::truth::LossCause;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_month_replays_and_is_in_order() {
        let company = Company::build(300, 5);
        let month = Month::script(&company, START, 5);
        assert_eq!(month, Month::script(&company, START, 5));
        assert!(month.events.is_sorted_by_key(|event| event.at));
        assert!(month.events.len() >= 20);
        assert!(month.events.iter().all(|event| event.at < month.ends && !event.description.is_empty()));
    }

    #[test]
    fn without_a_keeper_every_victim_loses_the_mailbox() {
        let company = Company::build(60, 5);
        let month = Month::script(&company, START, 5);
        let mut tenant = Tenant::new(TenantOptions::new(5));
        let mut faults = Faults::none();
        company.move_in(&mut tenant, START);
        for event in &month.events {
            event.apply(&mut tenant, &mut faults, event.at);
        }
        tenant.advance(month.ends + Span::from_days(20));
        let lost: Vec<UserId> = tenant.lost_mailboxes().iter().map(|lost| lost.user).collect();
        for user in month.events.iter().filter_map(Event::user) {
            assert!(lost.contains(&user), "{user} survived");
        }
        assert_eq!(lost.len(), month.events.iter().filter_map(Event::user).count());
        assert!(tenant.lost_mailboxes().iter().any(|lost| lost.cause == LossCause::AccountPurged));
    }
}
