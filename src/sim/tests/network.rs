//! The tenant behind the network: each fault does what it says, in process and over a socket.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::*;
use crate::graph::transport::{
    ReqwestTransport, Transport, TransportError, TransportOptions, TransportSetupError,
};
use crate::sim::clock::{StepClock, TokioClock};
use crate::sim::faults::{Faults, Rates};
use crate::sim::network::SimTransport;
use crate::sim::serve::serve;
use crate::sim::tls::Identity;

/// A transport on which one kind of fault always happens, a user to write to, and a token.
fn faulty(set: impl FnOnce(&mut Rates)) -> (SimTransport, UserId, String) {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let mut faults = Faults::none();
    set(&mut faults.rates);
    let transport = SimTransport::new(lab.tenant, Arc::new(StepClock::new(START)), faults);
    (transport, user, lab.token)
}

fn write(user: UserId, token: &str) -> HttpRequest {
    HttpRequest::new(Method::Patch, format!("{ROOT}/users/{user}"))
        .with_header("authorization", format!("Bearer {token}"))
        .with_body("application/json", json!({"usageLocation": "SE"}).to_string().into_bytes())
}

#[tokio::test]
async fn faults_before_and_after_the_effect_differ_in_the_effect_only() {
    type Set = fn(&mut Rates);
    let cases: [(&str, Set, bool); 8] = [
        ("throttled", |rates| rates.throttled = 1.0, false),
        ("server error", |rates| rates.server_error = 1.0, false),
        ("server error after", |rates| rates.server_error_after = 1.0, true),
        ("lost reply", |rates| rates.lost_reply = 1.0, true),
        ("connect", |rates| rates.connect = 1.0, false),
        ("timeout", |rates| rates.timeout = 1.0, false),
        ("timeout after", |rates| rates.timeout_after = 1.0, true),
        ("conflict", |rates| rates.conflict = 1.0, false),
    ];
    for (name, set, is_applied) in cases {
        let (transport, user, token) = faulty(set);
        let outcome = transport.send(write(user, &token)).await;
        let has_failed = outcome.as_ref().map_or(true, |response| response.status >= 400);
        assert!(has_failed, "{name}: {outcome:?}");
        let applied = transport.tenant().writes().iter().filter(|write| write.applied).count();
        assert_eq!(applied == 1, is_applied, "{name}");
        let entry = transport.trace().pop().expect("traced");
        assert_eq!(
            (entry.status, entry.fault.is_some()),
            (outcome.ok().map(|response| response.status), true),
            "{name}"
        );
    }
}

#[tokio::test]
async fn truncation_and_html_are_not_json() {
    let (transport, _, token) = faulty(|rates| rates.truncated = 1.0);
    let read = HttpRequest::new(Method::Get, format!("{ROOT}/users"))
        .with_header("authorization", format!("Bearer {token}"));
    let response = transport.send(read.clone()).await.expect("an answer");
    assert_eq!(response.status, 200);
    assert!(serde_json::from_slice::<Value>(&response.body).is_err());
    let (transport, _, token) = faulty(|rates| rates.server_error = 1.0);
    let read = read.with_header("authorization", format!("Bearer {token}"));
    let mut statuses = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response = transport.send(read.clone()).await.expect("an answer");
        assert_eq!(response.body.starts_with(b"<html>"), response.status == 502);
        statuses.insert(response.status);
    }
    assert_eq!(statuses, [500, 502, 503, 504].into());
}

#[tokio::test]
async fn errors_of_the_network_are_traceable_too() {
    for set in [
        (|rates| rates.throttled = 1.0) as fn(&mut Rates),
        |rates| rates.server_error = 1.0,
        |rates| rates.conflict = 1.0,
    ] {
        let (transport, user, token) = faulty(set);
        let mut last = String::new();
        for _ in 0..20 {
            let request = write(user, &token).with_header("client-request-id", "mine");
            let response = transport.send(request).await.expect("an answer");
            assert!(response.header("date").is_some());
            if response.status == 502 {
                continue;
            }
            let body: Value = serde_json::from_slice(&response.body).expect("JSON");
            let inner = &body["error"]["innerError"];
            let id = response.header("request-id").expect("an id").to_owned();
            assert_eq!(
                (inner["request-id"].as_str(), inner["client-request-id"].as_str()),
                (Some(&*id), Some("mine"))
            );
            assert!(inner["date"].is_string(), "{body}");
            assert_eq!(response.header("client-request-id"), Some("mine"));
            assert_ne!(id, last);
            last = id;
        }
    }
}

#[tokio::test]
async fn sign_in_fails_in_its_own_words() {
    let (transport, ..) = faulty(|rates| rates.server_error = 1.0);
    let request =
        HttpRequest::new(Method::Post, "https://login.microsoftonline.com/common/oauth2/v2.0/token");
    for _ in 0..20 {
        let response = transport.send(request.clone()).await.expect("an answer");
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        assert_eq!(body["error"] == "temporarily_unavailable", response.status != 502, "{body}");
    }
}

#[tokio::test]
async fn retry_after_comes_in_every_form() {
    let (transport, user, token) = faulty(|rates| rates.throttled = 1.0);
    let (mut seconds, mut dates, mut missing, mut absurd) = (0, 0, 0, 0);
    for _ in 0..300 {
        let response = transport.send(write(user, &token)).await.expect("an answer");
        assert_eq!(response.status, 429);
        match response.header("retry-after") {
            None => missing += 1,
            Some(text) if text.ends_with("GMT") => dates += 1,
            Some(text) if text.parse::<u32>().is_ok_and(|number| number <= 30) => seconds += 1,
            Some(_) => absurd += 1,
        }
    }
    assert!(
        seconds > dates && dates > 0 && missing > 0 && absurd > 0,
        "{seconds} {dates} {missing} {absurd}"
    );
    assert!(transport.tenant().writes().is_empty());
}

#[tokio::test]
async fn latency_and_timeouts_take_virtual_time() {
    let (transport, user, token) = faulty(|rates| rates.timeout = 1.0);
    let error = transport.send(write(user, &token)).await.expect_err("no answer");
    assert_eq!(error, TransportError::Timeout(Duration::from_secs(30)));
    assert_eq!(transport.clock().now(), START + Span::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_same_seeds_replay_the_same_trace() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut lab = Lab::new();
        let user = lab.member("kari");
        let clock = Arc::new(TokioClock::new(START));
        let transport = SimTransport::new(lab.tenant, clock, Faults::new(9));
        for _ in 0..200 {
            drop(transport.send(write(user, &lab.token)).await);
        }
        let applied = transport.tenant().writes().iter().filter(|write| write.applied).count();
        runs.push((transport.trace(), applied, transport.clock().now()));
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0].0.len(), 200);
    assert!(runs[0].0.iter().any(|entry| entry.fault.is_some()));
}

/// One HTTP/1.1 exchange, by hand: status line, headers, body.
async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("listening");
    stream.write_all(request.as_bytes()).await.expect("accepted");
    let mut answer = Vec::new();
    // A broken connection is one of the answers looked for.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn over_a_socket_links_point_back_to_it() {
    let mut lab = Lab::new();
    for name in ["a", "b", "c"] {
        lab.member(name);
    }
    let transport = SimTransport::new(lab.tenant, Arc::new(StepClock::new(START)), Faults::none());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, None, transport.clone(), async { drop(stopped.await) }));
    let request = format!(
        "GET /v1.0/users?$select=id&$top=1 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        lab.token
    );
    let answer = exchange(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(&format!("\"@odata.nextLink\":\"http://{address}/v1.0/users?")), "{answer}");
    transport.faults().rates.lost_reply = 1.0;
    let answer = exchange(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n{\r\n"), "{answer}");
    transport.faults().rates.connect = 1.0;
    assert_eq!(exchange(address, &request).await, "", "not even a status line");
    transport.faults().heal();
    let answer =
        exchange(address, &request.replace("\r\n\r\n", "\r\nOrigin: https://page.example\r\n\r\n")).await;
    assert!(answer.contains("access-control-allow-origin: *") && answer.contains("request-id"), "{answer}");
    let preflight = format!(
        "OPTIONS /v1.0/users HTTP/1.1\r\nHost: {address}\r\nOrigin: https://page.example\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(address, &preflight).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: authorization"), "{answer}");
    let plain = preflight.replace("Origin: https://page.example\r\n", "");
    assert!(exchange(address, &plain).await.starts_with("HTTP/1.1 405"), "no browser asks");
    let sign_in = plain.replace("/v1.0/users", "/common/oauth2/v2.0/token");
    assert!(exchange(address, &sign_in).await.starts_with("HTTP/1.1 200"), "what it takes");
    let documents =
        plain.replace("OPTIONS /v1.0/users", "HEAD /common/v2.0/.well-known/openid-configuration");
    let answer = exchange(address, &documents).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    stop.send(()).expect("still serving");
    server.await.expect("no panic").expect("clean end");
}

#[tokio::test]
async fn over_tls_only_who_trusts_its_authority_is_served_and_links_say_https() {
    let lab = Lab::new();
    let token = lab.token.clone();
    let transport = SimTransport::new(lab.tenant, Arc::new(StepClock::new(START)), Faults::none());
    let identity = Identity::generate().expect("chance");
    let authority = identity.authority.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let server = tokio::spawn(async move { serve(listener, Some(&identity), transport, shutdown).await });
    // Says nothing, and holds nobody up.
    let silent = tokio::net::TcpStream::connect(address).await.expect("listening");
    let client = |authorities: Option<&str>| {
        let authorities = authorities.map(str::to_owned);
        ReqwestTransport::new(TransportOptions { authorities, ..TransportOptions::default() })
    };
    for host in ["127.0.0.1", "localhost"] {
        let origin = format!("https://{host}:{}", address.port());
        let request = HttpRequest::new(Method::Get, format!("{origin}/v1.0/users?$top=1&$select=id"))
            .with_header("authorization", format!("Bearer {token}"));
        let trusting = client(Some(&authority)).expect("a certificate");
        let answer = trusting.send(request.clone()).await.expect("trusted");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert!(body["@odata.context"].as_str().is_some_and(|link| link.starts_with(&origin)), "{body}");
        let refusal = client(None).expect("the system's").send(request).await.expect_err("not trusted");
        assert!(matches!(refusal, TransportError::Connect(_)), "{refusal}");
    }
    assert!(matches!(client(Some("no PEM")), Err(TransportSetupError::NoAuthority)));
    drop(silent);
    stop.send(()).expect("still serving");
    server.await.expect("no panic").expect("clean end");
}

#[tokio::test]
async fn who_takes_gzip_gets_it_and_tls_offers_http_2() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut lab = Lab::new();
    for number in 0..30 {
        lab.member(&format!("u{number}"));
    }
    let token = lab.token.clone();
    let transport = SimTransport::new(lab.tenant, Arc::new(StepClock::new(START)), Faults::none());
    let identity = Identity::generate().expect("chance");
    let mut authorities = rustls::RootCertStore::empty();
    let pem = rustls::pki_types::CertificateDer::from_pem_slice(identity.authority.as_bytes());
    authorities.add(pem.expect("PEM")).expect("a certificate");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { serve(listener, Some(&identity), transport, std::future::pending()).await });
    let client = |protocols: &[&str]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(authorities.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        tokio_rustls::TlsConnector::from(Arc::new(config))
    };
    let name = || "localhost".try_into().expect("a name");
    for (offered, chosen) in [(&["h2", "http/1.1"][..], &b"h2"[..]), (&["http/1.1"], b"http/1.1")] {
        let tcp = tokio::net::TcpStream::connect(address).await.expect("listening");
        let stream = client(offered).connect(name(), tcp).await.expect("trusted");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen));
    }
    let tcp = tokio::net::TcpStream::connect(address).await.expect("listening");
    let mut stream = client(&[]).connect(name(), tcp).await.expect("trusted");
    let request = format!(
        "GET /v1.0/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("accepted");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    assert!(String::from_utf8_lossy(&answer[..end]).contains("content-encoding: gzip"));
    let body: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&answer[end..])).expect("JSON");
    assert_eq!(body["value"].as_array().map(Vec::len), Some(30));
}

#[tokio::test]
async fn it_never_listens_beyond_loopback() {
    let lab = Lab::new();
    let transport = SimTransport::new(lab.tenant, Arc::new(StepClock::new(START)), Faults::none());
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let error = serve(listener, None, transport, std::future::pending()).await.expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}
