//! What is known of one segment: where its records lie.

use goodwatt_chain::units::{Height, HeightDelta};

use super::record::u32_at;
use crate::checksum::crc32;

/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 16;
/// Bytes of a footer behind its marks: count, CRC, magic.
pub(super) const TRAILER_BYTES: usize = 12;
const MAGIC: [u8; 4] = *b"GWSG";
const FOOTER_MAGIC: [u8; 4] = *b"GWFT";
const SUFFIX: &str = ".blocks";

/// Of how many records one offset is remembered: 10,000 blocks cost 2.5 kB, and finding a block
/// reads at most this many headers.
pub(super) const STRIDE: u32 = 16;

/// One segment file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Segment {
    pub(super) first: Height,
    pub(super) count: u32,
    /// Offset behind the last record.
    pub(super) end: u32,
    /// Offset of every [`STRIDE`]th record.
    marks: Vec<u32>,
}

impl Segment {
    pub(super) const fn new(first: Height) -> Self {
        Self { first, count: 0, end: HEADER_BYTES as u32, marks: Vec::new() }
    }

    /// Its file name.
    pub(super) fn name(&self) -> String {
        name(self.first)
    }

    /// Its last height; for an empty one the height before its first.
    pub(super) const fn last(&self) -> Height {
        Height::new((self.first.get() + self.count as u64).saturating_sub(1))
    }

    /// The height the next record would have.
    pub(super) const fn next(&self) -> Height {
        Height::new(self.first.get() + self.count as u64)
    }

    /// Takes note of one more record at the end.
    pub(super) fn push(&mut self, record_bytes: u32) {
        if self.count.is_multiple_of(STRIDE) {
            self.marks.push(self.end);
        }
        self.count += 1;
        self.end += record_bytes;
    }

    /// Forgets the last record, which begins at `at`; does nothing in an empty segment.
    pub(super) fn pop(&mut self, at: u32) {
        let Some(count) = self.count.checked_sub(1) else { return };
        self.count = count;
        self.end = at;
        if count.is_multiple_of(STRIDE) {
            self.marks.pop();
        }
    }

    /// The nearest known record at or before `height`, which is in this segment.
    pub(super) fn nearest(&self, height: Height) -> (Height, u64) {
        let ahead = height.since(self.first).map_or(0, HeightDelta::get) / u64::from(STRIDE);
        let mark = self.marks.get(ahead as usize).copied().unwrap_or(HEADER_BYTES as u32);
        (Height::new(self.first.get() + ahead * u64::from(STRIDE)), u64::from(mark))
    }

    /// What closes the segment.
    pub(super) fn footer(&self) -> Vec<u8> {
        let mut footer: Vec<u8> = self.marks.iter().copied().flat_map(u32::to_le_bytes).collect();
        footer.extend_from_slice(&self.count.to_le_bytes());
        let crc = crc32(&[&footer]);
        footer.extend_from_slice(&crc.to_le_bytes());
        footer.extend_from_slice(&FOOTER_MAGIC);
        footer
    }

    /// How long the footer is when the file ends with this trailer.
    pub(super) fn footer_bytes(trailer: &[u8]) -> Option<usize> {
        let count = u32_at(trailer, 0);
        let is_one = trailer.len() == TRAILER_BYTES && trailer[8..] == FOOTER_MAGIC && count > 0;
        is_one.then(|| count.div_ceil(STRIDE) as usize * 4 + TRAILER_BYTES)
    }

    /// Reads the footer that begins at `end`.
    pub(super) fn from_footer(first: Height, end: u32, footer: &[u8]) -> Option<Self> {
        let marks_bytes = footer.len().checked_sub(TRAILER_BYTES)?;
        let (marks, trailer) = footer.split_at(marks_bytes);
        let whole = Self::footer_bytes(trailer) == Some(footer.len())
            && crc32(&[marks, &trailer[..4]]) == u32_at(trailer, 4);
        let marks = marks.chunks_exact(4).map(|mark| u32_at(mark, 0)).collect();
        whole.then(|| Self { first, count: u32_at(trailer, 0), end, marks })
    }
}

/// The file name of the segment that begins with `first`.
pub(super) fn name(first: Height) -> String {
    format!("{:020}{SUFFIX}", first.get())
}

/// The first height by file name, or `None` for other files.
pub(super) fn first_of(name: &str) -> Option<Height> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Height::new)
}

/// What a segment begins with.
pub(super) fn header(first: Height) -> [u8; HEADER_BYTES] {
    let first = first.get().to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&crc32(&[&first]).to_le_bytes());
    header[8..].copy_from_slice(&first);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_is_read_back_and_any_change_is_seen() {
        let mut segment = Segment::new(Height::new(5));
        (0..40).for_each(|n| segment.push(100 + n));
        let footer = segment.footer();
        assert_eq!(
            Segment::footer_bytes(&footer[footer.len() - TRAILER_BYTES..]),
            Some(footer.len())
        );
        let read = |footer: &[u8]| Segment::from_footer(segment.first, segment.end, footer);
        assert_eq!(read(&footer).as_ref(), Some(&segment));
        for at in 0..footer.len() {
            let mut bad = footer.clone();
            bad[at] ^= 1;
            assert_eq!(read(&bad), None, "byte {at}");
        }
    }

    #[test]
    fn names_sort_as_heights_do() {
        let names = [9, 10, u64::MAX].map(|height| name(Height::new(height)));
        assert!(names.is_sorted());
        assert_eq!(first_of(&names[2]), Some(Height::new(u64::MAX)));
        assert_eq!(first_of("12.blocks"), None);
        assert_eq!(first_of(&format!("{}.new", names[0])), None);
    }
}
