//! What the operator may say about power.

use std::path::PathBuf;

use goodwatt_units::{MicroWatts, Millis};
use serde::Deserialize;

use crate::address::MeterAddress;
use crate::quantity::{self, MicroOhms};
use crate::reading::{Scope, SourceKind};

/// The `[power]` section of the config file. Every key may be left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PowerConfig {
    /// The only source to use; without it the first one that works is taken.
    pub source: Option<SourceKind>,
    /// The only sensor to use, as it is printed at start: `ina219`, `ina219@1-0040`, `BAT0`. One
    /// that no kernel driver owns has to be named with bus and address.
    pub sensor: Option<String>,
    /// The meter outside of the board, such as `"shelly://192.168.1.5"`.
    pub meter: Option<MeterAddress>,
    /// Channel of a sensor that has several, such as an INA3221.
    pub channel: Option<u8>,
    /// What the sensor covers, where it is not wired into the supply of the board.
    pub scope: Option<Scope>,
    /// The shunt that is soldered to the sensor board, such as `"100 mOhm"`.
    ///
    /// Required for every sensor with an external shunt: what the kernel assumes (10 mOhm) is
    /// not what usual INA219 boards carry (100 mOhm), and the mistake is a silent factor of ten.
    pub shunt: Option<MicroOhms>,
    /// How far off the figures may be, such as `"2 %"`, where the operator knows better than a data
    /// sheet, or where there is none.
    #[serde(deserialize_with = "quantity::some_error_ppm", rename = "error")]
    pub error_ppm: Option<u32>,
    /// Power of the idle board in the scope of the chosen sensor, such as `"2.31 W"`.
    #[serde(deserialize_with = "quantity::some_power")]
    pub idle: Option<MicroWatts>,
    /// The model of this very board, as a calibration against a meter found it.
    pub calibration: Option<Calibration>,
    /// How often the caller means to sample while nobody looks, such as `"10 s"`; at least
    /// [`Self::MIN_PERIOD`]. A gap of more than three is not bridged.
    #[serde(deserialize_with = "quantity::span")]
    pub period: Millis,
    /// How long a look waits for a plug; those take some tens of milliseconds. Whoever looks from a
    /// thread that has other work waits no longer than that can bear.
    #[serde(skip)]
    pub patience: Millis,
    /// Where sysfs, procfs and the devices are.
    #[serde(skip)]
    pub roots: Roots,
}

impl PowerConfig {
    /// The shortest period: each read is a wake-up, and more than one a second is not worth it.
    pub const MIN_PERIOD: Millis = Millis::from_secs(1);
    /// What an energy report costs while nobody looks: a wake-up in 12 s, or two with a plug, whose
    /// answer is waited for.
    pub const DEFAULT_PERIOD: Millis = Millis::from_secs(12);

    /// A fifth of a second: once a look, and less than a block takes.
    pub const DEFAULT_PATIENCE: Millis = Millis::new(200);

    /// The period, but no shorter than [`Self::MIN_PERIOD`].
    pub(crate) fn effective_period(&self) -> Millis {
        self.period.max(Self::MIN_PERIOD)
    }
}

impl Default for PowerConfig {
    fn default() -> Self {
        Self {
            source: None,
            sensor: None,
            meter: None,
            channel: None,
            scope: None,
            shunt: None,
            error_ppm: None,
            idle: None,
            calibration: None,
            period: Self::DEFAULT_PERIOD,
            patience: Self::DEFAULT_PATIENCE,
            roots: Roots::default(),
        }
    }
}

/// A model of one board: `idle + slope * CPU share`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Power of the idle board, such as `"2.31 W"`.
    #[serde(deserialize_with = "quantity::power")]
    pub idle: MicroWatts,
    /// What all CPUs together add when busy, such as `"4.1 W"`.
    #[serde(deserialize_with = "quantity::power")]
    pub slope: MicroWatts,
    /// Largest relative error that the calibration left, such as `"4 %"`.
    #[serde(deserialize_with = "quantity::error_ppm", rename = "error")]
    pub error_ppm: u32,
}

/// Where the kernel's file systems are; tests put a tree of their own here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Roots {
    /// sysfs, usually `/sys`.
    pub sys: PathBuf,
    /// procfs, usually `/proc`.
    pub proc: PathBuf,
    /// Devices, usually `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), dev: "/dev".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_with_units() {
        let text = r#"
            source = "iio"
            sensor = "ina219@1-0040"
            shunt = "100 mOhm"
            idle = "2.31 W"
            period = "15 s"
            scope = "board_input"
            calibration = { idle = "2.31 W", slope = "4100 mW", error = "4 %" }
        "#;
        let config: PowerConfig = toml::from_str(text).expect("the section is valid");
        let want = PowerConfig {
            source: Some(SourceKind::Iio),
            sensor: Some("ina219@1-0040".to_owned()),
            shunt: MicroOhms::new(100_000),
            idle: Some(MicroWatts::from_milliwatts(2_310)),
            period: Millis::from_secs(15),
            scope: Some(Scope::BoardInput),
            calibration: Some(Calibration {
                idle: MicroWatts::from_milliwatts(2_310),
                slope: MicroWatts::from_milliwatts(4_100),
                error_ppm: 40_000,
            }),
            ..PowerConfig::default()
        };
        assert_eq!(config, want);
    }

    #[test]
    fn mistakes_are_refused_with_a_remedy() {
        let check = |text: &str, want: &str| {
            let error = toml::from_str::<PowerConfig>(text).expect_err(text).to_string();
            assert!(error.contains(want), "{error}");
        };
        check("shunt = 0.1", "expected a string");
        check("shunt = \"0.1\"", "write it as `100 mOhm` or `0.1 Ohm`");
        check("source = \"ina219\"", "write one of hwmon, iio");
        check("shunts = \"0.1 Ohm\"", "unknown field `shunts`");
    }

    #[test]
    fn nothing_is_read_more_than_once_a_second() {
        let config = PowerConfig { period: Millis::new(10), ..PowerConfig::default() };
        assert_eq!(config.effective_period(), Millis::from_secs(1));
    }
}
