//! Votes on associations: who has a voice, what 75 % is, and when it is over.

mod common;

use common::make::{double_vote, voice, withdraw};
use common::{ASSOCIATION_BALANCE, Chain, association, founding_signer, good, grains, owner};
use goodwatt_chain::genesis::Parameters;
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::rules::{Refusal, passes};
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::{Ballot, Dossier, Key, Status};
use goodwatt_chain::transaction::{BallotKind, Transaction};
use goodwatt_chain::units::{Epoch, Grains};

const ADMISSION: BallotKind = BallotKind::Admission;
const REMOVAL: BallotKind = BallotKind::Removal;

fn chain(founders: u32, change: impl FnOnce(&mut Parameters)) -> Chain {
    Chain::with(founders, |parameters| {
        parameters.vote_window = 2;
        change(parameters);
    })
}

fn ask(chain: &mut Chain, sender: &SigningKey) -> AssociationId {
    let (id, request) = chain.ask(sender);
    chain.seal(&[request]);
    id
}

fn vote(chain: &Chain, number: u32, id: AssociationId, yes: bool) -> Transaction {
    chain.sign(&owner(number), voice(id, ADMISSION, yes))
}

fn status(chain: &Chain, id: AssociationId) -> &'static str {
    chain.standing(id).status.name()
}

#[test]
fn three_quarters_of_the_live_and_two_thirds_of_the_weight() {
    let check = |yes, live, weight, active, want| {
        assert_eq!(passes(yes, live, weight, active), want, "{yes}/{live}, {weight}/{active}");
    };
    for live in 1_u64..=200 {
        // The least count with which no more than a quarter is missing.
        let least = (0..=live).find(|yes| (live - yes) * 100 <= live * 25);
        let least = least.expect("all of them are enough");
        check(least - 1, live, 3, 3, false);
        check(least, live, 3, 3, true);
        check(live, live, 3, 3, true);
    }
    check(3, 4, 3, 3, true);
    check(0, 0, 0, 0, false);
    for active in [3_u64, 30, 100, 1_000_001, 100 * Grains::MAX_SUPPLY.get()] {
        let least = (u128::from(active) * 2).div_ceil(3) as u64;
        check(3, 4, least - 1, active, false);
        check(3, 4, least, active, true);
        check(3, 4, least + 1, active, true);
        check(2, 4, active, active, false);
    }
}

#[test]
fn one_vote_under_equal_and_over() {
    let check = |live: u32, yes: u32, want: &str| {
        let mut chain = chain(live, |_| {});
        let id = ask(&mut chain, &association(0));
        let votes: Vec<_> =
            (0..live).map(|number| vote(&chain, number, id, number < yes)).collect();
        chain.seal(&votes);
        chain.walk_to(2);
        assert_eq!(status(&chain, id), want, "{yes} of {live}");
        chain.audit();
    };
    for (live, under) in [(1, 0), (3, 2), (4, 2), (5, 3), (7, 5), (8, 5), (12, 8)] {
        check(live, under, "refused");
        check(live, under + 1, "admitted");
    }
    check(4, 4, "admitted");
}

#[test]
fn votes_that_were_not_cast_count_against() {
    let mut chain = chain(4, |_| {});
    let id = ask(&mut chain, &association(0));
    let votes: Vec<_> = (0..2).map(|number| vote(&chain, number, id, true)).collect();
    chain.seal(&votes);
    chain.walk_to(2);
    assert_eq!(status(&chain, id), "refused");
}

/// Three of four voices are 75 %, but the weight behind them decides as well.
#[test]
fn two_thirds_of_the_active_weight_have_to_stand_behind() {
    let check = |heavy: u32, want: &str| {
        let mut chain = chain(4, |_| {});
        for number in 0..3 {
            let bought = chain.buy(&owner(number), good(10));
            chain.seal(&[bought]);
        }
        let bought = chain.buy(&owner(3), good(heavy));
        chain.seal(&[bought]);
        chain.walk_to(3);
        let id = ask(&mut chain, &association(0));
        let votes: Vec<_> = (0..3).map(|number| vote(&chain, number, id, true)).collect();
        chain.seal(&votes);
        chain.walk_to(5);
        assert_eq!(status(&chain, id), want, "30 of {} good", 30 + heavy);
        chain.audit();
    };
    check(14, "admitted");
    check(15, "admitted");
    check(16, "refused");
}

#[test]
fn a_voice_can_be_changed_until_the_window_closes() {
    let mut chain = chain(4, |_| {});
    let id = ask(&mut chain, &association(0));
    let votes: Vec<_> = (0..4).map(|number| vote(&chain, number, id, number < 3)).collect();
    chain.seal(&votes);
    chain.begin_epoch(1);
    let no = vote(&chain, 0, id, false);
    chain.seal(&[no]);
    let yes = vote(&chain, 3, id, true);
    chain.seal(&[yes]);
    assert_eq!(chain.refusal(&vote(&chain, 3, id, true)), Refusal::AlreadyVoted);
    assert_eq!(status(&chain, id), "pending");
    // Counted before the transactions of the block that begins the epoch: too late.
    chain.move_to(2);
    let late = vote(&chain, 3, id, false);
    let (_, refused) = chain.try_seal(&[late]).expect("it begins an epoch");
    assert_eq!(refused, [Refusal::NoBallot]);
    assert_eq!(chain.standing(id).status, Status::Admitted { expires: Epoch::new(8_762) });
    assert_eq!(chain.read::<Ballot>(Key::Ballot(id)), None);
}

#[test]
fn only_who_was_live_when_the_vote_opened_has_a_voice() {
    let mut chain = chain(4, |_| {});
    // The fourth is silent in epoch 0, and a fifth will be in charge from epoch 2 on.
    chain.silent.insert(founding_signer(3).public());
    for number in 0..5 {
        let bought = chain.buy(&owner(number), good(10));
        chain.seal(&[bought]);
    }
    chain.begin_epoch(1);
    let id = ask(&mut chain, &association(0));
    let ballot: Ballot = chain.read(Key::Ballot(id)).expect("the vote is open");
    let electors: Vec<_> = ballot.electors.iter().map(|elector| elector.owner).collect();
    assert_eq!(electors.len(), 3);
    assert!((0..3).all(|number| electors.contains(&owner(number).public())));
    assert_eq!(ballot.active_weight, good(40).get(), "the weight of the silent one counts");
    chain.begin_epoch(2);
    for number in [3, 4] {
        assert_eq!(chain.refusal(&vote(&chain, number, id, true)), Refusal::NotElector);
    }
    chain.walk_to(3);
    assert_eq!(status(&chain, id), "refused");
}

#[test]
fn a_heartbeat_keeps_a_validator_live() {
    // No transaction for epochs: the one block of each carries the certificate of the one before.
    let mut chain = chain(4, |_| {});
    chain.walk_to(20);
    let id = ask(&mut chain, &association(0));
    let ballot: Ballot = chain.read(Key::Ballot(id)).expect("the vote is open");
    assert_eq!(ballot.electors.len(), 4);
}

#[test]
fn a_refused_request_donates_its_deposit_and_waits() {
    let mut chain = chain(4, |parameters| parameters.cooling_epochs = 5);
    let id = ask(&mut chain, &association(0));
    let deposit = chain.parameters().association_deposit;
    assert_eq!(chain.totals().deposits, deposit);
    chain.walk_to(2);
    assert_eq!(chain.standing(id).status, Status::Refused { epoch: Epoch::new(2) });
    assert_eq!(chain.totals().deposits, Grains::ZERO);
    assert_eq!(chain.totals().pool, deposit);
    assert_eq!(chain.read::<Dossier>(Key::Dossier(id)), None, "its documents go away");
    chain.walk_to(6);
    let (_, again) = chain.ask(&association(0));
    assert_eq!(chain.refusal(&again), Refusal::Cooling(Epoch::new(7)));
    chain.begin_epoch(7);
    let second = ask(&mut chain, &association(0));
    assert_ne!(second, id);
    assert_eq!(chain.read::<goodwatt_chain::state::Standing>(Key::Standing(id)), None);
    chain.audit();
}

#[test]
fn a_request_can_be_withdrawn() {
    let mut chain = chain(4, |parameters| parameters.cooling_epochs = 3);
    let id = ask(&mut chain, &association(0));
    let taken_back = chain.sign(&association(0), withdraw(id));
    chain.seal(&[taken_back]);
    let fees = 2 * chain.parameters().fee_min.get();
    assert_eq!(chain.balance(&association(0)), grains(ASSOCIATION_BALANCE.get() - fees));
    assert_eq!(status(&chain, id), "withdrawn");
    assert_eq!(chain.read::<Ballot>(Key::Ballot(id)), None);
    assert_eq!(chain.read::<Dossier>(Key::Dossier(id)), None);
    let again = chain.sign(&association(0), withdraw(id));
    assert_eq!(chain.refusal(&again), Refusal::WrongStatus("withdrawn"));
    assert_eq!(chain.refusal(&vote(&chain, 0, id, true)), Refusal::NoBallot);
    let (_, again) = chain.ask(&association(0));
    assert_eq!(chain.refusal(&again), Refusal::Cooling(Epoch::new(3)));
    chain.audit();
}

#[test]
fn removal_takes_the_same_majority_and_then_waits() {
    let check = |yes: u32, want: &str| {
        let mut chain = chain(4, |parameters| parameters.cooling_epochs = 4);
        let id = chain.admit(&[association(0)], &[0, 1, 2, 3].map(owner))[0];
        let votes = (0..4).map(|n| chain.sign(&owner(n), voice(id, REMOVAL, n < yes)));
        let votes: Vec<_> = votes.collect();
        chain.seal(&votes);
        assert_eq!(chain.registry().removals[..], [id]);
        chain.walk_to(4);
        assert_eq!(status(&chain, id), want, "{yes} of 4");
        assert_eq!(chain.registry().removals[..], []);
        if want == "removed" {
            let (_, again) = chain.ask(&association(0));
            assert_eq!(chain.refusal(&again), Refusal::Cooling(Epoch::new(8)));
        }
        chain.audit();
    };
    check(2, "admitted");
    check(3, "removed");
    check(4, "removed");
}

#[test]
fn an_association_renews_or_drops_out() {
    let mut chain = chain(1, |parameters| parameters.admission_epochs = 5);
    let ids = chain.admit(&[association(0), association(1)], &[owner(0)]);
    chain.walk_to(4);
    let renewal = common::make::renewal(&chain, &association(0), ids[0]);
    let evidence = renewal.evidence.clone();
    let action = goodwatt_chain::transaction::Action::RenewAssociation(Box::new(renewal));
    let renewed = chain.sign(&association(0), action);
    chain.seal(&[renewed]);
    let dossier: Dossier = chain.read(Key::Dossier(ids[0])).expect("it is admitted");
    assert_eq!(dossier.evidence, evidence);
    chain.walk_to(6);
    assert_eq!(chain.registry().admitted.len(), 2);
    chain.begin_epoch(7);
    assert_eq!(chain.registry().admitted[..], ids[..1]);
    assert_eq!(chain.standing(ids[1]).status, Status::Expired { epoch: Epoch::new(7) });
    chain.walk_to(9);
    assert_eq!(chain.standing(ids[0]).status, Status::Expired { epoch: Epoch::new(9) });
    chain.audit();
}

#[test]
fn a_cheat_has_no_voice() {
    let mut chain = chain(4, |_| {});
    let id = ask(&mut chain, &association(0));
    let evidence = double_vote(chain.ledger.chain(), &founding_signer(2), 1);
    let accusation = chain.evidence(&owner(6), evidence);
    chain.seal(&[accusation]);
    assert_eq!(chain.refusal(&vote(&chain, 2, id, true)), Refusal::Tombstoned);
}

#[test]
fn an_expiring_association_closes_the_vote_on_its_removal() {
    let mut chain = chain(4, |parameters| parameters.admission_epochs = 1);
    let id = chain.admit(&[association(0)], &[0, 1, 2, 3].map(owner))[0];
    let removal = chain.sign(&owner(0), voice(id, REMOVAL, true));
    chain.seal(&[removal]);
    chain.begin_epoch(3);
    assert_eq!(status(&chain, id), "expired");
    assert_eq!(chain.registry().removals[..], []);
    assert_eq!(chain.read::<Ballot>(Key::Ballot(id)), None);
    chain.walk_to(6);
    assert_eq!(status(&chain, id), "expired");
}
