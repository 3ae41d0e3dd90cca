//! How busy the CPUs are, and how much of it is our own doing.

use std::path::{Path, PathBuf};

use goodwatt_units::Millis;

use crate::config::Roots;
use crate::fault::Fault;
use crate::sysfs;

/// CPU time in microseconds, summed over all CPUs.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct CpuTime(u64);

impl CpuTime {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From a count of microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From ticks of `USER_HZ`, which is 100 on every architecture that this runs on; saturates.
    pub(crate) const fn from_ticks(ticks: u64) -> Self {
        Self(ticks.saturating_mul(10_000))
    }

    /// The count of microseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The difference, or zero where `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Share of the time of all CPUs that was busy, 0 to 1 in parts per million.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CpuShare(u32);

impl CpuShare {
    /// All CPUs busy all of the time.
    pub const ALL: Self = Self(1_000_000);

    /// `busy` of `total`, at most [`Self::ALL`]; `None` of no time at all.
    #[must_use]
    pub fn of(busy: u64, total: u64) -> Option<Self> {
        let ppm = (u128::from(busy) * 1_000_000).checked_div(u128::from(total))?;
        // Capped at a million, so it fits.
        Some(Self(ppm.min(1_000_000) as u32))
    }

    /// The share in parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }
}

/// What the CPUs did between two samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuInterval {
    /// How busy they were; `None` at the first sample or where the kernel hides it.
    pub(crate) share: Option<CpuShare>,
    /// Time they were busy, with the same exceptions.
    pub(crate) busy: Option<CpuTime>,
    /// The part of it that was ours, with the same exceptions.
    pub(crate) own: Option<CpuTime>,
}

/// Takes the difference of CPU times between samples.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    system: SystemClock,
    own: OwnClock,
    last: Option<Snapshot>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    system: Option<SystemTime>,
    own: Option<CpuTime>,
}

/// Time of all CPUs, busy and in total.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct SystemTime {
    busy: CpuTime,
    total: CpuTime,
}

impl CpuMeter {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self { system: SystemClock::find(roots), own: OwnClock::find(roots), last: None }
    }

    /// Why the CPU share or our own time cannot be had, if so.
    pub(crate) fn faults(&self) -> (Option<Fault>, Option<Fault>) {
        (self.system.read(Millis::ZERO).err(), self.own.read().err())
    }

    /// What the CPUs did since the last call.
    pub(crate) fn interval(&mut self, now: Millis) -> CpuInterval {
        // A file that cannot be read now gives no share now; `faults` told why at start.
        let next = Snapshot { system: self.system.read(now).ok(), own: self.own.read().ok() };
        let Some(last) = self.last.replace(next) else { return CpuInterval::default() };
        let since = |(now, then): (SystemTime, SystemTime)| SystemTime {
            busy: now.busy.saturating_sub(then.busy),
            total: now.total.saturating_sub(then.total),
        };
        let system = next.system.zip(last.system).map(since);
        CpuInterval {
            share: system.and_then(|time| CpuShare::of(time.busy.get(), time.total.get())),
            busy: system.map(|time| time.busy),
            own: next.own.zip(last.own).map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

/// Where the time of all CPUs is read.
#[derive(Debug)]
enum SystemClock {
    /// The first line of `/proc/stat`.
    Stat(PathBuf),
    /// `cpu.stat` of the root cgroup, for units whose `ProcSubset=pid` hides `/proc/stat`.
    RootCgroup { stat: PathBuf, cpus: u64 },
}

impl SystemClock {
    fn find(roots: &Roots) -> Self {
        let stat = roots.proc.join("stat");
        let cgroup = roots.sys.join("fs/cgroup/cpu.stat");
        if stat.exists() || !cgroup.exists() {
            return Self::Stat(stat);
        }
        match cpus_online(&roots.sys.join("devices/system/cpu/online")) {
            Ok(cpus) => Self::RootCgroup { stat: cgroup, cpus },
            Err(_) => Self::Stat(stat),
        }
    }

    fn read(&self, now: Millis) -> Result<SystemTime, Fault> {
        match self {
            Self::Stat(path) => stat_time(path),
            Self::RootCgroup { stat, cpus } => Ok(SystemTime {
                busy: usage(stat)?,
                total: CpuTime(now.get().saturating_mul(1_000).saturating_mul(*cpus)),
            }),
        }
    }
}

/// Where our own time is read.
#[derive(Debug)]
enum OwnClock {
    /// `cpu.stat` of the cgroup of the service, children included.
    Cgroup(PathBuf),
    /// `/proc/self/stat`, for a process that shares its cgroup with others, as in a login shell.
    Process(PathBuf),
}

impl OwnClock {
    fn find(roots: &Roots) -> Self {
        service_cgroup(roots)
            .filter(|stat| stat.exists())
            .map_or_else(|| Self::Process(roots.proc.join("self/stat")), Self::Cgroup)
    }

    fn read(&self) -> Result<CpuTime, Fault> {
        match self {
            Self::Cgroup(path) => usage(path),
            Self::Process(path) => process_time(path),
        }
    }
}

/// `cpu.stat` of our own cgroup, if it is that of a service and so holds nobody else.
fn service_cgroup(roots: &Roots) -> Option<PathBuf> {
    let memberships = sysfs::text(&roots.proc.join("self/cgroup")).ok()?;
    let path = memberships.lines().find_map(|line| line.strip_prefix("0::/"))?;
    path.ends_with(".service").then(|| roots.sys.join("fs/cgroup").join(path).join("cpu.stat"))
}

/// Busy and total time from the first line of `/proc/stat`.
fn stat_time(path: &Path) -> Result<SystemTime, Fault> {
    let text = sysfs::text(path)?;
    let first = text.lines().next().unwrap_or_default();
    let garbage = || sysfs::garbage(path, first);
    let numbers = first.strip_prefix("cpu ").ok_or_else(garbage)?;
    let ticks: Vec<u64> = numbers
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| garbage())?;
    // proc_stat(5). Guest time is part of user time already, and stolen time is not ours.
    let &[user, nice, system, idle, iowait, irq, softirq, ..] = ticks.as_slice() else {
        return Err(garbage());
    };
    let sum = |parts: &[u64]| {
        CpuTime::from_ticks(parts.iter().fold(0, |sum, part| part.saturating_add(sum)))
    };
    Ok(SystemTime {
        busy: sum(&[user, nice, system, irq, softirq]),
        total: sum(&[user, nice, system, irq, softirq, idle, iowait]),
    })
}

/// `usage_usec` of a `cpu.stat`.
fn usage(path: &Path) -> Result<CpuTime, Fault> {
    let text = sysfs::text(path)?;
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    usage
        .and_then(|micros| micros.trim().parse().ok())
        .map(CpuTime)
        .ok_or_else(|| sysfs::garbage(path, &text))
}

/// User and system time of a process from its `stat`.
pub(crate) fn process_time(path: &Path) -> Result<CpuTime, Fault> {
    let text = sysfs::text(path)?;
    // proc_pid_stat(5): the name in parentheses may hold anything, parentheses included; utime
    // and stime are fields 14 and 15, the twelfth and thirteenth behind it.
    let times = text.rsplit_once(')').and_then(|(_, fields)| {
        let mut fields = fields.split_ascii_whitespace().skip(11);
        Some((fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?))
    });
    times
        .map(|(user, system)| CpuTime::from_ticks(user.saturating_add(system)))
        .ok_or_else(|| sysfs::garbage(path, &text))
}

/// How many CPUs a list such as `0-3,5` names.
fn cpus_online(path: &Path) -> Result<u64, Fault> {
    let text = sysfs::text(path)?;
    let span = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    text.split(',')
        .map(span)
        .try_fold(0, |sum: u64, part| sum.checked_add(part?))
        .ok_or_else(|| sysfs::garbage(path, &text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn roots(&self) -> Roots {
            let at = |name| self.0.path().join(name);
            Roots { sys: at("sys"), proc: at("proc"), dev: at("dev") }
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
    }

    #[test]
    fn the_share_is_busy_time_over_all_time() {
        let tree = Tree::new();
        tree.put("proc/stat", "cpu  100 0 50 800 50 0 0 7 3 0\ncpu0 1 1 1\n");
        tree.put("proc/self/stat", "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 20 10 0 0 20 0 1 0\n");
        let mut meter = CpuMeter::new(&tree.roots());
        assert_eq!(meter.faults(), (None, None));
        assert!(meter.interval(Millis::ZERO).share.is_none(), "one sample makes no interval");
        tree.put("proc/stat", "cpu  110 5 60 850 75 5 0 99 99 0\n");
        tree.put("proc/self/stat", "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 25 15 0 0 20 0 1 0\n");
        let cpu = meter.interval(Millis::from_secs(1));
        // 30 busy ticks of 105; iowait is not busy, steal and guest do not count.
        assert_eq!(cpu.share, CpuShare::of(30, 105));
        assert_eq!(cpu.busy, Some(CpuTime::from_ticks(30)));
        assert_eq!(cpu.own, Some(CpuTime::from_ticks(10)));
    }

    #[test]
    fn a_service_counts_its_whole_cgroup() {
        let tree = Tree::new();
        tree.put("proc/self/cgroup", "0::/system.slice/goodwattd.service\n");
        tree.put("proc/self/stat", "7 (a) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0\n");
        let stat = "sys/fs/cgroup/system.slice/goodwattd.service/cpu.stat";
        tree.put(stat, "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n");
        assert_eq!(OwnClock::find(&tree.roots()).read(), Ok(CpuTime(1_234)));
        tree.put("proc/self/cgroup", "0::/user.slice/session-1.scope\n");
        tree.put("sys/fs/cgroup/user.slice/session-1.scope/cpu.stat", "usage_usec 9999\n");
        assert_eq!(OwnClock::find(&tree.roots()).read(), Ok(CpuTime(20_000)));
    }

    #[test]
    fn the_root_cgroup_stands_in_for_a_hidden_proc_stat() {
        let tree = Tree::new();
        tree.put("sys/fs/cgroup/cpu.stat", "usage_usec 0\n");
        tree.put("sys/devices/system/cpu/online", "0-2,4\n");
        let mut meter = CpuMeter::new(&tree.roots());
        meter.interval(Millis::from_secs(10));
        tree.put("sys/fs/cgroup/cpu.stat", "usage_usec 1000000\n");
        let share = meter.interval(Millis::from_secs(11)).share;
        assert_eq!(share, CpuShare::of(1, 4), "one of four CPU seconds");
    }

    #[test]
    fn a_hidden_share_is_named_and_none() {
        let tree = Tree::new();
        let mut meter = CpuMeter::new(&tree.roots());
        let (system, own) = meter.faults();
        assert_eq!(system, Some(Fault::Gone { path: tree.roots().proc.join("stat") }));
        assert_eq!(own, Some(Fault::Gone { path: tree.roots().proc.join("self/stat") }));
        meter.interval(Millis::ZERO);
        assert!(meter.interval(Millis::from_secs(1)).share.is_none());
    }

    #[test]
    fn wrong_texts_are_garbage() {
        let tree = Tree::new();
        let check = |text: &str| {
            tree.put("proc/stat", text);
            let path = tree.roots().proc.join("stat");
            assert!(matches!(stat_time(&path), Err(Fault::Garbage { .. })), "{text:?}");
            assert!(matches!(process_time(&path), Err(Fault::Garbage { .. })), "{text:?}");
            assert!(matches!(usage(&path), Err(Fault::Garbage { .. })), "{text:?}");
            assert!(matches!(cpus_online(&path), Err(Fault::Garbage { .. })), "{text:?}");
        };
        check("cpu  1 2 3\n");
        check("cpu  1 2 x 4 5 6 7\n");
        check("7 (a) S 1 1\n");
        check("usage_usec many\n");
        check("3-0\n");
    }
}
