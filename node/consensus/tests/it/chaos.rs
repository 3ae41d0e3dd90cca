//! Validators, one of them a liar, on a bad network and with failing power. Whatever happens: no
//! two decide differently, nobody honest signs two things for one step, and once the weather is
//! fair all of them decide.

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::Height;
use goodwatt_chain::vote::VoteKind;
use goodwatt_consensus::{Message, SignedStatement};
use proptest::prelude::*;

use crate::board::{BAD, Board, Job};
use crate::network::Network;
use crate::peers::{proposal, vote_at};

const HEIGHTS: u64 = 3;
const STORM: usize = 1_200;
/// Rounds of "deliver everything, then let timers elapse" until all have decided everything.
const FAIR_WEATHER: usize = 60;

/// A small generator (`SplitMix64`), so that a failure is replayed by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        if from.is_empty() { None } else { Some(from.swap_remove(self.below(from.len()))) }
    }
}

struct Storm {
    network: Network,
    liar: Option<usize>,
    dice: Dice,
    crashes: usize,
}

impl Storm {
    fn new(seed: u64, liar: Option<usize>) -> Self {
        Self { network: Network::started(), liar, dice: Dice(seed), crashes: 0 }
    }

    fn honest(&self) -> Vec<usize> {
        (0..4).filter(|index| Some(*index) != self.liar).collect()
    }

    /// One thing happens, somewhere.
    fn step(&mut self) {
        let honest = self.honest();
        let index = honest[self.dice.below(honest.len())];
        match self.dice.below(100) {
            0..45 => self.deliver_any(),
            45..80 => self.work_any(index),
            80..92 => self.lie(index),
            92..98 => self.time_out_any(index),
            _ => self.crash(index),
        }
        self.network.post(index);
        self.go_on(index);
    }

    fn deliver_any(&mut self) {
        let Some((to, message)) = self.dice.pick(&mut self.network.inbox) else { return };
        match self.dice.below(10) {
            // Lost.
            0 => return,
            // Repeated later.
            1 | 2 => self.network.inbox.push((to, message.clone())),
            _ => {}
        }
        if Some(to) != self.liar {
            self.network.deliver(to, &message);
            self.network.post(to);
            self.go_on(to);
        }
    }

    /// Any job; but the guard takes requests in the order they came.
    fn work_any(&mut self, index: usize) {
        let jobs = &mut self.network.boards[index].jobs;
        let Some(at) = jobs.len().checked_sub(1).map(|last| self.dice.below(last + 1)) else {
            return;
        };
        let is_guard = |job: &Job| matches!(job, Job::Guard(_));
        let first = jobs.iter().position(is_guard).filter(|_| is_guard(&jobs[at]));
        let job = jobs.remove(first.unwrap_or(at));
        self.network.boards[index].work(job);
    }

    fn time_out_any(&mut self, index: usize) {
        let board = &mut self.network.boards[index];
        if let Some(timer) = self.dice.pick(&mut board.timers) {
            board.handle(goodwatt_consensus::Event::TimeoutElapsed(timer)).ok();
        }
    }

    fn crash(&mut self, index: usize) {
        self.crashes += 1;
        let board = &mut self.network.boards[index];
        board.crash(self.dice.below(4));
        if board.next_height() <= Height::new(HEIGHTS) {
            board.start().unwrap();
        }
        assert!(board.silent.is_empty(), "{:?}", board.silent);
    }

    /// The liar tells one board something that it may tell another differently.
    fn lie(&mut self, to: usize) {
        let Some(liar) = self.liar else { return };
        let height = self.network.boards[to].next_height().get();
        let round = self.dice.below(4) as u32;
        let block = self.some_block();
        let message = match self.dice.below(3) {
            0 => vote_at(height, liar, VoteKind::Prevote, round, block),
            1 => vote_at(height, liar, VoteKind::Precommit, round, block),
            _ if height == 1 && self.network.proposer(1, round) == liar => {
                proposal(liar, round, block.unwrap_or(BAD), None)
            }
            _ => return,
        };
        self.network.deliver(to, &message);
        self.network.post(to);
    }

    /// A block that someone spoke of, or none.
    fn some_block(&mut self) -> Option<BlockId> {
        let blocks: Vec<BlockId> = self.network.heard.iter().filter_map(block_of).collect();
        let at = self.dice.below(blocks.len() + 2);
        if at > blocks.len() { Some(BAD) } else { blocks.get(at).copied() }
    }

    /// Starts the next height where one was decided, and catches up where others are ahead.
    fn go_on(&mut self, index: usize) {
        let heard = std::mem::take(&mut self.network.boards[index].ahead);
        let next = self.network.boards[index].next_height();
        if heard.iter().any(|height| *height > next) {
            self.catch_up(index);
        }
        start_if_due(&mut self.network.boards[index]);
    }

    fn catch_up(&mut self, index: usize) {
        let next = self.network.boards[index].next_height();
        let honest = self.honest();
        let mut others = honest.iter().map(|other| &self.network.boards[*other]);
        let certificate = others.find_map(|board| board.decided.get(&next).cloned());
        if let Some(certificate) = certificate {
            self.network.boards[index].adopt(certificate);
        }
    }

    /// Nothing is lost any more: what was said is said again, and timers elapse when nothing moves.
    fn fair_weather(&mut self) {
        for _ in 0..FAIR_WEATHER {
            self.network.inbox.clear();
            for message in self.network.heard.clone() {
                self.network
                    .inbox
                    .extend(self.honest().into_iter().map(|to| (to, message.clone())));
            }
            let liar = self.liar;
            self.network.settle_if(|to, _| Some(to) != liar);
            let honest = self.honest();
            for index in &honest {
                self.catch_up(*index);
                self.go_on(*index);
            }
            if honest.iter().all(|index| self.is_done(*index)) {
                return;
            }
            for index in honest {
                self.network.boards[index].time_out();
            }
        }
        let at: Vec<_> =
            self.honest().iter().map(|i| self.network.boards[*i].next_height()).collect();
        panic!("not all decided in fair weather: {at:?}");
    }

    fn is_done(&self, index: usize) -> bool {
        self.network.boards[index].next_height() > Height::new(HEIGHTS)
    }

    fn check(&self) {
        let boards: Vec<&Board> =
            self.honest().into_iter().map(|index| &self.network.boards[index]).collect();
        for height in 1..=HEIGHTS {
            let decided = |board: &Board| board.decided.get(&Height::new(height)).map(|c| c.block);
            let mut blocks: Vec<_> = boards.iter().filter_map(|board| decided(board)).collect();
            blocks.dedup();
            assert!(blocks.len() <= 1, "height {height}: {blocks:?}");
            assert!(!blocks.contains(&BAD), "an invalid block was decided");
        }
        let liar = self.liar.map(|index| crate::board::key(index).public());
        for evidence in boards.iter().flat_map(|board| &board.evidence) {
            assert_eq!(Some(evidence.signer()), liar, "an honest validator is accused");
        }
    }
}

fn block_of(message: &Message) -> Option<BlockId> {
    match message {
        Message::Statement(SignedStatement::Proposal(signed)) => Some(signed.proposal.block),
        _ => None,
    }
}

fn start_if_due(board: &mut Board) {
    let height = board.next_height();
    let started = goodwatt_consensus::Core::progress(&board.core).height >= height;
    if !started && height <= Height::new(HEIGHTS) {
        board.start().unwrap();
    }
}

fn weather(seed: u64, liar: Option<usize>) -> Storm {
    let mut storm = Storm::new(seed, liar);
    for _ in 0..STORM {
        storm.step();
        storm.check();
    }
    storm.fair_weather();
    storm.check();
    storm
}

proptest! {
    // A case is a history of more than a thousand events, so a quarter of the usual number is run.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn honest_validators_agree_in_any_weather(seed: u64, liar in proptest::option::of(0_usize..4)) {
        weather(seed, liar);
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = || weather(7, Some(2)).network.heard;
    assert_eq!(history(), history());
}

#[test]
fn a_storm_is_one() {
    // The property above would prove nothing if boards never crashed, lied or left round 0.
    let storm = weather(7, Some(2));
    assert!(storm.crashes > 5);
    assert!(storm.network.boards.iter().any(|board| !board.evidence.is_empty()));
    let rounds = storm.network.boards.iter().flat_map(|board| board.signed.keys());
    assert!(rounds.map(|mark| mark.round).max() > Some(goodwatt_chain::units::Round::ZERO));
}
