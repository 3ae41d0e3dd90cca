//! Slots of time: bought in one epoch, frozen in the next, in charge in the one after.

use alloc::vec::Vec;

use super::{ExecuteError, Place, Refusal, stakes, weight};
use crate::genesis::Genesis;
use crate::hash::{Digest32, Domain};
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    Account, Attendance, BIDS_MAX, Bid, Bids, Bounded, Key, Registry, Roster, Seat, Standing,
    StateError, Status, Term, Terms, Tombstone, Totals, View,
};
use crate::transaction::BuySlot;
use crate::units::{Epoch, Grains, Height};
use crate::validators::Validator;

/// Bought in e, in charge in e + 2: the seed of that epoch is unknown when buying.
pub(super) const SLOT_LEAD: u64 = 2;

const TIE: Domain = Domain::new(b"goodwatt/slot-tie");
const REVEAL: Domain = Domain::new(b"goodwatt/reveal");
const FOLD: Domain = Domain::new(b"goodwatt/seed/fold");

/// The link of a reveal chain that follows from `link`: who knows `link` has revealed nothing of
/// what comes before it.
#[must_use]
pub fn reveals_link(link: &Digest32) -> Digest32 {
    Digest32::of(REVEAL, &[link.as_bytes()])
}

/// Buys a slot; what becomes of the price is the rule's to say.
pub(super) fn buy<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    place: &Place,
    buyer: &PublicKey,
    slot: &BuySlot,
) -> Result<(), ExecuteError> {
    let mut bids: Bids = view.read_or_default(Key::Bids)?;
    check_window(slot.epoch, bids.epoch)?;
    if slot.amount < view.genesis.parameters.slot_price_min {
        return Err(Refusal::UnderSlotPrice(view.genesis.parameters.slot_price_min).into());
    }
    check_keys(view, buyer, slot, &bids)?;
    if let Some(id) = slot.preference {
        if view.genesis.parameters.rule.locks() {
            return Err(Refusal::NothingDonated.into());
        }
        let standing = view.read::<Standing>(Key::Standing(id))?;
        if !standing.is_some_and(|standing| matches!(standing.status, Status::Admitted { .. })) {
            return Err(Refusal::PreferenceNotAdmitted.into());
        }
    }
    let validator = Validator { owner: *buyer, signer: slot.signer, weight: slot.amount };
    let bid = Bid { validator, reveal_head: slot.reveal_head };
    let places = usize::from(view.genesis.parameters.validators_max) * 2;
    let outbid = enter(&mut bids, bid, places)?;
    // Last, for it reads the most.
    if signs_already(view, &slot.signer)? {
        return Err(Refusal::SignerTaken.into());
    }
    view.write(Key::Bids, &bids);
    let rule = weight::rule(view.genesis);
    if let Some(outbid) = outbid.filter(|_| view.genesis.parameters.rule.locks()) {
        stakes::give_back(view, &outbid.validator.signer)?;
    }
    rule.take_price(view, place, &validator, slot.preference)
}

pub(super) fn check_window(asked: Epoch, open: Epoch) -> Result<(), Refusal> {
    match asked.cmp(&open) {
        core::cmp::Ordering::Less => Err(Refusal::SlotWindowPassed { asked, open }),
        core::cmp::Ordering::Greater => Err(Refusal::SlotWindowNotOpen { asked, open }),
        core::cmp::Ordering::Equal => Ok(()),
    }
}

fn check_keys<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    buyer: &PublicKey,
    slot: &BuySlot,
    bids: &Bids,
) -> Result<(), ExecuteError> {
    for key in [*buyer, slot.signer] {
        if view.read::<Tombstone>(Key::Tombstone(key))?.is_some() {
            return Err(Refusal::Tombstoned.into());
        }
    }
    if is_association(view, buyer)? {
        return Err(Refusal::AssociationHoldsSlot.into());
    }
    if bids.bids.iter().any(|bid| bid.validator.signer == slot.signer) {
        return Err(Refusal::SignerTaken.into());
    }
    Ok(())
}

/// Whether a key has a request pending or an association admitted.
pub(super) fn is_association<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    key: &PublicKey,
) -> Result<bool, StateError> {
    let Some(id) = view.read(Key::AssociationOf(*key))? else {
        return Ok(false);
    };
    let standing = view.read::<Standing>(Key::Standing(id))?;
    Ok(standing.is_some_and(|standing| standing.status.left().is_none()))
}

/// Whether a signer key sits in one of the terms that matter now. One that sat in an earlier term
/// may serve again: evidence names a height, and so the term and the owner it signed for.
fn signs_already<L: Leaves + ?Sized>(
    view: &View<'_, L>,
    signer: &PublicKey,
) -> Result<bool, StateError> {
    let Terms { previous, current, next } = view.terms()?;
    let terms = [previous.as_ref(), Some(&current), Some(&next)];
    let mut seats = terms.into_iter().flatten().flat_map(|term| &term.seats);
    Ok(seats.any(|seat| seat.validator.signer == *signer))
}

/// Enters a bid; when all places are taken, the lowest of the others gives way to a higher one.
fn enter(bids: &mut Bids, bid: Bid, places: usize) -> Result<Option<Bid>, Refusal> {
    let places = places.min(BIDS_MAX);
    let mut outbid = None;
    if bids.bids.len() >= places {
        let lowest = bids.bids.iter().enumerate().rev().min_by_key(|(_, b)| b.validator.weight);
        let Some((at, lowest)) = lowest.map(|(at, bid)| (at, bid.validator.weight)) else {
            return Err(Refusal::Underbid(Grains::ZERO));
        };
        if bid.validator.weight <= lowest {
            return Err(Refusal::Underbid(lowest));
        }
        outbid = bids.bids.remove(at);
    }
    bids.bids.push(bid).map_err(|_| Refusal::Underbid(Grains::ZERO))?;
    Ok(outbid)
}

/// The set that `bids` make: the highest win, ties by hash of key and seed. `None`
/// below the smallest set.
pub(super) fn freeze(genesis: &Genesis, bids: &Bids, seed: Digest32) -> Option<Term> {
    let mut bids: Vec<&Bid> = bids.bids.iter().collect();
    bids.sort_by_cached_key(|bid| {
        let tie = Digest32::of(TIE, &[seed.as_bytes(), bid.validator.signer.as_bytes()]);
        (core::cmp::Reverse(bid.validator.weight), tie)
    });
    bids.truncate(genesis.parameters.seats_max().into());
    if bids.len() < usize::from(genesis.parameters.validators_min) {
        return None;
    }
    let seats = bids.into_iter().map(|bid| fresh_seat(bid.validator, bid.reveal_head, false));
    Some(Term { seed, seats: seats.collect(), ..Term::default() })
}

/// The former set once more, without those caught cheating unless nobody else is left.
pub(super) fn carry_on(former: &Term) -> Term {
    let honest = former.seats.iter().any(|seat| !seat.tombstoned);
    let stays = former.seats.iter().filter(|seat| !honest || !seat.tombstoned);
    let seats = stays.map(|seat| fresh_seat(seat.validator, seat.reveal, seat.tombstoned));
    Term { carried_on: true, seats: seats.collect(), ..Term::default() }
}

const fn fresh_seat(validator: Validator, reveal: Digest32, tombstoned: bool) -> Seat {
    Seat {
        validator,
        reveal,
        revealed: false,
        signed: 0,
        proposed: 0,
        fees: Grains::ZERO,
        reported: None,
        tombstoned,
    }
}

/// Takes tombstoned seats out of the set to come; if too few are left, the present one carries on.
pub(super) fn drop_tombstoned(genesis: &Genesis, terms: &mut Terms) {
    let before = terms.next.seats.len();
    terms.next.seats.retain(|seat| !seat.tombstoned);
    let (left, seed, epoch) = (terms.next.seats.len(), terms.next.seed, terms.next.epoch);
    if left < before && left < usize::from(genesis.parameters.validators_min) {
        terms.next = Term { seed, epoch, ..carry_on(&terms.current) };
    }
}

/// Why a reveal does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RevealError {
    /// The proposer holds no seat.
    NoSeat,
    /// The first block of a proposer in a term reveals, the others do not.
    Missing,
    /// The link is not the one before the last revealed.
    Wrong,
}

/// Checks and takes a proposer's reveal, and folds it into the term.
pub(crate) fn take_reveal(
    term: &mut Term,
    proposer: &PublicKey,
    reveal: Option<&Digest32>,
) -> Result<(), RevealError> {
    let fold = term.fold;
    let seat = term.seat_mut(proposer).ok_or(RevealError::NoSeat)?;
    match (seat.revealed, reveal) {
        (true, None) => return Ok(()),
        (true, Some(_)) => return Err(RevealError::Wrong),
        (false, None) => return Err(RevealError::Missing),
        (false, Some(link)) if reveals_link(link) != seat.reveal => {
            return Err(RevealError::Wrong);
        }
        (false, Some(link)) => {
            (seat.reveal, seat.revealed) = (*link, true);
            term.fold = Digest32::of(FOLD, &[fold.as_bytes(), link.as_bytes()]);
        }
    }
    Ok(())
}

/// The state before the first block.
pub(crate) fn founding_state<L: Leaves + ?Sized>(view: &mut View<'_, L>) {
    let genesis = view.genesis;
    let seats = || {
        genesis.founders.iter().map(|founder| {
            let validator =
                Validator { owner: founder.owner, signer: founder.signer, weight: founder.weight };
            fresh_seat(validator, founder.reveal_head, false)
        })
    };
    let term = |number| {
        let epoch = Epoch::new(number);
        Term { epoch, seed: genesis.seed(epoch), seats: seats().collect(), ..Term::default() }
    };
    let (current, next) = (term(0), term(1));
    let mut owners = Bounded::default();
    for founder in &genesis.founders {
        if !owners.contains(&founder.owner) && owners.push(founder.owner).is_err() {
            break;
        }
    }
    view.write(
        Key::Roster(Epoch::ZERO),
        &Roster { begun_at: Height::ZERO, validators: current.validators() },
    );
    view.write_terms(&Terms { previous: None, current, next });
    view.write(Key::Bids, &Bids { epoch: Epoch::new(SLOT_LEAD), ..Bids::default() });
    // Founders count as live in epoch 0: there is no epoch before in which to be seen.
    view.write(Key::Attendance, &Attendance { before: owners, ..Attendance::default() });
    view.write(Key::Registry, &Registry::default());
    view.write(Key::Totals, &Totals::default());
    for (key, balance) in &genesis.balances {
        // A genesis whose founders lock more than they have is refused before.
        let balance = genesis.free_balance(key).unwrap_or(*balance);
        view.write(Key::Account(*key), &Account { nonce: 0, balance });
    }
    if genesis.parameters.rule.locks() {
        stakes::found(view);
    }
    view.keep();
}
