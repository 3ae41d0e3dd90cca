//! What can be in a frame, with the limit of each kind: one table, read before anything else is.

use std::fmt;

const KIB: u32 = 1024;

/// What a frame carries. All from [`Kind::Statements`] on is opaque to the transport.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Kind {
    /// Who a node is; the first frame of each side.
    Hello = 0,
    /// Why the connection is closed; the last frame.
    Goodbye = 1,
    /// Asks for a pong.
    Ping = 2,
    /// Answers a ping.
    Pong = 3,
    /// Asks for addresses of other nodes.
    PeersWanted = 4,
    /// Addresses of other nodes.
    Peers = 5,
    /// Binds the sender's key to a slot key from now on, or to none; news of what its hello said.
    Announcement = 6,
    /// Votes and proposals' statements, bundled.
    Statements = 16,
    /// A proposed or a decided block.
    Block = 17,
    /// Transactions that wait to be sealed.
    Transactions = 18,
    /// News of a new tip.
    Tip = 19,
    /// Asks for headers, bodies or state.
    Request = 20,
    /// Answers one request.
    Response = 21,
    /// A light peer asks for a proof, or hands in a transaction.
    Question = 22,
    /// Answers one question.
    Answer = 23,
}

/// What may pass another that was sent before: frames keep their order within a lane only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    /// Small, and somebody waits for it.
    Urgent,
    /// Large, or with time to wait.
    Bulk,
}

/// The rule for one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Longest payload in bytes.
    pub(super) max: u32,
    pub(super) lane: Lane,
    /// Whether a light node may send it.
    pub(super) light_sends: bool,
    /// Whether a light node is sent it when it is broadcast.
    pub(super) light_gets: bool,
    /// What it costs of the byte budget at the least: a small frame can make much work.
    pub(super) cost_min: u32,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Hello,
        Self::Goodbye,
        Self::Ping,
        Self::Pong,
        Self::PeersWanted,
        Self::Peers,
        Self::Announcement,
        Self::Statements,
        Self::Block,
        Self::Transactions,
        Self::Tip,
        Self::Request,
        Self::Response,
        Self::Question,
        Self::Answer,
    ];

    /// The one table. A block has at most 800 KiB (`docs/wire-format.md`), the rest is room for
    /// what goes around it.
    pub(super) const fn rule(self) -> Rule {
        use Lane::{Bulk, Urgent};
        let (max, lane, light_sends, light_gets, cost_min) = match self {
            Self::Hello => (4 * KIB, Urgent, true, true, 0),
            Self::Goodbye => (512, Urgent, true, true, 0),
            Self::Ping | Self::Pong => (0, Urgent, true, true, 4 * KIB),
            Self::PeersWanted => (0, Urgent, true, true, 64 * KIB),
            Self::Peers => (16 * KIB, Bulk, false, true, 16 * KIB),
            Self::Announcement => (2 * KIB, Urgent, false, true, 64 * KIB),
            Self::Statements => (64 * KIB, Urgent, false, false, 256),
            Self::Block => (1024 * KIB, Bulk, false, false, KIB),
            Self::Transactions => (256 * KIB, Bulk, false, false, KIB),
            Self::Tip => (KIB, Urgent, false, true, KIB),
            Self::Request => (4 * KIB, Urgent, false, false, 32 * KIB),
            Self::Response => (1024 * KIB + 4 * KIB, Bulk, false, false, KIB),
            // Sixteen a second by the budget of bytes: each may take some milliseconds to answer.
            Self::Question => (4 * KIB, Urgent, true, false, 256 * KIB),
            Self::Answer => (512 * KIB, Bulk, false, true, KIB),
        };
        Rule { max, lane, light_sends, light_gets, cost_min }
    }

    /// The longest payload of this kind, in bytes.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        self.rule().max as usize
    }

    /// Whether it is the caller's, not the transport's own.
    #[must_use]
    pub const fn is_payload(self) -> bool {
        self as u8 >= Self::Statements as u8
    }

    /// Whether it is only sent to who asked for it.
    pub(super) const fn answers(self) -> bool {
        matches!(self, Self::Response | Self::Answer)
    }

    /// Whether it asks for one of [`Self::answers`].
    pub(super) const fn asks(self) -> bool {
        matches!(self, Self::Request | Self::Question)
    }

    /// The kind of this number.
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "hello",
            Self::Goodbye => "goodbye",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::PeersWanted => "peers wanted",
            Self::Peers => "peers",
            Self::Announcement => "announcement",
            Self::Statements => "statements",
            Self::Block => "block",
            Self::Transactions => "transactions",
            Self::Tip => "tip",
            Self::Request => "request",
            Self::Response => "response",
            Self::Question => "question",
            Self::Answer => "answer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_one_kind_or_none() {
        let known = (0..=u8::MAX).filter_map(Kind::from_byte).collect::<Vec<_>>();
        assert_eq!(known, Kind::ALL);
        let ours = Kind::ALL.into_iter().filter(|kind| !kind.is_payload()).count();
        assert_eq!(ours, 7);
    }
}
