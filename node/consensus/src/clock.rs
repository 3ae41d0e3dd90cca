//! Whether a clock allows to sign. A board without a battery wakes up in 1970.

use goodwatt_chain::units::UnixMillis;
use goodwatt_units::Millis;

/// How far two good clocks may differ: a block from further ahead is refused by a voter.
pub const DRIFT_MAX: Millis = Millis::from_secs(10);

/// How far a clock may be ahead of everything that is known to be past. A block from the future
/// cannot be taken back: once the clock is set right, the chain stands still until time has caught
/// up with it. So a wrong clock costs a week at most, and a board that was off for longer has to
/// be told the time by its sync or its owner, see ADR 0010.
pub const AHEAD_MAX: Millis = Millis::from_secs(7 * 86_400);

/// What is known to be past.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Past {
    /// When this program was built.
    pub build: UnixMillis,
    /// Time of the last block; of genesis before the first.
    pub last_block: UnixMillis,
    /// The latest moment of which somebody else than this clock knows: time sync, the owner, or
    /// this program, which counts on from when it last held the clock to be right.
    pub known: Option<UnixMillis>,
}

/// Why the clock here is not trusted. Nothing is signed until it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// This program did not exist yet at that time.
    #[error(
        "the clock is {} before this program was built: set the time, or wait for its sync",
        Roughly(*.0)
    )]
    BeforeBuild(Millis),
    /// The chain is already further, by more than clocks may differ.
    #[error(
        "the clock is {} behind the last block: set the time, or wait for its sync",
        Roughly(*.0)
    )]
    BehindChain(Millis),
    /// A right clock is possible, but nothing speaks for it.
    #[error(
        "the clock is {} ahead of the last moment that is certain: if the date is wrong, set the \
         time or wait for its sync; if it is right, say goodwatt signing on --clock-is-right",
        Roughly(*.0)
    )]
    Ahead(Millis),
}

/// A span in its largest unit, rounded down: so that a message does not change with each look.
#[derive(Clone, Copy, Debug)]
pub struct Roughly(pub Millis);

impl core::fmt::Display for Roughly {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let secs = self.0.get() / 1_000;
        match secs {
            0..60 => write!(f, "{secs} s"),
            60..3_600 => write!(f, "{} min", secs / 60),
            3_600..172_800 => write!(f, "{} h", secs / 3_600),
            _ => write!(f, "{} days", secs / 86_400),
        }
    }
}

/// Whether anything may be signed at `now`.
///
/// # Errors
/// [`ClockFault`], with how far the clock is off at least.
pub fn may_sign(now: UnixMillis, past: &Past) -> Result<(), ClockFault> {
    let Past { build, last_block, known } = *past;
    if now < build {
        return Err(ClockFault::BeforeBuild(build.saturating_since(now)));
    }
    if last_block > now.after(DRIFT_MAX) {
        return Err(ClockFault::BehindChain(last_block.saturating_since(now)));
    }
    let latest = build.max(last_block).max(known.unwrap_or(build));
    if now > latest.after(AHEAD_MAX) {
        return Err(ClockFault::Ahead(now.saturating_since(latest)));
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
    use alloc::string::ToString;

    use super::*;

    const BUILD: u64 = 1_000_000;

    #[test]
    fn nothing_is_signed_by_a_clock_that_must_be_wrong() {
        let check = |now, last_block, want: Result<(), ClockFault>| {
            let [now, build, last_block] = [now, BUILD, last_block].map(UnixMillis::new);
            let past = Past { build, last_block, known: None };
            assert_eq!(may_sign(now, &past), want, "{now:?} after {last_block:?}");
        };
        check(0, 0, Err(ClockFault::BeforeBuild(Millis::new(BUILD))));
        check(BUILD - 1, 0, Err(ClockFault::BeforeBuild(Millis::new(1))));
        check(BUILD, 0, Ok(()));
        check(BUILD, BUILD + 10_000, Ok(()));
        check(BUILD, BUILD + 10_001, Err(ClockFault::BehindChain(Millis::new(10_001))));
        check(u64::MAX, u64::MAX, Ok(()));
    }

    #[test]
    fn a_clock_far_ahead_of_all_that_is_past_needs_somebody_to_speak_for_it() {
        const WEEK: u64 = 7 * 86_400_000;
        let check = |now, last_block, known: Option<u64>, want: Option<u64>| {
            let [now, build, last_block] = [now, BUILD, last_block].map(UnixMillis::new);
            let past = Past { build, last_block, known: known.map(UnixMillis::new) };
            let want = want.map_or(Ok(()), |ahead| Err(ClockFault::Ahead(Millis::new(ahead))));
            assert_eq!(may_sign(now, &past), want, "{now:?} after {past:?}");
        };
        // Genesis lies far behind, but the program is new; and the other way round.
        check(BUILD + WEEK, 0, None, None);
        check(BUILD + WEEK + 1, 0, None, Some(WEEK + 1));
        check(BUILD + 3 * WEEK, BUILD + 2 * WEEK, None, None);
        check(BUILD + 3 * WEEK, BUILD + WEEK, None, Some(2 * WEEK));
        // Whoever knows a later moment speaks for the clock, and nobody against the last block.
        check(BUILD + 500 * WEEK, BUILD, Some(BUILD + 499 * WEEK), None);
        check(BUILD + 500 * WEEK, BUILD, Some(BUILD + 10 * WEEK), Some(490 * WEEK));
        check(BUILD + 3 * WEEK, BUILD + 2 * WEEK, Some(0), None);
        check(BUILD, 0, Some(u64::MAX), None);
    }

    #[test]
    fn a_message_says_how_far_in_one_unit_and_what_to_do() {
        let check = |millis, want: &str| {
            let message = ClockFault::BehindChain(Millis::new(millis)).to_string();
            assert!(message.starts_with(&["the clock is ", want, " behind"].concat()), "{message}");
            assert!(message.contains("set the time"), "{message}");
        };
        check(12_999, "12 s");
        check(60_000, "1 min");
        check(47 * 3_600_000, "47 h");
        check(u64::MAX, "213503982334 days");
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
