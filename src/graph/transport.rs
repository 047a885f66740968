//! The seam between the Graph client and the network: bytes in, bytes out.
//!
//! [`Transport`] is implemented by [`ReqwestTransport`] in production and by the simulated tenant in tests, so that
//! paging, `Retry-After`, token refresh and error mapping all run inside the simulation. The only file naming
//! reqwest. Does not follow redirects, does not retry, does not know tokens.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use url::{Host, Url};

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
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for HttpRequest {
    /// Method, URL without its query and header names: credentials stand in headers and bodies, opaque tokens in
    /// queries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.url.split('?').next().unwrap_or_default();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "HttpRequest({} {place} {names:?}, {} bytes)", self.method.as_str(), self.body.len())
    }
}

/// One response as it came over the wire, the body complete and already decompressed.
#[derive(Clone, PartialEq, Eq)]
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

    /// Takes out what we sent and nobody else is to read, where a server repeats it: its words go into logs, the
    /// journal and `explain`. A secret of fewer than six characters stays, since it might be any word.
    pub(super) fn leave_out(&mut self, secret: &str) {
        const LEFT_OUT: &str = "[left out]";
        if secret.len() < 6 {
            return;
        }
        for (_, value) in self.headers.iter_mut().filter(|(_, value)| value.contains(secret)) {
            *value = value.replace(secret, LEFT_OUT);
        }
        let text = String::from_utf8_lossy(&self.body);
        if text.contains(secret) {
            self.body = text.replace(secret, LEFT_OUT).into_bytes();
        }
    }
}

impl fmt::Debug for HttpResponse {
    /// Status and header names: a body may be a token, and holds the data of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "HttpResponse({} {names:?}, {} bytes)", self.status, self.body.len())
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
}

/// Why no complete response arrived. Whether the server applied the request is unknown in every case but `Connect`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("could not connect to {0}")]
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

/// Limits of [`ReqwestTransport`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    pub connect_timeout: Duration,
    /// From the first byte sent to the last byte received.
    pub total_timeout: Duration,
    /// Of the decompressed body, counted while it streams in.
    pub body_limit_bytes: usize,
    pub user_agent: String,
    /// Certificates (PEM) of those who vouch for servers; `None`: the platform's store.
    pub authorities: Option<String>,
}

impl Default for TransportOptions {
    /// 10 s to connect. 100 s in all: Graph answers or gives up within that, and a page of 999 users arrives in
    /// seconds. 16 MiB: a page of 999 users with all their plans is about 6 MiB.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(100),
            body_limit_bytes: 16 * 1024 * 1024,
            user_agent: concat!("mailkeeper/", env!("CARGO_PKG_VERSION")).to_owned(),
            authorities: None,
        }
    }
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportSetupError {
    /// No usable certificate store, mostly.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("there is no certificate (PEM) among the authorities")]
    NoAuthority,
}

/// The real network: TLS by rustls with ring, certificates checked by the platform's store.
pub struct ReqwestTransport {
    options: TransportOptions,
    /// Goes through a proxy where the environment names one.
    routed: Pool,
    /// Never through a proxy: loopback, and the link-local address of managed identities.
    direct: Pool,
}

/// Connections that are kept, until a 503 says that they lead to a sick server.
struct Pool {
    is_direct: bool,
    current: RwLock<Generation>,
}

/// A client with its connections, and how many were thrown away before it.
#[derive(Clone)]
struct Generation {
    client: reqwest::Client,
    number: u64,
}

impl Pool {
    fn new(options: &TransportOptions, is_direct: bool) -> Result<Self, TransportSetupError> {
        let client = build_client(options, is_direct)?;
        Ok(Self { is_direct, current: RwLock::new(Generation { client, number: 0 }) })
    }

    fn current(&self) -> Generation {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops the connections that answered 503, so that the next request opens a new one (Graph: throttling
    /// guidance). Of many 503 over the same connections only the first does something.
    fn renew(&self, options: &TransportOptions, number: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number != number {
            return;
        }
        match build_client(options, self.is_direct) {
            Ok(client) => *current = Generation { client, number: number + 1 },
            Err(fault) => tracing::debug!(error = %fault, "kept the old connections"),
        }
    }
}

impl ReqwestTransport {
    /// # Errors
    /// When the platform's certificates cannot be loaded.
    pub fn new(options: TransportOptions) -> Result<Self, TransportSetupError> {
        // Fails when a provider is installed already, which is as good.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let routed = Pool::new(&options, false)?;
        let direct = Pool::new(&options, true)?;
        Ok(Self { options, routed, direct })
    }

    async fn exchange(
        &self,
        client: &reqwest::Client,
        request: HttpRequest,
    ) -> Result<HttpResponse, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let place = origin(&request.url);
        let lost = |fault| self.lost(fault, &place);
        let mut builder = client.request(method, &request.url).body(request.body);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let mut answer = builder.send().await.map_err(lost)?;
        let mut response = HttpResponse::new(answer.status().as_u16());
        for (name, value) in answer.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            response.headers.push((name.as_str().to_owned(), value));
        }
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if response.body.len() + chunk.len() > self.options.body_limit_bytes {
                return Err(TransportError::TooLarge { limit_bytes: self.options.body_limit_bytes });
            }
            response.body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// A request that could not be built, or whose connection never stood, was not sent.
    fn lost(&self, fault: reqwest::Error, place: &str) -> TransportError {
        let fault = fault.without_url();
        if fault.is_connect() || fault.is_builder() {
            TransportError::Connect(format!("{place}: {}", with_causes(&fault)))
        } else if fault.is_timeout() {
            TransportError::Timeout(self.options.total_timeout)
        } else {
            TransportError::Broken(with_causes(&fault))
        }
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let pool = if is_direct(&request.url) { &self.direct } else { &self.routed };
        let Generation { client, number } = pool.current();
        let answer = self.exchange(&client, request).await;
        if answer.as_ref().is_ok_and(|response| response.status == 503) {
            pool.renew(&self.options, number);
        }
        answer
    }
}

fn build_client(options: &TransportOptions, is_direct: bool) -> Result<reqwest::Client, TransportSetupError> {
    let builder = reqwest::Client::builder()
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .timeout(options.total_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false);
    let builder = if is_direct { builder.no_proxy() } else { builder };
    let builder = match &options.authorities {
        Some(pem) => {
            let authorities =
                reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(TransportSetupError::Client)?;
            if authorities.is_empty() {
                return Err(TransportSetupError::NoAuthority);
            }
            builder.tls_certs_only(authorities)
        }
        None => builder,
    };
    builder.build().map_err(TransportSetupError::Client)
}

/// Scheme, host and port: paths name tenants and users.
fn origin(url: &str) -> String {
    Url::parse(url)
        .map_or_else(|_| "an address that is none".to_owned(), |url| url.origin().ascii_serialization())
}

fn is_direct(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The error with its causes: reqwest's own text says only "error sending request".
fn with_causes(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        (**self).send(request).await
    }
}

#[cfg(test)]
mod tests;
