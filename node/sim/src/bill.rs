//! What a block costs: operations counted, and the energy they take by a model.

use goodwatt_chain::tally::Tally;

/// Power of one busy core of a Raspberry Pi 4, above idle: 6.4 W with four busy, 2.7 W with none.
/// This and the times below stand in `docs/simulation.md` with their sources.
const CORE_MILLIWATTS: u64 = 925;
/// Nanoseconds of a core for one digest.
const HASH_NANOS: u64 = 2_000;
/// Nanoseconds of a core to make a signature.
const SIGN_NANOS: u64 = 135_000;
/// Nanoseconds of a core to verify one.
const VERIFY_NANOS: u64 = 300_000;
/// Cores of a board.
const CORES: u64 = 4;

/// How many digests a board takes in a second if it does nothing else.
pub(crate) const HASHES_PER_SECOND: u64 = CORES * 1_000_000_000 / HASH_NANOS;

/// What all validators together did for all blocks of a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bill {
    /// Blocks.
    pub blocks: u64,
    /// Hashes taken.
    pub hashes: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures verified.
    pub signatures_verified: u64,
    /// Messages from one validator to another.
    pub packets: u64,
}

impl Bill {
    pub(crate) const fn of(tally: &Tally, packets: u64, blocks: u64) -> Self {
        Self {
            blocks,
            hashes: tally.hashes,
            signatures_made: tally.signatures_made,
            signatures_verified: tally.signatures_verified,
            packets,
        }
    }

    /// Energy of hashes and signatures by the model, in microjoules; rounds down, saturates.
    #[must_use]
    pub fn microjoules_modelled(&self) -> u64 {
        let nanos = u128::from(self.hashes) * u128::from(HASH_NANOS)
            + u128::from(self.signatures_made) * u128::from(SIGN_NANOS)
            + u128::from(self.signatures_verified) * u128::from(VERIFY_NANOS);
        u64::try_from(nanos * u128::from(CORE_MILLIWATTS) / 1_000_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_power_by_time() {
        let check = |bill: Bill, want| assert_eq!(bill.microjoules_modelled(), want, "{bill:?}");
        let nothing = Bill::default();
        check(nothing, 0);
        // A second of four cores.
        check(Bill { hashes: HASHES_PER_SECOND, ..nothing }, 4 * 925_000);
        check(Bill { signatures_made: 1_000, ..nothing }, 124_875);
        check(Bill { signatures_verified: 1_000, ..nothing }, 277_500);
        check(Bill { packets: 1_000, blocks: 7, ..nothing }, 0);
    }
}
