//! The energy counter of an x86 CPU package (kernel documentation, power/powercap): microjoules
//! that start again behind `max_energy_range_uj`. It misses memory, disks, screen and supply.

use std::path::PathBuf;

use goodwatt_units::MicroJoules;

use super::{Candidate, Figures, Opened, Source, choose, folders};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::reading::{Scope, SourceKind};
use crate::sysfs;
use crate::watch::Count;

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let class = config.roots.sys.join("class/powercap");
    let mut candidates = Vec::new();
    for folder in folders(&class, "intel-rapl:")? {
        // Subzones (cores, uncore) are parts of a package; `psys` is a zone without a fixed meaning.
        let Ok(zone) = sysfs::text(&folder.join("name")) else { continue };
        if zone.starts_with("package-") {
            candidates.push(Candidate::new(folder, zone, true));
        }
    }
    let zone = choose(candidates, config, &class)?;
    let range = sysfs::count(&zone.folder.join("max_energy_range_uj"));
    Ok(Opened {
        sensor: zone.sensor(SourceKind::Rapl),
        source: Box::new(Rapl {
            energy: zone.folder.join("energy_uj"),
            range: MicroJoules::new(range.map_err(SkipReason::Faulty)?),
        }),
        scope: Scope::CpuPackage,
        shunt: None,
    })
}

#[derive(Debug)]
struct Rapl {
    energy: PathBuf,
    range: MicroJoules,
}

impl Source for Rapl {
    fn read(&mut self) -> Result<Figures, Fault> {
        let energy = MicroJoules::new(sysfs::count(&self.energy)?);
        Ok(Figures {
            level: None,
            count: Some(Count { energy, range: Some(self.range), step: MicroJoules::ZERO }),
        })
    }
}
