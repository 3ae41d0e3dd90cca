//! Blocks: a header that commits to everything, the parent's certificate, and transactions.

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, DecodeError};
use crate::hash::{BlockId, ChainId, Digest32, Domain};
use crate::signature::{Batch, PublicKey, Signature};
use crate::units::{Height, Round, UnixMillis};
use crate::validators::{VALIDATORS_MAX, ValidatorSet, is_quorum};
use crate::vote::{Vote, VoteKind};

/// The version of the block format this crate reads and writes.
pub const BLOCK_VERSION: u8 = 1;

/// The longest encoding of a block that is ever decoded: the largest body genesis may allow, and
/// room for the header and a full certificate.
pub const BLOCK_BYTES_MAX: usize = 800 * 1_024;

const BLOCK: Domain = Domain::new(b"goodwatt/block");
const CERTIFICATE: Domain = Domain::new(b"goodwatt/certificate");

/// What a block says of itself; its hash is the block's id.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// Format, [`BLOCK_VERSION`].
    pub version: u8,
    /// The chain it belongs to.
    pub chain: ChainId,
    /// Its position; the first block has height 1.
    pub height: Height,
    /// The round in which it was first proposed.
    pub round: Round,
    /// The block before it; the first block names the zero id.
    pub parent: BlockId,
    /// The proposer's time, later than the parent's.
    pub time: UnixMillis,
    /// The slot key of the proposer.
    pub proposer: PublicKey,
    /// Merkle root over the ids of its transactions.
    pub transactions_root: Digest32,
    /// How many transactions it holds.
    pub transaction_count: u32,
    /// Root of the state after this block.
    pub state_root: Digest32,
    /// Root of the mountain range over the ids of all blocks before this one.
    pub history_root: Digest32,
    /// Hash of the set that decides this block.
    pub validators_hash: Digest32,
    /// Hash of the set that decides the next block.
    pub next_validators_hash: Digest32,
    /// Hash of the parent's certificate in the body; zero in the first block.
    pub parent_certificate_hash: Digest32,
    /// The next link of the proposer's hash chain, in its first block of a term.
    pub reveal: Option<Digest32>,
}

impl Header {
    /// The block's id.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(Digest32::of(BLOCK, &[&codec::encode(self)]))
    }
}

/// One validator's precommit in a certificate.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CommitSignature {
    /// Position in the set that decided the block.
    pub validator: u8,
    /// Signature over the precommit for the block.
    pub signature: Signature,
}

/// Proof that more than two thirds of the weight decided a block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Certificate {
    /// Height of the block.
    pub height: Height,
    /// Round in which it was decided.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// Precommits, by rising position.
    pub signatures: heapless::Vec<CommitSignature, VALIDATORS_MAX>,
}

/// Why a certificate does not prove its block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Positions are not rising, or beyond the set.
    #[error("the certificate names validators out of order or outside of the set")]
    Positions,
    /// Two thirds of the weight or less.
    #[error("the certificate holds {weight} of {total} grains of weight, not more than two thirds")]
    NoQuorum {
        /// Weight that signed, in grains.
        weight: u64,
        /// Weight of the set, in grains.
        total: u64,
    },
    /// A signature does not verify.
    #[error("a signature in the certificate is not valid")]
    Signature,
}

impl Certificate {
    /// The hash that stands in the next block's header.
    #[must_use]
    pub fn hash(&self) -> Digest32 {
        Digest32::of(CERTIFICATE, &[&codec::encode(self)])
    }

    /// Checks positions and weight, and puts the signatures into `batch` for the caller to verify.
    ///
    /// # Errors
    /// [`CertificateError::Positions`] or [`CertificateError::NoQuorum`].
    pub fn check(
        &self,
        chain: &ChainId,
        set: &ValidatorSet,
        batch: &mut Batch,
    ) -> Result<(), CertificateError> {
        let mut weight = 0_u64;
        let mut next = 0_usize;
        for commit in &self.signatures {
            let position = usize::from(commit.validator);
            if position < next {
                return Err(CertificateError::Positions);
            }
            next = position + 1;
            let validator = set.at(position).ok_or(CertificateError::Positions)?;
            weight += validator.weight.get();
            batch.push(
                validator.signer,
                self.precommit(validator.signer).digest(chain),
                commit.signature,
            );
        }
        let total = set.total_weight();
        if is_quorum(weight, total) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { weight, total })
        }
    }

    /// Checks everything, signatures included.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        let mut batch = Batch::default();
        self.check(chain, set, &mut batch)?;
        if batch.verify() { Ok(()) } else { Err(CertificateError::Signature) }
    }

    /// The vote that `signer` signed for this certificate.
    #[must_use]
    pub const fn precommit(&self, signer: PublicKey) -> Vote {
        Vote {
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
            signer,
        }
    }
}

/// The bytes of one transaction, as its sender wrote them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RawTransaction(pub Vec<u8>);

impl Serialize for RawTransaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for RawTransaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = RawTransaction;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a transaction")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<RawTransaction, E> {
                // A block of a megabyte of empty ones would take 25 MB once it is decoded.
                if bytes.len() < crate::transaction::SIGNATURE_BYTES {
                    return Err(E::custom("transaction too short"));
                }
                if bytes.len() > crate::transaction::TRANSACTION_BYTES_MAX {
                    return Err(E::custom("transaction too long"));
                }
                Ok(RawTransaction(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes).map_err(D::Error::custom)
    }
}

/// A block: header, the parent's certificate, transactions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Block {
    /// What the id is taken over.
    pub header: Header,
    /// Who decided the parent; `None` in the first block only.
    pub parent_certificate: Option<Certificate>,
    /// The transactions, in the order they are carried out.
    pub transactions: Vec<RawTransaction>,
}

impl Block {
    /// Reads a block from its bytes.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.first() {
            None => Err(DecodeError::Malformed),
            Some(&BLOCK_VERSION) => codec::decode_within(bytes, BLOCK_BYTES_MAX),
            Some(&version) => Err(DecodeError::UnknownVersion(version)),
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_is_shorter_than_a_signature_is_no_transaction() {
        let check = |len: u8, is_one: bool| {
            let mut bytes = vec![len];
            bytes.resize(1 + usize::from(len), 1);
            assert_eq!(codec::decode::<RawTransaction>(&bytes).is_ok(), is_one, "{len}");
        };
        check(0, false);
        check(63, false);
        check(64, true);
    }
}
