//! From one epoch to the next. The block that crosses the boundary is decided by the old set,
//! carries the transition out first, and then its own transactions.
//!
//! However many epochs passed without a block, the work is bounded: only the terms, bids and
//! schedules that exist are looked at.

use alloc::vec::Vec;

use super::slots::{self, SLOT_LEAD};
use super::{associations, donations, energy, stakes};
use crate::block::Certificate;
use crate::genesis::DELAY_EPOCHS_MAX;
use crate::hash::{Digest32, Domain};
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    Attendance, Bids, Key, Roster, Seat, StateError, Term, Terms, Totals, View, add,
};
use crate::units::{Epoch, Grains, Height};

const SEED: Domain = Domain::new(b"goodwatt/seed");

/// Notes whose signatures stand in the parent's certificate, in the term that decided the parent:
/// `current`, which the caller writes, or the one before.
pub(crate) fn record_certificate<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    current: &mut Term,
    certificate: &Certificate,
) -> Result<(), StateError> {
    // The block that began the current term was still decided by the former set.
    let by_former = certificate.height <= current.begun_at;
    match if by_former { view.read::<Term>(Key::PreviousTerm)? } else { None } {
        Some(mut former) => {
            count_signatures(view, &mut former, certificate)?;
            view.write(Key::PreviousTerm, &former);
            Ok(())
        }
        None => count_signatures(view, current, certificate),
    }
}

fn count_signatures<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    term: &mut Term,
    certificate: &Certificate,
) -> Result<(), StateError> {
    let mut attendance: Attendance = view.read_or_default(Key::Attendance)?;
    let seen_before = attendance.now.len();
    term.certificates = term.certificates.saturating_add(1);
    for commit in &certificate.signatures {
        let Some(seat) = term.seats.get_mut(usize::from(commit.validator)) else {
            continue;
        };
        seat.signed = seat.signed.saturating_add(1);
        let owner = seat.validator.owner;
        if !attendance.now.contains(&owner) && attendance.now.push(owner).is_err() {
            break;
        }
    }
    if attendance.now.len() > seen_before {
        view.write(Key::Attendance, &attendance);
    }
    Ok(())
}

/// Gives a block's fees to its proposer and counts its transactions, in the term that decided the
/// block.
pub(crate) fn record_proposer<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    decided_by: Epoch,
    proposer: &PublicKey,
    fees: Grains,
    transactions: u64,
) -> Result<(), StateError> {
    let (mut key, mut term) = (Key::CurrentTerm, view.read_or_default::<Term>(Key::CurrentTerm)?);
    if term.epoch != decided_by {
        (key, term) = (Key::PreviousTerm, view.read_or_default(Key::PreviousTerm)?);
    }
    term.transactions = term.transactions.saturating_add(transactions);
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    match term.seat_mut(proposer) {
        Some(seat) if !seat.tombstoned => {
            seat.proposed = seat.proposed.saturating_add(1);
            seat.fees = add(seat.fees, fees);
            totals.fees_in_flight = add(totals.fees_in_flight, fees);
        }
        // A cheat that still proposes until its term ends earns nothing.
        _ => {
            totals.pool = add(totals.pool, fees);
            totals.donated = add(totals.donated, fees);
        }
    }
    view.write(key, &term);
    if !fees.is_zero() {
        view.write(Key::Totals, &totals);
    }
    Ok(())
}

/// Carries the ledger from its epoch to `now`, which is later.
pub(crate) fn transition<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    now: Epoch,
    height: Height,
) -> Result<(), StateError> {
    let terms = view.terms()?;
    if let Some(previous) = &terms.previous {
        energy::settle(view, previous, now)?;
    }
    let ended = terms.current.epoch;
    let last = now.get().min(ended.after(DELAY_EPOCHS_MAX + 1).get());
    for epoch in (ended.get()..=last).map(Epoch::new) {
        donations::vest(view, epoch)?;
        donations::release(view, epoch)?;
        if view.genesis.parameters.rule.locks() {
            stakes::unlock(view, epoch)?;
        }
    }
    associations::count_and_expire(view, now)?;
    donations::spread(view, now)?;
    rotate(view, terms, now, height)
}

fn rotate<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    terms: Terms,
    now: Epoch,
    height: Height,
) -> Result<(), StateError> {
    let (genesis, ended) = (view.genesis, terms.current.epoch);
    let bids: Bids = view.read_or_default(Key::Bids)?;
    let seed = next_seed(&terms.next.seed, &terms.current.fold);
    let frozen = slots::freeze(genesis, &bids, seed);
    let to_come: Vec<_> = terms.next.seats.iter().map(|seat| seat.validator.signer).collect();
    let one_on = now == ended.next();
    let (mut current, next) = if one_on {
        let next = frozen.unwrap_or_else(|| slots::carry_on(&terms.next));
        (terms.next, Term { seed, ..next })
    } else {
        // Epochs without a block: their slots are over; the latest set that was bought serves,
        // and says so unless this is the very epoch it was bought for.
        let carried_on = frozen.is_none() || bids.epoch != now;
        let latest = frozen.unwrap_or_else(|| slots::carry_on(&terms.next));
        let current = Term { seed, carried_on, ..latest };
        let next = slots::carry_on(&current);
        (current, Term { seed: next_seed(&seed, &Digest32::ZERO), ..next })
    };
    inherit_reveals(&mut current.seats, &terms.current.seats);
    (current.epoch, current.begun_at) = (now, height);
    let mut next = Term { epoch: now.next(), ..next };
    inherit_reveals(&mut next.seats, &current.seats);

    if genesis.parameters.rule.locks() {
        let kept = || current.seats.iter().chain(&next.seats);
        stakes::let_go(view, &terms.current, &to_come, &bids, kept, now)?;
    }
    keep_rosters(view, terms.previous.map(|previous| previous.epoch), ended, &current);
    view.write(Key::Bids, &Bids { epoch: now.after(SLOT_LEAD), ..Bids::default() });
    view.write_terms(&Terms { previous: Some(terms.current), current, next });
    let mut attendance: Attendance = view.read_or_default(Key::Attendance)?;
    if !attendance.now.is_empty() {
        attendance.before = core::mem::take(&mut attendance.now);
        view.write(Key::Attendance, &attendance);
    }
    Ok(())
}

/// The seed of the epoch after the next: nobody knew it while its slots were sold.
fn next_seed(seed: &Digest32, fold: &Digest32) -> Digest32 {
    Digest32::of(SEED, &[seed.as_bytes(), fold.as_bytes()])
}

/// A signer that was in charge before goes on where its hash chain stands.
fn inherit_reveals(seats: &mut [Seat], former: &[Seat]) {
    for seat in seats {
        let same = former.iter().find(|f| f.validator.signer == seat.validator.signer);
        if let Some(former) = same {
            seat.reveal = former.reveal;
        }
    }
}

/// Writes the roster of the term that begins, and erases those whose time to be brought to
/// account is over. That of the term that ended stays in any case, its fees and rewards being
/// open; so the one before it, which may lie far back, has its turn now.
fn keep_rosters<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    before: Option<Epoch>,
    ended: Epoch,
    current: &Term,
) {
    let roster = Roster { begun_at: current.begun_at, validators: current.validators() };
    view.write(Key::Roster(current.epoch), &roster);
    let window = view.genesis.parameters.vesting_delay;
    let first = ended.get().saturating_sub(window);
    let keep_from = current.epoch.get().saturating_sub(window);
    let recent = (first..keep_from.min(ended.get())).map(Epoch::new);
    for epoch in recent.chain(before.filter(|epoch| epoch.get() < keep_from)) {
        view.erase(Key::Roster(epoch));
    }
}
