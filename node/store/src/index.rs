//! The state index: leaves and lookups in sled, rebuildable from the block log at any time.
//!
//! # Why sled is never trusted
//! sled 0.34 has no lasting promise about its files, and a damaged one can make it panic. So the
//! log is the truth, and the index is thrown away whenever it looks wrong:
//!
//! - Changes stay in memory until [`Index::checkpoint`], a few blocks later. That writes them to
//!   the redo file first and syncs it, then to sled in batches of at most [`BATCH_MAX`] operations
//!   (sled's memory grows with the batch, not with its cache setting), the height in the last one.
//!   A crash in between leaves a sled that is older than the redo file: opening writes it again.
//!   A torn redo file means that sled was not touched.
//! - Before sled opens its files a counter file is written, and removed when sled is open. Two
//!   attempts that did not come back mean that sled dies of its files: they are set aside.
//! - The caller compares the root over all leaves with its tip, and sets the index aside if they
//!   differ: a wrong leaf cannot go unseen.
//!
//! # Keys
//! | first byte | then | value |
//! |---|---|---|
//! | `L` | key of a leaf (32) | its record |
//! | `K` | key of a lookup | its value |
//! | `M` | nothing | height of the checkpoint (8, big-endian), the caller's notes |

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafChanges, LeafKey, Leaves, Unavailable, put};
use goodwatt_chain::ledger::LeafStore;
use goodwatt_chain::units::Height;

use crate::disk::{Action, DiskError, Folder};

mod cache;
mod files;
mod fill;
mod quiet;
mod redo;
#[cfg(test)]
mod tests;
mod walk;

use cache::Cache;
use files::{Attempts, open_sled, set_aside};
pub use fill::Filling;
use redo::{Operation, Redo};

/// The most operations in one batch of sled: 640 kept it at 11 MB, 2,560 took it to 104 MB.
pub const BATCH_MAX: usize = 400;

/// How much of the state is kept decoded, beside what is not on the card yet.
const CACHE_BYTES: usize = 4 << 20;

const LEAF: u8 = b'L';
const LOOKUP: u8 = b'K';
const META: &[u8] = b"M";

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The disk failed: rebuilding would fail too.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// sled failed, on files that may be damaged: set the index aside and rebuild it.
    #[error("the state index failed ({0}); it is rebuilt from the block log")]
    Sled(#[from] sled::Error),
    /// What sled holds is not an index.
    #[error("the state index holds no checkpoint of its own; it is rebuilt from the block log")]
    Foreign,
    /// Keys are hashes, so no bucket grows like this by itself.
    #[error("bucket {0} of the state is too large for a snapshot: none is written")]
    Crowded(u16),
    /// A snapshot is of a checkpoint: a mistake of the caller.
    #[error("the state index holds changes that are not on the card: no snapshot is written")]
    NotAtCheckpoint,
}

/// What opening found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IndexReport {
    /// The index was set aside, and this is why; a fresh one was begun.
    pub set_aside: Option<String>,
    /// The last checkpoint had not reached sled, and was written again.
    pub redone: bool,
}

/// The state index.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    folder: Folder,
    /// `None` once it is closed.
    db: Option<sled::Db>,
    cache: RefCell<Cache>,
    /// What is not on the card yet.
    dirty: BTreeMap<Vec<u8>, Option<Arc<[u8]>>>,
    checkpoint: Option<(Height, Vec<u8>)>,
    failed: RefCell<Option<String>>,
}

impl Index {
    /// Opens the index in the folder `path`, or begins a fresh one where that cannot be used.
    ///
    /// # Errors
    /// [`IndexError::Disk`] when the disk does not even take a fresh one.
    pub fn open(path: &Path) -> Result<(Self, IndexReport), IndexError> {
        match Self::try_open(path) {
            Ok((index, redone)) => Ok((index, IndexReport { set_aside: None, redone })),
            Err(IndexError::Disk(error)) => Err(error.into()),
            Err(error) => {
                set_aside(path)?;
                let (index, _) = Self::try_open(path)?;
                Ok((index, IndexReport { set_aside: Some(error.to_string()), redone: false }))
            }
        }
    }

    /// Throws everything away and begins anew; the former files are kept once, as `index.bad`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_anew(self) -> Result<Self, IndexError> {
        let path = self.path.clone();
        drop(self);
        Self::begin_anew_at(&path)
    }

    /// The same for an index that is closed: it may be damaged, and is kept to look at.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_anew_at(path: &Path) -> Result<Self, IndexError> {
        set_aside(path)?;
        Self::try_open(path).map(|(index, _)| index)
    }

    /// Removes the files of an index that is closed, and begins anew.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace_at(path: &Path) -> Result<Self, IndexError> {
        files::remove(path)?;
        Self::try_open(path).map(|(index, _)| index)
    }

    /// Gives up its files, so that another one can take their place: every read fails from now on.
    pub fn close(&mut self, why: &str) {
        self.db = None;
        *self.failed.borrow_mut() = Some(why.to_owned());
    }

    fn db(&self) -> Result<&sled::Db, sled::Error> {
        self.db.as_ref().ok_or_else(|| sled::Error::Unsupported("it is closed".to_owned()))
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn try_open(path: &Path) -> Result<(Self, bool), IndexError> {
        let folder = Folder::at(path)?;
        let attempts = Attempts::note(&folder)?;
        let db = quiet::with_patient_threads(|| open_sled(&path.join("sled")))?;
        let mut index = Self {
            path: path.to_owned(),
            db: Some(db),
            cache: RefCell::new(Cache::new(CACHE_BYTES)),
            dirty: BTreeMap::new(),
            checkpoint: None,
            failed: RefCell::new(None),
            folder,
        };
        index.checkpoint = index.read_checkpoint()?;
        let redone = index.redo()?;
        attempts.clear(&index.folder)?;
        Ok((index, redone))
    }

    fn read_checkpoint(&self) -> Result<Option<(Height, Vec<u8>)>, IndexError> {
        let db = self.db()?;
        let Some(bytes) = db.get(META)? else {
            return if db.is_empty() { Ok(None) } else { Err(IndexError::Foreign) };
        };
        let (height, notes) = bytes.split_first_chunk().ok_or(IndexError::Foreign)?;
        Ok(Some((Height::new(u64::from_be_bytes(*height)), notes.to_vec())))
    }

    /// Writes the last checkpoint again if it had not reached sled.
    fn redo(&mut self) -> Result<bool, IndexError> {
        let Some(redo) = Redo::read(&self.folder)? else { return Ok(false) };
        let base = self.checkpoint_height();
        if base != redo.base || base >= Some(redo.height) {
            return Ok(false);
        }
        quiet::with_patient_threads(|| self.write(redo.operations, redo.height, redo.notes))?;
        Ok(true)
    }

    /// The height up to which everything is on the card; `None` in a fresh index.
    #[must_use]
    pub fn checkpoint_height(&self) -> Option<Height> {
        self.checkpoint.as_ref().map(|(height, _)| *height)
    }

    /// What the caller noted with the last checkpoint.
    #[must_use]
    pub fn notes(&self) -> Option<&[u8]> {
        self.checkpoint.as_ref().map(|(_, notes)| notes.as_slice())
    }

    /// How many changes are not on the card yet. The caller makes a checkpoint in time.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Why the last read failed, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failed.borrow().clone()
    }

    /// Puts everything on the card, together with the caller's notes.
    ///
    /// # Errors
    /// When disk or sled fail: nothing is lost, and the same call may be tried again.
    pub fn checkpoint(&mut self, height: Height, notes: &[u8]) -> Result<(), IndexError> {
        let operations: Vec<Operation> =
            self.dirty.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let base = self.checkpoint_height();
        let redo = Redo { base, height, notes: notes.to_vec(), operations };
        redo.write(&self.folder)?;
        quiet::with_patient_threads(|| self.write(redo.operations, height, redo.notes))?;
        self.dirty.clear();
        self.cache.borrow_mut().unpin();
        Ok(())
    }

    /// Waits until sled's file is on the card: on Linux its own flush calls `sync_file_range`, which
    /// empties neither the card's cache nor the file system's journal.
    fn sync(&self) -> Result<(), DiskError> {
        let path = self.path.join("sled").join("db");
        let synced = fs::File::open(&path).and_then(|file| file.sync_data());
        synced.map_err(|error| DiskError::new(&path.display().to_string(), Action::Sync, error))
    }

    fn write(
        &mut self,
        operations: Vec<Operation>,
        height: Height,
        notes: Vec<u8>,
    ) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        let mut count = 0;
        for (key, value) in operations {
            match value {
                Some(value) => batch.insert(key, &*value),
                None => batch.remove(key),
            }
            count += 1;
            if count == BATCH_MAX {
                self.db()?.apply_batch(core::mem::take(&mut batch))?;
                // sled frees what it replaced when all its threads have moved on. On a busy machine
                // they do not without being waited for: 10,000 leaves at once left 30 MB behind.
                self.db()?.flush()?;
                count = 0;
            }
        }
        let mut meta = height.get().to_be_bytes().to_vec();
        meta.extend_from_slice(&notes);
        batch.insert(META, meta);
        self.db()?.apply_batch(batch)?;
        self.db()?.flush()?;
        self.sync()?;
        self.checkpoint = Some((height, notes));
        Ok(())
    }

    /// Remembers a value under a key, with the next checkpoint.
    pub fn put_lookup(&mut self, key: &[u8], value: &[u8]) {
        self.dirty.insert(lookup_key(key), Some(value.into()));
    }

    /// Hands the lookups to `each`, the last key first, until it says that it has enough.
    ///
    /// Keys have to be put in rising order, as heights are: then those in memory come last.
    ///
    /// # Errors
    /// When sled fails.
    pub fn lookups_backwards(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), IndexError> {
        let first = lookup_key(&[]);
        for (key, value) in self.dirty.range(first.clone()..).rev() {
            let Some(key) = key.strip_prefix(first.as_slice()) else { continue };
            if value.as_ref().is_some_and(|value| each(key, value)) {
                return Ok(());
            }
        }
        for entry in self.db()?.scan_prefix(&first).rev() {
            let (key, value) = entry?;
            if each(&key[first.len()..], &value) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn load(&self, index: BucketIndex) -> Result<Bucket, sled::Error> {
        let (low, high) = bucket_range(index);
        let mut bucket = Bucket::new();
        for entry in self.db()?.range(low.clone()..=high.clone()) {
            let (key, value) = entry?;
            if let Some(leaf) = leaf_of(&key) {
                bucket.push((leaf, Arc::from(&*value)));
            }
        }
        for (key, value) in self.dirty.range(low..=high) {
            if let Some(leaf) = leaf_of(key) {
                put(&mut bucket, leaf, value.clone());
            }
        }
        Ok(bucket)
    }

    fn fail(&self, error: &sled::Error) -> Unavailable {
        *self.failed.borrow_mut() = Some(error.to_string());
        Unavailable
    }
}

impl Leaves for Index {
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
        if self.failed.borrow().is_some() {
            return Err(Unavailable);
        }
        if let Some(bucket) = self.cache.borrow_mut().find(index) {
            return Ok(bucket);
        }
        let bucket = Arc::new(self.load(index).map_err(|error| self.fail(&error))?);
        self.cache.borrow_mut().insert(index, Arc::clone(&bucket));
        Ok(bucket)
    }
}

impl LeafStore for Index {
    fn commit(&mut self, _: Height, changes: &LeafChanges) {
        for (key, value) in changes {
            let index = BucketIndex::of(key);
            // A failure is kept, and shows at the next read; the log still has the block.
            if let Ok(bucket) = self.bucket(index) {
                self.cache.borrow_mut().change(index, bucket, *key, value.clone());
            }
            self.dirty.insert(leaf_key(key), value.clone());
        }
    }
}

fn leaf_key(leaf: &LeafKey) -> Vec<u8> {
    [&[LEAF], leaf.as_bytes().as_slice()].concat()
}

fn lookup_key(key: &[u8]) -> Vec<u8> {
    [&[LOOKUP], key].concat()
}

fn leaf_of(key: &[u8]) -> Option<LeafKey> {
    let (_, leaf) = key.split_first()?;
    leaf.try_into().ok().map(LeafKey::new)
}

/// The first and the last key that a leaf of this bucket can have.
fn bucket_range(index: BucketIndex) -> (Vec<u8>, Vec<u8>) {
    let shift = u16::BITS - goodwatt_chain::leaves::BUCKET_BITS;
    let low = index.get() << shift;
    let high = low | ((1 << shift) - 1);
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    first[..2].copy_from_slice(&low.to_be_bytes());
    last[..2].copy_from_slice(&high.to_be_bytes());
    (leaf_key(&LeafKey::new(first)), leaf_key(&LeafKey::new(last)))
}
