//! The only production file that reads time.
//!
//! Everything that decides takes `now` as an argument; what must wait or stamp takes a [`Clock`].

use std::time::Duration;

use async_trait::async_trait;

use crate::model::Timestamp;

/// Wall-clock time, elapsed time and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time, UTC. May jump in both directions.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start. Never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` of this clock's time.
    async fn sleep(&self, duration: Duration);
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
