//! Beginning a height, for the first time or again after a crash.
//!
//! The log does not hold everything that was heard, only what must not be forgotten: own words, and
//! why this validator is locked. From those the engine is led to the round where it left off. Steps
//! the guard has signed are passed in silence.

use alloc::boxed::Box;

use arc_malachitebft_core_driver::Input;
use arc_malachitebft_core_types as malachite;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Round;

use super::adapter::{EngineBlock, EngineHeight, EngineProposal, Position, Rules};
use super::convert::{engine_polka, engine_timeout, to_engine, unsigned};
use super::past::Past;
use super::running::{Running, first_round_kept};
use super::signing::Signing;
use crate::event::{Action, HeightStart, Timeout};
use crate::polka::Polka;
use crate::refusal::Refusal;
use crate::statement::{Message, SignedStatement, Statement, Step};

impl Running {
    /// Begins the height at the round where an earlier run left off, or at the first.
    pub(super) fn start(chain: ChainId, start: HeightStart) -> Result<Self, Refusal> {
        let HeightStart { height, validators, seed, signer, recovered } = start;
        if validators.total_weight() == 0 {
            return Err(Refusal::NoWeight);
        }
        let rules = Rules { validators, seed };
        let signer = signer.filter(|signer| rules.position(signer).is_some());
        let past = Past::of(height, signer, recovered);
        let silent = signer.and_then(|signer| past.silence(&signer));
        let key = signer.filter(|_| silent.is_none());
        let me = key.and_then(|key| rules.position(&key)).unwrap_or(Position::OBSERVER);
        let signing = Signing::new(key, past.last_asked());
        let mut running = Self::new(chain, height, rules, me, signing);
        running.resume(past)?;
        running.actions.extend(silent.map(Action::Silent));
        Ok(running)
    }

    fn resume(&mut self, past: Past) -> Result<(), Refusal> {
        let (round, lost) = (past.round(), past.lost());
        for polka in past.polkas {
            self.actions.clear();
            self.lock_again(polka)?;
        }
        if self.driver.round() != to_engine(round) {
            self.actions.clear();
            self.begin(round)?;
        }
        self.repeat(&past.own, round)?;
        if let Some(vote) = lost {
            self.signing.ask_again(Statement::Vote(vote));
        }
        Ok(())
    }

    /// Leads the engine to a round without passing through those before it.
    fn begin(&mut self, round: Round) -> Result<(), Refusal> {
        if self.driver.round().is_defined() {
            // It enters a round only after it left another one; where to is told it below.
            let over = malachite::Timeout::precommit(self.driver.round());
            self.driver.process(Input::TimeoutElapsed(over)).map_err(|_| Refusal::Engine)?;
        }
        self.drive(self.new_round(round))
    }

    /// Locks the engine on a block as it was: in the round of the polka, past its prevote.
    fn lock_again(&mut self, polka: Box<Polka>) -> Result<(), Refusal> {
        let round = polka.round;
        let proposal = EngineProposal {
            height: EngineHeight(self.height),
            round: to_engine(round),
            block: EngineBlock(polka.block),
            pol_round: malachite::Round::Nil,
            proposer: self.rules.proposer(self.height, round),
        };
        self.proposals.approve(polka.block);
        let certificate = engine_polka(&polka);
        self.polka = Some(polka);
        self.begin(round)?;
        let propose = Timeout { height: self.height, round, step: Step::Proposal };
        self.drive(Input::TimeoutElapsed(engine_timeout(propose)))?;
        self.drive(Input::PolkaCertificate(certificate))?;
        self.drive(Input::Proposal(unsigned(proposal), malachite::Validity::Valid))
    }

    /// Says own words again, which may have been lost in the crash, and counts them.
    fn repeat(&mut self, own: &[SignedStatement], round: Round) -> Result<(), Refusal> {
        let polka = self.polka.clone().map(Message::Polka);
        let recent = first_round_kept(round);
        let words = own.iter().filter(|signed| signed.statement().mark().round >= recent);
        let messages = polka.into_iter().chain(words.copied().map(Message::Statement));
        self.actions.extend(messages.map(Action::Broadcast));
        own.iter().try_for_each(|signed| self.hear_again(signed, round))
    }

    fn hear_again(&mut self, signed: &SignedStatement, round: Round) -> Result<(), Refusal> {
        self.hear_own(signed)?;
        match signed {
            // The body may not have reached the card: it is checked again before it is voted for.
            SignedStatement::Proposal(signed) if signed.proposal.round == round => {
                self.use_proposal(&signed.proposal)
            }
            _ => Ok(()),
        }
    }
}
