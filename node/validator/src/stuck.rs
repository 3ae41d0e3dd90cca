//! Why nothing is sealed.

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::ledger::BlockError;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::StateError;
use goodwatt_consensus::SilentReason;
use goodwatt_consensus::clock::ClockFault;
use goodwatt_store::{DiskError, IndexError, LogError};

use crate::guard::GuardFault;

/// Why nothing is sealed at the moment. It is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stuck {
    /// The clock cannot be right.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The block log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index refuses.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The index is set aside, and no other can be made.
    #[error("the state index cannot be rebuilt: {0}")]
    Rebuild(String),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The guard forbids to sign.
    #[error(transparent)]
    Guard(#[from] GuardFault),
    /// A block of this board's own making does not pass: a defect.
    #[error("own block: {0}")]
    Block(#[from] BlockError),
    /// The core keeps silent for this height.
    #[error(transparent)]
    Silent(SilentReason),
    /// The hash chain of the slot is at its end.
    #[error("all links of the slot's hash chain are used: buy a new slot")]
    RevealsUsedUp,
    /// A decided block is gone.
    #[error(
        "this board decided block {0} and then lost it, and signs no other one in its place: \
         restore the block log from a copy that has it"
    )]
    BodyMissing(BlockId),
    /// Somebody else signs with the key that is held here.
    #[error(
        "another board signs with the key {0}, which is held here too: nothing is signed here. \
         Stop the other board, then start this one again"
    )]
    Doppelganger(PublicKey),
}
