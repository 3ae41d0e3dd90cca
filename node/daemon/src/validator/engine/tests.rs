use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::transaction::Transaction;
use goodwatt_power::PowerConfig;
use tempfile::TempDir;

use super::*;
use crate::tool::bench::chain::{genesis, payment, wallet};

const WALLETS: u32 = 10;
/// How long a block may take.
const MILLIS_MAX: u32 = 5_000;

/// An engine on a chain of its own, and its folder.
pub(in crate::validator) fn engine() -> (Engine, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let mut signers = Signers::open(&data.join("signers")).expect("it opens");
    let genesis = genesis(&mut signers, WALLETS, SealingRule::Immediate, Clock::now());
    let settings = Settings {
        data,
        genesis: genesis.expect("a good genesis"),
        sign: true,
        mempool: MempoolLimits::default(),
        power: PowerConfig::default(),
        has_peers: false,
        keep_blocks: None,
    };
    (Engine::open(settings).expect("it opens"), dir)
}

/// Seals a block of one payment; gives its id.
pub(in crate::validator) fn seal(engine: &mut Engine, number: u64) -> TxId {
    let (from, nonce) = ((number % 10) as u32, number / 10);
    let ledger = engine.own.ledger();
    let fee = ledger.genesis().parameters.fee_min;
    let to = payment(wallet(1_000 + number as u32).public());
    let transaction = Transaction::sign(ledger.chain(), &wallet(from), nonce, fee, to);
    let id = transaction.id();
    let now = engine.now();
    let admitted = engine.own.submit(now, vec![transaction]);
    assert_eq!(admitted, [Ok(id)]);
    // A block is later than its parent, which may be of this very millisecond.
    for _ in 0..MILLIS_MAX {
        engine.step();
        assert_eq!(engine.own.stuck(), None);
        if engine.own.ledger().tip().height.get() == number + 1 {
            return id;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("not sealed within {MILLIS_MAX} ms: {}", engine.own.ledger().tip().height);
}

/// Fails unless each of the transactions is found at its height.
#[track_caller]
fn check(engine: &Engine, ids: &[TxId]) {
    assert_eq!(engine.own.transactions(), ids.len() as u64);
    for (id, height) in ids.iter().zip(1..) {
        let places = lookups::find(engine.own.ledger().leaves(), id, 9).expect("readable");
        assert_eq!(places, [(Height::new(height), 0)]);
    }
}

#[test]
fn an_index_that_fails_while_running_is_made_anew_and_sealing_goes_on() {
    let (mut engine, dir) = engine();
    let mut ids: Vec<TxId> = (0..5).map(|number| seal(&mut engine, number)).collect();
    engine.own.checkpoint().expect("on the card");
    engine.home.snapshots.write(engine.own.ledger().leaves()).expect("written");
    ids.extend((5..8).map(|number| seal(&mut engine, number)));
    let tip = engine.own.ledger().tip().clone();

    engine.own.ledger_mut().leaves_mut().close("the card had a bad day");
    engine.own.ledger().view().terms().expect_err("it is closed");
    engine.step();
    assert_eq!((engine.own.ledger().tip(), engine.own.ledger().leaves().failure()), (&tip, None));
    check(&engine, &ids);
    engine.own.try_again();
    ids.push(seal(&mut engine, 8));
    check(&engine, &ids);
    assert!(dir.path().join("data/index.bad").exists(), "kept to look at");
}

#[test]
fn an_index_that_cannot_be_made_anew_is_tried_again() {
    let (mut engine, dir) = engine();
    let mut ids: Vec<TxId> = (0..3).map(|number| seal(&mut engine, number)).collect();
    // Where the failed one is put aside lies a file.
    let in_the_way = dir.path().join("data/index.bad");
    std::fs::write(&in_the_way, "").expect("written");
    engine.own.ledger_mut().leaves_mut().close("the card had a bad day");
    engine.step();
    let stuck = engine.own.stuck().map(str::to_owned).expect("nothing is sealed");
    assert!(stuck.contains("cannot rename") && stuck.contains("data/index"), "{stuck}");

    std::fs::remove_file(in_the_way).expect("removed");
    engine.own.try_again();
    engine.step();
    assert_eq!(engine.own.ledger().leaves().failure(), None);
    engine.own.try_again();
    ids.push(seal(&mut engine, 3));
    check(&engine, &ids);
}

#[test]
fn files_that_have_grown_are_replaced_when_a_snapshot_was_written() {
    let (mut engine, dir) = engine();
    let mut ids: Vec<TxId> = (0..270).map(|number| seal(&mut engine, number)).collect();
    let root = engine.own.ledger().tip().state_root;
    // What nobody counts: as if sled did not give back what it does not need.
    for number in 0..40_u64 {
        let noise: Vec<u8> = (0..1 << 19).map(|at: u64| (at * number % 251) as u8).collect();
        engine
            .own
            .ledger_mut()
            .leaves_mut()
            .put_lookup(&[b"noise".as_slice(), &[number as u8]].concat(), &noise);
    }
    engine.snapshot_in_time().expect("written");
    let lookups = engine.own.ledger().leaves().lookups_backwards(|key, _| {
        assert!(!key.starts_with(b"noise"), "it is not in the fresh one");
        false
    });
    lookups.expect("readable");
    assert!(!dir.path().join("data/index.bad").exists(), "nothing was wrong with it");
    assert_eq!(engine.own.ledger().tip().state_root, root);
    check(&engine, &ids);
    ids.push(seal(&mut engine, 270));
    check(&engine, &ids);
}

#[test]
fn a_snapshot_is_written_when_it_is_due_and_an_index_of_its_size_stays() {
    let (mut engine, dir) = engine();
    let snapshot = dir.path().join("data/snapshot");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().expect("there"));
    for number in 0..255 {
        seal(&mut engine, number);
    }
    engine.snapshot_in_time().expect("not due");
    assert!(!snapshot.exists());
    seal(&mut engine, 255);
    engine.snapshot_in_time().expect("written");
    let (first, index) = (inode(&snapshot), inode(&dir.path().join("data/index")));
    seal(&mut engine, 256);
    engine.snapshot_in_time().expect("not due");
    assert_eq!(inode(&snapshot), first);
    assert_eq!(inode(&dir.path().join("data/index")), index);
}
