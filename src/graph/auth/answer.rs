//! Answers of the token endpoint: a grant, or a refusal sorted for people. No I/O.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::model::Timestamp;

use super::super::error::tame;
use super::super::throttle::delay_named;
use super::super::transport::HttpResponse;

/// Where the answer names no lifetime: the shortest that Entra gives by default.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3_600);

/// The longest that Entra gives (28 hours, continuous access evaluation).
const MAX_LIFETIME: Duration = Duration::from_secs(28 * 3_600);

/// A token that worked.
pub(super) struct Grant {
    pub(super) token: SecretString,
    pub(super) lifetime: Duration,
    pub(super) roles: Option<Vec<String>>,
}

/// Why there is no token. `Display` is one line for people, with Microsoft's own words in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}: {message}")]
pub struct SignInError {
    pub fault: SignInFault,
    /// The `error_description` with its AADSTS number, or what happened on the way.
    pub message: String,
    is_temporary: bool,
    retry_after: Option<Duration>,
}

impl SignInError {
    pub(super) fn permanent(fault: SignInFault, message: String) -> Self {
        Self { fault, message, is_temporary: false, retry_after: None }
    }

    pub(super) fn temporary(fault: SignInFault, message: String) -> Self {
        Self { fault, message, is_temporary: true, retry_after: None }
    }

    /// True when the same request may work later. Follows from the status and the OAuth error, never from AADSTS
    /// numbers.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    /// How long the server asked to be left alone, capped.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// What a person would have to look at. Only for people: nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignInFault {
    WrongSecret,
    ExpiredSecret,
    UnknownApp,
    UnknownTenant,
    CertificateRejected,
    /// The assertion's times do not fit the server's clock.
    ClockOff,
    /// Conditional Access or a disabled service principal.
    Blocked,
    /// Refused for another reason.
    Refused,
    /// Not answered, throttled, or temporarily unavailable.
    Unavailable,
    /// Nobody whom this machine trusts vouches for the server: a proxy's or a simulated tenant's certificate.
    Untrusted,
    /// A key, certificate or token file of this machine cannot be used.
    LocalCredential,
    /// An answer that is no token.
    Malformed,
}

impl fmt::Display for SignInFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongSecret => "the client secret is wrong (the value is needed, not the id of the secret)",
            Self::ExpiredSecret => "the client secret has expired",
            Self::UnknownApp => "the app is not known in this tenant",
            Self::UnknownTenant => "the tenant is not known in this cloud",
            Self::CertificateRejected => "the certificate or federated token was rejected",
            Self::ClockOff => "the clock of this machine is off",
            Self::Blocked => "sign-in is blocked by the tenant",
            Self::Refused => "sign-in was refused",
            Self::Unavailable => "sign-in is temporarily unavailable",
            Self::Untrusted => {
                "the certificate of the sign-in server is not trusted: add its authority to the system's, or name it as \
                 `ca_file` beside other endpoints"
            }
            Self::LocalCredential => "the configured credential cannot be used",
            Self::Malformed => "the sign-in answer was not understood",
        })
    }
}

/// Numbers come as numbers from Entra and as text from managed identities.
#[derive(Deserialize)]
struct GrantWire {
    access_token: Option<String>,
    expires_in: Option<Value>,
    expires_on: Option<Value>,
}

#[derive(Deserialize, Default)]
struct RefusalWire {
    error: Option<String>,
    error_description: Option<String>,
    error_codes: Option<Vec<Value>>,
}

/// `now` is the server's time as far as it is known; only used where the answer tells an end and no length.
pub(super) fn decode_grant(response: &HttpResponse, now: Timestamp) -> Result<Grant, SignInError> {
    if response.status != 200 {
        return Err(SignInError { retry_after: delay_named(response, now), ..refusal(response) });
    }
    let malformed = |detail: &str| SignInError::temporary(SignInFault::Malformed, detail.to_owned());
    let wire: GrantWire =
        serde_json::from_slice(&response.body).map_err(|_| malformed("not the documented JSON"))?;
    let token = wire
        .access_token
        .filter(|token| is_header_safe(token))
        .ok_or_else(|| malformed("no access token"))?;
    let seconds = wire.expires_in.as_ref().and_then(number);
    let seconds = seconds.or_else(|| {
        wire.expires_on.as_ref().and_then(number).map(|end| end.saturating_sub(now.as_millis() / 1000))
    });
    let lifetime =
        seconds.map_or(DEFAULT_LIFETIME, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let roles = roles(&token);
    Ok(Grant { token: token.into(), lifetime: lifetime.min(MAX_LIFETIME), roles })
}

/// A token goes into a header line: visible ASCII only.
fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refusal(response: &HttpResponse) -> SignInError {
    let wire: RefusalWire = serde_json::from_slice(&response.body).unwrap_or_default();
    let error = wire.error.unwrap_or_default();
    let message = match wire.error_description {
        Some(description) => tame(&description),
        None if error.is_empty() => format!("status {} without an explanation", response.status),
        None => format!("status {}, {}", response.status, tame(&error)),
    };
    // Managed identities answer 404 and 410 while they start up; for the others a 404 is a gateway's.
    let is_temporary = matches!(error.as_str(), "temporarily_unavailable" | "server_error")
        || (error.is_empty() && matches!(response.status, 404 | 410))
        || matches!(response.status, 408 | 429 | 500..=599);
    if is_temporary {
        return SignInError::temporary(SignInFault::Unavailable, message);
    }
    let codes: Vec<i64> = wire.error_codes.unwrap_or_default().iter().filter_map(number).collect();
    SignInError::permanent(fault_for_people(&error, &codes), message)
}

/// The AADSTS numbers that people meet. Source: Entra error codes reference.
fn fault_for_people(error: &str, codes: &[i64]) -> SignInFault {
    codes
        .iter()
        .find_map(|code| match code {
            7_000_215 => Some(SignInFault::WrongSecret),
            7_000_222 => Some(SignInFault::ExpiredSecret),
            700_016 => Some(SignInFault::UnknownApp),
            90_002 | 900_023 => Some(SignInFault::UnknownTenant),
            700_027 | 70_021 | 700_213 => Some(SignInFault::CertificateRejected),
            700_024 => Some(SignInFault::ClockOff),
            53_003 | 7_000_112 => Some(SignInFault::Blocked),
            _ => None,
        })
        .unwrap_or(match error {
            "unauthorized_client" => SignInFault::UnknownApp,
            _ => SignInFault::Refused,
        })
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The `roles` claim, without any check of the token: it was issued for Graph, not for us.
fn roles(token: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        roles: Vec<String>,
    }
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.roles)
}
