//! The world: virtual time, and everything that happens in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::TxId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, Tombstone};
use goodwatt_chain::tally;
use goodwatt_chain::units::{Epoch, Height};
use goodwatt_units::Millis;
use goodwatt_validator::{Message, Signers};

use crate::admissions::Admissions;
use crate::agenda::Agenda;
use crate::bill::Bill;
use crate::board::Board;
use crate::check::{Check, Violation};
use crate::dice::Dice;
use crate::genesis::genesis;
use crate::keys::{Keys, owner};
use crate::liar::Double;
use crate::network::Network;
use crate::scenario::{Faults, Report, RoundReport, Scenario};
use crate::trouble::Outage;

/// How long a round may take while there are faults, until the next one begins.
const ROUND_MAX: Millis = Millis::from_secs(20);
/// How long all of them may take to come together once nothing goes wrong any more.
const HEALING_MAX: Millis = Millis::from_secs(900);
/// How long nothing is handed in, to count messages.
const IDLE: Millis = Millis::from_secs(60);
/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    Deliver { from: usize, to: usize, generation: u64, message: Arc<Message> },
    Wake { node: usize, token: u64 },
    Submit { node: usize },
    Buy { node: usize, epoch: Epoch },
    Restart { node: usize },
    Connect { a: usize, b: usize },
    Clock { node: usize, off: i64 },
    DiskSpace { node: usize },
}

/// Runs a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Report {
    run_and_tell(scenario, |_| {})
}

/// Runs a scenario to its end, and tells of each round when it is over.
#[must_use]
pub fn run_and_tell(scenario: &Scenario, mut tell: impl FnMut(&RoundReport)) -> Report {
    let _memory = tally::Memory::begin();
    let mut world = World::new(scenario);
    world.run(&mut tell);
    world.report()
}

/// Everything there is.
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) dice: Dice,
    pub(crate) time: Millis,
    agenda: Agenda<Event>,
    pub(crate) boards: Vec<Board>,
    /// The last wake-up asked for, by board.
    pub(crate) tokens: Vec<u64>,
    pub(crate) network: Network,
    pub(crate) check: Check,
    rounds: Vec<RoundReport>,
    pub(crate) submitted: BTreeMap<TxId, (usize, Millis)>,
    pub(crate) finality: Vec<u64>,
    pub(crate) proposers: BTreeMap<Height, PublicKey>,
    pub(crate) faulty: bool,
    pub(crate) crashes: u64,
    packets_idle: u64,
    pub(crate) admissions: Admissions,
    /// The epoch whose slots were bought last.
    pub(crate) planned: Epoch,
    /// Sets that came into charge.
    pub(crate) sets: u64,
    pub(crate) double: Option<Double>,
    pub(crate) outage: Option<Outage>,
    /// How often each kind of thing went wrong.
    pub(crate) troubles: BTreeMap<&'static str, u64>,
    bytes_per_block: u64,
    bill: Bill,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let nodes = scenario.topology.nodes();
        let keys: Vec<Keys> = (0..nodes).map(Keys::new).collect();
        let genesis = Arc::new(genesis(scenario, &keys));
        let board = |(index, keys): (usize, Keys)| {
            let seed = scenario.seed.wrapping_mul(1_000).wrapping_add(index as u64);
            Board::new(keys, Arc::clone(&genesis), seed)
        };
        Self {
            boards: keys.into_iter().enumerate().map(board).collect(),
            scenario,
            genesis,
            dice: Dice::new(scenario.seed),
            time: Millis::new(0),
            agenda: Agenda::default(),
            tokens: vec![0; nodes],
            network: Network::new(&scenario.topology, scenario.latency),
            check: Check::default(),
            rounds: Vec::new(),
            submitted: BTreeMap::new(),
            finality: Vec::new(),
            proposers: BTreeMap::new(),
            faulty: false,
            crashes: 0,
            packets_idle: 0,
            admissions: Admissions::default(),
            planned: Epoch::ZERO,
            sets: 0,
            double: None,
            outage: None,
            troubles: BTreeMap::new(),
            bytes_per_block: 0,
            bill: Bill::default(),
        }
    }

    fn run(&mut self, tell: &mut impl FnMut(&RoundReport)) {
        (0..self.boards.len()).for_each(|node| self.start(node));
        for (a, b) in self.network.edges() {
            self.connect(a, b);
        }
        // Everybody has listened for a while before the first transaction.
        self.pass(Millis::from_secs(5));
        let (packets, written, height) = (self.network.packets, self.written(), self.highest());
        let _ = tally::take();
        let calm = self.scenario.rounds - self.scenario.rounds / 10;
        for round in 0..self.scenario.rounds {
            self.faulty = round < calm && self.scenario.faults != Faults::default();
            self.round();
            self.rounds.last().into_iter().for_each(&mut *tell);
            if !self.check.violations.is_empty() {
                return;
            }
        }
        self.heal();
        let blocks = self.highest().get() - height.get();
        let packets = self.network.packets - packets;
        self.bill = Bill::of(&tally::take(), packets, blocks);
        let boards = self.boards.len() as u64;
        self.bytes_per_block = (self.written() - written) / (boards * blocks).max(1);
        self.count_idle();
        for (node, board) in self.boards.iter().enumerate() {
            if let Some(own) = &board.validator {
                self.check.money(node, own.ledger());
            }
            for accused in self.tombstoned(board) {
                if !self.is_liar(accused) {
                    self.check.violations.push(Violation::Accused { accused, node });
                }
            }
        }
    }

    /// Whose keys carry a tombstone in a board's ledger.
    fn tombstoned(&self, board: &Board) -> Vec<usize> {
        let marked = |number: usize| {
            let key = Key::Tombstone(owner(number).public());
            let ledger = board.validator.as_ref()?.ledger();
            ledger.view().read::<Tombstone>(key).ok().flatten().map(|_| number)
        };
        (0..self.boards.len()).filter_map(marked).collect()
    }

    /// Bytes that reached all cards so far.
    fn written(&self) -> u64 {
        self.boards.iter().map(|board| board.disk.written()).sum()
    }

    fn report(self) -> Report {
        let tombstoned = self.boards.first().map(|board| self.tombstoned(board));
        let mut finality_ms = self.finality;
        finality_ms.sort_unstable();
        let heights = self.boards.iter().map(|board| board.height().get()).min().unwrap_or(0);
        Report {
            seed: self.scenario.seed,
            rounds: self.rounds,
            heights,
            bytes_per_block: self.bytes_per_block,
            sets: self.sets,
            admitted: self.admissions.admitted,
            refused: self.admissions.refused,
            troubles: self.troubles,
            forks: 0,
            bill: self.bill,
            violations: self.check.violations,
            packets_idle: self.packets_idle,
            packets: self.network.packets,
            crashes: self.crashes,
            tombstoned: tombstoned.unwrap_or_default(),
            finality_ms,
        }
    }

    /// Hands transactions in, and waits for their block, or for a while.
    fn round(&mut self) {
        let (begin, before) = (self.time, self.highest());
        if self.faulty {
            self.make_trouble();
        }
        if self.scenario.faults.sets {
            self.plan_sets();
        }
        let count = 1 + self.dice.below(self.scenario.transactions);
        for _ in 0..count {
            let node = self.dice.index(self.boards.len());
            let after = Millis::new(self.dice.below(20));
            self.at(self.time.saturating_add(after), Event::Submit { node });
        }
        let until = begin.saturating_add(ROUND_MAX);
        while self.time < until && !self.is_round_over(before) {
            if !self.step(until) {
                break;
            }
        }
        let height = self.highest();
        let sealed = height > before;
        let proposer = self.proposers.get(&height).filter(|_| sealed);
        let node_of = |key: &PublicKey| self.boards.iter().position(|board| board.keys.holds(key));
        self.rounds.push(RoundReport {
            transactions: usize::try_from(count).unwrap_or(usize::MAX),
            height: sealed.then_some(height.get()),
            proposer: proposer.and_then(node_of),
            reach_ms: sealed.then(|| self.time.saturating_sub(begin).get()),
            same_tip: self.have_same_tip(),
        });
    }

    fn is_round_over(&self, before: Height) -> bool {
        let highest = self.highest();
        // Nothing is left over for the next round.
        let reached = |board: &Board| {
            board
                .validator
                .as_ref()
                .is_none_or(|own| own.ledger().tip().height == highest && own.mempool().is_empty())
        };
        highest > before && (self.faulty || self.boards.iter().all(reached))
    }

    pub(crate) fn highest(&self) -> Height {
        self.boards.iter().map(Board::height).max().unwrap_or_default()
    }

    fn have_same_tip(&self) -> bool {
        let running = self.boards.iter().filter_map(|board| board.validator.as_ref());
        let mut tips = running.map(|own| own.ledger().tip().id);
        let first = tips.next();
        tips.all(|tip| Some(tip) == first)
    }

    /// Lets everything come together once nothing goes wrong any more.
    fn heal(&mut self) {
        self.faulty = false;
        for node in 0..self.boards.len() {
            self.boards[node].clock_off = 0;
            self.boards[node].disk.set_free(None);
            self.boards[node].off_until = self.time;
            if self.boards[node].validator.is_none() {
                self.restart(node);
            }
            self.settle(node);
        }
        for (a, b) in self.network.edges() {
            self.connect(a, b);
        }
        let until = self.time.saturating_add(HEALING_MAX);
        while self.time < until && !self.is_settled() {
            if !self.step(until) {
                break;
            }
        }
        if !self.is_settled() {
            let stuck = |board: &Board| board.validator.as_ref().map(|_| board.describe());
            self.check.violations.push(Violation::NoProgress {
                heights: self.boards.iter().map(|board| board.height().get()).collect(),
                stuck: self.boards.iter().filter_map(stuck).collect(),
            });
        }
    }

    /// Everybody is up and has the same tip, and nothing waits.
    fn is_settled(&self) -> bool {
        let idle =
            |board: &Board| board.validator.as_ref().is_some_and(|own| own.mempool().is_empty());
        self.boards.iter().all(idle) && self.have_same_tip()
    }

    /// Counts messages while nothing waits and no epoch ends.
    fn count_idle(&mut self) {
        // What is under way arrives first.
        self.pass(Millis::from_secs(10));
        let length = self.scenario.epoch_length.get();
        let left = length - self.time.get() % length;
        if left <= IDLE.get() + 1_000 {
            self.pass(Millis::new(left + 10_000));
        }
        if length > 2 * IDLE.get() {
            let before = self.network.packets;
            self.pass(IDLE);
            self.packets_idle = self.network.packets - before;
        }
    }

    /// Lets time pass.
    fn pass(&mut self, span: Millis) {
        let until = self.time.saturating_add(span);
        while self.step(until) {}
        self.time = until;
    }

    pub(crate) fn at(&mut self, time: Millis, event: Event) {
        self.agenda.plan(time, event);
    }

    /// Lets the next thing happen, if it does until then.
    fn step(&mut self, until: Millis) -> bool {
        let Some(time) = self.agenda.next_at() else { return false };
        if time > until {
            self.time = until;
            return false;
        }
        self.time = self.time.max(time);
        if let Some(event) = self.agenda.take_next() {
            self.happen(event);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, generation, message } => {
                if self.network.arrives(from, to, generation) {
                    self.deliver(from, to, &message);
                }
            }
            Event::Wake { node, token } => {
                if self.tokens[node] == token {
                    self.poll(node);
                }
            }
            Event::Submit { node } => self.submit(node),
            Event::Buy { node, epoch } => self.buy(node, epoch),
            Event::DiskSpace { node } => self.boards[node].disk.set_free(None),
            Event::Restart { node } => self.restart(node),
            Event::Connect { a, b } => self.connect(a, b),
            Event::Clock { node, off } => {
                self.boards[node].clock_off = off;
                self.poll(node);
            }
        }
    }
}
