//! The status document of one pass, put together from what the pass knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::act::Done;
use crate::diff::state_of;
use crate::model::{
    AuditEvent, Catalog, Drift, Evidence, LedgerEntry, MailboxState, OutcomeKind, Plan, Reason, SkuId, Span,
    Step, Timestamp, UserId, Waiting,
};
use crate::observe::Observed;
use crate::plan::pace;
use crate::policy::Policy;
use crate::report::status::{
    HoldView, NextMove, PolicyView, ReleasedView, RiskRow, SeatRow, SubscriptionRow, TenantView,
};
use crate::store;
use crate::store::records::{Cursor, Hold};

use super::findings::Findings;
use super::{PassReport, Reconciler};

/// How the drifts ended, by user.
struct Ends<'a> {
    steps: BTreeMap<UserId, &'a Step>,
    waiting: BTreeMap<UserId, &'a Waiting>,
}

impl<'a> Ends<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            steps: plan.steps.iter().map(|step| (step.user, step)).collect(),
            waiting: plan.waiting.iter().map(|waiting| (waiting.user, waiting)).collect(),
        }
    }
}

impl Reconciler {
    pub(super) fn view(
        &self,
        policy: &Policy,
        findings: &Findings,
        observed: &Observed,
        mut plan: Plan,
        done: &[Done],
    ) -> Result<TenantView, store::Error> {
        let now = self.parts.clock.now();
        let ledger = findings.ledger(&self.parts.store)?;
        let sent: BTreeSet<UserId> = done
            .iter()
            .filter(|done| done.outcome.kind != OutcomeKind::NotSent)
            .map(|done| done.step.user)
            .collect();
        let ends = Ends::of(&plan);
        let mut at_risk: Vec<(_, RiskRow)> = findings
            .drifts
            .iter()
            .map(|drift| {
                let next = self.next_move(drift, &ends, &sent);
                (pace::urgency(drift, now), risk_row(drift, ledger.get(&drift.user), next, now))
            })
            .collect();
        at_risk.sort_by_key(|(urgency, _)| (urgency.0, urgency.2, urgency.3));
        plan.waiting.extend(findings.tally.listed.iter().cloned());
        Ok(TenantView {
            kept: findings.tally.kept,
            states: states(findings, &ledger),
            data_loss: self.data_loss.clone(),
            left_alone: findings.tally.left_alone.clone(),
            released: released(findings, observed, policy, now),
            at_risk: at_risk.into_iter().map(|(_, row)| row).collect(),
            asks: plan.asks.clone(),
            seats: seat_rows(&observed.catalog, policy),
            subscriptions: subscription_rows(&observed.catalog, policy, &findings.tally.resting),
            seat_needs: plan.seats.clone(),
            plan,
            ..self.frame(Some(observed))?
        })
    }

    /// The report of a pass that came to nothing: what was known before, and that it failed.
    pub(super) fn failed_pass(&self) -> PassReport {
        let before = self.shared.view();
        let frame = self.frame(None).unwrap_or_else(|_| self.empty_view());
        let view = match before {
            Some(before) => TenantView {
                at: frame.at,
                policy: frame.policy,
                hold: frame.hold,
                last_observation: None,
                ..(*before).clone()
            },
            None => frame,
        };
        PassReport { view: Arc::new(view), done: Vec::new(), refused: None }
    }

    fn next_move(&self, drift: &Drift, ends: &Ends<'_>, sent: &BTreeSet<UserId>) -> NextMove {
        if let Some(step) = ends.steps.get(&drift.user) {
            let is_sent = sent.contains(&drift.user);
            return match self.stopped_reason().filter(|_| !is_sent) {
                Some(reason) => NextMove::Waiting { reason, until: None, detail: None },
                None => NextMove::Step { action: step.action.clone(), is_sent },
            };
        }
        match ends.waiting.get(&drift.user) {
            Some(waiting) => NextMove::Waiting {
                reason: waiting.reason,
                until: waiting.until,
                detail: self.purged(waiting).or_else(|| waiting.detail.clone()),
            },
            None => NextMove::Waiting { reason: Reason::Confirming, until: None, detail: None },
        }
    }

    /// Until when a purged account's mailbox can still be reached.
    fn purged(&self, waiting: &Waiting) -> Option<String> {
        let known = match waiting.reason == Reason::Gone {
            true => self.parts.store.user(waiting.user).ok().flatten()?,
            false => return None,
        };
        Some(known.soft_deleted_until().map_or_else(
            || "the licence was removed first, so Exchange keeps nothing".to_owned(),
            |until| format!("soft-deleted until {} at the latest", until.human()),
        ))
    }

    fn frame(&self, observed: Option<&Observed>) -> Result<TenantView, store::Error> {
        let cursor = self.parts.store.get_or_default::<Cursor>()?;
        let hold = self.parts.store.get::<Hold>()?.filter(|hold| hold.is_active(self.parts.clock.now()));
        let loaded = self.parts.policy.loaded();
        Ok(TenantView {
            hold: hold.map(hold_view),
            policy: PolicyView {
                digest: loaded.current.as_ref().map(|policy| policy.digest.clone()).unwrap_or_default(),
                revision: loaded.current.as_ref().and_then(|policy| policy.revision.clone()),
                failed: loaded.failed.clone(),
                waiting: loaded.waiting.map(|waiting| waiting.concerns).unwrap_or_default(),
            },
            last_complete_observation: cursor.last_complete,
            last_observation: observed.map(|observed| observed.observation.clone()),
            recent: self.recent.iter().rev().cloned().collect(),
            ..self.empty_view()
        })
    }

    fn empty_view(&self) -> TenantView {
        TenantView {
            tenant: self.parts.name.clone(),
            tenant_id: self.parts.store.tenant(),
            at: self.parts.clock.now(),
            is_acting: self.parts.may_act,
            hold: None,
            policy: PolicyView { digest: String::new(), revision: None, failed: None, waiting: Vec::new() },
            last_complete_observation: None,
            last_observation: None,
            last_pass: None,
            kept: 0,
            states: BTreeMap::new(),
            left_alone: BTreeMap::new(),
            released: None,
            at_risk: Vec::new(),
            plan: Plan::default(),
            asks: Vec::new(),
            seats: Vec::new(),
            seat_needs: Vec::new(),
            subscriptions: Vec::new(),
            recent: Vec::new(),
            journal_head: Some(self.parts.journal.head().hash),
            failing: None,
            data_loss: Vec::new(),
            settings_changed: None,
        }
    }
}

fn released(
    findings: &Findings,
    observed: &Observed,
    policy: &Policy,
    now: Timestamp,
) -> Option<ReleasedView> {
    let mut by_rule: BTreeMap<String, u64> = BTreeMap::new();
    for released in observed.surroundings.released.values() {
        if !released.is_over && released.at + RELEASED_LATELY > now {
            *by_rule.entry(released.rule.clone()).or_default() += 1;
        }
    }
    let lately = by_rule.values().sum();
    let is_mass = lately > policy.limits.allowed_of(findings.tally.kept + lately);
    (lately > 0).then_some(ReleasedView { lately, is_mass, by_rule })
}

/// As long as the limits of the policy count.
const RELEASED_LATELY: Span = Span::from_days(1);

/// Repaired mailboxes whose proof is still open count as settling. Accounts in danger of which no rule can be told are
/// unknown: nobody may take their silence for health.
fn states(findings: &Findings, ledger: &BTreeMap<UserId, LedgerEntry>) -> BTreeMap<MailboxState, u64> {
    let mut states = findings.tally.by_state.clone();
    let unproved =
        ledger.values().filter(|entry| entry.resolved.is_some() && entry.pending.is_some()).count() as u64;
    let healthy = states.entry(MailboxState::Healthy).or_default();
    let moved = unproved.min(*healthy);
    *healthy -= moved;
    *states.entry(MailboxState::Settling).or_default() += moved;
    let unjudged =
        findings.tally.listed.iter().filter(|row| row.reason == Reason::Undetermined).count() as u64;
    *states.entry(MailboxState::Unknown).or_default() += unjudged;
    states
}

/// How a hold is shown.
pub fn hold_view(hold: Hold) -> HoldView {
    HoldView {
        since: hold.since,
        until: hold.until,
        reason: hold.reason.unwrap_or_else(|| "no reason given".to_owned()),
        by: hold.by,
    }
}

fn risk_row(drift: &Drift, entry: Option<&LedgerEntry>, next: NextMove, now: Timestamp) -> RiskRow {
    RiskRow {
        user: drift.user,
        upn: drift.upn.clone(),
        state: state_of(drift, false, now),
        drift: drift.kind,
        cause: drift.cause,
        rule: drift.rule.name.clone(),
        certainty: drift.clock.certainty,
        since: entry.map_or(now, |entry| entry.first_seen),
        deadline: drift.clock.deadline,
        act_by: drift.clock.act_by,
        audited: audited(drift),
        next,
    }
}

fn audited(drift: &Drift) -> Vec<AuditEvent> {
    let told = |evidence: &Evidence| match evidence {
        Evidence::Audit(event) => Some(event.clone()),
        Evidence::Observed { .. }
        | Evidence::FirstSeenWithout { .. }
        | Evidence::AssignedPlan { .. }
        | Evidence::DeletedDateTime { .. }
        | Evidence::Subscription { .. }
        | Evidence::SubscriptionNotKnown { .. }
        | Evidence::Hold { .. } => None,
    };
    drift.clock.evidence.iter().filter_map(told).collect()
}

fn seat_rows(catalog: &Catalog, policy: &Policy) -> Vec<SeatRow> {
    let reserved_for = |part_number: &str| {
        let reserved = &policy.limits.seats_reserved;
        reserved
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(part_number))
            .map_or(0, |(_, seats)| *seats)
    };
    let carrying = catalog.iter().filter(|sku| sku.carries_mailbox());
    carrying
        .map(|sku| SeatRow {
            part_number: sku.part_number.clone(),
            enabled: sku.units.enabled,
            warning: sku.units.warning,
            suspended: sku.units.suspended,
            consumed: sku.consumed,
            reserved: reserved_for(&sku.part_number),
            free: sku.free(),
        })
        .collect()
}

/// Only what the policy relies on: products that a keep rule names, and those that keep a kept mailbox.
fn subscription_rows(
    catalog: &Catalog,
    policy: &Policy,
    resting: &BTreeMap<SkuId, u64>,
) -> Vec<SubscriptionRow> {
    let names = policy.keep.iter().flat_map(|rule| &rule.licenses);
    let named: BTreeSet<SkuId> = names.filter_map(|name| name.find(catalog)).map(|sku| sku.id).collect();
    let carrying = catalog.iter().filter(|sku| sku.carries_mailbox());
    carrying
        .filter_map(|sku| {
            let kept = resting.get(&sku.id).copied().unwrap_or_default();
            let outlook = catalog.outlook(sku.id).filter(|_| kept > 0 || named.contains(&sku.id))?;
            Some(SubscriptionRow { part_number: sku.part_number.clone(), outlook, kept })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::control::testing::Office;
    use crate::control::{Answer, Question};
    use crate::model::{Backing, Span, UserId};
    use crate::reconcile::PassReport;
    use crate::report::words;
    use crate::sim::scenario::products::SPE_E3;
    use crate::sim::scenario::{Company, Person};
    use crate::sim::subscriptions::Stage;

    fn policy(company: &Company) -> String {
        format!(
            "version: 1\nkeep:\n  - name: staff\n    match: {{ mail: \"*@{}\" }}\n    licenses: [SPE_E3]\n",
            company.domain
        )
    }

    /// Somebody whose only licence is a direct one.
    fn holder(office: &Office) -> UserId {
        let holds = |one: &&Person| matches!(&one.user.licences[..], [(sku, _)] if *sku == SPE_E3);
        office.company.people.iter().find(holds).expect("somebody has it directly").id
    }

    fn explained(office: &Office, user: UserId) -> String {
        let question = Question::Explain { user: user.to_string() };
        let person = crate::control::Person { name: "a test".to_owned() };
        match office.desk.answer(&question, &person) {
            Some(Ok(Answer::Explanation { explanation })) => explanation.to_text(),
            other => panic!("{other:?}"),
        }
    }

    fn resting(report: &PassReport) -> u64 {
        let row = report.view.subscriptions.iter().find(|row| row.part_number == "SPE_E3");
        row.map_or(0, |row| row.kept)
    }

    #[tokio::test(start_paused = true)]
    async fn mailboxes_that_rest_on_an_expired_subscription_show_before_they_are_lost() {
        let mut office = Office::open(false, policy);
        let report = office.pass_after(Span::from_minutes(10)).await;
        assert!(report.view.subscriptions_to_renew().is_empty(), "a paid one is not worth a word");
        let before = resting(&report);
        assert!(before > 5, "{before}");

        let now = report.view.at;
        office.tenant().set_subscription_stage(now, SPE_E3, Stage::Warning);
        let report = office.pass_after(Span::from_hours(2)).await;
        assert!(report.view.at_risk.is_empty(), "everything works");
        let [row] = report.view.subscriptions_to_renew()[..] else { panic!("one product is not renewed") };
        assert_eq!((row.outlook.backing, row.kept), (Backing::Warning, before));
        assert_eq!(row.outlook.next, Some(now + Span::from_days(30)));
        let text = words::subscription(row, now);
        assert!(text.starts_with(&format!("SPE_E3: {before} kept mailboxes rest on an expired")), "{text}");
        assert!(text.contains("(Warning), suspended") && text.contains("(in 30d)"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_took_a_licence_is_in_the_status_and_in_the_explanation() {
        let mut office = Office::open(false, policy);
        office.pass_after(Span::from_minutes(10)).await;
        let user = holder(&office);
        let now = office.now();
        office.tenant().remove_licence(now, user, SPE_E3).expect("held");
        for _ in 0..2 {
            office.pass_after(Span::from_minutes(10)).await;
        }
        let view = office.desk.shared.view().expect("a pass was made");
        let row = view.at_risk.iter().find(|row| row.user == user).expect("at risk");
        let [event] = &row.audited[..] else { panic!("{:?}", row.audited) };
        assert_eq!(event.by.as_ref().map(|by| by.name.as_str()), Some("admin@contoso.com"));
        assert_eq!(event.at, now);
        let text = explained(&office, user);
        assert!(text.contains("by admin@contoso.com, taking SPE_E3 away"), "{text}");

        // What is not believed takes no evidence away.
        office.tenant().set_roles(&[]);
        office.tenant().revoke_tokens();
        let report = office.pass_after(Span::from_minutes(10)).await;
        assert!(report.view.last_observation.as_ref().is_some_and(|seen| !seen.is_complete()));
        assert_eq!(
            report.view.at_risk.iter().find(|row| row.user == user).map(|row| row.audited.len()),
            Some(1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn mailboxes_on_a_product_are_counted_on_from_pass_to_pass() {
        let mut office = Office::open(false, policy);
        let before = resting(&office.pass_after(Span::from_minutes(10)).await);
        let user = holder(&office);
        let now = office.now();
        office.tenant().remove_licence(now, user, SPE_E3).expect("held");
        let delta = resting(&office.pass_after(Span::from_minutes(10)).await);
        assert_eq!(delta, before - 1);
        office.reconciler.want_full_listing();
        assert_eq!(resting(&office.pass_after(Span::from_minutes(10)).await), delta);
    }
}
