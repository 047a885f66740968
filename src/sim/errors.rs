//! Errors as Graph words them: status, code, message, and the envelope around them. Nothing here decides.

use serde_json::{Value, json};

use crate::graph::transport::HttpResponse;

/// An answer other than success, before it is put into the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphError {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// `(code, message, target)`.
    pub details: Vec<(&'static str, String, &'static str)>,
    pub headers: Vec<(&'static str, String)>,
}

impl GraphError {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    pub fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(400, "Request_UnsupportedQuery", message)
    }

    /// No such object, or not visible to this request. Graph: error "Request_ResourceNotFound".
    pub fn not_found(id: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    pub fn denied() -> Self {
        Self::new(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    }

    /// Two objects claim one value. The shape is the one seen on PATCH; that restore answers alike is an inference.
    pub fn object_conflict(property: &'static str) -> Self {
        let message = format!("Another object with the same value for property {property} already exists.");
        let mut error = Self::bad_request(message.clone());
        error.details.push(("ObjectConflict", message, property));
        error
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The envelope of Graph's error reference. `date` is UTC without zone, as Graph writes it there.
    pub fn into_response(self, date: &str, request_id: &str, client_request_id: &str) -> HttpResponse {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "innerError": {"date": date, "request-id": request_id, "client-request-id": client_request_id},
        });
        if !self.details.is_empty() {
            let details = self
                .details
                .iter()
                .map(|(code, message, target)| json!({"code": code, "message": message, "target": target}));
            error["details"] = Value::Array(details.collect());
        }
        let mut response = HttpResponse::new(self.status).with_header("content-type", "application/json");
        response.body = json!({ "error": error }).to_string().into_bytes();
        for (name, value) in self.headers {
            response = response.with_header(name, value);
        }
        response
    }
}
