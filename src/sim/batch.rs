//! `/$batch`: up to twenty requests in one, each judged and throttled by itself. Source: Graph json-batching.

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Map, Value, json};
use url::Url;

use super::call::Call;
use super::errors::GraphError;
use super::odata::json_answer;
use super::rng::Rng;
use super::tenant::{Bearer, Tenant};
use crate::graph::transport::{HttpRequest, HttpResponse, Method};
use crate::model::Timestamp;

const LARGEST_BATCH: usize = 20;

#[derive(Debug)]
struct BatchItem {
    id: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    depends_on: Vec<String>,
}

fn invalid() -> GraphError {
    GraphError::new(400, "BadRequest", "Invalid batch payload format.")
}

/// The parts, of which there is at least one.
fn read_items(call: &Call) -> Result<Vec<BatchItem>, GraphError> {
    let mut body = any_case(call.json()?);
    let Some(Value::Array(parts)) = body.remove("requests").filter(|parts| *parts != json!([])) else {
        return Err(invalid());
    };
    parts.into_iter().map(|part| BatchItem::read(part).ok_or_else(invalid)).collect()
}

/// Member names in lower case: Graph takes `Id` and `URL`, and scripts in PowerShell write them so.
fn any_case(object: Map<String, Value>) -> BTreeMap<String, Value> {
    object.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// A text, or a number in its place.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether parts wait for each other, or one for itself.
fn is_circular(items: &[BatchItem]) -> bool {
    let mut open: Vec<&BatchItem> = items.iter().collect();
    loop {
        let is_open = |id: &String| open.iter().any(|item| item.id.eq_ignore_ascii_case(id));
        let waiting: Vec<&BatchItem> =
            open.iter().copied().filter(|item| item.depends_on.iter().any(is_open)).collect();
        if waiting.len() == open.len() {
            return !open.is_empty();
        }
        open = waiting;
    }
}

impl BatchItem {
    /// What is null is left out.
    fn read(part: Value) -> Option<Self> {
        let Value::Object(part) = part else { return None };
        let mut part = any_case(part);
        let mut take = |name: &str| part.remove(name).filter(|value| !value.is_null());
        let headers = match take("headers") {
            Some(Value::Object(headers)) => headers,
            Some(_) => return None,
            None => Map::new(),
        };
        let depends_on = match take("dependson") {
            Some(Value::Array(ids)) => ids,
            Some(_) => return None,
            None => Vec::new(),
        };
        Some(Self {
            id: take("id").and_then(text)?,
            method: take("method").and_then(text)?,
            url: take("url").and_then(text)?,
            headers: headers
                .into_iter()
                .map(|(name, value)| Some((name, text(value)?)))
                .collect::<Option<_>>()?,
            body: take("body"),
            depends_on: depends_on.into_iter().map(text).collect::<Option<_>>()?,
        })
    }

    /// A write names its type and has a body, also where the operation needs none; else the whole batch is refused.
    /// Source: https://learn.microsoft.com/graph/json-batching, where both are required of such a part.
    fn is_whole(&self) -> bool {
        let is_write = ["POST", "PATCH", "PUT"].iter().any(|method| self.method.eq_ignore_ascii_case(method));
        let has_type = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        !is_write || (has_type && self.body.is_some())
    }

    fn call(&self, outer: &Call) -> Result<Call, GraphError> {
        let method = match self.method.to_ascii_uppercase().as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            other => {
                return Err(GraphError::bad_request(format!("Invalid method '{other}' in batch request.")));
            }
        };
        let target = outer.link(self.url.trim_start_matches('/'));
        let url = Url::parse(&target).map_err(|_| GraphError::bad_request("Invalid batch request url."))?;
        let mut request = HttpRequest::new(method, target);
        for (name, value) in &self.headers {
            request = request.with_header(name, value.clone());
        }
        if let Some(body) = &self.body {
            request.body = body.to_string().into_bytes();
        }
        Ok(Call::new(&url, &request, outer.view))
    }
}

impl Tenant {
    pub(super) fn batch(
        &mut self,
        now: Timestamp,
        call: &Call,
        bearer: &Bearer,
    ) -> Result<HttpResponse, GraphError> {
        let items = read_items(call)?;
        if items.len() > LARGEST_BATCH {
            return Err(GraphError::new(
                400,
                "BadRequest",
                "Number of batch request steps exceeds the maximum value of 20.",
            ));
        }
        let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
        if !items.iter().all(|item| statuses.insert(item.id.to_lowercase(), 0).is_none()) {
            return Err(GraphError::new(400, "BadRequest", "Request ids in a batch must be unique."));
        }
        let mut depended_on = items.iter().flat_map(|item| &item.depends_on);
        if let Some(id) = depended_on.find(|id| !statuses.contains_key(&id.to_lowercase())) {
            let message = format!("The dependsOn id '{id}' names no request of this batch.");
            return Err(GraphError::new(400, "BadRequest", message));
        }
        if let Some(item) = items.iter().find(|item| !item.is_whole()) {
            let message =
                format!("Write request id : {} does not contain Content-Type header or body.", item.id);
            return Err(GraphError::new(400, "BadRequest", message));
        }
        if is_circular(&items) {
            return Err(invalid());
        }
        let mut faults = call.view.part_faults.map(|seed| Rng::stream(seed, "batch parts"));
        let mut responses = Vec::with_capacity(items.len());
        for item in &items {
            let fault = faults.as_mut().and_then(PartFault::decide);
            let response = match fault.and_then(PartFault::refusal) {
                Some(error) => self.error_response(now, error, call),
                None => self.batch_item(now, call, bearer, item, &statuses),
            };
            statuses.insert(item.id.to_lowercase(), response.status);
            let copies = fault.map_or(1, PartFault::copies);
            responses.extend(std::iter::repeat_n(item_json(&item.id, &response), copies));
        }
        shuffle(&mut self.batch_order, &mut responses);
        Ok(json_answer(200, &json!({ "responses": responses })))
    }

    fn batch_item(
        &mut self,
        now: Timestamp,
        outer: &Call,
        bearer: &Bearer,
        item: &BatchItem,
        statuses: &BTreeMap<String, u16>,
    ) -> HttpResponse {
        let status = |id: &String| statuses.get(&id.to_lowercase()).copied().unwrap_or(0);
        // A dependency that comes later has not succeeded.
        let has_failed = item.depends_on.iter().any(|id| !(200..300).contains(&status(id)));
        if has_failed {
            let error = GraphError::new(
                424,
                "FailedDependency",
                "The request failed because a request that it depends on failed.",
            );
            return self.error_response(now, error, outer);
        }
        match item.call(outer) {
            Ok(call) if call.segments.iter().any(|segment| segment.eq_ignore_ascii_case("$batch")) => {
                let error =
                    GraphError::new(400, "BadRequest", "A batch request cannot contain a batch request.");
                self.error_response(now, error, outer)
            }
            Ok(call) => self.dispatch(now, &call, bearer),
            Err(error) => self.error_response(now, error, outer),
        }
    }
}

/// What goes wrong with one part while the batch arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartFault {
    /// 429 with these seconds to wait; nothing happened.
    Throttled(i64),
    /// 503; nothing happened.
    Unavailable,
    /// It took effect, but the answer lacks it.
    Missing,
    /// It took effect once, and is answered twice.
    Twice,
}

impl PartFault {
    /// Half of the parts stay whole.
    fn decide(rng: &mut Rng) -> Option<Self> {
        let seconds = rng.between(1, 30);
        match rng.below(8) {
            0 => Some(PartFault::Throttled(seconds)),
            1 => Some(PartFault::Unavailable),
            2 => Some(PartFault::Missing),
            3 => Some(PartFault::Twice),
            _ => None,
        }
    }

    fn refusal(self) -> Option<GraphError> {
        match self {
            PartFault::Throttled(seconds) => Some(
                GraphError::new(429, "TooManyRequests", "Too many requests. Please retry again later.")
                    .with_header("retry-after", seconds.to_string()),
            ),
            PartFault::Unavailable => {
                Some(GraphError::new(503, "serviceNotAvailable", "The service is temporarily unavailable."))
            }
            PartFault::Missing | PartFault::Twice => None,
        }
    }

    fn copies(self) -> usize {
        match self {
            PartFault::Throttled(_) | PartFault::Unavailable => 1,
            PartFault::Missing => 0,
            PartFault::Twice => 2,
        }
    }
}

/// Fisher and Yates. Graph answers the parts in any order.
fn shuffle(rng: &mut Rng, responses: &mut [Value]) {
    for last in (1..responses.len()).rev() {
        let other = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(0);
        responses.swap(last, other);
    }
}

/// Inside a batch the letter case of header names matters: Microsoft's JavaScript client looks for `Content-Type`, as
/// the samples of Graph write it.
fn written_name(name: &str) -> &str {
    match name {
        "content-type" => "Content-Type",
        "retry-after" => "Retry-After",
        "location" => "Location",
        "cache-control" => "Cache-Control",
        "odata-version" => "OData-Version",
        other => other,
    }
}

fn item_json(id: &str, response: &HttpResponse) -> Value {
    // These two are about the connection, and stand on the batch as a whole.
    let own =
        response.headers.iter().filter(|(name, _)| !matches!(&**name, "vary" | "strict-transport-security"));
    let headers: serde_json::Map<String, Value> =
        own.map(|(name, value)| (written_name(name).to_owned(), json!(value))).collect();
    let body = if response.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&response.body)
            .unwrap_or_else(|_| json!(base64::engine::general_purpose::STANDARD.encode(&response.body)))
    };
    json!({"id": id, "status": response.status, "headers": headers, "body": body})
}
