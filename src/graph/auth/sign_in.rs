//! The four ways to sign in, and the token request of each. Reads a federated token file; does nothing else to the
//! world.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::Serializer;

use crate::model::Timestamp;

use super::super::transport::{HttpRequest, Method};
use super::Authority;
use super::answer::{SignInError, SignInFault};
use super::assertion::signed_assertion;

/// How mailkeeper proves who it is.
#[derive(Clone)]
pub enum SignIn {
    ClientSecret {
        client_id: String,
        secret: SecretString,
    },
    /// A certificate of the app registration. The key is PEM, PKCS#8 or PKCS#1, RSA of at least 2048 bits.
    Certificate {
        client_id: String,
        certificate_pem: String,
        key_pem: SecretString,
    },
    /// A token of another identity provider. The file is read for every token request: its owner rotates it.
    FederatedToken {
        client_id: String,
        token_file: PathBuf,
    },
    /// The identity of the Azure machine. `client_id` chooses a user-assigned one, `endpoint` replaces
    /// [`MANAGED_IDENTITY_ENDPOINT`].
    ManagedIdentity {
        client_id: Option<String>,
        endpoint: Option<String>,
    },
    /// Of a command that has no business with Microsoft: it never signs in.
    Never,
}

/// The metadata service of Azure machines: link-local, so plain http. Source: Entra how-to-use-vm-token.
pub const MANAGED_IDENTITY_ENDPOINT: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientSecret { client_id, .. } => write!(f, "ClientSecret({client_id})"),
            Self::Certificate { client_id, .. } => write!(f, "Certificate({client_id})"),
            Self::FederatedToken { client_id, .. } => write!(f, "FederatedToken({client_id})"),
            Self::ManagedIdentity { client_id, .. } => write!(f, "ManagedIdentity({client_id:?})"),
            Self::Never => f.write_str("Never"),
        }
    }
}

impl SignIn {
    /// Managed identities know no claims challenge. Source: Entra continuous access evaluation.
    pub(super) fn takes_claims(&self) -> bool {
        match self {
            Self::ClientSecret { .. } | Self::Certificate { .. } | Self::FederatedToken { .. } => true,
            Self::ManagedIdentity { .. } | Self::Never => false,
        }
    }

    /// What a request for a token carries in the open. Assertions and tokens are made anew each time.
    pub(super) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::ClientSecret { secret, .. } => Some(secret),
            Self::Certificate { .. }
            | Self::FederatedToken { .. }
            | Self::ManagedIdentity { .. }
            | Self::Never => None,
        }
    }
}

/// A federated token is a JWT of a few kilobytes; a larger file is something else.
const MAX_TOKEN_FILE_BYTES: u64 = 64 * 1024;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Authority {
    /// The request for one token. `id` is a fresh GUID for the assertion.
    pub(super) fn token_request(
        &self,
        now: Timestamp,
        claims: Option<&str>,
        id: &str,
    ) -> Result<HttpRequest, SignInError> {
        let token_url = self.roots.token_url(self.tenant);
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials").append_pair("scope", self.roots.scope());
        if let Some(claims) = claims {
            form.append_pair("claims", claims);
        }
        match &self.sign_in {
            SignIn::ClientSecret { client_id, secret } => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose_secret());
            }
            SignIn::Certificate { client_id, certificate_pem, key_pem } => {
                let assertion = signed_assertion(certificate_pem, key_pem, client_id, &token_url, now, id)?;
                append_assertion(&mut form, client_id, &assertion);
            }
            SignIn::FederatedToken { client_id, token_file } => {
                append_assertion(&mut form, client_id, &read_token_file(token_file)?);
            }
            SignIn::ManagedIdentity { client_id, endpoint } => {
                let endpoint = endpoint.as_deref().unwrap_or(MANAGED_IDENTITY_ENDPOINT);
                return Ok(self.identity_request(endpoint, client_id.as_deref()));
            }
            SignIn::Never => {
                let detail = "this command does not sign in".to_owned();
                return Err(SignInError::permanent(SignInFault::LocalCredential, detail));
            }
        }
        let request = HttpRequest::new(Method::Post, token_url).with_header("accept", "application/json");
        Ok(request.with_body("application/x-www-form-urlencoded", form.finish().into_bytes()))
    }

    fn identity_request(&self, endpoint: &str, client_id: Option<&str>) -> HttpRequest {
        let mut query = Serializer::new(String::new());
        query.append_pair("api-version", "2018-02-01").append_pair("resource", self.roots.resource());
        if let Some(client_id) = client_id {
            query.append_pair("client_id", client_id);
        }
        HttpRequest::new(Method::Get, format!("{endpoint}?{}", query.finish()))
            .with_header("metadata", "true")
    }
}

fn append_assertion(form: &mut Serializer<'_, String>, client_id: &str, assertion: &str) {
    form.append_pair("client_id", client_id)
        .append_pair("client_assertion_type", ASSERTION_TYPE)
        .append_pair("client_assertion", assertion);
}

fn read_token_file(path: &std::path::Path) -> Result<String, SignInError> {
    let unreadable = |why: &dyn fmt::Display| {
        SignInError::permanent(SignInFault::LocalCredential, format!("token file {}: {why}", path.display()))
    };
    let length = std::fs::metadata(path).map_err(|fault| unreadable(&fault))?.len();
    if length > MAX_TOKEN_FILE_BYTES {
        return Err(unreadable(&format!("larger than {MAX_TOKEN_FILE_BYTES} bytes")));
    }
    let token = std::fs::read_to_string(path).map_err(|fault| unreadable(&fault))?;
    let token = token.trim();
    if token.is_empty() { Err(unreadable(&"empty")) } else { Ok(token.to_owned()) }
}
