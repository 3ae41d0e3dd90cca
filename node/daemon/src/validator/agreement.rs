//! Driving the agreement core: what it asks for is done here, in its order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use goodwatt_chain::block::{Block, Certificate};
use goodwatt_chain::codec;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::ledger::{Applied, BlockError, Draft, Signatures};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_consensus::clock::block_time;
use goodwatt_consensus::{
    Action, Core, Event, HeightStart, Recovered, SignedStatement, SilentReason, Statement, Step,
    Timeout, WalEntry,
};
use serde::{Deserialize, Serialize};

use super::engine::{Engine, Stuck};
use super::guard::GuardFault;
use super::replay::LoggedBlock;

/// How long a step of round 0 waits for the others; each round adds as much again.
const STEP_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A block that is being agreed on, with its body at hand.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: BlockId,
    pub(super) block: Block,
    pub(super) applied: Applied,
}

/// One entry of the log that outlives a crash in the middle of a height.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum LogEntry {
    /// What the core asked to keep.
    Core(WalEntry),
    /// The body of a block that is voted for.
    Body(Box<Block>),
}

impl Engine {
    /// Begins agreement on the next block.
    pub(super) fn start_height(&mut self) -> Result<(), Stuck> {
        self.notice_clock();
        self.trusted_now()?;
        if let Some(fault) = self.home.guard.fault() {
            return Err(GuardFault::Unusable(fault).into());
        }
        let signer = self.own_seat().map(|(_, key)| key);
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
        self.running = Some(height);
        self.drive(Event::StartHeight(start))
    }

    /// Hands an event to the core, and does what comes of it until nothing is left to do.
    pub(super) fn drive(&mut self, event: Event) -> Result<(), Stuck> {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = match self.core.handle(event) {
                Ok(actions) => actions,
                Err(refusal) => {
                    tracing::debug!("agreement: {refusal}");
                    continue;
                }
            };
            for action in actions {
                if let Some(answer) = self.act(action)? {
                    events.push_back(answer);
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Option<Event>, Stuck> {
        match action {
            Action::BuildBlock { height, round } => return self.build(height, round),
            Action::CheckBlock { height, block } => {
                let valid = self.candidate.as_ref().is_some_and(|held| held.id == block);
                return Ok(Some(Event::BlockChecked { height, block, valid }));
            }
            Action::Persist(entry) => self.log_entry(&LogEntry::Core(entry))?,
            Action::Sign(statements) => return self.sign(&statements).map(Some),
            Action::Decide(certificate) => self.seal(*certificate)?,
            Action::ScheduleTimeout(timeout) => self.schedule(timeout),
            Action::CancelTimeouts => self.timers.clear(),
            Action::Evidence(evidence) => {
                tracing::error!("{} signed two different things", evidence.signer());
            }
            // Alone, a validator that keeps silent seals nothing: that has to show.
            Action::Silent(reason) => return Err(self.silent(reason)),
            // There is nobody to send to or to catch up with: a validator on its own.
            Action::Broadcast(_) | Action::Ahead { .. } => {}
        }
        Ok(None)
    }

    /// Why nothing can be sealed by a board that has to keep silent.
    fn silent(&self, reason: SilentReason) -> Stuck {
        let lost = self.home.guard.last().and_then(|signed| signed.block);
        match (reason, lost) {
            (SilentReason::LockLost(_), Some(block)) => Stuck::BodyMissing(block),
            _ => Stuck::Silent(reason),
        }
    }

    /// Makes a block of what waits.
    fn build(&mut self, height: Height, round: Round) -> Result<Option<Event>, Stuck> {
        let Some((signer, proposer)) = self.own_seat() else { return Ok(None) };
        let reveal = match self.ledger.last_reveal(&proposer)? {
            Some((last, false)) => Some(signer.next_reveal(&last).ok_or(Stuck::RevealsUsedUp)?),
            _ => None,
        };
        let draft = Draft {
            round,
            // The clock may have been set since the height began.
            time: block_time(self.trusted_now()?, self.ledger.tip().time),
            proposer,
            reveal,
            parent_certificate: self.tip_certificate.clone(),
        };
        match self.ledger.propose(draft, self.mempool.iter()) {
            Ok(proposed) => {
                let block = proposed.block.header.id();
                for (id, refusal) in &proposed.refused {
                    tracing::debug!("{id} left out: {refusal}");
                }
                let (block_body, applied) = (proposed.block, proposed.applied);
                self.candidate = Some(Candidate { id: block, block: block_body, applied });
                Ok(Some(Event::BlockBuilt { height, round, block }))
            }
            // Everything that waited is refused by now: the next look at the mempool clears it.
            Err(BlockError::NothingToSeal | BlockError::SealingRule(_) | BlockError::TooEarly) => {
                self.forget_height();
                self.tidy_mempool(&[])?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
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
        let Some((signer, _)) = self.own_seat() else { return Ok(Event::Signed(Vec::new())) };
        let key = signer.key().clone();
        let allowed = self.home.guard.allow(statements)?;
        if allowed.len() < statements.len() {
            self.guard_refusals += (statements.len() - allowed.len()) as u64;
        }
        let chain = *self.ledger.chain();
        let sign = |statement: Statement| statement.sign(&chain, &key);
        let signed: Vec<SignedStatement> = allowed.into_iter().map(sign).collect();
        Ok(Event::Signed(signed))
    }

    /// Before a precommit, the body it is for and all that led to it have to be on the card.
    fn keep_body(&mut self, block: BlockId) -> Result<(), Stuck> {
        if let Some(candidate) = self.candidate.as_ref().filter(|held| held.id == block) {
            let entry = LogEntry::Body(Box::new(candidate.block.clone()));
            self.log_entry(&entry)?;
        }
        Ok(self.home.wal.sync()?)
    }

    /// What a crash left of this height: the body goes to the candidate, the rest to the core.
    fn recover(&mut self, height: Height, signer: Option<PublicKey>) -> Result<Recovered, Stuck> {
        let signed = signer.and_then(|_| self.home.guard.last());
        let mut recovered = Recovered { signed, entries: Vec::new() };
        if self.home.wal.height() != height {
            self.home.wal.reset(height)?;
            return Ok(recovered);
        }
        for entry in self.home.wal.entries()? {
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
                self.candidate = Some(Candidate { id: block.header.id(), block, applied });
            }
            Err(error) => tracing::warn!("the block in the write-ahead log: {error}"),
        }
    }

    pub(super) fn log_entry(&mut self, entry: &LogEntry) -> Result<(), Stuck> {
        Ok(self.home.wal.append(&codec::encode(entry))?)
    }

    /// Puts a decided block on the card and into the ledger.
    fn seal(&mut self, certificate: Certificate) -> Result<(), Stuck> {
        let held = self.candidate.take().filter(|held| held.id == certificate.block);
        let candidate = held.ok_or(Stuck::BodyMissing(certificate.block))?;
        self.decided =
            Some((LoggedBlock { certificate, block: candidate.block }, candidate.applied));
        self.append_decided()
    }

    fn schedule(&mut self, timeout: Timeout) {
        let wait = STEP_TIMEOUT * timeout.round.get().saturating_add(1);
        self.timers.push((Instant::now() + wait, timeout));
    }

    /// The signer key of this board that is in charge, if there is one.
    pub(super) fn own_seat(&self) -> Option<(&crate::signers::Signer, PublicKey)> {
        let mut validators = self.ledger.in_charge().validators.iter();
        validators.find_map(|validator| {
            self.signers.find(&validator.signer).map(|signer| (signer, validator.signer))
        })
    }
}
