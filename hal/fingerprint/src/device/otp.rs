//! The private key in the one-time programmable memory of a Raspberry Pi 4 or 5.
//!
//! Eight rows of 32 bits that the firmware gives to root and the group `video`: a copied card has
//! them not, whoever is root on the running board has. The factory leaves them empty. They are
//! only read here; nothing in this project can write them.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{DeviceError, DeviceSecret, derive};

/// The firmware's mailbox; `/dev/vcio_gencmd` takes text commands alone.
const MAILBOX: &str = "/dev/vcio";
/// Rows of the key (documentation of Raspberry Pi, device-specific private key).
const ROWS: usize = 8;

/// The key in the OTP memory, read when it is needed.
#[derive(Clone, Debug)]
pub struct Otp(PathBuf);

impl Otp {
    /// The key behind the mailbox at its usual place.
    #[must_use]
    pub fn usual() -> Self {
        Self::at(Path::new(MAILBOX))
    }

    /// The key behind a mailbox.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn rows(&self) -> Result<Zeroizing<[u32; ROWS]>, DeviceError> {
        let path = || self.0.clone();
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => DeviceError::Missing {
                path: path(),
                remedy: "only a Raspberry Pi 4 or 5 has this memory; use a TPM or a file",
            },
            ErrorKind::PermissionDenied => DeviceError::Permission {
                path: path(),
                remedy: "run as root, or add yourself to its group: `sudo usermod -aG video $USER`",
            },
            _ => DeviceError::Io { path: path(), error },
        };
        let mailbox = File::options().read(true).write(true).open(&self.0).map_err(failed)?;
        goodwatt_mailbox::private_key(&mailbox).map_err(failed)
    }
}

impl DeviceSecret for Otp {
    fn name(&self) -> &'static str {
        "the board's OTP memory, which root and the group video can read"
    }

    fn key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
        from_rows(&*self.rows()?, purpose)
    }
}

/// The key of a purpose, where the rows hold a secret at all: of eight random ones none is empty
/// and no two are alike, but once in 150 million boards.
fn from_rows(rows: &[u32; ROWS], purpose: &str) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
    if rows.iter().all(|row| *row == 0) {
        return Err(DeviceError::Unwritten);
    }
    let alike = |(i, row): (usize, &u32)| *row == 0 || rows[..i].contains(row);
    if rows.iter().enumerate().any(alike) {
        return Err(DeviceError::Weak);
    }
    let mut bytes = Zeroizing::new([0; 4 * ROWS]);
    for (target, row) in bytes.chunks_exact_mut(4).zip(rows) {
        target.copy_from_slice(&row.to_be_bytes());
    }
    Ok(derive(&*bytes, purpose))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Raspberry Pi's documentation.
    const EXAMPLE: [u32; ROWS] = [
        0xf8db_c7b0,
        0xa4fc_fb1d,
        0x706e_298a,
        0xc9d0_485c,
        0x2226_ce8d,
        0xf7f7_596a,
        0xc773_37bd,
        0x09fb_e160,
    ];

    #[test]
    fn every_bit_and_the_purpose_matter() {
        let key = |rows: &[u32; ROWS], purpose| *from_rows(rows, purpose).expect("a random key");
        let own = key(&EXAMPLE, "a purpose");
        assert_ne!(own, key(&EXAMPLE, "another"));
        for bit in 0..32 * ROWS {
            let mut other = EXAMPLE;
            other[bit / 32] ^= 1 << (bit % 32);
            assert_ne!(own, key(&other, "a purpose"), "bit {bit}");
        }
    }

    #[test]
    fn rows_that_hold_no_secret_are_refused() {
        let check = |at: usize, row: u32| {
            let mut rows = EXAMPLE;
            rows[at] = row;
            assert!(matches!(from_rows(&rows, "x"), Err(DeviceError::Weak)), "{at}: {row:08x}");
        };
        check(0, 0);
        check(7, 0);
        check(5, EXAMPLE[2]);
        assert!(matches!(from_rows(&[0; ROWS], "x"), Err(DeviceError::Unwritten)));
        assert!(matches!(from_rows(&[u32::MAX; ROWS], "x"), Err(DeviceError::Weak)));
    }

    #[test]
    fn a_board_without_a_mailbox_is_told_so() {
        let error =
            Otp::at(Path::new("/dev/no-such-mailbox")).key("x").expect_err("it is not there");
        assert!(matches!(error, DeviceError::Missing { .. }), "{error}");
        // ENOTTY of a device that is no mailbox.
        let error = Otp::at(Path::new("/dev/null")).key("x").expect_err("no mailbox");
        assert!(matches!(error, DeviceError::Io { .. }), "{error}");
    }
}
