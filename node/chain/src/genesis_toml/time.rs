//! Points in time as RFC 3339 text, in UTC alone: `2026-11-21T00:00:00Z`, with at most three
//! digits of a second behind a point.

use alloc::format;
use alloc::string::String;

use crate::units::UnixMillis;

const MILLIS_PER_SECOND: u64 = 1_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// 1970-01-01, counted in days from 0000-03-01.
const UNIX_DAY: u64 = 719_468;
/// Days of four hundred years: after them the calendar repeats.
const DAYS_PER_ERA: u64 = 146_097;

/// Why a text is not a point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum TimeError {
    /// Not of the form at all.
    #[error("not a time in UTC: it needs date, `T`, time to the second, and `Z`")]
    Form,
    /// A month, day, hour, minute or second that does not exist, or a year before 1970.
    #[error("no such day or time of day, or a year before 1970")]
    NoSuchTime,
}

/// Reads a point in time.
pub(super) fn parse(text: &str) -> Result<UnixMillis, TimeError> {
    let clock = text.strip_suffix('Z').ok_or(TimeError::Form)?;
    let (whole, fraction) = match clock.split_once('.') {
        None => (clock, 0),
        Some((whole, digits)) => (whole, milliseconds(digits).ok_or(TimeError::Form)?),
    };
    let [year, month, day, hour, minute, second] = numbers(whole).ok_or(TimeError::Form)?;
    let exists = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (hour < 24 && minute < 60 && second < 60);
    if !exists {
        return Err(TimeError::NoSuchTime);
    }
    let days = day_number(year, month, day) - UNIX_DAY;
    let seconds = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    Ok(UnixMillis::new(seconds * MILLIS_PER_SECOND + fraction))
}

/// Writes a point in time before the year 10000.
pub(super) fn format(time: UnixMillis) -> String {
    let (seconds, fraction) = (time.get() / MILLIS_PER_SECOND, time.get() % MILLIS_PER_SECOND);
    let (year, month, day) = date(seconds / SECONDS_PER_DAY + UNIX_DAY);
    let clock = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction == 0 { format!("{whole}Z") } else { format!("{whole}.{fraction:03}Z") }
}

/// The six numbers of `YYYY-MM-DDThh:mm:ss`.
fn numbers(text: &str) -> Option<[u64; 6]> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *form,
    };
    if text.len() != FORM.len() || !text.bytes().zip(FORM).all(fits) {
        return None;
    }
    let mut numbers = [0; 6];
    for (number, digits) in numbers.iter_mut().zip(text.split(['-', 'T', ':'])) {
        *number = digits.parse().ok()?;
    }
    Some(numbers)
}

/// One to three digits behind the point.
fn milliseconds(digits: &str) -> Option<u64> {
    if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok().map(|number| number * 10_u64.pow(3 - digits.len() as u32))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0000-03-01 to a date of the Gregorian calendar. Years begin in March here, so that
/// the leap day is the last one, and the months before it last 153 days in five.
const fn day_number(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1
}

/// The inverse of [`day_number`].
const fn date(day_number: u64) -> (u64, u64, u64) {
    let (era, of_era) = (day_number / DAYS_PER_ERA, day_number % DAYS_PER_ERA);
    // Each fourth year, but not each hundredth, is a day longer than 365.
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * era + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let check = |text: &str, millis| {
            assert_eq!(parse(text), Ok(UnixMillis::new(millis)), "{text}");
            assert_eq!(format(UnixMillis::new(millis)), text);
        };
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T23:59:59Z", 951_868_799_000);
        check("2026-11-21T00:00:00Z", 1_795_219_200_000);
        check("2026-11-21T00:00:00.007Z", 1_795_219_200_007);
        check("9999-12-31T23:59:59.999Z", 253_402_300_799_999);
        assert_eq!(parse("2026-11-21T00:00:00.5Z"), Ok(UnixMillis::new(1_795_219_200_500)));
    }

    #[test]
    fn every_day_for_a_thousand_years_reads_back() {
        let mut before = None;
        for day in 0..365_250 {
            let (year, month, of_month) = date(day + UNIX_DAY);
            assert_eq!(day_number(year, month, of_month), day + UNIX_DAY);
            assert!(of_month <= days_in(year, month), "{year}-{month}-{of_month}");
            assert!(before < Some((year, month, of_month)), "days rise");
            before = Some((year, month, of_month));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |text, want| assert_eq!(parse(text), Err(want), "{text}");
        check("", TimeError::Form);
        check("2026-11-21", TimeError::Form);
        check("2026-11-21 00:00:00Z", TimeError::Form);
        check("2026-11-21T00:00:00", TimeError::Form);
        check("2026-11-21T00:00:00+01:00", TimeError::Form);
        check("2026-11-21T00:00:00.Z", TimeError::Form);
        check("2026-11-21T00:00:00.1234Z", TimeError::Form);
        check("12026-1-21T00:00:00Z", TimeError::Form);
        check("+026-11-21T00:00:00Z", TimeError::Form);
        check("2026-02-29T00:00:00Z", TimeError::NoSuchTime);
        check("2100-02-29T00:00:00Z", TimeError::NoSuchTime);
        check("2026-13-01T00:00:00Z", TimeError::NoSuchTime);
        check("2026-00-01T00:00:00Z", TimeError::NoSuchTime);
        check("2026-04-31T00:00:00Z", TimeError::NoSuchTime);
        check("2026-11-00T00:00:00Z", TimeError::NoSuchTime);
        check("2026-11-21T24:00:00Z", TimeError::NoSuchTime);
        check("2026-11-21T23:60:00Z", TimeError::NoSuchTime);
        check("2016-12-31T23:59:60Z", TimeError::NoSuchTime);
        check("1969-12-31T23:59:59Z", TimeError::NoSuchTime);
    }
}
