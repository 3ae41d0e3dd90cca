//! Rewards by weight and participation, fees, and what watts cost.

mod common;

use common::make::{report, transfer};
use common::{Chain, OWNER_BALANCE, founding_signer, genesis, good, grains, owner};
use goodwatt_chain::genesis::Parameters;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, Vesting};
use goodwatt_chain::transaction::{EnergyMethod, Transaction};
use goodwatt_chain::units::{Epoch, Grains};

const HOUR: u64 = 3_600;

/// A reward of 120 good an epoch, and a good for each 1,000 kilojoules.
fn chain(founders: u32, change: impl FnOnce(&mut Parameters)) -> Chain {
    Chain::with(founders, |parameters| {
        parameters.epoch_reward = good(120);
        parameters.energy_price = Grains::ZERO;
        change(parameters);
    })
}

fn vesting_in(chain: &Chain, epoch: u64) -> Vec<(PublicKey, Grains)> {
    let vesting: Vesting = chain.read(Key::Vesting(Epoch::new(epoch))).unwrap_or_default();
    let entries = vesting.entries.iter();
    entries.map(|(name, amount)| (PublicKey::from_bytes(*name.as_bytes()), *amount)).collect()
}

/// Microjoules of a board that draws this many milliwatts for an epoch of an hour.
fn hour_of(milliwatts: u64) -> u64 {
    milliwatts * HOUR * 1_000
}

#[test]
fn the_reward_is_split_by_weight_times_participation() {
    let mut chain = chain(3, |_| {});
    for (number, amount) in [(0, 10), (1, 20), (2, 30)] {
        let bought = chain.buy(&owner(number), good(amount));
        chain.seal(&[bought]);
    }
    chain.walk_to(2);
    // In epoch 2 all three decide two blocks; a third is decided without the lightest.
    let filler = |chain: &Chain| chain.sign(&owner(9), transfer(&owner(8), good(1)));
    let sealed = filler(&chain);
    chain.seal(&[sealed]);
    let sealed = filler(&chain);
    chain.seal(&[sealed]);
    let lightest = chain.validators().iter().find(|v| v.owner == owner(0).public());
    let lightest = lightest.expect("it holds a slot").signer;
    chain.silent.insert(lightest);
    chain.begin_epoch(3);
    let term = chain.terms().previous.expect("a term has ended");
    assert_eq!(
        (term.epoch, term.certificates),
        (Epoch::new(2), 2),
        "the third comes with the next block"
    );
    chain.begin_epoch(4);
    let mut vesting = vesting_in(&chain, 4 + 24);
    let fees: Vec<_> = term.seats.iter().map(|seat| (seat.validator.owner, seat.fees)).collect();
    for (owner, amount) in &mut vesting {
        let fee = fees.iter().find(|(other, _)| other == owner).map_or(0, |(_, fee)| fee.get());
        *amount = grains(amount.get() - fee);
    }
    // 120 good by weight: 20, 40, 60. The lightest signed two of three.
    let by_owner = |number: u32| {
        vesting.iter().find(|(key, _)| *key == owner(number).public()).expect("it earned").1
    };
    assert_eq!(by_owner(2), good(60));
    assert_eq!(by_owner(1), good(40));
    assert_eq!(by_owner(0), grains(good(40).get() / 3));
    chain.audit();
}

#[test]
fn rewards_and_fees_are_had_after_the_vesting_delay() {
    let mut chain = chain(1, |parameters| parameters.vesting_delay = 3);
    let fee = chain.parameters().fee_min;
    let sealed = chain.sign(&owner(9), transfer(&owner(8), good(1)));
    chain.seal(&[sealed]);
    assert_eq!(chain.totals().fees_in_flight, fee);
    chain.begin_epoch(1);
    assert_eq!(chain.totals().vesting, Grains::ZERO, "its energy can still be reported");
    chain.begin_epoch(2);
    assert_eq!(chain.totals().fees_in_flight, Grains::ZERO);
    let earned = good(120).checked_add(fee).expect("small");
    assert_eq!(vesting_in(&chain, 5), [(owner(0).public(), earned)]);
    for epoch in 3..=4 {
        chain.begin_epoch(epoch);
        assert_eq!(chain.balance(&owner(0)), OWNER_BALANCE, "in epoch {epoch}");
        chain.audit();
    }
    chain.begin_epoch(5);
    assert_eq!(chain.balance(&owner(0)), OWNER_BALANCE.checked_add(earned).expect("small"));
    assert_eq!(vesting_in(&chain, 5), []);
    chain.audit();
}

#[test]
fn fees_of_the_block_that_begins_an_epoch_belong_to_the_set_that_decided_it() {
    let mut chain = chain(1, |parameters| parameters.epoch_reward = Grains::ZERO);
    let bought = chain.buy(&owner(5), good(2));
    chain.seal(&[bought]);
    chain.begin_epoch(1);
    chain.move_to(2);
    let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
    chain.seal(&[paid]);
    assert_eq!(chain.owners_in_charge(), [owner(5).public()]);
    let fee = chain.parameters().fee_min;
    let terms = chain.terms();
    assert_eq!(terms.previous.map(|term| term.seats[0].fees), Some(fee));
    assert_eq!(terms.current.seats[0].fees, Grains::ZERO);
    chain.audit();
}

/// What is left of 120 good in epoch 1's settlement, and what the pool got.
fn settled(
    change: impl FnOnce(&mut Parameters),
    report: impl FnOnce(&Chain) -> Option<Transaction>,
) -> (Grains, Grains) {
    let mut chain = chain(1, |parameters| {
        parameters.energy_price = good(1);
        change(parameters);
    });
    chain.begin_epoch(1);
    if let Some(report) = report(&chain) {
        chain.seal(&[report]);
    }
    let pool = chain.totals().pool;
    chain.begin_epoch(2);
    let kept = vesting_in(&chain, 26).first().map_or(Grains::ZERO, |(_, amount)| *amount);
    chain.audit();
    let charged = chain.totals().pool.checked_sub(pool).expect("the pool grows");
    assert_eq!(chain.totals().minted, good(120), "what is charged was minted and donated");
    (kept, charged)
}

#[test]
fn energy_is_paid_from_the_reward_by_report_and_error() {
    let check = |what: Option<(u64, EnergyMethod, u16)>, charge: u64| {
        let (kept, charged) = settled(
            |_| {},
            |chain| {
                let (milliwatts, method, error) = what?;
                let action = report(Epoch::ZERO, hour_of(milliwatts), method, error);
                Some(chain.sign(&owner(0), action))
            },
        );
        assert_eq!(charged, grains(charge), "{what:?}");
        assert_eq!(kept, grains(good(120).get() - charge), "{what:?}");
    };
    // A good for each kilojoule: 10 W for an hour are 36 kJ.
    check(None, 36_000_000);
    check(Some((10_000, EnergyMethod::MeasuredBoardInput, 1)), 36_036_000);
    check(Some((2_500, EnergyMethod::MeasuredBoardInput, 10)), 9_090_000);
    check(Some((2_500, EnergyMethod::MeasuredRails, 10)), 9_090_000);
    check(Some((2_500, EnergyMethod::Modelled, 50)), 9_450_000);
    check(Some((2_500, EnergyMethod::Modelled, 1_000)), 18_000_000);
    check(Some((20_000, EnergyMethod::MeasuredBoardInput, 10)), 72_720_000);
    // More than the reward: it takes all of the reward, and nothing else.
    check(Some((1_000_000, EnergyMethod::MeasuredBoardInput, 1_000)), 120_000_000);
}

#[test]
fn a_model_costs_more_than_a_measurement_of_the_same_board() {
    let charge = |method, error| {
        let action = report(Epoch::ZERO, hour_of(3_000), method, error);
        settled(|_| {}, |chain| Some(chain.sign(&owner(0), action))).1
    };
    let measured = charge(EnergyMethod::MeasuredBoardInput, 20);
    let modelled = charge(EnergyMethod::Modelled, 50);
    assert!(measured < modelled, "{measured} and {modelled}");
}

#[test]
fn energy_takes_the_reward_at_most_and_never_the_fees() {
    let mut chain = chain(1, |parameters| parameters.energy_price = good(1_000));
    let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
    chain.seal(&[paid]);
    chain.walk_to(2);
    let fee = chain.parameters().fee_min;
    assert_eq!(vesting_in(&chain, 26), [(owner(0).public(), fee)]);
    assert_eq!(chain.totals().pool, good(120));
    chain.audit();
}

#[test]
fn an_owner_of_several_seats_pays_for_one_board() {
    let mut chain = chain(1, |parameters| parameters.energy_price = good(1));
    for amount in [4, 6] {
        let bought = chain.buy(&owner(5), good(amount));
        chain.seal(&[bought]);
    }
    chain.walk_to(4);
    let vesting = vesting_in(&chain, 28);
    assert_eq!(vesting, [(owner(5).public(), good(120 - 36))]);
    assert_eq!(
        chain.parameters().assumed_power.over(chain.parameters().epoch_length).get(),
        hour_of(10_000)
    );
    chain.audit();
}

#[test]
fn minting_stops_at_the_largest_supply() {
    let mut genesis = genesis(1, |parameters| {
        parameters.epoch_reward = good(120);
        parameters.energy_price = Grains::ZERO;
        parameters.vesting_delay = 1;
    });
    let room = good(300);
    let supply = genesis.supply().expect("small");
    let rest = Grains::MAX_SUPPLY.checked_sub(supply).and_then(|rest| rest.checked_sub(room));
    let (_, rich) = &mut genesis.balances[0];
    *rich = rich.checked_add(rest.expect("small")).expect("below the supply");
    let mut chain = Chain::from_genesis(genesis);
    for (epoch, minted) in [(1, 0), (2, 120), (3, 240), (4, 300), (5, 300), (9, 300)] {
        chain.walk_to(epoch);
        assert_eq!(chain.totals().minted, good(minted), "in epoch {epoch}");
        chain.audit();
    }
}

#[test]
fn who_signs_nothing_earns_nothing() {
    let mut chain = chain(4, |_| {});
    chain.silent.insert(founding_signer(3).public());
    for _ in 0..5 {
        let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
        chain.seal(&[paid]);
    }
    chain.walk_to(2);
    let paid: Vec<_> = vesting_in(&chain, 26).into_iter().map(|(key, _)| key).collect();
    assert_eq!(paid, [0, 1, 2].map(|number| owner(number).public()));
    assert_eq!(chain.totals().minted, good(90), "its part is not minted");
    chain.audit();
}
