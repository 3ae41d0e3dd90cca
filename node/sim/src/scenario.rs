//! What a run is made of, and what came of it.

use std::collections::BTreeMap;

use goodwatt_chain::genesis::Rule;
use goodwatt_units::Millis;

use crate::bill::Bill;
use crate::check::Violation;
use crate::topology::Topology;

/// Which faults there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// Connections break, and messages under way with them.
    pub cuts: bool,
    /// Messages are late, as they are where packets get lost and are sent again.
    pub loss: bool,
    /// The power fails in the middle of a write, anywhere.
    pub crashes: bool,
    /// The network falls into two parts.
    pub partitions: bool,
    /// Clocks are wrong, by seconds or by years.
    pub clocks: bool,
    /// One validator votes for two different things whenever it can.
    pub liar: bool,
    /// The same one proposes one block to half of the others and another to the rest.
    pub proposer: bool,
    /// The same one floods its peers with votes that are good for nothing.
    pub flood: bool,
    /// A third of the weight is off for a while.
    pub outage: bool,
    /// The power fails everywhere, and all start together.
    pub blackout: bool,
    /// A disk has no more room for a while.
    pub full_disk: bool,
    /// The index is lost with the power, now and then.
    pub index: bool,
    /// Owners buy slots, so that sets grow, shrink, and fall below the smallest.
    pub sets: bool,
}

impl Faults {
    /// All of them.
    pub const ALL: Self = Self {
        cuts: true,
        loss: true,
        crashes: true,
        partitions: true,
        clocks: true,
        liar: true,
        proposer: true,
        flood: true,
        outage: true,
        blackout: true,
        full_disk: true,
        index: true,
        sets: true,
    };
}

/// A run: everything that happens follows from it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Who is connected to whom.
    pub topology: Topology,
    /// Blocks to seal.
    pub rounds: u64,
    /// The most transactions handed in for a round: from one to so many, within 20 ms.
    pub transactions: u64,
    /// All chance follows from it.
    pub seed: u64,
    /// How long a message takes from one validator to the next.
    pub latency: Millis,
    /// What goes wrong, until the last tenth of the rounds.
    pub faults: Faults,
    /// How long an epoch lasts.
    pub epoch_length: Millis,
    /// Who gets weight.
    pub rule: Rule,
}

impl Scenario {
    /// Validators connected as is [usual](Topology::usual), 40 ms apart, an hour to an epoch, no faults.
    #[must_use]
    pub fn new(nodes: usize, rounds: u64, seed: u64) -> Self {
        Self {
            topology: Topology::usual(nodes),
            rounds,
            transactions: 3,
            seed,
            latency: Millis::new(40),
            faults: Faults::default(),
            epoch_length: Millis::from_secs(3_600),
            rule: Rule::GoodWill,
        }
    }
}

/// What came of one round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundReport {
    /// Transactions handed in.
    pub transactions: usize,
    /// The height of the block, if there was one.
    pub height: Option<u64>,
    /// Number of the validator that proposed it.
    pub proposer: Option<usize>,
    /// Milliseconds from the first transaction to the last validator that has it.
    pub reach_ms: Option<u64>,
    /// Whether all validators that run have the same tip.
    pub same_tip: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// By round.
    pub rounds: Vec<RoundReport>,
    /// The height all of them reached.
    pub heights: u64,
    /// What must never happen, and did.
    pub violations: Vec<Violation>,
    /// Messages sent in a minute in which nothing waited.
    pub packets_idle: u64,
    /// Messages sent in all.
    pub packets: u64,
    /// Power cuts.
    pub crashes: u64,
    /// Validators that were brought to account, in all ledgers alike.
    pub tombstoned: Vec<usize>,
    /// Bytes that reached each card for each block: log, write-ahead log and guard.
    pub bytes_per_block: u64,
    /// Sets that were bought and came into charge.
    pub sets: u64,
    /// Associations admitted, each with the voices it needs.
    pub admitted: u64,
    /// Associations refused for want of them.
    pub refused: u64,
    /// How often each kind of thing went wrong.
    pub troubles: BTreeMap<&'static str, u64>,
    /// Times a validator left one chain for another; under the rule of work alone.
    pub forks: u64,
    /// What all blocks cost.
    pub bill: Bill,
    /// Milliseconds from handing a transaction in to its block at the validator it was handed to,
    /// in rising order.
    pub finality_ms: Vec<u64>,
}

impl Report {
    /// Whether all of them agreed, to the end.
    #[must_use]
    pub fn agreed(&self) -> bool {
        !self.violations.iter().any(|found| matches!(found, Violation::Disagreement { .. }))
    }

    /// How many double signatures there were.
    #[must_use]
    pub fn double_signs(&self) -> usize {
        let double = |found: &&Violation| matches!(found, Violation::DoubleSign { .. });
        self.violations.iter().filter(double).count()
    }

    /// Whether no money came or went.
    #[must_use]
    pub fn money_conserved(&self) -> bool {
        !self.violations.iter().any(|found| matches!(found, Violation::Money { .. }))
    }

    /// The time to final of that share of the transactions, in thousandths.
    #[must_use]
    pub fn finality(&self, permille: usize) -> Option<u64> {
        let last = self.finality_ms.len().checked_sub(1)?;
        self.finality_ms.get(last * permille / 1_000).copied()
    }
}
