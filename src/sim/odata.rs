//! Paging, opaque tokens and JSON answers in OData's dress. Knows no resource.

pub(super) mod filter;
pub(super) mod query;
pub(super) mod schema;
mod search;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::Call;
use super::errors::GraphError;
use super::switches::Switches;
use crate::graph::transport::HttpResponse;

/// Graph: user-list, default and largest page.
pub(super) const DEFAULT_PAGE: usize = 100;
pub(super) const LARGEST_PAGE: usize = 999;

/// One page of a collection.
#[derive(Serialize)]
pub(super) struct Page<T> {
    #[serde(rename = "@odata.context")]
    pub context: String,
    #[serde(rename = "@odata.count", skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink", skip_serializing_if = "Option::is_none")]
    pub delta_link: Option<String>,
    pub value: Vec<T>,
}

impl<T> Page<T> {
    /// The whole collection on one page.
    pub fn whole(context: String, value: Vec<T>) -> Self {
        Self { context, count: None, next_link: None, delta_link: None, value }
    }
}

/// One entity with its context.
#[derive(Serialize)]
pub(super) struct Entity<T> {
    #[serde(rename = "@odata.context")]
    pub context: String,
    #[serde(flatten)]
    pub entity: T,
}

/// A JSON answer, written without going through a JSON tree: a page of 999 users is most of the simulator's work.
pub(super) fn json_answer(status: u16, body: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::new(status).with_header(
        "content-type",
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
    );
    response.body = serde_json::to_vec(body).expect("our answers have text keys and finite numbers");
    response
}

/// Without what only describes it: links to go on and counts stay. OData 4.0 JSON, section 3.1.1.
pub(super) fn bare(mut response: HttpResponse) -> HttpResponse {
    let kinds = response.headers.iter_mut().filter(|(name, _)| name == "content-type");
    let minimal = kinds.map(|(_, kind)| kind).find(|kind| kind.contains("odata.metadata=minimal"));
    let Some(kind) = minimal else { return response };
    *kind = kind.replace("odata.metadata=minimal", "odata.metadata=none");
    if let Ok(mut body) = serde_json::from_slice(&response.body) {
        strip(&mut body);
        response.body = body.to_string().into_bytes();
    }
    response
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members
                .retain(|name, _| !name.contains("@odata.") || KEPT.iter().any(|kept| name.ends_with(kept)));
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

const KEPT: [&str; 3] = ["@odata.nextLink", "@odata.deltaLink", "@odata.count"];

/// A bare number, as `$count` segments answer.
pub(super) fn count_answer(count: usize) -> HttpResponse {
    let mut response = HttpResponse::new(200).with_header("content-type", "text/plain");
    response.body = count.to_string().into_bytes();
    response
}

/// Graph: user-list, where the time of the last sign-in is selected or filtered by.
const LARGEST_PAGE_OF_SIGN_INS: usize = 500;

/// `$top`, held to the page limits. Graph: user-list; what a larger number does is a switch.
pub(super) fn page_size(call: &Call, switches: &Switches) -> Result<usize, GraphError> {
    let Some(text) = call.option("top") else { return Ok(DEFAULT_PAGE) };
    let names_sign_ins =
        |option| call.option(option).is_some_and(|text| text.to_ascii_lowercase().contains("signinactivity"));
    let largest = if names_sign_ins("select") || names_sign_ins("filter") {
        LARGEST_PAGE_OF_SIGN_INS
    } else {
        LARGEST_PAGE
    };
    let invalid = || {
        GraphError::bad_request(format!(
            "Invalid page size specified: '{text}'. Must be between 1 and {largest} inclusive."
        ))
    };
    match text.parse::<usize>() {
        Ok(0) | Err(_) => Err(invalid()),
        Ok(size) if size > largest && switches.large_top_is_error => Err(invalid()),
        Ok(size) => Ok(size.min(largest)),
    }
}

/// Where a listing goes on. `shape` ties the token to the query that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SkipToken {
    pub after: String,
    shape: u64,
    /// Pages so far: no two links of one listing are alike, also after an empty page.
    page: u32,
}

impl SkipToken {
    /// `None` at the start of a listing.
    pub fn read(call: &Call) -> Result<Option<Self>, GraphError> {
        let Some(text) = call.option("skiptoken") else { return Ok(None) };
        let expired = || {
            GraphError::new(
                400,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired and can no longer be included in your request.",
            )
        };
        let token: Self = open_token(text).ok_or_else(expired)?;
        if token.shape == query_shape(call) { Ok(Some(token)) } else { Err(expired()) }
    }

    /// The link to the page that starts after `after`: the same query with another token.
    pub fn link(call: &Call, after: &str) -> String {
        let page = Self::read(call).ok().flatten().map_or(1, |token| token.page.saturating_add(1));
        let token = seal_token(&Self { after: after.to_owned(), shape: query_shape(call), page });
        let mut link = call.link(&call.segments.join("/"));
        let mut separator = '?';
        for name in KEPT_OPTIONS {
            if let Some(value) = call.option(name) {
                let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
                link.push_str(&format!("{separator}${name}={}", value.replace('+', "%20")));
                separator = '&';
            }
        }
        link.push_str(&format!("{separator}$skiptoken={token}"));
        link
    }
}

const KEPT_OPTIONS: [&str; 7] = ["select", "filter", "top", "count", "orderby", "search", "expand"];

fn query_shape(call: &Call) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in call
        .segments
        .iter()
        .map(String::as_str)
        .chain(["select", "filter", "orderby", "search"].into_iter().filter_map(|name| call.option(name)))
    {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// An opaque, URL-safe token.
pub(super) fn seal_token(content: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(content).expect("tokens have text keys and finite numbers"))
}

/// `None` for anything that [`seal_token`] did not write.
pub(super) fn open_token<T: DeserializeOwned>(token: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::transport::{HttpRequest, Method};
    use crate::model::Timestamp;
    use crate::sim::call::View;

    fn call(target: &str) -> Call {
        let request = HttpRequest::new(Method::Get, format!("https://graph.microsoft.com/v1.0/{target}"));
        let url = url::Url::parse(&request.url).expect("valid");
        Call::new(&url, &request, View::clear(Timestamp::from_secs(0)))
    }

    #[test]
    fn a_link_keeps_the_query_and_its_token_reads_back() {
        let first = call("users?$select=id,mail&$filter=startswith(userPrincipalName,'a')&$top=5");
        let link = SkipToken::link(&first, "anna@contoso.com");
        assert!(
            link.starts_with("https://graph.microsoft.com/v1.0/users?$select=id%2Cmail&$filter=startswith"),
            "{link}"
        );
        let next = call(link.strip_prefix("https://graph.microsoft.com/v1.0/").expect("our root"));
        assert_eq!(next.option("filter"), first.option("filter"));
        let token = SkipToken::read(&next).expect("ours").expect("present");
        assert_eq!(token.after, "anna@contoso.com");
    }

    #[test]
    fn a_token_of_another_query_or_of_nobody_is_expired() {
        let first = call("users?$select=id");
        let link = SkipToken::link(&first, "a");
        let other = link.replace("users?$select=id", "users?$select=mail");
        for target in
            [other.strip_prefix("https://graph.microsoft.com/v1.0/").expect("our root"), "users?$skiptoken=x"]
        {
            let error = SkipToken::read(&call(target)).expect_err("not ours");
            assert_eq!((error.status, error.code), (400, "Directory_ExpiredPageToken"));
        }
    }

    #[test]
    fn top_is_held_to_the_limits() {
        let mut switches = Switches::default();
        assert_eq!(page_size(&call("users"), &switches), Ok(100));
        assert_eq!(page_size(&call("users?$top=5"), &switches), Ok(5));
        assert_eq!(page_size(&call("users?$top=5000"), &switches), Ok(999));
        assert_eq!(page_size(&call("users?$top=999&$select=id,signInActivity"), &switches), Ok(500));
        let filtered = "users?$top=999&$filter=signInActivity/lastSignInDateTime le 2026-01-01T00:00:00Z";
        assert_eq!(page_size(&call(filtered), &switches), Ok(500));
        assert_eq!(page_size(&call("users?$top=20&$select=signInActivity"), &switches), Ok(20));
        assert!(page_size(&call("users?$top=0"), &switches).is_err());
        switches.large_top_is_error = true;
        assert!(page_size(&call("users?$top=5000"), &switches).is_err());
    }
}
