//! Catching up with peers of every kind.

mod stage;

use goodwatt_chain::units::Height;
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
