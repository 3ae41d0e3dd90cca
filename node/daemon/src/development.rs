//! A development chain: one validator, one owner who has everything, short epochs.

use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Grains, UnixMillis};
use goodwatt_units::Millis;

use crate::signers::Signer;

/// What the owner of a development chain begins with.
const OWNER_BALANCE: Grains = Grains::from_good(1_000_000);
/// The weight of the founding slot.
const FOUNDING_WEIGHT: Grains = Grains::from_good(1);

/// Genesis of a development chain.
///
/// Votes close and donations are released within two epochs, so that a person sees all of it.
/// Further accounts may be given balances by the caller.
#[must_use]
pub fn genesis(
    name: &str,
    time: UnixMillis,
    epoch_length: Millis,
    owner: PublicKey,
    signer: &Signer,
    others: &[(PublicKey, Grains)],
) -> Genesis {
    let founder = Founder {
        owner,
        signer: signer.public(),
        weight: FOUNDING_WEIGHT,
        reveal_head: signer.reveal_head(),
    };
    let mut balances = vec![(owner, OWNER_BALANCE)];
    balances.extend_from_slice(others);
    balances.sort_unstable_by_key(|(key, _)| *key);
    Genesis {
        name: name.chars().take(32).collect(),
        time,
        eco: EcoStatement {
            way: EcoWay::Replaces,
            sentence: fixed("It tries out a ledger that needs two watts instead of a data centre."),
            measure: fixed("goodwatt power prints the watts of the board, with method and error."),
        },
        parameters: Parameters {
            epoch_length,
            validators_min: 1,
            vote_window: 1,
            release_delay: 1,
            vesting_delay: 2,
            cooling_epochs: 1,
            epoch_reward: Grains::from_good(1),
            ..Parameters::default()
        },
        balances,
        founders: [founder].into_iter().collect(),
    }
}

fn fixed<const N: usize>(text: &str) -> heapless::String<N> {
    text.chars().collect()
}
