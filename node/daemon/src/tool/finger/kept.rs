//! An unlocked account key, kept for a quarter of an hour in a folder that is memory.
//!
//! It is a key file of the kind `signer` as any other, without a passphrase, readable by its owner
//! only: `XDG_RUNTIME_DIR/goodwatt-unlocked/ADDRESS.key`, else below `/run/user`, else, for root, `/run`.
//! The root is never in it. It is gone after a restart, with `goodwatt key lock`, and with the first
//! look at it after its time. A folder that is not memory would leave it on the card, and is not taken.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use goodwatt_chain::signature::SigningKey;
use goodwatt_fingerprint::durable;
use rustix::fs::statfs;
use rustix::process::geteuid;

use super::super::error::ToolError;
use crate::keystore::{KeyFile, Protection, Secret, Seed};

/// How long an unlocked key is of use.
pub(super) const LIFE: Duration = Duration::from_secs(15 * 60);
/// What the kernel calls memory: `TMPFS_MAGIC`, `RAMFS_MAGIC`.
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Keeps the seed of an account; false where there is no memory to keep it in.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn keep(seed: Seed, address: &str) -> Result<bool, ToolError> {
    let Some(folder) = folder() else { return Ok(false) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| ToolError::failed(format!("{}: {error}", folder.display())))?;
    if private_folder().is_none() {
        return Err(ToolError::failed(format!(
            "others may use {}: remove it, and unlock again",
            folder.display()
        )));
    }
    forget(address)?;
    let file = KeyFile::seal(&Secret::Signer(seed), address, &Protection::Unprotected);
    let path = file_of(&folder, address);
    file.and_then(|file| file.create(&path)).map_err(ToolError::failed)?;
    Ok(true)
}

/// The key of an account, where it is unlocked; one whose time is over is removed.
///
/// # Errors
/// Where the file is damaged or cannot be removed.
pub(super) fn key(address: &str) -> Result<Option<SigningKey>, ToolError> {
    let Some(folder) = folder() else { return Ok(None) };
    if left(address)?.is_none() {
        return Ok(None);
    }
    let file = KeyFile::load(&file_of(&folder, address)).map_err(ToolError::failed)?;
    let seed = file.open(None).and_then(Secret::into_signer).map_err(ToolError::failed)?;
    Ok(Some(SigningKey::from_seed(seed.as_bytes())))
}

/// How long an account stays unlocked. Keys whose time is over are destroyed, of whatever account.
///
/// # Errors
/// Where one is over and cannot be removed.
pub(super) fn left(address: &str) -> Result<Option<Duration>, ToolError> {
    end_old()?;
    Ok(folder().and_then(|folder| remaining(&file_of(&folder, address))))
}

/// Destroys the unlocked keys whose time is over.
///
/// # Errors
/// Where one cannot be removed.
pub(super) fn end_old() -> Result<(), ToolError> {
    sweep(|path| remaining(path).is_none())
}

/// Destroys all unlocked keys.
///
/// # Errors
/// Where one cannot be removed.
pub(super) fn forget_all() -> Result<(), ToolError> {
    sweep(|_| true)
}

/// How long a key is of use still. A clock that was set back ends it.
fn remaining(path: &Path) -> Option<Duration> {
    let told = std::fs::symlink_metadata(path).ok()?;
    let age = SystemTime::now().duration_since(told.modified().ok()?).ok()?;
    LIFE.checked_sub(age).filter(|left| !left.is_zero())
}

/// Destroys the unlocked keys that are to go; what else lies there is somebody else's.
fn sweep(goes: impl Fn(&Path) -> bool) -> Result<(), ToolError> {
    let Some(entries) = private_folder().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_key = path.extension().is_some_and(|name| name == "key" || name == "new")
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_key && goes(&path) {
            destroy(&path)?;
        }
    }
    Ok(())
}

/// Destroys an unlocked key; gives whether there was one.
///
/// # Errors
/// Where it cannot be removed.
pub(super) fn forget(address: &str) -> Result<bool, ToolError> {
    private_folder().map_or(Ok(false), |folder| destroy(&file_of(&folder, address)))
}

/// Destroys a file; gives whether it was there.
fn destroy(path: &Path) -> Result<bool, ToolError> {
    match durable::destroy(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ToolError::failed(format!("{}: {error}", path.display()))),
    }
}

fn file_of(folder: &Path, address: &str) -> PathBuf {
    folder.join(format!("{address}.key"))
}

/// The first folder that is ours and is memory.
fn folder() -> Option<PathBuf> {
    let user = geteuid();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    let system = user.is_root().then(|| PathBuf::from("/run"));
    let folders = named.into_iter().chain([usual]).chain(system);
    folders
        .filter(|folder| folder.is_absolute() && is_memory(folder))
        .map(|folder| folder.join("goodwatt-unlocked"))
        .next()
}

/// The folder, where it is there and nobody else may write in it: a link there would have another
/// file destroyed.
fn private_folder() -> Option<PathBuf> {
    folder().filter(|folder| std::fs::symlink_metadata(folder).is_ok_and(|told| is_private(&told)))
}

fn is_memory(folder: &Path) -> bool {
    let ours = std::fs::metadata(folder).is_ok_and(|told| told.uid() == geteuid().as_raw());
    ours && statfs(folder).is_ok_and(|told| MEMORY.contains(&(told.f_type as u64)))
}

fn is_private(told: &Metadata) -> bool {
    told.is_dir() && told.uid() == geteuid().as_raw() && told.mode() & 0o077 == 0
}
