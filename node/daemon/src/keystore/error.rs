//! Why a key file could not be written, read or opened.

use std::io;
use std::path::PathBuf;

use super::KeyKind;

/// Why a key file could not be written, read or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The file system refused.
    #[error("cannot {action} the key file {path}: {source}", path = path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file.
    #[error("no key file at {path}: make one with `goodwatt key new`", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A key is never overwritten.
    #[error("a file stands at {path} already and a key is never overwritten: move it away first",
        path = path.display())]
    AlreadyExists {
        /// Where the new key was to go.
        path: PathBuf,
    },
    /// Others than the owner may read or write the file.
    #[error("others may read or change the key file {path} (mode {mode:04o}): run `chmod 600 {path}`",
        path = path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key file of this version.
    #[error("{path}: {source}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A new key was to be protected at a cost that no reader would accept.
    #[error(transparent)]
    Cost(FormatError),
    /// The text of the public key cannot stand in a key file.
    #[error("a public key has to be 1 to {max} letters, digits or one of `:_-`",
        max = super::format::LONGEST_PUBLIC)]
    PublicText,
    /// The key is protected and no passphrase was given.
    #[error(
        "the key is protected by a passphrase: give it with `--passphrase-file` or at the prompt"
    )]
    PassphraseNeeded,
    /// The passphrase does not open the key.
    #[error("the passphrase is wrong: try again, or restore the key from its 24 words")]
    WrongPassphrase,
    /// An unprotected file was changed, and its checksum with it.
    #[error("the key file was changed on purpose: restore the key from its 24 words")]
    Forged,
    /// The file holds a key of another kind.
    #[error(
        "this file holds a {found} key, but a {wanted} key is needed: check which file is named"
    )]
    WrongKind {
        /// What it holds.
        found: KeyKind,
        /// What was asked for.
        wanted: KeyKind,
    },
    /// Not enough memory to check the passphrase.
    #[error("checking the passphrase takes {memory_kib} KiB of memory: stop something else first")]
    OutOfMemory {
        /// How much is needed.
        memory_kib: u32,
    },
    /// The operating system gave no random numbers.
    #[error("the system gives no random numbers, so no key can be made: {0}")]
    Randomness(getrandom::Error),
}

/// Why a text is not a key file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not the fields of a key file.
    #[error("not a key file ({reason}): restore the key from a backup or its 24 words")]
    Malformed {
        /// What the parser met.
        reason: String,
    },
    /// Longer than any key file.
    #[error("not a key file (longer than {max} bytes): check which file is named",
        max = super::format::LARGEST_FILE)]
    TooLarge,
    /// Written by a later version of this program.
    #[error("the key file has version {found} and this program reads version 1: update goodwatt")]
    UnknownVersion {
        /// The version it states.
        found: u32,
    },
    /// The checksum does not fit: a byte has changed since the file was written.
    #[error("the key file is damaged: restore the key from a backup or its 24 words")]
    Damaged,
    /// Checking the passphrase would cost more than any file of ours asks for.
    #[error("the key file asks for {field} = {found}, allowed are {min} to {max}: do not trust it")]
    CostOutOfBounds {
        /// Which figure.
        field: &'static str,
        /// What the file says.
        found: u32,
        /// The least allowed.
        min: u32,
        /// The most allowed.
        max: u32,
    },
}
