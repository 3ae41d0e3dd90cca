//! Slots: bought in one epoch, frozen at the next boundary, in charge in the epoch after.

mod common;

use common::make::transfer;
use common::{Chain, FOUNDING_WEIGHT, founding_signer, good, grains, owner};
use goodwatt_chain::block::Block;
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::rules::{Refusal, reveals_link};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Epoch, Grains};

fn owners(numbers: &[u32]) -> Vec<PublicKey> {
    numbers.iter().map(|number| owner(*number).public()).collect()
}

fn weights(chain: &Chain) -> Vec<Grains> {
    chain.validators().iter().map(|validator| validator.weight).collect()
}

#[test]
fn a_slot_serves_in_the_second_epoch_after_and_in_no_other() {
    let mut chain = Chain::new(1);
    let bought = chain.buy(&owner(5), good(7));
    chain.seal(&[bought]);
    assert_eq!(chain.owners_in_charge(), owners(&[0]), "epoch 0");
    chain.begin_epoch(1);
    assert_eq!(chain.owners_in_charge(), owners(&[0]), "epoch 1");
    assert_eq!(
        chain.terms().next.validators().iter().next().map(|v| v.owner),
        Some(owner(5).public())
    );
    let again = chain.buy(&owner(6), good(8));
    chain.seal(&[again]);
    chain.begin_epoch(2);
    assert_eq!(chain.owners_in_charge(), owners(&[5]), "epoch 2");
    assert!(!chain.ledger.in_charge().carried_on);
    chain.begin_epoch(3);
    assert_eq!(chain.owners_in_charge(), owners(&[6]), "epoch 3");
    chain.begin_epoch(4);
    assert_eq!(chain.owners_in_charge(), owners(&[6]), "nobody bought epoch 4");
    assert!(chain.ledger.in_charge().carried_on);
}

#[test]
fn the_block_that_begins_an_epoch_is_the_first_too_late_for_the_one_after() {
    let mut chain = Chain::new(1);
    let in_time = chain.buy(&owner(5), good(2));
    chain.seal(&[in_time]);
    chain.move_to(1);
    // Bought in the very block that begins epoch 1: the window is that of epoch 3.
    let early = chain.buy_in(&owner(6), good(50), 2);
    let late = chain.buy_in(&owner(7), good(60), 3);
    let (_, refused) = chain.try_seal(&[early, late]).expect("the block begins the epoch");
    let (asked, open) = (Epoch::new(2), Epoch::new(3));
    assert_eq!(refused, [Refusal::SlotWindowPassed { asked, open }]);
    chain.begin_epoch(2);
    assert_eq!(chain.owners_in_charge(), owners(&[5]));
    chain.begin_epoch(3);
    assert_eq!(chain.owners_in_charge(), owners(&[7]));
}

#[test]
fn who_donates_more_sits_and_weighs_what_it_donated() {
    let mut chain = Chain::with(1, |parameters| parameters.validators_max = 3);
    let bids = [(1, good(5)), (2, good(9)), (3, good(4)), (4, good(7)), (5, good(6))];
    for (number, amount) in bids {
        let bought = chain.buy(&owner(number), amount);
        chain.seal(&[bought]);
    }
    let pool = chain.totals().pool;
    assert_eq!(pool, good(31), "who loses has donated all the same");
    chain.walk_to(2);
    assert_eq!(chain.owners_in_charge(), owners(&[2, 4, 5]));
    assert_eq!(weights(&chain), [good(9), good(7), good(6)], "weight is linear in the donation");
    assert_eq!(chain.validators().total_weight(), good(22).get());
    chain.audit();
}

#[test]
fn splitting_a_donation_gains_no_weight() {
    let split = |parts: &[u32]| {
        let mut chain = Chain::new(1);
        let rival = chain.buy(&owner(9), good(12));
        chain.seal(&[rival]);
        for amount in parts {
            let bought = chain.buy(&owner(5), good(*amount));
            chain.seal(&[bought]);
        }
        chain.walk_to(2);
        let mine = chain.validators().iter().filter(|v| v.owner == owner(5).public());
        (mine.map(|v| v.weight.get()).sum::<u64>(), chain.validators().total_weight())
    };
    assert_eq!(split(&[12]), split(&[1, 2, 4, 5]));
}

#[test]
fn when_all_places_are_taken_a_bid_has_to_be_above_the_lowest() {
    let mut chain = Chain::with(1, |parameters| parameters.validators_max = 2);
    for (number, amount) in [(1, 5), (2, 3), (3, 4), (4, 3)] {
        let bought = chain.buy(&owner(number), good(amount));
        chain.seal(&[bought]);
    }
    for amount in [good(1), good(3)] {
        let late = chain.buy(&owner(5), amount);
        assert_eq!(chain.refusal(&late), Refusal::Underbid(good(3)));
    }
    let above = grains(good(3).get() + 1);
    let late = chain.buy(&owner(5), above);
    chain.seal(&[late]);
    let left: Vec<_> = chain.bids().bids.iter().map(|bid| bid.validator.owner).collect();
    assert_eq!(left, owners(&[1, 2, 3, 5]), "the later of the two lowest gave way");
    chain.audit();
}

#[test]
fn ties_are_drawn_by_hash_of_signer_and_seed() {
    let mut chain = Chain::with(1, |parameters| parameters.validators_max = 3);
    for (number, amount) in [(1, 2), (2, 2), (3, 8), (4, 2), (5, 2), (6, 1)] {
        let bought = chain.buy(&owner(number), good(amount));
        chain.seal(&[bought]);
    }
    let bids = chain.bids();
    chain.walk_to(2);
    let seed = chain.ledger.in_charge().seed;
    let tie = |signer: &PublicKey| {
        let parts: [&[u8]; 2] = [seed.as_bytes(), signer.as_bytes()];
        Digest32::of(Domain::new(b"goodwatt/slot-tie"), &parts)
    };
    let mut tied: Vec<_> =
        bids.bids.iter().map(|b| b.validator).filter(|v| v.weight == good(2)).collect();
    tied.sort_by_key(|validator| tie(&validator.signer));
    let want = [owner(3).public(), tied[0].owner, tied[1].owner];
    assert_eq!(chain.owners_in_charge(), want);
}

#[test]
fn below_the_smallest_set_the_former_carries_on() {
    let check = |bids: u32, carried_on: bool| {
        let mut chain = Chain::with(4, |parameters| parameters.validators_min = 4);
        for number in 4..4 + bids {
            let bought = chain.buy(&owner(number), good(20));
            chain.seal(&[bought]);
        }
        chain.begin_epoch(1);
        assert_eq!(chain.terms().next.carried_on, carried_on, "{bids} bids");
        chain.begin_epoch(2);
        assert_eq!(chain.ledger.in_charge().carried_on, carried_on, "{bids} bids");
        let first = if carried_on { owner(0) } else { owner(4) }.public();
        assert!(chain.owners_in_charge().contains(&first), "{bids} bids");
        assert_eq!(chain.validators().len(), 4);
        // The money of a set that was too small is donated all the same.
        assert_eq!(chain.totals().pool, good(20 * bids));
        chain.audit();
    };
    check(0, true);
    check(3, true);
    check(4, false);
}

#[test]
fn who_carries_on_goes_on_with_its_hash_chain() {
    let mut chain = Chain::new(1);
    let mut last = chain.genesis().founders[0].reveal_head;
    let mut follow = |block: Block| {
        let link = block.header.reveal.expect("it is the first block of a term");
        assert_eq!(reveals_link(&link), last, "no link serves twice");
        last = link;
    };
    for epoch in 1..=6 {
        follow(chain.begin_epoch(epoch));
    }
    let paid = |chain: &Chain| chain.sign(&owner(0), transfer(&owner(1), good(1)));
    let more = paid(&chain);
    follow(chain.seal(&[more]));
    let more = paid(&chain);
    assert_eq!(chain.seal(&[more]).header.reveal, None, "it has revealed in this term");
}

#[test]
fn founders_serve_the_first_two_epochs() {
    let mut chain = Chain::new(3);
    for epoch in 0..2 {
        let in_charge = chain.ledger.in_charge();
        assert_eq!((in_charge.epoch, in_charge.carried_on), (Epoch::new(epoch), false));
        let signers: Vec<_> = chain.validators().iter().map(|v| v.signer).collect();
        assert_eq!(signers, [0, 1, 2].map(|number| founding_signer(number).public()));
        assert_eq!(weights(&chain), [FOUNDING_WEIGHT; 3]);
        chain.begin_epoch(epoch + 1);
    }
    assert!(chain.ledger.in_charge().carried_on, "nobody bought epoch 2");
}
