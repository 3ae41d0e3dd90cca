//! Who gets weight: one of these for a chain, named in its genesis. See ADR 0014.

use super::{ExecuteError, Place, Refusal, donations, stakes};
use crate::genesis::{Genesis, Rule};
use crate::hash::AssociationId;
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::View;
use crate::transaction::Delegate;
use crate::validators::Validator;

/// What a rule says about the money that buys weight. The buyer has paid it already.
pub(super) trait WeightRule<L: Leaves + ?Sized> {
    /// Takes the price of a slot that was entered among the bids: locks it, unless the rule says
    /// something else.
    fn take_price(
        &self,
        view: &mut View<'_, L>,
        _place: &Place,
        slot: &Validator,
        _preference: Option<AssociationId>,
    ) -> Result<(), ExecuteError> {
        stakes::lock(view, slot)
    }

    /// Takes coins that vote for somebody's bid.
    fn back(
        &self,
        _view: &mut View<'_, L>,
        _sender: &PublicKey,
        _delegation: &Delegate,
    ) -> Result<(), ExecuteError> {
        Err(Refusal::NoDelegates.into())
    }
}

/// The rule of a chain.
pub(super) const fn rule<'r, L: Leaves + ?Sized + 'r>(
    genesis: &Genesis,
) -> &'r (dyn WeightRule<L> + 'r) {
    match genesis.parameters.rule {
        Rule::GoodWill => &GoodWill,
        Rule::Stake => &Stake,
        Rule::Delegated => &Delegated,
    }
}

/// The price is donated at once, and nothing of it ever returns to the buyer.
struct GoodWill;

impl<L: Leaves + ?Sized> WeightRule<L> for GoodWill {
    fn take_price(
        &self,
        view: &mut View<'_, L>,
        place: &Place,
        slot: &Validator,
        preference: Option<AssociationId>,
    ) -> Result<(), ExecuteError> {
        Ok(donations::donate(view, place.epoch, slot.weight, preference)?)
    }
}

/// The price is locked.
struct Stake;

impl<L: Leaves + ?Sized> WeightRule<L> for Stake {}

/// The price is locked, and so is what others put behind it.
struct Delegated;

impl<L: Leaves + ?Sized> WeightRule<L> for Delegated {
    fn back(
        &self,
        view: &mut View<'_, L>,
        sender: &PublicKey,
        delegation: &Delegate,
    ) -> Result<(), ExecuteError> {
        stakes::back(view, sender, delegation)
    }
}
