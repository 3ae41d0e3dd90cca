//! Where donated money goes: into the pool, from there to the associations, each after its delay.

use alloc::collections::BTreeMap;

use crate::hash::{AssociationId, Digest32};
use crate::leaves::Leaves;
use crate::signature::PublicKey;
use crate::state::{
    Key, Registry, Release, Schedule, Standing, StateError, Totals, Vesting, View, add,
};
use crate::units::{Epoch, Grains};

impl<const N: usize> Schedule<N> {
    /// Adds to what `name` is given; false when no place is left for a new name.
    pub(super) fn add(&mut self, name: Digest32, amount: Grains) -> bool {
        match self.entries.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum = add(*sum, amount),
            None => return self.entries.push((name, amount)).is_ok(),
        }
        true
    }

    /// Takes out what `name` would be given.
    pub(super) fn strike(&mut self, name: &Digest32) -> Grains {
        let at = self.entries.iter().position(|(other, _)| other == name);
        at.and_then(|at| self.entries.remove(at)).map_or(Grains::ZERO, |(_, amount)| amount)
    }
}

/// A slot's price: the buyer's part to the preferred association, the rest into the pool.
pub(super) fn donate<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
    amount: Grains,
    preference: Option<AssociationId>,
) -> Result<(), StateError> {
    let percent = u128::from(view.genesis.parameters.preference_percent);
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    let mut rest = amount;
    if let Some(id) = preference {
        let due = release_epoch(view, epoch);
        let mut release: Release = view.read_or_default(due)?;
        let granted = grant(view, &mut release, epoch, id, amount.mul_div_floor(percent, 100))?;
        view.write(due, &release);
        totals.releasing = add(totals.releasing, granted);
        rest = amount.saturating_sub(granted);
    }
    totals.pool = add(totals.pool, rest);
    totals.donated = add(totals.donated, amount);
    view.write(Key::Totals, &totals);
    Ok(())
}

const fn release_epoch<L: Leaves + ?Sized>(view: &View<'_, L>, epoch: Epoch) -> Key {
    Key::Release(epoch.after(view.genesis.parameters.release_delay))
}

/// Schedules up to `amount` for an association, within its cap for the epoch; gives what it was.
fn grant<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    release: &mut Release,
    epoch: Epoch,
    id: AssociationId,
    amount: Grains,
) -> Result<Grains, StateError> {
    let key = Key::Standing(id);
    let Some(mut standing) = view.read::<Standing>(key)? else {
        return Ok(Grains::ZERO);
    };
    if standing.granted_in != epoch {
        (standing.granted_in, standing.granted) = (epoch, Grains::ZERO);
    }
    let room = view.genesis.parameters.association_cap.saturating_sub(standing.granted);
    let granted = amount.min(room);
    if granted.is_zero() || !release.add(id.0, granted) {
        return Ok(Grains::ZERO);
    }
    standing.granted = add(standing.granted, granted);
    standing.donated = add(standing.donated, granted);
    view.write(key, &standing);
    Ok(granted)
}

/// Spreads the pool evenly over all admitted associations; what is over a cap, and the remainder
/// of the division, stay in it.
pub(super) fn spread<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
) -> Result<(), StateError> {
    let registry: Registry = view.read_or_default(Key::Registry)?;
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    let share = totals.pool.mul_div_floor(1, registry.admitted.len() as u128);
    if share.is_zero() {
        return Ok(());
    }
    let due = release_epoch(view, epoch);
    let mut release: Release = view.read_or_default(due)?;
    for id in &registry.admitted {
        let granted = grant(view, &mut release, epoch, *id, share)?;
        totals.pool = totals.pool.saturating_sub(granted);
        totals.releasing = add(totals.releasing, granted);
    }
    view.write(due, &release);
    view.write(Key::Totals, &totals);
    Ok(())
}

/// Pays out the releases of one epoch.
pub(super) fn release<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
) -> Result<(), StateError> {
    let Some(release) = view.read::<Release>(Key::Release(epoch))? else {
        return Ok(());
    };
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    for (name, amount) in &release.entries {
        let key = Key::Standing(AssociationId(*name));
        totals.releasing = totals.releasing.saturating_sub(*amount);
        match view.read::<Standing>(key)? {
            Some(mut standing) => {
                standing.released = add(standing.released, *amount);
                totals.released = add(totals.released, *amount);
                view.write(key, &standing);
                view.credit(&standing.key, *amount)?;
            }
            // One that left takes nothing with it: what is still scheduled is struck then.
            None => totals.pool = add(totals.pool, *amount),
        }
    }
    view.erase(Key::Release(epoch));
    view.write(Key::Totals, &totals);
    Ok(())
}

/// Returns what associations were not given yet to the pool: of all that leave in one pass, as
/// each schedule may name every association there is.
pub(super) fn strike_releases<'a, L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
    leaving: impl Iterator<Item = &'a AssociationId>,
) -> Result<(), StateError> {
    let mut struck: BTreeMap<_, _> = leaving.map(|id| (id.0, Grains::ZERO)).collect();
    if struck.is_empty() {
        return Ok(());
    }
    for ahead in 0..=view.genesis.parameters.release_delay {
        let due = Key::Release(epoch.after(ahead));
        if let Some(mut release) = view.read::<Release>(due)? {
            release.entries.retain(|(name, amount)| {
                let sum = struck.get_mut(name);
                sum.map(|sum| *sum = add(*sum, *amount)).is_none()
            });
            view.write(due, &release);
        }
    }
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    for (name, amount) in struck {
        totals.releasing = totals.releasing.saturating_sub(amount);
        totals.pool = add(totals.pool, amount);
        let key = Key::Standing(AssociationId(name));
        if let Some(mut standing) = view.read::<Standing>(key)? {
            standing.donated = standing.donated.saturating_sub(amount);
            view.write(key, &standing);
        }
    }
    view.write(Key::Totals, &totals);
    Ok(())
}

/// Pays out the rewards of one epoch.
pub(super) fn vest<L: Leaves + ?Sized>(
    view: &mut View<'_, L>,
    epoch: Epoch,
) -> Result<(), StateError> {
    let Some(vesting) = view.read::<Vesting>(Key::Vesting(epoch))? else {
        return Ok(());
    };
    let mut totals: Totals = view.read_or_default(Key::Totals)?;
    for (name, amount) in &vesting.entries {
        totals.vesting = totals.vesting.saturating_sub(*amount);
        view.credit(&PublicKey::from_bytes(*name.as_bytes()), *amount)?;
    }
    view.erase(Key::Vesting(epoch));
    view.write(Key::Totals, &totals);
    Ok(())
}
