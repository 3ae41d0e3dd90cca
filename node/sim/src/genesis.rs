//! The genesis of simulated chains.

use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Grains;

use crate::board::GENESIS_TIME;
use crate::keys::{Keys, association, owner};
use crate::scenario::Scenario;

/// What each owner and each association begins with.
const BALANCE: Grains = Grains::from_good(1_000);
/// How many associations have money.
pub(crate) const ASSOCIATIONS: usize = 64;
/// Below so many the former set carries on, as on a real chain.
pub(crate) const SMALLEST_SET: usize = 4;

pub(crate) fn genesis(scenario: &Scenario, keys: &[Keys]) -> Genesis {
    let founder = |(index, keys): (usize, &Keys)| {
        let (signer, reveal_head) = keys.founding();
        Founder { owner: owner(index).public(), signer, weight: Grains::from_good(1), reveal_head }
    };
    let places =
        usize::from(Parameters { rule: scenario.rule, ..Parameters::default() }.seats_max());
    let accounts = (0..keys.len()).map(owner).chain((0..ASSOCIATIONS).map(association));
    let mut balances: Vec<(PublicKey, Grains)> =
        accounts.map(|key| (key.public(), BALANCE)).collect();
    balances.sort_unstable_by_key(|(key, _)| *key);
    let sentence = "It exists in a simulator alone, for as long as it is looked at.";
    Genesis {
        name: "sim".chars().collect(),
        time: GENESIS_TIME,
        eco: EcoStatement {
            way: EcoWay::Replaces,
            sentence: sentence.chars().collect(),
            measure: "Nothing but the time of one processor.".chars().collect(),
        },
        parameters: Parameters {
            rule: scenario.rule,
            epoch_length: scenario.epoch_length,
            validators_min: keys.len().min(SMALLEST_SET) as u8,
            // So short that all of it happens in a run.
            vote_window: 2,
            cooling_epochs: 1,
            release_delay: 2,
            vesting_delay: 3,
            epoch_reward: Grains::from_good(1),
            ..Parameters::default()
        },
        balances,
        founders: keys.iter().take(places).enumerate().map(founder).collect(),
    }
}
