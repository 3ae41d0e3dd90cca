//! The power management chip of a Raspberry Pi 5, which its firmware reads for us.
//!
//! The sum of the rails is not the board: what hangs on 5 V (USB, HATs, a disk) and the loss of
//! the converters are missing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::{Figures, Opened, Source};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::quantity::decimal;
use crate::reading::{Scope, Sensor, SourceKind};
use crate::sysfs::quote;

/// The firmware's mailbox: the one that takes text commands alone first, as it is open to a group.
const MAILBOXES: [&str; 2] = ["vcio_gencmd", "vcio"];
/// Digits kept behind the point: the firmware prints eight.
const DIGITS: u32 = 8;

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let paths = MAILBOXES.map(|name| config.roots.dev.join(name));
    let found = paths.iter().find(|path| path.exists());
    let path = found.cloned().ok_or_else(|| SkipReason::NoMailbox { path: paths[0].clone() })?;
    let file = File::options().read(true).write(true).open(&path);
    let file = file.map_err(|error| Fault::of_io(path.clone(), &error))?;
    Ok(Opened {
        source: Box::new(Pmic { file, path }),
        sensor: Sensor { kind: SourceKind::Pmic, name: "rpi-5-pmic".into() },
        scope: Scope::Rails,
        shunt: None,
    })
}

#[derive(Debug)]
struct Pmic {
    file: File,
    path: PathBuf,
}

impl Source for Pmic {
    fn read(&mut self) -> Result<Figures, Fault> {
        let text = goodwatt_mailbox::command(&self.file, "pmic_read_adc")
            .map_err(|error| Fault::of_io(self.path.clone(), &error))?;
        let level = sum(&text)
            .ok_or_else(|| Fault::NoRails { path: self.path.clone(), text: quote(&text) })?;
        Ok(Figures { level: Some(level), count: None })
    }
}

/// The power of all rails with current and voltage, in microwatts; the two lines of a rail belong
/// together by name, wherever they stand. `None` where there is no such rail.
fn sum(text: &str) -> Option<i64> {
    let mut rails: BTreeMap<&str, (Option<i64>, Option<i64>)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        // `VDD_CORE_A current(7)=1.54489000A`
        let (name, value) = line.split_once('=')?;
        let name = name.split_ascii_whitespace().next()?;
        if let Some(rail) = name.strip_suffix("_A") {
            rails.entry(rail).or_default().0 = Some(decimal(value.strip_suffix('A')?, DIGITS)?);
        } else if let Some(rail) = name.strip_suffix("_V") {
            rails.entry(rail).or_default().1 = Some(decimal(value.strip_suffix('V')?, DIGITS)?);
        }
    }
    let pairs =
        rails.values().filter_map(|(amps, volts)| Some((*amps)? as i128 * (*volts)? as i128));
    let mut pairs = pairs.peekable();
    pairs.peek()?;
    // Each of the two has eight digits behind its point; microwatts have six.
    i64::try_from(pairs.sum::<i128>() / 10_000_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form in which the firmware of a Raspberry Pi 5 prints it; EXT5V and BATT have no current.
    const AT_REST: &str = include_str!("../../tests/data/pmic_read_adc.txt");

    #[test]
    fn rails_are_paired_by_name() {
        // Worked out from the same lines with another tool.
        assert_eq!(sum(AT_REST), Some(1_651_776));
        let swapped: Vec<&str> = AT_REST.lines().rev().collect();
        assert_eq!(sum(&swapped.join("\n")), Some(1_651_776));
    }

    #[test]
    fn what_is_no_rail_is_no_figure() {
        let check = |text: &str| assert_eq!(sum(text), None, "{text:?}");
        check("");
        check("error=1 error_msg=\"Command not registered\"");
        check("EXT5V_V volt(24)=5.09824000V");
        check("VDD_CORE_A current(7)=1.5");
        check("VDD_CORE_A current(7)=nanA\nVDD_CORE_V volt(15)=0.88V");
        check("<html>");
    }
}
