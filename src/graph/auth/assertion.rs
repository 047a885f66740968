//! The signed statement by which a certificate signs in: a JWT, PS256, good for ten minutes.
//!
//! Source: Entra "certificate credentials". The signature itself is ring's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::model::Timestamp;

use super::answer::{SignInError, SignInFault};

/// Entra recommends five to ten minutes.
const LIFETIME_SECS: i64 = 600;

/// `exp` and `nbf` reach a little into the past, for a clock that runs ahead.
const BACKDATED_SECS: i64 = 60;

/// `audience` is the token endpoint, `id` a fresh GUID.
pub(super) fn signed_assertion(
    certificate_pem: &str,
    key_pem: &SecretString,
    client_id: &str,
    audience: &str,
    now: Timestamp,
    id: &str,
) -> Result<String, SignInError> {
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|fault| unusable(&format!("no certificate in the certificate file ({fault})")))?;
    let key = read_key(key_pem)?;
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    let seconds = now.as_millis().div_euclid(1000);
    let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": id,
        "iat": seconds,
        "nbf": seconds - BACKDATED_SECS,
        "exp": seconds - BACKDATED_SECS + LIFETIME_SECS,
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| unusable("the key could not sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn read_key(pem: &SecretString) -> Result<RsaKeyPair, SignInError> {
    let pem = pem.expose_secret();
    if pem.contains("ENCRYPTED") {
        return Err(unusable("the private key is encrypted; it must be readable without a passphrase"));
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| unusable("no private key in the key file"))?;
    let rejected =
        |fault: ring::error::KeyRejected| unusable(&format!("the private key is not usable: {fault}"));
    match key {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(rejected),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(rejected),
        // The type belongs to another crate and may grow.
        _ => Err(unusable("the private key is not RSA")),
    }
}

fn unusable(detail: &str) -> SignInError {
    SignInError::permanent(SignInFault::LocalCredential, detail.to_owned())
}
