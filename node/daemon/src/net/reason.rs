//! Why connections end.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::FrameFault;
use super::kind::Kind;
use super::score::Conduct;

/// The longest text of a goodbye, in bytes.
const TEXT_MAX: usize = 200;

/// Why a connection ended, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It closed without a word.
    #[error("it closed the connection")]
    Closed,
    /// The network broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// It said why it closes.
    #[error("it closed the connection: {text}")]
    Told {
        /// Its code; of a version to come, if it is not known.
        code: Option<Code>,
        /// Its words, cut to a line.
        text: String,
    },
    /// Two pings were not answered.
    #[error("it did not answer two pings")]
    Silent,
    /// It does not read what it is sent.
    #[error("it reads too slowly: {queued} bytes wait for it")]
    Slow {
        /// Bytes that waited.
        queued: usize,
    },
    /// A frame began and did not end.
    #[error("half a frame came, and the rest not within {} s", .0.as_secs())]
    HalfFrame(Duration),
    /// A frame that cannot be.
    #[error("it sent {0}")]
    Frame(FrameFault),
    /// A frame that may not be sent, by this peer or at this time.
    #[error("it sent `{kind}`, {why}")]
    Unexpected {
        /// Its kind.
        kind: Kind,
        /// Why not.
        why: &'static str,
    },
    /// A frame of ours to decode that cannot be decoded.
    #[error("it sent `{0}` that cannot be read")]
    Malformed(Kind),
    /// More than its budget for too long.
    #[error("it floods: more bytes or signatures than one peer may send")]
    Flood,
    /// Its announcement does not bind its keys.
    #[error("its announcement is not signed as it has to be")]
    BadAnnouncement,
    /// It speaks for another chain or version than it shook hands for.
    #[error("its hello is of another chain or version")]
    WrongHello,
    /// It behaved badly, or somebody banned it.
    #[error("it is banned here")]
    Banned,
    /// There is no place for it.
    #[error("all places are taken here")]
    Full,
    /// Another connection to the same node is kept.
    #[error("another connection to the same node is kept")]
    Duplicate,
    /// This node called itself.
    #[error("that is this node itself")]
    Ourselves,
    /// Another node has the same key.
    #[error(
        "it has the same transport.key as this node: remove that file on the copy, and restart it"
    )]
    Twin,
    /// This node stops.
    #[error("this node stops")]
    Stopping,
}

/// Reasons that a peer acts on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Code {
    /// It stops.
    Stopping,
    /// It has no place.
    Full,
    /// We are banned there.
    Banned,
    /// It keeps another connection to us.
    Duplicate,
    /// We made a mistake, as it sees it.
    Fault,
}

/// What a goodbye carries.
#[derive(Debug, Deserialize, Serialize)]
struct Goodbye {
    code: u8,
    text: String,
}

impl Reason {
    /// What to tell the peer; `None` where it could not be told, or does not need to be.
    pub(super) fn goodbye(&self) -> Option<Vec<u8>> {
        let code = match self {
            Self::Closed | Self::Broken(_) | Self::Told { .. } => return None,
            Self::Silent | Self::Slow { .. } => return None,
            Self::Stopping => Code::Stopping,
            Self::Full => Code::Full,
            Self::Banned => Code::Banned,
            Self::Duplicate | Self::Ourselves | Self::Twin => Code::Duplicate,
            _ => Code::Fault,
        };
        let goodbye = Goodbye { code: code as u8, text: self.to_string() };
        Some(goodwatt_chain::codec::encode(&goodbye))
    }

    /// Reads what a peer told.
    pub(super) fn told(payload: &[u8]) -> Self {
        match goodwatt_chain::codec::decode::<Goodbye>(payload) {
            Ok(Goodbye { code, text }) if text.len() <= TEXT_MAX => {
                Self::Told { code: Code::from_byte(code), text }
            }
            _ => Self::Malformed(Kind::Goodbye),
        }
    }

    /// What it says about the peer's conduct.
    pub(super) const fn conduct(&self) -> Option<Conduct> {
        match self {
            Self::Slow { .. } | Self::HalfFrame(_) => Some(Conduct::Late),
            Self::Frame(_) | Self::Malformed(_) | Self::WrongHello => Some(Conduct::Invalid),
            Self::Unexpected { .. } => Some(Conduct::Unasked),
            Self::Flood => Some(Conduct::Flood),
            Self::BadAnnouncement => Some(Conduct::Forged),
            _ => None,
        }
    }
}

impl Code {
    const ALL: [Self; 5] = [Self::Stopping, Self::Full, Self::Banned, Self::Duplicate, Self::Fault];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let check = |reason: Reason, want: Code| {
            let payload = reason.goodbye().expect("it is told");
            assert!(payload.len() <= Kind::Goodbye.bytes_max(), "{reason}");
            let Reason::Told { code, text } = Reason::told(&payload) else {
                panic!("{reason} is not understood")
            };
            assert_eq!((code, text), (Some(want), reason.to_string()));
        };
        check(Reason::Stopping, Code::Stopping);
        check(Reason::Full, Code::Full);
        check(Reason::Banned, Code::Banned);
        check(Reason::Twin, Code::Duplicate);
        check(Reason::HalfFrame(Duration::from_secs(9)), Code::Fault);
        check(Reason::Frame(FrameFault::TooLong { kind: Kind::Transactions, len: 9 }), Code::Fault);
        assert!(Reason::Closed.goodbye().is_none());
    }

    #[test]
    fn a_goodbye_that_cannot_be_read_is_a_fault() {
        let later = goodwatt_chain::codec::encode(&Goodbye { code: 77, text: String::new() });
        assert!(matches!(Reason::told(&later), Reason::Told { code: None, .. }));
        let long = Goodbye { code: 0, text: "x".repeat(TEXT_MAX + 1) };
        let long = goodwatt_chain::codec::encode(&long);
        assert!(matches!(Reason::told(&long), Reason::Malformed(Kind::Goodbye)));
        assert!(matches!(Reason::told(&[1]), Reason::Malformed(Kind::Goodbye)));
    }
}
