//! Why a node's answer is of no use.

use goodwatt_chain::codec::DecodeError;
use goodwatt_chain::light::{Excuse, LightError};

use crate::net::LightLinkError;
use crate::tool::error::ToolError;

/// Why a node's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LightFault {
    /// It cannot be asked, or broke off.
    #[error(transparent)]
    Link(#[from] LightLinkError),
    /// Its answer is none.
    #[error("its answer cannot be read ({0}); ask another node")]
    Unreadable(#[from] DecodeError),
    /// It answers something else.
    #[error("it answers something else than was asked; ask another node")]
    Unasked,
    /// It has not proven what it says.
    #[error("not proven: {0}")]
    Unproven(#[from] LightError),
    /// Its word about what waits cannot be.
    #[error(
        "it says that the account's next number is {said}, and {proven} is proven: that cannot be; \
        ask another node"
    )]
    Number {
        /// What it says.
        said: u64,
        /// What is proven.
        proven: u64,
    },
    /// It has no answer.
    #[error("{0}")]
    Nothing(Excuse),
}

impl LightFault {
    /// Whether the node lies, is behind, or breaks the protocol.
    fn is_misconduct(&self) -> bool {
        match self {
            Self::Link(error) => error.is_misconduct(),
            Self::Nothing(_) => false,
            Self::Unreadable(_) | Self::Unasked | Self::Unproven(_) | Self::Number { .. } => true,
        }
    }

    /// What the command ends with when no node gave more than this one.
    pub(super) fn into_error(self, node: &dyn std::fmt::Display) -> ToolError {
        // Some of it may be the node's own words, and a terminal obeys control characters.
        let message = format!("node {node}: {self}").replace(char::is_control, " ");
        match self {
            Self::Nothing(_) => ToolError::Failed(message),
            fault if fault.is_misconduct() => ToolError::Unproven(message),
            _ => ToolError::Unreachable(message),
        }
    }
}
