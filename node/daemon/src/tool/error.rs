//! What a command ends with when it does not succeed.

use std::process::ExitCode;

use crate::client::ClientError;

/// Why a command did not succeed; the exit codes stand in `goodwatt --help`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// Refused, not found, or failed: the message says why.
    #[error("{0}")]
    Failed(String),
    /// The command line is not understood.
    #[error("{0}")]
    Usage(String),
    /// The daemon did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The ledger or a file of it is damaged.
    #[error("{0}")]
    Damaged(String),
    /// A node that a light peer asks cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// A node has not proven what it says.
    #[error("{0}")]
    Unproven(String),
    /// Standard output or the terminal failed.
    #[error("terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

impl ToolError {
    /// A failure with its message.
    #[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub fn failed(message: impl ToString) -> Self {
        Self::Failed(message.to_string())
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) | Self::Terminal(_) | Self::Client(ClientError::Fault(_)) => 1,
            Self::Usage(_) => 2,
            Self::Client(_) | Self::Unreachable(_) => 3,
            Self::Damaged(_) => 4,
            Self::Unproven(_) => 5,
        })
    }
}
