//! Money, height, epoch, round and block time: a type for each, and only arithmetic that means
//! something.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Grains in one good.
pub const GRAINS_PER_GOOD: u64 = 1_000_000;

/// Money in grains; 1 good = 1,000,000 grains.
///
/// Never above [`Grains::MAX_SUPPLY`]: the constructor, the decoder and every operation hold it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Grains(u64);

impl Grains {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The most money that may ever exist, 9,000,000,000 good: below 2^53, so that a reader of
    /// JSON who keeps numbers in double precision still sees each grain.
    pub const MAX_SUPPLY: Self = Self(9_000_000_000 * GRAINS_PER_GOOD);

    /// Money from a count of grains, or `None` above [`Self::MAX_SUPPLY`].
    #[must_use]
    pub const fn new(grains: u64) -> Option<Self> {
        if grains > Self::MAX_SUPPLY.0 { None } else { Some(Self(grains)) }
    }

    /// Money from a count of whole goods known when compiling; panics above
    /// [`Self::MAX_SUPPLY`], which in a `const` is a compile error.
    #[must_use]
    pub const fn from_good(good: u32) -> Self {
        let grains = good as u64 * GRAINS_PER_GOOD;
        assert!(grains <= Self::MAX_SUPPLY.0, "above the largest supply");
        Self(grains)
    }

    /// The count of grains.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is no money at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` above [`Self::MAX_SUPPLY`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Both are below 2^53, so the sum cannot wrap.
        Self::new(self.0 + other.0)
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(grains) => Some(Self(grains)),
            None => None,
        }
    }

    /// The difference, or zero below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `numerator / denominator` of this money, rounded down; capped at [`Self::MAX_SUPPLY`].
    /// A zero denominator gives zero.
    #[must_use]
    pub const fn mul_div_floor(self, numerator: u128, denominator: u128) -> Self {
        if denominator == 0 {
            return Self::ZERO;
        }
        let grains = (self.0 as u128).saturating_mul(numerator) / denominator;
        if grains > Self::MAX_SUPPLY.0 as u128 { Self::MAX_SUPPLY } else { Self(grains as u64) }
    }
}

/// A count of grains above [`Grains::MAX_SUPPLY`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} grains are more than may ever exist ({max})", max = Grains::MAX_SUPPLY.0)]
pub struct AboveSupply(pub u64);

impl TryFrom<u64> for Grains {
    type Error = AboveSupply;

    fn try_from(grains: u64) -> Result<Self, AboveSupply> {
        Self::new(grains).ok_or(AboveSupply(grains))
    }
}

impl From<Grains> for u64 {
    fn from(grains: Grains) -> Self {
        grains.0
    }
}

impl fmt::Display for Grains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (good, rest) = (self.0 / GRAINS_PER_GOOD, self.0 % GRAINS_PER_GOOD);
        if rest == 0 { write!(f, "{good} good") } else { write!(f, "{good}.{rest:06} good") }
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseGrainsError {
    /// No unit behind the number.
    #[error("the unit is missing: write `2.5 good` or `2500000 grains`")]
    NoUnit,
    /// Not a positive decimal number.
    #[error("not an amount: write digits with at most six behind the point, such as `2.5 good`")]
    NotANumber,
    /// More than six digits behind the point, or a point in grains.
    #[error("finer than one grain: at most six digits behind the point of goods, none of grains")]
    TooFine,
    /// Above [`Grains::MAX_SUPPLY`].
    #[error("more than may ever exist ({max})", max = Grains::MAX_SUPPLY)]
    TooLarge,
}

impl FromStr for Grains {
    type Err = ParseGrainsError;

    /// Reads `2.5 good`, `2.5good` or `2500000 grains`; the unit is required.
    fn from_str(text: &str) -> Result<Self, ParseGrainsError> {
        let text = text.trim();
        if let Some(number) = text.strip_suffix("grains").or_else(|| text.strip_suffix("grain")) {
            return parse_scaled(number.trim_end(), 0);
        }
        let number = text.strip_suffix("good").ok_or(ParseGrainsError::NoUnit)?;
        parse_scaled(number.trim_end(), 6)
    }
}

/// Reads a decimal number with at most `digits` digits behind the point, scaled by 10^digits.
fn parse_scaled(number: &str, digits: usize) -> Result<Grains, ParseGrainsError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(ParseGrainsError::NotANumber);
    }
    if fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(ParseGrainsError::NotANumber);
    }
    if fraction.len() > digits {
        return Err(ParseGrainsError::TooFine);
    }
    let padding = core::iter::repeat_n(b'0', digits - fraction.len());
    let mut value = 0_u64;
    for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .ok_or(ParseGrainsError::TooLarge)?;
    }
    Grains::new(value).ok_or(ParseGrainsError::TooLarge)
}

/// Declares an ordinal: a position that is compared and stepped, never added to its like.
macro_rules! ordinal {
    ($(#[$doc:meta])* $name:ident($inner:ty), $label:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd,
            Serialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// The first one.
            pub const ZERO: Self = Self(0);

            /// From its number.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The one after this one; saturates.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($label, " {}"), self.0)
            }
        }
    };
}

ordinal!(
    /// Position of a block; genesis is height 0 and the first block height 1.
    Height(u64), "height");
ordinal!(
    /// Number of an epoch: floor((block time - genesis time) / epoch length).
    Epoch(u64), "epoch");
ordinal!(
    /// Round of agreement within one height.
    Round(u32), "round");

/// How many blocks lie between two heights.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct HeightDelta(u64);

impl HeightDelta {
    /// From a count of blocks.
    #[must_use]
    pub const fn new(blocks: u64) -> Self {
        Self(blocks)
    }

    /// The count of blocks.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Height {
    /// How far this height lies above `earlier`, or `None` below it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Option<HeightDelta> {
        match self.0.checked_sub(earlier.0) {
            Some(blocks) => Some(HeightDelta(blocks)),
            None => None,
        }
    }

    /// The height before this one, or `None` at genesis.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(height) => Some(Self(height)),
            None => None,
        }
    }
}

impl Epoch {
    /// The epoch `count` later; saturates.
    #[must_use]
    pub const fn after(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The epoch `count` earlier, or `None` before the first.
    #[must_use]
    pub const fn before(self, count: u64) -> Option<Self> {
        match self.0.checked_sub(count) {
            Some(epoch) => Some(Self(epoch)),
            None => None,
        }
    }
}

/// A point in time: milliseconds since 1970-01-01 UTC, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// From a count of milliseconds since 1970.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// The count of milliseconds since 1970.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The point `span` later; saturates.
    #[must_use]
    pub const fn after(self, span: goodwatt_units::Millis) -> Self {
        Self(self.0.saturating_add(span.get()))
    }

    /// The span since `earlier`, or zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> goodwatt_units::Millis {
        goodwatt_units::Millis::new(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn supply_is_an_invariant() {
        assert_eq!(Grains::new(Grains::MAX_SUPPLY.get() + 1), None);
        assert_eq!(Grains::MAX_SUPPLY.checked_add(Grains(1)), None);
        assert_eq!(Grains::ZERO.checked_sub(Grains(1)), None);
        let encoded = postcard::to_allocvec(&u64::MAX).expect("an integer encodes");
        assert!(postcard::from_bytes::<Grains>(&encoded).is_err());
    }

    #[test]
    fn money_is_read_with_its_unit() {
        let check = |text: &str, want: Result<u64, ParseGrainsError>| {
            assert_eq!(text.parse::<Grains>().map(Grains::get), want, "{text:?}");
        };
        check("2.5 good", Ok(2_500_000));
        check("2500000 grains", Ok(2_500_000));
        check("0.000001good", Ok(1));
        check("1 grain", Ok(1));
        check("2.5", Err(ParseGrainsError::NoUnit));
        check("-1 good", Err(ParseGrainsError::NotANumber));
        check(" good", Err(ParseGrainsError::NotANumber));
        check("1. good", Err(ParseGrainsError::NotANumber));
        check("0.0000001 good", Err(ParseGrainsError::TooFine));
        check("1.5 grains", Err(ParseGrainsError::TooFine));
        check("9000000001 good", Err(ParseGrainsError::TooLarge));
        check("99999999999999999999 grains", Err(ParseGrainsError::TooLarge));
    }

    #[test]
    fn money_is_printed_with_its_unit() {
        assert_eq!(Grains(2_500_000).to_string(), "2.500000 good");
        assert_eq!(Grains(3_000_000).to_string(), "3 good");
    }

    #[test]
    fn parts_round_down() {
        assert_eq!(Grains(10).mul_div_floor(1, 3), Grains(3));
        assert_eq!(Grains(10).mul_div_floor(1, 0), Grains::ZERO);
        assert_eq!(Grains::MAX_SUPPLY.mul_div_floor(u128::MAX, 1), Grains::MAX_SUPPLY);
    }
}
