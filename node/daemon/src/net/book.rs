//! The addresses a node knows, when each is tried next, and which are worth telling.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::{Spread, is_credible, is_local};
use super::clock::Moment;
use super::identity::PeerId;
use crate::config::PeerAddress;

/// Addresses remembered at most.
const ENTRIES_MAX: usize = 512;
/// Of those, how many people can name: the config file's 64 and some by hand.
const OPERATOR_MAX: usize = 128;
/// Addresses in one answer, and in the saved file.
pub(super) const RECORDS_MAX: usize = 64;
/// An address is told to others when it worked within this time.
const FRESH: Duration = Duration::from_secs(24 * 3_600);
/// The first pause after a failure; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause. What people named is what a cut-off node hopes for.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
const PAUSE_MAX_OPERATOR: Duration = Duration::from_secs(300);
/// A connection that lasted this long was a good one.
const LASTED: Duration = Duration::from_secs(60);
/// So many failures in a row, and an address that did not work for long is forgotten.
const FAILURES_MAX: u32 = 10;

/// Where one can call.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Target {
    /// An address.
    At(SocketAddr),
    /// A name that a resolver knows, and a port.
    Name(String),
}

impl From<&PeerAddress> for Target {
    fn from(address: &PeerAddress) -> Self {
        let text = address.as_str();
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::At)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// An address with the node that was reached there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) peer: PeerId,
    pub(super) address: SocketAddr,
}

/// A record as it is saved.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Saved {
    pub(super) record: Record,
    /// How long ago it worked.
    pub(super) age_s: u64,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// A person named it.
    operator: bool,
    /// Who was reached there, or is said to be.
    peer: Option<PeerId>,
    worked: Option<Moment>,
    failures: u32,
    next_try: Moment,
    /// It is being called, or connected.
    busy: bool,
    /// This node itself lives there.
    ourselves: bool,
}

/// All addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(BTreeMap<Target, Entry>);

/// Whom to call now, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    pub(super) next: Option<Moment>,
}

impl Book {
    /// Notes what a person named, to be called at once; says whether there was room.
    pub(super) fn add(&mut self, target: Target) -> bool {
        let named = self.0.values().filter(|entry| entry.operator).count();
        if named >= OPERATOR_MAX && !self.0.contains_key(&target) {
            return false;
        }
        self.make_room();
        let entry = self.0.entry(target).or_default();
        entry.operator = true;
        entry.failures = 0;
        entry.next_try = Moment::ZERO;
        true
    }

    /// Notes what a node at `teller` told; says whether it is new.
    pub(super) fn learn(&mut self, record: Record, teller: IpAddr) -> bool {
        let target = Target::At(record.address);
        if !is_credible(record.address, teller) || self.0.contains_key(&target) {
            return false;
        }
        self.make_room();
        if self.0.len() >= ENTRIES_MAX {
            return false;
        }
        self.0.insert(target, Entry { peer: Some(record.peer), ..Entry::default() });
        true
    }

    /// Picks up to `want` targets that are due. `is_taken` says whom not to call; `spread` is
    /// what is called already; `lot` draws among equals.
    pub(super) fn plan(
        &mut self,
        now: Moment,
        want: usize,
        is_taken: impl Fn(&PeerId) -> bool,
        spread: &mut Spread,
        lot: u64,
    ) -> Plan {
        let mut plan = Plan::default();
        if want == 0 {
            return plan;
        }
        let is_open = |(_, entry): &(&Target, &mut Entry)| {
            let taken = entry.peer.as_ref().is_some_and(&is_taken);
            !(entry.busy || entry.ourselves || taken)
        };
        let mut open: Vec<_> = self.0.iter_mut().filter(is_open).collect();
        open.sort_by_cached_key(|(target, entry)| (entry.failures, draw(target, lot)));
        for (target, entry) in open {
            let blocked = match target {
                Target::At(address) => !entry.operator && !spread.has_room(address.ip()),
                Target::Name(_) => false,
            };
            if blocked {
                continue;
            }
            if entry.next_try > now || plan.targets.len() >= want {
                let earlier = plan.next.is_none_or(|next| entry.next_try < next);
                if earlier && entry.next_try > now {
                    plan.next = Some(entry.next_try);
                }
                continue;
            }
            if let Target::At(address) = target {
                spread.take(address.ip());
            }
            entry.busy = true;
            plan.targets.push(target.clone());
        }
        plan
    }

    /// It did not work; it is called again later, not before `least`.
    pub(super) fn failed(&mut self, target: &Target, now: Moment, least: Duration, lot: u64) {
        let Some(entry) = self.0.get_mut(target) else { return };
        entry.busy = false;
        entry.failures = entry.failures.saturating_add(1);
        let most = if entry.operator { PAUSE_MAX_OPERATOR } else { PAUSE_MAX };
        entry.next_try = now + pause(entry.failures, most, lot).max(least);
        let is_stale = entry.worked.is_none_or(|worked| now.saturating_sub(worked) > FRESH);
        if entry.failures >= FAILURES_MAX && is_stale && !entry.operator {
            self.0.remove(target);
        }
    }

    /// How often it failed in a row.
    pub(super) fn failures(&self, target: &Target) -> u32 {
        self.0.get(target).map_or(0, |entry| entry.failures)
    }

    /// `peer` was reached there, at `address`; says whether that is news.
    pub(super) fn worked(&mut self, record: Record, now: Moment) -> bool {
        let target = Target::At(record.address);
        if !self.0.contains_key(&target) {
            self.make_room();
        }
        let entry = self.0.entry(target).or_default();
        let known = entry.peer == Some(record.peer) && entry.is_fresh(now);
        entry.peer = Some(record.peer);
        entry.worked = Some(now);
        !known
    }

    /// Whether an address was seen working of late, with that node.
    pub(super) fn is_proven(&self, record: Record, now: Moment) -> bool {
        let entry = self.0.get(&Target::At(record.address));
        entry.is_some_and(|entry| entry.peer == Some(record.peer) && entry.is_fresh(now))
    }

    /// Behind a target is `peer`.
    pub(super) fn identify(&mut self, target: &Target, peer: PeerId) {
        if let Some(entry) = self.0.get_mut(target) {
            entry.peer = Some(peer);
        }
    }

    /// Behind a target is this node itself: it is never called again.
    pub(super) fn is_ourselves(&mut self, target: &Target) {
        if let Some(entry) = self.0.get_mut(target) {
            (entry.ourselves, entry.busy) = (true, false);
        }
    }

    /// A connection to a target ended after `lasted`.
    pub(super) fn ended(&mut self, target: &Target, now: Moment, lasted: Duration, lot: u64) {
        if let Some(entry) = self.0.get_mut(target).filter(|_| lasted >= LASTED) {
            entry.failures = 0;
            entry.worked = entry.worked.map(|_| now);
        }
        self.failed(target, now, Duration::ZERO, lot);
    }

    /// Addresses worth telling to a node at `asker`.
    pub(super) fn sample(
        &self,
        now: Moment,
        asker: IpAddr,
        except: PeerId,
        lot: u64,
    ) -> Vec<Record> {
        let record = |(target, entry): (&Target, &Entry)| match (target, entry.peer) {
            (Target::At(address), Some(peer)) if peer != except && entry.is_fresh(now) => {
                let tellable = is_local(asker) || !is_local(address.ip());
                tellable.then_some((draw(target, lot), Record { peer, address: *address }))
            }
            _ => None,
        };
        let mut records: Vec<_> = self.0.iter().filter_map(record).collect();
        records.sort_unstable_by_key(|(place, _)| *place);
        records.into_iter().map(|(_, record)| record).take(RECORDS_MAX).collect()
    }

    /// What to save: the addresses that worked last.
    pub(super) fn saved(&self, now: Moment) -> Vec<Saved> {
        let saved = |(target, entry): (&Target, &Entry)| match (target, entry.peer, entry.worked) {
            (Target::At(address), Some(peer), Some(worked)) => {
                let record = Record { peer, address: *address };
                Some(Saved { record, age_s: now.saturating_sub(worked).as_secs() })
            }
            _ => None,
        };
        let mut all: Vec<_> = self.0.iter().filter_map(saved).collect();
        all.sort_by_key(|saved| saved.age_s);
        all.truncate(RECORDS_MAX);
        all
    }

    /// Takes up what was saved.
    pub(super) fn restore(&mut self, saved: &[Saved], now: Moment) {
        for Saved { record, age_s } in saved.iter().take(RECORDS_MAX) {
            let entry = self.0.entry(Target::At(record.address)).or_default();
            entry.peer = Some(record.peer);
            entry.worked = Some(now.saturating_sub(Duration::from_secs(*age_s)));
        }
    }

    /// Addresses known in all.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what is least worth knowing, if the book is full.
    fn make_room(&mut self) {
        if self.0.len() < ENTRIES_MAX {
            return;
        }
        let idle = self.0.iter().filter(|(_, entry)| !(entry.operator || entry.busy));
        let least = idle.min_by_key(|(_, entry)| (entry.worked, u32::MAX - entry.failures));
        if let Some(target) = least.map(|(target, _)| target.clone()) {
            self.0.remove(&target);
        }
    }
}

impl Entry {
    fn is_fresh(&self, now: Moment) -> bool {
        self.worked.is_some_and(|worked| now.saturating_sub(worked) < FRESH)
    }
}

/// A pause that doubles with each failure, spread by a quarter to both sides: nodes that lost the
/// same neighbour at one moment must not come back at one moment.
fn pause(failures: u32, most: Duration, lot: u64) -> Duration {
    let doubled = PAUSE_MIN * (1 << failures.saturating_sub(1).min(12));
    let pause = doubled.min(most);
    let spread = (lot % 512) as u32;
    pause * 3 / 4 + pause * spread / 1_024
}

/// The place of a target in a shuffle (FNV-1a, by a lot that nobody outside knows).
fn draw(target: &Target, lot: u64) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    target.to_string().bytes().fold(lot ^ 0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Duration::from_secs(1_000_000);

    fn record(number: u8) -> Record {
        let address = SocketAddr::from(([192, 0, number, 1], 9461));
        Record { peer: PeerId::from_bytes([number; 32]), address }
    }

    fn far() -> IpAddr {
        IpAddr::from([198, 51, 100, 1])
    }

    fn plan(book: &mut Book, now: Moment, want: usize) -> Plan {
        book.plan(now, want, |_| false, &mut Spread::new(false), 7)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_fails_is_tried_less_and_less_and_then_forgotten() {
        let mut book = Book::default();
        assert!(book.learn(record(1), far()));
        assert!(!book.learn(record(1), far()), "known");
        let (mut now, mut pauses) = (NOW, Vec::new());
        while book.len() == 1 {
            assert_eq!(plan(&mut book, now, 8).targets, [Target::At(record(1).address)]);
            assert!(plan(&mut book, now, 8).targets.is_empty(), "it is being called");
            book.failed(&Target::At(record(1).address), now, Duration::ZERO, 256);
            let Some(next) = plan(&mut book, now, 8).next else { break };
            pauses.push(next - now);
            now = next;
        }
        let want: Vec<_> = (0..9).map(|doublings| seconds(1 << doublings)).collect();
        assert_eq!(pauses, want);
    }

    #[test]
    fn what_people_named_is_never_forgotten() {
        let mut book = Book::default();
        let name: PeerAddress = "node.example.org:9461".parse().expect("a name");
        assert!(book.add(Target::from(&name)));
        let mut now = NOW;
        for _ in 0..100 {
            let targets = plan(&mut book, now, 1).targets;
            assert_eq!(targets.len(), 1);
            book.failed(&targets[0], now, Duration::ZERO, 511);
            let next = plan(&mut book, now, 1).next.expect("another try");
            assert!(next - now <= PAUSE_MAX_OPERATOR * 5 / 4);
            now = next;
        }
        let mut added = 1;
        while added < 1_000 && book.add(Target::Name(format!("{added}.example.org:1"))) {
            added += 1;
        }
        assert_eq!(added, OPERATOR_MAX);
    }

    #[test]
    fn calls_spread_over_subnets() {
        let mut book = Book::default();
        for host in 1..9 {
            let address = SocketAddr::from(([192, 0, 2, host], 1));
            assert!(book.learn(Record { address, ..record(host) }, far()));
        }
        let plan = plan(&mut book, NOW, 8);
        assert_eq!((plan.targets.len(), plan.next), (2, None), "no timer for what is blocked");
    }

    #[test]
    fn who_is_connected_is_not_called() {
        let mut book = Book::default();
        (1..5).for_each(|number| assert!(book.learn(record(number), far())));
        let taken = |peer: &PeerId| peer.as_bytes()[0] != 3;
        let plan = book.plan(NOW, 8, taken, &mut Spread::new(false), 7);
        assert_eq!(plan.targets, [Target::At(record(3).address)]);
    }

    #[test]
    fn only_what_worked_of_late_is_told() {
        let mut book = Book::default();
        (1..6).for_each(|number| assert!(book.learn(record(number), far())));
        assert!(book.sample(NOW, far(), record(9).peer, 1).is_empty());
        assert!(book.worked(record(1), NOW) && !book.worked(record(1), NOW + seconds(1)));
        assert!(book.worked(record(2), NOW));
        let local = Record { address: SocketAddr::from(([10, 0, 0, 1], 1)), ..record(3) };
        assert!(book.worked(local, NOW));
        assert_eq!(book.sample(NOW, far(), record(2).peer, 1), [record(1)]);
        assert_eq!(book.sample(NOW, IpAddr::from([10, 0, 0, 9]), record(9).peer, 1).len(), 3);
        assert!(book.sample(NOW + FRESH + seconds(2), far(), record(9).peer, 1).is_empty());
    }

    #[test]
    fn what_is_saved_is_there_again() {
        let mut book = Book::default();
        for number in 0..100 {
            assert!(book.worked(record(number), NOW + seconds(number.into())));
        }
        let saved = book.saved(NOW + seconds(200));
        assert_eq!(saved.len(), RECORDS_MAX);
        assert_eq!(saved[0], Saved { record: record(99), age_s: 101 });
        let mut again = Book::default();
        again.restore(&saved, NOW);
        assert_eq!(again.saved(NOW), saved);
        assert_eq!(plan(&mut again, NOW, 100).targets.len(), RECORDS_MAX);
    }

    #[test]
    fn strangers_cannot_fill_the_book() {
        let mut book = Book::default();
        assert!(book.worked(record(1), NOW));
        assert!(book.add(Target::Name("node.example.org:1".to_owned())));
        for number in 0..5_000_u32 {
            let [a, b, c, d] = (number + 0x0c00_0000).to_be_bytes();
            let address = SocketAddr::from(([a, b, c, d], 1));
            book.learn(Record { address, ..record(2) }, far());
        }
        assert_eq!(book.len(), ENTRIES_MAX);
        assert_eq!(book.sample(NOW, far(), record(9).peer, 1), [record(1)]);
        assert!(book.0.contains_key(&Target::Name("node.example.org:1".to_owned())));
    }

    #[test]
    fn a_connection_that_lasted_starts_anew_and_a_short_one_backs_off() {
        let mut book = Book::default();
        assert!(book.learn(record(1), far()));
        let target = Target::At(record(1).address);
        for _ in 0..5 {
            book.ended(&target, NOW, seconds(5), 0);
        }
        assert_eq!(book.failures(&target), 5);
        book.ended(&target, NOW, seconds(600), 0);
        assert_eq!(book.failures(&target), 1);
    }
}
