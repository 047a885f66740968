//! The second phase: every fault ends, people do their part, and from then on the product has to repair what can be
//! repaired, within a bounded number of passes, and then to rest.

use std::collections::BTreeSet;

use mailkeeper::clock::Clock;
use mailkeeper::model::{Span, UserId};
use mailkeeper::reconcile::Purpose;
use mailkeeper::sim::scenario::products;
use mailkeeper::sim::subscriptions::Stage;
use mailkeeper::sim::truth::MailboxState;

use super::super::acts::TenantAct;
use super::super::checker::{Broken, broken};
use super::super::keeper::Sabotage;
use super::super::people::Person;
use super::super::shape::{Standing, Wish};
use super::{Run, write_policy};

/// Passes of the second phase, at most: three days at ten to thirty minutes, limits per day included.
const HEALING_PASSES: u32 = 250;

/// With less than this left nobody is promised anything: attempts back off for hours.
const TIME_TO_REPAIR: Span = Span::from_days(6);

impl Run {
    /// Every fault ends, and what people have to do is done. Returns who must be saved by then.
    pub fn heal(&mut self) -> Result<BTreeSet<UserId>, Broken> {
        self.wire.network.faults().heal();
        self.clock.set_offset(Span::ZERO);
        self.hold_during = None;
        self.may_act = true;
        self.act_on_tenant(&TenantAct::RegainPermissions);
        for sku in [products::SPE_E3, products::SPE_E5, products::EXCHANGESTANDARD] {
            self.act_on_tenant(&TenantAct::Subscription { sku, stage: Stage::Enabled });
        }
        write_policy(&self.policy, &self.shape, &self.company, self.sabotage);
        self.start()?;
        self.resume();
        self.checker.pressed = None;
        self.sample();
        let demanded: BTreeSet<UserId> =
            self.people.iter().filter(|person| self.is_due(person)).map(|person| person.id).collect();
        self.buy_seats(demanded.len());
        self.note(format!("{} mailboxes must be saved", demanded.len()));
        Ok(demanded)
    }

    /// Enough for everybody, and not so many at once that the purchase looks like a counting error.
    fn buy_seats(&self, wanted: usize) {
        let now = self.now();
        let mut tenant = self.wire.network.tenant();
        for sku in [products::SPE_E3, products::SPE_E5, products::EXCHANGESTANDARD] {
            let Some(seats) = tenant.seats(sku) else { continue };
            let wanted = u32::try_from(wanted).unwrap_or(0) + self.shape.limits.reserved_e3 + 2;
            tenant.set_seats(now, sku, seats.seats.max(seats.consumed + wanted).min(seats.seats + 20));
        }
    }

    /// The policy wants it, nothing forbids it, and there is time: by the generator's own knowledge.
    fn is_due(&self, person: &Person) -> bool {
        let Standing::Kept(name) = person.standing() else { return false };
        let rule = self.shape.rule(name);
        let tenant = self.wire.network.tenant();
        let truth = tenant.mailbox_truth(person.id);
        let is_kept_so_far =
            truth.id == person.mailbox && !matches!(truth.state, MailboxState::Purged { .. });
        let is_known = person.was_seen_healthy && (person.was_probed || !self.shape.asks_kind);
        let since = person.at_risk_since.map(|since| person.unlicensed_since.unwrap_or(since).min(since));
        let Some(since) = since.filter(|_| is_known && is_kept_so_far) else { return false };
        let has_time = since + Span::from_days(30) - TIME_TO_REPAIR > self.now();
        let is_in_the_way = person.was_denied || (person.has_duplicate && !self.shape.restores_beside);
        let license = !person.needs_license()
            || (rule.on_license_lost != Wish::Report
                && person.is_enabled
                && (person.has_location || rule.gives_location || rule.by_group)
                && !(rule.by_group
                    && tenant.is_member(self.company.licensing_group, person.id)
                    && !tenant.lacks_group_seat(person.id)));
        let is_deleted = person.deleted_since.is_some();
        let restore = !is_deleted
            || (tenant.is_in_recycle_bin(person.id) && rule.on_deleted != Wish::Report && !person.is_synced);
        has_time && !is_in_the_way && license && restore
    }

    /// LIVE-1 and CONV-1.
    pub async fn converge(&mut self, demanded: &BTreeSet<UserId>) -> Result<(), Broken> {
        let mut quiet = 0;
        let most = if self.sabotage == Some(Sabotage::NeverActs) { 40 } else { HEALING_PASSES };
        for _ in 0..most {
            let wait = Span::from_minutes(self.rng.between(10, 30));
            self.clock.sleep(wait.to_duration()).await;
            self.answer_asks(true);
            let writes = self.wire.writes().len();
            self.pass(&Purpose::Act { digest: None }, None, None).await?;
            let steps = self.keeper.desk.shared.view().map_or(0, |view| view.plan.steps.len());
            let is_quiet = steps == 0 && self.wire.writes().len() == writes;
            let is_saved = self.unsaved(demanded).is_empty();
            quiet = if is_quiet && is_saved { quiet + 1 } else { 0 };
            if quiet == 3 {
                return Ok(());
            }
        }
        let unsaved = self.unsaved(demanded);
        match unsaved.is_empty() {
            false => Err(broken("LIVE-1", format!("not repaired in {most} passes: {}", unsaved.join(", ")))),
            true => Err(broken("CONV-1", format!("still planning after {most} passes"))),
        }
    }

    /// Who of them is not yet live, licensed and with the old mailbox.
    fn unsaved(&self, demanded: &BTreeSet<UserId>) -> Vec<String> {
        let tenant = self.wire.network.tenant();
        let is_saved = |person: &&Person| {
            let truth = tenant.mailbox_truth(person.id);
            let is_licensed = !person.needs_license() || tenant.has_mailbox_plan(person.id);
            tenant.is_live(person.id)
                && is_licensed
                && truth.state == MailboxState::Active
                && truth.id == person.mailbox
        };
        let people = demanded.iter().filter_map(|user| self.people.get(*user));
        people
            .filter(|person| !is_saved(person))
            .map(|person| {
                format!("{} {:?} {:?}", person.upn, person.facts.role, tenant.mailbox_truth(person.id).state)
            })
            .collect()
    }
}
