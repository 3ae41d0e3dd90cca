//! The transactions of a block as a Merkle tree, so that one of them can be shown to be in it.
//!
//! The tree is that of RFC 6962, section 2.1, with a domain tag for each kind of node: a list of
//! `n > 1` ids is split at the largest power of two below `n`.
//!
//! | node | SHA-256 over |
//! |---|---|
//! | none | no hash: 32 zero bytes |
//! | one transaction | length of the tag, tag `goodwatt/transactions/leaf`, id (32) |
//! | two subtrees | length of the tag, tag `goodwatt/transactions/inner`, left (32), right (32) |

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::hash::{Digest32, Domain, TxId};

/// The longest path of an [`InclusionProof`]: enough for 65,536 transactions in a block.
pub const INCLUSION_PATH_MAX: usize = 16;

const LEAF: Domain = Domain::new(b"goodwatt/transactions/leaf");
const INNER: Domain = Domain::new(b"goodwatt/transactions/inner");

/// The hashes beside a path from a leaf to the root, in the order of the path, at most `MAX`.
///
/// A decoder refuses a longer one before it reads it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Siblings<const MAX: usize>(Vec<Digest32>);

impl<const MAX: usize> Siblings<MAX> {
    /// The hashes, or `None` if there are more than `MAX`.
    #[must_use]
    pub fn new(hashes: Vec<Digest32>) -> Option<Self> {
        (hashes.len() <= MAX).then_some(Self(hashes))
    }

    /// The hashes of a path whose maker knows that it is no longer than `MAX`.
    pub(crate) fn of_path(hashes: Vec<Digest32>) -> Self {
        debug_assert!(hashes.len() <= MAX, "a path of at most {MAX} hashes");
        Self(hashes)
    }

    /// The hashes, nearest to the leaf first.
    #[must_use]
    pub fn as_slice(&self) -> &[Digest32] {
        &self.0
    }

    /// The hashes, nearest to the leaf first.
    #[must_use]
    pub fn into_vec(self) -> Vec<Digest32> {
        self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Siblings<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Bounded<MAX> {
            type Value = Vec<Digest32>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} hashes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut hashes: A) -> Result<Self::Value, A::Error> {
                let mut read = Vec::new();
                while let Some(hash) = hashes.next_element()? {
                    if read.len() == MAX {
                        return Err(A::Error::custom("more hashes than a path can have"));
                    }
                    read.push(hash);
                }
                Ok(read)
            }
        }
        deserializer.deserialize_seq(Bounded::<MAX>).map(Self)
    }
}

/// The root over the transactions of a block, in their order.
#[must_use]
pub fn root(ids: &[TxId]) -> Digest32 {
    match ids {
        [] => Digest32::ZERO,
        [id] => leaf(id),
        _ => {
            let (left, right) = ids.split_at(split(ids.len()));
            inner(&root(left), &root(right))
        }
    }
}

/// Shows that the transaction at `index` is one of `ids`.
/// `None` where there is no such index, or more ids than [`INCLUSION_PATH_MAX`] allows.
#[must_use]
pub fn prove(ids: &[TxId], index: u32) -> Option<InclusionProof> {
    ids.get(index as usize)?;
    let mut hashes = Vec::new();
    collect(ids, index as usize, &mut hashes);
    Some(InclusionProof { index, siblings: Siblings::new(hashes)? })
}

/// Shows that a transaction stands at a position of a block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InclusionProof {
    index: u32,
    siblings: Siblings<INCLUSION_PATH_MAX>,
}

impl InclusionProof {
    /// The position, from 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Whether `id` stands at [`Self::index`] in the block of `count` transactions with `root`.
    #[must_use]
    pub fn verify(&self, root: &Digest32, count: u32, id: &TxId) -> bool {
        let mut siblings = self.siblings.0.iter();
        let computed = fold(&mut siblings, leaf(id), self.index, count);
        computed == Some(*root) && siblings.next().is_none()
    }
}

fn leaf(id: &TxId) -> Digest32 {
    Digest32::of(LEAF, &[id.as_bytes()])
}

fn inner(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32::of(INNER, &[left.as_bytes(), right.as_bytes()])
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

/// Puts the hashes beside the path to `index` into `hashes`, nearest to the leaf first.
fn collect(ids: &[TxId], index: usize, hashes: &mut Vec<Digest32>) {
    if ids.len() <= 1 {
        return;
    }
    let (left, right) = ids.split_at(split(ids.len()));
    if index < left.len() {
        collect(left, index, hashes);
        hashes.push(root(right));
    } else {
        collect(right, index - left.len(), hashes);
        hashes.push(root(left));
    }
}

/// The root of `count` leaves of which `node` is the one at `index`.
fn fold<'a>(
    siblings: &mut impl Iterator<Item = &'a Digest32>,
    node: Digest32,
    index: u32,
    count: u32,
) -> Option<Digest32> {
    if index >= count {
        return None;
    }
    if count == 1 {
        return Some(node);
    }
    // Below 2^32, so a power of two that fits.
    let left = split(count as usize) as u32;
    if index < left {
        let node = fold(siblings, node, index, left)?;
        Some(inner(&node, siblings.next()?))
    } else {
        let node = fold(siblings, node, index - left, count - left)?;
        Some(inner(siblings.next()?, &node))
    }
}
