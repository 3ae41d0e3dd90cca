//! The data folder: ledger, guard, write-ahead log, and how they are found again after a crash.
//!
//! | in the folder | what | lost or damaged |
//! |---|---|---|
//! | `chain` | id of the chain | made anew from the log's first block |
//! | `log/` | the blocks: the truth | named with height and byte |
//! | `headers/` | headers and certificates of blocks whose bodies are pruned | not given to others |
//! | `index/` | the state, and where each transaction stands | rebuilt from the snapshot and the log |
//! | `snapshot` | the state of a former height, in one file | the index is rebuilt from the log alone |
//! | `guard` | what was signed last | signing refused until imported |
//! | `wal` | the height at work | read as far as it is whole |
//! | `mempool` | what waited at the last stop | begun empty |
//! | `signers/` | slot keys | the slot stays empty |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::ledger::LedgerError;
use goodwatt_chain::state::StateError;
use goodwatt_chain::units::Height;
use goodwatt_store::{
    AtomicFile, AtomicFileError, BlockLog, ConsensusWal, DataDirLock, DiskError, Folder, Index,
    IndexError, LockError, LogError,
};

use goodwatt_validator::{Card, Guard};

use super::recovery::Recovery;
use super::replay::{ReplayError, Replayed};
use super::snapshots::Snapshots;
use crate::signers::SignersError;

/// Says to which chain the folder belongs.
const CHAIN_FILE: &str = "chain";

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
    /// The state is lost, and what it could be replayed from is pruned.
    #[error(
        "the state is lost, for the snapshot {why}, and the log begins at {first}: empty {data} but for `guard` and `signers`, and fetch a checkpoint's state: goodwattd --checkpoint HEIGHT:BLOCKID"
    )]
    Pruned {
        /// The folder.
        data: String,
        /// Why the snapshot would not do.
        why: String,
        /// The first block that is there.
        first: Height,
    },
    /// The thread could not be started.
    #[error("the validator's thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// The open files of a data folder.
#[derive(Debug)]
pub(crate) struct Home {
    _lock: DataDirLock,
    pub(super) mempool: AtomicFile,
    pub(super) snapshots: Snapshots,
}

/// A data folder whose state is at the tip of its log.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) home: Home,
    pub(crate) card: Card,
    pub(crate) state: Replayed<Index>,
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
        let (headers, _) = BlockLog::open(Folder::at(&data.join("headers"))?)?;
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
        let mempool = AtomicFile::new(folder.clone(), "mempool");
        let snapshots = Snapshots::find(&folder);
        let state = Recovery { genesis, folder: &folder, log: &log }.run(index)?;
        let home = Self { _lock: lock, mempool, snapshots };
        Ok(Opened { home, card: Card { log, headers: Some(headers), wal, guard }, state })
    }
}

/// Whether a data folder has blocks already.
///
/// # Errors
/// See [`HomeError`].
pub(crate) fn has_blocks(data: &Path, genesis: &Genesis) -> Result<bool, HomeError> {
    check_chain(data, &Folder::at(data)?, genesis)?;
    let names = std::fs::read_dir(data.join("log")).into_iter().flatten().flatten();
    Ok(names.into_iter().any(|entry| entry.path().extension().is_some_and(|end| end == "blocks")))
}

/// Makes a folder without blocks one that begins after a block of which the snapshot is there
/// already. The block comes last, so that a start that is cut short here is a first start again.
///
/// # Errors
/// See [`HomeError`].
pub(crate) fn begin_at(
    data: &Path,
    genesis: &Genesis,
    height: Height,
    record: &[u8],
) -> Result<(), HomeError> {
    let folder = Folder::at(data)?;
    let is_new = check_chain(data, &folder, genesis)? == Marker::Missing;
    Guard::open(&folder, genesis.chain_id(), is_new);
    mark_chain(&folder, genesis)?;
    let (mut log, _) = BlockLog::open(Folder::at(&data.join("log"))?)?;
    Ok(log.append(height, record)?)
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

impl From<StateError> for HomeError {
    fn from(error: StateError) -> Self {
        Self::Ledger(error.into())
    }
}
