//! Reports on energy by the slot keys of a term: free, once for each validator, and no account.

mod common;

use common::make::{report, transfer};
use common::{Chain, founding_signer, good, owner};
use goodwatt_chain::mempool::{Mempool, MempoolLimits};
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::{Account, Key, Reported};
use goodwatt_chain::transaction::{Action, EnergyMethod, Transaction};
use goodwatt_chain::units::{Epoch, Grains};
use goodwatt_units::MicroJoules;

/// 2.5 W for an hour.
const ENERGY: u64 = 9_000_000_000;

fn action(epoch: u64) -> Action {
    report(Epoch::new(epoch), ENERGY, EnergyMethod::MeasuredBoardInput, 35)
}

fn free(chain: &Chain, key: &SigningKey, nonce: u64, action: Action) -> Transaction {
    Transaction::sign(chain.ledger.chain(), key, nonce, Grains::ZERO, action)
}

/// A chain of four founders whose first term has ended.
fn chain() -> Chain {
    let mut chain = Chain::with(4, |parameters| parameters.epoch_reward = good(120));
    chain.begin_epoch(1);
    chain
}

fn reported(chain: &Chain, number: u32) -> Option<Reported> {
    let term = chain.terms().previous.expect("a term has ended");
    let seat = term.seats.iter().find(|seat| seat.validator.owner == owner(number).public());
    seat.expect("it sat there").reported
}

#[test]
fn a_slot_key_reports_for_its_owner_for_nothing() {
    let mut chain = chain();
    let sent = free(&chain, &founding_signer(1), 0, action(0));
    chain.seal(&[sent]);
    let want = Reported {
        energy: MicroJoules::new(ENERGY),
        method: EnergyMethod::MeasuredBoardInput,
        error_permille: 35,
    };
    assert_eq!(reported(&chain, 1), Some(want));
    assert_eq!(reported(&chain, 2), None);
    // Slot keys are fresh for each purchase: they leave nothing behind in the state.
    let account: Option<Account> = chain.read(Key::Account(founding_signer(1).public()));
    assert_eq!(account, None);
    chain.audit();
}

#[test]
fn each_validator_is_reported_for_once_whoever_sends_it() {
    let mut chain = chain();
    let sent = free(&chain, &founding_signer(1), 0, action(0));
    chain.seal(std::slice::from_ref(&sent));
    // The very same bytes again, another figure, and the owner with and without a fee.
    assert_eq!(chain.refusal(&sent), Refusal::ReportedTwice);
    let other = report(Epoch::ZERO, ENERGY + 1, EnergyMethod::MeasuredBoardInput, 35);
    let check = |transaction: &Transaction| {
        assert_eq!(chain.refusal(transaction), Refusal::ReportedTwice);
    };
    check(&free(&chain, &founding_signer(1), 0, other.clone()));
    check(&free(&chain, &owner(1), 0, other.clone()));
    check(&chain.sign(&owner(1), other));
}

#[test]
fn an_owner_may_report_for_nothing_too_and_its_nonce_stays() {
    let mut chain = chain();
    let before = chain.account(&owner(2).public());
    let sent = free(&chain, &owner(2), 0, action(0));
    chain.seal(&[sent]);
    assert!(reported(&chain, 2).is_some());
    assert_eq!(chain.account(&owner(2).public()), before);
}

#[test]
fn who_is_no_slot_key_of_the_term_cannot_report() {
    let mut chain = chain();
    let refused =
        |chain: &Chain, key: &SigningKey, action| chain.refusal(&free(chain, key, 0, action));
    assert_eq!(refused(&chain, &owner(9), action(0)), Refusal::NotValidatorOfTerm);
    assert_eq!(refused(&chain, &founding_signer(9), action(0)), Refusal::NotValidatorOfTerm);
    let late = Refusal::WrongReportEpoch(Epoch::ZERO);
    assert_eq!(refused(&chain, &founding_signer(0), action(1)), late);
    // A term later the report is about that one, and the former is over.
    chain.begin_epoch(2);
    let early = Refusal::WrongReportEpoch(Epoch::new(1));
    assert_eq!(refused(&chain, &founding_signer(0), action(0)), early);
}

#[test]
fn a_free_report_has_no_number() {
    let chain = chain();
    let gap = Refusal::NonceGap { found: 1, expected: 0 };
    assert_eq!(chain.refusal(&free(&chain, &founding_signer(1), 1, action(0))), gap);
    // With a fee it is counted like all else, and a slot key has no money for one.
    let paid = chain.sign(&founding_signer(1), action(0));
    let (needed, balance) = (chain.parameters().fee_min, Grains::ZERO);
    assert_eq!(chain.refusal(&paid), Refusal::Overdrawn { needed, balance });
    // Nothing else is free.
    let pays = free(&chain, &owner(1), 0, transfer(&owner(2), good(1)));
    assert_eq!(chain.refusal(&pays), Refusal::UnderFee(chain.parameters().fee_min));
}

#[test]
fn an_owner_of_several_seats_is_reported_for_at_its_first() {
    let mut chain = Chain::with(1, |_| {});
    let mut signers = Vec::new();
    for amount in [4, 6] {
        let slot = chain.slot(&owner(5), good(amount));
        signers.push(slot.signer);
        let bought = chain.sign(&owner(5), Action::BuySlot(slot));
        chain.seal(&[bought]);
    }
    chain.walk_to(3);
    let mut keys = signers.iter().map(|signer| chain.signer(signer).clone());
    let (first, second) = (keys.next().expect("two"), keys.next().expect("two"));
    let sent = free(&chain, &first, 0, action(2));
    chain.seal(&[sent]);
    let again = free(&chain, &second, 0, action(2));
    assert_eq!(chain.refusal(&again), Refusal::ReportedTwice);
}

#[test]
fn transactions_of_a_term_are_counted_in_the_ledger() {
    let mut chain = Chain::with(1, |_| {});
    for count in [3, 2] {
        let sent: Vec<_> = (0..count)
            .map(|ahead| chain.sign_later(&owner(9), ahead, transfer(&owner(8), good(1))))
            .collect();
        chain.seal(&sent);
    }
    assert_eq!(chain.terms().current.transactions, 5);
    chain.begin_epoch(1);
    let terms = chain.terms();
    assert_eq!(terms.previous.map(|term| term.transactions), Some(5));
    assert_eq!(terms.current.transactions, 0);
}

#[test]
fn a_full_mempool_takes_a_report_before_what_pays() {
    let chain = chain();
    let limits = MempoolLimits { transactions: 2, ..MempoolLimits::default() };
    let mut mempool = Mempool::new(limits);
    for ahead in 0..2 {
        let paid = chain.sign_later(&owner(9), ahead, transfer(&owner(8), good(1)));
        mempool.admit(&chain.ledger, chain.time, paid).expect("there is room");
    }
    let sent = free(&chain, &founding_signer(1), 0, action(0));
    mempool.admit(&chain.ledger, chain.time, sent.clone()).expect("it comes first");
    assert!(mempool.contains(&sent.id()));
    // A second figure for the same validator does not: a slot key cannot flood.
    let other = report(Epoch::ZERO, ENERGY + 1, EnergyMethod::Modelled, 50);
    let second = free(&chain, &founding_signer(1), 0, other);
    assert!(mempool.admit(&chain.ledger, chain.time, second).is_err());
    assert_eq!(mempool.len(), 2);
}
