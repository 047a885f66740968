//! The loop around every read: asked again until it is answered usably, within bounds.

use std::time::Duration;

use super::super::error::{Error, RequestIds};
use super::super::link::GraphUrl;
use super::super::request::{Endpoint, Request};
use super::super::response::{Decoded, decode_error, is_error_readable};
use super::super::throttle::{MAX_READ_ATTEMPTS, MAX_READ_WAIT, delay_before, is_throttled, is_transient};
use super::super::transport::TransportError;
use super::{Client, Exchange, is_success};

/// An answer whose body makes no sense, success or error, is asked for again so often: a gateway's HTML passes, a
/// server's bug does not.
pub(super) const MAX_MALFORMED: u32 = 2;

/// How long one read is worth asking again.
pub(super) struct Patience {
    pub(super) attempts: u32,
    /// Between the attempts, all together.
    pub(super) wait: Duration,
}

impl Patience {
    pub(super) fn with(endpoint: Endpoint) -> Self {
        match endpoint {
            // The questions in it can be asked one by one as well.
            Endpoint::Batch => Self { attempts: 4, wait: MAX_READ_WAIT },
            // Of many mailboxes some never answer, and the others wait behind them. They are asked again later.
            Endpoint::MailboxKind | Endpoint::MailboxIdentity => {
                Self { attempts: 3, wait: Duration::from_secs(10) }
            }
            _ => Self { attempts: MAX_READ_ATTEMPTS, wait: MAX_READ_WAIT },
        }
    }
}

/// What was read, and the ids of the exchange that brought it: what is found wrong with it later is told with them.
pub(super) struct Answered<T> {
    pub(super) value: T,
    pub(super) ids: RequestIds,
}

impl Client {
    /// Sends a read until it is answered usably, for as long as its [`Patience`] lasts.
    pub(super) async fn read<T>(
        &self,
        request: &Request,
        decode: impl Fn(&[u8]) -> Decoded<T>,
    ) -> Result<T, Error> {
        let url = self.url_of(request)?;
        Ok(self.read_at(request, &url, decode).await?.value)
    }

    /// [`Client::read`] at a followed link.
    pub(super) async fn read_at<T>(
        &self,
        request: &Request,
        url: &GraphUrl,
        decode: impl Fn(&[u8]) -> Decoded<T>,
    ) -> Result<Answered<T>, Error> {
        let mut waited = Duration::ZERO;
        self.read_within(request, url, decode, &mut waited).await
    }

    /// [`Client::read_at`] as a part of something larger: `waited` is what that has spent on waiting.
    pub(super) async fn read_within<T>(
        &self,
        request: &Request,
        url: &GraphUrl,
        decode: impl Fn(&[u8]) -> Decoded<T>,
        waited: &mut Duration,
    ) -> Result<Answered<T>, Error> {
        let endpoint = request.endpoint;
        let patience = Patience::with(endpoint);
        let mut malformed = 0;
        let mut attempt = 1;
        loop {
            let exchange = self.exchange(request, url).await?;
            let last = match judge(endpoint, &exchange, &mut malformed, &decode)? {
                Ok(value) => return Ok(Answered { value, ids: exchange.ids }),
                Err(reason) => reason,
            };
            let response = exchange.outcome.as_ref().ok();
            let delay = delay_before(attempt + 1, url.as_str(), response, self.shared.clock.now());
            if attempt >= patience.attempts || *waited + delay > patience.wait {
                let is_throttled = response.is_some_and(|response| is_throttled(response.status));
                return Err(Error::Unanswered { endpoint, attempts: attempt, last, is_throttled });
            }
            *waited += delay;
            attempt += 1;
            let status = response.map(|response| response.status);
            tracing::debug!(endpoint = endpoint.label(), attempt, status, ?delay, "reading again");
            self.shared.clock.sleep(delay).await;
        }
    }
}

/// The value, or inside why it is worth asking again; outside what no repetition changes. `malformed` counts bodies
/// that made no sense.
fn judge<T>(
    endpoint: Endpoint,
    Exchange { ids, outcome }: &Exchange,
    malformed: &mut u32,
    decode: impl Fn(&[u8]) -> Decoded<T>,
) -> Result<Result<T, String>, Error> {
    let not_understood = |detail: String| Error::Malformed { endpoint, detail, ids: ids.clone() };
    let response = match outcome {
        Ok(response) => response,
        Err(TransportError::TooLarge { limit_bytes }) => {
            return Err(not_understood(format!("larger than {limit_bytes} bytes")));
        }
        Err(fault) => return Ok(Err(format!("{fault} ({ids})"))),
    };
    if is_success(response) {
        // Nobody asked for a part: a list that looks whole must be whole.
        let is_part = response.status == 206;
        let decoded =
            if is_part { Err("only a part of the answer (206)".to_owned()) } else { decode(&response.body) };
        return match decoded {
            Ok(value) => Ok(Ok(value)),
            Err(detail) => {
                *malformed += 1;
                if *malformed > MAX_MALFORMED {
                    Err(not_understood(detail))
                } else {
                    Ok(Err(format!("{detail} ({ids})")))
                }
            }
        };
    }
    let answer = decode_error(response, &ids.client_request);
    if is_transient(response.status) {
        return Ok(Err(answer.to_string()));
    }
    if !is_error_readable(response) && *malformed < MAX_MALFORMED {
        *malformed += 1;
        return Ok(Err(answer.to_string()));
    }
    Err(Error::Answer { endpoint, answer: Box::new(answer) })
}
