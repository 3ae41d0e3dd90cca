//! The ledger of Goodwatt and the rules of Proof of Good-Will.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

pub mod hash;
pub mod leaves;
pub mod units;
