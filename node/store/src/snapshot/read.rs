//! Reading a snapshot, chunk by chunk. Nothing in it is believed before its checksum fits, and no
//! length before it is bounded.

use super::{
    Access, Arc, Bucket, BucketIndex, CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, CHUNK_MAGIC, FILE, Folder,
    HEAD_BYTES, Height, KEY_BYTES, LeafKey, MAGIC, NOTES_BYTES_MAX, NamedFile, Snapshot,
    SnapshotError, SnapshotPart, crc32,
};

impl Snapshot {
    /// Opens the snapshot in a folder, if there is one, and reads its head.
    ///
    /// # Errors
    /// When the disk fails or the head is damaged.
    pub fn open(folder: &Folder) -> Result<Option<Self>, SnapshotError> {
        let Some(file) = folder.open_existing(FILE, Access::Read)? else { return Ok(None) };
        let size = file.size()?;
        let damaged = SnapshotError::Damaged { part: SnapshotPart::Head, offset: 0 };
        let Some((height, notes)) = read_head(&file)? else { return Err(damaged) };
        Ok(Some(Self { file, size, height, notes }))
    }

    /// Its leaves, all of them by rising key, in pieces that fit into memory.
    ///
    /// Ends after the first error; without one the snapshot is whole.
    #[must_use]
    pub const fn chunks(&self) -> SnapshotChunks<'_> {
        let at = (HEAD_BYTES + self.notes.len()) as u64;
        SnapshotChunks { snapshot: self, at, next: 0, ended: false }
    }
}

fn read_head(file: &NamedFile) -> Result<Option<(Height, Vec<u8>)>, SnapshotError> {
    let head = file.read(0, HEAD_BYTES)?;
    let Some((fields, crc)) = head.split_last_chunk::<4>() else { return Ok(None) };
    let Some((magic, len, height)) = split_head(fields) else { return Ok(None) };
    if magic != MAGIC || len > NOTES_BYTES_MAX {
        return Ok(None);
    }
    let notes = file.read(HEAD_BYTES as u64, len)?;
    let whole = notes.len() == len && crc32(&[fields, &notes]) == u32::from_le_bytes(*crc);
    Ok(whole.then_some((height, notes)))
}

fn split_head(fields: &[u8]) -> Option<(&[u8; 4], usize, Height)> {
    let (magic, rest) = fields.split_first_chunk()?;
    let (len, height) = rest.split_first_chunk()?;
    let height = Height::new(u64::from_le_bytes(height.try_into().ok()?));
    Some((magic, u32::from_le_bytes(*len) as usize, height))
}

/// The leaves of a snapshot; see [`Snapshot::chunks`].
#[derive(Debug)]
pub struct SnapshotChunks<'a> {
    snapshot: &'a Snapshot,
    at: u64,
    /// The bucket that the next chunk has to begin with.
    next: u16,
    ended: bool,
}

impl Iterator for SnapshotChunks<'_> {
    type Item = Result<Bucket, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = if self.next < BucketIndex::COUNT { self.read() } else { self.read_end()? };
        self.ended = read.is_err();
        Some(read)
    }
}

impl SnapshotChunks<'_> {
    /// Passes over the chunks that end before a bucket.
    ///
    /// # Errors
    /// When the disk fails or the head of a chunk is damaged.
    pub fn skip_to(&mut self, bucket: BucketIndex) -> Result<(), SnapshotError> {
        while self.next <= bucket.get() {
            let head = self.snapshot.file.read(self.at, CHUNK_HEAD_BYTES)?;
            let leaves_at = self.at + CHUNK_HEAD_BYTES as u64;
            let left = self.snapshot.size.saturating_sub(leaves_at);
            let Some(chunk) = ChunkHead::parse(&head).filter(|head| head.fits(self.next, left))
            else {
                let part = SnapshotPart::Buckets(self.next);
                return Err(SnapshotError::Damaged { part, offset: self.at });
            };
            if chunk.end > bucket.get() {
                break;
            }
            self.at = leaves_at + chunk.len as u64;
            self.next = chunk.end;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Bucket, SnapshotError> {
        let damaged =
            SnapshotError::Damaged { part: SnapshotPart::Buckets(self.next), offset: self.at };
        let head = self.snapshot.file.read(self.at, CHUNK_HEAD_BYTES)?;
        let leaves_at = self.at + CHUNK_HEAD_BYTES as u64;
        let left = self.snapshot.size.saturating_sub(leaves_at);
        let Some(chunk) = ChunkHead::parse(&head).filter(|head| head.fits(self.next, left)) else {
            return Err(damaged);
        };
        let leaves = self.snapshot.file.read(leaves_at, chunk.len)?;
        let whole = crc32(&[&head[..CHUNK_HEAD_BYTES - 4], &leaves]) == chunk.crc;
        let Some(bucket) = parse_leaves(&leaves).filter(|leaves| whole && chunk.holds(leaves))
        else {
            return Err(damaged);
        };
        self.at = leaves_at + chunk.len as u64;
        self.next = chunk.end;
        Ok(bucket)
    }

    /// Nothing may follow the last chunk.
    fn read_end(&self) -> Option<Result<Bucket, SnapshotError>> {
        let damaged = SnapshotError::Damaged { part: SnapshotPart::End, offset: self.at };
        (self.at != self.snapshot.size).then_some(Err(damaged))
    }
}

struct ChunkHead {
    first: u16,
    end: u16,
    len: usize,
    crc: u32,
}

impl ChunkHead {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(CHUNK_MAGIC)?;
        let (first, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let (len, crc) = rest.split_first_chunk()?;
        Some(Self {
            first: u16::from_le_bytes(*first),
            end: u16::from_le_bytes(*end),
            len: u32::from_le_bytes(*len) as usize,
            crc: u32::from_le_bytes(crc.try_into().ok()?),
        })
    }

    /// Whether it begins with that bucket, ends behind it, and is no longer than what is left.
    fn fits(&self, next: u16, left: u64) -> bool {
        let range = self.first == next && self.end > next && self.end <= BucketIndex::COUNT;
        range && self.len <= CHUNK_BYTES_MAX && self.len as u64 <= left
    }

    /// Whether the leaves are of its buckets, each key above the one before.
    fn holds(&self, leaves: &Bucket) -> bool {
        let buckets = self.first..self.end;
        leaves.is_sorted_by(|(one, _), (next, _)| one < next)
            && leaves.iter().all(|(key, _)| buckets.contains(&BucketIndex::of(key).get()))
    }
}

fn parse_leaves(mut bytes: &[u8]) -> Option<Bucket> {
    let mut leaves = Bucket::new();
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk::<KEY_BYTES>()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        leaves.push((LeafKey::new(*key), Arc::from(value)));
        bytes = rest;
    }
    Some(leaves)
}
