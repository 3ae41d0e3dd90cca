//! Catching up with peers of every kind.

mod stage;

use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::codec;
use goodwatt_chain::units::{Height, UnixMillis};
use goodwatt_store::BlockLog;
use goodwatt_validator::Prunable;
use stage::Manner::{Boaster, FalseBodies, FalseHeaders, FalseSignatures, Honest, Pruned, Silent};
use stage::{Stage, chain};

/// The last block of the log, and what the ledger has of it, are the chain's.
#[track_caller]
fn check_at_tip(stage: &Stage, blocks: u64) {
    assert_eq!(stage.height(), blocks, "{:?}", stage.own.describe());
    assert_eq!(stage.sealed, Height::new(blocks));
    assert_eq!(stage.own.card().log.tip(), Some(Height::new(blocks)));
}

#[test]
fn bodies_come_from_all_who_have_them() {
    let chain = chain(700, 1);
    let mut stage = Stage::new(&chain, &[Honest; 3]);
    stage.run(1);
    check_at_tip(&stage, 700);
    assert_eq!(stage.given.iter().sum::<usize>(), 700, "each block is fetched once");
    assert!(stage.given.iter().all(|given| *given >= 100), "{:?}", stage.given);
    assert!(stage.blamed.is_empty());
    assert!(stage.own.progress(stage.now()).is_none());
    // What is on the card stands on its own.
    let mut again = Stage::on(stage.disk.clone(), &chain, &[]);
    assert_eq!(again.height(), 700);
    assert!(!again.answer());
}

#[test]
fn a_few_blocks_are_asked_for_at_once() {
    let mut stage = Stage::new(&chain(20, 2), &[Honest]);
    assert!(stage.answer(), "blocks are asked for, and given");
    assert_eq!(stage.height(), 20, "with one question");
    stage.run(1);
    check_at_tip(&stage, 20);
}

#[test]
fn whoever_lies_is_caught_and_passed_over() {
    let chain = chain(300, 2);
    let check = |manner, is_blamed: bool| {
        let mut stage = Stage::new(&chain, &[manner, Honest]);
        stage.run(60);
        check_at_tip(&stage, 300);
        assert_eq!(stage.blamed.contains(&0), is_blamed, "{manner:?}");
        assert!(!stage.blamed.contains(&1), "{manner:?}");
    };
    check(FalseHeaders(1), true);
    check(FalseHeaders(200), true);
    check(FalseBodies, true);
    check(FalseSignatures, true);
    // To be slow, to have pruned, or to be behind by now breaks no rule.
    check(Silent, false);
    check(Pruned, false);
    check(Boaster, false);
}

#[test]
fn a_few_false_blocks_are_not_taken_either() {
    let chain = chain(10, 2);
    for manner in [FalseHeaders(5), FalseBodies, FalseSignatures] {
        let mut stage = Stage::new(&chain, &[manner]);
        stage.run(20);
        assert!(stage.height() < 10, "{manner:?}");
        assert!(stage.blamed.contains(&0), "{manner:?}");
    }
}

#[test]
fn nobody_is_told_of_blocks_that_a_full_card_does_not_take() {
    let chain = chain(500, 5);
    let mut stage = Stage::new(&chain, &[Honest]);
    stage.disk.set_free(Some(20_000));
    stage.run(12);
    assert!(
        stage.own.stuck().is_some_and(|stuck| stuck.contains("no space")),
        "{:?}",
        stage.own.stuck()
    );
    assert_eq!(stage.sealed, Height::ZERO);
    assert_eq!(stage.own.ledger().leaves().checkpoint, Height::ZERO, "the state waits for the log");
    stage.disk.set_free(None);
    stage.run(12);
    check_at_tip(&stage, 500);
    let again = Stage::on(stage.disk.clone(), &chain, &[]);
    assert_eq!(again.height(), 500);
}

#[test]
fn after_a_crash_it_goes_on_from_what_was_told() {
    let chain = chain(500, 5);
    let mut shortened = 0;
    for crash_after in (1..40).step_by(6) {
        let mut stage = Stage::new(&chain, &[Honest, Honest]);
        stage.disk.crash_after(crash_after);
        stage.run(1);
        let told = stage.sealed;
        let disk = stage.disk.clone();
        drop(stage);
        disk.restart();
        let mut again = Stage::on(disk, &chain, &[Honest]);
        let begun = again.height();
        assert!(begun >= told.get(), "{begun} of {told}");
        shortened += u32::from(begun > 0 && begun < 500);
        again.run(1);
        check_at_tip(&again, 500);
        assert_eq!(again.given[0] as u64, 500 - begun, "nothing is fetched twice");
    }
    assert!(shortened > 2, "{shortened}");
}

#[test]
fn old_bodies_go_and_their_headers_stay() {
    let chain = chain(2, 1);
    let disk = goodwatt_store::faulty::FaultyDisk::new(1);
    let headers = goodwatt_store::faulty::FaultyDisk::new(2);
    let (mut log, _) = BlockLog::open(disk.folder()).expect("empty");
    // Large bodies, so that a few of them fill the files of a log.
    for height in 1..=40 {
        let mut logged = chain[1].clone();
        logged.block.header.height = Height::new(height);
        logged.block.header.time = UnixMillis::new(height * 1_000);
        logged.block.transactions = vec![RawTransaction(vec![1; 2_000]); 400];
        log.append(Height::new(height), &codec::encode(&logged)).expect("written");
    }
    drop(log);
    let mut own = stage::with_log(&disk, &headers);
    let mut prune = |below, before| {
        let prunable = Prunable { below: Height::new(below), before: UnixMillis::new(before) };
        own.prune(prunable).expect("no fault").map(Height::get)
    };
    // Neither what is too high nor what is too young.
    assert_eq!(prune(5, u64::MAX), None);
    assert_eq!(prune(40, 5_000), None);
    let first = prune(40, u64::MAX).expect("a file or more");
    assert!((11..=40).contains(&first), "{first}");
    let card = own.card();
    assert_eq!(card.log.first(), Some(Height::new(first)));
    for height in (1..=40).map(Height::new) {
        let header = card.header(height).expect("sound").expect("each height").header;
        assert_eq!(header.height, height);
        assert_eq!(card.log.read(height).expect("sound").is_some(), height.get() >= first);
    }
}
