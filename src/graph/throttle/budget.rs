//! A token bucket that is paid in advance: a request takes its cost and is told how long to wait. No clock of its
//! own.

use std::time::Duration;

/// Thousandths of a unit, so that slow refills do not round to nothing.
const SCALE: i64 = 1_000;

/// Never spends more than `limit` in any stretch as long as `window`, wherever that stretch begins: a part of the
/// limit may be spent at once, the rest flows back over a window.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    limit: i64,
    /// The limit divided by this may be spent at once.
    burst_divisor: i64,
    window: Duration,
    /// May fall below zero: what was promised to requests that still wait.
    available: i64,
    updated: Duration,
    /// Thousandths of the flow that are used at the moment.
    share: u32,
}

/// All of the flow.
pub(super) const WHOLE: u32 = 1_000;

impl Bucket {
    pub(super) fn new(limit: u32, burst_divisor: u32, window: Duration, now: Duration) -> Self {
        let (limit, burst_divisor) = (i64::from(limit) * SCALE, i64::from(burst_divisor.max(2)));
        Self { limit, burst_divisor, window, available: limit / burst_divisor, updated: now, share: WHOLE }
    }

    /// Whoever does not know what was spent just before begins with nothing at hand: the flow alone keeps below the
    /// limit, whatever an earlier process spent at this bucket's pace.
    pub(super) fn empty(self) -> Self {
        Self { available: 0, ..self }
    }

    pub(super) fn resize(&mut self, limit: u32, now: Duration) {
        self.refill(now);
        self.limit = i64::from(limit) * SCALE;
        self.available = self.available.min(self.burst());
    }

    /// Uses so many thousandths of the flow from now on.
    pub(super) fn set_share(&mut self, share: u32, now: Duration) {
        self.refill(now);
        self.share = share.clamp(1, WHOLE);
    }

    /// Takes `cost` units and says how long to wait before they may be used.
    pub(super) fn take(&mut self, cost: u32, now: Duration) -> Duration {
        self.refill(now);
        self.available -= i64::from(cost) * SCALE;
        let missing = u64::try_from(-self.available).unwrap_or(0);
        let window_us = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        let flow_per_window = u64::try_from(self.flow()).unwrap_or(1).max(1);
        Duration::from_micros(missing.saturating_mul(window_us).div_ceil(flow_per_window))
    }

    fn burst(&self) -> i64 {
        self.limit / self.burst_divisor
    }

    /// What comes back in one window.
    fn flow(&self) -> i64 {
        (self.limit - self.burst()) * i64::from(self.share) / i64::from(WHOLE)
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.updated).min(self.window * 2);
        let flow = i128::from(self.flow()) * i128::try_from(elapsed.as_micros()).unwrap_or(0)
            / i128::try_from(self.window.as_micros()).unwrap_or(1).max(1);
        let flow = i64::try_from(flow).unwrap_or(self.limit);
        if flow == 0 {
            // Too little time for a thousandth of a unit: let it add up.
            return;
        }
        self.updated = now;
        self.available = self.available.saturating_add(flow).min(self.burst());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of `count` requests that come one after the other may go.
    fn spent(bucket: &mut Bucket, count: usize) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut next = || {
            now += bucket.take(1, now);
            now
        };
        (0..count).map(|_| next()).collect()
    }

    fn most_in_a_window(spent: &[Duration], window: Duration) -> usize {
        let within =
            |first: usize| spent[first..].iter().take_while(|time| **time < spent[first] + window).count();
        (0..spent.len()).map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_window_anywhere_sees_more_than_the_limit() {
        let window = Duration::from_secs(150);
        for (burst_divisor, slowest) in [(4, 10_000 / 15 + 1), (40, 525)] {
            let spent = spent(&mut Bucket::new(3_000, burst_divisor, window, Duration::ZERO), 10_000);
            let most = most_in_a_window(&spent, window);
            assert!(most <= 3_000, "{most}");
            // And it does not waste much: all but the burst flows steadily.
            assert!(spent[9_999] < Duration::from_secs(slowest), "{:?}", spent[9_999]);
        }
    }

    #[test]
    fn a_process_that_follows_another_keeps_the_limit_with_it() {
        let window = Duration::from_secs(150);
        let new = || Bucket::new(3_000, 40, window, Duration::ZERO);
        let mut both = spent(&mut new(), 3_000);
        let restarted = both[2_999];
        both.extend(spent(&mut new().empty(), 3_000).into_iter().map(|time| restarted + time));
        let most = most_in_a_window(&both, window);
        assert!(most <= 3_000, "{most}");
    }

    #[test]
    fn a_smaller_share_flows_slower() {
        let mut bucket = Bucket::new(4, 4, Duration::from_secs(3), Duration::ZERO).empty();
        bucket.set_share(500, Duration::ZERO);
        let waits: Vec<u64> = (0..3).map(|_| bucket.take(1, Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [2, 4, 6]);
    }

    #[test]
    fn waits_add_up_for_those_who_wait_together() {
        let mut bucket = Bucket::new(4, 4, Duration::from_secs(3), Duration::ZERO);
        let waits: Vec<u64> = (0..4).map(|_| bucket.take(1, Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 3]);
    }
}
