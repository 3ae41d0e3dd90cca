//! Mending a damaged log with the help of peers.

use goodwatt_chain::units::Height;

use super::open::{read_footer, segment_firsts, walk};
use super::record::{self, HEADER_BYTES, Reader};
use super::segment::{self, Segment};
use super::{BlockLog, Damage, LogError, PAYLOAD_BYTES_MAX, damage};
use crate::disk::{Access, DiskError, Folder, NamedFile};

impl BlockLog {
    /// Puts `payload` in place of the damaged block of `height`; the log must not be open.
    ///
    /// The whole segment is written anew beside the old one and then takes its name, so a power
    /// cut leaves the one or the other. Other damaged blocks of the segment stay as they are.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when the log has no segment with that height.
    pub fn heal(folder: &Folder, height: Height, payload: &[u8]) -> Result<(), LogError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(LogError::TooLarge { bytes: payload.len() });
        }
        let first = segment_with(folder, height)?;
        let name = segment::name(first);
        let mut old = Reader::new(folder.open(&name, Access::Read)?)?;
        let is_last = segment_firsts(folder)?.last() == Some(&first);
        let is_closed = !is_last || read_footer(&mut old, first)?.is_some();
        let new = record::encode(height, payload);
        folder.replace(&name, |file| {
            let segment = copy_with(&mut old, file, first, height, &new)?;
            let footer = if is_closed { segment.footer() } else { Vec::new() };
            file.write_at(u64::from(segment.end), &footer)
        })?;
        Ok(())
    }

    /// Removes the blocks from `height` on, damaged or not; the log must not be open.
    ///
    /// What is removed has to be fetched from peers again.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a block below `height` in the same segment is damaged too.
    pub fn cut_from(folder: &Folder, height: Height) -> Result<(), LogError> {
        for first in segment_firsts(folder)?.into_iter().rev() {
            let name = segment::name(first);
            if first >= height {
                folder.remove(&name)?;
                // From the last one on, each made durable: a gap must not be left by a power cut.
                folder.sync()?;
                continue;
            }
            let mut reader = Reader::new(folder.open(&name, Access::Write)?)?;
            let Some(end) = end_below(&mut reader, first, height)? else { break };
            reader.file.set_size(end)?;
            reader.file.sync()?;
            break;
        }
        Ok(())
    }
}

/// The first height of the segment in which `height` lies.
fn segment_with(folder: &Folder, height: Height) -> Result<Height, LogError> {
    let firsts = segment_firsts(folder)?;
    let found = firsts.into_iter().rfind(|first| *first <= height);
    found.ok_or_else(|| Damage { height, file: segment::name(height), offset: 0 }.into())
}

/// Copies a segment, taking `new` as the record of `height`.
fn copy_with(
    old: &mut Reader,
    file: &mut NamedFile,
    first: Height,
    height: Height,
    new: &[u8],
) -> Result<Segment, DiskError> {
    file.write_at(0, &segment::header(first))?;
    let mut segment = Segment::new(first);
    let mut at = u64::from(segment.end);
    loop {
        let next = segment.next();
        let end = record_end(old, at, next)?;
        if next == height {
            file.write_at(u64::from(segment.end), new)?;
            segment.push(new.len() as u32);
        } else {
            let Some(end) = end else { return Ok(segment) };
            let bytes = old.bytes(at, (end - at) as usize)?.unwrap_or_default();
            file.write_at(u64::from(segment.end), bytes)?;
            segment.push(bytes.len() as u32);
        }
        let Some(end) = end else { return Ok(segment) };
        at = end;
    }
}

/// Where the record of `height` at `at` ends: as its header says, or where the next one begins.
fn record_end(old: &mut Reader, at: u64, height: Height) -> Result<Option<u64>, DiskError> {
    if let Some(header) = old.header(at)?.filter(|header| header.height == height) {
        let end = at + header.record_bytes();
        return Ok((end <= old.size).then_some(end));
    }
    let behind = old.find_record(at, height.next())?;
    Ok(behind.filter(|(_, header)| header.height == height.next()).map(|(next_at, _)| next_at))
}

/// Where the records below `height` end, or `None` when the segment has none at or above it.
fn end_below(reader: &mut Reader, first: Height, height: Height) -> Result<Option<u64>, LogError> {
    let (segment, _) = walk(reader, first)?;
    let mut at = segment::HEADER_BYTES as u64;
    let mut next = first;
    while next < height {
        if next == segment.next() {
            let torn = reader.non_zero(at)?.is_some() && read_footer(reader, first)?.is_none();
            return if torn { Err(damage(next, &reader.file, at).into()) } else { Ok(None) };
        }
        let header = reader.header(at)?;
        at += header.map_or(HEADER_BYTES as u64, |header| header.record_bytes());
        next = next.next();
    }
    Ok(Some(at))
}
