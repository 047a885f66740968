//! What the socket adds to an answer for the client's sake: compression, and what browsers ask for before they let a
//! page read it. The answers themselves are the tenant's.

use std::io::Write as _;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::graph::transport::HttpResponse;

/// Smaller bodies gain nothing.
const SMALLEST_PACKED: usize = 1024;

/// What pages may read of an answer, besides its body. Graph names these.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, ReadWriteConsistencyToken, \
     SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant, Retry-After",
);

/// Whether the client takes gzip. RFC 9110, section 12.5.3.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    let mut codings = lists.flat_map(|list| list.split(',')).map(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        (name, weight)
    });
    codings.any(|(name, weight)| matches!(name.as_str(), "gzip" | "x-gzip" | "*") && weight > 0.0)
}

pub(super) fn packed(mut response: HttpResponse) -> HttpResponse {
    if response.body.len() < SMALLEST_PACKED {
        return response;
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    match packer.write_all(&response.body).and_then(|()| packer.finish()) {
        Ok(body) => {
            response.body = body;
            if response.header("vary").is_none() {
                response = response.with_header("vary", "Accept-Encoding");
            }
            response.with_header("content-encoding", "gzip")
        }
        Err(_) => response,
    }
}

/// Whether a browser asks if a page may send what it wants to.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Any page may, as with Graph: what counts is the token.
pub(super) fn allow(asked: &HeaderMap, answer: &mut HeaderMap) {
    if !asked.contains_key(header::ORIGIN) {
        return;
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        let methods = HeaderValue::from_static("GET, POST, PATCH, DELETE");
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let wanted = wanted.cloned().unwrap_or(HeaderValue::from_static("*"));
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_by_name_or_star_unless_its_weight_is_nothing() {
        for (list, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, deflate", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(list));
            assert_eq!(takes_gzip(&headers), expected, "{list}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn small_bodies_stay_as_they_are() {
        let mut small = HttpResponse::new(200);
        small.body = vec![b'a'; SMALLEST_PACKED - 1];
        assert_eq!(packed(small.clone()), small);
        let mut large = HttpResponse::new(200);
        large.body = vec![b'a'; SMALLEST_PACKED];
        let sent = packed(large);
        assert_eq!(sent.header("content-encoding"), Some("gzip"));
        assert!(sent.body.len() < SMALLEST_PACKED / 2);
    }
}
