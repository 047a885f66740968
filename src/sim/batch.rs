//! `/$batch`: up to twenty requests in one, each judged and throttled by itself. Source: Graph json-batching.

use std::collections::BTreeMap;

use base64::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::call::Call;
use super::errors::GraphError;
use super::odata::json_answer;
use super::tenant::{Bearer, Tenant};
use crate::graph::transport::{HttpRequest, HttpResponse, Method};
use crate::model::Timestamp;

const LARGEST_BATCH: usize = 20;

#[derive(Debug, Deserialize)]
struct BatchBody {
    requests: Vec<BatchItem>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
}

impl BatchItem {
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
        let has_type = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if self.body.is_some() && !has_type {
            return Err(GraphError::new(
                400,
                "BadRequest",
                "Write request id : does not contain Content-Type header or body.",
            ));
        }
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
        let body: BatchBody = call.json()?;
        if body.requests.len() > LARGEST_BATCH {
            return Err(GraphError::new(
                400,
                "BadRequest",
                "Number of batch request steps exceeds the maximum value of 20.",
            ));
        }
        let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
        if !body.requests.iter().all(|item| statuses.insert(item.id.to_lowercase(), 0).is_none()) {
            return Err(GraphError::new(400, "BadRequest", "Request ids in a batch must be unique."));
        }
        let mut responses = Vec::with_capacity(body.requests.len());
        for item in &body.requests {
            let response = self.batch_item(now, call, bearer, item, &statuses);
            statuses.insert(item.id.to_lowercase(), response.status);
            responses.push(item_json(&item.id, &response));
        }
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
        // A dependency that comes later, or never, has not succeeded.
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
            Ok(call) => self.dispatch(now, &call, bearer),
            Err(error) => self.error_response(now, error, outer),
        }
    }
}

/// Inside a batch the letter case of header names matters: Microsoft's JavaScript client looks for `Content-Type`, as
/// the samples of Graph write it.
fn written_name(name: &str) -> &str {
    match name {
        "content-type" => "Content-Type",
        "retry-after" => "Retry-After",
        "location" => "Location",
        other => other,
    }
}

fn item_json(id: &str, response: &HttpResponse) -> Value {
    let headers: serde_json::Map<String, Value> =
        response.headers.iter().map(|(name, value)| (written_name(name).to_owned(), json!(value))).collect();
    let body = if response.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&response.body)
            .unwrap_or_else(|_| json!(base64::engine::general_purpose::STANDARD.encode(&response.body)))
    };
    json!({"id": id, "status": response.status, "headers": headers, "body": body})
}
