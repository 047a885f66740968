//! The answer of a batch: parts in any order, each with its own status and headers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::transport::HttpResponse;
use super::{Decoded, json};

/// One part of a batch, with the id of the request that it answers in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct BatchPart {
    pub(in super::super) id: String,
    pub(in super::super) response: HttpResponse,
}

#[derive(Deserialize)]
struct BatchWire {
    responses: Vec<PartWire>,
}

#[derive(Deserialize)]
struct PartWire {
    id: String,
    status: u16,
    headers: Option<BTreeMap<String, Value>>,
    body: Option<Value>,
}

/// The parts in the order of their arrival. Which of them are missing, doubled or foreign is for the caller to see.
pub(in super::super) fn decode_batch(body: &[u8]) -> Decoded<Vec<BatchPart>> {
    let wire: BatchWire = json(body)?;
    Ok(wire.responses.into_iter().map(PartWire::into_part).collect())
}

impl PartWire {
    fn into_part(self) -> BatchPart {
        let mut response = HttpResponse::new(self.status);
        for (name, value) in self.headers.unwrap_or_default() {
            // Seconds come as text or as a number.
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            response = response.with_header(&name, value);
        }
        response.body = self.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        BatchPart { id: self.id.to_ascii_lowercase(), response }
    }
}
