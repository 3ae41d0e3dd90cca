//! The folder of the index: how sled's files are opened, and how they are put out of the way.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::IndexError;
use crate::disk::{Access, Action, DiskError, Folder};

/// sled's own cache.
const SLED_CACHE_BYTES: u64 = 4 << 20;
/// Attempts to open sled's files that may fail to come back before they are set aside.
pub(super) const ATTEMPTS_MAX: u8 = 2;

/// How often, and how long in between, a taken lock is tried: three seconds in all.
const LOCK_ATTEMPTS: u32 = 60;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Opens sled's files. Its threads hold the lock for a moment after it was closed in the same
/// process; other processes are kept out by the lock on the data folder.
pub(super) fn open_sled(path: &Path) -> Result<sled::Db, sled::Error> {
    let mut attempts = LOCK_ATTEMPTS;
    loop {
        let opened = sled::Config::new()
            .path(path)
            .cache_capacity(SLED_CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None)
            .open();
        match opened {
            // sled reports a taken lock as an error of another kind, with the system's in its text.
            Err(sled::Error::Io(error)) if attempts > 0 && error.to_string().contains("lock") => {
                attempts -= 1;
                std::thread::sleep(LOCK_WAIT);
            }
            outcome => return outcome,
        }
    }
}

/// Moves the folder to `NAME.bad`, in place of one that was moved there before.
pub(super) fn set_aside(path: &Path) -> Result<(), DiskError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".bad");
    let aside = path.with_file_name(name);
    let error = |source| DiskError::new(&path.display().to_string(), Action::Rename, source);
    match fs::remove_dir_all(&aside) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(error(source)),
        _ => {}
    }
    match fs::rename(path, &aside) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(error(source)),
        _ => Ok(()),
    }
}

/// Removes the folder.
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::new(&path.display().to_string(), Action::Remove, source))
        }
        _ => Ok(()),
    }
}

/// How often opening was begun and did not come back.
pub(super) struct Attempts;

impl Attempts {
    const FILE: &'static str = "opening";

    pub(super) fn note(folder: &Folder) -> Result<Self, IndexError> {
        let before = match folder.open_existing(Self::FILE, Access::Read)? {
            Some(file) => file.read(0, 1)?.first().copied().unwrap_or(0),
            None => 0,
        };
        if before >= ATTEMPTS_MAX {
            let message = "opening it ended the process twice".to_owned();
            return Err(sled::Error::ReportableBug(message).into());
        }
        let mut file = folder.open(Self::FILE, Access::Write)?;
        file.write_at(0, &[before + 1])?;
        file.sync()?;
        folder.sync()?;
        Ok(Self)
    }

    pub(super) fn clear(self, folder: &Folder) -> Result<(), DiskError> {
        folder.remove_existing(Self::FILE)
    }
}
