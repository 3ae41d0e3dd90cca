//! The ledger's types in the shape that the Malachite driver asks for.
//!
//! A validator is known to the driver by its position in the set: one byte, the same number that a
//! certificate names it by. The driver sees signatures only as bytes it keeps for us.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::array::TryFromSliceError;
use core::fmt;

use arc_malachitebft_core_types as malachite;
use goodwatt_chain::hash::{BlockId, Digest32};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::validators::ValidatorSet;
use malachite::{NilOrVal, VoteType};

use super::convert::from_engine;

/// The set and the seed of one height.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) validators: Arc<ValidatorSet>,
    pub(super) seed: Digest32,
}

impl Rules {
    /// Who proposes; position 0 for a set without weight, which no height starts with.
    pub(super) fn proposer(&self, height: Height, round: Round) -> Position {
        let proposer = self.validators.proposer(&self.seed, height, round);
        let position = proposer.and_then(|validator| self.position(&validator.signer));
        position.unwrap_or(Position(0))
    }

    /// Where the validator with this key stands.
    pub(super) fn position(&self, signer: &PublicKey) -> Option<Position> {
        self.validators.position(signer).and_then(|at| u8::try_from(at).ok()).map(Position)
    }

    /// The weight of the validator at `position`, in grains.
    pub(super) fn weight(&self, position: Position) -> u64 {
        self.validators.at(usize::from(position.0)).map_or(0, |validator| validator.weight.get())
    }

    /// The set as the driver asks for it.
    pub(super) fn members(&self) -> Members {
        let members = self.validators.iter().zip(0..).map(|(validator, position)| Member {
            position: Position(position),
            key: validator.signer,
            weight: validator.weight.get(),
        });
        Members { total: self.validators.total_weight(), members: members.collect() }
    }
}

/// A validator's position in the set.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Position(pub(super) u8);

impl Position {
    /// Where a node stands that is no validator: beyond the largest set.
    pub(super) const OBSERVER: Self = Self(u8::MAX);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validator {}", self.0)
    }
}

impl malachite::Address for Position {}

/// A validator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Member {
    position: Position,
    key: PublicKey,
    weight: u64,
}

impl malachite::Validator<Rules> for Member {
    fn address(&self) -> &Position {
        &self.position
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.weight
    }
}

/// The validators of a height and the sum of their weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Members {
    total: u64,
    members: Arc<[Member]>,
}

impl malachite::ValidatorSet<Rules> for Members {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.total
    }

    fn get_by_address(&self, position: &Position) -> Option<&Member> {
        self.get_by_index(usize::from(position.0))
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.members.get(index)
    }
}

/// A height.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct EngineHeight(pub(super) Height);

impl fmt::Display for EngineHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl malachite::Height for EngineHeight {
    const ZERO: Self = Self(Height::ZERO);
    const INITIAL: Self = Self(Height::new(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(Height::new(self.0.get().saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.get().checked_sub(n).map(|height| Self(Height::new(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.get()
    }
}

/// What is agreed on: the id of a block.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct EngineBlock(pub(super) BlockId);

impl fmt::Display for EngineBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl malachite::Value for EngineBlock {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// A vote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EngineVote {
    pub(super) kind: VoteType,
    pub(super) height: EngineHeight,
    pub(super) round: malachite::Round,
    pub(super) block: NilOrVal<EngineBlock>,
    pub(super) voter: Position,
}

impl malachite::Vote<Rules> for EngineVote {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> malachite::Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<EngineBlock> {
        &self.block
    }

    fn take_value(self) -> NilOrVal<EngineBlock> {
        self.block
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Position {
        &self.voter
    }

    fn extension(&self) -> Option<&malachite::SignedExtension<Rules>> {
        None
    }

    fn take_extension(&mut self) -> Option<malachite::SignedExtension<Rules>> {
        None
    }

    /// Votes here carry no extension: the driver has no way to make one.
    fn extend(self, _extension: malachite::SignedExtension<Rules>) -> Self {
        self
    }
}

/// A proposal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EngineProposal {
    pub(super) height: EngineHeight,
    pub(super) round: malachite::Round,
    pub(super) block: EngineBlock,
    pub(super) pol_round: malachite::Round,
    pub(super) proposer: Position,
}

impl malachite::Proposal<Rules> for EngineProposal {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> malachite::Round {
        self.round
    }

    fn value(&self) -> &EngineBlock {
        &self.block
    }

    fn take_value(self) -> EngineBlock {
        self.block
    }

    fn pol_round(&self) -> malachite::Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Position {
        &self.proposer
    }
}

/// Blocks are not proposed in parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NoPart {}

impl malachite::ProposalPart<Rules> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// How the driver keeps signatures: as the bytes they are. It never checks one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SignatureBytes;

impl malachite::SigningScheme for SignatureBytes {
    type DecodingError = TryFromSliceError;
    type Signature = [u8; 64];
    type PublicKey = PublicKey;
    /// No private key comes near the engine.
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<[u8; 64], TryFromSliceError> {
        bytes.try_into()
    }

    fn encode_signature(signature: &[u8; 64]) -> Vec<u8> {
        signature.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, TryFromSliceError> {
        bytes.try_into().map(PublicKey::from_bytes)
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl malachite::Context for Rules {
    type Address = Position;
    type Height = EngineHeight;
    type ProposalPart = NoPart;
    type Proposal = EngineProposal;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = malachite::LinearTimeouts;
    type Value = EngineBlock;
    type Vote = EngineVote;
    type Extension = ();
    type SigningScheme = SignatureBytes;

    fn select_proposer<'a>(
        &self,
        members: &'a Members,
        height: EngineHeight,
        round: malachite::Round,
    ) -> &'a Member {
        let proposer = self.proposer(height.0, from_engine(round));
        &members.members[usize::from(proposer.0)]
    }

    fn new_proposal(
        &self,
        height: EngineHeight,
        round: malachite::Round,
        block: EngineBlock,
        pol_round: malachite::Round,
        proposer: Position,
    ) -> EngineProposal {
        EngineProposal { height, round, block, pol_round, proposer }
    }

    fn new_prevote(
        &self,
        height: EngineHeight,
        round: malachite::Round,
        block: NilOrVal<EngineBlock>,
        voter: Position,
    ) -> EngineVote {
        EngineVote { kind: VoteType::Prevote, height, round, block, voter }
    }

    fn new_precommit(
        &self,
        height: EngineHeight,
        round: malachite::Round,
        block: NilOrVal<EngineBlock>,
        voter: Position,
    ) -> EngineVote {
        EngineVote { kind: VoteType::Precommit, height, round, block, voter }
    }
}
