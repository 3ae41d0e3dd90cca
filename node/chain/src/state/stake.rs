//! Coins that are locked behind a slot, on chains whose rule locks them.

use serde::{Deserialize, Serialize};

use super::Bounded;
use crate::signature::PublicKey;
use crate::units::Grains;
use crate::validators::VALIDATORS_MAX;

/// The most accounts behind one slot: with 200 bids a bound on what a transition gives back.
pub const BACKERS_MAX: usize = 64;

/// What is locked behind one slot key. Together it is the weight of the slot.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stake {
    /// Whose coins, and how many: the owner of the slot first, each name once.
    pub backers: Bounded<(PublicKey, Grains), BACKERS_MAX>,
}

impl Stake {
    /// What the owner of a slot locks itself.
    #[must_use]
    pub fn of(owner: PublicKey, amount: Grains) -> Self {
        Self { backers: core::iter::once((owner, amount)).collect() }
    }
}

/// Slots whose stakes are given back in one epoch.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unlocking {
    /// Owner and slot key: the seats that left the set in charge at one transition.
    pub slots: Bounded<(PublicKey, PublicKey), VALIDATORS_MAX>,
}
