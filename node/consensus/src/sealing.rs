//! When agreement on the next block begins. An idle chain begins none, and so is silent.
//!
//! The rule is part of the chain, and a function of block data and of what waits: every validator
//! that hears of a transaction comes to the same time, and none has to wait for another to begin.

use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::units::UnixMillis;
use goodwatt_units::Millis;

/// What the time of the next block depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Transactions that wait, if any.
    pub waiting: Option<Waiting>,
    /// The time of the last block, or of genesis.
    pub last_block: UnixMillis,
    /// When the epoch of the last block ends. From then on a heartbeat block is due, so that each
    /// epoch has a block.
    pub epoch_end: UnixMillis,
    /// The shortest time from one block to the next, which bounds what a trickle of transactions
    /// costs in energy.
    pub interval_min: Millis,
}

/// Transactions that wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// How many.
    pub count: usize,
    /// Since when the first of them does.
    pub since: UnixMillis,
}

/// When the next block is due; a time in the past means now.
///
/// Ask again whenever a fact changes. There always is such a time: no count of waiting transactions
/// holds a block back for ever, and without any the heartbeat is due.
#[must_use]
pub fn due(rule: &SealingRule, facts: &Facts) -> UnixMillis {
    let wanted = match (rule, facts.waiting) {
        (_, None | Some(Waiting { count: 0, .. })) => facts.epoch_end,
        (SealingRule::Immediate | SealingRule::Single, Some(waiting)) => waiting.since,
        (SealingRule::Count { transactions, interval }, Some(waiting)) => {
            let enough = waiting.count >= usize::from(*transactions);
            if enough { waiting.since } else { waiting.since.after(*interval) }
        }
    };
    wanted.min(facts.epoch_end).max(facts.last_block.after(facts.interval_min))
}

/// How many transactions a block takes by this rule, if it says; the size of a block limits it
/// anyway.
#[must_use]
pub const fn transactions_max(rule: &SealingRule) -> Option<usize> {
    match rule {
        SealingRule::Single => Some(1),
        SealingRule::Immediate | SealingRule::Count { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: u64 = 100_000;
    const EPOCH_END: u64 = 3_600_000;
    const INTERVAL_MIN: u64 = 1_000;

    fn check(rule: SealingRule, waiting: Option<(usize, u64)>, want: u64) {
        let facts = Facts {
            waiting: waiting.map(|(count, since)| Waiting { count, since: UnixMillis::new(since) }),
            last_block: UnixMillis::new(LAST),
            epoch_end: UnixMillis::new(EPOCH_END),
            interval_min: Millis::new(INTERVAL_MIN),
        };
        assert_eq!(due(&rule, &facts).get(), want, "{rule:?}, {waiting:?}");
    }

    #[test]
    fn at_once_when_something_waits() {
        for rule in [SealingRule::Immediate, SealingRule::Single] {
            check(rule, Some((1, 200_000)), 200_000);
            check(rule, Some((2_000, 200_000)), 200_000);
        }
    }

    #[test]
    fn at_the_count_or_after_the_interval_and_never_stuck_in_between() {
        check(SealingRule::FIVE, Some((1, 200_000)), 205_000);
        check(SealingRule::FIVE, Some((4, 200_000)), 205_000);
        check(SealingRule::FIVE, Some((5, 200_000)), 200_000);
        check(SealingRule::FIVE, Some((7, 200_000)), 200_000);
        check(SealingRule::FIVE, Some((2_000, 200_000)), 200_000);
    }

    #[test]
    fn a_heartbeat_is_due_when_the_epoch_of_the_last_block_ends() {
        for rule in [SealingRule::Immediate, SealingRule::FIVE, SealingRule::Single] {
            check(rule, None, EPOCH_END);
            check(rule, Some((0, 200_000)), EPOCH_END);
            check(rule, Some((1, EPOCH_END + 1)), EPOCH_END);
        }
    }

    #[test]
    fn never_sooner_than_the_shortest_interval_after_the_last_block() {
        check(SealingRule::Immediate, Some((1, LAST)), LAST + INTERVAL_MIN);
        check(SealingRule::FIVE, Some((5, LAST - 50_000)), LAST + INTERVAL_MIN);
        check(SealingRule::FIVE, Some((1, LAST - 50_000)), LAST + INTERVAL_MIN);
    }

    #[test]
    fn times_at_the_end_of_the_range_do_not_wrap() {
        check(SealingRule::FIVE, Some((1, u64::MAX)), EPOCH_END);
    }

    #[test]
    fn only_one_rule_limits_the_transactions_of_a_block() {
        assert_eq!(transactions_max(&SealingRule::Single), Some(1));
        assert_eq!(transactions_max(&SealingRule::FIVE), None);
    }
}
