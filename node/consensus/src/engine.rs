//! [`Core`] by the Tendermint rules of the Malachite driver; docs/adr/0003-agreement-core.md says
//! why by that one.

mod adapter;
mod backlog;
mod convert;
mod drive;
mod far;
mod past;
mod proposals;
mod recovery;
mod running;
mod signing;

use alloc::boxed::Box;
use alloc::vec::Vec;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::{Height, Round};

use crate::event::{Action, Event, HeightStart};
use crate::refusal::{Blame, Refusal};
use crate::statement::{Message, SignedStatement};
use crate::{Core, Progress};
use backlog::Backlog;
use running::Running;

/// Rounds behind the current one of which messages are kept and taken: late votes may still decide
/// them. A round of the largest set weighs about 30 kB.
const ROUNDS_KEPT: u32 = 4;

/// Rounds ahead of the current one of which all messages are taken: timers differ by less. Votes
/// from further ahead are kept more sparingly, see [`far`].
const ROUNDS_AHEAD: u32 = 2;

/// The last round there is: two years of rounds of a minute.
const ROUND_LAST: Round = Round::new(1_000_000);

/// Agreement by Tendermint's rules.
pub struct Tendermint {
    chain: ChainId,
    /// The last height started, or that of the tip before the first start.
    last: Height,
    running: Option<Box<Running>>,
    backlog: Backlog,
}

impl Tendermint {
    /// A core for a chain whose last block stands at `tip`.
    #[must_use]
    pub fn new(chain: ChainId, tip: Height) -> Self {
        Self { chain, last: tip, running: None, backlog: Backlog::default() }
    }

    fn start(&mut self, start: HeightStart) -> Result<Vec<Action>, Refusal> {
        let height = start.height;
        if height <= self.last {
            return Err(Refusal::HeightPassed(height));
        }
        let mut running = Box::new(Running::start(self.chain, start)?);
        for signed in self.backlog.take(height) {
            match running.received(&Message::Statement(signed)) {
                Err(refusal) if refusal.blame() == Blame::Here => return Err(refusal),
                // Who sent it is long forgotten, so there is nobody left to tell of a refusal.
                Ok(()) | Err(_) => {}
            }
        }
        self.last = height;
        Ok(self.running.insert(running).take_actions())
    }

    fn received(&mut self, message: &Message) -> Result<Vec<Action>, Refusal> {
        let height = message.height();
        if height > self.last {
            if let Message::Statement(signed) = message {
                self.keep(*signed)?;
            }
            return Ok(Vec::from([Action::Ahead { height }]));
        }
        self.at(height, |running| running.received(message))
    }

    fn keep(&mut self, signed: SignedStatement) -> Result<(), Refusal> {
        let rules = self.running.as_ref().map(|running| &running.rules);
        let is_signer = |key: &_| rules.is_some_and(|rules| rules.position(key).is_some());
        self.backlog.keep(signed, self.last, &self.chain, is_signer)
    }

    /// Does something at the running height, if it is this one.
    fn at(
        &mut self,
        height: Height,
        act: impl FnOnce(&mut Running) -> Result<(), Refusal>,
    ) -> Result<Vec<Action>, Refusal> {
        let running = self.running.as_mut().filter(|running| running.height == height);
        let running = running.ok_or(Refusal::Late)?;
        act(running)?;
        Ok(running.take_actions())
    }
}

impl Core for Tendermint {
    fn handle(&mut self, event: Event) -> Result<Vec<Action>, Refusal> {
        match event {
            Event::StartHeight(start) => self.start(start),
            Event::BlockBuilt { height, round, block } => {
                self.at(height, |running| running.block_built(round, block))
            }
            Event::BlockChecked { height, block, valid } => {
                self.at(height, |running| running.block_checked(block, valid))
            }
            Event::Received(message) => self.received(&message),
            Event::Signed(signed) => {
                let Some(first) = signed.first() else { return Ok(Vec::new()) };
                self.at(first.statement().mark().height, |running| running.signed(&signed))
            }
            Event::TimeoutElapsed(timeout) => {
                self.at(timeout.height, |running| running.timeout_elapsed(timeout))
            }
        }
    }

    fn progress(&self) -> Progress {
        let running = self.running.as_ref();
        Progress {
            height: self.last,
            round: running.map(|running| running.round()),
            decided: running.is_none_or(|running| running.decided),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use goodwatt_chain::hash::Digest32;
    use goodwatt_chain::signature::SigningKey;
    use goodwatt_chain::units::Grains;
    use goodwatt_chain::validators::{Validator, ValidatorSet};
    use goodwatt_chain::vote::{Vote, VoteKind};

    use super::*;
    use crate::event::Recovered;

    const HEIGHT: Height = Height::new(1);

    fn key(index: u8) -> SigningKey {
        SigningKey::from_seed(&[index; 32])
    }

    /// A core that follows four validators without being one of them.
    fn observer() -> Tendermint {
        let validator = |index| {
            let signer = key(index).public();
            Validator { owner: signer, signer, weight: Grains::from_good(1) }
        };
        let start = HeightStart {
            height: HEIGHT,
            validators: Arc::new(ValidatorSet::new((0..4).map(validator))),
            seed: Digest32::ZERO,
            signer: None,
            recovered: Recovered::default(),
        };
        let mut core = Tendermint::new(ChainId::default(), Height::ZERO);
        core.handle(Event::StartHeight(start)).unwrap();
        core
    }

    fn vote(core: &mut Tendermint, voter: u8, kind: VoteKind, round: u32) {
        let (round, key) = (Round::new(round), key(voter));
        let vote = Vote { kind, height: HEIGHT, round, block: None, signer: key.public() };
        let signed = SignedStatement::Vote(vote.sign(&ChainId::default(), &key));
        core.handle(Event::Received(Message::Statement(signed))).unwrap();
    }

    #[test]
    fn a_height_that_goes_on_and_on_keeps_the_votes_of_a_few_rounds() {
        let mut core = observer();
        for round in 0..30 {
            // A third of the weight is ahead, and a liar is further ahead.
            for voter in 0..2 {
                vote(&mut core, voter, VoteKind::Prevote, round + 1);
                vote(&mut core, voter, VoteKind::Precommit, round + 1);
            }
            vote(&mut core, 3, VoteKind::Prevote, 100 + round);
            let running = core.running.as_ref().unwrap();
            assert_eq!(running.round(), Round::new(round + 1));
            let rounds = running.driver.votes().rounds();
            assert!(rounds <= (ROUNDS_KEPT + 1 + ROUNDS_AHEAD) as usize, "{rounds} rounds");
            assert_eq!(running.far.voters(), 1);
        }
    }
}
