//! All money there is, for checks.

use super::key::ACCOUNT;
use super::{Account, Key, StateError, Totals, read};
use crate::genesis::Genesis;
use crate::leaves::{BucketIndex, Leaves};
use crate::units::Grains;

/// Whether all money is what genesis gave out and rewards minted, to the last grain. Walks over
/// the whole state.
///
/// # Errors
/// When the store fails or holds something else.
pub fn is_money_conserved(
    genesis: &Genesis,
    leaves: &(impl Leaves + ?Sized),
) -> Result<bool, StateError> {
    let totals: Totals = read(leaves, Key::Totals)?.unwrap_or_default();
    let locked: Grains = read(leaves, Key::Locked)?.unwrap_or_default();
    let Totals { pool, deposits, fees_in_flight, vesting, releasing, minted, .. } = totals;
    let held = [pool, deposits, fees_in_flight, vesting, releasing, locked];
    let held = held.iter().fold(0_u64, |sum, part| sum.saturating_add(part.get()));
    let there = sum_of_balances(leaves)?.saturating_add(held);
    let made = genesis.supply().map_or(0, Grains::get).saturating_add(minted.get());
    Ok(there == made)
}

/// The sum of all balances, in grains. Walks over the whole state: for checks, not for rules.
///
/// # Errors
/// When the store fails or holds something else.
pub fn sum_of_balances(leaves: &(impl Leaves + ?Sized)) -> Result<u64, StateError> {
    let mut sum = 0_u64;
    for index in BucketIndex::all() {
        for (leaf, value) in leaves.bucket(index)?.iter() {
            let Some((&ACCOUNT, record)) = value.split_first() else { continue };
            let account: Account =
                postcard::from_bytes(record).map_err(|_| StateError::Damaged(*leaf))?;
            sum = sum.saturating_add(account.balance.get());
        }
    }
    Ok(sum)
}
