//! The validators in charge of a height, and who of them proposes.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::hash::{Digest32, Domain};
use crate::sampling;
use crate::signature::PublicKey;
use crate::units::{Grains, Height, Round};

/// The most validators a set can hold; genesis may set less. It bounds every certificate.
pub const VALIDATORS_MAX: usize = 100;

const VALIDATORS: Domain = Domain::new(b"goodwatt/validators");

/// One validator of a set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Validator {
    /// The account that bought the slot: it votes on associations and earns the rewards.
    pub owner: PublicKey,
    /// The slot's own key: it signs proposals and votes.
    pub signer: PublicKey,
    /// What was donated for the slot, in grains; weight is linear in it.
    pub weight: Grains,
}

/// The validators in charge of a height, in the order certificates count them by.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ValidatorSet(heapless::Vec<Validator, VALIDATORS_MAX>);

impl ValidatorSet {
    /// A set of at most [`VALIDATORS_MAX`] validators; what is more is left out.
    pub fn new(validators: impl IntoIterator<Item = Validator>) -> Self {
        Self(validators.into_iter().take(VALIDATORS_MAX).collect())
    }

    /// The hash that stands in a header.
    #[must_use]
    pub fn hash(&self) -> Digest32 {
        Digest32::of(VALIDATORS, &[&codec::encode(self)])
    }

    /// How many validators there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The validators in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Validator> {
        self.0.iter()
    }

    /// The validator at `index`.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }

    /// Where the validator with this signer key stands.
    #[must_use]
    pub fn position(&self, signer: &PublicKey) -> Option<usize> {
        self.0.iter().position(|validator| validator.signer == *signer)
    }

    /// The weight of all, in grains. At most 100 times the largest supply: below 2^60.
    #[must_use]
    pub fn total_weight(&self) -> u64 {
        self.0.iter().map(|validator| validator.weight.get()).sum()
    }

    /// The validator that proposes in this round: drawn by weight from the epoch's seed.
    /// `None` only for a set without weight.
    #[must_use]
    pub fn proposer(&self, seed: &Digest32, height: Height, round: Round) -> Option<&Validator> {
        let weights = self.0.iter().map(|validator| validator.weight.get());
        sampling::pick(seed, height, round, weights).and_then(|index| self.0.get(index))
    }
}

/// Whether `weight` is more than two thirds of `total`: what a certificate needs.
#[must_use]
pub fn is_quorum(weight: u64, total: u64) -> bool {
    u128::from(weight) * 3 > u128::from(total) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_strictly_more_than_two_thirds() {
        let check = |weight, total, want| assert_eq!(is_quorum(weight, total), want);
        check(2, 3, false);
        check(3, 3, true);
        check(66, 100, false);
        check(67, 100, true);
        check(0, 0, false);
        check(u64::MAX, u64::MAX, true);
    }
}
