//! Filling a fresh index with a state from elsewhere.

use goodwatt_chain::leaves::LeafKey;
use goodwatt_chain::units::Height;

use super::redo::Redo;
use super::{BATCH_MAX, Index, IndexError, leaf_key, lookup_key, quiet};

/// A batch goes to sled when it holds so much: lookups of full blocks take 24 kB each.
const BATCH_BYTES: usize = 256 << 10;

/// A fresh index that is being filled, not through memory but straight into sled.
///
/// Nothing of it counts before [`Self::finish`]: what a crash leaves has no checkpoint, and is set
/// aside when it is opened.
#[derive(Debug)]
pub struct Filling {
    index: Index,
    batch: sled::Batch,
    operations: usize,
    bytes: usize,
}

impl Filling {
    /// Begins with an index that holds nothing; any other one is set aside first.
    ///
    /// # Errors
    /// When disk or sled fail.
    pub fn begin(index: Index) -> Result<Self, IndexError> {
        let is_fresh = index.dirty.is_empty() && index.db()?.is_empty();
        let index = if is_fresh { index } else { index.begin_anew()? };
        Redo::forget(&index.folder)?;
        Ok(Self { index, batch: sled::Batch::default(), operations: 0, bytes: 0 })
    }

    /// Puts one leaf.
    ///
    /// # Errors
    /// When sled fails.
    pub fn put_leaf(&mut self, key: &LeafKey, value: &[u8]) -> Result<(), IndexError> {
        self.put(leaf_key(key), value)
    }

    /// Puts a value under a key, as [`Index::put_lookup`] does.
    ///
    /// # Errors
    /// When sled fails.
    pub fn put_lookup(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        self.put(lookup_key(key), value)
    }

    fn put(&mut self, key: Vec<u8>, value: &[u8]) -> Result<(), IndexError> {
        self.operations += 1;
        self.bytes += key.len() + value.len();
        self.batch.insert(key, value);
        let full = self.operations >= BATCH_MAX || self.bytes >= BATCH_BYTES;
        if full { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), IndexError> {
        let batch = core::mem::take(&mut self.batch);
        (self.operations, self.bytes) = (0, 0);
        let db = self.index.db()?;
        // The flush for the same reason as in `Index::write`.
        Ok(quiet::with_patient_threads(|| {
            db.apply_batch(batch).and_then(|()| db.flush().map(drop))
        })?)
    }

    /// Makes it an index, with all that was put into it as its checkpoint.
    ///
    /// # Errors
    /// When disk or sled fail.
    pub fn finish(mut self, height: Height, notes: &[u8]) -> Result<Index, IndexError> {
        self.apply()?;
        // On the card before anything says that it is there: the redo file has none of it.
        self.index.db()?.flush()?;
        self.index.sync()?;
        self.index.write(Vec::new(), height, notes.to_vec())?;
        Ok(self.index)
    }
}
