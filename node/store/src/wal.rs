//! The write-ahead log of agreement: what a height needs to go on after a crash.
//!
//! One file that is filled anew for each height and never shrunk, so that the card sees overwrites
//! and no growth. Entries are on the card after [`ConsensusWal::sync`].
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GWWL` |
//! | 4 | CRC-32 of height and salt, little-endian |
//! | 8 | height, little-endian |
//! | 8 | salt, drawn for each height |
//! | then per entry: 4 | length, little-endian |
//! | 4 | CRC-32 of the checksum before it and the payload, little-endian |
//! | n | payload |
//!
//! Each checksum goes on from the one before it, the first from the header's. So nothing that an
//! earlier height, or a lost write of this one, left behind the last entry is taken for an entry;
//! and as the salt is not known outside, neither is a forged entry inside of somebody's block.

use std::hash::{BuildHasher, RandomState};

use goodwatt_chain::units::Height;

use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder, NamedFile};

const FILE: &str = "wal";
const MAGIC: &[u8; 4] = b"GWWL";
const HEADER_BYTES: u64 = 24;
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
    /// Checksum of the header.
    seed: u32,
    /// Checksum of the last entry, or of the header without one.
    last: u32,
    end: u64,
    /// A sync failed: what it should have put on the card may never get there by itself.
    unsure: bool,
}

impl ConsensusWal {
    /// Opens the log, making it where it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Folder) -> Result<Self, DiskError> {
        let is_new = folder.open_existing(FILE, Access::Read)?.is_none();
        let file = folder.open(FILE, Access::Write)?;
        let mut wal =
            Self { file, height: Height::ZERO, seed: 0, last: 0, end: HEADER_BYTES, unsure: false };
        if is_new {
            wal.file.write_zeros(0, AHEAD_BYTES)?;
            wal.reset(Height::ZERO)?;
            wal.sync()?;
            folder.sync()?;
        }
        match wal.read_header()? {
            Some((height, seed)) => {
                (wal.height, wal.seed) = (height, seed);
                (_, wal.last, wal.end) = wal.walk(u64::MAX)?;
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
        self.walk(self.end).map(|(entries, ..)| entries)
    }

    /// The whole entries before `end`, the checksum of the last one, and where they end.
    fn walk(&self, end: u64) -> Result<(Vec<Vec<u8>>, u32, u64), DiskError> {
        let (mut entries, mut last, mut at) = (Vec::new(), self.seed, HEADER_BYTES);
        while at < end
            && let Some((payload, checksum)) = self.read_entry(at, last)?
        {
            at += ENTRY_BYTES + payload.len() as u64;
            last = checksum;
            entries.push(payload);
        }
        Ok((entries, last, at))
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
        // Its keys are drawn from the system; their only use here is not to be known outside.
        let salt = RandomState::new().hash_one(height);
        let bytes = [height.get().to_le_bytes(), salt.to_le_bytes()].concat();
        let seed = crc32(&[&bytes]);
        let header = [MAGIC.as_slice(), &seed.to_le_bytes(), &bytes].concat();
        self.file.write_at(0, &header)?;
        (self.height, self.seed, self.last, self.end) = (height, seed, seed, HEADER_BYTES);
        Ok(())
    }

    /// Adds an entry. On the card with the next sync.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), DiskError> {
        let mut entry = (payload.len() as u32).to_le_bytes().to_vec();
        let checksum = checksum(self.last, payload);
        entry.extend_from_slice(&checksum.to_le_bytes());
        entry.extend_from_slice(payload);
        self.file.write_at(self.end, &entry)?;
        self.end += entry.len() as u64;
        self.last = checksum;
        Ok(())
    }

    /// Waits until everything is on the card.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        if self.unsure {
            // After a failed sync the system takes its pages for written, and the next sync says
            // so: they have to be written once more.
            let bytes = self.file.read(0, usize::try_from(self.end).unwrap_or(usize::MAX))?;
            self.file.write_at(0, &bytes)?;
        }
        self.unsure = true;
        self.file.sync()?;
        self.unsure = false;
        Ok(())
    }

    fn read_header(&self) -> Result<Option<(Height, u32)>, DiskError> {
        let header = self.file.read(0, HEADER_BYTES as usize)?;
        let Some((stored, body)) =
            header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<4>())
        else {
            return Ok(None);
        };
        let seed = crc32(&[body]);
        let height = body.first_chunk::<8>().filter(|_| seed == u32::from_le_bytes(*stored));
        Ok(height.map(|height| (Height::new(u64::from_le_bytes(*height)), seed)))
    }

    /// The entry at an offset with its checksum, or `None` where there is no whole one.
    fn read_entry(&self, at: u64, last: u32) -> Result<Option<(Vec<u8>, u32)>, DiskError> {
        let header = self.file.read(at, ENTRY_BYTES as usize)?;
        let Some((len, stored)) = header.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        let Some(stored) = stored.first_chunk::<4>().filter(|_| len <= PAYLOAD_BYTES_MAX) else {
            return Ok(None);
        };
        let payload = self.file.read(at + ENTRY_BYTES, len)?;
        let checksum = checksum(last, &payload);
        let whole = payload.len() == len && checksum == u32::from_le_bytes(*stored);
        Ok(whole.then_some((payload, checksum)))
    }
}

fn checksum(last: u32, payload: &[u8]) -> u32 {
    crc32(&[&last.to_le_bytes(), payload])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::FaultyDisk;

    fn reopened(disk: &FaultyDisk) -> Vec<Vec<u8>> {
        ConsensusWal::open(&disk.folder()).expect("it opens").entries().expect("readable")
    }

    fn begin(disk: &FaultyDisk, height: u64, entries: &[&[u8]]) -> ConsensusWal {
        let mut wal = ConsensusWal::open(&disk.folder()).expect("it opens");
        wal.reset(Height::new(height)).expect("well");
        entries.iter().for_each(|entry| wal.append(entry).expect("well"));
        wal.sync().expect("well");
        wal
    }

    #[test]
    fn entries_are_read_back_also_empty_ones() {
        let disk = FaultyDisk::new(1);
        let mut wal = begin(&disk, 5, &[b"", b"vote"]);
        assert_eq!(reopened(&disk), [b"".to_vec(), b"vote".to_vec()]);
        wal.append(b"more").expect("well");
        assert_eq!(wal.entries().expect("readable").len(), 3);
        assert_eq!(reopened(&disk).len(), 3);
    }

    #[test]
    fn what_a_failed_sync_let_go_is_on_the_card_after_the_next_one() {
        let disk = FaultyDisk::new(1);
        let mut wal = begin(&disk, 5, &[b"e0"]);
        wal.append(b"e1").expect("well");
        disk.fail_syncs(1);
        wal.sync().expect_err("it fails");
        wal.sync().expect("well");
        disk.restart();
        assert_eq!(reopened(&disk), [b"e0".to_vec(), b"e1".to_vec()]);
    }

    #[test]
    fn an_earlier_height_or_an_earlier_try_leaves_nothing() {
        for height in [5, 6] {
            let disk = FaultyDisk::new(1);
            begin(&disk, 5, &[b"one", b"two", b"three"]);
            begin(&disk, height, &[b"ONE"]);
            assert_eq!(reopened(&disk), [b"ONE".to_vec()], "height {height}");
        }
    }

    #[test]
    fn what_somebody_wrote_into_a_block_is_no_entry() {
        let disk = FaultyDisk::new(1);
        let mut block = vec![b'x'; 100];
        // Made by somebody who knows the format and the height, and tries any checksum before it.
        let forged = b"forged";
        block.extend_from_slice(&(forged.len() as u32).to_le_bytes());
        block.extend_from_slice(&crc32(&[&2_u64.to_le_bytes(), forged]).to_le_bytes());
        block.extend_from_slice(forged);
        begin(&disk, 1, &[&block]);
        begin(&disk, 2, &[&[b'y'; 100]]);
        assert_eq!(reopened(&disk), [vec![b'y'; 100]]);
    }

    #[test]
    fn any_flipped_byte_ends_the_entries_before_it() {
        let disk = FaultyDisk::new(1);
        let entries: [&[u8]; 3] = [b"one", b"two", b"three"];
        let end = begin(&disk, 5, &entries).end;
        for at in 0..end as usize {
            disk.flip(FILE, at, 0x20);
            let read = reopened(&disk);
            let whole = [27 + ENTRY_BYTES, 38 + ENTRY_BYTES].map(|end| at as u64 >= end);
            let want = whole.into_iter().filter(|is_whole| *is_whole).count();
            assert_eq!(read, entries[..if at < 24 { 0 } else { want }], "byte {at}");
            // A damaged header was written anew.
            if at < HEADER_BYTES as usize {
                begin(&disk, 5, &entries);
            } else {
                disk.flip(FILE, at, 0x20);
            }
        }
    }

    /// What was synced is there after any crash, in order, and never anything else.
    #[test]
    fn synced_entries_survive_every_crash() {
        for crash_after in 0..14 {
            for seed in 0..60 {
                let disk = FaultyDisk::new(seed);
                let mut wal = begin(&disk, 5, &[b"e0"]);
                disk.crash_after(crash_after);
                let mut synced = 1;
                for number in 1..7 {
                    let appended = wal.append(format!("e{number}").as_bytes());
                    if appended.and_then(|()| wal.sync()).is_ok() {
                        synced = number + 1;
                    }
                }
                disk.restart();
                let read = reopened(&disk);
                assert!(read.len() >= synced, "crash {crash_after}, seed {seed}");
                let want = (0..read.len()).map(|number| format!("e{number}").into_bytes());
                assert!(read.iter().cloned().eq(want), "crash {crash_after}, seed {seed}");
                let mut wal = ConsensusWal::open(&disk.folder()).expect("it opens");
                wal.append(b"after").expect("well");
                wal.sync().expect("well");
                assert_eq!(reopened(&disk).len(), read.len() + 1, "nothing comes back");
            }
        }
    }
}
