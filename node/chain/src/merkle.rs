//! The transactions of a block as a Merkle tree, so that one of them can be shown to be in it.
//!
//! The tree is that of RFC 6962, section 2.1, with a domain tag for each kind of node: a list of
//! `n > 1` ids is split at the largest power of two below `n`.
//!
//! | node | SHA-256 over |
//! |---|---|
//! | none | no hash: 32 zero bytes |
//! | one transaction | length of the tag, tag `goodwatt/body/leaf`, id (32) |
//! | two subtrees | length of the tag, tag `goodwatt/body/inner`, left (32), right (32) |

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::hash::{Digest32, Domain, TxId};

/// The longest path of an [`InclusionProof`]: enough for 65,536 transactions in a block.
pub const INCLUSION_PATH_MAX: usize = 16;

const LEAF: Domain = Domain::new(b"goodwatt/body/leaf");
const INNER: Domain = Domain::new(b"goodwatt/body/inner");

/// The hashes beside a path from a leaf to the root, in the order of the path, at most `MAX`.
///
/// A decoder refuses a longer one, and allocates no more than it has read.
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
/// `None` where there is no such index, or its path is longer than [`INCLUSION_PATH_MAX`].
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u32) -> Vec<TxId> {
        let id = |n: u32| TxId(Digest32::of(LEAF, &[&n.to_be_bytes()]));
        (0..count).map(id).collect()
    }

    #[test]
    fn each_transaction_is_shown_at_its_place_and_at_no_other() {
        for count in 1..=40 {
            let ids = ids(count);
            let root = root(&ids);
            for index in 0..count {
                let proof = prove(&ids, index).expect("the index is below the count");
                for (place, id) in ids.iter().enumerate() {
                    let want = place == index as usize;
                    assert_eq!(proof.verify(&root, count, id), want, "{index} of {count}");
                }
                assert!(!proof.verify(&Digest32::ZERO, count, &ids[index as usize]));
            }
            assert_eq!(prove(&ids, count), None);
        }
    }

    #[test]
    fn the_count_is_part_of_the_proof() {
        // Some counts give an index the same path: then the root tells them apart.
        for count in 1..=33_u32 {
            let ids = ids(count);
            let proof = prove(&ids, count - 1).expect("the index is below the count");
            let last = &ids[count as usize - 1];
            for other in (0..=40).filter(|other| *other < count) {
                assert!(!proof.verify(&root(&ids), other, last), "{other} for {count}");
            }
            let prefix = &ids[..count as usize - 1];
            assert!(!proof.verify(&root(prefix), count - 1, last));
        }
    }

    #[test]
    fn other_hashes_or_another_index_prove_nothing() {
        let ids = ids(13);
        let root = root(&ids);
        let proof = prove(&ids, 5).expect("5 is below 13");
        let check = |index, hashes: &[Digest32], want| {
            let siblings = Siblings::of_path(hashes.to_vec());
            assert_eq!(InclusionProof { index, siblings }.verify(&root, 13, &ids[5]), want);
        };
        let hashes = proof.siblings.as_slice();
        check(5, hashes, true);
        check(4, hashes, false);
        check(13, hashes, false);
        check(u32::MAX, hashes, false);
        check(5, &hashes[..3], false);
        check(5, &[hashes, &[Digest32::ZERO]].concat(), false);
        for at in 0..hashes.len() {
            let mut changed = hashes.to_vec();
            changed[at] = Digest32::ZERO;
            check(5, &changed, false);
        }
    }

    #[test]
    fn a_leaf_is_no_inner_node() {
        // Else the root over two ids could pass for one transaction whose id is their hash.
        let ids = ids(2);
        let [left, right] = [leaf(&ids[0]), leaf(&ids[1])];
        let bytes = [*left.as_bytes(), *right.as_bytes()].concat();
        assert_ne!(root(&ids), Digest32::of(LEAF, &[&bytes]));
        assert_ne!(root(&ids), leaf(&TxId(inner(&left, &right))));
    }

    #[test]
    fn paths_are_bounded() {
        let ids = ids((1 << INCLUSION_PATH_MAX) + 1);
        assert_eq!(prove(&ids, 0), None);
        let full = &ids[..1 << INCLUSION_PATH_MAX];
        let proof = prove(full, 1).expect("a path of the largest length");
        assert!(proof.verify(&root(full), full.len() as u32, &full[1]));
        let encoded = postcard::to_allocvec(&proof).expect("a proof encodes");
        assert_eq!(postcard::from_bytes(&encoded), Ok(proof));
        let longer = Siblings::<17>::of_path(alloc::vec![Digest32::ZERO; 17]);
        let encoded = postcard::to_allocvec(&(0_u32, longer)).expect("a path encodes");
        assert!(postcard::from_bytes::<InclusionProof>(&encoded).is_err());
    }
}
