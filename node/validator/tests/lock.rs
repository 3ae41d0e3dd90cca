//! The power fails anywhere while a block is sealed: a lock that is found in the write-ahead log is
//! never on a block whose body is not there.

#[allow(dead_code, reason = "of the stage only the chain is used")]
mod stage;

use std::sync::Arc;

use goodwatt_chain::block::Block;
use goodwatt_chain::codec;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::ledger::Ledger;
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::Grains;
use goodwatt_consensus::WalEntry;
use goodwatt_store::faulty::FaultyDisk;
use goodwatt_store::{BlockLog, ConsensusWal};
use goodwatt_units::Millis;
use goodwatt_validator::{Card, Guard, Now, Parts, Signers, Validator};
use serde::Deserialize;
use stage::{GENESIS_TIME, State, genesis, reveals, signer, wallet};

/// An entry of the write-ahead log, as it lies on the card.
#[derive(Deserialize, serde::Serialize)]
enum Entry {
    Core(WalEntry),
    Body(Box<Block>),
}

/// The key of the one validator.
struct Key;

impl Signers for Key {
    fn key(&self, public: &PublicKey) -> Option<SigningKey> {
        self.holds(public).then(signer)
    }

    fn holds(&self, public: &PublicKey) -> bool {
        signer().public() == *public
    }

    fn next_reveal(&self, _: &PublicKey, last: &Digest32) -> Option<Digest32> {
        reveals().next_after(last)
    }
}

/// Seals a payment on a disk that fails after so many operations; whether it did.
fn seal(disk: &FaultyDisk, operations: u64) -> bool {
    let (genesis, folder) = (Arc::new(genesis()), disk.folder());
    let wall = GENESIS_TIME.after(Millis::from_secs(60));
    let now = Now { wall, known: None, uptime: Millis::new(0) };
    let card = Card {
        log: BlockLog::open(folder.clone()).expect("empty").0,
        headers: None,
        wal: ConsensusWal::open(&folder).expect("empty"),
        guard: Guard::open(&folder, genesis.chain_id(), true),
    };
    let parts = Parts {
        ledger: Ledger::begin(genesis, State::default()).expect("a good genesis"),
        tip_certificate: None,
        transactions: 0,
        card,
        signers: Key,
        mempool: MempoolLimits::default(),
        build_time: GENESIS_TIME,
        sign: true,
        has_peers: false,
    };
    let mut own = Validator::new(parts, now);
    let (chain, fee) = (*own.ledger().chain(), own.ledger().genesis().parameters.fee_min);
    let payment =
        Transfer { to: wallet(2).public(), amount: Grains::from_good(1), memo: Default::default() };
    let payment = Transaction::sign(&chain, &wallet(1), 0, fee, Action::Transfer(payment));
    assert!(own.submit(now, vec![payment]).iter().all(Result::is_ok));
    disk.crash_after(operations);
    own.poll(now);
    disk.is_crashed()
}

#[test]
fn a_lock_is_never_on_the_card_without_its_body() {
    let mut locks = 0;
    for seed in 0..12 {
        for operations in 0.. {
            let disk = FaultyDisk::new(seed);
            if !seal(&disk, operations) {
                break;
            }
            disk.restart();
            let entries = ConsensusWal::open(&disk.folder()).and_then(|wal| wal.entries());
            let mut bodies = Vec::new();
            for entry in entries.expect("it can be opened again") {
                match codec::decode(&entry).expect("what is whole can be read") {
                    Entry::Body(block) => bodies.push(block.header.id()),
                    Entry::Core(WalEntry::Polka(polka)) => {
                        assert!(bodies.contains(&polka.block), "seed {seed}, {operations}");
                        locks += 1;
                    }
                    Entry::Core(WalEntry::Own(_)) => {}
                }
            }
        }
    }
    assert!(locks > 0, "no power cut came after a lock");
}
