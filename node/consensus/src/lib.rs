//! Agreement: who may sign what, and when.
//!
//! A [`Core`] takes events and gives actions; [`Tendermint`] is the one there is. The daemon and the
//! simulator are shells around the same core: they own sockets, card, clock, keys and the signing
//! guard, and do what the actions say, in their order.
//!
//! This crate deliberately knows no socket, no file, no clock, no random number and no private key.
//!
//! | to find | look in |
//! |---|---|
//! | what goes in and comes out, what has to be on the card when | [`event`] |
//! | what is signed and sent | [`statement`], [`polka`] |
//! | when to begin a block | [`sealing`] |
//! | whether the clock allows to sign | [`clock`] |
//! | why an event changed nothing, and who is to blame | [`refusal`] |
//!
//! # The guard stands before the signature
//!
//! The core holds no key. It asks with [`Action::Sign`]; the shell puts the statements through the
//! signing guard, which has them on the card before a signature exists, and hands the signed ones
//! back. Only then does a [`Action::Broadcast`] follow, and only then does the core count its own
//! vote. What the guard refuses is simply not handed back: the core stays silent for that step.
//! Whatever happens the core asks for each step of a round at most once, in rising order.
//!
//! # A validator on its own
//!
//! ```
//! use std::sync::Arc;
//!
//! use goodwatt_chain::hash::{BlockId, ChainId, Digest32};
//! use goodwatt_chain::signature::SigningKey;
//! use goodwatt_chain::units::{Grains, Height};
//! use goodwatt_chain::validators::{Validator, ValidatorSet};
//! use goodwatt_consensus::{Action, Core, Event, HeightStart, Recovered, Tendermint};
//!
//! let (chain, key) = (ChainId::default(), SigningKey::from_seed(&[7; 32]));
//! let alone = Validator { owner: key.public(), signer: key.public(), weight: Grains::from_good(1) };
//! let start = HeightStart {
//!     height: Height::new(1),
//!     validators: Arc::new(ValidatorSet::new([alone])),
//!     seed: Digest32::ZERO,
//!     signer: Some(key.public()),
//!     recovered: Recovered::default(),
//! };
//! let mut core = Tendermint::new(chain, Height::ZERO);
//! let mut events = vec![Event::StartHeight(start)];
//! let mut decided = None;
//! while let Some(event) = events.pop() {
//!     for action in core.handle(event)? {
//!         match action {
//!             Action::BuildBlock { height, round } => {
//!                 events.push(Event::BlockBuilt { height, round, block: BlockId::default() });
//!             }
//!             // Here the guard comes in, and with it the card.
//!             Action::Sign(asked) => {
//!                 let signed = asked.into_iter().map(|statement| statement.sign(&chain, &key));
//!                 events.push(Event::Signed(signed.collect()));
//!             }
//!             Action::Decide(certificate) => decided = Some(certificate.block),
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(decided, Some(BlockId::default()));
//! # Ok::<(), goodwatt_consensus::Refusal>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;

use alloc::vec::Vec;

use goodwatt_chain::units::{Height, Round};

pub mod clock;
mod engine;
pub mod event;
pub mod polka;
pub mod refusal;
pub mod sealing;
pub mod statement;

pub use engine::Tendermint;
pub use event::{
    Action, Event, HeightStart, LastSigned, Recovered, SilentReason, Timeout, WalEntry,
};
pub use polka::Polka;
pub use refusal::{Blame, Refusal};
pub use statement::{Mark, Message, SignedStatement, Statement, Step};

/// Agreement on one block after another.
pub trait Core {
    /// Takes an event, and says what to do, in order.
    ///
    /// Between a decision and the next [`Event::StartHeight`] nothing is ever to do but to note
    /// who is [ahead](Action::Ahead): an idle chain is silent.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changed, and [`Refusal::blame`] says whose fault it is.
    fn handle(&mut self, event: Event) -> Result<Vec<Action>, Refusal>;

    /// Where agreement stands, for people to look at.
    fn progress(&self) -> Progress;
}

/// Where agreement stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The last height started, or that of the tip.
    pub height: Height,
    /// Its round; `None` if it was not started here.
    pub round: Option<Round>,
    /// Whether it is decided.
    pub decided: bool,
}
