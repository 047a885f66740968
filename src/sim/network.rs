//! The tenant behind a network: latency, faults and a trace, as a [`Transport`]. Turns decisions of `faults` into
//! answers; makes none itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::call::View;
use super::fault_answers::{Occasion, conflict, server_error, throttled};
use super::faults::{Fault, Faults, Verdict};
use super::odd;
use super::tenant::Tenant;
use crate::clock::Clock;
use crate::graph::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};
use crate::model::Timestamp;

/// How long a client waits before it gives up; what a simulated timeout takes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Requests kept in the trace: enough for a failing test to show what led to it, little for a year of passes.
const TRACE_LENGTH: usize = 20_000;

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEntry {
    pub at: Timestamp,
    pub method: Method,
    pub url: String,
    /// `None`: no answer arrived.
    pub status: Option<u16>,
    pub fault: Option<Fault>,
}

/// A tenant, a clock and a network between them and the client. Clones share everything.
#[derive(Clone)]
pub struct SimTransport {
    tenant: Arc<Mutex<Tenant>>,
    clock: Arc<dyn Clock>,
    faults: Arc<Mutex<Faults>>,
    trace: Arc<Mutex<VecDeque<TraceEntry>>>,
}

impl SimTransport {
    pub fn new(tenant: Tenant, clock: Arc<dyn Clock>, faults: Faults) -> Self {
        Self::shared(Arc::new(Mutex::new(tenant)), clock, Arc::new(Mutex::new(faults)))
    }

    /// Over a tenant and faults that others hold too.
    pub fn shared(tenant: Arc<Mutex<Tenant>>, clock: Arc<dyn Clock>, faults: Arc<Mutex<Faults>>) -> Self {
        Self { tenant, clock, faults, trace: Arc::new(Mutex::new(VecDeque::new())) }
    }

    /// The tenant, for acts and for the judge. Do not hold it across a request.
    pub fn tenant(&self) -> MutexGuard<'_, Tenant> {
        lock(&self.tenant)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The last requests, oldest first.
    pub fn trace(&self) -> Vec<TraceEntry> {
        lock(&self.trace).iter().cloned().collect()
    }

    /// The requests since the last call, oldest first; the trace is empty afterwards.
    pub fn take_trace(&self) -> Vec<TraceEntry> {
        lock(&self.trace).drain(..).collect()
    }

    fn answer(&self, now: Timestamp, request: &HttpRequest, fault: Option<Fault>) -> HttpResponse {
        let view = View {
            as_of: if let Some(Fault::Stale(by)) = fault { now - by } else { now },
            empty_page: fault == Some(Fault::EmptyPage),
            part_faults: if let Some(Fault::BatchParts(seed)) = fault { Some(seed) } else { None },
        };
        self.tenant().handle_viewed(now, view, request)
    }

    fn deliver(
        &self,
        now: Timestamp,
        request: &HttpRequest,
        fault: Option<Fault>,
    ) -> Result<HttpResponse, TransportError> {
        let Some(fault) = fault else { return Ok(self.answer(now, request, None)) };
        let on = || Occasion { request, now, id: self.faults().answer_id() };
        match fault {
            Fault::Connect => Err(TransportError::Connect("connection refused".to_owned())),
            Fault::Timeout => Err(TransportError::Timeout(TIMEOUT)),
            Fault::Throttled(retry_after) => Ok(throttled(on(), retry_after)),
            Fault::ServerError(status) => Ok(server_error(on(), status)),
            Fault::Conflict => Ok(conflict(on())),
            Fault::TimeoutAfter => {
                self.answer(now, request, None);
                Err(TransportError::Timeout(TIMEOUT))
            }
            Fault::LostReply => {
                self.answer(now, request, None);
                Err(TransportError::Broken("connection reset by peer".to_owned()))
            }
            Fault::ServerErrorAfter(status) => {
                self.answer(now, request, None);
                Ok(server_error(on(), status))
            }
            Fault::Truncated => {
                let mut response = self.answer(now, request, None);
                response.body.truncate(response.body.len() / 2);
                Ok(response)
            }
            Fault::OddEntry(seed) => {
                let mut response = self.answer(now, request, None);
                if let Some(body) = odd::spoil(&response.body, seed) {
                    response.body = body;
                }
                Ok(response)
            }
            Fault::Stale(_) | Fault::EmptyPage | Fault::BatchParts(_) => {
                Ok(self.answer(now, request, Some(fault)))
            }
        }
    }

    fn record(
        &self,
        at: Timestamp,
        request: &HttpRequest,
        verdict: Verdict,
        outcome: &Result<HttpResponse, TransportError>,
    ) {
        let mut trace = lock(&self.trace);
        if trace.len() == TRACE_LENGTH {
            trace.pop_front();
        }
        trace.push_back(TraceEntry {
            at,
            method: request.method,
            url: request.url.clone(),
            status: outcome.as_ref().ok().map(|response| response.status),
            fault: verdict.fault,
        });
    }
}

/// A panic of another test thread must not hide behind a poisoned lock: the data is only read for the report then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Transport for SimTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let verdict = lock(&self.faults).decide(self.clock.now(), &request);
        let wait = match verdict.fault {
            Some(Fault::Timeout) => TIMEOUT,
            Some(_) | None => verdict.latency.to_duration(),
        };
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let now = self.clock.now();
        let outcome = self.deliver(now, &request, verdict.fault);
        if verdict.fault == Some(Fault::TimeoutAfter) {
            self.clock.sleep(TIMEOUT).await;
        }
        self.record(now, &request, verdict, &outcome);
        outcome
    }
}
