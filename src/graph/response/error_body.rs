//! The error envelope of Graph, in all the shapes that its workloads send.

use serde::Deserialize;
use serde_json::Value;

use super::super::error::{ErrorAnswer, RequestIds, tame};
use super::super::transport::HttpResponse;

/// Inner errors nest; five levels are more than any workload sends.
const MAX_DEPTH: usize = 5;

#[derive(Deserialize)]
struct Envelope {
    error: Option<Value>,
}

/// Reads an answer that is no success. Never fails: an empty or foreign body leaves codes and message empty.
pub(in super::super) fn decode_error(response: &HttpResponse, client_request_id: &str) -> ErrorAnswer {
    let error = serde_json::from_slice::<Envelope>(&response.body).ok().and_then(|envelope| envelope.error);
    let mut codes = Vec::new();
    let mut request_id = response.header("request-id").map(tame);
    let mut level = error.as_ref();
    for _ in 0..MAX_DEPTH {
        let Some(current) = level else { break };
        if let Some(code) = text(current, "code").filter(|code| !code.is_empty()) {
            codes.push(tame(code));
        }
        request_id = request_id.or_else(|| text(current, "request-id").map(tame));
        level = current.get("innerError").or_else(|| current.get("innererror"));
    }
    ErrorAnswer {
        status: response.status,
        codes,
        message: error.as_ref().map(message).unwrap_or_default(),
        ids: RequestIds { request: request_id, client_request: client_request_id.to_owned() },
    }
}

/// True when the body is empty or an error envelope; false when it was cut off, or is a gateway's page and no word of
/// Graph's.
pub(in super::super) fn is_error_readable(response: &HttpResponse) -> bool {
    let envelope = serde_json::from_slice::<Envelope>(&response.body);
    response.body.is_empty() || envelope.is_ok_and(|envelope| envelope.error.is_some())
}

/// The message, and the messages of the details that add something to it.
fn message(error: &Value) -> String {
    let mut message = text(error, "message").unwrap_or_default().to_owned();
    for detail in error.get("details").and_then(Value::as_array).into_iter().flatten().take(MAX_DEPTH) {
        let more = text(detail, "message").unwrap_or_default();
        if !more.is_empty() && !message.contains(more) {
            message.push_str("; ");
            message.push_str(more);
        }
    }
    tame(&message)
}

fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}
