//! What a block costs the state tree, and how long a proof is.
//!
//! Run with `cargo bench -p goodwatt-chain --bench state_tree`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use goodwatt_chain::codec;
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::leaves::{LeafChanges, LeafKey, MemoryLeaves};
use goodwatt_chain::tree::StateTree;

/// Leaves that one block changes: 20 transfers between 40 accounts.
const CHANGES: u32 = 40;

/// Blocks applied for one figure.
const BLOCKS: u32 = 500;

fn key(n: u32) -> LeafKey {
    Digest32::of(Domain::new(b"bench"), &[&n.to_be_bytes()])
}

/// As long as an account is with a usual nonce and balance.
fn value(byte: u8) -> Option<Arc<[u8]>> {
    Some(Arc::from([byte; 9]))
}

fn with_leaves(count: u32) {
    let mut leaves = MemoryLeaves::default();
    leaves.commit(&(0..count).map(|n| (key(n), value(1))).collect());
    let start = Instant::now();
    let mut tree = StateTree::rebuild(&leaves).expect("memory is there");
    println!("{count} leaves: rebuilt in {} ms", start.elapsed().as_millis());

    let mut fastest = u128::MAX;
    for block in 0..BLOCKS {
        let accounts = (0..CHANGES).map(|n| (block * CHANGES + n) % count);
        let changes: LeafChanges = accounts.map(|n| (key(n), value(block as u8))).collect();
        let start = Instant::now();
        let update = tree.update(black_box(&leaves), &changes).expect("memory is there");
        tree.apply(update);
        fastest = fastest.min(start.elapsed().as_nanos());
        leaves.commit(&changes);
    }
    let each = fastest / u128::from(CHANGES);
    println!("{count} leaves: {CHANGES} changed in {} us, {each} ns each", fastest / 1_000);

    let sizes: Vec<usize> = (0..10_000)
        .map(|n| key(n * (count / 10_000)))
        .map(|key| codec::encode(&tree.prove(&leaves, &key).expect("memory is there")).len())
        .collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    println!("{count} leaves: a proof has {mean} bytes, the longest {:?}", sizes.iter().max());
}

fn main() {
    with_leaves(10_000);
    with_leaves(1_000_000);
}
