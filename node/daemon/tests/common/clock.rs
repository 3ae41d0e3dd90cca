//! A wall clock of its own for a daemon, by Debian's package `faketime`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Daemon, Ended, Home, run, tool_command};

/// How far a daemon's wall clock is from the right one; it can be set while the daemon runs.
pub(crate) struct FakeClock<'a> {
    home: &'a Home,
    file: PathBuf,
    library: PathBuf,
}

impl<'a> FakeClock<'a> {
    /// A clock that is right so far.
    pub(crate) fn new(home: &'a Home) -> Self {
        let clock = Self { home, file: home.path("clock"), library: library() };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds after, or before, the right time.
    pub(crate) fn set(&self, seconds_ahead: i64) {
        // The daemon may read at any moment, so the file is there whole or not at all.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds_ahead:+}\n")).expect("written");
        std::fs::rename(&new, &self.file).expect("renamed");
    }

    /// Sets it to the second day of 1970.
    pub(crate) fn set_to_1970(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        self.set(86_400 - i64::try_from(since.as_secs()).expect("before the end of time"));
    }

    /// Starts the daemon with this clock, and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        let mut daemon =
            self.home.spawn_with(&self.home.path("goodwatt.toml"), &self.environment());
        daemon.client();
        daemon
    }

    /// Runs the tool with this clock.
    pub(crate) fn tool(&self, args: &[&str]) -> Ended {
        run(tool_command().envs(self.environment()).args(args), "")
    }

    /// What gives a process this clock.
    pub(crate) fn environment(&self) -> [(&str, &OsStr); 5] {
        [
            ("LD_PRELOAD", self.library.as_os_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.as_os_str()),
            ("FAKETIME_NO_CACHE", OsStr::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", OsStr::new("1")),
            ("NO_FAKE_STAT", OsStr::new("1")),
        ]
    }
}

/// The library for programs with threads, wherever this machine's architecture has it.
fn library() -> PathBuf {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    let folders = std::fs::read_dir("/usr/lib").expect("it is there");
    let folders = folders.map(|entry| entry.expect("it is readable").path());
    let all = folders.chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")]);
    all.map(|folder| folder.join(NAME)).find(|path| path.exists()).unwrap_or_else(|| {
        panic!("there is no {NAME} in /usr/lib/*: install Debian's package faketime")
    })
}
