//! The write-ahead log of agreement: what a height needs to go on after a crash.
//!
//! One file that is filled anew for each height and never shrunk, so that the card sees overwrites
//! and no growth. Entries are on the card after [`ConsensusWal::sync`].
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GWWL` |
//! | 4 | CRC-32 of the height, little-endian |
//! | 8 | height, little-endian |
//! | then per entry: 4 | length, little-endian, not zero |
//! | 4 | CRC-32 of height and payload, little-endian |
//! | n | payload |
//!
//! The height in each checksum makes what an earlier height left behind unreadable.

use goodwatt_chain::units::Height;

use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder, NamedFile};

const FILE: &str = "wal";
const MAGIC: &[u8; 4] = b"GWWL";
const HEADER_BYTES: u64 = 16;
const ENTRY_BYTES: u64 = 8;
/// The file begins with this many zeros: a height of a small set fits in, so it rarely grows.
const AHEAD_BYTES: u64 = 64 << 10;
/// The longest entry that is read back: a full block. A longer one is damage.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// The open log.
#[derive(Debug)]
pub struct ConsensusWal {
    file: NamedFile,
    height: Height,
    end: u64,
}

impl ConsensusWal {
    /// Opens the log, making it where it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Folder) -> Result<Self, DiskError> {
        let is_new = folder.open_existing(FILE, Access::Read)?.is_none();
        let file = folder.open(FILE, Access::Write)?;
        let mut wal = Self { file, height: Height::ZERO, end: HEADER_BYTES };
        if is_new {
            wal.file.write_zeros(0, AHEAD_BYTES)?;
            wal.reset(Height::ZERO)?;
            wal.sync()?;
            folder.sync()?;
        }
        match wal.read_height()? {
            Some(height) => {
                wal.height = height;
                wal.end = u64::MAX;
                let entries = wal.entries()?;
                let bytes = |entry: &Vec<u8>| ENTRY_BYTES + entry.len() as u64;
                wal.end = HEADER_BYTES + entries.iter().map(bytes).sum::<u64>();
            }
            // Torn while a height began: nothing was said for it yet.
            None => wal.reset(Height::ZERO)?,
        }
        Ok(wal)
    }

    /// What was written for this height, as far as it is whole.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn entries(&self) -> Result<Vec<Vec<u8>>, DiskError> {
        let (mut entries, mut at) = (Vec::new(), HEADER_BYTES);
        while at < self.end
            && let Some(payload) = self.read_entry(at)?
        {
            at += ENTRY_BYTES + payload.len() as u64;
            entries.push(payload);
        }
        Ok(entries)
    }

    /// The height the entries belong to.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Begins another height: what was written before is void. On the card with the next sync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn reset(&mut self, height: Height) -> Result<(), DiskError> {
        let bytes = height.get().to_le_bytes();
        let header = [MAGIC.as_slice(), &crc32(&[&bytes]).to_le_bytes(), &bytes].concat();
        self.file.write_at(0, &header)?;
        (self.height, self.end) = (height, HEADER_BYTES);
        Ok(())
    }

    /// Adds an entry. On the card with the next sync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), DiskError> {
        let mut entry = (payload.len() as u32).to_le_bytes().to_vec();
        entry.extend_from_slice(&self.crc(payload).to_le_bytes());
        entry.extend_from_slice(payload);
        self.file.write_at(self.end, &entry)?;
        self.end += entry.len() as u64;
        Ok(())
    }

    /// Waits until everything is on the card.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.file.sync()
    }

    fn crc(&self, payload: &[u8]) -> u32 {
        crc32(&[&self.height.get().to_le_bytes(), payload])
    }

    fn read_height(&self) -> Result<Option<Height>, DiskError> {
        let header = self.file.read(0, HEADER_BYTES as usize)?;
        let Some((crc, height)) =
            header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<4>())
        else {
            return Ok(None);
        };
        let whole = crc32(&[height]) == u32::from_le_bytes(*crc);
        let height = height.first_chunk::<8>().filter(|_| whole);
        Ok(height.map(|height| Height::new(u64::from_le_bytes(*height))))
    }

    /// The entry at an offset, or `None` where there is no whole one.
    fn read_entry(&self, at: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let header = self.file.read(at, ENTRY_BYTES as usize)?;
        let Some((len, crc)) = header.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        let Some(crc) = crc.first_chunk::<4>().filter(|_| (1..=PAYLOAD_BYTES_MAX).contains(&len))
        else {
            return Ok(None);
        };
        let payload = self.file.read(at + ENTRY_BYTES, len)?;
        let whole = payload.len() == len && self.crc(&payload) == u32::from_le_bytes(*crc);
        Ok(whole.then_some(payload))
    }
}
