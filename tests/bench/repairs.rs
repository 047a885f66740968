//! Thousands of repairs against the write quota of one tenant, in virtual time: the real loop over the simulated
//! tenant, whose quota counts exactly. What is measured is what the tenant sees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use mailkeeper::clock::Clock;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};
use mailkeeper::graph::{Client, Cloud, Config, SignIn};
use mailkeeper::model::{Span, Timestamp, UserId};
use mailkeeper::reconcile::{Parts, PolicyHolder, Purpose, Reconciler};
use mailkeeper::report::metrics::Metrics;
use mailkeeper::sim::administrator::{NewUser, UserKind};
use mailkeeper::sim::clock::TokioClock;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::quota::Quota;
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::Company;
use mailkeeper::sim::scenario::products::SPE_E3;
use mailkeeper::sim::tenant::{Tenant, TenantOptions};
use mailkeeper::sim::truth::MailboxState;
use mailkeeper::store::TenantStore;
use mailkeeper::store::journal::{Journal, MemoryLog};
use mailkeeper::store::memory::MemoryKv;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Between two passes.
const PASS: Span = Span::from_minutes(10);

/// How long the tenant is watched before anything happens: the first observations are not trusted to the minute.
const QUIET: Span = Span::from_hours(2);

/// Different deadlines: mailboxes lose their licence in so many waves.
const WAVES: usize = 10;

/// Passes after those that are measured, in which everything that was left over is repaired.
const LATER_PASSES: usize = 3;

/// Requests that mailkeeper has under way together: so far the order may differ from that of the deadlines.
const UNDER_WAY: usize = 8;

/// Graph: identity and access limits, writes of one application in one tenant in 150 seconds.
const MICROSOFT: u32 = 3_000;

const POLICY: &str = "
version: 1
keep:
  - name: everybody
    match: { user_type: member }
    licenses: [SPE_E3]
    on_license_lost: act
    settle: 1m
limits: { per_pass: 50000, per_day: 100000, share: 100%, floor: 50000 }
";

/// One tenant, and how it behaves.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    pub name: &'static str,
    pub repairs: usize,
    /// What is left of Microsoft's 3,000 writes for us; another program under the same application spends the rest.
    pub writes_per_150s: u32,
    /// Share of requests that are answered 429 at random, with every kind of `Retry-After`.
    pub random_429: f64,
    /// The process is killed after so many writes and started again at once.
    pub killed_after: Option<usize>,
    /// The share of the repairs whose time is measured.
    pub timed: f64,
    pub bounds: Bounds,
}

/// What a run must keep.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time over what the quota demands, in per cent.
    pub over_theory: f64,
    /// Writes refused by the quota, in per cent of the writes.
    pub refused_by_quota: f64,
    /// Repairs that wait for a later pass, in per cent.
    pub later: f64,
    /// Writes that came late for their deadline.
    pub out_of_order: usize,
}

const TIGHT: Bounds = Bounds { over_theory: 5.0, refused_by_quota: 1.0, later: 0.0, out_of_order: 0 };

/// Every tenant that is measured.
pub fn stories(repairs: usize) -> [Story; 4] {
    let polite = Story {
        name: "polite",
        repairs,
        writes_per_150s: MICROSOFT,
        random_429: 0.0,
        killed_after: None,
        timed: 1.0,
        bounds: TIGHT,
    };
    [
        polite,
        Story {
            name: "killed half-way",
            killed_after: Some(repairs / 2),
            // What was under way when it was killed is read back first.
            bounds: Bounds { later: 0.1_f64.max(1_000.0 / repairs as f64), out_of_order: UNDER_WAY, ..TIGHT },
            ..polite
        },
        Story {
            name: "1 % refused at random",
            random_429: 0.01,
            // The last ones wait as long as they were told to.
            timed: 0.99,
            // Retry-After of a day: a later pass sends it. Each refusal costs its own wait beside the quota.
            bounds: Bounds { over_theory: 10.0, later: 1.0, ..TIGHT },
            ..polite
        },
        Story {
            name: "half the quota is spent by another program",
            writes_per_150s: MICROSOFT / 2,
            // Nobody tells how much the other one spends: it has to be felt for.
            bounds: Bounds { over_theory: 20.0, ..TIGHT },
            ..polite
        },
    ]
}

/// Above [`Figures::row`].
pub const HEAD: &str = "tenant                                        theory s    took s   over %  pause s  429 quota 429 random  disorder  later";

/// What the tenant saw.
#[derive(Debug, Clone)]
pub struct Figures {
    pub story: Story,
    pub writes: usize,
    pub theory_s: f64,
    /// Without the pause.
    pub took_s: f64,
    /// From the kill to the next write: the tenant is observed again.
    pub pause_s: f64,
    pub refused_by_quota: usize,
    pub refused_at_random: usize,
    /// Writes that came although a mailbox with a later deadline had been written for, more than eight writes before.
    pub out_of_order: usize,
    /// Repairs that a later pass made.
    pub later: usize,
    pub unrepaired: usize,
}

impl Figures {
    pub fn over_theory(&self) -> f64 {
        (self.took_s / self.theory_s - 1.0) * 100.0
    }

    fn percent_of_writes(&self, count: usize) -> f64 {
        count as f64 * 100.0 / self.writes.max(1) as f64
    }

    pub fn refused_by_quota_percent(&self) -> f64 {
        self.percent_of_writes(self.refused_by_quota)
    }

    pub fn later_percent(&self) -> f64 {
        self.later as f64 * 100.0 / self.story.repairs as f64
    }

    /// One line of the table.
    pub fn row(&self) -> String {
        format!(
            "{:44} {:>9.1} {:>9.1} {:>8.1} {:>8.1} {:>8.2} % {:>10} {:>9} {:>6}",
            self.story.name,
            self.theory_s,
            self.took_s,
            self.over_theory(),
            self.pause_s,
            self.refused_by_quota_percent(),
            self.refused_at_random,
            self.out_of_order,
            self.later
        )
    }

    /// Each bound that was broken, as a sentence.
    pub fn broken(&self) -> Vec<String> {
        let bounds = self.story.bounds;
        let mut broken = Vec::new();
        let mut check = |is_kept: bool, what: String| {
            if !is_kept {
                broken.push(format!("{}: {what}", self.story.name));
            }
        };
        check(
            self.over_theory() <= bounds.over_theory,
            format!(
                "{:.1} % over the theoretical time, allowed are {} %",
                self.over_theory(),
                bounds.over_theory
            ),
        );
        check(
            self.refused_by_quota_percent() <= bounds.refused_by_quota,
            format!("{:.2} % refused by the quota", self.refused_by_quota_percent()),
        );
        check(self.out_of_order <= bounds.out_of_order, format!("{} writes out of order", self.out_of_order));
        check(self.later_percent() <= bounds.later, format!("{} repairs came later", self.later));
        check(self.unrepaired == 0, format!("{} were never repaired", self.unrepaired));
        broken
    }
}

/// One assignment, in the order of sending.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Timestamp,
    user: UserId,
    /// `None` while it is under way.
    status: Option<u16>,
    is_quota: bool,
}

/// Notes the assignments on their way to the tenant.
#[derive(Clone)]
struct Counted {
    inner: SimTransport,
    sent: Arc<Mutex<Vec<Sent>>>,
    /// Told when so many writes were sent.
    alarm: Arc<(Mutex<Option<usize>>, tokio::sync::Notify)>,
}

impl Counted {
    fn new(inner: SimTransport) -> Self {
        Self { inner, sent: Arc::default(), alarm: Arc::default() }
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Sent>> {
        lock(&self.sent)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `.../users/{id}/assignLicense`.
fn assigned(request: &HttpRequest) -> Option<UserId> {
    let rest = request.url.strip_suffix("/assignLicense").filter(|_| request.method == Method::Post)?;
    rest.rsplit('/').next()?.parse().ok()
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let Some(user) = assigned(&request) else { return self.inner.send(request).await };
        let place = self.sent().len();
        if lock(&self.alarm.0).is_some_and(|wanted| wanted == place) {
            self.alarm.1.notify_one();
        }
        self.sent().push(Sent { at: self.inner.clock().now(), user, status: None, is_quota: false });
        let outcome = self.inner.send(request).await;
        let sent = &mut self.sent()[place];
        sent.at = self.inner.clock().now();
        sent.status = outcome.as_ref().ok().map(|response| response.status);
        sent.is_quota =
            outcome.as_ref().is_ok_and(|response| response.header("x-ms-throttle-information").is_some());
        outcome
    }
}

/// Runs one story on a clock of its own.
pub fn run(story: Story) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can be built").block_on(Bench::new(story).whole())
}

struct Bench {
    story: Story,
    network: Counted,
    clock: Arc<TokioClock>,
    kv: MemoryKv,
    log: MemoryLog,
    policy: PathBuf,
    /// Removed at the end.
    _directory: tempfile::TempDir,
    users: Vec<UserId>,
}

impl Bench {
    fn new(story: Story) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let policy = directory.path().join("policy.yaml");
        std::fs::write(&policy, POLICY).expect("the directory is ours");
        let clock = Arc::new(TokioClock::new(START));
        let mut tenant = Tenant::new(TenantOptions::new(1));
        let users = move_in(&mut tenant, story.repairs);
        let network = SimTransport::new(tenant, clock.clone(), Faults::polite(1));
        Self {
            story,
            network: Counted::new(network),
            clock,
            kv: MemoryKv::new(),
            log: MemoryLog::default(),
            policy,
            _directory: directory,
            users,
        }
    }

    /// Starts mailkeeper from what is on the disk.
    fn start(&self) -> Reconciler {
        let tenant = TenantOptions::new(1).id;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let sign_in =
            SignIn::ClientSecret { client_id: "keeper".to_owned(), secret: "secret".to_owned().into() };
        let config = Config { has_batch: true, ..Config::new(tenant, Cloud::Global.roots(), sign_in) };
        let (journal, _) = Journal::open(Box::new(self.log.clone()), tenant).expect("the journal opens");
        let parts = Parts {
            name: "contoso".to_owned(),
            graph: Client::new(config, Arc::new(self.network.clone()), Arc::clone(&clock)),
            store: TenantStore::new(Arc::new(self.kv.clone()), tenant),
            journal: Arc::new(journal),
            clock,
            policy: PolicyHolder::new(self.policy.clone()),
            may_act: true,
            reads_audit_log: false,
            metrics: Metrics::new(),
        };
        Reconciler::new(parts).expect("the state is readable")
    }

    async fn whole(self) -> Figures {
        let mut keeper = self.start();
        let waves = self.lose_licences(&mut keeper).await;
        self.misbehave();
        let act = Purpose::Act { digest: None };
        let mut pause = Span::ZERO;
        match self.story.killed_after {
            None => drop(keeper.pass(&act).await),
            Some(writes) => {
                *lock(&self.network.alarm.0) = Some(writes);
                tokio::select! {
                    biased;
                    () = self.network.alarm.1.notified() => {}
                    _ = keeper.pass(&act) => panic!("the pass ended before it could be killed"),
                }
                drop(keeper);
                self.kv.crash(0);
                self.log.crash(0);
                let before = self.network.sent().len();
                let killed = self.clock.now();
                keeper = self.start();
                drop(keeper.pass(&act).await);
                pause = self.network.sent().get(before).map_or(Span::ZERO, |sent| sent.at - killed);
            }
        }
        let measured = self.network.sent().clone();
        // Whatever was left over.
        for _ in 0..LATER_PASSES {
            self.clock.sleep(QUIET.to_duration()).await;
            keeper.pass(&act).await;
        }
        self.figures(&measured, pause, &waves)
    }

    /// Everybody's licence goes, in waves with a pass after each; returns who went in which wave.
    async fn lose_licences(&self, keeper: &mut Reconciler) -> BTreeMap<UserId, usize> {
        self.network.inner.tenant().set_quota(Quota::Unlimited);
        for _ in 0..2 {
            keeper.pass(&Purpose::Plan).await;
            self.clock.sleep(QUIET.to_duration()).await;
        }
        keeper.pass(&Purpose::Plan).await;
        let mut rng = Rng::stream(1, "waves");
        let mut order = self.users.clone();
        order.sort_by_cached_key(|_| rng.next_u64());
        let mut waves = BTreeMap::new();
        for (wave, users) in order.chunks(order.len().div_ceil(WAVES)).enumerate() {
            self.clock.sleep(PASS.to_duration()).await;
            for user in users {
                let now = self.clock.now();
                self.network.inner.tenant().remove_licence(now, *user, SPE_E3).expect("a direct licence");
                waves.insert(*user, wave);
            }
            keeper.pass(&Purpose::Plan).await;
        }
        self.clock.sleep(PASS.to_duration()).await;
        let planned = keeper.pass(&Purpose::Plan).await.plan().steps.len();
        assert_eq!(planned, self.story.repairs, "steps are planned for all");
        self.clock.sleep(PASS.to_duration()).await;
        waves
    }

    /// From now on the tenant is that of the story.
    fn misbehave(&self) {
        let quota = match self.story.writes_per_150s {
            MICROSOFT => Quota::Microsoft,
            writes_per_150s => Quota::Custom { units_per_10s: 8_000, writes_per_150s },
        };
        self.network.inner.tenant().set_quota(quota);
        self.network.inner.faults().rates.throttled = self.story.random_429;
    }

    fn figures(&self, measured: &[Sent], pause: Span, waves: &BTreeMap<UserId, usize>) -> Figures {
        let all = self.network.sent().clone();
        let mut accepted: Vec<&Sent> = measured.iter().filter(|sent| sent.status == Some(200)).collect();
        accepted.sort_by_key(|sent| sent.at);
        let timed = (accepted.len() as f64 * self.story.timed) as usize;
        let (first, last) = (measured.first().expect("writes"), accepted[timed - 1]);
        let tenant = self.network.inner.tenant();
        let is_licensed = |user: &&UserId| tenant.mailbox_truth(**user).state == MailboxState::Active;
        let repaired = self.users.iter().filter(is_licensed).count();
        Figures {
            story: self.story,
            writes: measured.len(),
            theory_s: timed as f64 * 150.0 / f64::from(self.story.writes_per_150s),
            took_s: (last.at - first.at).as_secs_f64() - pause.as_secs_f64(),
            pause_s: pause.as_secs_f64(),
            refused_by_quota: measured
                .iter()
                .filter(|sent| sent.status == Some(429) && sent.is_quota)
                .count(),
            refused_at_random: measured
                .iter()
                .filter(|sent| sent.status == Some(429) && !sent.is_quota)
                .count(),
            out_of_order: out_of_order(&all, waves),
            later: repaired.saturating_sub(accepted.len()),
            unrepaired: self.users.len() - repaired,
        }
    }
}

/// First writes for a mailbox that came although one of a later wave had been written for more than [`UNDER_WAY`]
/// places before.
fn out_of_order(sent: &[Sent], waves: &BTreeMap<UserId, usize>) -> usize {
    let mut seen = BTreeSet::new();
    let firsts = sent.iter().filter(|sent| seen.insert(sent.user));
    let order: Vec<usize> = firsts.filter_map(|sent| waves.get(&sent.user).copied()).collect();
    let mut latest = 0;
    let mut count = 0;
    for (place, wave) in order.iter().enumerate() {
        if let Some(before) = place.checked_sub(UNDER_WAY) {
            latest = latest.max(order[before]);
        }
        count += usize::from(latest > *wave);
    }
    count
}

/// Members with a direct licence, and as many seats and some.
fn move_in(tenant: &mut Tenant, count: usize) -> Vec<UserId> {
    let company = Company::build(0, 1);
    tenant.set_moving_in(true);
    for mut sku in company.skus {
        sku.seats = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(100);
        tenant.add_sku(START, sku);
    }
    let users = (0..count).map(|number| {
        let mut user =
            NewUser::new(&format!("user{number}@contoso.com"), &format!("User {number}"), UserKind::Member);
        user.licences = vec![(SPE_E3, Vec::new())];
        tenant.add_user(START, user)
    });
    let users = users.collect();
    tenant.set_moving_in(false);
    users
}
