//! The sign-in endpoints of Entra: which request gets a token, what is wrong with the others, and the documents by
//! which libraries find their way. Source: Entra's client credentials flow, and its reference of AADSTS error codes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::certificate_chain;
use super::token::{Application, credentials};
use crate::graph::transport::{HttpRequest, Method};
use crate::model::{TenantId, Timestamp};

/// What a request for a token is judged by.
pub(super) struct Place<'a> {
    pub now: Timestamp,
    /// As it stands in the path.
    pub tenant: &'a str,
    pub id: TenantId,
    pub domain: &'a str,
    /// Of the endpoint that was asked.
    pub origin: &'a str,
    /// The first version of the endpoint, which knows resources instead of scopes.
    pub is_old: bool,
}

/// A request that gets a token.
#[derive(Debug)]
pub(super) struct Asked {
    pub client_id: String,
    pub has_claims: bool,
    pub resource: String,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    /// OAuth's word for it.
    pub error: &'static str,
    /// Of AADSTS.
    pub number: u32,
    pub text: String,
}

fn refusal(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Refusal {
    Refusal { status, error, number, text: text.into() }
}

fn missing(parameter: &str) -> Refusal {
    let text = format!("The request body must contain the following parameter: '{parameter}'.");
    refusal(400, "invalid_request", 900_144, text)
}

pub(super) fn unknown(tenant: &str) -> Refusal {
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct \
         cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the \
         tenant."
    );
    refusal(400, "invalid_request", 90_002, text)
}

/// By its id or by a domain: its own, or a first one, of which any will do.
pub(super) fn is_tenant(name: &str, id: TenantId, domain: &str) -> bool {
    let is_known =
        || name.eq_ignore_ascii_case(domain) || name.to_ascii_lowercase().ends_with(".onmicrosoft.com");
    name.parse::<TenantId>().map_or_else(|_| is_known() || is_of_many(name), |named| named == id)
}

fn is_of_many(tenant: &str) -> bool {
    matches!(tenant, "common" | "organizations" | "consumers")
}

/// The client credentials flow, checked in Entra's order.
pub(super) fn judge(
    request: &HttpRequest,
    at: &Place<'_>,
    application: &Application,
) -> Result<Asked, Refusal> {
    if request.method != Method::Post {
        let text = format!(
            "The endpoint only accepts POST requests. Received a {} request.",
            request.method.as_str()
        );
        return Err(refusal(400, "invalid_request", 900_561, text));
    }
    if is_of_many(at.tenant) {
        let text = "No tenant-identifying information found in either the request or implied by any provided credentials.";
        return Err(refusal(400, "invalid_request", 50_059, text));
    }
    if !is_tenant(at.tenant, at.id, at.domain) {
        return Err(unknown(at.tenant));
    }
    let mut form: BTreeMap<String, String> =
        url::form_urlencoded::parse(&request.body).into_owned().collect();
    if let Some((client_id, secret)) = request.header("authorization").and_then(basic) {
        form.insert("client_id".to_owned(), client_id);
        form.insert("client_secret".to_owned(), secret);
    }
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let grant = field("grant_type").ok_or_else(|| missing("grant_type"))?;
    if grant != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{grant}'.");
        return Err(refusal(400, "unsupported_grant_type", 70_003, text));
    }
    let client_id = field("client_id").ok_or_else(|| missing("client_id"))?;
    if application.client_id.as_deref().is_some_and(|known| known != client_id) {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory 'Contoso'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant."
        );
        return Err(refusal(400, "unauthorized_client", 700_016, text));
    }
    let resource = resource(&field, at)?;
    prove(&field, client_id, at, application)?;
    let has_claims = form.contains_key("claims");
    Ok(Asked { client_id: client_id.to_owned(), has_claims, resource })
}

/// `client_secret_basic` of RFC 6749.
fn basic(header: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(credentials(header, "Basic")?).ok()?).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let text = format!("x={text}");
        url::form_urlencoded::parse(text.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(client_id)?, plain(secret)?))
}

/// What the token is for: Graph in any of its clouds, or at this very address.
fn resource<'f>(field: &impl Fn(&str) -> Option<&'f str>, at: &Place<'_>) -> Result<String, Refusal> {
    let resource = if at.is_old {
        field("resource").ok_or_else(|| missing("resource"))?
    } else {
        let scope = field("scope").ok_or_else(|| missing("scope"))?;
        scope.strip_suffix("/.default").filter(|_| !scope.contains(' ')).ok_or_else(|| {
            let text = format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
                 /.default suffixed to the resource identifier (application ID URI)."
            );
            refusal(400, "invalid_scope", 1_002_012, text)
        })?
    };
    let host = resource.trim_end_matches('/').rsplit("://").next().unwrap_or_default();
    let is_graph = host.starts_with("graph.microsoft.")
        || host.starts_with("dod-graph.microsoft.")
        || host == "microsoftgraph.chinacloudapi.cn"
        || host == "00000003-0000-0000-c000-000000000000"
        || at.origin.ends_with(&format!("//{host}"));
    if is_graph {
        return Ok(resource.to_owned());
    }
    let text = format!(
        "The resource principal named {resource} was not found in the tenant named Contoso. This can happen if the \
         application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
    );
    Err(refusal(400, "invalid_resource", 500_011, text))
}

/// Secret or assertion.
fn prove<'f>(
    field: &impl Fn(&str) -> Option<&'f str>,
    client_id: &str,
    at: &Place<'_>,
    application: &Application,
) -> Result<(), Refusal> {
    if let Some(assertion) = field("client_assertion") {
        let type_fits =
            field("client_assertion_type") == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        if type_fits && assertion_fits(at, client_id, assertion) {
            return Ok(());
        }
        let text = "The certificate with identifier used to sign the client assertion is not registered on application.";
        return Err(refusal(401, "invalid_client", 700_027, text));
    }
    let Some(secret) = field("client_secret") else {
        let text =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(refusal(401, "invalid_client", 7_000_218, text));
    };
    if application.client_secret.as_deref().is_none_or(|known| known == secret) {
        return Ok(());
    }
    let text = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
         client secret ID, for a secret added to app '{client_id}'."
    );
    Err(refusal(401, "invalid_client", 7_000_215, text))
}

/// Three parts, an algorithm that Entra takes, for this tenant, and in its time. Our own certificate is named in the
/// header; a token of another issuer is for the exchange and nothing else. The signature is checked where the
/// certificate comes along.
fn assertion_fits(at: &Place<'_>, client_id: &str, assertion: &str) -> bool {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return false };
    let content = format!("{header}.{claims}");
    let decode =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (Some(header), Some(claims)) = (decode(header), decode(claims)) else { return false };
    let is_signed = matches!(header["alg"].as_str(), Some("RS256" | "PS256")) && !signature.is_empty();
    // msal writes fractions of seconds.
    let left_s = claims["exp"].as_f64().unwrap_or(0.0) - at.now.as_millis() as f64 / 1000.0;
    let is_timely = left_s > 0.0 && left_s <= LONGEST_ASSERTION_S;
    let audience = claims["aud"].as_str().unwrap_or_default();
    let issuer = claims["iss"].as_str().unwrap_or_default();
    let is_right = if issuer.starts_with("https://") {
        audience.starts_with("api://AzureADTokenExchange")
    } else {
        let names_certificate = ["x5t#S256", "x5t"].iter().any(|name| header[*name].is_string());
        issuer == client_id && claims["sub"] == client_id && names_certificate && is_endpoint(audience, at)
    };
    is_signed && is_timely && is_right && certificate_chain::fits(&header, &content, signature)
}

/// Entra: certificate credentials recommend minutes, and take a day.
const LONGEST_ASSERTION_S: f64 = 86_400.0;

/// A token endpoint of this tenant, or its issuer, at any host of sign-in.
fn is_endpoint(audience: &str, at: &Place<'_>) -> bool {
    let path = audience.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    path.and_then(|path| path.split_once('/')).is_some_and(|(tenant, rest)| {
        matches!(rest, "oauth2/v2.0/token" | "oauth2/token" | "v2.0") && is_tenant(tenant, at.id, at.domain)
    })
}

/// `tenant` as it was asked for. The issuer is the tenant itself, whatever name it was asked by; only the common
/// endpoints leave its place open.
pub(super) fn discovery(origin: &str, tenant: &str, id: TenantId) -> Value {
    let issuer = if is_of_many(tenant) { "{tenantid}".to_owned() } else { id.to_string() };
    json!({
        "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{origin}/{tenant}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{origin}/{issuer}/v2.0"),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{origin}/oidc/userinfo"),
        "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/logout"),
        "claims_supported": CLAIMS,
        "kerberos_endpoint": format!("{origin}/{tenant}/kerberos"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    })
}

/// Claims that Entra's tokens may hold. OpenID Connect Discovery 1.0 requires the fields beside this one, and libraries
/// refuse a document without them.
const CLAIMS: [&str; 18] = [
    "sub",
    "iss",
    "cloud_instance_name",
    "cloud_instance_host_name",
    "cloud_graph_host_name",
    "msgraph_host",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "acr",
    "nonce",
    "preferred_username",
    "name",
    "tid",
    "ver",
    "at_hash",
    "email",
];

/// The same of the first version of the endpoints.
pub(super) fn old_discovery(origin: &str, tenant: &str, id: TenantId) -> Value {
    let mut document = discovery(origin, tenant, id);
    document["token_endpoint"] = format!("{origin}/{tenant}/oauth2/token").into();
    document["authorization_endpoint"] = format!("{origin}/{tenant}/oauth2/authorize").into();
    document["device_authorization_endpoint"] = format!("{origin}/{tenant}/oauth2/devicecode").into();
    document["end_session_endpoint"] = format!("{origin}/{tenant}/oauth2/logout").into();
    document["userinfo_endpoint"] = format!("{origin}/{tenant}/openid/userinfo").into();
    document["jwks_uri"] = format!("{origin}/{tenant}/discovery/keys").into();
    let issuer = if is_of_many(tenant) { "{tenantid}".to_owned() } else { id.to_string() };
    document["issuer"] = format!("https://sts.windows.net/{issuer}/").into();
    document
}

pub(super) fn instances(origin: &str, tenant: &str) -> Value {
    let host = origin.split("://").nth(1).unwrap_or(origin);
    json!({
        "tenant_discovery_endpoint": format!("{origin}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}
