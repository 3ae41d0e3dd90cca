//! What light peers ask, answered with proofs. They get nothing else, and each answer takes a
//! bounded amount of reading, whatever is asked and however long the chain is.

use goodwatt_chain::codec;
use goodwatt_chain::hash::{BlockId, Digest32, TxId};
use goodwatt_chain::history::{GROUP_BLOCKS, HistoryNodes, HistoryProof};
use goodwatt_chain::ledger::LeafStore;
use goodwatt_chain::light::{Answer, Excuse, Question, STEPS_MAX};
use goodwatt_chain::merkle;
use goodwatt_chain::proof::{Ancestor, DecidedHeader, StateLeafProof, TransactionProof};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, Roster, StateError};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Epoch, Height, Round};
use goodwatt_chain::validators::ValidatorSet;
use goodwatt_chain::{block::RawTransaction, ledger::Ledger};
use goodwatt_validator::{LoggedBlock, SealedHeader, lookups};

use super::answer::CLASHES_MAX;
use super::engine::Engine;

/// How much of the log is read for one question, to get ready to prove what is old: no longer than
/// a vote may wait. The chains of tests are short.
const READ_BLOCKS_MAX: u64 = if cfg!(test) { 64 } else { 512 };
const READ_BYTES_MAX: usize = 2 << 20;

/// What is kept to answer the next question sooner.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    tip: Option<(BlockId, Box<DecidedHeader>)>,
    nodes: HistoryNodes,
}

/// Why there is no answer, where nobody is to be told more.
impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::ours(&error)
    }
}

/// What to answer instead.
struct Failure(Excuse);

impl Failure {
    fn ours(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!("a light peer is not answered: {error}");
        Self(Excuse::Failed)
    }
}

impl From<Excuse> for Failure {
    fn from(excuse: Excuse) -> Self {
        Self(excuse)
    }
}

/// A set, and from which block on it decides: the one after `begun_at`.
struct Reign {
    begun_at: Height,
    hash: Digest32,
    set: ValidatorSet,
}

impl Engine {
    /// Answers one question.
    pub(super) fn answer_light(&mut self, question: Question) -> Answer {
        let answer = match question {
            Question::Follow { after, trusted } => self.steps(after, trusted),
            Question::Header { height } => self.header(height),
            Question::Account { key } => self.account_proof(&key),
            Question::Transaction { id } => self.transaction_proof(&id),
            Question::Submit { transaction } => self.take_in(&transaction),
        };
        answer.unwrap_or_else(|Failure(excuse)| Answer::Nothing(excuse))
    }

    /// The last block, with who decided it.
    fn decided_tip(&mut self) -> Result<DecidedHeader, Failure> {
        let (tip, in_charge) = (self.own.ledger().tip(), self.own.ledger().in_charge());
        let (height, id) = (tip.height, tip.id);
        if height == Height::ZERO {
            return Err(Excuse::NoBlock.into());
        }
        if let Some((_, kept)) = self.proofs.tip.as_ref().filter(|(of, _)| *of == id) {
            return Ok(DecidedHeader::clone(kept));
        }
        let validators = ValidatorSet::clone(&in_charge.decided_tip);
        let decided = self.decided(height, validators)?;
        self.proofs.tip = Some((id, Box::new(decided.clone())));
        Ok(decided)
    }

    fn decided(&self, height: Height, validators: ValidatorSet) -> Result<DecidedHeader, Failure> {
        let SealedHeader { certificate, header } = self.sealed(height)?;
        Ok(DecidedHeader { header, certificate, validators })
    }

    /// Header and certificate of a block, whether its body is pruned or not.
    fn sealed(&self, height: Height) -> Result<SealedHeader, Failure> {
        let sealed = self.own.card().header(height).map_err(|error| Failure::ours(&error))?;
        Ok(sealed.ok_or(Excuse::NotKept)?)
    }

    fn record(&self, height: Height) -> Result<Vec<u8>, Failure> {
        let record = self.own.card().log.read(height).map_err(|error| Failure::ours(&error))?;
        Ok(record.ok_or(Excuse::NotKept)?)
    }

    fn logged(&self, height: Height) -> Result<LoggedBlock, Failure> {
        codec::decode(&self.record(height)?).map_err(|error| Failure::ours(&error))
    }

    fn header(&self, height: Height) -> Result<Answer, Failure> {
        Ok(Answer::Header(Box::new(self.sealed(height)?.header)))
    }

    fn steps(&mut self, after: Height, trusted: Digest32) -> Result<Answer, Failure> {
        let tip = self.decided_tip()?;
        let reigns = reigns(self.own.ledger())?;
        let (mut after, mut trusted) = (after, trusted);
        let mut steps = Vec::new();
        while steps.len() < STEPS_MAX && after < tip.header.height {
            if tip.header.validators_hash == trusted {
                steps.push(tip);
                break;
            }
            let ends = |pair: &&[Reign]| {
                pair[0].hash == trusted && pair[1].hash != trusted && pair[1].begun_at > after
            };
            let Some(pair) = reigns.windows(2).rev().find(ends) else { break };
            // The block that begins a term is still decided by the set before it.
            let step = self.decided(pair[1].begun_at, pair[0].set.clone())?;
            (after, trusted) = (step.header.height, step.header.next_validators_hash);
            steps.push(step);
        }
        if steps.is_empty() && after < self.own.ledger().tip().height {
            return Err(Excuse::NotKept.into());
        }
        Ok(Answer::Steps(steps.into_iter().collect()))
    }

    fn account_proof(&mut self, key: &PublicKey) -> Result<Answer, Failure> {
        let decided = self.decided_tip()?;
        let ledger = self.own.ledger();
        let path = ledger.tree().prove(ledger.leaves(), &Key::Account(*key).leaf());
        let path = path.map_err(|error| Failure::ours(&error))?;
        let pending = self.own.mempool().account(ledger, key)?;
        Ok(Answer::Account { proof: Box::new(StateLeafProof { decided, path }), pending })
    }

    fn transaction_proof(&mut self, id: &TxId) -> Result<Answer, Failure> {
        if let Some(waits) = self.own.mempool().iter().find(|waits| waits.id() == *id) {
            return Ok(Answer::Waits(RawTransaction(waits.bytes().to_vec())));
        }
        let decided = self.decided_tip()?;
        let places = lookups::find(self.own.ledger().leaves(), id, CLASHES_MAX)
            .map_err(|error| Failure::ours(&error))?;
        for (height, position) in places {
            let block = self.logged(height)?.block;
            let ids: Vec<TxId> =
                block.transactions.iter().map(|raw| Transaction::id_of(&raw.0)).collect();
            let at = position as usize;
            let (Some(path), Some(found)) = (merkle::prove(&ids, position), ids.get(at)) else {
                continue;
            };
            if found != id {
                continue;
            }
            let below = (height < decided.header.height).then_some(block.header);
            let ancestor = below.map(|header| self.ancestor(header)).transpose()?;
            let proof = Box::new(TransactionProof { decided, ancestor, path });
            let transaction = block.transactions.into_iter().nth(at).unwrap_or_default();
            return Ok(Answer::Transaction { transaction, proof });
        }
        Err(Excuse::NoTransaction.into())
    }

    /// Leads from the tip to a block below it.
    fn ancestor(&mut self, header: goodwatt_chain::block::Header) -> Result<Ancestor, Failure> {
        let blocks = self.own.ledger().tip().height.get().saturating_sub(1);
        self.get_ready(blocks)?;
        let mut failed = None;
        let block_at = |height| match self.block_at(height) {
            Ok((id, _)) => Some(id),
            Err(failure) => {
                failed = Some(failure);
                None
            }
        };
        let path = HistoryProof::with_nodes(&self.proofs.nodes, blocks, header.height, block_at);
        let path = path.map_err(|error| failed.unwrap_or_else(|| Failure::ours(&error)))?;
        Ok(Ancestor { path, header })
    }

    /// Goes on through the history, a part at a time, until all but a group of it is known.
    fn get_ready(&mut self, of: u64) -> Result<(), Failure> {
        let mut nodes = core::mem::take(&mut self.proofs.nodes);
        let (mut bytes, before) = (0, nodes.len());
        let outcome = loop {
            let done = nodes.len();
            if done >= of {
                break Ok(());
            }
            if done - before >= READ_BLOCKS_MAX || bytes >= READ_BYTES_MAX {
                let nearly = of - done < GROUP_BLOCKS;
                break if nearly { Ok(()) } else { Err(Excuse::NotReady { done, of }.into()) };
            }
            match self.block_at(Height::new(done + 1)) {
                Ok((id, size)) => {
                    nodes.push(id);
                    bytes += size;
                }
                Err(failure) => break Err(failure),
            }
        };
        self.proofs.nodes = nodes;
        outcome
    }

    /// The id of the block at a height, and how much was read for it.
    fn block_at(&self, height: Height) -> Result<(BlockId, usize), Failure> {
        let record = self.own.card().record(height).map_err(|error| Failure::ours(&error))?;
        let record = record.ok_or(Excuse::NotKept)?;
        // What a record begins with: the certificate, and that with what it is of.
        let begins = postcard::take_from_bytes::<(Height, Round, BlockId)>(&record);
        match begins {
            Ok(((found, _, id), _)) if found == height => Ok((id, record.len())),
            _ => Err(Failure::ours(&format_args!("the record at {height} is no block"))),
        }
    }

    /// Takes in a transaction.
    fn take_in(&mut self, raw: &RawTransaction) -> Result<Answer, Failure> {
        let refused = |error: &dyn ToString| Excuse::refused(&error.to_string());
        let transaction = Transaction::decode(self.own.ledger().chain(), &raw.0)
            .map_err(|error| refused(&error))?;
        let now = self.now();
        match self.own.submit(now, vec![transaction]).pop() {
            Some(Ok(id)) => Ok(Answer::Submitted(id)),
            Some(Err(error)) => Err(refused(&error).into()),
            None => Err(Failure::ours(&"a transaction was lost")),
        }
    }
}

/// The sets of which rosters are kept, in order.
fn reigns<L: LeafStore>(ledger: &Ledger<L>) -> Result<Vec<Reign>, StateError> {
    let view = ledger.view();
    let terms = view.terms()?;
    let now = terms.current.epoch;
    let first = Epoch::new(now.get().saturating_sub(ledger.genesis().parameters.vesting_delay));
    let before = terms.previous.map(|term| term.epoch).filter(|epoch| *epoch < first);
    let epochs = before.into_iter().chain((first.get()..=now.get()).map(Epoch::new));
    let mut reigns = Vec::new();
    for epoch in epochs {
        if let Some(Roster { begun_at, validators }) = view.read(Key::Roster(epoch))? {
            reigns.push(Reign { begun_at, hash: validators.hash(), set: validators });
        }
    }
    Ok(reigns)
}

#[cfg(test)]
mod tests;
