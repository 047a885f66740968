//! Sign-in against a hand-written token endpoint: refusals, repeats, lifetimes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::testing::{FakeGraph, TENANT, TestClock, broken, ok, token};
use super::super::{Cloud, Error, SignIn, SignInFault};
use super::*;

fn refusal(status: u16, error: &str, code: i64, description: &str) -> HttpResponse {
    let body =
        json!({ "error": error, "error_description": description, "error_codes": [code], "trace_id": "t" });
    HttpResponse::new(status).with_json(&body)
}

fn empty_graph() -> FakeGraph {
    FakeGraph::new(|_, _| ok(&json!({ "value": [] })))
}

async fn sign_in_error(graph: FakeGraph) -> (SignInError, u32) {
    let (client, graph) = graph.client();
    match client.subscribed_skus().await {
        Err(Error::SignIn(error)) => (error, graph.token_requests()),
        other => panic!("expected a sign-in error, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_sorted_for_people_and_keep_microsofts_words() {
    let cases = [
        (7_000_215, SignInFault::WrongSecret),
        (7_000_222, SignInFault::ExpiredSecret),
        (700_016, SignInFault::UnknownApp),
        (90_002, SignInFault::UnknownTenant),
        (700_027, SignInFault::CertificateRejected),
        (700_024, SignInFault::ClockOff),
        (53_003, SignInFault::Blocked),
        (1, SignInFault::Refused),
    ];
    for (code, fault) in cases {
        let words = format!("AADSTS{code}: words");
        let expected = words.clone();
        let graph = empty_graph().with_tokens(move |_| Ok(refusal(401, "invalid_client", code, &words)));
        let (error, asked) = sign_in_error(graph).await;
        assert_eq!((error.fault, error.is_temporary(), asked), (fault, false, 1));
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_repeats_of_token_or_secret_is_left_out() {
    // The secret of the client under test.
    let graph = empty_graph()
        .with_tokens(|_| Ok(refusal(401, "invalid_client", 7_000_215, "AADSTS7000215: hunter2 is wrong")));
    let (error, _) = sign_in_error(graph).await;
    assert!(error.to_string().contains("AADSTS7000215: [left out] is wrong"), "{error}");

    let (client, _) = FakeGraph::new(|request, _| {
        let token = request.header("authorization").expect("a token").to_owned();
        let body = json!({ "error": { "code": "BadRequest", "message": format!("you sent {token}") } });
        Ok(HttpResponse::new(400).with_header("request-id", token).with_json(&body))
    })
    .client();
    let error = client.subscribed_skus().await.expect_err("refused").to_string();
    assert!(error.contains("you sent Bearer [left out]"), "{error}");
    assert!(error.contains("request-id Bearer [left out]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_with_the_ids_of_its_request() {
    let refused =
        refusal(401, "invalid_client", 7_000_215, "AADSTS7000215: no").with_header("x-ms-request-id", "e-1");
    let answers = [(Ok(refused), "request-id e-1, "), (Err(broken()), "")];
    for (answer, theirs) in answers {
        let (client, graph) = empty_graph().with_tokens(move |_| answer.clone()).client();
        let Err(Error::SignIn(error)) = client.subscribed_skus().await else { panic!("a token") };
        let sent = graph.everything_sent();
        let ours = sent.last().and_then(|request| request.header("client-request-id")).expect("an id");
        assert!(error.to_string().ends_with(&format!(" ({theirs}client-request-id {ours})")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_three_times() {
    for answer in [
        refusal(400, "temporarily_unavailable", 90_033, "AADSTS90033: later"),
        HttpResponse::new(503),
        HttpResponse::new(429),
        HttpResponse::new(200),
    ] {
        let graph = empty_graph().with_tokens(move |_| Ok(answer.clone()));
        let (error, asked) = sign_in_error(graph).await;
        assert!(error.is_temporary() && asked == 3, "{error}, {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_not_offered_again_for_a_minute() {
    let graph = empty_graph().with_tokens(|number| match number {
        1 => Ok(refusal(401, "invalid_client", 7_000_215, "AADSTS7000215: wrong")),
        _ => Ok(token("good", json!(3_599))),
    });
    let (client, graph) = graph.client();
    for _ in 0..50 {
        assert!(client.subscribed_skus().await.is_err());
    }
    assert_eq!(graph.token_requests(), 1);
    tokio::time::sleep(REFUSED_FOR).await;
    assert!(client.subscribed_skus().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_share_one_token_request() {
    let (client, graph) = empty_graph().client();
    let reads = (0..50).map(|_| client.subscribed_skus());
    assert!(futures_util::future::join_all(reads).await.iter().all(Result::is_ok));
    assert_eq!((graph.token_requests(), graph.requests().len()), (1, 50));
}

#[tokio::test(start_paused = true)]
async fn a_late_401_does_not_cost_the_newer_token() {
    struct Nobody;
    impl TokenWatcher for Nobody {
        fn answered(&self, _response: Option<&HttpResponse>, _duration: Duration) {}
        fn fresh_id(&self) -> String {
            String::new()
        }
        fn skew(&self) -> Option<Span> {
            None
        }
    }
    let sign_in = SignIn::ClientSecret { client_id: "app".to_owned(), secret: "s".to_owned().into() };
    let authority = Authority { tenant: TENANT, roots: Cloud::Global.roots(), sign_in };
    let tokens = TokenSource::new(authority, Arc::new(empty_graph()), Arc::new(TestClock::new()));
    let first = tokens.token(&Nobody).await.expect("a token");
    tokens.refused(&first, None).await;
    let second = tokens.token(&Nobody).await.expect("another token");
    tokio::time::sleep(FORCED_APART).await;
    tokens.refused(&first, None).await;
    let third = tokens.token(&Nobody).await.expect("the same token");
    assert_eq!((first.serial, second.serial, third.serial), (1, 2, 2));
    assert_eq!(format!("{third:?}"), "AccessToken(serial 2)");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_five_minutes_before_it_ends() {
    let (client, graph) =
        empty_graph().with_tokens(|number| Ok(token(&format!("t{number}"), json!("3600")))).client();
    for (wait, expected) in [(0, 1), (3_299, 1), (2, 2)] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert!(client.subscribed_skus().await.is_ok());
        assert_eq!(graph.token_requests(), expected, "after another {wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_token_lives_a_sign_in_that_is_down_does_not_matter() {
    let (client, graph) = empty_graph()
        .with_tokens(|number| match number {
            1 => Ok(token("t1", json!(3_600))),
            _ => Ok(HttpResponse::new(503)),
        })
        .client();
    assert!(client.subscribed_skus().await.is_ok());
    tokio::time::sleep(Duration::from_secs(3_400)).await;
    for _ in 0..20 {
        assert!(client.subscribed_skus().await.is_ok());
    }
    assert_eq!(graph.token_requests(), 1 + MAX_ATTEMPTS);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(matches!(client.subscribed_skus().await, Err(Error::SignIn(error)) if error.is_temporary()));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_sign_in_asks_for_is_kept() {
    let (client, graph) = empty_graph()
        .with_tokens(|number| match number {
            1 => Ok(HttpResponse::new(429).with_header("retry-after", "100")),
            _ => Ok(token("t", json!(3_600))),
        })
        .client();
    assert!(client.subscribed_skus().await.is_err());
    tokio::time::sleep(Duration::from_secs(99)).await;
    assert!(client.subscribed_skus().await.is_err());
    assert_eq!(graph.token_requests(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(client.subscribed_skus().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn absurd_answers_are_no_tokens_and_absurd_lifetimes_do_not_storm() {
    let bodies =
        [json!({}), json!({ "access_token": "" }), json!({ "access_token": "a\r\nb" }), json!([1]), json!(7)];
    for body in bodies {
        let graph = empty_graph().with_tokens(move |_| Ok(HttpResponse::new(200).with_json(&body)));
        assert_eq!(sign_in_error(graph).await.0.fault, SignInFault::Malformed);
    }
    for lifetime in [json!(0), json!(-5), json!("soon"), json!(1e300), json!(i64::MAX), json!(null)] {
        let (client, graph) = empty_graph().with_tokens(move |_| Ok(token("t", lifetime.clone()))).client();
        for _ in 0..10 {
            assert!(client.subscribed_skus().await.is_ok());
        }
        assert_eq!(graph.token_requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_roles_of_the_token_are_a_hint() {
    let payload = URL_SAFE_NO_PAD.encode(json!({ "roles": ["User.Read.All"], "tid": "x" }).to_string());
    for (text, roles) in [
        (format!("e30.{payload}.x"), Some(vec!["User.Read.All".to_owned()])),
        (format!("e30.{}.x", URL_SAFE_NO_PAD.encode("{}")), Some(Vec::new())),
        ("opaque".to_owned(), None),
    ] {
        let (client, _) = empty_graph().with_tokens(move |_| Ok(token(&text, json!(3_600)))).client();
        assert_eq!(client.roles().await, Ok(roles));
    }
}

mod challenges {
    use super::*;

    fn challenged(claims: &str) -> HttpResponse {
        let claims = base64::engine::general_purpose::STANDARD.encode(claims);
        let header = format!(
            r#"Bearer realm="", authorization_uri="https://login/x", claims="{claims}", error="insufficient_claims""#
        );
        HttpResponse::new(401)
            .with_header("www-authenticate", "Basic realm=\"error\"")
            .with_header("WWW-Authenticate", header)
    }

    #[test]
    fn are_found_among_other_headers_and_checked() {
        let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
        assert_eq!(challenge(&challenged(claims)).map(|found| found.claims).as_deref(), Some(claims));
        for bad in ["", "text", "[1]", &"x".repeat(20_000)] {
            assert_eq!(challenge(&challenged(bad)), None);
        }
        let with = |header: &str| challenge(&HttpResponse::new(401).with_header("www-authenticate", header));
        assert_eq!(with(r#"Bearer error="invalid_token", claims="e30=""#), None);
        assert_eq!(with(r#"Bearer claims="e30=""#), None);
        assert_eq!(with(r#"Bearer error="insufficient_claims""#), None);
        assert_eq!(with(r#"Bearer error="insufficient_claims", claims="!""#), None);
        assert_eq!(
            with(r#"Bearer x_claims="eyJ4IjoxfQ==", claims="e30", error="insufficient_claims""#)
                .map(|c| c.claims),
            Some("{}".to_owned())
        );
        assert_eq!(with("Bearer error"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn are_honoured_once() {
        let graph = FakeGraph::new(|request, _| match request.header("authorization") {
            Some("Bearer token-1") => Ok(challenged(r#"{"a":"b&c"}"#)),
            _ => ok(&json!({ "value": [] })),
        });
        let (client, graph) = graph.client();
        assert!(client.subscribed_skus().await.is_ok());
        let token_requests: Vec<String> = graph
            .everything_sent()
            .into_iter()
            .filter(|request| request.url.contains("/oauth2/"))
            .map(|request| String::from_utf8(request.body).expect("a form"))
            .collect();
        assert!(!token_requests[0].contains("claims="));
        assert!(token_requests[1].contains("&claims=%7B%22a%22%3A%22b%26c%22%7D"), "{}", token_requests[1]);

        let (client, graph) = FakeGraph::new(|_, _| Ok(challenged(r#"{"never":"enough"}"#))).client();
        for _ in 0..20 {
            assert!(matches!(client.subscribed_skus().await, Err(Error::Answer { .. })));
        }
        assert_eq!((graph.token_requests(), graph.requests().len()), (2, 40));
    }
}

mod credentials {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use secrecy::SecretString;
    use serde_json::Value;

    use super::super::super::testing::EPOCH;
    use super::*;

    const CERTIFICATE: &str = include_str!("../../../tests/data/graph/test-only-certificate.pem");
    const PKCS8: &str = include_str!("../../../tests/data/graph/test-only-key-pkcs8.pem");
    const PKCS1: &str = include_str!("../../../tests/data/graph/test-only-key-pkcs1.pem");
    const ELLIPTIC: &str = include_str!("../../../tests/data/graph/test-only-key-ec.pem");
    const PUBLIC: &[u8] = include_bytes!("../../../tests/data/graph/test-only-public-key.der");

    /// As openssl computes it: SHA-256 of the certificate, base64url.
    const THUMBPRINT: &str = "-BINHBaBtGIAL5VFcL7c1APtdcZsLLBwPDW3JHIOvZE";

    fn request(sign_in: SignIn) -> Result<HttpRequest, SignInError> {
        Authority { tenant: TENANT, roots: Cloud::Global.roots(), sign_in }
            .token_request(EPOCH, None, "a-guid")
    }

    fn form(request: &HttpRequest) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&request.body).into_owned().collect()
    }

    fn certificate(key: &str) -> SignIn {
        SignIn::Certificate {
            client_id: "app".to_owned(),
            certificate_pem: CERTIFICATE.to_owned(),
            key_pem: key.to_owned().into(),
        }
    }

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    }

    #[test]
    fn a_secret_goes_into_the_form_and_nowhere_else() {
        let sign_in =
            SignIn::ClientSecret { client_id: "app".to_owned(), secret: SecretString::from("p&s=+ %") };
        assert_eq!(format!("{sign_in:?}"), "ClientSecret(app)");
        let request = request(sign_in).expect("a request");
        assert_eq!(request.url, format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"));
        let form = form(&request);
        let expected = [
            ("client_id", "app"),
            ("client_secret", "p&s=+ %"),
            ("grant_type", "client_credentials"),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        assert_eq!(
            form,
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        );
        assert!(!format!("{request:?}").contains("p&s"));
    }

    #[test]
    fn a_certificate_signs_what_its_public_key_verifies() {
        for key in [PKCS8, PKCS1] {
            let request = request(certificate(key)).expect("a request");
            let form = form(&request);
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let assertion = &form["client_assertion"];
            let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            let public =
                ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, PUBLIC);
            public.verify(signed.as_bytes(), &signature).expect("the signature of the key");
            public.verify(b"something else", &signature).expect_err("of nothing else");

            let (header, claims) = signed.split_once('.').expect("two parts");
            assert_eq!(decoded(header), json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": THUMBPRINT }));
            let now = EPOCH.as_millis() / 1000;
            let expected = json!({
                "aud": request.url, "iss": "app", "sub": "app", "jti": "a-guid",
                "iat": now, "nbf": now - 60, "exp": now + 540,
            });
            assert_eq!(decoded(claims), expected);
        }
    }

    #[test]
    fn keys_that_cannot_sign_are_named_without_showing_them() {
        let cases = [
            (ELLIPTIC.to_owned(), "not usable"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2".to_owned(), "encrypted"),
            ("hunter2".to_owned(), "no private key"),
            (CERTIFICATE.to_owned(), "no private key"),
        ];
        for (key, expected) in cases {
            let error = request(certificate(&key)).expect_err("unusable");
            assert_eq!(error.fault, SignInFault::LocalCredential);
            assert!(error.message.contains(expected) && !error.message.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_assertion_is_dated_by_the_servers_clock() {
        let late = || {
            ok(&json!({ "value": [] })).map(|r| {
                HttpResponse { headers: Vec::new(), ..r }.with_header("date", "Mon, 23 Nov 2026 10:00:00 GMT")
            })
        };
        let graph = FakeGraph::new(move |_, _| late()).with_tokens(|_| Ok(token("t", json!(1_000))));
        let (client, graph) = graph.client_with(|config| config.sign_in = certificate(PKCS8));
        assert!(client.subscribed_skus().await.is_ok());
        tokio::time::sleep(Duration::from_secs(900)).await;
        assert!(client.subscribed_skus().await.is_ok());
        let issued: Vec<i64> = graph
            .everything_sent()
            .iter()
            .filter(|request| request.url.contains("/oauth2/"))
            .map(|request| {
                let assertion = form(request).remove("client_assertion").expect("an assertion");
                decoded(assertion.split('.').nth(1).expect("claims"))["iat"].as_i64().expect("a number")
            })
            .collect();
        // Two hours behind us, by the answer that came between the two.
        assert_eq!(issued[1] - issued[0], 900 - 7_200);
    }

    #[test]
    fn a_federated_token_is_read_anew_each_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        let sign_in = || SignIn::FederatedToken { client_id: "app".to_owned(), token_file: path.clone() };
        for text in ["first", "second\n"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(form(&request(sign_in()).expect("a request"))["client_assertion"], text.trim());
        }
        for bad in [String::new(), "x".repeat(100_000)] {
            std::fs::write(&path, bad).expect("written");
            assert_eq!(request(sign_in()).expect_err("unusable").fault, SignInFault::LocalCredential);
        }
        let absent =
            SignIn::FederatedToken { client_id: "app".to_owned(), token_file: PathBuf::from("/absent") };
        assert!(request(absent).expect_err("absent").message.contains("/absent"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_managed_identity_asks_the_machine_and_reads_numbers_as_text() {
        let graph = FakeGraph::new(|request, call| {
            if request.url.starts_with("http://169.254.169.254/") {
                assert_eq!(request.header("metadata"), Some("true"));
                assert!(request.url.ends_with(
                    "?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com%2F&client_id=mine"
                ));
                let end = (EPOCH.as_millis() / 1000 + 3_600).to_string();
                return match call {
                    0 => Ok(HttpResponse::new(410)),
                    _ => ok(&json!({ "access_token": "mi", "expires_on": end, "token_type": "Bearer" })),
                };
            }
            assert_eq!(request.header("authorization"), Some("Bearer mi"));
            ok(&json!({ "value": [] }))
        });
        let sign_in = SignIn::ManagedIdentity { client_id: Some("mine".to_owned()), endpoint: None };
        let (client, graph) = graph.client_with(|config| config.sign_in = sign_in);
        for wait in [0, 3_000] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            assert!(client.subscribed_skus().await.is_ok());
        }
        // 410 once, then one token for nearly an hour, and two reads.
        assert_eq!(graph.requests().len(), 4);
    }
}
