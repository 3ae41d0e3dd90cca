//! The daemon's end of the control socket: lines in, lines out, nothing decided here.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};

use crate::places::{Limits, Place, Places};
use crate::protocol::{
    Fault, FaultKind, LINE_BYTES_MAX, Outcome, PROTOCOL_VERSION, Request, Response,
};
use crate::validator::{Answer, Handle};

/// Tools come and go; a screen that stays may look once in ten minutes.
pub const LIMITS: Limits = Limits { connections_max: 32, silence_max: Duration::from_secs(600) };

/// Why the control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another daemon listens there.
    #[error(
        "{0} is in use by another goodwattd: stop that one, or set [api] socket to another path"
    )]
    InUse(PathBuf),
    /// Something that is no socket lies there.
    #[error("{0} exists and is no socket: move it away, or set [api] socket to another path")]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("{path}: {source}; set [api] socket to a path the daemon's user can write")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The listening socket; its file goes away with it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Opens the socket with the given mode, taking the place of one that nobody listens on.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn open(path: &Path, mode: u32) -> Result<Self, ControlError> {
        let io = |source| ControlError::Io { path: path.to_owned(), source };
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(ControlError::NotASocket(path.to_owned()));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(ControlError::InUse(path.to_owned()));
            }
            std::fs::remove_file(path).map_err(io)?;
        } else if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let listener = UnixListener::bind(path).map_err(io)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until the future is dropped.
    pub async fn serve(&self, validator: Handle, places: Places) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (place, closed) = places.take().await;
                    let validator = validator.clone();
                    tokio::spawn(async move {
                        let ended = tokio::select! {
                            ended = converse(stream, validator, &place) => ended,
                            _ = closed => Ok(()),
                        };
                        if let Err(error) = ended {
                            tracing::debug!("control connection ended: {error}");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!("control socket: {error}");
                    // Out of file descriptors, most likely: give others time to close theirs.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!("{}: {error}", self.path.display());
        }
    }
}

async fn converse(stream: UnixStream, validator: Handle, place: &Place) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let (outcome, is_last) = match read_line(&mut lines).await? {
            Line::Whole(line) => match parse(&line) {
                Ok(request) => (wait(validator.call(request.call), &mut lines, place).await, false),
                Err(fault) => (Err(fault), false),
            },
            // Where the next line begins is not known, so there is none.
            Line::TooLong => (Err(too_long()), true),
            Line::End => return Ok(()),
        };
        place.spoke();
        let outcome = outcome.map_or_else(Outcome::Error, Outcome::Ok);
        let response = Response { protocol: PROTOCOL_VERSION, outcome };
        let mut bytes = serde_json::to_vec(&response)?;
        bytes.push(b'\n');
        write.write_all(&bytes).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// Waits for an answer. A seal may take long, and who waits for it is not idle; who went away
/// meanwhile holds its place no more than others do.
async fn wait(
    call: impl Future<Output = Answer>,
    lines: &mut BufReader<OwnedReadHalf>,
    place: &Place,
) -> Answer {
    tokio::pin!(call);
    place.waits();
    tokio::select! {
        biased;
        answer = &mut call => return answer,
        // Its end alone may be closed, so an answer may still be read.
        next = lines.fill_buf() => if next.map_or(true, <[u8]>::is_empty) {
            place.spoke();
        },
    }
    call.await
}

/// What a connection says next.
enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// More than [`LINE_BYTES_MAX`] without an end.
    TooLong,
    /// Nothing more, or a line that was cut.
    End,
}

async fn read_line(lines: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Line> {
    let mut line = Vec::new();
    let read = lines.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole(line),
        _ if read == LINE_BYTES_MAX => Line::TooLong,
        _ => Line::End,
    })
}

fn too_long() -> Fault {
    Fault::new(
        FaultKind::Invalid,
        format!("a request is one line of at most {LINE_BYTES_MAX} bytes"),
    )
}

fn parse(line: &[u8]) -> Result<Request, Fault> {
    let request: Request = serde_json::from_slice(line)
        .map_err(|error| Fault::new(FaultKind::Invalid, format!("not a request: {error}")))?;
    if request.protocol == PROTOCOL_VERSION {
        return Ok(request);
    }
    let message = format!(
        "protocol {} is unknown here: this daemon speaks {PROTOCOL_VERSION}",
        request.protocol
    );
    Err(Fault::new(FaultKind::Invalid, message))
}
