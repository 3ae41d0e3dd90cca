//! Losing without a deposit: what a cheat still has is donated, and its key is marked.

use super::{ExecuteError, Place, Refusal, slots};
use crate::hash::Digest32;
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    Bids, Key, Roster, StateError, Term, Terms, Tombstone, Totals, Vesting, View, add,
};
use crate::units::{Epoch, Grains};
use crate::vote::Evidence;

/// Brings the owner of a key that signed two different things to account.
pub(super) fn submit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    evidence: &Evidence,
) -> Result<(), ExecuteError> {
    if !evidence.is_conflict() {
        return Err(Refusal::NoConflict.into());
    }
    let signer = evidence.signer();
    if view.read::<Tombstone>(Key::Tombstone(signer))?.is_some() {
        return Err(Refusal::EvidenceSeen.into());
    }
    let owner = owner_of(view, place.epoch, evidence)?;
    for key in [signer, owner] {
        view.write(Key::Tombstone(key), &Tombstone { epoch: place.epoch });
    }
    forfeit(view, place.epoch, &owner)?;
    Ok(())
}

/// Who the signer key signed for, in the terms of the vesting window.
fn owner_of<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    now: Epoch,
    evidence: &Evidence,
) -> Result<PublicKey, ExecuteError> {
    let window = view.genesis.parameters.vesting_delay;
    let first = now.get().saturating_sub(window);
    let mut oldest = None;
    for epoch in first..=now.get() {
        let Some(roster) = view.read::<Roster>(Key::Roster(Epoch::new(epoch)))? else {
            continue;
        };
        oldest = oldest.or(Some(roster.begun_at));
        if let Some(index) = roster.validators.position(&evidence.signer())
            && let Some(validator) = roster.validators.at(index)
        {
            return Ok(validator.owner);
        }
    }
    // Height 0 begins the first term, so nothing is older than that.
    let too_old = oldest.is_some_and(|begun_at| evidence.height() <= begun_at);
    Err(if too_old { Refusal::EvidenceTooOld } else { Refusal::UnknownSigner }.into())
}

/// Takes the rest of its slots, its fees and its vesting rewards.
fn forfeit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    owner: &PublicKey,
) -> Result<(), StateError> {
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    let struck = strike_vesting(view, now, owner)?;
    totals.vesting = totals.vesting.saturating_sub(struck);

    let mut terms: Terms = view.read_or_default(Key::Terms)?;
    let mut fees = mark(&mut terms.current, owner);
    if let Some(previous) = &mut terms.previous {
        fees = add(fees, mark(previous, owner));
    }
    totals.fees_in_flight = totals.fees_in_flight.saturating_sub(fees);
    mark(&mut terms.next, owner);
    slots::drop_tombstoned(view.genesis, &mut terms);
    view.write(Key::Terms, &terms);

    let mut bids: Bids = view.read_or_default(Key::Bids)?;
    bids.bids.retain(|bid| bid.validator.owner != *owner);
    view.write(Key::Bids, &bids);

    let donated = add(struck, fees);
    totals.pool = add(totals.pool, donated);
    totals.donated = add(totals.donated, donated);
    view.write(Key::Totals, &totals);
    Ok(())
}

/// Marks an owner's seats and takes their fees.
fn mark(term: &mut Term, owner: &PublicKey) -> Grains {
    let mut fees = Grains::ZERO;
    for seat in term.seats.iter_mut().filter(|seat| seat.validator.owner == *owner) {
        seat.tombstoned = true;
        fees = add(fees, core::mem::take(&mut seat.fees));
    }
    fees
}

fn strike_vesting<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    owner: &PublicKey,
) -> Result<Grains, StateError> {
    let name = Digest32::new(*owner.as_bytes());
    let mut struck = Grains::ZERO;
    for ahead in 0..=view.genesis.parameters.vesting_delay {
        let key = Key::Vesting(now.after(ahead));
        if let Some(mut vesting) = view.read::<Vesting>(key)? {
            struck = add(struck, vesting.strike(&name));
            view.write(key, &vesting);
        }
    }
    Ok(struck)
}
