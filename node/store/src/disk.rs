//! The one door to the card: a small trait for the files of one folder, and errors that name
//! their remedy.
//!
//! Everything in this crate but sled goes through [`Disk`], so that a test can put a disk behind
//! it that loses, tears and refuses writes (`faulty`).

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

mod lock;
mod real;

pub use lock::{DataDirLock, LockError};
pub use real::RealDisk;

/// Size of the pieces in which zeros are written, and of a page of memory on most boards.
///
/// Larger pieces make larger folios in the page cache, and each later write of one record then
/// counts (in `/proc/self/io`) as a write of the whole folio.
pub(crate) const PAGE: usize = 4096;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// It has to exist, and is only read.
    Read,
    /// It is read and written, and made when missing.
    Write,
    /// It is read and written, and must not exist yet.
    CreateNew,
}

/// The files of one folder.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens one file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of what had that name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// What the system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes new, changed and removed names durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self) -> io::Result<()>;
}

/// One open file. Writes are durable after [`Self::sync_data`], not before.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`. After an error any part of them may have been written.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_size(&mut self, size: u64) -> io::Result<()>;

    /// Makes the content and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// What the system says.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// What was tried on a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Open or make it.
    Open,
    /// Read it.
    Read,
    /// Write or cut it.
    Write,
    /// Wait until it is durable.
    Sync,
    /// Rename it.
    Rename,
    /// Remove it.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
        })
    }
}

/// The disk failed: ours, never a peer's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// No space, or the quota is used up. Nothing was lost; the same call may be tried again.
    #[error("no space left for {file}: free some on the data partition, then try again")]
    Full {
        /// The file.
        file: String,
    },
    /// The file system takes no writes.
    #[error(
        "{file} lies on a read-only disk: remount the data partition writable; a card that \
         turned read-only by itself is worn out and has to be replaced"
    )]
    ReadOnly {
        /// The file.
        file: String,
    },
    /// The user of this process may not do that.
    #[error("no permission for {file}: the data folder has to belong to the user of goodwattd")]
    Denied {
        /// The file.
        file: String,
    },
    /// The file is not there.
    #[error("{file} is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// Anything else the system reports.
    #[error("cannot {action} {file}: {source}; see the kernel log for errors of the card")]
    Failed {
        /// The file.
        file: String,
        /// What was tried.
        action: Action,
        /// What the system says.
        source: io::Error,
    },
}

impl DiskError {
    /// Sorts what the system says by its remedy.
    pub(crate) fn new(file: &str, action: Action, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { file },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { file },
            io::ErrorKind::PermissionDenied => Self::Denied { file },
            io::ErrorKind::NotFound => Self::Missing { file },
            _ => Self::Failed { file, action, source },
        }
    }
}

/// A folder on some disk.
#[derive(Clone, Debug)]
pub struct Folder(Arc<dyn Disk>);

impl Folder {
    /// The folder behind `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self(disk)
    }

    /// The folder at `path`, made when missing.
    ///
    /// # Errors
    /// [`DiskError`] when it is missing and cannot be made.
    pub fn at(path: &Path) -> Result<Self, DiskError> {
        RealDisk::create(path)
            .map(|disk| Self(Arc::new(disk)))
            .map_err(|e| DiskError::new(&path.display().to_string(), Action::Open, e))
    }

    /// Opens one file.
    pub(crate) fn open(&self, name: &str, access: Access) -> Result<NamedFile, DiskError> {
        let file = self.0.open(name, access).map_err(|e| DiskError::new(name, Action::Open, e))?;
        Ok(NamedFile { name: name.into(), file })
    }

    /// Opens one file, or `None` when it is missing.
    pub(crate) fn open_existing(
        &self,
        name: &str,
        access: Access,
    ) -> Result<Option<NamedFile>, DiskError> {
        // `Write` would make a missing file, so a missing one is looked for by reading.
        match self.open(name, Access::Read) {
            Err(DiskError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(file) if access == Access::Read => Ok(Some(file)),
            Ok(_) => self.open(name, access).map(Some),
        }
    }

    /// Gives a file another name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.0.rename(from, to).map_err(|e| DiskError::new(from, Action::Rename, e))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.0.remove(name).map_err(|e| DiskError::new(name, Action::Remove, e))
    }

    /// Removes a file that may be missing.
    pub(crate) fn remove_existing(&self, name: &str) -> Result<(), DiskError> {
        match self.remove(name) {
            Err(DiskError::Missing { .. }) => Ok(()),
            other => other,
        }
    }

    /// The names of all files, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, DiskError> {
        self.0.names().map_err(|e| DiskError::new("the folder", Action::Read, e))
    }

    /// Makes names durable.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.0.sync_folder().map_err(|e| DiskError::new("the folder", Action::Sync, e))
    }

    /// Puts a whole file in place of another one: after a crash there is the old or the new one.
    pub(crate) fn replace<E: From<DiskError>>(
        &self,
        name: &str,
        write: impl FnOnce(&mut NamedFile) -> Result<(), E>,
    ) -> Result<(), E> {
        let fresh = format!("{name}.new");
        self.remove_existing(&fresh)?;
        let mut file = self.open(&fresh, Access::CreateNew)?;
        if let Err(error) = write(&mut file).and_then(|()| Ok(file.sync()?)) {
            // The first error is the one to report; a leftover is removed by the next call.
            drop(self.remove(&fresh));
            return Err(error);
        }
        self.rename(&fresh, name)?;
        Ok(self.sync()?)
    }
}

/// An open file that knows its name, for errors.
#[derive(Debug)]
pub(crate) struct NamedFile {
    name: Box<str>,
    file: Box<dyn DiskFile>,
}

impl NamedFile {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn error(&self, action: Action) -> impl Fn(io::Error) -> DiskError {
        let name = self.name.clone();
        move |source| DiskError::new(&name, action, source)
    }

    pub(crate) fn size(&self) -> Result<u64, DiskError> {
        self.file.size().map_err(self.error(Action::Read))
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.file.read_at(offset, buffer).map_err(self.error(Action::Read))
    }

    /// Reads `len` bytes, fewer at the end of the file.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; len];
        let got = self.read_at(offset, &mut bytes)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_at(offset, bytes).map_err(self.error(Action::Write))
    }

    /// Writes zeros from `from` to `to`, page by page.
    pub(crate) fn write_zeros(&mut self, from: u64, to: u64) -> Result<(), DiskError> {
        pages(from, to).try_for_each(|(at, bytes)| self.write_at(at, &[0; PAGE][..bytes]))
    }

    /// Writes page by page what will be written over again in pieces.
    ///
    /// A kernel that takes one large write into one large folio (ext4 since 6.16) sends all of it
    /// to the card whenever a part of it changes: 172 kB at once made each 21 kB after it 128 kB.
    pub(crate) fn write_pages(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut rest = bytes;
        pages(offset, offset + bytes.len() as u64).try_for_each(|(at, len)| {
            let (page, more) = rest.split_at(len);
            rest = more;
            self.write_at(at, page)
        })
    }

    pub(crate) fn set_size(&mut self, size: u64) -> Result<(), DiskError> {
        self.file.set_size(size).map_err(self.error(Action::Write))
    }

    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(self.error(Action::Sync))
    }
}

/// The pieces between two offsets that do not reach over the end of a page: offset and length.
fn pages(from: u64, to: u64) -> impl Iterator<Item = (u64, usize)> {
    let mut at = from;
    std::iter::from_fn(move || {
        let piece = (PAGE as u64 - at % PAGE as u64).min(to - at);
        let found = (piece > 0).then_some((at, piece as usize));
        at += piece;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_remedy() {
        let check = |kind: io::ErrorKind, want: &str| {
            let text = DiskError::new("x", Action::Write, io::Error::from(kind)).to_string();
            assert!(text.contains(want), "{kind:?}: {text}");
        };
        check(io::ErrorKind::StorageFull, "free some");
        check(io::ErrorKind::QuotaExceeded, "free some");
        check(io::ErrorKind::ReadOnlyFilesystem, "remount");
        check(io::ErrorKind::PermissionDenied, "belong to the user");
        check(io::ErrorKind::NotFound, "is missing");
        check(io::ErrorKind::InvalidInput, "cannot write x");
    }

    #[test]
    fn a_real_folder_keeps_what_was_written() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::at(&dir.path().join("deep/inside")).expect("it is made");
        assert!(folder.open_existing("a", Access::Write).expect("no error").is_none());
        let mut file = folder.open("a", Access::CreateNew).expect("a new file");
        file.write_zeros(3, 9_000).expect("zeros");
        file.write_at(1, b"xyz").expect("written");
        file.sync().expect("synced");
        assert_eq!(file.size().expect("a size"), 9_000);
        assert_eq!(file.read(0, 5).expect("read"), b"\0xyz\0");
        assert_eq!(file.read(8_998, 5).expect("read").len(), 2);
        let long: Vec<u8> = (0..9_000_u32).map(|n| n as u8).collect();
        file.write_pages(4_000, &long).expect("written");
        assert_eq!(file.read(4_000, 9_001).expect("read"), long);
        folder.replace("a", |file| file.write_at(0, b"new")).expect("replaced");
        assert_eq!(folder.names().expect("names"), ["a"]);
        let file = folder.open("a", Access::Read).expect("there");
        assert_eq!(file.read(0, 10).expect("read"), b"new");
        assert!(matches!(folder.open("b", Access::Read), Err(DiskError::Missing { .. })));
    }
}
