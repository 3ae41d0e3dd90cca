//! Private files: created whole, durable, for their owner's eyes only.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::KeystoreError;
use super::format::LARGEST_FILE;
use crate::hex;

/// Read and written by the owner, by nobody else.
const PRIVATE: u32 = 0o600;
/// The permission bits of everybody else.
const OTHERS: u32 = 0o077;

/// Reads a private file, at most one byte more than a key file may have.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeystoreError::Missing { path: path.to_owned() },
        _ => KeystoreError::Io { action: "read", path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, so that nobody can swap it in between.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeystoreError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE + 1));
    file.take(LARGEST_FILE as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a new private file, or nothing at all; never overwrites.
pub(super) fn create(path: &Path, text: &str) -> Result<(), KeystoreError> {
    let failed = |action| move |source| KeystoreError::Io { action, path: path.to_owned(), source };
    let draft = Draft::beside(path)?;
    draft.write(text).map_err(failed("write"))?;
    match rustix::fs::renameat_with(CWD, &draft.path, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => draft.keep(),
        Err(Errno::EXIST) => return Err(KeystoreError::AlreadyExists { path: path.to_owned() }),
        Err(errno) => return Err(failed("create")(errno.into())),
    }
    // The name itself is durable only once its directory is.
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(failed("keep"))
}

/// The directory a file stands in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file under a name of its own, removed again unless it is kept.
struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// A name nobody uses, in the directory where the file is to stand.
    fn beside(path: &Path) -> Result<Self, KeystoreError> {
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix).map_err(KeystoreError::Randomness)?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.new", hex::encode(&suffix)));
        Ok(Self { path: folder(path).join(name), kept: false })
    }

    /// Creates it, writes it and waits until it is on the disk.
    fn write(&self, text: &str) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&self.path)?;
        // The mask of the process may have taken the owner's bits away.
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// It has its proper name now.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // The first error is on its way to the caller, and a draft that was never created
            // cannot be removed: there is nothing better to do with this one.
            let _ = fs::remove_file(&self.path);
        }
    }
}
