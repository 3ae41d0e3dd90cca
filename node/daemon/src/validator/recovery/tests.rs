use std::path::{Path, PathBuf};

use goodwatt_chain::hash::TxId;
use goodwatt_chain::leaves::{BucketIndex, Leaves};
use goodwatt_chain::signature::Signature;
use tempfile::TempDir;

use super::*;
use crate::tool::bench::chain::Chain;

const WALLETS: u32 = 50;
const BLOCKS: u64 = 12;
/// The height of the snapshot.
const KEPT: Height = Height::new(8);

/// A data folder with a log of twelve blocks, four payments in each.
struct Stage {
    dir: TempDir,
    chain: Chain,
    blocks: Vec<LoggedBlock>,
    log: BlockLog,
    folder: Folder,
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut chain = Chain::new(&dir.path().join("signers"), WALLETS).expect("a chain");
        let mut block = |height: u64| {
            let from = |n: u64| ((height * 4 + n) % u64::from(WALLETS)) as u32;
            let transfers: Vec<Transaction> = (0..4).map(|n| chain.transfer(from(n))).collect();
            let (block, certificate) = chain.seal(&transfers).expect("sealed");
            LoggedBlock { certificate, block }
        };
        let blocks: Vec<LoggedBlock> = (1..=BLOCKS).map(&mut block).collect();
        let folder = Folder::at(dir.path()).expect("a folder");
        let log = log_of(&dir.path().join("log"), &blocks);
        Self { dir, chain, blocks, log, folder }
    }

    /// The same with a snapshot, and the state of its height in the index.
    fn with_snapshot() -> Self {
        let stage = Self::set();
        let log = log_of(&stage.dir.path().join("short"), &stage.blocks[..KEPT.get() as usize]);
        let state = stage.recovery(&log).run(stage.index()).expect("good");
        state.ledger.leaves().write_snapshot(&stage.folder).expect("written");
        stage
    }

    fn index_path(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    fn index(&self) -> Index {
        Index::open(&self.index_path()).expect("it opens").0
    }

    fn lose_index(&self) {
        std::fs::remove_dir_all(self.index_path()).expect("removed");
    }

    fn recovery<'a>(&'a self, log: &'a BlockLog) -> Recovery<'a> {
        Recovery { genesis: self.chain.ledger.genesis(), folder: &self.folder, log }
    }

    /// A log whose third certificate is another one than the fourth block holds: whoever replays
    /// it from genesis sees that.
    fn log_bad_below_the_snapshot(&self) -> BlockLog {
        let mut blocks = self.blocks.clone();
        let commit = &mut blocks[2].certificate.signatures[0];
        commit.signature = Signature::from_bytes([7; 64]);
        log_of(&self.dir.path().join("bad"), &blocks)
    }

    /// Fails unless the state is the one of the last block, to the last lookup.
    #[track_caller]
    fn check(&self, state: &Replayed<Index>) {
        assert_eq!(state.ledger.tip(), self.chain.ledger.tip());
        assert_eq!(state.transactions, 4 * BLOCKS);
        assert_eq!(state.tip_certificate, self.blocks.last().map(|last| last.certificate.clone()));
        for index in BucketIndex::all() {
            let bucket = state.ledger.leaves().bucket(index).expect("readable");
            assert_eq!(bucket, self.chain.ledger.leaves().bucket(index).expect("in memory"));
        }
        for (block, height) in self.blocks.iter().zip(1..) {
            for (sealed, at) in sealed_of(self, block).zip(0..) {
                let places = lookups::find(state.ledger.leaves(), &sealed, 9).expect("readable");
                assert_eq!(places, [(Height::new(height), at)]);
            }
        }
    }
}

fn sealed_of<'a>(stage: &'a Stage, block: &'a LoggedBlock) -> impl Iterator<Item = TxId> + 'a {
    let sealed = sealed_in(stage.chain.ledger.chain(), &block.block).expect("a good body");
    sealed.into_iter().map(|sealed| sealed.id)
}

fn log_of(path: &Path, blocks: &[LoggedBlock]) -> BlockLog {
    let (mut log, _) = BlockLog::open(Folder::at(path).expect("a folder")).expect("it opens");
    for (block, height) in blocks.iter().zip(1..) {
        log.append(Height::new(height), &codec::encode(block)).expect("appended");
    }
    log
}

#[test]
fn a_state_that_is_lost_comes_back_from_the_snapshot_with_all_lookups() {
    let stage = Stage::with_snapshot();
    stage.lose_index();
    stage.check(&stage.recovery(&stage.log).run(stage.index()).expect("good"));
    // It is on the card, and no work is left.
    stage.check(&stage.recovery(&stage.log).run(stage.index()).expect("good"));
    let rebuilt = Index::begin_anew_at(&stage.index_path()).expect("fresh");
    stage.check(&stage.recovery(&stage.log).rebuild(rebuilt).expect("good"));
}

#[test]
fn what_the_snapshot_stands_for_is_not_verified_again() {
    let stage = Stage::with_snapshot();
    stage.lose_index();
    let log = stage.log_bad_below_the_snapshot();
    stage.check(&stage.recovery(&log).run(stage.index()).expect("not looked at"));
    stage.lose_index();
    std::fs::remove_file(stage.dir.path().join("snapshot")).expect("removed");
    let refused = stage.recovery(&log).run(stage.index()).expect_err("seen").to_string();
    assert!(refused.contains("the block at height 4 in the log is not valid"), "{refused}");
}

#[test]
fn without_a_snapshot_that_is_fit_the_log_alone_is_enough() {
    let damage = |what: &str, damage: &dyn Fn(&Stage, &Path)| {
        let stage = Stage::with_snapshot();
        stage.lose_index();
        damage(&stage, &stage.dir.path().join("snapshot"));
        let log = stage.log_bad_below_the_snapshot();
        let refused = stage.recovery(&log).run(stage.index());
        assert!(refused.is_err(), "{what}: from genesis");
        stage.lose_index();
        stage.check(&stage.recovery(&stage.log).run(stage.index()).expect(what));
    };
    damage("removed", &|_, path| std::fs::remove_file(path).expect("removed"));
    damage("emptied", &|_, path| std::fs::write(path, "").expect("written"));
    damage("cut", &|_, path| {
        let bytes = std::fs::read(path).expect("there");
        std::fs::write(path, &bytes[..bytes.len() - 1]).expect("written");
    });
    damage("flipped", &|_, path| {
        let mut bytes = std::fs::read(path).expect("there");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(path, bytes).expect("written");
    });
    let write = |stage: &Stage, height: Height, notes: &[u8]| {
        let other = stage.dir.path().join("other");
        let mut filling = Filling::begin(Index::open(&other).expect("opens").0).expect("begun");
        filling.put_leaf(&stage.blocks[0].block.header.state_root, b"a lie").expect("put");
        let index = filling.finish(height, notes).expect("on the card");
        index.write_snapshot(&stage.folder).expect("written");
    };
    let notes_of = |stage: &Stage| {
        Snapshot::open(&stage.folder).expect("whole").expect("there").notes().to_vec()
    };
    damage("of other leaves", &|stage, _| write(stage, KEPT, &notes_of(stage)));
    damage("of another height than it says", &|stage, _| {
        write(stage, KEPT.next(), &notes_of(stage));
    });
    damage("without a tip", &|stage, _| write(stage, KEPT, b"?"));
}

#[test]
fn a_state_of_another_log_is_not_gone_on_from() {
    let check = |log: &str, other: &Stage, blocks: &[LoggedBlock], keep_index: bool| {
        let stage = Stage::with_snapshot();
        if !keep_index {
            stage.lose_index();
        }
        let log = log_of(&stage.dir.path().join(log), blocks);
        let recovery =
            Recovery { genesis: other.chain.ledger.genesis(), folder: &stage.folder, log: &log };
        let state = recovery.run(stage.index()).expect("from genesis");
        assert_eq!(state.ledger.tip().height.get(), blocks.len() as u64);
        assert_eq!(state.transactions, 4 * blocks.len() as u64);
        assert_eq!(state.ledger.tip().id, blocks.last().map(LoggedBlock::id).unwrap_or_default());
    };
    for keep_index in [false, true] {
        let other = Stage::set();
        check("another chain", &other, &other.blocks, keep_index);
        check("a shorter one", &other, &other.blocks[..7], keep_index);
        check("an empty one", &other, &[], keep_index);
    }
}

#[test]
fn the_snapshot_of_a_log_that_was_cut_below_it_is_left_alone() {
    let stage = Stage::with_snapshot();
    let log = log_of(&stage.dir.path().join("cut"), &stage.blocks[..5]);
    let state = stage.recovery(&log).run(stage.index()).expect("from genesis");
    assert_eq!(state.ledger.tip().id, stage.blocks[4].id());
    let found = Snapshot::open(&stage.folder).expect("whole").expect("there");
    assert_eq!(found.height(), KEPT);
}

#[test]
fn a_log_that_is_no_chain_below_the_snapshot_is_named() {
    let refused = |change: &dyn Fn(&mut Vec<LoggedBlock>), words: &[&str]| {
        let stage = Stage::with_snapshot();
        stage.lose_index();
        let mut blocks = stage.blocks.clone();
        change(&mut blocks);
        let log = log_of(&stage.dir.path().join("changed"), &blocks);
        let refused = stage.recovery(&log).run(stage.index()).expect_err("seen").to_string();
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    };
    refused(&|blocks| drop(blocks[3].block.transactions.pop()), &["height 4", "transactions root"]);
    refused(
        &|blocks| {
            let block = &mut blocks[3];
            block.block.header.round = goodwatt_chain::units::Round::new(1);
            block.certificate.block = block.id();
        },
        &["height 5", "which is not the tip"],
    );
    refused(
        &|blocks| blocks[3].block.transactions[1].0.truncate(64),
        &["height 4", "transaction 1"],
    );
}
