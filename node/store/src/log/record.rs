//! One record: a header and the payload of one block.

use goodwatt_chain::units::Height;

use super::PAYLOAD_BYTES_MAX;
use crate::checksum::crc32;
use crate::disk::{DiskError, NamedFile};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 24;
/// Bytes of the header under its own CRC.
pub(super) const CHECKED_BYTES: usize = 20;
const MAGIC: [u8; 4] = *b"GWRC";
/// How much a reader takes from the file at once. Sequential reading of a card is several times
/// faster in pieces of this size than page by page.
const READ_BYTES: usize = 64 << 10;

/// What stands before the payload of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RecordHeader {
    pub(super) payload_bytes: u32,
    pub(super) height: Height,
    pub(super) payload_crc: u32,
}

/// A whole record.
pub(super) fn encode(height: Height, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER_BYTES + payload.len());
    record.extend_from_slice(&MAGIC);
    // The caller holds `PAYLOAD_BYTES_MAX`, which fits.
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(&height.get().to_le_bytes());
    record.extend_from_slice(&crc32(&[payload]).to_le_bytes());
    let crc = crc32(&[&record]);
    record.extend_from_slice(&crc.to_le_bytes());
    record.extend_from_slice(payload);
    record
}

/// The height of a whole record.
pub(super) fn height_of(record: &[u8]) -> Option<Height> {
    record.first_chunk().and_then(RecordHeader::decode).map(|header| header.height)
}

impl RecordHeader {
    /// Reads a header, or `None` where there is none or a broken one.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let header = Self {
            payload_bytes: u32_at(bytes, 4),
            height: Height::new(u64::from(u32_at(bytes, 8)) | u64::from(u32_at(bytes, 12)) << 32),
            payload_crc: u32_at(bytes, 16),
        };
        let whole = bytes[..4] == MAGIC
            && crc32(&[&bytes[..CHECKED_BYTES]]) == u32_at(bytes, CHECKED_BYTES)
            && header.payload_bytes as usize <= PAYLOAD_BYTES_MAX;
        whole.then_some(header)
    }

    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }
}

/// The number at `at`, or zero behind the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let number = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    number.map_or(0, u32::from_le_bytes)
}

/// Reads a segment from front to back through one buffer.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: NamedFile,
    pub(super) size: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Reader {
    pub(super) fn new(file: NamedFile) -> Result<Self, DiskError> {
        let size = file.size()?;
        Ok(Self { file, size, buffer: Vec::new(), buffer_at: 0 })
    }

    /// `len` bytes at `offset`, or `None` where the file is shorter.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>, DiskError> {
        if offset.saturating_add(len as u64) > self.size {
            return Ok(None);
        }
        let buffered = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if offset < buffered.start || offset + len as u64 > buffered.end {
            self.fill(offset, len.max(READ_BYTES))?;
        }
        let from = (offset - self.buffer_at) as usize;
        Ok(self.buffer.get(from..from + len))
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<(), DiskError> {
        // Taken out first: a failed read must not leave old content under the new offset.
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(len, 0);
        let got = self.file.read_at(offset, &mut buffer)?;
        buffer.truncate(got);
        (self.buffer, self.buffer_at) = (buffer, offset);
        Ok(())
    }

    /// The header at `offset`, or `None` where there is no whole one.
    pub(super) fn header(&mut self, offset: u64) -> Result<Option<RecordHeader>, DiskError> {
        let bytes = self.bytes(offset, HEADER_BYTES)?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).and_then(RecordHeader::decode))
    }

    /// The payload of the record at `offset`, or `None` where it is not whole.
    pub(super) fn payload(
        &mut self,
        offset: u64,
        header: RecordHeader,
    ) -> Result<Option<&[u8]>, DiskError> {
        let payload = self.bytes(offset + HEADER_BYTES as u64, header.payload_bytes as usize)?;
        Ok(payload.filter(|payload| crc32(&[payload]) == header.payload_crc))
    }

    /// The first whole record of `height` or above at or behind `from`.
    pub(super) fn find_record(
        &mut self,
        from: u64,
        height: Height,
    ) -> Result<Option<(u64, RecordHeader)>, DiskError> {
        let mut at = from;
        while let Some(offset) = self.find_magic(at)? {
            if let Some(header) = self.header(offset)?
                && header.height >= height
                && self.payload(offset, header)?.is_some()
            {
                return Ok(Some((offset, header)));
            }
            at = offset + 1;
        }
        Ok(None)
    }

    /// The first place at or behind `from` where a header may begin.
    fn find_magic(&mut self, from: u64) -> Result<Option<u64>, DiskError> {
        let mut at = from;
        while at < self.size {
            let len = ((self.size - at) as usize).min(READ_BYTES);
            let bytes = self.bytes(at, len)?.unwrap_or_default();
            if let Some(found) = bytes.windows(MAGIC.len()).position(|part| part == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            // A magic may lie across two pieces.
            at += (len as u64).saturating_sub(MAGIC.len() as u64 - 1).max(1);
        }
        Ok(None)
    }

    /// Where the bytes from `from` on that are not zero begin and end.
    pub(super) fn non_zero(&mut self, from: u64) -> Result<Option<(u64, u64)>, DiskError> {
        let mut found: Option<(u64, u64)> = None;
        let mut at = from;
        while at < self.size {
            let len = ((self.size - at) as usize).min(READ_BYTES);
            let bytes = self.bytes(at, len)?.unwrap_or_default();
            if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(first);
                let begin = found.map_or(at + first as u64, |(begin, _)| begin);
                found = Some((begin, at + last as u64 + 1));
            }
            at += len as u64;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_any_change_is_seen() {
        let record = encode(Height::new(u64::MAX - 3), b"payload");
        let header: [u8; HEADER_BYTES] = record[..HEADER_BYTES].try_into().expect("long enough");
        let read = RecordHeader::decode(&header).expect("whole");
        assert_eq!((read.height.get(), read.record_bytes()), (u64::MAX - 3, 31));
        for at in 0..HEADER_BYTES {
            let mut bad = header;
            bad[at] ^= 0x10;
            assert_eq!(RecordHeader::decode(&bad), None, "byte {at}");
        }
    }
}
