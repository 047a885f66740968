//! How fast we ask, and when we ask again.
//!
//! Four parts: a budget of resource units and writes that keeps below Graph's published limits, a pace of writes that
//! yields where somebody else spends the same quota, a gate for each service behind Graph that closes when it throttles
//! us several times in a row, and the delays between attempts at one request.
//! Waits on the [`Clock`] only; the jitter is a hash, so that a simulation can be replayed. Knows no endpoints and
//! sends nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::model::Timestamp;

use super::request::Workload;
use super::transport::HttpResponse;

mod budget;
mod pace;

use budget::Bucket;
use pace::WritePace;

/// Most attempts at one read: the first and six repetitions, which with growing delays spans about half a minute.
pub(super) const MAX_READ_ATTEMPTS: u32 = 7;

/// Longest time that one read spends between its attempts: whatever a server asks for, a pass has to end.
pub(super) const MAX_READ_WAIT: Duration = Duration::from_secs(300);

/// Most attempts at one write. Only answers that say "not applied" are repeated, and the next pass comes anyway.
pub(super) const MAX_WRITE_ATTEMPTS: u32 = 3;

/// Longest `Retry-After` that a write waits for by itself; a longer one is told to the caller, who has other things to
/// do meanwhile.
pub(super) const MAX_WRITE_DELAY: Duration = Duration::from_secs(2);

/// Longest time for which one answer stops all writes.
const MAX_WRITE_PAUSE: Duration = Duration::from_secs(30);

/// Longest delay that a server can impose on a read. Microsoft's own clients give up after as much.
const MAX_DELAY: Duration = Duration::from_secs(180);

/// First delay where the server names none; doubled each time, up to [`MAX_BACKOFF`].
const BASE_BACKOFF: Duration = Duration::from_millis(500);

const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Throttled answers in a row, over all requests to one service, that close its gate. One request in five answered 429
/// at random reaches five in a row about once in 3,000 requests; a real block reaches it at once.
const GATE_AFTER: u32 = 5;

/// While the gate is closed one request at a time goes ahead to see whether it may open, each for so long.
const TRIAL: Duration = Duration::from_secs(10);

/// How often those who wait look whether the gate has opened.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// From this share of the limit on Graph reports `x-ms-throttle-limit-percentage`, and we slow down.
const SLOW_FROM_PERCENT: u32 = 80;

/// How long one such report counts: the window of the resource units.
const SLOW_FOR: Duration = Duration::from_secs(10);

/// Size class of the tenant, which sets its budget. Source: Graph throttling limits, identity and access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TenantSize {
    /// Fewer than 50 users, or not known yet.
    #[default]
    Small,
    /// 50 to 500 users.
    Medium,
    /// More than 500 users.
    Large,
}

impl TenantSize {
    pub fn of(users: u64) -> Self {
        match users {
            0..50 => Self::Small,
            50..=500 => Self::Medium,
            501.. => Self::Large,
        }
    }

    /// Resource units in 10 seconds.
    fn resource_units(self) -> u32 {
        match self {
            Self::Small => 3_500,
            Self::Medium => 5_000,
            Self::Large => 8_000,
        }
    }
}

/// Writes of one app in one tenant, in 150 seconds.
const WRITES: u32 = 3_000;

/// A fortieth of the writes may go at once; 39 fortieths flow, 19.5 a second. A larger burst would cost more than it
/// brings: ten thousand repairs take two per cent longer than the quota demands.
const WRITE_BURST_DIVISOR: u32 = 40;

/// Reads come in bursts: a quarter of the units may go at once.
const UNIT_BURST_DIVISOR: u32 = 4;

pub(super) struct Throttle {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    units: Bucket,
    writes: WritePace,
    /// By [`Workload`].
    gates: [Gate; Workload::COUNT],
    slow_percent: u32,
    slow_until: Duration,
}

/// Lets nobody through for a while after several throttled answers in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    throttled_in_a_row: u32,
    /// On the monotonic clock: no request before it.
    closed_until: Duration,
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>, size: TenantSize) -> Self {
        let now = clock.monotonic();
        let state = State {
            units: Bucket::new(size.resource_units(), UNIT_BURST_DIVISOR, Duration::from_secs(10), now),
            // The process before this one may have spent all of the window; nobody tells.
            writes: WritePace::new(
                Bucket::new(WRITES, WRITE_BURST_DIVISOR, Duration::from_secs(150), now).empty(),
            ),
            gates: Default::default(),
            slow_percent: 0,
            slow_until: Duration::ZERO,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Sets the budget to that of another size class.
    pub(super) fn resize(&self, size: TenantSize) {
        let now = self.clock.monotonic();
        self.with_state(|state| state.units.resize(size.resource_units(), now));
    }

    /// Returns when a request of that cost may be sent.
    pub(super) async fn admit(&self, workload: Workload, resource_units: u32, is_write: bool) {
        self.until_zero(|state, now| state.gates[workload as usize].closed(now)).await;
        let now = self.clock.monotonic();
        let wait = self.with_state(|state| {
            let cost = state.slowed(resource_units, now);
            let units = state.units.take(cost, now);
            let writes = if is_write { state.writes.take(now) } else { Duration::ZERO };
            units.max(writes)
        });
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        if is_write {
            // The quota may have turned out to be used up meanwhile.
            self.until_zero(|state, now| state.writes.paused(now)).await;
        }
    }

    /// Waits for as long as `remaining` says that something is closed.
    async fn until_zero(&self, remaining: impl Fn(&mut State, Duration) -> Duration) {
        loop {
            let now = self.clock.monotonic();
            let closed = self.with_state(|state| remaining(state, now));
            if closed.is_zero() {
                return;
            }
            self.clock.sleep(closed.min(LOOK_EVERY)).await;
        }
    }

    /// Learns from the answer to a write, beside what [`Throttle::learn`] does with every answer.
    pub(super) fn learn_write(&self, response: &HttpResponse, now_wall: Timestamp) {
        let now = self.clock.monotonic();
        let refused = is_throttled(response.status).then(|| {
            let named = delay_named(response, now_wall).unwrap_or(BASE_BACKOFF);
            (response.header("x-ms-throttle-information"), named.min(MAX_WRITE_PAUSE))
        });
        self.with_state(|state| match refused {
            None => state.writes.answered(),
            Some((reason, delay)) => state.writes.refused(reason, delay, now),
        });
    }

    /// Learns from an answer: the throttling headers, and whether it was a throttled one.
    pub(super) fn learn(&self, workload: Workload, response: &HttpResponse, now_wall: Timestamp) {
        let now = self.clock.monotonic();
        let percent = response.header("x-ms-throttle-limit-percentage").and_then(percent);
        let delay = is_throttled(response.status)
            .then(|| delay_named(response, now_wall))
            .map(Option::unwrap_or_default);
        self.with_state(|state| {
            if let Some(percent) = percent.filter(|percent| *percent >= SLOW_FROM_PERCENT) {
                state.slow_percent = percent;
                state.slow_until = now + SLOW_FOR;
            }
            state.gates[workload as usize].note(delay, now);
        });
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // A panic elsewhere cannot leave these counters in a state that would be dangerous to use.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    /// `delay`: of an answer that was throttled.
    fn note(&mut self, delay: Option<Duration>, now: Duration) {
        let Some(delay) = delay else {
            *self = Self::default();
            return;
        };
        self.throttled_in_a_row = self.throttled_in_a_row.saturating_add(1);
        if self.throttled_in_a_row >= GATE_AFTER {
            let times = (self.throttled_in_a_row - GATE_AFTER).min(6);
            let until = now + delay.max((BASE_BACKOFF * 2_u32.pow(times)).min(MAX_BACKOFF));
            self.closed_until = self.closed_until.max(until);
        }
    }

    /// How long the gate stays closed. Whoever finds it open during a block closes it behind itself: it is the trial.
    fn closed(&mut self, now: Duration) -> Duration {
        let closed = self.closed_until.saturating_sub(now);
        if closed.is_zero() && self.throttled_in_a_row >= GATE_AFTER {
            self.closed_until = now + TRIAL;
        }
        closed
    }
}

impl State {
    /// What a request counts for while Graph reports that the limit is near: at 80 % as it is, at 100 % double, at
    /// 180 % six times.
    fn slowed(&self, resource_units: u32, now: Duration) -> u32 {
        if now >= self.slow_until {
            return resource_units;
        }
        let above = self.slow_percent.saturating_sub(SLOW_FROM_PERCENT).min(100);
        resource_units.saturating_mul(100 + above * 5) / 100
    }
}

/// True for the statuses by which Graph and its gateways say "too much, too fast".
pub(super) fn is_throttled(status: u16) -> bool {
    matches!(status, 429 | 509)
}

/// True when repeating a read may help: throttled, busy, or a failure of a gateway or server.
pub(super) fn is_transient(status: u16) -> bool {
    is_throttled(status) || matches!(status, 408 | 500 | 502 | 503 | 504)
}

/// How long to wait before attempt `next_attempt` (2 is the first repetition) at `url`, after `response` or none.
pub(super) fn delay_before(
    next_attempt: u32,
    url: &str,
    response: Option<&HttpResponse>,
    now_wall: Timestamp,
) -> Duration {
    let doublings = next_attempt.saturating_sub(2).min(16);
    let backoff = (BASE_BACKOFF * 2_u32.pow(doublings)).min(MAX_BACKOFF);
    match response.and_then(|response| delay_named(response, now_wall)) {
        // Never earlier than asked; spread over a quarter of a second so that not all come back at once.
        Some(named) => named + jitter(url, next_attempt, BASE_BACKOFF / 2),
        None => backoff * 3 / 4 + jitter(url, next_attempt, backoff / 2),
    }
}

/// `Retry-After` as whole or decimal seconds or as an HTTP date, at most [`MAX_DELAY`]. `None` where it is missing or
/// unreadable, or says that the time has come already: who refuses and says "at once" has not told when.
pub(super) fn delay_named(response: &HttpResponse, now_wall: Timestamp) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() => return None,
        Ok(seconds) => seconds,
        Err(_) => {
            let until = http_date(text)?;
            // The server's date against the server's clock, where it tells it: ours may be wrong.
            let now = response.header("date").and_then(http_date).unwrap_or(now_wall);
            (until - now).as_secs_f64()
        }
    };
    if seconds <= 0.0 {
        return None;
    }
    let capped = seconds.clamp(0.0, MAX_DELAY.as_secs_f64());
    if seconds > capped {
        tracing::warn!(
            asked_seconds = seconds,
            capped_seconds = capped,
            "retry-after is absurdly long, capped"
        );
    }
    Some(Duration::from_secs_f64(capped))
}

/// An HTTP date, `Wed, 21 Oct 2026 07:28:00 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let time = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some(Timestamp::from_millis(time.timestamp_millis()))
}

/// A fixed part of `span` for this request and attempt: spread like chance, the same in every run, also where the
/// server listens on another port in the next one.
fn jitter(url: &str, attempt: u32, span: Duration) -> Duration {
    let below_origin = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = below_origin.map_or(url, |(_, path)| path);
    let digest = Sha256::new().chain_update(path.as_bytes()).chain_update(attempt.to_be_bytes()).finalize();
    let share = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    span * share / u32::from(u16::MAX)
}

/// `0.8` to `80`. Absurd values saturate.
fn percent(text: &str) -> Option<u32> {
    let share = text.trim().parse::<f64>().ok().filter(|share| share.is_finite())?;
    // The cast cannot lose anything: clamped just before.
    Some((share * 100.0).round().clamp(0.0, 1000.0) as u32)
}

#[cfg(test)]
mod tests;
