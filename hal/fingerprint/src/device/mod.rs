//! The board's own secret: without it a copied card is worth nothing.
//!
//! Three kinds: a file, the private key in the OTP memory of a Raspberry Pi 4 or 5 (feature `otp`),
//! and a TPM 2.0 (feature `tpm`). What each is worth says [`DeviceSecret::name`], and in full
//! `docs/fingerprint.md`.

mod error;
mod file;
#[cfg(feature = "otp")]
mod otp;
#[cfg(feature = "tpm")]
mod tpm;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use self::error::DeviceError;
pub use self::file::SecretFile;
#[cfg(feature = "otp")]
pub use self::otp::Otp;
#[cfg(feature = "tpm")]
pub use self::tpm::Tpm;

/// Thirty-two bytes that only this board has.
pub trait DeviceSecret {
    /// What it is, for people: where it lies and what that is worth.
    fn name(&self) -> &'static str;

    /// A key of its own for a purpose.
    ///
    /// # Errors
    /// Where the secret cannot be read.
    fn key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, DeviceError>;
}

/// Where the device secret of a board lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// In a file.
    File,
    /// In the OTP memory of a Raspberry Pi 4 or 5.
    #[cfg(feature = "otp")]
    Otp,
    /// In a TPM 2.0.
    #[cfg(feature = "tpm")]
    Tpm,
}

impl Kind {
    /// All kinds of this build, with their names in commands and files.
    pub const ALL: &[(&str, Self)] = &[
        ("file", Self::File),
        #[cfg(feature = "otp")]
        ("otp", Self::Otp),
        #[cfg(feature = "tpm")]
        ("tpm", Self::Tpm),
    ];

    /// The secret of this kind at its usual place, or at `path` where that is given; a file has no
    /// usual place, and is made where there is none.
    ///
    /// # Errors
    /// Where a file cannot be made, or the board has none of the kind.
    pub fn open(self, path: &Path) -> Result<Box<dyn DeviceSecret>, DeviceError> {
        let secret: Box<dyn DeviceSecret> = match self {
            Self::File => Box::new(SecretFile::create(path)?),
            #[cfg(feature = "otp")]
            Self::Otp => Box::new(Otp::usual()),
            #[cfg(feature = "tpm")]
            Self::Tpm => Box::new(Tpm::usual()),
        };
        // Better now than after five placements.
        secret.key("goodwatt/finger/there")?;
        Ok(secret)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Kind {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, kind)| *kind).ok_or_else(|| DeviceError::Kind { name: text.to_owned() })
    }
}

/// What only who has a device secret can say of a text, of any length: SHA-256 over the key of a purpose
/// and the SHA-256 of the text, so that no longer text continues it.
///
/// # Errors
/// Where the device secret cannot be had.
pub fn mac(device: &dyn DeviceSecret, purpose: &str, text: &[u8]) -> Result<[u8; 32], DeviceError> {
    let mut hash = Sha256::new();
    hash.update(*device.key(purpose)?);
    hash.update(Sha256::digest(text));
    Ok(hash.finalize().into())
}

/// SHA-256 over the length of the purpose, the purpose, and the secret.
pub(crate) fn derive(secret: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update([purpose.len() as u8]);
    hash.update(purpose);
    hash.update(secret);
    Zeroizing::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for (name, kind) in Kind::ALL {
            assert_eq!(kind.to_string(), *name);
            assert_eq!(name.parse::<Kind>().expect("a kind"), *kind);
        }
        let error = "atecc".parse::<Kind>().expect_err("no such kind").to_string();
        assert!(error.contains("atecc") && error.contains("file"), "{error}");
    }

    #[test]
    fn a_file_is_made_and_opened_as_any_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device");
        let key = || Kind::File.open(&path).and_then(|secret| secret.key("a purpose"));
        assert_eq!(*key().expect("made"), *key().expect("there"));
    }
}
