//! The tool's end of the control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::protocol::{Call, Fault, LINE_BYTES_MAX, Outcome, PROTOCOL_VERSION, Request, Response};

/// How long an answer may take: longer than any block takes to reach the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon answers at {path} ({source}): start goodwattd, or name its socket by --socket"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the daemon went away before it answered ({0}): look into its log, then try again")]
    Broken(std::io::Error),
    /// The answer is not one of this protocol.
    #[error("the answer is not of protocol {PROTOCOL_VERSION}: tool and daemon differ in version")]
    NotUnderstood,
    /// The daemon said no.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let unreachable = |source| ClientError::Unreachable { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).map_err(unreachable)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(ClientError::Broken)?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(ClientError::Broken)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn call<T: DeserializeOwned>(&mut self, call: Call) -> Result<T, ClientError> {
        let mut line = serde_json::to_vec(&Request::new(call))
            .map_err(|error| ClientError::Broken(error.into()))?;
        line.push(b'\n');
        self.0.get_mut().write_all(&line).map_err(ClientError::Broken)?;
        let mut answer = Vec::new();
        let limit = LINE_BYTES_MAX as u64;
        self.0.by_ref().take(limit).read_until(b'\n', &mut answer).map_err(ClientError::Broken)?;
        if answer.is_empty() {
            return Err(ClientError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let response: Response =
            serde_json::from_slice(&answer).map_err(|_| ClientError::NotUnderstood)?;
        if response.protocol != PROTOCOL_VERSION {
            return Err(ClientError::NotUnderstood);
        }
        match response.outcome {
            Outcome::Ok(value) => {
                serde_json::from_value(value).map_err(|_| ClientError::NotUnderstood)
            }
            Outcome::Error(fault) => Err(fault.into()),
        }
    }
}
