//! A Graph that answers as a test tells it to, and a clock on tokio's paused time. For the tests of this module.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::model::{TenantId, Timestamp};

use super::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use super::{Client, Cloud, Config, SignIn};

pub(super) const TENANT: TenantId = TenantId::from_u128(0x9d1c_7f3e_3f43_4a52_9a35_0d2c_55f1_a001);

/// 2026-11-23T12:00:00Z.
pub(super) const EPOCH: Timestamp = Timestamp::from_secs(1_795_435_200);

/// [`EPOCH`] as an HTTP date.
pub(super) const EPOCH_DATE: &str = "Mon, 23 Nov 2026 12:00:00 GMT";

pub(super) type Answer = Result<HttpResponse, TransportError>;

pub(super) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(super) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(
            EPOCH.as_millis() + i64::try_from(self.0.elapsed().as_millis()).expect("short"),
        )
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

type Script = Box<dyn Fn(&HttpRequest, u32) -> Answer + Send + Sync>;
type TokenScript = Box<dyn Fn(u32) -> Answer + Send + Sync>;

/// Answers token requests with `token-1`, `token-2`, ... and everything else with the script.
pub(super) struct FakeGraph {
    script: Script,
    token_script: TokenScript,
    tokens: AtomicU32,
    calls: AtomicU32,
    log: Mutex<Vec<HttpRequest>>,
}

impl FakeGraph {
    /// The script gets each request with its number, from 0 on.
    pub(super) fn new(script: impl Fn(&HttpRequest, u32) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            token_script: Box::new(|number| Ok(token(&format!("token-{number}"), json!(3_599)))),
            tokens: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            log: Mutex::default(),
        }
    }

    /// Replaces the token endpoint; numbers from 1 on.
    pub(super) fn with_tokens(mut self, script: impl Fn(u32) -> Answer + Send + Sync + 'static) -> Self {
        self.token_script = Box::new(script);
        self
    }

    /// A client of the global cloud with a client secret, and this Graph.
    pub(super) fn client(self) -> (Client, Arc<Self>) {
        self.client_with(|_| ())
    }

    pub(super) fn client_with(self, change: impl FnOnce(&mut Config)) -> (Client, Arc<Self>) {
        let sign_in =
            SignIn::ClientSecret { client_id: "app".to_owned(), secret: "hunter2".to_owned().into() };
        let mut config = Config::new(TENANT, Cloud::Global.roots(), sign_in);
        change(&mut config);
        let graph = Arc::new(self);
        (Client::new(config, graph.clone(), Arc::new(TestClock::new())), graph)
    }

    pub(super) fn token_requests(&self) -> u32 {
        self.tokens.load(Ordering::SeqCst)
    }

    /// Everything sent but the token requests.
    pub(super) fn requests(&self) -> Vec<HttpRequest> {
        let log = self.log.lock().expect("no panic while logging");
        log.iter().filter(|request| !is_token(request)).cloned().collect()
    }

    pub(super) fn everything_sent(&self) -> Vec<HttpRequest> {
        self.log.lock().expect("no panic while logging").clone()
    }
}

fn is_token(request: &HttpRequest) -> bool {
    request.url.contains("/oauth2/v2.0/")
}

#[async_trait]
impl Transport for FakeGraph {
    async fn send(&self, request: HttpRequest) -> Answer {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.log.lock().expect("no panic while logging").push(request.clone());
        if is_token(&request) {
            (self.token_script)(self.tokens.fetch_add(1, Ordering::SeqCst) + 1)
        } else {
            (self.script)(&request, self.calls.fetch_add(1, Ordering::SeqCst))
        }
    }
}

pub(super) fn token(text: &str, expires_in: Value) -> HttpResponse {
    let body = json!({ "token_type": "Bearer", "access_token": text, "expires_in": expires_in });
    HttpResponse::new(200).with_json(&body)
}

pub(super) fn ok(body: &Value) -> Answer {
    Ok(HttpResponse::new(200)
        .with_header("date", EPOCH_DATE)
        .with_header("request-id", "r-1")
        .with_json(body))
}

pub(super) fn fault(status: u16, code: &str, message: &str) -> HttpResponse {
    let inner = json!({ "date": "2026-11-23T12:00:00", "request-id": "r-9", "client-request-id": "c-9" });
    let error = json!({ "code": code, "message": message, "innerError": inner });
    HttpResponse::new(status).with_json(&json!({ "error": error }))
}

pub(super) fn throttled(retry_after: &str) -> HttpResponse {
    fault(429, "TooManyRequests", "Please retry again later.").with_header("retry-after", retry_after)
}

pub(super) fn html(status: u16) -> HttpResponse {
    let mut response = HttpResponse::new(status).with_header("content-type", "text/html");
    response.body = b"<html><body>Bad gateway</body></html>".to_vec();
    response
}

pub(super) fn broken() -> TransportError {
    TransportError::Broken("reset by peer".to_owned())
}
