//! What one peer may make this node do, counted before anything is decoded.
//!
//! Two buckets fill up steadily, one with bytes and one with signatures. Who takes more than is in
//! them is read later, which his own network stack tells him by itself; who never stops is closed.

use std::time::Duration;

use super::clock::Moment;

/// How fast a bucket fills, and what it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// What comes in each second.
    pub per_second: u32,
    /// What it holds at most, and at the start.
    pub burst: u32,
}

/// The budgets of one peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetLimits {
    /// Bytes of frames nobody asked for.
    pub bytes: Rate,
    /// Signatures that frames may carry.
    pub signatures: Rate,
    /// How long it may be held back in all before it counts as a flood; a tenth of the time that
    /// passes is forgiven.
    pub patience: Duration,
}

impl Default for BudgetLimits {
    /// More than a chain of full blocks needs (300 KiB and 2,000 signatures a second), and less than
    /// what one core of a small board verifies.
    fn default() -> Self {
        Self {
            bytes: Rate { per_second: 4 << 20, burst: 8 << 20 },
            signatures: Rate { per_second: 6_000, burst: 24_000 },
            patience: Duration::from_secs(20),
        }
    }
}

/// What to do with the next frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Read it.
    Go,
    /// Read it after this time.
    Wait(Duration),
    /// It does not stop.
    Flood,
}

/// What one peer has left.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    bytes: Bucket,
    signatures: Bucket,
    limits: BudgetLimits,
    /// Time it was held back, less what was forgiven.
    held_back: Duration,
    since: Moment,
}

impl Budget {
    pub(super) const fn new(limits: BudgetLimits, now: Moment) -> Self {
        Self {
            bytes: Bucket::full(limits.bytes),
            signatures: Bucket::full(limits.signatures),
            limits,
            held_back: Duration::ZERO,
            since: now,
        }
    }

    /// Takes what a frame costs.
    pub(super) fn charge(&mut self, now: Moment, bytes: u32, signatures: u32) -> Verdict {
        let passed = now.saturating_sub(self.since);
        self.since = now;
        self.held_back = self.held_back.saturating_sub(passed / 10);
        let bytes = self.bytes.take(self.limits.bytes, passed, bytes);
        let signatures = self.signatures.take(self.limits.signatures, passed, signatures);
        let wait = bytes.max(signatures);
        if wait.is_zero() {
            return Verdict::Go;
        }
        self.held_back += wait;
        if self.held_back > self.limits.patience { Verdict::Flood } else { Verdict::Wait(wait) }
    }
}

/// One bucket; below nothing it owes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In millionths, so that short times count.
    micros: i128,
}

impl Bucket {
    const fn full(rate: Rate) -> Self {
        Self { micros: rate.burst as i128 * 1_000_000 }
    }

    /// Takes `cost`, and says how long it takes until nothing is owed.
    fn take(&mut self, rate: Rate, passed: Duration, cost: u32) -> Duration {
        let full = Self::full(rate).micros;
        // Neither overflows: microseconds have 74 bits at most, and rates 32.
        let income = passed.as_micros() as i128 * i128::from(rate.per_second);
        self.micros = (self.micros + income).min(full) - i128::from(cost) * 1_000_000;
        let owed = u64::try_from(-self.micros).unwrap_or(0);
        Duration::from_micros(owed.div_ceil(u64::from(rate.per_second.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BudgetLimits = BudgetLimits {
        bytes: Rate { per_second: 1_000, burst: 5_000 },
        signatures: Rate { per_second: 10, burst: 20 },
        patience: Duration::from_secs(4),
    };

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_more_has_to_wait() {
        let mut budget = Budget::new(LIMITS, ms(0));
        let mut check = |at, bytes, signatures, want| {
            assert_eq!(budget.charge(ms(at), bytes, signatures), want, "at {at} ms");
        };
        check(0, 4_000, 0, Verdict::Go);
        check(0, 1_000, 20, Verdict::Go);
        check(0, 500, 0, Verdict::Wait(ms(500)));
        check(1_500, 0, 5, Verdict::Go);
        check(1_500, 0, 20, Verdict::Wait(ms(1_000)));
        check(60_000, 5_000, 20, Verdict::Go);
    }

    #[test]
    fn who_never_stops_is_a_flood() {
        let mut budget = Budget::new(LIMITS, ms(0));
        let mut now = ms(0);
        let mut read = 0;
        for _ in 0..1_000 {
            match budget.charge(now, 1_000, 0) {
                Verdict::Go => {}
                Verdict::Wait(wait) => now += wait,
                Verdict::Flood => break,
            }
            read += 1_000;
        }
        // The burst, then what comes in while patience lasts.
        assert!((9_000..=11_000).contains(&read), "{read} bytes");
    }

    #[test]
    fn who_keeps_within_the_rate_is_never_held_back() {
        let mut budget = Budget::new(LIMITS, ms(0));
        for at in 0..10_000 {
            assert_eq!(budget.charge(ms(at * 100), 100, 1), Verdict::Go, "at {at}");
        }
    }

    #[test]
    fn the_largest_costs_do_not_overflow() {
        let mut budget = Budget::new(LIMITS, Duration::ZERO);
        assert_eq!(budget.charge(Duration::MAX, u32::MAX, u32::MAX), Verdict::Flood);
        assert_eq!(budget.charge(Duration::MAX, u32::MAX, u32::MAX), Verdict::Flood);
    }
}
