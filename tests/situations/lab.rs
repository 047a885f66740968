//! A tenant, the real loop over it in virtual time, and a disk in memory: what a situation plays in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mailkeeper::clock::Clock;
use mailkeeper::control::desk::Desk;
use mailkeeper::control::{Person as Operator, Question};
use mailkeeper::graph::{Client, Cloud, Config, SignIn};
use mailkeeper::model::{GroupId, PlanId, SkuId, Span, Timestamp, UserId};
use mailkeeper::reconcile::{Parts, PolicyHolder, Purpose, Reconciler};
use mailkeeper::report::metrics::Metrics;
use mailkeeper::report::status::TenantView;
use mailkeeper::sim::administrator::{NewUser, UserKind};
use mailkeeper::sim::clock::TokioClock;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::groups::{Membership, NewGroup};
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::quota::Quota;
use mailkeeper::sim::scenario::products;
use mailkeeper::sim::subscriptions::{NewSku, ServicePlan};
use mailkeeper::sim::tenant::{Tenant, TenantOptions};
use mailkeeper::store::TenantStore;
use mailkeeper::store::journal::{Journal, MemoryLog};
use mailkeeper::store::memory::MemoryKv;
use uuid::Uuid;

use super::file::{self, Person};
use super::wire::Wire;

/// When every situation begins: a Tuesday at nine.
pub const START: Timestamp = Timestamp::from_secs(1_800_003_600);

/// How long the tenant has existed by then.
const MOVED_IN_BEFORE: Span = Span::from_days(90);

/// Groups of the standard tenant, and the products that they give.
const GROUPS: [(&str, &[SkuId]); 5] = [
    ("admins", &[]),
    ("leavers", &[]),
    ("executives", &[]),
    ("licensing", &[products::SPE_E3]),
    ("nobody", &[]),
];

/// A product without a mailbox, in which a look-alike plan stands.
const VISIO: SkuId = SkuId::from_u128(0xc5928f49_12ba_48f7_ada3_0d743a3601d5);
/// A kiosk product, with a mailbox.
const SPE_F1: SkuId = SkuId::from_u128(0x66b55226_6b4f_492c_910c_a3b7a3c9d993);
const EXCHANGE_S_DESKLESS: PlanId = PlanId::from_u128(0x4a82b400_a79f_41a4_b4e2_e94f5787b113);

/// The daemon's clock: the tenant's, and how far it is off.
pub struct LocalClock {
    tenant: Arc<TokioClock>,
    offset_ms: AtomicI64,
}

impl LocalClock {
    pub fn set_offset(&self, offset: Span) {
        self.offset_ms.store(offset.as_millis(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for LocalClock {
    fn now(&self) -> Timestamp {
        self.tenant.now() + Span::from_millis(self.offset_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.tenant.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.tenant.sleep(duration).await;
    }
}

/// Everybody and everything by name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub users: BTreeMap<String, UserId>,
    pub groups: BTreeMap<String, GroupId>,
}

impl Names {
    pub fn user(&self, name: &str) -> Result<UserId, String> {
        self.users.get(name).copied().ok_or_else(|| format!("nobody is called {name}"))
    }

    pub fn group(&self, name: &str) -> Result<GroupId, String> {
        self.groups.get(name).copied().ok_or_else(|| format!("no group is called {name}"))
    }

    pub fn of_user(&self, user: UserId) -> String {
        let found = self.users.iter().find(|(_, id)| **id == user);
        found.map_or_else(|| user.to_string(), |(name, _)| name.clone())
    }

    pub fn of_group(&self, group: GroupId) -> String {
        let found = self.groups.iter().find(|(_, id)| **id == group);
        found.map_or_else(|| group.to_string(), |(name, _)| name.clone())
    }

    /// `${anna}` and `${admins}` become ids.
    pub fn fill_in(&self, text: &str) -> String {
        let users = self.users.iter().map(|(name, id)| (name, id.to_string()));
        let groups = self.groups.iter().map(|(name, id)| (name, id.to_string()));
        users
            .chain(groups)
            .fold(text.to_owned(), |text, (name, id)| text.replace(&format!("${{{name}}}"), &id))
    }
}

/// How a lab starts.
pub struct Setup {
    pub staff: usize,
    pub people: BTreeMap<String, Person>,
    pub free_seats: BTreeMap<String, u32>,
    pub switches: Vec<String>,
    /// How long Exchange takes until a mailbox answers again.
    pub exchange_takes: Option<Span>,
    /// The policy needs the right to whole users.
    pub writes_users: bool,
}

pub struct Lab {
    pub wire: Wire,
    pub tenant_clock: Arc<TokioClock>,
    pub clock: Arc<LocalClock>,
    pub names: Names,
    pub people: BTreeMap<String, Person>,
    /// Whose mailbox was there at the start, and which it was.
    pub mailboxes: BTreeMap<String, Uuid>,
    pub policy: PathBuf,
    pub log: MemoryLog,
    kv: MemoryKv,
    may_act: bool,
    running: Option<(Reconciler, Desk)>,
    _directory: tempfile::TempDir,
}

impl Lab {
    /// A tenant that has moved in; no mailkeeper yet.
    pub fn new(setup: Setup) -> Result<Self, String> {
        let mut people: BTreeMap<String, Person> =
            staff(setup.staff).map(|name| (name, Person::default())).collect();
        people.extend(file::spread(&setup.people));
        let names = name_all(&people);
        let mut options = TenantOptions { quota: Quota::Unlimited, ..TenantOptions::new(7) };
        if setup.writes_users {
            options.application.roles.push("User.ReadWrite.All".to_owned());
        }
        if let Some(always) = setup.exchange_takes {
            options.provisioning = (always, always);
        }
        for switch in &setup.switches {
            super::acts::switch(&mut options.switches, switch)?;
        }
        let mut tenant = Tenant::new(options);
        let moved_in = START - MOVED_IN_BEFORE;
        tenant.set_moving_in(true);
        buy(&mut tenant, moved_in);
        for (name, licences) in GROUPS {
            let group = NewGroup {
                id: Some(names.group(name)?),
                name: name.to_owned(),
                membership: Membership::Assigned,
                licences: licences.iter().map(|sku| (*sku, Vec::new())).collect(),
            };
            tenant.add_group(moved_in, group);
        }
        for (name, person) in people.iter().filter(|(_, person)| !person.joins_later) {
            tenant.add_user(moved_in, new_user(name, person, &names)?);
        }
        set_seats(&mut tenant, moved_in, &setup.free_seats)?;
        tenant.set_moving_in(false);
        Ok(Self::around(tenant, names, people))
    }

    fn around(tenant: Tenant, names: Names, people: BTreeMap<String, Person>) -> Self {
        let id_of = |name: &String| (name.clone(), tenant.mailbox_truth(names.users[name]).id);
        let mailboxes = people.keys().map(id_of).filter(|(_, id)| !id.is_nil()).collect();
        let tenant_clock = Arc::new(TokioClock::new(START - MOVED_IN_BEFORE));
        let clock = Arc::new(LocalClock { tenant: Arc::clone(&tenant_clock), offset_ms: AtomicI64::new(0) });
        let directory = tempfile::tempdir().expect("a directory");
        let network = SimTransport::new(tenant, tenant_clock.clone(), Faults::polite(7));
        Self {
            wire: Wire::new(network),
            tenant_clock,
            clock,
            names,
            people,
            mailboxes,
            policy: directory.path().join("policy.yaml"),
            log: MemoryLog::new(),
            kv: MemoryKv::new(),
            may_act: true,
            running: None,
            _directory: directory,
        }
    }

    /// Lets time pass until then, by the tenant's clock.
    pub async fn wait_until(&self, then: Timestamp) {
        self.tenant_clock.sleep((then - self.tenant_clock.now()).to_duration()).await;
    }

    /// By the tenant's clock.
    pub fn tenant_clock_now(&self) -> Timestamp {
        self.tenant_clock.now()
    }

    pub fn write_policy(&self, text: &str) {
        std::fs::write(&self.policy, self.names.fill_in(text)).expect("the directory is ours");
    }

    /// Starts mailkeeper from what is on the disk, after stopping the one that runs.
    pub fn start(&mut self, may_act: bool) -> Result<(), String> {
        self.stop();
        self.may_act = may_act;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let id = TenantOptions::new(7).id;
        let sign_in =
            SignIn::ClientSecret { client_id: "keeper".to_owned(), secret: "secret".to_owned().into() };
        let config = Config { has_batch: false, ..Config::new(id, Cloud::Global.roots(), sign_in) };
        let (journal, _) =
            Journal::open(Box::new(self.log.clone()), id).map_err(|error| format!("the journal: {error}"))?;
        let parts = Parts {
            name: "contoso".to_owned(),
            graph: Client::new(config, Arc::new(self.wire.clone()), Arc::clone(&clock)),
            store: TenantStore::new(Arc::new(self.kv.clone()), id),
            journal: Arc::new(journal),
            clock,
            policy: PolicyHolder::new(self.policy.clone()),
            may_act,
            reads_audit_log: false,
            metrics: Metrics::new(),
        };
        let (mut reconciler, desk) =
            mailkeeper::commands::setup::member_of(parts).map_err(|error| format!("the state: {error}"))?;
        reconciler.one_step_at_a_time();
        self.running = Some((reconciler, desk));
        Ok(())
    }

    pub fn restart(&mut self) -> Result<(), String> {
        self.start(self.may_act)
    }

    /// Stops it, as the service manager does.
    pub fn stop(&mut self) {
        if let Some((reconciler, _)) = self.running.take() {
            reconciler.close();
        }
    }

    /// One pass; `None` while it is stopped.
    pub async fn pass(&mut self) -> Option<Arc<TenantView>> {
        let (reconciler, _) = self.running.as_mut()?;
        Some(reconciler.pass(&Purpose::Act { digest: None }).await.view)
    }

    pub fn want_full_listing(&mut self) {
        if let Some((reconciler, _)) = &mut self.running {
            reconciler.want_full_listing();
        }
    }

    pub fn desk(&self) -> &Desk {
        &self.running.as_ref().expect("it was started").1
    }

    /// Asks the desk as an operator does.
    pub fn ask(&self, question: &Question) -> Result<(), String> {
        self.ask_as("operator", question)
    }

    pub fn ask_as(&self, name: &str, question: &Question) -> Result<(), String> {
        let operator = Operator { name: name.to_owned() };
        match self.desk().answer(question, &operator) {
            Some(Ok(_)) => Ok(()),
            Some(Err(refusal)) => Err(format!("{question:?}: {refusal:?}")),
            None => Err(format!("{question:?} is not for the desk")),
        }
    }

    pub fn act<T>(&self, act: impl FnOnce(&mut Tenant, Timestamp) -> T) -> T {
        act(&mut self.wire.network.tenant(), self.tenant_clock.now())
    }

    /// Someone who was on paper only arrives.
    pub fn hire(&mut self, name: &str) -> Result<(), String> {
        let person = self.people.get(name).ok_or_else(|| format!("nobody is called {name}"))?;
        let user = new_user(name, person, &self.names)?;
        let id = self.act(|tenant, now| {
            let id = tenant.add_user(now, user);
            tenant.mailbox_truth(id).id
        });
        if !id.is_nil() {
            self.mailboxes.insert(name.to_owned(), id);
        }
        Ok(())
    }
}

/// staff01 and so on, with as many digits as the last one needs.
fn staff(count: usize) -> impl Iterator<Item = String> {
    let width = count.to_string().len().max(2);
    (1..=count).map(move |number| format!("staff{number:0width$}"))
}

/// Ids in the order of the names, so that a file says who comes first.
fn name_all(people: &BTreeMap<String, Person>) -> Names {
    let users = people.keys().zip(1..);
    let groups = GROUPS.iter().zip(1..);
    Names {
        users: users.map(|(name, number)| (name.clone(), UserId::from_u128(0xa << 124 | number))).collect(),
        groups: groups
            .map(|((name, _), number)| ((*name).to_owned(), GroupId::from_u128(0xb << 124 | number)))
            .collect(),
    }
}

pub fn sku(name: &str) -> Result<SkuId, String> {
    Ok(match name {
        "SPE_E3" => products::SPE_E3,
        "SPE_E5" => products::SPE_E5,
        "EXCHANGESTANDARD" => products::EXCHANGESTANDARD,
        "SPE_F1" => SPE_F1,
        "VISIOCLIENT" => VISIO,
        _ => return Err(format!("no product is called {name}")),
    })
}

pub fn sku_name(id: SkuId) -> String {
    let all = ["SPE_E3", "SPE_E5", "EXCHANGESTANDARD", "SPE_F1", "VISIOCLIENT"];
    let found = all.into_iter().find(|name| sku(name) == Ok(id));
    found.map_or_else(|| id.to_string(), str::to_owned)
}

const PLANS: [(&str, PlanId, &str); 7] = [
    ("EXCHANGE_S_ENTERPRISE", products::EXCHANGE_S_ENTERPRISE, "exchange"),
    ("EXCHANGE_S_STANDARD", products::EXCHANGE_S_STANDARD, "exchange"),
    ("EXCHANGE_S_DESKLESS", EXCHANGE_S_DESKLESS, "exchange"),
    ("EXCHANGE_S_FOUNDATION", products::EXCHANGE_S_FOUNDATION, "exchange"),
    ("TEAMS1", products::TEAMS1, "TeamspaceAPI"),
    ("SHAREPOINTENTERPRISE", products::SHAREPOINTENTERPRISE, "SharePoint"),
    ("OFFICESUBSCRIPTION", products::OFFICESUBSCRIPTION, "MicrosoftOffice"),
];

pub fn plan(name: &str) -> Result<PlanId, String> {
    let found = PLANS.iter().find(|(known, _, _)| *known == name);
    found.map(|(_, id, _)| *id).ok_or_else(|| format!("no service plan is called {name}"))
}

pub fn plan_name(id: PlanId) -> String {
    let found = PLANS.iter().find(|(_, known, _)| *known == id);
    found.map_or_else(|| id.to_string(), |(name, _, _)| (*name).to_owned())
}

/// `SPE_E3 without TEAMS1`.
pub fn licence(text: &str) -> Result<(SkuId, Vec<PlanId>), String> {
    let (product, off) = text.split_once(" without ").unwrap_or((text, ""));
    let off = off.split_whitespace().map(plan).collect::<Result<_, _>>()?;
    Ok((sku(product)?, off))
}

fn buy(tenant: &mut Tenant, now: Timestamp) {
    let suite: &[&str] = &[
        "EXCHANGE_S_ENTERPRISE",
        "EXCHANGE_S_FOUNDATION",
        "TEAMS1",
        "SHAREPOINTENTERPRISE",
        "OFFICESUBSCRIPTION",
    ];
    let bought: [(&str, &[&str]); 5] = [
        ("SPE_E3", suite),
        ("SPE_E5", suite),
        ("EXCHANGESTANDARD", &["EXCHANGE_S_STANDARD"]),
        ("SPE_F1", &["EXCHANGE_S_DESKLESS", "TEAMS1"]),
        ("VISIOCLIENT", &["EXCHANGE_S_FOUNDATION"]),
    ];
    for (name, plans) in bought {
        let service_plan = |wanted: &&str| {
            let (name, id, service) = PLANS.iter().find(|(name, _, _)| name == wanted).expect("a known plan");
            ServicePlan::new(*id, name, service)
        };
        let product = NewSku {
            sku: sku(name).expect("a known product"),
            part_number: name.to_owned(),
            plans: plans.iter().map(service_plan).collect(),
            seats: 10_000,
        };
        tenant.add_sku(now, product);
    }
}

/// What is used, and so many more; ten where the file says nothing.
fn set_seats(tenant: &mut Tenant, now: Timestamp, free: &BTreeMap<String, u32>) -> Result<(), String> {
    if let Some(unknown) = free.keys().find(|name| sku(name).is_err()) {
        return Err(format!("no product is called {unknown}"));
    }
    for name in ["SPE_E3", "SPE_E5", "EXCHANGESTANDARD", "SPE_F1", "VISIOCLIENT"] {
        let id = sku(name)?;
        let used = tenant.seats(id).map_or(0, |seats| seats.consumed);
        tenant.set_seats(now, id, used + free.get(name).copied().unwrap_or(10));
    }
    Ok(())
}

fn new_user(name: &str, person: &Person, names: &Names) -> Result<NewUser, String> {
    let kind = match person.kind.as_deref() {
        None | Some("member") => UserKind::Member,
        Some("without-mailbox") => UserKind::WithoutMailbox,
        Some("shared") => UserKind::Shared,
        Some("room") => UserKind::Room,
        Some("guest") => UserKind::Guest,
        Some(other) => return Err(format!("no kind of user: {other}")),
    };
    let upn = person.upn.clone().unwrap_or_else(|| format!("{name}@contoso.com"));
    let by_group = person.groups.iter().any(|group| group == "licensing");
    let usual = if kind == UserKind::Member && !by_group { vec!["SPE_E3".to_owned()] } else { Vec::new() };
    let licences = person.licences.clone().unwrap_or(usual);
    let is_person = matches!(kind, UserKind::Member | UserKind::WithoutMailbox | UserKind::Guest);
    Ok(NewUser {
        id: Some(names.user(name)?),
        account_enabled: is_person && !person.disabled,
        employee_type: person.employee_type.clone(),
        department: person.department.clone(),
        usage_location: match person.location.as_deref() {
            None => Some("NO".to_owned()),
            Some("none") => None,
            Some(location) => Some(location.to_owned()),
        },
        on_premises_synced: person.synced,
        holds_admin_role: person.holds_role,
        other_addresses: person.also.iter().cloned().collect(),
        licences: licences.iter().map(|text| licence(text)).collect::<Result<_, _>>()?,
        groups: person.groups.iter().map(|group| names.group(group)).collect::<Result<_, _>>()?,
        ..NewUser::new(&upn, name, kind)
    })
}
