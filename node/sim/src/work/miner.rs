//! One board that mines.

use std::collections::BTreeMap;
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{ChainId, Digest32, Domain, TxId};
use goodwatt_chain::signature::{Batch, PublicKey};
use goodwatt_chain::transaction::{Action, Transaction};
use goodwatt_chain::units::Grains;
use goodwatt_units::Millis;

use super::NOTHING;
use super::puzzle::{Header, next_target, work_of};
use crate::keys::owner;

const BODY: Domain = Domain::new(b"goodwatt/sim/work-body");

/// What miners tell each other.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Transaction(Arc<Transaction>),
    Block(Arc<Block>),
}

/// A block of the rule of work.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) header: Header,
    transactions: Vec<Arc<Transaction>>,
}

/// A block in the tree of all blocks.
#[derive(Debug)]
struct Known {
    block: Arc<Block>,
    height: u64,
    /// Of it and all before it.
    work: u128,
}

/// A miner: all blocks it knows, the best chain, and what waits.
#[derive(Debug)]
pub(super) struct Miner {
    node: usize,
    first_target: u64,
    blocks: BTreeMap<Digest32, Known>,
    /// The best chain, first block first.
    chain: Vec<Digest32>,
    waiting: BTreeMap<TxId, Arc<Transaction>>,
    /// Transactions whose signatures were verified.
    verified: BTreeMap<TxId, Arc<Transaction>>,
    nonce: u64,
    /// How often it left one chain for another.
    pub(super) forks: u64,
}

impl Miner {
    pub(super) fn new(node: usize, first_target: u64) -> Self {
        Self {
            node,
            first_target,
            blocks: BTreeMap::new(),
            chain: Vec::new(),
            waiting: BTreeMap::new(),
            verified: BTreeMap::new(),
            nonce: 0,
            forks: 0,
        }
    }

    pub(super) const fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    pub(super) fn tip(&self) -> Digest32 {
        self.chain.last().copied().unwrap_or(NOTHING)
    }

    /// The block of the best chain at a height; the first has height 1.
    pub(super) fn at(&self, height: u64) -> Option<Digest32> {
        let index = usize::try_from(height.checked_sub(1)?).ok()?;
        self.chain.get(index).copied()
    }

    pub(super) fn found_by(&self, id: &Digest32) -> Option<usize> {
        self.blocks.get(id).map(|known| known.block.header.miner)
    }

    /// The transactions of a block.
    pub(super) fn transactions(&self, id: &Digest32) -> Vec<TxId> {
        let block = self.blocks.get(id).map(|known| &known.block);
        block.map_or_else(Vec::new, |block| block.transactions.iter().map(|t| t.id()).collect())
    }

    /// Takes in what was told; gives what is new in it.
    pub(super) fn hear(&mut self, chain: ChainId, told: Told) -> Option<Told> {
        let is_new = match &told {
            Told::Transaction(transaction) => self.hear_transaction(&chain, transaction),
            Told::Block(block) => self.hear_block(&chain, block),
        };
        is_new.then_some(told)
    }

    fn hear_transaction(&mut self, chain: &ChainId, transaction: &Arc<Transaction>) -> bool {
        let is_new = !self.verified.contains_key(&transaction.id());
        if !is_new || !self.verify(chain, transaction) {
            return false;
        }
        self.waiting.insert(transaction.id(), Arc::clone(transaction));
        true
    }

    fn verify(&mut self, chain: &ChainId, transaction: &Arc<Transaction>) -> bool {
        if self.verified.contains_key(&transaction.id()) {
            return true;
        }
        let mut batch = Batch::default();
        transaction.signatures(chain, |key, digest, signature| batch.push(key, digest, signature));
        let is_valid = batch.verify();
        if is_valid {
            self.verified.insert(transaction.id(), Arc::clone(transaction));
        }
        is_valid
    }

    /// The target a block on top of this one needs.
    fn target_after(&self, parent: &Digest32) -> u64 {
        let Some(known) = self.blocks.get(parent) else { return self.first_target };
        let header = &known.block.header;
        let before = self.blocks.get(&header.parent);
        let before = before.map_or(Millis::new(0), |before| before.block.header.time);
        next_target(header.target, header.time.saturating_sub(before))
    }

    fn hear_block(&mut self, chain: &ChainId, block: &Arc<Block>) -> bool {
        let (header, id) = (&block.header, block.header.hash());
        let parent = self.blocks.get(&header.parent);
        let before = parent.map_or(Millis::new(0), |parent| parent.block.header.time);
        // Links keep their order, so that a parent comes before its child.
        let fits = (parent.is_some() || header.parent == NOTHING)
            && header.target == self.target_after(&header.parent)
            && header.time > before
            && header.body == body(&block.transactions)
            && header.is_solved();
        if self.blocks.contains_key(&id)
            || !fits
            || !block.transactions.iter().all(|transaction| self.verify(chain, transaction))
        {
            return false;
        }
        self.take(id, block);
        true
    }

    /// Enters a valid block, and goes over to its chain where that has more work.
    fn take(&mut self, id: Digest32, block: &Arc<Block>) {
        let (height, work) = (self.blocks.get(&block.header.parent))
            .map_or((0, 0), |parent| (parent.height, parent.work));
        let work = work + work_of(block.header.target);
        let best = self.blocks.get(&self.tip()).map_or(0, |tip| tip.work);
        let former = self.tip();
        self.blocks.insert(id, Known { block: Arc::clone(block), height: height + 1, work });
        if work <= best {
            return;
        }
        self.forks += u64::from(block.header.parent != former);
        self.follow(id);
    }

    /// Makes the chain that ends with `tip` the best one.
    fn follow(&mut self, tip: Digest32) {
        let mut added = Vec::new();
        let mut id = tip;
        while let Some(known) = self.blocks.get(&id)
            && self.at(known.height) != Some(id)
        {
            added.push(id);
            id = known.block.header.parent;
        }
        let stays = self.blocks.get(&id).map_or(0, |known| known.height);
        let left = self.chain.split_off(usize::try_from(stays).unwrap_or(usize::MAX));
        let left: Vec<TxId> = left.iter().flat_map(|id| self.transactions(id)).collect();
        for transaction in left {
            if let Some(verified) = self.verified.get(&transaction) {
                self.waiting.insert(transaction, Arc::clone(verified));
            }
        }
        for id in added.into_iter().rev() {
            for transaction in self.transactions(&id) {
                self.waiting.remove(&transaction);
            }
            self.chain.push(id);
        }
    }

    /// Takes one hash; gives the block if it solves the puzzle.
    pub(super) fn try_once(&mut self, now: Millis) -> Option<Arc<Block>> {
        self.nonce += 1;
        let parent = self.tip();
        let before = self.blocks.get(&parent).map_or(Millis::new(0), |k| k.block.header.time);
        let mut transactions: Vec<_> = self.waiting.values().cloned().collect();
        transactions.sort_by_key(|t| (t.content.sender, t.content.nonce));
        let header = Header {
            parent,
            time: now.max(before.saturating_add(Millis::new(1))),
            miner: self.node,
            target: self.target_after(&parent),
            body: body(&transactions),
            nonce: self.nonce,
        };
        if !header.is_solved() {
            return None;
        }
        let block = Arc::new(Block { header, transactions });
        self.take(block.header.hash(), &block);
        Some(block)
    }

    /// Carries out all transfers of the best chain, fees to whoever found the block: nobody spends
    /// what it has not, nothing is carried out twice, and the sum is that of genesis.
    pub(super) fn is_money_conserved(&self, genesis: &Genesis) -> bool {
        let mut balances: BTreeMap<PublicKey, (Grains, u64)> =
            genesis.balances.iter().map(|(key, balance)| (*key, (*balance, 0))).collect();
        let blocks = self.chain.iter().filter_map(|id| self.blocks.get(id));
        for block in blocks.map(|known| &known.block) {
            for transaction in &block.transactions {
                let carried = carry_out(&mut balances, transaction, block.header.miner);
                if carried.is_none() {
                    return false;
                }
            }
        }
        let sum = balances.values().try_fold(Grains::ZERO, |sum, (b, _)| sum.checked_add(*b));
        sum == genesis.supply()
    }
}

fn carry_out(
    balances: &mut BTreeMap<PublicKey, (Grains, u64)>,
    transaction: &Transaction,
    miner: usize,
) -> Option<()> {
    let content = &transaction.content;
    let Action::Transfer(transfer) = &content.action else { return None };
    let (balance, nonce) = balances.get_mut(&content.sender)?;
    *balance = balance.checked_sub(transfer.amount.checked_add(content.fee)?)?;
    if *nonce != content.nonce {
        return None;
    }
    *nonce += 1;
    for (key, amount) in [(transfer.to, transfer.amount), (owner(miner).public(), content.fee)] {
        let (balance, _) = balances.entry(key).or_default();
        *balance = balance.checked_add(amount)?;
    }
    Some(())
}

/// The hash over the transactions of a block.
fn body(transactions: &[Arc<Transaction>]) -> Digest32 {
    let ids: Vec<u8> = transactions.iter().flat_map(|t| *t.id().0.as_bytes()).collect();
    Digest32::of(BODY, &[&ids])
}
