//! Files that a power cut leaves whole, and a partition that is read-only but for a moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::config::LARGEST_FILE;

/// Reads a text of at most the size that any of our files has.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST_FILE {
        return Err(io::Error::other(format!("longer than {LARGEST_FILE} bytes")));
    }
    // Editors of Windows put a mark in front.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    String::from_utf8(bytes.to_vec())
        .map_err(|_| io::Error::other("not UTF-8 text: save it as UTF-8"))
}

/// Brings a file to this content, whole or not at all; does nothing where it has it already.
/// Says whether it wrote.
pub(super) fn put(path: &Path, text: &str, mode: u32) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("new");
    // What a power cut left of an earlier try may have other rights.
    drop(fs::remove_file(&draft));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(text.as_bytes())?;
    // FAT has no rights to set; elsewhere the umask may have taken some.
    drop(file.set_permissions(fs::Permissions::from_mode(mode)));
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()?;
    Ok(true)
}

/// As [`put`], on a partition that is mounted read-only and is made writable for this.
pub(super) fn put_on_boot(boot: &Path, name: &str, text: &str) -> io::Result<bool> {
    let path = boot.join(name);
    match put(&path, text, 0o644) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            remount(boot, "rw")?;
            let written = put(&path, text, 0o644);
            // It stays writable then: worse for the next power cut, but no reason to stop.
            drop(remount(boot, "ro"));
            written
        }
        outcome => outcome,
    }
}

fn remount(boot: &Path, how: &str) -> io::Result<()> {
    let option = format!("remount,{how}");
    let status = Command::new("mount").args(["-o", &option]).arg(boot).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} could not be mounted {how}", boot.display())))
}
