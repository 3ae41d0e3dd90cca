//! Wrong tries cost time, and after ten of them only the words help.
//!
//! A try is counted before it is made, durably: pulling the plug takes none back. The counter is
//! authenticated by the device secret, so that nobody can write one of their own; a copy of the
//! card can be put back, though, and only hardware that counts by itself prevents that.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::{DeviceError, DeviceSecret, mac};
use crate::durable;

/// Tries after which the words are needed.
pub const TRIES: u32 = 10;
/// Seconds to wait after each wrong try.
const DELAYS: [u64; TRIES as usize] = [0, 0, 2, 5, 15, 30, 60, 300, 900, 0];
const MAGIC: &[u8; 8] = b"GWTRIES1";
const FILE: usize = 8 + 4 + 8 + 32;
const PURPOSE: &str = "goodwatt/finger/tries";

/// Wrong tries so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tries {
    /// How many since the last right one.
    pub wrong: u32,
    /// Seconds since 1970 at which the last one was made.
    pub last: u64,
}

impl Tries {
    /// Seconds to wait at a time in seconds since 1970, before the next try. Where the clock was set
    /// back that is the whole wait.
    #[must_use]
    pub fn wait(self, now: u64) -> u64 {
        let delay = match self.wrong.min(TRIES) {
            0 => 0,
            wrong => DELAYS[wrong as usize - 1],
        };
        delay.saturating_sub(now.saturating_sub(self.last))
    }
}

/// Why no try is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThrottleError {
    /// Too early.
    #[error("{wrong} tries were wrong: wait {seconds} more seconds")]
    Wait {
        /// Wrong tries so far.
        wrong: u32,
        /// Seconds until the next one.
        seconds: u64,
    },
    /// Too many.
    #[error(
        "{TRIES} tries were wrong: only the 24 words open it now: `goodwatt key enroll --words` enrols anew, `goodwatt key restore` makes a key file"
    )]
    WordsOnly,
    /// Somebody changed the counter.
    #[error(
        "{path} was changed or is another board's: `goodwatt key enroll --words` makes it anew"
    )]
    Forged {
        /// The file.
        path: PathBuf,
    },
    /// The board's own secret.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Reading or writing failed.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The counter in a file.
#[derive(Clone, Debug)]
pub struct Throttle {
    path: PathBuf,
}

impl Throttle {
    /// The counter at a path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Starts at nothing; enrolment and words do that.
    ///
    /// # Errors
    /// Where the device secret is missing or the file system refuses.
    pub fn reset(&self, device: &dyn DeviceSecret) -> Result<(), ThrottleError> {
        self.store(Tries::default(), device)
    }

    /// Wrong tries so far. A missing counter is a changed one.
    ///
    /// # Errors
    /// Where it is missing, changed, or cannot be read.
    pub fn tries(&self, device: &dyn DeviceSecret) -> Result<Tries, ThrottleError> {
        let forged = || ThrottleError::Forged { path: self.path.clone() };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(forged()),
            Err(error) => return Err(ThrottleError::Io { path: self.path.clone(), error }),
        };
        if bytes.len() != FILE || &bytes[..8] != MAGIC {
            return Err(forged());
        }
        let (told, tag) = bytes.split_at(FILE - 32);
        if tag != mac(device, PURPOSE, told)? {
            return Err(forged());
        }
        let word = |at: usize| told[at..].first_chunk().copied().unwrap_or_default();
        let wrong = u32::from_be_bytes(told[8..].first_chunk().copied().unwrap_or_default());
        Ok(Tries { wrong, last: u64::from_be_bytes(word(12)) })
    }

    /// Whether a try may be made at a time in seconds since 1970; none is counted.
    ///
    /// # Errors
    /// Where it is too early, or there were too many.
    pub fn check(&self, now: u64, device: &dyn DeviceSecret) -> Result<Tries, ThrottleError> {
        let before = self.tries(device)?;
        if before.wrong >= TRIES {
            return Err(ThrottleError::WordsOnly);
        }
        if now < before.last {
            // The clock was set back: the wait begins anew rather than to last for years.
            self.store(Tries { last: now, ..before }, device)?;
        }
        match before.wait(now) {
            0 => Ok(before),
            seconds => Err(ThrottleError::Wait { wrong: before.wrong, seconds }),
        }
    }

    /// Counts a try that is about to be made, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Where it is too early, or there were too many.
    pub fn begin(&self, now: u64, device: &dyn DeviceSecret) -> Result<Tries, ThrottleError> {
        let before = self.check(now, device)?;
        let tries = Tries { wrong: before.wrong + 1, last: now };
        self.store(tries, device)?;
        Ok(tries)
    }

    fn store(&self, tries: Tries, device: &dyn DeviceSecret) -> Result<(), ThrottleError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(tries.wrong.to_be_bytes());
        bytes.extend(tries.last.to_be_bytes());
        let tag = mac(device, PURPOSE, &bytes)?;
        bytes.extend(tag);
        let failed = |error| ThrottleError::Io { path: self.path.clone(), error };
        durable::write(&self.path, &bytes).map_err(failed)
    }
}
