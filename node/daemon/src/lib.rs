//! stub

pub mod keystore;
mod nearest;
pub mod words;
