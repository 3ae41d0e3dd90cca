//! The same blocks give the same state: on a ledger that reads them back, on one that was stopped
//! and went on, and on another machine.

mod common;

use std::sync::Arc;

use common::make::{double_vote, report, transfer, voice};
use common::{Chain, association, founding_signer, good, owner};
use goodwatt_chain::block::Block;
use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::ledger::{Ledger, LedgerError, Signatures, Tip};
use goodwatt_chain::transaction::{BallotKind, EnergyMethod};

/// The state root after [`history`], as computed on x86-64. The same line has to pass on aarch64
/// and armv7; it changes with genesis, with a record's form, or with a rule.
const ROOT: &str = include_str!("vectors/history_root.txt");

/// A chain's life with every kind of transaction, as the bytes of its blocks.
fn history() -> (Chain, Vec<Vec<u8>>) {
    let mut chain = Chain::with(4, |parameters| {
        parameters.epoch_reward = good(120);
        parameters.vote_window = 1;
        parameters.release_delay = 2;
        parameters.vesting_delay = 3;
        parameters.admission_epochs = 6;
    });
    let mut blocks = Vec::new();
    let mut keep = |block: Block| blocks.push(block.encode());
    let (id, request) = chain.ask(&association(0));
    keep(chain.seal(&[request]));
    let vote = voice(id, BallotKind::Admission, true);
    let votes: Vec<_> = (0..4).map(|n| chain.sign(&owner(n), vote.clone())).collect();
    keep(chain.seal(&votes));
    for epoch in 1..=3 {
        keep(chain.begin_epoch(epoch));
        for number in 0..6 {
            let amount = good(1 + (u32::from(epoch as u8) * 7 + number * 5) % 11);
            let bought = chain.buy_preferring(&owner(number), amount, id);
            let paid = chain.sign_later(&owner(number), 1, transfer(&owner(number + 1), amount));
            keep(chain.seal(&[bought, paid]));
        }
        let ended = chain.terms().previous.expect("a term has ended");
        let first = ended.seats[0].validator.owner;
        let first = (0..6).map(owner).find(|owner| owner.public() == first).expect("known");
        let action = report(ended.epoch, 9_000_000_000, EnergyMethod::Modelled, 70);
        let reported = chain.sign(&first, action);
        keep(chain.seal(&[reported]));
    }
    let cheat = double_vote(chain.ledger.chain(), &founding_signer(3), 2);
    let accusation = chain.evidence(&owner(7), cheat);
    keep(chain.seal(&[accusation]));
    for epoch in [4, 5, 6, 9, 200] {
        keep(chain.begin_epoch(epoch));
    }
    chain.audit();
    (chain, blocks)
}

fn begin(chain: &Chain) -> Ledger<MemoryLeaves> {
    let genesis = Arc::clone(chain.ledger.genesis());
    Ledger::begin(genesis, MemoryLeaves::default()).expect("it began before")
}

/// Applies blocks from their bytes.
fn replay(ledger: &mut Ledger<MemoryLeaves>, blocks: &[Vec<u8>]) -> Tip {
    for bytes in blocks {
        let block = Block::decode(bytes).expect("it reads back");
        let applied = ledger.check(&block, Signatures::Verify).expect("it was sealed");
        ledger.commit(applied);
    }
    ledger.tip().clone()
}

#[test]
fn the_same_blocks_give_the_same_state() {
    let (chain, blocks) = history();
    assert_eq!(replay(&mut begin(&chain), &blocks), *chain.ledger.tip());
    let (again, same) = history();
    assert_eq!(blocks, same, "signatures and all");
    assert_eq!(again.ledger.tip(), chain.ledger.tip());
}

#[test]
fn the_state_is_the_same_on_every_machine() {
    let (chain, blocks) = history();
    let all = Digest32::of(Domain::new(b"goodwatt/test/history"), &[&blocks.concat()]);
    let found = format!("{} {all}\n", chain.ledger.tip().state_root);
    let want = ROOT.lines().last().expect("a line");
    assert_eq!(found.trim_end(), want, "write the new line after an intended change");
}

#[test]
fn a_ledger_goes_on_wherever_it_was_stopped() {
    let (chain, blocks) = history();
    let mut running = begin(&chain);
    for stop in 0..blocks.len() {
        let genesis = Arc::clone(chain.ledger.genesis());
        let (leaves, tip) = (running.leaves().clone(), running.tip().clone());
        let mut resumed = Ledger::resume(genesis, leaves, tip).expect("its leaves are whole");
        let one = &blocks[stop..=stop];
        assert_eq!(replay(&mut resumed, one), replay(&mut running, one), "after block {stop}");
        assert_eq!(resumed.in_charge().validators, running.in_charge().validators);
        assert_eq!(resumed.in_charge().decided_tip, running.in_charge().decided_tip);
    }
}

#[test]
fn leaves_of_another_tip_are_told_apart() {
    let (chain, blocks) = history();
    let mut running = begin(&chain);
    replay(&mut running, &blocks[..3]);
    let behind = running.leaves().clone();
    replay(&mut running, &blocks[3..4]);
    let genesis = Arc::clone(chain.ledger.genesis());
    let refused = Ledger::resume(genesis, behind, running.tip().clone()).map(drop);
    assert!(matches!(refused, Err(LedgerError::WrongRoot { .. })), "{refused:?}");
}
