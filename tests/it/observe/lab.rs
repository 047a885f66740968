//! A tenant, a store and a client, and what the tests ask of them.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mailkeeper::clock::Clock;
use mailkeeper::graph::transport::Transport;
use mailkeeper::graph::{Client, Cloud, Config, SignIn};
use mailkeeper::model::{GroupId, KnownUser, ObservationKind, Presence, Span, Timestamp, User, UserId};
use mailkeeper::observe::{self, Observed, Scope};
use mailkeeper::policy::Policy;
use mailkeeper::sim::administrator::{DeletedFrom, NewUser, UserKind};
use mailkeeper::sim::clock::TokioClock;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::quota::Quota;
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::Company;
use mailkeeper::sim::scenario::products::{EXCHANGESTANDARD, SPE_E3};
use mailkeeper::sim::tenant::{Tenant, TenantOptions};
use mailkeeper::store::TenantStore;
use mailkeeper::store::memory::MemoryKv;
use mailkeeper::store::records::Cursor;

use super::quirks::Odd;

pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Between two passes.
pub const PASS: Span = Span::from_minutes(10);

pub struct Lab {
    pub company: Company,
    pub odd: Odd,
    pub clock: Arc<TokioClock>,
    pub store: TenantStore,
    pub client: Client,
    pub policy: Policy,
    /// The test takes permissions away.
    may_be_denied: Cell<bool>,
}

pub const POLICY: &str = "
version: 1
keep:
  - name: everybody
    match: { user_type: member }
    licenses: [SPE_E3]
    on_license_lost: act
    on_deleted: report
";

impl Lab {
    /// A company that has moved in, on a perfect network.
    pub fn new(users: usize, seed: u64) -> Self {
        Self::with_policy(users, seed, |_| POLICY.to_owned())
    }

    /// On a real store in a temporary directory, which is left to the system to clear away.
    pub fn on_disk(users: usize, seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let (kv, _) = mailkeeper::store::sled::SledKv::open(&directory, START).expect("a store");
        let mut lab = Self::new(users, seed);
        lab.store = TenantStore::new(Arc::new(kv), lab.store.tenant());
        lab
    }

    pub fn with_policy(users: usize, seed: u64, policy: impl Fn(&Company) -> String) -> Self {
        let company = Company::build(users, seed);
        let mut tenant = Tenant::new(TenantOptions::new(seed));
        tenant.set_quota(Quota::Unlimited);
        company.move_in(&mut tenant, START);
        let clock = Arc::new(TokioClock::new(START));
        let odd = Odd::new(SimTransport::new(tenant, clock.clone(), Faults::none()));
        let policy = Policy::parse("policy.yaml", &policy(&company)).expect("a good policy");
        let store = TenantStore::new(Arc::new(MemoryKv::new()), TenantOptions::new(seed).id);
        let client = client(&odd, &clock);
        Self { company, odd, clock, store, client, policy, may_be_denied: Cell::new(false) }
    }

    /// One observation, some minutes after the last one.
    pub async fn pass(&self) -> Observed {
        self.clock.sleep(PASS.to_duration()).await;
        self.observe(&self.store, false).await
    }

    /// A listing of everybody, in parts.
    pub async fn full_pass(&self) -> Observed {
        self.clock.sleep(PASS.to_duration()).await;
        let cursor = self.store.get_or_default::<Cursor>().expect("readable");
        self.store.put(&Cursor { live_users: 10_000, ..cursor }).expect("written");
        self.observe(&self.store, true).await
    }

    pub async fn believed(&self) -> Observed {
        let observed = self.pass().await;
        assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
        observed
    }

    pub async fn observe(&self, store: &TenantStore, is_full_wanted: bool) -> Observed {
        let scope = Scope { is_full_wanted, is_first: false, policy: &self.policy };
        observe::observe(&self.client, store, &scope, &*self.clock).await.expect("the store works")
    }

    /// What a new installation would see now.
    pub async fn truth(&self) -> BTreeMap<UserId, Facts> {
        let store = TenantStore::new(Arc::new(MemoryKv::new()), self.store.tenant());
        let observed = self.observe(&store, false).await;
        assert_eq!(observed.observation.kind, ObservationKind::Full);
        assert!(observed.observation.is_complete(), "{:?}", observed.observation.problems);
        facts(&store)
    }

    /// Leaves the application only these permissions: from here on it may be denied something.
    pub fn leave_permissions(&self, roles: &[&str]) {
        self.may_be_denied.set(true);
        self.act(|tenant, _| {
            tenant.set_roles(roles);
            tenant.revoke_tokens();
        });
    }

    pub fn act<T>(&self, act: impl FnOnce(&mut Tenant, Timestamp) -> T) -> T {
        act(&mut self.odd.inner.tenant(), self.clock.now())
    }
}

/// The least permissions were enough.
impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.may_be_denied.get() {
            let counters = self.odd.inner.tenant().counters().clone();
            assert_eq!(counters.denied, 0, "denied for want of a permission: {counters:?}");
        }
    }
}

pub fn client(odd: &Odd, clock: &Arc<TokioClock>) -> Client {
    let sign_in = SignIn::ClientSecret { client_id: "keeper".to_owned(), secret: "secret".to_owned().into() };
    let id = TenantOptions::new(0).id;
    let config = Config { has_batch: true, ..Config::new(id, Cloud::Global.roots(), sign_in) };
    let transport: Arc<dyn Transport> = Arc::new(odd.clone());
    Client::new(config, transport, clock.clone())
}

/// What is known of a user that does not depend on the history of observing: not what was remembered of a licence
/// or a mailbox, not what a user who is deleted by now was like, and nothing of users who are gone. Nor the licence
/// assignment states, which deltas do not track (Graph: user-delta): they are as they were when a licence or plan
/// last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    Live { user: Box<User>, groups: BTreeSet<GroupId> },
    Deleted { since: Timestamp },
}

pub fn facts(store: &TenantStore) -> BTreeMap<UserId, Facts> {
    let fact = |mut known: KnownUser| {
        known.user.assignments.clear();
        let id = known.id();
        let facts = match known.presence {
            Presence::Live => Facts::Live { user: Box::new(known.user), groups: known.groups },
            Presence::Deleted { since } => Facts::Deleted { since },
            Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => return None,
        };
        Some((id, facts))
    };
    store.users().filter_map(|known| fact(known.expect("readable"))).collect()
}

/// One act of an administrator, chosen by chance. Names and addresses move, licences come and go, users are
/// deleted, restored, purged and hired, and groups change.
pub fn something_happens(lab_company: &Company, transport: &SimTransport, rng: &mut Rng) {
    let now = transport.clock().now();
    let mut tenant = transport.tenant();
    let Some(person) = rng.pick(&lab_company.people).map(|person| person.id) else { return };
    let number = rng.below(1_000_000);
    match rng.below(14) {
        0 => tenant.delete_user(now, person, DeletedFrom::Graph),
        1 => tenant.delete_user(now, person, DeletedFrom::AdminCentre),
        2 | 3 => drop(tenant.restore_user(now, person)),
        4 if rng.chance(0.3) => tenant.hard_delete_user(now, person),
        5 => drop(tenant.remove_licence(now, person, SPE_E3)),
        6 => drop(tenant.assign_licence(now, person, SPE_E3, Vec::new())),
        7 => drop(tenant.assign_licence(now, person, EXCHANGESTANDARD, Vec::new())),
        8 => tenant.set_employee_type(now, person, &format!("type {number}")),
        9 => tenant.set_account_enabled(now, person, rng.chance(0.5)),
        10 if tenant.is_live(person) => {
            let first = *rng.pick(&['a', 'm', 'z', '7', '_']).expect("not empty");
            tenant.set_user_principal_name(now, person, &format!("{first}{number}@contoso.com"));
        }
        11 => {
            let name = format!("new{number}");
            tenant
                .add_user(now, NewUser::new(&format!("{name}@contoso.com"), &name, UserKind::WithoutMailbox));
        }
        12 if tenant.is_live(person) => tenant.add_member(now, lab_company.licensing_group, person),
        13 => tenant.remove_member(now, lab_company.licensing_group, person),
        _ => {
            // Renamed at once: no two accounts have one name, but the addresses stay.
            if let Some(twin) = tenant.add_duplicate(now, person) {
                tenant.set_user_principal_name(now, twin, &format!("twin{number}@contoso.com"));
            }
        }
    }
}
