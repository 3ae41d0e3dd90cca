//! The buckets of a state, each by its hash: what pieces of the state are compared with.
//!
//! A list of 4,096 nodes, one for each bucket, gives the state root. A bucket with a single leaf may
//! stand higher in the tree, so for such a one the list has the leaf's key: its place is then no
//! matter of trust.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{BUCKETS, Leaf, Node, hash_of_leaf, leaf_hash, subtree, value_hash};
use crate::hash::Digest32;
use crate::leaves::{BUCKET_BITS, BucketIndex, LeafKey};

/// What one bucket holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum BucketNode {
    Empty,
    /// One leaf: its key, and the hash of its value.
    Leaf(LeafKey, Digest32),
    /// More: the hash of their tree.
    Inner(Digest32),
}

/// The nodes of all buckets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct StateSummary(Vec<BucketNode>);

impl StateSummary {
    /// Adds the next bucket by its sorted leaves; a summary has [`BucketIndex::COUNT`] of them.
    pub fn push(&mut self, leaves: &[Leaf]) {
        self.0.push(match leaves {
            [] => BucketNode::Empty,
            [(key, value)] => BucketNode::Leaf(*key, value_hash(value)),
            _ => BucketNode::Inner(subtree(leaves, BUCKET_BITS).hash()),
        });
    }

    /// The root of the state, or `None` where this is no summary of one.
    #[must_use]
    pub fn root(&self) -> Option<Digest32> {
        if self.0.len() != BUCKETS {
            return None;
        }
        let mut nodes = Vec::with_capacity(BUCKETS);
        for (index, node) in BucketIndex::all().zip(&self.0) {
            nodes.push(match node {
                BucketNode::Empty => Node::Empty,
                BucketNode::Leaf(key, value) if BucketIndex::of(key) == index => {
                    Node::Leaf(hash_of_leaf(key, value))
                }
                BucketNode::Leaf(..) => return None,
                BucketNode::Inner(hash) => Node::Inner(*hash),
            });
        }
        while nodes.len() > 1 {
            let pairs = nodes.chunks_exact(2);
            nodes = pairs.map(|pair| Node::over(pair[0], pair[1])).collect();
        }
        nodes.first().map(|root| root.hash())
    }

    /// Whether these are all leaves of a bucket, in their order.
    #[must_use]
    pub fn holds(&self, bucket: BucketIndex, leaves: &[Leaf]) -> bool {
        let here = leaves.iter().all(|(key, _)| BucketIndex::of(key) == bucket);
        let sorted = leaves.is_sorted_by(|(one, _), (next, _)| one < next);
        let node = self.0.get(usize::from(bucket.get()));
        here && sorted
            && node.is_some_and(|node| match (node, leaves) {
                (BucketNode::Empty, []) => true,
                (BucketNode::Leaf(key, value), [leaf]) => {
                    hash_of_leaf(key, value) == leaf_hash(leaf)
                }
                (BucketNode::Inner(hash), _) => subtree(leaves, BUCKET_BITS).hash() == *hash,
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec;

    use super::*;
    use crate::leaves::{LeafChanges, Leaves, MemoryLeaves};
    use crate::tree::StateTree;

    fn state(count: u32) -> MemoryLeaves {
        let mut leaves = MemoryLeaves::default();
        let leaf = |n: u32| {
            let key = Digest32::of(super::super::VALUE, &[&n.to_be_bytes()]);
            (key, Some(Arc::from(n.to_be_bytes().as_slice())))
        };
        leaves.commit(&(0..count).map(leaf).collect::<LeafChanges>());
        leaves
    }

    fn summary(leaves: &MemoryLeaves) -> StateSummary {
        let mut summary = StateSummary::default();
        for index in BucketIndex::all() {
            summary.push(&leaves.bucket(index).expect("memory is there"));
        }
        summary
    }

    #[test]
    fn it_gives_the_root_and_knows_its_buckets() {
        for count in [0, 1, 2, 3, 50, 10_000] {
            let leaves = state(count);
            let summary = summary(&leaves);
            let root = StateTree::rebuild(&leaves).expect("memory is there").root();
            assert_eq!(summary.root(), Some(root), "{count} leaves");
            for index in BucketIndex::all() {
                let bucket = leaves.bucket(index).expect("memory is there");
                assert!(summary.holds(index, &bucket));
                for at in 0..bucket.len() {
                    let mut less = bucket.to_vec();
                    less.remove(at);
                    assert!(!summary.holds(index, &less));
                    let mut other = bucket.to_vec();
                    other[at].1 = Arc::from(b"other".as_slice());
                    assert!(!summary.holds(index, &other));
                }
            }
        }
    }

    #[test]
    fn a_leaf_cannot_be_moved_to_another_bucket() {
        // One leaf stands for the whole tree, wherever a list puts it.
        let good = summary(&state(1));
        let at = good.0.iter().position(|node| *node != BucketNode::Empty).expect("one leaf");
        let mut moved = good.clone();
        moved.0.swap(at, at ^ 1);
        assert!(good.root().is_some());
        assert_eq!(moved.root(), None);
        assert_eq!(StateSummary(vec![BucketNode::Empty; 4_095]).root(), None);
    }
}
