//! The redo file: a checkpoint, whole on the card before sled sees any of it.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GWRD` |
//! | 4 | length of the payload, little-endian |
//! | 4 | CRC-32 of the payload, little-endian |
//! | n | payload: base, height, notes and operations as postcard |
//!
//! It is written in place, over the one before, which is in sled by then.

use std::sync::Arc;

use goodwatt_chain::units::Height;
use serde::{Deserialize, Serialize};

use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder};

const FILE: &str = "redo";
const MAGIC: &[u8; 4] = b"GWRD";
const HEADER: usize = 12;
/// The longest payload that is read back: the changes of a few full blocks. A longer one is
/// damage, and is not believed.
const PAYLOAD_MAX: usize = 64 << 20;

/// A key with its new value, or `None` where it goes away.
pub(super) type Operation = (Vec<u8>, Option<Arc<[u8]>>);

/// One checkpoint.
#[derive(Debug)]
pub(super) struct Redo {
    /// The checkpoint this one goes on from; it fits no other.
    pub(super) base: Option<Height>,
    pub(super) height: Height,
    pub(super) notes: Vec<u8>,
    pub(super) operations: Vec<Operation>,
}

#[derive(Deserialize, Serialize)]
struct Payload {
    base: Option<Height>,
    height: Height,
    notes: Vec<u8>,
    operations: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Redo {
    /// Writes the checkpoint and waits until it is on the card.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), DiskError> {
        let operations = self.operations.iter();
        let payload = goodwatt_chain::codec::encode(&Payload {
            base: self.base,
            height: self.height,
            notes: self.notes.clone(),
            operations: operations
                .map(|(key, value)| (key.clone(), value.as_ref().map(|value| value.to_vec())))
                .collect(),
        });
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32(&[&payload]).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let is_new = folder.open_existing(FILE, Access::Read)?.is_none();
        let mut file = folder.open(FILE, Access::Write)?;
        file.write_pages(0, &bytes)?;
        file.sync()?;
        if is_new { folder.sync() } else { Ok(()) }
    }

    /// Removes what was written for a sled that is gone.
    pub(super) fn forget(folder: &Folder) -> Result<(), DiskError> {
        folder.remove_existing(FILE)
    }

    /// The checkpoint written last, or `None` if it was torn or there is none.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, DiskError> {
        let Some(file) = folder.open_existing(FILE, Access::Read)? else { return Ok(None) };
        let header = file.read(0, HEADER)?;
        let Some((len, crc)) = parse_header(&header) else { return Ok(None) };
        let payload = file.read(HEADER as u64, len)?;
        if payload.len() != len || crc32(&[&payload]) != crc {
            return Ok(None);
        }
        let Ok(payload) = postcard::from_bytes::<Payload>(&payload) else { return Ok(None) };
        let operations = payload.operations.into_iter();
        Ok(Some(Self {
            base: payload.base,
            height: payload.height,
            notes: payload.notes,
            operations: operations.map(|(key, value)| (key, value.map(Arc::from))).collect(),
        }))
    }
}

fn parse_header(header: &[u8]) -> Option<(usize, u32)> {
    let rest = header.strip_prefix(MAGIC)?;
    let (len, crc) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    (len <= PAYLOAD_MAX).then_some((len, crc))
}
