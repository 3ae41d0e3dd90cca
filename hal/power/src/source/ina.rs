//! Shunt monitors: how far off they may be, and the shunt they are told to have.

use std::path::PathBuf;

use goodwatt_units::MicroWatts;

use super::ShuntPair;
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::quantity::MicroOhms;
use crate::reading::{ErrorSource, RelativeError};
use crate::sysfs;

/// Tolerance of a resistor on a sensor board.
const SHUNT_TOLERANCE_PPM: u64 = 10_000;

/// Supply taken where the sensor does not tell its bus voltage: that of the official supply.
const SUPPLY_MILLIVOLTS: u64 = 5_100;

/// Worst case of one chip, by its data sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accuracy {
    /// All that grows with the figure, at a supply of 4.63 V or more, the Pi's undervoltage trip:
    /// gain of both channels, offset of the bus voltage, time base.
    gain_ppm: u64,
    /// Offset of the shunt voltage.
    offset_microvolts: u64,
    /// Tolerance of the resistor: usual sensor boards carry one of 1 %.
    shunt_ppm: u64,
    source: ErrorSource,
}

impl Accuracy {
    /// The accuracy of a chip by its name. One without a row gets the least accurate row, and
    /// says that this was assumed.
    pub(super) fn of(chip: &str) -> Self {
        let mut shunt_ppm = SHUNT_TOLERANCE_PPM;
        let (gain_ppm, offset_microvolts) = match chip {
            // TI SBOS448, INA219A: 1 % current and 1 % voltage over temperature, 200 uV at PGA /8.
            "ina219" => (20_000, 200),
            // TI SBOS547B: 0.1 % each, 7.5 mV of 4.63 V, 10 uV.
            "ina226" => (1_000 + 1_000 + 1_620, 10),
            // TI INA228: power 0.5 % over temperature, oscillator 0.5 %, 1 uV.
            "ina228" => (5_000 + 5_000, 1),
            // TI INA238: power 0.7 % over temperature, 5 mV of 4.63 V, 5 uV.
            "ina238" => (7_000 + 1_080, 5),
            // TI SBOS656C: 0.15 % with the shunt inside and 0.1 %, 7.5 mV of 4.63 V; 5 mA over
            // 2 mOhm.
            "ina260" => {
                shunt_ppm = 0;
                (1_500 + 1_000 + 1_620, 10)
            }
            // TI SBOS576A: 0.25 % each, 16 mV of 4.63 V, 80 uV.
            "ina3221" => (2_500 + 2_500 + 3_460, 80),
            _ => {
                let least = Self::of("ina219");
                return Self { source: ErrorSource::Assumed, ..least };
            }
        };
        Self { gain_ppm, offset_microvolts, shunt_ppm, source: ErrorSource::DataSheet }
    }

    /// The bound at this power: everything added linearly, as TI advises, because both channels
    /// share one converter (E2E thread 648538).
    pub(super) fn error(
        self,
        power: MicroWatts,
        shunt: MicroOhms,
        supply_millivolts: u64,
    ) -> RelativeError {
        // uW / mV = mA; mA * uOhm = nV across the shunt.
        let drop_nanovolts =
            u64::from(power.get()) * u64::from(shunt.get()) / supply_millivolts.max(1);
        let offset_ppm = (self.offset_microvolts * 1_000_000_000).div_ceil(drop_nanovolts.max(1));
        let ppm = self.gain_ppm + self.shunt_ppm + offset_ppm;
        RelativeError::from_ppm(u32::try_from(ppm).unwrap_or(u32::MAX), self.source)
    }
}

/// A shunt monitor: the kernel computed its figures with one shunt, the board carries another.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    shunt: ShuntFile,
    configured: MicroOhms,
    accuracy: Accuracy,
    supply_millivolts: u64,
}

impl Monitor {
    /// Takes the configured shunt, and refuses to guess one. `supply` is the bus voltage in
    /// millivolts, read once: it moves by a few percent, and only the bound depends on it.
    pub(super) fn open(
        config: &PowerConfig,
        chip: &str,
        sensor: &str,
        shunt: ShuntFile,
        supply: Result<i64, Fault>,
    ) -> Result<Self, SkipReason> {
        let kernel = shunt.read().map_err(SkipReason::Faulty)?;
        let Some(configured) = config.shunt else {
            return Err(SkipReason::ShuntNotConfigured { sensor: sensor.to_owned(), kernel });
        };
        let supply = supply.ok().and_then(|millivolts| u64::try_from(millivolts).ok());
        let supply_millivolts = supply.filter(|known| *known > 0).unwrap_or(SUPPLY_MILLIVOLTS);
        Ok(Self { shunt, configured, accuracy: Accuracy::of(chip), supply_millivolts })
    }

    /// The two shunts, for the operator to see.
    pub(super) fn pair(&self) -> Result<ShuntPair, Fault> {
        Ok(ShuntPair { configured: self.configured, kernel: self.shunt.read()? })
    }

    /// `figure`, made with the kernel's shunt, as it is with the configured one; rounds down.
    ///
    /// Exact, for current is the drop over the resistance. The kernel's value is read anew each
    /// time, without bus traffic: a sensor that was plugged in again is back at the default.
    pub(super) fn corrected(&self, figure: i64) -> Result<i64, Fault> {
        let kernel = i128::from(self.shunt.read()?.get());
        let corrected = i128::from(figure) * kernel / i128::from(self.configured.get());
        Ok(i64::try_from(corrected).unwrap_or(if figure < 0 { i64::MIN } else { i64::MAX }))
    }

    pub(super) fn error(&self, power: MicroWatts) -> RelativeError {
        self.accuracy.error(power, self.configured, self.supply_millivolts)
    }
}

/// The file in which a driver shows the shunt it computes with.
#[derive(Clone, Debug)]
pub(super) struct ShuntFile {
    path: PathBuf,
    /// Digits behind the point that make microohms: 0 for hwmon, 6 for IIO, which prints Ohm.
    digits: u32,
}

impl ShuntFile {
    pub(super) fn in_microohms(path: PathBuf) -> Self {
        Self { path, digits: 0 }
    }

    pub(super) fn in_ohms(path: PathBuf) -> Self {
        Self { path, digits: 6 }
    }

    fn read(&self) -> Result<MicroOhms, Fault> {
        let microohms = sysfs::decimal(&self.path, self.digits)?;
        u32::try_from(microohms)
            .ok()
            .and_then(MicroOhms::new)
            .ok_or_else(|| sysfs::garbage(&self.path, &microohms.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The budgets of the usual boards, worked out by hand from the same data sheets.
    #[test]
    fn bounds_are_those_of_the_data_sheets() {
        let check = |chip, milliwatts, milliohms: u32, want: &str| {
            let shunt = MicroOhms::new(milliohms * 1_000).expect("in range");
            let power = MicroWatts::from_milliwatts(milliwatts);
            assert_eq!(Accuracy::of(chip).error(power, shunt, 5_100).to_string(), want, "{chip}");
        };
        check("ina219", 2_500, 100, "+-3.5 %");
        check("ina219", 400, 100, "+-5.6 %");
        check("ina226", 2_500, 10, "+-1.6 %");
        check("ina228", 2_500, 10, "+-2.1 %");
        check("ina3221", 2_500, 100, "+-2.1 %");
        check("ina219", 0, 100, "+-429496.8 %");
    }

    #[test]
    fn a_chip_without_a_row_says_that_it_has_none() {
        let shunt = MicroOhms::new(100_000).expect("in range");
        let error = |chip| Accuracy::of(chip).error(MicroWatts::new(2_500_000), shunt, 5_100);
        assert_eq!(error("ina234").ppm(), error("ina219").ppm());
        assert_eq!(error("ina234").source(), ErrorSource::Assumed);
        assert_eq!(error("ina219").source(), ErrorSource::DataSheet);
    }
}
