//! The client: one tenant, its token, its budget, and the loop around every request.
//!
//! Every read goes through `read`, every write through `write`: there is no third way to the transport.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;
use crate::model::{Span, TenantId};

use super::auth::{AccessToken, Authority, SignIn, TokenSource, TokenWatcher, challenge};
use super::cloud::Roots;
use super::error::{Error, ErrorAnswer, RequestIds};
use super::link::GraphUrl;
use super::observer::{RequestObserver, RequestSample, Unobserved};
use super::request::{Endpoint, Request};
use super::throttle::{TenantSize, Throttle, http_date, is_throttled};
use super::transport::{HttpRequest, HttpResponse, Transport, TransportError};

use batch::Batches;

mod batch;
mod directory;
mod many;
mod pages;
mod probe;
mod read;
mod write;

pub use directory::DeltaStart;
pub use many::AnswersByUser;
pub use pages::{DeltaPager, Pager};
pub use probe::{MailboxAnswer, Probed};
pub use write::{Refusal, WriteResult};

/// Fewer users are asked about one by one: eight at a time that takes some seconds, and in a pass of an ordinary day
/// every POST is a change, for whoever counts them.
const BATCH_FROM: usize = 100;

/// What a [`Client`] needs to know.
#[derive(Clone)]
pub struct Config {
    pub tenant: TenantId,
    pub roots: Roots,
    pub sign_in: SignIn,
    /// Namespace of the `client-request-id`s: random for each process in production, fixed in a simulation.
    pub id_seed: Uuid,
    /// Class of the tenant until [`Client::users_count`] tells the real one.
    pub size: TenantSize,
    /// Asks about many users 20 to a request; about few one by one all the same. Off: always one request each. A
    /// server that refuses batches is asked singly from then on.
    pub has_batch: bool,
    /// Users from which on a question is asked in batches.
    pub batch_from: usize,
    /// Questions about single users at a time. Exchange allows four at a time to one mailbox, and these go to
    /// different ones.
    pub probes_at_once: usize,
    pub observer: Arc<dyn RequestObserver>,
}

impl Config {
    /// No batches, eight probes at a time, a small tenant until counted, no observer, and ids that repeat from run to
    /// run: set `id_seed` in production.
    pub fn new(tenant: TenantId, roots: Roots, sign_in: SignIn) -> Self {
        Self {
            tenant,
            roots,
            sign_in,
            id_seed: Uuid::nil(),
            size: TenantSize::default(),
            has_batch: false,
            batch_from: BATCH_FROM,
            probes_at_once: 8,
            observer: Arc::new(Unobserved),
        }
    }
}

/// A Microsoft Graph client for one tenant. Cheap to clone; clones share token, budget and counters.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    roots: Roots,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    tokens: TokenSource,
    throttle: Throttle,
    wire: Wire,
    batches: Batches,
    batch_from: usize,
    probes_at_once: AtomicUsize,
}

/// What is noted of every exchange, token requests included.
struct Wire {
    clock: Arc<dyn Clock>,
    observer: Arc<dyn RequestObserver>,
    id_seed: Uuid,
    ids_given: AtomicU64,
    skew: Mutex<Option<Span>>,
}

/// One exchange that got past the sign-in: an answer, or none.
struct Exchange {
    ids: RequestIds,
    outcome: Result<HttpResponse, TransportError>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.shared.roots.graph())
    }
}

impl Client {
    pub fn new(config: Config, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        let authority =
            Authority { tenant: config.tenant, roots: config.roots.clone(), sign_in: config.sign_in };
        let wire = Wire {
            clock: clock.clone(),
            observer: config.observer,
            id_seed: config.id_seed,
            ids_given: AtomicU64::new(0),
            skew: Mutex::new(None),
        };
        let shared = Shared {
            roots: config.roots,
            tokens: TokenSource::new(authority, transport.clone(), clock.clone()),
            throttle: Throttle::new(clock.clone(), config.size),
            transport,
            clock,
            wire,
            batches: Batches::new(config.has_batch),
            batch_from: config.batch_from,
            probes_at_once: AtomicUsize::new(config.probes_at_once.max(1)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks about one mailbox or user at a time from now on, so that requests arrive in the same order in every
    /// replay.
    pub fn ask_one_at_a_time(&self) {
        self.shared.probes_at_once.store(1, Ordering::Relaxed);
    }

    fn probes_at_once(&self) -> usize {
        self.shared.probes_at_once.load(Ordering::Relaxed)
    }

    /// Local clock minus Graph's, from the newest answer; whole seconds are all that the `Date` header tells.
    pub fn clock_skew(&self) -> Option<Span> {
        self.shared.wire.skew()
    }

    /// The application permissions named in the token: a hint for people. `None` where the token does not tell.
    ///
    /// # Errors
    /// Only [`Error::SignIn`].
    pub async fn roles(&self) -> Result<Option<Vec<String>>, Error> {
        self.shared.tokens.roles(&self.shared.wire).await.map_err(Error::SignIn)
    }

    fn url_of(&self, request: &Request) -> Result<GraphUrl, Error> {
        GraphUrl::below(&self.shared.roots, &request.path).map_err(|fault| Error::HostileLink {
            endpoint: request.endpoint,
            fault,
            ids: RequestIds::default(),
        })
    }

    /// One authorised exchange. A 401 is repeated once, with another token where one may be had: it means that
    /// nothing was done.
    async fn exchange(&self, request: &Request, url: &GraphUrl) -> Result<Exchange, Error> {
        let token = self.token().await?;
        let first = self.send(request, url, &token).await;
        let challenge = match &first.outcome {
            Ok(response) if response.status == 401 => challenge(response),
            Ok(_) | Err(_) => return Ok(first),
        };
        self.shared.tokens.refused(&token, challenge).await;
        let token = self.token().await?;
        Ok(self.send(request, url, &token).await)
    }

    async fn token(&self) -> Result<AccessToken, Error> {
        self.shared.tokens.token(&self.shared.wire).await.map_err(Error::SignIn)
    }

    async fn send(&self, request: &Request, url: &GraphUrl, token: &AccessToken) -> Exchange {
        let shared = &self.shared;
        shared.throttle.admit(request.workload, request.resource_units, request.is_write()).await;
        let client_request = shared.wire.fresh_id();
        let http = dressed(token.authorize(request.method, url), request, &client_request);
        let started = shared.clock.monotonic();
        let mut outcome = shared.transport.send(http).await;
        if let Ok(response) = &mut outcome
            && (!is_success(response) || request.endpoint == Endpoint::Batch)
        {
            token.leave_out_of(response);
        }
        let duration = shared.clock.monotonic().saturating_sub(started);
        let response = outcome.as_ref().ok();
        shared.wire.note(request.endpoint, request.resource_units, response, duration);
        if let Some(response) = response {
            shared.throttle.learn(request.workload, response, shared.clock.now());
            if request.is_write() {
                shared.throttle.learn_write(response, shared.clock.now());
            }
        }
        let request_id = response.and_then(|response| response.header("request-id")).map(super::error::tame);
        Exchange { ids: RequestIds { request: request_id, client_request }, outcome }
    }
}

fn dressed(http: HttpRequest, request: &Request, client_request_id: &str) -> HttpRequest {
    let mut http = http
        .with_header("accept", request.accept())
        .with_header("client-request-id", client_request_id)
        .with_header("x-ms-throttle-priority", request.priority.as_str());
    if request.is_eventual {
        http = http.with_header("consistencylevel", "eventual");
    }
    match &request.body {
        Some(body) => http.with_body("application/json", body.clone()),
        None => http,
    }
}

fn is_success(response: &HttpResponse) -> bool {
    (200..300).contains(&response.status)
}

impl Wire {
    fn note(
        &self,
        endpoint: Endpoint,
        documented_units: u32,
        response: Option<&HttpResponse>,
        duration: Duration,
    ) {
        if let Some(server) = response.and_then(|response| response.header("date")).and_then(http_date) {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now() - server);
        }
        let counted = response.and_then(|response| response.header("x-ms-resource-unit"));
        self.observer.observed(&RequestSample {
            endpoint,
            status: response.map(|response| response.status),
            duration,
            resource_units: counted.and_then(|text| text.trim().parse().ok()).unwrap_or(documented_units),
            is_throttled: response.is_some_and(|response| is_throttled(response.status)),
        });
    }
}

impl TokenWatcher for Wire {
    fn answered(&self, response: Option<&HttpResponse>, duration: Duration) {
        self.note(Endpoint::Token, 0, response, duration);
    }

    fn fresh_id(&self) -> String {
        let number = self.ids_given.fetch_add(1, Ordering::Relaxed);
        Uuid::new_v5(&self.id_seed, &number.to_be_bytes()).to_string()
    }

    fn skew(&self) -> Option<Span> {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer that a caller treats as data: `None` for the statuses that mean "not there".
fn absent_as_none<T>(
    result: Result<T, Error>,
    is_absent: impl Fn(&ErrorAnswer) -> bool,
) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Answer { answer, .. }) if is_absent(&answer) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
