//! Reading every byte of a log, and naming the first one that is wrong.

use goodwatt_chain::units::Height;

use super::bulk::read_mark;
use super::open::{read_footer, segment_firsts};
use super::record::{CHECKED_BYTES, HEADER_BYTES, Reader, RecordHeader, u32_at};
use super::segment::{self, Segment};
use super::{BlockLog, DiskError};
use crate::checksum::{changed_byte, crc32};
use crate::disk::{Access, Folder};

/// What a sound log holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VerifyReport {
    /// How many blocks.
    pub blocks: u64,
    /// The first height.
    pub first: Option<Height>,
    /// The last height.
    pub tip: Option<Height>,
    /// How many bytes of files were read.
    pub bytes: u64,
}

/// The first wrong byte of a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "first bad byte: file {file}, {} {offset}, in the block of {height}{}",
    if *exact { "byte" } else { "in the part that begins at byte" },
    if *at_tail { "; a power cut may have torn it: starting the node cuts it off" } else { "" }
)]
pub struct FirstBadByte {
    /// The segment's file.
    pub file: String,
    /// The byte, or where the damaged part begins when more than one byte is wrong.
    pub offset: u64,
    /// The block it belongs to, or that would come next.
    pub height: Height,
    /// Whether `offset` is the very byte.
    pub exact: bool,
    /// Whether no whole record follows, as after a power cut.
    pub at_tail: bool,
}

/// Why a log did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A byte is not what was written.
    #[error(transparent)]
    Bad(#[from] FirstBadByte),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl BlockLog {
    /// Reads every byte of the log in `folder`, which nobody may be writing to, and changes
    /// nothing.
    ///
    /// # Errors
    /// [`VerifyError::Bad`] names the first byte that is wrong.
    pub fn verify(folder: &Folder) -> Result<VerifyReport, VerifyError> {
        let firsts = segment_firsts(folder)?;
        let bulk = read_mark(folder)?;
        let mut report = VerifyReport { first: firsts.first().copied(), ..Default::default() };
        for (at, first) in firsts.iter().enumerate() {
            let file = folder.open(&segment::name(*first), Access::Read)?;
            let (reader, segment) = (Reader::new(file)?, Segment::new(*first));
            let mut check = Check { reader, segment, bulk };
            check.all(firsts.get(at + 1).copied())?;
            report.blocks += u64::from(check.segment.count);
            report.bytes += check.reader.size;
            report.tip = Some(check.segment.last());
        }
        Ok(report)
    }
}

/// One segment under examination: `segment` is what was found sound so far.
struct Check {
    reader: Reader,
    segment: Segment,
    bulk: Option<Height>,
}

impl Check {
    fn all(&mut self, next: Option<Height>) -> Result<(), VerifyError> {
        self.header()?;
        let footer = read_footer(&mut self.reader, self.segment.first)?;
        let records_end = footer.as_ref().map_or(self.reader.size, |end| u64::from(end.end));
        while u64::from(self.segment.end) < records_end && self.record()? {}
        match footer {
            Some(footer) if footer == self.segment => {}
            Some(_) => return Err(self.bad(u64::from(self.segment.end), false)?),
            None => self.zeros(next.is_none())?,
        }
        if next.is_some_and(|next| next != self.segment.next()) {
            return Err(self.bad(u64::from(self.segment.end), false)?);
        }
        Ok(())
    }

    fn header(&mut self) -> Result<(), VerifyError> {
        let want = segment::header(self.segment.first);
        let got = self.reader.bytes(0, want.len())?.unwrap_or_default();
        let wrong = want.iter().enumerate().position(|(at, byte)| got.get(at) != Some(byte));
        wrong.map_or(Ok(()), |at| Err(self.bad(at as u64, true)?))
    }

    /// Checks the next record; false where the records end with zeros.
    fn record(&mut self) -> Result<bool, VerifyError> {
        let at = u64::from(self.segment.end);
        let Some(bytes) = self.reader.bytes(at, HEADER_BYTES)? else { return Ok(false) };
        let header = bytes.try_into().ok().and_then(RecordHeader::decode);
        let Some(header) = header.filter(|header| header.height == self.segment.next()) else {
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(false);
            }
            let (stored, found) = (u32_at(bytes, CHECKED_BYTES), crc32(&[&bytes[..CHECKED_BYTES]]));
            let place = changed_byte(CHECKED_BYTES, stored, found);
            return Err(self.bad(at + place.unwrap_or(0) as u64, place.is_some())?);
        };
        let (payload_at, len) = (at + HEADER_BYTES as u64, header.payload_bytes as usize);
        let found = self.reader.bytes(payload_at, len)?.map(|payload| crc32(&[payload]));
        if found != Some(header.payload_crc) {
            let place = found.and_then(|found| changed_byte(len, header.payload_crc, found));
            let place = place.filter(|place| *place < len);
            return Err(self.bad(payload_at + place.unwrap_or(0) as u64, place.is_some())?);
        }
        self.segment.push(header.record_bytes() as u32);
        Ok(true)
    }

    /// Checks that nothing but zeros follows; behind a closed segment not even those may be.
    fn zeros(&mut self, is_last: bool) -> Result<(), VerifyError> {
        let end = u64::from(self.segment.end);
        let found = self.reader.non_zero(end)?.map(|(begin, _)| begin);
        match found.or((!is_last).then_some(end)) {
            Some(at) => Err(self.bad(at, false)?),
            None => Ok(()),
        }
    }

    /// The bad byte, with whether a whole record follows it.
    fn bad(&mut self, offset: u64, exact: bool) -> Result<VerifyError, DiskError> {
        let height = self.segment.next();
        let behind = self.reader.find_record(offset + 1, height)?;
        let file = self.reader.file.name().to_owned();
        let torn = self.bulk.is_some_and(|bulk| height >= bulk);
        let at_tail = torn || behind.is_none();
        Ok(FirstBadByte { file, offset, height, exact, at_tail }.into())
    }
}
