//! A validator as a machine: messages and time go in, messages and sealed blocks come out.
//!
//! It owns the ledger, what waits, the block log, the write-ahead log, the signing guard and the
//! agreement core, and does with them what has to be done in the order in which it is safe. The
//! daemon puts it behind sockets, the simulator behind a virtual network: the same code in both.
//!
//! | to find | look in |
//! |---|---|
//! | what validators say to each other | [`message`] |
//! | when a block is begun, what is due next | [`validator`](Validator) |
//! | the guard before the signature | [`guard`] |
//! | what the ledger needs of a store | [`StateStore`] |
//!
//! This crate deliberately knows no socket, no thread, no clock and no random number: the time is
//! handed in with each call, and peers are numbers.
#![forbid(unsafe_code)]

mod agreement;
mod bodies;
mod catch_up;
mod evidence;
mod exchange;
pub mod guard;
mod healing;
mod heard;
pub mod lookups;
pub mod message;
mod parts;
mod pruning;
mod report;
mod stuck;
mod validator;

pub use catch_up::Progress;
pub use guard::{Guard, GuardFault};
pub use healing::Wound;
pub use message::{LoggedBlock, Message, SealedHeader, StateAnswer, StateQuestion, Status};
pub use parts::{Card, Now, Output, Parts, PeerId, SealedBlock, Signers, StateStore, To};
pub use pruning::Prunable;
pub use stuck::Stuck;
pub use validator::{DIRTY_MAX, Notes, Validator, checkpoint};
