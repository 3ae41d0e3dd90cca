//! The kernel's IIO driver `ina2xx-adc`: `raw * scale` in millivolts, milliamperes and milliwatts,
//! the shunt in Ohm. The only `INA2xx` driver that Debian builds for ARM.

use std::path::{Path, PathBuf};

use goodwatt_units::MicroWatts;

use super::ina::{Monitor, ShuntFile};
use super::{Candidate, Figures, Opened, Source, choose, existing, folders};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::reading::{RelativeError, Scope, SourceKind};
use crate::sysfs;

/// Digits kept behind the point of a scale: as many as the kernel prints.
const SCALE_DIGITS: u32 = 9;

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let class = config.roots.sys.join("bus/iio/devices");
    let mut candidates = Vec::new();
    for folder in folders(&class, "iio:device")? {
        // Other IIO devices (light, pressure, a plain converter) have no shunt.
        let Ok(chip) = sysfs::text(&folder.join("name")) else { continue };
        if folder.join("in_shunt_resistor").exists() {
            candidates.push(Candidate::new(folder, chip, true));
        }
    }
    let device = choose(candidates, config, &class)?;
    let volts = Channel::of(&device.folder, "in_voltage1");
    let shunt = ShuntFile::in_ohms(device.folder.join("in_shunt_resistor"));
    let supply = volts.value().map(|nanovolts| nanovolts / 1_000_000);
    let monitor = Monitor::open(config, &device.chip, &device.name, shunt, supply)?;
    let shunt = Some(monitor.pair().map_err(SkipReason::Faulty)?);
    let power = existing(device.folder.join("in_power2_raw"))
        .map(|_| Channel::of(&device.folder, "in_power2"));
    let amps = Channel::of(&device.folder, "in_current3");
    Ok(Opened {
        sensor: device.sensor(SourceKind::Iio),
        source: Box::new(Iio { power, volts, amps, monitor }),
        scope: config.scope.unwrap_or(Scope::BoardInput),
        shunt,
    })
}

/// One value that the driver gives as two files.
#[derive(Clone, Debug)]
struct Channel {
    raw: PathBuf,
    scale: PathBuf,
}

impl Channel {
    fn of(folder: &Path, name: &str) -> Self {
        Self {
            raw: folder.join(format!("{name}_raw")),
            scale: folder.join(format!("{name}_scale")),
        }
    }

    /// `raw * scale` in millionths of the driver's unit, which is milli: nanovolts, nanoamperes,
    /// nanowatts; rounds towards zero.
    fn value(&self) -> Result<i64, Fault> {
        let raw = sysfs::integer(&self.raw)?;
        let scale = sysfs::decimal(&self.scale, SCALE_DIGITS)?;
        let value = i128::from(raw) * i128::from(scale) / 1_000;
        i64::try_from(value).map_err(|_| sysfs::garbage(&self.raw, &raw.to_string()))
    }
}

#[derive(Debug)]
struct Iio {
    power: Option<Channel>,
    volts: Channel,
    amps: Channel,
    monitor: Monitor,
}

impl Iio {
    /// The power in microwatts, by the kernel's shunt.
    fn level(&self) -> Result<i64, Fault> {
        match &self.power {
            Some(power) => Ok(power.value()? / 1_000),
            None => {
                let (nanovolts, nanoamps) = (self.volts.value()?, self.amps.value()?);
                let microwatts = i128::from(nanovolts) * i128::from(nanoamps) / 1_000_000_000_000;
                i64::try_from(microwatts)
                    .map_err(|_| sysfs::garbage(&self.amps.raw, &nanoamps.to_string()))
            }
        }
    }
}

impl Source for Iio {
    fn read(&mut self) -> Result<Figures, Fault> {
        let level = self.monitor.corrected(self.level()?)?;
        Ok(Figures { level: Some(level), count: None })
    }

    fn error(&self, power: MicroWatts) -> RelativeError {
        self.monitor.error(power)
    }
}
