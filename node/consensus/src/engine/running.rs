//! One height in agreement: what comes in is checked here before the engine hears of it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arc_malachitebft_core_driver::{Driver, Input, ThresholdParams};
use arc_malachitebft_core_types as malachite;
use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal, SignedProposal, SignedVote};
use malachite::Validity;

use super::adapter::{EngineBlock, EngineHeight, EngineProposal, Position, Rules};
use super::convert::{
    EngineSignedVote, engine_polka, engine_timeout, engine_vote, from_engine, to_engine,
    to_signed_vote, unsigned,
};
use super::far::FarVotes;
use super::proposals::Proposals;
use super::signing::Signing;
use super::{ROUND_LAST, ROUNDS_AHEAD, ROUNDS_KEPT};
use crate::event::{Action, Timeout, WalEntry};
use crate::polka::Polka;
use crate::refusal::Refusal;
use crate::statement::{Mark, Message, SignedStatement, Step};

/// A height that was started.
pub(super) struct Running {
    pub(super) chain: ChainId,
    pub(super) height: Height,
    pub(super) rules: Rules,
    /// Where this node stands; [`Position::OBSERVER`] if it keeps silent.
    pub(super) me: Position,
    pub(super) driver: Driver<Rules>,
    pub(super) signing: Signing,
    pub(super) proposals: Proposals,
    pub(super) far: FarVotes,
    /// Proof of the block this node would propose again: the engine's valid value.
    pub(super) polka: Option<Box<Polka>>,
    pub(super) decided: bool,
    pub(super) actions: Vec<Action>,
}

impl Running {
    /// A height before its first round.
    pub(super) fn new(
        chain: ChainId,
        height: Height,
        rules: Rules,
        me: Position,
        signing: Signing,
    ) -> Self {
        let (members, thresholds) = (rules.members(), ThresholdParams::default());
        let driver = Driver::new(rules.clone(), EngineHeight(height), members, me, thresholds);
        Self {
            chain,
            height,
            rules,
            me,
            driver,
            signing,
            proposals: Proposals::default(),
            far: FarVotes::default(),
            polka: None,
            decided: false,
            actions: Vec::new(),
        }
    }

    /// The round it is in.
    pub(super) fn round(&self) -> Round {
        from_engine(self.driver.round())
    }

    /// Everything to do since the last call, requests for signatures last.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        let mut actions = core::mem::take(&mut self.actions);
        actions.extend(self.signing.request());
        actions
    }

    pub(super) fn block_built(&mut self, round: Round, block: BlockId) -> Result<(), Refusal> {
        let mark = Mark { height: self.height, round, step: Step::Proposal };
        let awaited = round == self.round() && self.driver.step_is_propose() && !self.decided;
        let mine = self.rules.proposer(self.height, round) == self.me;
        if !awaited || !mine || !self.signing.may_ask(mark) {
            return Err(Refusal::Late);
        }
        self.proposals.approve(block);
        self.drive(Input::ProposeValue(to_engine(round), EngineBlock(block)))
    }

    pub(super) fn block_checked(&mut self, block: BlockId, valid: bool) -> Result<(), Refusal> {
        if self.decided {
            return Err(Refusal::Late);
        }
        if valid {
            self.proposals.approve(block);
        }
        let proposals: Vec<Proposal> = self.proposals.of(block).map(|kept| kept.proposal).collect();
        proposals.iter().try_for_each(|proposal| self.propose_to_engine(proposal, valid))
    }

    pub(super) fn received(&mut self, message: &Message) -> Result<(), Refusal> {
        if self.decided {
            return Err(Refusal::Late);
        }
        match message {
            Message::Statement(SignedStatement::Proposal(signed)) => self.proposal_received(signed),
            Message::Statement(SignedStatement::Vote(signed)) => self.vote_received(signed),
            Message::Polka(polka) => self.polka_received(polka),
        }
    }

    fn proposal_received(&mut self, signed: &SignedProposal) -> Result<(), Refusal> {
        let Proposal { round, signer, pol_round, .. } = signed.proposal;
        let position = self.rules.position(&signer).ok_or(Refusal::UnknownSigner(signer))?;
        self.check_round(round)?;
        if round > last_round_taken(self.round()) {
            return Err(Refusal::TooFarAhead);
        }
        if position != self.rules.proposer(self.height, round) {
            return Err(Refusal::NotTheProposer(round));
        }
        if pol_round.is_some_and(|polka| polka >= round) {
            return Err(Refusal::PolkaNotBefore(round));
        }
        self.proposals.check(signed)?;
        if !signed.verify(&self.chain) {
            return Err(Refusal::BadSignature);
        }
        self.actions.extend(self.proposals.keep(*signed).map(Action::Evidence));
        self.use_proposal(&signed.proposal)
    }

    /// Gives a kept proposal to the engine, or has its block checked first.
    pub(super) fn use_proposal(&mut self, proposal: &Proposal) -> Result<(), Refusal> {
        let block = proposal.block;
        if self.proposals.is_valid(block) {
            return self.propose_to_engine(proposal, true);
        }
        self.actions.push(Action::CheckBlock { height: self.height, block });
        Ok(())
    }

    fn propose_to_engine(&mut self, proposal: &Proposal, valid: bool) -> Result<(), Refusal> {
        let proposer = self.rules.proposer(self.height, proposal.round);
        let proposal = EngineProposal {
            height: EngineHeight(self.height),
            round: to_engine(proposal.round),
            block: EngineBlock(proposal.block),
            pol_round: proposal.pol_round.map_or(malachite::Round::Nil, to_engine),
            proposer,
        };
        self.drive(Input::Proposal(unsigned(proposal), Validity::from_bool(valid)))
    }

    fn vote_received(&mut self, signed: &SignedVote) -> Result<(), Refusal> {
        let signer = signed.vote.signer;
        let voter = self.rules.position(&signer).ok_or(Refusal::UnknownSigner(signer))?;
        self.check_round(signed.vote.round)?;
        let far = signed.vote.round > last_round_taken(self.round());
        let vote = engine_vote(signed, voter);
        let votes = self.driver.votes();
        if votes.has_vote(&vote) || votes.is_saturated_conflict(&vote) {
            return Err(Refusal::Known);
        }
        if far {
            self.far.check(voter, &signed.vote)?;
        }
        if !signed.verify(&self.chain) {
            return Err(Refusal::BadSignature);
        }
        if votes.conflicting_vote(&vote).is_some() {
            return self.contradiction(vote, signed);
        }
        if !far {
            return self.drive(Input::Vote(vote));
        }
        let spoken = self.far.keep(voter, *signed, &self.rules);
        spoken.into_iter().try_for_each(|vote| self.drive(Input::Vote(vote)))
    }

    /// A validator voted twice: the first vote counts, both are proof.
    fn contradiction(
        &mut self,
        vote: EngineSignedVote,
        signed: &SignedVote,
    ) -> Result<(), Refusal> {
        let pair = self.driver.votes_mut().detect_equivocation(vote);
        let (first, _) = pair.ok_or(Refusal::Known)?;
        let first = to_signed_vote(&first, signed.vote.signer);
        self.actions.push(Action::Evidence(Evidence::Votes(first, *signed)));
        Ok(())
    }

    fn polka_received(&mut self, polka: &Polka) -> Result<(), Refusal> {
        if polka.round > ROUND_LAST {
            return Err(Refusal::AbsurdRound(polka.round));
        }
        let (round, block) = (to_engine(polka.round), EngineBlock(polka.block));
        if self.driver.polka_certificate(round, &block).is_some() {
            return Err(Refusal::Known);
        }
        if !polka.verify(&self.chain, &self.rules.validators) {
            return Err(Refusal::BadPolka);
        }
        self.drive(Input::PolkaCertificate(engine_polka(polka)))
    }

    /// Refuses rounds that are over, and those that will never be.
    fn check_round(&self, round: Round) -> Result<(), Refusal> {
        if round > ROUND_LAST {
            Err(Refusal::AbsurdRound(round))
        } else if round < first_round_kept(self.round()) {
            Err(Refusal::Late)
        } else {
            Ok(())
        }
    }

    pub(super) fn signed(&mut self, signed: &[SignedStatement]) -> Result<(), Refusal> {
        let kept = first_round_kept(self.round());
        if signed.iter().all(|signed| signed.statement().mark().round < kept) {
            return Err(Refusal::Late);
        }
        self.signing.answer(signed)?;
        for statement in signed {
            self.actions.push(Action::Persist(WalEntry::Own(*statement)));
            self.actions.push(Action::Broadcast(Message::Statement(*statement)));
            self.hear_own(statement)?;
        }
        Ok(())
    }

    /// Counts own words like those of others.
    pub(super) fn hear_own(&mut self, signed: &SignedStatement) -> Result<(), Refusal> {
        let signer = signed.statement().signer();
        let position = self.rules.position(&signer).ok_or(Refusal::UnknownSigner(signer))?;
        match signed {
            // The engine has it since it was asked for; kept here to know its echo.
            SignedStatement::Proposal(proposal) => drop(self.proposals.keep(*proposal)),
            // Decided while the card was busy: others may still need the vote, this node not.
            SignedStatement::Vote(_) if self.decided => {}
            SignedStatement::Vote(vote) => self.drive(Input::Vote(engine_vote(vote, position)))?,
        }
        Ok(())
    }

    pub(super) fn timeout_elapsed(&mut self, timeout: Timeout) -> Result<(), Refusal> {
        if self.decided || timeout.round != self.round() {
            return Err(Refusal::Late);
        }
        self.drive(Input::TimeoutElapsed(engine_timeout(timeout)))
    }
}

/// The first round of which anything is kept while in `round`.
pub(super) const fn first_round_kept(round: Round) -> Round {
    Round::new(round.get().saturating_sub(ROUNDS_KEPT))
}

/// The last round of which all messages are taken while in `round`.
pub(super) const fn last_round_taken(round: Round) -> Round {
    Round::new(round.get().saturating_add(ROUNDS_AHEAD))
}
