//! A chain to test with: founders from fixed seeds, one block at a time, each of them proposed by
//! who was drawn, certified by who is not silent, and checked by a second ledger.

#![allow(dead_code, reason = "each test takes the part it needs")]

pub(crate) mod audit;
pub(crate) mod make;
pub(crate) mod shadow;
pub(crate) mod stage;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use goodwatt_chain::block::{Block, Certificate, CommitSignature};
use goodwatt_chain::genesis::{EcoStatement, EcoWay, Founder, Genesis, Parameters};
use goodwatt_chain::hash::{BlockId, Digest32, Domain};
use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafChanges, Leaves, MemoryLeaves, Unavailable};
use goodwatt_chain::ledger::{Applied, BlockError, Draft, LeafStore, Ledger, Proposed, Signatures};
use goodwatt_chain::rules::{self, ExecuteError, Place, Refusal, reveals_link};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{Account, Bids, Key, Registry, Standing, Terms, Totals};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Epoch, Grains, Height, Round, UnixMillis};
use goodwatt_chain::validators::{Validator, ValidatorSet};
use goodwatt_chain::vote::{Vote, VoteKind};
use goodwatt_units::Millis;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::audit::Names;

/// Links in a signer's hash chain: the most terms it can serve in a test.
const LINKS: usize = 400;
/// The founders' weight.
pub(crate) const FOUNDING_WEIGHT: Grains = Grains::from_good(10);
/// What each owner has at genesis.
pub(crate) const OWNER_BALANCE: Grains = Grains::from_good(100_000);
/// What each association has at genesis.
pub(crate) const ASSOCIATION_BALANCE: Grains = Grains::from_good(100);
/// How many owners have money at genesis, founders or not.
pub(crate) const OWNERS: u32 = 12;
/// How many associations have money at genesis.
pub(crate) const ASSOCIATIONS: u32 = 8;

/// A key that is the same in every run.
pub(crate) fn key(role: &str, number: u32) -> SigningKey {
    let domain = Domain::new(b"goodwatt/test/key");
    let parts = [role.as_bytes(), &number.to_be_bytes()];
    SigningKey::from_seed(Digest32::of(domain, &parts).as_bytes())
}

/// The account of a validator.
pub(crate) fn owner(number: u32) -> SigningKey {
    key("owner", number)
}

/// The account of an association.
pub(crate) fn association(number: u32) -> SigningKey {
    key("association", number)
}

/// A founder's slot key.
pub(crate) fn founding_signer(number: u32) -> SigningKey {
    key("founding signer", number)
}

pub(crate) const fn good(count: u32) -> Grains {
    Grains::from_good(count)
}

pub(crate) fn grains(count: u64) -> Grains {
    Grains::new(count).expect("tests stay below the largest supply")
}

/// The head of a signer's hash chain.
pub(crate) fn reveal_head(signer: &PublicKey) -> Digest32 {
    (0..LINKS).fold(reveal_seed(signer), |link, _| reveals_link(&link))
}

fn reveal_seed(signer: &PublicKey) -> Digest32 {
    Digest32::of(Domain::new(b"goodwatt/test/reveal"), &[signer.as_bytes()])
}

/// The link that comes before `last` in a signer's hash chain.
fn link_before(signer: &PublicKey, last: &Digest32) -> Digest32 {
    let mut links = std::iter::successors(Some(reveal_seed(signer)), |l| Some(reveals_link(l)));
    let found = links.by_ref().take(LINKS).find(|link| reveals_link(link) == *last);
    found.expect("the chain of a test is long enough")
}

/// A genesis with this many founders, its parameters changed by `change`.
pub(crate) fn genesis(founders: u32, change: impl FnOnce(&mut Parameters)) -> Genesis {
    let mut parameters = Parameters { validators_min: 1, ..Parameters::default() };
    change(&mut parameters);
    let owners = (0..OWNERS.max(2 * founders)).map(|n| (owner(n).public(), OWNER_BALANCE));
    let others = (0..ASSOCIATIONS).map(|n| (association(n).public(), ASSOCIATION_BALANCE));
    let balances: BTreeMap<_, _> = owners.chain(others).collect();
    let founder = |number| {
        let signer = founding_signer(number).public();
        let owner = owner(number).public();
        Founder { owner, signer, weight: FOUNDING_WEIGHT, reveal_head: reveal_head(&signer) }
    };
    Genesis {
        name: text("test"),
        time: UnixMillis::new(1_700_000_000_000),
        eco: EcoStatement { way: EcoWay::Solves, sentence: text("it tests"), measure: text("ok") },
        parameters,
        balances: balances.into_iter().collect(),
        founders: (0..founders).map(founder).collect(),
    }
}

pub(crate) fn text<const N: usize>(text: &str) -> heapless::String<N> {
    heapless::String::try_from(text).expect("tests write short texts")
}

/// Leaves in memory that count how often they are read.
#[derive(Debug, Default)]
pub(crate) struct CountedLeaves {
    leaves: MemoryLeaves,
    reads: Cell<u64>,
}

impl Leaves for CountedLeaves {
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
        self.reads.set(self.reads.get() + 1);
        self.leaves.bucket(index)
    }
}

impl LeafStore for CountedLeaves {
    fn commit(&mut self, _: Height, changes: &LeafChanges) {
        self.leaves.commit(changes);
    }
}

/// A chain with all of its validators' keys at hand.
pub(crate) struct Chain {
    pub(crate) ledger: Ledger<CountedLeaves>,
    /// Checks every block from its bytes; `None` where a test only needs height.
    second: Option<Ledger<MemoryLeaves>>,
    /// Of the tip.
    pub(crate) certificate: Option<Certificate>,
    /// The next block's time.
    pub(crate) time: UnixMillis,
    signers: BTreeMap<PublicKey, SigningKey>,
    slots_made: u32,
    /// Signer keys that neither propose nor certify.
    pub(crate) silent: BTreeSet<PublicKey>,
    pub(crate) names: Names,
}

impl Chain {
    /// A chain with this many founders and one validator as the smallest set.
    pub(crate) fn new(founders: u32) -> Self {
        Self::with(founders, |_| {})
    }

    /// A chain with some parameters changed.
    pub(crate) fn with(founders: u32, change: impl FnOnce(&mut Parameters)) -> Self {
        Self::from_genesis(genesis(founders, change))
    }

    pub(crate) fn from_genesis(genesis: Genesis) -> Self {
        let genesis = Arc::new(genesis);
        let ledger = Ledger::begin(Arc::clone(&genesis), CountedLeaves::default());
        let second = Ledger::begin(Arc::clone(&genesis), MemoryLeaves::default());
        let signers = (0..genesis.founders.len() as u32).map(founding_signer);
        Self {
            ledger: ledger.expect("the genesis of a test is fit"),
            second: Some(second.expect("the genesis of a test is fit")),
            certificate: None,
            time: genesis.time.after(Millis::from_secs(1)),
            signers: signers.map(|signer| (signer.public(), signer)).collect(),
            slots_made: 0,
            silent: BTreeSet::new(),
            names: Names::of_genesis(&genesis),
        }
    }

    /// Takes the second ledger away, where thousands of blocks are only the way to a height.
    pub(crate) fn unchecked(mut self) -> Self {
        self.second = None;
        self
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        self.ledger.genesis()
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.genesis().parameters
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.ledger.in_charge().epoch
    }

    pub(crate) fn validators(&self) -> &ValidatorSet {
        &self.ledger.in_charge().validators
    }

    /// A slot key that was never used.
    pub(crate) fn fresh_signer(&mut self) -> SigningKey {
        self.slots_made += 1;
        let signer = key("slot", self.slots_made);
        self.signers.insert(signer.public(), signer.clone());
        signer
    }

    pub(crate) fn signer(&self, signer: &PublicKey) -> &SigningKey {
        self.signers.get(signer).expect("the test made every signer")
    }

    /// The drawn proposer of the first round in which it is not silent.
    pub(crate) fn drawn(&self) -> (Round, Validator) {
        let (seed, height) = (self.ledger.in_charge().seed, self.ledger.tip().height.next());
        let draw = |round| (round, self.validators().proposer(&seed, height, round).copied());
        let mut rounds = (0..1_000).map(Round::new).map(draw);
        let found = rounds.find_map(|(round, drawn)| {
            let drawn = drawn.expect("a set has weight");
            (!self.silent.contains(&drawn.signer)).then_some((round, drawn))
        });
        found.expect("somebody is not silent")
    }

    /// The draft of the drawn proposer at [`Chain::time`].
    pub(crate) fn draft(&self) -> Draft {
        let (round, Validator { signer, .. }) = self.drawn();
        let last = self.ledger.last_reveal(&signer).expect("memory is readable");
        let reveal = match last.expect("who was drawn holds a seat") {
            (_, true) => None,
            (last, false) => Some(link_before(&signer, &last)),
        };
        let parent_certificate = self.certificate.clone();
        Draft { round, time: self.time, proposer: signer, reveal, parent_certificate }
    }

    pub(crate) fn propose(&self, transactions: &[Transaction]) -> Result<Proposed, BlockError> {
        self.ledger.propose(self.draft(), transactions)
    }

    /// Checks a block from its bytes, signatures included, without committing it.
    pub(crate) fn check(&self, block: &Block) -> Result<Applied, BlockError> {
        let block = Block::decode(&block.encode()).expect("a block reads back");
        self.ledger.check(&block, Signatures::Verify)
    }

    /// Seals a block of exactly these transactions.
    pub(crate) fn seal(&mut self, transactions: &[Transaction]) -> Block {
        let (block, refused) = self.try_seal(transactions).expect("the draft fits");
        assert_eq!(refused, [], "the rules take every transaction");
        block
    }

    /// Seals a block of those transactions the rules take, and gives what they refused.
    pub(crate) fn try_seal(
        &mut self,
        transactions: &[Transaction],
    ) -> Result<(Block, Vec<Refusal>), BlockError> {
        let Proposed { block, applied, refused } = self.propose(transactions)?;
        if let Some(second) = &mut self.second {
            let read = Block::decode(&block.encode()).expect("a block reads back");
            let checked = second.check(&read, Signatures::Verify).expect("an honest block holds");
            assert_eq!(checked.tip(), applied.tip(), "proposer and checker agree");
            second.commit(checked);
        }
        self.names.note(self.ledger.chain(), &block);
        let id = block.header.id();
        let certificate = self.certify(block.header.height, block.header.round, id);
        self.ledger.commit(applied);
        self.certificate = Some(certificate);
        self.time = block.header.time.after(Millis::from_secs(1));
        Ok((block, refused.into_iter().map(|(_, refusal)| refusal).collect()))
    }

    /// How many reads of leaves it takes to propose a block of these transactions.
    pub(crate) fn reads_of(&self, transactions: &[Transaction]) -> u64 {
        let before = self.ledger.leaves().reads.get();
        self.propose(transactions).expect("the draft fits");
        self.ledger.leaves().reads.get() - before
    }

    /// The certificate of all validators in charge that are not silent.
    pub(crate) fn certify(&self, height: Height, round: Round, block: BlockId) -> Certificate {
        let voices = self.validators().iter().enumerate();
        let voices = voices.filter(|(_, validator)| !self.silent.contains(&validator.signer));
        let signatures = voices.map(|(position, validator)| {
            let kind = VoteKind::Precommit;
            let vote = Vote { kind, height, round, block: Some(block), signer: validator.signer };
            let signature = self.signer(&validator.signer).sign(&vote.digest(self.ledger.chain()));
            CommitSignature { validator: position as u8, signature }
        });
        Certificate { height, round, block, signatures: signatures.collect() }
    }

    /// Seals the first block of an epoch, without transactions.
    pub(crate) fn begin_epoch(&mut self, epoch: u64) -> Block {
        self.move_to(epoch);
        self.seal(&[])
    }

    /// Moves the clock to the beginning of an epoch, without a block.
    pub(crate) fn move_to(&mut self, epoch: u64) {
        self.time = self.time.max(self.genesis().epoch_start(Epoch::new(epoch)));
    }

    /// Begins each epoch up to and including this one.
    pub(crate) fn walk_to(&mut self, epoch: u64) {
        for epoch in self.epoch().next().get()..=epoch {
            self.begin_epoch(epoch);
        }
    }

    /// Why the rules refuse a transaction now; the view must be as it was.
    pub(crate) fn refusal(&self, transaction: &Transaction) -> Refusal {
        let mut view = self.ledger.view();
        let place = Place {
            chain: *self.ledger.chain(),
            height: self.ledger.tip().height.next(),
            epoch: self.epoch(),
        };
        let outcome = rules::execute(&mut view, &place, transaction);
        let Err(ExecuteError::Refused(refusal)) = outcome else {
            panic!("not refused but {outcome:?}");
        };
        view.keep();
        assert!(view.changes().is_empty(), "a refused transaction leaves no trace");
        refusal
    }

    pub(crate) fn read<T: Serialize + DeserializeOwned>(&self, key: Key) -> Option<T> {
        self.ledger.view().read(key).expect("memory is readable")
    }

    pub(crate) fn account(&self, key: &PublicKey) -> Account {
        self.read(Key::Account(*key)).unwrap_or_default()
    }

    pub(crate) fn balance(&self, key: &SigningKey) -> Grains {
        self.account(&key.public()).balance
    }

    pub(crate) fn totals(&self) -> Totals {
        self.read(Key::Totals).unwrap_or_default()
    }

    pub(crate) fn terms(&self) -> Terms {
        self.ledger.view().terms().expect("memory is readable")
    }

    pub(crate) fn bids(&self) -> Bids {
        self.read(Key::Bids).unwrap_or_default()
    }

    pub(crate) fn registry(&self) -> Registry {
        self.read(Key::Registry).unwrap_or_default()
    }

    pub(crate) fn standing(&self, id: goodwatt_chain::hash::AssociationId) -> Standing {
        self.read(Key::Standing(id)).expect("the association stands")
    }

    /// The owners of the set in charge, in its order.
    pub(crate) fn owners_in_charge(&self) -> Vec<PublicKey> {
        self.validators().iter().map(|validator| validator.owner).collect()
    }
}
