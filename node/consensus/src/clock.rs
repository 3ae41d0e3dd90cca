//! Whether a clock allows to sign. A board without a battery wakes up in 1970.

use goodwatt_chain::units::UnixMillis;
use goodwatt_units::Millis;

/// How far two good clocks may differ: a block from further ahead is refused by a voter.
pub const DRIFT_MAX: Millis = Millis::from_secs(10);

/// Why the clock here is not trusted. Nothing is signed until time is synchronised.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// This program did not exist yet at that time.
    #[error("the clock is {0} before this program was built: set the time, or wait for its sync")]
    BeforeBuild(Millis),
    /// The chain is already further, by more than clocks may differ.
    #[error("the clock is {0} behind the last block: set the time, or wait for its sync")]
    BehindChain(Millis),
}

/// Whether anything may be signed at `now`.
///
/// # Errors
/// [`ClockFault`], with how far the clock is off at least.
pub fn may_sign(
    now: UnixMillis,
    build: UnixMillis,
    last_block: UnixMillis,
) -> Result<(), ClockFault> {
    if now < build {
        return Err(ClockFault::BeforeBuild(build.saturating_since(now)));
    }
    if last_block > now.after(DRIFT_MAX) {
        return Err(ClockFault::BehindChain(last_block.saturating_since(now)));
    }
    Ok(())
}

/// Why a voter refuses the time of a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockTimeFault {
    /// Not later than its parent: no clock can make it right.
    #[error("the block is not later than its parent")]
    NotAfterParent,
    /// More than [`DRIFT_MAX`] ahead of the clock here.
    #[error("the block is {0} ahead of the clock here")]
    AheadOfClock(Millis),
}

/// Whether a voter accepts the time of a block at `now`.
///
/// # Errors
/// [`BlockTimeFault`].
pub fn check_block_time(
    now: UnixMillis,
    parent: UnixMillis,
    block: UnixMillis,
) -> Result<(), BlockTimeFault> {
    if block <= parent {
        return Err(BlockTimeFault::NotAfterParent);
    }
    if block > now.after(DRIFT_MAX) {
        return Err(BlockTimeFault::AheadOfClock(block.saturating_since(now)));
    }
    Ok(())
}

/// The time a proposer gives its block: its own, or just after the parent if that is ahead.
#[must_use]
pub fn block_time(now: UnixMillis, parent: UnixMillis) -> UnixMillis {
    now.max(parent.after(Millis::new(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: u64 = 1_000_000;

    #[test]
    fn nothing_is_signed_by_a_clock_that_must_be_wrong() {
        let check = |now, last_block, want: Result<(), ClockFault>| {
            let [now, build, last_block] = [now, BUILD, last_block].map(UnixMillis::new);
            assert_eq!(may_sign(now, build, last_block), want, "{now:?} after {last_block:?}");
        };
        check(0, 0, Err(ClockFault::BeforeBuild(Millis::new(BUILD))));
        check(BUILD - 1, 0, Err(ClockFault::BeforeBuild(Millis::new(1))));
        check(BUILD, 0, Ok(()));
        check(BUILD, BUILD + 10_000, Ok(()));
        check(BUILD, BUILD + 10_001, Err(ClockFault::BehindChain(Millis::new(10_001))));
        check(u64::MAX, u64::MAX, Ok(()));
    }

    #[test]
    fn a_block_is_later_than_its_parent_and_not_from_the_future() {
        let check = |now, parent, block, want: Result<(), BlockTimeFault>| {
            let [now, parent, block] = [now, parent, block].map(UnixMillis::new);
            assert_eq!(check_block_time(now, parent, block), want, "{parent:?}, {block:?}");
        };
        check(50, 50, 50, Err(BlockTimeFault::NotAfterParent));
        check(50, 50, 51, Ok(()));
        check(50, 50, 10_050, Ok(()));
        check(50, 50, 10_051, Err(BlockTimeFault::AheadOfClock(Millis::new(10_001))));
        check(90_000, 50, 51, Ok(()));
    }

    #[test]
    fn a_proposer_behind_its_parent_still_proposes_a_later_block() {
        let check = |now, parent, want| {
            let time = block_time(UnixMillis::new(now), UnixMillis::new(parent));
            assert_eq!(time.get(), want, "{now} after {parent}");
        };
        check(100, 50, 100);
        check(50, 50, 51);
        check(50, 9_000, 9_001);
    }
}
