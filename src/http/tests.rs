//! The pages through the router, and the listener over a real loopback socket.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::*;
use crate::model::Span;
use crate::report::metrics::MetricsLimits;
use crate::report::sample::{self, NOW};

/// Always [`NOW`]; waits for ever.
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// A state that serves `view`, observed `age` ago on a schedule of ten minutes.
fn state(view: TenantView, age: Span) -> HttpState {
    let metrics = Metrics::new();
    metrics.publish(&view, MetricsLimits { mailboxes: 500, upn: true });
    let tenant = TenantHealth {
        last_complete_observation: Some(NOW - age),
        schedule_period: Span::from_minutes(10),
        policy_failure: view.policy.failed.clone(),
    };
    let health = Health { tenants: BTreeMap::from([(view.tenant.clone(), tenant)]), store_failure: None };
    // A receiver keeps the last value when its sender is gone.
    HttpState {
        views: watch::channel(Views::from([(view.tenant.clone(), Arc::new(view))])).1,
        health: watch::channel(health).1,
        metrics,
        clock: Arc::new(Still),
    }
}

fn young(view: TenantView) -> HttpState {
    state(view, Span::from_minutes(4))
}

async fn ask(state: HttpState, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router(state).oneshot(request).await.expect("the router always answers");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("the body is in memory");
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).expect("text"))
}

async fn get_page(state: HttpState, path: &str) -> (StatusCode, HeaderMap, String) {
    ask(state, Request::get(path).body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn readyz_is_200_when_nothing_is_missing() {
    let (status, _, body) = get_page(young(sample::healthy()), "/readyz").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"ready":true,"missing":[]}"#));
}

#[tokio::test]
async fn readyz_is_503_and_says_what_is_missing() {
    let mut view = sample::healthy();
    view.policy.failed = Some("line 3: unknown key".to_owned());
    let (status, headers, body) = get_page(state(view, Span::from_minutes(45)), "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let expected = serde_json::json!({ "ready": false, "missing": [
        { "what": "observation", "tenant": "contoso", "detail": "the last complete observation is 45m old, at most 20m is allowed" },
        { "what": "policy", "tenant": "contoso", "detail": "line 3: unknown key" },
    ]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn healthz_answers_even_when_nothing_is_ready() {
    let mut state = young(sample::healthy());
    state.health = watch::channel(Health::default()).1;
    assert_eq!(get_page(state.clone(), "/healthz").await.0, StatusCode::OK);
    assert_eq!(get_page(state, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_text() {
    let (status, headers, body) = get_page(young(sample::troubled()), "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], CONTENT_TYPE);
    assert!(body.contains("mailkeeper_mailboxes{state=\"healthy\",tenant=\"contoso\"} 4120\n"), "{body}");
}

#[tokio::test]
async fn the_status_document_comes_back_as_it_was() {
    let (status, _, body) = get_page(young(sample::hostile()), "/api/v1/status").await;
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let original = serde_json::to_value(sample::hostile()).expect("JSON");
    assert_eq!((status, &body["tenants"][0]), (StatusCode::OK, &original));
    assert_eq!(body["at"], "2026-11-23T12:00:00Z");
}

#[tokio::test]
async fn only_reading_is_possible() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"] {
        for path in ["/", "/metrics", "/api/v1/status", "/nowhere"] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
            let (status, headers, _) = ask(young(sample::healthy()), request).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(headers[header::ALLOW], "GET, HEAD");
        }
    }
    let (status, _, body) = get_page(young(sample::healthy()), "/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("/metrics"), "{body}");
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let request = Request::head("/metrics").body(Body::empty()).expect("a request");
    let (status, headers, body) = ask(young(sample::healthy()), request).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert!(headers.contains_key(header::CONTENT_TYPE));
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let long = format!("/?{}", "x".repeat(5000));
    assert_eq!(get_page(young(sample::healthy()), &long).await.0, StatusCode::URI_TOO_LONG);
    let request = Request::get("/").header(header::CONTENT_LENGTH, "9").body(Body::from("123456789"));
    let (status, ..) = ask(young(sample::healthy()), request.expect("a request")).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_response_carries_the_security_headers() {
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/nowhere"] {
        let (_, headers, _) = get_page(young(sample::healthy()), path).await;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY", "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn the_listener_serves_and_ends_while_a_client_is_connected() {
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(young(sample::healthy()), async {
        stopped.await.ok();
    }));

    let mut client = tokio::net::TcpStream::connect(address).await.expect("the listener is open");
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("written");
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    stop.send(()).expect("the server listens to it");
    serving.await.expect("the server ends though the client keeps its connection");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("the connection is closed");
    assert!(rest.ends_with(b"alive\n"));
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is free again");
}

#[tokio::test]
async fn a_request_with_endless_headers_is_cut_off() {
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = server.address();
    let serving = tokio::spawn(server.serve(young(sample::healthy()), std::future::pending()));
    let mut client = tokio::net::TcpStream::connect(address).await.expect("the listener is open");
    client.write_all(b"GET / HTTP/1.1\r\n").await.expect("written");
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let mut written = 0;
    while written < 10_000_000 && client.write_all(line.as_bytes()).await.is_ok() {
        written += line.len();
    }
    assert!(written < 10_000_000, "the server reads on for ever");
    serving.abort();
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let error = Server::bind(server.address()).await.expect_err("taken");
    assert_eq!(error.to_string(), format!("cannot listen on {}", server.address()));
}

#[tokio::test]
async fn zzz_dump() {
    let one = {
        let mut v = sample::crowded(1);
        v.asks.clear();
        v
    };
    let mut held = sample::troubled();
    held.hold = Some(crate::report::status::HoldView {
        since: NOW - Span::from_hours(2),
        until: Some(NOW + Span::from_hours(2)),
        reason: "migration weekend".into(),
        by: "ola".into(),
    });
    held.is_acting = false;
    held.policy.failed =
        Some("policy.yaml:14:5: unknown key `on_licence_lost`, did you mean `on_license_lost`?".into());
    for (name, view) in [
        ("empty", sample::healthy()),
        ("trouble", sample::troubled()),
        ("one", one),
        ("thirty", sample::crowded(30)),
        ("many", sample::crowded(500)),
        ("hostile", sample::hostile()),
        ("held", held),
    ] {
        let (_, _, body) = get_page(young(view), "/").await;
        std::fs::write(format!("/tmp/report-{name}.html"), body).unwrap();
    }
}
