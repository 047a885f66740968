//! The only production file that reads time.
//!
//! Everything that decides takes `now` as an argument; what must wait or stamp takes a [`Clock`].

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};

use crate::model::{Span, Timestamp};

/// Wall-clock time, elapsed time and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time, UTC. May jump in both directions.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start. Never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` of this clock's time.
    async fn sleep(&self, duration: Duration);

    /// Ends once `duration` has passed, for giving up on what takes too long. Nobody waits for it as for a sleep: a
    /// clock that moves by its sleeps does not move by this.
    async fn deadline(&self, duration: Duration) {
        self.sleep(duration).await;
    }
}

/// The answer, if it comes before `wait` has passed. For what a pass can do without: retries on a bad day take minutes.
pub async fn within<T>(clock: &dyn Clock, wait: Duration, answer: impl Future<Output = T>) -> Option<T> {
    match select(pin!(answer), pin!(clock.deadline(wait))).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}

/// Both times at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    wall: Timestamp,
    elapsed: Duration,
}

impl Reading {
    pub fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), elapsed: clock.monotonic() }
    }

    /// By how much the wall clock was set between the two, backwards if negative.
    pub fn set_by_since(self, before: Self) -> Span {
        let elapsed = Span::from_duration(self.elapsed.saturating_sub(before.elapsed));
        Span::from_millis((self.wall - before.wall).as_millis().saturating_sub(elapsed.as_millis()))
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        Self { started: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
