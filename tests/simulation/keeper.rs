//! mailkeeper, put together from its own parts over a disk in memory: started, killed, and started again from what is
//! durable. Faulty parts can be wired in for the tests of the checker.

use std::path::Path;
use std::sync::Arc;

use mailkeeper::clock::Clock;
use mailkeeper::control::desk::Desk;
use mailkeeper::control::{Person, Question};
use mailkeeper::graph::{Client, Cloud, Config, SignIn};
use mailkeeper::model::TenantId;
use mailkeeper::reconcile::{Parts, PolicyHolder, Reconciler};
use mailkeeper::report::metrics::Metrics;
use mailkeeper::sim::rng::Rng;
use mailkeeper::store::TenantStore;
use mailkeeper::store::journal::{Journal, LogFile, MemoryLog};
use mailkeeper::store::kv::{Batch, Entry, Kv};
use mailkeeper::store::memory::MemoryKv;

use super::wire::Wire;
use super::world::LocalClock;

/// A fault of ours, to see that the checker finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The product is given a policy without off-boarded and protected entries.
    PolicyIgnored,
    /// The journal acknowledges intents and does not write them.
    IntentLost,
    /// The store's flush does nothing.
    FlushLies,
    /// The product is told to act, and never does.
    NeverActs,
    /// Every write is sent twice.
    RepeatsWrites,
}

/// What survives a crash.
#[derive(Clone, Default)]
pub struct Disk {
    pub kv: MemoryKv,
    pub log: MemoryLog,
}

impl Disk {
    /// The process dies: what was not flushed is lost, but for a part that chance keeps.
    pub fn crash(&self, rng: &mut Rng) {
        let draw = |rng: &mut Rng, most: usize| usize::try_from(rng.below(most as u64 + 1)).unwrap_or(0);
        self.kv.crash(draw(rng, self.kv.unflushed()));
        self.log.crash(draw(rng, self.log.unsynced()));
    }
}

/// The running product.
pub struct Keeper {
    pub reconciler: Reconciler,
    pub desk: Desk,
}

/// What the product is started with.
pub struct Setting<'a> {
    pub tenant: TenantId,
    pub wire: &'a Wire,
    pub clock: &'a Arc<LocalClock>,
    pub policy: &'a Path,
    pub may_act: bool,
    pub has_batch: bool,
    pub sabotage: Option<Sabotage>,
}

impl Keeper {
    /// Starts from what is on the disk.
    pub fn start(disk: &Disk, setting: &Setting<'_>) -> Result<Self, String> {
        let clock: Arc<dyn Clock> = setting.clock.clone();
        let sign_in =
            SignIn::ClientSecret { client_id: "keeper".to_owned(), secret: "secret".to_owned().into() };
        let config = Config {
            has_batch: setting.has_batch,
            // The companies are small.
            batch_from: 40,
            ..Config::new(setting.tenant, Cloud::Global.roots(), sign_in)
        };
        let log =
            Log { inner: disk.log.clone(), loses_intents: setting.sabotage == Some(Sabotage::IntentLost) };
        let (journal, _) =
            Journal::open(Box::new(log), setting.tenant).map_err(|error| format!("the journal: {error}"))?;
        let kv: Arc<dyn Kv> = match setting.sabotage {
            Some(Sabotage::FlushLies) => Arc::new(Unflushed(disk.kv.clone())),
            Some(_) | None => Arc::new(disk.kv.clone()),
        };
        let parts = Parts {
            name: "contoso".to_owned(),
            graph: Client::new(config, Arc::new(setting.wire.clone()), Arc::clone(&clock)),
            store: TenantStore::new(kv, setting.tenant),
            journal: Arc::new(journal),
            clock,
            policy: PolicyHolder::new(setting.policy.to_owned()),
            may_act: setting.may_act && setting.sabotage != Some(Sabotage::NeverActs),
            reads_audit_log: true,
            metrics: Metrics::new(),
        };
        let (reconciler, desk) =
            mailkeeper::commands::setup::member_of(parts).map_err(|error| format!("the state: {error}"))?;
        Ok(Self { reconciler, desk })
    }

    /// Asks the desk as an operator does.
    pub fn ask(&self, question: &Question) -> bool {
        let operator = Person { name: "operator".to_owned() };
        matches!(self.desk.answer(question, &operator), Some(Ok(_)))
    }
}

/// The log, or one that loses intents and says nothing.
struct Log {
    inner: MemoryLog,
    loses_intents: bool,
}

impl LogFile for Log {
    fn segments(&self) -> std::io::Result<Vec<u32>> {
        self.inner.segments()
    }

    fn create(&mut self, segment: u32) -> std::io::Result<()> {
        self.inner.create(segment)
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let is_intent = String::from_utf8_lossy(bytes).contains("\"event\":\"intent\"");
        if self.loses_intents && is_intent { Ok(()) } else { self.inner.append(bytes) }
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.inner.sync()
    }

    fn read(&self, segment: u32, offset: u64, limit: usize) -> std::io::Result<Vec<u8>> {
        self.inner.read(segment, offset, limit)
    }

    fn truncate(&mut self, segment: u32, len: u64) -> std::io::Result<()> {
        self.inner.truncate(segment, len)
    }

    fn set_aside(&mut self, bytes: &[u8]) -> std::io::Result<String> {
        self.inner.set_aside(bytes)
    }
}

/// A store whose flush lies.
struct Unflushed(MemoryKv);

impl Kv for Unflushed {
    fn get(&self, key: &[u8]) -> mailkeeper::store::Result<Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> mailkeeper::store::Result<Vec<Entry>> {
        self.0.scan(prefix, after, limit)
    }

    fn floor(&self, prefix: &[u8], key: &[u8]) -> mailkeeper::store::Result<Option<Entry>> {
        self.0.floor(prefix, key)
    }

    fn apply(&self, batch: Batch) -> mailkeeper::store::Result<()> {
        self.0.apply(batch)
    }

    fn flush(&self) -> mailkeeper::store::Result<()> {
        Ok(())
    }
}
