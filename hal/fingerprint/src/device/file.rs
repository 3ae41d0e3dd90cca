//! A device secret in a file: for boards that have nothing better.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{DeviceError, DeviceSecret, derive};
use crate::durable;

/// A file that only its owner can read: it protects from whoever gets the helper data alone, not
/// from whoever copies the whole card.
#[derive(Clone, Debug)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// The secret at a path, which is read when it is needed.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes a fresh secret where there is none; an existing one stays.
    ///
    /// # Errors
    /// Where the file cannot be written durably, or the system has no random numbers.
    pub fn create(path: &Path) -> Result<Self, DeviceError> {
        let failed = |error| DeviceError::Io { path: path.to_owned(), error };
        let secret = Self::at(path);
        if path.exists() {
            secret.read()?;
            return Ok(secret);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other).map_err(failed)?;
        durable::write(path, bytes.as_slice()).map_err(failed)?;
        Ok(secret)
    }

    fn read(&self) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
        let failed = |error| DeviceError::Io { path: self.0.clone(), error };
        let mut file = File::open(&self.0).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(DeviceError::Open { path: self.0.clone() });
        }
        let mut bytes = Zeroizing::new([0; 33]);
        let count = fill(&mut file, bytes.as_mut_slice()).map_err(failed)?;
        let secret = bytes.first_chunk().filter(|_| count == 32);
        secret.map(|s| Zeroizing::new(*s)).ok_or(DeviceError::Damaged { path: self.0.clone() })
    }
}

fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match file.read(&mut bytes[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

impl DeviceSecret for SecretFile {
    fn name(&self) -> &'static str {
        "a file on the card, readable by its owner only"
    }

    fn key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
        Ok(derive(&*self.read()?, purpose))
    }
}
