//! The headers that every answer carries.

use crate::graph::transport::HttpResponse;
use crate::model::Timestamp;

pub(super) fn with_date(now: Timestamp, response: HttpResponse) -> HttpResponse {
    response.with_header("date", http_date(now))
}

/// RFC 9110, IMF-fixdate.
pub(super) fn http_date(at: Timestamp) -> String {
    at.to_datetime().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What every answer of Graph carries, errors too.
pub(super) fn decorate(
    now: Timestamp,
    response: HttpResponse,
    request_id: String,
    client_request_id: String,
) -> HttpResponse {
    const SERVER: &str = r#"{"ServerInfo":{"DataCenter":"Norway East","Slice":"E","Ring":"3","ScaleUnit":"002","RoleInstance":"OS1PEPF0000008B"}}"#;
    with_date(now, response)
        .with_header("request-id", request_id)
        .with_header("client-request-id", client_request_id)
        .with_header("x-ms-ags-diagnostic", SERVER)
        .with_header("odata-version", "4.0")
        .with_header("cache-control", "no-cache")
        .with_header("vary", "Accept-Encoding")
        .with_header("strict-transport-security", "max-age=31536000")
}
