//! What real drivers do when a sensor is unplugged, owned, another one, or may not be read.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use goodwatt_power::{
    Fault, Method, PowerConfig, PowerMeter, Sample, SkipReason, SourceKind, State, probe,
};
use goodwatt_units::Millis;

use crate::{Outcome, config, out};

const DEVICES: &str = "/sys/bus/i2c/devices/i2c-0";

pub(crate) fn run() -> Outcome {
    owned()?;
    other_chip()?;
    unplugged()?;
    rails()
}

/// Why the one source that is asked for is not used.
fn reason(config: &PowerConfig) -> Result<SkipReason, String> {
    let discovery = probe(config);
    let found = discovery.skipped.into_iter().find(|(kind, _)| Some(*kind) == config.source);
    found.map(|(_, reason)| reason).ok_or_else(|| format!("{:?} is used", config.sensor))
}

fn expect(what: &str, holds: bool, found: &dyn std::fmt::Display) -> Outcome {
    out(&format!("{} {what}: {found}\n", if holds { "ok  " } else { "FAIL" }));
    if holds { Ok(()) } else { Err(what.into()) }
}

/// An address that a kernel driver owns is left to it.
fn owned() -> Outcome {
    let reason = reason(&config(SourceKind::Smbus, "ina219@0-0040", 100))?;
    let holds = matches!(reason, SkipReason::Faulty(Fault::Owned { .. }));
    expect("an address with a driver", holds, &reason)
}

/// A chip that is not the one that is named.
fn other_chip() -> Outcome {
    let reason = reason(&config(SourceKind::Smbus, "ina226@0-0046", 10))?;
    let holds = matches!(reason, SkipReason::Faulty(Fault::OtherChip { found: 0x2270, .. }));
    expect("an INA260 taken for an INA226", holds, &reason)?;
    let reason = self::reason(&config(SourceKind::Smbus, "ina226@0-004a", 10))?;
    let holds = matches!(reason, SkipReason::Faulty(Fault::Gone { .. }));
    expect("an address without a chip", holds, &reason)
}

/// A meter that reads once a second, by its own clock.
struct Watch(PowerMeter, Instant);

impl Watch {
    fn look(&mut self) -> Sample {
        thread::sleep(Duration::from_secs(1));
        let now = u64::try_from(self.1.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.sample(Millis::new(now))
    }
}

/// The driver is taken away and comes back, as when the sensor is unplugged.
fn unplugged() -> Outcome {
    for (source, sensor, milliohms, chip) in [
        (SourceKind::Iio, "ina219@0-0040", 100, "ina219 0x40"),
        (SourceKind::Hwmon, "ltc4245@0-0020", 50, "ltc4245 0x20"),
    ] {
        let (channel, scope) = (Some(1), Some(goodwatt_power::Scope::BoardInput));
        let config = PowerConfig { channel, scope, ..config(source, sensor, milliohms) };
        let mut watch = Watch(PowerMeter::new(&config), Instant::now());
        let first = watch.look();
        expect("plugged in", first.state == State::Measuring, &first.state)?;
        let (_, address) = chip.split_once(' ').ok_or("a chip has an address")?;
        fs::write(format!("{DEVICES}/delete_device"), address)?;
        let gone = watch.look();
        let modelled = gone.reading.method == Method::Modelled;
        let holds = modelled && matches!(gone.state, State::Faulty(Fault::Gone { .. }));
        expect("unplugged", holds, &gone.state)?;
        let missing = watch.look();
        let holds = matches!(missing.state, State::Missing(_));
        expect("still unplugged", holds, &missing.state)?;
        fs::write(format!("{DEVICES}/new_device"), chip)?;
        let again = watch.look();
        let measured = again.reading.method == Method::Measured;
        expect("plugged in again", measured && again.state == State::Measuring, &again.state)?;
    }
    Ok(())
}

/// What the mailbox may say.
fn rails() -> Outcome {
    let config = PowerConfig { sensor: None, ..config(SourceKind::Pmic, "", 1) };
    fs::write("/tmp/pmic", "error=1 error_msg=\"Command not registered\"")?;
    let why = reason(&config)?;
    expect(
        "a board without the chip",
        matches!(why, SkipReason::Faulty(Fault::NoRails { .. })),
        &why,
    )?;
    fs::remove_file("/tmp/pmic")?;
    let why = reason(&config)?;
    expect("a firmware that hangs", matches!(why, SkipReason::Faulty(Fault::Garbage { .. })), &why)
}

/// Who may not open the devices is told the group.
pub(crate) fn denied() -> Outcome {
    for (config, group) in [
        (config(SourceKind::Smbus, "ina219@0-0041", 100), "usermod -aG i2c"),
        (config(SourceKind::Pmic, "", 1), "usermod -aG video"),
    ] {
        let why = reason(&config)?.to_string();
        expect("a user without the group", why.contains(group), &why)?;
    }
    Ok(())
}
