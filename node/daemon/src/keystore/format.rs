//! The text of a key file, and sealing and opening what it holds.

use std::fmt;

use goodwatt_chain::hash::{Digest32, Domain};
use serde::Deserialize;

use super::seal::{self, Kdf, KdfCost, SEALED};
use super::{FormatError, KeystoreError, Passphrase, Protection, Secret};
use crate::hex;

/// The only version there is.
const VERSION: u32 = 1;
/// Tag of the checksum.
const CHECKSUM: Domain = Domain::new(b"goodwatt/key-file");
/// Bytes of a file at most; the largest one written here has under 700.
pub(super) const LARGEST_FILE: usize = 4096;
/// Characters in the text of a public key at most: a Bech32 text may have 90.
pub(super) const LONGEST_PUBLIC: usize = 128;

/// What a secret is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// The owner's root, from which account keys are derived.
    Root,
    /// One signing key.
    Signer,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Signer => "signer",
        })
    }
}

/// A key file that was read or is about to be written; its secret is sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyFile {
    kind: KeyKind,
    public: String,
    kdf: Kdf,
    nonce: [u8; 24],
    sealed: [u8; SEALED],
}

impl KeyFile {
    /// What its secret is for.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The text of its public key. Only [`Self::open`] proves that nobody changed it.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Whether it takes a passphrase to open.
    #[must_use]
    pub const fn is_protected(&self) -> bool {
        matches!(self.kdf, Kdf::Argon2id { .. })
    }

    /// Its secret; an unprotected one needs no passphrase and ignores a given one.
    ///
    /// # Errors
    /// Where the passphrase is missing or wrong, or memory is short.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<Secret, KeystoreError> {
        let key = self.kdf.key(passphrase)?;
        let opened = seal::open(&self.sealed, &key, &self.nonce, self.header().as_bytes()).ok_or(
            if self.is_protected() {
                KeystoreError::WrongPassphrase
            } else {
                KeystoreError::Forged
            },
        )?;
        Ok(Secret::from_bytes(self.kind, &opened))
    }

    /// Seals with the given salt and nonce.
    pub(super) fn seal_with(
        secret: &Secret,
        public: &str,
        protection: &Protection,
        fresh: &Fresh,
    ) -> Result<Self, KeystoreError> {
        check_public(public)?;
        let (kdf, passphrase) = match protection {
            Protection::Unprotected => (Kdf::None, None),
            Protection::Passphrase(passphrase, cost) => {
                cost.check().map_err(KeystoreError::Cost)?;
                (Kdf::Argon2id { cost: *cost, salt: fresh.salt }, Some(passphrase))
            }
        };
        let (kind, nonce) = (secret.kind(), fresh.nonce);
        let mut file = Self { kind, public: public.to_owned(), kdf, nonce, sealed: [0; SEALED] };
        let key = kdf.key(passphrase)?;
        file.sealed = seal::seal(secret.bytes(), &key, &nonce, file.header().as_bytes());
        Ok(file)
    }

    /// Reads the text of a key file.
    pub(super) fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > LARGEST_FILE {
            return Err(FormatError::TooLarge);
        }
        let Versioned { version } = from_toml(text)?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion { found: version });
        }
        let stored: Stored = from_toml(text)?;
        let file = Self {
            kind: stored.kind,
            kdf: stored.kdf.read()?,
            nonce: bytes("nonce", &stored.nonce)?,
            sealed: bytes("sealed", &stored.sealed)?,
            public: stored.public,
        };
        if stored.checksum != file.checksum().to_string() {
            return Err(FormatError::Damaged);
        }
        Ok(file)
    }

    /// The whole text of the file.
    pub(super) fn to_text(&self) -> String {
        let state = if self.is_protected() {
            "protected by a passphrase"
        } else {
            "NOT PROTECTED: whoever can read it owns the key"
        };
        let (body, checksum) = (self.body(), self.checksum());
        format!("# Goodwatt key file, {state}.\n{body}checksum = \"{checksum}\"\n")
    }

    /// The lines that sealing is bound to.
    fn header(&self) -> String {
        let Self { kind, public, .. } = self;
        let (kdf, nonce) = (self.kdf.to_text(), hex::encode(&self.nonce));
        format!(
            "version = {VERSION}\nkind = \"{kind}\"\npublic = \"{public}\"\n\
             kdf = {kdf}\nnonce = \"{nonce}\"\n"
        )
    }

    /// The lines that the checksum covers.
    fn body(&self) -> String {
        format!("{}sealed = \"{}\"\n", self.header(), hex::encode(&self.sealed))
    }

    /// The checksum over [`Self::body`].
    fn checksum(&self) -> Digest32 {
        Digest32::of(CHECKSUM, &[self.body().as_bytes()])
    }
}

/// Random bytes that a new key file takes.
pub(super) struct Fresh {
    pub(super) salt: [u8; 16],
    pub(super) nonce: [u8; 24],
}

impl Fresh {
    /// From the random numbers of the operating system.
    pub(super) fn generate() -> Result<Self, KeystoreError> {
        let mut fresh = Self { salt: [0; 16], nonce: [0; 24] };
        getrandom::fill(&mut fresh.salt).map_err(KeystoreError::Randomness)?;
        getrandom::fill(&mut fresh.nonce).map_err(KeystoreError::Randomness)?;
        Ok(fresh)
    }
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The fields of version 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "version")]
    _version: u32,
    kind: KeyKind,
    public: String,
    kdf: StoredKdf,
    nonce: String,
    sealed: String,
    checksum: String,
}

/// The field `kdf`.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
enum StoredKdf {
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: String },
    None {},
}

impl StoredKdf {
    /// Checks its bounds and its salt.
    fn read(self) -> Result<Kdf, FormatError> {
        match self {
            Self::None {} => Ok(Kdf::None),
            Self::Argon2id { memory_kib, passes, lanes, salt } => {
                let cost = KdfCost { memory_kib, passes, lanes };
                cost.check()?;
                Ok(Kdf::Argon2id { cost, salt: bytes("salt", &salt)? })
            }
        }
    }
}

impl Kdf {
    /// As it stands in the file.
    fn to_text(self) -> String {
        match self {
            Self::None => r#"{ name = "none" }"#.to_owned(),
            Self::Argon2id { cost: KdfCost { memory_kib, passes, lanes }, salt } => format!(
                "{{ name = \"argon2id\", memory_kib = {memory_kib}, passes = {passes}, \
                 lanes = {lanes}, salt = \"{}\" }}",
                hex::encode(&salt)
            ),
        }
    }
}

/// Reads TOML into fields.
fn from_toml<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FormatError> {
    let malformed = |error: toml::de::Error| error.message().replace('\n', ", ");
    toml::from_str(text).map_err(|error| FormatError::Malformed { reason: malformed(error) })
}

/// Reads the digits of a field.
fn bytes<const N: usize>(field: &str, digits: &str) -> Result<[u8; N], FormatError> {
    let reason = || format!("`{field}` has to be {} lower-case hexadecimal digits", 2 * N);
    let bytes: Option<[u8; N]> = hex::decode(digits).and_then(|bytes| bytes.try_into().ok());
    // One spelling, so that one key has one text.
    bytes
        .filter(|bytes| hex::encode(bytes) == digits)
        .ok_or_else(|| FormatError::Malformed { reason: reason() })
}

/// Refuses a public key that could not stand between quotes.
fn check_public(public: &str) -> Result<(), KeystoreError> {
    let fits = (1..=LONGEST_PUBLIC).contains(&public.len())
        && public.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte));
    if fits { Ok(()) } else { Err(KeystoreError::PublicText) }
}
