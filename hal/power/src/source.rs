//! The sources of measured figures. Each finds its sensor below `sys` and reads it on demand.
//!
//! A new source is a module here with an `open`, a line in [`open`], a [`SourceKind`] at its
//! place in the order, and its row in the table of the crate's documentation.

mod http;
mod hwmon;
mod iio;
mod ina;
mod meter;
mod pmic;
mod power_supply;
mod rapl;
mod smbus;
mod socket;

use std::fmt;
use std::path::{Path, PathBuf};

use goodwatt_units::MicroWatts;

use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::quantity::MicroOhms;
use crate::reading::{RelativeError, Scope, Sensor, SourceKind};
use crate::sysfs;
use crate::watch::Count;

/// What one read of a sensor gives: a level in microwatts, as the sensor has it and not yet
/// judged, a count of energy, or both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Figures {
    pub(crate) level: Option<i64>,
    pub(crate) count: Option<Count>,
}

/// A sensor that can be read.
pub(crate) trait Source: fmt::Debug + Send {
    /// Reads the sensor now.
    fn read(&mut self) -> Result<Figures, Fault>;

    /// Whether it lies outside of this machine, so that it may come and go as it likes.
    fn is_outside(&self) -> bool {
        false
    }

    /// How far off a figure of this size may be.
    fn error(&self, _power: MicroWatts) -> RelativeError {
        RelativeError::ASSUMED
    }
}

/// A sensor that was found, with what has to be said about it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sensor: Sensor,
    pub(crate) scope: Scope,
    pub(crate) shunt: Option<ShuntPair>,
}

/// The shunt as it is configured, and as the kernel had it when the sensor was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ShuntPair {
    pub(crate) configured: MicroOhms,
    pub(crate) kernel: MicroOhms,
}

/// Finds the sensor of one kind; the model is no sensor and has none.
pub(crate) fn open(kind: SourceKind, config: &PowerConfig) -> Result<Opened, SkipReason> {
    match kind {
        SourceKind::Hwmon => hwmon::open(config),
        SourceKind::Iio => iio::open(config),
        SourceKind::Smbus => smbus::open(config),
        SourceKind::Pmic => pmic::open(config),
        SourceKind::Meter => meter::open(config),
        SourceKind::Rapl => rapl::open(config),
        SourceKind::PowerSupply => power_supply::open(config),
        SourceKind::Model => Err(SkipReason::NotMeasured),
    }
}

/// A folder in sysfs that may be the sensor wanted.
#[derive(Clone, Debug)]
struct Candidate {
    folder: PathBuf,
    /// What the kernel calls it, such as `ina219`.
    chip: String,
    /// The same with its address, such as `ina219@1-0040`.
    name: String,
    /// Whether it may be taken without being named.
    trusted: bool,
}

impl Candidate {
    fn new(folder: PathBuf, chip: String, trusted: bool) -> Self {
        let name = match i2c_address(&folder) {
            Some(address) => format!("{chip}@{address}"),
            None => chip.clone(),
        };
        Self { folder, chip, name, trusted }
    }

    /// The sensor as it is printed.
    fn sensor(&self, kind: SourceKind) -> Sensor {
        Sensor { kind, name: self.name.as_str().into() }
    }
}

/// The one candidate that is meant: the one named in the config, or the only one to be trusted.
fn choose(
    candidates: Vec<Candidate>,
    config: &PowerConfig,
    class: &Path,
) -> Result<Candidate, SkipReason> {
    let names = |all: &[Candidate]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let found = names(&candidates);
    let fits = |one: &Candidate| match &config.sensor {
        Some(wanted) => one.name == *wanted || one.chip == *wanted,
        None => one.trusted,
    };
    let mut fitting: Vec<_> = candidates.into_iter().filter(fits).collect();
    match (fitting.len(), &config.sensor) {
        (1, _) => Ok(fitting.remove(0)),
        (0, Some(wanted)) => Err(SkipReason::NamedAbsent { wanted: wanted.clone(), found }),
        (0, None) if found.is_empty() => Err(SkipReason::Absent { class: class.to_owned() }),
        (0, None) => Err(SkipReason::NotOfTheBoard { found }),
        _ => Err(SkipReason::Ambiguous { found: names(&fitting) }),
    }
}

/// The folders of a class, or why there is none to look at.
fn folders(class: &Path, prefix: &str) -> Result<Vec<PathBuf>, SkipReason> {
    match sysfs::entries(class, prefix) {
        Err(Fault::Gone { path }) => Err(SkipReason::Absent { class: path }),
        other => other.map_err(SkipReason::Faulty),
    }
}

/// The I2C address in the real path of a device, such as `1-0040`.
fn i2c_address(folder: &Path) -> Option<String> {
    let is_address = |name: &str| {
        name.split_once('-').is_some_and(|(bus, address)| {
            !bus.is_empty()
                && bus.bytes().all(|byte| byte.is_ascii_digit())
                && address.len() == 4
                && address.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let real = folder.canonicalize().ok()?;
    let names = real.ancestors().filter_map(|part| part.file_name()?.to_str());
    names.into_iter().find(|name| is_address(name)).map(str::to_owned)
}

/// The path, if there is such a file.
fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}
