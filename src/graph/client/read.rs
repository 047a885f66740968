//! The loop around every read: asked again until it is answered usably, within bounds.

use std::time::Duration;

use super::super::error::Error;
use super::super::link::GraphUrl;
use super::super::request::{Endpoint, Request};
use super::super::response::{Decoded, decode_error, is_error_readable};
use super::super::throttle::{MAX_READ_ATTEMPTS, MAX_READ_WAIT, delay_before, is_transient};
use super::super::transport::TransportError;
use super::{Client, Exchange, is_success};

/// An answer whose body makes no sense, success or error, is asked for again so often: a gateway's HTML passes, a
/// server's bug does not.
const MAX_MALFORMED: u32 = 2;

impl Client {
    /// Sends a read until it is answered usably, at most [`MAX_READ_ATTEMPTS`] times.
    pub(super) async fn read<T>(
        &self,
        request: &Request,
        decode: impl Fn(&[u8]) -> Decoded<T>,
    ) -> Result<T, Error> {
        let url = self.url_of(request)?;
        self.read_at(request, &url, decode).await
    }

    /// [`Client::read`] at a followed link.
    pub(super) async fn read_at<T>(
        &self,
        request: &Request,
        url: &GraphUrl,
        decode: impl Fn(&[u8]) -> Decoded<T>,
    ) -> Result<T, Error> {
        let endpoint = request.endpoint;
        let mut malformed = 0;
        let mut waited = Duration::ZERO;
        let mut attempt = 1;
        loop {
            let exchange = self.exchange(request, url).await?;
            let last = match judge(endpoint, &exchange, &mut malformed, &decode)? {
                Ok(value) => return Ok(value),
                Err(reason) => reason,
            };
            let response = exchange.outcome.as_ref().ok();
            let delay = delay_before(attempt + 1, url.as_str(), response, self.shared.clock.now());
            waited += delay;
            if attempt >= MAX_READ_ATTEMPTS || waited > MAX_READ_WAIT {
                return Err(Error::Unanswered { endpoint, attempts: attempt, last });
            }
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
        return match decode(&response.body) {
            Ok(value) => Ok(Ok(value)),
            Err(detail) => {
                *malformed += 1;
                if *malformed > MAX_MALFORMED { Err(not_understood(detail)) } else { Ok(Err(detail)) }
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
