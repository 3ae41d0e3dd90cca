//! Energy over time and whose it is, through the meter as the daemon uses it.

mod common;

use common::{HWMON, RAPL, Tree, at};
use goodwatt_power::{Method, PowerMeter, Scope};
use goodwatt_units::Millis;
use proptest::prelude::*;

#[test]
fn a_sensor_is_read_at_most_once_a_period() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    at(&mut meter, 10);
    tree.put(&format!("{HWMON}/power1_input"), "2600000\n");
    let mut check = |millis, milliwatts, age| {
        let reading = meter.sample(Millis::new(millis)).reading;
        assert_eq!((reading.power.get() / 1_000, reading.age.get()), (milliwatts, age), "{millis}");
    };
    check(10_000, 2_500, 0);
    check(10_899, 2_500, 899);
    check(10_900, 2_600, 0);
    check(11_500, 2_600, 600);
    // A clock that goes back is answered with what is known.
    check(5_000, 2_600, 0);
}

#[test]
fn a_gap_is_uncovered_and_the_next_interval_is_not() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    let mut check = |second, joules: &str, uncovered| {
        let energy = at(&mut meter, second).energy;
        assert_eq!(energy.measured.energy.to_string(), joules, "second {second}");
        assert_eq!(energy.uncovered, Millis::from_secs(uncovered), "second {second}");
    };
    check(0, "0.000 J", 0);
    check(1, "2.500 J", 0);
    check(4, "10.000 J", 0);
    check(8, "10.000 J", 4);
    check(9, "12.500 J", 4);
}

#[test]
fn our_part_is_our_share_of_what_is_above_idle() {
    let tree = Tree::with_hwmon();
    tree.put(&format!("{HWMON}/power1_input"), "3500000\n");
    let mut meter = PowerMeter::new(&tree.config_with_idle(2_500));
    let start = at(&mut meter, 0).energy;
    // Of 100 busy ticks 20 are ours.
    tree.cpu(100, 300, 20);
    let block = at(&mut meter, 1).energy.since(&start);
    let (method, scope, account) = block.whole().expect("it was measured");
    assert_eq!((method, scope), (Method::Measured, Scope::BoardInput));
    assert_eq!(account.energy.to_string(), "3.500 J");
    assert_eq!(account.marginal().map(|energy| energy.to_string()).as_deref(), Some("0.200 J"));
    let each = account.per(4).expect("four transactions");
    assert_eq!(each.whole.to_string(), "0.875 J");
    assert_eq!(each.marginal.map(|energy| energy.to_string()).as_deref(), Some("0.050 J"));
    assert_eq!(account.per(0), None);
}

#[test]
fn without_idle_power_in_the_config_the_listed_boards_is_taken() {
    let tree = Tree::with_hwmon();
    tree.put(&format!("{HWMON}/power1_input"), "3286000\n");
    let mut meter = tree.meter();
    let note = meter.discovery().notes[0].to_string();
    let want = "our part of the energy rests on a modelled idle power of 2.286 W +-25 %: set \
                power.idle";
    assert_eq!(note, want);
    at(&mut meter, 0);
    tree.cpu(100, 300, 100);
    let measured = at(&mut meter, 1).energy.measured;
    assert_eq!(measured.marginal().map(|energy| energy.to_string()).as_deref(), Some("1.000 J"));
}

#[test]
fn modelled_energy_is_kept_apart_and_labels_the_whole() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.cpu(0, 400, 0);
    at(&mut meter, 1);
    tree.put(&format!("{HWMON}/power1_input"), "-1\n");
    tree.cpu(0, 800, 0);
    let energy = at(&mut meter, 2).energy;
    assert_eq!(energy.measured.energy.to_string(), "2.500 J");
    assert_eq!(energy.modelled.energy.to_string(), "2.286 J");
    let (method, _, account) = energy.whole().expect("both are of the board");
    assert_eq!(method, Method::Modelled, "a sum with a modelled part is modelled");
    assert_eq!(account.energy.to_string(), "4.786 J");
    // 3.5 % of the one and 25 % of the other, rounded up.
    assert_eq!(account.uncertainty.to_string(), "0.656 J");
}

#[test]
fn a_package_and_a_board_are_not_summed() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.put(&format!("{RAPL}/energy_uj"), "5000000\n");
    at(&mut meter, 1);
    tree.remove(RAPL);
    tree.cpu(0, 400, 0);
    let energy = at(&mut meter, 2).energy;
    assert_eq!(energy.measured_scope, Some(Scope::CpuPackage));
    assert_eq!(energy.measured.energy.to_string(), "4.000 J");
    assert_eq!(energy.modelled.energy.to_string(), "2.662 J");
    assert_eq!(energy.whole(), None);
}

/// What happens between two samples.
#[derive(Clone, Debug)]
enum Event {
    /// The sensor shows this many microwatts (or anything else).
    Level(i64),
    /// The counter stands here.
    Counter(u64),
    /// The sensor is unplugged.
    Unplug,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (100_000_i64..20_000_000).prop_map(Event::Level),
        1 => any::<i64>().prop_map(Event::Level),
        4 => (0_u64..400_000_000).prop_map(Event::Counter),
        1 => Just(Event::Unplug),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random traces with gaps, wraps, resets, nonsense and unplugging.
    #[test]
    fn our_part_never_exceeds_the_boards_energy(
        rapl: bool,
        steps in proptest::collection::vec(
            (any_event(), 0_u64..6_000, 0_u64..4_000, 0_u64..4_000, 0_u64..8_000), 1..30,
        ),
    ) {
        let tree = if rapl { Tree::with_rapl() } else { Tree::with_hwmon() };
        let mut meter = PowerMeter::new(&tree.config_with_idle(500));
        let (mut now, mut busy, mut idle, mut own) = (0, 0, 0, 0);
        let mut last = at(&mut meter, 0);
        let mut read_at = 0;
        for (event, span, more_busy, more_idle, more_own) in steps {
            (now, busy, idle, own) = (now + span, busy + more_busy, idle + more_idle, own + more_own);
            tree.cpu(busy, idle, own);
            let folder = if rapl { RAPL } else { HWMON };
            match event {
                Event::Level(level) => tree.put(&format!("{HWMON}/power1_input"), &level.to_string()),
                Event::Counter(energy) => tree.put_all(RAPL, &[
                    ("name", "package-0"),
                    ("max_energy_range_uj", "262143328850"),
                    ("energy_uj", &energy.to_string()),
                ]),
                Event::Unplug if tree.path(folder).exists() => tree.remove(folder),
                Event::Unplug => {}
            }
            let sample = meter.sample(Millis::new(now));
            if sample.reading.age == Millis::ZERO {
                read_at = now;
            }
            let energy = sample.energy;
            for account in [energy.measured, energy.modelled] {
                prop_assert!(account.marginal().is_none_or(|own| own <= account.energy));
            }
            for (now, before) in [
                (energy.measured.energy, last.energy.measured.energy),
                (energy.modelled.energy, last.energy.modelled.energy),
            ] {
                prop_assert!(now >= before, "energy never falls");
            }
            let time = energy.measured.covered.get() + energy.modelled.covered.get()
                + energy.uncovered.get();
            prop_assert_eq!(time, read_at, "each moment is in one account");
            last = sample;
        }
    }
}
