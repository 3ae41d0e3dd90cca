//! The serial line to a sensor.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serialport::{ClearBuffer, SerialPort};

use super::error::SensorError;

/// Speeds at which sensors are looked for, the factory's first.
pub const BAUDS: [u32; 5] = [57_600, 115_200, 9_600, 19_200, 38_400];

/// Bytes to and from a sensor.
pub trait Line {
    /// Reads what is there, waiting at most `wait` for the first byte; nothing came where it is 0.
    ///
    /// # Errors
    /// Where the line failed.
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize>;

    /// Sends all bytes.
    ///
    /// # Errors
    /// Where the line failed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Throws away what came and was not read.
    ///
    /// # Errors
    /// Where the line failed.
    fn clear(&mut self) -> io::Result<()>;

    /// Sets the speed.
    ///
    /// # Errors
    /// Where the line cannot do it.
    fn set_baud(&mut self, baud: u32) -> io::Result<()>;
}

/// A serial port of this machine.
#[derive(Debug)]
pub struct SerialLine(Box<dyn SerialPort>);

impl SerialLine {
    /// Opens a port for this process alone.
    ///
    /// # Errors
    /// Where it is missing, is the console, belongs to somebody else, or is busy.
    pub fn open(port: &str) -> Result<Self, SensorError> {
        let path = port.to_owned();
        if is_console(Path::new(port)) {
            return Err(SensorError::Console { port: path });
        }
        let opened = serialport::new(port, BAUDS[0]).timeout(Duration::from_millis(100)).open();
        opened.map(Self).map_err(|error| match error.kind {
            serialport::ErrorKind::Io(ErrorKind::NotFound) => SensorError::NoPort { port: path },
            serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
                SensorError::Permission { port: path }
            }
            serialport::ErrorKind::Io(ErrorKind::ResourceBusy) => SensorError::Busy { port: path },
            serialport::ErrorKind::NoDevice if !Path::new(port).exists() => {
                SensorError::NoPort { port: path }
            }
            // The kernel's refusal, or the lock that other programs of our kind hold.
            _ if ["busy", "exclusive lock"].iter().any(|word| error.description.contains(word)) => {
                SensorError::Busy { port: path }
            }
            _ => SensorError::Open { port: path, why: error.description },
        })
    }
}

/// Whether the kernel has its console on a port.
fn is_console(port: &Path) -> bool {
    let Ok(active) = std::fs::read_to_string("/sys/class/tty/console/active") else { return false };
    // serial0 is a link to the real name.
    let real = std::fs::canonicalize(port).unwrap_or_else(|_| port.to_owned());
    real.file_name().is_some_and(|name| names_port(&active, &name.to_string_lossy()))
}

/// Whether a port is among the consoles in a line like `tty0 ttyAMA0`.
fn names_port(active: &str, name: &str) -> bool {
    active.split_whitespace().any(|console| console == name)
}

impl Line for SerialLine {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        self.0.set_timeout(wait.max(Duration::from_millis(1)))?;
        match self.0.read(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                Ok(0)
            }
            // A line that always has nothing, at once, is one that was unplugged.
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            other => other,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn clear(&mut self) -> io::Result<()> {
        Ok(self.0.clear(ClearBuffer::Input)?)
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        Ok(self.0.set_baud_rate(baud)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_known_by_its_whole_name() {
        assert!(names_port("tty0 ttyAMA0\n", "ttyAMA0"));
        assert!(!names_port("tty0 ttyAMA10\n", "ttyAMA1"));
        assert!(!names_port("\n", "ttyS0"));
    }

    #[test]
    fn a_missing_port_is_named() {
        let error = SerialLine::open("/dev/no-such-port").expect_err("it is not there");
        assert!(matches!(error, SensorError::NoPort { .. }), "{error}");
    }
}
