//! One Graph request, taken apart. Reads nothing but the request.

use std::io::Read;

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
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
    /// Of each of these, whether it was written with it.
    dollars: Vec<bool>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Path and query as sent.
    pub target: String,
    pub view: View,
}

impl Call {
    pub fn new(url: &Url, request: &HttpRequest, view: View) -> Self {
        let segments = url.path_segments().into_iter().flatten().map(percent_decode);
        let plain = |name: &str| name.trim_start_matches('$').to_ascii_lowercase();
        let options = url.query_pairs().map(|(name, value)| (plain(&name), value.into_owned()));
        let dollars = url.query_pairs().map(|(name, _)| name.starts_with('$'));
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Self {
            method: request.method,
            origin: url.origin().ascii_serialization(),
            segments: segments.skip(1).filter(|segment| !segment.is_empty()).flat_map(resource).collect(),
            options: options.collect(),
            dollars: dollars.collect(),
            headers: request.headers.clone(),
            body: body_of(request),
            target,
            view,
        }
    }

    /// A query option by its lower-case name without the dollar sign.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// The names of all options as they come, each with whether it was written with a dollar sign.
    pub fn option_names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.options.iter().map(|(name, _)| name.as_str()).zip(self.dollars.iter().copied())
    }

    pub fn has_option(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// A write with a body says that it is JSON; one without may say nothing. Graph's gateway asks that first.
    pub fn check_content_type(&self) -> Result<(), GraphError> {
        let encoding = self.header("content-encoding").unwrap_or("identity").to_ascii_lowercase();
        if !self.body.is_empty() && !matches!(encoding.as_str(), "gzip" | "identity") {
            let text = format!("The content encoding '{encoding}' is not supported.");
            return Err(GraphError::new(415, "UnsupportedMediaType", text));
        }
        let refused = |message: &str| Err(GraphError::new(400, "BadRequest", message));
        let is_bodiless_post = self.method == Method::Post && self.body.is_empty();
        match (self.method, self.header("content-type")) {
            (Method::Get | Method::Delete, _) => Ok(()),
            (Method::Post | Method::Patch, Some(kind)) => {
                let kind = kind.split(';').next().unwrap_or_default().trim();
                if kind.eq_ignore_ascii_case("application/json") {
                    return Ok(());
                }
                refused("Entity only allows writes with a JSON Content-Type header.")
            }
            (Method::Post | Method::Patch, None) if is_bodiless_post => Ok(()),
            (Method::Post | Method::Patch, None) => {
                refused("Write requests (excluding DELETE) must contain the Content-Type header declaration.")
            }
        }
    }

    /// `ConsistencyLevel: eventual`.
    pub fn is_eventual(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// `Accept: application/json;odata.metadata=none`. OData 4.0 JSON, section 3.1; the name without `odata.` is its
    /// later spelling.
    pub fn wants_bare_json(&self) -> bool {
        let accepted = self.header("accept").unwrap_or_default().to_ascii_lowercase();
        let mut parts = accepted.split([';', ',']).map(str::trim);
        parts.any(|part| matches!(part, "odata.metadata=none" | "metadata=none"))
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

    /// The body, which is an object.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        let body: Map<String, Value> = serde_json::from_slice(&self.body).map_err(|_| unreadable())?;
        T::deserialize(Value::Object(body)).map_err(|_| unreadable())
    }

    /// The parameters of an action, which knows these. Annotations may stand beside them. The text is OData's own.
    pub fn parameters<T: DeserializeOwned>(&self, action: &str, known: &[&str]) -> Result<T, GraphError> {
        let body: Map<String, Value> = self.json()?;
        let is_unknown = |name: &&String| !name.contains('@') && !known.contains(&name.as_str());
        if let Some(name) = body.keys().find(is_unknown) {
            return Err(GraphError::bad_request(format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the operation '{action}'."
            )));
        }
        T::deserialize(Value::Object(body)).map_err(|_| unreadable())
    }

    /// The body as JSON; null when there is none.
    pub fn body_value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// The mark of UTF-8 that some write before their JSON.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The body as it was before it was compressed: Microsoft's client for Go compresses every one. What cannot be
/// unpacked stays as it is, and is no JSON.
fn body_of(request: &HttpRequest) -> Vec<u8> {
    let body = unpacked(request);
    body.strip_prefix(MARK).map_or_else(|| body.clone(), <[u8]>::to_vec)
}

fn unpacked(request: &HttpRequest) -> Vec<u8> {
    if !request.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip")) {
        return request.body.clone();
    }
    let mut body = Vec::new();
    let unpacked = GzDecoder::new(request.body.as_slice()).take(LARGEST_UNPACKED).read_to_end(&mut body);
    if unpacked.is_ok() { body } else { request.body.clone() }
}

/// As much as a body may have that is not compressed.
const LARGEST_UNPACKED: u64 = 4 * 1024 * 1024;

/// Whatever is wrong with it: Graph does not say where.
pub(super) fn unreadable() -> GraphError {
    GraphError::bad_request(
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
    )
}

/// Names of resources, in the spelling that the rest of the simulation compares with.
const RESOURCES: [&str; 25] = [
    "users",
    "groups",
    "directoryObjects",
    "getByIds",
    "owners",
    "directory",
    "deletedItems",
    "subscriptions",
    "subscribedSkus",
    "organization",
    "auditLogs",
    "directoryAudits",
    "delta",
    "assignLicense",
    "reprocessLicenseAssignment",
    "restore",
    "checkMemberGroups",
    "licenseDetails",
    "mailboxSettings",
    "userPurpose",
    "members",
    "transitiveMembers",
    "memberOf",
    "transitiveMemberOf",
    "membersWithLicenseErrors",
];

/// Letter case does not count in paths, and a key may stand in parentheses: `Users('7')` is `users/7`.
fn resource(segment: String) -> Vec<String> {
    let known = |name: &str| {
        let found = RESOURCES.iter().find(|known| known.eq_ignore_ascii_case(name));
        found.map_or_else(|| name.to_owned(), |known| (*known).to_owned())
    };
    let keyed = segment.strip_suffix(')').and_then(|rest| rest.split_once('('));
    match keyed {
        Some((name, key)) if !key.is_empty() => {
            // `userPrincipalName='anna@contoso.com'` names the key, too.
            let value = key.split_once('=').map_or(key, |(_, value)| value);
            vec![known(name), value.trim_matches('\'').replace("''", "'")]
        }
        Some((_, _)) | None => vec![known(&segment)],
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
