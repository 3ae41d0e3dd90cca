//! The largest sets and registries there can be: no leaf without bound, nobody left out.

mod common;

use common::make::{transfer, voice};
use common::{Chain, association, good, owner};
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::{ADMITTED_MAX, Attendance, Ballot, Key, PENDING_MAX, Release, Status};
use goodwatt_chain::transaction::{BallotKind, Transaction};
use goodwatt_chain::units::Epoch;

/// Bytes of a leaf, or 0 where there is none.
fn bytes(chain: &Chain, key: Key) -> usize {
    use goodwatt_chain::leaves::Leaves;
    let leaf = chain.ledger.leaves().leaf(&key.leaf()).expect("memory is readable");
    leaf.map_or(0, |value| value.len())
}

/// Buys a slot for each of these owners, dearer than any before.
fn buy(chain: &mut Chain, owners: std::ops::Range<u32>) {
    let bought: Vec<_> = owners.map(|n| chain.buy(&owner(n), good(1_000 + n))).collect();
    chain.seal(&bought);
}

#[test]
fn one_hundred_validators_fit_into_small_leaves() {
    let mut chain = Chain::new(100);
    buy(&mut chain, 0..200);
    let bids = bytes(&chain, Key::Bids);
    for epoch in 1..=2 {
        chain.begin_epoch(epoch);
        let paid = chain.sign(&owner(0), transfer(&owner(1), good(1)));
        chain.seal(&[paid]);
    }
    let (_, request) = chain.ask(&association(0));
    chain.seal(&[request]);
    let audit = chain.audit();
    assert_eq!(chain.validators().len(), 100);
    let term = bytes(&chain, Key::CurrentTerm);
    assert!(term < 16 * 1_024, "{term} bytes are written with each block");
    assert!(bids < 24 * 1_024, "{bids} bytes are written with each purchase");
    assert!(audit.largest < 24 * 1_024, "{audit:?}");
}

/// When all hundred validators change, the epoch sees the old set decide its first block and the
/// new set decide the others: all two hundred are live, and none is left out.
#[test]
fn both_sets_of_an_epoch_are_live() {
    let mut chain = Chain::new(100);
    buy(&mut chain, 100..200);
    chain.begin_epoch(1);
    buy(&mut chain, 100..200);
    chain.begin_epoch(2);
    for _ in 0..2 {
        let paid = chain.sign(&owner(0), transfer(&owner(1), good(1)));
        chain.seal(&[paid]);
    }
    chain.begin_epoch(3);
    let live = chain.read::<Attendance>(Key::Attendance).expect("blocks were signed").before;
    assert_eq!(live.len(), 200);
    let (id, request) = chain.ask(&association(0));
    chain.seal(&[request]);
    let ballot: Ballot = chain.read(Key::Ballot(id)).expect("the vote is open");
    assert_eq!(ballot.electors.len(), 200);
    assert!(ballot.electors.iter().any(|elector| elector.owner == owner(199).public()));
    chain.audit();
}

/// One voter, who is enough; each association with its own account.
struct Registry {
    chain: Chain,
    ids: Vec<AssociationId>,
}

fn sender(number: u32) -> SigningKey {
    common::key("one of many", number)
}

/// Has as many associations admitted as there can be.
fn full_registry() -> Registry {
    let mut chain = Chain::with(1, |parameters| {
        parameters.vote_window = 1;
        parameters.admission_epochs = 12;
        parameters.fee_min = goodwatt_chain::units::Grains::ZERO;
    })
    .unchecked();
    let mut ids = Vec::new();
    let groups = ADMITTED_MAX / PENDING_MAX;
    for group in 0..groups {
        let senders: Vec<_> =
            (0..PENDING_MAX).map(|n| sender((group * PENDING_MAX + n) as u32)).collect();
        let rich = owner(1);
        let gift = |(ahead, to): (usize, &SigningKey)| {
            chain.sign_later(&rich, ahead as u64, transfer(to, good(20)))
        };
        let gifts: Vec<_> = senders.iter().enumerate().map(gift).collect();
        chain.seal(&gifts);
        ids.extend(chain.admit(&senders, &[owner(0)]));
    }
    Registry { chain, ids }
}

#[test]
fn a_full_registry_is_kept_spread_over_and_emptied() {
    let Registry { mut chain, ids } = full_registry();
    let fits = |chain: &Chain| assert!(chain.audit().largest < 24 * 1_024);
    assert_eq!(chain.registry().admitted.len(), ADMITTED_MAX);
    let (_, one_more) = chain.ask(&association(0));
    assert_eq!(chain.refusal(&one_more), Refusal::RegistryFull);

    // A place for a vote on the removal of each, so that nobody can take the places of others.
    let vote = |(ahead, id): (usize, &AssociationId)| {
        chain.sign_later(&owner(0), ahead as u64, voice(*id, BallotKind::Removal, false))
    };
    let votes: Vec<Transaction> = ids.iter().enumerate().map(vote).collect();
    chain.seal(&votes);
    assert_eq!(chain.registry().removals.len(), ADMITTED_MAX);
    fits(&chain);

    let bought = chain.buy(&owner(1), good(25_600));
    chain.seal(&[bought]);
    // The first admissions end twelve epochs after they began; here, in order.
    chain.begin_epoch(9);
    let release: Release = chain.read(Key::Release(Epoch::new(9 + 24))).expect("it was spread");
    assert_eq!(release.entries.len(), ADMITTED_MAX);
    assert_eq!(chain.totals().releasing, good(25_600));
    fits(&chain);
    chain.move_to(60);
    let reads = chain.reads_of(&[]);
    assert!(reads < 8_000, "{reads} reads where {ADMITTED_MAX} leave at once");
    chain.begin_epoch(60);
    assert_eq!(chain.registry().admitted[..], []);
    let expired = Status::Expired { epoch: Epoch::new(60) };
    assert!(ids.iter().all(|id| chain.standing(*id).status == expired));
    // What was due before they left is theirs; nothing is left waiting for who is gone.
    assert_eq!(chain.totals().releasing.get(), 0);
    fits(&chain);
}

#[test]
fn as_many_requests_wait_as_there_are_places() {
    let mut chain = Chain::with(1, |parameters| parameters.vote_window = 2);
    let senders: Vec<_> = (0..=PENDING_MAX as u32).map(sender).collect();
    let gifts = senders
        .iter()
        .enumerate()
        .map(|(ahead, to)| chain.sign_later(&owner(1), ahead as u64, transfer(to, good(20))));
    let gifts: Vec<_> = gifts.collect();
    chain.seal(&gifts);
    let requests = senders.iter().map(|sender| chain.ask(sender).1).collect::<Vec<_>>();
    let (block, refused) = chain.try_seal(&requests).expect("most are taken");
    assert_eq!((block.transactions.len(), refused), (PENDING_MAX, vec![Refusal::RegistryFull]));
    chain.audit();
}

/// What a purchase reads does not grow with the vesting delay, and a bid too low reads less.
#[test]
fn a_purchase_reads_a_few_leaves() {
    let mut chain = Chain::with(1, |parameters| {
        parameters.validators_max = 1;
        parameters.vesting_delay = 168;
    });
    chain.walk_to(30);
    for _ in 0..2 {
        let bought = chain.buy(&owner(1), good(5));
        chain.seal(&[bought]);
    }
    let filler = chain.sign(&owner(2), transfer(&owner(3), good(1)));
    let reads = |chain: &Chain, more: Transaction| {
        let alone = chain.reads_of(std::slice::from_ref(&filler));
        chain.reads_of(&[more, filler.clone()]) - alone
    };
    let underbid = chain.buy(&owner(1), good(5));
    assert!(reads(&chain, underbid) <= 5);
    let taken = chain.buy(&owner(1), good(6));
    assert!(reads(&chain, taken) <= 12);
}
