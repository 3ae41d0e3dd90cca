//! The snapshot: the whole state in one file, to begin a fresh index from.
//!
//! It is written beside the former one, synced, and takes its name: after a crash there is the old
//! one or the new one. Leaves go in and come out chunk by chunk, so that no state has to fit into
//! memory. All numbers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | head | `GWSN`, length of the notes (4), height (8), CRC-32 of these 16 bytes and the notes (4), the caller's notes |
//! | chunk | `GWSC`, first bucket (2), bucket after the last one (2), length of the leaves (4), CRC-32 of these 12 bytes and the leaves (4), leaves |
//! | leaf | key (32), length of the value (4), value |
//!
//! A chunk holds whole buckets, by rising key; the chunks cover all buckets in order, and nothing
//! follows them. So each byte is checked, and what is damaged is named by its buckets. Whether the
//! leaves are the state of the tip only their root tells, which is for the caller to compare.

use std::sync::Arc;

use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafKey};
use goodwatt_chain::units::Height;

use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder, NamedFile};
use crate::index::IndexError;

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::SnapshotChunks;
pub use write::SnapshotReport;

const FILE: &str = "snapshot";
const MAGIC: &[u8; 4] = b"GWSN";
const CHUNK_MAGIC: &[u8; 4] = b"GWSC";
const HEAD_BYTES: usize = 20;
const CHUNK_HEAD_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Bytes of a leaf beside its value.
const LEAF_BYTES: usize = KEY_BYTES + 4;

/// The longest notes that are read back: a tip takes under 2 KiB.
const NOTES_BYTES_MAX: usize = 64 << 10;
/// A chunk ends with the bucket that takes it over this: large enough for a card, small enough to
/// be held while it is made or read.
const CHUNK_BYTES: usize = 64 << 10;
/// The longest chunk that is read or written. Keys are hashes, so buckets are about as large as
/// each other, and this is enough for a state of 16 GiB.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is not what was written.
    #[error("it is damaged in {part} (byte {offset})")]
    Damaged {
        /// What cannot be used.
        part: SnapshotPart,
        /// Where that begins in the file.
        offset: u64,
    },
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SnapshotPart {
    /// Height and notes.
    Head,
    /// The chunk that begins with this bucket.
    Buckets(u16),
    /// What follows the last chunk.
    End,
}

impl std::fmt::Display for SnapshotPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head => f.write_str("its head"),
            Self::Buckets(first) => write!(f, "the chunk of buckets from {first} on"),
            Self::End => f.write_str("what follows its last chunk"),
        }
    }
}

/// A snapshot whose head was read.
#[derive(Debug)]
pub struct Snapshot {
    file: NamedFile,
    size: u64,
    height: Height,
    notes: Vec<u8>,
}

impl Snapshot {
    /// The height its state is of.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// What the caller noted with that state.
    #[must_use]
    pub fn notes(&self) -> &[u8] {
        &self.notes
    }

    /// The size of its file in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.size
    }
}

/// The head of a file.
fn head(height: Height, notes: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + notes.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(notes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&height.get().to_le_bytes());
    let crc = crc32(&[&bytes, notes]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(notes);
    bytes
}

/// The head of a chunk with these leaves, up to its checksum.
fn chunk_head(first: u16, end: u16, leaves: usize) -> [u8; CHUNK_HEAD_BYTES - 4] {
    let mut bytes = [0; CHUNK_HEAD_BYTES - 4];
    bytes[..4].copy_from_slice(CHUNK_MAGIC);
    bytes[4..6].copy_from_slice(&first.to_le_bytes());
    bytes[6..8].copy_from_slice(&end.to_le_bytes());
    bytes[8..].copy_from_slice(&(leaves as u32).to_le_bytes());
    bytes
}
