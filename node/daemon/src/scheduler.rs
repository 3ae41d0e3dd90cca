//! The daemon's one alarm clock: everything that is due within a slack runs at one wake-up.
//!
//! A timer for each job wakes the board for each job: eight timers of 1 Hz at spread phases cost
//! 16 wake-ups a second, the same eight aligned 2.5 (tokio 1.54, measured). So jobs say when they
//! are due *and how long they can wait*, and this picks the fewest moments that serve them all,
//! on whole seconds of the wall clock where the slack allows, so that several boards and the other
//! services of one board wake together. Where nothing is due there is no wake-up at all.
//!
//! No clock is read here: time comes in as an argument.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use goodwatt::scheduler::{Repeat, Scheduler};
//! use goodwatt_chain::units::UnixMillis;
//!
//! let start = Instant::now();
//! let mut scheduler = Scheduler::new(start, UnixMillis::new(1_000_400));
//! let seconds = Duration::from_secs;
//! scheduler.every("ping", Repeat { period: seconds(60), slack: seconds(5) }, start);
//! scheduler.at("seal", start + seconds(15), seconds(10));
//! // Sleep until then, or until something else happens; then ask what to run.
//! let wakeup = scheduler.next_wakeup(start).expect("two jobs wait");
//! assert_eq!(scheduler.take_due(wakeup), ["ping", "seal"]);
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use goodwatt_chain::units::UnixMillis;

/// Wake-ups stand on multiples of this in wall-clock time, where the slack allows.
const GRID: Duration = Duration::from_secs(1);
/// The shortest period there is, or a mistaken zero would never let the process sleep.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest period there is, far below where sums of moments overflow.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A job that comes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repeat {
    /// It is due at each multiple of this in wall-clock time; a millisecond to a year.
    pub period: Duration,
    /// How long it can wait then; more than half of the period counts as half, so that no turn
    /// runs into the next one.
    pub slack: Duration,
}

/// What is to run, and when.
#[derive(Clone, Debug)]
pub struct Scheduler<J> {
    clock: WallClock,
    jobs: BTreeMap<J, Job>,
}

/// One job: it runs between `due` and `latest`.
#[derive(Clone, Copy, Debug)]
struct Job {
    due: Instant,
    latest: Instant,
    repeat: Option<Repeat>,
}

impl Job {
    /// Due at `due`, with `slack` to wait; a slack beyond the end of time is none.
    fn new(due: Instant, slack: Duration, repeat: Option<Repeat>) -> Self {
        Self { due, latest: due.checked_add(slack).unwrap_or(due), repeat }
    }
}

impl<J: Copy + Ord> Scheduler<J> {
    /// Nothing to do yet; the wall clock shows `wall` at `now`.
    #[must_use]
    pub const fn new(now: Instant, wall: UnixMillis) -> Self {
        Self { clock: WallClock { now, wall }, jobs: BTreeMap::new() }
    }

    /// The wall clock was set: it shows `wall` at `now`. Jobs that come back move to its new
    /// multiples; a one-time job is due when it was, because its span counts and not the hour.
    pub fn set_wall_clock(&mut self, now: Instant, wall: UnixMillis) {
        self.clock = WallClock { now, wall };
        for job in self.jobs.values_mut() {
            if let Some(repeat) = job.repeat {
                *job = self.clock.next_turn(repeat, now);
            }
        }
    }

    /// Runs `job` once, from `due` on and at most `slack` later; replaces an earlier appointment.
    pub fn at(&mut self, job: J, due: Instant, slack: Duration) {
        self.jobs.insert(job, Job::new(due, slack, None));
    }

    /// Runs `job` again and again, first at the next multiple of the period.
    pub fn every(&mut self, job: J, repeat: Repeat, now: Instant) {
        self.jobs.insert(job, self.clock.next_turn(repeat, now));
    }

    /// Does not run `job` any more; one that is not known is none the less not run.
    pub fn cancel(&mut self, job: J) {
        self.jobs.remove(&job);
    }

    /// When to wake up if nothing else happens before; `now` where something is late already,
    /// and `None` where nothing waits.
    ///
    /// It is the last moment at which no job is late yet: the more jobs have become due by then,
    /// the fewer wake-ups there are. Of that moment's second the beginning is taken, if the most
    /// urgent job is due by then.
    #[must_use]
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let urgent = self.jobs.values().min_by_key(|job| job.latest)?;
        let on_grid = self.clock.round_down(urgent.latest, GRID);
        let wakeup = on_grid.filter(|moment| *moment >= urgent.due).unwrap_or(urgent.latest);
        Some(wakeup.max(now))
    }

    /// What to run now, in the order of `J`. Asked at every wake-up, whatever caused it: a job
    /// that is due early rides along for free.
    ///
    /// Turns that were slept through are not made up for.
    pub fn take_due(&mut self, now: Instant) -> Vec<J> {
        let due: Vec<J> =
            self.jobs.iter().filter(|(_, job)| job.due <= now).map(|(name, _)| *name).collect();
        for name in &due {
            match self.jobs.get(name).and_then(|job| job.repeat) {
                Some(repeat) => self.every(*name, repeat, now),
                None => self.cancel(*name),
            }
        }
        due
    }
}

/// A moment on the wall clock; from it the others follow until the clock is set again.
#[derive(Clone, Copy, Debug)]
struct WallClock {
    now: Instant,
    wall: UnixMillis,
}

impl WallClock {
    /// The first turn of a job after `now`.
    fn next_turn(&self, repeat: Repeat, now: Instant) -> Job {
        let period = repeat.period.clamp(SHORTEST, LONGEST);
        // Without a last multiple there was no 1970 yet on this clock: then any phase will do.
        let last = self.round_down(now, period).unwrap_or(now);
        Job::new(last + period, repeat.slack.min(period / 2), Some(repeat))
    }

    /// The last multiple of `step` in wall-clock time that is not after `moment`, or `None` where
    /// it lies outside of what the monotonic clock can say.
    fn round_down(&self, moment: Instant, step: Duration) -> Option<Instant> {
        let anchor = Duration::from_millis(self.wall.get());
        let wall = match moment.checked_duration_since(self.now) {
            Some(later) => anchor.checked_add(later)?,
            None => anchor.checked_sub(self.now.duration_since(moment))?,
        };
        let past = wall.as_nanos() % step.as_nanos();
        let (seconds, nanos) = (past / 1_000_000_000, past % 1_000_000_000);
        // Both fit: the remainder is below a step, and no step is longer than a year.
        moment.checked_sub(Duration::new(seconds as u64, nanos as u32))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn repeat(period: u64, slack: u64) -> Repeat {
        Repeat { period: ms(period), slack: ms(slack) }
    }

    /// Virtual time: how far a scheduler came, counted from a start that means nothing.
    struct World {
        start: Instant,
        now: Instant,
        scheduler: Scheduler<usize>,
        /// Each wake-up and what it ran.
        log: Vec<(u64, Vec<usize>)>,
    }

    impl World {
        fn new(wall: u64) -> Self {
            let start = Instant::now();
            let scheduler = Scheduler::new(start, UnixMillis::new(wall));
            Self { start, now: start, scheduler, log: Vec::new() }
        }

        /// Sleeps and wakes as told, for `span` milliseconds.
        fn run(&mut self, span: u64) {
            let end = self.now + ms(span);
            while let Some(wakeup) = self.scheduler.next_wakeup(self.now).filter(|at| *at <= end) {
                self.now = wakeup;
                let ran = self.scheduler.take_due(wakeup);
                assert!(!ran.is_empty(), "a wake-up for nothing");
                let at = wakeup.duration_since(self.start).as_millis() as u64;
                self.log.push((at, ran));
            }
            self.now = end;
        }

        /// When `job` ran.
        fn runs(&self, job: usize) -> Vec<u64> {
            let ran = |(_, jobs): &&(u64, Vec<usize>)| jobs.contains(&job);
            self.log.iter().filter(ran).map(|(at, _)| *at).collect()
        }
    }

    #[test]
    fn without_work_there_is_no_wakeup() {
        let mut world = World::new(0);
        assert_eq!(world.scheduler.next_wakeup(world.now), None);
        world.scheduler.at(1, world.now + ms(10), ms(0));
        world.run(100);
        assert_eq!(world.log, [(10, vec![1])]);
        assert_eq!(world.scheduler.next_wakeup(world.now), None);
    }

    #[test]
    fn spread_timers_share_one_wakeup() {
        let check = |jobs: &[Repeat], wakeups_a_minute: usize| {
            let mut world = World::new(1_234_567);
            for (job, repeat) in jobs.iter().enumerate() {
                // Registered at spread moments, as eight peers connect.
                let now = world.start + ms(130 * job as u64);
                world.scheduler.every(job, *repeat, now);
            }
            world.run(10 * 60_000);
            assert_eq!(world.log.len(), 10 * wakeups_a_minute, "{jobs:?}");
            assert!(world.log.iter().all(|(at, _)| (at + 1_234_567) % 1_000 == 0), "on the grid");
        };
        check(&[repeat(1_000, 100); 8], 60);
        check(&[repeat(10_000, 3_000); 4], 6);
        check(&[repeat(60_000, 20_000), repeat(10_000, 2_000), repeat(30_000, 0)], 6);
    }

    #[test]
    fn an_exact_job_is_not_moved_and_others_ride_along() {
        let mut world = World::new(0);
        world.scheduler.every(0, repeat(1_000, 500), world.now);
        world.scheduler.at(1, world.now + ms(1_160), ms(0));
        world.scheduler.at(2, world.now + ms(1_100), ms(700));
        world.run(2_000);
        assert_eq!(world.log, [(1_160, vec![0, 1, 2]), (2_000, vec![0])]);
    }

    #[test]
    fn a_late_wakeup_runs_each_job_once() {
        let mut world = World::new(0);
        world.scheduler.every(0, repeat(1_000, 0), world.now);
        world.scheduler.at(1, world.now + ms(500), ms(0));
        let late = world.start + ms(7_700);
        assert_eq!(world.scheduler.next_wakeup(late), Some(late));
        assert_eq!(world.scheduler.take_due(late), [0, 1]);
        assert_eq!(world.scheduler.next_wakeup(late), Some(world.start + ms(8_000)));
    }

    #[test]
    fn appointments_are_moved_and_cancelled() {
        let mut world = World::new(0);
        world.scheduler.at(1, world.now + ms(100), ms(0));
        world.scheduler.at(1, world.now + ms(300), ms(0));
        world.scheduler.every(2, repeat(200, 0), world.now);
        world.scheduler.cancel(2);
        world.scheduler.cancel(3);
        world.run(1_000);
        assert_eq!(world.log, [(300, vec![1])]);
    }

    #[test]
    fn a_clock_that_is_set_moves_the_grid() {
        let mut world = World::new(0);
        world.scheduler.every(0, repeat(60_000, 0), world.now);
        world.scheduler.at(1, world.now + ms(90_000), ms(0));
        world.run(10_000);
        // Time arrives from the network: it is 20 s before a full minute of another year.
        world.scheduler.set_wall_clock(world.now, UnixMillis::new(1_800_000_040_000));
        world.run(120_000);
        let want = [(30_000, vec![0]), (90_000, vec![0, 1])];
        assert_eq!(world.log, want);
    }

    #[test]
    fn no_span_overflows() {
        let mut world = World::new(u64::MAX);
        world.scheduler.at(0, world.now, Duration::MAX);
        let endless = Repeat { period: Duration::MAX, slack: Duration::MAX };
        let nothing = Repeat { period: Duration::ZERO, slack: Duration::ZERO };
        world.scheduler.every(1, endless, world.now);
        world.scheduler.every(2, nothing, world.now);
        world.run(3);
        assert_eq!(world.log, [(0, vec![0]), (1, vec![2]), (2, vec![2]), (3, vec![2])]);
    }

    proptest! {
        #[test]
        fn nothing_runs_early_late_or_twice(
            wall in 0_u64..100_000,
            once in prop::collection::vec((0_u64..20_000, 0_u64..5_000), 0..8),
            again in prop::collection::vec((1_u64..9_000, 0_u64..9_000), 0..8),
        ) {
            let mut world = World::new(wall);
            for (job, (due, slack)) in once.iter().enumerate() {
                world.scheduler.at(job, world.start + ms(*due), ms(*slack));
            }
            for (job, (period, slack)) in again.iter().enumerate() {
                world.scheduler.every(once.len() + job, repeat(*period, *slack), world.start);
            }
            world.run(30_000);
            for (job, (due, slack)) in once.iter().enumerate() {
                let runs = world.runs(job);
                prop_assert_eq!(runs.len(), 1);
                prop_assert!((*due..=due + slack).contains(&runs[0]), "{:?}", runs);
            }
            for (job, (period, slack)) in again.iter().enumerate() {
                let runs = world.runs(once.len() + job);
                let turn = |at: &u64| (wall + at) / period;
                let late = |at: &u64| (wall + at) % period;
                prop_assert!(runs.windows(2).all(|pair| turn(&pair[1]) == turn(&pair[0]) + 1));
                prop_assert!(runs.iter().all(|at| late(at) <= *(slack.min(&(period / 2)))));
                let turns = (wall + 30_000) / period - wall / period;
                prop_assert!((turns.saturating_sub(1)..=turns).contains(&(runs.len() as u64)));
            }
        }
    }
}
