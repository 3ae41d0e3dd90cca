//! Catching up with others: blocks are asked for in batches, and each batch is verified as one.

use std::sync::Arc;

use goodwatt_chain::block::Certificate;
use goodwatt_chain::codec;
use goodwatt_chain::ledger::Signatures;
use goodwatt_chain::signature::Batch;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Height;
use goodwatt_units::Millis;

use crate::message::{LoggedBlock, MESSAGE_BYTES_MAX, Message, SealedHeader};
use crate::parts::{Now, Output, PeerId, Signers, StateStore, To};
use crate::stuck::Stuck;
use crate::validator::Validator;

/// How many blocks are asked for at a time.
const BATCH_BLOCKS: u16 = 128;
/// How many headers are asked for at a time.
const BATCH_HEADERS: u16 = 512;
/// How many bytes of blocks go into one answer; there is room for one full block above.
const ANSWER_BYTES: usize = 512 << 10;
/// What goes around the blocks of an answer at the most.
const ENVELOPE_BYTES: usize = 1 << 10;
/// How long an answer may take before somebody else is asked.
const PATIENCE: Millis = Millis::from_secs(5);

/// What was asked of whom.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    asked: Option<(PeerId, Millis)>,
    /// Who answered badly or not at all: asked last.
    failed: Vec<PeerId>,
}

impl CatchUp {
    pub(crate) const fn due(&self) -> Option<Millis> {
        match self.asked {
            Some((_, until)) => Some(until),
            None => None,
        }
    }

    pub(crate) fn is_late(&mut self, now: Millis) -> bool {
        match self.asked {
            Some((peer, until)) if until <= now => {
                self.asked = None;
                self.failed.push(peer);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn lost(&mut self, peer: PeerId) {
        if self.asked.is_some_and(|(asked, _)| asked == peer) {
            self.asked = None;
        }
        self.failed.retain(|failed| *failed != peer);
    }
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Asks for the next blocks, if somebody has more and nobody was asked.
    pub(crate) fn catch_up(&mut self, now: Now) {
        if self.peers.catch_up.asked.is_some() {
            return;
        }
        let tip = self.ledger.tip().height;
        let ahead = self.peers.iter().filter_map(|(id, peer)| {
            let height = peer.status?.height;
            (height > tip).then_some((self.peers.catch_up.failed.contains(&id), id))
        });
        let Some((failed, peer)) = ahead.min() else { return };
        if failed {
            self.peers.catch_up.failed.clear();
        }
        self.peers.catch_up.asked = Some((peer, now.uptime.saturating_add(PATIENCE)));
        let want = Message::WantBlocks { from: tip.next(), count: BATCH_BLOCKS };
        self.send(To::Peer(peer), want);
    }

    /// Answers with blocks from the log, as many as fit.
    pub(crate) fn give_blocks(&mut self, to: PeerId, from: Height, count: u16) {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        let mut height = from;
        while blocks.len() < usize::from(count.min(BATCH_BLOCKS)) && bytes < ANSWER_BYTES {
            let Some((size, logged)) = self.logged(height) else { break };
            if !blocks.is_empty() && bytes + size > MESSAGE_BYTES_MAX - ENVELOPE_BYTES {
                break;
            }
            bytes += size;
            blocks.push(logged);
            height = height.next();
        }
        self.send(To::Peer(to), Message::Blocks(blocks));
    }

    /// Answers with headers from the log, as many as fit.
    pub(crate) fn give_headers(&mut self, to: PeerId, from: Height, count: u16) {
        let (mut headers, mut bytes) = (Vec::new(), 0);
        let mut height = from;
        while headers.len() < usize::from(count.min(BATCH_HEADERS)) && bytes < ANSWER_BYTES {
            let Some((_, logged)) = self.logged(height) else { break };
            let LoggedBlock { certificate, block } = logged;
            let sealed = SealedHeader { certificate, header: block.header };
            bytes += codec::encode(&sealed).len();
            headers.push(sealed);
            height = height.next();
        }
        self.send(To::Peer(to), Message::Headers(headers));
    }

    pub(crate) fn hear_blocks(&mut self, now: Now, from: PeerId, blocks: Vec<LoggedBlock>) {
        if self.peers.catch_up.asked.is_none_or(|(asked, _)| asked != from) {
            // Late, or never asked for.
            return;
        }
        self.peers.catch_up.asked = None;
        let before = self.ledger.tip().height;
        let fresh: Vec<LoggedBlock> =
            blocks.into_iter().skip_while(|logged| logged.block.header.height <= before).collect();
        let mut wrong = None;
        self.attempt(now, |own| {
            wrong = own.take_blocks(now, &fresh)?;
            Ok(())
        });
        if let Some(wrong) = wrong {
            self.outputs.push(Output::Misbehaved(from, wrong));
        }
        if self.ledger.tip().height == before {
            // It promised more than it gave: others first.
            self.peers.catch_up.failed.push(from);
            if let Some(peer) = self.peers.get_mut(from) {
                peer.status = None;
            }
        }
        self.catch_up(now);
    }

    /// Verifies decided blocks and puts them on the card; gives what is wrong with the first bad one.
    fn take_blocks(&mut self, now: Now, blocks: &[LoggedBlock]) -> Result<Option<String>, Stuck> {
        let mut rest = blocks;
        let mut sealed = Vec::new();
        let mut wrong = None;
        while let Some(first) = rest.first() {
            // One set decides a whole run of blocks, so that their signatures are one batch.
            let set = first.block.header.validators_hash;
            let run = rest.iter().take_while(|b| b.block.header.validators_hash == set).count();
            let (run, more) = rest.split_at(run);
            let good = self.verified(run);
            for logged in &run[..good] {
                match self.ledger.check(&logged.block, Signatures::Collect(&mut Batch::default())) {
                    Ok(applied) => {
                        self.card.log.append(applied.tip().height, &codec::encode(logged))?;
                        sealed.extend(self.take_over(logged, applied));
                    }
                    Err(error) => {
                        wrong = Some(error.to_string());
                        break;
                    }
                }
            }
            if good < run.len() {
                wrong = wrong.or_else(|| Some("a block nobody decided".to_owned()));
            }
            if wrong.is_some() {
                break;
            }
            rest = more;
        }
        if !sealed.is_empty() {
            self.forget_height();
            self.reset_wal(self.ledger.tip().height.next())?;
            self.tidy_mempool(now, &sealed)?;
        }
        Ok(wrong)
    }

    /// How many of a run of blocks carry valid signatures only: of their transactions, and of the
    /// set in charge.
    fn verified(&self, run: &[LoggedBlock]) -> usize {
        let mut batch = Batch::default();
        let formed = run.iter().take_while(|logged| self.collect(logged, &mut batch)).count();
        if formed == run.len() && batch.verify() {
            return formed;
        }
        let valid = |logged: &&LoggedBlock| {
            let mut batch = Batch::default();
            self.collect(logged, &mut batch) && batch.verify()
        };
        run.iter().take_while(valid).count()
    }

    /// Collects a block's signatures; `false` where something does not even have its form.
    fn collect(&self, logged: &LoggedBlock, batch: &mut Batch) -> bool {
        let LoggedBlock { certificate, block } = logged;
        let set = Arc::clone(&self.ledger.in_charge().validators);
        let header = &block.header;
        let named = certificate.height == header.height
            && certificate.block == header.id()
            && header.validators_hash == self.ledger.in_charge().validators_hash;
        named && certified(self.ledger.chain(), certificate, &set, batch) && {
            block.transactions.iter().all(|raw| {
                let decoded = Transaction::decode(self.ledger.chain(), &raw.0);
                decoded.is_ok_and(|transaction| {
                    transaction.signatures(self.ledger.chain(), |key, digest, signature| {
                        batch.push(key, digest, signature);
                    });
                    true
                })
            })
        }
    }
}

fn certified(
    chain: &goodwatt_chain::hash::ChainId,
    certificate: &Certificate,
    set: &goodwatt_chain::validators::ValidatorSet,
    batch: &mut Batch,
) -> bool {
    certificate.check(chain, set, batch).is_ok()
}
