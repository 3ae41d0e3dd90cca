//! Finding the state again: in the index, else from the snapshot and the log, else from the log
//! alone.
//!
//! Nothing that is kept beside the log is believed: it has to be of a block of this very log, and
//! its root has to be that block's. What is not is said, with the reason, and made anew.

use std::sync::Arc;

use goodwatt_chain::block::Block;
use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{ChainId, TxId};
use goodwatt_chain::ledger::{BlockError, Ledger, LedgerError, Sealed, Tip};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_store::{BlockLog, Filling, Folder, Index, IndexError, Snapshot, SnapshotError};
use goodwatt_validator::{DIRTY_MAX, LoggedBlock, Notes, checkpoint, lookups};

use super::home::HomeError;
use super::replay::{Replay, ReplayError, Replayed, read_record};

/// How many signatures are verified together when blocks are replayed: these take 1 MB.
const REPLAY_BATCH: usize = 2_048;

/// Why a kept state is not the one to go on from; the subject of the sentence is what kept it.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("is missing")]
    Missing,
    #[error("cannot be read: {0}")]
    Damaged(#[from] SnapshotError),
    #[error("does not say in the form of this version which block it is of")]
    Notes,
    #[error("is of {0}, which the block log does not reach")]
    AboveLog(Height),
    #[error("does not belong to this block log, which has another block at {0}")]
    OtherBlock(Height),
    #[error("does not hold the state of its block: {0}")]
    Ledger(LedgerError),
}

/// Why a state was not loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    /// Another one has to be found.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Log, disk or genesis are at fault: no other state would do.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<IndexError> for LoadError {
    fn from(error: IndexError) -> Self {
        Self::Home(error.into())
    }
}

/// A ledger to replay the rest of the log on.
struct Base {
    ledger: Ledger<Index>,
    transactions: u64,
    /// What the log has at its tip.
    tip: Option<LoggedBlock>,
}

/// What a state is found in, or made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) genesis: &'a Arc<Genesis>,
    /// Where the snapshot lies.
    pub(crate) folder: &'a Folder,
    pub(crate) log: &'a BlockLog,
}

impl Recovery<'_> {
    /// The state at the tip of the log, gone on from what the index holds if that is fit.
    ///
    /// # Errors
    /// When the log is damaged or not valid, or the disk refuses.
    pub(crate) fn run(&self, index: Index) -> Result<Replayed<Index>, HomeError> {
        if index.checkpoint_height().is_none() {
            return self.rebuild(index);
        }
        let path = index.path().to_owned();
        match self.resume(index) {
            Ok(base) => self.replay(base),
            Err(LoadError::Home(error)) => Err(error),
            Err(LoadError::Unfit(why)) => {
                tracing::warn!("the state index {why}; it is rebuilt");
                self.rebuild(Index::begin_anew_at(&path)?)
            }
        }
    }

    /// The same in a fresh index: from the snapshot, or from genesis.
    ///
    /// # Errors
    /// When the log is damaged or not valid, or the disk refuses.
    pub(crate) fn rebuild(&self, fresh: Index) -> Result<Replayed<Index>, HomeError> {
        if self.log.tip().is_none() {
            return self.replay(self.found(fresh)?);
        }
        let path = fresh.path().to_owned();
        match self.load_snapshot(fresh) {
            Ok(base) => {
                let height = base.ledger.tip().height;
                tracing::info!("the state is taken from the snapshot of {height}");
                self.replay(base)
            }
            Err(LoadError::Home(error)) => Err(error),
            Err(LoadError::Unfit(why)) => {
                if let Some(first) = self.log.first().filter(|first| *first > Height::new(1)) {
                    let data = path.parent().unwrap_or(&path).display().to_string();
                    return Err(HomeError::Pruned { data, why: why.to_string(), first });
                }
                tracing::warn!("the snapshot {why}; the state is replayed from genesis");
                self.replay(self.found(Index::replace_at(&path)?)?)
            }
        }
    }

    fn found(&self, fresh: Index) -> Result<Base, HomeError> {
        let ledger = Ledger::begin(Arc::clone(self.genesis), fresh)?;
        Ok(Base { ledger, transactions: 0, tip: None })
    }

    /// The state as the index has it.
    fn resume(&self, index: Index) -> Result<Base, LoadError> {
        let notes: Notes =
            index.notes().and_then(|notes| codec::decode(notes).ok()).ok_or(Unfit::Notes)?;
        let tip = self.block_of(&notes.tip)?;
        self.base(index, notes, tip)
    }

    /// The block of the log that a tip names; `None` before the first.
    fn block_of(&self, tip: &Tip) -> Result<Option<LoggedBlock>, LoadError> {
        if tip.height == Height::ZERO {
            return Ok(None);
        }
        let record = self.log.read(tip.height).map_err(HomeError::from)?;
        let record = record.ok_or(Unfit::AboveLog(tip.height))?;
        let logged = read_record(tip.height, &record).map_err(HomeError::from)?;
        if logged.id() == tip.id { Ok(Some(logged)) } else { Err(Unfit::OtherBlock(tip.height))? }
    }

    fn base(
        &self,
        index: Index,
        notes: Notes,
        tip: Option<LoggedBlock>,
    ) -> Result<Base, LoadError> {
        match Ledger::resume(Arc::clone(self.genesis), index, notes.tip) {
            Ok(ledger) => Ok(Base { ledger, transactions: notes.transactions, tip }),
            Err(error @ (LedgerError::WrongRoot { .. } | LedgerError::State(_))) => {
                Err(Unfit::Ledger(error))?
            }
            Err(error) => Err(HomeError::from(error))?,
        }
    }

    /// Fills an index from the snapshot, and with the lookups of all blocks up to it.
    fn load_snapshot(&self, fresh: Index) -> Result<Base, LoadError> {
        let snapshot = Snapshot::open(self.folder).map_err(Unfit::from)?.ok_or(Unfit::Missing)?;
        let notes: Notes = codec::decode(snapshot.notes()).map_err(|_| Unfit::Notes)?;
        if notes.tip.height != snapshot.height() {
            Err(Unfit::Notes)?;
        }
        let tip = self.block_of(&notes.tip)?;
        let mut filling = Filling::begin(fresh)?;
        for chunk in snapshot.chunks() {
            for (key, value) in chunk.map_err(Unfit::from)? {
                filling.put_leaf(&key, &value)?;
            }
        }
        self.remake_lookups(&mut filling, snapshot.height())?;
        let index = filling.finish(snapshot.height(), snapshot.notes())?;
        self.base(index, notes, tip)
    }

    /// Notes what the blocks up to a height hold. Their signatures are not verified again: the id
    /// of the last one stands for all of them, as each block names the one before it.
    fn remake_lookups(&self, filling: &mut Filling, last: Height) -> Result<(), HomeError> {
        let chain = self.genesis.chain_id();
        let mut parent = None;
        for record in self.log.blocks_from(Height::new(1)) {
            let (height, record) = record?;
            if height > last {
                break;
            }
            let logged = read_record(height, &record)?;
            let bad = |error| ReplayError::Block { height, error };
            if parent.is_some_and(|parent| parent != logged.block.header.parent) {
                Err(bad(BlockError::WrongParent(logged.block.header.parent)))?;
            }
            parent = Some(logged.id());
            let sealed = sealed_in(&chain, &logged.block).map_err(bad)?;
            if let Some((key, entries)) = lookups::entries(height, &sealed) {
                filling.put_lookup(&key, &entries)?;
            }
        }
        Ok(())
    }

    /// Replays the rest of the log, and puts the state on the card.
    fn replay(&self, base: Base) -> Result<Replayed<Index>, HomeError> {
        let tip = base.ledger.tip().height;
        let mut replay = Replay::new(base.ledger, base.transactions, base.tip, REPLAY_BATCH);
        for record in self.log.blocks_from(tip.next()) {
            let (height, record) = record?;
            let sealed = replay.apply(height, &record)?;
            lookups::note(replay.ledger_mut().leaves_mut(), height, &sealed);
            if replay.verify_full()? && replay.ledger().leaves().dirty() >= DIRTY_MAX {
                let transactions = replay.transactions();
                checkpoint(replay.ledger_mut(), transactions)?;
            }
        }
        let mut replayed = replay.finish()?;
        let blocks = replayed.ledger.tip().height.since(tip).map_or(0, HeightDelta::get);
        if blocks > 0 {
            tracing::info!("{blocks} blocks replayed from the log");
            checkpoint(&mut replayed.ledger, replayed.transactions)?;
        }
        Ok(replayed)
    }
}

/// What a block seals, told by its body alone, which has to be the one its header names.
pub(crate) fn sealed_in(chain: &ChainId, block: &Block) -> Result<Vec<Sealed>, BlockError> {
    let decode = |(index, raw): (usize, &goodwatt_chain::block::RawTransaction)| {
        let transaction = Transaction::decode(chain, &raw.0)
            .map_err(|error| BlockError::Transaction { index, error })?;
        Ok(Sealed::from(&transaction))
    };
    let sealed: Vec<Sealed> =
        block.transactions.iter().enumerate().map(decode).collect::<Result<_, BlockError>>()?;
    let ids: Vec<TxId> = sealed.iter().map(|sealed| sealed.id).collect();
    block.check_transactions_root(&ids)?;
    Ok(sealed)
}

#[cfg(test)]
mod tests;
