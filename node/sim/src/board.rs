//! One validator with its card, its keys and its clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafChanges, Leaves, MemoryLeaves, Unavailable};
use goodwatt_chain::ledger::{LeafStore, Ledger, Sealed, Signatures};
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::signature::Batch;
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::faulty::FaultyDisk;
use goodwatt_store::{BlockLog, ConsensusWal, IndexError};
use goodwatt_units::Millis;
use goodwatt_validator::{Card, Guard, LoggedBlock, Notes, Now, Parts, StateStore, Validator};

use crate::keys::Keys;

/// Genesis lies here, in 2026.
pub(crate) const GENESIS_TIME: UnixMillis = UnixMillis::new(1_793_491_200_000);

/// What the index has on the card: the caller's notes, and the leaves.
type OnCard = Rc<RefCell<Option<(Vec<u8>, MemoryLeaves)>>>;

/// Leaves in memory, and what of them reached the card. The real index has tests of its own.
#[derive(Debug)]
pub(crate) struct State {
    leaves: MemoryLeaves,
    on_card: OnCard,
}

impl Leaves for State {
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
        self.leaves.bucket(index)
    }
}

impl LeafStore for State {
    fn commit(&mut self, _: Height, changes: &LeafChanges) {
        self.leaves.commit(changes);
    }
}

impl StateStore for State {
    fn note(&mut self, _: Height, _: &[Sealed]) {}

    fn dirty(&self) -> usize {
        0
    }

    fn checkpoint(&mut self, _: Height, notes: &[u8]) -> Result<(), IndexError> {
        *self.on_card.borrow_mut() = Some((notes.to_vec(), self.leaves.clone()));
        Ok(())
    }
}

/// A validator as it stands on somebody's shelf.
pub(crate) struct Board {
    pub(crate) keys: Keys,
    pub(crate) disk: FaultyDisk,
    pub(crate) validator: Option<Validator<State, Keys>>,
    genesis: Arc<Genesis>,
    on_card: OnCard,
    /// No start has succeeded yet.
    is_new: bool,
    /// When it was switched on last.
    booted_at: Millis,
    /// How far its wall clock is off.
    pub(crate) clock_off: i64,
    /// What was sealed here, so that it must be there after any crash.
    pub(crate) sealed: Height,
    /// It is not switched on before.
    pub(crate) off_until: Millis,
}

impl Board {
    pub(crate) fn new(keys: Keys, genesis: Arc<Genesis>, seed: u64) -> Self {
        Self {
            keys,
            disk: FaultyDisk::new(seed),
            validator: None,
            genesis,
            on_card: OnCard::default(),
            is_new: true,
            booted_at: Millis::new(0),
            clock_off: 0,
            sealed: Height::ZERO,
            off_until: Millis::new(0),
        }
    }

    /// Its time, at this time of the world.
    pub(crate) fn now(&self, time: Millis) -> Now {
        let wall = GENESIS_TIME.get().saturating_add(time.get());
        Now {
            wall: UnixMillis::new(wall.saturating_add_signed(self.clock_off)),
            known: None,
            uptime: time.saturating_sub(self.booted_at),
        }
    }

    /// The time of the world at this time since it was switched on.
    pub(crate) const fn world_time(&self, uptime: Millis) -> Millis {
        self.booted_at.saturating_add(uptime)
    }

    /// Switches it on; says why it does not start, which a power cut in the meantime may be.
    pub(crate) fn start(&mut self, time: Millis) -> Result<(), String> {
        let say = |error: &dyn ToString| error.to_string();
        let folder = self.disk.folder();
        let (log, _) = BlockLog::open(folder.clone()).map_err(|error| say(&error))?;
        let guard = Guard::open(&folder, self.genesis.chain_id(), self.is_new);
        if let Some(fault) = guard.fault() {
            return Err(fault);
        }
        let wal = ConsensusWal::open(&folder).map_err(|error| say(&error))?;
        let (mut ledger, mut transactions) = self.resume()?;
        let mut tip_certificate = None;
        let tip = ledger.tip().height;
        if tip > Height::ZERO {
            let record = log.read(tip).map_err(|error| say(&error))?.ok_or("the log is short")?;
            let logged: LoggedBlock = codec::decode(&record).map_err(|error| say(&error))?;
            tip_certificate = Some(logged.certificate);
        }
        for record in log.blocks_from(tip.next()) {
            let (_, record) = record.map_err(|error| say(&error))?;
            let logged: LoggedBlock = codec::decode(&record).map_err(|error| say(&error))?;
            // What this board verified before; the daemon's replay verifies it again.
            let mut unverified = Batch::default();
            let applied = ledger
                .check(&logged.block, Signatures::Collect(&mut unverified))
                .map_err(|error| say(&error))?;
            transactions += applied.transactions.len() as u64;
            ledger.commit(applied);
            tip_certificate = Some(logged.certificate);
        }
        self.booted_at = time;
        self.is_new = false;
        let parts = Parts {
            ledger,
            tip_certificate,
            transactions,
            card: Card { log, headers: None, wal, guard },
            signers: self.keys.clone(),
            mempool: MempoolLimits::default(),
            build_time: GENESIS_TIME,
            sign: true,
            has_peers: true,
        };
        self.validator = Some(Validator::new(parts, self.now(time)));
        Ok(())
    }

    /// The state as the index has it, or the beginning.
    fn resume(&self) -> Result<(Ledger<State>, u64), String> {
        let on_card = Rc::clone(&self.on_card);
        let held = self.on_card.borrow().clone();
        let (ledger, transactions) = match held {
            None => {
                let state = State { leaves: MemoryLeaves::default(), on_card };
                (Ledger::begin(Arc::clone(&self.genesis), state), 0)
            }
            Some((notes, leaves)) => {
                let notes: Notes = codec::decode(&notes).map_err(|error| error.to_string())?;
                let state = State { leaves, on_card };
                (Ledger::resume(Arc::clone(&self.genesis), state, notes.tip), notes.transactions)
            }
        };
        Ok((ledger.map_err(|error| error.to_string())?, transactions))
    }

    /// Loses its index, while it is off.
    pub(crate) fn lose_index(&mut self) {
        *self.on_card.borrow_mut() = None;
    }

    /// Where it stands, for people who look for a fault.
    pub(crate) fn describe(&self) -> String {
        let describe =
            |own: &Validator<State, Keys>| format!("{:?}; {}", own.stuck(), own.describe());
        self.validator.as_ref().map_or_else(|| "off".to_owned(), describe)
    }

    /// Its last block; that of the last run while it is off.
    pub(crate) fn height(&self) -> Height {
        self.validator.as_ref().map_or(self.sealed, |own| own.ledger().tip().height)
    }
}
