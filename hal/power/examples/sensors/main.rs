//! Power through the kernel's real drivers, on a bus of registers that a script plays a trace on.
//! `tests/steps/66-sensors` runs this in an emulated machine; it is of no use elsewhere.
//!
//! `sensors script` prints the script that plays, `sensors mailbox` answers as the firmware of a
//! Raspberry Pi 5 does, `sensors measure` meters through every driver at once and compares the
//! joules, and `sensors faults` unplugs what is plugged in; `sensors denied` may not read it.

mod faults;
mod mailbox;
mod trace;

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use goodwatt_power::{MicroOhms, PowerConfig, PowerMeter, Scope, SourceKind, State};
use goodwatt_units::{MicroWatts, Millis};

type Outcome = Result<(), Box<dyn Error>>;

/// How far the joules may be off.
const PERCENT_MAX: f64 = 1.0;
/// Reads of each sensor: those of the trace, and some before and after it.
const READS: u64 = 66;
/// Between two reads. Drivers of hwmon keep what they read for a second (ltc4245: `HZ` jiffies): who
/// asks just a second later gets every other reading twice, and misses what was between.
const PERIOD_MILLIS: u64 = 1_050;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let outcome = match mode.as_str() {
        "script" => {
            out(&trace::script());
            Ok(())
        }
        "mailbox" => mailbox::serve(),
        "measure" => measure(),
        "faults" => faults::run(),
        "denied" => faults::denied(),
        other => Err(format!("no mode `{other}`").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out(&format!("FAIL {error}\n"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn out(text: &str) {
    print!("{text}");
}

/// A config for one of the sensors on the bus.
fn config(source: SourceKind, sensor: &str, milliohms: u32) -> PowerConfig {
    PowerConfig {
        source: Some(source),
        sensor: Some(sensor.to_owned()),
        shunt: MicroOhms::new(milliohms * 1_000),
        idle: Some(MicroWatts::from_milliwatts(trace::REST_MILLIWATTS)),
        period: PowerConfig::MIN_PERIOD,
        ..PowerConfig::default()
    }
}

/// Every sensor that the script plays on.
fn configs() -> Vec<PowerConfig> {
    let one = |config: PowerConfig| PowerConfig { channel: Some(1), ..config };
    let ltc4245 = one(config(SourceKind::Hwmon, "ltc4245@0-0020", 50));
    let pmic = PowerConfig { sensor: None, ..config(SourceKind::Pmic, "", 1) };
    vec![
        config(SourceKind::Iio, "ina219@0-0040", 100),
        PowerConfig { scope: Some(Scope::BoardInput), ..ltc4245 },
        config(SourceKind::Smbus, "ina219@0-0041", 100),
        config(SourceKind::Smbus, "ina226@0-0044", 10),
        config(SourceKind::Smbus, "ina228@0-0045", 100),
        config(SourceKind::Smbus, "ina260@0-0046", 2),
        one(config(SourceKind::Smbus, "ina3221@0-0047", 100)),
        pmic,
    ]
}

/// Meters through all of them, and compares with what was played.
fn measure() -> Outcome {
    let mut meters: Vec<PowerMeter> = configs().iter().map(PowerMeter::new).collect();
    for meter in &meters {
        out(&format!("{}\n", meter.discovery()));
    }
    let start = Instant::now();
    let mut last = Vec::new();
    for read in 0..READS {
        let due = Duration::from_millis(read * PERIOD_MILLIS);
        thread::sleep(due.saturating_sub(start.elapsed()));
        let now = Millis::new(u64::try_from(start.elapsed().as_millis())?);
        last = meters.iter_mut().map(|meter| meter.sample(now)).collect();
    }
    let mut wrong = 0;
    for sample in &last {
        let account = sample.energy.measured;
        let joules = account.energy.get() as f64 / 1e6;
        let played = trace::joules(account.covered);
        let percent = (joules / played - 1.0) * 100.0;
        let sensor = &sample.reading.sensor;
        let uncovered = sample.energy.uncovered;
        let good = sample.state == State::Measuring
            && uncovered == Millis::ZERO
            && percent.abs() <= PERCENT_MAX;
        wrong += u32::from(!good);
        out(&format!(
            "{} {sensor}: {joules:.2} J of {played:.2} J played, {percent:+.2} %, {}, uncovered {uncovered}\n",
            if good { "ok  " } else { "FAIL" },
            sample.state,
        ));
    }
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} sensors are off").into()) }
}
