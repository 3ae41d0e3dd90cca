//! The world: virtual time, and everything that happens in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::TxId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, Tombstone};
use goodwatt_chain::tally;
use goodwatt_chain::units::{Epoch, Height};
use goodwatt_consensus::Message as Word;
use goodwatt_units::Millis;
use goodwatt_validator::{Message, Output, PeerId, SealedBlock, Signers, To};

use crate::admissions::Admissions;
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
/// How long a board that does not start for want of space stays off.
const FULL_DISK_PAUSE: Millis = Millis::from_secs(5);

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
    events: BTreeMap<u64, Event>,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    count: u64,
    pub(crate) boards: Vec<Board>,
    /// The last wake-up asked for, by board.
    tokens: Vec<u64>,
    pub(crate) network: Network,
    pub(crate) check: Check,
    rounds: Vec<RoundReport>,
    pub(crate) submitted: BTreeMap<TxId, (usize, Millis)>,
    finality: Vec<u64>,
    proposers: BTreeMap<Height, PublicKey>,
    pub(crate) faulty: bool,
    crashes: u64,
    packets_idle: u64,
    admissions: Admissions,
    /// The epoch whose slots were bought last.
    pub(crate) planned: Epoch,
    /// Sets that came into charge.
    sets: u64,
    pub(crate) double: Option<Double>,
    pub(crate) outage: Option<Outage>,
    /// Times the liar showed two blocks.
    pub(crate) doubles: u64,
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
            events: BTreeMap::new(),
            queue: BinaryHeap::new(),
            count: 0,
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
            doubles: 0,
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
        let (packets, height) = (self.network.packets, self.highest());
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

    fn report(self) -> Report {
        let tombstoned = self.boards.first().map(|board| self.tombstoned(board));
        let mut finality_ms = self.finality;
        finality_ms.sort_unstable();
        let heights = self.boards.iter().map(|board| board.height().get()).min().unwrap_or(0);
        let written: u64 = self.boards.iter().map(|board| board.disk.written()).sum();
        Report {
            seed: self.scenario.seed,
            rounds: self.rounds,
            heights,
            bytes_per_block: written / (self.boards.len() as u64 * heights).max(1),
            sets: self.sets,
            admitted: self.admissions.admitted,
            refused: self.admissions.refused,
            doubles: self.doubles,
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
        self.count += 1;
        self.events.insert(self.count, event);
        self.queue.push(Reverse((time, self.count)));
    }

    /// Lets the next thing happen, if it does until then.
    fn step(&mut self, until: Millis) -> bool {
        let Some(Reverse((time, number))) = self.queue.peek().copied() else { return false };
        if time > until {
            self.time = until;
            return false;
        }
        self.queue.pop();
        self.time = self.time.max(time);
        if let Some(event) = self.events.remove(&number) {
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

    fn deliver(&mut self, from: usize, to: usize, message: &Message) {
        let now = self.boards[to].now(self.time);
        if let Some(own) = &mut self.boards[to].validator {
            // As it comes off a wire.
            let bytes = message.encode();
            match Message::decode(&bytes) {
                Ok(message) => own.receive(now, PeerId(from as u64), message),
                Err(error) => self.check.violations.push(Violation::Blamed {
                    by: to,
                    why: format!("a message of {from}: {error}"),
                }),
            }
        }
        self.settle(to);
    }

    pub(crate) fn poll(&mut self, node: usize) {
        let now = self.boards[node].now(self.time);
        if let Some(own) = &mut self.boards[node].validator {
            own.poll(now);
        }
        self.settle(node);
    }

    /// Carries out what came of something at a board, until nothing more does.
    fn settle(&mut self, node: usize) {
        for _ in 0..1_000 {
            if self.boards[node].disk.is_crashed() {
                return self.lose_power(node);
            }
            let now = self.boards[node].now(self.time);
            let Some(own) = &mut self.boards[node].validator else { return };
            let outputs = own.take_outputs();
            let done = outputs.is_empty();
            for output in outputs {
                self.carry_out(node, output);
            }
            let Some(own) = &mut self.boards[node].validator else { return };
            own.checkpoint_in_time(now);
            match own.sleep(now) {
                Some(sleep) if sleep == Millis::new(0) => own.poll(now),
                sleep if done => {
                    self.tokens[node] += 1;
                    if let Some(sleep) = sleep {
                        let token = self.tokens[node];
                        let wake = self.boards[node].world_time(now.uptime.saturating_add(sleep));
                        self.at(wake, Event::Wake { node, token });
                    }
                    return;
                }
                _ => {}
            }
        }
        self.check.violations.push(Violation::NoProgress {
            heights: vec![self.boards[node].height().get()],
            stuck: vec![format!("{node} is always due: {}", self.boards[node].describe())],
        });
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send(to, message) => self.send(node, to, &message),
            Output::Sealed(block) => self.sealed(node, &block),
            Output::Dropped(id, _) => drop(self.submitted.remove(&id)),
            Output::StateWanted(..) => {}
            Output::Misbehaved(peer, why) => {
                if !self.is_liar(peer.0 as usize) {
                    let why = format!("{} for: {why}", peer.0);
                    self.check.violations.push(Violation::Blamed { by: node, why });
                }
            }
        }
    }

    fn sealed(&mut self, node: usize, block: &SealedBlock) {
        self.check.sealed(node, block.height, block.id);
        if self.proposers.insert(block.height, block.proposer).is_none() {
            self.first_sealed(node, block);
        }
        self.boards[node].sealed = self.boards[node].sealed.max(block.height);
        for id in &block.transactions {
            if let Some((_, since)) = self.submitted.get(id).copied().filter(|(at, _)| *at == node)
            {
                self.submitted.remove(id);
                self.finality.push(self.time.saturating_sub(since).get());
            }
        }
    }

    /// A block is on a card for the first time.
    fn first_sealed(&mut self, node: usize, block: &SealedBlock) {
        self.check_outage(node, block);
        let Some(own) = &self.boards[node].validator else { return };
        let tip = own.ledger().tip().height;
        // Of several blocks at once the state between them is not seen.
        if tip == block.height {
            let found = self.admissions.follow(own.ledger());
            self.check.violations.extend(found);
            let in_charge = own.ledger().in_charge();
            self.sets += u64::from(block.begins_epoch && !in_charge.carried_on);
        }
    }

    fn send(&mut self, from: usize, to: To, message: &Arc<Message>) {
        if let Message::Agreement(words) = message.as_ref()
            && !self.is_liar(from)
        {
            for word in words {
                if let Word::Statement(signed) = word
                    && self.boards[from].keys.holds(&signed.statement().signer())
                {
                    self.check.said(from, signed);
                }
            }
        }
        let peers = self.network.neighbours(from);
        let but = match to {
            To::Peer(_) | To::All => None,
            To::AllBut(peer) => Some(peer.0),
        };
        for peer in peers {
            let meant = match to {
                To::Peer(one) => one.0 == peer as u64,
                To::All | To::AllBut(_) => but != Some(peer as u64),
            };
            if meant {
                let message = self.lie(from, peer, message);
                self.post(from, peer, message);
            }
        }
    }

    pub(crate) fn post(&mut self, from: usize, to: usize, message: Arc<Message>) {
        let lossy = self.faulty && self.scenario.faults.loss && self.dice.once_in(8);
        let late = if lossy { 200 + self.dice.below(1_500) } else { 0 };
        if let Some((time, generation)) = self.network.send(from, to, self.time, Millis::new(late))
        {
            self.at(time, Event::Deliver { from, to, generation, message });
        }
    }

    fn start(&mut self, node: usize) {
        match self.boards[node].start(self.time) {
            Ok(()) => {
                let (had, has) = (self.boards[node].sealed, self.boards[node].height());
                if has < had {
                    self.check.violations.push(Violation::Lost { node, had, has });
                }
                self.settle(node);
            }
            Err(_) if self.boards[node].disk.is_crashed() => self.lose_power(node),
            Err(_) if self.boards[node].disk.is_limited() => self.switch_off(node, FULL_DISK_PAUSE),
            Err(why) => self.check.violations.push(Violation::NoStart { node, why }),
        }
    }

    fn lose_power(&mut self, node: usize) {
        let after = Millis::new(500 + self.dice.below(15_000));
        self.switch_off(node, after);
        if self.scenario.faults.index && self.dice.once_in(4) {
            self.boards[node].lose_index();
        }
    }

    /// Takes the power from a board for a time.
    pub(crate) fn switch_off(&mut self, node: usize, span: Millis) {
        self.boards[node].validator = None;
        self.tokens[node] += 1;
        self.crashes += 1;
        for peer in self.network.neighbours(node) {
            self.disconnect(node, peer);
        }
        let board = &mut self.boards[node];
        board.off_until = board.off_until.max(self.time.saturating_add(span));
        let at = board.off_until;
        self.at(at, Event::Restart { node });
    }

    fn restart(&mut self, node: usize) {
        if self.boards[node].validator.is_some() || self.boards[node].off_until > self.time {
            return;
        }
        self.boards[node].disk.restart();
        self.start(node);
        for (a, b) in self.network.edges() {
            if a == node || b == node {
                self.connect(a, b);
            }
        }
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        let both = self.boards[a].validator.is_some() && self.boards[b].validator.is_some();
        if !both || !self.network.set_up(a, b, true) {
            return;
        }
        let round_trip = Millis::new(2 * self.network.latency.get());
        for (one, other) in [(a, b), (b, a)] {
            if let Some(own) = &mut self.boards[one].validator {
                own.connected(PeerId(other as u64));
                own.set_round_trip(round_trip);
            }
            self.settle(one);
        }
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.network.set_up(a, b, false) {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            let now = self.boards[one].now(self.time);
            if let Some(own) = &mut self.boards[one].validator {
                own.disconnected(now, PeerId(other as u64));
            }
            self.settle(one);
        }
    }

    /// Breaks a connection for a while.
    pub(crate) fn cut(&mut self, a: usize, b: usize, span: Millis) {
        if self.network.is_up(a, b) {
            self.disconnect(a, b);
        }
        self.at(self.time.saturating_add(span), Event::Connect { a, b });
    }
}
