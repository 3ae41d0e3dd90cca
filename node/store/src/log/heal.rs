//! Mending a damaged log with the help of peers.

use goodwatt_chain::units::Height;

use super::open::{read_footer, segment_firsts, walk};
use super::record::{self, HEADER_BYTES, Reader};
use super::segment::{self, Segment};
use super::{BlockLog, Damage, LogError, PAYLOAD_BYTES_MAX, damage};
use crate::disk::{Access, DiskError, Folder, NamedFile};

impl BlockLog {
    /// Puts `payloads` in place of the damaged blocks from `from` on; the log must not be open.
    ///
    /// The whole segment is written anew beside the old one and then takes its name, so a power
    /// cut leaves the one or the other. Other damaged blocks of the segment stay as they are.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when the log has no segment with these heights, or there is more damage
    /// in it, beside which blocks would be lost.
    pub fn heal(folder: &Folder, from: Height, payloads: &[Vec<u8>]) -> Result<(), LogError> {
        let sizes = payloads.iter().map(Vec::len);
        if let Some(bytes) = sizes.max().filter(|bytes| *bytes > PAYLOAD_BYTES_MAX) {
            return Err(LogError::TooLarge { bytes });
        }
        let first = segment_with(folder, from)?;
        let name = segment::name(first);
        let mut old = Reader::new(folder.open(&name, Access::Read)?)?;
        let is_last = segment_firsts(folder)?.last() == Some(&first);
        let footer = read_footer(&mut old, first)?;
        folder.replace(&name, |file| {
            let segment = copy_with(&mut old, file, first, from, payloads)?;
            if footer.as_ref().is_some_and(|footer| footer.count != segment.count) {
                return Err(damage(segment.next(), &old.file, u64::from(segment.end)).into());
            }
            let is_closed = !is_last || footer.is_some();
            let footer = if is_closed { segment.footer() } else { Vec::new() };
            Ok::<(), LogError>(file.write_at(u64::from(segment.end), &footer)?)
        })
    }

    /// The same for a log that is open.
    ///
    /// # Errors
    /// As [`Self::heal`]; then the log is as it was.
    pub fn heal_open(&mut self, from: Height, payloads: &[Vec<u8>]) -> Result<(), LogError> {
        Self::heal(&self.folder, from, payloads)?;
        *self = Self::open_sized(self.folder.clone(), self.sizes)?.0;
        Ok(())
    }

    /// The first whole record behind damage, with its height; `None` where the log ends before.
    ///
    /// # Errors
    /// [`DiskError`] when the disk fails.
    pub fn behind(
        folder: &Folder,
        damage: &Damage,
    ) -> Result<Option<(Height, Vec<u8>)>, DiskError> {
        let wanted = damage.height.next();
        for first in segment_firsts(folder)? {
            let name = segment::name(first);
            if name < damage.file {
                continue;
            }
            let mut reader = Reader::new(folder.open(&name, Access::Read)?)?;
            let from = if name == damage.file { damage.offset } else { 0 };
            if let Some((at, header)) = reader.find_record(from, wanted)? {
                let payload = reader.payload(at, header)?.map(<[u8]>::to_vec);
                return Ok(payload.map(|payload| (header.height, payload)));
            }
        }
        Ok(None)
    }

    /// Where its files are.
    #[must_use]
    pub const fn folder(&self) -> &Folder {
        &self.folder
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

/// Copies a segment, taking `new` as the records from `from` on.
fn copy_with(
    old: &mut Reader,
    file: &mut NamedFile,
    first: Height,
    from: Height,
    new: &[Vec<u8>],
) -> Result<Segment, LogError> {
    file.write_at(0, &segment::header(first))?;
    let mut segment = Segment::new(first);
    let mut at = u64::from(segment.end);
    loop {
        let next = segment.next();
        let end = record_end(old, at, next)?;
        let replaced = next.since(from).and_then(|ahead| new.get(ahead.get() as usize));
        match (replaced, end) {
            (Some(payload), _) => {
                let record = record::encode(next, payload);
                file.write_at(u64::from(segment.end), &record)?;
                segment.push(record.len() as u32);
            }
            (None, Some(end)) => {
                let bytes = old.bytes(at, (end - at) as usize)?.unwrap_or_default();
                file.write_at(u64::from(segment.end), bytes)?;
                segment.push(bytes.len() as u32);
            }
            // Nothing may be left behind, unless it is what a power cut tears.
            (None, None) => {
                return match old.find_record(at, next)? {
                    None => Ok(segment),
                    Some(_) => Err(damage(next, &old.file, at).into()),
                };
            }
        }
        // Where it is not known the next whole record is looked for from here on.
        at = end.unwrap_or(at);
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
