//! A disk that can be full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{run, say};

/// A small disk in memory, unmounted when dropped; `None` where mounting is not allowed.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "goodwatt-test"]).arg(at);
        let ended = run(&mut mount, "");
        if ended.code == Some(0) {
            return Some(Self(at.to_owned()));
        }
        say(&format!("skipped, as a small disk cannot be mounted: {}", ended.err.trim()));
        None
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        run(Command::new("mount").args(["-o", &options]).arg(&self.0), "").with(0);
    }

    /// Takes all the space there is.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while let Ok(()) = file.write_all(&vec![b'x'; size]) {}
        }
        let full = file.write_all(b"x").expect_err("no space");
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}
