//! What goes into the core, and what comes out of it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::hash::{BlockId, Digest32};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::validators::ValidatorSet;
use goodwatt_chain::vote::{Evidence, Vote, VoteKind};
use serde::{Deserialize, Serialize};

use crate::polka::Polka;
use crate::statement::{Mark, Message, SignedStatement, Statement, Step};

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// Agreement on the next block begins; [`crate::sealing`] knows when.
    StartHeight(HeightStart),
    /// The answer to [`Action::BuildBlock`].
    BlockBuilt {
        /// The height it was built for.
        height: Height,
        /// The round it was built for.
        round: Round,
        /// The block; its body is at hand.
        block: BlockId,
    },
    /// The answer to [`Action::CheckBlock`].
    BlockChecked {
        /// The height it was checked for.
        height: Height,
        /// The block.
        block: BlockId,
        /// Whether its body is at hand, follows from its parent, and its time is acceptable.
        valid: bool,
    },
    /// A message came from a peer. If it is not refused it has to be passed on: agreement relies on
    /// everyone hearing in the end what anyone honest has heard. If it is refused it must not be.
    Received(Message),
    /// The answer to [`Action::Sign`]: what the guard let through. What is missing stays unsaid.
    Signed(Vec<SignedStatement>),
    /// A timeout of [`Action::ScheduleTimeout`] ran out.
    TimeoutElapsed(Timeout),
}

/// Everything that agreement on one height rests on.
#[derive(Clone, Debug)]
pub struct HeightStart {
    /// The height, above all before it.
    pub height: Height,
    /// Who decides it.
    pub validators: Arc<ValidatorSet>,
    /// The seed of its epoch, which draws the proposers.
    pub seed: Digest32,
    /// The slot key held here, if any. Who holds none of the set's keys follows in silence.
    pub signer: Option<PublicKey>,
    /// What an earlier run left behind: the guard's record always, log entries after a crash.
    pub recovered: Recovered,
}

/// What a crash left of a height that was begun.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// What the signing guard holds, whatever the height and the key.
    pub signed: Option<LastSigned>,
    /// The write-ahead log, in the order it was written; entries of other heights are passed over.
    pub entries: Vec<WalEntry>,
}

/// The last thing the guard let through: nothing up to it may be signed again, but word for word.
///
/// A vote is asked for once more, word for word, if the log has lost it: the others may be waiting
/// for it. A record of a proposal does not say enough for that; the round goes on without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastSigned {
    /// The key that signed.
    pub signer: PublicKey,
    /// Where it stands.
    pub mark: Mark,
    /// The block it was for, if any.
    pub block: Option<BlockId>,
}

impl LastSigned {
    /// The vote it records, if it is one.
    #[must_use]
    pub const fn vote(&self) -> Option<Vote> {
        let kind = match self.mark.step {
            Step::Proposal => return None,
            Step::Prevote => VoteKind::Prevote,
            Step::Precommit => VoteKind::Precommit,
        };
        let Mark { height, round, .. } = self.mark;
        Some(Vote { kind, height, round, block: self.block, signer: self.signer })
    }
}

impl From<Statement> for LastSigned {
    fn from(statement: Statement) -> Self {
        Self { signer: statement.signer(), mark: statement.mark(), block: statement.block() }
    }
}

/// What to do, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Build a block and answer with [`Event::BlockBuilt`].
    BuildBlock {
        /// The height to build for.
        height: Height,
        /// The round to build for.
        round: Round,
    },
    /// Check the body of a block, once it is at hand, and answer with [`Event::BlockChecked`].
    /// Asked again whenever a block is proposed again that was not found valid.
    CheckBlock {
        /// The height.
        height: Height,
        /// The block.
        block: BlockId,
    },
    /// Write to the log; see [`WalEntry`] for when it has to be on the card.
    Persist(WalEntry),
    /// Send to every peer.
    Broadcast(Message),
    /// Start a timer; the length is up to the caller and grows with the round.
    ScheduleTimeout(Timeout),
    /// Forget all timers that were started before.
    CancelTimeouts,
    /// Ask the guard for all of these in one durable write, sign what it lets through, and answer
    /// with [`Event::Signed`]. At most one such action comes out of one event, and it is the last.
    /// Requests go to the guard in the order they came; see [`WalEntry`] for what goes first. They
    /// rise from step to step, but for the guard's [last vote](LastSigned) after a restart.
    Sign(Vec<Statement>),
    /// A validator signed two things that contradict each other; proof for a transaction.
    Evidence(Evidence),
    /// The height is decided. Its block may not be at hand yet: then it is fetched from those who
    /// signed. Timers are void. Nothing moves until the next [`Event::StartHeight`].
    Decide(Box<Certificate>),
    /// A peer speaks of a height that is not running here, or pretends to: if it is the one after
    /// the tip, start it; if it is higher, catch up. Bodies offered with it should be kept.
    Ahead {
        /// The height the peer speaks of.
        height: Height,
    },
    /// This node follows the height without signing.
    Silent(SilentReason),
}

/// Why a validator keeps silent for a height.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SilentReason {
    /// The chain here ends below what the key has signed already.
    #[error("the guard has signed for {0}, which this chain has not reached: let it catch up")]
    GuardAhead(Height),
    /// The guard has signed for this height with another key than the one held now.
    #[error("{0} has signed for this height here: this board signs from the next one on")]
    ForeignGuard(PublicKey),
    /// A precommit for a block was signed, but the log does not prove its lock.
    #[error("the log lost the lock of {0} that the guard signed: fetch the block from a peer")]
    LockLost(Round),
}

/// A timer of the running height.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timeout {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// What is waited for: this step's messages of the others.
    pub step: Step,
}

/// One entry of the write-ahead log; the log of a height is void once its block is on the card.
///
/// **When it has to be on the card.** Before the guard is asked for anything, all entries so far
/// have to be; and before it is asked for a *precommit for a block*, the body of that block as well.
/// Without its own words a validator could leave others waiting for ever, and without the reason of
/// its lock it could vote for another block. In a round that goes well this is one sync: before the
/// proposal and the prevote there is nothing in the log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum WalEntry {
    /// Own words, to be said again after a restart, not signed again.
    Own(SignedStatement),
    /// Two thirds prevoted for a block found valid here: what this validator is locked on. The
    /// block's body goes before it: a lock on a block that nobody has halts the chain.
    Polka(Box<Polka>),
}
