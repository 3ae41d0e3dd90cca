//! Whether a figure can be true: it is held against what came before it and against the load.

use goodwatt_units::{MicroJoules, MicroWatts, Millis};

use crate::cpu::CpuShare;
use crate::fault::Fault;

/// A level that is more than this many times the one before it, or less by as much, is a fault:
/// a thousand lies between two units, less than ten between an idle board and a busy one, and less
/// than ten between a board and its model, against which the first level is held.
const JUMP_FACTOR: u64 = 100;

/// A level that stands still for at least this many reads,
const STUCK_READS: u32 = 60;
/// for at least this long (battery gauges may renew their figure once a minute only),
const STUCK_SPAN: Millis = Millis::from_secs(120);
/// while the CPU share moved by at least this many parts per million, is stuck.
///
/// Half of the CPUs is 60 mW on the least board there is a model for, three of an INA219's steps
/// of 20 mW; on every other it is ten steps or more. At an even load a sensor that hangs looks
/// like one that is right, and is taken for it.
const STUCK_SHARE_PPM: u32 = 500_000;

/// Power above which a counter's end was not reached but reset: no CPU package draws so much.
/// A RAPL counter of 262 kJ can so be told for gaps of up to eight minutes.
const WRAP_POWER_MAX: MicroWatts = MicroWatts::from_milliwatts(500_000);

/// Judges the levels of one sensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct LevelWatch {
    /// The last level that was believed.
    believed: Option<MicroWatts>,
    still: Option<Still>,
}

/// A run of reads that all gave the same level.
#[derive(Clone, Copy, Debug)]
struct Still {
    microwatts: i64,
    since: Millis,
    reads: u32,
    /// Lowest and highest CPU share seen meanwhile.
    shares: Option<(CpuShare, CpuShare)>,
}

/// What a level is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) now: Millis,
    /// What the model says; the level before the first one.
    pub(crate) modelled: MicroWatts,
    pub(crate) share: Option<CpuShare>,
}

impl LevelWatch {
    /// The level as power, or what is wrong with it.
    pub(crate) fn judge(&mut self, microwatts: i64, context: Context) -> Result<MicroWatts, Fault> {
        let still = Still::after(self.still, microwatts, context);
        self.still = Some(still);
        let power = self.plausible(microwatts, context.modelled)?;
        if still.is_stuck(context.now) {
            return Err(Fault::Stuck { power, span: context.now.saturating_sub(still.since) });
        }
        self.believed = Some(power);
        Ok(power)
    }

    /// As [`Self::judge`] for a mean taken from a counter, which may well repeat itself.
    pub(crate) fn judge_mean(
        &mut self,
        microwatts: i64,
        context: Context,
    ) -> Result<MicroWatts, Fault> {
        let power = self.plausible(microwatts, context.modelled)?;
        self.believed = Some(power);
        Ok(power)
    }

    fn plausible(&self, microwatts: i64, modelled: MicroWatts) -> Result<MicroWatts, Fault> {
        let Ok(level) = u64::try_from(microwatts) else {
            return Err(Fault::Negative { microwatts });
        };
        if level == 0 {
            return Err(Fault::Zero);
        }
        let before = self.believed.unwrap_or(modelled);
        let known = u64::from(before.get());
        // Beyond what the type holds is beyond what any board draws.
        match u32::try_from(level) {
            Ok(power)
                if level <= known.saturating_mul(JUMP_FACTOR)
                    && level.saturating_mul(JUMP_FACTOR) >= known =>
            {
                Ok(MicroWatts::new(power))
            }
            _ => Err(Fault::Jump { before, microwatts }),
        }
    }
}

impl Still {
    /// The run with one more read: a longer one, or a new one.
    fn after(last: Option<Self>, microwatts: i64, context: Context) -> Self {
        let share = context.share.map(|share| (share, share));
        match last {
            Some(last) if last.microwatts == microwatts => Self {
                reads: last.reads.saturating_add(1),
                shares: match (last.shares, share) {
                    (Some((low, high)), Some((share, _))) => {
                        Some((low.min(share), high.max(share)))
                    }
                    (shares, share) => shares.or(share),
                },
                ..last
            },
            _ => Self { microwatts, since: context.now, reads: 1, shares: share },
        }
    }

    fn is_stuck(&self, now: Millis) -> bool {
        let moved = |(low, high): (CpuShare, CpuShare)| high.ppm() - low.ppm() >= STUCK_SHARE_PPM;
        self.reads >= STUCK_READS
            && now.saturating_sub(self.since) >= STUCK_SPAN
            && self.shares.is_some_and(moved)
    }
}

/// The state of a sensor's own energy counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) energy: MicroJoules,
    /// Where the counter starts again from zero, if it says so.
    pub(crate) range: Option<MicroJoules>,
    /// The least that the counter can show: what is counted is off by as much.
    pub(crate) step: MicroJoules,
}

/// Takes the difference of counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct CounterWatch {
    last: Option<(Millis, MicroJoules)>,
}

impl CounterWatch {
    /// What was counted since the last call, with the time that took; `None` at the first.
    pub(crate) fn advance(
        &mut self,
        now: Millis,
        count: Count,
    ) -> Result<Option<(MicroJoules, Millis)>, Fault> {
        let after = count.energy;
        let Some((since, before)) = self.last.replace((now, after)) else { return Ok(None) };
        let span = now.saturating_sub(since);
        let most = WRAP_POWER_MAX.over(span);
        let wrapped = |range: MicroJoules| range.saturating_sub(before).saturating_add(after);
        match count.range {
            Some(range) if most >= range => Err(Fault::CounterUnclear { span }),
            _ if after >= before => Ok(Some((after.saturating_sub(before), span))),
            Some(range) if before <= range && wrapped(range) <= most => {
                Ok(Some((wrapped(range), span)))
            }
            _ => Err(Fault::CounterReset { before, after }),
        }
    }

    /// Starts anew: what is counted until the next call is not known.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(secs: u64, share_percent: u64) -> Context {
        Context {
            now: Millis::from_secs(secs),
            modelled: MicroWatts::from_milliwatts(3_000),
            share: CpuShare::of(share_percent, 100),
        }
    }

    #[test]
    fn levels_are_held_against_the_one_before() {
        let check = |levels: &[i64], want: Result<u32, Fault>| {
            let mut watch = LevelWatch::default();
            let mut last = Err(Fault::Zero);
            for (at, level) in levels.iter().enumerate() {
                last = watch.judge(*level, context(at as u64, 5));
            }
            assert_eq!(last.map(MicroWatts::get), want, "{levels:?}");
        };
        let jump =
            |before, microwatts| Err(Fault::Jump { before: MicroWatts::new(before), microwatts });
        check(&[2_500_000], Ok(2_500_000));
        check(&[-1], Err(Fault::Negative { microwatts: -1 }));
        check(&[0], Err(Fault::Zero));
        // The first one against the model: 2500 is milliwatts taken for microwatts.
        check(&[2_500], jump(3_000_000, 2_500));
        check(&[300_000_000], Ok(300_000_000));
        check(&[2_500_000_000], jump(3_000_000, 2_500_000_000));
        check(&[i64::MAX], jump(3_000_000, i64::MAX));
        check(&[2_500_000, 24_999], jump(2_500_000, 24_999));
        check(&[2_500_000, 2_500], jump(2_500_000, 2_500));
        check(&[2_500_000, 25_000], Ok(25_000));
        check(&[2_500_000, 2_500_000_000], jump(2_500_000, 2_500_000_000));
        // What was not believed is no measure for the next one.
        check(&[2_500_000, 2, 2_600_000], Ok(2_600_000));
        check(&[2_500_000, 0, 2_600_000], Ok(2_600_000));
    }

    #[test]
    fn a_level_is_stuck_only_if_the_load_moved() {
        let check = |reads: u64, seconds_each: u64, busy_percent: u64, want: bool| {
            let mut watch = LevelWatch::default();
            let mut stuck = false;
            for read in 0..reads {
                let share = if read == 10 { busy_percent } else { 5 };
                let judged = watch.judge(2_500_000, context(read * seconds_each, share));
                stuck = matches!(judged, Err(Fault::Stuck { .. }));
            }
            assert_eq!(stuck, want, "{reads} reads, {seconds_each} s, {busy_percent} %");
        };
        check(121, 1, 60, true);
        check(120, 1, 60, false);
        check(121, 1, 54, false);
        check(59, 15, 60, false);
        check(60, 15, 60, true);
        check(10_000, 1, 5, false);
    }

    #[test]
    fn a_stuck_level_recovers_when_it_moves() {
        let mut watch = LevelWatch::default();
        for at in 0..200 {
            // The last of these is refused, which the test above shows.
            let _ = watch.judge(2_500_000, context(at, if at % 2 == 0 { 5 } else { 95 }));
        }
        assert!(watch.judge(2_500_000, context(200, 5)).is_err());
        assert_eq!(watch.judge(2_520_000, context(201, 5)), Ok(MicroWatts::new(2_520_000)));
    }

    #[test]
    fn a_wrap_is_told_from_a_reset() {
        let check = |range: Option<u64>, secs: u64, before: u64, after: u64, want: Option<u64>| {
            let count = |energy| Count {
                energy: MicroJoules::new(energy),
                range: range.map(MicroJoules::new),
                step: MicroJoules::ZERO,
            };
            let mut watch = CounterWatch::default();
            assert_eq!(watch.advance(Millis::ZERO, count(before)), Ok(None));
            let got = watch.advance(Millis::from_secs(secs), count(after));
            let counted = got.ok().flatten().map(|(energy, _)| energy.get());
            assert_eq!(counted, want, "{before} to {after} of {range:?} in {secs} s");
        };
        const RANGE: Option<u64> = Some(262_143_328_850);
        check(RANGE, 1, 5, 15_000_005, Some(15_000_000));
        check(RANGE, 1, 262_143_328_849, 10, Some(11));
        check(RANGE, 1, 262_143_328_849, 15_000_000, Some(15_000_001));
        check(RANGE, 1, 262_143_328_849, 600_000_000, None);
        check(RANGE, 1, 5_000_000, 10, None);
        check(RANGE, 1, 300_000_000_000, 10, None);
        check(RANGE, 524, 5, 10, Some(5));
        check(RANGE, 525, 5, 10, None);
        check(None, 100_000, 5, 10, Some(5));
        check(None, 1, 10, 5, None);
    }

    #[test]
    fn counting_goes_on_behind_a_reset() {
        let count = |energy| Count {
            energy: MicroJoules::new(energy),
            range: None,
            step: MicroJoules::ZERO,
        };
        let mut watch = CounterWatch::default();
        assert_eq!(watch.advance(Millis::ZERO, count(1_000)), Ok(None));
        let reset =
            Fault::CounterReset { before: MicroJoules::new(1_000), after: MicroJoules::new(7) };
        assert_eq!(watch.advance(Millis::from_secs(1), count(7)), Err(reset));
        let counted = Ok(Some((MicroJoules::new(3), Millis::from_secs(1))));
        assert_eq!(watch.advance(Millis::from_secs(2), count(10)), counted);
        watch.forget();
        assert_eq!(watch.advance(Millis::from_secs(3), count(20)), Ok(None));
    }
}
