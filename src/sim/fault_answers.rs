//! What a hostile network answers in the tenant's place: refusals and errors of the gateway, and of the sign-in
//! endpoints. Whether one is due is decided in `faults`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::RetryAfter;
use super::headers::{decorate, http_date};
use crate::graph::transport::{HttpRequest, HttpResponse};
use crate::model::Timestamp;

/// The request that is answered, when, and the id of the answer.
#[derive(Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub request: &'a HttpRequest,
    pub now: Timestamp,
    pub id: Uuid,
}

/// Graph throttling: the inner error carries the status a second time.
pub(super) fn throttled(on: Occasion<'_>, retry_after: RetryAfter) -> HttpResponse {
    let more = json!({"code": "429", "message": "Please retry after", "status": "429"});
    let response = enveloped(on, 429, "TooManyRequests", "Please retry again later.", more);
    match retry_after {
        RetryAfter::Seconds(seconds) => response.with_header("retry-after", seconds.to_string()),
        RetryAfter::Date(at) => response.with_header("retry-after", http_date(at)),
        RetryAfter::Missing => response,
        RetryAfter::Absurd(text) => response.with_header("retry-after", text),
    }
}

/// A 502 is a page of the proxy before Graph, which knows neither JSON nor request ids.
pub(super) fn server_error(on: Occasion<'_>, status: u16) -> HttpResponse {
    if status == 502 {
        let mut response = HttpResponse::new(502).with_header("content-type", "text/html");
        response.body =
            b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
                .to_vec();
        return response.with_header("date", http_date(on.now));
    }
    if on.request.url.contains("/oauth2/") {
        return sign_in_unavailable(on, status);
    }
    let (code, message) = match status {
        503 => ("serviceNotAvailable", "The service is temporarily unavailable."),
        504 => ("UnknownError", ""),
        _ => ("InternalServerError", "Encountered an internal server error."),
    };
    enveloped(on, status, code, message, json!({}))
}

/// Graph: "Directory_ConcurrencyViolation".
pub(super) fn conflict(on: Occasion<'_>) -> HttpResponse {
    let text = "Conflicting update requests to the same object. Please retry the operation after some time.";
    enveloped(on, 409, "Directory_ConcurrencyViolation", text, json!({})).with_header("retry-after", "2")
}

fn enveloped(on: Occasion<'_>, status: u16, code: &str, message: &str, mut inner: Value) -> HttpResponse {
    let id = on.id.to_string();
    let client_id = on.request.header("client-request-id").unwrap_or(&id).to_owned();
    inner["date"] = on.now.to_datetime().format("%Y-%m-%dT%H:%M:%S").to_string().into();
    inner["request-id"] = id.as_str().into();
    inner["client-request-id"] = client_id.as_str().into();
    let body = json!({"error": {"code": code, "message": message, "innerError": inner}});
    decorate(on.now, HttpResponse::new(status).with_json(&body), id, client_id)
}

/// OAuth's envelope instead of Graph's. Entra: AADSTS90033.
fn sign_in_unavailable(on: Occasion<'_>, status: u16) -> HttpResponse {
    let (id, number) = (on.id.to_string(), 90_033);
    let timestamp = on.now.to_datetime().format("%Y-%m-%d %H:%M:%SZ").to_string();
    let body = json!({
        "error": "temporarily_unavailable",
        "error_description": format!("AADSTS{number}: A transient error has occurred. Please try again. Trace ID: {id} Correlation ID: {id} Timestamp: {timestamp}"),
        "error_codes": [number],
        "timestamp": timestamp,
        "trace_id": id,
        "correlation_id": id,
    });
    HttpResponse::new(status)
        .with_json(&body)
        .with_header("x-ms-request-id", id)
        .with_header("date", http_date(on.now))
}
