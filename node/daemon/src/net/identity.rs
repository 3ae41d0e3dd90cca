//! Who a node is to others: the key of its connections, which signs nothing else.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use goodwatt_chain::signature::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The file in the data folder: the 32 bytes of the seed and nothing else.
const KEY_FILE: &str = "transport.key";
/// Another prefix than an address has, or somebody would send money to a node.
const HUMAN_PART: Hrp = Hrp::parse_unchecked("goodpeer");

/// A node as others know it: the public half of its transport key.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// From the bytes of a public key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, HUMAN_PART, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a node: write `goodpeer1` and 58 letters and digits, as `goodwatt peers` prints it")]
pub struct NotAPeerId;

impl FromStr for PeerId {
    type Err = NotAPeerId;

    fn from_str(text: &str) -> Result<Self, NotAPeerId> {
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| NotAPeerId)?;
        if checked.hrp() != HUMAN_PART {
            return Err(NotAPeerId);
        }
        checked.validate_segwit_padding().map_err(|_| NotAPeerId)?;
        let mut id = [0; 32];
        if checked.byte_iter().len() != id.len() {
            return Err(NotAPeerId);
        }
        id.iter_mut().zip(checked.byte_iter()).for_each(|(to, from)| *to = from);
        Ok(Self(id))
    }
}

/// Why there is no transport key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportKeyError {
    /// The system refuses.
    #[error("{path}: {source}; this node's identity lies there, check who owns the data folder",
        path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has not 32 bytes.
    #[error("{path} is damaged: it has to have 32 bytes; remove it, and this node gets another \
        identity", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("{path} has mode {mode:04o} and others may read it: run `chmod 600` on it, or remove \
        it to get another identity", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There are no random numbers.
    #[error("the system gives no random numbers for a new transport key: {0}")]
    Randomness(getrandom::Error),
}

/// The secret half: whoever has it can take this node's place in the network, but cannot sign
/// blocks and cannot move money.
pub(super) struct TransportKey(Zeroizing<[u8; 32]>);

impl TransportKey {
    /// Reads the key of a data folder, or makes it at the first start.
    pub(super) fn open(data: &Path) -> Result<Self, TransportKeyError> {
        let path = data.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => Self::read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(data, &path),
            Err(source) => Err(TransportKeyError::Io { path, source }),
        }
    }

    /// A key for one connection: whoever only asks needs no name.
    pub(super) fn passing() -> Result<Self, TransportKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(TransportKeyError::Randomness)?;
        Ok(Self(seed))
    }

    /// The seed: whoever reads it is this node.
    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    pub(super) fn id(&self) -> PeerId {
        PeerId(*SigningKey::from_seed(&self.0).public().as_bytes())
    }

    fn read(file: File, path: &Path) -> Result<Self, TransportKeyError> {
        let io = |source| TransportKeyError::Io { path: path.to_owned(), source };
        // Asked of the open file, so that nobody can swap it in between.
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TransportKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut seed = Zeroizing::new(Vec::with_capacity(33));
        file.take(33).read_to_end(&mut seed).map_err(io)?;
        match seed.as_slice().try_into() {
            Ok(seed) => Ok(Self(Zeroizing::new(seed))),
            Err(_) => Err(TransportKeyError::Damaged { path: path.to_owned() }),
        }
    }

    /// Under a draft's name first: a crash must not leave half a key.
    fn create(data: &Path, path: &Path) -> Result<Self, TransportKeyError> {
        let io = |source| TransportKeyError::Io { path: path.to_owned(), source };
        let key = Self::passing()?;
        let draft = data.join(".transport.key.new");
        let write = || -> io::Result<()> {
            // The caller holds the folder's lock: what lies here is left from a crash.
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(key.seed())?;
            file.sync_all()?;
            fs::rename(&draft, path)?;
            File::open(data)?.sync_all()
        };
        write().map_err(io)?;
        Ok(key)
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportKey of {}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_written_and_read_with_a_checksum() {
        let id = PeerId([7; 32]);
        let text = id.to_string();
        assert!(text.starts_with("goodpeer1") && text.len() == 67, "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        let check = |wrong: &str| assert_eq!(wrong.parse::<PeerId>(), Err(NotAPeerId), "{wrong}");
        check("");
        check(&text[..66]);
        check(&text.replacen('q', "p", 1));
        // An address is no node.
        check(&SigningKey::from_seed(&[1; 32]).public().to_string());
    }

    #[test]
    fn the_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let first = TransportKey::open(folder.path()).expect("a new key");
        let path = folder.path().join(KEY_FILE);
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read(&path).expect("ours"), first.seed());
        assert_eq!(TransportKey::open(folder.path()).expect("the same").id(), first.id());
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 1);
    }

    #[test]
    fn a_bad_key_file_is_refused_with_a_remedy() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join(KEY_FILE);
        for len in [0, 31, 33, 4000] {
            fs::write(&path, vec![1; len]).expect("ours");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
            let error = TransportKey::open(folder.path()).expect_err("a refusal").to_string();
            assert!(error.contains("remove it, and this node gets another identity"), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        let error = TransportKey::open(folder.path()).expect_err("a refusal").to_string();
        assert!(error.contains("has mode 0640") && error.contains("chmod 600"), "{error}");
    }
}
