//! Going over all leaves: for a snapshot, and to see whether sled's files are worth their size.

use goodwatt_chain::leaves::LeafKey;

use super::{Index, IndexError, LEAF, leaf_of};
use crate::disk::Folder;
use crate::snapshot::{Snapshot, SnapshotReport};

/// An index smaller than this is never too large for what it holds.
const SIZE_FLOOR: u64 = 16 << 20;
/// sled's files may take so many times the bytes of what is in them. One that grew by 30
/// checkpoints of a thousand leaves took 2.0 times.
const SIZE_FACTOR: u64 = 3;

impl Index {
    /// Writes the state of the checkpoint into the snapshot file of a folder. Reads sled alone and
    /// leaf by leaf, so neither memory nor the cache of what blocks need is spent on it.
    ///
    /// # Errors
    /// When disk or sled fail, or there were changes since the checkpoint.
    pub fn write_snapshot(&self, folder: &Folder) -> Result<SnapshotReport, IndexError> {
        let clean = self.checkpoint.as_ref().filter(|_| self.dirty.is_empty());
        let (height, notes) = clean.ok_or(IndexError::NotAtCheckpoint)?;
        let leaf = |entry: Result<(sled::IVec, sled::IVec), sled::Error>| {
            let (key, value) = entry.map_err(|error| self.note_failure(error))?;
            let leaf: LeafKey = leaf_of(&key).ok_or(IndexError::Foreign)?;
            Ok((leaf, value))
        };
        let leaves = self.db()?.scan_prefix([LEAF]).map(leaf);
        Snapshot::write(folder, *height, notes, leaves)
    }

    fn note_failure(&self, error: sled::Error) -> IndexError {
        let _ = self.fail(&error);
        error.into()
    }

    /// The size of sled's files, if that is far above `live_bytes`, the keys and values in them:
    /// then a fresh index is worth its writes.
    ///
    /// # Errors
    /// When sled fails.
    pub fn bloated(&self, live_bytes: u64) -> Result<Option<u64>, IndexError> {
        let size = self.db()?.size_on_disk()?;
        let most = SIZE_FLOOR.max(live_bytes.saturating_mul(SIZE_FACTOR));
        Ok((size > most).then_some(size))
    }
}
