//! One slot of the guard's file: see the table in the module above.

use goodwatt_chain::codec;
use goodwatt_chain::hash::{ChainId, Digest32};

use super::{GUARD, GuardRecord};
use crate::disk::{DiskError, NamedFile};

/// One page: a torn write of one slot cannot reach the other.
pub(super) const SLOT_BYTES: u64 = 4_096;

const MAGIC: &[u8; 4] = b"GWGD";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;
/// Where the digest begins; the longest record, with three steps of 66 bytes, ends before.
const DIGEST_AT: usize = 472;
const SECTOR_BYTES: usize = 512;

/// What a slot holds.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) counter: u64,
    pub(super) chain: ChainId,
    pub(super) record: Option<GuardRecord>,
}

/// What was found in a slot.
#[derive(Debug)]
pub(super) enum Found {
    /// A record.
    Whole(Box<Slot>),
    /// Writes that the power cut: nothing of them was ever signed. With the highest counter seen.
    Torn(u64),
    /// Something else.
    Damaged,
}

impl Slot {
    /// Where it stands in the file: the two take turns.
    pub(super) const fn offset(&self) -> u64 {
        self.counter % 2 * SLOT_BYTES
    }

    pub(super) fn encode(&self) -> [u8; SECTOR_BYTES] {
        let record = codec::encode(&(self.chain, self.record));
        let counter = self.counter.to_le_bytes();
        let mut bytes = [0; SECTOR_BYTES];
        // The counter comes first: whatever part of a write is torn off, the two differ.
        bytes[..8].copy_from_slice(&counter);
        bytes[8..12].copy_from_slice(MAGIC);
        bytes[12..14].copy_from_slice(&VERSION.to_le_bytes());
        bytes[14..HEADER_BYTES].copy_from_slice(&(record.len() as u16).to_le_bytes());
        bytes[HEADER_BYTES..HEADER_BYTES + record.len()].copy_from_slice(&record);
        let digest = Digest32::of(GUARD, &[&bytes[..DIGEST_AT]]);
        bytes[DIGEST_AT..DIGEST_AT + 32].copy_from_slice(digest.as_bytes());
        bytes[DIGEST_AT + 32..].copy_from_slice(&counter);
        bytes
    }

    /// The record, if the digest vouches for it. A counter that was changed is known by the other
    /// one: the digest covers the one in front.
    fn decode(bytes: &[u8; SECTOR_BYTES]) -> Option<Self> {
        let mut mended = *bytes;
        mended[..8].copy_from_slice(&back(bytes).to_le_bytes());
        Self::decode_exact(bytes).or_else(|| Self::decode_exact(&mended))
    }

    fn decode_exact(bytes: &[u8; SECTOR_BYTES]) -> Option<Self> {
        let digest = Digest32::of(GUARD, &[&bytes[..DIGEST_AT]]);
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let whole = bytes[DIGEST_AT..DIGEST_AT + 32] == *digest.as_bytes();
        if !whole || header[8..12] != *MAGIC || header[12..14] != VERSION.to_le_bytes() {
            return None;
        }
        let len = usize::from(u16::from_le_bytes([header[14], header[15]]));
        let record = bytes.get(HEADER_BYTES..HEADER_BYTES + len)?;
        let (chain, record) = codec::decode(record).ok()?;
        Some(Self { counter: front(bytes), chain, record })
    }
}

fn front(bytes: &[u8; SECTOR_BYTES]) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|at| bytes[at]))
}

fn back(bytes: &[u8; SECTOR_BYTES]) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|at| bytes[DIGEST_AT + 32 + at]))
}

/// Reads slot 0 or 1.
pub(super) fn read(file: &NamedFile, number: u64) -> Result<Found, DiskError> {
    let bytes = file.read(number * SLOT_BYTES, SECTOR_BYTES)?;
    let Ok(bytes) = <[u8; SECTOR_BYTES]>::try_from(bytes) else { return Ok(Found::Damaged) };
    Ok(match Slot::decode(&bytes) {
        Some(slot) if slot.counter % 2 == number => Found::Whole(Box::new(slot)),
        Some(_) => Found::Damaged,
        // Every attempt to write has a counter of its own, so what is torn shows two of them.
        None if front(&bytes) != back(&bytes) => Found::Torn(front(&bytes).max(back(&bytes))),
        None => Found::Damaged,
    })
}
