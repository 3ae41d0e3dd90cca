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
/// With `n` leaves a path has about `log2(n)` and a few more; 64 of them take two keys that agree
/// in 64 bits, made at will.
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
