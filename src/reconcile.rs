//! One pass of the loop: observe, diff, verify, plan, act, report. Errors are a status, never a way out of the
//! loop.
//!
//! A pass carries nothing over from the one before but what is in the state: it can be dropped at any await and
//! started again, and any pass can be the first after a crash.

mod bookkeeping;
mod findings;
mod guard;
mod identities;
mod identity;
mod news;
mod policy_holder;
mod preview;
mod recall;
mod seats;
mod shared;
mod telling;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::act::{self, Done, Hands};
use crate::clock::{Clock, Reading};
use crate::errors::chain;
use crate::graph::Client;
use crate::invariant::{InvariantId, holds};
use crate::model::{ObservationKind, OutcomeKind, Plan, Problem, Reason, Span};
use crate::observe::{self, Observed};
use crate::plan;
use crate::report::metrics::Metrics;
use crate::report::status::{DataLoss, PassView, RecentEvent, TenantView};
use crate::store::journal::{Entry, Journal};
use crate::store::records::{Approvals, Hold, Identities, LastPass};
use crate::store::{self, TenantStore};

use findings::Findings;
use guard::{InForce, Newer};
pub use policy_holder::{Edition, Loaded, PolicyHolder};
use preview::Preview;
use seats::in_flight;
pub use shared::Shared;
pub use view::hold_view;

/// What a pass is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// `mailkeeper plan`: everything but the last step.
    Plan,
    /// `mailkeeper apply` and the daemon: act, only if the plan still has this digest where one is given.
    Act { digest: Option<String> },
}

/// What one pass did.
#[derive(Debug, Clone)]
pub struct PassReport {
    pub view: Arc<TenantView>,
    pub done: Vec<Done>,
    /// Why nothing was sent although there were steps.
    pub refused: Option<String>,
}

impl PassReport {
    pub fn plan(&self) -> &Plan {
        &self.view.plan
    }
}

/// Everything one tenant's loop works with.
pub struct Parts {
    pub name: String,
    pub graph: Client,
    pub store: TenantStore,
    pub journal: Arc<Journal>,
    pub clock: Arc<dyn Clock>,
    pub policy: PolicyHolder,
    /// `mode: act`.
    pub may_act: bool,
    /// `evidence: { audit_log: true }`.
    pub reads_audit_log: bool,
    pub metrics: Metrics,
}

/// The loop of one tenant.
pub struct Reconciler {
    parts: Parts,
    shared: Shared,
    passes: u64,
    recent: Vec<RecentEvent>,
    /// A full listing was asked for and not made yet.
    is_full_wanted: bool,
    /// What this pass judges by.
    edition: Edition,
    /// The clock when it began.
    began: Option<Reading>,
    /// Digest of the policy that the journal of this process named last.
    journalled_policy: Option<String>,
    steps_at_once: usize,
    /// The last pass went to its end: what the journal says is in the state.
    is_reflected: bool,
    /// The journal says that this process started: one that only reads or plans leaves no trace in it.
    is_announced: bool,
    /// Shown for as long as the old mailbox may be there.
    data_loss: Vec<DataLoss>,
    /// The groups of a policy that is not in force yet.
    preview: Preview,
}

/// Events that the status document shows.
const RECENT_SHOWN: usize = 50;

impl Reconciler {
    /// Takes up the work where the state says it was left.
    pub fn new(parts: Parts) -> Result<Self, store::Error> {
        let shared = Shared::default();
        recall::recall(&parts.store, &parts.journal, parts.clock.now())?;
        let mut data_loss = Vec::new();
        // What the last process knew is shown, and alerted on, until the first pass knows better.
        let last = parts.store.get::<LastPass>()?;
        if let Some(view) = last.and_then(|last| serde_json::from_value::<TenantView>(last.summary).ok()) {
            data_loss.clone_from(&view.data_loss);
            shared.publish(Arc::new(view));
        }
        bookkeeping::adopt_open_intents(&parts.store, &parts.journal, parts.clock.now())?;
        Ok(Self {
            parts,
            shared,
            passes: 0,
            recent: Vec::new(),
            is_full_wanted: false,
            edition: Edition::default(),
            began: None,
            journalled_policy: None,
            steps_at_once: act::AT_ONCE,
            is_reflected: true,
            is_announced: false,
            data_loss,
            preview: Preview::default(),
        })
    }

    /// Asks and sends one after the other: over sockets requests that are under way together arrive in any order, and
    /// a replay would differ.
    pub fn one_step_at_a_time(&mut self) {
        self.parts.graph.ask_one_at_a_time();
        self.steps_at_once = 1;
    }

    pub fn shared(&self) -> Shared {
        self.shared.clone()
    }

    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Once, before the first pass that may act.
    fn announce(&mut self, purpose: &Purpose) -> Result<(), store::Error> {
        let is_due = !self.is_announced && matches!(purpose, Purpose::Act { .. });
        if is_due {
            let started = Entry::Started { version: env!("CARGO_PKG_VERSION").to_owned() };
            self.parts.journal.append(&started, self.parts.clock.now())?;
            self.is_announced = true;
        }
        Ok(())
    }

    /// Says goodbye in the journal where it said hello, and leaves the state complete on disk.
    pub fn close(&self) {
        // What stopped for good before was told then.
        let is_known = self.parts.store.failure().is_some() || self.parts.journal.failure().is_some();
        let closed = match self.is_announced {
            true => self.parts.journal.append(&Entry::Stopped, self.parts.clock.now()).map(|_| ()),
            false => Ok(()),
        };
        let closed = closed.map_err(store::Error::from).and_then(|()| match self.is_reflected {
            true => recall::reflect(&self.parts.store, self.parts.journal.head()),
            false => self.parts.store.flush(),
        });
        if let (Err(error), false) = (closed, is_known) {
            tracing::error!(tenant = self.parts.name, error = %chain(&error), "the state could not be closed cleanly");
        }
    }

    /// Makes the next observation list everybody, whatever the deltas said.
    pub fn want_full_listing(&mut self) {
        self.is_full_wanted = true;
    }

    /// Makes one pass. Never fails: what went wrong is in the report, the metrics and the log.
    pub fn pass<'a>(&'a mut self, purpose: &'a Purpose) -> BoxFuture<'a, PassReport> {
        // Boxed, so that the compiler proves once, here, that a pass may move between threads.
        Box::pin(self.make_pass(purpose))
    }

    async fn make_pass(&mut self, purpose: &Purpose) -> PassReport {
        let started = self.parts.clock.now();
        let begun = self.parts.clock.monotonic();
        self.passes += 1;
        let mut report = match self.try_pass(purpose).await {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(tenant = self.parts.name, error = %chain(&error), "the pass failed: the state cannot be read or written");
                self.failed_pass()
            }
        };
        let finished = self.parts.clock.now();
        let outcome = self.outcome(&report);
        let sent = report.done.iter().filter(|done| done.outcome.kind != OutcomeKind::NotSent).count();
        let pass = PassView {
            number: self.passes,
            started,
            finished,
            outcome,
            steps_planned: u32::try_from(report.plan().steps.len()).unwrap_or(u32::MAX),
            steps_sent: u32::try_from(sent).unwrap_or(u32::MAX),
        };
        let failing = self.failing(&report, outcome, started);
        let view = TenantView { at: finished, last_pass: Some(pass), failing, ..(*report.view).clone() };
        report.view = Arc::new(view);
        self.keep_view(&report.view);
        self.shared.publish(Arc::clone(&report.view));
        let duration = self.parts.clock.monotonic().saturating_sub(begun);
        self.parts.metrics.pass_finished(&self.parts.name, outcome, duration);
        self.log_pass(&report, outcome, duration);
        report
    }

    async fn try_pass(&mut self, purpose: &Purpose) -> Result<PassReport, store::Error> {
        self.announce(purpose)?;
        self.began = Some(Reading::of(&*self.parts.clock));
        // Whatever stands up to here is in the state once this pass has ended.
        let head = self.parts.journal.head();
        self.is_reflected = false;
        let Some(guarded) = self.load_policy().await? else { return Ok(self.failed_pass()) };
        let policy = Arc::clone(&guarded.policy);
        let observed = self.observe(&policy).await?;
        let findings = findings::find(&self.parts.store, &policy, &observed, self.parts.clock.now())?;
        let kept_books = bookkeeping::update(&mut self.books(), &findings, &observed)?;
        self.note_data_loss(&kept_books.events);
        self.recent.extend(kept_books.events);
        if observed.observation.is_complete() {
            // Not before the ledger: without these numbers everybody is compared again.
            self.parts.store.put(&findings.tally)?;
        }
        let plan = self.plan(&guarded, &findings, &observed)?;
        if observed.observation.is_complete() {
            let before = self.parts.store.get::<Plan>()?;
            self.parts.journal.append_all(&news::news(before.as_ref(), &plan), self.parts.clock.now())?;
        }
        let refused = self.refusal(purpose, &plan);
        let done = match (purpose, &refused) {
            (Purpose::Act { .. }, None) => self.act(&plan).await,
            (Purpose::Act { .. }, Some(_)) | (Purpose::Plan, _) => Vec::new(),
        };
        self.note_outcomes(&done);
        self.parts.store.put(&plan)?;
        recall::reflect(&self.parts.store, head)?;
        self.is_reflected = true;
        let view = self.view(&policy, &findings, &observed, plan, &done)?;
        Ok(PassReport { view: Arc::new(view), done, refused })
    }

    async fn load_policy(&mut self) -> Result<Option<InForce>, store::Error> {
        self.parts.policy.reload();
        self.edition = self.parts.policy.edition();
        let now = self.parts.clock.now();
        let Parts { policy, store, graph, clock, .. } = &self.parts;
        if let Some(Newer { policy: newest, groups }) = guard::newer(policy, store)? {
            self.preview.read(graph, &**clock, &newest.digest, groups, now).await;
        }
        let Some(guarded) = guard::in_force(policy, store, &self.shared, &self.preview, now)? else {
            return Ok(None);
        };
        let policy = &guarded.policy;
        // SIGHUP may have loaded it before this pass, so the holder's own change says nothing.
        if self.journalled_policy.as_deref() != Some(policy.digest.as_str()) {
            let entry =
                Entry::PolicyLoaded { digest: policy.digest.clone(), revision: policy.revision.clone() };
            self.parts.journal.append(&entry, self.parts.clock.now())?;
            self.journalled_policy = Some(policy.digest.clone());
        }
        Ok(Some(guarded))
    }

    async fn observe(&mut self, policy: &crate::policy::Policy) -> Result<Observed, store::Error> {
        let parts = &self.parts;
        let scope =
            observe::Scope { is_full_wanted: self.is_full_wanted, is_first: self.passes == 1, policy };
        let mut observed = observe::observe(&parts.graph, &parts.store, &scope, &*parts.clock).await?;
        self.tell(&observed.observation.problems);
        if observed.observation.is_complete() {
            let was_whole = parts.store.get_or_default::<Identities>()?.are_journalled;
            let before = observed.observation.problems.len();
            let learned =
                observe::mailboxes(&parts.graph, &parts.store, policy, &mut observed, &*parts.clock).await?;
            self.tell(observed.observation.problems.get(before..).unwrap_or_default());
            identities::record(&parts.store, &parts.journal, learned.recorded, was_whole, parts.clock.now())?;
            identity::doubt(&parts.store, &learned.replaced, observed.observation.started)?;
            if parts.reads_audit_log {
                observe::audit::ask(&parts.graph, &parts.store, policy, &observed, &*parts.clock).await?;
            }
            self.is_full_wanted &= observed.observation.kind != ObservationKind::Full;
            // Whatever is dated from here on would be dated wrongly.
            if let Some(problem) = observe::clock_set(self.clock_set_by()) {
                self.tell(std::slice::from_ref(&problem));
                observed.observation.problems.push(problem);
            }
        }
        if !observed.observation.is_complete() {
            let entry = Entry::ObservationRejected { problems: observed.observation.problems.clone() };
            self.parts.journal.append(&entry, self.parts.clock.now())?;
        }
        observed.surroundings.audited = observe::audit::recall(&self.parts.store)?;
        self.parts.store.put(&observed.observation)?;
        self.parts.store.flush()?;
        Ok(observed)
    }

    /// By how much the clock was set since this pass began.
    fn clock_set_by(&self) -> Span {
        self.began.map_or(Span::ZERO, |began| Reading::of(&*self.parts.clock).set_by_since(began))
    }

    /// Logs and counts what is wrong with an observation.
    fn tell(&self, problems: &[Problem]) {
        let parts = &self.parts;
        for problem in Problem::told(problems) {
            tracing::warn!(
                tenant = parts.name,
                problem = problem.kind.label(),
                detail = problem.detail,
                "the observation has a problem"
            );
        }
        for problem in problems {
            parts.metrics.observation_problem(&parts.name, problem.kind);
        }
    }

    fn plan(
        &self,
        guarded: &InForce,
        findings: &Findings,
        observed: &Observed,
    ) -> Result<Plan, store::Error> {
        let policy = &*guarded.policy;
        let now = self.parts.clock.now();
        let ledger = findings.ledger(&self.parts.store)?;
        let in_flight = in_flight(&ledger, policy, observed);
        let answers = self.parts.store.get_or_default::<Approvals>()?;
        let sent_last_day = self.parts.journal.intents_since(now - Span::from_days(1));
        let age = plan::age::standing(now, policy, &answers.0);
        let input = plan::Input {
            now,
            policy,
            drifts: &findings.drifts,
            ledger: &ledger,
            catalog: &observed.catalog,
            kept: findings.tally.kept,
            sent_last_day: u32::try_from(sent_last_day).unwrap_or(u32::MAX),
            in_flight: &in_flight,
            answers: &answers.0,
            closed: self.closed(observed).or(guarded.closed).or(age.closed),
            standing_ask: guarded.ask.clone().or(age.ask),
        };
        let plan = plan::plan(&input);
        let mut known = BTreeMap::new();
        let concerned = plan.steps.iter().map(|step| step.user).collect();
        self.parts.store.visit_users(&concerned, |id, user| known.extend(user.map(|user| (id, user))))?;
        let is_closed = input.closed.is_some();
        let mut plan = plan::checked(plan, input, &known);
        let before = self.parts.store.get::<Plan>()?;
        if let Some(before) = before.as_ref().filter(|_| is_closed) {
            news::carry_over(before, &findings.drifts, &answers.0, &mut plan);
        }
        news::date(before.as_ref(), &mut plan);
        Ok(plan)
    }

    /// Why nothing may follow from this pass at all.
    fn closed(&self, observed: &Observed) -> Option<Reason> {
        if !observed.observation.is_complete() {
            return Some(Reason::ObservationRejected);
        }
        self.parts.policy.loaded().failed.is_some().then_some(Reason::PolicyFailed)
    }

    /// Why `apply` sends nothing although the plan may have steps.
    fn refusal(&self, purpose: &Purpose, plan: &Plan) -> Option<String> {
        match purpose {
            Purpose::Plan => None,
            Purpose::Act { .. } if !self.parts.may_act => Some(Reason::ObserveMode.sentence().to_owned()),
            Purpose::Act { .. } if self.is_held() => Some(Reason::Held.sentence().to_owned()),
            Purpose::Act { digest: Some(wanted) } if !plan.digest.starts_with(wanted.as_str()) => {
                Some(format!("the plan has changed: it is {} now, {wanted} was reviewed", plan.digest))
            }
            Purpose::Act { .. } => None,
        }
    }

    /// Why nothing is sent at the moment, whatever the plan.
    fn stopped_reason(&self) -> Option<Reason> {
        if !self.parts.may_act {
            return Some(Reason::ObserveMode);
        }
        self.is_held().then_some(Reason::Held)
    }

    fn is_held(&self) -> bool {
        is_held(&self.parts.store, &*self.parts.clock)
    }

    async fn act(&mut self, plan: &Plan) -> Vec<Done> {
        let is_allowed =
            holds(InvariantId::Safe6, self.parts.may_act, || "act was reached in observe mode".to_owned());
        if !is_allowed || plan.steps.is_empty() {
            return Vec::new();
        }
        let (shared, store) = (self.shared.clone(), self.parts.store.clone());
        let (policy, edition) = (self.parts.policy.clone(), self.edition.clone());
        let (clock, began) = (Arc::clone(&self.parts.clock), self.began);
        let stopped = move || {
            let is_reloaded = || (policy.edition() != edition).then_some(Reason::PolicyReloaded);
            let set_by = began.map_or(Span::ZERO, |began| Reading::of(&*clock).set_by_since(began));
            let is_clock_set = || observe::clock_set(set_by).map(|_| Reason::ObservationRejected);
            // Read before each request: a hold counts from the moment it is in the state.
            let is_stopped = shared.is_stopping() || is_held(&store, &*clock);
            is_stopped.then_some(Reason::Held).or_else(is_reloaded).or_else(is_clock_set)
        };
        let hands = Hands {
            graph: &self.parts.graph,
            store: &self.parts.store,
            journal: &self.parts.journal,
            clock: &*self.parts.clock,
            stopped: &stopped,
            at_once: self.steps_at_once,
        };
        let _sending = self.shared.sending();
        act::act(plan, &hands).await
    }

    fn books(&self) -> bookkeeping::Books<'_> {
        bookkeeping::Books {
            tenant: &self.parts.name,
            store: &self.parts.store,
            journal: &self.parts.journal,
            metrics: &self.parts.metrics,
            now: self.parts.clock.now(),
        }
    }
}

/// The big red button. What cannot be read holds, too.
fn is_held(store: &TenantStore, clock: &dyn Clock) -> bool {
    store.get::<Hold>().map_or(true, |hold| hold.is_some_and(|hold| hold.is_active(clock.now())))
}
