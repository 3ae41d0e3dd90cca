//! What a cheat loses: what it still has in the ledger is donated, and its key is marked.

use super::{ExecuteError, Place, Refusal, slots, stakes};
use crate::hash::Digest32;
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{Bids, Key, Roster, StateError, Term, Tombstone, Totals, Vesting, View, add};
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
    let owner = owner_of(view, place.epoch, evidence)?;
    // A key that was caught with one owner may have served another since.
    let seen = |key| view.read::<Tombstone>(Key::Tombstone(key)).map(|found| found.is_some());
    if seen(signer)? && seen(owner)? {
        return Err(Refusal::EvidenceSeen.into());
    }
    for key in [signer, owner] {
        view.write(Key::Tombstone(key), &Tombstone { epoch: place.epoch });
    }
    forfeit(view, place.epoch, &owner)?;
    Ok(())
}

/// Who the signer key signed for at the height of the evidence.
fn owner_of<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    now: Epoch,
    evidence: &Evidence,
) -> Result<PublicKey, ExecuteError> {
    for epoch in roster_epochs(view, now)? {
        let Some(roster) = view.read::<Roster>(Key::Roster(epoch))? else {
            continue;
        };
        // A set decides from the block after the one that began its term.
        if roster.begun_at < evidence.height() {
            let mut validators = roster.validators.iter();
            let signed_for = validators.find(|validator| validator.signer == evidence.signer());
            return Ok(signed_for.ok_or(Refusal::UnknownSigner)?.owner);
        }
    }
    Err(Refusal::EvidenceTooOld.into())
}

/// The epochs a roster may be kept of, latest first: those of the vesting delay, and that of the
/// term that ended last, which lies before them after a pause.
fn roster_epochs<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    now: Epoch,
) -> Result<impl Iterator<Item = Epoch> + use<L>, StateError> {
    let first = now.get().saturating_sub(view.genesis.parameters.vesting_delay);
    let previous = view.read::<Term>(Key::PreviousTerm)?.map(|term| term.epoch);
    let before = previous.filter(|epoch| epoch.get() < first);
    Ok((first..=now.get()).rev().map(Epoch::new).chain(before))
}

/// Takes the rest of its slots, its fees, its vesting rewards, and its stake where it locked one.
fn forfeit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    owner: &PublicKey,
) -> Result<(), StateError> {
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    let struck = strike_vesting(view, now, owner)?;
    totals.vesting = totals.vesting.saturating_sub(struck);

    let mut terms = view.terms()?;
    let mut fees = mark(&mut terms.current, owner);
    if let Some(previous) = &mut terms.previous {
        fees = add(fees, mark(previous, owner));
    }
    totals.fees_in_flight = totals.fees_in_flight.saturating_sub(fees);
    mark(&mut terms.next, owner);
    let mut bids: Bids = view.read_or_default(Key::Bids)?;
    let mut stake = Grains::ZERO;
    if view.genesis.parameters.rule.locks() {
        stake = stakes::forfeit(view, now, owner, &terms, &bids)?;
    }
    let frozen = terms.next.seats.clone();
    slots::drop_tombstoned(view.genesis, &mut terms);
    if view.genesis.parameters.rule.locks() {
        stakes::give_back_unseated(view, &frozen, &terms)?;
    }
    view.write_terms(&terms);

    bids.bids.retain(|bid| bid.validator.owner != *owner);
    view.write(Key::Bids, &bids);

    let donated = add(stake, add(struck, fees));
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
            let amount = vesting.strike(&name);
            if !amount.is_zero() {
                struck = add(struck, amount);
                view.write(key, &vesting);
            }
        }
    }
    Ok(struck)
}
