//! Nanoseconds for each signature: made, verified alone, and in batches.
//!
//! Run with `cargo bench -p goodwatt-chain --bench signatures`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use goodwatt_chain::hash::Digest32;
use goodwatt_chain::signature::{Batch, PublicKey, Signature, SigningKey, verify};

/// Signatures verified for one figure, in as many batches as that takes.
const VERIFIED: usize = 20_000;

/// Of this many runs the fastest counts: the others were disturbed.
const RUNS: usize = 3;

type Signed = (PublicKey, Digest32, Signature);

/// `count` signatures, made by `keys` keys in turn.
fn signed(count: usize, keys: usize) -> Vec<Signed> {
    let number = |n: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        bytes
    };
    let sign = |n: usize| {
        let (key, digest) = (SigningKey::from_seed(&number(n % keys)), Digest32::new(number(n)));
        (key.public(), digest, key.sign(&digest))
    };
    (0..count).map(sign).collect()
}

/// Nanoseconds that `work` takes for each of `count`, in the fastest run.
fn measure(name: &str, count: usize, mut work: impl FnMut()) {
    let run = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() / count as u128
    };
    let fastest = (0..RUNS).map(|_| run(&mut work)).min().unwrap_or_default();
    println!("{name:<40} {fastest:>8} ns for each signature");
}

fn batches(name: &str, all: &[Signed]) {
    let times = (VERIFIED / all.len()).max(1);
    measure(name, times * all.len(), || {
        for _ in 0..times {
            let mut batch = Batch::with_capacity(all.len());
            all.iter().for_each(|(key, digest, signature)| batch.push(*key, *digest, *signature));
            assert!(black_box(&batch).verify());
        }
    });
}

fn main() {
    let all = signed(1_000, 1_000);
    let key = SigningKey::from_seed(&[7; 32]);
    measure("sign", all.len(), || {
        for (_, digest, _) in &all {
            black_box(key.sign(digest));
        }
    });
    measure("verify alone", all.len(), || {
        all.iter().for_each(|(key, digest, signature)| assert!(verify(key, digest, signature)));
    });
    for size in [1, 2, 4, 16, 64, 128, 256, 1_000] {
        batches(&format!("batch of {size}, as many keys"), &all[..size]);
    }
    batches("batch of 1000, 100 keys", &signed(1_000, 100));
    batches("batch of 1000, one key", &signed(1_000, 1));
}
