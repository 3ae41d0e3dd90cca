//! From one block to the next: every field of a header, the certificate, and the sealing rule.

mod common;

use common::make::transfer;
use common::{Chain, founding_signer, good, grains, owner};
use goodwatt_chain::block::{
    Block, Certificate, CertificateError, CommitSignature, Header, RawTransaction,
};
use goodwatt_chain::genesis::{Parameters, SealingRule};
use goodwatt_chain::hash::{BlockId, ChainId, Digest32};
use goodwatt_chain::ledger::{BlockError, Draft, Signatures};
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::Batch;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, Round, UnixMillis};
use goodwatt_chain::validators::ValidatorSet;
use goodwatt_units::Millis;

/// This many transfers, each from the same account.
fn transfers(chain: &Chain, count: u64) -> Vec<Transaction> {
    (0..count).map(|n| chain.sign_later(&owner(9), n, transfer(&owner(8), grains(1)))).collect()
}

/// A chain of six founders with two blocks, and an honest third block.
fn stage() -> (Chain, Block) {
    let mut chain = Chain::new(6);
    for _ in 0..2 {
        let waiting = transfers(&chain, 2);
        chain.seal(&waiting);
    }
    let block = chain.propose(&transfers(&chain, 3)).expect("the draft fits").block;
    assert_eq!(chain.check(&block).map(drop), Ok(()));
    (chain, block)
}

const OTHER: Digest32 = Digest32::new([0x55; 32]);

#[test]
fn every_field_of_a_header_is_checked() {
    let (chain, honest) = stage();
    let before = chain.ledger.tip().clone();
    let check = |change: &dyn Fn(&mut Header), want: BlockError| {
        let mut block = honest.clone();
        change(&mut block.header);
        assert_ne!(block, honest, "{want}");
        let refused = chain.ledger.check(&block, Signatures::Verify).map(drop);
        assert_eq!(refused, Err(want));
        assert_eq!(*chain.ledger.tip(), before);
    };
    let height = honest.header.height;
    let wrong_height = |found| BlockError::WrongHeight { found, expected: height };
    check(&|h| h.version = 0, BlockError::UnknownVersion(0));
    check(&|h| h.version = 2, BlockError::UnknownVersion(2));
    check(&|h| h.chain = ChainId(OTHER), BlockError::WrongChain(ChainId(OTHER)));
    check(&|h| h.height = height.next(), wrong_height(height.next()));
    check(&|h| h.height = Height::new(2), wrong_height(Height::new(2)));
    check(&|h| h.height = Height::ZERO, wrong_height(Height::ZERO));
    check(&|h| h.parent = BlockId(OTHER), BlockError::WrongParent(BlockId(OTHER)));
    let drawn = |round| {
        let in_charge = chain.ledger.in_charge();
        let drawn = in_charge.validators.proposer(&in_charge.seed, height, Round::new(round));
        drawn.expect("a set has weight").signer
    };
    let proposer = honest.header.proposer;
    let another = (0..100).find(|round| drawn(*round) != proposer).expect("others are drawn too");
    check(&|h| h.round = Round::new(another), BlockError::NotProposer(proposer));
    for other in [drawn(another), owner(0).public()] {
        check(&|h| h.proposer = other, BlockError::NotProposer(other));
    }
    let parent = before.time;
    check(&|h| h.time = parent, BlockError::TooEarly);
    check(&|h| h.time = UnixMillis::new(parent.get() - 1), BlockError::TooEarly);
    check(&|h| h.time = UnixMillis::default(), BlockError::TooEarly);
    let field = BlockError::WrongField;
    check(&|h| h.transactions_root = OTHER, field("transactions root"));
    check(&|h| h.transaction_count = 2, field("transaction count"));
    check(&|h| h.transaction_count = u32::MAX, field("transaction count"));
    check(&|h| h.state_root = OTHER, field("state root"));
    check(&|h| h.history_root = OTHER, field("history root"));
    check(&|h| h.validators_hash = OTHER, field("validators hash"));
    check(&|h| h.next_validators_hash = OTHER, field("next validators hash"));
    check(&|h| h.parent_certificate_hash = OTHER, field("parent certificate hash"));
    check(&|h| h.reveal = Some(OTHER), BlockError::WrongReveal);
    // In another epoch the same transactions make another state.
    let later = chain.genesis().epoch_start(chain.epoch().next());
    check(&|h| h.time = later, field("state root"));
    check(&|h| h.time = UnixMillis::new(u64::MAX), field("state root"));
}

#[test]
fn every_part_of_a_body_is_checked() {
    let (chain, honest) = stage();
    let check = |name: &str, change: &dyn Fn(&mut Block), want: BlockError| {
        let mut block = honest.clone();
        change(&mut block);
        assert_eq!(chain.check(&block).map(drop), Err(want), "{name}");
    };
    let count = BlockError::WrongField("transaction count");
    check("one less", &|b| drop(b.transactions.pop()), count.clone());
    check("one more", &|b| b.transactions.push(b.transactions[0].clone()), count);
    let gap = Refusal::NonceGap { found: 5, expected: 4 };
    let swapped = BlockError::Refused { index: 0, refusal: gap };
    check("swapped", &|b| b.transactions.swap(0, 1), swapped);
    let last = |b: &mut Block| {
        let bytes = &mut b.transactions[2].0;
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
    };
    check("one signature of many", &last, BlockError::Signature);
}

#[test]
fn other_transactions_than_the_header_says_are_found() {
    let (chain, mut block) = stage();
    let other = transfers(&chain, 4).into_iter().next_back().expect("four");
    assert_eq!(other.content.nonce, 7);
    let third = chain.sign_later(&owner(9), 2, transfer(&owner(7), grains(1)));
    block.transactions[2].0 = third.bytes().to_vec();
    let want = BlockError::WrongField("transactions root");
    assert_eq!(chain.check(&block).map(drop), Err(want));
}

/// The honest block with another certificate of its parent.
fn with_certificate(chain: &Chain, honest: &Block, other: Option<Certificate>) -> BlockError {
    let mut block = honest.clone();
    block.header.parent_certificate_hash = other.as_ref().map_or(Digest32::ZERO, Certificate::hash);
    block.parent_certificate = other;
    chain.check(&block).map(drop).expect_err("the certificate is not right")
}

#[test]
fn the_parents_certificate_is_checked() {
    let (chain, honest) = stage();
    let certificate = honest.parent_certificate.clone().expect("it has a parent");
    let total = chain.validators().total_weight();
    assert_eq!(total, good(60).get());
    let check = |name: &str, change: &dyn Fn(&mut Certificate), want: BlockError| {
        let mut other = certificate.clone();
        change(&mut other);
        assert_eq!(with_certificate(&chain, &honest, Some(other)), want, "{name}");
    };
    let positions = BlockError::Certificate(CertificateError::Positions);
    let weight = |good_count: u32| {
        let weight = good(good_count).get();
        BlockError::Certificate(CertificateError::NoQuorum { weight, total })
    };
    check("nobody", &|c| c.signatures.clear(), weight(0));
    check("exactly two thirds", &|c| c.signatures.truncate(4), weight(40));
    check("one twice", &|c| c.signatures[1] = c.signatures[0], positions.clone());
    check("out of order", &|c| c.signatures.swap(1, 2), positions.clone());
    check("outside of the set", &|c| c.signatures[5].validator = 6, positions.clone());
    check("far outside", &|c| c.signatures[5].validator = 255, positions);
    let forge = |c: &mut Certificate| {
        let foreign = owner(0).sign(&OTHER);
        c.signatures[3] = CommitSignature { validator: 3, signature: foreign };
    };
    check("forged", &forge, BlockError::Signature);
    let shift = |c: &mut Certificate| c.signatures[3].signature = c.signatures[2].signature;
    check("another's signature", &shift, BlockError::Signature);
    check("another round", &|c| c.round = Round::new(9), BlockError::Signature);
    check("another block", &|c| c.block = BlockId(OTHER), BlockError::Signature);
    check("another height", &|c| c.height = Height::new(1), BlockError::Signature);
    assert_eq!(with_certificate(&chain, &honest, None), BlockError::WrongCertificate);
}

#[test]
fn a_certificate_of_another_block_is_none_of_the_parent() {
    let (chain, honest) = stage();
    let tip = chain.ledger.tip();
    let others = [
        chain.certify(tip.height, Round::ZERO, BlockId(OTHER)),
        chain.certify(tip.height.next(), Round::ZERO, tip.id),
        chain.certify(Height::new(1), Round::ZERO, tip.id),
    ];
    for other in others {
        let error = with_certificate(&chain, &honest, Some(other));
        assert_eq!(error, BlockError::WrongCertificate);
    }
}

#[test]
fn more_than_two_thirds_are_enough_in_any_round() {
    let (mut chain, _) = stage();
    chain.silent.insert(founding_signer(3).public());
    let tip = chain.ledger.tip();
    chain.certificate = Some(chain.certify(tip.height, Round::new(7), tip.id));
    let waiting = transfers(&chain, 1);
    let block = chain.seal(&waiting);
    assert_eq!(block.parent_certificate.map(|c| c.signatures.len()), Some(5));
}

#[test]
fn the_first_block_has_no_certificate() {
    let chain = Chain::new(3);
    let waiting = transfers(&chain, 1);
    let nothing = chain.certify(Height::ZERO, Round::ZERO, BlockId::default());
    let draft = Draft { parent_certificate: Some(nothing.clone()), ..chain.draft() };
    let refused = chain.ledger.propose(draft, &waiting).map(drop);
    assert_eq!(refused, Err(BlockError::WrongCertificate));
    let honest = chain.propose(&waiting).expect("the draft fits").block;
    let error = with_certificate(&chain, &honest, Some(nothing));
    assert_eq!(error, BlockError::WrongCertificate);
}

#[test]
fn a_set_certifies_the_block_that_begins_the_next_ones_term() {
    let mut chain = Chain::new(1);
    let bought = chain.buy(&owner(5), good(2));
    chain.seal(&[bought]);
    chain.walk_to(2);
    // The tip was decided by the founder, the next block is decided by the buyer.
    let in_charge = chain.ledger.in_charge();
    let owner_of = |set: &ValidatorSet| set.at(0).map(|v| v.owner);
    assert_eq!(owner_of(&in_charge.decided_tip), Some(owner(0).public()));
    assert_eq!(owner_of(&in_charge.validators), Some(owner(5).public()));
    let tip = chain.ledger.tip();
    let by_the_new = chain.certify(tip.height, Round::ZERO, tip.id);
    let waiting = transfers(&chain, 1);
    let honest = chain.propose(&waiting).expect("the draft fits").block;
    assert_eq!(with_certificate(&chain, &honest, Some(by_the_new)), BlockError::Signature);
    chain.seal(&waiting);
    let in_charge = chain.ledger.in_charge();
    assert_eq!(owner_of(&in_charge.decided_tip), Some(owner(5).public()));
}

#[test]
fn collected_signatures_are_the_callers_to_verify() {
    let (chain, mut block) = stage();
    let end = block.transactions[1].0.len() - 1;
    block.transactions[1].0[end] ^= 1;
    assert_eq!(chain.check(&block).map(drop), Err(BlockError::Signature));
    let mut batch = Batch::default();
    let applied = chain.ledger.check(&block, Signatures::Collect(&mut batch));
    // The signature is part of the transaction's id, so the header tells it as well.
    assert_eq!(applied.map(drop), Err(BlockError::WrongField("transactions root")));
    assert_eq!(batch.len(), 6 + 3, "six of the certificate, three of transactions");
    assert_eq!(batch.first_invalid(), Some(6 + 1));
}

/// What a block of `waiting` transfers does `after` milliseconds: how many it seals.
fn seal(
    change: impl FnOnce(&mut Parameters),
    waiting: u64,
    after: u64,
) -> Result<usize, BlockError> {
    let mut chain = Chain::with(1, change);
    let distance = chain.parameters().block_interval_min;
    chain.time = chain.time.after(Millis::from_secs(60)).after(distance);
    let first = transfers(&chain, 5);
    chain.seal(&first[..if chain.parameters().sealing == SealingRule::Single { 1 } else { 5 }]);
    chain.time = chain.ledger.tip().time.after(Millis::new(after));
    let waiting = transfers(&chain, waiting);
    chain.try_seal(&waiting).map(|(block, _)| block.transactions.len())
}

#[test]
fn blocks_are_sealed_by_the_rule_of_genesis() {
    let check = |rule: SealingRule, waiting, after, want| {
        let sealed = seal(|parameters| parameters.sealing = rule, waiting, after);
        assert_eq!(sealed, want, "{rule:?}: {waiting} after {after} ms");
    };
    let few = |count| Err(BlockError::SealingRule(count));
    let heartbeat = 3_600_000;

    check(SealingRule::Immediate, 0, 1_000, Err(BlockError::NothingToSeal));
    check(SealingRule::Immediate, 1, 1, Ok(1));
    check(SealingRule::Immediate, 9, 1, Ok(9));
    check(SealingRule::Immediate, 0, heartbeat, Ok(0));

    let five = SealingRule::FIVE;
    check(five, 0, 6_000, Err(BlockError::NothingToSeal));
    check(five, 4, 1, few(4));
    check(five, 1, 4_999, few(1));
    check(five, 1, 5_000, Ok(1));
    check(five, 4, 5_000, Ok(4));
    check(five, 5, 1, Ok(5));
    check(five, 7, 1, Ok(7));
    check(five, 0, heartbeat, Ok(0));
    check(five, 2, heartbeat, Ok(2));

    let three = SealingRule::Count { transactions: 3, interval: Millis::new(700) };
    check(three, 2, 699, few(2));
    check(three, 2, 700, Ok(2));
    check(three, 3, 1, Ok(3));

    check(SealingRule::Single, 0, 1_000, Err(BlockError::NothingToSeal));
    check(SealingRule::Single, 1, 1, Ok(1));
    check(SealingRule::Single, 7, 1, Ok(1));
    check(SealingRule::Single, 0, heartbeat, Ok(0));
    check(SealingRule::Single, 7, heartbeat, Ok(1));
}

#[test]
fn a_checker_holds_the_sealing_rule_too() {
    // A proposer of the same chain under another rule would make these blocks.
    let check = |rule: SealingRule, count: u64, want: BlockError| {
        let chain = Chain::with(1, |parameters| parameters.sealing = rule);
        let waiting = transfers(&chain, count.max(1));
        let mut block = Block {
            header: chain.propose(&transfers(&chain, 5)).expect("it fits").block.header,
            parent_certificate: None,
            transactions: Vec::new(),
        };
        let raw = |t: &Transaction| RawTransaction(t.bytes().to_vec());
        block.transactions = waiting.iter().take(count as usize).map(raw).collect();
        block.header.transaction_count = count as u32;
        assert_eq!(chain.check(&block).map(drop), Err(want), "{rule:?}: {count}");
    };
    check(SealingRule::Immediate, 0, BlockError::NothingToSeal);
    check(SealingRule::FIVE, 0, BlockError::NothingToSeal);
    check(SealingRule::FIVE, 4, BlockError::SealingRule(4));
    check(SealingRule::Single, 2, BlockError::SealingRule(2));
}

#[test]
fn blocks_keep_their_distance() {
    let check = |least, after, want| {
        let sealed = seal(|p| p.block_interval_min = Millis::new(least), 1, after);
        assert_eq!(sealed, want, "{after} ms with {least} ms");
    };
    check(0, 0, Err(BlockError::TooEarly));
    check(0, 1, Ok(1));
    check(1_000, 999, Err(BlockError::TooEarly));
    check(1_000, 1_000, Ok(1));
    check(5_000_000, 3_600_000, Err(BlockError::TooEarly));
    check(5_000_000, 5_000_000, Ok(1));
}

#[test]
fn a_block_holds_what_genesis_allows_and_no_more() {
    let check = |change: &dyn Fn(&mut Parameters), waiting: u64, fits: usize| {
        let chain = Chain::with(1, change);
        let waiting = transfers(&chain, waiting);
        let mut block = chain.propose(&waiting).expect("the draft fits").block;
        assert_eq!(block.transactions.len(), fits);
        assert_eq!(chain.check(&block).map(drop), Ok(()));
        let next = RawTransaction(waiting[fits].bytes().to_vec());
        block.transactions.push(next);
        block.header.transaction_count += 1;
        assert_eq!(chain.check(&block).map(drop), Err(BlockError::TooLarge));
    };
    check(&|parameters| parameters.block_transactions_max = 3, 5, 3);
    let bytes = transfers(&Chain::new(1), 1)[0].bytes().len() as u32;
    let exact = |count: u32, less: u32| {
        move |parameters: &mut Parameters| {
            parameters.transaction_bytes_max = 256;
            parameters.block_bytes_max = count * bytes - less;
        }
    };
    check(&exact(6, 0), 7, 6);
    check(&exact(6, 1), 7, 5);
}
