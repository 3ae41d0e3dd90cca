//! What a validator is put together from, and what it gives out.

use std::sync::Arc;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::hash::{BlockId, Digest32, TxId};
use goodwatt_chain::ledger::{LeafStore, Ledger, Sealed};
use goodwatt_chain::mempool::{Dropped, MempoolLimits};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::{BlockLog, ConsensusWal, IndexError};
use goodwatt_units::Millis;

use crate::guard::Guard;
use crate::message::{Message, StateQuestion};

/// The time, read once for a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// The wall clock, which may be wrong.
    pub wall: UnixMillis,
    /// The latest moment of which somebody else than the wall clock knows.
    pub known: Option<UnixMillis>,
    /// Since the start; never goes back.
    pub uptime: Millis,
}

/// The files of a validator, besides its state.
#[derive(Debug)]
pub struct Card {
    /// The blocks: the truth.
    pub log: BlockLog,
    /// Headers and certificates of blocks whose bodies are pruned; `None` where nothing ever is.
    pub headers: Option<BlockLog>,
    /// The height at work.
    pub wal: ConsensusWal,
    /// What was signed last.
    pub guard: Guard,
}

/// The slot keys held here.
pub trait Signers {
    /// The key with this public half, if it is held.
    fn key(&self, public: &PublicKey) -> Option<SigningKey>;

    /// Whether the key with this public half is held.
    fn holds(&self, public: &PublicKey) -> bool;

    /// The link of its hash chain that comes after `last`, or `None` when all are used.
    fn next_reveal(&self, public: &PublicKey, last: &Digest32) -> Option<Digest32>;
}

/// Leaves that reach the card by and by.
pub trait StateStore: LeafStore {
    /// Notes which transactions a block holds, to find them again.
    fn note(&mut self, height: Height, transactions: &[Sealed]);

    /// How many changes are not on the card yet.
    fn dirty(&self) -> usize;

    /// Puts everything on the card, together with the caller's notes.
    ///
    /// # Errors
    /// When the disk refuses: nothing is lost, and the same call may be tried again.
    fn checkpoint(&mut self, height: Height, notes: &[u8]) -> Result<(), IndexError>;
}

/// Everything a validator begins with.
#[derive(Debug)]
pub struct Parts<S, K> {
    /// The ledger, brought up to the log.
    pub ledger: Ledger<S>,
    /// Who decided its tip; `None` before the first block.
    pub tip_certificate: Option<Certificate>,
    /// Transactions sealed since the first block.
    pub transactions: u64,
    /// Its files.
    pub card: Card,
    /// The slot keys held here.
    pub signers: K,
    /// Limits of what waits.
    pub mempool: MempoolLimits,
    /// No clock is right before this.
    pub build_time: UnixMillis,
    /// Whether to sign.
    pub sign: bool,
    /// Whether there may be other validators: then a fresh start keeps silent for a while.
    pub has_peers: bool,
}

/// A connection to another validator, numbered by whoever holds the connections.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId(pub u64);

/// Whom a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum To {
    /// One peer.
    Peer(PeerId),
    /// Every peer.
    All,
    /// Every peer but the one it came from.
    AllBut(PeerId),
}

/// A block that is on the card now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedBlock {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// Who proposed it.
    pub proposer: PublicKey,
    /// Its transactions.
    pub transactions: Vec<TxId>,
    /// Whether it began an epoch.
    pub begins_epoch: bool,
}

/// What comes out of a validator.
#[derive(Clone, Debug)]
pub enum Output {
    /// A message to send.
    Send(To, Arc<Message>),
    /// A block is on the card.
    Sealed(SealedBlock),
    /// A transaction left without being sealed.
    Dropped(TxId, Dropped),
    /// A peer asks for a part of the state, which is in the snapshot.
    StateWanted(PeerId, StateQuestion),
    /// A peer broke the rules, and this is how.
    Misbehaved(PeerId, String),
}
