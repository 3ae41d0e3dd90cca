//! From the ledger's types to the driver's and back.

use arc_malachitebft_core_types as malachite;
use goodwatt_chain::block::CommitSignature;
use goodwatt_chain::signature::{PublicKey, Signature};
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{SignedVote, Vote, VoteKind};
use malachite::{NilOrVal, SignedMessage, TimeoutKind, VoteType};

use super::adapter::{EngineBlock, EngineHeight, EngineProposal, EngineVote, Position, Rules};
use crate::event::Timeout;
use crate::polka::Polka;
use crate::statement::Step;

/// A vote with its signature, as the driver keeps it.
pub(super) type EngineSignedVote = malachite::SignedVote<Rules>;

impl EngineVote {
    /// The vote of the ledger, given its signer's key.
    pub(super) fn to_vote(&self, signer: PublicKey) -> Vote {
        Vote {
            kind: match self.kind {
                VoteType::Prevote => VoteKind::Prevote,
                VoteType::Precommit => VoteKind::Precommit,
            },
            height: self.height.0,
            round: from_engine(self.round),
            block: match self.block {
                NilOrVal::Nil => None,
                NilOrVal::Val(EngineBlock(block)) => Some(block),
            },
            signer,
        }
    }

    /// The round and block of a precommit for a block.
    pub(super) const fn committed(&self) -> Option<(malachite::Round, EngineBlock)> {
        match (self.kind, self.block) {
            (VoteType::Precommit, NilOrVal::Val(block)) => Some((self.round, block)),
            _ => None,
        }
    }
}

/// The ledger's signed vote, given its signer's key.
pub(super) fn to_signed_vote(signed: &EngineSignedVote, signer: PublicKey) -> SignedVote {
    SignedVote {
        vote: signed.message.to_vote(signer),
        signature: Signature::from_bytes(signed.signature),
    }
}

/// The driver's signed vote, given its signer's position.
pub(super) fn engine_vote(signed: &SignedVote, voter: Position) -> EngineSignedVote {
    let vote = EngineVote {
        kind: match signed.vote.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        },
        height: EngineHeight(signed.vote.height),
        round: to_engine(signed.vote.round),
        block: signed.vote.block.map_or(NilOrVal::Nil, |block| NilOrVal::Val(EngineBlock(block))),
        voter,
    };
    EngineSignedVote::new(vote, signed.signature.to_bytes())
}

/// The driver's round.
pub(super) const fn to_engine(round: Round) -> malachite::Round {
    malachite::Round::Some(round.get())
}

/// The ledger's round; the driver's round before the first one is taken for the first.
pub(super) const fn from_engine(round: malachite::Round) -> Round {
    match round {
        malachite::Round::Nil => Round::ZERO,
        malachite::Round::Some(round) => Round::new(round),
    }
}

/// The round a proposal says its block was prevoted in, if any.
pub(super) const fn optional_round(round: malachite::Round) -> Option<Round> {
    match round {
        malachite::Round::Nil => None,
        malachite::Round::Some(round) => Some(Round::new(round)),
    }
}

/// A proposal for the driver, which keeps a signature with it but never reads it: the signed
/// proposals are kept in [`super::proposals`].
pub(super) fn unsigned(proposal: EngineProposal) -> SignedMessage<Rules, EngineProposal> {
    SignedMessage::new(proposal, [0; 64])
}

/// The driver's polka.
pub(super) fn engine_polka(polka: &Polka) -> malachite::PolkaCertificate<Rules> {
    let prevotes = polka.prevotes.iter().map(|prevote| {
        malachite::PolkaSignature::new(Position(prevote.validator), prevote.signature.to_bytes())
    });
    malachite::PolkaCertificate {
        height: EngineHeight(polka.height),
        round: to_engine(polka.round),
        value_id: EngineBlock(polka.block),
        polka_signatures: prevotes.collect(),
    }
}

/// The driver's timeout.
pub(super) const fn engine_timeout(timeout: Timeout) -> malachite::Timeout {
    let kind = match timeout.step {
        Step::Proposal => TimeoutKind::Propose,
        Step::Prevote => TimeoutKind::Prevote,
        Step::Precommit => TimeoutKind::Precommit,
    };
    malachite::Timeout::new(to_engine(timeout.round), kind)
}

/// A validator's signature as a certificate or polka has it.
pub(super) fn commit_signature(position: Position, signature: [u8; 64]) -> CommitSignature {
    CommitSignature { validator: position.0, signature: Signature::from_bytes(signature) }
}

/// Signatures by rising position. A set has no more members than the list has room.
pub(super) fn sorted<const N: usize>(
    signatures: impl Iterator<Item = CommitSignature>,
) -> heapless::Vec<CommitSignature, N> {
    let mut sorted: heapless::Vec<CommitSignature, N> = signatures.collect();
    sorted.sort_unstable_by_key(|signature| signature.validator);
    sorted
}

/// The ledger's timeout; `None` for kinds of the layer above the driver, which this crate takes the
/// place of.
pub(super) const fn from_engine_timeout(
    height: Height,
    timeout: malachite::Timeout,
) -> Option<Timeout> {
    let step = match timeout.kind {
        TimeoutKind::Propose => Step::Proposal,
        TimeoutKind::Prevote => Step::Prevote,
        TimeoutKind::Precommit => Step::Precommit,
        TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return None,
    };
    Some(Timeout { height, round: from_engine(timeout.round), step })
}
