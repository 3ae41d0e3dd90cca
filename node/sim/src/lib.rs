//! Many validators in one thread: virtual time, virtual network, disks that crash, one seed.
//!
//! The validators are the daemon's own, [`goodwatt_validator`]; only clocks, cards and links are
//! made up. A run is a function of its [`Scenario`]: the same one gives the same trace, so that a
//! failure is replayed by its seed.
//!
//! | to find | look in |
//! |---|---|
//! | what a run is made of | [`Scenario`], [`Faults`] |
//! | time, links, what happens when | `world`, `network`, `talk`, `power` |
//! | what goes wrong | `trouble`, `liar` |
//! | what owners do | `load` |
//! | one validator with its card and its keys | `board`, `keys` |
//! | what has to hold at every step | `check`, `admissions` |
//! | what a block costs | [`Bill`] |
//! | hash puzzles, for comparison | `work` |
//!
//! This crate deliberately knows no real clock, no real disk and no socket.
#![forbid(unsafe_code)]

mod admissions;
mod agenda;
mod bill;
mod board;
mod check;
mod dice;
mod genesis;
mod keys;
mod liar;
mod load;
mod network;
mod power;
mod scenario;
mod talk;
mod topology;
mod trouble;
mod work;
mod world;

pub use bill::Bill;
pub use check::Violation;
pub use scenario::{Faults, Report, RoundReport, Scenario};
pub use topology::{Topology, TopologyError};
pub use work::run_work;
pub use world::{run, run_and_tell};
