//! Batteries and UPS HATs of the `power_supply` class: microwatts, or microvolts times
//! microamperes (kernel ABI, sysfs-class-power). Only a discharging battery shows what the
//! machine draws; chargers and USB supplies report what was negotiated, not what flows.

use std::path::{Path, PathBuf};

use super::{Candidate, Figures, Opened, Source, choose, existing, folders};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::reading::{Scope, SourceKind};
use crate::sysfs;

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let class = config.roots.sys.join("class/power_supply");
    let mut candidates = Vec::new();
    for folder in folders(&class, "")? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if feeds_the_machine(&folder) && Figure::find(&folder).is_some() {
            candidates.push(Candidate::new(folder, name, true));
        }
    }
    let battery = choose(candidates, config, &class)?;
    let Some(figure) = Figure::find(&battery.folder) else {
        return Err(SkipReason::Absent { class });
    };
    Ok(Opened {
        sensor: battery.sensor(SourceKind::PowerSupply),
        source: Box::new(Battery { status: battery.folder.join("status"), figure }),
        scope: config.scope.unwrap_or(Scope::BoardInput),
        shunt: None,
    })
}

/// Whether this is a battery of the machine itself, and not that of a mouse.
fn feeds_the_machine(folder: &Path) -> bool {
    let says = |file: &str, text: &str| sysfs::text(&folder.join(file)).is_ok_and(|is| is == text);
    (says("type", "Battery") || says("type", "UPS"))
        && !says("scope", "Device")
        && !says("present", "0")
}

/// The files that give the power.
#[derive(Debug)]
enum Figure {
    Power(PathBuf),
    VoltsAndAmps(PathBuf, PathBuf),
}

impl Figure {
    fn find(folder: &Path) -> Option<Self> {
        let file = |name: &str| existing(folder.join(name));
        file("power_now")
            .map(Self::Power)
            .or_else(|| Some(Self::VoltsAndAmps(file("voltage_now")?, file("current_now")?)))
    }

    fn microwatts(&self) -> Result<i64, Fault> {
        match self {
            Self::Power(power) => sysfs::integer(power),
            // uV * uA = pW.
            Self::VoltsAndAmps(volts, amps) => {
                let picowatts =
                    i128::from(sysfs::integer(volts)?) * i128::from(sysfs::integer(amps)?);
                let microwatts = picowatts / 1_000_000;
                i64::try_from(microwatts).map_err(|_| sysfs::garbage(amps, &microwatts.to_string()))
            }
        }
    }
}

#[derive(Debug)]
struct Battery {
    status: PathBuf,
    figure: Figure,
}

impl Source for Battery {
    fn read(&mut self) -> Result<Figures, Fault> {
        let status = sysfs::text(&self.status)?;
        if status != "Discharging" {
            return Err(Fault::NotDischarging { status });
        }
        // Drivers disagree on the sign of what flows out; the status has it.
        let microwatts = self.figure.microwatts()?.saturating_abs();
        Ok(Figures { level: Some(microwatts), count: None })
    }
}
