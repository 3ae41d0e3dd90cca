//! Sensors of the `EF 01` family on a serial line: R30x, R307, AS608, ZFM, R503.
//!
//! Only images are fetched. What such a sensor says about whose finger it is are a few bytes that
//! anybody on the wire can say, too; there is no call for it here. Nothing is ever written into the
//! sensor's memory.

mod driver;
mod error;
mod frame;
mod port;
mod simulator;
mod wire;

pub use self::driver::{Driver, Identity, Light, large_enough};
pub use self::error::SensorError;
pub use self::frame::{ACKNOWLEDGE_MAX, DATA_MAX, Frame, FrameError, FrameReader, Kind};
pub use self::port::{BAUDS, Line, SerialLine};
pub use self::simulator::{Fault, Simulator};
pub use self::wire::Wire;
