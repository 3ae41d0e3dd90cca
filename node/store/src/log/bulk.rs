//! Appending many blocks with one sync, and what a crash may leave of them.

use goodwatt_chain::units::Height;

use super::{BlockLog, LogError};
use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder};

/// Says from which height on a crash may have left holes.
const FILE: &str = "bulk";

impl BlockLog {
    /// Appends blocks that peers have as well, with one sync for all of them; they are durable when
    /// this returns `Ok`. After an error [`Self::tip`] tells how many are there.
    ///
    /// A crash in the middle may leave any of them without those before it. So that this is not
    /// taken for damage, a mark on the card says from which height on the log ends with the first
    /// record that is not whole. The next [`Self::append`] takes the mark away.
    ///
    /// # Errors
    /// [`LogError::NotNext`] unless `first` follows the tip; an empty log takes any.
    pub fn append_all(&mut self, first: Height, payloads: &[Vec<u8>]) -> Result<(), LogError> {
        self.check_next(first, payloads)?;
        if self.bulk.is_none() && payloads.len() > 1 {
            write_mark(&self.folder, first)?;
            self.bulk = Some(first);
        }
        Ok(self.write_all(first, payloads)?)
    }

    /// Takes the mark away: everything in the log is durable.
    pub(super) fn end_bulk(&mut self) -> Result<(), DiskError> {
        if self.bulk.is_some() {
            self.folder.remove_existing(FILE)?;
            self.folder.sync()?;
            self.bulk = None;
        }
        Ok(())
    }
}

fn write_mark(folder: &Folder, from: Height) -> Result<(), DiskError> {
    let height = from.get().to_le_bytes();
    let mark = [height.as_slice(), &crc32(&[&height]).to_le_bytes()].concat();
    folder.replace(FILE, |file| file.write_at(0, &mark))
}

/// From which height on a crash may have left holes. A mark that cannot be read is none: then
/// what looks like damage is told as such.
pub(super) fn read_mark(folder: &Folder) -> Result<Option<Height>, DiskError> {
    let Some(file) = folder.open_existing(FILE, Access::Read)? else { return Ok(None) };
    let mark = file.read(0, 12)?;
    let Some((height, crc)) = mark.split_first_chunk::<8>() else { return Ok(None) };
    let whole = crc32(&[height]).to_le_bytes() == crc;
    Ok(whole.then(|| Height::new(u64::from_le_bytes(*height))))
}
