//! Kernel hwmon drivers: energy in microjoules, power in microwatts, or millivolts times
//! milliamperes (kernel documentation, hwmon/sysfs-interface).

use std::path::{Path, PathBuf};

use goodwatt_units::{MicroJoules, MicroWatts};

use super::ina::{Monitor, ShuntFile};
use super::{Candidate, Figures, Opened, Source, choose, existing, folders};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::reading::{RelativeError, Scope, SourceKind};
use crate::sysfs;
use crate::watch::Count;

/// A driver that measures a supply line and nothing else.
struct Driver {
    chips: &'static [&'static str],
    /// Numbers of the files of voltage and current that belong together.
    pairs: &'static [(u8, u8)],
}

/// Other chips have power files too (graphics cards, CPUs, drives); they measure themselves and
/// not the board, so they are used only when the config names them with their scope.
const DRIVERS: &[Driver] = &[
    Driver {
        chips: &[
            "ina219", "ina220", "ina226", "ina230", "ina231", "ina234", "ina260", "sy24655",
            "ina228", "ina237", "ina238", "ina780", "sq52206",
        ],
        pairs: &[(1, 1)],
    },
    Driver { chips: &["ina3221"], pairs: &[(1, 1), (2, 2), (3, 3)] },
    // VBUS is the first voltage and counted from zero, IBUS the first current, counted from one.
    Driver { chips: &["powerz"], pairs: &[(0, 1)] },
];

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let class = config.roots.sys.join("class/hwmon");
    let mut candidates = Vec::new();
    for folder in folders(&class, "hwmon")? {
        // A device that goes away while we look, or has no name, is not there.
        let Ok(chip) = sysfs::text(&folder.join("name")) else { continue };
        if !channels(&folder, &chip).is_empty() {
            let trusted = driver(&chip).is_some();
            candidates.push(Candidate::new(folder, chip, trusted));
        }
    }
    open_device(choose(candidates, config, &class)?, config)
}

fn open_device(device: Candidate, config: &PowerConfig) -> Result<Opened, SkipReason> {
    let scope = match config.scope {
        Some(scope) => scope,
        None if device.trusted => Scope::BoardInput,
        None => return Err(SkipReason::ScopeNotStated { sensor: device.name }),
    };
    let channel = only_channel(&device, config.channel)?;
    let monitor = channel
        .shunt
        .clone()
        .map(|shunt| {
            let supply = channel.supply_millivolts();
            Monitor::open(config, &device.chip, &device.name, shunt, supply)
        })
        .transpose()?;
    let shunt = monitor.as_ref().map(Monitor::pair).transpose().map_err(SkipReason::Faulty)?;
    Ok(Opened {
        sensor: device.sensor(SourceKind::Hwmon),
        source: Box::new(Hwmon { channel, monitor }),
        scope,
        shunt,
    })
}

fn driver(chip: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.chips.contains(&chip))
}

/// The channel that the config names, or the only one.
fn only_channel(device: &Candidate, wanted: Option<u8>) -> Result<Channel, SkipReason> {
    let mut channels = channels(&device.folder, &device.chip);
    let found: Vec<u8> = channels.iter().map(|channel| channel.number).collect();
    if let Some(wanted) = wanted {
        channels.retain(|channel| channel.number == wanted);
    }
    if channels.len() == 1 {
        return Ok(channels.remove(0));
    }
    Err(SkipReason::ChannelUnclear { sensor: device.name.clone(), found })
}

/// The channels of a device that give any figure and are not switched off.
fn channels(folder: &Path, chip: &str) -> Vec<Channel> {
    // Of an unknown driver only channels that are numbered alike are taken to belong together.
    const ALIKE: &[(u8, u8)] = &[(1, 1), (2, 2), (3, 3), (4, 4)];
    let pairs = driver(chip).map_or(ALIKE, |driver| driver.pairs);
    pairs.iter().filter_map(|pair| Channel::find(folder, *pair)).collect()
}

/// The files of one channel.
#[derive(Clone, Debug)]
struct Channel {
    number: u8,
    energy: Option<PathBuf>,
    power: Option<PathBuf>,
    volts: Option<PathBuf>,
    amps: Option<PathBuf>,
    shunt: Option<ShuntFile>,
}

impl Channel {
    fn find(folder: &Path, (voltage, number): (u8, u8)) -> Option<Self> {
        let file = |name: String| existing(folder.join(name));
        let switch = file(format!("in{voltage}_enable"));
        if switch.is_some_and(|path| sysfs::integer(&path) == Ok(0)) {
            return None;
        }
        let channel = Self {
            number,
            energy: file(format!("energy{number}_input")),
            power: file(format!("power{number}_input"))
                .or_else(|| file(format!("power{number}_average"))),
            volts: file(format!("in{voltage}_input")),
            amps: file(format!("curr{number}_input")),
            shunt: file("shunt_resistor".to_owned())
                .or_else(|| file(format!("shunt{number}_resistor")))
                .map(ShuntFile::in_microohms),
        };
        let gives_a_figure = channel.energy.is_some()
            || channel.power.is_some()
            || (channel.volts.is_some() && channel.amps.is_some());
        gives_a_figure.then_some(channel)
    }

    fn supply_millivolts(&self) -> Result<i64, Fault> {
        let none = || Fault::Gone { path: PathBuf::from("in_input") };
        sysfs::integer(self.volts.as_ref().ok_or_else(none)?)
    }

    /// The power in microwatts, if the channel has a file for it or a pair of files.
    fn level(&self) -> Result<Option<i64>, Fault> {
        match (&self.power, &self.volts, &self.amps) {
            (Some(power), ..) => sysfs::integer(power).map(Some),
            // mV * mA = uW.
            (None, Some(volts), Some(amps)) => {
                let (millivolts, milliamps) = (sysfs::integer(volts)?, sysfs::integer(amps)?);
                Ok(Some(millivolts.saturating_mul(milliamps)))
            }
            _ => Ok(None),
        }
    }
}

#[derive(Debug)]
struct Hwmon {
    channel: Channel,
    /// For drivers that were told a shunt.
    monitor: Option<Monitor>,
}

impl Hwmon {
    fn corrected(&self, figure: i64) -> Result<i64, Fault> {
        self.monitor.as_ref().map_or(Ok(figure), |monitor| monitor.corrected(figure))
    }

    fn count(&self, path: &Path) -> Result<Count, Fault> {
        let energy = self.corrected(sysfs::integer(path)?)?;
        // hwmon does not say where a counter ends: one that fell is taken as reset.
        let energy =
            u64::try_from(energy).map_err(|_| sysfs::garbage(path, &energy.to_string()))?;
        Ok(Count { energy: MicroJoules::new(energy), range: None, step: MicroJoules::ZERO })
    }
}

impl Source for Hwmon {
    fn read(&mut self) -> Result<Figures, Fault> {
        let level = self.channel.level()?.map(|level| self.corrected(level)).transpose()?;
        let count = self.channel.energy.as_ref().map(|path| self.count(path)).transpose()?;
        Ok(Figures { level, count })
    }

    fn error(&self, power: MicroWatts) -> RelativeError {
        self.monitor.as_ref().map_or(RelativeError::ASSUMED, |monitor| monitor.error(power))
    }
}
