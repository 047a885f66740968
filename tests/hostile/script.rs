//! A Graph client whose network is a closure and whose clock jumps: every call ends in one poll after another, so that
//! millions of answers fit into a test. What was sent is handed to the closure, which is where tests look at tokens.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use mailkeeper::clock::Clock;
use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use mailkeeper::graph::{Client, Config, Roots, SignIn};
use mailkeeper::model::{TenantId, Timestamp};
use serde_json::json;

pub const TENANT: TenantId = TenantId::from_u128(0x9d1c_7f3e_3f43_4a52_9a35_0d2c_55f1_a001);

/// What no foreign server may ever see.
pub const TOKEN: &str = "canary-token";

/// 2026-11-23T12:00:00Z.
const EPOCH: Timestamp = Timestamp::from_secs(1_795_435_200);

/// Polls after which a call counts as one that never ends. A batch of probes needs some dozens.
const MAX_POLLS: u32 = 100_000;

/// Time that passes only while somebody sleeps.
#[derive(Default)]
pub struct JumpingClock(AtomicU64);

impl JumpingClock {
    pub fn slept(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(EPOCH.as_millis() + i64::try_from(self.slept().as_millis()).expect("short"))
    }

    fn monotonic(&self) -> Duration {
        self.slept()
    }

    async fn sleep(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).expect("nobody sleeps for ages");
        self.0.fetch_add(millis.max(1), Ordering::Relaxed);
    }
}

pub type Answer = Result<HttpResponse, TransportError>;

/// A transport that is one function.
pub struct Scripted<F>(Mutex<F>);

#[async_trait]
impl<F: FnMut(&HttpRequest) -> Answer + Send> Transport for Scripted<F> {
    async fn send(&self, request: HttpRequest) -> Answer {
        let mut answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*answer)(&request)
    }
}

/// A client of that network, and its clock. Nothing but the closure answers, also for tokens.
pub fn client(
    roots: Roots,
    answer: impl FnMut(&HttpRequest) -> Answer + Send + 'static,
) -> (Client, Arc<JumpingClock>) {
    let sign_in =
        SignIn::ClientSecret { client_id: "app".to_owned(), secret: "canary-secret".to_owned().into() };
    let mut config = Config::new(TENANT, roots, sign_in);
    config.has_batch = true;
    let clock = Arc::new(JumpingClock::default());
    (Client::new(config, Arc::new(Scripted(Mutex::new(answer))), clock.clone()), clock)
}

/// Drives a call to its end. Nothing in it waits for the world.
pub fn finish<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MAX_POLLS {
        if let Poll::Ready(value) = call.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("the call does not end");
}

pub fn is_sign_in(request: &HttpRequest) -> bool {
    request.url.contains("/oauth2/v2.0/")
}

/// A token that lives an hour.
pub fn granted() -> HttpResponse {
    HttpResponse::new(200)
        .with_json(&json!({ "token_type": "Bearer", "access_token": TOKEN, "expires_in": 3599 }))
}
