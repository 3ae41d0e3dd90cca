//! How validators agree when nobody lies.

use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::vote::VoteKind;
use goodwatt_consensus::{
    Action, Core, Event, HeightStart, Message, Progress, Recovered, Refusal, SignedStatement,
    Statement, Step, Tendermint, Timeout, WalEntry,
};

use crate::board::{Board, CHAIN, Job, SEED, block, key, validators};
use crate::network::Network;

fn is_proposal(message: &Message) -> bool {
    matches!(message, Message::Statement(SignedStatement::Proposal(_)))
}

fn is_vote(message: &Message, wanted: VoteKind) -> bool {
    let Message::Statement(SignedStatement::Vote(signed)) = message else { return false };
    signed.vote.kind == wanted
}

/// What an action is, and of a request its steps.
fn outline(action: &Action) -> String {
    match action {
        Action::Sign(asked) => {
            let steps: Vec<String> = asked.iter().map(|s| format!("{:?}", s.mark().step)).collect();
            format!("sign {}", steps.join("+"))
        }
        Action::Persist(WalEntry::Own(_)) => "persist own".into(),
        Action::Persist(WalEntry::Polka(_)) => "persist polka".into(),
        Action::Broadcast(_) => "broadcast".into(),
        Action::ScheduleTimeout(timeout) => format!("timer {:?}", timeout.step),
        other => format!("{other:?}").split([' ', '(']).next().unwrap().to_lowercase(),
    }
}

#[test]
fn a_validator_on_its_own_decides_at_once_with_two_guard_writes() {
    let (height, round) = (Height::new(1), Round::ZERO);
    let block = block(height, round, 0, 1);
    let mut core = Tendermint::new(CHAIN, Height::ZERO);
    let mut trace = Vec::new();
    let mut handle = |event| {
        let actions = core.handle(event).unwrap();
        trace.push(actions.iter().map(outline).collect::<Vec<_>>().join(", "));
        match actions.last() {
            Some(Action::Sign(asked)) => asked.iter().map(|s| s.sign(&CHAIN, &key(0))).collect(),
            _ => Vec::new(),
        }
    };
    handle(Event::StartHeight(HeightStart {
        height,
        validators: validators(&[1]),
        seed: SEED,
        signer: Some(key(0).public()),
        recovered: Recovered::default(),
    }));
    let signed = handle(Event::BlockBuilt { height, round, block });
    let signed = handle(Event::Signed(signed));
    handle(Event::Signed(signed));
    assert_eq!(
        trace,
        [
            "timer Proposal, buildblock",
            "sign Proposal+Prevote",
            "persist own, broadcast, persist own, broadcast, persist polka, sign Precommit",
            "persist own, broadcast, decide",
        ]
    );
    assert_eq!(core.progress(), Progress { height, round: Some(round), decided: true });
}

#[test]
fn four_validators_decide_in_the_first_round_without_a_timer() {
    let mut network = Network::started();
    network.settle();
    let proposer = network.proposer(1, 0);
    assert_eq!(network.decision(1), block(Height::new(1), Round::ZERO, proposer, 1));
    for board in &network.boards {
        assert_eq!(board.guard_writes, 2, "the proposal shares the write of the prevote");
        assert_eq!(board.log_syncs, 1, "before the precommit");
        assert!(board.timers.is_empty() && board.evidence.is_empty());
    }
}

#[test]
fn one_height_follows_another() {
    let mut network = Network::started();
    network.settle();
    for height in 2..6 {
        network.start_all();
        network.settle();
        network.decision(height);
    }
}

#[test]
fn weight_decides_not_number() {
    // Validator 0 holds 7 of 10: with it nobody else is needed, without it nothing happens.
    let mut network = Network::new(&[7, 1, 1, 1]);
    network.start_all();
    network.settle_if(|to, _| to == 0);
    let decided = |board: &Board| board.decided.contains_key(&Height::new(1));
    assert!(decided(&network.boards[0]));
    assert!(!network.boards[1..].iter().any(decided));
}

#[test]
fn votes_that_come_before_their_proposal_count() {
    let mut network = Network::started();
    let late = (network.proposer(1, 0) + 1) % 4;
    network.settle_if(|to, message| to != late || !is_proposal(message));
    let heard: Vec<Message> = network.heard.clone();
    // All others decided; their precommits alone decide here, too, with the body yet to come.
    assert!(network.boards[late].signed.is_empty());
    network.decision(1);
    // After the decision everything is late, and nothing comes of it.
    for message in heard {
        assert_eq!(network.boards[late].receive(message), Err(Refusal::Late));
    }
}

#[test]
fn a_validator_that_missed_the_votes_follows_by_those_sent_again() {
    let mut network = Network::started();
    let away = (network.proposer(1, 0) + 1) % 4;
    network.settle_if(|to, _| to != away);
    assert!(network.boards[away].decided.is_empty());
    let mut heard = network.heard.clone();
    heard.reverse();
    for message in heard {
        network.deliver(away, &message);
        network.boards[away].work_off();
    }
    network.decision(1);
}

#[test]
fn what_is_heard_twice_is_known() {
    let mut network = Network::started();
    network.settle_if(|_, message| !is_vote(message, VoteKind::Precommit));
    let sender = network.proposer(1, 0);
    let to = (sender + 1) % 4;
    for signed in network.boards[sender].signed.clone().into_values() {
        let precommit = signed.statement().mark().step == Step::Precommit;
        let want = if precommit { Ok(()) } else { Err(Refusal::Known) };
        assert_eq!(network.boards[to].receive(Message::Statement(signed)), want);
        let again = network.boards[to].receive(Message::Statement(signed));
        assert_eq!(again, Err(Refusal::Known));
    }
}

#[test]
fn a_silent_proposer_costs_a_round() {
    let mut network = Network::started();
    let silent = network.proposer(1, 0);
    let passes = |_, message: &Message| !is_proposal(message) || message_round(message) > 0;
    network.boards[silent].jobs.clear();
    network.settle_if(passes);
    assert!(network.heard.is_empty(), "everyone waits");
    // Nothing proposed, then no majority for a block: two timers until the next proposer.
    while network.boards[0].round() == Round::ZERO {
        network.time_out();
        network.settle();
    }
    let certificate = &network.boards[0].decided[&Height::new(1)];
    assert_eq!(certificate.round, Round::new(1));
    network.decision(1);
}

fn message_round(message: &Message) -> u32 {
    match message {
        Message::Statement(signed) => signed.statement().mark().round.get(),
        Message::Polka(polka) => polka.round.get(),
    }
}

#[test]
fn an_invalid_block_gets_no_vote() {
    let mut network = Network::started();
    let proposer = network.proposer(1, 0);
    network.boards[proposer].jobs.clear();
    let bad = crate::peers::proposal(proposer, 0, crate::board::BAD, None);
    for to in (0..4).filter(|to| *to != proposer) {
        network.deliver(to, &bad);
    }
    network.settle();
    let nil = |board: &Board| board.signed.values().all(|s| s.statement().block().is_none());
    assert!(network.boards.iter().all(nil));
    network.time_out();
    network.settle();
    assert_eq!(network.boards[0].decided[&Height::new(1)].round, Round::new(1));
}

#[test]
fn nothing_stirs_between_heights() {
    let mut board = Board::new(0, &validators(&[1]));
    let timeout = Timeout { height: Height::new(1), round: Round::ZERO, step: Step::Proposal };
    assert_eq!(board.handle(Event::TimeoutElapsed(timeout)), Err(Refusal::Late));
    board.start().unwrap();
    let timers = board.timers.clone();
    board.work_off();
    board.outbox.clear();
    assert_eq!(timers, [timeout]);
    let block = board.decided[&Height::new(1)].block;
    let height = Height::new(1);
    for event in [
        Event::TimeoutElapsed(timeout),
        Event::BlockBuilt { height, round: Round::ZERO, block },
        Event::BlockChecked { height, block, valid: true },
    ] {
        assert_eq!(board.handle(event), Err(Refusal::Late));
    }
    assert!(board.jobs.is_empty() && board.timers.is_empty() && board.outbox.is_empty());
}

#[test]
fn who_holds_no_key_follows_in_silence() {
    let mut network = Network::started();
    let mut observer = Board::new(9, &network.validators);
    observer.start().unwrap();
    network.settle();
    for message in network.heard.clone() {
        observer.receive(message).ok();
        observer.work_off();
    }
    assert_eq!(observer.decided[&Height::new(1)].block, network.decision(1));
    assert!(observer.signed.is_empty() && observer.outbox.is_empty());
}

#[test]
fn a_step_the_guard_refuses_stays_unsaid_and_the_others_go_on() {
    let mut network = Network::started();
    let mute = (network.proposer(1, 0) + 1) % 4;
    network.boards[mute].guard_refuses = true;
    network.settle();
    network.decision(1);
    assert!(network.boards[mute].signed.is_empty());
}

#[test]
fn only_what_was_asked_for_is_taken_for_signed() {
    let mut board = Board::new(0, &validators(&[1]));
    board.start().unwrap();
    let job = board.jobs.pop().unwrap();
    board.work(job);
    let Some(Job::Guard(asked)) = board.jobs.pop() else { panic!("a request") };
    let signed: Vec<_> = asked.iter().map(|s| s.sign(&CHAIN, &key(0))).collect();
    let Statement::Proposal(mut proposal) = asked[0] else { panic!("a proposal first") };
    proposal.block = crate::board::BAD;
    let other = Statement::Proposal(proposal).sign(&CHAIN, &key(0));
    assert_eq!(board.handle(Event::Signed(vec![other])), Err(Refusal::NotAsked));
    assert_eq!(board.handle(Event::Signed(Vec::new())), Ok(()));
    assert_eq!(board.handle(Event::Signed(signed.clone())), Ok(()));
    assert_eq!(board.handle(Event::Signed(signed)), Err(Refusal::NotAsked));
}

#[test]
fn a_height_is_started_once_and_needs_weight() {
    let mut board = Board::new(0, &validators(&[]));
    assert_eq!(board.start(), Err(Refusal::NoWeight));
    board.validators = validators(&[1]);
    assert_eq!(board.start(), Ok(()));
    assert_eq!(board.start(), Err(Refusal::HeightPassed(Height::new(1))));
}

#[test]
fn a_signature_that_took_rounds_is_late_and_not_unasked() {
    let mut network = Network::started();
    network.settle_if(|_, _| false);
    let slow = (network.proposer(1, 0) + 1) % 4;
    let board = &mut network.boards[slow];
    board.time_out();
    let Some(Job::Guard(asked)) = board.jobs.pop() else { panic!("a prevote for no block") };
    for peer in board.others().into_iter().take(2) {
        board.receive(crate::peers::prevote(peer, 40, None)).unwrap();
    }
    assert_eq!(board.round(), Round::new(40));
    let signed = asked.into_iter().map(|statement| statement.sign(&CHAIN, &key(slow))).collect();
    assert_eq!(board.handle(Event::Signed(signed)), Err(Refusal::Late));
}
