//! The meter over traces that no file system is needed for: ten thousand of them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use proptest::prelude::*;

use super::*;
use crate::attribution::Window;
use crate::cpu::CpuTime;
use crate::source::{Figures, Source};

/// A sensor that gives what it was told to.
#[derive(Debug)]
struct Played(Mutex<Receiver<Result<Figures, Fault>>>);

impl Source for Played {
    fn read(&mut self) -> Result<Figures, Fault> {
        let next = self.0.get_mut().expect("nobody panicked").try_recv();
        next.expect("a figure for each look")
    }
}

fn played(idle: u32) -> (PowerMeter, Sender<Result<Figures, Fault>>) {
    let idle = Some(MicroWatts::from_milliwatts(idle));
    let config = PowerConfig { idle, source: Some(SourceKind::Model), ..PowerConfig::default() };
    let mut meter = PowerMeter::new(&config);
    let (figures, source) = channel();
    let sensor = Sensor { kind: SourceKind::Hwmon, name: "played".into() };
    let opened = Opened {
        source: Box::new(Played(Mutex::new(source))),
        sensor: sensor.clone(),
        scope: Scope::BoardInput,
        shunt: None,
    };
    meter.discovery.chosen.sensor = sensor;
    meter.slot = Some(Slot::new(SourceKind::Hwmon, config, Some(opened)));
    (meter, figures)
}

/// What happens until the next look.
#[derive(Clone, Debug)]
struct Look {
    /// Milliseconds: from none at all to a gap of minutes.
    span: u64,
    figures: Result<Figures, Fault>,
    busy: Option<u64>,
    /// CPU time of four users: the first one is this process.
    users: [u64; 4],
}

fn any_look() -> impl Strategy<Value = Look> {
    let span = prop_oneof![8 => 500_u64..3_000, 2 => 3_000_u64..200_000, 1 => Just(0_u64)];
    let level = prop_oneof![
        8 => (100_000_i64..20_000_000).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
        2 => Just(None),
    ];
    // A counter that goes on, comes round at its end, or is reset.
    let count = proptest::option::weighted(0.4, (0_u64..300_000_000, any::<bool>()));
    let figures = (level, count).prop_map(|(level, count)| {
        let count = count.map(|(energy, ends)| Count {
            energy: MicroJoules::new(energy),
            range: ends.then_some(MicroJoules::new(262_143_328)),
            step: MicroJoules::ZERO,
        });
        Ok(Figures { level, count })
    });
    let figures = prop_oneof![
        9 => figures,
        1 => Just(Err(Fault::Io { path: "played".into(), code: 121 })),
    ];
    let time = 0_u64..4_000_000;
    let users = [time.clone(), time.clone(), time.clone(), time.clone()];
    (span, figures, proptest::option::weighted(0.9, time), users)
        .prop_map(|(span, figures, busy, users)| Look { span, figures, busy, users })
}

fn cpu(look: &Look) -> CpuInterval {
    CpuInterval {
        share: look.busy.and_then(|busy| CpuShare::of(busy, 4_000_000)),
        busy: look.busy.map(CpuTime::from_micros),
        own: Some(CpuTime::from_micros(look.users[0])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Random traces with gaps, wraps, resets, nonsense and a sensor that goes silent.
    #[test]
    fn what_is_attributed_never_exceeds_what_the_board_used(
        idle in 0_u32..5_000,
        looks in proptest::collection::vec(any_look(), 1..30),
    ) {
        let (mut meter, figures) = played(idle);
        let (mut now, mut first) = (Millis::ZERO, None);
        let mut last = EnergyTotals::default();
        for look in &looks {
            now = now.saturating_add(Millis::new(look.span));
            first = first.or(Some(now));
            figures.send(look.figures.clone()).expect("the meter is there");
            let energy = meter.step(now, cpu(look)).energy;
            for account in [energy.measured, energy.modelled] {
                prop_assert!(account.marginal().is_none_or(|own| own <= account.energy));
            }
            // The energy of this interval, divided among four who claim any CPU time.
            let part = energy.since(&last);
            for account in [part.measured, part.modelled] {
                let window = Window {
                    energy: account.energy,
                    span: account.covered,
                    idle: MicroWatts::from_milliwatts(idle),
                    busy: CpuTime::from_micros(look.busy.unwrap_or(0)),
                };
                let parts = window.attribute(look.users.map(CpuTime::from_micros));
                let sum: MicroJoules = parts.into_iter().sum();
                prop_assert!(sum <= account.energy);
            }
            last = energy;
        }
        let time = last.measured.covered.get() + last.modelled.covered.get() + last.uncovered.get();
        let all = now.saturating_sub(first.unwrap_or_default());
        prop_assert_eq!(time, all.get(), "each moment is in one account");
    }
}

#[test]
fn what_counts_by_itself_may_be_left_alone_for_longer() {
    let (mut meter, figures) = played(1_000);
    let mut pace = |at, level, energy: Option<u64>| {
        let step = MicroJoules::ZERO;
        let count = |energy| Count { energy: MicroJoules::new(energy), range: None, step };
        figures.send(Ok(Figures { level, count: energy.map(count) })).expect("it is there");
        meter.step(Millis::from_secs(at), CpuInterval::default());
        meter.pace()
    };
    let period = PowerConfig::DEFAULT_PERIOD;
    assert_eq!(pace(0, Some(2_000_000), None), period);
    assert_eq!(pace(1, Some(2_000_000), Some(5)), period);
    assert_eq!(pace(2, Some(2_000_000), Some(2_000_005)), COUNTED_PACE);
    assert_eq!(pace(3, Some(-1), Some(4_000_005)), period, "a fault is looked at again soon");
    let config = PowerConfig { source: Some(SourceKind::Model), ..PowerConfig::default() };
    assert_eq!(PowerMeter::new(&config).pace(), COUNTED_PACE);
}

/// The trace of the drivers' test, without drivers: what a sensor that averages shows each second.
#[test]
fn energy_of_a_trace_with_steps_is_within_a_percent() {
    let (mut meter, figures) = played(1_000);
    // Steps of some watts at times that are no whole seconds; milliseconds and milliwatts.
    let steps: [(u64, u64); 8] = [
        (0, 2_300),
        (7_400, 5_100),
        (13_250, 2_400),
        (21_900, 6_800),
        (30_050, 3_000),
        (38_600, 7_500),
        (44_700, 2_200),
        (60_000, 2_200),
    ];
    let power = |at: u64| steps.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, p)| *p);
    let energy = |from: u64, to: u64| (from..to).map(power).sum::<u64>();
    for second in 0..=60_u64 {
        let at = second * 1_000;
        let mean = energy(at.saturating_sub(1_000), at.max(1)) / at.clamp(1, 1_000);
        let level = i64::try_from(mean * 1_000).expect("some watts");
        figures.send(Ok(Figures { level: Some(level), count: None })).expect("it is there");
        meter.step(Millis::from_secs(second), CpuInterval::default());
    }
    let measured = meter.energy.totals().measured.energy.get();
    let played = energy(0, 60_000);
    assert!(measured.abs_diff(played) * 100 <= played, "{measured} uJ of {played}");
}
