//! The engine's wishes, and the actions they become.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use arc_malachitebft_core_driver::{Input, Output};
use arc_malachitebft_core_types as malachite;
use goodwatt_chain::block::Certificate;
use goodwatt_chain::units::Round;
use goodwatt_chain::vote::Proposal;
use malachite::{Threshold, Validity, Vote as _, VoteType};

use super::adapter::{EngineBlock, EngineHeight, EngineProposal, EngineVote, Rules};
use super::convert::{
    commit_signature, from_engine, from_engine_timeout, optional_round, sorted, to_engine, unsigned,
};
use super::running::{Running, first_round_kept, last_round_taken};
use crate::event::{Action, WalEntry};
use crate::polka::Polka;
use crate::refusal::Refusal;
use crate::statement::{Mark, Message, Statement, Step};

impl Running {
    /// Runs the engine until it wishes for nothing more.
    pub(super) fn drive(&mut self, input: Input<Rules>) -> Result<(), Refusal> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let committed = match &input {
                Input::Vote(vote) => vote.message.committed(),
                _ => None,
            };
            let outputs = self.driver.process(input).map_err(|_| Refusal::Engine)?;
            for output in outputs {
                self.carry_out(output, &mut inputs);
            }
            self.note_polka()?;
            if let Some((round, block)) = committed {
                self.decide_if_certified(round, block);
            }
            if self.decided {
                break;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, output: Output<Rules>, inputs: &mut VecDeque<Input<Rules>>) {
        match output {
            Output::NewRound(_, round) => self.enter(from_engine(round), inputs),
            Output::Propose(proposal) => self.propose(proposal, inputs),
            Output::Vote(vote) => self.vote(&vote),
            Output::ScheduleTimeout(timeout) => self.schedule(timeout),
            Output::GetValue(_, round, _) => self.build(from_engine(round)),
            // A quorum of precommits decides, with or without the proposal; see `drive`.
            Output::Decide(..) => {}
        }
    }

    /// Moves on to a round that the engine skipped to.
    fn enter(&mut self, round: Round, inputs: &mut VecDeque<Input<Rules>>) {
        self.actions.push(Action::CancelTimeouts);
        let kept = first_round_kept(round);
        self.driver.votes_mut().prune_votes(to_engine(kept));
        self.proposals.prune(kept, self.polka.as_ref().map(|polka| polka.block));
        self.signing.forget_before(kept);
        inputs.push_back(self.new_round(round));
        let last = last_round_taken(round);
        let near = self.far.take(|other| other <= last).into_iter();
        let in_time = near.filter(|vote| vote.message.round() >= to_engine(kept));
        inputs.extend(in_time.map(Input::Vote));
    }

    /// What tells the engine to begin a round.
    pub(super) fn new_round(&self, round: Round) -> Input<Rules> {
        let proposer = self.rules.proposer(self.height, round);
        Input::NewRound(EngineHeight(self.height), to_engine(round), proposer)
    }

    fn build(&mut self, round: Round) {
        let mark = Mark { height: self.height, round, step: Step::Proposal };
        if self.signing.may_ask(mark) {
            self.actions.push(Action::BuildBlock { height: self.height, round });
        }
    }

    /// Asks to sign a proposal. The engine takes it in at once, so that the prevote for it can be
    /// asked for, and written by the guard, together with it.
    fn propose(&mut self, proposal: EngineProposal, inputs: &mut VecDeque<Input<Rules>>) {
        let EngineBlock(block) = proposal.block;
        let (height, round) = (self.height, from_engine(proposal.round));
        let pol_round = optional_round(proposal.pol_round);
        let statement =
            |signer| Statement::Proposal(Proposal { height, round, block, pol_round, signer });
        if !self.signing.ask(statement) {
            // It was signed before a crash and may be lost: then this node waits like all others.
            return self.schedule(malachite::Timeout::propose(proposal.round));
        }
        if let Some(polka) = self.polka.clone().filter(|polka| Some(polka.round) == pol_round) {
            self.actions.push(Action::Broadcast(Message::Polka(polka)));
        }
        inputs.push_back(Input::Proposal(unsigned(proposal), Validity::Valid));
    }

    /// Asks to sign a vote, unless this key's vote is known: from the log, or as an echo.
    fn vote(&mut self, vote: &EngineVote) {
        let round = self.driver.votes().per_round(vote.round());
        if round.and_then(|votes| votes.get_vote(vote.vote_type(), &self.me)).is_none() {
            self.signing.ask(|signer| Statement::Vote(vote.to_vote(signer)));
        }
    }

    fn schedule(&mut self, timeout: malachite::Timeout) {
        let timeout = from_engine_timeout(self.height, timeout);
        self.actions.extend(timeout.map(Action::ScheduleTimeout));
    }

    /// Writes down the proof of what the engine holds for valid now, and may have locked on.
    fn note_polka(&mut self) -> Result<(), Refusal> {
        let Some(valid) = self.driver.valid_value() else { return Ok(()) };
        let round = from_engine(valid.round);
        if self.polka.as_ref().is_some_and(|polka| polka.round == round) {
            return Ok(());
        }
        let certificate = self.driver.polka_certificate(valid.round, &valid.value);
        let prevotes = certificate.ok_or(Refusal::Engine)?.polka_signatures.iter();
        let prevotes = prevotes.map(|prevote| commit_signature(prevote.address, prevote.signature));
        let prevotes = sorted(prevotes);
        let EngineBlock(block) = valid.value;
        let polka = Box::new(Polka { height: self.height, round, block, prevotes });
        self.polka = Some(polka.clone());
        self.actions.push(Action::Persist(WalEntry::Polka(polka)));
        Ok(())
    }

    fn decide_if_certified(&mut self, round: malachite::Round, block: EngineBlock) {
        let votes = self.driver.votes();
        if !votes.is_threshold_met(&round, VoteType::Precommit, Threshold::Value(block)) {
            return;
        }
        let precommits = self.driver.restore_precommits(round, &block);
        let signatures = precommits
            .iter()
            .map(|signed| commit_signature(*signed.message.validator_address(), signed.signature));
        let certificate = Certificate {
            height: self.height,
            round: from_engine(round),
            block: block.0,
            signatures: sorted(signatures),
        };
        self.decided = true;
        self.actions.push(Action::Decide(Box::new(certificate)));
    }
}
