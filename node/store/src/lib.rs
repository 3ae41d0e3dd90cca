//! stub
mod atomic;
mod checksum;
mod disk;
#[cfg(any(test, feature = "fault-injection"))]
pub mod faulty;
mod log;
pub use atomic::{AtomicFile, AtomicFileError};
pub use disk::*;
pub use log::*;
