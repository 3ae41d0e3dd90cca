//! One process for one data folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Action, DiskError};

/// Name of the lock file.
const FILE: &str = "lock";
/// Longest text read from a lock file: a process id has at most 10 digits.
const PID_BYTES_MAX: u64 = 16;

/// Holds a data folder for this process until dropped.
///
/// The kernel lets go of it when the process ends, however it ends: a leftover file is no lock.
#[derive(Debug)]
pub struct DataDirLock {
    // Held open: closing it unlocks.
    _file: File,
}

/// Why a data folder could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Two signers on one guard would sign twice, so the second process is refused.
    #[error(
        "{} is in use by another process{}: stop that one first \
         (`systemctl stop goodwattd`), or choose another folder", folder.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Who holds it, where it said so.
        pid: Option<u32>,
    },
    /// The lock file could not be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl DataDirLock {
    /// Takes `folder`, which has to exist, without waiting.
    ///
    /// # Errors
    /// [`LockError::InUse`] while another process, or another lock of this one, holds it.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(FILE);
        let failed = |action| {
            let name = path.display().to_string();
            move |source: io::Error| DiskError::new(&name, action, source)
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed(Action::Open))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::InUse { folder: folder.to_owned(), pid: holder(&file) });
            }
            Err(error) => return Err(failed(Action::Open)(error.into()).into()),
        }
        write_pid(&mut file).map_err(failed(Action::Write))?;
        Ok(Self { _file: file })
    }
}

/// The process id in the lock file: a hint for the message, never relied upon.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lock = DataDirLock::take(dir.path()).expect("free");
        let refused = DataDirLock::take(dir.path()).expect_err("held");
        let pid = std::process::id().to_string();
        assert!(refused.to_string().contains(&pid), "{refused}");
        drop(lock);
        DataDirLock::take(dir.path()).expect("free again, though the file is still there");
    }
}
