//! The simulated side of the demo: a company, what happens to it in a month, the network before it, and the same
//! company once more with nobody looking after it. Knows nothing of the daemon.

use std::sync::{Arc, MutexGuard};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::model::{Span, Timestamp};
use crate::sim::clock::StepClock;
use crate::sim::faults::{Fault, Faults};
use crate::sim::network::SimTransport;
use crate::sim::scenario::{Action, Company, Event, Month};
use crate::sim::serve::serve;
use crate::sim::tenant::{Tenant, TenantOptions};
use crate::sim::truth::LostMailbox;

/// 2026-11-02 00:00 UTC, a Monday.
const STARTS: Timestamp = Timestamp::from_secs(1_793_577_600);

/// The company is in place this long before the month: replicas that lag behind must not show a time before it existed.
const MOVED_IN: Span = Span::from_days(1);

/// After this long nothing that was lost in the month can come back: the longest clock is 30 days.
pub const AFTERMATH: Span = Span::from_days(31);

/// The company and everything that happens to it.
pub struct World {
    pub company: Company,
    pub month: Month,
    pub clock: Arc<StepClock>,
    transport: SimTransport,
    /// Events that have happened.
    happened: usize,
    weather: Weather,
}

/// What the network did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weather {
    pub requests: u64,
    pub throttled: u64,
    pub server_errors: u64,
    /// No connection, or no answer in time.
    pub unreachable: u64,
    /// The request took effect and its answer was lost.
    pub lost_replies: u64,
    /// Cut off, or not in the documented shape.
    pub truncated: u64,
    pub stale: u64,
    pub empty_pages: u64,
    pub conflicts: u64,
    /// Batches of which single parts were refused, missing or doubled.
    pub batch_parts: u64,
    pub is_storming: bool,
}

impl Weather {
    fn add(&mut self, fault: Option<Fault>) {
        self.requests += 1;
        let Some(fault) = fault else { return };
        *match fault {
            Fault::Throttled(_) => &mut self.throttled,
            Fault::ServerError(_) => &mut self.server_errors,
            Fault::Connect | Fault::Timeout => &mut self.unreachable,
            Fault::ServerErrorAfter(_) | Fault::LostReply | Fault::TimeoutAfter => &mut self.lost_replies,
            Fault::Truncated | Fault::OddEntry(_) => &mut self.truncated,
            Fault::Stale(_) => &mut self.stale,
            Fault::EmptyPage => &mut self.empty_pages,
            Fault::Conflict => &mut self.conflicts,
            Fault::BatchParts(_) => &mut self.batch_parts,
        } += 1;
    }

    /// Requests that had to be repeated, or left to the next pass.
    pub fn failed(&self) -> u64 {
        self.throttled
            + self.server_errors
            + self.unreachable
            + self.lost_replies
            + self.truncated
            + self.conflicts
            + self.batch_parts
    }
}

impl World {
    pub fn new(users: usize, seed: u64) -> Self {
        let company = Company::build(users, seed);
        let month = Month::script(&company, STARTS, seed);
        let clock = Arc::new(StepClock::new(month.starts));
        let mut tenant = Tenant::new(TenantOptions::new(seed));
        company.move_in(&mut tenant, month.starts - MOVED_IN);
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let transport = SimTransport::new(tenant, shared, Faults::new(seed));
        Self { company, month, clock, transport, happened: 0, weather: Weather::default() }
    }

    /// Serves the tenant on a free loopback port; returns its origin and what ends it.
    pub async fn open(&self) -> std::io::Result<(String, Served)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, None, self.transport.clone(), async {
            let _ = stopped.await;
        }));
        Ok((origin, Served { _stop: stop, _server: server }))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves time to `tick` and lets happen what is due until then; returns it.
    pub fn advance(&mut self, tick: Timestamp) -> Vec<Event> {
        // What fell due while requests of the last pass were under way happens after them.
        let last_request = self.clock.now();
        self.clock.advance_to(tick);
        let now = self.clock.now();
        let due: Vec<Event> =
            self.month.events[self.happened..].iter().take_while(|event| event.at <= now).cloned().collect();
        self.happened += due.len();
        {
            let mut tenant = self.transport.tenant();
            let mut faults = self.transport.faults();
            for event in &due {
                let at = event.at.max(last_request);
                tenant.advance(at);
                event.apply(&mut tenant, &mut faults, at);
            }
            tenant.advance(now);
        }
        for event in &due {
            if let Action::Storm { is_storming } = event.action {
                self.weather.is_storming = is_storming;
            }
        }
        due
    }

    /// The weather so far.
    pub fn weather(&mut self) -> &Weather {
        for entry in self.transport.take_trace() {
            self.weather.add(entry.fault);
        }
        &self.weather
    }

    /// The tenant, for the judge. Not to be held across an await.
    pub fn tenant(&self) -> MutexGuard<'_, Tenant> {
        self.transport.tenant()
    }
}

/// Serving, until dropped.
pub struct Served {
    _stop: oneshot::Sender<()>,
    _server: JoinHandle<std::io::Result<()>>,
}

/// The mailboxes that the same month takes from the same company when nobody acts.
pub fn without_mailkeeper(company: &Company, month: &Month, seed: u64) -> Vec<LostMailbox> {
    let mut tenant = Tenant::new(TenantOptions::new(seed));
    let mut faults = Faults::none();
    company.move_in(&mut tenant, month.starts - MOVED_IN);
    for event in &month.events {
        tenant.advance(event.at);
        event.apply(&mut tenant, &mut faults, event.at);
    }
    tenant.advance(month.ends + AFTERMATH);
    tenant.lost_mailboxes().to_vec()
}
