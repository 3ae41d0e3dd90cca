//! What can go wrong between here and the glass.

use std::io;
use std::time::Duration;

use super::frame::FrameError;

/// Why there is no image, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SensorError {
    /// The serial port is not there.
    #[error(
        "there is no serial port {port}: on a Raspberry Pi switch the UART on with `enable_uart=1` in config.txt, or name the USB adapter's port"
    )]
    NoPort {
        /// Its path.
        port: String,
    },
    /// The port may not be opened.
    #[error("{port} may not be opened: add yourself to the group that owns it, usually `dialout`")]
    Permission {
        /// Its path.
        port: String,
    },
    /// The kernel talks on it.
    #[error(
        "{port} is the serial console: on the SD-card image `port = \"header\"` under [finger] in goodwatt.toml frees it; elsewhere take `console=serial0,115200` out of cmdline.txt, disable serial-getty@, and restart"
    )]
    Console {
        /// Its path.
        port: String,
    },
    /// Another process has it.
    #[error("{port} is in use by another program: end that first")]
    Busy {
        /// Its path.
        port: String,
    },
    /// The system refuses to open or set it.
    #[error("{port} cannot be opened: {why}")]
    Open {
        /// Its path.
        port: String,
        /// What the system says.
        why: String,
    },
    /// Reading or writing failed.
    #[error("the serial port failed: {0}; the adapter may have been unplugged")]
    Io(#[from] io::Error),
    /// Nothing that is a sensor answers at any speed.
    #[error(
        "no fingerprint sensor answers on {port}: check power, ground and that TX goes to RX and RX to TX; another kind of sensor may be connected, only the EF 01 family is known"
    )]
    NoSensor {
        /// Its path.
        port: String,
    },
    /// It fell silent.
    #[error("the sensor stopped answering for {} ms: check its power and wires", waited.as_millis())]
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// What came was damaged, again and again.
    #[error("{error}, {times} times in a row: shorten the wires or lower the speed")]
    Damaged {
        /// The last damage.
        error: FrameError,
        /// How often it was tried.
        times: u32,
    },
    /// It sends without end.
    #[error("the sensor sends more than an image: {bytes} bytes; it is broken or something else")]
    Endless {
        /// How many came.
        bytes: usize,
    },
    /// Not as many bytes as the image should have.
    #[error("the image came incomplete: {found} of {wanted} bytes")]
    Short {
        /// What came.
        found: usize,
        /// What should have come.
        wanted: usize,
    },
    /// A size of image that no vault can be made of.
    #[error(
        "the sensor gives images of {width} x {height} pixels, and a key needs 256 x 288: this sensor is too small. Take an R307, AS608 or ZFM, or none: a passphrase with the board's secret opens, too"
    )]
    TooSmall {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A number of bytes that is no size of any sensor known.
    #[error("the sensor sent {bytes} bytes, which is the image of no sensor that is known")]
    Geometry {
        /// How many came.
        bytes: usize,
    },
    /// It wants a password.
    #[error("the sensor is locked with a password that is not the factory's: use another one")]
    Locked,
    /// It says no.
    #[error("the sensor refused {what}: {} (code {code:02X})", meaning(*code))]
    Refused {
        /// What it should have done.
        what: &'static str,
        /// Its confirmation code.
        code: u8,
    },
    /// Nobody laid a finger on it.
    #[error("no finger came within {} seconds", waited.as_secs())]
    NoFinger {
        /// How long was waited.
        waited: Duration,
    },
    /// Somebody pressed Ctrl-C.
    #[error("stopped; nothing was changed")]
    Stopped,
}

/// What a confirmation code means.
const fn meaning(code: u8) -> &'static str {
    match code {
        0x01 => "it could not read the command",
        0x02 => "no finger",
        0x03 => "the image failed",
        0x06 => "the image is too messy",
        0x07 => "the image has too few features",
        0x0F => "the image cannot be sent",
        0x13 => "wrong password",
        0x15 => "there is no image",
        0x1A | 0x1B => "no such setting",
        0x1D => "its port failed",
        0x20 => "wrong address",
        0x21 => "a password is needed",
        0x29 => "the glass is broken",
        0xFC => "it does not know the command",
        0xFD => "its hardware failed",
        _ => "an unknown reason",
    }
}
