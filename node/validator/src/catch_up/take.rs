//! Blocks of peers: verified together, carried out, and put on the card with one sync.

use goodwatt_chain::block::Certificate;
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

/// How many signatures are awaited before blocks are taken over: these take 1 MB.
const BATCH: usize = 4_096;
/// How many are verified together; each such part has a thread of its own while it is verified.
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

    fn take(&mut self, now: Now, ready: Vec<Body>) -> Result<(), Stuck> {
        let Some(verified) = self.verified(ready) else { return Ok(()) };
        let first = self.ledger.tip().height.next();
        let (told, mut records, mut sealed) = (self.outputs.len(), Vec::new(), Vec::new());
        let mut fault = None;
        for (Body { from, logged, .. }, transactions) in verified {
            match self.ledger.check(&logged.block, Signatures::Verified(transactions)) {
                Ok(applied) => {
                    records.push(codec::encode(&*logged));
                    sealed.extend(self.take_over(&logged, applied));
                }
                Err(BlockError::State(error)) => {
                    fault = Some(Stuck::State(error));
                    break;
                }
                Err(error) => {
                    fault = Some(Stuck::Block(error));
                    self.peers.catch_up.fail(from);
                    break;
                }
            }
        }
        let outputs = self.outputs.split_off(told);
        if !records.is_empty() {
            self.unwritten = Some(Unwritten { first, records, outputs, sealed });
            self.write_taken(now)?;
        }
        fault.map_or(Ok(()), Err)
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

    /// Decodes blocks and verifies all signatures of them together. Where one is not what was
    /// decided, its giver is told off, and nothing is taken until another peer has given it.
    fn verified(&mut self, mut ready: Vec<Body>) -> Option<Vec<(Body, Vec<Transaction>)>> {
        let (mut parts, mut decoded, mut ends) = (Parts::default(), Vec::new(), Vec::new());
        let mut bad = None;
        for (at, body) in ready.iter().enumerate() {
            let is_last = at + 1 == ready.len();
            match self.collect(body, at == 0, is_last, parts.next()) {
                Ok(transactions) => decoded.push(transactions),
                Err(error) => {
                    bad = Some((at, error));
                    break;
                }
            }
            ends.push(parts.len());
        }
        if bad.is_none()
            && let Some(first) = parts.first_invalid()
        {
            let at = ends.iter().position(|end| *end > first).unwrap_or_default();
            bad = Some((at, BlockError::Signature));
        }
        if let Some((bad, error)) = bad {
            for (at, body) in ready.into_iter().enumerate() {
                if at == bad {
                    self.caught(body.from, error.to_string());
                } else {
                    self.peers.catch_up.keep(body);
                }
            }
            return None;
        }
        let mut next: Option<Certificate> = None;
        for body in ready.iter_mut().rev() {
            // What stands in the next block is what everybody has, and was verified here.
            if let Some(certificate) = next.take() {
                body.logged.certificate = certificate;
            }
            next.clone_from(&body.logged.block.parent_certificate);
        }
        Some(ready.into_iter().zip(decoded).collect())
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

/// Signatures in the order they were collected, in parts that are verified side by side.
#[derive(Default)]
struct Parts(Vec<Batch>);

impl Parts {
    /// The part that has room.
    fn next(&mut self) -> &mut Batch {
        if self.0.last().is_none_or(|last| last.len() >= PART) {
            self.0.push(Batch::with_capacity(PART));
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn len(&self) -> usize {
        self.0.iter().map(Batch::len).sum()
    }

    /// Verifies all of them; gives the place of the first one that is not valid, if there is one.
    fn first_invalid(&self) -> Option<usize> {
        let (first, others) = self.0.split_first()?;
        let valid = std::thread::scope(|scope| {
            let verify = |part| {
                let thread = std::thread::Builder::new().name("verifier".into());
                (part, thread.spawn_scoped(scope, move || Batch::verify(part)))
            };
            let others: Vec<_> = others.iter().map(verify).collect();
            let first = first.verify();
            // What no thread has verified to its end is verified here.
            let others = others.into_iter().map(|(part, thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| part.verify()),
                Err(_) => part.verify(),
            });
            others.fold(first, |all, part| all && part)
        });
        if valid {
            return None;
        }
        let mut before = 0;
        for part in &self.0 {
            if let Some(at) = part.first_invalid() {
                return Some(before + at);
            }
            before += part.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use goodwatt_chain::hash::Digest32;
    use goodwatt_chain::signature::SigningKey;

    use super::*;

    #[test]
    fn the_first_bad_signature_is_found_in_every_part() {
        let key = SigningKey::from_seed(&[1; 32]);
        let (good, other) = (Digest32::new([2; 32]), Digest32::new([3; 32]));
        let signature = key.sign(&good);
        let first_invalid = |bad: &[usize]| {
            let mut parts = Parts::default();
            for at in 0..2 * PART + 5 {
                let digest = if bad.contains(&at) { other } else { good };
                parts.next().push(key.public(), digest, signature);
            }
            assert_eq!((parts.0.len(), parts.len()), (3, 2 * PART + 5));
            parts.first_invalid()
        };
        assert_eq!(Parts::default().first_invalid(), None);
        assert_eq!(first_invalid(&[]), None);
        for bad in [0, PART - 1, PART, 2 * PART, 2 * PART + 4] {
            assert_eq!(first_invalid(&[bad]), Some(bad));
        }
        assert_eq!(first_invalid(&[PART + 7, 2 * PART]), Some(PART + 7));
    }
}
