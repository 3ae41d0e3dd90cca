//! The block log: the truth of a node. Append-only, one `fdatasync` a block.
//!
//! # Files
//! A folder of segments of about 8 MiB, each named by the height of its first block. All numbers
//! are little-endian; every byte is covered by a CRC-32 or has to be zero.
//!
//! | part | bytes |
//! |---|---|
//! | segment header | `GWSG`, CRC of the next 8 bytes (4), first height (8) |
//! | record | `GWRC`, length of the payload (4), height (8), CRC of the payload (4), CRC of these 20 bytes (4), payload |
//! | footer of a full segment | offset of every 16th record (4 each), number of records (4), CRC (4), `GWFT` |
//!
//! The last segment has no footer but zeros written ahead of the records: overwriting zeros costs
//! an ext4 journal nothing, while a growing file costs a journal transaction for each sync. On a
//! loop device a 300-byte append wrote 17.3 kB without and 4.8 kB with them, a 4,420-byte append
//! 29.0 kB without and 13.2 kB with them (`examples/bytes_per_block.rs` measures it again).
//!
//! # Damage
//! A record that is not whole, with nothing valid behind it, is what a power cut leaves: it is cut
//! off when opening, and reported. A bad record with valid ones behind it is damage: it is
//! reported with file, offset and height and never skipped. [`BlockLog::heal`] puts the block of a
//! peer in its place; [`BlockLog::cut_from`] gives up what follows, to be fetched again. Blocks
//! that were appended many at a time are an exception, see [`BlockLog::append_all`].

use goodwatt_chain::units::Height;

use crate::disk::{Access, DiskError, Folder, NamedFile};

mod bulk;
mod heal;
mod open;
mod read;
mod record;
mod segment;
#[cfg(test)]
mod tests;
mod verify;

pub use open::OpenReport;
pub use read::Blocks;
pub use verify::{FirstBadByte, VerifyError, VerifyReport};

use segment::Segment;

/// Largest payload of a record. A block is at most 256 KiB; this leaves room for what is stored
/// beside it, and bounds what a damaged length can make a reader allocate.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// How large the files are.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// A segment is closed when a record would make it longer.
    segment_bytes: u64,
    /// How far zeros are written ahead of the records.
    ahead_bytes: u64,
}

impl Sizes {
    /// Opening walks the last segment only: 8 MiB take under half a second at the 20 MB/s of a
    /// slow card. 256 KiB of zeros keep a journal transaction for space away from 60 blocks of
    /// 4 KiB; four times as much gained nothing.
    const CARD: Self = Self { segment_bytes: 8 << 20, ahead_bytes: 256 << 10 };
}

/// The append-only log of blocks. What a block is, it does not know.
#[derive(Debug)]
pub struct BlockLog {
    folder: Folder,
    sizes: Sizes,
    /// In order of height, without gaps between them; none is empty.
    segments: Vec<Segment>,
    /// The file of the last segment while it has no footer.
    active: Option<Active>,
    /// From this height on, blocks were appended many at a time.
    bulk: Option<Height>,
}

/// The file that is appended to.
#[derive(Debug)]
struct Active {
    file: NamedFile,
    /// Up to here the file holds records or zeros.
    filled: u64,
    /// An append failed: what lies behind the last record has to be cut off before the next one.
    leftover: bool,
}

/// Why the log refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A stored block is damaged, and blocks behind it are not.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Heights have no gaps: a mistake of the caller.
    #[error("the log goes on with {want}, not with {got}")]
    NotNext {
        /// What the log would take.
        want: Height,
        /// What it was given.
        got: Height,
    },
    /// More than one record holds: a mistake of the caller.
    #[error("a record holds at most {max} bytes, not {bytes}", max = PAYLOAD_BYTES_MAX)]
    TooLarge {
        /// What it was given.
        bytes: usize,
    },
}

/// Where the log is damaged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the block log is damaged at {height} (file {file}, byte {offset}): fetch that block from \
     peers, or cut the log there and let it be fetched again"
)]
pub struct Damage {
    /// The first height that cannot be read.
    pub height: Height,
    /// The segment's file.
    pub file: String,
    /// Where its record begins.
    pub offset: u64,
}

impl BlockLog {
    /// Opens the log in `folder`, cutting off what a power cut left of the last record.
    ///
    /// Checks structure, not content: a flipped byte in a payload is found by reading it, or by
    /// [`Self::verify`].
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a record is bad and others follow it.
    pub fn open(folder: Folder) -> Result<(Self, OpenReport), LogError> {
        Self::open_sized(folder, Sizes::CARD)
    }

    /// The height of the last block.
    #[must_use]
    pub fn tip(&self) -> Option<Height> {
        self.segments.last().map(Segment::last)
    }

    /// The height of the first block that is still there.
    #[must_use]
    pub fn first(&self) -> Option<Height> {
        self.segments.first().map(|segment| segment.first)
    }

    /// Appends one block; it is durable when this returns `Ok`.
    ///
    /// After an error the block may or may not be there after a restart; while running it is not,
    /// and the same call may be tried again (for instance once a full disk has space).
    ///
    /// # Errors
    /// [`LogError::NotNext`] unless `height` follows the tip; an empty log takes any.
    pub fn append(&mut self, height: Height, payload: &[u8]) -> Result<(), LogError> {
        self.check_next(height, &[payload])?;
        self.end_bulk()?;
        self.write_all(height, &[payload])?;
        Ok(())
    }

    /// Refuses what does not follow the tip, or is too large for a record.
    fn check_next(&self, first: Height, payloads: &[impl AsRef<[u8]>]) -> Result<(), LogError> {
        let mut sizes = payloads.iter().map(|payload| payload.as_ref().len());
        if let Some(bytes) = sizes.find(|bytes| *bytes > PAYLOAD_BYTES_MAX) {
            return Err(LogError::TooLarge { bytes });
        }
        match self.tip().map(Height::next).filter(|want| *want != first) {
            Some(want) => Err(LogError::NotNext { want, got: first }),
            None => Ok(()),
        }
    }

    /// Writes records into as few segments as they fit, each with one sync.
    fn write_all(&mut self, first: Height, payloads: &[impl AsRef<[u8]>]) -> Result<(), DiskError> {
        let (mut height, mut group, mut bytes) = (first, Vec::new(), 0);
        for payload in payloads {
            let record = record::encode(height, payload.as_ref());
            height = height.next();
            if !group.is_empty() && !self.has_room(bytes + record.len() as u64) {
                self.write_group(&group)?;
                group.clear();
                bytes = 0;
            }
            bytes += record.len() as u64;
            group.push(record);
        }
        if group.is_empty() { Ok(()) } else { self.write_group(&group) }
    }

    /// Writes records with one sync, in a new segment where the last one has no room for them.
    fn write_group(&mut self, records: &[Vec<u8>]) -> Result<(), DiskError> {
        let bytes: usize = records.iter().map(Vec::len).sum();
        if self.active.is_some() && !self.has_room(bytes as u64) {
            self.seal()?;
        }
        match (&mut self.active, self.segments.last_mut()) {
            (Some(active), Some(segment)) => {
                active.append(segment, records, self.sizes.ahead_bytes)
            }
            _ => {
                let first = self.segments.last().map(Segment::next);
                let height = first.or_else(|| record::height_of(records.first()?));
                self.start_segment(height.unwrap_or_default(), records)
            }
        }
    }

    /// The last height of the oldest segment, if others follow it: what [`Self::prune_below`] may
    /// remove first.
    #[must_use]
    pub fn oldest_segment(&self) -> Option<Height> {
        let [oldest, _, ..] = self.segments.as_slice() else { return None };
        Some(oldest.last())
    }

    /// Removes whole segments of which every block lies below `height`. The last one stays.
    ///
    /// # Errors
    /// [`DiskError`] when a file cannot be removed.
    pub fn prune_below(&mut self, height: Height) -> Result<(), DiskError> {
        while let [oldest, _, ..] = self.segments.as_slice() {
            if oldest.last() >= height {
                break;
            }
            self.folder.remove_existing(&oldest.name())?;
            self.segments.remove(0);
        }
        self.folder.sync()
    }

    /// Whether so many bytes more fit into the segment that is appended to, or into a new one.
    fn has_room(&self, bytes: u64) -> bool {
        let last = self.active.as_ref().and(self.segments.last());
        let end = last.map_or(segment::HEADER_BYTES as u64, |last| u64::from(last.end));
        end + bytes <= self.sizes.segment_bytes
    }

    /// Closes the last segment with a footer, so that opening need not walk it.
    fn seal(&mut self) -> Result<(), DiskError> {
        let (Some(active), Some(segment)) = (&mut self.active, self.segments.last()) else {
            return Ok(());
        };
        active.cut_leftover(segment)?;
        active.leftover = true;
        let footer = segment.footer();
        let end = u64::from(segment.end) + footer.len() as u64;
        active.file.write_at(u64::from(segment.end), &footer)?;
        active.file.set_size(end)?;
        active.file.sync()?;
        self.active = None;
        Ok(())
    }

    /// Makes the next segment together with its first records.
    fn start_segment(&mut self, first: Height, records: &[Vec<u8>]) -> Result<(), DiskError> {
        let mut segment = Segment::new(first);
        let mut file = self.folder.open(&segment.name(), Access::Write)?;
        // An earlier try may have left something.
        file.set_size(0)?;
        file.write_at(0, &segment::header(first))?;
        let filled = u64::from(segment.end);
        let mut active = Active { file, filled, leftover: false };
        active.append(&mut segment, records, self.sizes.ahead_bytes)?;
        self.folder.sync()?;
        self.segments.push(segment);
        self.active = Some(active);
        Ok(())
    }
}

impl Active {
    fn append(
        &mut self,
        segment: &mut Segment,
        records: &[Vec<u8>],
        ahead_bytes: u64,
    ) -> Result<(), DiskError> {
        self.cut_leftover(segment)?;
        if let Err(error) = self.write(u64::from(segment.end), &records.concat(), ahead_bytes) {
            self.leftover = true;
            // Give the space back at once; where that fails the next append tries again.
            drop(self.cut_leftover(segment));
            return Err(error);
        }
        records.iter().for_each(|record| segment.push(record.len() as u32));
        Ok(())
    }

    fn write(&mut self, at: u64, record: &[u8], ahead_bytes: u64) -> Result<(), DiskError> {
        self.file.write_at(at, record)?;
        let end = at + record.len() as u64;
        if end > self.filled {
            let ahead = (end + ahead_bytes).next_multiple_of(crate::disk::PAGE as u64);
            // Zeros only save writes later. Where they do not fit the record still may.
            self.filled = if self.file.write_zeros(end, ahead).is_ok() { ahead } else { end };
        }
        self.file.sync()
    }

    /// Cuts off what a failed append left, so that it cannot be taken for a block.
    fn cut_leftover(&mut self, segment: &Segment) -> Result<(), DiskError> {
        if self.leftover {
            self.file.set_size(u64::from(segment.end))?;
            self.filled = u64::from(segment.end);
            self.leftover = false;
        }
        Ok(())
    }
}

/// The damage at one record.
fn damage(height: Height, file: &NamedFile, offset: u64) -> Damage {
    Damage { height, file: file.name().to_owned(), offset }
}
