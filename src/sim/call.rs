//! One Graph request, taken apart. Reads nothing but the request.

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::errors::GraphError;
use crate::graph::transport::{HttpRequest, Method};
use crate::model::Timestamp;

/// What the network does to the answer, decided outside the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// User reads and lists answer from a replica this old.
    pub as_of: Timestamp,
    /// A list answers with no objects and a link to go on.
    pub empty_page: bool,
    /// Single parts of a batch go wrong, as this seed has it.
    pub part_faults: Option<u64>,
}

impl View {
    /// Nothing is wrong with the answer.
    pub fn clear(now: Timestamp) -> Self {
        Self { as_of: now, empty_page: false, part_faults: None }
    }
}

/// A request below the Graph root.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub method: Method,
    /// `https://graph.microsoft.com`: where links in the answer point.
    pub origin: String,
    /// Below the version segment, percent-decoded.
    pub segments: Vec<String>,
    /// Names in lower case, without the dollar sign.
    options: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Path and query as sent.
    pub target: String,
    pub view: View,
}

impl Call {
    pub fn new(url: &Url, request: &HttpRequest, view: View) -> Self {
        let segments = url.path_segments().into_iter().flatten().map(percent_decode);
        let options = url
            .query_pairs()
            .map(|(name, value)| (name.trim_start_matches('$').to_ascii_lowercase(), value.into_owned()));
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Self {
            method: request.method,
            origin: url.origin().ascii_serialization(),
            segments: segments.skip(1).filter(|segment| !segment.is_empty()).collect(),
            options: options.collect(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            target,
            view,
        }
    }

    /// A query option by its lower-case name without the dollar sign.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    pub fn has_option(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// `ConsistencyLevel: eventual`.
    pub fn is_eventual(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    pub fn wants_count(&self) -> bool {
        self.option("count").is_some_and(|count| count.eq_ignore_ascii_case("true"))
    }

    /// Both marks of an advanced query. Graph: aad-advanced-queries.
    pub fn is_advanced(&self) -> bool {
        self.is_eventual() && self.wants_count()
    }

    /// `{origin}/v1.0/{path}`.
    pub fn link(&self, path: &str) -> String {
        format!("{}/v1.0/{path}", self.origin)
    }

    /// `@odata.context` for this resource.
    pub fn context(&self, resource: &str) -> String {
        format!("{}/v1.0/$metadata#{resource}", self.origin)
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GraphError::bad_request(format!("Unable to read JSON request payload. {error}")))
    }

    /// The body as JSON; null when there is none.
    pub fn body_value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn percent_decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart() {
        let request = HttpRequest::new(
            Method::Get,
            "http://127.0.0.1:8080/v1.0/users/kari%23EXT%23@contoso.com?$select=id,mail&$count=true",
        )
        .with_header("ConsistencyLevel", "Eventual");
        let url = Url::parse(&request.url).expect("valid");
        let view = View::clear(Timestamp::from_secs(0));
        let call = Call::new(&url, &request, view);
        assert_eq!(call.segments, ["users", "kari#EXT#@contoso.com"]);
        assert_eq!(call.option("select"), Some("id,mail"));
        assert!(call.is_advanced());
        assert_eq!(call.link("users"), "http://127.0.0.1:8080/v1.0/users");
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("a%zzb%C3%B8"), "a%zzbø");
    }
}
