//! Watts with method, scope and error; joules from them; and whose work they were for.
//!
//! **A figure is never bare.** Every [`Reading`] says how it came about ([`Method`]), what it
//! covers ([`Scope`]), how far off it may be and by whose word ([`RelativeError`]), how old it is
//! and which sensor it is from. Where there is no sensor, or it fails, the figure is modelled and
//! says so.
//!
//! ```
//! use goodwatt_power::{PowerConfig, PowerMeter};
//! use goodwatt_units::Millis;
//!
//! let mut meter = PowerMeter::new(&PowerConfig::default());
//! println!("{}", meter.discovery());
//! let sample = meter.sample(Millis::ZERO); // time from a monotonic clock of the caller
//! println!("{}; {}", sample.reading, sample.state);
//!
//! // Two samples make an interval, and so energy.
//! let later = meter.sample(Millis::from_secs(1)).energy.since(&sample.energy);
//! if let Some((method, scope, account)) = later.whole() {
//!     println!("{} +- {}, {method}, {scope}", account.energy, account.uncertainty);
//!     let transactions = 0;
//!     assert_eq!(account.per(transactions), None, "no figure per nothing");
//! }
//! ```
//!
//! # Sources
//! Tried in this order unless the config names one; [`probe()`] tells for each why it is skipped.
//!
//! | source | reads | covers |
//! |---|---|---|
//! | `hwmon` | `energy*_input` (uJ) and `power*_input` (uW), else V x I (mV, mA), of known supply monitors | `board_input` |
//! | `iio` | `ina2xx-adc`: raw x scale (mW), else V x I; shunt in Ohm | `board_input` |
//! | `smbus` | INA219, 226, 228, 260 and 3221 that no driver owns: drop x voltage; energy of the 228 | `board_input` |
//! | `pmic` | the rails of a Raspberry Pi 5, by its firmware | `rails` |
//! | `meter` | Shelly or Tasmota over HTTP (W and their count), or lines of JSON over a Unix socket | `wall`, or `board_input` over a socket |
//! | `rapl` | `energy_uj` of the CPU package, which starts again at its end | `cpu_package` |
//! | `power_supply` | a discharging battery or UPS: `power_now` (uW), else V x I (uV, uA) | `board_input` |
//! | `model` | idle + slope x CPU share of the board, from published figures or a calibration | `board_input` |
//!
//! `smbus` and `meter` are used only if the config names them: unknown chips are not probed, and
//! nothing is asked of a network unbidden. Files of hwmon and IIO are readable by everyone; `energy_uj` is not since Linux 5.10.
//!
//! `cpu_package` is measured, but it is a part of a laptop and no board, and `wall` has the loss of
//! the supply in it: figures of different scopes are never summed, and [`EnergyTotals::whole`] refuses to.
//!
//! # Rules
//! - **The shunt must be configured.** A sensor with an external shunt is refused without one. If
//!   the kernel computes with another value (10 mOhm by default, usual boards carry 100), figures
//!   are scaled by the ratio, which is exact, and [`Note::ShuntMismatch`] says so at start.
//! - **A wrong reading is named and not used**: gone, empty, no number, negative, zero, a
//!   hundredfold jump, stuck while the load moved, a counter that was reset. The sample's
//!   [`State`] has the reason and the reading is modelled until the sensor is right again, which
//!   is noticed by itself. The first level is held against the model, so that a mixed-up unit
//!   does not become the measure of all that follow.
//! - **Energy** is the sensor's own counter where it has one, else the trapezoid between two good
//!   levels, else the model's. A gap of more than three periods is uncovered and never bridged,
//!   unless the sensor counted through it, or there is none and the kernel counted busy time.
//! - **Our own part** of the energy is `CPU share x (E - P_idle x t)`; it never exceeds the
//!   board's ([`Window::attribute`]). An interval for which the kernel counted less busy time
//!   than we used (it counts in ticks of 10 ms) is ours as a whole: the error is against us.
//! - **Nothing runs by itself**: no timer, and no thread but the one that asks a plug and ends with
//!   its answer, for which the caller waits 200 ms at most. Each sample is a wake-up that the
//!   caller chose, and the sensor is read at most once a second. Time comes from the caller; only
//!   the time-outs of meters are by the system's clock.
//!
//! # What it deliberately does not know
//! Blocks, transactions, prices; the time; other nodes. It writes to no file: where a kernel driver
//! owns the sensor, averaging (`update_interval`, oversampling) and access rights are set by udev
//! rules, and the kernel's own shunt value is left as it is. An error bound covers the instrument and not what happened between
//! two reads: without averaging or a counter in hardware, one read a second can miss bursts. A
//! sensor that hangs at an even load cannot be told from one that is right. And a read that blocks
//! in the kernel blocks the caller, as long as the bus driver's own timeout lets it.

mod address;
mod attribution;
mod config;
mod cpu;
mod energy;
mod fault;
mod meter;
mod model;
mod probe;
mod quantity;
mod reading;
mod source;
mod sysfs;
mod usage;
mod watch;

pub use address::{HttpKind, HttpMeter, MeterAddress, ParseMeterError};
pub use attribution::Window;
pub use config::{Calibration, PowerConfig, Roots};
pub use cpu::{CpuShare, CpuTime};
pub use energy::{Account, EnergyTotals, PerUnit};
pub use fault::Fault;
pub use meter::{PowerMeter, Sample, State};
pub use probe::{Chosen, Discovery, Note, SkipReason, probe};
pub use quantity::{MicroOhms, ParseQuantityError, parse_error_ppm, parse_power};
pub use reading::{
    ErrorSource, Method, Reading, RelativeError, Scope, Sensor, SourceKind, UnknownName,
};
pub use usage::{ProcessUsage, ProcessWatch};
