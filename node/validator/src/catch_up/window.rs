//! What is held while catching up: ids that are proven, ranges that were asked for, bodies that
//! came. All of it is bounded, and lost with a crash: the log is where it goes on from.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};

use goodwatt_chain::hash::BlockId;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_units::Millis;

use super::HEADERS_AHEAD;
use crate::message::LoggedBlock;
use crate::parts::PeerId;

/// How much memory bodies may take, before only what comes next is asked for.
const WINDOW_BYTES: usize = 6 << 20;
/// How many ranges are asked for at a time, so that answers come while a batch is verified; one has
/// at most a little over 512 KiB, or one block.
const ASKED_MAX: usize = 8;
/// What somebody was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) peer: PeerId,
    pub(super) from: Height,
    /// The height after the last one.
    pub(super) end: Height,
    pub(super) until: Millis,
}

/// A block with a proven id, and who gave it.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) from: PeerId,
    /// Two certificates with room for 100 signatures: not to be moved about.
    pub(super) logged: Box<LoggedBlock>,
    bytes: usize,
}

impl Body {
    pub(super) fn new(from: PeerId, logged: Box<LoggedBlock>) -> Self {
        let of_one = |raw: &goodwatt_chain::block::RawTransaction| raw.0.len() + size_of_val(raw);
        let transactions: usize = logged.block.transactions.iter().map(of_one).sum();
        let bytes = size_of::<LoggedBlock>() + transactions;
        Self { from, bytes, logged }
    }

    /// How many signatures have to be verified for it.
    pub(super) fn signatures(&self) -> usize {
        let parent = &self.logged.block.parent_certificate;
        let parent = parent.as_ref().map_or(0, |certificate| certificate.signatures.len());
        self.logged.block.transactions.len() + parent
    }
}

/// What is known and what was asked.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    /// The height of the first of `proven`, where there is one, is the one after the tip.
    pub(super) proven: VecDeque<BlockId>,
    /// The tip that `proven` follows.
    tip: Height,
    /// Another set decides what follows the last of `proven`.
    pub(super) run_ended: bool,
    /// Who was asked for headers, and until when it may answer.
    pub(super) headers: Option<Range>,
    pub(super) asked: Vec<Range>,
    bodies: BTreeMap<Height, Body>,
    bytes: usize,
    /// Who answered badly or not at all.
    pub(super) failed: Vec<PeerId>,
    /// Nobody is asked until then.
    pub(super) pause_until: Option<Millis>,
    /// Where it began, and when.
    pub(super) begun: Option<(Height, Millis)>,
}

impl CatchUp {
    /// When something is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        let answers = self.asked.iter().map(|range| range.until);
        answers.chain(self.headers.map(|range| range.until)).chain(self.pause_until).min()
    }

    /// Whether blocks above the tip are known to be decided: then nothing can be signed there.
    pub(crate) fn is_behind(&self) -> bool {
        !self.proven.is_empty()
    }

    /// Forgets a peer that is gone; others are asked for what it was asked for.
    pub(crate) fn lost(&mut self, peer: PeerId) {
        self.headers = self.headers.filter(|range| range.peer != peer);
        self.asked.retain(|range| range.peer != peer);
        self.failed.retain(|failed| *failed != peer);
    }

    /// Passes over who did not answer in time, and forgives all after a pause; tells whether
    /// somebody has to be asked now.
    pub(super) fn expire(&mut self, now: Millis) -> bool {
        let paused = self.pause_until.take_if(|until| *until <= now).is_some();
        if paused {
            self.failed.clear();
        }
        let open = self.asked.iter().chain(&self.headers);
        let late: Vec<PeerId> =
            open.filter(|range| range.until <= now).map(|range| range.peer).collect();
        self.asked.retain(|range| range.until > now);
        self.headers = self.headers.filter(|range| range.until > now);
        late.iter().for_each(|peer| self.fail(*peer));
        paused || !late.is_empty()
    }

    /// Asks a peer last from now on, and others for what it was asked for.
    pub(super) fn fail(&mut self, peer: PeerId) {
        if !self.failed.contains(&peer) {
            self.failed.push(peer);
        }
    }

    pub(super) fn pauses(&self, now: Millis) -> bool {
        self.pause_until.is_some_and(|until| until > now)
    }

    /// Takes note that the ledger is at this height.
    pub(super) fn forget_until(&mut self, tip: Height) {
        let done = tip.since(self.tip).map_or(usize::MAX, |blocks| blocks.get() as usize);
        self.proven.drain(..done.min(self.proven.len()));
        self.tip = tip;
        if self.proven.is_empty() {
            self.run_ended = false;
        }
        while let Some(first) = self.bodies.first_entry().filter(|first| *first.key() <= tip) {
            self.bytes -= first.remove().bytes;
        }
    }

    /// Whether nothing is known and nothing asked.
    pub(super) fn is_idle(&self) -> bool {
        self.proven.is_empty() && self.headers.is_none() && self.asked.is_empty()
    }

    pub(super) fn wants_headers(&self) -> bool {
        self.headers.is_none() && !self.run_ended && self.proven.len() < HEADERS_AHEAD
    }

    /// The last height that is proven.
    pub(super) fn proven_until(&self, tip: Height) -> Height {
        Height::new(tip.get() + self.proven.len() as u64)
    }

    /// The id proven for a height.
    pub(super) fn proven_at(&self, tip: Height, height: Height) -> Option<BlockId> {
        let ahead = height.since(tip).map(HeightDelta::get)?.checked_sub(1)?;
        self.proven.get(usize::try_from(ahead).ok()?).copied()
    }

    pub(super) fn asked_of(&self, peer: PeerId) -> usize {
        self.asked.iter().filter(|range| range.peer == peer).count()
    }

    /// Takes note of an answer; gives what it was asked for, if it was. A peer answers in the order in which
    /// it was asked.
    pub(super) fn answered(&mut self, peer: PeerId) -> Option<Range> {
        let first = self.asked.iter().position(|range| range.peer == peer);
        first.map(|at| self.asked.remove(at))
    }

    /// The next blocks to ask for: the first that are neither here nor on their way.
    pub(super) fn next_range(&self, tip: Height, most: u64) -> Option<(Height, u64)> {
        let is_asked =
            |height| self.asked.iter().any(|range| range.from <= height && height < range.end);
        let missing = |height: &Height| !self.bodies.contains_key(height) && !is_asked(*height);
        let (first, last) = (tip.get() + 1, self.proven_until(tip).get());
        let mut heights = (first..=last).map(Height::new).skip_while(|height| !missing(height));
        let from = heights.next()?;
        // However full it is, what comes next has to come.
        let room = self.asked.len() < ASKED_MAX && self.bytes < WINDOW_BYTES;
        if !room && (from.get() != first || self.asked.len() > ASKED_MAX) {
            return None;
        }
        let count = 1 + heights.take_while(missing).take(most as usize - 1).count();
        Some((from, count as u64))
    }

    /// Keeps a body, unless it is there already.
    pub(super) fn keep(&mut self, body: Body) {
        if let Entry::Vacant(place) = self.bodies.entry(body.logged.block.header.height) {
            self.bytes += body.bytes;
            place.insert(body);
        }
    }

    /// Takes out the bodies that follow the tip, up to so many signatures, if those are so many, or
    /// nothing more is to be waited for.
    pub(super) fn take_ready(&mut self, tip: Height, signatures: usize) -> Vec<Body> {
        let (mut count, mut sum) = (0, 0);
        let mut next = tip.next();
        while let Some(body) = self.bodies.get(&next).filter(|_| sum < signatures) {
            sum += body.signatures();
            count += 1;
            next = next.next();
        }
        if sum < signatures && count < self.proven.len() && self.bytes < WINDOW_BYTES {
            return Vec::new();
        }
        let ready: Vec<Body> =
            (0..count).filter_map(|_| Some(self.bodies.pop_first()?.1)).collect();
        self.bytes -= ready.iter().map(|body| body.bytes).sum::<usize>();
        ready
    }
}
