//! Nodes of a range, kept so that a proof takes a bounded number of blocks, however long the chain.

use alloc::vec::Vec;

use super::{History, join};
use crate::hash::{BlockId, Digest32};

/// Level of the lowest nodes that are kept: half a byte of memory for each block.
const GROUP_LEVEL: u32 = 7;

/// Blocks below one of the lowest nodes that are kept.
pub const GROUP_BLOCKS: u64 = 1 << GROUP_LEVEL;

/// The inner nodes over whole groups of [`GROUP_BLOCKS`] blocks.
#[derive(Clone, Debug, Default)]
pub struct HistoryNodes {
    /// By level above the groups, from the first block on.
    levels: Vec<Vec<Digest32>>,
    /// The blocks of the group that is not whole yet.
    group: History,
}

impl HistoryNodes {
    /// How many blocks they were made of.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.groups() * GROUP_BLOCKS + self.group.len()
    }

    /// Whether they were made of no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next block.
    pub fn push(&mut self, block: BlockId) {
        self.group.push(block);
        if self.group.len() < GROUP_BLOCKS {
            return;
        }
        // A whole group is one mountain, and its peak the root.
        let mut node = core::mem::take(&mut self.group).root();
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(node);
            // A right child makes the node above both whole.
            let [.., left, right] = nodes.as_slice() else { return };
            if nodes.len() % 2 == 1 {
                return;
            }
            node = join(left, right);
        }
    }

    /// The node of a level over the blocks from `first` on, which is counted from 0.
    pub(super) fn node(&self, level: u32, first: u64) -> Option<Digest32> {
        let nodes = self.levels.get(level.checked_sub(GROUP_LEVEL)? as usize)?;
        nodes.get(usize::try_from(first >> level).ok()?).copied()
    }

    fn groups(&self) -> u64 {
        self.levels.first().map_or(0, |groups| groups.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::HistoryProof;
    use super::*;
    use crate::units::Height;

    fn block(height: u64) -> BlockId {
        let mut id = [7; 32];
        id[..8].copy_from_slice(&height.to_be_bytes());
        BlockId(Digest32::new(id))
    }

    fn nodes(blocks: u64) -> HistoryNodes {
        let mut nodes = HistoryNodes::default();
        (1..=blocks).for_each(|height| nodes.push(block(height)));
        nodes
    }

    #[test]
    fn proofs_are_the_same_and_take_few_blocks() {
        let check = |blocks: u64, kept: u64, height: u64| {
            let nodes = nodes(kept);
            assert_eq!(nodes.len(), kept);
            let (mut asked, at) = (0, Height::new(height));
            let quick = HistoryProof::with_nodes(&nodes, blocks, at, |height| {
                asked += 1;
                Some(block(height.get()))
            });
            let whole = HistoryProof::new(blocks, at, |height| Some(block(height.get())));
            assert_eq!(quick, whole, "{height} of {blocks} with {kept}");
            assert!(asked < 3 * GROUP_BLOCKS, "{asked} blocks for {height} of {blocks}");
        };
        for height in [1, 2, 128, 129, 1_000, 1_024, 1_025, 2_047, 2_048, 2_175, 2_176, 2_300] {
            check(2_300, 2_300, height);
            check(2_300, 2_176, height);
        }
        check(128, 128, 5);
        check(127, 127, 127);
        check(1, 1, 1);
    }

    #[test]
    fn a_history_that_went_on_is_proven_with_nodes_of_before() {
        // The nodes are of more blocks than the proof: a node that was whole stays as it is.
        let at = Height::new(300);
        let proof = HistoryProof::with_nodes(&nodes(5_000), 400, at, |h| Some(block(h.get())));
        let root = {
            let mut history = History::default();
            (1..=400).for_each(|height| history.push(block(height)));
            history.root()
        };
        assert!(proof.is_ok_and(|proof| proof.verify(&root, 400, at, &block(300))));
    }
}
