//! `goodwatt power calibrate`: the model of this very board, against a meter.
//!
//! Three phases: at rest, with half of the CPUs busy, with all of them. Rest and load make the
//! model; the phase between shows how far off it is.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use goodwatt_power::{Method, PowerConfig, PowerMeter, Roots, Scope, SourceKind};
use goodwatt_units::Millis;
use serde_json::json;

use super::LOOK_EVERY;
use super::fit::{Fit, Phase, fit};
use crate::config::Config;
use crate::tool::args::CalibrateArgs;
use crate::tool::context::Context;
use crate::tool::error::ToolError;
use crate::tool::note;

/// The beginning of a phase is left out: clocks rise and fans start.
const SETTLE_SECONDS: u64 = 3;
/// Taken for the error of a meter whose figures are typed in, where nothing is said.
const TYPED_ERROR: f64 = 0.05;

/// Calibrates, and writes what comes of it into the configuration.
pub(super) fn run(context: &Context, args: &CalibrateArgs) -> Result<(), ToolError> {
    let path = context.config_path();
    // A configuration that is wrong is said so before anybody waits for minutes.
    let config = if path.exists() { Some(context.config()?) } else { None };
    let mut power = config.map_or_else(PowerConfig::default, |config| config.power);
    power.calibration = None;
    let found = if args.idle.is_some() { typed(args) } else { guided(args, &power) };
    let Fit { idle, slope, error } = found?;
    let percent = (error * 1_000.0).ceil() / 10.0;
    let line = format!(
        "calibration = {{ idle = \"{idle:.3} W\", slope = \"{slope:.3} W\", error = \"{percent:.1} %\" }}"
    );
    let written = if args.dry_run { None } else { Some(write(&path, &line)?) };
    let result = json!({
        "idle_watts": idle, "slope_watts": slope, "error_percent": percent, "written": written,
    });
    let text = |page: &mut String| {
        writeln!(page, "idle      {idle:.3} W")?;
        writeln!(page, "slope     {slope:.3} W more with all CPUs busy")?;
        writeln!(page, "error     +-{percent:.1} %")?;
        match &written {
            Some(file) => writeln!(page, "written   {file}; restart goodwattd"),
            None => writeln!(page, "[power]\n{line}"),
        }
    };
    Ok(context.output.print(&result, text)?)
}

/// From two figures that somebody read off a meter.
fn typed(args: &CalibrateArgs) -> Result<Fit, ToolError> {
    let (Some(idle), Some(load)) = (args.idle, args.load) else {
        return Err(ToolError::Usage("--idle and --load go together".to_owned()));
    };
    let watts = |power: goodwatt_units::MicroWatts| f64::from(power.get()) / 1e6;
    let (idle, load) = (watts(idle), watts(load));
    let (idle, load) = (Phase { share: 0.0, watts: idle }, Phase { share: 1.0, watts: load });
    fit(idle, load, &[], args.error().unwrap_or(TYPED_ERROR)).map_err(ToolError::failed)
}

/// Through the phases, with the sensor that is attached, or with a person who reads a meter.
fn guided(args: &CalibrateArgs, power: &PowerConfig) -> Result<Fit, ToolError> {
    let mut reader = Reader::new(args, power)?;
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut phases = Vec::new();
    for (name, busy) in [("at rest", 0), ("half busy", cpus / 2), ("all busy", cpus)] {
        // With a single CPU there is nothing between.
        if busy > 0 && phases.len() == 1 && cpus == 1 {
            continue;
        }
        note(&format!("{name}: {} s, please leave the board alone", args.seconds));
        let load = Load::start(busy);
        let phase = reader.phase(name, args.seconds);
        load.stop();
        let phase = phase?;
        note(&format!("{name}: {:.3} W, CPUs {:.1} % busy", phase.watts, phase.share * 100.0));
        phases.push(phase);
    }
    let [idle, between @ .., load] = phases.as_slice() else {
        return Err(ToolError::failed("there were no phases"));
    };
    fit(*idle, *load, between, reader.error).map_err(ToolError::failed)
}

/// Reads power and CPU share.
struct Reader {
    meter: PowerMeter,
    /// A person reads the meter; this one gives the CPU share alone.
    asks: bool,
    /// Of the meter, relative.
    error: f64,
    millis: u64,
}

impl Reader {
    fn new(args: &CalibrateArgs, power: &PowerConfig) -> Result<Self, ToolError> {
        let mut meter = PowerMeter::new(power);
        let chosen = &meter.discovery().chosen;
        let asks = args.ask || chosen.sensor.kind == SourceKind::Model;
        let refused = !asks && !matches!(chosen.scope, Scope::BoardInput | Scope::Wall);
        if refused {
            return Err(ToolError::failed(format!(
                "{} measures {} and not the board: read a meter yourself, with --ask",
                chosen.sensor, chosen.scope
            )));
        }
        if asks {
            note("no sensor is used: read your meter, and type what it shows when asked");
            let model = PowerConfig { source: Some(SourceKind::Model), ..power.clone() };
            meter = PowerMeter::new(&PowerConfig { roots: Roots::default(), ..model });
        } else {
            note(&format!("{} measures {}", chosen.sensor, chosen.scope));
            if chosen.scope == Scope::Wall {
                note(
                    "a meter at the wall has the loss of the supply in its figures, and so will the model",
                );
            }
        }
        let error = args.error().unwrap_or(if asks { TYPED_ERROR } else { 0.0 });
        Ok(Self { meter, asks, error, millis: 0 })
    }

    /// The means of a phase, one look a second.
    fn phase(&mut self, name: &str, seconds: u64) -> Result<Phase, ToolError> {
        let (mut watts, mut shares, mut count) = (0.0, 0.0, 0_u32);
        for second in 0..SETTLE_SECONDS + seconds {
            thread::sleep(LOOK_EVERY);
            self.millis += 1_000;
            let sample = self.meter.sample(Millis::new(self.millis));
            if second < SETTLE_SECONDS {
                continue;
            }
            let share = sample.cpu_share.ok_or_else(|| {
                ToolError::failed("how busy the CPUs are cannot be read: is procfs mounted?")
            })?;
            if !self.asks && sample.reading.method != Method::Measured {
                return Err(ToolError::failed(format!("the sensor failed: {}", sample.state)));
            }
            if !self.asks && second == SETTLE_SECONDS {
                self.error = self.error.max(f64::from(sample.reading.error.ppm()) / 1e6);
            }
            watts += f64::from(sample.reading.power.get()) / 1e6;
            shares += f64::from(share.ppm()) / 1e6;
            count += 1;
        }
        let mean = |sum: f64| sum / f64::from(count.max(1));
        let watts = if self.asks { ask(name)? } else { mean(watts) };
        Ok(Phase { share: mean(shares), watts })
    }
}

/// Asks a person what the meter shows.
fn ask(name: &str) -> Result<f64, ToolError> {
    if io::stdin().is_terminal() {
        note(&format!("{name}: what does the meter show, in watts?"));
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let text = line.trim().trim_end_matches(['W', 'w']).trim_end();
    let watts: Option<f64> = text.parse().ok().filter(|watts| *watts > 0.0 && *watts < 4_000.0);
    watts.ok_or_else(|| ToolError::failed(format!("`{}` are no watts: type 2.31", line.trim())))
}

/// CPUs kept busy.
struct Load(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Load {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let busy = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut number = 1_u64;
                while !stop.load(Ordering::Relaxed) {
                    // Work that no compiler leaves out.
                    number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
                }
            })
        };
        let threads = (0..threads).map(busy).collect();
        Self(stop, threads)
    }

    fn stop(self) {
        self.0.store(true, Ordering::Relaxed);
        // They multiply numbers: none of them can have failed.
        self.1.into_iter().for_each(|thread| drop(thread.join()));
        // What they heated up and sped up comes to rest.
        thread::sleep(Duration::from_millis(200));
    }
}

/// Writes the line into the configuration; everything else in it stays. Gives the file's name.
fn write(path: &Path, line: &str) -> Result<String, ToolError> {
    let name = path.display().to_string();
    let failed = |error: &dyn std::fmt::Display| {
        ToolError::failed(format!(
            "{name} is unchanged: {error}; write into [power] yourself: {line}"
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let changed = with_line(&text, line);
    Config::parse(&changed, &name).map_err(|error| failed(&error))?;
    let fresh = path.with_extension("toml.new");
    let rights = fs::metadata(path).map_err(|error| failed(&error))?.permissions();
    fs::write(&fresh, changed)
        .and_then(|()| fs::set_permissions(&fresh, rights))
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| failed(&error))?;
    Ok(name)
}

/// The text with this line in `[power]`, in place of one that is there, commented out or not.
fn with_line(text: &str, line: &str) -> String {
    let is_head =
        |text: &str, name: &str| text.split('#').next().unwrap_or_default().trim() == name;
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(head) = lines.iter().position(|one| is_head(one, "[power]")) else {
        lines.extend(["", "[power]", line]);
        return lines.join("\n") + "\n";
    };
    let end = lines[head + 1..].iter().position(|one| one.trim_start().starts_with('['));
    let end = end.map_or(lines.len(), |end| head + 1 + end);
    let is_old = |one: &&str| {
        let one = one.trim_start();
        one.strip_prefix('#').unwrap_or(one).trim_start().starts_with("calibration")
            && one.contains('=')
    };
    // One that is in force comes before one that is only shown.
    let inside = &lines[head + 1..end];
    let in_force = inside.iter().position(|one| is_old(one) && !one.trim_start().starts_with('#'));
    match in_force.or_else(|| inside.iter().position(is_old)) {
        Some(at) => lines[head + 1 + at] = line,
        None => lines.insert(head + 1, line),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "calibration = { idle = \"2.000 W\", slope = \"4.000 W\", error = \"3.0 %\" }";

    #[test]
    fn the_line_comes_into_its_section_and_nothing_else_changes() {
        let check = |before: &str, after: &str| {
            let after = after.replace("LINE", LINE);
            assert_eq!(with_line(before, LINE), after);
            assert_eq!(with_line(&after, LINE), after, "twice is once");
        };
        check("[power]\n", "[power]\nLINE\n");
        check("a = 1\n", "a = 1\n\n[power]\nLINE\n");
        check("[power] # watts\nx = 1\n[api]\n", "[power] # watts\nLINE\nx = 1\n[api]\n");
        check("[power]\nx = 1\n#calibration = 2\n", "[power]\nx = 1\nLINE\n");
        check(
            "[power]\n# calibration = old\ncalibration = old\n[x]\ncalibration = 7\n",
            "[power]\n# calibration = old\nLINE\n[x]\ncalibration = 7\n",
        );
    }

    #[test]
    fn what_is_written_is_a_configuration() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("goodwatt.toml");
        fs::write(&path, include_str!("../../../../../docs/examples/goodwatt.toml"))
            .expect("writable");
        write(&path, LINE).expect("it is good");
        let config = Config::load(&path).expect("it is good").config;
        let calibration = config.power.calibration.expect("it is written");
        assert_eq!(calibration.idle.get(), 2_000_000);
        assert_eq!((calibration.slope.get(), calibration.error_ppm), (4_000_000, 30_000));
        // One that would be wrong leaves the file as it was.
        let before = fs::read_to_string(&path).expect("it is there");
        assert!(write(&path, "calibration = 7").is_err());
        assert_eq!(fs::read_to_string(&path).expect("it is there"), before);
    }
}
