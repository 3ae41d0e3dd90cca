//! Opening a log: which segments there are, and where the last one ends.

use goodwatt_chain::units::Height;

use super::bulk::read_mark;
use super::record::Reader;
use super::segment::{self, HEADER_BYTES, Segment, TRAILER_BYTES};
use super::{Active, BlockLog, LogError, Sizes, damage};
use crate::disk::{Access, DiskError, Folder};

/// What was found when opening a log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenReport {
    /// The height of the last block.
    pub tip: Option<Height>,
    /// Bytes of an unfinished record that were cut off; zero after a clean stop.
    pub torn_bytes: u64,
}

impl BlockLog {
    pub(super) fn open_sized(folder: Folder, sizes: Sizes) -> Result<(Self, OpenReport), LogError> {
        let mut firsts = segment_firsts(&folder)?;
        let last = firsts.pop();
        let mut segments = Vec::with_capacity(firsts.len() + 1);
        for (at, first) in firsts.iter().enumerate() {
            let next = firsts.get(at + 1).copied().or(last);
            segments.push(load_closed(&folder, *first, next)?);
        }
        let bulk = read_mark(&folder)?;
        let mut log = Self { folder, sizes, segments, active: None, bulk };
        let torn_bytes = last.map_or(Ok(0), |first| log.load_last(first))?;
        log.end_bulk()?;
        let report = OpenReport { tip: log.tip(), torn_bytes };
        Ok((log, report))
    }

    /// Takes in the last segment, which may have no footer and a torn record.
    fn load_last(&mut self, first: Height) -> Result<u64, LogError> {
        let mut reader = Reader::new(self.folder.open(&segment::name(first), Access::Write)?)?;
        if let Some(closed) = read_footer(&mut reader, first)? {
            self.segments.push(closed);
            return Ok(0);
        }
        let (mut segment, last_at) = walk_whole(&mut reader, first, self.bulk)?;
        if !is_whole(&mut reader, last_at)? {
            // The power went in its write.
            segment.pop(last_at);
        }
        let torn_bytes = torn_bytes(&mut reader, &segment, self.bulk)?;
        let has_header = reader.bytes(0, HEADER_BYTES)? == Some(&segment::header(first));
        let Reader { file, size: filled, .. } = reader;
        if segment.count == 0 {
            // The power went while the segment was made: the next append makes it again.
            self.folder.remove(&segment.name())?;
            self.folder.sync()?;
            return Ok(torn_bytes);
        }
        let mut active = Active { filled, leftover: torn_bytes > 0, file };
        active.cut_leftover(&segment)?;
        if !has_header {
            // Its write may be lost while that of the first record was not.
            active.file.write_at(0, &segment::header(first))?;
        }
        active.file.sync()?;
        self.segments.push(segment);
        self.active = Some(active);
        Ok(torn_bytes)
    }
}

/// The first heights of all segments, in order.
pub(super) fn segment_firsts(folder: &Folder) -> Result<Vec<Height>, DiskError> {
    Ok(folder.names()?.iter().filter_map(|name| segment::first_of(name)).collect())
}

/// A segment that others follow: by its footer, or by walking it where that is damaged.
fn load_closed(folder: &Folder, first: Height, next: Option<Height>) -> Result<Segment, LogError> {
    let mut reader = Reader::new(folder.open(&segment::name(first), Access::Read)?)?;
    let segment = match read_footer(&mut reader, first)? {
        Some(segment) => segment,
        None => walk(&mut reader, first)?.0,
    };
    if next.is_some_and(|next| next != segment.next()) {
        return Err(damage(segment.next(), &reader.file, u64::from(segment.end)).into());
    }
    Ok(segment)
}

/// The segment by its footer, or `None` without a whole one.
pub(super) fn read_footer(
    reader: &mut Reader,
    first: Height,
) -> Result<Option<Segment>, DiskError> {
    let Some(trailer_at) = reader.size.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let trailer = reader.bytes(trailer_at, TRAILER_BYTES)?.unwrap_or_default();
    let Some(len) = Segment::footer_bytes(trailer) else { return Ok(None) };
    let Some(end) = reader.size.checked_sub(len as u64) else { return Ok(None) };
    let footer = reader.bytes(end, len)?.unwrap_or_default();
    let end = u32::try_from(end).ok();
    Ok(end.and_then(|end| Segment::from_footer(first, end, footer)))
}

/// Follows the headers from the first record to the last one that fits, and tells where that
/// begins.
pub(super) fn walk(reader: &mut Reader, first: Height) -> Result<(Segment, u32), DiskError> {
    walk_whole(reader, first, None)
}

/// The same, but ends before the first record from `bulk` on that is not whole.
fn walk_whole(
    reader: &mut Reader,
    first: Height,
    bulk: Option<Height>,
) -> Result<(Segment, u32), DiskError> {
    let mut segment = Segment::new(first);
    let mut last_at = segment.end;
    loop {
        let at = u64::from(segment.end);
        let Some(header) = reader.header(at)? else { return Ok((segment, last_at)) };
        if header.height != segment.next() || at + header.record_bytes() > reader.size {
            return Ok((segment, last_at));
        }
        let may_be_torn = bulk.is_some_and(|bulk| header.height >= bulk);
        if may_be_torn && reader.payload(at, header)?.is_none() {
            return Ok((segment, last_at));
        }
        last_at = segment.end;
        // A record is at most `PAYLOAD_BYTES_MAX` and a header long, which fits.
        segment.push(header.record_bytes() as u32);
    }
}

/// Whether the record at `at` has the payload its header promises.
fn is_whole(reader: &mut Reader, at: u32) -> Result<bool, DiskError> {
    let Some(header) = reader.header(u64::from(at))? else { return Ok(false) };
    Ok(reader.payload(u64::from(at), header)?.is_some())
}

/// How many bytes lie behind the last record that are no zeros; refuses when there is a whole
/// record among them, because then it is not the end that is bad.
fn torn_bytes(
    reader: &mut Reader,
    segment: &Segment,
    bulk: Option<Height>,
) -> Result<u64, LogError> {
    let end = u64::from(segment.end);
    let Some((from, to)) = reader.non_zero(end)? else { return Ok(0) };
    if bulk.is_some_and(|bulk| segment.next() >= bulk) {
        return Ok(to - end);
    }
    // A bad record's own payload may hold anything, also what looks like a record.
    let behind = reader.header(end)?.map_or(from, |header| end + header.record_bytes());
    if reader.find_record(behind, segment.next())?.is_some() {
        return Err(damage(segment.next(), &reader.file, end).into());
    }
    Ok(to - end)
}
