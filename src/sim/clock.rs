//! Virtual time: a clock over tokio's (pausable) time for tests, and one that stands still for the demo.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::model::{Span, Timestamp};

/// Wall-clock time that starts at `epoch` and runs with tokio's clock: under `start_paused` a sleep of a month returns
/// at once. [`TokioClock::jump`] moves the wall clock alone, as a wrong time server would.
#[derive(Debug)]
pub struct TokioClock {
    epoch: Timestamp,
    started: tokio::time::Instant,
    offset_ms: AtomicI64,
}

impl TokioClock {
    pub fn new(epoch: Timestamp) -> Self {
        Self { epoch, started: tokio::time::Instant::now(), offset_ms: AtomicI64::new(0) }
    }

    /// Moves wall-clock time by `span`, also backwards. Elapsed time is not touched.
    pub fn jump(&self, span: Span) {
        self.offset_ms.fetch_add(span.as_millis(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = Span::from_duration(self.started.elapsed());
        self.epoch + elapsed + Span::from_millis(self.offset_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Real time between two looks at a clock that others move.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Time that stands still unless told. A sleep does not wait: it moves time forward by its length and yields, so that
/// a month of passes takes as long as its work. Two sleeps at once therefore add nothing to each other: time goes to
/// the later of the two ends.
#[derive(Debug)]
pub struct StepClock {
    epoch: Timestamp,
    now_ms: AtomicI64,
}

impl StepClock {
    pub fn new(epoch: Timestamp) -> Self {
        Self { epoch, now_ms: AtomicI64::new(epoch.as_millis()) }
    }

    /// Moves time forward to `target`; never backwards.
    pub fn advance_to(&self, target: Timestamp) {
        self.now_ms.fetch_max(target.as_millis(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        (self.now() - self.epoch).to_duration()
    }

    async fn sleep(&self, duration: Duration) {
        self.advance_to(self.now() + Span::from_duration(duration));
        tokio::task::yield_now().await;
    }

    async fn deadline(&self, duration: Duration) {
        let end = self.now() + Span::from_duration(duration);
        while self.now() < end {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test(start_paused = true)]
    async fn paused_tokio_time_runs_through_a_month_at_once() {
        let clock = TokioClock::new(EPOCH);
        clock.sleep(Span::from_days(30).to_duration()).await;
        assert_eq!(clock.now(), EPOCH + Span::from_days(30));
        clock.jump(Span::from_hours(-2));
        assert_eq!(clock.now(), EPOCH + Span::from_days(30) - Span::from_hours(2));
        assert_eq!(clock.monotonic(), Span::from_days(30).to_duration());
    }

    #[tokio::test]
    async fn a_step_clock_moves_only_forward_and_by_its_sleeps() {
        let clock = StepClock::new(EPOCH);
        assert_eq!(clock.now(), EPOCH);
        tokio::join!(clock.sleep(Duration::from_secs(5)), clock.sleep(Duration::ZERO));
        assert_eq!(clock.now(), EPOCH + Span::from_secs(5));
        clock.advance_to(EPOCH);
        assert_eq!(clock.now(), EPOCH + Span::from_secs(5));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
