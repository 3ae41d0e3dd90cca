//! The state as a sparse Merkle tree: its root stands in the header, and a path proves a leaf.
//!
//! A leaf's place is given by the 256 bits of its key, highest bit of the first byte first: 0 goes
//! left, 1 goes right. A subtree without leaves is empty, one with a single leaf *is* that leaf,
//! wherever it stands, and every other one is an inner node. So the root depends on the leaves
//! alone, and a path is about as long as the logarithm of their number.
//!
//! | node | SHA-256 over |
//! |---|---|
//! | empty | no hash: 32 zero bytes |
//! | value | length of the tag, tag `goodwatt/state/value`, the encoded value |
//! | leaf | length of the tag, tag `goodwatt/state/leaf`, key (32), hash of the value (32) |
//! | inner | length of the tag, tag `goodwatt/state/inner`, left (32), right (32) |
//!
//! [`StateTree`] keeps the nodes of the first [`BUCKET_BITS`] levels (270 kB) and computes what
//! lies below from the leaves of one bucket. How deep that is changes no hash.

mod proof;
mod summary;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use self::proof::End;
pub use self::proof::{ProofError, STATE_PATH_MAX, StateProof};
pub use self::summary::StateSummary;
use crate::hash::{Digest32, Domain};
use crate::leaves::{
    BUCKET_BITS, Bucket, BucketIndex, LeafChanges, LeafKey, Leaves, Unavailable, put,
};

const VALUE: Domain = Domain::new(b"goodwatt/state/value");
const LEAF: Domain = Domain::new(b"goodwatt/state/leaf");
const INNER: Domain = Domain::new(b"goodwatt/state/inner");

/// Bits in a key: no two leaves share all of them.
const KEY_BITS: u32 = 256;

/// A leaf as a bucket holds it.
type Leaf = (LeafKey, Arc<[u8]>);

/// A subtree, told by what it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Node {
    Empty,
    /// One leaf.
    Leaf(Digest32),
    /// Two leaves or more.
    Inner(Digest32),
}

impl Node {
    /// The node above two.
    fn over(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty | Self::Leaf(_)) => right,
            (Self::Leaf(_), Self::Empty) => left,
            _ => Self::Inner(inner_hash(&left.hash(), &right.hash())),
        }
    }

    const fn hash(self) -> Digest32 {
        match self {
            Self::Empty => Digest32::ZERO,
            Self::Leaf(hash) | Self::Inner(hash) => hash,
        }
    }
}

/// Number of a node of the upper levels: 1 is the root, `2n` and `2n + 1` are below `n`.
type NodeIndex = usize;

const ROOT: NodeIndex = 1;

/// The first node of the lowest level kept: the one of bucket 0.
const BUCKETS: NodeIndex = 1 << BUCKET_BITS;

const fn node_of(bucket: BucketIndex) -> NodeIndex {
    BUCKETS + bucket.get() as NodeIndex
}

/// The upper levels of the tree over the leaves of one state.
#[derive(Clone, Debug)]
pub struct StateTree(Vec<Node>);

impl Default for StateTree {
    /// The tree without leaves.
    fn default() -> Self {
        Self(vec![Node::Empty; 2 * BUCKETS])
    }
}

/// What a block makes of a [`StateTree`], not yet taken over.
#[derive(Clone, Debug)]
pub struct TreeUpdate {
    root: Digest32,
    nodes: Vec<(NodeIndex, Node)>,
}

impl TreeUpdate {
    /// The root after the changes.
    #[must_use]
    pub const fn root(&self) -> Digest32 {
        self.root
    }
}

impl StateTree {
    /// The tree over all of `leaves`: reads each of them once.
    ///
    /// # Errors
    /// [`Unavailable`] when they cannot be read.
    pub fn rebuild(leaves: &impl Leaves) -> Result<Self, Unavailable> {
        let mut tree = Self::default();
        for index in BucketIndex::all() {
            tree.0[node_of(index)] = subtree(&leaves.bucket(index)?, BUCKET_BITS);
        }
        for at in (ROOT..BUCKETS).rev() {
            tree.0[at] = Node::over(tree.0[2 * at], tree.0[2 * at + 1]);
        }
        Ok(tree)
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest32 {
        self.0[ROOT].hash()
    }

    /// Computes what `changes` make of this tree; `leaves` are those before the changes. Reads
    /// the buckets that change, and nothing else.
    ///
    /// # Errors
    /// [`Unavailable`] when they cannot be read.
    pub fn update(
        &self,
        leaves: &impl Leaves,
        changes: &LeafChanges,
    ) -> Result<TreeUpdate, Unavailable> {
        let mut nodes = changed_buckets(leaves, changes)?;
        let mut below = 0..nodes.len();
        while nodes.get(below.start).is_some_and(|(at, _)| *at > ROOT) {
            let level = below.end;
            self.push_parents(&mut nodes, below);
            below = level..nodes.len();
        }
        let root = nodes.last().map_or(self.root(), |(_, node)| node.hash());
        Ok(TreeUpdate { root, nodes })
    }

    /// Appends the nodes above a level of changed nodes, both by rising index.
    fn push_parents(&self, nodes: &mut Vec<(NodeIndex, Node)>, level: Range<usize>) {
        let mut at = level.start;
        while at < level.end {
            let (index, node) = nodes[at];
            let next = nodes[at + 1..level.end].first();
            let beside = next.filter(|(other, _)| *other == index ^ 1).map(|(_, node)| *node);
            at += 1 + usize::from(beside.is_some());
            let beside = beside.unwrap_or(self.0[index ^ 1]);
            let parent =
                if index % 2 == 0 { Node::over(node, beside) } else { Node::over(beside, node) };
            nodes.push((index / 2, parent));
        }
    }

    /// Takes over an update that this very tree computed.
    pub fn apply(&mut self, update: TreeUpdate) {
        for (at, node) in update.nodes {
            self.0[at] = node;
        }
        debug_assert_eq!(self.root(), update.root, "the update is of another tree");
    }

    /// Shows what stands at `key`: its value, or that there is none.
    ///
    /// # Errors
    /// [`Unavailable`] when the leaves cannot be read.
    pub fn prove(&self, leaves: &impl Leaves, key: &LeafKey) -> Result<StateProof, Unavailable> {
        let mut siblings = Vec::new();
        let mut at = ROOT;
        for level in 0..BUCKET_BITS {
            match self.0[at] {
                Node::Empty => return Ok(StateProof::new(siblings, End::Empty)),
                Node::Leaf(_) => {
                    return Ok(StateProof::new(siblings, self.only_leaf(leaves, at, key)?));
                }
                Node::Inner(_) => {}
            }
            at = 2 * at + usize::from(bit(key, level));
            siblings.push(self.0[at ^ 1].hash());
        }
        let bucket = leaves.bucket(BucketIndex::of(key))?;
        let end = descend(&bucket, key, &mut siblings);
        Ok(StateProof::new(siblings, end))
    }

    /// The one leaf below a node, which may stand in any of the buckets there.
    fn only_leaf(
        &self,
        leaves: &impl Leaves,
        mut at: NodeIndex,
        key: &LeafKey,
    ) -> Result<End, Unavailable> {
        while at < BUCKETS {
            at = if self.0[2 * at] == Node::Empty { 2 * at + 1 } else { 2 * at };
        }
        let index = u16::try_from(at - BUCKETS).ok().and_then(BucketIndex::new);
        let bucket = leaves.bucket(index.ok_or(Unavailable)?)?;
        Ok(End::of(&bucket, key))
    }
}

/// The buckets that `changes` touch, each with its new node, by rising index.
fn changed_buckets(
    leaves: &impl Leaves,
    changes: &LeafChanges,
) -> Result<Vec<(NodeIndex, Node)>, Unavailable> {
    // With what lies above them: half of the changed paths run apart to the top levels.
    let mut nodes = Vec::with_capacity(changes.len() * (BUCKET_BITS as usize / 2 + 2));
    let mut changes = changes.iter().peekable();
    while let Some((first, _)) = changes.peek() {
        let index = BucketIndex::of(first);
        let mut bucket = Bucket::clone(&*leaves.bucket(index)?);
        while let Some((key, value)) = changes.next_if(|(key, _)| BucketIndex::of(key) == index) {
            put(&mut bucket, *key, value.clone());
        }
        nodes.push((node_of(index), subtree(&bucket, BUCKET_BITS)));
    }
    Ok(nodes)
}

/// The node at `level` over sorted leaves that share the bits above it.
fn subtree(leaves: &[Leaf], level: u32) -> Node {
    match leaves {
        [] => Node::Empty,
        [leaf] => Node::Leaf(leaf_hash(leaf)),
        // No two keys are the same; if a store said so, this would still end.
        [leaf, ..] if level == KEY_BITS => Node::Leaf(leaf_hash(leaf)),
        _ => {
            let (left, right) = halves(leaves, level);
            Node::over(subtree(left, level + 1), subtree(right, level + 1))
        }
    }
}

/// Walks from a bucket's node down to where `key` belongs, noting the hashes beside the path.
fn descend(bucket: &[Leaf], key: &LeafKey, siblings: &mut Vec<Digest32>) -> End {
    let mut leaves = bucket;
    for level in BUCKET_BITS..KEY_BITS {
        if leaves.len() <= 1 {
            break;
        }
        let (left, right) = halves(leaves, level);
        let (path, beside) = if bit(key, level) { (right, left) } else { (left, right) };
        siblings.push(subtree(beside, level + 1).hash());
        leaves = path;
    }
    End::of(leaves, key)
}

/// Sorted leaves with bit 0 and with bit 1 at `level`.
fn halves(leaves: &[Leaf], level: u32) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|(key, _)| !bit(key, level)))
}

/// The bit of `key` that chooses the side at `level`; `true` goes right.
fn bit(key: &LeafKey, level: u32) -> bool {
    let byte = key.as_bytes()[level as usize / 8];
    byte >> (7 - level % 8) & 1 == 1
}

fn leaf_hash((key, value): &Leaf) -> Digest32 {
    hash_of_leaf(key, &value_hash(value))
}

fn hash_of_leaf(key: &LeafKey, value_hash: &Digest32) -> Digest32 {
    Digest32::of(LEAF, &[key.as_bytes(), value_hash.as_bytes()])
}

fn value_hash(value: &[u8]) -> Digest32 {
    Digest32::of(VALUE, &[value])
}

fn inner_hash(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32::of(INNER, &[left.as_bytes(), right.as_bytes()])
}
