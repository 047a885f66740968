//! Between the product and the simulated network: notes every write with what was durable when it left, what was
//! known of the listings before it, and what came back. Lets the process die at a chosen write. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailkeeper::clock::Clock;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use mailkeeper::model::{SkuId, Span, Timestamp, UserId};
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::scenario::products;
use mailkeeper::store::journal::MemoryLog;
use serde_json::Value;
use tokio::sync::Notify;

use super::eye::{Cover, Eye};
use super::request::{Kind, Seen, kind_of, last_id, listing, path_of, seen, user_of};
use super::trace::Trace;
use super::world::LocalClock;

/// One write.
#[derive(Debug, Clone)]
pub struct Sent {
    pub pass: u32,
    pub at: Timestamp,
    /// By the daemon's clock.
    pub local: Timestamp,
    pub user: Option<UserId>,
    pub kind: Kind,
    pub path: String,
    pub cover: Option<Cover>,
    pub seen: Seen,
    /// The tenant was changed by it.
    pub is_applied: bool,
    /// The user does not hold the product yet, or is to get it through the group.
    pub takes_seat: Option<SkuId>,
    /// Listings of this pass whose last answer was not a good last page.
    pub open_listings: Vec<String>,
    pub has_listings: bool,
}

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Before the write reaches the network.
    Before,
    /// When it was delivered, and before anything comes back.
    After,
}

/// The seats that one reading of the products showed.
#[derive(Debug, Clone, Default)]
pub struct Seats {
    pub free: BTreeMap<SkuId, i64>,
    /// Members that we added and whom the licensing worker has not reached yet.
    pub joining: i64,
}

#[derive(Default)]
struct State {
    pass: u32,
    writes: Vec<Sent>,
    writes_in_pass: u32,
    /// Writes that the tenant had recorded when the last pass was settled.
    settled: usize,
    listings: BTreeMap<String, bool>,
    seats: Seats,
    probed: BTreeSet<UserId>,
    death: Option<(u32, Death)>,
    repeats_writes: bool,
    on_write: Option<(u32, Box<dyn FnOnce() + Send>)>,
}

/// How long the licensing worker of the simulated tenant takes at most.
const WORKER_DELAY: Span = Span::from_minutes(21);

/// The transport that the product is given. Clones share everything.
#[derive(Clone)]
pub struct Wire {
    pub network: SimTransport,
    pub journal: Eye,
    local: Arc<LocalClock>,
    state: Arc<Mutex<State>>,
    dead: Arc<Notify>,
    trace: Trace,
}

impl Wire {
    pub fn new(network: SimTransport, log: MemoryLog, local: Arc<LocalClock>, trace: Trace) -> Self {
        Self {
            network,
            journal: Eye::new(log),
            local,
            state: Arc::default(),
            dead: Arc::new(Notify::new()),
            trace,
        }
    }

    /// Everything from here on belongs to this pass.
    pub fn begin(&self, pass: u32, death: Option<(u32, Death)>) {
        let mut state = self.state();
        state.pass = pass;
        state.death = death;
        state.writes_in_pass = 0;
        state.listings.clear();
        state.probed.clear();
        state.seats = Seats::default();
        state.on_write = None;
    }

    /// Calls back when the write of this number in the pass has been answered.
    pub fn on_write(&self, number: u32, call: impl FnOnce() + Send + 'static) {
        self.state().on_write = Some((number, Box::new(call)));
    }

    /// Every write is sent twice from here on: a fault for the checker to find.
    pub fn repeat_writes(&self) {
        self.state().repeats_writes = true;
    }

    /// Returns when the process dies.
    pub async fn died(&self) {
        self.dead.notified().await;
    }

    pub fn writes(&self) -> Vec<Sent> {
        self.state().writes.clone()
    }

    pub fn seats(&self) -> Seats {
        self.state().seats.clone()
    }

    /// Whose mailbox answered in this pass.
    pub fn probed(&self) -> BTreeSet<UserId> {
        self.state().probed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, request: HttpRequest, kind: Kind) -> Result<HttpResponse, TransportError> {
        let user = user_of(&request);
        let (index, number) = self.note_write(&request, user, kind);
        let death = self.state().death.filter(|(at, _)| *at == number).map(|(_, death)| death);
        if death == Some(Death::Before) {
            self.die("before the request left").await;
        }
        let outcome = self.network.send(request.clone()).await;
        if death.is_none() {
            self.note_answer(index, seen(&outcome));
        }
        if death.is_some() {
            self.die("before the answer was read").await;
        }
        let waiting = self.state().on_write.take_if(|(at, _)| *at == number);
        if let Some((_, call)) = waiting {
            call();
        }
        outcome
    }

    fn note_write(&self, request: &HttpRequest, user: Option<UserId>, kind: Kind) -> (usize, u32) {
        let at = self.local.tenant.now();
        let cover = user.and_then(|user| self.journal.open_intent(user, kind.label()));
        let takes_seat = user.and_then(|user| self.seat_of(user, &kind));
        let path = request.url.split("/v1.0").last().unwrap_or_default().to_owned();
        self.trace.note(
            at,
            format!(
                "    > {} {path} covered by {:?}",
                request.method.as_str(),
                cover.as_ref().map(|cover| cover.line)
            ),
        );
        let mut state = self.state();
        state.writes_in_pass += 1;
        // After a listing of everybody the delta may be left to the next pass.
        let has_users = state.listings.contains_key("users");
        let open_listings = state
            .listings
            .iter()
            .filter(|(name, is_complete)| !(**is_complete || has_users && *name == "changes"))
            .map(|(name, _)| name.clone())
            .collect();
        let has_listings = (has_users || state.listings.contains_key("changes"))
            && ["deleted", "products"].iter().all(|name| state.listings.contains_key(*name));
        let sent = Sent {
            pass: state.pass,
            at,
            local: self.local.now(),
            user,
            kind,
            path,
            cover,
            seen: Seen::Nothing,
            is_applied: false,
            takes_seat,
            open_listings,
            has_listings,
        };
        state.writes.push(sent);
        (state.writes.len() - 1, state.writes_in_pass)
    }

    fn seat_of(&self, user: UserId, kind: &Kind) -> Option<SkuId> {
        let held = self.network.tenant().licences_of(user);
        match kind {
            Kind::Assign { add, .. } => add.first().map(|(sku, _)| *sku).filter(|sku| !held.contains(sku)),
            Kind::AddMember(_) | Kind::Reprocess => Some(products::SPE_E3).filter(|sku| !held.contains(sku)),
            Kind::Location | Kind::Restore { .. } | Kind::Other => None,
        }
    }

    fn note_answer(&self, index: usize, seen: Seen) {
        let mut state = self.state();
        if let Some(sent) = state.writes.get_mut(index) {
            sent.seen = seen;
            self.trace.note(self.local.tenant.now(), format!("    < {} {seen:?}", sent.path));
        }
    }

    /// After a pass, also one that died: which of its writes changed the tenant, by the tenant's own record.
    pub fn settle(&self) {
        let tenant = self.network.tenant();
        let mut state = self.state();
        let received = tenant.writes();
        for record in &received[state.settled.min(received.len())..] {
            let is_of = |sent: &&mut Sent| sent.user == record.user && sent.at <= record.at;
            // One user's requests follow each other, so the newest one before the record is the one.
            if let Some(sent) = state.writes.iter_mut().rev().find(is_of) {
                sent.is_applied |= record.applied;
            }
        }
        state.settled = received.len();
    }

    /// The process is gone: nothing comes back, ever.
    async fn die(&self, when: &str) {
        self.trace.note(self.local.tenant.now(), format!("    the process dies {when}"));
        self.dead.notify_one();
        std::future::pending::<()>().await;
    }

    fn note_read(&self, request: &HttpRequest, outcome: &Result<HttpResponse, TransportError>) {
        let path = path_of(&request.url);
        let body = match outcome {
            Ok(response) if response.status == 200 => serde_json::from_slice::<Value>(&response.body).ok(),
            Ok(_) | Err(_) => None,
        };
        if path.contains("/$batch") {
            self.note_batch(request, body.as_ref());
        } else if let Some(user) = path.strip_suffix("/mailboxSettings").and_then(last_id) {
            if body.is_some() {
                self.state().probed.insert(user);
            }
        } else if let Some(name) = listing(&path) {
            let is_complete = body.as_ref().is_some_and(|body| {
                body.get("value").is_some_and(Value::is_array) && body.get("@odata.nextLink").is_none()
            });
            if name == "products" && is_complete {
                self.note_seats();
            }
            self.state().listings.insert(name, is_complete);
        }
    }

    fn note_batch(&self, request: &HttpRequest, body: Option<&Value>) {
        let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else { return };
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let items = asked["requests"].as_array().cloned().unwrap_or_default();
        let answers = body.and_then(|body| body["responses"].as_array()).cloned().unwrap_or_default();
        for item in items {
            let is_good = answers.iter().any(|answer| {
                text(answer, "id") == text(&item, "id") && answer["status"].as_u64() == Some(200)
            });
            let url = text(&item, "url");
            if let Some(user) = path_of(&url).strip_suffix("/mailboxSettings").and_then(last_id)
                && is_good
            {
                self.state().probed.insert(user);
            }
        }
    }

    fn note_seats(&self) {
        let now = self.local.tenant.now();
        let tenant = self.network.tenant();
        let bought = [products::SPE_E3, products::SPE_E5, products::EXCHANGESTANDARD];
        let free = bought.iter().filter_map(|sku| {
            let seats = tenant.seats(*sku)?;
            Some((*sku, i64::from(seats.seats) - i64::from(seats.consumed)))
        });
        let free = free.collect();
        let mut state = self.state();
        let is_joining = |sent: &&Sent| {
            let Kind::AddMember(group) = sent.kind else { return false };
            let Some(user) = sent.user else { return false };
            sent.at + WORKER_DELAY > now
                && tenant.is_member(group, user)
                && tenant.licences_of(user).is_empty()
        };
        let joining: BTreeSet<UserId> =
            state.writes.iter().filter(is_joining).filter_map(|sent| sent.user).collect();
        let joining = joining.len();
        state.seats = Seats { free, joining: i64::try_from(joining).unwrap_or(0) };
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        match kind_of(&request) {
            Some(kind) => {
                let again = self.state().repeats_writes.then(|| (request.clone(), kind.clone()));
                let outcome = self.write(request, kind).await;
                match again {
                    Some((request, kind)) if outcome.is_ok() => self.write(request, kind).await,
                    Some(_) | None => outcome,
                }
            }
            None => {
                let outcome = self.network.send(request.clone()).await;
                self.note_read(&request, &outcome);
                outcome
            }
        }
    }
}
