//! Bodies of proposed blocks: those that came and were not asked about yet, and those found valid.

use goodwatt_chain::block::Block;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::ledger::Applied;
use goodwatt_chain::units::Height;
use goodwatt_units::Millis;

use crate::parts::PeerId;

/// Bodies kept that nobody asked about yet: what peers offer is bounded by this.
const UNCHECKED_MAX: usize = 8;
/// Of these at most so many of one peer, so that nobody crowds out the others.
const UNCHECKED_MAX_OF_PEER: usize = 2;
/// Valid bodies kept: those of the last rounds.
const CHECKED_MAX: usize = 4;

/// A block that is valid here, carried out.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: BlockId,
    pub(crate) block: Block,
    pub(crate) applied: Applied,
}

#[derive(Debug)]
struct Unchecked {
    from: PeerId,
    id: BlockId,
    block: Block,
}

/// A body that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) height: Height,
    pub(crate) id: BlockId,
    /// When to ask for it.
    pub(crate) ask_at: Millis,
}

/// All bodies at hand.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    unchecked: Vec<Unchecked>,
    checked: Vec<Candidate>,
    /// Those in the write-ahead log.
    kept: Vec<BlockId>,
    awaited: Vec<Awaited>,
}

impl Bodies {
    /// Keeps what a peer offers; tells whether it was waited for.
    pub(crate) fn offer(&mut self, from: PeerId, id: BlockId, block: Block) -> bool {
        let known = self.checked(&id).is_some() || self.unchecked.iter().any(|held| held.id == id);
        if known {
            return false;
        }
        let of_peer = |held: &Unchecked| held.from == from;
        if self.unchecked.iter().filter(|held| of_peer(held)).count() >= UNCHECKED_MAX_OF_PEER
            && let Some(first) = self.unchecked.iter().position(of_peer)
        {
            self.unchecked.remove(first);
        }
        if self.unchecked.len() >= UNCHECKED_MAX {
            self.unchecked.remove(0);
        }
        self.unchecked.push(Unchecked { from, id, block });
        let before = self.awaited.len();
        self.awaited.retain(|awaited| awaited.id != id);
        self.awaited.len() < before
    }

    /// Takes out what a peer offered.
    pub(crate) fn take_unchecked(&mut self, id: &BlockId) -> Option<(PeerId, Block)> {
        let at = self.unchecked.iter().position(|held| held.id == *id)?;
        let Unchecked { from, block, .. } = self.unchecked.remove(at);
        Some((from, block))
    }

    /// A block found valid.
    pub(crate) fn checked(&self, id: &BlockId) -> Option<&Candidate> {
        self.checked.iter().find(|candidate| candidate.id == *id)
    }

    /// The body of a block, valid or not looked at.
    pub(crate) fn find(&self, id: &BlockId) -> Option<&Block> {
        let unchecked = self.unchecked.iter().find(|held| held.id == *id).map(|held| &held.block);
        self.checked(id).map(|candidate| &candidate.block).or(unchecked)
    }

    /// Keeps a valid block; what is in the write-ahead log gives way last.
    pub(crate) fn keep_checked(&mut self, candidate: Candidate) {
        self.checked.retain(|held| held.id != candidate.id);
        if self.checked.len() >= CHECKED_MAX {
            let lesser = self.checked.iter().position(|held| !self.kept.contains(&held.id));
            self.checked.remove(lesser.unwrap_or(0));
        }
        self.checked.push(candidate);
    }

    /// Takes a valid block out.
    pub(crate) fn take_checked(&mut self, id: &BlockId) -> Option<Candidate> {
        let at = self.checked.iter().position(|candidate| candidate.id == *id)?;
        Some(self.checked.remove(at))
    }

    /// The body that has to go into the write-ahead log, unless it is there.
    pub(crate) fn to_keep(&self, id: &BlockId) -> Option<Block> {
        let missing = !self.kept.contains(id);
        self.checked(id).filter(|_| missing).map(|candidate| candidate.block.clone())
    }

    /// Notes that a body is in the write-ahead log.
    pub(crate) fn is_kept(&mut self, id: &BlockId) {
        if !self.kept.contains(id) {
            self.kept.push(*id);
        }
    }

    /// Waits for a body, and asks for it from `ask_at` on.
    pub(crate) fn await_body(&mut self, awaited: Awaited) {
        if self.awaited.iter().all(|held| held.id != awaited.id) {
            self.awaited.push(awaited);
        }
    }

    /// When the next body is to be asked for.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.awaited.iter().map(|awaited| awaited.ask_at).min()
    }

    /// The bodies to ask for now; they are asked for again at `next`.
    pub(crate) fn take_due(&mut self, now: Millis, next: Millis) -> Vec<(Height, BlockId)> {
        let mut due = Vec::new();
        for awaited in self.awaited.iter_mut().filter(|awaited| awaited.ask_at <= now) {
            awaited.ask_at = next;
            due.push((awaited.height, awaited.id));
        }
        due
    }

    /// Forgets everything up to a height that is sealed.
    pub(crate) fn forget_until(&mut self, height: Height) {
        self.checked.clear();
        self.kept.clear();
        self.awaited.retain(|awaited| awaited.height > height);
        self.unchecked.retain(|held| held.block.header.height > height);
    }
}
