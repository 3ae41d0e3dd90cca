//! Driving the agreement core: what it asks for is done here, in its order.

use std::collections::VecDeque;
use std::sync::Arc;

use goodwatt_chain::block::{Block, Certificate};
use goodwatt_chain::codec;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::ledger::{Applied, BlockError, Draft, Signatures};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_consensus::clock::{Past, block_time, check_block_time, may_sign};
use goodwatt_consensus::{
    Action, Core, Event, HeightStart, Message as Word, Recovered, SignedStatement, SilentReason,
    Statement, Step, Timeout, WalEntry,
};
use goodwatt_units::Millis;
use serde::{Deserialize, Serialize};

use crate::bodies::Candidate;
use crate::guard::GuardFault;
use crate::message::{LoggedBlock, Message};
use crate::parts::{Now, Signers, StateStore, To};
use crate::stuck::Stuck;
use crate::validator::Validator;

/// How long a step of round 0 waits for the others at least; each round adds as much again.
const STEP_TIMEOUT_MIN: Millis = Millis::new(1_000);
/// And how many round trips, where they take long.
const STEP_ROUND_TRIPS: u64 = 4;

/// One entry of the log that outlives a crash in the middle of a height.
#[derive(Debug, Deserialize, Serialize)]
enum LogEntry {
    /// What the core asked to keep.
    Core(WalEntry),
    /// The body of a block that is voted for.
    Body(Box<Block>),
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Begins agreement on the next block.
    pub(crate) fn start_height(&mut self, now: Now) -> Result<(), Stuck> {
        let signer = self.signer_for_this_height(now)?;
        let height = self.ledger.tip().height.next();
        let recovered = self.recover(height, signer)?;
        let in_charge = self.ledger.in_charge();
        let start = HeightStart {
            height,
            validators: Arc::clone(&in_charge.validators),
            seed: in_charge.seed,
            signer,
            recovered,
        };
        self.begin_height(now, height);
        self.only_follows = signer.is_none() && self.sign && self.own_seat().is_some();
        self.drive(now, Event::StartHeight(start))?;
        // What was heard of this height before, as if it came now.
        let words: Vec<Word> = self.heard.at(height).cloned().collect();
        for word in words {
            if self.running != Some(height) {
                break;
            }
            self.drive(now, Event::Received(word))?;
        }
        Ok(())
    }

    /// Begins the height at work anew with the key, where that is possible by now.
    pub(crate) fn join_late(&mut self, now: Now) -> Result<(), Stuck> {
        let waits = self.running.is_some() && self.only_follows && !self.listens(now);
        if !waits || self.may_sign(now).is_err() {
            return Ok(());
        }
        self.forget_height();
        self.start_height(now)
    }

    /// The key to sign with at this height; none for one who follows in silence.
    ///
    /// # Errors
    /// Why nothing may be signed, where nobody else has begun the height.
    fn signer_for_this_height(&self, now: Now) -> Result<Option<PublicKey>, Stuck> {
        let Some(seat) = self.own_seat().filter(|_| self.sign && !self.listens(now)) else {
            return Ok(None);
        };
        match self.may_sign(now) {
            Ok(()) => Ok(Some(seat)),
            Err(stuck) if self.others_began() => {
                tracing::warn!("nothing is signed: {stuck}");
                Ok(None)
            }
            Err(stuck) => Err(stuck),
        }
    }

    fn may_sign(&self, now: Now) -> Result<(), Stuck> {
        if let Some(key) = self.doppelganger {
            return Err(Stuck::Doppelganger(key));
        }
        let last_block = self.ledger.tip().time;
        may_sign(now.wall, &Past { build: self.build_time, last_block, known: now.known })?;
        match self.card.guard.fault() {
            Some(fault) => Err(GuardFault::Unusable(fault).into()),
            None => Ok(()),
        }
    }

    /// Hands an event to the core, and does what comes of it until nothing is left to do.
    pub(crate) fn drive(&mut self, now: Now, event: Event) -> Result<(), Stuck> {
        let actions = self.ask_core(event);
        self.carry_out(now, actions)
    }

    /// Does what the core wants, and what comes of that.
    pub(crate) fn carry_out(&mut self, now: Now, actions: Vec<Action>) -> Result<(), Stuck> {
        let (mut actions, mut events) = (actions, VecDeque::new());
        loop {
            for action in actions {
                events.extend(self.act(now, action)?);
            }
            let Some(event) = events.pop_front() else { return Ok(()) };
            actions = self.ask_core(event);
        }
    }

    fn ask_core(&mut self, event: Event) -> Vec<Action> {
        self.core.handle(event).unwrap_or_else(|refusal| {
            tracing::debug!("agreement: {refusal}");
            Vec::new()
        })
    }

    fn act(&mut self, now: Now, action: Action) -> Result<Option<Event>, Stuck> {
        match action {
            Action::BuildBlock { height, round } => return self.build(now, height, round),
            Action::CheckBlock { height, block } => return Ok(self.check_body(now, height, block)),
            Action::Persist(entry) => {
                if let WalEntry::Polka(polka) = &entry {
                    // First, so that no power cut leaves a lock on a block that nobody has.
                    self.keep_body(polka.block)?;
                }
                self.log_entry(&LogEntry::Core(entry))?;
            }
            Action::Sign(statements) => return self.sign(&statements).map(Some),
            Action::Decide(certificate) => self.decide(now, *certificate)?,
            Action::ScheduleTimeout(timeout) => self.schedule(now, timeout),
            Action::CancelTimeouts => self.timers.clear(),
            Action::Evidence(evidence) => self.bring_to_account(now, evidence)?,
            // Alone, a validator that keeps silent seals nothing: that has to show.
            Action::Silent(reason) if self.peers.is_empty() => return Err(self.silent(reason)),
            Action::Silent(reason) => tracing::warn!("silent at this height: {reason}"),
            Action::Broadcast(word) => self.say(word),
            // Whoever took the word knows its height, and its signer.
            Action::Ahead { .. } => {}
        }
        Ok(None)
    }

    /// Why nothing can be sealed by a board that has to keep silent.
    fn silent(&self, reason: SilentReason) -> Stuck {
        let lost = self.card.guard.last().and_then(|signed| signed.block);
        match (reason, lost) {
            (SilentReason::LockLost(_), Some(block)) => Stuck::BodyMissing(block),
            _ => Stuck::Silent(reason),
        }
    }

    /// Sends own words to everybody, beside a proposal its body.
    fn say(&mut self, word: Word) {
        self.send_body_of(To::All, &word);
        self.heard.note(&word);
        self.send(To::All, Message::Agreement(vec![word]));
    }

    /// Sends the body of a proposal, where it is one and the body is at hand.
    pub(crate) fn send_body_of(&mut self, to: To, word: &Word) {
        if let Word::Statement(SignedStatement::Proposal(signed)) = word
            && let Some(candidate) = self.bodies.checked(&signed.proposal.block)
        {
            let body = Message::Body(Box::new(candidate.block.clone()));
            self.send(to, body);
        }
    }

    /// Makes a block of what waits.
    fn build(&mut self, now: Now, height: Height, round: Round) -> Result<Option<Event>, Stuck> {
        self.unbuilt = None;
        let Some(proposer) = self.own_seat() else { return Ok(None) };
        self.may_sign(now)?;
        let reveal = match self.ledger.last_reveal(&proposer)? {
            Some((last, false)) => {
                let next = self.signers.next_reveal(&proposer, &last);
                Some(next.ok_or(Stuck::RevealsUsedUp)?)
            }
            _ => None,
        };
        let draft = Draft {
            round,
            time: block_time(now.wall, self.ledger.tip().time),
            proposer,
            reveal,
            parent_certificate: self.tip_certificate.clone(),
        };
        match self.ledger.propose(draft, self.mempool.iter()) {
            Ok(proposed) => {
                for (id, refusal) in &proposed.refused {
                    tracing::debug!("{id} left out: {refusal}");
                }
                let block = proposed.block.header.id();
                let (body, applied) = (proposed.block, proposed.applied);
                self.bodies.keep_checked(Candidate { id: block, block: body, applied });
                Ok(Some(Event::BlockBuilt { height, round, block }))
            }
            // Everything that waited is refused by now: this look at the mempool clears it.
            Err(BlockError::NothingToSeal | BlockError::SealingRule(_) | BlockError::TooEarly) => {
                self.tidy_mempool(now, &[])?;
                if self.heard.at(height).next().is_none() {
                    self.forget_height();
                } else {
                    self.unbuilt = Some((height, round));
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the block that could not be made when it was asked for, if it is still awaited.
    pub(crate) fn build_late(&mut self, now: Now) -> Result<(), Stuck> {
        let Some((height, round)) = self.unbuilt.filter(|_| self.own_block_due(now)) else {
            return Ok(());
        };
        match self.build(now, height, round)? {
            Some(event) => self.drive(now, event),
            None => Ok(()),
        }
    }

    /// Puts statements through the guard, and signs what it lets through.
    fn sign(&mut self, statements: &[Statement]) -> Result<Event, Stuck> {
        let precommit = statements
            .iter()
            .find(|statement| statement.mark().step == Step::Precommit)
            .and_then(Statement::block);
        if let Some(block) = precommit {
            self.keep_body(block)?;
        }
        if self.wal_dirty {
            self.card.wal.sync()?;
            self.wal_dirty = false;
        }
        let key = self.own_seat().and_then(|seat| self.signers.key(&seat));
        let Some(key) = key else { return Ok(Event::Signed(Vec::new())) };
        let allowed = self.card.guard.allow(statements)?;
        self.count_refusals(statements.len() - allowed.len());
        let chain = *self.ledger.chain();
        let sign = |statement: Statement| statement.sign(&chain, &key);
        let signed: Vec<SignedStatement> = allowed.into_iter().map(sign).collect();
        Ok(Event::Signed(signed))
    }

    /// Before a precommit, the body it is for has to be on the card.
    fn keep_body(&mut self, block: BlockId) -> Result<(), Stuck> {
        let Some(body) = self.bodies.to_keep(&block) else { return Ok(()) };
        let entry = LogEntry::Body(Box::new(body));
        self.log_entry(&entry)?;
        self.bodies.is_kept(&block);
        Ok(())
    }

    /// What a crash left of this height: the body goes to the candidates, the rest to the core.
    fn recover(&mut self, height: Height, signer: Option<PublicKey>) -> Result<Recovered, Stuck> {
        let signed = signer.and_then(|_| self.card.guard.last());
        let mut recovered = Recovered { signed, entries: Vec::new() };
        if self.card.wal.height() != height {
            self.reset_wal(height)?;
            return Ok(recovered);
        }
        for entry in self.card.wal.entries()? {
            match codec::decode(&entry) {
                Ok(LogEntry::Core(entry)) => recovered.entries.push(entry),
                Ok(LogEntry::Body(block)) => self.recover_body(*block),
                Err(error) => tracing::warn!("an entry of the write-ahead log: {error}"),
            }
        }
        Ok(recovered)
    }

    fn recover_body(&mut self, block: Block) {
        match self.ledger.check(&block, Signatures::Verify) {
            Ok(applied) => {
                let id = applied.tip().id;
                self.bodies.keep_checked(Candidate { id, block, applied });
                self.bodies.is_kept(&id);
            }
            Err(error) => tracing::warn!("the block in the write-ahead log: {error}"),
        }
    }

    fn log_entry(&mut self, entry: &LogEntry) -> Result<(), Stuck> {
        self.wal_dirty = true;
        Ok(self.card.wal.append(&codec::encode(entry))?)
    }

    /// Says whether a proposed block is valid, as soon as its body is at hand.
    fn check_body(&mut self, now: Now, height: Height, id: BlockId) -> Option<Event> {
        if self.bodies.checked(&id).is_some() {
            return Some(Event::BlockChecked { height, block: id, valid: true });
        }
        let Some((from, block)) = self.bodies.take_unchecked(&id) else {
            self.await_body(now, height, id);
            return None;
        };
        let valid = match self.judge(now, &block) {
            Ok(applied) => {
                // Passed on only now: what is not valid goes no further than here.
                self.send(To::AllBut(from), Message::Body(Box::new(block.clone())));
                self.bodies.keep_checked(Candidate { id, block, applied });
                true
            }
            Err(fault) => {
                tracing::warn!("the proposed block {id} is not voted for: {fault}");
                false
            }
        };
        Some(Event::BlockChecked { height, block: id, valid })
    }

    fn judge(&self, now: Now, block: &Block) -> Result<Applied, String> {
        check_block_time(now.wall, self.ledger.tip().time, block.header.time)
            .map_err(|fault| fault.to_string())?;
        self.ledger.check(block, Signatures::Verify).map_err(|error| error.to_string())
    }

    /// Takes over what was decided, as soon as its body is at hand.
    fn decide(&mut self, now: Now, certificate: Certificate) -> Result<(), Stuck> {
        if certificate.height <= self.ledger.tip().height {
            // It came with the blocks of a peer in the meantime.
            return Ok(());
        }
        self.timers.clear();
        let id = certificate.block;
        if self.bodies.checked(&id).is_none()
            && let Some((_, block)) = self.bodies.take_unchecked(&id)
        {
            self.keep_decided_body(id, block)?;
        }
        match self.bodies.take_checked(&id) {
            Some(Candidate { block, applied, .. }) => {
                self.decided = Some((LoggedBlock { certificate, block }, applied));
                self.append_decided(now)
            }
            None if self.peers.is_empty() => Err(Stuck::BodyMissing(id)),
            None => {
                self.await_body(now, certificate.height, id);
                self.wanted = Some(certificate);
                Ok(())
            }
        }
    }

    /// A block that two thirds decided is valid, or this program is not: the clock has no say.
    fn keep_decided_body(&mut self, id: BlockId, block: Block) -> Result<(), Stuck> {
        let applied = self.ledger.check(&block, Signatures::Verify)?;
        self.bodies.keep_checked(Candidate { id, block, applied });
        Ok(())
    }

    /// A body has come that was waited for.
    pub(crate) fn body_arrived(&mut self, now: Now, id: BlockId) -> Result<(), Stuck> {
        if let Some(certificate) = self.wanted.take_if(|wanted| wanted.block == id) {
            return self.decide(now, certificate);
        }
        let Some(height) = self.running else { return Ok(()) };
        match self.check_body(now, height, id) {
            Some(event) => self.drive(now, event),
            None => Ok(()),
        }
    }

    fn schedule(&mut self, now: Now, timeout: Timeout) {
        let slow = Millis::new(self.peers.round_trip().get() * STEP_ROUND_TRIPS);
        let step = STEP_TIMEOUT_MIN.max(slow).get();
        let wait = step.saturating_mul(u64::from(timeout.round.get()).saturating_add(1));
        self.timers.push((now.uptime.saturating_add(Millis::new(wait)), timeout));
    }

    /// The signer key of this board that is in charge, if there is one.
    #[must_use]
    pub fn own_seat(&self) -> Option<PublicKey> {
        let mut validators = self.ledger.in_charge().validators.iter();
        let held = |signer: &PublicKey| self.signers.holds(signer);
        validators.find(|validator| held(&validator.signer)).map(|validator| validator.signer)
    }
}
