//! Votes of rounds far ahead: kept, but no more than one round of each validator.
//!
//! A node that was away finds the others many rounds ahead. Were such votes dropped, it would never
//! follow; were all kept, one validator could fill the memory with rounds. So each validator's
//! latest far round is kept, and handed on once more than a third of the weight speaks of it:
//! then one of them is honest.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use goodwatt_chain::units::Round;
use goodwatt_chain::vote::{SignedVote, Vote};

use super::adapter::{Position, Rules};
use super::convert::{EngineSignedVote, engine_vote};
use crate::refusal::Refusal;

/// One validator's votes of one round.
#[derive(Debug)]
struct RoundOfOne {
    round: Round,
    /// Its prevote and its precommit.
    votes: [Option<SignedVote>; 2],
}

impl RoundOfOne {
    const fn new(round: Round) -> Self {
        Self { round, votes: [None; 2] }
    }
}

#[derive(Debug, Default)]
pub(super) struct FarVotes(BTreeMap<Position, RoundOfOne>);

impl FarVotes {
    /// Refuses a vote that would not be kept, before anyone spends time on its signature.
    pub(super) fn check(&self, voter: Position, vote: &Vote) -> Result<(), Refusal> {
        match self.0.get(&voter) {
            Some(held) if held.round > vote.round => Err(Refusal::Late),
            Some(held) if held.round == vote.round && held.votes[vote.kind as usize].is_some() => {
                Err(Refusal::Known)
            }
            _ => Ok(()),
        }
    }

    /// Keeps a vote that was checked, in place of its voter's earlier rounds. Gives the votes of
    /// its round if more than a third of the weight has spoken of it.
    pub(super) fn keep(
        &mut self,
        voter: Position,
        signed: SignedVote,
        rules: &Rules,
    ) -> Vec<EngineSignedVote> {
        let round = signed.vote.round;
        let held = self.0.entry(voter).or_insert(RoundOfOne::new(round));
        if held.round != round {
            *held = RoundOfOne::new(round);
        }
        held.votes[signed.vote.kind as usize] = Some(signed);
        let speaking = self.0.iter().filter(|(_, held)| held.round == round);
        let weight: u64 = speaking.map(|(voter, _)| rules.weight(*voter)).sum();
        if u128::from(weight) * 3 <= u128::from(rules.validators.total_weight()) {
            return Vec::new();
        }
        self.take(|other| other == round)
    }

    /// Takes out the votes of the rounds that `wanted` names.
    pub(super) fn take(&mut self, wanted: impl Fn(Round) -> bool) -> Vec<EngineSignedVote> {
        let mut taken = Vec::new();
        self.0.retain(|voter, held| {
            let keep = !wanted(held.round);
            if !keep {
                taken.extend(held.votes.iter().flatten().map(|vote| engine_vote(vote, *voter)));
            }
            keep
        });
        taken
    }

    /// How many validators have votes here.
    #[cfg(test)]
    pub(super) fn voters(&self) -> usize {
        self.0.len()
    }
}
