use std::sync::Arc;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::signature::Signature;
use goodwatt_chain::transaction::Transaction;

use super::*;
use crate::tool::bench::chain::Chain;

const WALLETS: u32 = 4;

/// A chain of six blocks with a payment each, and its records; `change` may spoil a payment.
fn chain(change: impl Fn(u64, &ChainId, Transaction) -> Transaction) -> (Chain, Vec<LoggedBlock>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut chain = Chain::new(folder.path(), WALLETS).expect("a chain");
    let mut block = |height: u64| {
        let transfer = chain.transfer((height % u64::from(WALLETS)) as u32);
        let transfer = change(height, &chain.ledger.chain().clone(), transfer);
        let (block, certificate) = chain.seal(&[transfer]).expect("sealed");
        LoggedBlock { certificate, block }
    };
    let blocks = (1..=6).map(&mut block).collect();
    (chain, blocks)
}

fn replay(
    chain: &Chain,
    blocks: &[LoggedBlock],
    batch_max: usize,
) -> Result<Replayed<MemoryLeaves>, ReplayError> {
    let genesis = Arc::clone(chain.ledger.genesis());
    let ledger = Ledger::begin(genesis, MemoryLeaves::default()).expect("a good genesis");
    let mut replay = Replay::new(ledger, 0, None, batch_max);
    for (block, height) in blocks.iter().zip(1..) {
        replay.apply(Height::new(height), &codec::encode(block))?;
        replay.verify_full()?;
    }
    replay.finish()
}

/// Fails unless the blocks are refused at that height, with these words.
#[track_caller]
fn refused(chain: &Chain, blocks: &[LoggedBlock], height: u64, words: &str) {
    for batch_max in [1, 3, 100] {
        let refused = replay(chain, blocks, batch_max).expect_err("refused").to_string();
        let want = format!("the block at height {height} in the log is not valid");
        assert!(refused.contains(&want) && refused.contains(words), "{batch_max}: {refused}");
    }
}

fn spoil(signature: &mut Signature) {
    let mut bytes = signature.to_bytes();
    bytes[40] ^= 1;
    *signature = Signature::from_bytes(bytes);
}

#[test]
fn a_good_log_ends_at_its_tip() {
    let (chain, blocks) = chain(|_, _, transfer| transfer);
    for batch_max in [1, 3, 100] {
        let replayed = replay(&chain, &blocks, batch_max).expect("good");
        assert_eq!(replayed.ledger.tip(), chain.ledger.tip());
        assert_eq!(replayed.transactions, 6);
        let certificate = replayed.tip_certificate.expect("of the tip");
        assert_eq!(certificate, blocks[5].certificate);
    }
    assert_eq!(replay(&chain, &[], 1).expect("nothing").tip_certificate, None);
}

#[test]
fn it_goes_on_from_a_ledger_at_a_height() {
    let (chain, blocks) = chain(|_, _, transfer| transfer);
    let half = replay(&chain, &blocks[..3], 100).expect("good");
    let go_on = |tip: &LoggedBlock, ledger: &Ledger<MemoryLeaves>| {
        let ledger = Ledger::resume(
            Arc::clone(ledger.genesis()),
            ledger.leaves().clone(),
            ledger.tip().clone(),
        );
        let mut replay = Replay::new(ledger.expect("its root"), 3, Some(tip.clone()), 100);
        replay.apply(Height::new(4), &codec::encode(&blocks[3]))?;
        replay.finish()
    };
    let replayed = go_on(&blocks[2], &half.ledger).expect("good");
    assert_eq!((replayed.ledger.tip().height, replayed.transactions), (Height::new(4), 4));
    let mut other = blocks[2].clone();
    spoil(&mut other.certificate.signatures[0].signature);
    go_on(&other, &half.ledger).expect_err("a signature of it is bad");
}

#[test]
fn a_bad_signature_is_found_at_its_block() {
    let spoiled = |height, chain_id: &ChainId, transfer: Transaction| {
        if height != 3 {
            return transfer;
        }
        let mut bytes = transfer.bytes().to_vec();
        *bytes.last_mut().expect("bytes") ^= 1;
        Transaction::decode(chain_id, &bytes).expect("only its signature is bad")
    };
    let (chain, blocks) = chain(spoiled);
    refused(&chain, &blocks, 3, "a signature in the block is not valid");
}

#[test]
fn a_bad_certificate_is_found_wherever_it_stands() {
    let (chain, blocks) = chain(|_, _, transfer| transfer);
    let with = |change: &dyn Fn(&mut Vec<LoggedBlock>)| {
        let mut blocks = blocks.clone();
        change(&mut blocks);
        blocks
    };
    // The tip's stands in no block.
    let tip = with(&|blocks| spoil(&mut blocks[5].certificate.signatures[0].signature));
    refused(&chain, &tip, 6, "a signature in the block is not valid");
    let empty = with(&|blocks| blocks[5].certificate.signatures.clear());
    refused(&chain, &empty, 6, "not more than two thirds");
    let other = with(&|blocks| spoil(&mut blocks[2].certificate.signatures[0].signature));
    refused(&chain, &other, 4, "a signature in the block is not valid");
    let empty = with(&|blocks| blocks[2].certificate.signatures.clear());
    refused(&chain, &empty, 4, "not more than two thirds");
    let swapped = with(&|blocks| blocks[2].certificate = blocks[1].certificate.clone());
    refused(&chain, &swapped, 3, "certificate");
    let height = with(&|blocks| blocks[5].certificate.height = Height::new(5));
    refused(&chain, &height, 6, "certificate");
    // The certificate in the log and in the next block agree, but prove nothing.
    let both = with(&|blocks| {
        spoil(&mut blocks[2].certificate.signatures[0].signature);
        blocks[3].block.parent_certificate = Some(blocks[2].certificate.clone());
    });
    refused(&chain, &both, 4, "parent certificate hash");
}

#[test]
fn what_is_no_block_is_named() {
    let (chain, blocks) = chain(|_, _, transfer| transfer);
    let ledger = Ledger::begin(Arc::clone(chain.ledger.genesis()), MemoryLeaves::default());
    let mut replay = Replay::new(ledger.expect("a good genesis"), 0, None, 100);
    let record = codec::encode(&blocks[0]);
    let refused = replay.apply(Height::new(1), &record[1..]).expect_err("cut").to_string();
    assert!(refused.contains("the record at height 1 in the log is no block"), "{refused}");
    replay.apply(Height::new(1), &record).expect("nothing was changed by it");
}
