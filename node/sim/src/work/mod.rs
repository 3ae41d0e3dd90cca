//! The rule of work, for comparison: whoever finds a hash below the target makes the block, and the
//! chain with most work counts. It exists here only; no chain of Goodwatt runs on it.
//!
//! Every board mines all the time with all its cores. A real board takes millions of hashes a
//! second, too many to take here: each hash that is taken here stands for [`HASHES_PER_TRY`] of a
//! board. Signatures are real, packets are counted, and nothing goes wrong but the delay of links.

mod miner;
mod puzzle;

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{Digest32, TxId};
use goodwatt_chain::tally;
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::{Grains, Height};
use goodwatt_units::Millis;

use self::miner::{Miner, Told};
use self::puzzle::INTERVAL;
use crate::agenda::Agenda;
use crate::bill::{Bill, HASHES_PER_SECOND};
use crate::check::Violation;
use crate::dice::Dice;
use crate::genesis::genesis;
use crate::keys::{Keys, owner};
use crate::network::Network;
use crate::scenario::{Report, RoundReport, Scenario};

/// How many hashes of a board one hash taken here stands for.
const HASHES_PER_TRY: u64 = 1 << 20;
/// How many blocks on top make a block final, as wallets of Bitcoin have it.
const CONFIRMATIONS: u64 = 6;
/// How long a round may take.
const ROUND_MAX: Millis = Millis::new(INTERVAL.get() * 100);
/// How long no transaction is handed in, to count messages.
const IDLE: Millis = Millis::from_secs(60);

/// Something that will happen.
#[derive(Debug)]
enum Event {
    Deliver { from: usize, to: usize, told: Told },
    Try { node: usize },
    Submit { node: usize },
}

/// Runs the load of a scenario under the rule of work, and tells of each round when it is over.
/// Of what goes wrong it knows nothing.
#[must_use]
pub fn run_work(scenario: &Scenario, mut tell: impl FnMut(&RoundReport)) -> Report {
    let _memory = tally::Memory::begin();
    let mut world = World::new(scenario);
    world.run(&mut tell);
    world.report()
}

struct World<'a> {
    scenario: &'a Scenario,
    genesis: Arc<Genesis>,
    dice: Dice,
    time: Millis,
    agenda: Agenda<Event>,
    network: Network,
    miners: Vec<Miner>,
    nonces: Vec<u64>,
    submitted: BTreeMap<TxId, (usize, Millis)>,
    finality: Vec<u64>,
    rounds: Vec<RoundReport>,
    tries: u64,
    packets_idle: u64,
    violations: Vec<Violation>,
    bill: Bill,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let nodes = scenario.topology.nodes();
        let keys: Vec<Keys> = (0..nodes).map(Keys::new).collect();
        let genesis = Arc::new(genesis(scenario, &keys));
        let mut network = Network::new(&scenario.topology, scenario.latency);
        for (a, b) in network.edges() {
            network.set_up(a, b, true);
        }
        let tries = nodes as u64 * INTERVAL.get() * HASHES_PER_SECOND / HASHES_PER_TRY / 1_000;
        let target = puzzle::target_of(tries);
        Self {
            scenario,
            dice: Dice::new(scenario.seed),
            time: Millis::new(0),
            agenda: Agenda::default(),
            network,
            miners: (0..nodes).map(|node| Miner::new(node, target)).collect(),
            nonces: vec![0; nodes],
            genesis,
            submitted: BTreeMap::new(),
            finality: Vec::new(),
            rounds: Vec::new(),
            tries: 0,
            packets_idle: 0,
            violations: Vec::new(),
            bill: Bill::default(),
        }
    }

    fn run(&mut self, tell: &mut impl FnMut(&RoundReport)) {
        let _ = tally::take();
        for node in 0..self.miners.len() {
            self.try_later(node);
        }
        for _ in 0..self.scenario.rounds {
            self.round();
            self.rounds.last().into_iter().for_each(&mut *tell);
        }
        self.pass(ROUND_MAX, |world| world.submitted.is_empty());
        let counted = tally::take();
        let hashes = counted.hashes + self.tries * (HASHES_PER_TRY - 1);
        let counted = tally::Tally { hashes, ..counted };
        self.bill = Bill::of(&counted, self.network.packets, self.miners[0].height());
        let before = self.network.packets;
        self.pass(IDLE, |_| false);
        self.packets_idle = self.network.packets - before;
        self.check();
    }

    /// All have the same blocks up to those that are final, and no money came or went.
    fn check(&mut self) {
        let lowest = self.miners.iter().map(Miner::height).min().unwrap_or(0);
        let depth = lowest.saturating_sub(CONFIRMATIONS);
        let first = self.miners[0].at(depth);
        for (node, miner) in self.miners.iter().enumerate() {
            if miner.at(depth) != first {
                let height = Height::new(depth);
                self.violations.push(Violation::Disagreement { height, node });
            }
            if !miner.is_money_conserved(&self.genesis) {
                let height = Height::new(miner.height());
                self.violations.push(Violation::Money { node, height });
            }
        }
    }

    fn round(&mut self) {
        let (begin, before) = (self.time, self.highest());
        let count = 1 + self.dice.below(self.scenario.transactions);
        for _ in 0..count {
            let node = self.dice.index(self.miners.len());
            let at = self.time.saturating_add(Millis::new(self.dice.below(20)));
            self.at(at, Event::Submit { node });
        }
        let reached = |world: &Self| {
            let highest = world.highest();
            highest > before && world.miners.iter().all(|miner| miner.height() == highest)
        };
        let sealed = self.pass(ROUND_MAX, reached);
        let tip = self.miners[0].tip();
        self.rounds.push(RoundReport {
            transactions: usize::try_from(count).unwrap_or(usize::MAX),
            height: sealed.then(|| self.highest()),
            proposer: sealed.then(|| self.miners[0].found_by(&tip)).flatten(),
            reach_ms: sealed.then(|| self.time.saturating_sub(begin).get()),
            same_tip: self.miners.iter().all(|miner| miner.tip() == tip),
        });
    }

    fn highest(&self) -> u64 {
        self.miners.iter().map(Miner::height).max().unwrap_or(0)
    }

    /// Lets time pass until something holds; whether it does.
    fn pass(&mut self, span: Millis, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.time.saturating_add(span);
        while !holds(self) {
            let Some(time) = self.agenda.next_at() else { break };
            if time > until {
                self.time = until;
                return false;
            }
            self.time = time;
            if let Some(event) = self.agenda.take_next() {
                self.happen(event);
            }
        }
        true
    }

    fn at(&mut self, time: Millis, event: Event) {
        self.agenda.plan(time, event);
    }

    /// The next try of a board; boards do not try in step.
    fn try_later(&mut self, node: usize) {
        let mean = HASHES_PER_TRY * 1_000 / HASHES_PER_SECOND;
        let after = 1 + self.dice.below(2 * mean);
        self.at(self.time.saturating_add(Millis::new(after)), Event::Try { node });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, told } => {
                let news = self.miners[to].hear(self.genesis.chain_id(), told);
                if let Some(told) = news {
                    self.tell(to, Some(from), &told);
                }
                self.note_final(to);
            }
            Event::Try { node } => {
                self.tries += 1;
                let found = self.miners[node].try_once(self.time);
                if let Some(block) = found {
                    self.tell(node, None, &Told::Block(block));
                    self.note_final(node);
                }
                self.try_later(node);
            }
            Event::Submit { node } => self.submit(node),
        }
    }

    fn tell(&mut self, node: usize, but: Option<usize>, told: &Told) {
        for peer in self.network.neighbours(node) {
            if Some(peer) != but
                && let Some((at, _)) = self.network.send(node, peer, self.time, Millis::new(0))
            {
                self.at(at, Event::Deliver { from: node, to: peer, told: told.clone() });
            }
        }
    }

    /// An owner pays its neighbour.
    fn submit(&mut self, node: usize) {
        let to = owner((node + 1) % self.miners.len()).public();
        let amount = Grains::from_good(1).mul_div_floor(1, 1_000);
        let action = Action::Transfer(Transfer { to, amount, memo: Default::default() });
        let (chain, fee) = (self.genesis.chain_id(), self.genesis.parameters.fee_min);
        let transaction = Transaction::sign(&chain, &owner(node), self.nonces[node], fee, action);
        self.nonces[node] += 1;
        self.submitted.insert(transaction.id(), (node, self.time));
        let told = Told::Transaction(Arc::new(transaction));
        if let Some(told) = self.miners[node].hear(chain, told) {
            self.tell(node, None, &told);
        }
    }

    /// Notes which transactions have become final where they were handed in.
    fn note_final(&mut self, node: usize) {
        let miner = &self.miners[node];
        let Some(deep) = miner.height().checked_sub(CONFIRMATIONS) else { return };
        // What a reorganization brought at once is looked at from a few blocks further down.
        for height in deep.saturating_sub(CONFIRMATIONS)..=deep {
            let ids = miner.at(height).map(|id| miner.transactions(&id)).unwrap_or_default();
            for id in ids {
                if let Some((_, since)) = self.submitted.get(&id).filter(|(at, _)| *at == node) {
                    self.finality.push(self.time.saturating_sub(*since).get());
                    self.submitted.remove(&id);
                }
            }
        }
    }

    fn report(self) -> Report {
        let mut finality_ms = self.finality;
        finality_ms.sort_unstable();
        Report {
            seed: self.scenario.seed,
            rounds: self.rounds,
            heights: self.miners.iter().map(Miner::height).min().unwrap_or(0),
            violations: self.violations,
            packets_idle: self.packets_idle,
            packets: self.network.packets,
            finality_ms,
            bill: self.bill,
            forks: self.miners.iter().map(|miner| miner.forks).sum(),
            ..Report::default()
        }
    }
}

/// The id of no block: the parent of the first.
const NOTHING: Digest32 = Digest32::ZERO;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn miners_agree_on_the_chain_with_most_work() {
        let report = run_work(&Scenario::new(5, 12, 1), |_| {});
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        assert!(report.heights >= 12, "{report:?}");
        let sent: usize = report.rounds.iter().map(|round| round.transactions).sum();
        assert_eq!(report.finality_ms.len(), sent, "all became final");
        assert!(report.finality(500) > Some(3 * INTERVAL.get()), "six blocks on top");
        assert!(report.bill.hashes > report.bill.blocks * HASHES_PER_TRY, "{:?}", report.bill);
        let again = run_work(&Scenario::new(5, 12, 1), |_| {});
        assert_eq!((again.rounds, again.packets), (report.rounds, report.packets));
    }

    #[test]
    fn slow_links_make_forks_and_forks_come_together() {
        let line = Topology::parse("0-1,1-2,2-3,3-4").expect("a line");
        let latency = Millis::from_secs(15);
        let scenario = Scenario { topology: line, latency, ..Scenario::new(5, 30, 2) };
        let report = run_work(&scenario, |_| {});
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        assert!(report.forks > 0, "a minute from end to end, and a block a minute");
    }
}
