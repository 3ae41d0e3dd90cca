//! The state tree against a naive one, and proofs against lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::codec;
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::leaves::{LeafChanges, LeafKey, Leaves, MemoryLeaves};
use goodwatt_chain::tree::{StateProof, StateTree};
use proptest::prelude::*;

type Map = BTreeMap<LeafKey, Arc<[u8]>>;

/// The root by the definition, bit by bit over a plain list.
fn naive(leaves: &[(LeafKey, Arc<[u8]>)], level: usize) -> Digest32 {
    match leaves {
        [] => Digest32::ZERO,
        [(key, value)] => {
            let value = Digest32::of(Domain::new(b"goodwatt/state/value"), &[value]);
            let parts: [&[u8]; 2] = [key.as_bytes(), value.as_bytes()];
            Digest32::of(Domain::new(b"goodwatt/state/leaf"), &parts)
        }
        _ => {
            let is_right = |key: &LeafKey| key.as_bytes()[level / 8] << (level % 8) & 0x80 != 0;
            let (right, left): (Vec<_>, Vec<_>) =
                leaves.iter().cloned().partition(|(key, _)| is_right(key));
            let (left, right) = (naive(&left, level + 1), naive(&right, level + 1));
            let parts: [&[u8]; 2] = [left.as_bytes(), right.as_bytes()];
            Digest32::of(Domain::new(b"goodwatt/state/inner"), &parts)
        }
    }
}

fn naive_root(map: &Map) -> Digest32 {
    let leaves: Vec<_> = map.iter().map(|(key, value)| (*key, Arc::clone(value))).collect();
    naive(&leaves, 0)
}

/// A tree with its leaves, and the same as a plain map.
#[derive(Default)]
struct State {
    tree: StateTree,
    leaves: MemoryLeaves,
    map: Map,
}

impl State {
    fn with(changes: &LeafChanges) -> Self {
        let mut state = Self::default();
        state.apply(changes);
        state
    }

    fn apply(&mut self, changes: &LeafChanges) {
        let update = self.tree.update(&self.leaves, changes).expect("memory is there");
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.map.insert(*key, Arc::clone(value))),
                None => drop(self.map.remove(key)),
            }
        }
        assert_eq!(update.root(), naive_root(&self.map), "the update foretells the root");
        let before = self.tree.root();
        let unchanged = self.tree.update(&self.leaves, &LeafChanges::new()).expect("memory");
        assert_eq!(unchanged.root(), before, "computing an update changes nothing");
        self.tree.apply(update);
        self.leaves.commit(changes);
        assert_eq!(self.tree.root(), naive_root(&self.map));
    }

    fn prove(&self, key: &LeafKey) -> StateProof {
        self.tree.prove(&self.leaves, key).expect("memory is there")
    }

    /// The proof for `key` tells the truth, to someone who decoded it and holds only the root.
    fn check_proof(&self, key: &LeafKey) {
        let encoded = codec::encode(&self.prove(key));
        let proof: StateProof = codec::decode(&encoded).expect("its own encoding");
        let root = self.tree.root();
        assert_eq!(proof.verify(&root, key), Ok(self.map.get(key).map(|value| &**value)));
        assert!(proof.verify(&Digest32::new([1; 32]), key).is_err(), "another root");
    }
}

/// A key with chosen bits, few enough that keys meet at every depth: near the root, within the
/// buckets' bits, and in the last bit.
fn any_key() -> impl Strategy<Value = LeafKey> {
    (0..4_u8, 0..4_u8, 0..3_u8, 0..4_u8).prop_map(|(first, second, middle, last)| {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1], bytes[17], bytes[31]) = (first << 6, second * 0x15, middle, last);
        Digest32::new(bytes)
    })
}

fn any_changes() -> impl Strategy<Value = LeafChanges> {
    let value = prop::option::weighted(0.6, prop::collection::vec(any::<u8>(), 0..4));
    let value = value.prop_map(|value| value.map(Arc::from));
    prop::collection::btree_map(any_key(), value, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_root_is_that_of_the_naive_tree(
        blocks in prop::collection::vec(any_changes(), 1..6),
        keys in prop::collection::vec(any_key(), 8),
    ) {
        let mut state = State::default();
        blocks.iter().for_each(|changes| state.apply(changes));
        let rebuilt = StateTree::rebuild(&state.leaves).expect("memory is there");
        prop_assert_eq!(rebuilt.root(), state.tree.root());
        keys.iter().chain(state.map.keys()).for_each(|key| state.check_proof(key));
    }

    #[test]
    fn a_changed_proof_proves_nothing(
        changes in any_changes(),
        key in any_key(),
        bit in any::<prop::sample::Index>(),
    ) {
        let state = State::with(&changes);
        let mut bytes = codec::encode(&state.prove(&key));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(proof) = codec::decode::<StateProof>(&bytes) {
            prop_assert!(proof.verify(&state.tree.root(), &key).is_err(), "{:?}", proof);
        }
    }

    #[test]
    fn a_proof_says_nothing_false_about_another_key(
        changes in any_changes(),
        key in any_key(),
        other in any_key(),
    ) {
        // A proof that a subtree is empty, or holds one leaf, holds for all keys of the subtree.
        let state = State::with(&changes);
        if let Ok(value) = state.prove(&key).verify(&state.tree.root(), &other) {
            prop_assert_eq!(value, state.map.get(&other).map(|value| &**value));
        }
    }
}

#[test]
fn keys_that_differ_in_the_last_bit_have_the_longest_path() {
    let key = |last| {
        let mut bytes = [0; 32];
        bytes[31] = last;
        Digest32::new(bytes)
    };
    let value = |byte: u8| Some(Arc::from([byte]));
    let state = State::with(&LeafChanges::from([(key(0), value(b'a')), (key(1), value(b'b'))]));
    // Computed from the definition by an implementation in another language.
    let root = "459fcf9e2d40cf2d3fa06c7dd16d5bd931648f30a8643c1cc65d1bffdd307f70";
    assert_eq!(state.tree.root().to_string(), root);
    (0..4).for_each(|last| state.check_proof(&key(last)));
    assert!(codec::encode(&state.prove(&key(0))).len() > 256 * 32);
}

#[test]
fn the_only_leaf_is_the_root() {
    let key = Digest32::new([0xa5; 32]);
    let state = State::with(&LeafChanges::from([(key, Some(Arc::from([7])))]));
    for byte in [0, 0x7f, 0x80, 0xa5, 0xff] {
        state.check_proof(&Digest32::new([byte; 32]));
    }
    let mut state = state;
    state.apply(&LeafChanges::from([(key, None)]));
    assert_eq!(state.tree.root(), Digest32::ZERO);
    state.check_proof(&key);
}

#[test]
fn paths_are_as_long_as_the_logarithm() {
    let key = |n: u32| Digest32::of(Domain::new(b"test"), &[&n.to_be_bytes()]);
    let value = || Some(Arc::from([0_u8; 24]));
    let state = State::with(&(0..10_000).map(|n| (key(n), value())).collect());
    let bytes = |n| codec::encode(&state.prove(&key(n))).len();
    let longest = (0..2_000).chain(20_000..22_000).map(bytes).max().expect("keys");
    // 13.3 levels on average; the deepest of 10,000 random keys lies about twice as deep.
    assert!((16 * 32..32 * 32).contains(&longest), "{longest} bytes");
}

#[test]
fn leaves_are_read_once_for_each_bucket_that_changes() {
    use goodwatt_chain::leaves::{Bucket, BucketIndex, Unavailable};
    struct Counted(MemoryLeaves, std::cell::RefCell<Vec<u16>>);
    impl Leaves for Counted {
        fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
            self.1.borrow_mut().push(index.get());
            self.0.bucket(index)
        }
    }
    let counted = Counted(MemoryLeaves::default(), std::cell::RefCell::default());
    let key = |first: u8, second: u8| {
        let mut bytes = [9; 32];
        (bytes[0], bytes[1]) = (first, second);
        Digest32::new(bytes)
    };
    let value = || Some(Arc::from([1]));
    let changes: LeafChanges =
        [key(0, 1), key(0, 2), key(0, 0x10), key(255, 255)].map(|key| (key, value())).into();
    StateTree::default().update(&counted, &changes).expect("memory is there");
    assert_eq!(*counted.1.borrow(), [0, 1, 4095]);
}
