//! The mempool: transactions that wait to be sealed.
//!
//! Every transaction is carried out on the state as it will be after those before it, so what
//! waits here can be sealed in this order. Time comes in as an argument.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use goodwatt_units::Millis;

use crate::hash::TxId;
use crate::leaves::LeafChanges;
use crate::ledger::{LeafStore, Ledger};
use crate::rules::{self, ExecuteError, Place, Refusal};
use crate::signature::{Batch, PublicKey};
use crate::state::{self, Account, Key, StateError, View};
use crate::transaction::{Content, Transaction, TransactionError};
use crate::units::{Grains, UnixMillis};

/// How much may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MempoolLimits {
    /// The most transactions.
    pub transactions: usize,
    /// The most bytes.
    pub bytes: usize,
    /// The most transactions of one account.
    pub per_account: usize,
    /// How long one may wait.
    pub age: Millis,
}

impl Default for MempoolLimits {
    /// Two full blocks and half a megabyte: what a board of 512 MB never notices.
    fn default() -> Self {
        Self {
            transactions: 4_000,
            bytes: 512 * 1_024,
            per_account: 1_000,
            age: Millis::from_secs(3 * 3_600),
        }
    }
}

/// Why a transaction was not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// Not a transaction of this chain. The sender is at fault.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Refused by the rules. The sender is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It waits already.
    #[error("the transaction waits already")]
    Waiting,
    /// Too many of this account wait.
    #[error("{0} transactions of this account wait already: try again when some are sealed")]
    AccountFull(usize),
    /// The mempool is full, and everything in it pays at least as much.
    #[error("the mempool is full: pay a fee above {0}, or try again later")]
    Full(Grains),
    /// Our own store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ExecuteError> for AdmissionError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(refusal),
            ExecuteError::State(error) => Self::State(error),
        }
    }
}

/// Why a transaction left without being sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// It waited too long.
    Aged,
    /// It gave way to one that pays more.
    Outbid,
    /// The rules refuse it by now.
    Refused(Refusal),
}

/// What stays when not everything fits: first what the rules ask for, then what pays more.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    is_duty: bool,
    fee: Grains,
}

const fn rank(transaction: &Transaction) -> Rank {
    let Content { action, fee, .. } = &transaction.content;
    Rank { is_duty: action.is_duty(), fee: *fee }
}

#[derive(Clone, Debug)]
struct Waiting {
    transaction: Transaction,
    since: UnixMillis,
}

/// Transactions that wait, in the order in which they can be sealed.
#[derive(Debug, Default)]
pub struct Mempool {
    limits: MempoolLimits,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    per_account: BTreeMap<PublicKey, usize>,
    ids: BTreeSet<TxId>,
    /// What the waiting transactions change on top of the ledger.
    pending: LeafChanges,
    dropped: Vec<(TxId, Dropped)>,
    signatures_verified: u64,
}

impl Mempool {
    /// An empty mempool.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many bytes wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Since when the first has been waiting.
    #[must_use]
    pub fn first_since(&self) -> Option<UnixMillis> {
        self.waiting.front().map(|first| first.since)
    }

    /// How many signatures were verified here, good and bad: the work that strangers cause.
    #[must_use]
    pub const fn signatures_verified(&self) -> u64 {
        self.signatures_verified
    }

    /// Whether this transaction waits.
    #[must_use]
    pub fn contains(&self, id: &TxId) -> bool {
        self.ids.contains(id)
    }

    /// What waits, in the order in which it can be sealed.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.waiting.iter().map(|waiting| &waiting.transaction)
    }

    /// What waits, with the time since when: to be kept over a restart.
    pub fn entries(&self) -> impl Iterator<Item = (UnixMillis, &Transaction)> {
        self.waiting.iter().map(|waiting| (waiting.since, &waiting.transaction))
    }

    /// What left without being sealed since the last call, with the reason.
    pub fn take_dropped(&mut self) -> Vec<(TxId, Dropped)> {
        core::mem::take(&mut self.dropped)
    }

    /// An account as it will be when everything that waits is sealed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn account<L: LeafStore>(
        &self,
        ledger: &Ledger<L>,
        key: &PublicKey,
    ) -> Result<Account, StateError> {
        let leaf = Key::Account(*key);
        match self.pending.get(&leaf.leaf()) {
            Some(Some(value)) => state::parse(leaf, value),
            _ => ledger.view().read_or_default(leaf),
        }
    }

    /// Admits several transactions, their signatures verified in one batch. Gives each one's
    /// outcome, in order.
    ///
    /// The limits are looked at first, as a signature costs a hundred times more: who floods a full
    /// mempool, or hands in what waits already, makes no work.
    pub fn admit_all<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        now: UnixMillis,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<TxId, AdmissionError>> {
        let limits: Vec<Result<(), AdmissionError>> =
            transactions.iter().map(|transaction| self.check_limits(ledger, transaction)).collect();
        // Copies share their bytes, and so the verdict on their signatures.
        let mut ids = BTreeSet::new();
        let fresh: Vec<&Transaction> = transactions
            .iter()
            .zip(&limits)
            .filter_map(|(transaction, within)| within.is_ok().then_some(transaction))
            .filter(|transaction| ids.insert(transaction.id()))
            .collect();
        let forged = self.forged(ledger, &fresh);
        let admit = |(transaction, within): (Transaction, Result<(), AdmissionError>)| {
            within?;
            if forged.contains(&transaction.id()) {
                return Err(Refusal::Signature.into());
            }
            self.admit_verified(ledger, now, transaction)
        };
        transactions.into_iter().zip(limits).map(admit).collect()
    }

    /// Admits one transaction, in the same order.
    ///
    /// # Errors
    /// See [`AdmissionError`]; the mempool is unchanged then.
    pub fn admit<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        now: UnixMillis,
        transaction: Transaction,
    ) -> Result<TxId, AdmissionError> {
        self.check_limits(ledger, &transaction)?;
        if !self.forged(ledger, &[&transaction]).is_empty() {
            return Err(Refusal::Signature.into());
        }
        self.admit_verified(ledger, now, transaction)
    }

    /// Those of which a signature is not valid, found by halving: one forgery among many costs
    /// little more than none.
    fn forged<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        transactions: &[&Transaction],
    ) -> BTreeSet<TxId> {
        let mut batch = Batch::with_capacity(transactions.len());
        for transaction in transactions {
            transaction.signatures(ledger.chain(), |key, digest, signature| {
                batch.push(key, digest, signature);
            });
        }
        self.signatures_verified += batch.len() as u64;
        match transactions {
            _ if batch.verify() => BTreeSet::new(),
            [single] => BTreeSet::from([single.id()]),
            several => {
                let (left, right) = several.split_at(several.len() / 2);
                let mut forged = self.forged(ledger, left);
                forged.extend(self.forged(ledger, right));
                forged
            }
        }
    }

    /// Takes in what has good signatures. The limits again, as others came in since.
    fn admit_verified<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        now: UnixMillis,
        transaction: Transaction,
    ) -> Result<TxId, AdmissionError> {
        self.check_limits(ledger, &transaction)?;
        let id = transaction.id();
        self.execute(ledger, &transaction)?;
        self.push(Waiting { transaction, since: now });
        if self.is_over() {
            self.make_room(ledger)?;
        }
        Ok(id)
    }

    fn check_limits<L: LeafStore>(
        &self,
        ledger: &Ledger<L>,
        transaction: &Transaction,
    ) -> Result<(), AdmissionError> {
        if self.contains(&transaction.id()) {
            return Err(AdmissionError::Waiting);
        }
        let content = &transaction.content;
        let fee_min = content.fee_min(ledger.genesis().parameters.fee_min);
        if content.fee < fee_min {
            return Err(Refusal::UnderFee(fee_min).into());
        }
        let of_account = self.per_account.get(&content.sender).copied().unwrap_or(0);
        if of_account >= self.limits.per_account {
            return Err(AdmissionError::AccountFull(of_account));
        }
        let full = self.len() >= self.limits.transactions
            || self.bytes + transaction.bytes().len() > self.limits.bytes;
        if full {
            let lowest = self.iter().map(rank).min().unwrap_or_default();
            if rank(transaction) <= lowest {
                return Err(AdmissionError::Full(lowest.fee));
            }
        }
        Ok(())
    }

    /// Carries a transaction out on top of everything that waits.
    fn execute<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        transaction: &Transaction,
    ) -> Result<(), ExecuteError> {
        let place = Place {
            chain: *ledger.chain(),
            height: ledger.tip().height.next(),
            epoch: ledger.in_charge().epoch,
        };
        let pending = core::mem::take(&mut self.pending);
        let mut view = View::on_top(ledger.genesis(), ledger.leaves(), pending);
        let outcome = rules::execute(&mut view, &place, transaction);
        self.pending = view.into_changes();
        outcome.map(drop)
    }

    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.transaction.bytes().len();
        self.ids.insert(waiting.transaction.id());
        *self.per_account.entry(waiting.transaction.content.sender).or_default() += 1;
        self.waiting.push_back(waiting);
    }

    fn is_over(&self) -> bool {
        self.len() > self.limits.transactions || self.bytes > self.limits.bytes
    }

    /// Drops what pays least, the youngest of these first, until everything fits again; what
    /// built on a dropped one goes with it.
    fn make_room<L: LeafStore>(&mut self, ledger: &Ledger<L>) -> Result<(), StateError> {
        while self.is_over() {
            let lowest =
                self.waiting.iter().enumerate().rev().min_by_key(|(_, w)| rank(&w.transaction));
            let Some((at, _)) = lowest else { break };
            if let Some(outbid) = self.waiting.remove(at) {
                self.dropped.push((outbid.transaction.id(), Dropped::Outbid));
            }
            self.rebuild(ledger)?;
        }
        Ok(())
    }

    /// Notes anew since when each transaction waits: for a clock that was set.
    pub fn wait_since(&mut self, renew: impl Fn(UnixMillis) -> UnixMillis) {
        for waiting in &mut self.waiting {
            waiting.since = renew(waiting.since);
        }
    }

    /// Takes over a new tip: what was sealed leaves, the rest is carried out anew.
    ///
    /// # Errors
    /// When the store fails; nothing is lost then.
    pub fn advance<L: LeafStore>(
        &mut self,
        ledger: &Ledger<L>,
        now: UnixMillis,
        sealed: &[TxId],
    ) -> Result<(), StateError> {
        for id in sealed {
            self.ids.remove(id);
        }
        let (ids, dropped, age) = (&self.ids, &mut self.dropped, self.limits.age);
        self.waiting.retain(|waiting| {
            let id = waiting.transaction.id();
            let aged = now.saturating_since(waiting.since) > age;
            let stays = ids.contains(&id);
            if stays && aged {
                dropped.push((id, Dropped::Aged));
            }
            stays && !aged
        });
        self.rebuild(ledger)
    }

    /// Carries everything out anew on the ledger; what the rules refuse by now is dropped.
    fn rebuild<L: LeafStore>(&mut self, ledger: &Ledger<L>) -> Result<(), StateError> {
        let waiting = core::mem::take(&mut self.waiting);
        let dropped = core::mem::take(&mut self.dropped);
        let Self { limits, signatures_verified, .. } = *self;
        *self = Self { limits, dropped, signatures_verified, ..Self::default() };
        let mut failed = None;
        for entry in waiting {
            let outcome = match failed {
                // The store failed: keep the rest as it is, for a later try.
                Some(_) => Ok(()),
                None => self.execute(ledger, &entry.transaction),
            };
            match outcome {
                Ok(()) => self.push(entry),
                Err(ExecuteError::Refused(refusal)) => {
                    self.dropped.push((entry.transaction.id(), Dropped::Refused(refusal)));
                }
                Err(ExecuteError::State(error)) => {
                    failed = Some(error);
                    self.push(entry);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
