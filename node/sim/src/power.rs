//! Boards are switched on and off, and connected to each other.

use goodwatt_units::Millis;
use goodwatt_validator::PeerId;

use crate::check::Violation;
use crate::world::{Event, World};

/// How long a board that does not start for want of space stays off.
const FULL_DISK_PAUSE: Millis = Millis::from_secs(5);

impl World<'_> {
    pub(crate) fn start(&mut self, node: usize) {
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

    pub(crate) fn lose_power(&mut self, node: usize) {
        let after = Millis::new(500 + self.dice.below(15_000));
        self.switch_off(node, after);
        if self.scenario.faults.index && self.dice.once_in(4) {
            self.boards[node].lose_index();
            self.note("lost indexes");
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

    pub(crate) fn restart(&mut self, node: usize) {
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
