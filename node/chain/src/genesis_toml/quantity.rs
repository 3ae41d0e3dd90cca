//! Whole numbers with a unit, `"250 ms"`: read by a table of units, written in the largest that
//! fits without a remainder.

use alloc::format;
use alloc::string::String;

/// A unit's name and how many of the smallest unit it is.
pub(super) type Unit = (&'static str, u64);

/// Units of time in milliseconds, the largest first.
pub(super) const TIME: &[Unit] =
    &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of power in microwatts, the largest first.
pub(super) const POWER: &[Unit] = &[("W", 1_000_000), ("mW", 1_000), ("uW", 1)];
/// Units of epochs.
pub(super) const EPOCHS: &[Unit] = &[("epochs", 1), ("epoch", 1)];

/// Why a text is not a whole number with a unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum QuantityError {
    /// It does not begin with digits.
    #[error("not a whole number with a unit")]
    NotANumber,
    /// No unit, or an unknown one.
    #[error("the unit is missing or unknown")]
    Unit,
    /// It does not fit the field.
    #[error("too large for this field")]
    TooLarge,
}

/// Reads digits and a unit, with or without a space between them.
pub(super) fn parse(text: &str, units: &[Unit]) -> Result<u64, QuantityError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(QuantityError::NotANumber);
    }
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start());
    let (_, factor) = factor.ok_or(QuantityError::Unit)?;
    let number: u64 = number.parse().map_err(|_| QuantityError::TooLarge)?;
    number.checked_mul(*factor).ok_or(QuantityError::TooLarge)
}

/// Writes a number in the largest of `units` that leaves no remainder; the last one is 1.
pub(super) fn format(number: u64, units: &[Unit]) -> String {
    let fits = |(_, factor): &&Unit| number != 0 && number.is_multiple_of(*factor);
    let (name, factor) = units.iter().find(fits).unwrap_or(&units[units.len() - 1]);
    format!("{} {name}", number / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_with_its_unit() {
        let check = |text, want| assert_eq!(parse(text, TIME), want, "{text:?}");
        check("250 ms", Ok(250));
        check("3600s", Ok(3_600_000));
        check(" 1 h ", Ok(3_600_000));
        check("2 min", Ok(120_000));
        check("1 d", Ok(86_400_000));
        check("250", Err(QuantityError::Unit));
        check("250 parsecs", Err(QuantityError::Unit));
        check("1.5 s", Err(QuantityError::Unit));
        check("", Err(QuantityError::NotANumber));
        check("-1 s", Err(QuantityError::NotANumber));
        check("18446744073709551616 ms", Err(QuantityError::TooLarge));
        check("18446744073709551615 s", Err(QuantityError::TooLarge));
    }

    #[test]
    fn the_largest_unit_without_a_remainder_is_written() {
        let check = |number, units, want: &str| assert_eq!(format(number, units), want);
        check(0, TIME, "0 ms");
        check(3_600_000, TIME, "1 h");
        check(90_000, TIME, "90 s");
        check(u64::MAX, TIME, "18446744073709551615 ms");
        check(10_000_000, POWER, "10 W");
        check(2_500_000, POWER, "2500 mW");
    }
}
