//! Key files: one secret of 32 bytes, under a passphrase, in a text a person can look at.
//!
//! ```text
//! # Goodwatt key file, protected by a passphrase.
//! version = 1
//! kind = "root"
//! public = "..."
//! kdf = { name = "argon2id", memory_kib = 8192, passes = 3, lanes = 1, salt = "32 digits" }
//! nonce = "48 digits"
//! sealed = "96 digits"
//! checksum = "64 digits"
//! ```
//!
//! The file is TOML and strict: each field once, none missing, none unknown, bytes as lower-case
//! hexadecimal digits. In words:
//! - `kind` is `root` (what account keys are derived from) or `signer` (one signing key).
//! - `public` is the text of the public key, so that it can be shown without the passphrase.
//! - `kdf` makes the sealing key: Argon2id 1.3 over the bytes of the passphrase, 32 bytes out.
//!   With `{ name = "none" }` the sealing key is 32 zero bytes: **the key is not protected**, and
//!   the first line of the file says so. That is for demonstrations and for boards that start
//!   alone.
//! - `sealed` is the secret under XChaCha20-Poly1305. Its associated data are the lines from
//!   `version` to `nonce`, as written above, each ended by a line feed: nobody can change the
//!   public key or the cost and have the file still open.
//! - `checksum` is SHA-256 over the length of the tag `goodwatt/key-file` in one byte, the tag,
//!   and the lines from `version` to `sealed`. It needs no passphrase, so it tells a damaged file
//!   from a wrong passphrase. It guards against accidents, the associated data against people.
//!
//! A file is created whole or not at all, readable by its owner only, and never overwrites one.

mod error;
mod file;
mod format;
mod passphrase;
mod prompt;
mod seal;
mod secret;

use std::path::Path;

use zeroize::Zeroizing;

use self::format::Fresh;

pub use self::error::{FormatError, KeystoreError};
pub use self::format::{KeyFile, KeyKind};
pub use self::passphrase::{Passphrase, PassphraseError, PassphraseSource};
pub use self::seal::KdfCost;
pub use self::secret::{RootSecret, Seed};

/// A secret together with what it is for.
#[derive(Debug)]
pub enum Secret {
    /// The owner's root.
    Root(RootSecret),
    /// The seed of a signing key.
    Signer(Seed),
}

impl Secret {
    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::Root(_) => KeyKind::Root,
            Self::Signer(_) => KeyKind::Signer,
        }
    }

    /// The owner's root.
    ///
    /// # Errors
    /// [`KeystoreError::WrongKind`] where it is something else.
    pub fn into_root(self) -> Result<RootSecret, KeystoreError> {
        match self {
            Self::Root(root) => Ok(root),
            Self::Signer(_) => Err(self.is_not(KeyKind::Root)),
        }
    }

    /// The seed of a signing key.
    ///
    /// # Errors
    /// [`KeystoreError::WrongKind`] where it is something else.
    pub fn into_signer(self) -> Result<Seed, KeystoreError> {
        match self {
            Self::Signer(seed) => Ok(seed),
            Self::Root(_) => Err(self.is_not(KeyKind::Signer)),
        }
    }

    /// Its bytes.
    fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Root(root) => root.as_bytes(),
            Self::Signer(seed) => seed.as_bytes(),
        }
    }

    /// Its bytes, told again what they are for.
    fn from_bytes(kind: KeyKind, bytes: &[u8; 32]) -> Self {
        match kind {
            KeyKind::Root => Self::Root(RootSecret::from_bytes(bytes)),
            KeyKind::Signer => Self::Signer(Seed::from_bytes(bytes)),
        }
    }

    /// The error of one who wanted another kind.
    const fn is_not(&self, wanted: KeyKind) -> KeystoreError {
        KeystoreError::WrongKind { found: self.kind(), wanted }
    }
}

/// How a new key file is protected.
#[derive(Debug)]
pub enum Protection {
    /// By a passphrase, at this cost for each guess.
    Passphrase(Passphrase, KdfCost),
    /// Not at all: whoever can read the file owns the key.
    Unprotected,
}

impl KeyFile {
    /// Seals a secret beside the text of its public key.
    ///
    /// # Errors
    /// Where the text is no public key, the cost is out of bounds, or the system gives no random
    /// numbers or too little memory.
    pub fn seal(
        secret: &Secret,
        public: &str,
        protection: &Protection,
    ) -> Result<Self, KeystoreError> {
        Self::seal_with(secret, public, protection, &Fresh::generate()?)
    }

    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// Where it is missing, others may read it, or it is not a whole key file of this version.
    pub fn load(path: &Path) -> Result<Self, KeystoreError> {
        let text = file::read(path)?;
        Self::parse(&text)
            .map_err(|source| KeystoreError::Invalid { path: path.to_owned(), source })
    }

    /// Writes a new key file at `path`, durably, readable by its owner only.
    ///
    /// # Errors
    /// Where something stands there already, or the file system refuses.
    pub fn create(&self, path: &Path) -> Result<(), KeystoreError> {
        file::create(path, &Zeroizing::new(self.to_text()))
    }
}

#[cfg(test)]
mod tests;
