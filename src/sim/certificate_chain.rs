//! The certificate chain that an assertion may bring along (`x5c`): what it says must fit the header and the signature.
//! Nobody's trust is asked: any authority is as good here as the one that an application names in Entra.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde_json::Value;
use webpki::ring::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};
use webpki::{EndEntityCert, Error};

/// True where there is no chain, or its first certificate has the thumbprint that the header names and made the
/// signature of `content`. RFC 7515, section 4.1.6.
pub(super) fn fits(header: &Value, content: &str, signature: &str) -> bool {
    let first = match &header["x5c"] {
        Value::Null => return true,
        Value::Array(chain) => chain.first().and_then(Value::as_str),
        Value::String(single) => Some(single.as_str()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    let certificate = first.and_then(decode);
    let signature = URL_SAFE_NO_PAD.decode(signature).ok();
    let (Some(certificate), Some(signature)) = (certificate, signature) else { return false };
    let is_named = |name: &str, print: &[u8]| {
        header[name].as_str().is_none_or(|named| named.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(print))
    };
    is_named("x5t", digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate).as_ref())
        && is_named("x5t#S256", digest(&SHA256, &certificate).as_ref())
        && has_signed(certificate, algorithm(header), content, &signature)
}

/// Entra takes line breaks in it, as msal for Python leaves them there.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

fn algorithm(header: &Value) -> &'static dyn SignatureVerificationAlgorithm {
    if header["alg"] == "PS256" { RSA_PSS_2048_8192_SHA256_LEGACY_KEY } else { RSA_PKCS1_2048_8192_SHA256 }
}

fn has_signed(
    certificate: Vec<u8>,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    content: &str,
    signature: &[u8],
) -> bool {
    match EndEntityCert::try_from(&CertificateDer::from(certificate)) {
        Ok(certificate) => certificate.verify_signature(algorithm, content.as_bytes(), signature).is_ok(),
        // Of the first version of X.509: legal, and not read here.
        Err(Error::UnsupportedCertVersion) => true,
        Err(_) => false,
    }
}
