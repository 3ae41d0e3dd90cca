//! The ledger: a tip, a state, and the one way from a block to the next.

mod error;
mod work;

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::error::{BlockError, LedgerError};
use self::work::Work;
use crate::block::{BLOCK_VERSION, Block, Certificate, Header, RawTransaction};
use crate::genesis::{Genesis, SealingRule};
use crate::hash::{BlockId, ChainId, Digest32, TxId};
use crate::history::History;
use crate::leaves::{LeafChanges, Leaves, MemoryLeaves};
use crate::merkle;
use crate::rules::{self, ExecuteError, Refusal};
use crate::signature::{Batch, PublicKey};
use crate::state::{Key, StateError, Term, Terms, View};
use crate::transaction::{Action, Transaction};
use crate::tree::{StateTree, TreeUpdate};
use crate::units::{Epoch, Height, Round, UnixMillis};
use crate::validators::ValidatorSet;

/// Leaves that take over what a block changed.
pub trait LeafStore: Leaves {
    /// Takes over the changes of the block at `height`. What cannot be kept shows at the next read.
    fn commit(&mut self, height: Height, changes: &LeafChanges);
}

impl LeafStore for MemoryLeaves {
    fn commit(&mut self, _: Height, changes: &LeafChanges) {
        Self::commit(self, changes);
    }
}

/// The last block, and what is needed to judge the next one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tip {
    /// Its height; 0 before the first block.
    pub height: Height,
    /// Its id; zero before the first block.
    pub id: BlockId,
    /// Its time; genesis time before the first block.
    pub time: UnixMillis,
    /// Root of the state after it.
    pub state_root: Digest32,
    /// The mountain range over all blocks up to it.
    pub history: History,
}

/// Who decides the next block.
#[derive(Clone, Debug)]
pub struct InCharge {
    /// The term.
    pub epoch: Epoch,
    /// Draws its proposers.
    pub seed: Digest32,
    /// The set.
    pub validators: Arc<ValidatorSet>,
    /// Its hash, as it stands in a header.
    pub validators_hash: Digest32,
    /// The set that decided the tip; its certificate goes into the next block.
    pub decided_tip: Arc<ValidatorSet>,
    /// Whether too few slots were bought, so that a former set carries on.
    pub carried_on: bool,
}

impl InCharge {
    /// What the terms say at a tip.
    fn of(terms: &Terms, tip: Height) -> Self {
        let validators = Arc::new(terms.current.validators());
        let decided_tip = match &terms.previous {
            Some(previous) if tip <= terms.current.begun_at => Arc::new(previous.validators()),
            _ => Arc::clone(&validators),
        };
        Self {
            epoch: terms.current.epoch,
            seed: terms.current.seed,
            validators_hash: validators.hash(),
            validators,
            decided_tip,
            carried_on: terms.current.carried_on,
        }
    }
}

/// Whose work it is to verify the signatures of a block.
#[derive(Debug)]
pub enum Signatures<'a> {
    /// The ledger's: at once, in one batch.
    Verify,
    /// The caller's: they are added to its batch, and nothing is final until that is verified.
    Collect(&'a mut Batch),
    /// Nobody's: the caller verified all of them, and hands over the transactions it decoded with
    /// [`Ledger::collect`].
    Verified(Vec<Transaction>),
}

/// A block that was carried out, not yet committed.
#[derive(Debug)]
pub struct Applied {
    tip: Tip,
    changes: LeafChanges,
    update: TreeUpdate,
    in_charge: InCharge,
    /// Its transactions, in order.
    pub transactions: Vec<Sealed>,
}

/// A transaction of a block that was carried out: enough to find it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// Its id.
    pub id: TxId,
    /// Who paid.
    pub sender: PublicKey,
    /// Who was paid, if anybody was.
    pub receiver: Option<PublicKey>,
}

impl From<&Transaction> for Sealed {
    fn from(transaction: &Transaction) -> Self {
        let receiver = match &transaction.content.action {
            Action::Transfer(transfer) => Some(transfer.to),
            _ => None,
        };
        Self { id: transaction.id(), sender: transaction.content.sender, receiver }
    }
}

impl Applied {
    /// The tip this block will be.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// What the block changes.
    #[must_use]
    pub const fn changes(&self) -> &LeafChanges {
        &self.changes
    }
}

/// What a proposer decides about its block; all else follows from the ledger.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The round it is proposed in.
    pub round: Round,
    /// The proposer's time.
    pub time: UnixMillis,
    /// The slot key that proposes.
    pub proposer: PublicKey,
    /// The next link of its hash chain, if it has not revealed in this term.
    pub reveal: Option<Digest32>,
    /// The certificate of the tip; `None` for the first block.
    pub parent_certificate: Option<Certificate>,
}

/// A proposed block, carried out, with what was left out of it.
#[derive(Debug)]
pub struct Proposed {
    /// The block.
    pub block: Block,
    /// What committing it changes.
    pub applied: Applied,
    /// Transactions the rules refuse now, with the reason: they will not become valid by waiting
    /// unless the reason is [`Refusal::NonceGap`].
    pub refused: Vec<(TxId, Refusal)>,
}

/// The ledger of one chain over leaves of any kind.
#[derive(Debug)]
pub struct Ledger<L> {
    genesis: Arc<Genesis>,
    chain: ChainId,
    leaves: L,
    tree: StateTree,
    tip: Tip,
    in_charge: InCharge,
}

impl<L: LeafStore> Ledger<L> {
    /// Begins a chain on empty leaves.
    ///
    /// # Errors
    /// When genesis is not fit or the store fails.
    pub fn begin(genesis: Arc<Genesis>, mut leaves: L) -> Result<Self, LedgerError> {
        genesis.check()?;
        let mut view = View::new(&genesis, &leaves);
        rules::founding_state(&mut view);
        let changes = view.into_changes();
        leaves.commit(Height::ZERO, &changes);
        let tree = StateTree::rebuild(&leaves).map_err(StateError::from)?;
        let tip = Tip {
            height: Height::ZERO,
            id: BlockId::default(),
            time: genesis.time,
            state_root: tree.root(),
            history: History::default(),
        };
        Self::assemble(genesis, leaves, tree, tip)
    }

    /// Goes on where `tip` stands.
    ///
    /// # Errors
    /// When the leaves are not those of the tip, or the store fails.
    pub fn resume(genesis: Arc<Genesis>, leaves: L, tip: Tip) -> Result<Self, LedgerError> {
        genesis.check()?;
        let tree = StateTree::rebuild(&leaves).map_err(StateError::from)?;
        if tree.root() != tip.state_root {
            return Err(LedgerError::WrongRoot { found: tree.root(), expected: tip.state_root });
        }
        Self::assemble(genesis, leaves, tree, tip)
    }

    fn assemble(
        genesis: Arc<Genesis>,
        leaves: L,
        tree: StateTree,
        tip: Tip,
    ) -> Result<Self, LedgerError> {
        let terms = View::new(&genesis, &leaves).terms()?;
        let in_charge = InCharge::of(&terms, tip.height);
        Ok(Self { chain: genesis.chain_id(), genesis, leaves, tree, tip, in_charge })
    }

    /// Everything agreed before the first block.
    #[must_use]
    pub const fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    /// The chain's id.
    #[must_use]
    pub const fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The last block.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Who decides the next block.
    #[must_use]
    pub const fn in_charge(&self) -> &InCharge {
        &self.in_charge
    }

    /// The leaves of the state.
    #[must_use]
    pub const fn leaves(&self) -> &L {
        &self.leaves
    }

    /// The leaves, to be flushed or swapped by their owner.
    pub const fn leaves_mut(&mut self) -> &mut L {
        &mut self.leaves
    }

    /// The tree over the leaves, for proofs.
    #[must_use]
    pub const fn tree(&self) -> &StateTree {
        &self.tree
    }

    /// The state at the tip.
    #[must_use]
    pub fn view(&self) -> View<'_, L> {
        View::new(&self.genesis, &self.leaves)
    }

    /// The link `signer` revealed last, and whether it has revealed in this term.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last_reveal(&self, signer: &PublicKey) -> Result<Option<(Digest32, bool)>, StateError> {
        let mut term: Term = self.view().read_or_default(Key::CurrentTerm)?;
        Ok(term.seat_mut(signer).map(|seat| (seat.reveal, seat.revealed)))
    }

    /// Makes a block of those of `waiting` that the rules take now, as many as fit.
    /// Their signatures have to be verified already.
    ///
    /// # Errors
    /// When the draft does not fit the ledger, see [`BlockError`].
    pub fn propose<'t>(
        &self,
        draft: Draft,
        waiting: impl IntoIterator<Item = &'t Transaction>,
    ) -> Result<Proposed, BlockError> {
        let mut header = self.draft_header(&draft);
        let mut work = Work::begin(self, &header, draft.parent_certificate.as_ref())?;
        let mut refused = Vec::new();
        let mut transactions = Vec::new();
        for transaction in waiting {
            if !work.has_room(self, transaction) {
                break;
            }
            match work.execute(transaction) {
                Ok(()) => transactions.push(RawTransaction(transaction.bytes().to_vec())),
                Err(ExecuteError::Refused(refusal)) => refused.push((transaction.id(), refusal)),
                Err(ExecuteError::State(error)) => return Err(error.into()),
            }
        }
        check_sealing(self, &header, transactions.len())?;
        header.transaction_count = transactions.len() as u32;
        header.transactions_root = merkle::root(&work.ids);
        let done = work.finish(self, &header)?;
        header.state_root = done.update.root();
        header.next_validators_hash = done.in_charge.validators_hash;
        let block = Block { parent_certificate: draft.parent_certificate, transactions, header };
        let applied = done.into_applied(self, &block.header);
        Ok(Proposed { block, applied, refused })
    }

    /// Checks a block against every rule and carries it out, without changing the ledger.
    ///
    /// # Errors
    /// The first fault found, see [`BlockError`].
    pub fn check(&self, block: &Block, signatures: Signatures<'_>) -> Result<Applied, BlockError> {
        let header = &block.header;
        self.check_header(header)?;
        check_sealing(self, header, block.transactions.len())?;
        let transactions = match signatures {
            Signatures::Verified(transactions) => {
                block.check_certificate_hash()?;
                transactions
            }
            Signatures::Collect(batch) => self.collect_all(block, batch)?,
            Signatures::Verify => {
                let mut batch = Batch::default();
                let transactions = self.collect_all(block, &mut batch)?;
                if !batch.verify() {
                    return Err(BlockError::Signature);
                }
                transactions
            }
        };
        let mut work = Work::begin(self, header, block.parent_certificate.as_ref())?;
        for (index, transaction) in transactions.iter().enumerate() {
            if !work.has_room(self, transaction) {
                return Err(BlockError::TooLarge);
            }
            work.execute(transaction).map_err(|error| match error {
                ExecuteError::Refused(refusal) => BlockError::Refused { index, refusal },
                ExecuteError::State(error) => BlockError::State(error),
            })?;
        }
        block.check_transactions_root(&work.ids)?;
        let done = work.finish(self, header)?;
        if done.in_charge.validators_hash != header.next_validators_hash {
            return Err(BlockError::WrongField("next validators hash"));
        }
        if done.update.root() != header.state_root {
            return Err(BlockError::WrongField("state root"));
        }
        Ok(done.into_applied(self, header))
    }

    /// Takes over a block that was carried out on this very tip.
    pub fn commit(&mut self, applied: Applied) {
        debug_assert_eq!(Some(self.tip.height), applied.tip.height.previous());
        self.tree.apply(applied.update);
        self.leaves.commit(applied.tip.height, &applied.changes);
        self.in_charge = applied.in_charge;
        self.tip = applied.tip;
    }

    fn draft_header(&self, draft: &Draft) -> Header {
        Header {
            version: BLOCK_VERSION,
            chain: self.chain,
            height: self.tip.height.next(),
            round: draft.round,
            parent: self.tip.id,
            time: draft.time,
            proposer: draft.proposer,
            transactions_root: Digest32::ZERO,
            transaction_count: 0,
            state_root: Digest32::ZERO,
            history_root: self.tip.history.root(),
            validators_hash: self.in_charge.validators_hash,
            next_validators_hash: Digest32::ZERO,
            parent_certificate_hash: certificate_hash(draft.parent_certificate.as_ref()),
            reveal: draft.reveal,
        }
    }

    fn check_header(&self, header: &Header) -> Result<(), BlockError> {
        let expected = self.tip.height.next();
        if header.version != BLOCK_VERSION {
            return Err(BlockError::UnknownVersion(header.version));
        }
        if header.chain != self.chain {
            return Err(BlockError::WrongChain(header.chain));
        }
        if header.height != expected {
            return Err(BlockError::WrongHeight { found: header.height, expected });
        }
        if header.parent != self.tip.id {
            return Err(BlockError::WrongParent(header.parent));
        }
        let InCharge { validators, seed, .. } = &self.in_charge;
        let drawn = validators.proposer(seed, header.height, header.round);
        if drawn.is_none_or(|validator| validator.signer != header.proposer) {
            return Err(BlockError::NotProposer(header.proposer));
        }
        if header.validators_hash != self.in_charge.validators_hash {
            return Err(BlockError::WrongField("validators hash"));
        }
        if header.history_root != self.tip.history.root() {
            return Err(BlockError::WrongField("history root"));
        }
        Ok(())
    }

    fn collect_all(
        &self,
        block: &Block,
        batch: &mut Batch,
    ) -> Result<Vec<Transaction>, BlockError> {
        block.check_certificate_hash()?;
        if let Some(certificate) = &block.parent_certificate {
            certificate.check(&self.chain, &self.in_charge.decided_tip, batch)?;
        }
        self.collect(block, batch)
    }

    /// Decodes the transactions of a block, and adds their signatures to a batch. Whether they may
    /// stand in that block is for [`Self::check`] to say.
    ///
    /// # Errors
    /// When they are too many, or one of them is none.
    pub fn collect(
        &self,
        block: &Block,
        batch: &mut Batch,
    ) -> Result<Vec<Transaction>, BlockError> {
        let count = block.transactions.len();
        if count > self.genesis.parameters.block_transactions_max as usize {
            return Err(BlockError::TooLarge);
        }
        if usize::try_from(block.header.transaction_count) != Ok(count) {
            return Err(BlockError::WrongField("transaction count"));
        }
        let decode = |(index, raw): (usize, &RawTransaction)| {
            let transaction = Transaction::decode(&self.chain, &raw.0)
                .map_err(|error| BlockError::Transaction { index, error })?;
            transaction.signatures(&self.chain, |key, digest, signature| {
                batch.push(key, digest, signature);
            });
            Ok(transaction)
        };
        block.transactions.iter().enumerate().map(decode).collect()
    }
}

impl Block {
    /// Checks that transactions with these ids are what the header commits to.
    ///
    /// # Errors
    /// [`BlockError::WrongField`] where they are not.
    pub fn check_transactions_root(&self, ids: &[TxId]) -> Result<(), BlockError> {
        if merkle::root(ids) == self.header.transactions_root {
            Ok(())
        } else {
            Err(BlockError::WrongField("transactions root"))
        }
    }

    /// Checks that the parent's certificate in the body is the one that the header names.
    ///
    /// # Errors
    /// [`BlockError::WrongField`] where it is another one.
    pub fn check_certificate_hash(&self) -> Result<(), BlockError> {
        if certificate_hash(self.parent_certificate.as_ref()) == self.header.parent_certificate_hash
        {
            Ok(())
        } else {
            Err(BlockError::WrongField("parent certificate hash"))
        }
    }
}

fn certificate_hash(certificate: Option<&Certificate>) -> Digest32 {
    certificate.map_or(Digest32::ZERO, Certificate::hash)
}

/// Whether block data alone satisfies the sealing rule.
///
/// A proposer takes everything that waits, so what is left over came after the parent block: with
/// fewer transactions than the rule's count, the interval must have passed since the parent.
fn check_sealing<L: LeafStore>(
    ledger: &Ledger<L>,
    header: &Header,
    count: usize,
) -> Result<(), BlockError> {
    let parameters = &ledger.genesis.parameters;
    let least = ledger.tip.time.after(parameters.block_interval_min);
    if header.time <= ledger.tip.time || header.time < least {
        return Err(BlockError::TooEarly);
    }
    if ledger.genesis.epoch_at(header.time) > ledger.in_charge.epoch {
        let single = parameters.sealing == SealingRule::Single;
        return if single && count > 1 { Err(BlockError::SealingRule(count)) } else { Ok(()) };
    }
    let fits = match parameters.sealing {
        _ if count == 0 => return Err(BlockError::NothingToSeal),
        SealingRule::Immediate => true,
        SealingRule::Single => count == 1,
        SealingRule::Count { transactions, interval } => {
            count >= usize::from(transactions) || header.time >= ledger.tip.time.after(interval)
        }
    };
    if fits { Ok(()) } else { Err(BlockError::SealingRule(count)) }
}
