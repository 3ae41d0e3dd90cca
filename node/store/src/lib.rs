//! What a node keeps on its card: blocks, state, what it signed, and the height at work.
//!
//! | to find | look in |
//! |---|---|
//! | the blocks: the truth | [`BlockLog`] |
//! | the state and lookups: rebuildable | [`Index`] |
//! | the state in one file, to rebuild from | [`Snapshot`] |
//! | what was signed last: never lost, never lowered | [`SigningGuard`] |
//! | what a height needs to go on after a crash | [`ConsensusWal`] |
//! | small files that are there as a whole | [`AtomicFile`] |
//!
//! This crate deliberately knows no rule of the ledger, no socket, no clock and no key: what it
//! stores are bytes, heights and hashes.
//!
//! ```
//! use goodwatt_chain::units::Height;
//! use goodwatt_store::{BlockLog, Folder};
//!
//! let dir = tempfile::tempdir()?;
//! let (mut log, _) = BlockLog::open(Folder::at(dir.path())?)?;
//! log.append(Height::new(1), b"a block")?; // on the card now
//! assert_eq!(log.read(Height::new(1))?.as_deref(), Some(b"a block".as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod checksum;
mod disk;
#[cfg(any(test, feature = "fault-injection"))]
pub mod faulty;
mod guard;
mod index;
mod log;
mod snapshot;
mod wal;

pub use atomic::{AtomicFile, AtomicFileError};
pub use disk::*;
pub use guard::{
    ExchangeError, GuardError, GuardRecord, GuardRefusal, GuardStep, ImportError, SignRequest,
    SignedStep, SigningGuard, decide,
};
pub use index::{BATCH_MAX, Filling, Index, IndexError, IndexReport};
pub use log::*;
pub use snapshot::{Snapshot, SnapshotChunks, SnapshotError, SnapshotPart, SnapshotReport};
pub use wal::ConsensusWal;
