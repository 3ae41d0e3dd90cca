//! The card that the ledger lies on: whether it can be written, what is free, how worn it is.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, major, minor, statvfs};

use super::{Findings, Machine, line};

/// A validator that seals a block of 4 KiB every ten seconds writes this much in a day (37 kB a
/// block, `goodwatt bench disk`).
const BYTES_A_DAY: u64 = 320_000_000;
/// Below this nothing is left for a busy day.
const FREE_MIN: u64 = BYTES_A_DAY;
/// Below this it is time to look.
const FREE_LOW: u64 = 7 * BYTES_A_DAY;
/// What is written at a start says nothing of the day after it: seconds to wait with that figure.
const SETTLED_SECS: u64 = 3_600;
/// Sectors of the kernel's counters, whatever the card's own are.
const SECTOR: u64 = 512;

/// Looks at the card behind `data`.
pub(super) fn look(data: &Path, machine: &Machine, findings: &mut Findings) {
    let metadata = match std::fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) => {
            let found = format!("{}: {error}", data.display());
            let remedy =
                "start goodwattd, which makes its data folder, or mend `data_dir` in [node]";
            return findings.wrong("card", found, remedy);
        }
    };
    room(data, findings);
    match disk_of(machine, metadata.dev()) {
        Some(disk) => wear(&disk, machine, findings),
        None => findings.unknown("wear", "the data folder lies on no disk of its own"),
    }
}

/// Whether it can be written, and for how long.
fn room(data: &Path, findings: &mut Findings) {
    let room = match statvfs(data) {
        Ok(room) => room,
        Err(error) => return findings.unknown("card", format!("{}: {error}", data.display())),
    };
    let (free, total) = (room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize);
    let found =
        format!("{} of {} MB free at {}", free / 1_000_000, total / 1_000_000, data.display());
    if room.f_flag.contains(StatVfsMountFlags::RDONLY) {
        findings.wrong(
            "card",
            format!("{} can only be read", data.display()),
            "an SD card does that at the end of its life, or its lock is on: copy what you need, \
             and move to a new card by the book's chapter on backups. Never copy the guard twice",
        );
    } else if free < FREE_MIN {
        findings.wrong("card", found, "make room, or move to a larger card: full means no block");
    } else if free < FREE_LOW {
        findings.notice("card", found, "less than a busy week: plan for a larger card");
    } else {
        findings.good("card", found);
    }
}

/// The whole disk that a device number is a part of.
fn disk_of(machine: &Machine, device: u64) -> Option<PathBuf> {
    let name = format!("dev/block/{}:{}", major(device), minor(device));
    let part = std::fs::canonicalize(machine.sys.join(name)).ok()?;
    if part.join("partition").exists() { Some(part.parent()?.to_owned()) } else { Some(part) }
}

/// What the card says of its life, and what this start wrote to it.
fn wear(disk: &Path, machine: &Machine, findings: &mut Findings) {
    let written = written(disk, machine);
    let name = disk.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Two hexadecimal figures, one for each kind of memory: tenths of the life that were used.
    let life = line(&disk.join("device/life_time"));
    let used = life.as_deref().and_then(|text| {
        text.split_whitespace()
            .filter_map(|part| u8::from_str_radix(part.trim_start_matches("0x"), 16).ok())
            .max()
    });
    match used {
        Some(tenths @ 1..=8) => {
            findings
                .good("wear", format!("{name}: below {} % of its life; {written}", tenths * 10));
        }
        Some(tenths @ 9..) => findings.wrong(
            "wear",
            format!(
                "{name}: {} of its life is used up; {written}",
                if tenths > 10 { "all" } else { "nine tenths" }
            ),
            "move to a new card soon: the book's chapter on backups tells how",
        ),
        _ => findings.good("wear", format!("{name} does not tell its wear; {written}")),
    }
}

/// Bytes written since the start, and what that is in a day.
fn written(disk: &Path, machine: &Machine) -> String {
    let field = |text: String, index: usize| text.split_whitespace().nth(index).map(str::to_owned);
    let sectors = line(&disk.join("stat")).and_then(|text| field(text, 6)?.parse::<u64>().ok());
    let seconds = line(&machine.proc.join("uptime"))
        .and_then(|text| field(text, 0)?.split('.').next()?.parse::<u64>().ok());
    match (sectors.map(|sectors| sectors * SECTOR), seconds) {
        (Some(bytes), Some(seconds @ SETTLED_SECS..)) => {
            let a_day = u128::from(bytes) * 86_400 / u128::from(seconds);
            let (now, a_day) = (bytes as f64 / 1e6, a_day as f64 / 1e6);
            format!("{now:.1} MB written since the start, {a_day:.1} MB a day")
        }
        (Some(bytes), _) => format!("{:.1} MB written since the start", bytes as f64 / 1e6),
        _ => "what is written to it is not told".to_owned(),
    }
}
