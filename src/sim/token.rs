//! Sign-in: the token endpoint, the discovery documents, and who a bearer token is. Signs nothing: the tokens have the
//! shape of a JWT and are recognised by looking them up.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::GraphError;
use super::rng::Rng;
use crate::graph::transport::{HttpRequest, HttpResponse, Method};
use crate::model::{Span, TenantId, Timestamp};

/// One application registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// `None`: any client id is this application.
    pub client_id: Option<String>,
    /// `None`: any secret that is not empty is right.
    pub client_secret: Option<String>,
    /// The application permissions granted, as the `roles` claim carries them.
    pub roles: Vec<String>,
}

#[derive(Debug, Clone)]
struct Issued {
    roles: Vec<String>,
    client_id: String,
    expires_at: Timestamp,
    answers_claims: bool,
}

#[derive(Debug)]
pub(super) struct Tokens {
    tenant: TenantId,
    application: Application,
    rng: Rng,
    issued: BTreeMap<String, Issued>,
    wants_claims: bool,
}

const EXPIRED: &str = "Lifetime validation failed, the token is expired.";

impl Tokens {
    pub fn new(tenant: TenantId, application: Application, seed: u64) -> Self {
        Self {
            tenant,
            application,
            rng: Rng::stream(seed, "tokens"),
            issued: BTreeMap::new(),
            wants_claims: false,
        }
    }

    pub fn set_roles(&mut self, roles: &[&str]) {
        self.application.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    }

    /// From now on only tokens that were asked for with `claims` pass.
    pub fn demand_claims(&mut self) {
        self.wants_claims = true;
    }

    /// All tokens issued so far stop working.
    pub fn revoke_all(&mut self) {
        self.issued.clear();
    }

    /// The sign-in endpoints; `None` when the path is none of them.
    pub fn handle(
        &mut self,
        now: Timestamp,
        path: &str,
        origin: &str,
        request: &HttpRequest,
    ) -> Option<HttpResponse> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (request.method, segments.as_slice()) {
            (Method::Post, [tenant, "oauth2", "v2.0", "token"]) => Some(self.sign_in(now, tenant, request)),
            (Method::Get, [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                Some(HttpResponse::new(200).with_json(&discovery(origin, tenant)))
            }
            (Method::Get, ["common", "discovery", "instance"]) => {
                Some(HttpResponse::new(200).with_json(&instances(origin, &self.tenant.to_string())))
            }
            (Method::Get, [_, "discovery", "v2.0", "keys"]) => {
                Some(HttpResponse::new(200).with_json(&keys()))
            }
            _ => None,
        }
    }

    fn sign_in(&mut self, now: Timestamp, tenant: &str, request: &HttpRequest) -> HttpResponse {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(&request.body).into_owned().collect();
        let refusal = self.refusal(now, tenant, &form);
        if let Some((status, error, number, text)) = refusal {
            return self.refuse(now, status, error, number, text);
        }
        let client_id = form.get("client_id").cloned().unwrap_or_default();
        let lifetime = Span::from_secs(self.rng.between(60 * 60, 90 * 60 - 1));
        let token = self.issue(now, &client_id, lifetime, form.contains_key("claims"));
        let seconds = lifetime.as_millis() / 1000;
        HttpResponse::new(200).with_header("cache-control", "no-store, no-cache").with_json(&json!({
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
        }))
    }

    /// `(status, error, AADSTS number, text)`. Source: Entra client credentials flow and error code reference.
    fn refusal(
        &self,
        now: Timestamp,
        tenant: &str,
        form: &BTreeMap<String, String>,
    ) -> Option<(u16, &'static str, u32, &'static str)> {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let application = &self.application;
        if tenant.parse::<TenantId>().ok() != Some(self.tenant) && !tenant.contains('.') {
            return Some((
                400,
                "invalid_request",
                90002,
                "Tenant not found. Check to make sure you have the correct tenant ID.",
            ));
        }
        if field("grant_type") != "client_credentials" {
            return Some((
                400,
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type.",
            ));
        }
        if !field("scope").ends_with("/.default") {
            return Some((
                400,
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            ));
        }
        let client_id = field("client_id");
        if client_id.is_empty() || application.client_id.as_deref().is_some_and(|known| known != client_id) {
            return Some((
                400,
                "unauthorized_client",
                700_016,
                "Application was not found in the directory.",
            ));
        }
        if form.contains_key("client_assertion") {
            let type_fits =
                field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let fits = type_fits && assertion_fits(now, client_id, field("client_assertion"));
            return (!fits).then_some((401, "invalid_client", 700_027, "The certificate with identifier used to sign the client assertion is not registered on application."));
        }
        let secret = field("client_secret");
        let fits = application.client_secret.as_deref().map_or(!secret.is_empty(), |known| known == secret);
        (!fits).then_some((401, "invalid_client", 7_000_215, "Invalid client secret provided."))
    }

    fn refuse(&mut self, now: Timestamp, status: u16, error: &str, number: u32, text: &str) -> HttpResponse {
        let (trace, correlation) = (self.rng.uuid(), self.rng.uuid());
        let timestamp = now.to_datetime().format("%Y-%m-%d %H:%M:%SZ").to_string();
        HttpResponse::new(status).with_json(&json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"),
            "error_codes": [number],
            "timestamp": timestamp,
            "trace_id": trace.to_string(),
            "correlation_id": correlation.to_string(),
        }))
    }

    /// A token of this application, valid for `lifetime`.
    pub fn issue(&mut self, now: Timestamp, client_id: &str, lifetime: Span, answers_claims: bool) -> String {
        self.issued.retain(|_, issued| issued.expires_at + Span::from_hours(1) > now);
        let expires_at = now + lifetime;
        let roles = self.application.roles.clone();
        let mut claims = json!({
            "aud": "https://graph.microsoft.com", "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": now.as_millis() / 1000, "nbf": now.as_millis() / 1000, "exp": expires_at.as_millis() / 1000,
            "appid": client_id, "idtyp": "app", "tid": self.tenant.to_string(), "uti": self.rng.uuid().simple().to_string(),
        });
        if !roles.is_empty() {
            claims["roles"] = json!(roles);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = URL_SAFE_NO_PAD.encode(self.rng.uuid().as_bytes());
        let token = format!(
            "{}.{}.{signature}",
            part(&json!({"typ": "JWT", "alg": "RS256", "kid": KEY_ID})),
            part(&claims)
        );
        let issued = Issued { roles, client_id: client_id.to_owned(), expires_at, answers_claims };
        self.issued.insert(token.clone(), issued);
        token
    }

    /// `(client id, roles)` of the bearer, or the 401.
    pub fn authenticate(
        &self,
        now: Timestamp,
        authorization: Option<&str>,
    ) -> Result<(String, Vec<String>), GraphError> {
        let token = authorization.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        if token.is_empty() {
            return Err(unauthenticated("Access token is empty."));
        }
        let issued = self
            .issued
            .get(token)
            .ok_or_else(|| unauthenticated("CompactToken parsing failed with error code: 80049217"))?;
        if issued.expires_at <= now {
            return Err(unauthenticated(EXPIRED));
        }
        if self.wants_claims && !issued.answers_claims {
            return Err(claims_challenge(now));
        }
        Ok((issued.client_id.clone(), issued.roles.clone()))
    }
}

const KEY_ID: &str = "c2ltdWxhdGVkLXRlbmFudC1rZXk";

fn unauthenticated(message: &str) -> GraphError {
    GraphError::new(401, "InvalidAuthenticationToken", message).with_header(
        "www-authenticate",
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
    )
}

/// Entra: claims challenge of continuous access evaluation.
fn claims_challenge(now: Timestamp) -> GraphError {
    let claims =
        json!({"access_token": {"nbf": {"essential": true, "value": (now.as_millis() / 1000).to_string()}}});
    let claims = base64::engine::general_purpose::STANDARD.encode(claims.to_string());
    GraphError::new(401, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp")
        .with_header("www-authenticate", format!("Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\""))
}

/// Three parts, a signed algorithm, issuer and subject the client itself, and not expired. The signature is not
/// checked.
fn assertion_fits(now: Timestamp, client_id: &str, assertion: &str) -> bool {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return false };
    let decode =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (Some(header), Some(claims)) = (decode(header), decode(claims)) else { return false };
    let is_signed =
        header["alg"].as_str().is_some_and(|algorithm| algorithm != "none") && !signature.is_empty();
    let expires_at = claims["exp"].as_i64().unwrap_or(0);
    // A federated credential carries a foreign issuer; then the subject is not the client either.
    let is_own = claims["iss"] == client_id && claims["sub"] == client_id;
    let is_federated = claims["iss"].as_str().is_some_and(|issuer| issuer.starts_with("https://"));
    is_signed && expires_at > now.as_millis() / 1000 && claims["aud"].is_string() && (is_own || is_federated)
}

fn discovery(origin: &str, tenant: &str) -> Value {
    json!({
        "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{origin}/{tenant}/discovery/v2.0/keys"),
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{origin}/{tenant}/v2.0"),
        "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    })
}

fn instances(origin: &str, tenant: &str) -> Value {
    let host = origin.split("://").nth(1).unwrap_or(origin);
    json!({
        "tenant_discovery_endpoint": format!("{origin}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}

fn keys() -> Value {
    let modulus = URL_SAFE_NO_PAD.encode([0xa5_u8; 256]);
    json!({"keys": [{"kty": "RSA", "use": "sig", "kid": KEY_ID, "x5t": KEY_ID, "n": modulus, "e": "AQAB"}]})
}
