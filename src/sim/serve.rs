//! The tenant on a loopback socket: the same answers and faults as the in-process transport, for the built binary and
//! for people. Speaks HTTP, or https with a certificate of its own, and must never listen beyond loopback: anyone may
//! read and change the tenant.

use std::future::Future;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;

use super::headers::{decorate, http_date};
use super::network::SimTransport;
use super::operation::wrong_method;
use super::tls::{Identity, TlsListener};
use crate::graph::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};

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
    match identity {
        Some(identity) => {
            let listener = TlsListener::new(listener, identity);
            axum::serve(listener, router).with_graceful_shutdown(shutdown).await
        }
        None => axum::serve(listener, router).with_graceful_shutdown(shutdown).await,
    }
}

/// What is served, and how it is reached: links in answers say so.
#[derive(Clone)]
struct Served {
    transport: SimTransport,
    scheme: &'static str,
}

async fn answer(State(served): State<Served>, request: Request) -> Response {
    let Served { transport, scheme } = served;
    if method(&request).is_none() {
        let id = uuid::Uuid::new_v4().to_string();
        let now = transport.clock().now();
        let date = now.to_datetime().format("%Y-%m-%dT%H:%M:%S").to_string();
        let named = request.headers().get("client-request-id").and_then(|id| id.to_str().ok());
        let client_id = named.unwrap_or(&id).to_owned();
        let refused = wrong_method().into_response(&date, &id, &client_id);
        return write(decorate(now, refused, id, client_id));
    }
    let Some(request) = read(request, scheme).await else { return status_only(StatusCode::BAD_REQUEST) };
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

fn method(request: &Request) -> Option<Method> {
    match request.method().as_str() {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PATCH" => Some(Method::Patch),
        "DELETE" => Some(Method::Delete),
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
