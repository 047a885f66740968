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
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {} (another program may: stop it, or choose another `http.listen` in mailkeeper.yaml)",
            server.address()
        )
    );
}

#[tokio::test]
async fn the_page_is_one_self_contained_document_and_its_style_is_the_announced_one() {
    use base64::Engine as _;
    use sha2::Digest as _;

    let (status, headers, body) = get_page(young(sample::troubled()), "/").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    for foreign in ["<script", "<link rel=\"stylesheet", "src=", "@import", "javascript:", "style=\""] {
        assert!(!body.contains(foreign), "{foreign}");
    }
    assert_eq!(body.matches("://").count(), 1, "only the name space of the icon, which is never fetched");
    let style =
        body.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII").contains(&hash));
}

#[tokio::test]
async fn the_page_says_what_is_at_risk_and_what_happens_next() {
    let (_, _, body) = get_page(young(sample::troubled()), "/").await;
    let expected = [
        "<b>6 mailboxes at risk</b> of 4,127 kept, 3 within a week.",
        "The next deadline is in <b>19h</b>",
        "assign SPE_E3: sent, to be verified",
        "waits for approval",
        "Restore carl.vonberg@contoso.com, deleted 27 days ago?",
        "mailkeeper approve a-7k2m",
        "2 missing, needed by 2026-11-24 00:00 UTC (in 12h)",
        "passed the limit",
        "SPE_E5: 57 kept mailboxes rest on an expired subscription in its grace period (Warning)",
    ];
    for text in expected {
        assert!(body.contains(text), "{text}");
    }
    assert!(!body.contains("where it should be"));
}

#[tokio::test]
async fn hostile_text_is_only_text() {
    let (_, _, body) = get_page(young(sample::hostile()), "/").await;
    assert!(!body.contains("<script"), "markup from the tenant");
    assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "shown, and escaped");
    assert!(!body.contains(['\u{1b}', '\u{202e}']), "hidden characters");
    let quoted =
        body.split("title=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(title, _)| title);
    assert!(quoted.clone().count() > 5);
    assert!(quoted.into_iter().all(|title| !title.contains(['<', '>'])), "an attribute was left");
}

#[tokio::test]
async fn all_is_well_is_said_only_where_it_was_seen() {
    let well = "Every kept mailbox is where it should be.";
    assert!(get_page(young(sample::healthy()), "/").await.2.contains(well));

    let mut unseen = sample::healthy();
    unseen.last_complete_observation = None;
    let mut unkept = sample::healthy();
    unkept.kept = 0;
    for (view, instead) in [(unseen, "Nothing is known yet."), (unkept, "No mailbox is kept.")] {
        let (_, _, body) = get_page(young(view), "/").await;
        assert!(body.contains(instead) && !body.contains(well), "{instead}");
    }
    let mut nobody = young(sample::healthy());
    nobody.views = watch::channel(Views::new()).1;
    assert!(get_page(nobody, "/").await.2.contains("No tenant has reported yet."));
}

#[tokio::test]
async fn what_stops_mailkeeper_stands_at_the_top() {
    let (_, _, body) = get_page(state(sample::hostile(), Span::from_hours(2)), "/").await;
    for text in ["On hold", "The newest policy cannot be loaded.", "<dd class=\"late\">"] {
        assert!(body.contains(text), "{text}");
    }
    let (_, _, body) = get_page(young(sample::healthy()), "/").await;
    assert!(!body.contains("class=\"banner"));
}

#[tokio::test]
async fn a_crowd_is_bounded_and_counted() {
    let (_, _, body) = get_page(young(sample::crowded(500)), "/").await;
    assert_eq!(body.matches("<li class=\"row ").count(), 50);
    assert!(body.contains("user000@contoso.com") && !body.contains("user050@contoso.com"));
    assert!(body.contains("and 450 more, the next of them: 2d 5h"));
    assert!(body.len() < 150_000, "{}", body.len());
}

#[tokio::test]
async fn refreshing_can_be_stopped() {
    let refresh = "http-equiv=\"refresh\"";
    assert!(get_page(young(sample::healthy()), "/").await.2.contains(refresh));
    assert!(!get_page(young(sample::healthy()), "/?refresh=off").await.2.contains(refresh));
}
