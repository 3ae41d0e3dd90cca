//! Every source reads what its driver prints, in the unit its driver prints it in.

mod common;

use common::{BATTERY, HWMON, IIO, RAPL, Tree, at};
use goodwatt_power::{
    Calibration, MicroOhms, Note, PowerConfig, PowerMeter, Scope, SkipReason, SourceKind, State,
    probe,
};
use goodwatt_units::{MicroWatts, Millis};

/// What a fresh meter reads first.
fn first(config: &PowerConfig) -> String {
    at(&mut PowerMeter::new(config), 0).reading.to_string()
}

/// Why a kind of source is skipped.
fn skipped(config: &PowerConfig, kind: SourceKind) -> Option<SkipReason> {
    probe(config).skipped.into_iter().find(|(of, _)| *of == kind).map(|(_, reason)| reason)
}

#[test]
fn hwmon_prefers_power_to_volts_and_amps() {
    let tree = Tree::with_hwmon();
    let check = |want: &str| assert_eq!(first(&tree.config()), want);
    check("2.500 W, measured, +-3.5 %, board_input (hwmon ina219)");
    tree.put(&format!("{HWMON}/power1_input"), "2345678\n");
    check("2.345 W, measured, +-3.5 %, board_input (hwmon ina219)");
    tree.remove(&format!("{HWMON}/power1_input"));
    tree.put(&format!("{HWMON}/power1_average"), "2400000\n");
    check("2.400 W, measured, +-3.5 %, board_input (hwmon ina219)");
    tree.remove(&format!("{HWMON}/power1_average"));
    // 5100 mV x 490 mA.
    check("2.499 W, measured, +-3.5 %, board_input (hwmon ina219)");
}

#[test]
fn hwmon_counts_energy_where_the_chip_does() {
    let tree = Tree::with_hwmon();
    tree.put(&format!("{HWMON}/name"), "ina228\n");
    tree.put(&format!("{HWMON}/energy1_input"), "70000000\n");
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).reading.power, MicroWatts::new(2_500_000));
    tree.put(&format!("{HWMON}/energy1_input"), "130000000\n");
    // A minute is a gap for levels, but the chip counted through it: 60 J, and not 150 J.
    let energy = at(&mut meter, 60).energy;
    assert_eq!(energy.measured.energy.to_string(), "60.000 J");
    assert_eq!((energy.measured.covered, energy.uncovered), (Millis::from_secs(60), Millis::ZERO));
}

#[test]
fn hwmon_energy_is_scaled_with_the_shunt_like_power() {
    let tree = Tree::with_hwmon();
    let folder = |file: &str| format!("{HWMON}/{file}");
    tree.put_all(HWMON, &[("power1_input", "25000000\n"), ("shunt_resistor", "10000\n")]);
    tree.put(&folder("energy1_input"), "1000000000\n");
    let mut meter = tree.meter();
    assert_eq!(at(&mut meter, 0).reading.power, MicroWatts::new(2_500_000));
    tree.put(&folder("energy1_input"), "1025000000\n");
    assert_eq!(at(&mut meter, 1).energy.measured.energy.to_string(), "2.500 J");
    assert!(meter.discovery().notes.iter().any(|note| matches!(note, Note::ShuntMismatch { .. })));
}

#[test]
fn an_ina3221_needs_its_channel_named() {
    let tree = Tree::pi_4();
    tree.put_all(
        HWMON,
        &[
            ("name", "ina3221\n"),
            ("in1_input", "5000\n"),
            ("curr1_input", "100\n"),
            ("shunt1_resistor", "100000\n"),
            ("in2_input", "5000\n"),
            ("curr2_input", "500\n"),
            ("shunt2_resistor", "10000\n"),
            // The drop over the first shunt, and the sum of all: no pair.
            ("in4_input", "10\n"),
            ("curr4_input", "600\n"),
        ],
    );
    let unclear = SkipReason::ChannelUnclear { sensor: "ina3221".to_owned(), found: vec![1, 2] };
    assert_eq!(skipped(&tree.config(), SourceKind::Hwmon), Some(unclear));
    let second = PowerConfig { channel: Some(2), shunt: MicroOhms::new(10_000), ..tree.config() };
    assert_eq!(first(&second), "2.500 W, measured, +-3.5 %, board_input (hwmon ina3221)");
    // One that is switched off is no candidate.
    tree.put(&format!("{HWMON}/in2_enable"), "0\n");
    assert_eq!(first(&tree.config()), "0.500 W, measured, +-2.7 %, board_input (hwmon ina3221)");
}

#[test]
fn a_usb_meter_pairs_its_bus_voltage_with_its_current() {
    let tree = Tree::pi_4();
    tree.put_all(
        HWMON,
        &[
            ("name", "powerz\n"),
            ("in0_input", "5000\n"),
            ("in1_input", "1600\n"),
            ("curr1_input", "500\n"),
        ],
    );
    // It has no shunt of ours, and its maker's bound is not known here.
    let config = PowerConfig { shunt: None, ..tree.config() };
    assert_eq!(first(&config), "2.500 W, measured, +-25 %, board_input (hwmon powerz)");
}

#[test]
fn other_peoples_watts_are_not_the_boards() {
    let tree = Tree::pi_4();
    tree.put_all(HWMON, &[("name", "amdgpu\n"), ("power1_average", "9000000\n")]);
    let reason = SkipReason::NotOfTheBoard { found: vec!["amdgpu".to_owned()] };
    assert_eq!(skipped(&tree.config(), SourceKind::Hwmon), Some(reason));
    let named = PowerConfig { sensor: Some("amdgpu".to_owned()), ..tree.config() };
    let reason = SkipReason::ScopeNotStated { sensor: "amdgpu".to_owned() };
    assert_eq!(skipped(&named, SourceKind::Hwmon), Some(reason));
    let stated = PowerConfig { scope: Some(Scope::Rails), ..named };
    assert_eq!(first(&stated), "9.000 W, measured, +-25 %, rails (hwmon amdgpu)");
    assert!(probe(&stated).notes.contains(&Note::PartOnly { scope: Scope::Rails }));
}

#[test]
fn two_sensors_are_told_apart_by_address() {
    let tree = Tree::with_hwmon();
    tree.put_all(
        "sys/class/hwmon/hwmon1",
        &[("name", "ina219\n"), ("power1_input", "700000\n"), ("shunt_resistor", "100000\n")],
    );
    tree.link(HWMON, "sys/devices/i2c-1/1-0040/hwmon/hwmon0");
    tree.link("sys/class/hwmon/hwmon1", "sys/devices/i2c-1/1-0041/hwmon/hwmon1");
    let names = vec!["ina219@1-0040".to_owned(), "ina219@1-0041".to_owned()];
    let reason = SkipReason::Ambiguous { found: names };
    assert_eq!(skipped(&tree.config(), SourceKind::Hwmon), Some(reason));
    let config = PowerConfig { sensor: Some("ina219@1-0041".to_owned()), ..tree.config() };
    let want = "0.700 W, measured, +-4.5 %, board_input (hwmon ina219@1-0041)";
    assert_eq!(first(&config), want);
}

#[test]
fn iio_scales_by_its_scale_and_by_the_true_shunt() {
    let tree = Tree::with_iio();
    let check = |want: &str| assert_eq!(first(&tree.config()), want);
    // 1250 x 20 mW is 25 W, by a shunt that is ten times larger in truth.
    check("2.500 W, measured, +-3.5 %, board_input (iio ina219)");
    tree.put_all(IIO, &[("in_shunt_resistor", "0.1\n"), ("in_power2_scale", "2.000000000\n")]);
    check("2.500 W, measured, +-3.5 %, board_input (iio ina219)");
    tree.put(&format!("{IIO}/in_shunt_resistor"), "0.01\n");
    tree.remove(&format!("{IIO}/in_power2_raw"));
    // 1275 x 4 mV x 4900 x 1 mA, over ten.
    check("2.499 W, measured, +-3.5 %, board_input (iio ina219)");
}

#[test]
fn the_shunt_is_demanded_printed_and_compared() {
    let tree = Tree::with_iio();
    let without = PowerConfig { shunt: None, ..tree.config() };
    let reason = skipped(&without, SourceKind::Iio).expect("it is refused");
    let remedy = "set power.shunt to what is printed on the shunt of ina219, such as R100 for \
                  \"100 mOhm\"; the kernel takes it for 10.000 mOhm";
    assert_eq!(reason.to_string(), remedy);
    let check = |kernel: &str, want: &str| {
        tree.put(&format!("{IIO}/in_shunt_resistor"), kernel);
        let printed = probe(&tree.config_with_idle(2_000)).to_string();
        let (head, _) = printed.split_once("\n  skipped").expect("others are skipped");
        assert_eq!(head, want);
    };
    check("0.1\n", "power: iio ina219, board_input, shunt 100.000 mOhm");
    check(
        "0.01\n",
        "power: iio ina219, board_input, shunt 100.000 mOhm\n  \
         note: the kernel takes the shunt for 10.000 mOhm; its figures are scaled to the \
         configured 100.000 mOhm",
    );
    // Older kernels print microohms here, which would be ten kiloohms.
    tree.put(&format!("{IIO}/in_shunt_resistor"), "10000\n");
    let reason = skipped(&tree.config(), SourceKind::Iio);
    assert!(matches!(reason, Some(SkipReason::Faulty(_))), "{reason:?}");
}

#[test]
fn rapl_is_measured_but_no_board() {
    let tree = Tree::with_rapl();
    let mut meter = tree.meter();
    let sample = at(&mut meter, 0);
    assert_eq!(sample.state, State::Starting);
    let want = "3.644 W, modelled, +-1296.6 %, board_input (model unlisted-pc)";
    assert_eq!(sample.reading.to_string(), want);
    tree.put(&format!("{RAPL}/energy_uj"), "9000000\n");
    let sample = at(&mut meter, 2);
    let want = "4.000 W, measured, +-25 %, cpu_package (rapl package-0)";
    assert_eq!(sample.reading.to_string(), want);
    assert_eq!(sample.energy.measured.energy.to_string(), "8.000 J");
    assert_eq!(sample.energy.measured.marginal(), None, "idle power of the package is not known");
    let notes = &meter.discovery().notes;
    assert!(notes.contains(&Note::PartOnly { scope: Scope::CpuPackage }), "{notes:?}");
    let sensor = meter.discovery().chosen.sensor.clone();
    assert!(notes.contains(&Note::NoIdlePower { sensor }), "{notes:?}");
}

#[test]
fn rapl_comes_behind_a_board_sensor() {
    let tree = Tree::with_hwmon();
    tree.put_all(
        RAPL,
        &[("name", "package-0\n"), ("energy_uj", "1\n"), ("max_energy_range_uj", "9\n")],
    );
    assert_eq!(probe(&tree.config()).chosen.sensor.kind, SourceKind::Hwmon);
    let reason = SkipReason::Outranked { by: SourceKind::Hwmon };
    assert_eq!(skipped(&tree.config(), SourceKind::Rapl), Some(reason));
    let named = PowerConfig { source: Some(SourceKind::Rapl), ..tree.config() };
    assert_eq!(probe(&named).chosen.sensor.kind, SourceKind::Rapl);
    let reason = SkipReason::NotRequested { requested: SourceKind::Rapl };
    assert_eq!(skipped(&named, SourceKind::Hwmon), Some(reason));
}

#[test]
fn a_battery_shows_the_draw_only_while_it_discharges() {
    let tree = Tree::with_battery();
    // 3.7 V x 0.81 A, whatever sign the driver gives what flows out.
    let check = |want: &str| assert_eq!(first(&tree.config()), want);
    check("2.997 W, measured, +-25 %, board_input (power_supply BAT0)");
    tree.put(&format!("{BATTERY}/power_now"), "3100000\n");
    check("3.100 W, measured, +-25 %, board_input (power_supply BAT0)");
    tree.put(&format!("{BATTERY}/status"), "Charging\n");
    let reason = skipped(&tree.config(), SourceKind::PowerSupply).expect("it is skipped");
    let want =
        "the battery is \"Charging\", and only a discharging one shows what the machine draws";
    assert_eq!(reason.to_string(), want);
}

#[test]
fn batteries_of_mice_and_chargers_are_no_source() {
    let check = |file: &str, text: &str| {
        let tree = Tree::with_battery();
        tree.put(&format!("{BATTERY}/{file}"), text);
        let reason = skipped(&tree.config(), SourceKind::PowerSupply);
        assert!(matches!(reason, Some(SkipReason::Absent { .. })), "{file} {text}: {reason:?}");
    };
    check("scope", "Device\n");
    check("present", "0\n");
    check("type", "Mains\n");
    check("type", "USB\n");
}

#[test]
fn the_model_follows_the_load() {
    let tree = Tree::pi_4();
    let mut meter = tree.meter();
    let sample = at(&mut meter, 0);
    assert_eq!(sample.state, State::ModelOnly);
    // Without a second look at the CPUs it may be anything between idle and busy.
    let want = "4.553 W, modelled, +-87.3 %, board_input (model rpi-4b)";
    assert_eq!(sample.reading.to_string(), want);
    let mut check = |second, busy, idle, want: &str| {
        tree.cpu(busy, idle, 0);
        assert_eq!(at(&mut meter, second).reading.to_string(), want);
    };
    check(1, 0, 400, "2.286 W, modelled, +-25 %, board_input (model rpi-4b)");
    check(2, 200, 600, "4.553 W, modelled, +-25 %, board_input (model rpi-4b)");
    check(3, 600, 600, "6.820 W, modelled, +-25 %, board_input (model rpi-4b)");
}

#[test]
fn an_unlisted_board_gets_a_wide_bound_and_says_so() {
    let tree = Tree::pi_4();
    let check = |model: Option<&str>, want: &str| {
        tree.remove("proc/device-tree/model");
        if let Some(model) = model {
            tree.put("proc/device-tree/model", model);
        }
        tree.cpu(0, 0, 0);
        let mut meter = tree.meter();
        at(&mut meter, 0);
        tree.cpu(0, 400, 0);
        assert_eq!(at(&mut meter, 1).reading.to_string(), want);
        assert!(meter.discovery().notes.contains(&Note::UnlistedBoard));
        tree.put("proc/device-tree/model", "");
    };
    let board = "2.662 W, modelled, +-100 %, board_input (model unlisted-board)";
    check(Some("Raspberry Pi Zero 2 W Rev 1.0\0"), board);
    check(Some("Orange Pi Zero\0"), board);
    check(None, "2.662 W, modelled, +-1000 %, board_input (model unlisted-pc)");
}

#[test]
fn the_board_is_known_where_proc_is_hidden() {
    let tree = Tree::pi_4();
    let other = "sys/firmware/devicetree/base/model";
    tree.put(other, "Raspberry Pi 3 Model B Rev 1.2\0");
    let name = || probe(&tree.config()).chosen.sensor.to_string();
    assert_eq!(name(), "model rpi-4b");
    tree.remove("proc/device-tree");
    assert_eq!(name(), "model rpi-3b");
}

#[test]
fn a_calibration_takes_the_place_of_published_figures() {
    let tree = Tree::pi_4();
    let calibration = Calibration {
        idle: MicroWatts::from_milliwatts(2_100),
        slope: MicroWatts::from_milliwatts(4_000),
        error_ppm: 40_000,
    };
    let config = PowerConfig { calibration: Some(calibration), ..tree.config() };
    let mut meter = PowerMeter::new(&config);
    at(&mut meter, 0);
    tree.cpu(100, 300, 0);
    let want = "3.100 W, modelled, +-4 %, board_input (model rpi-4b)";
    assert_eq!(at(&mut meter, 1).reading.to_string(), want);
}

#[test]
fn every_source_that_is_skipped_has_its_reason() {
    let tree = Tree::pi_4();
    let printed = probe(&tree.config()).to_string();
    let sys = tree.path("sys").display().to_string();
    let absent =
        |class: &str| format!("no sensor under {sys}/{class}: wire one up and load its driver");
    let want = format!(
        "power: model rpi-4b, board_input\n  skipped hwmon: {}\n  skipped iio: {}\n  \
         skipped smbus: no address is named, and none is tried, as a read can disturb another chip; \
         set power.sensor to chip, bus and address, such as ina226@1-0040; buses: (none)\n  \
         skipped pmic: no {}: only a Raspberry Pi 5 with Raspberry Pi's own kernel has one\n  \
         skipped meter: power.meter names none, such as \"shelly://192.168.1.5\"\n  \
         skipped rapl: {}\n  skipped power_supply: {}",
        absent("class/hwmon"),
        absent("bus/iio/devices"),
        tree.path("dev/vcio_gencmd").display(),
        absent("class/powercap"),
        absent("class/power_supply"),
    );
    assert_eq!(printed, want);
}

#[test]
fn a_hidden_cpu_share_is_noted() {
    let tree = Tree::pi_4();
    tree.remove("proc/stat");
    let notes = probe(&tree.config()).notes;
    assert!(matches!(notes.as_slice(), [Note::NoCpuShare(_)]), "{notes:?}");
    let mut meter = tree.meter();
    at(&mut meter, 0);
    let sample = at(&mut meter, 1);
    assert_eq!(sample.reading.error.to_string(), "+-87.3 %");
    assert_eq!(sample.energy.uncovered, Millis::from_secs(1), "no share, no modelled energy");
}

#[test]
fn this_machine_can_be_probed() {
    let mut meter = PowerMeter::new(&PowerConfig::default());
    let printed = meter.discovery().to_string();
    assert!(printed.starts_with("power: "), "{printed}");
    assert!(at(&mut meter, 0).reading.power > MicroWatts::ZERO);
}
