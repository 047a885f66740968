//! Tokens: issued at the sign-in endpoints, and who a bearer is. They are signed, so that anybody can check them by the
//! published key; the tenant itself recognises them by looking them up.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::GraphError;
use super::rng::Rng;
use super::sign_in::{self, Place, Refusal};
use super::signature;
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
    domain: String,
    application: Application,
    rng: Rng,
    headers_rng: Rng,
    issued: BTreeMap<String, Issued>,
    wants_claims: bool,
}

const EXPIRED: &str = "Lifetime validation failed, the token is expired.";

impl Tokens {
    pub fn new(tenant: TenantId, domain: &str, application: Application, seed: u64) -> Self {
        Self {
            tenant,
            domain: domain.to_owned(),
            application,
            rng: Rng::stream(seed, "tokens"),
            headers_rng: Rng::stream(seed, "sign-in headers"),
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
        let (tenant, rest) = segments.split_first()?;
        let document = match (request.method, rest) {
            (_, ["oauth2", "v2.0", "token"] | ["oauth2", "token"]) => {
                let is_old = rest.len() == 2;
                return Some(self.sign_in(now, tenant, origin, is_old, request));
            }
            (Method::Get, ["discovery", "instance"]) => sign_in::instances(origin, &self.tenant.to_string()),
            (Method::Get, _)
                if *tenant != "common" && !sign_in::is_tenant(tenant, self.tenant, &self.domain) =>
            {
                let is_document = matches!(rest, [.., "openid-configuration" | "keys"]);
                // The documents have their own word for it.
                let refusal = Refusal { error: "invalid_tenant", ..sign_in::unknown(tenant) };
                return is_document.then(|| self.refuse(now, request, &refusal));
            }
            (Method::Get, ["v2.0", ".well-known", "openid-configuration"]) => {
                sign_in::discovery(origin, tenant, self.tenant)
            }
            (Method::Get, [".well-known", "openid-configuration"]) => {
                sign_in::old_discovery(origin, tenant, self.tenant)
            }
            (Method::Get, ["discovery", "v2.0", "keys"] | ["discovery", "keys"]) => signature::keys(),
            _ => return None,
        };
        Some(self.reply(request, 200, &document))
    }

    /// With the headers that Entra's sign-in endpoints send.
    fn reply(&mut self, request: &HttpRequest, status: u16, body: &Value) -> HttpResponse {
        let id = self.headers_rng.uuid().to_string();
        let mut answer = HttpResponse::new(status)
            .with_header("content-type", "application/json; charset=utf-8")
            .with_header("x-ms-request-id", body["trace_id"].as_str().unwrap_or(&id));
        if let Some(client_id) = request.header("client-request-id") {
            answer = answer.with_header("client-request-id", client_id);
        }
        answer.body = body.to_string().into_bytes();
        answer
    }

    fn sign_in(
        &mut self,
        now: Timestamp,
        tenant: &str,
        origin: &str,
        is_old: bool,
        request: &HttpRequest,
    ) -> HttpResponse {
        let Tokens { tenant: id, domain, application, .. } = self;
        let at = Place { now, tenant, id: *id, domain, origin, is_old };
        let asked = match sign_in::judge(request, &at, application) {
            Ok(asked) => asked,
            Err(refusal) => return self.refuse(now, request, &refusal),
        };
        let lifetime = Span::from_secs(self.rng.between(60 * 60, 90 * 60 - 1));
        let token = self.issue(now, &asked.client_id, lifetime, asked.has_claims);
        let seconds = lifetime.as_millis() / 1000;
        let mut answer = json!({
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
        });
        if is_old {
            // The first version of the endpoint writes numbers as texts, and says what the token is for.
            let text = |number: i64| Value::from(number.to_string());
            let begin = now.as_millis() / 1000;
            answer["expires_in"] = text(seconds);
            answer["ext_expires_in"] = text(seconds);
            answer["expires_on"] = text(begin + seconds);
            answer["not_before"] = text(begin);
            answer["resource"] = Value::from(asked.resource);
        }
        self.reply(request, 200, &answer).with_header("cache-control", "no-store, no-cache")
    }

    fn refuse(&mut self, now: Timestamp, request: &HttpRequest, refusal: &Refusal) -> HttpResponse {
        let (trace, correlation) = (self.rng.uuid(), self.rng.uuid());
        let named = request.header("client-request-id").and_then(|id| id.parse().ok());
        let correlation = named.unwrap_or(correlation);
        let timestamp = now.to_datetime().format("%Y-%m-%d %H:%M:%SZ").to_string();
        let Refusal { status, error, number, text } = refusal;
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"),
            "error_codes": [number],
            "timestamp": timestamp,
            "trace_id": trace.to_string(),
            "correlation_id": correlation.to_string(),
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        });
        self.reply(request, *status, &body)
    }

    /// A token of this application, valid for `lifetime`.
    pub fn issue(&mut self, now: Timestamp, client_id: &str, lifetime: Span, answers_claims: bool) -> String {
        self.issued.retain(|_, issued| issued.expires_at + Span::from_hours(1) > now);
        let expires_at = now + lifetime;
        let roles = self.application.roles.clone();
        let (uti, aio) = (self.rng.uuid(), URL_SAFE_NO_PAD.encode(self.rng.uuid().as_bytes()));
        let issuer = format!("https://sts.windows.net/{}/", self.tenant);
        let mut claims = json!({
            "aud": "https://graph.microsoft.com", "iss": issuer, "idp": issuer, "ver": "1.0",
            "iat": now.as_millis() / 1000, "nbf": now.as_millis() / 1000, "exp": expires_at.as_millis() / 1000,
            "appid": client_id, "appidacr": "1", "app_displayname": "mailkeeper", "idtyp": "app",
            "oid": SERVICE_PRINCIPAL, "sub": SERVICE_PRINCIPAL, "tid": self.tenant.to_string(),
            "uti": uti.simple().to_string(), "aio": aio,
        });
        if !roles.is_empty() {
            claims["roles"] = json!(roles);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let (kind, key) = ("JWT", signature::KEY_ID);
        let header = json!({"typ": kind, "alg": "RS256", "kid": key, "x5t": key});
        let token = signature::signed(&format!("{}.{}", part(&header), part(&claims)));
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
        let token = authorization.and_then(|header| credentials(header, "Bearer")).unwrap_or_default();
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

/// What follows a scheme, whose letter case does not count. RFC 9110, section 11.1.
pub(super) fn credentials<'h>(header: &'h str, scheme: &str) -> Option<&'h str> {
    let (named, rest) = header.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// The application in this tenant.
const SERVICE_PRINCIPAL: &str = "5d0f2b7e-6c1a-4f0e-9b4d-3a1f5c7e9b21";

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
