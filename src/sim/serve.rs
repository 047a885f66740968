//! The tenant on a loopback socket: the same answers and faults as the in-process transport, for the built binary and
//! for people. Speaks HTTP, or https with a certificate of its own, and must never listen beyond loopback: anyone may
//! read and change the tenant.

use std::future::Future;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use tokio::net::TcpListener;

use super::headers::{decorate, http_date};
use super::network::SimTransport;
use super::operation::wrong_method;
use super::presentation::{allow, is_preflight, packed, takes_gzip};
use super::tls::{Identity, TlsListener};
use super::wire::{Scissors, Wires};
use crate::graph::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};
use crate::model::Timestamp;

/// Larger than any request of ours; a batch of twenty stays far below.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// Serves until `shutdown` completes. Graph's root is `/v1.0`; sign-in is on the same origin. Refuses a listener that
/// is not on loopback. With an `identity` it is https.
pub async fn serve(
    listener: TcpListener,
    identity: Option<&Identity>,
    transport: SimTransport,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the simulated tenant listens on loopback only",
        ));
    }
    let scheme = if identity.is_some() { "https" } else { "http" };
    let router = Router::new().fallback(answer).with_state(Served { transport, scheme });
    let service = router.into_make_service_with_connect_info::<Scissors>();
    match identity {
        Some(identity) => {
            let listener = Wires(TlsListener::new(listener, identity));
            axum::serve(listener, service).with_graceful_shutdown(shutdown).await
        }
        None => axum::serve(Wires(listener), service).with_graceful_shutdown(shutdown).await,
    }
}

/// What is served, and how it is reached: links in answers say so.
#[derive(Clone)]
struct Served {
    transport: SimTransport,
    scheme: &'static str,
}

async fn answer(
    State(served): State<Served>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let now = || served.transport.clock().now();
    let headers = request.headers().clone();
    let mut response = match method(&request) {
        Some(_) => respond(&served, &scissors, request).await,
        None if is_preflight(request.method(), &headers) => status_only(StatusCode::OK),
        None if request.method() == axum::http::Method::OPTIONS && !is_graph(request.uri().path()) => {
            let mut response = status_only(StatusCode::OK);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
            response
        }
        None => write(wrong_method_answer(now(), &request)),
    };
    allow(&headers, response.headers_mut());
    // Answers that do not come from the tenant itself have no date, and the server would stamp them with the machine's.
    if let Ok(date) = HeaderValue::try_from(http_date(now())) {
        response.headers_mut().entry(header::DATE).or_insert(date);
    }
    response
}

async fn respond(served: &Served, scissors: &Scissors, request: Request) -> Response {
    let takes_gzip = takes_gzip(request.headers());
    // Many answers share a connection of HTTP/2: only the one stream is broken off.
    let is_shared = request.version() == Version::HTTP_2;
    let Some(request) = read(request, served.scheme).await else {
        return status_only(StatusCode::BAD_REQUEST);
    };
    match served.transport.send(request).await {
        Ok(response) if takes_gzip => write(packed(response)),
        Ok(response) => write(response),
        Err(TransportError::Connect(_) | TransportError::Timeout(_)) if !is_shared => {
            scissors.cut();
            status_only(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Err(error) => break_connection(&error),
    }
}

/// Below Graph's root, or at sign-in.
fn is_graph(path: &str) -> bool {
    let version = path.split('/').nth(1).unwrap_or_default();
    version.eq_ignore_ascii_case("v1.0") || version.eq_ignore_ascii_case("beta")
}

fn wrong_method_answer(now: Timestamp, request: &Request) -> HttpResponse {
    let id = uuid::Uuid::new_v4().to_string();
    let date = now.to_datetime().format("%Y-%m-%dT%H:%M:%S").to_string();
    let named = request.headers().get("client-request-id").and_then(|id| id.to_str().ok());
    let client_id = named.unwrap_or(&id).to_owned();
    let refused = wrong_method().into_response(&date, &id, &client_id);
    decorate(now, refused, id, client_id)
}

fn method(request: &Request) -> Option<Method> {
    match request.method().as_str() {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PATCH" => Some(Method::Patch),
        "DELETE" => Some(Method::Delete),
        // The server itself keeps the body back.
        "HEAD" if !is_graph(request.uri().path()) => Some(Method::Get),
        _ => None,
    }
}

async fn read(request: Request, scheme: &str) -> Option<HttpRequest> {
    let method = method(&request)?;
    let (parts, body) = request.into_parts();
    // HTTP/2 has no such header: the address itself says where it goes.
    let host = match parts.headers.get(header::HOST) {
        Some(host) => host.to_str().ok()?,
        None => parts.uri.authority()?.as_str(),
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    // Links in answers point where the client came from, which is https behind a proxy that ends TLS.
    let is_behind_tls = parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let scheme = if is_behind_tls { "https" } else { scheme };
    let mut read = HttpRequest::new(method, format!("{scheme}://{host}{target}"));
    for (name, value) in &parts.headers {
        read = read.with_header(name.as_str(), value.to_str().ok()?);
    }
    read.body = axum::body::to_bytes(body, LARGEST_REQUEST).await.ok()?.to_vec();
    Some(read)
}

fn write(response: HttpResponse) -> Response {
    let mut written = Response::new(Body::from(response.body));
    *written.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            written.headers_mut().append(name, value);
        }
    }
    written
}

/// A body that fails before its end makes the server drop the connection. The pause lets the beginning out first.
fn break_connection(error: &TransportError) -> Response {
    let failure: Result<Bytes, io::Error> =
        Err(io::Error::new(io::ErrorKind::ConnectionReset, error.to_string()));
    let begun = stream::once(async { Ok(Bytes::from_static(b"{")) });
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        failure
    });
    Response::new(Body::from_stream(begun.chain(broken)))
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_host_stands_in_a_header_or_in_the_address() {
        let request = |uri: &str, host: Option<&str>| {
            let builder =
                host.iter().fold(Request::builder().uri(uri), |builder, host| builder.header("host", *host));
            builder.body(Body::empty()).expect("a request")
        };
        for (uri, host, expected) in [
            ("/v1.0/users?$top=1", Some("127.0.0.1:80"), Some("http://127.0.0.1:80/v1.0/users?$top=1")),
            ("http://127.0.0.1:81/v1.0/users", None, Some("http://127.0.0.1:81/v1.0/users")),
            ("/v1.0/users", None, None),
        ] {
            let url = read(request(uri, host), "http").await.map(|read| read.url);
            assert_eq!(url.as_deref(), expected, "{uri}");
        }
    }
}
