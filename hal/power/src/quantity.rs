//! Decimal numbers, with and without a unit, read exactly: no float ever holds a raw reading.

use std::fmt;
use std::str::FromStr;

use goodwatt_units::{MicroWatts, Millis};
use serde::{Deserialize, Deserializer};

/// Resistance of a shunt in microohms, 1 uOhm to 10 Ohm.
///
/// A larger shunt would starve any board: 10 Ohm at 0.5 A already drops all of its 5 V.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct MicroOhms(u32);

impl MicroOhms {
    /// The largest shunt that can be written.
    pub const MAX: Self = Self(10_000_000);

    /// Resistance from a count of microohms, or `None` for none at all or more than 10 Ohm.
    #[must_use]
    pub const fn new(microohms: u32) -> Option<Self> {
        if microohms == 0 || microohms > Self::MAX.0 { None } else { Some(Self(microohms)) }
    }

    /// The count of microohms.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MicroOhms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} mOhm", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseQuantityError {
    /// No unit of the right kind behind the number.
    #[error("`{text}` has no unit: write it as {example}")]
    NoUnit {
        /// What was written.
        text: String,
        /// How to write it.
        example: &'static str,
    },
    /// Not a positive decimal number, or one out of range.
    #[error("`{text}` is no number in range: write it as {example}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// How to write it.
        example: &'static str,
    },
}

/// How texts of one quantity are read: each unit with its power of ten over the base unit.
struct Format {
    units: &'static [(&'static str, u32)],
    example: &'static str,
}

const RESISTANCE: Format =
    Format { units: &[("uOhm", 0), ("mOhm", 3), ("Ohm", 6)], example: "`100 mOhm` or `0.1 Ohm`" };
const POWER: Format =
    Format { units: &[("uW", 0), ("mW", 3), ("W", 6)], example: "`2.31 W` or `2310 mW`" };
const TIME: Format = Format { units: &[("ms", 0), ("s", 3)], example: "`1 s` or `500 ms`" };
const ERROR: Format = Format { units: &[("ppm", 0), ("%", 4)], example: "`4 %` or `40000 ppm`" };

impl Format {
    /// Reads `text` as a count of base units.
    fn parse(&self, text: &str) -> Result<u32, ParseQuantityError> {
        let (number, digits) = self
            .units
            .iter()
            .find_map(|(unit, digits)| Some((text.trim().strip_suffix(unit)?, *digits)))
            .ok_or_else(|| ParseQuantityError::NoUnit {
                text: text.to_owned(),
                example: self.example,
            })?;
        decimal(number.trim_end(), digits).and_then(|count| u32::try_from(count).ok()).ok_or_else(
            || ParseQuantityError::OutOfRange { text: text.to_owned(), example: self.example },
        )
    }
}

impl FromStr for MicroOhms {
    type Err = ParseQuantityError;

    /// Reads `100 mOhm`, `0.1 Ohm` or `100000 uOhm`; the unit is required.
    fn from_str(text: &str) -> Result<Self, ParseQuantityError> {
        Self::new(RESISTANCE.parse(text)?).ok_or_else(|| ParseQuantityError::OutOfRange {
            text: text.to_owned(),
            example: RESISTANCE.example,
        })
    }
}

impl TryFrom<String> for MicroOhms {
    type Error = ParseQuantityError;

    fn try_from(text: String) -> Result<Self, ParseQuantityError> {
        text.parse()
    }
}

/// Reads power such as `2.31 W`.
///
/// # Errors
/// When it has no unit or is out of range; the message says how to write it.
pub fn parse_power(text: &str) -> Result<MicroWatts, ParseQuantityError> {
    POWER.parse(text).map(MicroWatts::new)
}

/// Reads a relative error such as `4 %`, in parts per million.
///
/// # Errors
/// As [`parse_power`].
pub fn parse_error_ppm(text: &str) -> Result<u32, ParseQuantityError> {
    ERROR.parse(text)
}

/// Reads power such as `2.31 W` from a config file.
pub(crate) fn power<'de, D: Deserializer<'de>>(from: D) -> Result<MicroWatts, D::Error> {
    quantity(&POWER, from).map(MicroWatts::new)
}

/// Reads power from a config file, for a key that may be left out.
pub(crate) fn some_power<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<MicroWatts>, D::Error> {
    power(from).map(Some)
}

/// Reads a span such as `1 s` from a config file.
pub(crate) fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    quantity(&TIME, from).map(|millis| Millis::new(u64::from(millis)))
}

/// Reads a relative error such as `4 %` from a config file, in parts per million.
pub(crate) fn error_ppm<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    quantity(&ERROR, from)
}

/// Reads a relative error from a config file, for a key that may be left out.
pub(crate) fn some_error_ppm<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    error_ppm(from).map(Some)
}

fn quantity<'de, D: Deserializer<'de>>(format: &Format, from: D) -> Result<u32, D::Error> {
    let text = String::deserialize(from)?;
    format.parse(&text).map_err(serde::de::Error::custom)
}

/// Reads a decimal number scaled by `10^digits`; what is finer is cut off.
///
/// Takes what the kernel prints (`-12`, `0.010000000`) and no exponent, `inf` or `NaN`.
pub(crate) fn decimal(text: &str, digits: u32) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
        return None;
    }
    let scale = 10_i64.checked_pow(digits)?;
    let kept: String = fraction.chars().take(digits as usize).collect();
    let fine = match kept.len() {
        0 => 0,
        len => kept.parse::<i64>().ok()?.checked_mul(10_i64.pow(digits - len as u32))?,
    };
    let value = whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(fine)?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let check = |text, digits, want| assert_eq!(decimal(text, digits), want, "{text:?}");
        check("0.010000000", 6, Some(10_000));
        check("0.01", 6, Some(10_000));
        check("20", 9, Some(20_000_000_000));
        check("-1.25", 2, Some(-125));
        check("1.259", 2, Some(125));
        check("7", 0, Some(7));
        check("7.9", 0, Some(7));
        for garbage in ["", "-", ".", "1.", ".5", "1.2.3", "NaN", "inf", "1e3", "+1", "0x10", "1 2"]
        {
            check(garbage, 6, None);
        }
        check("99999999999999999999", 0, None);
        check("9999999999999", 9, None);
    }

    #[test]
    fn a_resistance_needs_its_unit() {
        let check = |text: &str, want: Option<u32>| {
            assert_eq!(text.parse::<MicroOhms>().ok().map(MicroOhms::get), want, "{text:?}");
        };
        check("100 mOhm", Some(100_000));
        check("0.1 Ohm", Some(100_000));
        check("0.1Ohm", Some(100_000));
        check("10000 uOhm", Some(10_000));
        check("0.1", None);
        check("0 mOhm", None);
        check("-1 mOhm", None);
        check("11 Ohm", None);
        check("100 mW", None);
    }

    #[test]
    fn other_quantities_scale_to_their_base_unit() {
        assert_eq!(POWER.parse("2.31 W"), Ok(2_310_000));
        assert_eq!(POWER.parse("2310 mW"), Ok(2_310_000));
        assert_eq!(POWER.parse("7 uW"), Ok(7));
        assert_eq!(TIME.parse("1.5 s"), Ok(1_500));
        assert_eq!(TIME.parse("500 ms"), Ok(500));
        assert_eq!(ERROR.parse("4 %"), Ok(40_000));
        assert_eq!(
            POWER.parse("2.31").expect_err("no unit").to_string(),
            "`2.31` has no unit: write it as `2.31 W` or `2310 mW`"
        );
    }
}
