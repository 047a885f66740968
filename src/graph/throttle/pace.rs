//! The pace of writes: the budget, and less than it where the quota turns out to be used up, as when another program
//! writes under the same application. Yields by a quarter, comes back slowly. No clock of its own.

use std::time::Duration;

use super::budget::{Bucket, WHOLE};

/// The refusal that speaks of the quota of writes (header `x-ms-throttle-information`).
const QUOTA_USED_UP: &str = "WriteLimitExceeded";

/// Of a pace that was too fast, so many thousandths remain.
const YIELD: u32 = 750;

/// Never slower than this: an eighth of the quota, so that even a crowded tenant gets two repairs a second.
const SLOWEST: u32 = WHOLE / 8;

/// Thousandths of the quota by which the pace grows in each second without a refusal.
const GROWTH_PER_SECOND: u32 = 2;

/// Requests under way together are refused together, and that is one sign, not eight.
const ONE_SIGN: Duration = Duration::from_secs(5);

/// Without a reason named, so many refusals among the last 16 answers are taken for a quota used up: one in a hundred
/// at random comes to that once in a thousand times.
const UNNAMED_SIGNS: u32 = 3;

#[derive(Debug)]
pub(super) struct WritePace {
    budget: Bucket,
    /// Thousandths of the budget, just after the last sign.
    share: u32,
    /// When the quota was seen to be used up.
    sign: Option<Duration>,
    paused_until: Duration,
    /// The last 16 answers, a bit for each; 1 is a refusal without a reason.
    refusals: u16,
}

impl WritePace {
    pub(super) fn new(budget: Bucket) -> Self {
        Self { budget, share: WHOLE, sign: None, paused_until: Duration::ZERO, refusals: 0 }
    }

    /// Takes one write and says how long to wait before it may be sent.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        self.budget.set_share(self.share_at(now), now);
        self.budget.take(1, now).max(self.paused(now))
    }

    /// How long no write is sent at all.
    pub(super) fn paused(&self, now: Duration) -> Duration {
        self.paused_until.saturating_sub(now)
    }

    pub(super) fn answered(&mut self) {
        self.refusals <<= 1;
    }

    /// A write was refused for going too fast, with the reason and the delay that the answer names.
    pub(super) fn refused(&mut self, reason: Option<&str>, delay: Duration, now: Duration) {
        let is_quota = match reason {
            Some(reason) => reason == QUOTA_USED_UP,
            None => {
                self.refusals = self.refusals << 1 | 1;
                self.refusals.count_ones() >= UNNAMED_SIGNS
            }
        };
        if !is_quota {
            return;
        }
        self.refusals = 0;
        self.paused_until = self.paused_until.max(now + delay);
        if self.sign.is_none_or(|sign| now >= sign + ONE_SIGN) {
            self.share = (self.share_at(now) * YIELD / WHOLE).max(SLOWEST);
            self.sign = Some(now);
        }
    }

    fn share_at(&self, now: Duration) -> u32 {
        let Some(sign) = self.sign else { return self.share };
        let seconds = u32::try_from(now.saturating_sub(sign).as_secs()).unwrap_or(u32::MAX);
        self.share.saturating_add(seconds.saturating_mul(GROWTH_PER_SECOND)).min(WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> WritePace {
        WritePace::new(Bucket::new(3_000, 40, Duration::from_secs(150), Duration::ZERO))
    }

    #[test]
    fn a_used_up_quota_pauses_all_writes_slows_them_and_is_forgotten_slowly() {
        let mut pace = pace();
        for _ in 0..8 {
            pace.refused(Some(QUOTA_USED_UP), 7 * SECOND, SECOND);
        }
        assert_eq!((pace.paused(SECOND), pace.share_at(SECOND)), (7 * SECOND, 750), "one sign");
        assert_eq!(pace.paused(8 * SECOND), Duration::ZERO);
        assert_eq!(pace.share_at(51 * SECOND), 850);
        assert_eq!(pace.share_at(1_000 * SECOND), WHOLE);
        for round in 0..50 {
            pace.refused(Some(QUOTA_USED_UP), SECOND, (20 + round * 6) * SECOND);
        }
        assert!(pace.share_at(320 * SECOND) >= SLOWEST);
    }

    #[test]
    fn refusals_for_other_reasons_or_now_and_then_say_nothing_about_the_quota() {
        let mut pace = pace();
        for round in 0..100 {
            pace.refused(Some("ResourceUnitLimitExceeded"), 7 * SECOND, SECOND);
            if round % 10 == 0 {
                pace.refused(None, 7 * SECOND, SECOND);
            }
            pace.answered();
        }
        assert_eq!((pace.paused(SECOND), pace.share_at(SECOND)), (Duration::ZERO, WHOLE));
        for _ in 0..UNNAMED_SIGNS {
            pace.refused(None, 7 * SECOND, SECOND);
        }
        assert_eq!((pace.paused(SECOND), pace.share_at(SECOND)), (7 * SECOND, 750));
    }
}
