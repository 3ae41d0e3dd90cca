//! Rules that lock coins: whose they stay, when they return, and when they are lost.

mod common;

use common::make::double_vote;
use common::{Chain, FOUNDING_WEIGHT, OWNER_BALANCE, founding_signer, good, owner};
use goodwatt_chain::genesis::{DELEGATES_MAX, GenesisError, Parameters, Rule};
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{BACKERS_MAX, Key};
use goodwatt_chain::transaction::{Action, BuySlot, Delegate, Transaction};
use goodwatt_chain::units::{Epoch, Grains};

const DELAY: u64 = 3;

fn chain(rule: Rule, founders: u32, change: impl FnOnce(&mut Parameters)) -> Chain {
    Chain::with(founders, |parameters| {
        parameters.rule = rule;
        parameters.vesting_delay = DELAY;
        // So that balances change by stakes alone.
        parameters.fee_min = Grains::ZERO;
        change(parameters);
    })
}

/// What an account has.
fn money(chain: &Chain, key: &SigningKey) -> Grains {
    chain.balance(key)
}

fn locked(chain: &Chain) -> Grains {
    chain.read(Key::Locked).unwrap_or_default()
}

fn less(amount: Grains) -> Grains {
    OWNER_BALANCE.checked_sub(amount).expect("less than it has")
}

fn back(chain: &Chain, voter: &SigningKey, signer: PublicKey, amount: Grains) -> Transaction {
    let epoch = chain.bids().epoch;
    chain.sign(voter, Action::Delegate(Delegate { epoch, signer, amount }))
}

fn accuse(chain: &mut Chain, cheat: &SigningKey, height: u64) {
    let evidence = double_vote(chain.ledger.chain(), cheat, height);
    let brought = chain.evidence(&owner(9), evidence);
    chain.seal(&[brought]);
    chain.audit();
}

#[test]
fn a_founder_locks_its_weight_out_of_its_balance() {
    for (rule, want) in [
        (Rule::GoodWill, OWNER_BALANCE),
        (Rule::Stake, less(FOUNDING_WEIGHT)),
        (Rule::Delegated, less(FOUNDING_WEIGHT)),
    ] {
        let chain = chain(rule, 4, |_| {});
        assert_eq!(chain.balance(&owner(0)), want, "{rule:?}");
        chain.audit();
    }
    let mut genesis = common::genesis(4, |parameters| parameters.rule = Rule::Stake);
    let poor = genesis.founders[2].owner;
    let at = genesis.balances.iter().position(|(key, _)| *key == poor).expect("it is there");
    genesis.balances[at].1 = FOUNDING_WEIGHT;
    assert_eq!(genesis.check(), Ok(()), "just enough");
    let one_less = FOUNDING_WEIGHT.get() - 1;
    genesis.balances[at].1 = Grains::new(one_less).expect("little");
    assert_eq!(genesis.check(), Err(GenesisError::UnbackedFounder(poor)));
    genesis.parameters.rule = Rule::GoodWill;
    assert_eq!(genesis.check(), Ok(()), "a donation was made before");
}

#[test]
fn a_stake_returns_the_vesting_delay_after_its_term_and_not_one_epoch_before() {
    let mut chain = chain(Rule::Stake, 1, |_| {});
    for buyer in [5, 6] {
        let bought = chain.buy(&owner(buyer), good(7));
        chain.seal(&[bought]);
        assert_eq!(chain.totals().pool, Grains::ZERO, "nothing is donated");
        chain.begin_epoch(chain.epoch().next().get());
        chain.audit();
    }
    // Owner 5 serves in epoch 2, owner 6 from 3 on, as nobody buys any more.
    for epoch in 2..2 + 1 + DELAY {
        if chain.epoch().get() < epoch {
            chain.begin_epoch(epoch);
        }
        assert_eq!(money(&chain, &owner(5)), less(good(7)), "epoch {epoch}");
        chain.audit();
    }
    chain.begin_epoch(2 + 1 + DELAY);
    assert_eq!(money(&chain, &owner(5)), OWNER_BALANCE);
    assert_eq!(chain.balance(&owner(0)), OWNER_BALANCE, "the founder's came back before");
    chain.walk_to(20);
    assert_eq!(money(&chain, &owner(6)), less(good(7)), "who carries on stays locked");
    assert_eq!(locked(&chain), good(7));
    chain.audit();
}

#[test]
fn a_stake_that_never_serves_returns_at_once() {
    let mut chain = chain(Rule::Stake, 1, |parameters| {
        parameters.validators_max = 1;
        parameters.validators_min = 1;
    });
    for (buyer, amount) in [(5, 4), (6, 5), (7, 6)] {
        let bought = chain.buy(&owner(buyer), good(amount));
        chain.seal(&[bought]);
        chain.audit();
    }
    // Two places for bids: the lowest was outbid.
    assert_eq!(money(&chain, &owner(5)), OWNER_BALANCE);
    assert_eq!(money(&chain, &owner(6)), less(good(5)));
    chain.begin_epoch(1);
    assert_eq!(money(&chain, &owner(6)), OWNER_BALANCE, "it lost when the set was frozen");
    assert_eq!(money(&chain, &owner(7)), less(good(6)));
    chain.audit();
}

#[test]
fn bids_below_the_smallest_set_return_and_the_former_set_stays_locked() {
    let mut chain = chain(Rule::Stake, 4, |parameters| parameters.validators_min = 4);
    for buyer in [5, 6, 7] {
        let bought = chain.buy(&owner(buyer), good(9));
        chain.seal(&[bought]);
    }
    chain.walk_to(12);
    for buyer in [5, 6, 7] {
        assert_eq!(money(&chain, &owner(buyer)), OWNER_BALANCE, "owner {buyer}");
    }
    assert_eq!(locked(&chain), good(40), "the founders carry on");
    assert!(chain.ledger.in_charge().carried_on);
    chain.audit();
}

#[test]
fn epochs_without_a_block_neither_lose_nor_keep_a_stake() {
    let mut chain = chain(Rule::Stake, 1, |_| {});
    let bought = chain.buy(&owner(5), good(7));
    chain.seal(&[bought]);
    chain.begin_epoch(1);
    let bought = chain.buy(&owner(6), good(8));
    chain.seal(&[bought]);
    // Owner 5 was to serve in epoch 2, which has no block.
    chain.begin_epoch(300);
    assert_eq!(money(&chain, &owner(5)), OWNER_BALANCE, "it never served");
    assert_eq!(money(&chain, &owner(6)), less(good(8)));
    chain.audit();
    let bought = chain.buy(&owner(7), good(9));
    chain.seal(&[bought]);
    chain.walk_to(302 + DELAY + 1);
    assert_eq!(money(&chain, &owner(6)), OWNER_BALANCE);
    assert_eq!(locked(&chain), good(9));
    chain.audit();
}

#[test]
fn evidence_takes_the_stake_wherever_it_waits() {
    // Owner 2 cheats as a founder, and has bought a slot in epoch 2. When the evidence comes, its
    // stakes wait in the set in charge, as a bid, in the frozen set, or to be given back.
    let check = |at: u64, lost: bool| {
        let mut chain = chain(Rule::Stake, 4, |_| {});
        let slot = chain.slot(&owner(2), good(7));
        let bought = chain.sign(&owner(2), Action::BuySlot(slot));
        chain.seal(&[bought]);
        for epoch in 1..=at {
            chain.begin_epoch(epoch);
            let replaced = chain.buy(&owner(6), good(7));
            chain.seal(&[replaced]);
        }
        let evidence = double_vote(chain.ledger.chain(), &founding_signer(2), 1);
        let brought = chain.evidence(&owner(9), evidence);
        if lost {
            chain.seal(&[brought]);
            assert_eq!(money(&chain, &owner(2)), less(good(17)), "epoch {at}");
            assert_eq!(chain.totals().pool, good(17));
            assert_eq!(chain.totals().donated, good(17));
        } else {
            assert_eq!(chain.refusal(&brought), Refusal::EvidenceTooOld);
        }
        chain.audit();
        chain.walk_to(at + 12);
        assert_eq!(money(&chain, &owner(2)) == OWNER_BALANCE, !lost, "epoch {at}");
        chain.audit();
    };
    // Founders serve in epochs 0 and 1; height 1 counts for the vesting delay after epoch 0.
    for epoch in 0..=DELAY {
        check(epoch, true);
    }
    check(DELAY + 1, false);
}

#[test]
fn evidence_returns_the_frozen_stakes_of_others_when_their_set_falls_below_the_smallest() {
    let mut chain = chain(Rule::Stake, 4, |parameters| parameters.validators_min = 4);
    for buyer in 2..6 {
        let bought = chain.buy(&owner(buyer), good(7));
        chain.seal(&[bought]);
    }
    chain.begin_epoch(1);
    accuse(&mut chain, &founding_signer(2), 1);
    assert!(chain.terms().next.carried_on);
    assert_eq!(money(&chain, &owner(5)), OWNER_BALANCE, "it will not serve");
    assert_eq!(money(&chain, &owner(2)), less(good(17)), "both of the cheat's are gone");
    assert_eq!(money(&chain, &owner(3)), less(FOUNDING_WEIGHT), "who carries on stays");
    // Once more, by the same owner's other key: nothing is taken twice.
    chain.walk_to(9);
    assert_eq!(chain.totals().pool, good(17));
    chain.audit();
}

#[test]
fn what_the_rule_of_a_chain_does_not_know_is_refused() {
    let preference = Some(AssociationId::default());
    for rule in Rule::ALL {
        let mut chain = chain(rule, 4, |_| {});
        let slot = chain.slot(&owner(5), good(2));
        let (epoch, signer) = (slot.epoch, slot.signer);
        let preferring = BuySlot { preference, ..slot.clone() };
        let want = match rule {
            Rule::GoodWill => Refusal::PreferenceNotAdmitted,
            Rule::Stake | Rule::Delegated => Refusal::NothingDonated,
        };
        let refused = chain.refusal(&chain.sign(&owner(5), Action::BuySlot(preferring)));
        assert_eq!(refused, want, "{rule:?}");
        let bought = chain.sign(&owner(5), Action::BuySlot(slot));
        chain.seal(&[bought]);
        let delegation = Delegate { epoch, signer, amount: good(1) };
        let vote = chain.sign(&owner(6), Action::Delegate(delegation));
        match rule {
            Rule::Delegated => drop(chain.seal(&[vote])),
            _ => assert_eq!(chain.refusal(&vote), Refusal::NoDelegates, "{rule:?}"),
        }
        chain.audit();
    }
}

#[test]
fn a_slot_key_is_taken_while_something_is_locked_behind_it() {
    let mut chain = chain(Rule::Stake, 1, |_| {});
    let slot = chain.slot(&owner(5), good(7));
    let bought = chain.sign(&owner(5), Action::BuySlot(slot.clone()));
    chain.seal(&[bought]);
    chain.begin_epoch(1);
    let bought = chain.buy(&owner(6), good(7));
    chain.seal(&[bought]);
    let again = |chain: &mut Chain| {
        let fresh = chain.slot(&owner(5), good(3));
        let digest = goodwatt_chain::transaction::slot_consent(
            chain.ledger.chain(),
            &owner(5).public(),
            fresh.epoch,
        );
        let consent = chain.signer(&slot.signer).sign(&digest);
        let slot = BuySlot { signer: slot.signer, consent, ..fresh };
        chain.sign(&owner(5), Action::BuySlot(slot))
    };
    for epoch in 2..2 + 1 + DELAY {
        chain.begin_epoch(epoch);
        let taken = again(&mut chain);
        assert_eq!(chain.refusal(&taken), Refusal::SignerTaken, "epoch {epoch}");
    }
    chain.begin_epoch(2 + 1 + DELAY);
    let free = again(&mut chain);
    chain.seal(&[free]);
    chain.audit();
}

#[test]
fn those_with_most_behind_them_validate_and_weigh_it() {
    let mut chain = chain(Rule::Delegated, 1, |parameters| parameters.validators_max = 2);
    let mut signers = Vec::new();
    for (buyer, amount) in [(5, 9), (6, 8), (7, 1)] {
        let slot = chain.slot(&owner(buyer), good(amount));
        signers.push(slot.signer);
        let bought = chain.sign(&owner(buyer), Action::BuySlot(slot));
        chain.seal(&[bought]);
    }
    // Owner 7 has least, and most votes for it.
    for (voter, amount) in [(8, 5), (10, 2), (8, 2)] {
        let vote = back(&chain, &owner(voter), signers[2], good(amount));
        chain.seal(&[vote]);
        chain.audit();
    }
    let check = |chain: &Chain, amount, epoch: Epoch, signer, want| {
        let vote = Delegate { epoch, signer, amount };
        assert_eq!(chain.refusal(&chain.sign(&owner(8), Action::Delegate(vote))), want);
    };
    let open = chain.bids().epoch;
    let unknown = owner(5).public();
    check(&chain, good(1), open, unknown, Refusal::UnknownDelegate);
    check(&chain, Grains::ZERO, open, signers[2], Refusal::UnderSlotPrice(good(1)));
    let next = open.next();
    check(&chain, good(1), next, signers[2], Refusal::SlotWindowNotOpen { asked: next, open });
    chain.walk_to(2);
    let weights: Vec<_> = chain.validators().iter().map(|v| (v.owner, v.weight)).collect();
    assert_eq!(weights, [(owner(7).public(), good(10)), (owner(5).public(), good(9))]);
    assert_eq!(money(&chain, &owner(6)), OWNER_BALANCE, "the third returns");
    assert_eq!(money(&chain, &owner(8)), less(good(7)));
    // Who votes for a cheat loses with it.
    let height = chain.ledger.tip().height.next().get();
    chain.seal(&[chain.sign(&owner(9), common::make::transfer(&owner(8), good(1)))]);
    let cheat = chain.signer(&signers[2]).clone();
    accuse(&mut chain, &cheat, height);
    assert_eq!(chain.totals().pool, good(10));
    chain.walk_to(12);
    assert_eq!(money(&chain, &owner(10)), less(good(2)));
    assert_eq!(money(&chain, &owner(8)), less(good(6)), "less 7, and 1 was paid to it");
    chain.audit();
}

#[test]
fn at_most_21_delegates_validate() {
    let parameters = Parameters { rule: Rule::Delegated, ..Parameters::default() };
    assert_eq!(parameters.seats_max(), DELEGATES_MAX);
    assert_eq!(Parameters { validators_max: 20, ..parameters }.seats_max(), 20);
    let founders = |count: u32| common::genesis(count, |p| p.rule = Rule::Delegated).check();
    assert_eq!(founders(21), Ok(()));
    assert_eq!(founders(22), Err(GenesisError::TooManyFounders { found: 22, limit: 21 }));
    let small = common::genesis(21, |p| (p.rule, p.validators_min) = (Rule::Delegated, 22));
    assert!(matches!(small.check(), Err(GenesisError::OutOfRange { name: "validators_min", .. })));

    let mut chain = chain(Rule::Delegated, 12, |_| {});
    for number in 0..24 {
        let bought = chain.buy(&owner(number % 12), good(10 + number));
        chain.seal(&[bought]);
    }
    chain.walk_to(2);
    assert_eq!(chain.validators().len(), 21);
    assert_eq!(chain.validators().at(20).map(|v| v.weight), Some(good(13)));
    chain.audit();
}

#[test]
fn a_full_list_of_backers_takes_who_locks_more_than_the_least() {
    // A genesis with 21 founders gives money to 42 owners; the others are paid.
    let mut chain = chain(Rule::Delegated, 21, |_| {});
    for number in 42..71 {
        let paid = chain.sign(&owner(5), common::make::transfer(&owner(number), good(100)));
        chain.seal(&[paid]);
    }
    let slot = chain.slot(&owner(0), good(1));
    let signer = slot.signer;
    let bought = chain.sign(&owner(0), Action::BuySlot(slot));
    chain.seal(&[bought]);
    for number in 1..BACKERS_MAX as u32 {
        let vote = back(&chain, &owner(number), signer, good(2));
        chain.seal(&[vote]);
    }
    let same = back(&chain, &owner(70), signer, good(2));
    assert_eq!(chain.refusal(&same), Refusal::BackersFull(good(2)));
    let more = back(&chain, &owner(70), signer, good(3));
    chain.seal(&[more]);
    assert_eq!(money(&chain, &owner(63)), good(100), "the latest of the least left");
    assert_eq!(chain.bids().bids[0].validator.weight, good(1 + 62 * 2 + 3));
    chain.audit();
    let again = back(&chain, &owner(1), signer, good(1));
    chain.seal(&[again]);
    assert_eq!(money(&chain, &owner(1)), less(good(13)), "with what it locks as a founder");
    chain.audit();
}
