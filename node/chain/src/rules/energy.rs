//! Watts count: reports on energy, and what they cost a reward.

use goodwatt_units::{MicroWatts, Millis};

use super::{ExecuteError, Refusal};
use crate::genesis::{Genesis, Parameters};
use crate::hash::Digest32;
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{Key, Reported, Seat, StateError, Term, Totals, Vesting, View, add};
use crate::transaction::{EnergyMethod, ReportEnergy};
use crate::units::{Epoch, Grains};

/// The least mean power a report may claim: no board that runs Linux draws less.
const POWER_MIN: MicroWatts = MicroWatts::from_milliwatts(10);
/// The most mean power a report may claim.
const POWER_MAX: MicroWatts = MicroWatts::from_milliwatts(1_000_000);
/// The least error bound of a modelled figure: 5 %.
const MODELLED_ERROR_MIN: u16 = 50;
const MICROJOULES_PER_KILOJOULE: u128 = 1_000_000_000;

/// Takes one validator's report on the term that ended last: from its owner, or from the slot key
/// of one of its seats, which is what a board holds.
pub(super) fn report<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    sender: &PublicKey,
    report: &ReportEnergy,
) -> Result<(), ExecuteError> {
    check_figure(report, view.genesis.parameters.epoch_length)?;
    let mut term: Term = view.read(Key::PreviousTerm)?.ok_or(Refusal::NothingToReport)?;
    if report.epoch != term.epoch {
        return Err(Refusal::WrongReportEpoch(term.epoch).into());
    }
    // An owner of several seats runs one board: its report stands at its first seat.
    let sent_by = |seat: &&Seat| {
        let validator = &seat.validator;
        validator.owner == *sender || validator.signer == *sender
    };
    let owner = term.seats.iter().find(sent_by).map(|seat| seat.validator.owner);
    let seat = term.seats.iter_mut().find(|seat| Some(seat.validator.owner) == owner);
    let seat = seat.ok_or(Refusal::NotValidatorOfTerm)?;
    if seat.reported.is_some() {
        return Err(Refusal::ReportedTwice.into());
    }
    let ReportEnergy { energy, method, error_permille, .. } = *report;
    seat.reported = Some(Reported { energy, method, error_permille });
    view.write(Key::PreviousTerm, &term);
    Ok(())
}

fn check_figure(report: &ReportEnergy, length: Millis) -> Result<(), Refusal> {
    let range = POWER_MIN.over(length)..=POWER_MAX.over(length);
    if !range.contains(&report.energy) {
        return Err(Refusal::AbsurdEnergy);
    }
    let least = match report.method {
        EnergyMethod::Modelled => MODELLED_ERROR_MIN,
        _ => 1,
    };
    if (least..=1_000).contains(&report.error_permille) {
        Ok(())
    } else {
        Err(Refusal::AbsurdError)
    }
}

/// The upper end of the reported figure, in microjoules; rounds down, saturates.
fn with_error(report: &Reported) -> u64 {
    let upper = u128::from(report.energy.get()) * (1_000 + u128::from(report.error_permille));
    u64::try_from(upper / 1_000).unwrap_or(u64::MAX)
}

/// Splits the reward of an ended term, lets each owner pay for its energy, and schedules the rest
/// together with the fees to vest.
pub(super) fn settle<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    term: &Term,
    now: Epoch,
) -> Result<(), StateError> {
    let parameters = &view.genesis.parameters;
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    let due = Key::Vesting(now.after(parameters.vesting_delay));
    let mut vesting: Vesting = view.read_or_default(due)?;
    let mintable = mintable(view.genesis);
    for (first, owner) in owners(term) {
        let earned = earned(term, parameters, owner).min(mintable.saturating_sub(totals.minted));
        let charge = charge(parameters, first).min(earned);
        let fees = seats_of(term, owner).fold(Grains::ZERO, |sum, seat| add(sum, seat.fees));
        totals.minted = add(totals.minted, earned);
        totals.fees_in_flight = totals.fees_in_flight.saturating_sub(fees);
        let kept = add(earned.saturating_sub(charge), fees);
        let (donated, vested) =
            if first.tombstoned { (add(charge, kept), Grains::ZERO) } else { (charge, kept) };
        totals.pool = add(totals.pool, donated);
        totals.donated = add(totals.donated, donated);
        if !vested.is_zero() {
            // A term has at most as many owners as a schedule has places, and each due epoch
            // belongs to one settlement.
            let placed = vesting.add(Digest32::new(*owner.as_bytes()), vested);
            let part = if placed { &mut totals.vesting } else { &mut totals.pool };
            *part = add(*part, vested);
        }
    }
    view.write(due, &vesting);
    view.write(Key::Totals, &totals);
    Ok(())
}

/// How much `minted` may come to: the largest supply less what genesis gave out.
fn mintable(genesis: &Genesis) -> Grains {
    Grains::MAX_SUPPLY.saturating_sub(genesis.supply().unwrap_or(Grains::MAX_SUPPLY))
}

/// Each owner of a term once, with its first seat.
fn owners(term: &Term) -> impl Iterator<Item = (&Seat, &PublicKey)> {
    term.seats.iter().enumerate().filter_map(|(index, seat)| {
        let owner = &seat.validator.owner;
        let before = term.seats.iter().take(index).any(|other| other.validator.owner == *owner);
        (!before).then_some((seat, owner))
    })
}

fn seats_of<'a>(term: &'a Term, owner: &'a PublicKey) -> impl Iterator<Item = &'a Seat> {
    term.seats.iter().filter(move |seat| seat.validator.owner == *owner)
}

/// An owner's part of the reward: by weight and by the certificates it signed; rounds down.
fn earned(term: &Term, parameters: &Parameters, owner: &PublicKey) -> Grains {
    let weight = u128::from(term.validators().total_weight());
    seats_of(term, owner).fold(Grains::ZERO, |sum, seat| {
        let by_weight =
            parameters.epoch_reward.mul_div_floor(u128::from(seat.validator.weight.get()), weight);
        add(sum, by_weight.mul_div_floor(seat.signed.into(), term.certificates.into()))
    })
}

/// What an owner's energy costs: by its report, or by the assumed power; rounds down.
fn charge(parameters: &Parameters, first: &Seat) -> Grains {
    let assumed = parameters.assumed_power.over(parameters.epoch_length).get();
    let energy = first.reported.as_ref().map_or(assumed, with_error);
    parameters.energy_price.mul_div_floor(energy.into(), MICROJOULES_PER_KILOJOULE)
}
