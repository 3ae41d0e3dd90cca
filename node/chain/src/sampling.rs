//! Drawing by weight: who proposes in a round.
//!
//! With `total` the sum of all weights, a draw is a number below `total`, and the one whose
//! stretch of the number line it falls into is picked. Draws come from a hash, one after another,
//! until one is fair:
//!
//! | draw = first 16 bytes, big-endian, of SHA-256 over | bytes |
//! |---|---|
//! | length of the tag, tag `goodwatt/sampling` | 1, 17 |
//! | seed of the epoch | 32 |
//! | height, big-endian | 8 |
//! | round, big-endian | 4 |
//! | attempt from 0, big-endian | 4 |
//!
//! A draw is fair below the largest multiple of `total` that fits into 128 bits; its rest after
//! division by `total` then has no bias. A set of validators weighs less than 2^60, so that a
//! second attempt is needed less than once in 2^68 picks.

use crate::hash::{Digest32, Domain};
use crate::units::{Height, Round};

const SAMPLING: Domain = Domain::new(b"goodwatt/sampling");

/// The position that is drawn for this height and round, each with a chance in proportion to its
/// weight. `None` only if there is no weight at all.
#[must_use]
pub fn pick(
    seed: &Digest32,
    height: Height,
    round: Round,
    weights: impl Iterator<Item = u64> + Clone,
) -> Option<usize> {
    let total: u128 = weights.clone().map(u128::from).sum();
    let draws = (0..=u32::MAX).map(|attempt| draw(seed, height, round, attempt));
    locate(fair(total, draws)?, weights)
}

/// The first draw without bias, brought below `total`. `None` for a `total` of zero, or in the
/// never seen case of 2^32 unfair draws in a row.
fn fair(total: u128, mut draws: impl Iterator<Item = u128>) -> Option<u128> {
    // 2^128 mod total: how many numbers at the top would favour small rests.
    let surplus = (u128::MAX.checked_rem(total)? + 1) % total;
    draws.find(|draw| *draw <= u128::MAX - surplus).map(|draw| draw % total)
}

fn draw(seed: &Digest32, height: Height, round: Round, attempt: u32) -> u128 {
    let (height, round) = (height.get().to_be_bytes(), round.get().to_be_bytes());
    let parts: [&[u8]; 4] = [seed.as_bytes(), &height, &round, &attempt.to_be_bytes()];
    let digest = Digest32::of(SAMPLING, &parts);
    let (bytes, _) = digest.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_be_bytes(*bytes)
}

/// The position whose stretch of the number line holds `point`.
fn locate(mut point: u128, mut weights: impl Iterator<Item = u64>) -> Option<usize> {
    weights.position(|weight| {
        let weight = u128::from(weight);
        let found = point < weight;
        point = point.saturating_sub(weight);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_that_would_favour_one_are_drawn_again() {
        let check = |total, draws: &[u128], want| {
            assert_eq!(fair(total, draws.iter().copied()), want, "{total} of {draws:?}");
        };
        check(0, &[1], None);
        check(1, &[u128::MAX], Some(0));
        // 2^128 = 1 modulo 3: the last number is one too many.
        check(3, &[u128::MAX], None);
        check(3, &[u128::MAX, 5], Some(2));
        check(3, &[u128::MAX - 1], Some(2));
        // 2^128 = 6 modulo 10.
        check(10, &[u128::MAX - 5, 4], Some(4));
        check(10, &[u128::MAX - 6], Some(9));
        check(1 << 64, &[u128::MAX], Some((1 << 64) - 1));
    }

    #[test]
    fn the_number_line_is_without_gaps() {
        let weights = [2, 0, 3, 1];
        let places = (0..7).map(|point| locate(point, weights.into_iter()));
        let want = [Some(0), Some(0), Some(2), Some(2), Some(2), Some(3), None];
        assert!(places.eq(want));
    }
}
