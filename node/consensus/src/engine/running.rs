//! One height in agreement: checks what comes in, drives the engine, and turns what it wishes into
//! actions.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use arc_malachitebft_core_driver::{Driver, Input, Output, ThresholdParams};
use arc_malachitebft_core_types as malachite;
use goodwatt_chain::block::{Certificate, CommitSignature};
use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::signature::Signature;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal, SignedProposal, SignedVote};
use malachite::{SignedMessage, Threshold, TimeoutKind, Validity, Vote as _, VoteType};

use super::adapter::{
    EngineBlock, EngineHeight, EngineProposal, EngineSignedVote, EngineVote, Position, Rules,
    engine_vote, from_engine, optional_round, to_engine, to_signed_vote,
};
use super::far::FarVotes;
use super::proposals::Proposals;
use super::signing::Signing;
use super::{ROUND_LAST, ROUNDS_AHEAD, ROUNDS_KEPT};
use crate::event::{Action, Timeout, WalEntry};
use crate::polka::Polka;
use crate::refusal::Refusal;
use crate::statement::{Mark, Message, SignedStatement, Statement, Step};

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
        if round > self.last_round_ahead() {
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
        let far = signed.vote.round > self.last_round_ahead();
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

    fn last_round_ahead(&self) -> Round {
        Round::new(self.round().get().saturating_add(ROUNDS_AHEAD))
    }

    pub(super) fn signed(&mut self, signed: &[SignedStatement]) -> Result<(), Refusal> {
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
        match signed {
            // The engine has it since it was asked for; kept here to know its echo.
            SignedStatement::Proposal(proposal) => drop(self.proposals.keep(*proposal)),
            // Decided while the card was busy: others may still need the vote, this node not.
            SignedStatement::Vote(_) if self.decided => {}
            SignedStatement::Vote(vote) => self.drive(Input::Vote(engine_vote(vote, self.me)))?,
        }
        Ok(())
    }

    pub(super) fn timeout_elapsed(&mut self, timeout: Timeout) -> Result<(), Refusal> {
        if self.decided || timeout.round != self.round() {
            return Err(Refusal::Late);
        }
        self.drive(Input::TimeoutElapsed(engine_timeout(timeout)))
    }

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
        let near = self.far.take(|other| other.get() <= round.get().saturating_add(ROUNDS_AHEAD));
        inputs.extend(near.into_iter().map(Input::Vote));
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
            return;
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
        let step = match timeout.kind {
            TimeoutKind::Propose => Step::Proposal,
            TimeoutKind::Prevote => Step::Prevote,
            TimeoutKind::Precommit => Step::Precommit,
            // Kinds of the layer above the driver, which this crate takes the place of.
            TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return,
        };
        let timeout = Timeout { height: self.height, round: from_engine(timeout.round), step };
        self.actions.push(Action::ScheduleTimeout(timeout));
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
        // What was about to be asked for is settled, and each signature costs the card a write.
        self.signing.withdraw();
        self.actions.push(Action::Decide(Box::new(certificate)));
    }
}

/// The first round of which anything is kept while in `round`.
const fn first_round_kept(round: Round) -> Round {
    Round::new(round.get().saturating_sub(ROUNDS_KEPT))
}

/// A proposal for the engine, which keeps a signature with it but never reads it: the signed
/// proposals are in [`Proposals`].
pub(super) fn unsigned(proposal: EngineProposal) -> SignedMessage<Rules, EngineProposal> {
    SignedMessage::new(proposal, [0; 64])
}

pub(super) fn engine_polka(polka: &Polka) -> malachite::PolkaCertificate<Rules> {
    let prevotes = polka.prevotes.iter().map(|prevote| {
        malachite::PolkaSignature::new(Position(prevote.validator), prevote.signature.to_bytes())
    });
    malachite::PolkaCertificate {
        height: EngineHeight(polka.height),
        round: to_engine(polka.round),
        value_id: EngineBlock(polka.block),
        polka_signatures: prevotes.collect(),
    }
}

pub(super) const fn engine_timeout(timeout: Timeout) -> malachite::Timeout {
    let kind = match timeout.step {
        Step::Proposal => TimeoutKind::Propose,
        Step::Prevote => TimeoutKind::Prevote,
        Step::Precommit => TimeoutKind::Precommit,
    };
    malachite::Timeout::new(to_engine(timeout.round), kind)
}

fn commit_signature(position: Position, signature: [u8; 64]) -> CommitSignature {
    CommitSignature { validator: position.0, signature: Signature::from_bytes(signature) }
}

/// Signatures by rising position. A set has no more members than the list has room.
fn sorted<const N: usize>(
    signatures: impl Iterator<Item = CommitSignature>,
) -> heapless::Vec<CommitSignature, N> {
    let mut sorted: heapless::Vec<CommitSignature, N> = signatures.collect();
    sorted.sort_unstable_by_key(|signature| signature.validator);
    sorted
}
