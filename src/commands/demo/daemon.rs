//! The real side of the demo: the daemon's own parts, put together from settings text as `mailkeeper run` does it, with
//! state on disk and Graph over HTTP; and the pages, which go on while virtual time stands still.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::commands::{sample, setup};
use crate::errors::chain;
use crate::http::{Health, HttpState, Server, TenantHealth, Views};
use crate::model::{Span, TenantId, Timestamp};
use crate::reconcile::{PassReport, Purpose, Reconciler};
use crate::report::metrics::{Metrics, MetricsLimits};
use crate::settings::{Mode, ProcessEnvironment, Settings};
use crate::sim::clock::StepClock;
use crate::sim::scenario::Company;

/// A directory of our own that is gone when the demo is.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> std::io::Result<Self> {
        let name = format!("mailkeeper-demo-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One tenant's loop, driven pass by pass.
pub struct Daemon {
    reconciler: Reconciler,
    metrics: Metrics,
    limits: MetricsLimits,
    // Last, so that the state is closed before its directory goes.
    _scratch: Scratch,
}

impl Daemon {
    /// Writes settings and policy for the company and starts on them. Fails with a text for people.
    pub fn start(
        company: &Company,
        tenant: TenantId,
        origin: &str,
        mode: Mode,
        clock: &Arc<StepClock>,
    ) -> Result<Self, String> {
        let scratch = Scratch::create().map_err(|error| format!("no temporary directory: {error}"))?;
        let settings = settings(company, tenant, origin, mode, &scratch.0)?;
        let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        let metrics = Metrics::new();
        let members = setup::members(&settings, setup::Access::Graph, &clock, &metrics)
            .map_err(|error| chain(&error))?;
        let (mut reconciler, _) = members.into_iter().next().ok_or("the settings name no tenant")?;
        reconciler.one_step_at_a_time();
        let limits = MetricsLimits { mailboxes: settings.metrics.mailboxes, upn: settings.metrics.upn };
        Ok(Self { reconciler, metrics, limits, _scratch: scratch })
    }

    pub async fn pass(&mut self) -> PassReport {
        let report = self.reconciler.pass(&Purpose::Act { digest: None }).await;
        self.metrics.publish(&report.view, self.limits);
        report
    }

    /// Leaves the state complete on disk, as the daemon does when it is told to stop.
    pub fn close(&self) {
        self.reconciler.close();
    }
}

fn settings(
    company: &Company,
    tenant: TenantId,
    origin: &str,
    mode: Mode,
    directory: &Path,
) -> Result<Settings, String> {
    let mode = match mode {
        Mode::Act => "act",
        Mode::Observe => "observe",
    };
    let written = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
    };
    written("policy.yaml", &sample::policy(company))?;
    written("secret", "simulated\n")?;
    let text = sample::settings(tenant, origin, None, directory, mode);
    Settings::parse("mailkeeper.yaml", &text, directory, &ProcessEnvironment)
        .map_err(|faults| crate::policy::render(&faults, crate::policy::Format::Text))
}

/// Metrics and status page.
pub struct Pages {
    address: SocketAddr,
    views: watch::Sender<Views>,
    health: watch::Sender<Health>,
    /// Time between passes: what readiness is judged by.
    period: Span,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Pages {
    /// Opens the pages. Fails with a text for people when the address is taken.
    pub async fn open(
        address: SocketAddr,
        daemon: &Daemon,
        clock: Arc<StepClock>,
        period: Span,
    ) -> Result<Self, String> {
        let server = Server::bind(address)
            .await
            .map_err(|error| format!("{}; choose another address with --listen", chain(&error)))?;
        let address = server.address();
        let (views, health) = (watch::channel(Views::new()), watch::channel(Health::default()));
        let state = HttpState {
            views: views.1,
            health: health.1,
            metrics: daemon.metrics.clone(),
            clock: Arc::new(PageClock { shown: clock, waits: SystemClock::new() }),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.serve(state, async {
            let _ = stopped.await;
        }));
        Ok(Self { address, views: views.0, health: health.0, period, stop, server })
    }

    /// Shows what a pass left.
    pub fn show(&self, report: &PassReport) {
        let view = &report.view;
        let health = TenantHealth {
            last_complete_observation: view.last_complete_observation,
            schedule_period: self.period,
            policy_failure: view.policy.failed.clone(),
        };
        self.health.send_replace(Health {
            tenants: BTreeMap::from([(view.tenant.clone(), health)]),
            store_failure: None,
        });
        self.views.send_replace(Views::from([(view.tenant.clone(), Arc::clone(view))]));
    }

    /// Where people look.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn close(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
    }
}

/// Shows virtual time and waits in real time: a reader's connection must not move the company's clock.
struct PageClock {
    shown: Arc<StepClock>,
    waits: SystemClock,
}

#[async_trait]
impl Clock for PageClock {
    fn now(&self) -> Timestamp {
        self.shown.now()
    }

    fn monotonic(&self) -> Duration {
        self.waits.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.waits.sleep(duration).await;
    }
}
