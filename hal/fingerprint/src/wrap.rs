//! The root secret under finger, PIN and board.
//!
//! A file is `GWFINGER`, version, mode, salt 16, nonce 24, and then what the device secret seals:
//! the helper under the PIN, and the root sealed under everything. A wrong PIN gives another
//! helper that looks like any other, and the same work: only the last seal tells, and it tells
//! nothing about which of finger and PIN was wrong.

use std::io;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::device::{DeviceError, DeviceSecret};
use crate::durable;
use crate::extract::Print;
use crate::random::{Random, Seeded};
use crate::vault::{Budget, HELPER_BYTES, Helper, Locked, open};

const MAGIC: &[u8; 8] = b"GWFINGER";
/// 1 gave away three points of the secret polynomial, and is not opened any more.
const VERSION: u8 = 2;
const SALT: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const ROOT: usize = 32;
const HEAD: usize = 8 + 1 + 1 + SALT + NONCE;
/// Bytes of a file; there is no other length.
const FILE: usize = HEAD + HELPER_BYTES + ROOT + TAG + TAG;

/// What one guess of a PIN costs: as for key files, 8 MiB, three passes.
const MEMORY_KIB: u32 = 8 * 1024;
const PASSES: u32 = 3;

/// What opens a file beside the PIN and the board.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// A finger.
    Finger,
    /// Nothing else: for boards without a sensor and fingers without ridges.
    Passphrase,
}

impl Mode {
    const fn code(self) -> u8 {
        match self {
            Self::Finger => 1,
            Self::Passphrase => 2,
        }
    }
}

/// Why a wrapped root was not made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// Finger or PIN, and nobody can tell which.
    #[error("finger or PIN is wrong: lay the finger down once more, or check the PIN")]
    Wrong,
    /// The board is another one, or the file was changed.
    #[error(
        "{path} was made on another board, or was changed: `goodwatt key enroll --words` makes it anew"
    )]
    OtherBoard {
        /// The file.
        path: PathBuf,
    },
    /// It is no such file, or one of a later version.
    #[error(
        "{path} is no fingerprint file of this version: `goodwatt key enroll --words` makes it anew"
    )]
    Invalid {
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
    /// There is no random number to be had.
    #[error("the system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// Not enough memory to stretch the PIN.
    #[error("8 MiB of memory are needed for a moment and are not there")]
    OutOfMemory,
}

/// A root secret that was read and is still sealed.
#[derive(Clone)]
pub struct Wrapped {
    mode: Mode,
    salt: [u8; SALT],
    nonce: [u8; NONCE],
    /// The helper under the PIN, then the sealed root.
    inner: Zeroizing<Vec<u8>>,
}

impl Wrapped {
    /// What opens it.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Seals a root; without a vault the PIN and the board alone open it.
    ///
    /// # Errors
    /// Where the device secret, random numbers or memory are missing.
    pub fn seal(
        root: &[u8; 32],
        pin: &[u8],
        device: &dyn DeviceSecret,
        vault: Option<&Locked>,
    ) -> Result<Self, WrapError> {
        let mut fresh = [0; SALT + NONCE];
        getrandom::fill(&mut fresh).map_err(WrapError::Randomness)?;
        let (salt, nonce) = fresh.split_at(SALT);
        let mode = if vault.is_some() { Mode::Finger } else { Mode::Passphrase };
        let mut wrapped = Self {
            mode,
            salt: salt.try_into().expect("it was cut so"),
            nonce: nonce.try_into().expect("it was cut so"),
            inner: Zeroizing::new(Vec::with_capacity(HELPER_BYTES + ROOT + TAG)),
        };
        let mut system = System::default();
        let mut helper = match vault {
            Some(locked) => locked.helper.encode(&mut system),
            None => Zeroizing::new((0..HELPER_BYTES).map(|_| system.next() as u8).collect()),
        };
        system.check()?;
        let stretched = stretch(pin, &wrapped.salt)?;
        stream(&stretched, &mut helper);
        let secret = vault.map(|locked| locked.secret.as_slice());
        let key = wrapped.key(&stretched, device, secret)?;
        let payload = Payload { msg: root.as_slice(), aad: &wrapped.head() };
        let sealed = XChaCha20Poly1305::new((&*key).into())
            .encrypt(&wrapped.nonce.into(), payload)
            .expect("32 bytes are below the cipher's limit, its only error");
        wrapped.inner.extend(helper.iter());
        wrapped.inner.extend(sealed);
        Ok(wrapped)
    }

    /// The root, where PIN, board and, if it takes one, finger are right.
    ///
    /// # Errors
    /// [`WrapError::Wrong`] where finger or PIN are not the right ones.
    pub fn open(
        &self,
        pin: &[u8],
        device: &dyn DeviceSecret,
        print: Option<&Print>,
        budget: Budget,
    ) -> Result<Zeroizing<[u8; 32]>, WrapError> {
        let (helper, sealed) = self.inner.split_at(HELPER_BYTES);
        let stretched = stretch(pin, &self.salt)?;
        let secret = match (self.mode, print) {
            (Mode::Passphrase, _) => None,
            (Mode::Finger, None) => return Err(WrapError::Wrong),
            (Mode::Finger, Some(print)) => {
                let mut helper = Zeroizing::new(helper.to_vec());
                stream(&stretched, &mut helper);
                let helper = Helper::decode(&helper).ok_or(WrapError::Wrong)?;
                let mut system = System::default();
                // The order of guesses is no secret; it only has to be another one each time.
                let mut order = Seeded::new(system.next());
                system.check()?;
                let opened = open(&helper, print, budget, &mut order);
                Some(opened.ok_or(WrapError::Wrong)?)
            }
        };
        let key = self.key(&stretched, device, secret.as_ref().map(|s| s.as_slice()))?;
        let payload = Payload { msg: sealed, aad: &self.head() };
        let opened = XChaCha20Poly1305::new((&*key).into()).decrypt(&self.nonce.into(), payload);
        let opened = Zeroizing::new(opened.map_err(|_| WrapError::Wrong)?);
        let mut root = Zeroizing::new([0; ROOT]);
        root.copy_from_slice(&opened);
        Ok(root)
    }

    /// The key of the root: SHA-256 over the device's key, the stretched PIN, and the vault's
    /// secret as it is.
    fn key(
        &self,
        stretched: &Zeroizing<[u8; 64]>,
        device: &dyn DeviceSecret,
        secret: Option<&[u16]>,
    ) -> Result<Zeroizing<[u8; 32]>, WrapError> {
        let mut hash = Sha256::new();
        hash.update(*device.key("goodwatt/finger/root")?);
        hash.update(&stretched[32..]);
        for word in secret.unwrap_or(&[]) {
            hash.update(word.to_be_bytes());
        }
        Ok(Zeroizing::new(hash.finalize().into()))
    }

    /// Everything before the sealed part; bound into both seals.
    fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        (head[8], head[9]) = (VERSION, self.mode.code());
        head[10..10 + SALT].copy_from_slice(&self.salt);
        head[10 + SALT..].copy_from_slice(&self.nonce);
        head
    }

    /// Writes it in the place of what was there: after a crash it is the old one or this one.
    ///
    /// # Errors
    /// Where the device secret is missing or the file system refuses.
    pub fn store(&self, path: &Path, device: &dyn DeviceSecret) -> Result<(), WrapError> {
        let head = self.head();
        let key = device.key("goodwatt/finger/helper")?;
        let payload = Payload { msg: self.inner.as_slice(), aad: &head };
        let sealed = XChaCha20Poly1305::new((&*key).into())
            .encrypt(&self.nonce.into(), payload)
            .expect("a helper is below the cipher's limit, its only error");
        let bytes = [head.as_slice(), &sealed].concat();
        durable::write(path, &bytes).map_err(|error| WrapError::Io { path: path.to_owned(), error })
    }

    /// Reads what [`Self::store`] wrote on this board.
    ///
    /// # Errors
    /// Where it is missing, damaged, or another board's.
    pub fn load(path: &Path, device: &dyn DeviceSecret) -> Result<Self, WrapError> {
        let failed = |error| WrapError::Io { path: path.to_owned(), error };
        let invalid = || WrapError::Invalid { path: path.to_owned() };
        if std::fs::metadata(path).map_err(failed)?.len() != FILE as u64 {
            return Err(invalid());
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let (head, sealed) = bytes.split_at_checked(HEAD).ok_or_else(invalid)?;
        if &head[..8] != MAGIC || head[8] != VERSION {
            return Err(invalid());
        }
        let mode = match head[9] {
            1 => Mode::Finger,
            2 => Mode::Passphrase,
            _ => return Err(invalid()),
        };
        let salt = head[10..10 + SALT].try_into().map_err(|_| invalid())?;
        let nonce: [u8; NONCE] = head[10 + SALT..].try_into().map_err(|_| invalid())?;
        let key = device.key("goodwatt/finger/helper")?;
        let payload = Payload { msg: sealed, aad: head };
        let inner = XChaCha20Poly1305::new((&*key).into()).decrypt(&nonce.into(), payload);
        let inner = inner.map_err(|_| WrapError::OtherBoard { path: path.to_owned() })?;
        if inner.len() != HELPER_BYTES + ROOT + TAG {
            return Err(invalid());
        }
        Ok(Self { mode, salt, nonce, inner: Zeroizing::new(inner) })
    }

    /// Destroys what is stored: the finger opens nothing any more.
    ///
    /// # Errors
    /// Where the file is missing or the file system refuses.
    pub fn revoke(path: &Path) -> Result<(), WrapError> {
        durable::destroy(path).map_err(|error| WrapError::Io { path: path.to_owned(), error })
    }
}

/// Argon2id over the PIN: 32 bytes for the helper, 32 for the root's key.
fn stretch(pin: &[u8], salt: &[u8; SALT]) -> Result<Zeroizing<[u8; 64]>, WrapError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(64)).expect("within Argon2's bounds");
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| WrapError::OutOfMemory)?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 64]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(pin, salt, key.as_mut_slice(), memory.as_mut_slice())
        .expect("salt, output and memory have the sizes asked for above");
    memory.zeroize();
    Ok(key)
}

/// Length-preserving, without any tag: what a wrong PIN gives cannot be told from a helper. The
/// key is used once, as its salt is fresh.
fn stream(stretched: &Zeroizing<[u8; 64]>, helper: &mut [u8]) {
    let (key, _) = stretched.split_first_chunk::<32>().expect("64 bytes begin with 32");
    chacha20::ChaCha20::new(key.into(), &[0; 12].into()).apply_keystream(helper);
}

/// Random numbers of the operating system; a failure is kept until somebody asks.
#[derive(Debug, Default)]
pub struct System {
    failed: Option<getrandom::Error>,
}

impl System {
    /// Whether all numbers so far were random ones.
    ///
    /// # Errors
    /// Where the system gave none.
    pub fn check(&self) -> Result<(), WrapError> {
        self.failed.map_or(Ok(()), |error| Err(WrapError::Randomness(error)))
    }
}

impl Random for System {
    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        if let Err(error) = getrandom::fill(&mut bytes) {
            self.failed = Some(error);
        }
        u64::from_le_bytes(bytes)
    }
}
