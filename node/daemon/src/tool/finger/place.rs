//! Where an enrolment lies, and the order in which it is written.
//!
//! Beside the key file `owner.key` there is a folder `owner.finger`, for its owner's eyes only:
//! - `device`: the board's own secret, where it is kept in a file;
//! - `tries`: the counter of wrong tries;
//! - `seen`: the images that enrolled and opened, sealed under the root;
//! - `about`: address, sensor's port, and where the board's secret lies, as JSON; nothing secret, but
//!   only who has the board's secret can write one;
//! - `root`: the root secret under finger, PIN and board.
//!
//! A new enrolment is written whole into `next.new`, `root` last. Renamed to `next` it is in force, and
//! its files move into their places: what a power cut left there moves before anybody looks. Until the
//! renaming the former enrolment is in force, with its own secret and counter; only `seen` has grown by
//! then. An enrolment never takes the place of one of another key.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use goodwatt_chain::signature::PublicKey;
use goodwatt_fingerprint::device::{DeviceSecret, Kind, SecretFile, mac};
use goodwatt_fingerprint::durable;
use goodwatt_fingerprint::replay::Seen;
use goodwatt_fingerprint::throttle::Throttle;
use goodwatt_fingerprint::wrap::Wrapped;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::context::Context;
use super::super::error::ToolError;
use super::super::output::note;
use crate::hex;

/// The files that a new enrolment replaces; a device secret that stays is not among them.
const REPLACED: [&str; 4] = ["device", "tries", "about", "root"];
/// Where a new enrolment is in force, until its files are in their places.
const NEXT: &str = "next";
/// Where it is written.
const DRAFT: &str = "next.new";
/// Bytes of `about` at most.
const ABOUT_MOST: u64 = 4_096;
/// The board's key that vouches for `about`.
const ABOUT_PURPOSE: &str = "goodwatt/finger/about";

/// What is known of an enrolment without opening it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// The owner's address.
    pub(super) address: String,
    /// The sensor's port; none where no finger is needed.
    pub(super) port: Option<String>,
    /// Where the board's own secret lies: the name of a [`Kind`].
    pub(super) device: String,
}

/// What the board says of an enrolment, and the secret with which it says so.
type Vouched = (About, Box<dyn DeviceSecret>);

/// The files of one enrolment.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// The key file in whose stead the enrolment stands.
    pub(super) key_file: PathBuf,
}

impl Place {
    /// That of the configured key.
    ///
    /// # Errors
    /// Where the configuration is missing or wrong.
    pub(super) fn of(context: &Context) -> Result<Self, ToolError> {
        Self::beside(&context.config()?.validator.key_file)
    }

    /// That beside a key file.
    ///
    /// # Errors
    /// Where a new enrolment that was cut off cannot be put into its place.
    pub(super) fn beside(key_file: &Path) -> Result<Self, ToolError> {
        let folder = key_file.with_extension("finger");
        let place = Self { folder, key_file: key_file.to_owned() };
        place.settle()?;
        Ok(place)
    }

    /// A new enrolment in the making.
    fn draft(&self) -> Self {
        Self { folder: self.folder.join(DRAFT), key_file: self.key_file.clone() }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The wrapped root.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn about_path(&self) -> PathBuf {
        self.folder.join("about")
    }

    fn tries_path(&self) -> PathBuf {
        self.folder.join("tries")
    }

    fn seen_path(&self) -> PathBuf {
        self.folder.join("seen")
    }

    fn device_path(&self) -> PathBuf {
        self.folder.join("device")
    }

    /// Whether there is an enrolment.
    pub(super) fn is_enrolled(&self) -> bool {
        self.root().exists()
    }

    /// The list of images that opened before.
    pub(super) fn seen(&self) -> Seen {
        Seen::at(&self.seen_path())
    }

    /// The counter of wrong tries.
    pub(super) fn throttle(&self) -> Throttle {
        Throttle::at(&self.tries_path())
    }

    /// The board's secret of an enrolment.
    ///
    /// # Errors
    /// Where this program or this board has none of the kind.
    pub(super) fn device(&self, about: &About) -> Result<Box<dyn DeviceSecret>, ToolError> {
        match about.device.parse().map_err(ToolError::failed)? {
            // One that is gone is not made anew: it would be another one.
            Kind::File => Ok(Box::new(SecretFile::at(&self.device_path()))),
            kind => kind.open(&self.device_path()).map_err(ToolError::failed),
        }
    }

    /// Begins a new enrolment, and keeps other programs of ours away while the file is held.
    ///
    /// # Errors
    /// Where another one is at it, or the file system refuses.
    pub(super) fn begin(&self) -> Result<File, ToolError> {
        self.make_folder()?;
        let held = self.hold()?;
        let draft = self.draft();
        draft.clear()?;
        draft.make_folder()?;
        Ok(held)
    }

    fn make_folder(&self) -> Result<(), ToolError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.and_then(|()| sync(self.folder.parent())).map_err(|error| self.failed(&error))
    }

    /// The board's secret for a new enrolment that was begun. A file `stays` where an enrolment of this
    /// board vouches for it and is opened; any other that lies there may be one that somebody else knows.
    ///
    /// # Errors
    /// Where it cannot be made or read.
    pub(super) fn make_device(
        &self,
        kind: Kind,
        stays: bool,
    ) -> Result<Box<dyn DeviceSecret>, ToolError> {
        let path = if stays { self.device_path() } else { self.draft().device_path() };
        kind.open(&path).map_err(ToolError::failed)
    }

    /// What this board says of the enrolment, and the board's secret, or nothing where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or was written by somebody else.
    pub(super) fn vouched(&self) -> Result<Option<Vouched>, ToolError> {
        let Some((about, text, told)) = self.read_about()? else { return Ok(None) };
        let device = self.device(&about)?;
        let vouched = mac(&*device, ABOUT_PURPOSE, text.as_bytes()).map_err(ToolError::failed)?;
        if hex::encode(&vouched) != told {
            return Err(self.damaged("was made on another board, or was changed"));
        }
        Ok(Some((about, device)))
    }

    /// What the file says of the enrolment, or nothing where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged.
    pub(super) fn about(&self) -> Result<Option<About>, ToolError> {
        Ok(self.read_about()?.map(|(about, ..)| about))
    }

    /// What the file says, the text of that, and who vouches for it.
    fn read_about(&self) -> Result<Option<(About, String, String)>, ToolError> {
        let path = self.about_path();
        if !self.is_enrolled() {
            return Ok(None);
        }
        let damaged = || self.damaged("is damaged");
        let read =
            File::open(&path).and_then(|file| io::read_to_string(io::Read::take(file, ABOUT_MOST)));
        match read {
            Ok(all) => {
                let (text, told) = all.split_once('\n').ok_or_else(damaged)?;
                let about: About = serde_json::from_str(text).map_err(|_| damaged())?;
                // It is shown as an account, and names a file of an unlocked key.
                about.address.parse::<PublicKey>().map_err(|_| damaged())?;
                let told = told.strip_suffix('\n').ok_or_else(damaged)?;
                Ok(Some((about, text.to_owned(), told.to_owned())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged()),
            Err(error) => Err(ToolError::failed(format!("{}: {error}", path.display()))),
        }
    }

    /// Puts a new enrolment that was begun into force.
    ///
    /// # Errors
    /// Where the file system refuses; the former enrolment is in force then.
    pub(super) fn commit(
        &self,
        wrapped: &Wrapped,
        about: &About,
        device: &dyn DeviceSecret,
    ) -> Result<(), ToolError> {
        let draft = self.draft();
        draft.throttle().reset(device).map_err(ToolError::failed)?;
        let text = serde_json::to_string(about).map_err(ToolError::failed)?;
        let vouched = mac(device, ABOUT_PURPOSE, text.as_bytes()).map_err(ToolError::failed)?;
        let text = format!("{text}\n{}\n", hex::encode(&vouched));
        let written = durable::write(&draft.about_path(), text.as_bytes());
        written.map_err(|error| draft.failed(&error))?;
        wrapped.store(&draft.root(), device).map_err(ToolError::failed)?;
        std::fs::rename(&draft.folder, self.folder.join(NEXT))
            .and_then(|()| sync(Some(&self.folder)))
            .map_err(|error| draft.failed(&error))?;
        self.settle()
    }

    /// Moves the files of an enrolment that is in force into their places. Who comes second, after a
    /// power cut or beside somebody else, finds them moved.
    fn settle(&self) -> Result<(), ToolError> {
        let next = self.folder.join(NEXT);
        if !next.exists() {
            return Ok(());
        }
        for name in REPLACED {
            match std::fs::rename(next.join(name), self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ToolError::failed(format!("{}: {error}", next.display())));
                }
                _ => {}
            }
        }
        sync(Some(&self.folder)).map_err(|error| self.failed(&error))?;
        // Whoever comes later does it where this fails: nothing of the key is in it.
        std::fs::remove_dir(&next).unwrap_or_default();
        Ok(())
    }

    /// Destroys the enrolment, what opens it first; gives whether there was one.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub(super) fn revoke(&self) -> Result<bool, ToolError> {
        let was = self.is_enrolled();
        self.clear()?;
        let draft = self.draft();
        draft.clear()?;
        // Nothing of the key is in it any more.
        std::fs::remove_dir(&draft.folder).unwrap_or_default();
        match std::fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // What somebody else put there is theirs; nothing of the key is left.
                note(&format!("{} stays: {error}", self.folder.display()));
            }
            _ => {}
        }
        Ok(was)
    }

    /// Destroys the files of an enrolment, what opens it first.
    fn clear(&self) -> Result<(), ToolError> {
        let seen = self.seen_path();
        for path in [self.root(), self.device_path(), self.about_path(), self.tries_path(), seen] {
            // What an interrupted writing left goes, too.
            for path in [path.with_extension("new"), path] {
                destroy(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps other programs of ours from this enrolment while the file is held: tries are counted one
    /// by one.
    ///
    /// # Errors
    /// Where another one is at it.
    pub(super) fn hold(&self) -> Result<File, ToolError> {
        let folder = File::open(&self.folder).map_err(|error| self.failed(&error))?;
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(folder),
            Err(Errno::WOULDBLOCK) => Err(ToolError::failed(format!(
                "another goodwatt is at the key in {}: wait until it has ended",
                self.folder.display()
            ))),
            Err(error) => Err(self.failed(&error.into())),
        }
    }

    fn damaged(&self, what: &str) -> ToolError {
        let path = self.about_path();
        ToolError::failed(format!(
            "{} {what}: `goodwatt key enroll --words` makes it anew",
            path.display()
        ))
    }

    fn failed(&self, error: &io::Error) -> ToolError {
        ToolError::failed(format!("{}: {error}", self.folder.display()))
    }
}

/// Destroys a file, if it is there.
fn destroy(path: &Path) -> Result<(), ToolError> {
    match durable::destroy(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ToolError::failed(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// A new folder is durable once the one around it is.
fn sync(folder: Option<&Path>) -> io::Result<()> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
