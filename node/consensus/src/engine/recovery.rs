//! Beginning a height, for the first time or again after a crash.
//!
//! The log does not hold everything that was heard, only what must not be forgotten: own words, and
//! why this validator is locked. From those the engine is led to the round where it left off. Steps
//! the guard has signed are passed in silence.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arc_malachitebft_core_driver::Input;
use arc_malachitebft_core_types as malachite;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};

use super::adapter::{EngineBlock, EngineHeight, EngineProposal, Position, Rules, to_engine};
use super::running::{Running, engine_polka, engine_timeout, unsigned};
use super::signing::Signing;
use crate::event::{
    Action, HeightStart, LastSigned, Recovered, SilentReason, Timeout, WalEntry,
};
use crate::polka::Polka;
use crate::refusal::Refusal;
use crate::statement::{Mark, Message, SignedStatement, Step};

impl Running {
    /// Begins the height at the round where an earlier run left off, or at the first.
    pub(super) fn start(chain: ChainId, start: HeightStart) -> Result<Self, Refusal> {
        let HeightStart { height, validators, seed, signer, recovered } = start;
        if validators.total_weight() == 0 {
            return Err(Refusal::NoWeight);
        }
        let rules = Rules { validators, seed };
        let past = Past::of(height, signer, recovered);
        let silent = past.silence(height);
        let position = signer.and_then(|signer| rules.position(&signer));
        let (key, me) = match (position, silent) {
            (Some(position), None) => (signer, position),
            _ => (None, Position::OBSERVER),
        };
        let signing = Signing::new(key, past.last_asked(height));
        let mut running = Self::new(chain, height, rules, me, signing);
        running.resume(past)?;
        running.actions.extend(silent.map(Action::Silent));
        Ok(running)
    }

    fn resume(&mut self, past: Past) -> Result<(), Refusal> {
        let round = past.round(self.height);
        for polka in past.polkas {
            self.actions.clear();
            self.lock_again(polka)?;
        }
        if self.driver.round() != to_engine(round) {
            self.actions.clear();
            self.begin(round)?;
        }
        self.repeat(&past.own, round)
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

    /// Says own words of the round again, which may have been lost in the crash, and counts them.
    fn repeat(&mut self, own: &[SignedStatement], round: Round) -> Result<(), Refusal> {
        let polka = self.polka.clone().map(Message::Polka);
        let words = own.iter().filter(|signed| signed.statement().mark().round == round);
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

/// What is known of a height from before the crash.
struct Past {
    own: Vec<SignedStatement>,
    /// By rising round.
    polkas: Vec<Box<Polka>>,
    guard: Option<LastSigned>,
}

impl Past {
    fn of(height: Height, signer: Option<PublicKey>, recovered: Recovered) -> Self {
        let mut past = Self { own: Vec::new(), polkas: Vec::new(), guard: recovered.signed };
        for entry in recovered.entries {
            match entry {
                WalEntry::Own(signed) => past.own.push(signed),
                WalEntry::Polka(polka) => past.polkas.push(polka),
            }
        }
        past.own.retain(|signed| {
            let statement = signed.statement();
            statement.mark().height == height && Some(statement.signer()) == signer
        });
        past.polkas.retain(|polka| polka.height == height);
        past.polkas.sort_by_key(|polka| polka.round);
        past.polkas.dedup_by_key(|polka| polka.round);
        past
    }

    /// Why nothing may be signed at this height, if so.
    fn silence(&self, height: Height) -> Option<SilentReason> {
        let guard = self.guard.map(|last| (last.mark, last.block));
        if let Some((mark, _)) = guard.filter(|(mark, _)| mark.height > height) {
            return Some(SilentReason::GuardAhead(mark.height));
        }
        let own = self.own.iter().map(SignedStatement::statement);
        let mut signed = own.map(|own| (own.mark(), own.block())).chain(guard);
        let unproven = signed.find(|(mark, block)| {
            let locks = mark.height == height && mark.step == Step::Precommit;
            locks && block.is_some_and(|block| !self.proves(mark.round, block))
        });
        unproven.map(|(mark, _)| SilentReason::LockLost(mark.round))
    }

    fn proves(&self, round: Round, block: goodwatt_chain::hash::BlockId) -> bool {
        self.polkas.iter().any(|polka| (polka.round, polka.block) == (round, block))
    }

    /// The last thing signed at this height.
    fn last_signed(&self, height: Height) -> Option<Mark> {
        let own = self.own.iter().map(|signed| signed.statement().mark());
        own.chain(self.guard.map(|last| last.mark)).filter(|mark| mark.height == height).max()
    }

    /// The round to resume: where it left off, if its last words are known. If they are not, it
    /// could neither say them again nor say others, so it goes on with the round after.
    fn round(&self, height: Height) -> Round {
        let signed = self.last_signed(height).map_or(Round::ZERO, |last| {
            let known = self.own.iter().any(|own| own.statement().mark() == last);
            if known { last.round } else { last.round.next() }
        });
        self.polkas.last().map_or(signed, |polka| signed.max(polka.round))
    }

    /// The step below which nothing may be asked for: what was signed, and the prevote of the
    /// round of the last polka, for the engine replays that round from there.
    fn last_asked(&self, height: Height) -> Option<Mark> {
        let polka = self.polkas.last().map(|polka| polka.round);
        let replayed = polka.map(|round| Mark { height, round, step: Step::Prevote });
        self.last_signed(height).max(replayed)
    }
}
