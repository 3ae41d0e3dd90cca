//! What a light peer asks a main node, and what it is answered.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::block::{Header, RawTransaction};
use crate::codec::{self, DecodeError};
use crate::hash::{Digest32, TxId};
use crate::proof::{DecidedHeader, StateLeafProof, TransactionProof};
use crate::signature::PublicKey;
use crate::state::{Account, Bounded};
use crate::units::Height;

/// The longest question: a transaction of 2 KiB, and a little.
pub const QUESTION_BYTES_MAX: usize = 4 * 1_024;

/// The longest answer: [`STEPS_MAX`] decided headers.
pub const ANSWER_BYTES_MAX: usize = 512 * 1_024;

/// The most steps in one answer: each has 14.5 KiB in memory, however short it came.
pub const STEPS_MAX: usize = 32;

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 200;

/// One question. One is open at a time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Question {
    /// Leads from a trusted set to the last block: [`Answer::Steps`].
    Follow {
        /// The last height that the asker has verified.
        after: Height,
        /// Hash of the set that decides the block after it.
        trusted: Digest32,
    },
    /// The header at a height, to begin at: [`Answer::Header`].
    Header {
        /// The height.
        height: Height,
    },
    /// An account at the last block: [`Answer::Account`].
    Account {
        /// Whose.
        key: PublicKey,
    },
    /// A transaction: [`Answer::Transaction`], or [`Answer::Waits`].
    Transaction {
        /// Its id.
        id: TxId,
    },
    /// Hands in a transaction: [`Answer::Submitted`].
    Submit {
        /// Its bytes.
        transaction: RawTransaction,
    },
}

/// One answer. Proofs are to be verified, see [`super::LightPeer`]; the rest is a node's word.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Answer {
    /// The last block decided by the trusted set, the last one decided by the set that follows it,
    /// and so on, as many as fit, up to the last block of all.
    Steps(Bounded<DecidedHeader, STEPS_MAX>),
    /// A header.
    Header(Box<Header>),
    /// An account.
    Account {
        /// What it is at the last block.
        proof: Box<StateLeafProof>,
        /// What it will be when everything is sealed that waits at the node; its word.
        pending: Account,
    },
    /// A transaction in a block.
    Transaction {
        /// Its bytes.
        transaction: RawTransaction,
        /// Where it stands.
        proof: Box<TransactionProof>,
    },
    /// A transaction that waits to be sealed; the node's word.
    Waits(RawTransaction),
    /// The transaction waits at the node from now on; its word.
    Submitted(TxId),
    /// There is nothing to give.
    Nothing(Excuse),
}

/// Why a node gives nothing. It may lie, and then another node gives more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum Excuse {
    /// No block was sealed yet.
    #[error("the node says that this chain has no block yet")]
    NoBlock,
    /// Sets or blocks of that time are not kept.
    #[error(
        "the node says that it does not keep what is that old: begin at a newer block that somebody \
        you trust tells you (a checkpoint)"
    )]
    NotKept,
    /// It knows no such transaction.
    #[error(
        "the node says that it knows no such transaction; that there is none, nobody can prove"
    )]
    NoTransaction,
    /// It gets ready to prove what is old.
    #[error("the node gets ready to prove what is that old: {done} of {of} blocks")]
    NotReady {
        /// Blocks it went through.
        done: u64,
        /// Blocks there are.
        of: u64,
    },
    /// The transaction is refused.
    #[error("{0}")]
    Refused(Box<heapless::String<REASON_BYTES_MAX>>),
    /// The node itself failed.
    #[error("the node says that it failed; its log says more")]
    Failed,
}

impl Excuse {
    /// A refusal with its reason, cut to what fits.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        let mut text = Box::new(heapless::String::new());
        // The first character that does not fit ends it.
        let _cut = reason.chars().try_for_each(|character| text.push(character));
        Self::Refused(text)
    }
}

impl Question {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is too long, or not the canonical encoding of a question.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, QUESTION_BYTES_MAX)
    }
}

impl Answer {
    /// The header that its proof hangs on.
    #[must_use]
    pub const fn decided(&self) -> Option<&DecidedHeader> {
        match self {
            Self::Account { proof, .. } => Some(&proof.decided),
            Self::Transaction { proof, .. } => Some(&proof.decided),
            _ => None,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is too long, or not the canonical encoding of an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, ANSWER_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let check = |reason: &str, want: &str| {
            let Excuse::Refused(text) = Excuse::refused(reason) else { panic!("a refusal") };
            assert_eq!(text.as_str(), want);
        };
        check("", "");
        check("overdrawn", "overdrawn");
        let long = "\u{e9}".repeat(101);
        check(&long, &long[..200]);
        check(&alloc::format!("x{long}"), &alloc::format!("x{}", &long[..198]));
    }

    #[test]
    fn longer_bytes_are_not_even_read() {
        let len = QUESTION_BYTES_MAX + 1;
        let too_long = |limit| DecodeError::TooLong { len: limit + 1, limit };
        assert_eq!(Question::decode(&alloc::vec![0; len]), Err(too_long(QUESTION_BYTES_MAX)));
        let len = ANSWER_BYTES_MAX + 1;
        assert_eq!(Answer::decode(&alloc::vec![0; len]), Err(too_long(ANSWER_BYTES_MAX)));
    }
}
