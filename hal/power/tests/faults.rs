//! Every way a sensor can lie or go away is named, and the reading is modelled meanwhile.

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::{BATTERY, HWMON, IIO, RAPL, Tree, at};
use goodwatt_power::{
    Fault, Method, Note, PowerConfig, PowerMeter, Sample, SkipReason, SourceKind, State, probe,
};
use goodwatt_units::{MicroJoules, MicroWatts, Millis};

/// The fault of a sample, which then has to be modelled.
fn fault(sample: Sample) -> Fault {
    assert_eq!(sample.reading.method, Method::Modelled, "{}", sample.reading);
    assert_eq!(sample.reading.sensor.to_string(), "model rpi-4b");
    match sample.state {
        State::Faulty(fault) => fault,
        other => panic!("no fault but {other:?}"),
    }
}

/// A meter with one good reading behind it, whose sensor then gives `text`.
fn after_a_good_reading(text: &str) -> (Tree, PowerMeter, Sample) {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).reading.method, Method::Measured);
    tree.put(&format!("{HWMON}/power1_input"), text);
    let sample = at(&mut meter, 1);
    (tree, meter, sample)
}

#[test]
fn a_figure_that_cannot_be_true_is_named_and_recovers() {
    let path = |tree: &Tree| tree.path(&format!("{HWMON}/power1_input"));
    let garbage = |tree: &Tree, text: &str| Fault::Garbage { path: path(tree), text: text.into() };
    let before = MicroWatts::new(2_500_000);
    type Want<'a> = &'a dyn Fn(&Tree) -> Fault;
    let check = |text: &str, want: Want<'_>| {
        let (tree, mut meter, sample) = after_a_good_reading(text);
        assert_eq!(fault(sample), want(&tree), "{text:?}");
        tree.put(&format!("{HWMON}/power1_input"), "2600000\n");
        let sample = at(&mut meter, 2);
        assert_eq!(sample.state, State::Measuring, "after {text:?}");
        assert_eq!(sample.reading.power, MicroWatts::new(2_600_000));
    };
    check("", &|tree| Fault::Empty { path: path(tree) });
    check("\n", &|tree| Fault::Empty { path: path(tree) });
    check("nan\n", &|tree| garbage(tree, "nan"));
    check("NaN\n", &|tree| garbage(tree, "NaN"));
    check("inf\n", &|tree| garbage(tree, "inf"));
    check("2.5\n", &|tree| garbage(tree, "2.5"));
    check("error\n", &|tree| garbage(tree, "error"));
    check("-2500000\n", &|_| Fault::Negative { microwatts: -2_500_000 });
    check("0\n", &|_| Fault::Zero);
    check("2500\n", &|_| Fault::Jump { before, microwatts: 2_500 });
    check("2500000000\n", &|_| Fault::Jump { before, microwatts: 2_500_000_000 });
    check("9223372036854775807\n", &|_| Fault::Jump { before, microwatts: i64::MAX });
}

#[test]
fn milliwatts_in_a_microwatt_file_are_refused_from_the_first_reading() {
    let tree = Tree::with_hwmon();
    tree.put(&format!("{HWMON}/power1_input"), "2500\n");
    let discovery = probe(&tree.config());
    assert_eq!(discovery.chosen.sensor.kind, SourceKind::Model);
    let (kind, reason) = &discovery.skipped[0];
    assert_eq!(*kind, SourceKind::Hwmon);
    assert!(
        matches!(reason, SkipReason::Faulty(Fault::Jump { microwatts: 2_500, .. })),
        "{reason}"
    );
}

#[test]
fn a_sensor_may_be_unplugged_and_plugged_in_again() {
    let tree = Tree::with_iio();
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).state, State::Measuring);
    let plugged = tree.path(IIO);
    let kept = tree.path("kept");
    fs::rename(&plugged, &kept).expect("it is there");
    let gone = Fault::Gone { path: plugged.join("in_power2_raw") };
    assert_eq!(fault(at(&mut meter, 1)), gone);
    let sample = at(&mut meter, 2);
    let reason = SkipReason::NamedAbsent { wanted: "ina219".to_owned(), found: vec![] };
    assert_eq!((sample.reading.method, sample.state), (Method::Modelled, State::Missing(reason)));
    // It comes back under another number.
    fs::rename(kept, tree.path("sys/bus/iio/devices/iio:device3")).expect("the name is free");
    let sample = at(&mut meter, 3);
    assert_eq!(sample.state, State::Measuring);
    assert_eq!(sample.reading.power, MicroWatts::new(2_500_000));
    // Nothing was measured between a good and a bad reading, nor between a bad and a good one.
    assert_eq!(sample.energy.measured.covered, Millis::ZERO);
    assert_eq!(at(&mut meter, 4).energy.measured.covered, Millis::from_secs(1));
}

#[test]
fn another_sensor_in_its_place_is_not_taken_for_it() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.put(&format!("{HWMON}/name"), "ina226\n");
    tree.remove(&format!("{HWMON}/power1_input"));
    fault(at(&mut meter, 1));
    let reason =
        SkipReason::NamedAbsent { wanted: "ina219".to_owned(), found: vec!["ina226".to_owned()] };
    assert_eq!(at(&mut meter, 2).state, State::Missing(reason));
}

#[test]
fn a_shunt_that_falls_back_to_the_default_does_not_change_the_figure() {
    let tree = Tree::with_hwmon();
    let mut meter = PowerMeter::new(&tree.config_with_idle(2_000));
    assert_eq!(meter.discovery().notes, []);
    at(&mut meter, 0);
    // The driver was loaded anew: it is back at 10 mOhm, and its figures are ten times higher.
    tree.put_all(HWMON, &[("shunt_resistor", "10000\n"), ("power1_input", "25000000\n")]);
    assert_eq!(at(&mut meter, 1).reading.power, MicroWatts::new(2_500_000));
}

#[test]
fn a_sensor_named_in_the_config_is_waited_for() {
    let tree = Tree::pi_4();
    let config = PowerConfig { source: Some(SourceKind::Hwmon), ..tree.config_with_idle(2_000) };
    let mut meter = PowerMeter::new(&config);
    assert_eq!(meter.discovery().chosen.sensor.kind, SourceKind::Model);
    assert!(matches!(at(&mut meter, 0).state, State::Missing(SkipReason::Absent { .. })));
    tree.put_all(
        HWMON,
        &[("name", "ina219\n"), ("power1_input", "25000000\n"), ("shunt_resistor", "10000\n")],
    );
    assert_eq!(at(&mut meter, 1).reading.power, MicroWatts::new(2_500_000));
    let discovery = meter.discovery();
    assert_eq!(discovery.chosen.sensor.to_string(), "hwmon ina219");
    assert!(matches!(discovery.notes.as_slice(), [Note::ShuntMismatch { .. }]), "{discovery}");
}

#[test]
fn a_sensor_that_goes_away_between_two_of_its_files_is_gone() {
    let tree = Tree::with_hwmon();
    tree.remove(&format!("{HWMON}/power1_input"));
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).state, State::Measuring);
    // The voltage is still there when the current is not any more.
    tree.remove(&format!("{HWMON}/curr1_input"));
    let gone = Fault::Gone { path: tree.path(&format!("{HWMON}/curr1_input")) };
    assert_eq!(fault(at(&mut meter, 1)), gone);
}

#[test]
fn a_read_that_fails_names_the_error_of_the_system() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    let path = format!("{HWMON}/power1_input");
    tree.remove(&path);
    // Reading a folder fails with EISDIR, as a broken wire does with EREMOTEIO.
    fs::create_dir(tree.path(&path)).expect("the name is free");
    assert_eq!(fault(at(&mut meter, 1)), Fault::Io { path: tree.path(&path), code: 21 });
}

#[test]
fn a_stuck_sensor_is_found_by_the_load() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    let mut busy = 0;
    let mut stuck_at = None;
    for second in 0..200 {
        // Ten seconds of full load in every minute, and the sensor says 2.5 W all along.
        busy += if second % 60 < 10 { 400 } else { 8 };
        tree.cpu(busy, (second + 1) * 400 - busy.min((second + 1) * 400), 0);
        let state = at(&mut meter, second).state;
        if let (State::Faulty(Fault::Stuck { power, span }), None) = (state, stuck_at) {
            assert_eq!((power.get(), span), (2_500_000, Millis::from_secs(second)));
            stuck_at = Some(second);
        }
    }
    assert_eq!(stuck_at, Some(120));
    tree.put(&format!("{HWMON}/power1_input"), "2520000\n");
    assert_eq!(at(&mut meter, 200).state, State::Measuring, "it moved again");
}

#[test]
fn a_quiet_sensor_on_a_quiet_board_is_not_stuck() {
    let tree = Tree::with_hwmon();
    let mut meter = tree.meter();
    for second in 0..600 {
        tree.cpu(second * 8, second * 392, 0);
        assert_eq!(at(&mut meter, second).state, State::Measuring, "second {second}");
    }
}

#[test]
fn a_counter_that_wraps_goes_on_and_one_that_is_reset_does_not() {
    let check = |before: &str, after: &str, want: Result<&str, (u64, u64)>| {
        let tree = Tree::with_rapl();
        let energy = format!("{RAPL}/energy_uj");
        tree.put(&energy, before);
        let mut meter = tree.meter();
        at(&mut meter, 0);
        tree.put(&energy, after);
        let sample = at(&mut meter, 1);
        let got = match &sample.state {
            State::Measuring => Ok(sample.energy.measured.energy.to_string()),
            State::Faulty(Fault::CounterReset { before, after }) => {
                Err((before.get(), after.get()))
            }
            other => panic!("neither measured nor reset: {other:?}"),
        };
        assert_eq!(got, want.map(str::to_owned), "{before} to {after}");
    };
    check("1000000", "5000000", Ok("4.000 J"));
    check("262143328850", "4000000", Ok("4.000 J"));
    check("262142328850", "3000000", Ok("4.000 J"));
    check("5000000", "1000000", Err((5_000_000, 1_000_000)));
    check("200000000000", "0", Err((200_000_000_000, 0)));
}

#[test]
fn a_counter_that_stands_still_is_a_fault() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    assert_eq!(at(&mut meter, 1).state, State::Faulty(Fault::Zero));
}

#[test]
fn what_was_counted_across_a_fault_is_not_counted_twice() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    let energy = |text: &str| tree.put(&format!("{RAPL}/energy_uj"), text);
    at(&mut meter, 0);
    energy("");
    tree.cpu(0, 400, 0);
    assert_eq!(at(&mut meter, 1).energy.modelled.energy.to_string(), "2.662 J");
    // The second until here is in the books as modelled already.
    energy("9000000\n");
    let sample = at(&mut meter, 2);
    assert_eq!((sample.state, sample.energy.measured.energy), (State::Starting, MicroJoules::ZERO));
    energy("13000000\n");
    assert_eq!(at(&mut meter, 3).energy.measured.energy.to_string(), "4.000 J");
}

#[test]
fn a_counter_that_runs_away_is_not_paid_for() {
    let tree = Tree::with_hwmon();
    let energy = format!("{HWMON}/energy1_input");
    tree.put(&energy, "70000000\n");
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.put(&energy, "1099511627775\n");
    tree.cpu(0, 400, 0);
    let sample = at(&mut meter, 1);
    assert_eq!(sample.energy.measured.energy, MicroJoules::ZERO);
    assert_eq!(sample.energy.modelled.energy.to_string(), "2.286 J");
    assert!(matches!(fault(sample), Fault::Jump { .. }));
}

#[test]
fn a_counter_read_too_seldom_is_not_guessed() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    at(&mut meter, 0);
    tree.put(&format!("{RAPL}/energy_uj"), "2000000\n");
    let sample = at(&mut meter, 3_600);
    let span = Millis::from_secs(3_600);
    assert_eq!(sample.state, State::Faulty(Fault::CounterUnclear { span }));
    assert_eq!((sample.energy.measured.energy, sample.energy.uncovered), (MicroJoules::ZERO, span));
}

#[test]
fn a_battery_on_mains_stops_counting() {
    let tree = Tree::with_battery();
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).state, State::Measuring);
    tree.put(&format!("{BATTERY}/status"), "Full\n");
    assert_eq!(fault(at(&mut meter, 1)), Fault::NotDischarging { status: "Full".to_owned() });
}

/// Root may read everything, so what is expected depends on who runs the test; either way a
/// denied file must not be taken for a missing one.
#[test]
fn a_denied_counter_names_the_remedy() {
    let tree = Tree::with_rapl();
    let path = tree.path(&format!("{RAPL}/energy_uj"));
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("it is ours");
    let discovery = probe(&tree.config());
    let skipped = discovery.skipped.into_iter().find(|(kind, _)| *kind == SourceKind::Rapl);
    if File::open(&path).is_ok() {
        assert_eq!(skipped, None, "root reads it all the same");
        return;
    }
    let (_, reason) = skipped.expect("it is skipped");
    assert_eq!(reason, SkipReason::Faulty(Fault::Denied { path }));
    assert!(reason.to_string().contains("udev rule"), "{reason}");
}
