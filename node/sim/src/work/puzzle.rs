//! The hash puzzle, and the difficulty that holds the interval between blocks.

use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_units::Millis;

const HEADER: Domain = Domain::new(b"goodwatt/sim/work");

/// How long a block takes on average: a tenth of Bitcoin's, which makes work look better.
pub(crate) const INTERVAL: Millis = Millis::from_secs(60);
/// Blocks over which the difficulty follows the hash rate.
const SMOOTHING: u64 = 32;

/// The head of a block.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// The block before.
    pub(crate) parent: Digest32,
    /// When it was found, in milliseconds since genesis.
    pub(crate) time: Millis,
    /// Who found it.
    pub(crate) miner: usize,
    /// What the hash may be at most.
    pub(crate) target: u64,
    /// Hash over the transactions.
    pub(crate) body: Digest32,
    /// What is tried.
    pub(crate) nonce: u64,
}

impl Header {
    /// The hash, which is also the id.
    pub(crate) fn hash(&self) -> Digest32 {
        let numbers =
            [self.time.get(), self.miner as u64, self.target, self.nonce].map(u64::to_be_bytes);
        Digest32::of(HEADER, &[self.parent.as_bytes(), self.body.as_bytes(), &numbers.concat()])
    }

    /// Whether the puzzle is solved.
    pub(crate) fn is_solved(&self) -> bool {
        let hash = self.hash();
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_be_bytes(head) <= self.target
    }
}

/// How many tries a target takes on average; rounds down.
pub(crate) const fn work_of(target: u64) -> u128 {
    (1_u128 << 64) / (target as u128 + 1)
}

/// The target that takes this many tries on average.
pub(crate) fn target_of(tries: u64) -> u64 {
    u64::try_from((1_u128 << 64) / u128::from(tries.max(1)) - 1).unwrap_or(u64::MAX)
}

/// The target of the block after one that took `took`: it moves by a part of the error, and by as
/// much up as down, so that the interval holds on average. The error is bounded, so that no wrong
/// time turns the target over.
pub(crate) fn next_target(target: u64, took: Millis) -> u64 {
    let interval = INTERVAL.get();
    let took = took.get().min(interval * SMOOTHING / 2);
    let scaled = u128::from(target) * u128::from(interval * SMOOTHING + took - interval)
        / u128::from(interval * SMOOTHING);
    u64::try_from(scaled).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    /// Mines `blocks` at a hash rate by block, in tries a second; gives the time of each.
    fn mine(blocks: u64, first_target: u64, rate: impl Fn(u64) -> u64) -> Vec<u64> {
        let (mut dice, mut target, mut times) = (Dice::new(3), first_target, Vec::new());
        for block in 0..blocks {
            let mut tries = 1;
            // The same chance as a hash has.
            while dice.roll() > target {
                tries += 1;
            }
            let took = (tries * 1_000 / rate(block)).max(1);
            times.push(took);
            target = next_target(target, Millis::new(took));
        }
        times
    }

    fn mean(times: &[u64]) -> u64 {
        times.iter().sum::<u64>() / times.len() as u64
    }

    #[track_caller]
    fn near(found: u64, percent: u64) {
        let want = INTERVAL.get();
        let off = found.abs_diff(want) * 100 / want;
        assert!(off <= percent, "{found} ms are {off} % off {want} ms");
    }

    #[test]
    fn the_interval_holds_at_a_steady_hash_rate() {
        let times = mine(20_000, target_of(60 * 20), |_| 20);
        near(mean(&times), 3);
        // Solutions come at random: about as far apart as they take, one in e takes longer.
        let longer = times.iter().filter(|took| **took > INTERVAL.get()).count();
        assert!((6_300..8_400).contains(&longer), "{longer}");
    }

    #[test]
    fn the_interval_comes_back_after_the_hash_rate_changes() {
        for factor in [2, 10] {
            let up = mine(3_000, target_of(60 * 20), |n| if n < 1_000 { 20 } else { 20 * factor });
            near(mean(&up[..1_000]), 10);
            assert!(mean(&up[1_000..1_010]) * 3 < INTERVAL.get() * 2 * 3 / factor, "at first");
            near(mean(&up[1_400..]), 10);
            let down =
                mine(
                    3_000,
                    target_of(60 * 20 * factor),
                    |n| {
                        if n < 1_000 { 20 * factor } else { 20 }
                    },
                );
            near(mean(&down[1_400..]), 10);
        }
    }

    #[test]
    fn no_time_turns_the_target_over() {
        let check = |target, took, want| assert_eq!(next_target(target, Millis::new(took)), want);
        check(u64::MAX, u64::MAX, u64::MAX);
        check(1, 0, 1);
        check(1_000_000, INTERVAL.get(), 1_000_000);
        check(3_200, 0, 3_100);
        check(3_200, 2 * INTERVAL.get(), 3_300);
        check(3_200, u64::MAX, 4_700);
        assert_eq!((work_of(u64::MAX), work_of(target_of(1_000))), (1, 1_000));
        assert_eq!(target_of(0), u64::MAX);
    }
}
