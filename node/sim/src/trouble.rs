//! What goes wrong: each kind of it is one flag of [`crate::Faults`].

use goodwatt_chain::units::{Epoch, Height};
use goodwatt_units::Millis;
use goodwatt_validator::{SealedBlock, Signers};

use crate::check::Violation;
use crate::liar::LIAR;
use crate::world::{Event, World};

/// 56 years: a clock that lost its time.
const YEARS: i64 = -56 * 365 * 86_400_000;

/// A name, whether it may happen, once in how many rounds, and how.
type Trouble<W> = (&'static str, bool, u64, fn(&mut W));

/// A third of the weight is off: nothing may be decided until some of it is back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    until: Millis,
    epoch: Epoch,
    /// The last block for which all may have spoken before.
    last: Height,
}

impl World<'_> {
    /// Something goes wrong, now and then.
    pub(crate) fn make_trouble(&mut self) {
        let faults = self.scenario.faults;
        let troubles: [Trouble<Self>; 8] = [
            ("crashes", faults.crashes, 4, Self::crash_somebody),
            ("cuts", faults.cuts, 4, Self::cut_something),
            ("partitions", faults.partitions, 12, Self::part),
            ("clocks", faults.clocks, 10, Self::set_a_clock_wrong),
            ("full disks", faults.full_disk, 8, Self::fill_a_disk),
            ("floods", faults.flood && self.is_liar(LIAR), 12, Self::flood),
            ("outages", faults.outage, 15, Self::switch_a_third_off),
            ("blackouts", faults.blackout, 20, Self::black_out),
        ];
        for (name, may_happen, rarity, happen) in troubles {
            if may_happen && self.dice.once_in(rarity) {
                self.note(name);
                happen(self);
            }
        }
        self.check_memory();
    }

    /// Counts that something went wrong.
    pub(crate) fn note(&mut self, name: &'static str) {
        *self.troubles.entry(name).or_default() += 1;
    }

    /// The power fails in the middle of a write.
    fn crash_somebody(&mut self) {
        let (node, after) = (self.dice.index(self.boards.len()), self.dice.below(60));
        if self.boards[node].validator.is_some() {
            self.boards[node].disk.crash_after(after);
        }
    }

    /// A connection breaks.
    fn cut_something(&mut self) {
        let edges = self.network.edges();
        if edges.is_empty() {
            return;
        }
        let (a, b) = edges[self.dice.index(edges.len())];
        let span = Millis::new(1_000 + self.dice.below(30_000));
        self.cut(a, b, span);
    }

    /// The network falls into two parts.
    fn part(&mut self) {
        let side = self.dice.roll();
        let span = Millis::new(5_000 + self.dice.below(40_000));
        for (a, b) in self.network.edges() {
            if (side >> (a % 64) ^ side >> (b % 64)) & 1 == 1 {
                self.cut(a, b, span);
            }
        }
    }

    fn set_a_clock_wrong(&mut self) {
        let node = self.dice.index(self.boards.len());
        let seconds = i64::try_from(self.dice.below(8_000)).unwrap_or(0) - 4_000;
        let off = if self.dice.once_in(3) { YEARS } else { seconds };
        self.boards[node].clock_off = off;
        self.poll(node);
        let span = Millis::new(1_000 + self.dice.below(30_000));
        self.at(self.time.saturating_add(span), Event::Clock { node, off: 0 });
    }

    /// A disk has no more room, for a while.
    fn fill_a_disk(&mut self) {
        let node = self.dice.index(self.boards.len());
        let (room, span) = (self.dice.below(6_000), 1_000 + self.dice.below(40_000));
        self.boards[node].disk.set_free(Some(room));
        self.at(self.time.saturating_add(Millis::new(span)), Event::DiskSpace { node });
    }

    /// Boards with a third of the weight or more, but not all of them, lose power for a while.
    fn switch_a_third_off(&mut self) {
        let highest = self.highest();
        let running = (0..self.boards.len()).find(|node| {
            self.boards[*node].validator.is_some() && self.boards[*node].height() == highest
        });
        let own = running.and_then(|node| self.boards[node].validator.as_ref());
        let Some(in_charge) = own.map(|own| own.ledger().in_charge().clone()) else { return };
        let span = Millis::new(5_000 + self.dice.below(40_000));
        let first = self.dice.index(self.boards.len());
        let (mut weight, count) = (0, self.boards.len());
        for node in (0..count - 1).map(|step| (first + step) % count) {
            let seats = in_charge.validators.iter();
            let own = seats.filter(|slot| self.boards[node].keys.holds(&slot.signer));
            weight += own.map(|slot| slot.weight.get()).sum::<u64>();
            self.switch_off(node, span);
            if 3 * weight >= in_charge.validators.total_weight() {
                let until = self.time.saturating_add(span);
                let last = highest.next();
                self.outage = Some(Outage { until, epoch: in_charge.epoch, last });
                return;
            }
        }
    }

    /// While a third is off, no block is decided for which it did not speak before.
    pub(crate) fn check_outage(&mut self, node: usize, block: &SealedBlock) {
        let Some(outage) = self.outage.filter(|outage| outage.until > self.time) else { return };
        let own = self.boards[node].validator.as_ref();
        let epoch = own.map(|own| own.ledger().in_charge().epoch);
        if epoch != Some(outage.epoch) {
            // Another set is in charge, of which less may be off.
            self.outage = None;
        } else if block.height > outage.last {
            let height = block.height;
            self.check.violations.push(Violation::WithoutQuorum { node, height });
        }
    }

    /// The power fails everywhere, and comes back everywhere at the same moment.
    fn black_out(&mut self) {
        let at = self.time.saturating_add(Millis::new(1_000 + self.dice.below(10_000)));
        let later = self.boards.iter().map(|board| board.off_until).fold(at, Millis::max);
        for node in 0..self.boards.len() {
            self.switch_off(node, later.saturating_sub(self.time));
        }
    }
}
