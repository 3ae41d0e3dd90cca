//! Crashes: what a validator may have lost, and what it must not do afterwards.

use goodwatt_chain::codec;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::VoteKind;
use goodwatt_consensus::{
    Action, LastSigned, Mark, Message, Refusal, SilentReason, Step, WalEntry,
};

use crate::board::{BAD, Board, Job, block, validators};
use crate::network::Network;
use crate::peers::{prevote, proposal, vote_at};

const HEIGHT: Height = Height::new(1);

/// The last thing on the guard's file, with its signature, as the log would have it.
fn last_words(board: &Board) -> Option<WalEntry> {
    let last = board.guard?;
    board.signed.get(&last.mark).copied().map(WalEntry::Own)
}

/// Runs a validator on its own, cuts the power after `jobs` jobs and a log that lost all but `kept`
/// of its unsynced entries, and runs it again. Gives false once there was nothing left to cut.
fn crash_alone(jobs: usize, kept: usize, guard_keeps_signature: bool) -> bool {
    let mut board = Board::new(0, &validators(&[1]));
    board.start().unwrap();
    for _ in 0..jobs {
        if board.jobs.is_empty() {
            return false;
        }
        let job = board.jobs.remove(0);
        board.work(job);
    }
    let round = board.round();
    board.crash(kept);
    if guard_keeps_signature {
        board.wal.extend(last_words(&board));
    }
    if board.decided.is_empty() {
        board.start().unwrap();
        assert!(board.decided.contains_key(&HEIGHT) || board.round() >= round);
    }
    for _ in 0..10 {
        board.work_off();
        board.time_out();
    }
    let decided = board.decided[&HEIGHT].block;
    let precommits = board.signed.values().map(|signed| signed.statement());
    let mut for_blocks = precommits.filter(|s| s.mark().step == Step::Precommit);
    assert!(for_blocks.all(|s| s.block().is_none_or(|block| block == decided)));
    true
}

#[test]
fn a_validator_on_its_own_comes_back_from_a_crash_anywhere() {
    let mut crashes = 0;
    for guard_keeps_signature in [false, true] {
        for kept in 0..6 {
            crashes += (0..).take_while(|jobs| crash_alone(*jobs, kept, guard_keeps_signature)).count();
        }
    }
    assert_eq!(crashes, 2 * 6 * 6);
}

/// A board of four, locked on a block in round 0, with its precommit signed. And who proposed it.
fn locked() -> (Board, Network, BlockId) {
    let mut network = Network::started();
    let proposer = network.proposer(1, 0);
    let index = (0..4).find(|i| *i != proposer && *i != network.proposer(1, 1)).unwrap();
    let mut board = network.boards.remove(index);
    let block = block(HEIGHT, Round::ZERO, proposer, 0);
    board.receive(proposal(proposer, 0, block, None)).unwrap();
    board.work_off();
    for peer in board.others() {
        board.receive(prevote(peer, 0, Some(block))).unwrap();
    }
    board.work_off();
    let mark = Mark { height: HEIGHT, round: Round::ZERO, step: Step::Precommit };
    assert_eq!(board.guard, Some(LastSigned { mark, block: Some(block) }));
    (board, network, block)
}

/// Everyone else precommits nothing in round 0, so that round 1 begins.
fn move_to_round_1(board: &mut Board) {
    for peer in board.others() {
        board.receive(vote_at(1, peer, VoteKind::Precommit, 0, None)).unwrap();
    }
    board.time_out();
    assert_eq!(board.round(), Round::new(1));
}

/// What the board prevotes in round 1 when another block is proposed there.
fn prevote_for_another(board: &mut Board, network: &Network) -> Option<BlockId> {
    let proposer = network.proposer(1, 1);
    let other = block(HEIGHT, Round::new(1), proposer, 0);
    board.receive(proposal(proposer, 1, other, None)).unwrap();
    board.work_off();
    let mark = Mark { height: HEIGHT, round: Round::new(1), step: Step::Prevote };
    board.signed[&mark].statement().block()
}

#[test]
fn a_lock_survives_a_crash_with_nothing_but_the_synced_log() {
    let (mut board, network, _) = locked();
    board.crash(0);
    board.start().unwrap();
    move_to_round_1(&mut board);
    assert_eq!(prevote_for_another(&mut board, &network), None);

    let (mut board, network, _) = locked();
    move_to_round_1(&mut board);
    board.crash(0);
    board.start().unwrap();
    assert!(board.silent.is_empty());
    if board.round() == Round::ZERO {
        move_to_round_1(&mut board);
    }
    assert_eq!(prevote_for_another(&mut board, &network), None);
}

#[test]
fn a_restart_says_old_words_again_and_signs_none_of_them_anew() {
    let (mut board, _, block) = locked();
    let before = board.signed.clone();
    board.crash(9);
    board.start().unwrap();
    board.work_off();
    assert_eq!(board.signed, before);
    assert_eq!(board.round(), Round::ZERO);
    let said: Vec<Message> = before.into_values().map(Message::Statement).collect();
    assert!(matches!(&board.outbox[0], Message::Polka(polka) if polka.block == block));
    assert_eq!(board.outbox[1..], said);
}

#[test]
fn a_restart_with_forgotten_words_goes_on_with_the_next_round() {
    let (mut board, _, _) = locked();
    board.wal.retain(|entry| matches!(entry, WalEntry::Polka(_)));
    board.synced = board.wal.len();
    board.crash(0);
    board.start().unwrap();
    assert_eq!(board.round(), Round::new(1));
    assert!(board.silent.is_empty());
}

#[test]
fn without_its_lock_a_validator_keeps_silent_for_the_height() {
    let (mut board, network, block) = locked();
    for remembers_words in [false, true] {
        board.crash(9);
        board.synced = 0;
        board.wal.retain(|entry| remembers_words && matches!(entry, WalEntry::Own(_)));
        board.start().unwrap();
        assert_eq!(board.silent.pop(), Some(SilentReason::LockLost(Round::ZERO)));
        let before = board.signed.len();
        move_to_round_1_as_observer(&mut board);
        let proposer = network.proposer(1, 1);
        board.receive(proposal(proposer, 1, block, None)).unwrap();
        board.work_off();
        assert_eq!(board.signed.len(), before);
    }
}

fn move_to_round_1_as_observer(board: &mut Board) {
    for peer in board.others() {
        board.receive(vote_at(1, peer, VoteKind::Prevote, 1, None)).unwrap();
    }
    assert_eq!(board.round(), Round::new(1));
}

#[test]
fn a_guard_ahead_of_the_chain_keeps_silent() {
    let mut board = Board::new(0, &validators(&[1]));
    let mark = Mark { height: Height::new(5), round: Round::ZERO, step: Step::Proposal };
    board.guard = Some(LastSigned { mark, block: Some(BAD) });
    board.start().unwrap();
    board.work_off();
    board.time_out();
    assert_eq!(board.silent, [SilentReason::GuardAhead(Height::new(5))]);
    assert!(board.signed.is_empty() && board.outbox.is_empty());
}

#[test]
fn a_guard_of_an_earlier_height_binds_nothing() {
    let mut board = Board::new(0, &validators(&[1]));
    let mark = Mark { height: Height::ZERO, round: Round::new(7), step: Step::Precommit };
    board.guard = Some(LastSigned { mark, block: Some(BAD) });
    board.start().unwrap();
    board.work_off();
    assert_eq!(board.decided[&HEIGHT].round, Round::ZERO);
}

#[test]
fn a_proposer_does_not_build_again_for_a_round_it_proposed_in() {
    for knows_its_words in [true, false] {
        let network = Network::started();
        let proposer = network.proposer(1, 0);
        let mut board = network.boards.into_iter().nth(proposer).unwrap();
        board.work_off();
        let own = board.signed.len();
        assert_eq!(own, 2, "proposal and prevote");
        board.crash(if knows_its_words { 9 } else { 0 });
        board.start().unwrap();
        assert_eq!(board.round(), Round::new(u32::from(!knows_its_words)));
        assert!(!board.jobs.iter().any(|job| matches!(job, Job::Build(_, Round::ZERO))));
        let rechecks = board.jobs.iter().any(|job| matches!(job, Job::Check(..)));
        assert_eq!(rechecks, knows_its_words, "the body may not have reached the card");
    }
}

#[test]
fn a_power_cut_at_everyone_at_once_stalls_nobody() {
    // After this many deliveries the power fails everywhere, and with it all that was under way.
    for deliveries in 0..40 {
        for kept in [0, 9] {
            let mut network = Network::started();
            run(&mut network, deliveries);
            let precommitted = committed_blocks(&network);
            network.inbox.clear();
            for board in &mut network.boards {
                board.crash(kept);
                if board.decided.is_empty() {
                    board.start().unwrap();
                }
            }
            finish(&mut network);
            let decision = network.decision(1);
            let quorum = precommitted.iter().filter(|block| **block == decision).count();
            assert!(precommitted.len() < 3 || quorum >= 3, "a possible decision was overturned");
        }
    }
}

fn run(network: &mut Network, deliveries: usize) {
    for _ in 0..deliveries {
        for index in 0..4 {
            network.boards[index].work_off();
            network.post(index);
        }
        if network.inbox.is_empty() {
            return;
        }
        let (to, message) = network.inbox.remove(0);
        network.deliver(to, message);
    }
}

fn committed_blocks(network: &Network) -> Vec<BlockId> {
    let signed = network.boards.iter().flat_map(|board| board.signed.values());
    let precommits = signed.map(|s| s.statement()).filter(|s| s.mark().step == Step::Precommit);
    precommits.filter_map(|statement| statement.block()).collect()
}

/// Lets timers elapse until all have decided; who has not takes over from who has.
fn finish(network: &mut Network) {
    for _ in 0..20 {
        network.settle();
        let decided = network.boards.iter().find_map(|board| board.decided.get(&HEIGHT).cloned());
        if let Some(certificate) = decided {
            for board in network.boards.iter_mut().filter(|board| board.decided.is_empty()) {
                board.adopt(certificate.clone());
            }
            return;
        }
        network.time_out();
    }
    panic!("no decision in twenty timeouts");
}

#[test]
fn entries_of_the_log_are_small_and_read_back_as_written() {
    let (board, _, _) = locked();
    let sizes: Vec<usize> = board
        .wal
        .iter()
        .map(|entry| {
            let bytes = codec::encode(entry);
            assert_eq!(codec::decode::<WalEntry>(&bytes).as_ref(), Ok(entry));
            bytes.len()
        })
        .collect();
    // Own prevote, the polka of three others and itself or two of them, own precommit.
    assert!(sizes.iter().all(|bytes| *bytes < 300), "{sizes:?}");
}

#[test]
fn actions_stay_small_in_memory() {
    assert!(size_of::<Action>() <= 512, "{}", size_of::<Action>());
}

#[test]
fn a_core_that_was_restarted_refuses_what_is_over() {
    let mut board = Board::new(0, &validators(&[1]));
    board.start().unwrap();
    board.work_off();
    board.crash(0);
    assert_eq!(board.receive(prevote(0, 0, None)), Err(Refusal::Late));
}
