//! How a validator takes what peers send: lies, floods, and words from the future.

use std::collections::BTreeSet;

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::signature::Signature;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::{Evidence, Proposal, Vote, VoteKind};
use goodwatt_consensus::{Blame, Message, Polka, Refusal, SignedStatement, Statement};

use crate::board::{BAD, Board, CHAIN, block, key, validators};
use crate::network::Network;

fn say(index: usize, statement: Statement) -> Message {
    Message::Statement(statement.sign(&CHAIN, &key(index)))
}

/// A proposal at height 1.
pub(crate) fn proposal(
    index: usize,
    round: u32,
    block: BlockId,
    pol_round: Option<u32>,
) -> Message {
    let (height, round) = (Height::new(1), Round::new(round));
    let pol_round = pol_round.map(Round::new);
    let signer = key(index).public();
    say(index, Statement::Proposal(Proposal { height, round, block, pol_round, signer }))
}

/// A vote at any height.
pub(crate) fn vote_at(
    height: u64,
    index: usize,
    kind: VoteKind,
    round: u32,
    block: Option<BlockId>,
) -> Message {
    let (height, round) = (Height::new(height), Round::new(round));
    say(index, Statement::Vote(Vote { kind, height, round, block, signer: key(index).public() }))
}

/// A prevote at height 1.
pub(crate) fn prevote(index: usize, round: u32, block: Option<BlockId>) -> Message {
    vote_at(1, index, VoteKind::Prevote, round, block)
}

fn signed(message: &Message) -> SignedStatement {
    let Message::Statement(signed) = message else { panic!("a statement") };
    *signed
}

fn forged(message: &Message) -> Message {
    let signature = Signature::from_bytes([3; 64]);
    Message::Statement(match signed(message) {
        SignedStatement::Proposal(mut signed) => {
            signed.signature = signature;
            SignedStatement::Proposal(signed)
        }
        SignedStatement::Vote(mut signed) => {
            signed.signature = signature;
            SignedStatement::Vote(signed)
        }
    })
}

/// A board of four at height 1 that is not the proposer, and who is.
fn listener() -> (Board, usize) {
    let network = Network::started();
    let proposer = network.proposer(1, 0);
    let index = (proposer + 1) % 4;
    (network.boards.into_iter().nth(index).unwrap(), proposer)
}

#[test]
fn lies_are_refused_and_blamed_on_who_passed_them_on() {
    let (mut board, proposer) = listener();
    let mut check = |message: Message, want: Refusal, blame| {
        assert_eq!(board.receive(message), Err(want));
        assert_eq!(want.blame(), blame, "{want}");
        assert!(board.jobs.is_empty() && board.evidence.is_empty());
    };
    let other = (proposer + 2) % 4;
    let stranger = Refusal::UnknownSigner(key(9).public());
    check(prevote(9, 0, None), stranger, Blame::Sender);
    check(proposal(9, 0, BAD, None), stranger, Blame::Sender);
    check(forged(&prevote(other, 0, None)), Refusal::BadSignature, Blame::Sender);
    check(forged(&proposal(proposer, 0, BAD, None)), Refusal::BadSignature, Blame::Sender);
    let not_its_turn = Refusal::NotTheProposer(Round::ZERO);
    check(proposal(other, 0, BAD, None), not_its_turn, Blame::Sender);
    let polka_not_before = Refusal::PolkaNotBefore(Round::ZERO);
    check(proposal(proposer, 0, BAD, Some(0)), polka_not_before, Blame::Sender);
    let absurd = Refusal::AbsurdRound(Round::new(u32::MAX));
    check(prevote(other, u32::MAX, None), absurd, Blame::Sender);
    check(proposal(proposer, u32::MAX, BAD, None), absurd, Blame::Sender);
    check(proposal(proposer, 3, BAD, None), Refusal::TooFarAhead, Blame::Nobody);
    let past = vote_at(0, other, VoteKind::Prevote, 0, None);
    check(past, Refusal::Late, Blame::Nobody);
}

#[test]
fn a_polka_has_to_prove_what_it_says() {
    let network = Network::started();
    let block = block(Height::new(1), Round::ZERO, 0, 0);
    let polka = |voters: &[usize]| {
        let mut polka = Polka {
            height: Height::new(1),
            round: Round::ZERO,
            block,
            prevotes: Default::default(),
        };
        for index in voters {
            let vote = polka.prevote(key(*index).public()).sign(&CHAIN, &key(*index));
            let validator = u8::try_from(*index).unwrap();
            let signature =
                goodwatt_chain::block::CommitSignature { validator, signature: vote.signature };
            polka.prevotes.push(signature).unwrap();
        }
        polka
    };
    let check = |polka: &Polka, want| assert_eq!(polka.verify(&CHAIN, &network.validators), want);
    check(&polka(&[0, 1, 2]), true);
    check(&polka(&[0, 1, 2, 3]), true);
    check(&polka(&[1, 3]), false);
    check(&polka(&[]), false);
    check(&polka(&[0, 1, 1, 2]), false);
    check(&polka(&[2, 1, 0]), false);
    check(&polka(&[0, 1, 2, 9]), false);
    let mut of_another_block = polka(&[0, 1, 2]);
    of_another_block.block = BAD;
    check(&of_another_block, false);

    let mut board = network.boards.into_iter().next().unwrap();
    let receive = |board: &mut Board, polka| board.receive(Message::Polka(Box::new(polka)));
    assert_eq!(receive(&mut board, of_another_block), Err(Refusal::BadPolka));
    assert_eq!(receive(&mut board, polka(&[0, 1, 2])), Ok(()));
    assert_eq!(receive(&mut board, polka(&[0, 1, 2])), Err(Refusal::Known));
    let mut absurd = polka(&[0, 1, 2]);
    absurd.round = Round::new(u32::MAX);
    assert_eq!(receive(&mut board, absurd.clone()), Err(Refusal::AbsurdRound(absurd.round)));
}

fn check_evidence(evidence: &Evidence, signer: usize) {
    assert!(evidence.is_conflict());
    assert_eq!(evidence.signer(), key(signer).public());
    for (digest, signature) in evidence.signatures(&CHAIN) {
        assert!(goodwatt_chain::signature::verify(&evidence.signer(), &digest, &signature));
    }
}

#[test]
fn two_votes_in_one_step_are_evidence_once_and_the_first_one_counts() {
    for round in [0, 1] {
        let (mut board, proposer) = listener();
        let cheat = (proposer + 2) % 4;
        let votes = [None, Some(BAD)].map(|block| prevote(cheat, round, block));
        let [first, second] = votes;
        assert_eq!(board.receive(first.clone()), Ok(()));
        assert_eq!(board.receive(second.clone()), Ok(()));
        assert_eq!(board.receive(second), Err(Refusal::Known));
        assert_eq!(board.receive(first), Err(Refusal::Known));
        let [evidence] = board.evidence[..] else { panic!("{:?}", board.evidence) };
        check_evidence(&evidence, cheat);
    }
}

#[test]
fn two_proposals_in_one_round_are_evidence_and_further_ones_are_not_kept() {
    let (mut board, proposer) = listener();
    let blocks: Vec<BlockId> =
        (0..4).map(|salt| block(Height::new(1), Round::ZERO, proposer, salt)).collect();
    let outcomes: Vec<_> =
        blocks.iter().map(|block| board.receive(proposal(proposer, 0, *block, None))).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(Refusal::Known), Err(Refusal::Known)]);
    let [evidence] = board.evidence[..] else { panic!("{:?}", board.evidence) };
    check_evidence(&evidence, proposer);
    assert_eq!(board.jobs.len(), 2, "both blocks may win the round, so both are checked");
}

#[test]
fn a_cheat_cannot_make_evidence_without_end() {
    let (mut board, proposer) = listener();
    let cheat = (proposer + 2) % 4;
    for salt in 0..100 {
        let block = block(Height::new(1), Round::ZERO, cheat, salt);
        board.receive(prevote(cheat, 0, Some(block))).ok();
    }
    assert!(board.evidence.len() <= 3, "{}", board.evidence.len());
}

#[test]
fn honest_validators_agree_on_one_of_two_blocks_and_on_the_cheat() {
    let mut network = Network::started();
    let cheat = network.proposer(1, 0);
    network.boards[cheat].jobs.clear();
    let honest: Vec<usize> = (0..4).filter(|index| *index != cheat).collect();
    let blocks = [0, 1].map(|salt| block(Height::new(1), Round::ZERO, cheat, salt));
    for (at, index) in honest.iter().enumerate() {
        let block = blocks[usize::from(at == 0)];
        network.deliver(*index, &proposal(cheat, 0, block, None));
        for block in blocks {
            network.deliver(*index, &prevote(cheat, 0, Some(block)));
        }
    }
    let passes = |to: usize, _: &Message| to != cheat;
    network.settle_if(passes);
    for _ in 0..6 {
        network.time_out();
        network.settle_if(passes);
    }
    let decisions: BTreeSet<BlockId> =
        honest.iter().map(|index| network.boards[*index].decided[&Height::new(1)].block).collect();
    assert_eq!(decisions.len(), 1);
    for index in honest {
        network.boards[index].evidence.iter().for_each(|e| check_evidence(e, cheat));
        assert!(!network.boards[index].evidence.is_empty());
    }
}

#[test]
fn a_node_far_behind_in_rounds_follows_a_third_of_the_weight_and_not_one_liar() {
    let (mut board, proposer) = listener();
    // One liar runs through the rounds: nothing moves, and nothing but its last one is kept.
    for round in 100..400 {
        assert_eq!(board.receive(prevote(proposer, round, None)), Ok(()));
    }
    assert_eq!(board.receive(prevote(proposer, 100, None)), Err(Refusal::Late));
    assert_eq!(board.receive(prevote(proposer, 399, Some(BAD))), Err(Refusal::Known));
    assert_eq!(board.round(), Round::ZERO);
    // Two of four are more than a third.
    for index in board.others().into_iter().filter(|index| *index != proposer) {
        assert_eq!(board.receive(prevote(index, 40, None)), Ok(()));
    }
    assert_eq!(board.round(), Round::new(40));
    assert_eq!(board.receive(prevote(proposer, 3, None)), Err(Refusal::Late));
}

#[test]
fn a_vote_from_far_ahead_counts_once_its_round_is_near() {
    let (mut board, proposer) = listener();
    assert_eq!(board.receive(prevote(proposer, 5, None)), Ok(()));
    let others: Vec<usize> =
        board.others().into_iter().filter(|index| *index != proposer).collect();
    for index in &others {
        assert_eq!(board.receive(prevote(*index, 3, None)), Ok(()));
    }
    assert_eq!(board.round(), Round::new(3));
    assert_eq!(board.receive(prevote(others[0], 5, None)), Ok(()));
    assert_eq!(board.round(), Round::new(5));
}

#[test]
fn votes_of_a_height_to_come_are_kept_until_it_starts() {
    let mut network = Network::started();
    let behind = (network.proposer(1, 0) + 1) % 4;
    // The others decide height 1 and start height 2 while one board hears nothing of height 1.
    network.settle_if(|to, _| to != behind);
    let first: Vec<Message> = network.heard.drain(..).collect();
    for index in (0..4).filter(|index| *index != behind) {
        network.boards[index].start().unwrap();
    }
    network.settle();
    assert!(network.boards[behind].decided.is_empty());
    assert!(network.boards[behind].ahead.contains(&Height::new(2)));
    for message in first {
        network.deliver(behind, &message);
    }
    network.boards[behind].work_off();
    network.boards[behind].start().unwrap();
    network.boards[behind].work_off();
    network.decision(2);
}

#[test]
fn strangers_cannot_push_a_validator_out_of_the_backlog() {
    let mut network = Network::started();
    let (victim, height) = (0, Height::new(2));
    let block = block(height, Round::ZERO, 1, 1);
    let flood = |board: &mut Board| {
        for stranger in 100..=255 {
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                board.receive(vote_at(2, stranger, kind, 0, None)).unwrap();
                board.receive(vote_at(3, stranger, kind, 0, None)).unwrap();
            }
        }
    };
    flood(&mut network.boards[victim]);
    for index in 1..4 {
        let precommit = vote_at(2, index, VoteKind::Precommit, 0, Some(block));
        network.deliver(victim, &precommit);
        let again = network.boards[victim].receive(precommit.clone());
        assert_eq!(again, Err(Refusal::Known));
        let forged = forged(&vote_at(2, index, VoteKind::Prevote, 0, Some(block)));
        assert_eq!(network.boards[victim].receive(forged), Err(Refusal::BadSignature));
    }
    flood(&mut network.boards[victim]);
    network.settle();
    let board = &mut network.boards[victim];
    assert!(board.decided.contains_key(&Height::new(1)));
    board.start().unwrap();
    assert_eq!(board.decided[&height].block, block);
}

#[test]
fn words_from_far_heights_are_only_noted() {
    let mut board = Board::new(0, &validators(&[1; 4]));
    assert_eq!(board.receive(vote_at(9, 1, VoteKind::Prevote, 0, None)), Ok(()));
    assert_eq!(board.receive(vote_at(9, 1, VoteKind::Prevote, 0, None)), Ok(()));
    assert_eq!(board.ahead, [Height::new(9); 2]);
    let known = vote_at(1, 1, VoteKind::Prevote, 0, None);
    assert_eq!(board.receive(known.clone()), Ok(()));
    assert_eq!(board.receive(known), Err(Refusal::Known));
}
