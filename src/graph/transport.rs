//! The seam between the Graph client and the network: bytes in, bytes out.
//!
//! [`Transport`] is implemented by [`ReqwestTransport`] in production and by the simulated tenant in tests, so that
//! paging, `Retry-After`, token refresh and error mapping all run inside the simulation. The only file naming reqwest.
//! Does not follow redirects, does not retry, does not know tokens.

use std::time::Duration;

use async_trait::async_trait;

/// The HTTP methods that mailkeeper uses, and the simulated tenant understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One request as it goes over the wire. `url` is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: Method,
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.with_header("content-type", content_type)
    }

    /// The first header of that name; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

/// One response as it came over the wire, the body complete and already decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpResponse {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// A JSON body with its content type.
    #[must_use]
    pub fn with_json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.with_header("content-type", "application/json;odata.metadata=minimal;charset=utf-8")
    }

    /// The first header of that name; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
}

/// Why no complete response arrived. Whether the server applied the request is unknown in every case but `Connect`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("could not connect: {0}")]
    Connect(String),
    #[error("no answer within {}s", .0.as_secs())]
    Timeout(Duration),
    #[error("connection broke before the answer was complete: {0}")]
    Broken(String),
    #[error("answer larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
}

/// Sends one request and returns one response.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Fails only when no complete response arrived; any status is a response.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}
