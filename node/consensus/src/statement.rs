//! What a validator signs, and where in a height it stands.

use alloc::boxed::Box;

use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Proposal, SignedProposal, SignedVote, Vote, VoteKind};
use serde::{Deserialize, Serialize};

use crate::polka::Polka;

/// The three things an honest validator signs in a round, each at most once and in this order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Step {
    /// The proposer's word for a block.
    Proposal,
    /// The first vote.
    Prevote,
    /// The second vote.
    Precommit,
}

impl From<VoteKind> for Step {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

/// A place in the order in which a key signs; it only ever moves forward.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Mark {
    /// The height.
    pub height: Height,
    /// The round of that height.
    pub round: Round,
    /// The step of that round.
    pub step: Step,
}

/// Something to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Statement {
    /// A proposal.
    Proposal(Proposal),
    /// A prevote or precommit.
    Vote(Vote),
}

impl Statement {
    /// Where it stands in the order of signing.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self {
            Self::Proposal(Proposal { height, round, .. }) => {
                Mark { height: *height, round: *round, step: Step::Proposal }
            }
            Self::Vote(Vote { height, round, kind, .. }) => {
                Mark { height: *height, round: *round, step: (*kind).into() }
            }
        }
    }

    /// The block it is for; `None` is a vote for no block.
    #[must_use]
    pub const fn block(&self) -> Option<BlockId> {
        match self {
            Self::Proposal(proposal) => Some(proposal.block),
            Self::Vote(vote) => vote.block,
        }
    }

    /// The key that has to sign it.
    #[must_use]
    pub const fn signer(&self) -> PublicKey {
        match self {
            Self::Proposal(proposal) => proposal.signer,
            Self::Vote(vote) => vote.signer,
        }
    }

    /// The statement with its signature. It must not leave before the guard has it on the card.
    #[must_use]
    pub fn sign(self, chain: &ChainId, key: &SigningKey) -> SignedStatement {
        match self {
            Self::Proposal(proposal) => SignedStatement::Proposal(proposal.sign(chain, key)),
            Self::Vote(vote) => SignedStatement::Vote(vote.sign(chain, key)),
        }
    }
}

/// A statement and its signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SignedStatement {
    /// A signed proposal.
    Proposal(SignedProposal),
    /// A signed vote.
    Vote(SignedVote),
}

impl SignedStatement {
    /// What was signed.
    #[must_use]
    pub const fn statement(&self) -> Statement {
        match self {
            Self::Proposal(signed) => Statement::Proposal(signed.proposal),
            Self::Vote(signed) => Statement::Vote(signed.vote),
        }
    }

    /// Whether the signature is the signer's.
    #[must_use]
    pub fn verify(&self, chain: &ChainId) -> bool {
        match self {
            Self::Proposal(signed) => signed.verify(chain),
            Self::Vote(signed) => signed.verify(chain),
        }
    }
}

/// What validators send each other to agree on a block. Blocks themselves travel beside it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Message {
    /// A proposal, beside which its sender offers the body of the block, or a vote.
    Statement(SignedStatement),
    /// Proof that a block proposed again was prevoted by two thirds before.
    Polka(Box<Polka>),
}

impl Message {
    /// The height it belongs to.
    #[must_use]
    pub fn height(&self) -> Height {
        match self {
            Self::Statement(signed) => signed.statement().mark().height,
            Self::Polka(polka) => polka.height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_ordered_by_height_then_round_then_step() {
        let mark = |height, round, step| Mark {
            height: Height::new(height),
            round: Round::new(round),
            step,
        };
        let rising = [
            mark(1, 0, Step::Proposal),
            mark(1, 0, Step::Prevote),
            mark(1, 0, Step::Precommit),
            mark(1, 1, Step::Proposal),
            mark(2, 0, Step::Proposal),
        ];
        assert!(rising.is_sorted_by(|a, b| a < b));
    }
}
