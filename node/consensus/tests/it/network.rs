//! Boards that hear each other.

use std::sync::Arc;

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::{Height, Round};
use goodwatt_chain::validators::ValidatorSet;
use goodwatt_consensus::{Blame, Message};

use crate::board::{Board, SEED, validators};

pub(crate) struct Network {
    pub(crate) validators: Arc<ValidatorSet>,
    pub(crate) boards: Vec<Board>,
    /// Messages under way, each to one board.
    pub(crate) inbox: Vec<(usize, Message)>,
    /// Every message that any board said or took.
    pub(crate) heard: Vec<Message>,
}

impl Network {
    /// Boards of these weights, none of which has started a height.
    pub(crate) fn new(weights: &[u32]) -> Self {
        let validators = validators(weights);
        let boards = (0..weights.len()).map(|index| Board::new(index, &validators)).collect();
        Self { validators, boards, inbox: Vec::new(), heard: Vec::new() }
    }

    /// Four boards of equal weight at the first height.
    pub(crate) fn started() -> Self {
        let mut network = Self::new(&[1; 4]);
        network.start_all();
        network
    }

    pub(crate) fn start_all(&mut self) {
        for board in &mut self.boards {
            board.start().unwrap();
        }
    }

    /// Who proposes.
    pub(crate) fn proposer(&self, height: u64, round: u32) -> usize {
        let (height, round) = (Height::new(height), Round::new(round));
        let proposer = self.validators.proposer(&SEED, height, round).unwrap();
        self.validators.position(&proposer.signer).unwrap()
    }

    /// Puts what board `index` said on its way to all others.
    pub(crate) fn post(&mut self, index: usize) {
        for message in std::mem::take(&mut self.boards[index].outbox) {
            self.note(&message);
            let others = (0..self.boards.len()).filter(|to| *to != index);
            self.inbox.extend(others.map(|to| (to, message.clone())));
        }
    }

    /// Delivers one message. No honest board is ever to blame for what it sends.
    pub(crate) fn deliver(&mut self, to: usize, message: &Message) {
        match self.boards[to].receive(message.clone()) {
            Ok(()) => self.note(message),
            Err(refusal) => assert_eq!(refusal.blame(), Blame::Nobody, "{refusal}"),
        }
    }

    fn note(&mut self, message: &Message) {
        if !self.heard.contains(message) {
            self.heard.push(message.clone());
        }
    }

    /// Does all jobs and delivers all messages that `passes`, until there are none. No timer
    /// elapses.
    pub(crate) fn settle_if(&mut self, passes: impl Fn(usize, &Message) -> bool) {
        loop {
            for index in 0..self.boards.len() {
                self.boards[index].work_off();
                self.post(index);
            }
            if self.inbox.is_empty() {
                return;
            }
            for (to, message) in std::mem::take(&mut self.inbox) {
                if passes(to, &message) {
                    self.deliver(to, &message);
                }
            }
        }
    }

    pub(crate) fn settle(&mut self) {
        self.settle_if(|_, _| true);
    }

    /// Lets the timers of all boards elapse.
    pub(crate) fn time_out(&mut self) {
        self.boards.iter_mut().for_each(Board::time_out);
    }

    /// The block that all boards decided at `height`.
    pub(crate) fn decision(&self, height: u64) -> BlockId {
        let decided = |board: &Board| board.decided.get(&Height::new(height)).map(|c| c.block);
        let first = decided(&self.boards[0]).expect("decided");
        assert!(self.boards.iter().all(|board| decided(board) == Some(first)), "agreement");
        first
    }
}
