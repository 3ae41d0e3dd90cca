//! Faults that other meters of power are known for, each with a test that it is not ours.

mod common;

use common::{HWMON, IIO, RAPL, Tree, at};
use goodwatt_power::{
    CpuTime, Fault, Method, Note, PowerConfig, PowerMeter, Scope, SkipReason, SourceKind, State,
    Window, probe,
};
use goodwatt_units::{MicroJoules, MicroWatts, Millis};
use proptest::prelude::*;

/// The boards that there is a model for, by what their device tree says.
const BOARDS: [&str; 9] = [
    "Raspberry Pi 5 Model B Rev 1.0",
    "Raspberry Pi 400 Rev 1.0",
    "Raspberry Pi 4 Model B Rev 1.2",
    "Raspberry Pi 3 Model B Plus Rev 1.3",
    "Raspberry Pi 3 Model B Rev 1.2",
    "Raspberry Pi 2 Model B Rev 1.1",
    "Raspberry Pi Model B Plus Rev 1.2",
    "Raspberry Pi Zero W Rev 1.1",
    "Orange Pi Zero",
];

/// `PowerJoular`: its polynomials give less power for a busy board than for an idle one.
#[test]
fn a_model_never_falls_as_the_load_rises() {
    for board in BOARDS {
        let tree = Tree::pi_4();
        tree.put("proc/device-tree/model", board);
        let mut meter = tree.meter();
        at(&mut meter, 0);
        let (mut busy, mut idle, mut last) = (0, 0, MicroWatts::ZERO);
        for percent in 0..=100 {
            (busy, idle) = (busy + percent, idle + 100 - percent);
            tree.cpu(busy, idle, 0);
            let power = at(&mut meter, percent + 1).reading.power;
            assert!(power >= last && power > MicroWatts::ZERO, "{board} at {percent} %: {power}");
            last = power;
        }
    }
}

proptest! {
    /// Scaphandre #163: processes added up to more than the host used.
    #[test]
    fn processes_never_add_up_to_more_than_the_host(
        energy in 0_u64..1_000_000_000, span in 0_u64..100_000, idle in 0_u32..20_000_000,
        busy in 0_u64..1_000_000, processes in proptest::array::uniform32(0_u64..1_000_000),
    ) {
        let (energy, idle) = (MicroJoules::new(energy), MicroWatts::new(idle));
        let window = Window { energy, span: Millis::new(span), idle, busy: CpuTime::from_micros(busy) };
        let parts = window.attribute(processes.map(CpuTime::from_micros));
        prop_assert!(parts.into_iter().sum::<MicroJoules>() <= window.energy);
    }
}

/// Kepler #2465, and every tool that divides all power by CPU share: idle shrinks under load.
#[test]
fn idle_does_not_shrink_under_load() {
    let left_for_idle = |milliwatts: u32, busy: u64, own: u64| {
        let tree = Tree::with_hwmon();
        tree.put(&format!("{HWMON}/power1_input"), &format!("{milliwatts}000\n"));
        let mut meter = PowerMeter::new(&tree.config_with_idle(2_500));
        at(&mut meter, 0);
        tree.cpu(busy, 400 - busy, own);
        let account = at(&mut meter, 1).energy.measured;
        account.energy.saturating_sub(account.marginal().expect("idle power is known"))
    };
    // All of the load is ours, at 10 %, 50 % and 100 % of the CPUs: 2.5 J stay idle's.
    for (milliwatts, busy) in [(2_800, 40), (4_000, 200), (6_500, 400)] {
        assert_eq!(left_for_idle(milliwatts, busy, busy).to_string(), "2.500 J", "{busy} ticks");
    }
    // And no less where others share the load.
    assert_eq!(left_for_idle(6_500, 400, 100).to_string(), "5.500 J");
}

/// NUT #2960: microwatts taken for milliwatts. Scaphandre names its metrics in microwatts.
#[test]
fn microwatts_and_milliwatts_are_not_mixed_up() {
    // hwmon prints microwatts, IIO milliwatts; both are the same 2.5 W here.
    for tree in [Tree::with_hwmon(), Tree::with_iio()] {
        assert_eq!(at(&mut tree.meter(), 0).reading.power.to_string(), "2.500 W");
    }
    // A driver that prints the other unit is a thousandfold off, and is refused.
    let check = |tree: &Tree, kind: SourceKind| {
        let discovery = probe(&tree.config());
        assert_eq!(discovery.chosen.sensor.kind, SourceKind::Model);
        let reason = discovery.skipped.iter().find(|(of, _)| *of == kind).map(|(_, why)| why);
        assert!(matches!(reason, Some(SkipReason::Faulty(Fault::Jump { .. }))), "{reason:?}");
    };
    let tree = Tree::with_hwmon();
    tree.put(&format!("{HWMON}/power1_input"), "2500\n");
    check(&tree, SourceKind::Hwmon);
    let tree = Tree::with_iio();
    tree.put(&format!("{IIO}/in_power2_scale"), "20000.0\n");
    check(&tree, SourceKind::Iio);
}

/// Kepler #1653: a source that is missing shows as zero watts.
#[test]
fn a_missing_source_is_no_zero() {
    let tree = Tree::pi_4();
    let config = PowerConfig { source: Some(SourceKind::Hwmon), ..tree.config() };
    let mut meter = PowerMeter::new(&config);
    tree.cpu(0, 400, 0);
    let sample = at(&mut meter, 0);
    assert!(matches!(sample.state, State::Missing(SkipReason::Absent { .. })), "{}", sample.state);
    assert_eq!(sample.reading.method, Method::Modelled);
    assert!(sample.reading.power > MicroWatts::ZERO);
    assert_eq!(sample.energy.measured_scope, None, "nothing was measured, not even nothing");
}

/// Scaphandre #241: 12 to 15 W shown of a machine that drew 34, as the CPU package is not all of it.
#[test]
fn a_package_is_not_called_a_machine() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.put(&format!("{RAPL}/energy_uj"), "15000000\n");
    let reading = at(&mut meter, 1).reading;
    assert_eq!(reading.scope, Scope::CpuPackage);
    let notes = &meter.discovery().notes;
    assert!(notes.contains(&Note::PartOnly { scope: Scope::CpuPackage }), "{notes:?}");
}

/// A figure for each of no transactions is none, and not infinite.
#[test]
fn there_is_no_figure_per_nothing() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    let measured = at(&mut meter, 1).energy.measured;
    assert_eq!(measured.per(0), None);
    assert!(measured.per(1).is_some());
}
