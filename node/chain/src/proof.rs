//! What a light peer needs: one header, one certificate, one path.
//!
//! A light peer keeps no state. It trusts one hash, that of the set of validators in charge: of
//! height 1 by [`Genesis::founding_set`], and of every later one by the
//! `next_validators_hash` of a header it verified. [`verify_header`] makes a [`VerifiedHeader`],
//! and that proves an account, a transaction or an ancestor.
//!
//! The set changes only at the beginning of a term, so a light peer goes from one such block to
//! the next and leaves out those between. Whoever was in charge long ago has nothing left to lose
//! after the vesting delay: a light peer that slept longer begins from a fresh header.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::block::{BLOCK_VERSION, Certificate, CertificateError, Header};
use crate::codec::{self, DecodeError};
use crate::genesis::Genesis;
use crate::hash::{BlockId, ChainId, Digest32, TxId};
use crate::history::HistoryProof;
use crate::merkle::InclusionProof;
use crate::signature::{Batch, PublicKey};
use crate::state::{Account, Key};
use crate::tree::{self, StateProof};
use crate::units::Height;
use crate::validators::{Validator, ValidatorSet};

/// The longest [`DecidedHeader`]: a header (352 bytes), a certificate of 100 signatures (6,549)
/// and a set of 100 (7,401), rounded up to 16 KiB.
pub const DECIDED_HEADER_BYTES_MAX: usize = 16 * 1_024;

/// The longest [`TransactionProof`]: a second header, and paths of 16 and of 49 hashes at most.
pub const TRANSACTION_PROOF_BYTES_MAX: usize = DECIDED_HEADER_BYTES_MAX + 3 * 1_024;

/// The longest [`StateLeafProof`]: a path is 256 hashes at most, and the largest record, a full
/// list of bids, has 21 KiB.
pub const STATE_LEAF_PROOF_BYTES_MAX: usize = DECIDED_HEADER_BYTES_MAX + 32 * 1_024;

/// Why something is not proven. The peer that sent it lied, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The bytes are not those of a proof.
    #[error("not a proof: {0}")]
    Decode(#[from] DecodeError),
    /// The header has another format; this node may be out of date.
    #[error("block format {0} is unknown here: update this node, or ask another peer")]
    UnknownVersion(u8),
    /// The header belongs to another chain.
    #[error("the header belongs to chain {0}: ask a peer of this chain")]
    WrongChain(ChainId),
    /// The set of validators given is not the trusted one: the peer lied, or the trusted hash is
    /// that of another term.
    #[error(
        "the validators given hash to {found}, trusted is {trusted}: follow the terms in order"
    )]
    UntrustedValidators {
        /// Hash of the set given.
        found: Digest32,
        /// The trusted hash.
        trusted: Digest32,
    },
    /// The header was decided by another set than the trusted one.
    #[error("the header names validators {found}, trusted is {trusted}: follow the terms in order")]
    OtherValidators {
        /// Hash in the header.
        found: Digest32,
        /// The trusted hash.
        trusted: Digest32,
    },
    /// The certificate is of another block than the header.
    #[error("the certificate is of another block than the header; ask another peer")]
    OtherBlock,
    /// The certificate proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The path does not lead to the state root.
    #[error(transparent)]
    State(#[from] tree::ProofError),
    /// The record is proven, but is not of its kind: the peer took the path of another leaf, or
    /// speaks a newer format.
    #[error("the proven bytes are not a record of its kind")]
    Record,
    /// The path does not lead to the header's root over its transactions.
    #[error("the transaction is not proven to be in this block; ask another peer")]
    Transaction,
    /// The path does not lead to the header's root over its history.
    #[error("the block is not proven to be an ancestor; ask another peer")]
    Ancestor,
}

/// A header that was proven to be decided: by a certificate, or as an ancestor of one that was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedHeader {
    header: Header,
    id: BlockId,
}

/// Checks that more than two thirds of the weight of the trusted set decided `header`.
///
/// `trusted` is the hash of the set in charge of that height, see the [module](self).
///
/// # Errors
/// The first fault found, cheap checks first; see [`ProofError`].
pub fn verify_header(
    chain: &ChainId,
    trusted: &Digest32,
    header: &Header,
    certificate: &Certificate,
    validators: &ValidatorSet,
) -> Result<VerifiedHeader, ProofError> {
    let mut batch = Batch::default();
    let verified = check_header(chain, trusted, header, certificate, validators, &mut batch)?;
    if batch.verify() { Ok(verified) } else { Err(CertificateError::Signature.into()) }
}

/// Checks all but the signatures, which it adds to `batch`: nothing is verified before they are.
pub(crate) fn check_header(
    chain: &ChainId,
    trusted: &Digest32,
    header: &Header,
    certificate: &Certificate,
    validators: &ValidatorSet,
    batch: &mut Batch,
) -> Result<VerifiedHeader, ProofError> {
    if header.version != BLOCK_VERSION {
        return Err(ProofError::UnknownVersion(header.version));
    }
    if header.chain != *chain {
        return Err(ProofError::WrongChain(header.chain));
    }
    let (found, trusted) = (validators.hash(), *trusted);
    if found != trusted {
        return Err(ProofError::UntrustedValidators { found, trusted });
    }
    let found = header.validators_hash;
    if found != trusted {
        return Err(ProofError::OtherValidators { found, trusted });
    }
    let id = header.id();
    if certificate.height != header.height || certificate.block != id {
        return Err(ProofError::OtherBlock);
    }
    certificate.check(chain, validators, batch)?;
    Ok(VerifiedHeader { header: header.clone(), id })
}

impl VerifiedHeader {
    /// A header that is trusted without a proof, as somebody vouches for its id.
    pub(crate) fn of_checkpoint(header: Header) -> Self {
        Self { id: header.id(), header }
    }

    /// What the block says of itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The block's id.
    #[must_use]
    pub const fn id(&self) -> &BlockId {
        &self.id
    }

    /// The hash of the set that decides the next block: what to trust from here on.
    #[must_use]
    pub const fn next_trusted(&self) -> &Digest32 {
        &self.header.next_validators_hash
    }

    /// The record at `key` in the state after this block, or `None`: it is proven that there is
    /// none. `T` has to be the type that [`Key`] names.
    ///
    /// # Errors
    /// [`ProofError::State`] and [`ProofError::Record`].
    pub fn record<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        proof: &StateProof,
    ) -> Result<Option<T>, ProofError> {
        let Some(value) = proof.verify(&self.header.state_root, &key.leaf())? else {
            return Ok(None);
        };
        let record = value.split_first().filter(|(kind, _)| **kind == key.kind());
        let (_, record) = record.ok_or(ProofError::Record)?;
        codec::decode(record).map(Some).map_err(|_| ProofError::Record)
    }

    /// An account after this block, or `None`: it is proven that there is none.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn account(
        &self,
        key: &PublicKey,
        proof: &StateProof,
    ) -> Result<Option<Account>, ProofError> {
        self.record(Key::Account(*key), proof)
    }

    /// The position of a transaction in this block.
    ///
    /// # Errors
    /// [`ProofError::Transaction`].
    pub fn transaction(&self, id: &TxId, path: &InclusionProof) -> Result<u32, ProofError> {
        let Header { transactions_root, transaction_count, .. } = &self.header;
        if path.verify(transactions_root, *transaction_count, id) {
            Ok(path.index())
        } else {
            Err(ProofError::Transaction)
        }
    }

    /// Whether the block `id` stands at `height` below this one.
    ///
    /// # Errors
    /// [`ProofError::Ancestor`].
    pub fn ancestor(
        &self,
        height: Height,
        id: &BlockId,
        path: &HistoryProof,
    ) -> Result<(), ProofError> {
        // The first block's history is empty, so a block's holds as many as its height less one.
        let blocks = self.header.height.get().saturating_sub(1);
        if path.verify(&self.header.history_root, blocks, height, id) {
            Ok(())
        } else {
            Err(ProofError::Ancestor)
        }
    }

    /// Verifies the header of an ancestor, which needs no certificate of its own.
    ///
    /// # Errors
    /// [`ProofError::Ancestor`].
    pub fn ancestor_header(
        &self,
        header: &Header,
        path: &HistoryProof,
    ) -> Result<Self, ProofError> {
        let id = header.id();
        self.ancestor(header.height, &id, path)?;
        Ok(Self { header: header.clone(), id })
    }
}

/// A header with all that proves it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DecidedHeader {
    /// The header.
    pub header: Header,
    /// Who decided it.
    pub certificate: Certificate,
    /// The set they are of.
    pub validators: ValidatorSet,
}

impl DecidedHeader {
    /// Reads it from bytes, at most [`DECIDED_HEADER_BYTES_MAX`].
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, DECIDED_HEADER_BYTES_MAX)
    }

    /// Verifies it, see [`verify_header`].
    ///
    /// # Errors
    /// As [`verify_header`].
    pub fn verify(
        &self,
        chain: &ChainId,
        trusted: &Digest32,
    ) -> Result<VerifiedHeader, ProofError> {
        verify_header(chain, trusted, &self.header, &self.certificate, &self.validators)
    }
}

/// Leads from a decided header to an earlier one, which needs no certificate of its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ancestor {
    /// The earlier header.
    pub header: Header,
    /// The path to the later one's history root.
    pub path: HistoryProof,
}

/// Proves that a transaction stands in a block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TransactionProof {
    /// The block, or a later one.
    pub decided: DecidedHeader,
    /// The block, where that is an earlier one.
    pub ancestor: Option<Ancestor>,
    /// The path to the block's root over transactions.
    pub path: InclusionProof,
}

impl TransactionProof {
    /// Reads it from bytes, at most [`TRANSACTION_PROOF_BYTES_MAX`].
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, TRANSACTION_PROOF_BYTES_MAX)
    }

    /// Verifies headers and paths; gives the block and the position of `id` in it.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(
        &self,
        chain: &ChainId,
        trusted: &Digest32,
        id: &TxId,
    ) -> Result<(VerifiedHeader, u32), ProofError> {
        let decided = self.decided.verify(chain, trusted)?;
        self.place(&decided, id)
    }

    /// The block and the position of `id` in it, below a header that was verified already.
    pub(crate) fn place(
        &self,
        decided: &VerifiedHeader,
        id: &TxId,
    ) -> Result<(VerifiedHeader, u32), ProofError> {
        let block = match &self.ancestor {
            Some(ancestor) => decided.ancestor_header(&ancestor.header, &ancestor.path)?,
            None => decided.clone(),
        };
        let index = block.transaction(id, &self.path)?;
        Ok((block, index))
    }
}

/// Proves what stands at a key of the state after a block, or that nothing stands there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StateLeafProof {
    /// The block.
    pub decided: DecidedHeader,
    /// The path to its state root, with the value.
    pub path: StateProof,
}

impl StateLeafProof {
    /// Reads it from bytes, at most [`STATE_LEAF_PROOF_BYTES_MAX`].
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, STATE_LEAF_PROOF_BYTES_MAX)
    }

    /// Verifies the header and the path; gives the block and the record, or that there is none.
    /// `T` has to be the type that [`Key`] names.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify<T: Serialize + DeserializeOwned>(
        &self,
        chain: &ChainId,
        trusted: &Digest32,
        key: Key,
    ) -> Result<(VerifiedHeader, Option<T>), ProofError> {
        let header = self.decided.verify(chain, trusted)?;
        let record = header.record(key, &self.path)?;
        Ok((header, record))
    }
}

impl Genesis {
    /// The set in charge of the first block: its hash is what a light peer trusts at first.
    #[must_use]
    pub fn founding_set(&self) -> ValidatorSet {
        ValidatorSet::new(self.founders.iter().map(|founder| Validator {
            owner: founder.owner,
            signer: founder.signer,
            weight: founder.weight,
        }))
    }
}
