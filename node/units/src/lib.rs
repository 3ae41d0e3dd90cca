//! Units that both wings of Goodwatt share: power, energy and spans of time, as integers.
//!
//! A number that could be mistaken for another unit is a type of its own here, with named
//! constructors and no conversion from a raw integer. This crate deliberately knows no block, no
//! sensor, no clock and no codec.
//!
//! ```
//! use goodwatt_units::{MicroWatts, Millis};
//!
//! let board = MicroWatts::from_milliwatts(2_400);
//! assert_eq!(board.over(Millis::from_secs(60)).to_string(), "144.000 J");
//! ```
#![no_std]

use core::fmt;
use core::iter::Sum;

use serde::{Deserialize, Serialize};

/// Electrical power in microwatts, 0 to 4,294.967295 W.
///
/// The range covers every board this project runs on by three orders of magnitude.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MicroWatts(u32);

impl MicroWatts {
    /// No power at all.
    pub const ZERO: Self = Self(0);
    /// The largest power that can be written.
    pub const MAX: Self = Self(u32::MAX);

    /// Power from a count of microwatts.
    #[must_use]
    pub const fn new(microwatts: u32) -> Self {
        Self(microwatts)
    }

    /// Power from a count of milliwatts; saturates at [`Self::MAX`].
    #[must_use]
    pub const fn from_milliwatts(milliwatts: u32) -> Self {
        Self(milliwatts.saturating_mul(1_000))
    }

    /// The count of microwatts.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Energy used at this power for `span`; rounds down and saturates.
    #[must_use]
    pub const fn over(self, span: Millis) -> MicroJoules {
        // uW * ms = nJ, at most 2^96: the quotient is what has to fit.
        let micro = self.0 as u128 * span.0 as u128 / 1_000;
        MicroJoules(if micro > u64::MAX as u128 { u64::MAX } else { micro as u64 })
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for MicroWatts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} W", self.0 / 1_000_000, self.0 % 1_000_000 / 1_000)
    }
}

/// Energy in microjoules, 0 to 18.4 TJ.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MicroJoules(u64);

impl MicroJoules {
    /// No energy at all.
    pub const ZERO: Self = Self(0);

    /// Energy from a count of microjoules.
    #[must_use]
    pub const fn new(microjoules: u64) -> Self {
        Self(microjoules)
    }

    /// The count of microjoules.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum; saturates.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Mean power over `span`; rounds down, saturates, and is `None` over no time at all.
    #[must_use]
    pub const fn mean_over(self, span: Millis) -> Option<MicroWatts> {
        if span.0 == 0 {
            return None;
        }
        let micro = self.0 as u128 * 1_000 / span.0 as u128;
        Some(MicroWatts(if micro > u32::MAX as u128 { u32::MAX } else { micro as u32 }))
    }
}

impl Sum for MicroJoules {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for MicroJoules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} J", self.0 / 1_000_000, self.0 % 1_000_000 / 1_000)
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span from a count of milliseconds.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// A span from a count of seconds; saturates.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// The count of milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum; saturates.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero where `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The span taken `factor` times; saturates.
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000, self.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn power_over_time_is_energy() {
        let check = |microwatts, millis, microjoules| {
            let energy = MicroWatts::new(microwatts).over(Millis::new(millis));
            assert_eq!(energy.get(), microjoules, "{microwatts} uW for {millis} ms");
        };
        check(0, 1_000, 0);
        check(1_000_000, 1_000, 1_000_000);
        check(1, 999, 0);
        check(u32::MAX, u64::MAX, u64::MAX);
    }

    #[test]
    fn mean_over_no_time_is_no_figure() {
        assert_eq!(MicroJoules::new(5).mean_over(Millis::ZERO), None);
        let mean = MicroJoules::new(3_000_000).mean_over(Millis::from_secs(2));
        assert_eq!(mean, Some(MicroWatts::new(1_500_000)));
    }

    #[test]
    fn display_prints_the_unit() {
        assert_eq!(MicroWatts::new(2_345_678).to_string(), "2.345 W");
        assert_eq!(MicroJoules::new(1_002_003).to_string(), "1.002 J");
        assert_eq!(Millis::new(61_005).to_string(), "61.005 s");
    }
}
