//! The clocks of this machine, read in one place, and what speaks for the wall clock.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use goodwatt_chain::units::UnixMillis;
use goodwatt_consensus::clock::{ClockFault, Past, Roughly, may_sign};
use goodwatt_units::Millis;
use goodwatt_validator::Now;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::engine::Engine;

/// systemd-timesyncd touches it whenever it set the clock right; it goes away with the power.
const LAST_SYNC: &str = "/run/systemd/timesync/synchronized";
/// Wall clock and monotonic clock part by less than this while nobody sets one of them.
const UNSET: Millis = Millis::from_secs(1);

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    wall: UnixMillis,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), wall: Clock::now() }
    }

    /// What the wall clock would show at `at` if nobody had set it since.
    fn counted_on(&self, at: Instant) -> UnixMillis {
        self.wall.after(millis(at.saturating_duration_since(self.at)))
    }
}

/// Wall clock and monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    last_look: Moment,
    /// When the wall clock was last held to be right.
    right: Option<Moment>,
    is_wrong: bool,
}

impl Clock {
    pub(super) fn new() -> Self {
        let now = Moment::now();
        Self { start: now.at, last_look: now, right: None, is_wrong: false }
    }

    /// The wall clock; 1970 when it is set before that.
    pub(crate) fn now() -> UnixMillis {
        unix(SystemTime::now())
    }

    /// The wall clock, unless it is before this program was built.
    pub(crate) fn now_after_build() -> Result<UnixMillis, ClockFault> {
        let (now, build) = (Self::now(), build_time());
        may_sign(now, &Past { build, last_block: build, known: Some(now) }).map(|()| now)
    }

    /// Time since this process began to run the validator; never goes back.
    pub(super) fn uptime(&self) -> Millis {
        millis(self.start.elapsed())
    }

    /// Takes the owner's word that the clock is right.
    pub(super) fn vouch(&mut self) {
        self.right = Some(Moment::now());
    }

    /// The time, with what speaks for it; and whether anything may be signed by it.
    pub(super) fn read(&mut self, last_block: UnixMillis) -> (Now, Result<(), ClockFault>) {
        let now = Moment::now();
        let mut past = Past {
            build: build_time(),
            last_block,
            known: self.right.map(|right| right.counted_on(now.at)),
        };
        if let Err(ClockFault::Ahead(_)) = may_sign(now.wall, &past) {
            past.known = past.known.max(last_sync(Path::new(LAST_SYNC)));
        }
        let allowed = may_sign(now.wall, &past);
        if allowed.is_ok() {
            self.right = Some(now);
        }
        let uptime = millis(now.at.saturating_duration_since(self.start));
        (Now { wall: now.wall, known: past.known, uptime }, allowed)
    }

    /// What the clock would show had nobody set it since the last look, and what it shows; `None`
    /// where nobody did.
    fn set(&mut self) -> Option<(UnixMillis, UnixMillis)> {
        let now = Moment::now();
        let expected = std::mem::replace(&mut self.last_look, now).counted_on(now.at);
        let apart = expected.saturating_since(now.wall).max(now.wall.saturating_since(expected));
        (apart > UNSET).then_some((expected, now.wall))
    }
}

impl Engine {
    /// The time, with what speaks for it.
    pub(super) fn now(&mut self) -> Now {
        self.clock.read(self.own.ledger().tip().time).0
    }

    /// Whether anything may be signed by the clock.
    pub(super) fn trusts_clock(&mut self) -> Result<(), ClockFault> {
        self.clock.read(self.own.ledger().tip().time).1
    }

    /// Makes sense of times that were noted when the clock was another one.
    pub(super) fn begin_clock(&mut self) {
        let (build, now) = (build_time(), Clock::now());
        self.own.wait_since(|since| if (build..=now).contains(&since) { since } else { now });
        self.notice_clock();
    }

    /// Looks at the clock: whether it was set, which moves what waits along, and whether it allows
    /// to sign, which is told when it changes.
    pub(super) fn notice_clock(&mut self) {
        if let Some((expected, now)) = self.clock.set() {
            let (direction, by) = match now.saturating_since(expected) {
                Millis::ZERO => ("back", expected.saturating_since(now)),
                by => ("forward", by),
            };
            tracing::warn!("the wall clock was set {direction} by {}", Roughly(by));
            self.own.wait_since(|since| {
                let waited = expected.saturating_since(since).get();
                UnixMillis::new(now.get().saturating_sub(waited))
            });
        }
        match (self.trusts_clock(), self.clock.is_wrong) {
            (Err(fault), false) => tracing::error!("nothing is signed: {fault}"),
            (Ok(_), true) => {
                tracing::info!("the clock allows to sign again");
                // If there is something else, the next try says so.
                self.own.clear_stuck();
            }
            _ => return,
        }
        self.clock.is_wrong = !self.clock.is_wrong;
    }
}

/// When the clock was last set right by time sync, where that is known.
fn last_sync(file: &Path) -> Option<UnixMillis> {
    // A kernel that synchronises by other means does not say so without a call that is unsafe.
    let touched = statx(CWD, file, AtFlags::empty(), StatxFlags::MTIME).ok()?.stx_mtime;
    let secs = u64::try_from(touched.tv_sec).ok()?;
    Some(UnixMillis::new(secs.saturating_mul(1_000)))
}

fn unix(time: SystemTime) -> UnixMillis {
    UnixMillis::new(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()).get())
}

fn millis(span: Duration) -> Millis {
    Millis::new(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// When this program was built, or its last commit made: no clock is right before that.
pub(crate) fn build_time() -> UnixMillis {
    let secs = env!("GOODWATT_BUILD_TIME").parse::<u64>().unwrap_or(0);
    UnixMillis::new(secs.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sync_is_when_its_file_was_touched() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("synchronized");
        assert_eq!(last_sync(&path), None);
        let file = std::fs::File::create(&path).expect("a file");
        let touched = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        file.set_modified(touched).expect("touched");
        assert_eq!(last_sync(&path), Some(UnixMillis::new(1_800_000_000_000)));
    }

    #[test]
    fn a_clock_that_was_right_speaks_for_itself_as_time_passes() {
        let now = Moment::now();
        let mut clock = Clock::new();
        // The last block lies far back, and nobody speaks for the clock yet.
        let long_ago = UnixMillis::new(0);
        let ten_years = Millis::from_secs(3_650 * 86_400);
        let was_right = Moment { wall: now.wall, ..now };
        clock.right = Some(was_right);
        assert!(clock.read(long_ago).1.is_ok());
        let past = UnixMillis::new(now.wall.get() - ten_years.get());
        clock.right = Some(Moment { wall: past, ..now });
        let latest = build_time().max(past);
        let is_far = now.wall > latest.after(goodwatt_consensus::clock::AHEAD_MAX);
        let synced = last_sync(Path::new(LAST_SYNC)).is_some();
        assert_eq!(clock.read(long_ago).1.is_err(), is_far && !synced);
        clock.vouch();
        assert!(clock.read(long_ago).1.is_ok());
    }

    #[test]
    fn a_clock_that_nobody_sets_is_not_noticed_and_one_that_is_set_once() {
        let mut clock = Clock::new();
        assert_eq!(clock.set(), None);
        let day = Millis::from_secs(86_400);
        clock.last_look.wall = clock.last_look.wall.after(day);
        let (expected, now) = clock.set().expect("it was set back by a day");
        assert!(expected.saturating_since(now) > Millis::from_secs(86_390));
        assert_eq!(clock.set(), None);
    }
}
