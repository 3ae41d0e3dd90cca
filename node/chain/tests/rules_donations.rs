//! Where a slot's price goes: at most a quarter where the buyer likes, the rest to all by rule.

mod common;

use common::make::{renewal, voice};
use common::{ASSOCIATION_BALANCE, Chain, association, good, grains, owner};
use goodwatt_chain::genesis::Parameters;
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::state::{Key, Release, Status};
use goodwatt_chain::transaction::{Action, BallotKind};
use goodwatt_chain::units::{Epoch, Grains};

/// A chain of one founder with this many admitted associations, in epoch 1.
fn chain(associations: u32, change: impl FnOnce(&mut Parameters)) -> (Chain, Vec<AssociationId>) {
    let mut chain = Chain::with(1, |parameters| {
        parameters.vote_window = 1;
        parameters.release_delay = 3;
        change(parameters);
    });
    let senders: Vec<_> = (0..associations).map(association).collect();
    let ids = chain.admit(&senders, &[owner(0)]);
    (chain, ids)
}

/// What an association has beyond what it had at genesis, the request's fee aside.
fn received(chain: &Chain, number: u32) -> Grains {
    let spent = ASSOCIATION_BALANCE.checked_sub(chain.parameters().fee_min).expect("it had more");
    chain.balance(&association(number)).checked_sub(spent).expect("the deposit returned")
}

fn released_in(chain: &Chain, epoch: u64) -> Vec<Grains> {
    let release: Release = chain.read(Key::Release(Epoch::new(epoch))).unwrap_or_default();
    release.entries.iter().map(|(_, amount)| *amount).collect()
}

#[test]
fn a_quarter_goes_where_the_buyer_likes_and_the_rest_to_all() {
    let check = |percent: u8, price: Grains, preferred: u64| {
        let (mut chain, ids) = chain(3, |parameters| parameters.preference_percent = percent);
        let bought = chain.buy_preferring(&owner(5), price, ids[1]);
        chain.seal(&[bought]);
        let granted: u64 = released_in(&chain, 4).iter().map(|amount| amount.get()).sum();
        assert_eq!(granted, preferred, "{percent} % of {price}");
        assert_eq!(chain.totals().pool.get(), price.get() - preferred);
        assert_eq!(chain.standing(ids[1]).donated.get(), preferred);
        chain.audit();
        // The boundary spreads the pool evenly; what cannot be divided stays.
        chain.begin_epoch(2);
        let share = (price.get() - preferred) / 3;
        assert_eq!(released_in(&chain, 5), [grains(share); 3]);
        assert_eq!(chain.totals().pool.get(), (price.get() - preferred) % 3);
        chain.audit();
    };
    check(25, good(8), 2_000_000);
    check(25, grains(8_000_003), 2_000_000);
    check(10, good(8), 800_000);
    check(0, good(8), 0);
}

#[test]
fn money_is_released_in_the_epoch_after_the_delay_and_not_before() {
    let (mut chain, ids) = chain(2, |_| {});
    let bought = chain.buy_preferring(&owner(5), good(8), ids[0]);
    chain.seal(&[bought]);
    // Granted in epoch 1: the preference. At the beginning of epoch 2: a half each of the rest.
    let check = |chain: &Chain, first, second| {
        let have = (received(chain, 0), received(chain, 1));
        assert_eq!(have, (good(first), good(second)), "in {}", chain.epoch());
        assert_eq!(chain.totals().released, good(first + second));
        chain.audit();
    };
    for epoch in 2..=3 {
        chain.begin_epoch(epoch);
        check(&chain, 0, 0);
    }
    chain.begin_epoch(4);
    check(&chain, 2, 0);
    chain.begin_epoch(5);
    check(&chain, 5, 3);
    assert_eq!(chain.totals().releasing, Grains::ZERO);
}

#[test]
fn what_is_over_an_associations_cap_waits_in_the_pool() {
    let (mut chain, ids) = chain(2, |parameters| parameters.association_cap = good(3));
    // A quarter of 16 is 4, one above the cap.
    let bought = chain.buy_preferring(&owner(5), good(16), ids[0]);
    chain.seal(&[bought]);
    assert_eq!(released_in(&chain, 4), [good(3)]);
    assert_eq!(chain.totals().pool, good(13));
    let more = chain.buy_preferring(&owner(5), good(4), ids[0]);
    chain.seal(&[more]);
    assert_eq!(released_in(&chain, 4), [good(3)], "the cap holds for the epoch, not a purchase");
    let other = chain.buy_preferring(&owner(5), good(4), ids[1]);
    chain.seal(&[other]);
    assert_eq!(released_in(&chain, 4), [good(3), good(1)], "each association has its own cap");
    let pool = chain.totals().pool;
    assert_eq!(pool, good(20));
    for epoch in 2..=4 {
        chain.begin_epoch(epoch);
        assert_eq!(released_in(&chain, epoch + 3), [good(3); 2], "a new epoch, a new cap");
        assert_eq!(chain.totals().pool, good(20 - 6 * (epoch as u32 - 1)));
        chain.audit();
    }
    chain.begin_epoch(5);
    assert_eq!(released_in(&chain, 8), [good(1); 2], "the rest is below the cap");
}

#[test]
fn without_an_association_the_pool_waits() {
    let mut chain = Chain::with(1, |parameters| parameters.vote_window = 1);
    let bought = chain.buy(&owner(5), good(8));
    chain.seal(&[bought]);
    chain.walk_to(6);
    assert_eq!(chain.totals().pool, good(8));
    assert_eq!(chain.totals().releasing, Grains::ZERO);
    let voter = owner(5);
    chain.admit(&[association(0)], &[voter]);
    assert_eq!(chain.totals().releasing, good(8), "the first one admitted has it");
    chain.audit();
}

#[test]
fn what_a_removed_association_was_not_given_yet_returns() {
    let (mut chain, ids) = chain(2, |_| {});
    let bought = chain.buy_preferring(&owner(0), good(8), ids[0]);
    let vote = chain.sign_later(&owner(0), 1, voice(ids[0], BallotKind::Removal, true));
    chain.seal(&[bought, vote]);
    assert_eq!(chain.totals().pool, good(6));
    chain.begin_epoch(2);
    let left = Status::Removed { epoch: Epoch::new(2) };
    assert_eq!(chain.standing(ids[0]).status, left);
    assert_eq!(chain.standing(ids[0]).donated, Grains::ZERO);
    assert_eq!(chain.registry().admitted[..], ids[1..]);
    // Its 2 good came back to the pool, and the other association has all 8.
    assert_eq!(chain.totals().pool, Grains::ZERO);
    assert_eq!(chain.totals().releasing, good(8));
    assert_eq!(chain.standing(ids[1]).donated, good(8));
    chain.audit();
    chain.walk_to(8);
    assert_eq!((received(&chain, 0), received(&chain, 1)), (Grains::ZERO, good(8)));
}

#[test]
fn what_an_expired_association_was_not_given_yet_returns() {
    let (mut chain, ids) = chain(1, |parameters| parameters.admission_epochs = 4);
    assert_eq!(chain.standing(ids[0]).status, Status::Admitted { expires: Epoch::new(5) });
    chain.begin_epoch(2);
    let bought = chain.buy(&owner(0), good(8));
    chain.seal(&[bought]);
    chain.walk_to(4);
    assert_eq!(chain.totals().releasing, good(8), "granted in epoch 3 for epoch 6");
    chain.begin_epoch(5);
    assert_eq!(chain.standing(ids[0]).status, Status::Expired { epoch: Epoch::new(5) });
    assert_eq!(chain.totals().pool, good(8));
    chain.audit();
    chain.walk_to(9);
    assert_eq!(received(&chain, 0), Grains::ZERO);
}

#[test]
fn all_associations_that_leave_at_once_give_back_what_they_were_not_given() {
    let (mut chain, ids) = chain(4, |parameters| parameters.admission_epochs = 4);
    let renewed = renewal(&chain, &association(2), ids[2]);
    let action = Action::RenewAssociation(Box::new(renewed));
    let transaction = chain.sign(&association(2), action);
    chain.begin_epoch(2);
    let bought = chain.buy(&owner(0), good(12));
    chain.seal(&[transaction, bought]);
    chain.walk_to(4);
    assert_eq!(chain.totals().releasing, good(12));
    chain.begin_epoch(5);
    assert_eq!(chain.registry().admitted[..], [ids[2]]);
    // Each had 3 good to come; those of the three that left go to the one that renewed.
    assert_eq!(chain.standing(ids[2]).donated, good(12));
    assert_eq!(released_in(&chain, 6), [good(3)]);
    assert_eq!(released_in(&chain, 8), [good(9)]);
    chain.audit();
}

/// With every sink open to it that the rules know (fees, a lost bid, a set that carries on), a
/// buyer ends where it began less all it spent; what it has beyond are the fees it proposed for.
#[test]
fn no_grain_of_a_slots_price_returns_to_its_buyer() {
    let (mut chain, _) = chain(2, |parameters| parameters.validators_max = 2);
    let (before, fee) = (chain.balance(&owner(5)).get(), chain.parameters().fee_min.get());
    let (mut spent, mut sealed) = (0, 0);
    for epoch in 2..=9 {
        for amount in [3, 5, 2] {
            let bought = chain.buy(&owner(5), good(amount));
            chain.seal(&[bought]);
            spent += good(amount).get() + fee;
            sealed += 1;
        }
        chain.begin_epoch(epoch);
        chain.audit();
    }
    chain.walk_to(60);
    let fees = chain.balance(&owner(5)).get() + spent - before;
    assert!(0 < fees && fees <= sealed * fee, "{fees}");
    chain.audit();
}
