//! Seeds and reveals, and epochs that pass without a block.

mod common;

use std::collections::BTreeSet;

use common::make::{transfer, voice};
use common::{Chain, association, good, owner};
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::ledger::{BlockError, Draft};
use goodwatt_chain::rules::reveals_link;
use goodwatt_chain::transaction::BallotKind;
use goodwatt_chain::units::{Epoch, Grains, Height, Round};

fn fill(chain: &mut Chain) {
    let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
    chain.seal(&[paid]);
}

#[test]
fn the_first_block_of_a_proposer_in_a_term_reveals_the_next_link() {
    let mut chain = Chain::new(1);
    let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
    let honest = chain.draft();
    let link = honest.reveal.expect("it is its first block");
    let other = Digest32::new([7; 32]);
    let check = |chain: &Chain, reveal| {
        let draft = Draft { reveal, ..chain.draft() };
        let refused = chain.ledger.propose(draft, std::slice::from_ref(&paid)).map(drop);
        assert_eq!(refused, Err(BlockError::WrongReveal), "{reveal:?}");
        let mut block = chain.propose(std::slice::from_ref(&paid)).expect("it is honest").block;
        block.header.reveal = reveal;
        assert_eq!(chain.check(&block).map(drop), Err(BlockError::WrongReveal), "{reveal:?}");
    };
    check(&chain, None);
    check(&chain, Some(other));
    check(&chain, Some(reveals_link(&link)));
    fill(&mut chain);
    let (last, revealed) = chain
        .ledger
        .last_reveal(&chain.drawn().1.signer)
        .expect("memory is readable")
        .expect("it holds a seat");
    assert_eq!((last, revealed), (link, true));
    let next = |chain: &Chain, reveal| {
        let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
        let draft = Draft { reveal, ..chain.draft() };
        chain.ledger.propose(draft, &[paid]).map(drop)
    };
    assert_eq!(next(&chain, Some(link)), Err(BlockError::WrongReveal), "repeated");
    assert_eq!(next(&chain, None), Ok(()));
}

#[test]
fn a_seed_folds_the_reveals_of_the_term_in_which_its_slots_were_sold() {
    let mut chain = Chain::new(3);
    let mut folds = Vec::new();
    for epoch in 0..5 {
        let mut fold = Digest32::ZERO;
        let mut revealed = BTreeSet::new();
        for _ in 0..4 {
            let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
            let header = chain.seal(&[paid]).header;
            if let Some(link) = header.reveal {
                assert!(revealed.insert(header.proposer), "each reveals once");
                let parts: [&[u8]; 2] = [fold.as_bytes(), link.as_bytes()];
                fold = Digest32::of(Domain::new(b"goodwatt/seed/fold"), &parts);
            }
        }
        let header = chain.begin_epoch(epoch + 1).header;
        if let Some(link) = header.reveal {
            let parts: [&[u8]; 2] = [fold.as_bytes(), link.as_bytes()];
            fold = Digest32::of(Domain::new(b"goodwatt/seed/fold"), &parts);
        }
        folds.push(fold);
        let terms = chain.terms();
        let parts: [&[u8]; 2] = [terms.current.seed.as_bytes(), folds[epoch as usize].as_bytes()];
        let want = Digest32::of(Domain::new(b"goodwatt/seed"), &parts);
        assert_eq!(terms.next.seed, want, "of epoch {}", epoch + 2);
    }
    let distinct: BTreeSet<_> = folds.iter().collect();
    assert_eq!(distinct.len(), folds.len());
}

#[test]
fn the_seeds_of_the_first_two_epochs_come_from_genesis() {
    let chain = Chain::new(1);
    let terms = chain.terms();
    assert_eq!(terms.current.seed, chain.genesis().seed(Epoch::ZERO));
    assert_eq!(terms.next.seed, chain.genesis().seed(Epoch::new(1)));
    assert_ne!(terms.current.seed, terms.next.seed);
}

/// Two chains that differ in one reveal draw other proposers in the epoch after the next.
#[test]
fn another_reveal_draws_other_proposers() {
    let draws = |silent: u32| {
        let mut chain = Chain::new(4);
        chain.silent.insert(common::founding_signer(silent).public());
        for _ in 0..12 {
            fill(&mut chain);
        }
        chain.silent.clear();
        chain.walk_to(1);
        let same_until_here = chain.ledger.in_charge().seed;
        let proposers: Vec<_> = (0..16)
            .filter_map(|height| {
                let terms = chain.terms();
                let height = Height::new(height);
                let round = Round::ZERO;
                terms.next.validators().proposer(&terms.next.seed, height, round).map(|v| v.owner)
            })
            .collect();
        (same_until_here, proposers)
    };
    let (first, second) = (draws(0), draws(1));
    assert_eq!(first.0, second.0, "the seed of epoch 1 is out of everybody's reach");
    assert_ne!(first.1, second.1);
}

/// A chain with money on every path: bids, releases, vesting, fees, deposits and two open votes.
fn busy() -> Chain {
    let mut chain = Chain::with(4, |parameters| {
        parameters.epoch_reward = good(120);
        parameters.vote_window = 3;
        parameters.admission_epochs = 100;
    });
    let voters = [0, 1, 2, 3].map(owner);
    let ids = chain.admit(&[association(0), association(1)], &voters);
    for number in 0..5 {
        let bought = chain.buy_preferring(&owner(number), good(20), ids[0]);
        chain.seal(&[bought]);
    }
    chain.begin_epoch(4);
    for number in 0..4 {
        let bought = chain.buy_preferring(&owner(number), good(30), ids[1]);
        chain.seal(&[bought]);
    }
    let (_, request) = chain.ask(&association(2));
    let removal = voice(ids[0], BallotKind::Removal, true);
    let votes = voters.each_ref().map(|voter| chain.sign(voter, removal.clone()));
    chain.seal(&[request]);
    chain.seal(&votes);
    chain
}

#[test]
fn epochs_without_a_block_lose_nothing() {
    for skipped in [1, 2, 3, 24, 169, 1_000, 1_000_000] {
        let mut chain = busy();
        let before = chain.totals();
        let reads = {
            chain.move_to(4 + skipped);
            chain.reads_of(&[])
        };
        chain.begin_epoch(4 + skipped);
        let audit = chain.audit();
        assert!(reads < 1_500, "{reads} reads for {skipped} epochs");
        assert!(audit.rosters <= 6, "{audit:?}");
        let seen = (chain.epoch(), chain.ledger.in_charge().carried_on);
        // Epoch 5 was bought by nobody but the five of epoch 3; epoch 6 by four.
        let sits: BTreeSet<_> = chain.owners_in_charge().into_iter().collect();
        let want: BTreeSet<_> =
            (0..if skipped == 1 { 5 } else { 4 }).map(|n| owner(n).public()).collect();
        assert_eq!(sits, want, "{skipped} epochs");
        assert_eq!(seen, (Epoch::new(4 + skipped), skipped > 2), "{skipped} epochs");
        let totals = chain.totals();
        if skipped >= 3 {
            assert_eq!(totals.deposits, Grains::ZERO, "the vote was counted");
            assert_eq!(chain.registry().admitted.len(), usize::from(skipped < 97));
        }
        if skipped >= 169 {
            assert!(totals.released > before.released, "what was due is paid");
        }
        // And it goes on as ever.
        for epoch in 1..=30 {
            chain.begin_epoch(4 + skipped + epoch);
        }
        let last = chain.audit();
        assert!(last.rosters <= 26, "{last:?}");
        assert_eq!(chain.totals().fees_in_flight, Grains::ZERO);
    }
}

/// What a block costs depends on what it does, not on how many came before it.
#[test]
fn the_work_of_a_block_does_not_grow_with_the_chain() {
    let mut chain = Chain::new(1).unchecked();
    let work = |chain: &mut Chain| {
        let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
        let bought = chain.buy(&owner(7), good(2));
        (chain.reads_of(std::slice::from_ref(&paid)), chain.reads_of(&[paid, bought]))
    };
    while chain.ledger.tip().height.get() < 30 {
        fill(&mut chain);
    }
    chain.walk_to(30);
    let early = work(&mut chain);
    while chain.ledger.tip().height.get() < 3_000 {
        fill(&mut chain);
        if chain.ledger.tip().height.get().is_multiple_of(500) {
            chain.begin_epoch(chain.epoch().get() + 1);
        }
    }
    assert_eq!(work(&mut chain), early, "reads at height 60 and at height 3,000");
    chain.audit();
}
