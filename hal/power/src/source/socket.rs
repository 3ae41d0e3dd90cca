//! A Unix socket into which another program writes lines of JSON: for USB meters and the like,
//! whose drivers are better kept out of this process.
//!
//! ```text
//! {"watts":2.31}
//! {"volts":5.08,"amps":0.455,"joules":18023.4}
//! ```
//! `joules` is a count that only grows. Lines wait in the kernel until somebody looks: no thread
//! reads them, and none of them wakes this process.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::http::no_figure;
use super::meter::{count, micro};
use super::{Figures, Source};
use crate::fault::Fault;

/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 1_024;
/// The most that is read at one look: what the kernel keeps of a writer that is faster.
const LOOK_BYTES_MAX: usize = 512 * 1_024;
/// How long a look waits for a line where those that were there are too old.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Who may write: the daemon's user and group.
const MODE: u32 = 0o660;

/// One line.
#[derive(Deserialize)]
struct Line {
    watts: Option<f64>,
    volts: Option<f64>,
    amps: Option<f64>,
    joules: Option<f64>,
}

impl Line {
    fn figures(&self) -> Option<Figures> {
        let product = || Some(self.volts? * self.amps?);
        let level = self.watts.or_else(product).map(micro);
        // A microjoule is far below what any meter counts in.
        let count = self.joules.and_then(|joules| count(joules, 1e6, 1e-3));
        (level.is_some() || count.is_some()).then_some(Figures { level, count })
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    writer: Option<Writer>,
    /// Lines that may be older than this are not used.
    stale: Duration,
    looked: Option<Instant>,
}

/// Who writes.
#[derive(Debug)]
struct Writer {
    stream: UnixStream,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Socket {
    /// Makes the socket; one that was left behind by a process that is gone gives way.
    pub(super) fn bind(path: &Path, stale: Duration) -> Result<Self, Fault> {
        let fail = |error: io::Error| Fault::of_io(path.to_owned(), &error);
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left(path) => {
                fs::remove_file(path).map_err(fail)?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        let listener = listener.map_err(fail)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        Ok(Self { path: path.to_owned(), listener, writer: None, stale, looked: None })
    }

    fn name(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Whoever came last to write.
    fn newcomer(&self) -> Option<Writer> {
        let accepted = std::iter::from_fn(|| self.listener.accept().ok()).last();
        let (stream, _) = accepted?;
        stream.set_nonblocking(true).ok()?;
        Some(Writer { stream, rest: Vec::new() })
    }

    /// The figures of the last whole line that is there.
    fn last_line(&mut self) -> Result<Option<Figures>, Fault> {
        let name = self.name();
        let Some(writer) = &mut self.writer else { return Ok(None) };
        let read = writer.last_line(&name);
        match read {
            Ok((line, true)) => Ok(line),
            // Whoever goes away, or writes what is no line, gives its place to another.
            Ok((line, false)) => {
                self.writer = None;
                Ok(line)
            }
            Err(fault) => {
                self.writer = None;
                Err(fault)
            }
        }
    }

    /// Waits a moment for a line.
    fn wait(&mut self) -> Result<Option<Figures>, Fault> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(writer) = self.writer.as_mut().filter(|_| !left.is_zero()) else {
                return Ok(None);
            };
            writer.wait(left);
            if let Some(figures) = self.last_line()? {
                return Ok(Some(figures));
            }
        }
    }
}

/// Whether nobody listens on a socket any more.
fn is_left(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Writer {
    /// Reads all that is there; gives the figures of the last whole line, and whether the writer
    /// is still there.
    fn last_line(&mut self, name: &str) -> Result<(Option<Figures>, bool), Fault> {
        let too_long = || Fault::TooLong { meter: name.to_owned(), limit: LINE_BYTES_MAX };
        let (mut last, mut read) = (None, 0);
        let mut part = [0; 4_096];
        let stays = loop {
            if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end + 1);
                let lines = std::mem::replace(&mut self.rest, rest);
                let line = lines[..end].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
                if line.len() > LINE_BYTES_MAX {
                    return Err(too_long());
                }
                last = Some(line.to_vec());
            }
            if self.rest.len() > LINE_BYTES_MAX {
                return Err(too_long());
            }
            // Whoever writes faster than this is read goes on at the next look.
            if read >= LOOK_BYTES_MAX {
                break true;
            }
            match self.stream.read(&mut part) {
                Ok(0) => break false,
                Ok(count) => {
                    read += count;
                    self.rest.extend_from_slice(&part[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == io::ErrorKind::WouldBlock,
            }
        };
        let figures = last.map(|line| {
            let line = String::from_utf8_lossy(&line);
            let parsed = serde_json::from_str(&line).ok().and_then(|line: Line| line.figures());
            parsed.ok_or_else(|| no_figure(name, &line))
        });
        Ok((figures.transpose()?, stays))
    }

    /// Waits for a byte, and keeps it.
    fn wait(&mut self, most: Duration) {
        let mut byte = [0];
        let ready = self.stream.set_nonblocking(false).and_then(|()| {
            self.stream.set_read_timeout(Some(most))?;
            self.stream.read(&mut byte)
        });
        if let Ok(1) = ready {
            self.rest.push(byte[0]);
        }
        // A stream that cannot be set back blocks no more than its time-out.
        drop(self.stream.set_nonblocking(true));
    }
}

impl Source for Socket {
    fn read(&mut self) -> Result<Figures, Fault> {
        let stale = self.looked.replace(Instant::now()).is_none_or(|at| at.elapsed() > self.stale);
        let mut newcomer = self.newcomer();
        self.writer = self.writer.take().or_else(|| newcomer.take());
        let mut line = self.last_line()?;
        // Two do not write at once: who came second waits until the first is silent, or is gone.
        if newcomer.is_some() && line.is_none() {
            self.writer = newcomer;
        }
        // What came while nobody looked may be of any age.
        if stale || line.is_none() {
            line = self.wait()?;
        }
        line.ok_or_else(|| Fault::NoLine { meter: self.name() })
    }

    fn is_outside(&self) -> bool {
        true
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another start makes its own; one that stays behind gives way there.
        drop(fs::remove_file(&self.path));
    }
}
