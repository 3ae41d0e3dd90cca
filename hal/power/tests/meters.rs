//! Meters outside of the board against servers of our own that speak their documented replies.

mod common;
#[path = "common/plug.rs"]
mod plug;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{HWMON, Tree, at};
use goodwatt_power::{Fault, Method, PowerConfig, PowerMeter, Sample, Scope, SourceKind, State};
use goodwatt_units::{MicroWatts, Millis};
use plug::{Plug, Way};

/// <https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch>
const SHELLY: &str = "HTTP/1.1 200 OK\r\nServer: ShellyHTTP/1.0.0\r\nContent-Type: application/json\r\n\
    Content-Length: 212\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n\
    {\"id\":0, \"source\":\"WS_in\", \"output\":true, \"apower\":3.4, \"voltage\":237.5, \"current\":0.031, \
    \"aenergy\":{\"total\":6.532,\"by_minute\":[56.666,56.667,56.666],\"minute_ts\":1626935779}, \
    \"temperature\":{\"tC\":23.5, \"tF\":74.4}}";
/// <https://shelly-api-docs.shelly.cloud/gen1/#shelly-plug-plugs-status>
const SHELLY_1: &str = "HTTP/1.1 200 OK\r\nServer: Mongoose/6.18\r\nContent-Type: application/json\r\n\
    Connection: close\r\n\r\n{\"wifi_sta\":{\"connected\":true,\"ssid\":\"home\",\"rssi\":-60},\"relays\":\
    [{\"ison\":true,\"has_timer\":false,\"overpower\":false,\"source\":\"http\"}],\"meters\":[{\"power\":3.41,\
    \"overpower\":0.00,\"is_valid\":true,\"timestamp\":1676138370,\"counters\":[3.402, 3.399, 3.405],\
    \"total\":6472513}],\"temperature\":27.79,\"uptime\":12345}";
/// <https://tasmota.github.io/docs/Commands/#with-web-requests>
const TASMOTA: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: Tasmota/13.4.0 (ESP8266EX)\r\n\
    Cache-Control: no-cache, no-store, must-revalidate\r\nConnection: close\r\n\r\n{\"StatusSNS\":\
    {\"Time\":\"2026-09-07T12:00:00\",\"ENERGY\":{\"TotalStartTime\":\"2020-06-24T09:25:29\",\"Total\":41.573,\
    \"Yesterday\":0.081,\"Today\":0.040,\"Power\":3,\"ApparentPower\":8,\"ReactivePower\":7,\"Factor\":0.43,\
    \"Voltage\":230,\"Current\":0.034}}}";

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn config(tree: &Tree, meter: &str) -> PowerConfig {
    let meter = Some(meter.parse().expect("a meter"));
    // A machine with much to do answers late, too; where that is not the point it is waited for.
    PowerConfig { meter, patience: Millis::from_secs(20), ..tree.config() }
}

/// A meter whose plug answers once when it is opened, and then is asked again.
fn plug(kind: &str, first: &str) -> (Tree, Plug, PowerMeter) {
    plug_with(kind, first, Millis::from_secs(20))
}

fn plug_with(kind: &str, first: &str, patience: Millis) -> (Tree, Plug, PowerMeter) {
    let (tree, plug) = (Tree::pi_4(), Plug::new());
    plug.answers(Way::AtOnce(first.to_owned()));
    let config = config(&tree, &format!("{kind}://127.0.0.1:{}", plug.port));
    let meter = PowerMeter::new(&PowerConfig { patience, ..config });
    (tree, plug, meter)
}

/// The fault of a sample, which then is modelled.
fn fault(sample: Sample) -> Fault {
    assert_eq!(sample.reading.method, Method::Modelled, "{}", sample.reading);
    assert!(sample.reading.power > MicroWatts::ZERO, "a missing figure is no zero");
    match sample.state {
        State::Faulty(fault) => fault,
        other => panic!("no fault but {other:?}"),
    }
}

#[test]
fn plugs_speak_their_documented_replies() {
    let check = |kind: &str, reply: &str, path: &str, microwatts: u32| {
        let (_tree, plug, mut meter) = plug(kind, reply);
        let request = plug.was_asked();
        let want = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        assert_eq!(request, want, "{kind}");
        assert_eq!(meter.discovery().chosen.sensor.kind, SourceKind::Meter);
        plug.answers(Way::AtOnce(reply.to_owned()));
        let Sample { reading, state, .. } = at(&mut meter, 1);
        assert_eq!(state, State::Measuring, "{kind}");
        assert_eq!((reading.power.get(), reading.scope), (microwatts, Scope::Wall), "{kind}");
        // Nobody states a bound for what comes out of a plug.
        assert_eq!(reading.error.to_string(), "+-25 %");
    };
    check("shelly", SHELLY, "/rpc/Switch.GetStatus?id=0", 3_400_000);
    check("shelly1", SHELLY_1, "/status", 3_410_000);
    check("tasmota", TASMOTA, "/cm?cmnd=Status%208", 3_000_000);
}

#[test]
fn a_plug_counts_through_a_gap_in_its_own_unit() {
    let check = |kind: &str, first: &str, second: &str, seconds, joules: &str| {
        let (_tree, plug, mut meter) = plug(kind, first);
        plug.answers(Way::AtOnce(first.to_owned()));
        at(&mut meter, 0);
        plug.answers(Way::AtOnce(second.to_owned()));
        let energy = at(&mut meter, seconds).energy;
        assert_eq!(energy.measured.energy.to_string(), joules, "{kind}");
        assert_eq!(energy.uncovered, Millis::ZERO, "{kind}");
    };
    // 1 Wh is 3.6 kJ; 150 watt minutes are 9 kJ; 0.5 kWh are 1.8 MJ.
    check("shelly", SHELLY, &SHELLY.replace("6.532", "7.532"), 1_000, "3600.000 J");
    check("shelly1", SHELLY_1, &SHELLY_1.replace("6472513", "6472663"), 2_600, "9000.000 J");
    check("tasmota", TASMOTA, &TASMOTA.replace("41.573", "42.073"), 600_000, "1800000.000 J");
}

#[test]
fn a_counter_in_coarse_steps_does_not_stand_in_for_the_level() {
    let (_tree, plug, mut meter) = plug("tasmota", TASMOTA);
    for second in 0..3 {
        plug.answers(Way::AtOnce(TASMOTA.to_owned()));
        at(&mut meter, second);
    }
    // 3 W for three seconds: the counter, which shows 3.6 kJ at least, has not moved.
    plug.answers(Way::AtOnce(TASMOTA.to_owned()));
    assert_eq!(at(&mut meter, 3).energy.measured.energy.to_string(), "9.000 J");
}

#[test]
fn what_is_no_figure_is_named_and_modelled() {
    let check = |way: Way, want: &str| {
        let (_tree, plug, mut meter) = plug("shelly", SHELLY);
        plug.answers(way);
        let fault = fault(at(&mut meter, 1)).to_string();
        assert!(fault.contains(want), "{fault}");
        plug.answers(Way::AtOnce(SHELLY.to_owned()));
        // The question of before may still be under way.
        let until = Instant::now() + Duration::from_secs(10);
        let mut second = 2;
        while at(&mut meter, second).state != State::Measuring {
            assert!(Instant::now() < until, "after {want:?} it does not come back");
            second += 1;
        }
    };
    let html = ok("<!DOCTYPE html><html><head><title>Shelly</title></head></html>");
    check(Way::AtOnce(html), "answers \"<!DOCTYPE html><html><head><titl\"");
    check(Way::AtOnce("HTTP/1.1 401 Unauthorized\r\n\r\n".into()), "401 Unauthorized");
    check(Way::AtOnce(ok("{\"apower\":NaN}")), "no figure of its kind");
    check(Way::AtOnce(ok("{\"apower\":\"3.4\"}")), "no figure of its kind");
    check(Way::AtOnce(ok("{\"apower\":1e999}")), "no figure of its kind");
    check(Way::AtOnce(ok("")), "answers \"\"");
    check(Way::AtOnce("garbage".into()), "answers \"garbage\"");
    check(Way::AtOnce(ok("{\"apower\":-3.4}")), "negative");
    check(Way::AtOnce(ok("{\"apower\":0.0}")), "shows no power while the board runs");
    check(Way::AtOnce(ok("{\"apower\":3400000.0}")), "no change a board can make");
    check(Way::Endless, "sends more than 32768 bytes");
    check(Way::HangUp, "answers \"\"");
    check(Way::Late(SHELLY.into(), 6_000), "has not answered in time");
}

#[test]
fn a_first_generation_meter_that_doubts_itself_is_not_believed() {
    let (_tree, plug, mut meter) = plug("shelly1", SHELLY_1);
    plug.answers(Way::AtOnce(
        SHELLY_1.replace("\"is_valid\":true,\"timestamp", "\"is_valid\":false,\"timestamp"),
    ));
    assert!(matches!(fault(at(&mut meter, 1)), Fault::NoFigure { .. }));
}

#[test]
fn the_caller_waits_a_moment_only() {
    let (_tree, plug, mut meter) = plug_with("shelly", SHELLY, PowerConfig::DEFAULT_PATIENCE);
    // A minute for the whole of it, byte by byte: longer than anybody waits.
    plug.answers(Way::Slowly(SHELLY.to_owned(), 120));
    // The answer to the first question may have come late on a machine with much to do.
    at(&mut meter, 0);
    for second in 1..4 {
        let begin = Instant::now();
        assert!(matches!(fault(at(&mut meter, second)), Fault::Late { .. }));
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_plug_that_is_off_at_the_start_is_waited_for() {
    let tree = Tree::pi_4();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let mut meter = PowerMeter::new(&config(&tree, &format!("shelly://127.0.0.1:{port}")));
    assert_eq!(meter.discovery().chosen.sensor.kind, SourceKind::Meter);
    assert!(matches!(fault(at(&mut meter, 0)), Fault::Unreachable { .. }));
}

#[test]
fn the_operator_may_state_the_bound() {
    let (tree, plug) = (Tree::pi_4(), Plug::new());
    for _ in 0..2 {
        plug.answers(Way::AtOnce(SHELLY.to_owned()));
    }
    let meter = format!("shelly://127.0.0.1:{}", plug.port);
    let config = PowerConfig { error_ppm: Some(20_000), ..config(&tree, &meter) };
    let reading = at(&mut PowerMeter::new(&config), 0).reading;
    assert_eq!(reading.error.to_string(), "+-2 %");
}

/// A meter behind a socket, and the path of that.
fn socket(tree: &Tree) -> (PowerMeter, std::path::PathBuf) {
    let path = tree.path("watts.sock");
    let config = config(tree, &format!("unix:{}", path.display()));
    (PowerMeter::new(&config), path)
}

fn write(stream: &mut UnixStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("somebody listens");
}

#[test]
fn lines_over_a_socket_are_figures_at_the_board() {
    let tree = Tree::pi_4();
    let (mut meter, path) = socket(&tree);
    assert!(matches!(fault(at(&mut meter, 0)), Fault::NoLine { .. }));
    let mut writer = UnixStream::connect(&path).expect("it listens");
    let mut check = |second, text: &str, microwatts| {
        write(&mut writer, text);
        let Sample { reading, state, .. } = at(&mut meter, second);
        assert_eq!(state, State::Measuring, "{text:?}");
        assert_eq!(
            (reading.power.get(), reading.scope),
            (microwatts, Scope::BoardInput),
            "{text:?}"
        );
    };
    check(1, "{\"watts\":2.31}\n", 2_310_000);
    check(2, "{\"volts\":5.0,\"amps\":0.5}\n", 2_500_000);
    // Of several lines the last whole one counts.
    check(3, "{\"watts\":9}\n{\"watts\":2.4}\n{\"wat", 2_400_000);
    check(4, "ts\":2.45}\n", 2_450_000);
}

#[test]
fn joules_over_a_socket_are_counted() {
    let tree = Tree::pi_4();
    let (mut meter, path) = socket(&tree);
    at(&mut meter, 0);
    let mut writer = UnixStream::connect(&path).expect("it listens");
    for (second, joules) in [(1, "100.5"), (2, "103.0"), (3, "105.5")] {
        write(&mut writer, &format!("{{\"joules\":{joules}}}\n"));
        at(&mut meter, second);
    }
    write(&mut writer, "{\"joules\":108.0}\n");
    let sample = at(&mut meter, 4);
    assert_eq!(sample.energy.measured.energy.to_string(), "7.500 J");
    assert_eq!(sample.reading.power, MicroWatts::new(2_500_000));
}

#[test]
fn what_is_no_line_is_named_and_the_next_writer_is_heard() {
    let check = |text: &str, want: &str| {
        let tree = Tree::pi_4();
        let (mut meter, path) = socket(&tree);
        at(&mut meter, 0);
        let mut writer = UnixStream::connect(&path).expect("it listens");
        // A megabyte does not fit into the kernel at once: somebody has to read meanwhile.
        let text = text.to_owned();
        let wrote = thread::spawn(move || writer.write_all(text.as_bytes()));
        let until = Instant::now() + Duration::from_secs(10);
        let mut second = 1;
        let fault = loop {
            assert!(Instant::now() < until, "{want:?} is not said");
            match fault(at(&mut meter, second)) {
                Fault::NoLine { .. } if !want.contains("no line") => second += 1,
                fault => break fault.to_string(),
            }
        };
        assert!(fault.contains(want), "{fault}");
        // A writer that is cut off may not end well.
        drop(wrote.join().expect("it does not panic"));
        let mut writer = UnixStream::connect(&path).expect("it listens");
        write(&mut writer, "{\"watts\":2.31}\n");
        assert_eq!(at(&mut meter, second + 1).state, State::Measuring, "after {want:?}");
    };
    let megabyte = format!("{{\"watts\":2.31,\"note\":\"{}\"}}\n", "x".repeat(1_000_000));
    check(&megabyte, "sends more than 1024 bytes");
    check("<html>\n", "answers \"<html>\"");
    check("{\"watts\":NaN}\n", "no figure of its kind");
    check("{}\n", "answers \"{}\"");
    check("{\"watts\":2.31", "no line came");
    check("\n", "answers \"\"");
}

#[test]
fn two_writers_are_not_mixed() {
    let tree = Tree::pi_4();
    let (mut meter, path) = socket(&tree);
    at(&mut meter, 0);
    let mut first = UnixStream::connect(&path).expect("it listens");
    write(&mut first, "{\"watts\":2}\n");
    assert_eq!(at(&mut meter, 1).reading.power, MicroWatts::new(2_000_000));
    let mut second = UnixStream::connect(&path).expect("it listens");
    write(&mut second, "{\"watts\":7}\n");
    write(&mut first, "{\"watts\":2.1}\n");
    assert_eq!(at(&mut meter, 2).reading.power, MicroWatts::new(2_100_000));
    // One that has fallen silent gives its place to another.
    let mut third = UnixStream::connect(&path).expect("it listens");
    write(&mut third, "{\"watts\":3}\n");
    assert_eq!(at(&mut meter, 3).reading.power, MicroWatts::new(3_000_000));
}

#[test]
fn lines_that_waited_for_long_are_thrown_away() {
    let tree = Tree::pi_4();
    let (mut meter, path) = socket(&tree);
    at(&mut meter, 0);
    let mut writer = UnixStream::connect(&path).expect("it listens");
    write(&mut writer, "{\"watts\":2}\n");
    at(&mut meter, 1);
    write(&mut writer, "{\"watts\":8}\n");
    // Nobody looked for more than three periods of a second, by the clock of the kernel.
    thread::sleep(Duration::from_millis(3_200));
    assert!(matches!(fault(at(&mut meter, 2)), Fault::NoLine { .. }));
    write(&mut writer, "{\"watts\":2.2}\n");
    assert_eq!(at(&mut meter, 3).reading.power, MicroWatts::new(2_200_000));
}

#[test]
fn a_socket_left_behind_gives_way_and_one_in_use_does_not() {
    let tree = Tree::pi_4();
    let (meter, path) = socket(&tree);
    let (_, _) = socket(&tree);
    // The second was refused, and left the first one's alone.
    assert!(UnixStream::connect(&path).is_ok());
    drop(meter);
    assert!(!path.exists(), "a socket goes with its meter");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the name is free"));
    let (_meter, path) = socket(&tree);
    assert!(UnixStream::connect(&path).is_ok(), "what was left behind gave way");
    fs::metadata(&path).expect("it is there");
}

#[test]
fn a_sensor_on_the_board_comes_before_a_plug() {
    let tree = Tree::with_hwmon();
    let config = config(&tree, "shelly://127.0.0.1:1");
    assert_eq!(PowerMeter::new(&config).discovery().chosen.sensor.kind, SourceKind::Hwmon);
    // Taken away, it is waited for, and the plug is not mixed in: it covers something else.
    let mut meter = PowerMeter::new(&config);
    tree.remove(HWMON);
    assert!(matches!(fault(at(&mut meter, 0)), Fault::Gone { .. }));
}
