use serde_json::json;

use super::super::testing::{FakeGraph, ok, token};
use super::super::{Error, SignInFault};
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
