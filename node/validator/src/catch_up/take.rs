//! Blocks of peers: verified together, carried out, and put on the card with one sync.

use std::collections::VecDeque;
use std::sync::mpsc;

use goodwatt_chain::codec;
use goodwatt_chain::hash::TxId;
use goodwatt_chain::ledger::{BlockError, Signatures};
use goodwatt_chain::signature::Batch;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Height;

use super::window::Body;
use crate::message::LoggedBlock;
use crate::parts::{Now, Output, Signers, StateStore};
use crate::stuck::Stuck;
use crate::validator::Validator;

/// How many signatures are awaited before blocks are taken over: these take 0.5 MB.
const BATCH: usize = 2_048;
/// How many are verified together, while the blocks before them are carried out.
const PART: usize = BATCH / 2;

/// Blocks that the ledger has taken and the card has not yet. Until it has, nobody is told, and
/// the state does not go onto the card.
#[derive(Debug)]
pub(crate) struct Unwritten {
    first: Height,
    records: Vec<Vec<u8>>,
    outputs: Vec<Output>,
    sealed: Vec<TxId>,
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// Takes over all blocks that are there, in batches.
    pub(crate) fn take_ready(&mut self, now: Now) {
        while self.unwritten.is_none() {
            let tip = self.ledger.tip().height;
            self.peers.catch_up.forget_until(tip);
            let ready = self.peers.catch_up.take_ready(tip, BATCH);
            if ready.is_empty() {
                return;
            }
            self.attempt(now, |own| own.take(now, ready));
            if self.ledger.tip().height == tip {
                return;
            }
        }
    }

    /// Carries blocks out while the signatures of those after them are verified. Where one is not
    /// what was decided, its giver is told off, and another peer is asked for it.
    fn take(&mut self, now: Now, ready: Vec<Body>) -> Result<(), Stuck> {
        let Some((mut blocks, parts)) = self.collected(ready) else { return Ok(()) };
        let first = self.ledger.tip().height.next();
        let told = self.outputs.len();
        let (mut records, mut sealed, mut outcome) = (Vec::new(), Vec::new(), Ok(()));
        let (count, mut taken) = (blocks.len(), 0);
        verified_in_order(&parts, |part, invalid| {
            if let Some(bad) = part.block_of(invalid) {
                if let Some((body, _)) = blocks.remove(bad - taken) {
                    self.caught(body.from, BlockError::Signature.to_string());
                }
                return false;
            }
            // Who decided a block stands in the next one, and is verified with that.
            let ends = part.end();
            let until = if ends == count { count } else { ends - 1 };
            while taken < until
                && let Some((Body { from, mut logged, .. }, transactions)) = blocks.pop_front()
            {
                let next = blocks.front().map(|(next, _)| &next.logged.block.parent_certificate);
                if let Some(Some(certificate)) = next {
                    // Of many it is the one that everybody has.
                    logged.certificate.clone_from(certificate);
                }
                taken += 1;
                match self.ledger.check(&logged.block, Signatures::Verified(transactions)) {
                    Ok(applied) => {
                        records.push(codec::encode(&*logged));
                        sealed.extend(self.take_over(&logged, applied));
                    }
                    Err(BlockError::State(error)) => outcome = Err(Stuck::State(error)),
                    Err(error) => {
                        outcome = Err(Stuck::Block(error));
                        self.peers.catch_up.fail(from);
                    }
                }
                if outcome.is_err() {
                    blocks.clear();
                    return false;
                }
            }
            true
        });
        for (body, _) in blocks {
            self.peers.catch_up.keep(body);
        }
        let outputs = self.outputs.split_off(told);
        if !records.is_empty() {
            self.unwritten = Some(Unwritten { first, records, outputs, sealed });
            self.write_taken(now)?;
        }
        outcome
    }

    /// Puts on the card what the ledger has taken, and tells of it.
    pub(crate) fn write_taken(&mut self, now: Now) -> Result<(), Stuck> {
        let Some(Unwritten { first, records, .. }) = &self.unwritten else { return Ok(()) };
        // After a full disk a part of them may be there already.
        let log = &mut self.card.log;
        let next = log.tip().map_or(*first, Height::next).max(*first);
        let there = next.since(*first).map_or(0, |blocks| blocks.get() as usize);
        log.append_all(next, &records[there.min(records.len())..])?;
        let Some(Unwritten { outputs, sealed, .. }) = self.unwritten.take() else { return Ok(()) };
        self.outputs.extend(outputs);
        self.forget_height();
        self.reset_wal(self.ledger.tip().height.next())?;
        self.tidy_mempool(now, &sealed)
    }

    /// Decodes blocks, and collects what is to be verified of them, in parts. Where one is not what
    /// its header commits to, its giver is told off, and nothing is taken until another peer has
    /// given it.
    fn collected(&mut self, ready: Vec<Body>) -> Option<(Collected, Vec<Part>)> {
        let (mut parts, mut decoded) = (Vec::<Part>::new(), Vec::new());
        let mut bad = None;
        for (at, body) in ready.iter().enumerate() {
            let is_last = at + 1 == ready.len();
            if parts.last().is_none_or(|part| part.batch.len() >= PART) {
                parts.push(Part { batch: Batch::with_capacity(PART), first: at, ends: Vec::new() });
            }
            let Some(part) = parts.last_mut() else { break };
            match self.collect(body, at == 0, is_last, &mut part.batch) {
                Ok(transactions) => decoded.push(transactions),
                Err(error) => {
                    bad = Some((at, error));
                    break;
                }
            }
            part.ends.push(part.batch.len());
        }
        let Some((bad, error)) = bad else {
            return Some((ready.into_iter().zip(decoded).collect(), parts));
        };
        for (at, body) in ready.into_iter().enumerate() {
            if at == bad {
                self.caught(body.from, error.to_string());
            } else {
                self.peers.catch_up.keep(body);
            }
        }
        None
    }

    /// Collects the signatures of a block whose id is proven: of its transactions, of its parent's
    /// certificate, and of its own where no block that carries it follows.
    fn collect(
        &self,
        body: &Body,
        is_first: bool,
        is_last: bool,
        batch: &mut Batch,
    ) -> Result<Vec<Transaction>, BlockError> {
        let LoggedBlock { certificate, block } = &*body.logged;
        let in_charge = self.ledger.in_charge();
        let chain = self.ledger.chain();
        let transactions = self.ledger.collect(block, batch)?;
        let ids: Vec<TxId> = transactions.iter().map(Transaction::id).collect();
        block.check_transactions_root(&ids)?;
        block.check_certificate_hash()?;
        if let Some(parent) = &block.parent_certificate {
            let set = if is_first { &in_charge.decided_tip } else { &in_charge.validators };
            parent.check(chain, set, batch)?;
        }
        if is_last {
            if (certificate.height, certificate.block) != (block.header.height, body.logged.id()) {
                return Err(BlockError::WrongCertificate);
            }
            certificate.check(chain, &in_charge.validators, batch)?;
        }
        Ok(transactions)
    }
}

/// Blocks by rising height, with their transactions.
type Collected = VecDeque<(Body, Vec<Transaction>)>;

/// Some blocks whose signatures are verified together.
struct Part {
    batch: Batch,
    /// The place of its first block among all that are taken.
    first: usize,
    /// Up to which place in the batch the signatures of each block go.
    ends: Vec<usize>,
}

impl Part {
    /// The place after its last block.
    fn end(&self) -> usize {
        self.first + self.ends.len()
    }

    /// The place of the block with a signature, among all that are taken.
    fn block_of(&self, signature: Option<usize>) -> Option<usize> {
        let signature = signature?;
        Some(self.first + self.ends.iter().take_while(|end| **end <= signature).count())
    }
}

/// Verifies parts one after another in a thread of its own, and gives each with the place of its
/// first signature that is not valid to `judge`, until that says no.
fn verified_in_order(parts: &[Part], mut judge: impl FnMut(&Part, Option<usize>) -> bool) {
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("verifier".into());
        let verify = move || {
            for part in parts {
                // Nobody listens any more where one before it was bad.
                if tell.send(part.batch.verify()).is_err() {
                    return;
                }
            }
        };
        // Without a thread nothing is told, and all is verified here.
        let _thread = thread.spawn_scoped(scope, verify).ok();
        for part in parts {
            let is_valid = told.recv().unwrap_or_else(|_| part.batch.verify());
            let invalid = if is_valid { None } else { part.batch.first_invalid() };
            if !judge(part, invalid) {
                break;
            }
        }
        drop(told);
    });
}

#[cfg(test)]
mod tests {
    use goodwatt_chain::hash::Digest32;
    use goodwatt_chain::signature::SigningKey;

    use super::*;

    /// So many parts of five blocks with three signatures each, of which some are bad.
    fn parts(count: usize, bad: &[usize]) -> Vec<Part> {
        let key = SigningKey::from_seed(&[1; 32]);
        let (good, other) = (Digest32::new([2; 32]), Digest32::new([3; 32]));
        let signature = key.sign(&good);
        let mut all = 0;
        let mut part = |number| {
            let (mut batch, mut ends) = (Batch::default(), Vec::new());
            for _ in 0..5 {
                for _ in 0..3 {
                    let digest = if bad.contains(&all) { other } else { good };
                    batch.push(key.public(), digest, signature);
                    all += 1;
                }
                ends.push(batch.len());
            }
            Part { batch, first: number * 5, ends }
        };
        (0..count).map(&mut part).collect()
    }

    #[test]
    fn the_block_of_the_first_bad_signature_is_found_and_nothing_is_judged_after_it() {
        let judged = |bad: &[usize]| {
            let mut judged = Vec::new();
            verified_in_order(&parts(3, bad), |part, invalid| {
                judged.push((part.end(), part.block_of(invalid)));
                invalid.is_none()
            });
            judged
        };
        assert_eq!(judged(&[]), [(5, None), (10, None), (15, None)]);
        assert_eq!(judged(&[0]), [(5, Some(0))]);
        assert_eq!(judged(&[14]), [(5, Some(4))]);
        assert_eq!(judged(&[15, 40]), [(5, None), (10, Some(5))]);
        assert_eq!(judged(&[44]), [(5, None), (10, None), (15, Some(14))]);
        verified_in_order(&[], |_, _| unreachable!("nothing is there"));
    }
}
