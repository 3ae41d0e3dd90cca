//! A small file that is replaced as a whole: the saved pool of transactions, known peers.

use crate::checksum::crc32;
use crate::disk::{Access, DiskError, Folder};

const MAGIC: [u8; 4] = *b"GWAF";
/// Magic and CRC of the content.
const HEADER_BYTES: usize = 8;
/// Largest content. The pool of transactions is bounded far below; this bounds what reading
/// allocates.
const CONTENT_BYTES_MAX: usize = 64 << 20;

/// A file that holds either the old or the new content, never a mixture.
///
/// Content is `GWAF`, its CRC-32 (4 bytes, little-endian), and what was given. For content that
/// may be lost: a damaged file is reported, and the caller goes on without it.
#[derive(Clone, Debug)]
pub struct AtomicFile {
    folder: Folder,
    name: String,
}

/// Why the content could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtomicFileError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The content is not what was written. Nothing that cannot be got again was in it.
    #[error("{file} is damaged: it is ignored, and replaced when next written")]
    Damaged {
        /// The file.
        file: String,
    },
    /// More than the file may hold: a mistake of the caller.
    #[error("{file} holds at most {max} bytes, not {bytes}", max = CONTENT_BYTES_MAX)]
    TooLarge {
        /// The file.
        file: String,
        /// What it was given.
        bytes: usize,
    },
}

impl AtomicFile {
    /// The file called `name` in `folder`; nothing is opened or made.
    #[must_use]
    pub fn new(folder: Folder, name: &str) -> Self {
        Self { folder, name: name.to_owned() }
    }

    /// Replaces the content; durable when this returns `Ok`. After an error the old content is
    /// still there.
    ///
    /// # Errors
    /// [`AtomicFileError::Disk`] when it cannot be written.
    pub fn write(&self, content: &[u8]) -> Result<(), AtomicFileError> {
        if content.len() > CONTENT_BYTES_MAX {
            return Err(AtomicFileError::TooLarge {
                file: self.name.clone(),
                bytes: content.len(),
            });
        }
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..].copy_from_slice(&crc32(&[content]).to_le_bytes());
        self.folder.replace(&self.name, |file| {
            file.write_at(0, &header)?;
            file.write_at(HEADER_BYTES as u64, content)
        })?;
        Ok(())
    }

    /// The content, or `None` where nothing was ever written.
    ///
    /// # Errors
    /// [`AtomicFileError::Damaged`] when it is not what was written.
    pub fn read(&self) -> Result<Option<Vec<u8>>, AtomicFileError> {
        let Some(file) = self.folder.open_existing(&self.name, Access::Read)? else {
            return Ok(None);
        };
        let damaged = || AtomicFileError::Damaged { file: self.name.clone() };
        let size = usize::try_from(file.size()?).map_err(|_| damaged())?;
        if size > CONTENT_BYTES_MAX + HEADER_BYTES {
            return Err(damaged());
        }
        let bytes = file.read(0, size)?;
        let (header, content) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
        let whole = header[..4] == MAGIC && header[4..] == crc32(&[content]).to_le_bytes();
        if whole { Ok(Some(content.to_vec())) } else { Err(damaged()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::FaultyDisk;

    #[test]
    fn there_is_the_old_or_the_new_content_after_any_crash() {
        for crash_after in 0..8 {
            for seed in 0..40 {
                let disk = FaultyDisk::new(seed);
                let file = AtomicFile::new(disk.folder(), "pool");
                assert_eq!(file.read().expect("nothing there"), None);
                file.write(b"old").expect("written");
                disk.crash_after(crash_after);
                let written = file.write(b"new").is_ok();
                disk.restart();
                let content = file.read().expect("never damaged").expect("never gone");
                assert!(content == b"new" || (content == b"old" && !written));
                file.write(b"newer").expect("written");
                assert_eq!(file.read().expect("sound").as_deref(), Some(&b"newer"[..]));
            }
        }
    }

    #[test]
    fn a_full_disk_keeps_the_old_content() {
        let disk = FaultyDisk::new(1);
        let file = AtomicFile::new(disk.folder(), "pool");
        file.write(b"old").expect("written");
        for free in 0..20 {
            disk.set_free(Some(free));
            let written = file.write(b"some longer content");
            let full = matches!(written, Err(AtomicFileError::Disk(DiskError::Full { .. })));
            assert!(full, "{free}");
            assert_eq!(file.read().expect("sound").as_deref(), Some(&b"old"[..]));
        }
        assert_eq!(disk.folder().names().expect("names"), ["pool"]);
    }

    #[test]
    fn every_flipped_byte_is_seen() {
        let disk = FaultyDisk::new(1);
        let file = AtomicFile::new(disk.folder(), "pool");
        file.write(b"content").expect("written");
        for at in 0..HEADER_BYTES + 7 {
            disk.flip("pool", at, 2);
            assert!(matches!(file.read(), Err(AtomicFileError::Damaged { .. })), "byte {at}");
            disk.flip("pool", at, 2);
        }
    }
}
