//! What this process costs besides power: wake-ups, memory, bytes written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Roots;
use crate::cpu::{self, CpuTime};
use crate::fault::Fault;
use crate::sysfs;

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProcessUsage {
    /// CPU time in user and kernel mode, ended threads included.
    pub cpu: CpuTime,
    /// How often a thread was switched in: voluntary and involuntary switches. Never falls.
    pub wakeups: u64,
    /// Memory that is resident (`VmRSS`), in bytes.
    pub resident_bytes: u64,
    /// The same with shared pages divided among those who share them (`Pss`), in bytes; `None`
    /// where the kernel has no `smaps_rollup` (before 4.14).
    pub proportional_bytes: Option<u64>,
    /// Bytes sent to the storage layer (`write_bytes`); `None` where the kernel does not count
    /// them (`CONFIG_TASK_IO_ACCOUNTING`).
    pub written_bytes: Option<u64>,
}

/// Reads [`ProcessUsage`]; keeps the wake-ups of threads that ended.
#[derive(Clone, Debug)]
pub struct ProcessWatch {
    own: PathBuf,
    wakeups: Wakeups,
}

impl ProcessWatch {
    /// Watches this process.
    #[must_use]
    pub fn new(roots: &Roots) -> Self {
        Self { own: roots.proc.join("self"), wakeups: Wakeups::default() }
    }

    /// What the process has used until now.
    ///
    /// # Errors
    /// The [`Fault`] of the first file in procfs that could not be read.
    pub fn read(&mut self) -> Result<ProcessUsage, Fault> {
        Ok(ProcessUsage {
            cpu: cpu::process_time(&self.own.join("stat"))?,
            wakeups: self.wakeups()?,
            resident_bytes: kibibytes(&self.own.join("status"), "VmRSS:")?,
            proportional_bytes: known(kibibytes(&self.own.join("smaps_rollup"), "Pss:"))?,
            written_bytes: known(field(&self.own.join("io"), "write_bytes:"))?,
        })
    }

    /// How often a thread of this process was switched in until now. Never falls.
    ///
    /// # Errors
    /// The [`Fault`] of the first file in procfs that could not be read.
    pub fn wakeups(&mut self) -> Result<u64, Fault> {
        let mut live = BTreeMap::new();
        for task in sysfs::entries(&self.own.join("task"), "")? {
            // A thread may end between the listing and the read; its last count is kept.
            if let Some(switches) = known(switches(&task.join("status")))? {
                live.insert(task, switches);
            }
        }
        Ok(self.wakeups.update(live))
    }
}

/// Sums the switches of all threads, those included that have ended.
///
/// Missed are only the switches of a thread between its last reading and its end.
#[derive(Clone, Debug, Default)]
struct Wakeups {
    live: BTreeMap<PathBuf, u64>,
    ended: u64,
}

impl Wakeups {
    fn update(&mut self, live: BTreeMap<PathBuf, u64>) -> u64 {
        for (task, before) in &self.live {
            // A count that fell belongs to a new thread under an old number.
            if live.get(task).is_none_or(|now| now < before) {
                self.ended = self.ended.saturating_add(*before);
            }
        }
        self.live = live;
        self.live.values().fold(self.ended, |sum, count| sum.saturating_add(*count))
    }
}

/// Voluntary and involuntary context switches of one thread.
fn switches(status: &Path) -> Result<u64, Fault> {
    let voluntary = field(status, "voluntary_ctxt_switches:")?;
    Ok(voluntary.saturating_add(field(status, "nonvoluntary_ctxt_switches:")?))
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn kibibytes(path: &Path, name: &str) -> Result<u64, Fault> {
    Ok(field(path, name)?.saturating_mul(1_024))
}

/// The first number behind `name` at the start of a line.
fn field(path: &Path, name: &str) -> Result<u64, Fault> {
    let text = sysfs::text(path)?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| sysfs::garbage(path, name))
}

/// `None` for a file that this kernel does not have.
fn known(value: Result<u64, Fault>) -> Result<Option<u64>, Fault> {
    match value {
        Err(Fault::Gone { .. }) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    fn status(voluntary: u64, involuntary: u64) -> String {
        format!(
            "Name:\tgoodwattd\nVmHWM:\t 9 kB\nVmRSS:\t 12 kB\n\
             voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n"
        )
    }

    #[test]
    fn usage_is_read_in_base_units() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        put(folder.path(), "self/stat", "7 (goodwattd) S 1 1 1 0 -1 0 0 0 0 0 20 10 0 0\n");
        put(folder.path(), "self/status", &status(3, 4));
        put(folder.path(), "self/task/7/status", &status(3, 4));
        put(
            folder.path(),
            "self/smaps_rollup",
            "00-ff ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: 8 kB\n",
        );
        put(folder.path(), "self/io", "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\n");
        let mut watch = ProcessWatch::new(&roots);
        let want = ProcessUsage {
            cpu: CpuTime::from_micros(300_000),
            wakeups: 7,
            resident_bytes: 12_288,
            proportional_bytes: Some(8_192),
            written_bytes: Some(4_096),
        };
        assert_eq!(watch.read(), Ok(want));
        for missing in ["self/smaps_rollup", "self/io"] {
            fs::remove_file(folder.path().join(missing)).expect("it was written");
        }
        let want = ProcessUsage { proportional_bytes: None, written_bytes: None, ..want };
        assert_eq!(watch.read(), Ok(want));
        fs::remove_file(folder.path().join("self/status")).expect("it was written");
        assert_eq!(watch.read(), Err(Fault::Gone { path: folder.path().join("self/status") }));
    }

    #[test]
    fn this_very_process_can_be_watched() {
        let mut watch = ProcessWatch::new(&Roots::default());
        let first = watch.read().expect("procfs is mounted");
        assert!(first.resident_bytes > 4_096 && first.wakeups > 0, "{first:?}");
        let second = watch.read().expect("procfs is mounted");
        assert!(second.wakeups >= first.wakeups && second.cpu >= first.cpu);
    }

    #[test]
    fn wakeups_never_fall() {
        let mut wakeups = Wakeups::default();
        let mut check = |live: &[(&str, u64)], want: u64| {
            let live = live.iter().map(|(task, count)| (PathBuf::from(task), *count)).collect();
            assert_eq!(wakeups.update(live), want);
        };
        check(&[("1", 5), ("2", 7)], 12);
        check(&[("1", 6), ("2", 7)], 13);
        check(&[("1", 6)], 13);
        check(&[("1", 8), ("2", 1)], 16);
        check(&[("1", 2), ("2", 1)], 18);
    }
}
