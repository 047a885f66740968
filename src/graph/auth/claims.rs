//! The claims challenge: a 401 that asks for a token with more in it. No I/O.
//!
//! mailkeeper does not declare that it can handle challenges, so none should come; one that comes is honoured once.
//! Source: Entra "claims challenges".

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::super::transport::HttpResponse;

/// Real challenges are below one kilobyte.
const MAX_CLAIMS_BYTES: usize = 8 * 1024;

/// What the next token request must carry as `claims`: JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Challenge {
    pub(super) claims: String,
}

/// The challenge of a 401, from any of its `www-authenticate` headers.
pub(in super::super) fn challenge(response: &HttpResponse) -> Option<Challenge> {
    let headers = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
    headers.map(|(_, value)| value.as_str()).find_map(read_header)
}

fn read_header(header: &str) -> Option<Challenge> {
    if parameter(header, "error")? != "insufficient_claims" {
        return None;
    }
    let encoded = parameter(header, "claims").filter(|encoded| encoded.len() <= MAX_CLAIMS_BYTES)?;
    // Seen in both alphabets, with and without padding.
    let encoded = encoded.replace('-', "+").replace('_', "/");
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(encoded).ok()?;
    let claims = String::from_utf8(decoded).ok()?;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&claims).is_ok();
    is_object.then_some(Challenge { claims })
}

/// The value of `name="..."`; parameters come in any order.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = header;
    while let Some(at) = rest.find(name) {
        let starts_word = rest[..at].chars().next_back().is_none_or(|before| " ,\t".contains(before));
        let after = &rest[at + name.len()..];
        if let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start).filter(|_| starts_word)
        {
            return value.strip_prefix('"').and_then(|value| value.split('"').next());
        }
        rest = after;
    }
    None
}
