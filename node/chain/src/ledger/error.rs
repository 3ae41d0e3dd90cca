//! Why the ledger refuses a block, or cannot be opened.

use crate::block::CertificateError;
use crate::genesis::GenesisError;
use crate::hash::{BlockId, ChainId, Digest32};
use crate::rules::Refusal;
use crate::signature::PublicKey;
use crate::state::StateError;
use crate::transaction::TransactionError;
use crate::units::Height;

/// Why a block is refused. Its proposer, or who sent it, is at fault unless the variant says so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Another format.
    #[error("block format {0} is unknown here; this node speaks format 1")]
    UnknownVersion(u8),
    /// Of another chain.
    #[error("the block belongs to chain {0}")]
    WrongChain(ChainId),
    /// Not the next height.
    #[error("the block is for {found}, the next is {expected}")]
    WrongHeight {
        /// Height of the block.
        found: Height,
        /// The next height.
        expected: Height,
    },
    /// It follows another block.
    #[error("the block follows {0}, which is not the tip")]
    WrongParent(BlockId),
    /// Its time is not later than its parent's, or nearer than genesis allows.
    #[error("the block's time is not far enough after its parent's")]
    TooEarly,
    /// Proposed by one who was not drawn.
    #[error("{0} was not drawn to propose in this round")]
    NotProposer(PublicKey),
    /// The parent's certificate is missing, or there where there is no parent.
    #[error("the parent's certificate is missing or names another block")]
    WrongCertificate,
    /// The parent's certificate proves nothing.
    #[error("the parent's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// A field of the header does not follow from parent, body and rules.
    #[error("the header's {0} does not follow from its parent, its body and the rules")]
    WrongField(&'static str),
    /// The proposer's link is missing, repeated, or not of its chain.
    #[error("the proposer's reveal is missing, repeated, or not the next link of its chain")]
    WrongReveal,
    /// Nothing to seal: no transaction, and no epoch to begin.
    #[error("an empty block is allowed only as the first of an epoch")]
    NothingToSeal,
    /// The sealing rule wants another count, or more time.
    #[error("{0} transactions do not fit the sealing rule at this time")]
    SealingRule(usize),
    /// More transactions or bytes than genesis allows.
    #[error("the block holds more transactions or bytes than this chain allows")]
    TooLarge,
    /// A transaction is malformed.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// What is wrong.
        error: TransactionError,
    },
    /// A transaction is refused by the rules.
    #[error("transaction {index}: {refusal}")]
    Refused {
        /// Position in the block.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// A signature does not verify: of a transaction or in the certificate.
    #[error("a signature in the block is not valid")]
    Signature,
    /// Our own store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a ledger cannot be opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Genesis is not fit to begin a chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The leaves are not those of the tip: the index has to be rebuilt.
    #[error("the state index holds root {found}, the ledger's tip says {expected}: rebuild it")]
    WrongRoot {
        /// Root of the leaves.
        found: Digest32,
        /// Root in the tip.
        expected: Digest32,
    },
}
