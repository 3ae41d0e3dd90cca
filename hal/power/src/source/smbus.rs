//! `INA2xx` monitors that no kernel driver owns, over `/dev/i2c-*`: `SMBus` words and blocks alone,
//! which every adapter can do, and a stub bus too.
//!
//! Nothing is probed: an address is read only if the config names chip, bus and address, for a
//! read of an unknown chip can disturb it. Before the first figure the chip's identity is checked,
//! and its own averaging is switched on, so that one read a second sees what lies between.

mod chip;

use std::io;
use std::path::{Path, PathBuf};

use goodwatt_units::MicroWatts;
use i2cdev::core::I2CDevice;
use i2cdev::linux::{LinuxI2CDevice, LinuxI2CError};

use super::ina::Accuracy;
use super::{Figures, Opened, ShuntPair, Source};
use crate::config::PowerConfig;
use crate::fault::Fault;
use crate::probe::SkipReason;
use crate::quantity::MicroOhms;
use crate::reading::{RelativeError, Scope, Sensor, SourceKind};
use crate::sysfs;
use chip::{CHIPS, Chip, Raw};

/// Addresses that an `INA2xx` can have.
const ADDRESSES: std::ops::RangeInclusive<u16> = 0x40..=0x4f;

pub(super) fn open(config: &PowerConfig) -> Result<Opened, SkipReason> {
    let buses = sysfs::entries(&config.roots.dev, "i2c-").unwrap_or_default();
    let Some(wanted) = &config.sensor else {
        let buses = buses.iter().map(|bus| bus.display().to_string()).collect();
        return Err(SkipReason::AddressNotStated { buses });
    };
    let Some((chip, bus, address)) = parse(wanted) else {
        let known = CHIPS.iter().map(|chip| chip.name).collect();
        return Err(SkipReason::UnknownChip { wanted: wanted.clone(), known });
    };
    let channel = channel(chip, wanted, config.channel)?;
    let shunt = match (chip.own_shunt, config.shunt) {
        (Some(own), _) => own,
        (None, Some(configured)) => configured,
        // What the chip computes with is nothing: its own registers hold the drop alone.
        (None, None) => return Err(SkipReason::ShuntUnknown { sensor: wanted.clone() }),
    };
    let path = config.roots.dev.join(format!("i2c-{bus}"));
    let wires = Wires::open(path, address, wanted)?;
    let monitor = Monitor::begin(wires, wanted, chip, channel, shunt)?;
    Ok(Opened {
        sensor: Sensor { kind: SourceKind::Smbus, name: wanted.as_str().into() },
        scope: config.scope.unwrap_or(Scope::BoardInput),
        shunt: Some(ShuntPair { configured: shunt, kernel: shunt }),
        source: Box::new(monitor),
    })
}

/// Chip, bus and address of a name such as `ina226@1-0040`.
fn parse(name: &str) -> Option<(&'static Chip, u8, u16)> {
    let (chip, place) = name.split_once('@')?;
    let (bus, address) = place.split_once('-')?;
    let chip = CHIPS.iter().find(|known| known.name == chip)?;
    let address = u16::from_str_radix(address, 16).ok()?;
    ADDRESSES.contains(&address).then_some((chip, bus.parse().ok()?, address))
}

fn channel(chip: &Chip, name: &str, wanted: Option<u8>) -> Result<u8, SkipReason> {
    match wanted {
        Some(channel) if (1..=chip.channels).contains(&channel) => Ok(channel),
        None if chip.channels == 1 => Ok(1),
        _ => Err(SkipReason::ChannelUnclear {
            sensor: name.to_owned(),
            found: (1..=chip.channels).collect(),
        }),
    }
}

/// Registers of a chip, high byte first as it sends them.
trait Registers: std::fmt::Debug + Send {
    fn word(&mut self, register: u8) -> Result<u16, Fault>;
    fn write(&mut self, register: u8, value: u16) -> Result<(), Fault>;
    /// So many bytes as one number.
    fn block(&mut self, register: u8, bytes: u8) -> Result<u64, Fault>;
}

/// A chip on a bus of this machine.
struct Wires {
    device: LinuxI2CDevice,
    path: PathBuf,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wires({})", self.path.display())
    }
}

impl Wires {
    fn open(path: PathBuf, address: u16, sensor: &str) -> Result<Self, Fault> {
        match LinuxI2CDevice::new(&path, address) {
            Ok(device) => Ok(Self { device, path }),
            Err(error) => Err(fault(&path, sensor, error)),
        }
    }

    fn checked<T>(&self, outcome: Result<T, LinuxI2CError>) -> Result<T, Fault> {
        outcome.map_err(|error| fault(&self.path, "", error))
    }
}

/// What a bus says when a chip does not answer, is owned, or may not be spoken to.
fn fault(path: &Path, sensor: &str, error: LinuxI2CError) -> Fault {
    const EBUSY: i32 = 16;
    // EREMOTEIO, ETIMEDOUT and EAGAIN (arbitration lost): nobody at this address. It is opened
    // anew then, as who comes back has forgotten its averaging.
    const NOBODY: [i32; 3] = [121, 110, 11];
    let error = io::Error::from(error);
    match error.raw_os_error() {
        Some(EBUSY) => Fault::Owned { sensor: sensor.to_owned() },
        Some(code) if NOBODY.contains(&code) => Fault::Gone { path: path.to_owned() },
        _ => Fault::of_io(path.to_owned(), &error),
    }
}

impl Registers for Wires {
    fn word(&mut self, register: u8) -> Result<u16, Fault> {
        // SMBus sends the low byte first, these chips the high one.
        let word = self.device.smbus_read_word_data(register);
        self.checked(word).map(u16::swap_bytes)
    }

    fn write(&mut self, register: u8, value: u16) -> Result<(), Fault> {
        let written = self.device.smbus_write_word_data(register, value.swap_bytes());
        self.checked(written)
    }

    fn block(&mut self, register: u8, bytes: u8) -> Result<u64, Fault> {
        let block = self.device.smbus_read_i2c_block_data(register, bytes);
        let block = self.checked(block)?;
        if block.len() != usize::from(bytes) {
            return Err(sysfs::garbage(&self.path, &format!("{} of {bytes} bytes", block.len())));
        }
        Ok(block.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// A chip that is read.
#[derive(Debug)]
struct Monitor<R> {
    registers: R,
    sensor: String,
    chip: &'static Chip,
    channel: u8,
    shunt: MicroOhms,
    /// The bus voltage as it was read last, on which the error bound depends.
    supply_millivolts: u64,
}

impl<R: Registers> Monitor<R> {
    /// Checks who answers, and lets it average.
    fn begin(
        mut registers: R,
        sensor: &str,
        chip: &'static Chip,
        channel: u8,
        shunt: MicroOhms,
    ) -> Result<Self, Fault> {
        for (register, mask, wanted) in chip.identity {
            check(&mut registers, sensor, *register, *mask, *wanted)?;
        }
        for (register, value) in chip.settings {
            registers.write(*register, *value)?;
            check(&mut registers, sensor, *register, u16::MAX, *value)?;
        }
        let (sensor, supply_millivolts) = (sensor.to_owned(), 0);
        Ok(Self { registers, sensor, chip, channel, shunt, supply_millivolts })
    }
}

/// Whether a register holds what it should.
fn check(
    registers: &mut impl Registers,
    sensor: &str,
    register: u8,
    mask: u16,
    wanted: u16,
) -> Result<(), Fault> {
    let found = registers.word(register)?;
    if found & mask == wanted & mask {
        return Ok(());
    }
    Err(Fault::OtherChip { sensor: sensor.to_owned(), register, found, wanted })
}

impl<R: Registers> Source for Monitor<R> {
    fn read(&mut self) -> Result<Figures, Fault> {
        let Raw { shunt_nanovolts, bus_microvolts, energy, clipped } =
            (self.chip.read)(&mut self.registers, self.channel, self.shunt)?;
        if clipped {
            return Err(Fault::OverRange { sensor: self.sensor.clone() });
        }
        self.supply_millivolts = u64::try_from(bus_microvolts / 1_000).unwrap_or(0);
        // nV / uOhm = mA; mA * uV = nW. Registers of 24 bits leave room.
        let nanowatts =
            i128::from(shunt_nanovolts) * i128::from(bus_microvolts) / i128::from(self.shunt.get());
        let level = i64::try_from(nanowatts / 1_000).unwrap_or(i64::MAX);
        Ok(Figures { level: Some(level), count: energy })
    }

    fn error(&self, power: MicroWatts) -> RelativeError {
        Accuracy::of(self.chip.name).error(power, self.shunt, self.supply_millivolts)
    }
}

#[cfg(test)]
mod tests;
