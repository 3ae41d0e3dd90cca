//! Writing a snapshot, leaf by leaf.

use super::{
    BucketIndex, CHUNK_BYTES, CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, DiskError, FILE, Folder, Height,
    IndexError, LEAF_BYTES, LeafKey, NamedFile, Snapshot, chunk_head, crc32, head,
};

/// What was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SnapshotReport {
    /// The height of the state.
    pub height: Height,
    /// The size of the file.
    pub bytes: u64,
    /// How many leaves there are.
    pub leaves: u64,
    /// Bytes of their keys and values.
    pub leaf_bytes: u64,
}

impl Snapshot {
    /// Puts a state in place of the snapshot before: leaves by rising key.
    ///
    /// # Errors
    /// When the disk or the leaves fail; then the former snapshot is still there.
    pub fn write<V: AsRef<[u8]>>(
        folder: &Folder,
        height: Height,
        notes: &[u8],
        leaves: impl Iterator<Item = Result<(LeafKey, V), IndexError>>,
    ) -> Result<SnapshotReport, IndexError> {
        Self::write_in_chunks(folder, height, notes, leaves, CHUNK_BYTES)
    }

    pub(super) fn write_in_chunks<V: AsRef<[u8]>>(
        folder: &Folder,
        height: Height,
        notes: &[u8],
        leaves: impl Iterator<Item = Result<(LeafKey, V), IndexError>>,
        chunk_bytes: usize,
    ) -> Result<SnapshotReport, IndexError> {
        let mut report = SnapshotReport { height, bytes: 0, leaves: 0, leaf_bytes: 0 };
        folder.replace(FILE, |file| {
            let mut writer = Writer::begin(file, height, notes, chunk_bytes)?;
            for leaf in leaves {
                let (key, value) = leaf?;
                let value = value.as_ref();
                writer.add(&key, value)?;
                report.leaves += 1;
                report.leaf_bytes += (key.as_bytes().len() + value.len()) as u64;
            }
            writer.end_chunk(BucketIndex::COUNT)?;
            report.bytes = writer.at;
            Ok::<(), IndexError>(())
        })?;
        Ok(report)
    }
}

/// A snapshot at work: the chunk being collected goes out when it is large enough.
struct Writer<'a> {
    file: &'a mut NamedFile,
    at: u64,
    chunk_bytes: usize,
    /// The first bucket of the chunk, and its leaves so far.
    first: u16,
    leaves: Vec<u8>,
    /// The bucket of the last leaf.
    bucket: u16,
}

impl<'a> Writer<'a> {
    fn begin(
        file: &'a mut NamedFile,
        height: Height,
        notes: &[u8],
        chunk_bytes: usize,
    ) -> Result<Self, DiskError> {
        let head = head(height, notes);
        file.write_at(0, &head)?;
        let leaves = Vec::new();
        Ok(Self { file, at: head.len() as u64, chunk_bytes, first: 0, leaves, bucket: 0 })
    }

    fn add(&mut self, key: &LeafKey, value: &[u8]) -> Result<(), IndexError> {
        let bucket = BucketIndex::of(key).get();
        if bucket != self.bucket && self.leaves.len() >= self.chunk_bytes {
            self.end_chunk(bucket)?;
        }
        self.bucket = bucket;
        if self.leaves.len() + LEAF_BYTES + value.len() > CHUNK_BYTES_MAX {
            return Err(IndexError::Crowded(bucket));
        }
        self.leaves.extend_from_slice(key.as_bytes());
        self.leaves.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.leaves.extend_from_slice(value);
        Ok(())
    }

    /// Writes the chunk; the next one begins with the bucket `end`.
    fn end_chunk(&mut self, end: u16) -> Result<(), DiskError> {
        let head = chunk_head(self.first, end, self.leaves.len());
        let crc = crc32(&[&head, &self.leaves]);
        self.file.write_at(self.at, &[head.as_slice(), &crc.to_le_bytes()].concat())?;
        self.file.write_at(self.at + CHUNK_HEAD_BYTES as u64, &self.leaves)?;
        self.at += (CHUNK_HEAD_BYTES + self.leaves.len()) as u64;
        self.first = end;
        self.leaves.clear();
        Ok(())
    }
}
