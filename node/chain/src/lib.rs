//! The ledger of Goodwatt and the rules of Proof of Good-Will.
//!
//! What a ledger *is*: units, types and their one byte form, genesis, the rules by which a block
//! changes the state, and proofs for those who keep no state. The same code runs in the daemon,
//! the simulator, the verifier and on bare metal, and gives the same state root on each.
//!
//! This crate deliberately knows no socket, no file, no clock, no thread and no float; it draws no
//! random numbers. Time, signatures and leaves come in as arguments.
//!
//! | to find | look in |
//! |---|---|
//! | money, heights, epochs | [`units`] |
//! | what an account may ask for | [`transaction`] |
//! | what each of these does, and when it is refused | [`rules`] |
//! | from one block to the next | [`ledger`] |
//! | what waits to be sealed | [`mempool`] |
//! | the records of the state | [`state`] |
//! | the one signature rule | [`signature`] |
//! | proofs for those who keep no state | [`proof`]; their parts: [`tree`], [`merkle`], [`history`] |
//! | what such a one trusts, asks and believes | [`light`] |
//! | the links a proposer reveals | [`reveal`] |
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

pub mod address;
pub mod announcement;
pub mod block;
pub mod codec;
pub mod genesis;
#[cfg(feature = "std")]
pub mod genesis_toml;
pub mod hash;
pub mod history;
pub mod leaves;
pub mod ledger;
pub mod light;
pub mod mempool;
pub mod merkle;
pub mod proof;
pub mod reveal;
pub mod rules;
pub mod sampling;
pub mod signature;
pub mod state;
#[cfg(feature = "tally")]
pub mod tally;
pub mod transaction;
pub mod tree;
pub mod units;
pub mod validators;
pub mod vote;
