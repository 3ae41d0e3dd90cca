//! Crashes: what a validator may have lost, and what it must not do afterwards.

use goodwatt_chain::codec;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::VoteKind;
use goodwatt_consensus::{
    Action, LastSigned, Mark, Message, Refusal, SignedStatement, SilentReason, Step, WalEntry,
};

use crate::board::{BAD, Board, Job, block, key, validators};
use crate::network::Network;
use crate::peers::{prevote, proposal, vote_at};

const HEIGHT: Height = Height::new(1);

/// Runs a validator on its own, cuts the power after `jobs` jobs and a log that lost all but `kept`
/// of its unsynced entries, and runs it again. Gives false once there was nothing left to cut.
fn crash_alone(jobs: usize, kept: usize) -> bool {
    let mut board = Board::new(0, &validators(&[1]));
    board.start().unwrap();
    for _ in 0..jobs {
        if board.jobs.is_empty() {
            return false;
        }
        let job = board.jobs.remove(0);
        board.work(job);
    }
    board.crash(kept);
    if board.decided.is_empty() {
        board.start().unwrap();
    }
    for _ in 0..10 {
        board.work_off();
        board.time_out();
    }
    let decided = board.decided[&HEIGHT].block;
    let signed = board.signed.values().map(SignedStatement::statement);
    let mut precommits = signed.filter(|s| s.mark().step == Step::Precommit);
    assert!(precommits.all(|s| s.block().is_none_or(|block| block == decided)));
    true
}

#[test]
fn a_validator_on_its_own_comes_back_from_a_crash_anywhere() {
    for kept in 0..6 {
        let crashes = (0..).take_while(|jobs| crash_alone(*jobs, kept)).count();
        assert_eq!(crashes, 6, "build, guard, answer, guard, answer; and before all");
    }
}

/// A board of four, locked on a block in round 0, with its precommit signed; the other three; and
/// the block. It does not propose in round 1.
fn locked() -> (Board, Network, BlockId) {
    let network = Network::started();
    let proposers = [0, 1].map(|round| network.proposer(1, round));
    let index = (0..4).find(|index| !proposers.contains(index)).unwrap();
    lock(network, index)
}

fn lock(mut network: Network, index: usize) -> (Board, Network, BlockId) {
    let proposer = network.proposer(1, 0);
    let mut board = network.boards.remove(index);
    let block = block(HEIGHT, Round::ZERO, proposer, 0);
    board.receive(proposal(proposer, 0, block, None)).unwrap();
    board.work_off();
    for peer in board.others() {
        board.receive(prevote(peer, 0, Some(block))).unwrap();
    }
    board.work_off();
    let last = board.guard.unwrap();
    assert_eq!((last.mark.step, last.block), (Step::Precommit, Some(block)));
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
fn the_last_words_come_back_from_the_guard_when_the_log_has_lost_them() {
    let (mut board, _, block) = locked();
    let last = *board.signed.last_key_value().unwrap().1;
    let has_it = |board: &Board| board.wal.contains(&WalEntry::Own(last));
    assert!(has_it(&board));
    board.crash(0);
    assert!(!has_it(&board));
    board.start().unwrap();
    board.work_off();
    assert!(board.outbox.contains(&Message::Statement(last)));
    assert!(board.silent.is_empty());
    // And they count: two more precommits decide.
    for peer in board.others().into_iter().take(2) {
        board.receive(vote_at(1, peer, VoteKind::Precommit, 0, Some(block))).unwrap();
    }
    assert_eq!(board.decided[&HEIGHT].block, block);
}

#[test]
fn without_its_lock_a_validator_keeps_silent_for_the_height() {
    let (mut board, network, block) = locked();
    board.crash(9);
    board.wal.retain(|entry| matches!(entry, WalEntry::Own(_)));
    board.start().unwrap();
    assert_eq!(board.silent, [SilentReason::LockLost(Round::ZERO)]);
    check_silent_in_round_1(&mut board, &network, block);
}

#[test]
fn a_guard_that_signed_with_another_key_keeps_silent() {
    let (mut board, network, block) = locked();
    board.crash(9);
    board.wal.clear();
    let other = key(9).public();
    board.guard = board.guard.map(|last| LastSigned { signer: other, ..last });
    board.start().unwrap();
    assert_eq!(board.silent, [SilentReason::ForeignGuard(other)]);
    check_silent_in_round_1(&mut board, &network, block);
}

fn check_silent_in_round_1(board: &mut Board, network: &Network, block: BlockId) {
    let before = board.signed.clone();
    move_to_round_1_as_observer(board);
    board.receive(proposal(network.proposer(1, 1), 1, block, None)).unwrap();
    board.work_off();
    assert_eq!(board.signed, before);
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
    board.guard = Some(LastSigned { signer: board.key.public(), mark, block: Some(BAD) });
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
    board.guard = Some(LastSigned { signer: board.key.public(), mark, block: Some(BAD) });
    board.start().unwrap();
    board.work_off();
    assert_eq!(board.decided[&HEIGHT].round, Round::ZERO);
}

#[test]
fn a_proposer_does_not_build_again_for_a_round_it_proposed_in() {
    for log_has_the_proposal in [true, false] {
        let network = Network::started();
        let proposer = network.proposer(1, 0);
        let mut board = network.boards.into_iter().nth(proposer).unwrap();
        board.work_off();
        assert_eq!(board.signed.len(), 2, "proposal and prevote");
        board.crash(if log_has_the_proposal { 9 } else { 0 });
        board.start().unwrap();
        assert_eq!(board.round(), Round::ZERO);
        assert!(!board.jobs.iter().any(|job| matches!(job, Job::Build(..))));
        let rechecks = board.jobs.iter().any(|job| matches!(job, Job::Check(..)));
        assert_eq!(rechecks, log_has_the_proposal, "the body may not have reached the card");
    }
}

#[test]
fn a_locked_proposer_proposes_its_block_again_with_the_proof() {
    let network = Network::started();
    let (listener, proposer) = (network.proposer(1, 0), network.proposer(1, 1));
    let (mut board, others, block) = lock(network, proposer);
    board.outbox.clear();
    move_to_round_1(&mut board);
    board.work_off();
    assert!(!board.jobs.iter().any(|job| matches!(job, Job::Build(..))));
    let [Message::Polka(polka), Message::Statement(signed), _prevote] = &board.outbox[..] else {
        panic!("{:?}", board.outbox)
    };
    assert_eq!((polka.round, polka.block), (Round::ZERO, block));
    let SignedStatement::Proposal(again) = signed else { panic!("{signed:?}") };
    assert_eq!((again.proposal.block, again.proposal.pol_round), (block, Some(Round::ZERO)));
    // Who has heard nothing of round 0 follows by the proof, and would not without.
    for with_proof in [false, true] {
        let mut listener = Board::new(listener, &others.validators);
        listener.start().unwrap();
        listener.jobs.clear();
        for peer in listener.others().into_iter().take(2) {
            listener.receive(prevote(peer, 1, None)).unwrap();
        }
        assert_eq!(listener.round(), Round::new(1));
        for message in board.outbox.iter().skip(usize::from(!with_proof)) {
            listener.receive(message.clone()).ok();
        }
        listener.work_off();
        let prevoted = listener.signed.values().any(|own| own.statement().block() == Some(block));
        assert_eq!(prevoted, with_proof);
    }
}

#[test]
fn a_vote_is_sent_even_if_the_height_was_decided_while_the_card_was_busy() {
    let (board, network, block) = locked();
    let mut slow = Board::new(board.index, &network.validators);
    slow.start().unwrap();
    slow.receive(proposal(network.proposer(1, 0), 0, block, None)).unwrap();
    slow.work_off();
    for peer in slow.others() {
        slow.receive(prevote(peer, 0, Some(block))).unwrap();
    }
    slow.outbox.clear();
    for peer in slow.others() {
        slow.receive(vote_at(1, peer, VoteKind::Precommit, 0, Some(block))).unwrap();
    }
    assert_eq!(slow.decided[&HEIGHT].block, block);
    slow.work_off();
    let [Message::Statement(own)] = slow.outbox[..] else { panic!("{:?}", slow.outbox) };
    assert_eq!(own.statement().mark().step, Step::Precommit);
}

#[test]
fn a_proposer_whose_second_proposal_was_lost_waits_like_all_others() {
    let network = Network::started();
    let proposer = network.proposer(1, 1);
    assert_ne!(proposer, network.proposer(1, 0));
    let (mut board, _, block) = lock(network, proposer);
    move_to_round_1(&mut board);
    // The guard has proposal and prevote of the locked block, but the power fails before they left.
    let request = board.jobs.remove(0);
    board.work(request);
    board.crash(0);
    board.start().unwrap();
    let last = board.guard.unwrap();
    assert_eq!((last.mark.round, last.mark.step), (Round::new(1), Step::Prevote));
    // Its prevote comes back, and after its timer it goes on to the precommit.
    board.time_out();
    for peer in board.others() {
        board.receive(prevote(peer, 1, Some(block))).unwrap();
    }
    board.time_out();
    board.work_off();
    assert_eq!(board.guard.unwrap().mark.step, Step::Precommit);
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
        network.deliver(to, &message);
    }
}

fn committed_blocks(network: &Network) -> Vec<BlockId> {
    let signed = network.boards.iter().flat_map(|board| board.signed.values());
    let precommits =
        signed.map(SignedStatement::statement).filter(|s| s.mark().step == Step::Precommit);
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

/// The log of a validator after a round in which all of this many agreed.
fn log_of_a_good_round(count: usize) -> Vec<WalEntry> {
    let network = Network::new(&vec![1; count]);
    let proposer = network.proposer(1, 0);
    let mut board = network.boards.into_iter().nth((proposer + 1) % count).unwrap();
    board.start().unwrap();
    let block = block(HEIGHT, Round::ZERO, proposer, 0);
    board.receive(proposal(proposer, 0, block, None)).unwrap();
    board.work_off();
    for peer in board.others() {
        board.receive(prevote(peer, 0, Some(block))).unwrap();
    }
    board.work_off();
    board.wal
}

#[test]
fn the_log_of_a_round_reads_back_as_written_and_is_small() {
    let check = |count, want: &[usize]| {
        let sizes: Vec<usize> = log_of_a_good_round(count)
            .iter()
            .map(|entry| {
                let bytes = codec::encode(entry);
                assert_eq!(codec::decode::<WalEntry>(&bytes).as_ref(), Ok(entry));
                bytes.len()
            })
            .collect();
        assert_eq!(sizes, want, "{count} validators");
    };
    // Own prevote; the polka, 65 bytes for each of its prevotes; own precommit.
    check(4, &[134, 36 + 3 * 65, 134]);
    check(100, &[134, 36 + 67 * 65, 134]);
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
