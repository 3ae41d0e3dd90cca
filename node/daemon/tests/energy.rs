//! Watts at the command line, and the report that a real daemon makes of them.

mod common;

use std::fs;

use common::{Home, has, until};

const LOAD: [&str; 6] = ["--idle", "2 W", "--load", "6 W", "--error", "4 %"];

/// A home whose board has a model, so that what it draws is known to 4 %.
fn calibrated() -> Home {
    let home = Home::new();
    let args: Vec<&str> = ["power", "calibrate"].into_iter().chain(LOAD).collect();
    let said = home.tool(&args).with(0);
    has(
        &said.out,
        &["idle      2.000 W", "slope     4.000 W", "error     +-4.0 %", "goodwatt.toml"],
    );
    let text = fs::read_to_string(home.path("goodwatt.toml")).expect("it is there");
    has(&text, &["calibration = { idle = \"2.000 W\", slope = \"4.000 W\", error = \"4.0 %\" }"]);
    home
}

#[test]
fn a_validator_reports_its_energy_at_each_epochs_end() {
    let home = calibrated();
    home.set("epoch_length", "\"4 s\"");
    let daemon = home.start();
    let reported = until("a report is on the chain", || {
        let energy = home.json(&["energy"]);
        let report = energy["validators"][0]["report"].clone();
        (!report.is_null()).then_some((energy, report))
    });
    let (energy, report) = reported;
    assert_eq!(report["method"], "modelled");
    // The model knows 4 %, of a model 5 % is the least that is taken; what was not covered comes on top.
    let permille = report["error_permille"].as_u64().expect("a bound");
    assert!((50..=550).contains(&permille), "{report}");
    let watts = report["microwatts"].as_u64().expect("watts") as f64 / 1e6;
    assert!((2.0..=6.0).contains(&watts), "{report}");
    assert_eq!(energy["validators"][0]["ours"], true);
    assert_eq!((&energy["silent"], &energy["measured_percent"]), (&0.into(), &0.0.into()));
    has(
        &home.tool(&["energy"]).with(0).out,
        &["(this board)", " W, modelled, +-", "118 TWh a year"],
    );
    has(&home.tool(&["power"]).with(0).out, &["report    reported ", " J in epoch "]);
    daemon.stop();
    home.tool(&["verify", &home.text("data")]).with(0);
}

#[test]
fn a_bound_beyond_all_measure_is_not_reported_and_says_so() {
    let home = Home::new();
    let args = ["power", "calibrate", "--idle", "2 W", "--load", "6 W", "--error", "100 %"];
    home.tool(&args).with(0);
    home.edit("goodwatt.toml", "error = \"100.0 %\"", "error = \"150 %\"");
    home.set("epoch_length", "\"2 s\"");
    let daemon = home.start();
    daemon.says("an error bound of more than 100 % is not taken");
    daemon.stop();
}

#[test]
fn a_record_is_drawn() {
    let home = calibrated();
    let (csv, svg) = (home.text("watts.csv"), home.text("watts.svg"));
    let said = home.tool(&["power", "record", &csv, "--seconds", "2"]).with(0);
    has(&said.err, &["no daemon answers", "reads the sensor itself", "a figure a second"]);
    let text = fs::read_to_string(&csv).expect("it was recorded");
    assert_eq!(text.lines().next(), Some("time_s,power_W,error_W,method,scope,sensor"));
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(
        text.lines().skip(1).all(|line| line.contains(",modelled,board_input,model ")),
        "{text}"
    );
    // A record is never written over.
    has(&home.tool(&["power", "record", &csv]).with(1).err, &["is there already"]);
    home.tool(&["power", "plot", &csv, &svg]).with(0);
    let picture = fs::read_to_string(&svg).expect("it was drawn");
    has(&picture, &["<svg", "power in W", "time in s", "<polygon", "<polyline", "modelled"]);
    has(&home.tool(&["power", "plot", "/nowhere", &svg]).with(1).err, &["/nowhere"]);
    fs::write(&csv, "<html>").expect("writable");
    has(&home.tool(&["power", "plot", &csv, &svg]).with(1).err, &["line 1: not a record"]);
}

#[test]
fn a_person_may_read_the_meter_and_type() {
    let home = Home::new();
    let args = ["power", "calibrate", "--ask", "--seconds", "1", "--dry-run", "--error", "2 %"];
    // What is no figure is refused, and nothing is written.
    let said = home.tool_reading(&args, "three\n").with(1);
    has(&said.err, &["`three` are no watts"]);
    has(
        &home.tool(&["power", "calibrate", "--idle", "2", "--load", "6 W"]).with(2).err,
        &["no unit"],
    );
    let falls = ["power", "calibrate", "--idle", "6 W", "--load", "2 W"];
    has(&home.tool(&falls).with(1).err, &["does not rise with the load"]);
    let text = fs::read_to_string(home.path("goodwatt.toml")).expect("it is there");
    assert!(!text.contains("\ncalibration ="), "{text}");
}
