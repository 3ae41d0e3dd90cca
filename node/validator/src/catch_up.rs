//! Catching up with others: headers first, then bodies from several peers at once.
//!
//! A header names the one before it, so one certificate proves a whole run of headers: as far as the
//! set in charge decides them, which is as far as the state tells. Whatever body has a proven id is
//! good, whoever gives it. ADR 0016 has the reasons.
//!
//! | to find | look in |
//! |---|---|
//! | whom to ask for what | this file |
//! | what is held, proven and asked for | `window` |
//! | blocks verified together, onto the card, into the ledger | `take` |
//! | answers to others | `give` |

mod give;
mod take;
mod window;

use goodwatt_chain::block::{Certificate, Header};
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_units::Millis;

pub(crate) use self::take::Unwritten;
pub(crate) use self::window::CatchUp;
use self::window::{Body, Range};
use crate::message::{LoggedBlock, Message, SealedHeader};
use crate::parts::{Now, Output, PeerId, Signers, StateStore, To};
use crate::validator::Validator;

/// How many headers are asked for at a time: decoded they take 2 MB at the most.
const HEADERS: u16 = 256;
/// How many proven headers may be ahead of the bodies; each takes 32 bytes.
const HEADERS_AHEAD: usize = 1_024;
/// How many blocks are asked for at a time.
const BLOCKS: u64 = 32;
/// Who is so little behind asks for blocks at once: the last one's certificate proves the others.
const FEW: u64 = 32;
/// How long an answer may take before somebody else is asked. What comes later is still taken.
const PATIENCE: Millis = Millis::from_secs(5);
/// How long nobody is asked once everybody has failed.
const PAUSE: Millis = Millis::from_secs(5);

/// How far catching up has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Where it began.
    pub from: Height,
    /// Where it is.
    pub height: Height,
    /// Where the others say that they are.
    pub target: Height,
    /// How long it may still take, as fast as it went so far.
    pub left: Option<Millis>,
}

impl Progress {
    /// How much of it is done.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let blocks = |to: Height| to.since(self.from).map_or(0, HeightDelta::get);
        (blocks(self.height) * 100).checked_div(blocks(self.target)).unwrap_or(100)
    }

    /// How many blocks are missing.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.target.since(self.height).map_or(0, HeightDelta::get)
    }
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// How far catching up has come, while somebody has more blocks.
    #[must_use]
    pub fn progress(&self, now: Now) -> Option<Progress> {
        let (target, height) = (self.target()?, self.ledger.tip().height);
        let (from, since) = self.peers.catch_up.begun?;
        let done = height.since(from).map_or(0, HeightDelta::get);
        let missing = target.since(height).map_or(0, HeightDelta::get);
        let passed = now.uptime.saturating_sub(since).get();
        let left = passed.saturating_mul(missing).checked_div(done).map(Millis::new);
        Some(Progress { from, height, target, left })
    }

    /// The highest height that a peer says it has, if that is above the tip.
    fn target(&self) -> Option<Height> {
        let heights = self.peers.iter().filter_map(|(_, peer)| Some(peer.status?.height));
        heights.max().filter(|height| *height > self.ledger.tip().height)
    }

    /// Asks for what is missing, if somebody has more.
    pub(crate) fn catch_up(&mut self, now: Now) {
        let tip = self.ledger.tip().height;
        self.peers.catch_up.forget_until(tip);
        let Some(target) = self.target() else {
            self.peers.catch_up.begun = None;
            if self.peers.iter().any(|(_, peer)| peer.status.is_some()) {
                self.awaits_tip = false;
            }
            return;
        };
        self.peers.catch_up.begun.get_or_insert((tip, now.uptime));
        if self.unwritten.is_some() || self.peers.catch_up.pauses(now.uptime) {
            return;
        }
        let few = target.since(tip).is_some_and(|behind| behind.get() <= FEW);
        if few && self.peers.catch_up.is_idle() {
            self.ask_blocks(now, tip.next(), FEW);
            return;
        }
        self.ask_headers(now, tip, target);
        while let Some((from, count)) = self.peers.catch_up.next_range(tip, BLOCKS) {
            if !self.ask_blocks(now, from, count) {
                break;
            }
        }
    }

    fn ask_headers(&mut self, now: Now, tip: Height, target: Height) {
        let window = &self.peers.catch_up;
        let last = window.proven_until(tip);
        if window.wants_headers() && last < target {
            let until = now.uptime.saturating_add(PATIENCE);
            if let Some(peer) = self.pick(now, last.next()) {
                let from = last.next();
                self.peers.catch_up.headers = Some(Range { peer, from, end: from, until });
                let want = Message::WantHeaders { from, count: HEADERS };
                self.send(To::Peer(peer), want);
            }
        }
    }

    /// Asks somebody for blocks; `false` where nobody is left to be asked.
    fn ask_blocks(&mut self, now: Now, from: Height, count: u64) -> bool {
        let Some(peer) = self.pick(now, from) else { return false };
        let until = now.uptime.saturating_add(PATIENCE);
        let end = Height::new(from.get() + count);
        self.peers.catch_up.asked.push(Range { peer, from, end, until });
        // At most `BLOCKS`, which fits.
        self.send(To::Peer(peer), Message::WantBlocks { from, count: count as u16 });
        true
    }

    /// Who says that it has a height, has not failed and was asked for the least. Once all have
    /// failed, everybody is forgiven after a pause.
    fn pick(&mut self, now: Now, height: Height) -> Option<PeerId> {
        let window = &self.peers.catch_up;
        let has = |id: &PeerId, status: Height| status >= height && !window.failed.contains(id);
        let able = self.peers.iter().filter_map(|(id, peer)| Some((id, peer.status?.height)));
        let able = able.filter(|(id, status)| has(id, *status));
        let picked = able.map(|(id, _)| (window.asked_of(id), id)).min();
        if picked.is_none() && !window.failed.is_empty() && window.asked.is_empty() {
            self.peers.catch_up.pause_until = Some(now.uptime.saturating_add(PAUSE));
        }
        picked.map(|(_, id)| id)
    }

    /// Takes note of who did not answer in time.
    pub(crate) fn catch_up_late(&mut self, now: Now) {
        if self.peers.catch_up.expire(now.uptime) {
            self.catch_up(now);
        }
    }

    pub(crate) fn hear_headers(&mut self, now: Now, from: PeerId, headers: &[SealedHeader]) {
        let tip = self.ledger.tip().height;
        let window = &mut self.peers.catch_up;
        let Some(asked) = window.headers.take_if(|asked| asked.peer == from) else { return };
        window.forget_until(tip);
        // In the meantime blocks may have come.
        let in_time = window.proven_until(tip) < asked.from;
        let sealed: Vec<_> = headers.iter().map(|one| (&one.header, &one.certificate)).collect();
        match self.prove(&sealed) {
            Ok(0) if in_time && !self.peers.catch_up.run_ended => self.promised_too_much(from),
            Ok(_) => {}
            Err(why) => self.caught(from, why.to_owned()),
        }
        self.catch_up(now);
    }

    /// Takes note of the ids of headers that follow what is proven already, as far as the set in
    /// charge decided them; gives how many.
    fn prove(&mut self, sealed: &[(&Header, &Certificate)]) -> Result<usize, &'static str> {
        let tip = self.ledger.tip();
        let set = &self.ledger.in_charge().validators;
        let window = &self.peers.catch_up;
        let mut last = window.proven_until(tip.height);
        let mut parent = window.proven.back().copied().unwrap_or(tip.id);
        let (mut fresh, mut decided, mut ended) = (Vec::new(), None, false);
        let known = sealed.iter().take_while(|(header, _)| header.height <= last).count();
        for (header, certificate) in &sealed[known..] {
            if header.height != last.next() || header.parent != parent {
                return Err("headers that do not follow one another");
            }
            if header.validators_hash != self.ledger.in_charge().validators_hash {
                ended = true;
                break;
            }
            (last, parent, decided) = (header.height, header.id(), Some(*certificate));
            fresh.push(parent);
        }
        if let Some(certificate) = decided {
            let named = certificate.height == last && certificate.block == parent;
            if !named || certificate.verify(self.ledger.chain(), set).is_err() {
                return Err("a header that nobody decided");
            }
        } else if ended && window.proven.is_empty() {
            return Err("a header of a set that is not in charge");
        }
        let count = fresh.len();
        let window = &mut self.peers.catch_up;
        window.proven.extend(fresh);
        window.run_ended = ended;
        Ok(count)
    }

    pub(crate) fn hear_blocks(&mut self, now: Now, from: PeerId, blocks: Vec<Box<LoggedBlock>>) {
        let asked = self.peers.catch_up.answered(from);
        let tip = self.ledger.tip().height;
        self.peers.catch_up.forget_until(tip);
        if asked.is_some() && self.peers.catch_up.proven.is_empty() {
            let sealed: Vec<_> =
                blocks.iter().map(|one| (&one.block.header, &one.certificate)).collect();
            if let Err(why) = self.prove(&sealed) {
                self.caught(from, why.to_owned());
                return self.catch_up(now);
            }
        }
        let mut in_range = false;
        for logged in blocks {
            let height = logged.block.header.height;
            in_range |= asked.is_some_and(|range| range.from <= height && height < range.end);
            match self.peers.catch_up.proven_at(tip, height) {
                Some(id) if id == logged.id() => self.peers.catch_up.keep(Body::new(from, logged)),
                Some(_) => {
                    self.caught(from, format!("another block than the one decided at {height}"));
                    break;
                }
                // Not proven yet, or done already.
                None => {}
            }
        }
        if asked.is_some() && !in_range {
            self.gave_nothing(from);
        }
        self.take_ready(now);
        self.catch_up(now);
    }

    /// A peer that broke the rules, and is asked last from now on.
    fn caught(&mut self, peer: PeerId, why: String) {
        self.outputs.push(Output::Misbehaved(peer, why));
        self.peers.catch_up.fail(peer);
    }

    /// A peer that could not prove the height it said it has.
    fn promised_too_much(&mut self, from: PeerId) {
        self.peers.catch_up.fail(from);
        if let Some(peer) = self.peers.get_mut(from) {
            peer.status = None;
        }
    }

    /// A peer that has not what it was asked for: it may have pruned it.
    fn gave_nothing(&mut self, from: PeerId) {
        if self.peers.catch_up.proven.is_empty() {
            self.promised_too_much(from);
        } else {
            self.peers.catch_up.fail(from);
        }
    }
}
