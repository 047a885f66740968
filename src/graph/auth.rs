//! Sign-in: access tokens for one tenant, cached, renewed before they expire, fetched once however many wait.
//!
//! Goes through the [`Transport`] and the [`Clock`] like everything else, so that expiry and refusal run inside the
//! simulation. Tokens and secrets leave this room only inside the `authorization` header of a [`GraphUrl`] request,
//! and never through `Debug`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::model::{Span, TenantId, Timestamp};

use super::cloud::Roots;
use super::error::{RequestIds, tame};
use super::link::GraphUrl;
use super::transport::{HttpRequest, HttpResponse, Method, Transport, TransportError};

mod answer;
mod assertion;
mod claims;
mod sign_in;

pub use answer::{SignInError, SignInFault};
pub(super) use claims::{Challenge, challenge};
pub use sign_in::{MANAGED_IDENTITY_ENDPOINT, SignIn};

use answer::{Grant, decode_grant};

/// A token is renewed when it has less than this left, or a quarter of its life. Tokens live 60 to 90 minutes.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// What a token is taken to live at least, so that an absurd lifetime does not cost a token request for each request.
const MIN_LIFETIME: Duration = Duration::from_secs(30);

/// Attempts at one token, with 1 s and 2 s between them, fewer when the server asks for a longer pause: sign-in is
/// rarely down for long, and the next pass comes anyway.
const MAX_ATTEMPTS: u32 = 3;

/// After a refusal nobody asks again for so long: a wrong secret does not get right by repeating it.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The same after a failure that may pass.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(10);

/// Between two renewals because of a 401: a server that refuses good tokens must not become a storm of token
/// requests.
const FORCED_APART: Duration = Duration::from_secs(60);

/// A token of the tenant. Which one is told by its serial number, also when two have the same text.
#[derive(Clone)]
pub(super) struct AccessToken {
    text: Arc<SecretString>,
    serial: u64,
}

impl AccessToken {
    /// The only place where a token becomes part of a request, and it takes nothing but a checked URL.
    pub(super) fn authorize(&self, method: Method, url: &GraphUrl) -> HttpRequest {
        HttpRequest::new(method, url.as_str())
            .with_header("authorization", format!("Bearer {}", self.text.expose_secret()))
    }

    /// See [`HttpResponse::leave_out`].
    pub(super) fn leave_out_of(&self, response: &mut HttpResponse) {
        response.leave_out(self.text.expose_secret());
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(serial {})", self.serial)
    }
}

/// Who signs in where.
pub(super) struct Authority {
    pub(super) tenant: TenantId,
    pub(super) roots: Roots,
    pub(super) sign_in: SignIn,
}

/// The token of one tenant.
pub(super) struct TokenSource {
    authority: Authority,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// Held during a token request: whoever comes meanwhile waits and finds the new token.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    serial: u64,
    failure: Option<(SignInError, Duration)>,
    /// When a token was last given up because of a 401, without and with a challenge.
    last_refused: Option<Duration>,
    last_challenged: Option<Duration>,
    /// From a claims challenge, to be sent with the next token request.
    claims: Option<String>,
}

struct Current {
    token: AccessToken,
    /// On the monotonic clock.
    renew_from: Duration,
    expires: Duration,
    roles: Option<Vec<String>>,
}

/// What the wire said to one token request, for metrics and skew.
pub(super) trait TokenWatcher: Send + Sync {
    fn answered(&self, response: Option<&HttpResponse>, duration: Duration);

    /// A fresh GUID for `client-request-id` and `jti`.
    fn fresh_id(&self) -> String;

    /// Local clock minus server clock.
    fn skew(&self) -> Option<Span>;
}

impl TokenSource {
    pub(super) fn new(authority: Authority, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { authority, transport, clock, state: Mutex::new(State::default()) }
    }

    /// A token that is good for at least some seconds.
    ///
    /// While a token still lives, a failure to renew it is not an error.
    pub(super) async fn token(&self, watcher: &dyn TokenWatcher) -> Result<AccessToken, SignInError> {
        let mut state = self.state.lock().await;
        let now = self.clock.monotonic();
        if let Some(current) = &state.current
            && state.claims.is_none()
            && current.renew_from > now
        {
            return Ok(current.token.clone());
        }
        match self.renew(&mut state, watcher).await {
            Ok(token) => Ok(token),
            Err(error) => {
                let now = self.clock.monotonic();
                let usable =
                    state.current.as_ref().filter(|current| current.expires > now && state.claims.is_none());
                usable.map(|current| current.token.clone()).ok_or(error)
            }
        }
    }

    /// Takes note that `refused` was answered with 401. The next [`Self::token`] brings another one, unless somebody
    /// else has renewed it already or it was renewed for the same reason a moment ago.
    pub(super) async fn refused(&self, refused: &AccessToken, challenge: Option<Challenge>) {
        let mut state = self.state.lock().await;
        let is_current = state.current.as_ref().is_some_and(|current| current.token.serial == refused.serial);
        if !is_current {
            return;
        }
        let now = self.clock.monotonic();
        let last = if challenge.is_some() { &mut state.last_challenged } else { &mut state.last_refused };
        if last.is_some_and(|last| now < last + FORCED_APART) {
            return;
        }
        *last = Some(now);
        state.current = None;
        if self.authority.sign_in.takes_claims() {
            state.claims = challenge.map(|challenge| challenge.claims);
        }
    }

    /// The application permissions in the current token: a hint for diagnostics, never for decisions.
    pub(super) async fn roles(&self, watcher: &dyn TokenWatcher) -> Result<Option<Vec<String>>, SignInError> {
        self.token(watcher).await?;
        Ok(self.state.lock().await.current.as_ref().and_then(|current| current.roles.clone()))
    }

    async fn renew(&self, state: &mut State, watcher: &dyn TokenWatcher) -> Result<AccessToken, SignInError> {
        if let Some((failure, until)) = &state.failure
            && self.clock.monotonic() < *until
        {
            return Err(failure.clone());
        }
        match self.fetch(state.claims.as_deref(), watcher).await {
            Ok(grant) => {
                state.serial += 1;
                let token = AccessToken { text: Arc::new(grant.token), serial: state.serial };
                let lifetime = grant.lifetime.max(MIN_LIFETIME);
                let expires = self.clock.monotonic() + lifetime;
                let renew_from = expires.saturating_sub(RENEW_BEFORE.min(lifetime / 4));
                state.current =
                    Some(Current { token: token.clone(), renew_from, expires, roles: grant.roles });
                state.failure = None;
                state.claims = None;
                Ok(token)
            }
            Err(error) => {
                let pause = if error.is_temporary() { UNAVAILABLE_FOR } else { REFUSED_FOR };
                let pause = error.retry_after().map_or(pause, |asked| pause.max(asked));
                if !error.is_temporary() {
                    // The challenge itself may be what was refused; the next one can ask again.
                    state.claims = None;
                }
                state.failure = Some((error.clone(), self.clock.monotonic() + pause));
                Err(error)
            }
        }
    }

    async fn fetch(&self, claims: Option<&str>, watcher: &dyn TokenWatcher) -> Result<Grant, SignInError> {
        let mut attempt = 1;
        loop {
            let error = match self.fetch_once(claims, watcher).await {
                Ok(grant) => return Ok(grant),
                Err(error) => error,
            };
            let delay = Duration::from_secs(1 << (attempt - 1));
            let asks_for_more = error.retry_after().is_some_and(|asked| asked > delay);
            if !error.is_temporary() || asks_for_more || attempt >= MAX_ATTEMPTS {
                return Err(error);
            }
            self.clock.sleep(delay).await;
            attempt += 1;
        }
    }

    async fn fetch_once(
        &self,
        claims: Option<&str>,
        watcher: &dyn TokenWatcher,
    ) -> Result<Grant, SignInError> {
        let now = self.server_time(watcher);
        let request = self.authority.token_request(now, claims, &watcher.fresh_id())?;
        let client_request = watcher.fresh_id();
        let request = request.with_header("client-request-id", client_request.clone());
        let started = self.clock.monotonic();
        let mut answer = self.transport.send(request).await;
        if let (Ok(refusal), Some(secret)) = (&mut answer, self.authority.sign_in.secret())
            && refusal.status != 200
        {
            refusal.leave_out(secret.expose_secret());
        }
        watcher.answered(answer.as_ref().ok(), self.clock.monotonic().saturating_sub(started));
        let request = answer.as_ref().ok().and_then(request_id).map(tame);
        let grant = match answer {
            Ok(response) => decode_grant(&response, now),
            Err(fault) => Err(SignInError::unreachable(&fault)),
        };
        grant.map_err(|error| error.with_ids(&RequestIds { request, client_request }))
    }

    /// Our time, corrected by what the server's clock is known to say: an assertion outside its validity is refused.
    fn server_time(&self, watcher: &dyn TokenWatcher) -> Timestamp {
        let now = self.clock.now();
        watcher.skew().map_or(now, |skew| now - skew)
    }
}

/// Entra's own name for it, else that of the rest of Microsoft.
fn request_id(response: &HttpResponse) -> Option<&str> {
    response.header("x-ms-request-id").or_else(|| response.header("request-id"))
}

impl SignInError {
    /// What Microsoft's support asks for, too.
    fn with_ids(mut self, ids: &RequestIds) -> Self {
        self.message = format!("{} ({ids})", self.message);
        self
    }

    fn unreachable(fault: &TransportError) -> Self {
        let text = fault.to_string();
        let is_untrusted = matches!(fault, TransportError::Connect(_)) && text.contains("certificate");
        let kind = if is_untrusted { SignInFault::Untrusted } else { SignInFault::Unavailable };
        Self::temporary(kind, text)
    }
}

#[cfg(test)]
mod tests;
