//! What validators sign while they agree on a block: proposals and votes, and proof of a cheat.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::hash::{BlockId, ChainId, Digest32, Domain};
use crate::signature::{PublicKey, Signature, SigningKey, verify};
use crate::units::{Height, Round};

const SIGN_VOTE: Domain = Domain::new(b"goodwatt/sign/vote");
const SIGN_PROPOSAL: Domain = Domain::new(b"goodwatt/sign/proposal");

/// The step of a round in which a vote is cast.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum VoteKind {
    /// First vote: the block is valid and was proposed in time.
    Prevote,
    /// Second vote: two thirds prevoted for the block.
    Precommit,
}

/// One validator's vote in one round.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vote {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// Height voted on.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// The block voted for, or `None`: no block in this round.
    pub block: Option<BlockId>,
    /// The slot key that votes.
    pub signer: PublicKey,
}

impl Vote {
    /// What the signer signs: chain id, kind and every field.
    #[must_use]
    pub fn digest(&self, chain: &ChainId) -> Digest32 {
        Digest32::of(SIGN_VOTE, &[chain.as_bytes(), &codec::encode(self)])
    }

    /// The vote with its signature.
    #[must_use]
    pub fn sign(self, chain: &ChainId, key: &SigningKey) -> SignedVote {
        SignedVote { signature: key.sign(&self.digest(chain)), vote: self }
    }
}

/// A vote and its signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SignedVote {
    /// The vote.
    pub vote: Vote,
    /// The signer's signature over [`Vote::digest`].
    pub signature: Signature,
}

impl SignedVote {
    /// Whether the signature is the signer's.
    #[must_use]
    pub fn verify(&self, chain: &ChainId) -> bool {
        verify(&self.vote.signer, &self.vote.digest(chain), &self.signature)
    }
}

/// The proposer's word that this block is its proposal for this round.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposal {
    /// Height proposed for.
    pub height: Height,
    /// Round proposed in.
    pub round: Round,
    /// The block proposed.
    pub block: BlockId,
    /// The earlier round in which two thirds prevoted for this block, when it is proposed again.
    pub pol_round: Option<Round>,
    /// The slot key that proposes.
    pub signer: PublicKey,
}

impl Proposal {
    /// What the signer signs: chain id, kind and every field.
    #[must_use]
    pub fn digest(&self, chain: &ChainId) -> Digest32 {
        Digest32::of(SIGN_PROPOSAL, &[chain.as_bytes(), &codec::encode(self)])
    }

    /// The proposal with its signature.
    #[must_use]
    pub fn sign(self, chain: &ChainId, key: &SigningKey) -> SignedProposal {
        SignedProposal { signature: key.sign(&self.digest(chain)), proposal: self }
    }
}

/// A proposal and its signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SignedProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// The signer's signature over [`Proposal::digest`].
    pub signature: Signature,
}

impl SignedProposal {
    /// Whether the signature is the signer's.
    #[must_use]
    pub fn verify(&self, chain: &ChainId) -> bool {
        verify(&self.proposal.signer, &self.proposal.digest(chain), &self.signature)
    }
}

/// Two things signed by one key of which an honest validator signs at most one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Evidence {
    /// Two votes of one kind for different blocks in one round.
    Votes(SignedVote, SignedVote),
    /// Two proposals in one round.
    Proposals(SignedProposal, SignedProposal),
}

impl Evidence {
    /// The key that signed both.
    #[must_use]
    pub const fn signer(&self) -> PublicKey {
        match self {
            Self::Votes(first, _) => first.vote.signer,
            Self::Proposals(first, _) => first.proposal.signer,
        }
    }

    /// The height both were signed for.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Votes(first, _) => first.vote.height,
            Self::Proposals(first, _) => first.proposal.height,
        }
    }

    /// Whether the two contradict each other: same key, height, round and step, another content.
    ///
    /// A proposal of one block with two different `pol_round`s is no contradiction of blocks, but
    /// an honest key signs one of them only, so it counts.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Votes(SignedVote { vote: a, .. }, SignedVote { vote: b, .. }) => {
                (a.signer, a.kind, a.height, a.round) == (b.signer, b.kind, b.height, b.round)
                    && a.block != b.block
            }
            Self::Proposals(
                SignedProposal { proposal: a, .. },
                SignedProposal { proposal: b, .. },
            ) => (a.signer, a.height, a.round) == (b.signer, b.height, b.round) && a != b,
        }
    }

    /// The two (digest, signature) pairs to verify under [`Self::signer`].
    #[must_use]
    pub fn signatures(&self, chain: &ChainId) -> [(Digest32, Signature); 2] {
        match self {
            Self::Votes(a, b) => {
                [(a.vote.digest(chain), a.signature), (b.vote.digest(chain), b.signature)]
            }
            Self::Proposals(a, b) => {
                [(a.proposal.digest(chain), a.signature), (b.proposal.digest(chain), b.signature)]
            }
        }
    }
}
