//! The data folder: ledger, guard, write-ahead log, and how they are found again after a crash.
//!
//! | in the folder | what | lost or damaged |
//! |---|---|---|
//! | `chain` | id of the chain | made anew from the log's first block |
//! | `log/` | the blocks: the truth | named with height and byte |
//! | `index/` | the state | rebuilt from the log |
//! | `guard` | what was signed last | signing refused until imported |
//! | `wal` | the height at work | read as far as it is whole |
//! | `mempool` | what waited at the last stop | begun empty |
//! | `signers/` | slot keys | the slot stays empty |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::ledger::{Applied, Ledger, LedgerError, Tip};
use goodwatt_chain::state::StateError;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_store::{
    AtomicFile, AtomicFileError, BlockLog, ConsensusWal, DataDirLock, DiskError, Folder, Index,
    IndexError, LockError, LogError,
};
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::lookups;
use super::replay::{LoggedBlock, Replay, ReplayError, Replayed};
use crate::signers::SignersError;

/// Says to which chain the folder belongs.
const CHAIN_FILE: &str = "chain";
/// How many signatures are verified together when blocks are replayed: these take 1 MB.
const REPLAY_BATCH: usize = 2_048;
/// How many changes are kept in memory before they are put on the card.
pub(super) const DIRTY_MAX: usize = 1_000;

/// Why a data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Another daemon uses it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A small file cannot be used.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The block log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index refuses.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The signer keys cannot be used.
    #[error(transparent)]
    Signers(#[from] SignersError),
    /// Genesis or the state is not fit.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder belongs to another chain.
    #[error(
        "{data} holds chain {found}, the genesis file is of chain {expected}: use another data_dir or the right genesis file"
    )]
    WrongChain {
        /// The folder.
        data: PathBuf,
        /// Chain of the folder.
        found: String,
        /// Chain of the genesis file.
        expected: ChainId,
    },
    /// The log does not hold a chain of valid blocks.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The thread could not be started.
    #[error("the validator's thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// What the index notes with each checkpoint.
#[derive(Debug, Deserialize, Serialize)]
struct Notes {
    tip: Tip,
    transactions: u64,
}

/// The open files of a data folder.
#[derive(Debug)]
pub(crate) struct Home {
    _lock: DataDirLock,
    pub(super) log: BlockLog,
    pub(super) wal: ConsensusWal,
    pub(super) guard: Guard,
    pub(super) mempool: AtomicFile,
}

/// A ledger with what does not follow from its state alone.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) home: Home,
    pub(crate) ledger: Ledger<Index>,
    /// Who decided the tip; `None` before the first block.
    pub(crate) tip_certificate: Option<Certificate>,
    /// Transactions sealed since the first block.
    pub(crate) transactions: u64,
}

impl Home {
    /// Opens a data folder, making it where it is missing, and brings the state up to the log.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub(crate) fn open(data: &Path, genesis: &Arc<Genesis>) -> Result<Opened, HomeError> {
        let folder = Folder::at(data)?;
        let lock = DataDirLock::take(data)?;
        let marker = check_chain(data, &folder, genesis)?;
        let (log, report) = BlockLog::open(Folder::at(&data.join("log"))?)?;
        if report.torn_bytes > 0 {
            tracing::warn!("block log: {} bytes of a torn record were cut off", report.torn_bytes);
        }
        let (index, report) = Index::open(&data.join("index"))?;
        if let Some(why) = report.set_aside {
            tracing::warn!("{why}");
        }
        let is_new = marker == Marker::Missing && log.tip().is_none();
        let guard = Guard::open(&folder, genesis.chain_id(), is_new);
        if marker != Marker::Good {
            // Last, so that a first start that is cut short here is a first start again.
            mark_chain(&folder, genesis)?;
        }
        let wal = ConsensusWal::open(&folder)?;
        let mempool = AtomicFile::new(folder, "mempool");
        let (ledger, transactions) = resume(genesis, index, log.tip())?;
        let Replayed { ledger, transactions, tip_certificate } =
            replay_rest(ledger, transactions, &log)?;
        let home = Self { _lock: lock, log, wal, guard, mempool };
        Ok(Opened { home, ledger, tip_certificate, transactions })
    }
}

/// The file `chain`, which says to which chain a folder belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Marker {
    /// It names this chain.
    Good,
    /// It cannot be read; a guard of another chain still refuses.
    Damaged,
    /// The folder is new, or its first start was cut short.
    Missing,
}

/// What the folder says about its chain; refuses one of another chain.
fn check_chain(data: &Path, folder: &Folder, genesis: &Genesis) -> Result<Marker, HomeError> {
    let expected = genesis.chain_id();
    match AtomicFile::new(folder.clone(), CHAIN_FILE).read() {
        Ok(Some(found)) if found == expected.as_bytes() => Ok(Marker::Good),
        Ok(Some(found)) => Err(HomeError::WrongChain {
            data: data.to_owned(),
            found: crate::hex::encode(&found),
            expected,
        }),
        Ok(None) => Ok(Marker::Missing),
        Err(error @ AtomicFileError::Damaged { .. }) => {
            tracing::warn!("{error}");
            Ok(Marker::Damaged)
        }
        Err(error) => Err(error.into()),
    }
}

fn mark_chain(folder: &Folder, genesis: &Genesis) -> Result<(), HomeError> {
    let marker = AtomicFile::new(folder.clone(), CHAIN_FILE);
    Ok(marker.write(genesis.chain_id().as_bytes())?)
}

/// The state as the index has it, or the beginning where that cannot be used.
fn resume(
    genesis: &Arc<Genesis>,
    index: Index,
    log_tip: Option<Height>,
) -> Result<(Ledger<Index>, u64), HomeError> {
    let begin = |index| Ok((Ledger::begin(Arc::clone(genesis), index)?, 0));
    let Some(notes) = index.notes() else { return begin(index) };
    let notes: Option<Notes> = codec::decode(notes).ok();
    let Some(notes) = notes.filter(|notes| Some(notes.tip.height) <= log_tip) else {
        tracing::warn!("the state index does not belong to this block log; it is rebuilt");
        return begin(index.begin_anew()?);
    };
    let path = index.path().to_owned();
    match Ledger::resume(Arc::clone(genesis), index, notes.tip) {
        Ok(ledger) => Ok((ledger, notes.transactions)),
        Err(error @ (LedgerError::WrongRoot { .. } | LedgerError::State(_))) => {
            tracing::warn!("{error}; it is rebuilt from the block log");
            begin(Index::begin_anew_at(&path)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// The state made anew from genesis and the log, in place of an index that failed.
pub(super) fn rebuild(
    failed: &Ledger<Index>,
    log: &BlockLog,
) -> Result<Replayed<Index>, HomeError> {
    let index = Index::begin_anew_at(failed.leaves().path())?;
    let ledger = Ledger::begin(Arc::clone(failed.genesis()), index)?;
    replay_rest(ledger, 0, log)
}

/// Replays everything from the state's tip to the log's, and puts the state on the card.
fn replay_rest(
    ledger: Ledger<Index>,
    transactions: u64,
    log: &BlockLog,
) -> Result<Replayed<Index>, HomeError> {
    let tip = ledger.tip().height;
    let record = if tip > Height::ZERO { log.read(tip)? } else { None };
    let logged = record.map(|record| LoggedBlock::read(tip, &record)).transpose()?;
    let mut replay = Replay::new(ledger, transactions, logged, REPLAY_BATCH);
    for record in log.blocks_from(tip.next()) {
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

/// Takes a block over into state and lookups.
pub(super) fn commit(ledger: &mut Ledger<Index>, applied: Applied) {
    lookups::note(ledger.leaves_mut(), applied.tip().height, &applied.transactions);
    ledger.commit(applied);
}

/// Puts the state on the card.
pub(super) fn checkpoint(ledger: &mut Ledger<Index>, transactions: u64) -> Result<(), IndexError> {
    let notes = codec::encode(&Notes { tip: ledger.tip().clone(), transactions });
    let height = ledger.tip().height;
    ledger.leaves_mut().checkpoint(height, &notes)
}

impl From<StateError> for HomeError {
    fn from(error: StateError) -> Self {
        Self::Ledger(error.into())
    }
}
