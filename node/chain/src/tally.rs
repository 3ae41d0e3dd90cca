//! How much this thread has computed: the bill that the simulator presents, and a memory that makes
//! many validators in one thread affordable. Built for the simulator only, by the feature `tally`.
//!
//! The memory changes no outcome: whether a signature is valid follows from key, digest and
//! signature alone. Outside of a simulation it is off, and nothing is kept.

extern crate std;

use core::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::thread_local;

use crate::signature::Entry;

/// The most signatures remembered, 20 MB; then all are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Operations done by a thread.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Digests taken.
    pub hashes: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures verified, alone or in a batch, remembered or not.
    pub signatures_verified: u64,
}

thread_local! {
    // Each in a cell of its own, so that counting costs next to nothing.
    static HASHES: Cell<u64> = const { Cell::new(0) };
    static SIGNATURES_MADE: Cell<u64> = const { Cell::new(0) };
    static SIGNATURES_VERIFIED: Cell<u64> = const { Cell::new(0) };
    static VALID: RefCell<Option<HashSet<Entry>>> = const { RefCell::new(None) };
}

/// What this thread has done since the last call.
pub fn take() -> Tally {
    Tally {
        hashes: HASHES.take(),
        signatures_made: SIGNATURES_MADE.take(),
        signatures_verified: SIGNATURES_VERIFIED.take(),
    }
}

/// While it lives, this thread remembers which signatures are valid.
#[derive(Debug)]
pub struct Memory(());

impl Memory {
    /// Begins to remember.
    #[must_use]
    pub fn begin() -> Self {
        VALID.set(Some(HashSet::new()));
        Self(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        VALID.set(None);
    }
}

#[inline]
pub(crate) fn hash() {
    HASHES.set(HASHES.get().wrapping_add(1));
}

pub(crate) fn signature_made() {
    SIGNATURES_MADE.set(SIGNATURES_MADE.get().wrapping_add(1));
}

/// Verifies entries by `verify` unless all of them are remembered as valid.
pub(crate) fn verified(entries: &[Entry], verify: impl FnOnce() -> bool) -> bool {
    let count = entries.len() as u64;
    SIGNATURES_VERIFIED.set(SIGNATURES_VERIFIED.get().wrapping_add(count));
    VALID.with_borrow_mut(|valid| {
        let Some(valid) = valid else { return verify() };
        if entries.iter().all(|entry| valid.contains(entry)) {
            return true;
        }
        let is_valid = verify();
        if is_valid {
            if valid.len() + entries.len() > REMEMBERED_MAX {
                valid.clear();
            }
            valid.extend(entries);
        }
        is_valid
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Digest32;
    use crate::signature::{Batch, SigningKey, verify};

    #[test]
    fn the_memory_changes_no_outcome_and_everything_is_counted() {
        let key = SigningKey::from_seed(&[1; 32]);
        let (digest, other) = (Digest32::new([2; 32]), Digest32::new([3; 32]));
        let _ = take();
        let good = key.sign(&digest);
        let check = || {
            assert!(verify(&key.public(), &digest, &good));
            assert!(!verify(&key.public(), &other, &good));
            let mut batch = Batch::default();
            batch.push(key.public(), digest, good);
            batch.push(key.public(), digest, good);
            assert!(batch.verify());
            batch.push(key.public(), other, good);
            assert!(!batch.verify());
            assert_eq!(batch.first_invalid(), Some(2));
        };
        check();
        let memory = Memory::begin();
        check();
        check();
        drop(memory);
        check();
        let Tally { signatures_made, signatures_verified, .. } = take();
        assert_eq!((signatures_made, signatures_verified), (1, 4 * (2 + 2 + 3 + 3)));
    }
}
