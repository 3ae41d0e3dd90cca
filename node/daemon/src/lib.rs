//! stub

pub mod keystore;
pub mod logging;
mod nearest;
pub mod notify;
pub mod scheduler;
pub mod words;
