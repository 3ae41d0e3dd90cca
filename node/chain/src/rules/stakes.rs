//! Coins locked behind slots: taken with a bid, given back after the term, or lost by cheating.
//!
//! A slot's stake is one record under its slot key, and ends in one of three ways. A slot that never
//! comes into charge gives it back at once. One that was in charge gives it back the vesting delay
//! after its last term, when evidence against it counts no longer. Evidence takes all of it,
//! whoever locked it: that is what those lose who vote for a cheat.

use super::slots::check_window;
use super::{ExecuteError, Refusal};
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    Bids, Bounded, Key, Seat, Stake, StateError, Term, Terms, Unlocking, View, add,
};
use crate::transaction::Delegate;
use crate::units::{Epoch, Grains};
use crate::validators::{VALIDATORS_MAX, Validator};

/// Locks the price of a slot.
pub(super) fn lock<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    slot: &Validator,
) -> Result<(), ExecuteError> {
    // A slot key serves again only when nothing is locked behind it any more.
    if view.read::<Stake>(Key::Stake(slot.signer))?.is_some() {
        return Err(Refusal::SignerTaken.into());
    }
    view.write(Key::Stake(slot.signer), &Stake::of(slot.owner, slot.weight));
    change_locked(view, |locked| add(locked, slot.weight))?;
    Ok(())
}

/// Locks the weight of the founders, whose accounts begin with as much less.
pub(super) fn found<L: Leaves + ?Sized>(view: &mut View<'_, L>) {
    let founders = &view.genesis.founders;
    for founder in founders {
        view.write(Key::Stake(founder.signer), &Stake::of(founder.owner, founder.weight));
    }
    let locked = founders.iter().fold(Grains::ZERO, |sum, founder| add(sum, founder.weight));
    view.write(Key::Locked, &locked);
}

/// Locks coins behind somebody's bid; when all places there are taken, the lowest of those who do
/// not own the slot gives way to a higher one.
pub(super) fn back<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    sender: &PublicKey,
    delegation: &Delegate,
) -> Result<(), ExecuteError> {
    let mut bids: Bids = view.read_or_default(Key::Bids)?;
    check_window(delegation.epoch, bids.epoch)?;
    let least = view.genesis.parameters.slot_price_min;
    if delegation.amount < least {
        return Err(Refusal::UnderSlotPrice(least).into());
    }
    let bid = bids.bids.iter_mut().find(|bid| bid.validator.signer == delegation.signer);
    let bid = bid.ok_or(Refusal::UnknownDelegate)?;
    let key = Key::Stake(delegation.signer);
    let mut stake: Stake = view.read(key)?.ok_or(Refusal::UnknownDelegate)?;
    let outbid = enter(&mut stake, *sender, delegation.amount)?;
    let (given_to, given) = outbid.unwrap_or((*sender, Grains::ZERO));
    let weight = bid.validator.weight.saturating_sub(given);
    bid.validator.weight = add(weight, delegation.amount);
    view.write(key, &stake);
    view.write(Key::Bids, &bids);
    change_locked(view, |sum| add(sum.saturating_sub(given), delegation.amount))?;
    Ok(view.credit(&given_to, given)?)
}

/// Adds to what an account has behind a slot; gives who had to leave for it, and its amount.
fn enter(
    stake: &mut Stake,
    account: PublicKey,
    amount: Grains,
) -> Result<Option<(PublicKey, Grains)>, Refusal> {
    if let Some((_, sum)) = stake.backers.iter_mut().find(|(other, _)| *other == account) {
        *sum = add(*sum, amount);
        return Ok(None);
    }
    if stake.backers.push((account, amount)).is_ok() {
        return Ok(None);
    }
    let others = stake.backers.iter().enumerate().skip(1);
    // The latest of the lowest.
    let lowest = others.rev().min_by_key(|(_, (_, amount))| *amount);
    let (at, (_, lowest)) = lowest.ok_or(Refusal::BackersFull(Grains::ZERO))?;
    if amount <= *lowest {
        return Err(Refusal::BackersFull(*lowest));
    }
    let outbid = stake.backers.remove(at);
    stake.backers.push((account, amount)).map_err(|_| Refusal::BackersFull(Grains::ZERO))?;
    Ok(outbid)
}

fn change_locked<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    change: impl FnOnce(Grains) -> Grains,
) -> Result<(), StateError> {
    view.update(Key::Locked, |locked: &mut Grains| {
        *locked = change(*locked);
        Ok(())
    })
}

/// Takes a stake out of the ledger; the caller says whose it is now.
fn take<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    signer: &PublicKey,
) -> Result<(Stake, Grains), StateError> {
    let Some(stake) = view.read::<Stake>(Key::Stake(*signer))? else {
        return Ok((Stake::default(), Grains::ZERO));
    };
    view.erase(Key::Stake(*signer));
    let sum = stake.backers.iter().fold(Grains::ZERO, |sum, (_, amount)| add(sum, *amount));
    change_locked(view, |locked| locked.saturating_sub(sum))?;
    Ok((stake, sum))
}

/// Gives back what is locked behind a slot, if anything is left of it.
pub(super) fn give_back<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    signer: &PublicKey,
) -> Result<(), StateError> {
    let (stake, _) = take(view, signer)?;
    stake.backers.iter().try_for_each(|(account, amount)| view.credit(account, *amount))
}

/// Gives back the stakes whose time has come.
pub(super) fn unlock<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
) -> Result<(), StateError> {
    let key = Key::Unlocking(epoch);
    let Some(unlocking) = view.read::<Unlocking>(key)? else { return Ok(()) };
    view.erase(key);
    unlocking.slots.iter().try_for_each(|(_, signer)| give_back(view, signer))
}

fn is_in<'s>(seats: impl IntoIterator<Item = &'s Seat>, signer: &PublicKey) -> bool {
    seats.into_iter().any(|seat| seat.validator.signer == *signer)
}

/// Lets go of all stakes whose slots are not among those `kept`: of the term that ended, of the one
/// that was to come, and of the bids.
pub(super) fn let_go<'s, L, S>(
    view: &mut View<'_, L>,
    ended: &Term,
    to_come: &[PublicKey],
    bids: &Bids,
    kept: impl Fn() -> S,
    now: Epoch,
) -> Result<(), StateError>
where
    L: Leaves + ?Sized,
    S: Iterator<Item = &'s Seat>,
{
    let bids = bids.bids.iter().map(|bid| bid.validator.signer);
    let frozen = to_come.iter().copied().filter(|signer| !is_in(&ended.seats, signer));
    for signer in bids.chain(frozen) {
        if !is_in(kept(), &signer) {
            give_back(view, &signer)?;
        }
    }
    let leaving = ended.seats.iter().map(|seat| seat.validator);
    let leaving = leaving.filter(|slot| !is_in(kept(), &slot.signer));
    let slots = leaving.map(|slot| (slot.owner, slot.signer)).collect();
    // Each due epoch belongs to one transition.
    let due = now.after(view.genesis.parameters.vesting_delay);
    view.write(Key::Unlocking(due), &Unlocking { slots });
    Ok(())
}

/// Gives back the stakes of slots that were frozen and will not come into charge.
pub(super) fn give_back_unseated<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    frozen: &Bounded<Seat, VALIDATORS_MAX>,
    terms: &Terms,
) -> Result<(), StateError> {
    for seat in frozen {
        let signer = &seat.validator.signer;
        if !is_in(&terms.next.seats, signer) && !is_in(&terms.current.seats, signer) {
            give_back(view, signer)?;
        }
    }
    Ok(())
}

/// Takes everything that is locked behind the slots of an owner.
pub(super) fn forfeit<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    owner: &PublicKey,
    terms: &Terms,
    bids: &Bids,
) -> Result<Grains, StateError> {
    let seats = terms.current.seats.iter().chain(&terms.next.seats).map(|seat| &seat.validator);
    let slots = seats.chain(bids.bids.iter().map(|bid| &bid.validator));
    let mut sum = Grains::ZERO;
    for slot in slots.filter(|slot| slot.owner == *owner) {
        sum = add(sum, take(view, &slot.signer)?.1);
    }
    for ahead in 0..=view.genesis.parameters.vesting_delay {
        let key = Key::Unlocking(now.after(ahead));
        let unlocking: Unlocking = view.read_or_default(key)?;
        for (_, signer) in unlocking.slots.iter().filter(|(other, _)| other == owner) {
            sum = add(sum, take(view, signer)?.1);
        }
    }
    Ok(sum)
}
