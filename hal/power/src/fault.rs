//! What can be wrong with one reading.

use std::io;
use std::path::PathBuf;

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
    #[error(
        "{0} may not be read: let the daemon's group read it (chgrp and chmod g+r in a udev rule; \
         energy_uj belongs to root alone since Linux 5.10)",
        path.display()
    )]
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
    /// More than a thousand times more or less than before.
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
    /// A battery that does not feed the machine says nothing about what the machine draws.
    #[error("the battery is {status:?}, and only a discharging one shows what the machine draws")]
    NotDischarging {
        /// The state that the kernel names.
        status: String,
    },
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
        let path = PathBuf::from("/sys/class/powercap/intel-rapl:0/energy_uj");
        let text = Fault::Denied { path }.to_string();
        assert!(text.contains("/sys/class/powercap/intel-rapl:0/energy_uj"), "{text}");
        assert!(text.contains("udev rule"), "{text}");
    }
}
