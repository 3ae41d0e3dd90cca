//! The history root: one hash over the ids of all blocks before a block.
//!
//! It is a Merkle mountain range: perfect binary trees ("mountains") of falling size, one for each
//! bit of the count of blocks. Block 1 is its first leaf. A new block adds a leaf and joins
//! mountains of equal size, so that [`History`] keeps the peaks alone, at most 48 hashes.
//!
//! | node | SHA-256 over |
//! |---|---|
//! | no block at all | no hash: 32 zero bytes |
//! | block | length of the tag, tag `goodwatt/history/leaf`, id (32) |
//! | two trees of one size | length of the tag, tag `goodwatt/history/inner`, left (32), right (32) |
//! | peaks, right to left | length of the tag, tag `goodwatt/history/peaks`, what the peaks to the right gave (32), this peak (32) |
//!
//! Proofs are made and checked by the crate `ckb-merkle-mountain-range`, whose order of hashes
//! this is: the path within the mountain, after the peaks to the left and before those to the
//! right, which are given as the one hash they were joined to.

mod nodes;

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use ckb_merkle_mountain_range::helper::{get_peak_map, pos_height_in_tree};
use ckb_merkle_mountain_range::{
    Error, MMR, MMRStoreReadOps, Merge, MerkleProof, leaf_index_to_mmr_size, leaf_index_to_pos,
};
use serde::{Deserialize, Serialize};

pub use self::nodes::{GROUP_BLOCKS, HistoryNodes};
use crate::hash::{BlockId, Digest32, Domain};
use crate::merkle::Siblings;
use crate::units::Height;

/// The longest history: at a block each millisecond it lasts 8,900 years.
pub const HISTORY_BLOCKS_MAX: u64 = 1 << 48;

/// The most hashes in a [`HistoryProof`]. In a mountain of `2^n` blocks the path has `n`, to its
/// left stand at most `48 - n` peaks, and those to its right are one.
pub const HISTORY_PATH_MAX: usize = 49;

const PEAKS_MAX: usize = 49;

const LEAF: Domain = Domain::new(b"goodwatt/history/leaf");
const INNER: Domain = Domain::new(b"goodwatt/history/inner");
const PEAKS: Domain = Domain::new(b"goodwatt/history/peaks");

/// The blocks so far, as far as new ones need them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Stored")]
pub struct History {
    blocks: u64,
    /// One for each bit set in `blocks`, the largest mountain first.
    peaks: Vec<Digest32>,
}

impl History {
    /// How many blocks it holds: it is the history of the block one above.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.blocks
    }

    /// Whether it holds no block: the history of the first one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// Adds the next block.
    pub fn push(&mut self, block: BlockId) {
        let mut node = Digest32::of(LEAF, &[block.as_bytes()]);
        // Adding one to the count carries over its trailing ones: those mountains are joined.
        for _ in 0..self.blocks.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = join(&left, &node);
            }
        }
        self.peaks.push(node);
        self.blocks += 1;
    }

    /// The root that stands in the header of the next block.
    #[must_use]
    pub fn root(&self) -> Digest32 {
        let joined = self.peaks.iter().rev().copied();
        joined.reduce(|right, left| join_peaks(&right, &left)).unwrap_or(Digest32::ZERO)
    }
}

/// A [`History`] as it was stored, not yet looked at.
#[derive(Deserialize)]
struct Stored {
    blocks: u64,
    peaks: Siblings<PEAKS_MAX>,
}

impl TryFrom<Stored> for History {
    type Error = HistoryError;

    fn try_from(stored: Stored) -> Result<Self, HistoryError> {
        let peaks = stored.peaks.into_vec();
        if stored.blocks > HISTORY_BLOCKS_MAX || stored.blocks.count_ones() as usize != peaks.len()
        {
            return Err(HistoryError::Peaks);
        }
        Ok(Self { blocks: stored.blocks, peaks })
    }
}

/// Why a history or a proof cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The stored count of blocks and the stored peaks do not belong together.
    #[error("the stored history is damaged: its peaks do not fit its count of blocks")]
    Peaks,
    /// The block is not one of those the history holds.
    #[error("the history does not reach to this height")]
    OutOfRange,
    /// One of the blocks that the proof is computed from is not there.
    #[error("a block below this height is not stored here")]
    MissingBlock,
}

/// Shows that a block is an ancestor of the block whose header holds the root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct HistoryProof(Siblings<HISTORY_PATH_MAX>);

impl HistoryProof {
    /// Makes the proof for the block at `height` in the history of the first `blocks` blocks.
    ///
    /// `block_at` is asked once for every other block: what is not kept is computed again.
    ///
    /// # Errors
    /// [`HistoryError::OutOfRange`] and [`HistoryError::MissingBlock`].
    pub fn new(
        blocks: u64,
        height: Height,
        block_at: impl FnMut(Height) -> Option<BlockId>,
    ) -> Result<Self, HistoryError> {
        Self::with_nodes(&HistoryNodes::default(), blocks, height, block_at)
    }

    /// The same with nodes that are kept: `block_at` is asked for fewer than twice
    /// [`GROUP_BLOCKS`] blocks, where `nodes` hold all of the history but a group.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_nodes(
        nodes: &HistoryNodes,
        blocks: u64,
        height: Height,
        block_at: impl FnMut(Height) -> Option<BlockId>,
    ) -> Result<Self, HistoryError> {
        let place = Place::of(blocks, height).ok_or(HistoryError::OutOfRange)?;
        let nodes = Recomputed { kept: nodes, block_at: RefCell::new(block_at) };
        let proof = MMR::<_, Join, _>::new(place.size, nodes)
            .gen_proof(vec![place.position])
            .map_err(|_| HistoryError::MissingBlock)?;
        Siblings::new(proof.proof_items().to_vec()).map(Self).ok_or(HistoryError::OutOfRange)
    }

    /// Whether `block` stands at `height` in the history of `blocks` blocks with `root`: the root
    /// in the header of the block one above.
    #[must_use]
    pub fn verify(&self, root: &Digest32, blocks: u64, height: Height, block: &BlockId) -> bool {
        let Some(place) = Place::of(blocks, height) else { return false };
        // The crate does not look at the hashes beside a single leaf.
        if blocks == 1 && !self.0.as_slice().is_empty() {
            return false;
        }
        let leaf = Digest32::of(LEAF, &[block.as_bytes()]);
        MerkleProof::<_, Join>::new(place.size, self.0.as_slice().to_vec())
            .verify(*root, vec![(place.position, leaf)])
            .unwrap_or(false)
    }
}

/// Where a block stands, counted in nodes of the range.
struct Place {
    /// Nodes in the range.
    size: u64,
    /// Nodes before the leaf of the block.
    position: u64,
}

impl Place {
    fn of(blocks: u64, height: Height) -> Option<Self> {
        let index = height.get().checked_sub(1)?;
        if index >= blocks || blocks > HISTORY_BLOCKS_MAX {
            return None;
        }
        let size = leaf_index_to_mmr_size(blocks - 1);
        Some(Self { size, position: leaf_index_to_pos(index) })
    }
}

/// The nodes of a range, each computed from its blocks when asked for, if it is not kept.
struct Recomputed<'n, F> {
    kept: &'n HistoryNodes,
    block_at: RefCell<F>,
}

impl<F: FnMut(Height) -> Option<BlockId>> MMRStoreReadOps<Digest32> for Recomputed<'_, F> {
    fn get_elem(&self, position: u64) -> Result<Option<Digest32>, Error> {
        let mut block_at = self.block_at.borrow_mut();
        let tree_height = pos_height_in_tree(position);
        // The first leaf of this tree was added when the range had just the nodes before it.
        let first = get_peak_map(position + 2 - (2 << tree_height));
        if let Some(node) = self.kept.node(u32::from(tree_height), first) {
            return Ok(Some(node));
        }
        let mut tree = History::default();
        for index in first..first + (1 << tree_height) {
            let Some(block) = block_at(Height::new(index + 1)) else { return Ok(None) };
            tree.push(block);
        }
        Ok(tree.peaks.last().copied())
    }
}

/// How nodes become one, as the crate wants to know it.
struct Join;

impl Merge for Join {
    type Item = Digest32;

    fn merge(left: &Digest32, right: &Digest32) -> Result<Digest32, Error> {
        Ok(join(left, right))
    }

    fn merge_peaks(right: &Digest32, left: &Digest32) -> Result<Digest32, Error> {
        Ok(join_peaks(right, left))
    }
}

fn join(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32::of(INNER, &[left.as_bytes(), right.as_bytes()])
}

fn join_peaks(right: &Digest32, left: &Digest32) -> Digest32 {
    Digest32::of(PEAKS, &[right.as_bytes(), left.as_bytes()])
}

#[cfg(test)]
mod tests {
    use ckb_merkle_mountain_range::util::{MemMMR, MemStore};

    use super::*;

    fn block(height: u64) -> BlockId {
        BlockId(Digest32::of(PEAKS, &[&height.to_be_bytes()]))
    }

    fn history(blocks: u64) -> History {
        let mut history = History::default();
        (1..=blocks).for_each(|height| history.push(block(height)));
        history
    }

    fn prove(blocks: u64, height: u64) -> Result<HistoryProof, HistoryError> {
        HistoryProof::new(blocks, Height::new(height), |height| Some(block(height.get())))
    }

    #[test]
    fn peaks_alone_give_the_root_of_the_whole_range() {
        let store = MemStore::default();
        let mut whole = MemMMR::<_, Join>::new(0, &store);
        let mut history = History::default();
        assert_eq!(history.root(), Digest32::ZERO);
        for height in 1..=300 {
            history.push(block(height));
            whole.push(Digest32::of(LEAF, &[block(height).as_bytes()])).expect("memory is there");
            assert_eq!(whole.get_root(), Ok(history.root()), "{height} blocks");
            assert_eq!(history.len(), height);
        }
    }

    #[test]
    fn each_block_is_shown_at_its_height_and_at_no_other() {
        for blocks in 1..=33 {
            let root = history(blocks).root();
            for height in 1..=blocks {
                let proof = prove(blocks, height).expect("all blocks are there");
                for other in 1..=blocks + 1 {
                    let at = |height, id| proof.verify(&root, blocks, Height::new(height), &id);
                    assert_eq!(at(height, block(other)), other == height, "{height} of {blocks}");
                    assert_eq!(at(other, block(height)), other == height, "{height} of {blocks}");
                }
                let at = Height::new(height);
                assert!(!proof.verify(&Digest32::ZERO, blocks, at, &block(height)));
                assert!(!proof.verify(&history(blocks + 1).root(), blocks + 1, at, &block(height)));
            }
        }
    }

    #[test]
    fn other_hashes_prove_nothing() {
        for (blocks, height) in [(1, 1), (2, 1), (11, 3), (11, 9), (11, 11), (16, 16)] {
            let root = history(blocks).root();
            let proof = prove(blocks, height).expect("all blocks are there");
            let hashes = proof.0.as_slice();
            let check = |hashes: Vec<Digest32>| {
                let proof = HistoryProof(Siblings::of_path(hashes));
                let height = Height::new(height);
                assert!(!proof.verify(&root, blocks, height, &block(height.get())), "{proof:?}");
            };
            check([hashes, &[Digest32::ZERO]].concat());
            for at in 0..hashes.len() {
                let mut changed = hashes.to_vec();
                changed[at] = Digest32::ZERO;
                check(changed);
                check([&hashes[..at], &hashes[at + 1..]].concat());
            }
        }
    }

    #[test]
    fn what_cannot_be_proven_is_an_error() {
        let check = |blocks, height, want| assert_eq!(prove(blocks, height).err(), Some(want));
        check(0, 1, HistoryError::OutOfRange);
        check(5, 0, HistoryError::OutOfRange);
        check(5, 6, HistoryError::OutOfRange);
        check(u64::MAX, 1, HistoryError::OutOfRange);
        let missing = HistoryProof::new(9, Height::new(2), |height| {
            (height.get() != 7).then(|| block(height.get()))
        });
        assert_eq!(missing, Err(HistoryError::MissingBlock));
    }

    #[test]
    fn every_other_block_is_asked_for_once() {
        let mut asked = Vec::new();
        let proof = HistoryProof::new(21, Height::new(6), |height| {
            asked.push(height.get());
            Some(block(height.get()))
        });
        assert!(proof.is_ok());
        asked.sort_unstable();
        assert!(asked.into_iter().eq((1..=21).filter(|height| *height != 6)));
    }

    #[test]
    fn only_a_history_that_fits_its_count_is_read() {
        let whole = history(11);
        let encoded = postcard::to_allocvec(&whole).expect("a history encodes");
        assert_eq!(postcard::from_bytes(&encoded), Ok(whole));
        let check = |blocks: u64, peaks: usize| {
            let encoded = postcard::to_allocvec(&(blocks, vec![Digest32::ZERO; peaks]));
            assert!(postcard::from_bytes::<History>(&encoded.expect("it encodes")).is_err());
        };
        check(11, 2);
        check(11, 4);
        check(0, 1);
        check(u64::MAX, 64);
        check(HISTORY_BLOCKS_MAX + 1, 2);
    }

    #[test]
    fn the_longest_path_fits() {
        // In a history of 2^48 - 1 blocks, each mountain of 2^n has 47 - n peaks to its left.
        let longest = (0..48).map(|n| n + (47 - n) + u32::from(n > 0)).max();
        assert!(longest.is_some_and(|hashes| hashes as usize <= HISTORY_PATH_MAX));
        let full = HISTORY_BLOCKS_MAX.trailing_zeros();
        assert!(full as usize <= HISTORY_PATH_MAX);
    }
}
