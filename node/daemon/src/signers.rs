//! The slot signer keys this board holds: made fresh for each purchase, erased when their time is
//! over. Each lies in a file of its own, named by the epoch it was made for. They sign blocks; they cannot move money.

use std::fs;
use std::path::{Path, PathBuf};

use goodwatt_chain::hash::{ChainId, Digest32, Domain};
use goodwatt_chain::reveal::{REVEAL_LINKS, RevealChain};
use goodwatt_chain::signature::{PublicKey, Signature, SigningKey};
use goodwatt_chain::transaction::slot_consent;
use goodwatt_chain::units::Epoch;

use crate::keystore::{KeyFile, KeystoreError, Protection, Secret, Seed};

const REVEAL_SEED: Domain = Domain::new(b"goodwatt/key/reveal");

/// The most signer keys kept: two weeks of hourly purchases. More is a sign of a loop.
const SIGNERS_MAX: usize = 336;

/// Why signer keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignersError {
    /// A key file is unreadable or damaged.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The folder cannot be read or written.
    #[error("{path}: {source}; signer keys lie there, check that the daemon's user owns it")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too many keys.
    #[error("{0} signer keys are held already: slots are bought, but never used")]
    TooMany(usize),
}

/// One slot's key with its hash chain.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    reveals: RevealChain,
    epoch: Epoch,
    path: PathBuf,
}

impl Signer {
    fn new(seed: &Seed, epoch: Epoch, path: PathBuf) -> Self {
        let reveal_seed = Digest32::of(REVEAL_SEED, &[seed.as_bytes()]);
        Self {
            key: SigningKey::from_seed(seed.as_bytes()),
            reveals: RevealChain::new(*reveal_seed.as_bytes(), REVEAL_LINKS),
            epoch,
            path,
        }
    }

    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// The epoch it was made for; it may serve longer, if its set carries on.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Head of its hash chain.
    #[must_use]
    pub fn reveal_head(&self) -> Digest32 {
        self.reveals.head()
    }

    /// The link before `last` of its hash chain, or `None` when all are used.
    #[must_use]
    pub fn next_reveal(&self, last: &Digest32) -> Option<Digest32> {
        self.reveals.next_after(last)
    }

    /// The key's consent to a slot of `buyer`.
    #[must_use]
    pub fn consent(&self, chain: &ChainId, buyer: &PublicKey, epoch: Epoch) -> Signature {
        self.key.sign(&slot_consent(chain, buyer, epoch))
    }
}

/// All signer keys of this board.
#[derive(Debug)]
pub struct Signers {
    folder: PathBuf,
    signers: Vec<Signer>,
}

impl Signers {
    /// Reads the folder, making it where it is missing.
    ///
    /// # Errors
    /// When the folder or a key in it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, SignersError> {
        let fail = |source| SignersError::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(fail)?;
        let mut signers = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if let Some(epoch) = epoch_of(&path) {
                let seed = KeyFile::load(&path)?.open(None)?.into_signer()?;
                signers.push(Signer::new(&seed, epoch, path));
            }
        }
        signers.sort_by_key(Signer::public);
        Ok(Self { folder: folder.to_owned(), signers })
    }

    /// Makes a fresh key for a purchase, durably.
    ///
    /// # Errors
    /// When it cannot be written, or too many are held.
    pub fn create(&mut self, epoch: Epoch) -> Result<&Signer, SignersError> {
        if self.signers.len() >= SIGNERS_MAX {
            return Err(SignersError::TooMany(self.signers.len()));
        }
        let seed = Seed::generate()?;
        let public = SigningKey::from_seed(seed.as_bytes()).public().to_string();
        let path = self.folder.join(format!("{}-{public}.key", epoch.get()));
        let signer = Signer::new(&seed, epoch, path.clone());
        let file = KeyFile::seal(&Secret::Signer(seed), &public, &Protection::Unprotected)?;
        file.create(&path)?;
        let at = self.signers.partition_point(|other| other.public() < signer.public());
        self.signers.insert(at, signer);
        Ok(&self.signers[at])
    }

    /// The signer with this public key, if it is held here.
    #[must_use]
    pub fn find(&self, public: &PublicKey) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.public() == *public)
    }

    /// Whether one was made for an epoch.
    #[cfg(feature = "finger")]
    #[must_use]
    pub fn has_for(&self, epoch: Epoch) -> bool {
        self.signers.iter().any(|signer| signer.epoch() == epoch)
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signers.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    /// Erases the keys for which `is_over` says that their time is over.
    ///
    /// # Errors
    /// When a file cannot be removed; the key is kept then.
    pub fn erase(&mut self, is_over: impl Fn(&Signer) -> bool) -> Result<usize, SignersError> {
        let before = self.signers.len();
        let mut failed = None;
        self.signers.retain(|signer| {
            if !is_over(signer) {
                return true;
            }
            match fs::remove_file(&signer.path) {
                Ok(()) => false,
                Err(source) => {
                    failed = Some(SignersError::Folder { path: signer.path.clone(), source });
                    true
                }
            }
        });
        failed.map_or(Ok(before - self.signers.len()), Err)
    }
}

/// The epoch in a key file's name, `EPOCH-ADDRESS.key`; `None` for any other file.
fn epoch_of(path: &Path) -> Option<Epoch> {
    let name = path.file_name()?.to_str()?.strip_suffix(".key")?;
    name.split_once('-')?.0.parse().ok().map(Epoch::new)
}
