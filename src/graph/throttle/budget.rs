//! A token bucket that is paid in advance: a request takes its cost and is told how long to wait. No clock of its
//! own.

use std::time::Duration;

/// Thousandths of a unit, so that slow refills do not round to nothing.
const SCALE: i64 = 1_000;

/// Never spends more than `limit` in any stretch as long as `window`, wherever that stretch begins: a quarter of the
/// limit may be spent at once, three quarters flow back over a window.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    limit: i64,
    window: Duration,
    /// May fall below zero: what was promised to requests that still wait.
    available: i64,
    updated: Duration,
}

impl Bucket {
    pub(super) fn new(limit: u32, window: Duration, now: Duration) -> Self {
        let limit = i64::from(limit) * SCALE;
        Self { limit, window, available: limit / 4, updated: now }
    }

    pub(super) fn resize(&mut self, limit: u32, now: Duration) {
        self.refill(now);
        self.limit = i64::from(limit) * SCALE;
        self.available = self.available.min(self.limit / 4);
    }

    /// Takes `cost` units and says how long to wait before they may be used.
    pub(super) fn take(&mut self, cost: u32, now: Duration) -> Duration {
        self.refill(now);
        self.available -= i64::from(cost) * SCALE;
        let missing = u64::try_from(-self.available).unwrap_or(0);
        let flow_per_window = u64::try_from(self.limit / 4 * 3).unwrap_or(1).max(1);
        let window_us = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(missing.saturating_mul(window_us).div_ceil(flow_per_window))
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.updated).min(self.window * 2);
        let flow = i128::from(self.limit / 4 * 3) * i128::try_from(elapsed.as_micros()).unwrap_or(0)
            / i128::try_from(self.window.as_micros()).unwrap_or(1).max(1);
        let flow = i64::try_from(flow).unwrap_or(self.limit);
        if flow == 0 {
            // Too little time for a thousandth of a unit: let it add up.
            return;
        }
        self.updated = now;
        self.available = self.available.saturating_add(flow).min(self.limit / 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_anywhere_sees_more_than_the_limit() {
        let window = Duration::from_secs(150);
        let mut bucket = Bucket::new(3_000, window, Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut spent = Vec::new();
        for _ in 0..10_000 {
            now += bucket.take(1, now);
            spent.push(now);
        }
        for (first, start) in spent.iter().enumerate() {
            let inside = spent[first..].iter().take_while(|time| **time < *start + window).count();
            assert!(inside <= 3_000, "{inside} from {start:?} on");
        }
        // And it does not waste much: three quarters of the limit flow steadily.
        assert!(now < Duration::from_secs(10_000 / 15 + 1), "{now:?}");
    }

    #[test]
    fn waits_add_up_for_those_who_wait_together() {
        let mut bucket = Bucket::new(4, Duration::from_secs(3), Duration::ZERO);
        let waits: Vec<u64> = (0..4).map(|_| bucket.take(1, Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 3]);
    }
}
