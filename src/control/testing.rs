//! A small company, the real loop over it and the desk beside it, in memory: for the tests of the desk and of the
//! doctor.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use secrecy::SecretString;
use tempfile::TempDir;

use crate::clock::Clock;
use crate::graph::{Client, Cloud, Config, SignIn};
use crate::model::{Span, Timestamp};
use crate::reconcile::{Parts, PassReport, PolicyHolder, Purpose, Reconciler};
use crate::report::metrics::Metrics;
use crate::sim::clock::StepClock;
use crate::sim::faults::Faults;
use crate::sim::network::SimTransport;
use crate::sim::scenario::Company;
use crate::sim::tenant::{Tenant, TenantOptions};
use crate::store::TenantStore;
use crate::store::journal::{Journal, MemoryLog};
use crate::store::memory::MemoryKv;

use super::desk::Desk;

/// 2026-11-23 12:00 UTC.
pub const START: Timestamp = Timestamp::from_secs(1_795_435_200);

pub struct Office {
    pub desk: Desk,
    pub company: Company,
    transport: SimTransport,
    clock: Arc<StepClock>,
    pub reconciler: Reconciler,
    pub disk: MemoryKv,
    policy: TempDir,
}

impl Office {
    /// `policy` is written for the company, whose groups it may name.
    pub fn open(may_act: bool, policy: impl FnOnce(&Company) -> String) -> Self {
        let company = Company::build(40, 1);
        let clock = Arc::new(StepClock::new(START));
        let mut tenant = Tenant::new(TenantOptions::new(1));
        company.move_in(&mut tenant, START - Span::from_days(90));
        let id = tenant.id();
        let shared_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let transport = SimTransport::new(tenant, Arc::clone(&shared_clock), Faults::none());
        let sign_in =
            SignIn::ClientSecret { client_id: "4b2b8a50".to_owned(), secret: SecretString::from("secret") };
        let config = Config::new(id, Cloud::Global.roots(), sign_in);
        let graph = Client::new(config, Arc::new(transport.clone()), Arc::clone(&shared_clock));
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("policy.yaml");
        std::fs::write(&file, policy(&company)).expect("written");
        let disk = MemoryKv::new();
        let store = TenantStore::new(Arc::new(disk.clone()), id);
        let journal = Arc::new(Journal::open(Box::new(MemoryLog::new()), id).expect("opens").0);
        let policy_holder = PolicyHolder::new(file);
        let parts = Parts {
            name: "contoso".to_owned(),
            graph: graph.clone(),
            store: store.clone(),
            journal: Arc::clone(&journal),
            clock: Arc::clone(&shared_clock),
            policy: policy_holder.clone(),
            may_act,
            reads_audit_log: true,
            metrics: Metrics::new(),
        };
        let reconciler = Reconciler::new(parts).expect("an empty state opens");
        let desk = Desk {
            tenant: "contoso".to_owned(),
            store,
            journal,
            shared: reconciler.shared(),
            policy: policy_holder,
            clock: shared_clock,
            may_act,
            reads_audit_log: true,
            graph,
            four_eyes: None,
            places: None,
            settings_changed: None,
        };
        Self { desk, company, transport, clock, reconciler, disk, policy: directory }
    }

    pub fn tenant(&self) -> MutexGuard<'_, Tenant> {
        self.transport.tenant()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another policy, in force from the next pass on.
    pub fn rewrite_policy(&self, text: &str) {
        std::fs::write(self.policy.path().join("policy.yaml"), text).expect("written");
    }

    /// When the policy was written, as far as its file says.
    pub fn date_policy(&self, at: Timestamp) {
        let file = std::fs::File::options().write(true).open(self.policy.path().join("policy.yaml"));
        let at = Duration::from_millis(u64::try_from(at.as_millis()).expect("after 1970"));
        file.and_then(|file| file.set_modified(UNIX_EPOCH + at)).expect("dated");
    }

    /// Time goes on by `span`, then a pass is made.
    pub async fn pass_after(&mut self, span: Span) -> PassReport {
        self.clock.sleep(span.to_duration()).await;
        self.reconciler.pass(&Purpose::Act { digest: None }).await
    }
}
