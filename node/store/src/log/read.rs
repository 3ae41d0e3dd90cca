//! Reading blocks back: one by its height, or all from a height on.

use goodwatt_chain::units::Height;

use super::record::{HEADER_BYTES, Reader, RecordHeader};
use super::segment::Segment;
use super::{BlockLog, LogError, damage};
use crate::checksum::crc32;
use crate::disk::{Access, DiskError, NamedFile};

impl BlockLog {
    /// The payload of one block, or `None` where the log has no such height.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when it is not what was written.
    pub fn read(&self, height: Height) -> Result<Option<Vec<u8>>, LogError> {
        let Some(segment) = self.segment_of(height) else { return Ok(None) };
        let file = self.folder.open(&segment.name(), Access::Read)?;
        let (mut at_height, mut at) = segment.nearest(height);
        loop {
            let header = read_header(&file, at)?
                .filter(|header| header.height == at_height)
                .ok_or_else(|| damage(at_height, &file, at))?;
            if at_height == height {
                return Ok(Some(read_payload(&file, at, header)?));
            }
            at += header.record_bytes();
            at_height = at_height.next();
        }
    }

    /// All blocks from `from` on, read in large pieces: for replay and for peers that catch up.
    ///
    /// Ends after the first error. A height below the first block begins with the first block.
    #[must_use]
    pub fn blocks_from(&self, from: Height) -> Blocks<'_> {
        let from = self.first().map_or(from, |first| from.max(first));
        Blocks { log: self, next: from, place: None }
    }

    fn segment_of(&self, height: Height) -> Option<&Segment> {
        let behind = self.segments.partition_point(|segment| segment.first <= height);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        (height <= segment.last()).then_some(segment)
    }
}

/// Reads a header with a read of its own: a single block is not worth a large buffer.
fn read_header(file: &NamedFile, at: u64) -> Result<Option<RecordHeader>, DiskError> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(at, &mut bytes)?;
    Ok(RecordHeader::decode(&bytes))
}

fn read_payload(file: &NamedFile, at: u64, header: RecordHeader) -> Result<Vec<u8>, LogError> {
    let payload = file.read(at + HEADER_BYTES as u64, header.payload_bytes as usize)?;
    if payload.len() != header.payload_bytes as usize || crc32(&[&payload]) != header.payload_crc {
        return Err(damage(header.height, file, at).into());
    }
    Ok(payload)
}

/// Blocks one after another; see [`BlockLog::blocks_from`].
#[derive(Debug)]
pub struct Blocks<'a> {
    log: &'a BlockLog,
    next: Height,
    /// The segment being read, what it is, and where the next record begins.
    place: Option<(Reader, &'a Segment, u64)>,
}

impl Iterator for Blocks<'_> {
    type Item = Result<(Height, Vec<u8>), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let height = self.next;
        let segment = self.log.segment_of(height)?;
        let read = self.read(segment, height);
        // After an error there is nothing more: no height has no segment.
        self.next = if read.is_ok() { height.next() } else { Height::new(u64::MAX) };
        Some(read.map(|payload| (height, payload)))
    }
}

impl<'a> Blocks<'a> {
    fn read(&mut self, segment: &'a Segment, height: Height) -> Result<Vec<u8>, LogError> {
        let (mut reader, mut at) = match self.place.take() {
            Some((reader, place, at)) if place.first == segment.first => (reader, at),
            _ => self.seek(segment, height)?,
        };
        let Some(header) = reader.header(at)?.filter(|header| header.height == height) else {
            return Err(damage(height, &reader.file, at).into());
        };
        let payload = reader.payload(at, header)?.map(<[u8]>::to_vec);
        let payload = payload.ok_or_else(|| damage(height, &reader.file, at))?;
        at += header.record_bytes();
        self.place = Some((reader, segment, at));
        Ok(payload)
    }

    /// Opens a segment at the record of `height`.
    fn seek(&self, segment: &Segment, height: Height) -> Result<(Reader, u64), LogError> {
        let file = self.log.folder.open(&segment.name(), Access::Read)?;
        let mut reader = Reader::new(file)?;
        let (mut at_height, mut at) = segment.nearest(height);
        while at_height < height {
            let header = reader.header(at)?.filter(|header| header.height == at_height);
            let header = header.ok_or_else(|| damage(at_height, &reader.file, at))?;
            at += header.record_bytes();
            at_height = at_height.next();
        }
        Ok((reader, at))
    }
}
