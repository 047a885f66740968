//! Between the product and the simulated tenant: misbehaviours with a name, each exactly what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use mailkeeper::model::UserId;
use mailkeeper::sim::network::SimTransport;
use serde_json::{Value, json};

/// What is wrong with the answers.
#[derive(Debug, Default)]
struct State {
    /// Paths that contain one of these are answered with 403.
    refused: Vec<String>,
    /// Listings of users lack every second one.
    halves_listings: bool,
    /// Counts do so, too.
    halves_counts: bool,
    /// Deltas say that these are gone for good.
    removed: Vec<UserId>,
    /// The tenant has so many times the seats.
    seats_factor: Option<i64>,
}

/// What becomes of one write before it has any effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Graph asks to come again in 20 s.
    Throttled,
    /// The connection breaks.
    Lost,
}

impl Fate {
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "throttled" => Ok(Self::Throttled),
            "lost" => Ok(Self::Lost),
            _ => Err(format!("no write is {name}")),
        }
    }

    fn answer(self) -> Result<HttpResponse, TransportError> {
        match self {
            Self::Throttled => Ok(HttpResponse::new(429).with_header("retry-after", "20")),
            Self::Lost => Err(TransportError::Broken("on purpose".to_owned())),
        }
    }
}

/// What happens while that write waits to be repeated.
type Meanwhile = Box<dyn FnOnce(&SimTransport) + Send>;

/// The transport that the product is given. Clones share everything.
#[derive(Clone)]
pub struct Wire {
    pub network: SimTransport,
    state: Arc<Mutex<State>>,
    interrupted: Arc<Mutex<Option<(Fate, Meanwhile)>>>,
}

impl Wire {
    pub fn new(network: SimTransport) -> Self {
        Self { network, state: Arc::default(), interrupted: Arc::default() }
    }

    /// From here on paths that contain this text are forbidden.
    pub fn refuse(&self, path: &str) {
        self.state().refused.push(path.to_owned());
    }

    pub fn halve_listings(&self, counts_too: bool) {
        let mut state = self.state();
        state.halves_listings = true;
        state.halves_counts = counts_too;
    }

    /// The next deltas say that they are gone.
    pub fn remove_in_deltas(&self, users: Vec<UserId>) {
        self.state().removed = users;
    }

    /// The next write meets this fate, and something happens before it can be repeated.
    pub fn interrupt(&self, fate: Fate, meanwhile: impl FnOnce(&SimTransport) + Send + 'static) {
        let mut interrupted = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        *interrupted = Some((fate, Box::new(meanwhile)));
    }

    fn interrupted(&self, path: &str) -> Option<Fate> {
        let is_write = ["/assignLicense", "/restore", "/$ref"].iter().any(|action| path.ends_with(action));
        let taken = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).take_if(|_| is_write);
        taken.map(|(fate, meanwhile)| {
            meanwhile(&self.network);
            fate
        })
    }

    pub fn multiply_seats(&self, factor: i64) {
        self.state().seats_factor = Some(factor);
    }

    /// Everything is as it should be again.
    pub fn behave(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, path: &str, response: &mut HttpResponse) {
        let state = self.state();
        let route = path.split('?').next().unwrap_or_default();
        if route == "users/$count" && state.halves_counts {
            let count: u64 = String::from_utf8_lossy(&response.body).trim().parse().unwrap_or(0);
            response.body = (count / 2).to_string().into_bytes();
            return;
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return };
        let Some(items) = body.get_mut("value").and_then(Value::as_array_mut) else { return };
        match route {
            "users" if state.halves_listings => {
                let mut number = 0;
                items.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
            }
            "users/delta" if !state.removed.is_empty() => {
                let removed =
                    |user: &UserId| json!({"id": user.to_string(), "@removed": {"reason": "deleted"}});
                items.extend(state.removed.iter().map(removed));
            }
            "subscribedSkus" => {
                if let Some(factor) = state.seats_factor {
                    for sku in items {
                        let enabled = sku["prepaidUnits"]["enabled"].as_i64().unwrap_or(0);
                        sku["prepaidUnits"]["enabled"] = json!(enabled * factor);
                    }
                }
            }
            _ => return,
        }
        response.body = serde_json::to_vec(&body).expect("it was JSON before");
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let path = request.url.split_once("/v1.0/").map(|(_, path)| path.to_owned()).unwrap_or_default();
        let is_refused = self.state().refused.iter().any(|refused| path.contains(refused.as_str()));
        if is_refused {
            return Ok(HttpResponse::new(403).with_json(&json!({"error": {
                "code": "Authorization_RequestDenied",
                "message": "Insufficient privileges to complete the operation.",
            }})));
        }
        if let Some(fate) = self.interrupted(&path) {
            return fate.answer();
        }
        let mut response = self.network.send(request).await?;
        self.change(&path, &mut response);
        Ok(response)
    }
}
