//! What a reading is: power, and beside it everything a reader needs in order to believe it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use goodwatt_units::{MicroWatts, Millis};
use serde::{Deserialize, Serialize};

/// A text that names none of the values of a closed list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a {what}: write one of {expected}")]
pub struct UnknownName {
    text: String,
    what: &'static str,
    expected: String,
}

/// Declares a closed list of values with one stable lower-case name each: the same word in
/// metrics labels, JSON, the config file and on the terminal.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "&'static str")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// All values, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let expected: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    UnknownName { text: text.to_owned(), what: $what, expected: expected.join(", ") }
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnknownName;

            fn try_from(text: String) -> Result<Self, UnknownName> {
                text.parse()
            }
        }

        impl From<$name> for &'static str {
            fn from(value: $name) -> Self {
                value.as_str()
            }
        }
    };
}

named!(
    /// How a figure came about.
    Method, "method" {
        /// A sensor measured it.
        Measured = "measured",
        /// It was calculated from how busy the CPU was.
        Modelled = "modelled",
    }
);

named!(
    /// What a figure covers. Figures of different scopes are never summed.
    Scope, "scope" {
        /// All the board draws at its input, on the direct current side of its supply.
        BoardInput = "board_input",
        /// All that a meter at the wall sees: the board and the loss of its supply, on the side of
        /// alternating current.
        Wall = "wall",
        /// Some of the board's inner rails; misses what hangs on 5 V, such as USB and HATs.
        Rails = "rails",
        /// The CPU package alone: a laptop or a desktop, not a board.
        CpuPackage = "cpu_package",
    }
);

named!(
    /// A way to come by watts, in the order in which they are tried.
    SourceKind, "power source" {
        /// A kernel hwmon driver: power, energy, or voltage and current.
        Hwmon = "hwmon",
        /// The kernel's IIO driver for `INA2xx` monitors, the only one Debian builds for ARM.
        Iio = "iio",
        /// An `INA2xx` monitor that no kernel driver owns, read over `SMBus`.
        Smbus = "smbus",
        /// The power management chip of a Raspberry Pi 5, by its firmware's mailbox.
        Pmic = "pmic",
        /// A meter outside: a plug over HTTP, or lines of JSON on a Unix socket.
        Meter = "meter",
        /// The energy counter of an x86 CPU package, by the powercap class.
        Rapl = "rapl",
        /// A battery or UPS that is discharging.
        PowerSupply = "power_supply",
        /// Idle power plus slope times CPU share.
        Model = "model",
    }
);

named!(
    /// Where the error bound of a figure comes from.
    ErrorSource, "source of an error" {
        /// The maker's data sheet, worst case, added linearly.
        DataSheet = "data_sheet",
        /// The operator, who knows the meter: `power.error`.
        Stated = "stated",
        /// A calibration of this board against a meter.
        Calibration = "calibration",
        /// Published figures for this board that nobody compared with this very board.
        UncalibratedModel = "uncalibrated_model",
        /// The spread of all listed boards, because this one is not listed.
        UnlistedBoard = "unlisted_board",
        /// Taken by this project, because the maker states no bound we could find.
        Assumed = "assumed",
    }
);

/// Bound of the relative error of a figure, in parts per million, with where it comes from.
///
/// It bounds the instrument or the model, not what happened between two samples: a level read
/// once a second misses what is shorter, unless the sensor averages or counts by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelativeError {
    ppm: u32,
    source: ErrorSource,
}

impl RelativeError {
    /// What is taken where the maker states no bound: as wide as an uncalibrated model's.
    pub(crate) const ASSUMED: Self = Self::from_ppm(250_000, ErrorSource::Assumed);

    /// A bound of `ppm` parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: u32, source: ErrorSource) -> Self {
        Self { ppm, source }
    }

    /// The bound in parts per million; one million is the figure itself.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.ppm
    }

    /// Where the bound comes from.
    #[must_use]
    pub const fn source(self) -> ErrorSource {
        self.source
    }

    /// The wider of two bounds.
    pub(crate) const fn wider(self, other: Self) -> Self {
        if self.ppm >= other.ppm { self } else { other }
    }
}

impl fmt::Display for RelativeError {
    /// Prints percent with one decimal at most, rounded up: a bound never shrinks in print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permille = self.ppm.div_ceil(1_000);
        match permille % 10 {
            0 => write!(f, "+-{} %", permille / 10),
            tenth => write!(f, "+-{}.{tenth} %", permille / 10),
        }
    }
}

/// Which sensor a figure comes from, such as `hwmon ina219@1-0040` or `model rpi-4b`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sensor {
    /// The kind of source.
    pub kind: SourceKind,
    /// Its name within the kind; the config's `sensor` takes it.
    pub name: Arc<str>,
}

impl fmt::Display for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One figure of power, never bare.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The power.
    pub power: MicroWatts,
    /// How the figure came about.
    pub method: Method,
    /// What it covers.
    pub scope: Scope,
    /// How far off it may be, and who says so.
    pub error: RelativeError,
    /// How long ago it was read.
    pub age: Millis,
    /// Where it comes from.
    pub sensor: Sensor,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { power, method, scope, error, sensor, .. } = self;
        write!(f, "{power}, {method}, {error}, {scope} ({sensor})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_prints_all_that_is_needed_to_believe_it() {
        let reading = Reading {
            power: MicroWatts::new(2_345_678),
            method: Method::Modelled,
            scope: Scope::BoardInput,
            error: RelativeError::from_ppm(250_000, ErrorSource::UncalibratedModel),
            age: Millis::ZERO,
            sensor: Sensor { kind: SourceKind::Model, name: "rpi-4b".into() },
        };
        assert_eq!(reading.to_string(), "2.345 W, modelled, +-25 %, board_input (model rpi-4b)");
    }

    #[test]
    fn bounds_round_up_in_print() {
        let check = |ppm, want: &str| {
            assert_eq!(RelativeError::from_ppm(ppm, ErrorSource::DataSheet).to_string(), want);
        };
        check(34_000, "+-3.4 %");
        check(34_001, "+-3.5 %");
        check(250_000, "+-25 %");
        check(0, "+-0 %");
    }

    #[test]
    fn names_are_stable_and_read_back() {
        let names = |all: Vec<&'static str>| all.join(" ");
        assert_eq!(
            names(Method::ALL.iter().map(|value| value.as_str()).collect()),
            "measured modelled"
        );
        assert_eq!(
            names(Scope::ALL.iter().map(|value| value.as_str()).collect()),
            "board_input wall rails cpu_package"
        );
        assert_eq!(
            names(SourceKind::ALL.iter().map(|value| value.as_str()).collect()),
            "hwmon iio smbus pmic meter rapl power_supply model"
        );
        assert_eq!("cpu_package".parse(), Ok(Scope::CpuPackage));
        let error = "cpu".parse::<Scope>().expect_err("no such scope");
        assert_eq!(
            error.to_string(),
            "`cpu` is not a scope: write one of board_input, wall, rails, cpu_package"
        );
    }
}
