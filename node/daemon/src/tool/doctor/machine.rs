//! The board itself: clock, supply, temperature, memory.

use std::path::Path;

use super::{Findings, Machine, entries, line, number};
use crate::validator::Clock;

/// systemd-timesyncd touches it at each sync, chrony's pid file is there while it runs.
const TIME_SYNC: [&str; 2] = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid"];
/// Thousandths of a degree Celsius: at 80 a Raspberry Pi lowers its clock (documentation of its
/// `config.txt`, `temp_limit`), and ten before there is time to do something.
const HOT: i64 = 80_000;
const WARM: i64 = 70_000;
/// Part of the memory that should be left, in percent.
const MEMORY_LEFT_MIN: u64 = 10;

/// Whether the clock can be right, and whether somebody keeps it so.
pub(super) fn clock(findings: &mut Findings) {
    let synced = TIME_SYNC.iter().any(|path| Path::new(path).exists());
    match (Clock::now_after_build(), synced) {
        (Err(fault), _) => findings.wrong(
            "clock",
            fault.to_string(),
            "connect the board to a network with a time server, or set the clock by \
             `timedatectl set-time`; until then nothing is signed",
        ),
        (Ok(_), true) => findings.good("clock", "set by a time server"),
        (Ok(_), false) => findings.notice(
            "clock",
            "possible, but no time server was heard since the start",
            "let the board reach a time server (UDP port 123), or name one of your network: \
             `time_servers` in the card's goodwatt.toml, else timesyncd.conf",
        ),
    }
}

/// Under-voltage, where the kernel tells: the driver `rpi_volt` of Raspberry Pi's kernels.
pub(super) fn supply(machine: &Machine, findings: &mut Findings) {
    let sensors = entries(&machine.sys.join("class/hwmon"));
    let is_ours =
        |folder: &&std::path::PathBuf| line(&folder.join("name")).as_deref() == Some("rpi_volt");
    match sensors.iter().find(is_ours).map(|folder| number(&folder.join("in0_lcrit_alarm"))) {
        Some(Some(0)) => findings.good("supply", "no under-voltage now"),
        Some(Some(_)) => findings.wrong(
            "supply",
            "under-voltage: the board gets less than 4.63 V",
            "use the supply made for this board, and a shorter or thicker cable; an INA219 with \
             a shunt of 100 mOhm takes 0.3 V at 3 A",
        ),
        _ => findings.unknown("supply", "this kernel has no driver that tells of under-voltage"),
    }
}

/// How hot the processor is.
pub(super) fn temperature(machine: &Machine, findings: &mut Findings) {
    let zones = entries(&machine.sys.join("class/thermal"));
    let hottest = zones.iter().filter_map(|zone| number(&zone.join("temp"))).max();
    let Some(thousandths) = hottest else {
        return findings.unknown("temperature", "no sensor is shown by this kernel");
    };
    let found = format!("{}.{} degrees", thousandths / 1_000, (thousandths % 1_000).abs() / 100);
    let remedy = "let air at the board, or give it a heat sink: above 80 it slows down";
    match thousandths {
        HOT.. => findings.wrong("temperature", found, remedy),
        WARM..HOT => findings.notice("temperature", found, remedy),
        _ => findings.good("temperature", found),
    }
}

/// Whether there is memory left, and whether the kernel had to kill for it.
pub(super) fn memory(machine: &Machine, findings: &mut Findings) {
    let text = std::fs::read_to_string(machine.proc.join("meminfo")).unwrap_or_default();
    let kib = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    let (Some(total), Some(left)) = (kib("MemTotal"), kib("MemAvailable")) else {
        return findings.unknown("memory", "the kernel does not say how much is left");
    };
    let found = format!("{} of {} MB left", left / 1_000, total / 1_000);
    let events = machine.sys.join("fs/cgroup/system.slice/goodwattd.service/memory.events");
    let events = std::fs::read_to_string(events).unwrap_or_default();
    let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    if killed.is_some_and(|count| count != "0") {
        findings.wrong(
            "memory",
            format!("{found}; goodwattd was killed for want of memory"),
            "stop what else runs here, or lower `inbound` in [network] and `max_bytes` in [mempool]",
        );
    } else if left * 100 < total * MEMORY_LEFT_MIN {
        findings.notice("memory", found, "stop what else runs here: `systemd-cgtop -m` names it");
    } else {
        findings.good("memory", found);
    }
}
