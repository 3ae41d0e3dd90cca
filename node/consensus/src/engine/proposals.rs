//! The proposals of a height, and which of their blocks were found valid.

use alloc::collections::{BTreeMap, BTreeSet};

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::Round;
use goodwatt_chain::vote::{Evidence, SignedProposal};

use crate::refusal::Refusal;

/// Proposals kept of one round: an honest proposer makes one, and a second one is evidence.
const PROPOSALS_PER_ROUND: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Proposals {
    rounds: BTreeMap<Round, heapless::Vec<SignedProposal, PROPOSALS_PER_ROUND>>,
    valid: BTreeSet<BlockId>,
}

impl Proposals {
    /// Refuses a proposal that would not be kept, before anyone spends time on its signature.
    pub(super) fn check(&self, signed: &SignedProposal) -> Result<(), Refusal> {
        let Some(kept) = self.rounds.get(&signed.proposal.round) else { return Ok(()) };
        let known = kept.iter().any(|other| other.proposal == signed.proposal);
        if known || kept.is_full() { Err(Refusal::Known) } else { Ok(()) }
    }

    /// Keeps a proposal that was checked. Gives proof if its proposer made another one.
    pub(super) fn keep(&mut self, signed: SignedProposal) -> Option<Evidence> {
        let kept = self.rounds.entry(signed.proposal.round).or_default();
        let first = kept.first().copied();
        // A full round was refused by `check`.
        kept.push(signed).ok()?;
        first.map(|first| Evidence::Proposals(first, signed))
    }

    /// The kept proposals of a block, in the order of rounds.
    pub(super) fn of(&self, block: BlockId) -> impl Iterator<Item = &SignedProposal> {
        self.rounds.values().flatten().filter(move |signed| signed.proposal.block == block)
    }

    /// Remembers that a block was found valid.
    pub(super) fn approve(&mut self, block: BlockId) {
        self.valid.insert(block);
    }

    /// Whether a block was found valid.
    pub(super) fn is_valid(&self, block: BlockId) -> bool {
        self.valid.contains(&block)
    }

    /// Forgets the rounds before `round`, and all blocks but `locked` that no proposal is left of.
    pub(super) fn prune(&mut self, round: Round, locked: Option<BlockId>) {
        self.rounds = self.rounds.split_off(&round);
        let Self { rounds, valid } = self;
        let proposed = |block| rounds.values().flatten().any(|kept| kept.proposal.block == block);
        valid.retain(|block| Some(*block) == locked || proposed(*block));
    }
}
