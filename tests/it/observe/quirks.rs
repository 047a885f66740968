//! Servers that are not quite Graph, between the client and the simulated tenant.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use mailkeeper::sim::network::SimTransport;

const AUDITS: &str = "/auditLogs/directoryAudits?";

/// How the server differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Every `$filter` on users brings everybody.
    pub ignores_filters: bool,
    /// The status that answers a `$filter` on users.
    pub filter_status: Option<u16>,
    /// The status that answers every delta.
    pub delta_status: Option<u16>,
    /// The status that answers a delta from a stored token.
    pub token_status: Option<u16>,
    /// The status that answers the question about subscriptions.
    pub subscriptions_status: Option<u16>,
    /// The status that answers every question to the audit log.
    pub audit_status: Option<u16>,
    /// The status that answers a question to the audit log that names a time.
    pub audit_time_status: Option<u16>,
    /// The status that answers batches.
    pub batch_status: Option<u16>,
}

/// Called with the number of each request before it is answered.
type Meanwhile = Box<dyn FnMut(&SimTransport, u64) + Send>;

/// The transport of a test.
#[derive(Clone)]
pub struct Odd {
    pub inner: SimTransport,
    quirks: Arc<Mutex<Quirks>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    asked: Arc<Mutex<Vec<String>>>,
    spent: Arc<Mutex<Duration>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Odd {
    pub fn new(inner: SimTransport) -> Self {
        Self {
            inner,
            quirks: Arc::default(),
            meanwhile: Arc::default(),
            asked: Arc::default(),
            spent: Arc::default(),
        }
    }

    pub fn set(&self, quirks: Quirks) {
        *lock(&self.quirks) = quirks;
    }

    pub fn meanwhile(&self, act: impl FnMut(&SimTransport, u64) + Send + 'static) {
        *lock(&self.meanwhile) = Some(Box::new(act));
    }

    pub fn settle(&self) {
        *lock(&self.meanwhile) = None;
    }

    /// What was asked of Graph since the last look: paths without their queries.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.asked))
    }

    /// What the simulated tenant itself took; of use where nothing else runs.
    pub fn spent(&self) -> Duration {
        *lock(&self.spent)
    }

    fn answer(&self, request: &mut HttpRequest) -> Option<u16> {
        let quirks = *lock(&self.quirks);
        let is_filtered = request.url.contains("/users?") && request.url.contains("&$filter=");
        if is_filtered && quirks.ignores_filters {
            let start = request.url.find("&$filter=").expect("just seen");
            request.url.truncate(start);
        }
        let has_token = request.url.contains("deltatoken=") && !request.url.contains("deltatoken=latest");
        [
            quirks.filter_status.filter(|_| is_filtered),
            quirks.delta_status.filter(|_| request.url.contains("/users/delta")),
            quirks.token_status.filter(|_| has_token),
            quirks.subscriptions_status.filter(|_| request.url.ends_with("/directory/subscriptions")),
            quirks.audit_status.filter(|_| request.url.contains(AUDITS)),
            quirks
                .audit_time_status
                .filter(|_| request.url.contains(AUDITS) && request.url.contains("activityDateTime")),
            quirks.batch_status.filter(|_| request.url.ends_with("/$batch")),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

#[async_trait]
impl Transport for Odd {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if let Some((_, path)) = request.url.split_once("/v1.0/") {
            let path = path.split('?').next().unwrap_or_default().to_owned();
            let number = {
                let mut asked = lock(&self.asked);
                asked.push(path);
                asked.len() as u64
            };
            if let Some(act) = lock(&self.meanwhile).as_mut() {
                act(&self.inner, number);
            }
        }
        if let Some(status) = self.answer(&mut request) {
            let body = br#"{"error":{"code":"Request_UnsupportedQuery","message":"not here"}}"#;
            let mut response = HttpResponse::new(status).with_header("content-type", "application/json");
            response.body = body.to_vec();
            return Ok(response);
        }
        let started = std::time::Instant::now();
        let answer = self.inner.send(request).await;
        *lock(&self.spent) += started.elapsed();
        answer
    }
}
