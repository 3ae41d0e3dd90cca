//! One path through the state tree: what stands at a key, shown to someone who has only the root.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{KEY_BITS, Leaf, bit, hash_of_leaf, inner_hash, value_hash};
use crate::hash::Digest32;
use crate::leaves::LeafKey;
use crate::merkle::Siblings;

/// The most hashes beside a path: one for each bit of a key, so that every leaf can be proven.
///
/// Among random keys a path is hardly longer than twice `log2` of the number of leaves. A longer
/// one takes keys that somebody made to agree in many bits: it costs who made them `2^(n/2)`
/// hashes for `n` bits, and lengthens the paths to those keys alone.
pub const STATE_PATH_MAX: usize = KEY_BITS as usize;

/// Shows the value at a key of a state, or that there is none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StateProof {
    siblings: Siblings<STATE_PATH_MAX>,
    end: End,
}

/// Why a proof proves nothing. The peer that sent it is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The path does not lead to the root.
    #[error("the proof does not lead to this state root; ask another peer")]
    Root,
    /// It shows the very leaf as the neighbour that stands in its place.
    #[error("the proof contradicts itself; ask another peer")]
    Contradiction,
}

impl StateProof {
    /// From the hashes beside the path, nearest to the root first.
    pub(super) fn new(mut siblings: Vec<Digest32>, end: End) -> Self {
        siblings.reverse();
        Self { siblings: Siblings::of_path(siblings), end }
    }

    /// The value at `key` in the state with `root`, or `None`: there is no such leaf.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(&self, root: &Digest32, key: &LeafKey) -> Result<Option<&[u8]>, ProofError> {
        let siblings = self.siblings.as_slice();
        // At most KEY_BITS of them, by the type: each has its bit.
        let levels = (0..siblings.len() as u32).rev();
        let computed =
            siblings.iter().zip(levels).fold(self.end.hash(key), |node, (beside, level)| {
                if bit(key, level) { inner_hash(beside, &node) } else { inner_hash(&node, beside) }
            });
        if computed != *root {
            return Err(ProofError::Root);
        }
        match &self.end {
            End::Present(value) => Ok(Some(&value.0)),
            End::Empty => Ok(None),
            End::Other { key: other, .. } if other == key => Err(ProofError::Contradiction),
            End::Other { .. } => Ok(None),
        }
    }
}

/// What stands at the end of a path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum End {
    /// The leaf, with this value.
    Present(Value),
    /// Nothing.
    Empty,
    /// The only leaf of the subtree that would hold the key, and it is another one.
    Other { key: LeafKey, value_hash: Digest32 },
}

impl End {
    /// The end of a path where `leaves` are all that is left: one, or none.
    pub(super) fn of(leaves: &[Leaf], key: &LeafKey) -> Self {
        match leaves.first() {
            None => Self::Empty,
            Some((found, value)) if found == key => Self::Present(Value(Arc::clone(value))),
            Some((found, value)) => Self::Other { key: *found, value_hash: value_hash(value) },
        }
    }

    fn hash(&self, key: &LeafKey) -> Digest32 {
        match self {
            Self::Present(value) => hash_of_leaf(key, &value_hash(&value.0)),
            Self::Empty => Digest32::ZERO,
            Self::Other { key, value_hash } => hash_of_leaf(key, value_hash),
        }
    }
}

/// An encoded value. Decoding allocates no more than the bytes that are there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Value(Arc<[u8]>);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a value")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
                Ok(Value(Arc::from(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaves::{LeafChanges, MemoryLeaves};
    use crate::tree::StateTree;

    fn key(first: u8) -> LeafKey {
        let mut bytes = [1; 32];
        bytes[0] = first;
        LeafKey::new(bytes)
    }

    fn value(byte: u8) -> Arc<[u8]> {
        Arc::from([byte])
    }

    /// Leaves whose keys begin with the bits 00, 01 and 10: the first is left of the second, and
    /// both are left of the third.
    fn state() -> (StateTree, MemoryLeaves) {
        let changes: LeafChanges =
            [0, 0x40, 0x80].map(|first| (key(first), Some(value(first)))).into();
        let mut leaves = MemoryLeaves::default();
        leaves.commit(&changes);
        (StateTree::rebuild(&leaves).expect("memory is there"), leaves)
    }

    fn other(first: u8, byte: u8) -> End {
        End::Other { key: key(first), value_hash: value_hash(&[byte]) }
    }

    #[test]
    fn lies_about_what_stands_at_a_key_are_found() {
        let (tree, leaves) = state();
        let truth = |first| tree.prove(&leaves, &key(first)).expect("memory is there");
        let present = truth(0x40);
        let absent = truth(0xc0);
        assert_eq!(present.verify(&tree.root(), &key(0x40)), Ok(Some(&[0x40][..])));
        assert_eq!(absent.verify(&tree.root(), &key(0xc0)), Ok(None));

        let check = |name, truth: &StateProof, end, first, want| {
            let lie = StateProof { siblings: truth.siblings.clone(), end };
            assert_eq!(lie.verify(&tree.root(), &key(first)), Err(want), "{name}");
        };
        let root = ProofError::Root;
        check("another value", &present, End::Present(Value(value(9))), 0x40, root);
        check("no value", &present, End::Present(Value(Arc::from([]))), 0x40, root);
        check("nothing", &present, End::Empty, 0x40, root);
        check("another leaf", &present, other(0x41, 0x40), 0x40, root);
        check("itself", &present, other(0x40, 0x40), 0x40, ProofError::Contradiction);
        check("a leaf", &absent, End::Present(Value(value(0x80))), 0xc0, root);
        check("nothing where a leaf is", &absent, End::Empty, 0xc0, root);
    }

    #[test]
    fn hashes_prove_nothing_on_another_path() {
        let (tree, leaves) = state();
        let truth = tree.prove(&leaves, &key(0)).expect("memory is there");
        let check = |name, siblings: &[Digest32]| {
            let siblings = Siblings::of_path(siblings.to_vec());
            let lie = StateProof { siblings, end: truth.end.clone() };
            assert_eq!(lie.verify(&tree.root(), &key(0)), Err(ProofError::Root), "{name}");
        };
        let [near, far] = truth.siblings.as_slice() else { panic!("two levels") };
        check("swapped", &[*far, *near]);
        check("too short", &[*far]);
        check("too long", &[*near, *far, Digest32::ZERO]);
        check("changed", &[*near, Digest32::ZERO]);
        assert_eq!(truth.verify(&tree.root(), &key(0x40)), Err(ProofError::Root), "the neighbour");
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        // The hash of a subtree given as that of a leaf with the two hashes below as its parts.
        let (tree, leaves) = state();
        let truth = tree.prove(&leaves, &key(0)).expect("memory is there");
        let [near, far] = truth.siblings.as_slice() else { panic!("two levels") };
        let end = End::Other { key: truth.end.hash(&key(0)), value_hash: *near };
        let lie = StateProof { siblings: Siblings::of_path([*far].to_vec()), end };
        assert_eq!(lie.verify(&tree.root(), &key(0x20)), Err(ProofError::Root));
    }

    #[test]
    fn a_path_longer_than_a_key_is_not_read() {
        let encode = |count| {
            let siblings = Siblings::<{ usize::MAX }>::of_path([Digest32::ZERO].repeat(count));
            postcard::to_allocvec(&(siblings, End::Empty)).expect("a proof encodes")
        };
        assert!(postcard::from_bytes::<StateProof>(&encode(256)).is_ok());
        assert!(postcard::from_bytes::<StateProof>(&encode(257)).is_err());
    }
}
