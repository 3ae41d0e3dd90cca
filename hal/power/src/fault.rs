//! What can be wrong with one reading.

use std::io;
use std::path::{Path, PathBuf};

use goodwatt_units::{MicroJoules, MicroWatts, Millis};

/// Why a reading cannot be used. The next one may be good again: nothing has to be restarted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file, and with it the sensor, is not there (any more).
    #[error("{} is gone: check the wiring of the sensor and whether its driver is loaded", path.display())]
    Gone {
        /// What was to be read.
        path: PathBuf,
    },
    /// The file is there but may not be read.
    #[error("{} may not be read: {}", path.display(), remedy(path))]
    Denied {
        /// What was to be read.
        path: PathBuf,
    },
    /// The kernel could not talk to the sensor.
    #[error("{} cannot be read: {}; check the wiring of the sensor", path.display(), io::Error::from_raw_os_error(*code))]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// The error number of the operating system.
        code: i32,
    },
    /// The file holds nothing.
    #[error("{} is empty: the driver gave no figure", path.display())]
    Empty {
        /// What was read.
        path: PathBuf,
    },
    /// The file holds something else than a number in range.
    #[error("{} holds {text:?}, which is no figure: check the driver", path.display())]
    Garbage {
        /// What was read.
        path: PathBuf,
        /// The start of what it holds.
        text: String,
    },
    /// Power below zero.
    #[error("{microwatts} uW is negative: swap the two sense wires")]
    Negative {
        /// What was read.
        microwatts: i64,
    },
    /// No power at all, while this program runs on it.
    #[error(
        "the sensor shows no power while the board runs: it hangs or is not in the supply line"
    )]
    Zero,
    /// More than a hundred times more or less than before.
    #[error(
        "{microwatts} uW after {before} is no change a board can make: a unit or a register is wrong"
    )]
    Jump {
        /// The last reading that was believed, or the model's figure before the first one.
        before: MicroWatts,
        /// What was read.
        microwatts: i64,
    },
    /// The same figure again and again while the load changed.
    #[error("{power} has not moved for {span} while the CPU load did: the sensor hangs")]
    Stuck {
        /// The figure.
        power: MicroWatts,
        /// For how long it stood still.
        span: Millis,
    },
    /// An energy counter went back without having reached its end.
    #[error("the energy counter fell from {before} to {after}: it was reset")]
    CounterReset {
        /// The count before.
        before: MicroJoules,
        /// The count now.
        after: MicroJoules,
    },
    /// A counter that may have come round more than once since it was read.
    #[error("the energy counter may have come round more than once in {span}: sample more often")]
    CounterUnclear {
        /// How long it was not read.
        span: Millis,
    },
    /// A kernel driver owns the address on the bus.
    #[error(
        "a kernel driver owns {sensor}: read it there (source \"hwmon\" or \"iio\"), or unbind it"
    )]
    Owned {
        /// The chip and its address.
        sensor: String,
    },
    /// Another chip answers at the address.
    #[error(
        "{sensor} answers {found:#06x} in its register {register:#04x}, and not {wanted:#06x}: \
             it is another chip, or does not keep what it is told; set power.sensor to what is wired"
    )]
    OtherChip {
        /// The chip and its address.
        sensor: String,
        /// The register that was read.
        register: u8,
        /// What it holds.
        found: u16,
        /// What it should hold.
        wanted: u16,
    },
    /// The current is beyond what the sensor can measure with its shunt.
    #[error("the drop over the shunt is beyond what {sensor} can measure: take a smaller shunt")]
    OverRange {
        /// The chip and its address.
        sensor: String,
    },
    /// The meter does not take or does not keep the connection.
    #[error("{meter} cannot be reached ({reason}): check that it is on, its address, the network")]
    Unreachable {
        /// The meter.
        meter: String,
        /// What the system says.
        reason: String,
    },
    /// The meter takes too long.
    #[error("{meter} has not answered in time: check the network between it and this machine")]
    Late {
        /// The meter.
        meter: String,
    },
    /// The meter sends more than any answer has.
    #[error("{meter} sends more than {limit} bytes: that is no meter's answer; check power.meter")]
    TooLong {
        /// The meter.
        meter: String,
        /// The most bytes that are read.
        limit: usize,
    },
    /// The meter answers something else than a figure.
    #[error(
        "{meter} answers {text:?}, which is no figure of its kind: check power.meter, its kind, \
         its channel, and whether it asks for a password"
    )]
    NoFigure {
        /// The meter.
        meter: String,
        /// The start of what it answers.
        text: String,
    },
    /// The firmware knows no power management chip.
    #[error("{} says {text:?}: only the Raspberry Pi 5 measures its rails", path.display())]
    NoRails {
        /// The mailbox.
        path: PathBuf,
        /// The start of its answer.
        text: String,
    },
    /// Nobody writes into the socket.
    #[error(
        "no line came over {meter}: start the program that reads the meter, and let it write \
         lines such as {{\"watts\":2.5}}"
    )]
    NoLine {
        /// The socket.
        meter: String,
    },
    /// A battery that does not feed the machine says nothing about what the machine draws.
    #[error("the battery is {status:?}, and only a discharging one shows what the machine draws")]
    NotDischarging {
        /// The state that the kernel names.
        status: String,
    },
}

/// What gives this process the right to read a file.
fn remedy(path: &Path) -> &'static str {
    let path = path.to_string_lossy();
    if path.contains("/i2c-") {
        "put the daemon's user into group i2c (usermod -aG i2c), or write a udev rule: \
         SUBSYSTEM==\"i2c-dev\", GROUP=\"i2c\", MODE=\"0660\""
    } else if path.contains("vcio") {
        "put the daemon's user into group video (usermod -aG video), or write a udev rule: \
         KERNEL==\"vcio_gencmd\", GROUP=\"video\", MODE=\"0660\""
    } else {
        "let the daemon's group read it (chgrp and chmod g+r in a udev rule; energy_uj belongs to \
         root alone since Linux 5.10)"
    }
}

impl Fault {
    /// The fault behind an error of the operating system.
    pub(crate) fn of_io(path: PathBuf, error: &io::Error) -> Self {
        // ENXIO and ENODEV: what sysfs says when the device went away between open and read.
        const ENXIO: i32 = 6;
        const ENODEV: i32 = 19;
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV)) => Self::Gone { path },
            (io::ErrorKind::PermissionDenied, _) => Self::Denied { path },
            (_, Some(code)) => Self::Io { path, code },
            (_, None) => Self::Garbage { path, text: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_name_their_cause() {
        let check = |code, want: fn(PathBuf) -> Fault| {
            let path = PathBuf::from("power1_input");
            let fault = Fault::of_io(path.clone(), &io::Error::from_raw_os_error(code));
            assert_eq!(fault, want(path), "error {code}");
        };
        check(2, |path| Fault::Gone { path });
        check(6, |path| Fault::Gone { path });
        check(19, |path| Fault::Gone { path });
        check(13, |path| Fault::Denied { path });
        check(1, |path| Fault::Denied { path });
        check(5, |path| Fault::Io { path, code: 5 });
        check(110, |path| Fault::Io { path, code: 110 });
        check(121, |path| Fault::Io { path, code: 121 });
    }

    #[test]
    fn a_denied_file_names_the_remedy() {
        let check = |path: &str, group: &str| {
            let text = Fault::Denied { path: path.into() }.to_string();
            assert!(text.starts_with(path), "{text}");
            assert!(text.contains("udev rule") && text.contains(group), "{text}");
        };
        check("/sys/class/powercap/intel-rapl:0/energy_uj", "chgrp");
        check("/dev/i2c-1", "usermod -aG i2c");
        check("/dev/vcio_gencmd", "usermod -aG video");
    }
}
