//! One seed from beginning to end: a phase of faults, in which nothing wrong may happen, and a phase of healing,
//! after which everything that can be repaired is repaired.

mod healing;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use mailkeeper::clock::Clock;
use mailkeeper::control::Question;
use mailkeeper::model::{Reason, Span, Timestamp, UserId};
use mailkeeper::reconcile::{PassReport, Purpose};
use mailkeeper::sim::clock::TokioClock;
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::Company;

use super::acts::{self, Act, KeeperAct, TenantAct};
use super::checker::{Broken, Checker, Ground, Pass, Pressed, broken};
use super::keeper::{Disk, Keeper, Sabotage, Setting};
use super::people::People;
use super::request::Kind;
use super::shape::Shape;
use super::trace::Trace;
use super::wire::{Death, Wire};
use super::world::{LocalClock, OLDEST_REPLICA, START, World};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub hash: String,
    pub passes: u32,
    pub believed: u32,
    pub crashes: u32,
    pub writes: usize,
    pub demanded: usize,
    /// What was met on the way, and how often.
    pub met: BTreeMap<String, u32>,
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    pub phase: &'static str,
    pub broken: Broken,
    pub tail: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, phase, broken, tail } = self;
        writeln!(f, "seed {seed}, {phase}: {} is broken: {}", broken.promise, broken.detail)?;
        writeln!(f, "{tail}")?;
        write!(f, "replay: MAILKEEPER_SIM_SEED={seed} cargo test --test simulation replay -- --nocapture")
    }
}

/// Lines of the trace that a failure shows.
const TAIL: usize = 40;

/// Runs one seed on a clock of its own.
pub fn run(seed: u64, sabotage: Option<Sabotage>, is_loud: bool) -> Result<Summary, Failure> {
    let trace = Trace::new(is_loud);
    let phase = Arc::new(Mutex::new("set-up"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can be built");
    let outcome = {
        let (trace, phase) = (trace.clone(), Arc::clone(&phase));
        let story = async move { Run::new(seed, sabotage, trace, phase)?.whole().await };
        std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(story)))
    };
    let failed = |broken| {
        let phase = *phase.lock().expect("nobody panics while naming the phase");
        Failure { seed, phase, broken, tail: trace.tail(TAIL) }
    };
    match outcome {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(broken)) => Err(failed(broken)),
        Err(panic) => Err(failed(told_by(panic.as_ref()))),
    }
}

/// A promise that the product itself saw break panics in debug builds: its message begins with the promise.
fn told_by(panic: &(dyn std::any::Any + Send)) -> Broken {
    let text = panic.downcast_ref::<String>().cloned();
    let text =
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    let promise = text.split_once(" is broken").map_or("PANIC", |(promise, _)| promise);
    broken(promise, format!("the product says: {text}"))
}

struct Run {
    company: Company,
    shape: Shape,
    people: People,
    checker: Checker,
    wire: Wire,
    clock: Arc<LocalClock>,
    disk: Disk,
    keeper: Keeper,
    policy: PathBuf,
    /// Removed with everything in it at the end.
    _directory: tempfile::TempDir,
    sabotage: Option<Sabotage>,
    has_batch: bool,
    may_act: bool,
    is_slow: bool,
    steps: u32,
    repaired: Vec<UserId>,
    met: BTreeMap<String, u32>,
    hold_during: Option<u32>,
    passes: u32,
    believed: u32,
    crashes: u32,
    /// Polls of the last whole pass, and of its writes: what a crash is drawn from.
    polls: u64,
    rng: Rng,
    trace: Trace,
    phase: Arc<Mutex<&'static str>>,
}

/// A pass that takes longer than this never ends.
const LONGEST_PASS: Span = Span::from_hours(12);

impl Run {
    fn new(
        seed: u64,
        sabotage: Option<Sabotage>,
        trace: Trace,
        phase: Arc<Mutex<&'static str>>,
    ) -> Result<Self, Broken> {
        let world = World::draw(seed);
        let tenant_clock = Arc::new(TokioClock::new(START));
        let clock = Arc::new(LocalClock::new(Arc::clone(&tenant_clock)));
        let directory = tempfile::tempdir().map_err(|error| broken("SET-UP", error.to_string()))?;
        let policy = directory.path().join("policy.yaml");
        let disk = Disk::default();
        let id = world.tenant.id();
        let network = SimTransport::new(world.tenant, tenant_clock, world.faults);
        let wire = Wire::new(network, disk.log.clone(), Arc::clone(&clock), trace.clone());
        if sabotage == Some(Sabotage::RepeatsWrites) {
            wire.repeat_writes();
        }
        write_policy(&policy, &world.shape, &world.company, sabotage);
        let setting = Setting {
            tenant: id,
            wire: &wire,
            clock: &clock,
            policy: &policy,
            may_act: world.may_act,
            has_batch: world.has_batch,
            sabotage,
        };
        let keeper = Keeper::start(&disk, &setting).map_err(|error| broken("SET-UP", error))?;
        Ok(Self {
            company: world.company,
            shape: world.shape,
            people: world.people,
            checker: Checker::default(),
            wire,
            clock,
            disk,
            keeper,
            policy,
            _directory: directory,
            sabotage,
            has_batch: world.has_batch,
            may_act: world.may_act,
            is_slow: world.is_slow,
            steps: world.steps,
            repaired: Vec::new(),
            met: BTreeMap::new(),
            hold_during: None,
            passes: 0,
            believed: 0,
            crashes: 0,
            polls: 100,
            rng: Rng::stream(seed, "run"),
            trace,
            phase,
        })
    }

    async fn whole(mut self) -> Result<Summary, Broken> {
        self.enter("faults");
        for _ in 0..self.steps {
            for _ in 0..self.rng.below(5) {
                self.act()?;
            }
            let pause = acts::pause(self.is_slow, &mut self.rng);
            self.clock.sleep(pause.to_duration()).await;
            self.pass_under_fire().await?;
        }
        self.enter("healing");
        let demanded = self.heal()?;
        self.converge(&demanded).await?;
        let is_whole =
            self.keeper.desk.journal.verify().is_ok_and(|verification| verification.first_bad.is_none());
        if !is_whole {
            return Err(broken("AUDIT", "the chain of the journal does not verify"));
        }
        Ok(Summary {
            hash: self.trace.hash(),
            passes: self.passes,
            believed: self.believed,
            crashes: self.crashes,
            writes: self.wire.writes().len(),
            demanded: demanded.len(),
            met: self.met(),
        })
    }

    /// What this life tried: kinds of writes and answers, entries of the journal, reasons of waiting.
    fn met(&self) -> BTreeMap<String, u32> {
        let mut met = self.met.clone();
        let mut count = |what: String| *met.entry(what).or_default() += 1;
        for sent in self.wire.writes() {
            count(format!("write {}", sent.kind.label()));
            if matches!(&sent.kind, Kind::Restore { new_name: Some(_), .. }) {
                count("write restore under another name".to_owned());
            }
            count(format!("answer {:?}", sent.seen));
        }
        for line in self.wire.journal.lines() {
            let entry = &line["entry"];
            let verdict = entry["verdict"].as_str().map(|verdict| format!(" {verdict}")).unwrap_or_default();
            count(format!("journal {}{verdict}", entry["event"].as_str().unwrap_or_default()));
        }
        for lost in self.wire.network.tenant().lost_mailboxes() {
            count(format!("lost {:?}", lost.cause));
        }
        met
    }

    fn enter(&self, phase: &'static str) {
        *self.phase.lock().expect("nobody panics while naming the phase") = phase;
        self.note(format!("-- {phase}"));
    }

    fn note(&self, text: impl AsRef<str>) {
        self.trace.note(self.now(), text);
    }

    /// By the tenant's clock.
    fn now(&self) -> Timestamp {
        self.clock.tenant.now()
    }

    fn sample(&mut self) {
        let now = self.clock.tenant.now();
        let mut tenant = self.wire.network.tenant();
        tenant.advance(now);
        self.people.sample(&self.shape, &tenant, now);
    }

    // -- people

    fn act(&mut self) -> Result<(), Broken> {
        self.sample();
        let act = acts::draw(&self.people, &self.repaired, &mut self.rng);
        self.note(format!("{act:?}"));
        match act {
            Act::Tenant(act) => self.act_on_tenant(&act),
            Act::Keeper(act) => self.act_on_keeper(&act)?,
        }
        self.sample();
        Ok(())
    }

    fn act_on_tenant(&mut self, act: &TenantAct) {
        let now = self.now();
        act.apply(
            &self.company,
            &mut self.people,
            &mut self.wire.network.tenant(),
            &mut self.wire.network.faults(),
            now,
        );
        if let Some(user) = act.user() {
            self.checker.touched.insert(user, now);
        }
        match act {
            TenantAct::LosePermission(_) => self.checker.lacks_permission = true,
            TenantAct::RegainPermissions => self.checker.lacks_permission = false,
            _ => {}
        }
    }

    fn act_on_keeper(&mut self, act: &KeeperAct) -> Result<(), Broken> {
        match act {
            KeeperAct::HoldDuring { write } => self.hold_during = Some(*write),
            KeeperAct::Hold { minutes } => self.hold(minutes.map(Span::from_minutes)),
            KeeperAct::Resume => self.resume(),
            KeeperAct::BreakPolicy => {
                std::fs::write(&self.policy, "keep: [\n").expect("the directory is ours")
            }
            KeeperAct::MendPolicy => write_policy(&self.policy, &self.shape, &self.company, self.sabotage),
            KeeperAct::OffboardInPolicy(user) => {
                self.shape.offboarded.insert(*user);
                write_policy(&self.policy, &self.shape, &self.company, self.sabotage);
            }
            KeeperAct::SetClockOff { minutes } => self.clock.set_offset(Span::from_minutes(*minutes)),
            KeeperAct::AnswerAsks { granted } => self.answer_asks(*granted),
            KeeperAct::Restart => self.restart()?,
            KeeperAct::FailState { calls } => self.disk.kv.fail_after(*calls),
            KeeperAct::FailJournal { calls } => self.disk.log.fail_after(*calls),
        }
        Ok(())
    }

    fn hold(&mut self, duration: Option<Span>) {
        let question = Question::Hold { duration, reason: "for the simulation".to_owned() };
        if self.keeper.ask(&question) {
            let until = duration.map(|duration| self.clock.now() + duration);
            self.checker.pressed = Some(Pressed { line: self.wire.journal.len(), until });
        }
    }

    fn resume(&mut self) {
        if self.keeper.ask(&Question::Resume) {
            self.checker.pressed = None;
        }
    }

    fn answer_asks(&mut self, granted: bool) {
        let Some(view) = self.keeper.desk.shared.view() else { return };
        for ask in &view.asks {
            if !self.keeper.ask(&Question::Answer { ask: ask.id.clone(), granted }) {
                continue;
            }
            self.note(format!("{:?} answered with {granted} for {} users", ask.reason, ask.users.len()));
            for user in &ask.users {
                if granted && ask.reason == Reason::MassEvent {
                    self.checker.approved.insert(*user);
                }
                if let Some(person) = self.people.get_mut(*user).filter(|_| !granted) {
                    person.was_denied = true;
                }
            }
        }
    }

    // -- the process

    fn restart(&mut self) -> Result<(), Broken> {
        self.keeper.reconciler.close();
        self.start()
    }

    fn crash(&mut self) -> Result<(), Broken> {
        self.crashes += 1;
        self.note("crash");
        self.disk.crash(&mut self.rng);
        self.start()
    }

    /// Starts anew from the disk. A failing disk is replaced by one with the same content.
    fn start(&mut self) -> Result<(), Broken> {
        self.disk.kv.reopen();
        self.disk.log.heal();
        let id = self.wire.network.tenant().id();
        let setting = Setting {
            tenant: id,
            wire: &self.wire,
            clock: &self.clock,
            policy: &self.policy,
            may_act: self.may_act,
            has_batch: self.has_batch,
            sabotage: self.sabotage,
        };
        self.keeper = Keeper::start(&self.disk, &setting).map_err(|error| broken("RESTART", error))?;
        Ok(())
    }

    // -- passes

    async fn pass_under_fire(&mut self) -> Result<(), Broken> {
        let is_crashing = self.rng.chance(0.3);
        let is_at_write = self.rng.chance(0.6);
        let write = u32::try_from(self.rng.between(1, 3)).unwrap_or(1);
        let when = if self.rng.chance(0.5) { Death::Before } else { Death::After };
        let poll = self.rng.below(self.polls.max(1)) + 1;
        let (death, poll) = match (is_crashing, is_at_write) {
            (true, true) => (Some((write, when)), None),
            (true, false) => (None, Some(poll)),
            (false, _) => (None, None),
        };
        let purpose = match self.rng.chance(0.1) {
            true => Purpose::Plan,
            false => Purpose::Act { digest: None },
        };
        self.pass(&purpose, death, poll).await
    }

    /// One pass, judged. With `death` or `poll` the process may die in it.
    async fn pass(
        &mut self,
        purpose: &Purpose,
        death: Option<(u32, Death)>,
        poll: Option<u64>,
    ) -> Result<(), Broken> {
        self.sample();
        self.passes += 1;
        let (began, lines_before) = (self.now(), self.wire.journal.len());
        self.wire.begin(self.passes, death);
        let held = self.arm_the_hold();
        let at_risk = self.people.at_risk();
        self.note(format!("pass {} {purpose:?}", self.passes));
        let report = self.poll_pass(purpose, poll).await;
        self.wire.settle();
        self.take_over_the_hold(&held);
        self.sample();
        let view = report.as_ref().map(|report| Arc::clone(&report.view));
        let ended = self.now();
        self.note_pass(report.as_ref());
        let pass = Pass {
            number: self.passes,
            began,
            ended,
            clock_off: self.clock.offset(),
            may_act: self.may_act && *purpose != Purpose::Plan,
            at_risk: &at_risk,
            lines_before,
            view: view.as_deref(),
        };
        self.judge(&pass)?;
        if ended - began > LONGEST_PASS {
            return Err(broken("BOUNDED", format!("the pass took {}", ended - began)));
        }
        let repaired = self.wire.writes();
        self.repaired = repaired.iter().rev().take(5).filter_map(|sent| sent.user).collect();
        match report {
            None => self.crash(),
            Some(report) => self.after_whole_pass(&report, began),
        }
    }

    fn judge(&mut self, pass: &Pass<'_>) -> Result<(), Broken> {
        let tenant = self.wire.network.tenant();
        let ground = Ground { shape: &self.shape, people: &self.people, tenant: &tenant, wire: &self.wire };
        self.checker.after_pass(pass, &ground)
    }

    fn after_whole_pass(&mut self, report: &PassReport, began: Timestamp) -> Result<(), Broken> {
        let outcome = report.view.last_pass.as_ref().map(|pass| pass.outcome.label());
        match outcome {
            Some("done") => {
                self.believed += 1;
                let probed = self.wire.probed();
                self.people.observed(began - OLDEST_REPLICA, |user| probed.contains(&user));
                Ok(())
            }
            // A broken disk or a missing policy: the service manager starts the daemon anew.
            Some("failed") => self.crash(),
            Some(_) | None => Ok(()),
        }
    }

    fn note_pass(&mut self, report: Option<&PassReport>) {
        let Some(report) = report else { return };
        for waiting in &report.plan().waiting {
            *self.met.entry(format!("waiting {}", waiting.reason)).or_default() += 1;
        }
        let outcome = report.view.last_pass.as_ref().map_or("none", |pass| pass.outcome.label());
        let problems: Vec<&str> = report
            .view
            .last_observation
            .iter()
            .flat_map(|observation| &observation.problems)
            .map(|problem| problem.kind.label())
            .collect();
        let mut waiting: Vec<String> = report
            .plan()
            .waiting
            .iter()
            .map(|waiting| format!("{} {}", waiting.upn, waiting.reason))
            .collect();
        waiting.sort();
        self.note(format!(
            "  {outcome} {problems:?}: {} at risk, {} steps, refused: {:?}, waiting: {}",
            report.view.at_risk.len(),
            report.plan().steps.len(),
            report.refused,
            waiting.join(", "),
        ));
        for done in &report.done {
            self.note(format!("  {} {:?}: {:?}", done.step.upn, done.step.action.label(), done.outcome.kind));
        }
    }

    /// `None` when the process died.
    async fn poll_pass(&mut self, purpose: &Purpose, poll: Option<u64>) -> Option<PassReport> {
        let wire = self.wire.clone();
        let mut died = pin!(wire.died());
        let mut polls = 0_u64;
        let report = {
            let mut pass = pin!(self.keeper.reconciler.pass(purpose));
            std::future::poll_fn(|context| {
                polls += 1;
                if poll.is_some_and(|last| polls > last) || died.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                pass.as_mut().poll(context).map(Some)
            })
            .await
        };
        if report.is_some() {
            self.polls = polls;
        }
        report
    }

    /// The button is pressed in the middle of the next pass.
    fn arm_the_hold(&mut self) -> Option<Arc<AtomicBool>> {
        let write = self.hold_during.take()?;
        let is_pressed = Arc::new(AtomicBool::new(false));
        let (desk, flag, trace, clock) =
            (self.keeper.desk.clone(), Arc::clone(&is_pressed), self.trace.clone(), Arc::clone(&self.clock));
        self.wire.on_write(write, move || {
            let operator = mailkeeper::control::Person { name: "operator".to_owned() };
            let question = Question::Hold { duration: None, reason: "stop".to_owned() };
            if matches!(desk.answer(&question, &operator), Some(Ok(_))) {
                trace.note(clock.tenant.now(), "    hold");
                flag.store(true, Ordering::SeqCst);
            }
        });
        Some(is_pressed)
    }

    /// Where in the journal the button was pressed is found by its line.
    fn take_over_the_hold(&mut self, is_pressed: &Option<Arc<AtomicBool>>) {
        if is_pressed.as_ref().is_some_and(|flag| flag.load(Ordering::SeqCst)) {
            let lines = self.wire.journal.lines();
            let line = lines.iter().rposition(|line| line["entry"]["event"] == "held").unwrap_or(lines.len());
            self.checker.pressed = Some(Pressed { line, until: None });
        }
    }
}

fn write_policy(path: &std::path::Path, shape: &Shape, company: &Company, sabotage: Option<Sabotage>) {
    let text = match sabotage {
        Some(Sabotage::PolicyIgnored) => shape.yaml_without_exclusions(company),
        Some(_) | None => shape.yaml(company),
    };
    std::fs::write(path, text).expect("the directory is ours");
}
