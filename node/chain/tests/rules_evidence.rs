//! What a cheat loses: the rest of its slots, its vesting, its fees, and its key.

mod common;

use common::make::{block_id, double_vote, transfer};
use common::{Chain, OWNER_BALANCE, association, founding_signer, good, owner};
use goodwatt_chain::genesis::Parameters;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::{Key, Tombstone, Vesting};
use goodwatt_chain::transaction::{Action, BuySlot, Transaction, slot_consent};
use goodwatt_chain::units::{Epoch, Grains, Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal};

/// A chain of this many founders with a reward and free energy.
fn chain(founders: u32, change: impl FnOnce(&mut Parameters)) -> Chain {
    Chain::with(founders, |parameters| {
        parameters.epoch_reward = good(120);
        parameters.energy_price = Grains::ZERO;
        parameters.vesting_delay = 4;
        change(parameters);
    })
}

/// Brings a signer to account for a height.
fn accuse(chain: &mut Chain, signer: &SigningKey, height: u64) {
    let evidence = double_vote(chain.ledger.chain(), signer, height);
    let accusation = chain.evidence(&owner(11), evidence);
    chain.seal(&[accusation]);
}

fn refusal(chain: &Chain, signer: &SigningKey, height: u64) -> Refusal {
    let evidence = double_vote(chain.ledger.chain(), signer, height);
    chain.refusal(&chain.evidence(&owner(11), evidence))
}

#[test]
fn a_slot_key_without_money_brings_evidence_for_nothing_and_pays_for_all_else() {
    let mut chain = chain(4, |_| {});
    chain.walk_to(1);
    let (cheat, bringer) = (founding_signer(2), founding_signer(1));
    let height = chain.ledger.tip().height.get();
    let id = *chain.ledger.chain();
    let evidence = Action::SubmitEvidence(Box::new(double_vote(&id, &cheat, height)));
    let free = |nonce, action| Transaction::sign(&id, &bringer, nonce, Grains::ZERO, action);
    let least = chain.parameters().fee_min;
    let refused = chain.refusal(&free(0, transfer(&owner(1), good(1))));
    assert_eq!(refused, Refusal::UnderFee(least));
    chain.seal(&[free(0, evidence.clone())]);
    assert!(has_tombstone(&chain, &cheat));
    assert_eq!(chain.refusal(&free(1, evidence)), Refusal::EvidenceSeen);
}

fn has_tombstone(chain: &Chain, key: &SigningKey) -> bool {
    chain.read::<Tombstone>(Key::Tombstone(key.public())).is_some()
}

fn sits_next(chain: &Chain, owner: &SigningKey) -> bool {
    chain.terms().next.seats.iter().any(|seat| seat.validator.owner == owner.public())
}

#[test]
fn a_cheat_loses_slots_vesting_fees_and_key() {
    let mut chain = chain(4, |_| {});
    for number in 0..4 {
        let bought = chain.buy(&owner(number), good(10));
        chain.seal(&[bought]);
    }
    chain.walk_to(3);
    for number in 0..5 {
        let bought = chain.buy(&owner(number), good(10));
        chain.seal(&[bought]);
    }
    let cheat = owner(2);
    let mut seats = chain.validators().iter();
    let seat = seats.find(|validator| validator.owner == cheat.public()).expect("it sits");
    let signer = chain.signer(&seat.signer).clone();
    assert!(sits_next(&chain, &cheat));
    let height = chain.ledger.tip().height.get();
    let before = chain.totals();
    let of_cheat = |chain: &Chain| {
        let schedules = (0..=8).filter_map(|epoch| {
            let vesting: Option<Vesting> = chain.read(Key::Vesting(Epoch::new(epoch)));
            vesting.map(|vesting| vesting.entries)
        });
        let entries = schedules.flat_map(|entries| entries.to_vec());
        let mine = entries.filter(|(name, _)| name.as_bytes() == cheat.public().as_bytes());
        let terms = chain.terms();
        let terms = [terms.previous.expect("one has ended"), terms.current];
        let seats = terms.into_iter().flat_map(|term| term.seats.to_vec());
        let seats = seats.filter(|seat| seat.validator.owner == cheat.public());
        let fees = seats.map(|seat| seat.fees.get()).sum::<u64>();
        (mine.map(|(_, amount)| amount.get()).sum::<u64>(), fees)
    };
    let (vesting, fees) = of_cheat(&chain);
    assert!(vesting > 0);

    let drawn = chain.drawn().1.owner == cheat.public();
    accuse(&mut chain, &signer, height);
    assert!(has_tombstone(&chain, &cheat) && has_tombstone(&chain, &signer));
    assert_eq!(of_cheat(&chain), (0, 0));
    assert!(!sits_next(&chain, &cheat));
    assert!(chain.bids().bids.iter().all(|bid| bid.validator.owner != cheat.public()));
    assert_eq!(chain.bids().bids.len(), 4, "the others' bids stand");
    let proposed = if drawn { chain.parameters().fee_min.get() } else { 0 };
    let donated = vesting + fees + proposed;
    assert_eq!(chain.totals().pool.get(), before.pool.get() + donated);
    assert_eq!(chain.totals().donated.get(), before.donated.get() + donated);
    chain.audit();

    // It is in charge to the end of its term, for whose part of the reward the pool waits.
    assert!(chain.owners_in_charge().contains(&cheat.public()));
    let before = chain.totals();
    chain.walk_to(5);
    assert!(!chain.owners_in_charge().contains(&cheat.public()));
    assert_eq!(of_cheat(&chain), (0, 0));
    assert!(chain.totals().pool > before.pool);
    let again = chain.buy(&cheat, good(10));
    assert_eq!(chain.refusal(&again), Refusal::Tombstoned);
    assert_eq!(refusal(&chain, &signer, height), Refusal::EvidenceSeen);
    chain.audit();
}

#[test]
fn a_key_with_a_tombstone_signs_no_slot_for_another() {
    let mut chain = chain(4, |_| {});
    accuse(&mut chain, &founding_signer(2), 1);
    let mut slot = chain.slot(&owner(5), good(2));
    slot.signer = founding_signer(2).public();
    let action = Action::BuySlot(slot);
    assert_eq!(chain.refusal(&chain.sign(&owner(5), action)), Refusal::Tombstoned);
}

#[test]
fn the_next_set_goes_without_the_cheat_or_the_present_one_carries_on() {
    let check = |bids: u32, carried_on: bool| {
        let mut chain = chain(4, |parameters| parameters.validators_min = 4);
        for number in 2..2 + bids {
            let bought = chain.buy(&owner(number), good(10));
            chain.seal(&[bought]);
        }
        chain.begin_epoch(1);
        accuse(&mut chain, &founding_signer(2), 1);
        let next = chain.terms().next;
        assert_eq!(next.carried_on, carried_on, "{bids} bids");
        assert!(!sits_next(&chain, &owner(2)));
        assert_eq!(next.seats.len(), 3 + usize::from(!carried_on), "{bids} bids");
        assert_eq!(sits_next(&chain, &owner(0)), carried_on);
        chain.begin_epoch(2);
        assert!(!chain.owners_in_charge().contains(&owner(2).public()));
        assert_eq!(chain.ledger.in_charge().carried_on, carried_on);
        chain.audit();
    };
    check(4, true);
    check(5, false);
}

/// The worst case: the only validator of a chain cheats. The chain goes on with it, for it could
/// not go on without; it earns nothing, and gives way to the first who buys a slot.
#[test]
fn the_last_validator_left_goes_on_for_nothing() {
    let mut chain = chain(1, |_| {});
    accuse(&mut chain, &founding_signer(0), 1);
    for epoch in 1..=6 {
        chain.begin_epoch(epoch);
        let paid = chain.sign(&owner(9), transfer(&owner(8), good(1)));
        chain.seal(&[paid]);
        assert_eq!(chain.owners_in_charge(), [owner(0).public()]);
        assert_eq!(chain.totals().fees_in_flight, Grains::ZERO, "fees are donated at once");
        chain.audit();
    }
    let bought = chain.buy(&owner(5), good(2));
    chain.seal(&[bought]);
    chain.walk_to(8);
    assert_eq!(chain.owners_in_charge(), [owner(5).public()]);
    chain.walk_to(14);
    assert_eq!(chain.balance(&owner(0)), OWNER_BALANCE, "it never earned anything");
    chain.audit();
}

#[test]
fn all_may_be_caught() {
    let mut chain = chain(4, |parameters| parameters.validators_min = 4);
    for number in 0..4 {
        accuse(&mut chain, &founding_signer(number), 1);
        chain.audit();
    }
    assert_eq!(chain.terms().next.seats.len(), 4, "nobody else is left");
    chain.walk_to(10);
    assert_eq!(chain.validators().len(), 4);
    chain.audit();
}

#[test]
fn an_owner_of_several_seats_is_brought_to_account_once() {
    let mut chain = chain(1, |_| {});
    let mut signers = Vec::new();
    for _ in 0..2 {
        let slot = chain.slot(&owner(5), good(2));
        signers.push(chain.signer(&slot.signer).clone());
        let bought = chain.sign(&owner(5), Action::BuySlot(slot));
        chain.seal(&[bought]);
    }
    chain.walk_to(4);
    let height = chain.ledger.tip().height.get();
    accuse(&mut chain, &signers[0], height);
    let pool = chain.totals().pool;
    accuse(&mut chain, &signers[1], height);
    let fees = chain.parameters().fee_min.get();
    assert_eq!(chain.totals().pool.get(), pool.get() + fees, "only the fee of the block itself");
    assert_eq!(refusal(&chain, &signers[1], height), Refusal::EvidenceSeen);
    chain.audit();
}

/// A key may serve a second owner after its first. That the first was caught with it does not make
/// the second safe.
#[test]
fn each_owner_of_a_key_answers_for_its_own_term() {
    let mut chain = chain(1, |parameters| parameters.vesting_delay = 24);
    let slot = chain.slot(&owner(5), good(2));
    let signer = chain.signer(&slot.signer).clone();
    let bought = chain.sign(&owner(5), Action::BuySlot(slot.clone()));
    chain.seal(&[bought]);
    chain.begin_epoch(1);
    for epoch in 2..=4 {
        let other = chain.buy(&owner(6), good(2));
        chain.seal(&[other]);
        chain.begin_epoch(epoch);
    }
    let epoch = chain.bids().epoch;
    let consent = signer.sign(&slot_consent(chain.ledger.chain(), &owner(7).public(), epoch));
    let again = BuySlot { epoch, consent, ..slot };
    let again = chain.sign(&owner(7), Action::BuySlot(again));
    chain.seal(&[again]);
    // The block that began the term before this one was still decided by the key's first term.
    let first = chain.terms().previous.expect("terms have ended").begun_at.get();
    chain.walk_to(7);
    let second = chain.ledger.tip().height.get();
    assert_eq!(chain.owners_in_charge(), [owner(7).public()]);
    accuse(&mut chain, &signer, first);
    assert!(has_tombstone(&chain, &owner(5)) && !has_tombstone(&chain, &owner(7)));
    accuse(&mut chain, &signer, second);
    assert!(has_tombstone(&chain, &owner(7)));
    chain.audit();
}

#[test]
fn evidence_counts_for_the_height_its_signer_was_in_charge_of() {
    let mut chain = chain(1, |_| {});
    let slot = chain.slot(&owner(5), good(2));
    let signer = chain.signer(&slot.signer).clone();
    let bought = chain.sign(&owner(5), Action::BuySlot(slot));
    chain.seal(&[bought]);
    chain.walk_to(2);
    let begun_at = chain.terms().current.begun_at.get();
    chain.walk_to(3);
    let ended_at = chain.terms().current.begun_at.get();
    assert_eq!(refusal(&chain, &signer, begun_at), Refusal::UnknownSigner, "the former set's");
    assert_eq!(refusal(&chain, &founding_signer(0), ended_at), Refusal::UnknownSigner);
    accuse(&mut chain, &signer, ended_at);
    assert!(has_tombstone(&chain, &owner(5)));
}

#[test]
fn evidence_is_too_old_after_the_vesting_delay() {
    let check = |epoch: u64, too_old: bool| {
        let mut chain = chain(2, |_| {});
        for number in 2..4 {
            let bought = chain.buy(&owner(number), good(2));
            chain.seal(&[bought]);
        }
        chain.walk_to(epoch);
        // Heights 1 to 3 were decided by the term of epoch 0.
        let want = if too_old { Refusal::EvidenceTooOld } else { Refusal::EvidenceSeen };
        if !too_old {
            accuse(&mut chain, &founding_signer(1), 2);
            assert!(has_tombstone(&chain, &owner(1)));
        }
        assert_eq!(refusal(&chain, &founding_signer(1), 2), want, "in {epoch}");
        chain.audit();
    };
    check(1, false);
    check(4, false);
    check(5, true);
    check(9, true);
}

/// Carrying on for years does not make a validator answer for what it signed years ago.
#[test]
fn an_old_cheat_of_one_who_still_sits_is_too_old_as_well() {
    let mut chain = chain(2, |_| {});
    chain.walk_to(9);
    assert!(chain.owners_in_charge().contains(&owner(1).public()));
    assert_eq!(refusal(&chain, &founding_signer(1), 2), Refusal::EvidenceTooOld);
    let height = chain.ledger.tip().height.get();
    accuse(&mut chain, &founding_signer(1), height);
}

/// After a pause longer than the vesting delay, the fees and rewards of the term before it are
/// still open, and so is the account of its validators.
#[test]
fn a_pause_does_not_let_a_cheat_escape() {
    let mut chain = chain(2, |_| {});
    for number in 2..4 {
        let bought = chain.buy(&owner(number), good(2));
        chain.seal(&[bought]);
    }
    let height = chain.ledger.tip().height.get();
    chain.begin_epoch(500);
    assert_eq!(chain.owners_in_charge().len(), 2);
    accuse(&mut chain, &founding_signer(1), height);
    let seats = chain.terms().previous.expect("it ended").seats;
    assert!(seats.iter().any(|seat| seat.tombstoned && seat.fees == Grains::ZERO));
    chain.audit();
    for epoch in [501, 502, 507] {
        chain.begin_epoch(epoch);
        chain.audit();
    }
    assert_eq!(refusal(&chain, &founding_signer(0), height), Refusal::EvidenceTooOld);
}

#[test]
fn two_proposals_are_as_good_as_two_votes() {
    let mut chain = chain(2, |_| {});
    let paid = chain.sign(&owner(9), transfer(&association(0), good(1)));
    chain.seal(&[paid]);
    let (id, cheat) = (*chain.ledger.chain(), founding_signer(1));
    let proposal = |block| {
        let (height, round, pol_round) = (Height::new(1), Round::new(3), None);
        let block = block_id(block);
        Proposal { height, round, block, pol_round, signer: cheat.public() }.sign(&id, &cheat)
    };
    let evidence = Evidence::Proposals(proposal(1), proposal(2));
    let accusation = chain.evidence(&owner(11), evidence);
    chain.seal(&[accusation]);
    assert!(has_tombstone(&chain, &owner(1)));
    chain.audit();
}
