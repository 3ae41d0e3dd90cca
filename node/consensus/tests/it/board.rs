//! A board: a core, and the shell around it that does what the actions say.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::hash::{BlockId, ChainId, Digest32, Domain};
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::units::{Grains, Height, Round};
use goodwatt_chain::validators::{Validator, ValidatorSet};
use goodwatt_chain::vote::Evidence;
use goodwatt_consensus::{
    Action, Core, Event, HeightStart, LastSigned, Mark, Message, Recovered, Refusal,
    SignedStatement, SilentReason, Statement, Tendermint, Timeout, WalEntry,
};

pub(crate) const CHAIN: ChainId = ChainId(Digest32::new([1; 32]));
pub(crate) const SEED: Digest32 = Digest32::new([2; 32]);

const BLOCK: Domain = Domain::new(b"test/block");

/// The key of a validator.
pub(crate) fn key(index: usize) -> SigningKey {
    SigningKey::from_seed(&[u8::try_from(index).unwrap(); 32])
}

/// A set of validators with these weights in goods.
pub(crate) fn validators(weights: &[u32]) -> Arc<ValidatorSet> {
    let validators = weights.iter().enumerate().map(|(index, weight)| {
        let signer = key(index).public();
        Validator { owner: signer, signer, weight: Grains::from_good(*weight) }
    });
    Arc::new(ValidatorSet::new(validators))
}

/// A block that exists once.
pub(crate) fn block(height: Height, round: Round, builder: usize, salt: usize) -> BlockId {
    let name = format!("{height} {round} by {builder}, {salt}");
    BlockId(Digest32::of(BLOCK, &[name.as_bytes()]))
}

/// A block that every honest validator finds invalid.
pub(crate) const BAD: BlockId = BlockId(Digest32::new([0xBA; 32]));

/// Work that the core asked for, and whose answer takes its time.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Build(Height, Round),
    Check(Height, BlockId),
    /// Statements on their way to the guard.
    Guard(Vec<Statement>),
    /// Signatures on their way back.
    Answer(Vec<SignedStatement>),
}

pub(crate) struct Board {
    pub(crate) index: usize,
    pub(crate) key: SigningKey,
    pub(crate) validators: Arc<ValidatorSet>,
    pub(crate) core: Tendermint,
    pub(crate) jobs: Vec<Job>,
    pub(crate) timers: Vec<Timeout>,
    /// What was broadcast and not yet fetched.
    pub(crate) outbox: Vec<Message>,
    pub(crate) ahead: Vec<Height>,
    pub(crate) silent: Vec<SilentReason>,
    /// What is on the card, of which entries from `synced` on may be lost in a crash.
    pub(crate) guard: Option<LastSigned>,
    pub(crate) wal: Vec<WalEntry>,
    pub(crate) synced: usize,
    pub(crate) decided: BTreeMap<Height, Certificate>,
    /// Everything that was ever signed, and seen as proof: the memory of the test.
    pub(crate) signed: BTreeMap<Mark, SignedStatement>,
    pub(crate) log_syncs: usize,
    pub(crate) guard_writes: usize,
    pub(crate) guard_refuses: bool,
    pub(crate) evidence: Vec<Evidence>,
    built: usize,
}

impl Board {
    pub(crate) fn new(index: usize, validators: &Arc<ValidatorSet>) -> Self {
        Self {
            index,
            key: key(index),
            validators: Arc::clone(validators),
            core: Tendermint::new(CHAIN, Height::ZERO),
            jobs: Vec::new(),
            timers: Vec::new(),
            outbox: Vec::new(),
            ahead: Vec::new(),
            silent: Vec::new(),
            guard: None,
            wal: Vec::new(),
            synced: 0,
            decided: BTreeMap::new(),
            signed: BTreeMap::new(),
            log_syncs: 0,
            guard_writes: 0,
            guard_refuses: false,
            evidence: Vec::new(),
            built: 0,
        }
    }

    /// The height after the last one decided here.
    pub(crate) fn next_height(&self) -> Height {
        self.decided.last_key_value().map_or(Height::new(1), |(height, _)| height.next())
    }

    /// The other validators.
    pub(crate) fn others(&self) -> Vec<usize> {
        (0..self.validators.len()).filter(|other| *other != self.index).collect()
    }

    pub(crate) fn round(&self) -> Round {
        self.core.progress().round.expect("a height is running")
    }

    /// Starts the next height with what the card holds.
    pub(crate) fn start(&mut self) -> Result<(), Refusal> {
        let recovered = Recovered { signed: self.guard, entries: self.wal.clone() };
        let start = HeightStart {
            height: self.next_height(),
            validators: Arc::clone(&self.validators),
            seed: SEED,
            signer: Some(self.key.public()),
            recovered,
        };
        self.handle(Event::StartHeight(start))
    }

    /// Cuts the power: what is not on the card is gone, and of the unsynced log all but `kept`.
    pub(crate) fn crash(&mut self, kept: usize) {
        let tip = self.next_height().previous().unwrap();
        self.core = Tendermint::new(CHAIN, tip);
        self.jobs.clear();
        self.timers.clear();
        self.outbox.clear();
        self.wal.truncate(self.synced + kept);
        self.synced = self.wal.len();
    }

    pub(crate) fn handle(&mut self, event: Event) -> Result<(), Refusal> {
        let actions = self.core.handle(event)?;
        let last = actions.len().saturating_sub(1);
        for (at, action) in actions.into_iter().enumerate() {
            assert!(at == last || !matches!(action, Action::Sign(_)), "the request is the last");
            self.carry_out(action);
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::BuildBlock { height, round } => self.jobs.push(Job::Build(height, round)),
            Action::CheckBlock { height, block } => self.jobs.push(Job::Check(height, block)),
            Action::Persist(entry) => self.wal.push(entry),
            Action::Broadcast(message) => self.outbox.push(message),
            Action::ScheduleTimeout(timeout) => self.timers.push(timeout),
            Action::CancelTimeouts => self.timers.clear(),
            Action::Sign(statements) => self.jobs.push(Job::Guard(statements)),
            Action::Evidence(evidence) => self.evidence.push(evidence),
            Action::Decide(certificate) => self.decide(*certificate),
            Action::Ahead { height } => self.ahead.push(height),
            Action::Silent(reason) => self.silent.push(reason),
        }
    }

    fn decide(&mut self, certificate: Certificate) {
        assert_eq!(certificate.verify(&CHAIN, &self.validators), Ok(()));
        self.adopt(certificate);
    }

    /// Takes a decision over, of the core or of another board, and is done with its height.
    pub(crate) fn adopt(&mut self, certificate: Certificate) {
        self.timers.clear();
        self.wal.clear();
        self.synced = 0;
        self.decided.insert(certificate.height, certificate);
    }

    /// Does one job. Its answer may be refused as late, but never as unasked.
    pub(crate) fn work(&mut self, job: Job) {
        let event = match job {
            Job::Build(height, round) => {
                self.built += 1;
                let block = block(height, round, self.index, self.built);
                Event::BlockBuilt { height, round, block }
            }
            Job::Check(height, block) => Event::BlockChecked { height, block, valid: block != BAD },
            Job::Guard(_) if self.guard_refuses => return,
            Job::Guard(statements) => {
                let signed = self.sign(&statements);
                return self.jobs.push(Job::Answer(signed));
            }
            Job::Answer(signed) => Event::Signed(signed),
        };
        if let Err(refusal) = self.handle(event) {
            assert_eq!(refusal, Refusal::Late);
        }
    }

    /// One sync of the log, one durable write of the guard, and signatures after it.
    fn sign(&mut self, statements: &[Statement]) -> Vec<SignedStatement> {
        self.log_syncs += usize::from(self.synced < self.wal.len());
        self.synced = self.wal.len();
        self.guard_writes += 1;
        statements.iter().map(|statement| self.sign_one(*statement)).collect()
    }

    /// What was signed before may be signed again, word for word, and so with the same signature.
    fn sign_one(&mut self, statement: Statement) -> SignedStatement {
        let mark = statement.mark();
        let signed = statement.sign(&CHAIN, &self.key);
        if self.signed.get(&mark) != Some(&signed) {
            let before = self.guard.map(|last| last.mark);
            assert!(before < Some(mark), "asked for {mark:?} after {before:?}");
            assert_eq!(self.signed.insert(mark, signed), None, "signed twice");
            self.guard = Some(LastSigned::from(statement));
        }
        signed
    }

    /// Does all jobs until none is left.
    pub(crate) fn work_off(&mut self) {
        while !self.jobs.is_empty() {
            let job = self.jobs.remove(0);
            self.work(job);
        }
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<(), Refusal> {
        self.handle(Event::Received(message))
    }

    /// Lets all timers that run now elapse.
    pub(crate) fn time_out(&mut self) {
        for timer in std::mem::take(&mut self.timers) {
            if let Err(refusal) = self.handle(Event::TimeoutElapsed(timer)) {
                assert_eq!(refusal, Refusal::Late);
            }
        }
    }
}
