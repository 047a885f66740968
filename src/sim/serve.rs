//! The tenant on a loopback socket: the same answers and faults as the in-process transport, for the built binary and
//! for people. Speaks plain HTTP only and must never listen beyond loopback: anyone may read and change the tenant.

use std::future::Future;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;

use super::headers::http_date;
use super::network::SimTransport;
use crate::graph::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};

/// Larger than any request of ours; a batch of twenty stays far below.
const LARGEST_REQUEST: usize = 4 * 1024 * 1024;

/// Serves until `shutdown` completes. Graph's root is `/v1.0`; sign-in is on the same origin. Refuses a listener that
/// is not on loopback.
pub async fn serve(
    listener: TcpListener,
    transport: SimTransport,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the simulated tenant listens on loopback only",
        ));
    }
    let router = Router::new().fallback(answer).with_state(transport);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn answer(State(transport): State<SimTransport>, request: Request) -> Response {
    let Some(request) = read(request).await else { return status_only(StatusCode::BAD_REQUEST) };
    let mut response = match transport.send(request).await {
        Ok(response) => write(response),
        Err(error) => break_connection(&error),
    };
    // Answers that do not come from the tenant itself have no date, and the server would stamp them with the machine's.
    if let Ok(date) = HeaderValue::try_from(http_date(transport.clock().now())) {
        response.headers_mut().entry(header::DATE).or_insert(date);
    }
    response
}

async fn read(request: Request) -> Option<HttpRequest> {
    let (parts, body) = request.into_parts();
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return None,
    };
    let host = parts.headers.get(header::HOST)?.to_str().ok()?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    // Links in answers point where the client came from, which is https behind a proxy that ends TLS.
    let is_behind_tls = parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let scheme = if is_behind_tls { "https" } else { "http" };
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

/// A body that fails before its end makes the server drop the connection.
fn break_connection(error: &TransportError) -> Response {
    let failure: Result<Bytes, io::Error> =
        Err(io::Error::new(io::ErrorKind::ConnectionReset, error.to_string()));
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"{")), failure])))
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
