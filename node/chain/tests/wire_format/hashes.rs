//! A hash over 1,024 generated encodings of each type.

use std::fmt::Debug;
use std::sync::LazyLock;

use goodwatt_chain::block::{Block, Certificate, Header};
use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{AssociationId, BlockId, ChainId, Digest32, TxId};
use goodwatt_chain::history::{History, HistoryProof};
use goodwatt_chain::leaves::{LeafChanges, LeafKey, MemoryLeaves};
use goodwatt_chain::ledger::Tip;
use goodwatt_chain::light::{Answer, Excuse, Question};
use goodwatt_chain::merkle::{self, InclusionProof};
use goodwatt_chain::proof::{Ancestor, DecidedHeader, StateLeafProof, TransactionProof};
use goodwatt_chain::signature::Signature;
use goodwatt_chain::state::{
    Account, Attendance, Ballot, Bids, Dossier, Registry, Release, Roster, Stake, Standing, Term,
    Tombstone, Totals, Unlocking, Vesting,
};
use goodwatt_chain::transaction::{
    ChainTag, Content, TRANSACTION_BYTES_MAX, TRANSACTION_VERSION, Transaction,
};
use goodwatt_chain::tree::{StateProof, StateTree};
use goodwatt_chain::units::{Grains, Height};
use goodwatt_chain::validators::ValidatorSet;
use goodwatt_chain::vote::{Evidence, SignedProposal, SignedVote};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::generate::{Make, Source, make};

/// How many values of a type are made.
const VALUES: usize = 1_024;

/// Leaves in the state that proofs are made from.
const LEAVES: u64 = 300;

/// Name and hash of every type.
pub(crate) fn of_all_types() -> Vec<(String, String)> {
    vec![
        transactions(),
        of::<SignedVote>("signed_vote"),
        of::<SignedProposal>("signed_proposal"),
        of::<Evidence>("evidence"),
        of::<ValidatorSet>("validators"),
        of::<Certificate>("certificate"),
        of::<Header>("header"),
        of::<Block>("block"),
        of::<Genesis>("genesis"),
        of::<InclusionProof>("inclusion_proof"),
        of::<StateProof>("state_proof"),
        of::<HistoryProof>("history_proof"),
        of::<DecidedHeader>("decided_header"),
        of::<TransactionProof>("transaction_proof"),
        of::<StateLeafProof>("state_leaf_proof"),
        of::<Question>("question"),
        of::<Answer>("answer"),
        of::<Tip>("tip"),
        of::<Account>("account"),
        of::<Totals>("totals"),
        of::<Term>("term"),
        of::<Bids>("bids"),
        of::<Attendance>("attendance"),
        of::<Registry>("registry"),
        of::<Standing>("standing"),
        of::<Dossier>("dossier"),
        of::<AssociationId>("association_of"),
        of::<Ballot>("ballot"),
        of::<Vesting>("vesting"),
        of::<Release>("release"),
        of::<Roster>("roster"),
        of::<Tombstone>("tombstone"),
        of::<Stake>("stake"),
        of::<Unlocking>("unlocking"),
        of::<Grains>("locked"),
    ]
}

/// SHA-256 over each encoding, its length before it in four bytes, big-endian.
#[derive(Default)]
struct Chained(Sha256);

impl Chained {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u32).to_be_bytes());
        self.0.update(bytes);
    }

    fn named(self, name: &str) -> (String, String) {
        (name.to_owned(), Digest32::new(self.0.finalize().into()).to_string())
    }
}

/// The seed of a type is its name, so that a type more changes no other's hash.
fn source(name: &str) -> Source {
    let hash = Sha256::digest(name);
    let (first, _) = hash.split_first_chunk().expect("32 bytes");
    Source::new(u64::from_be_bytes(*first))
}

fn of<T>(name: &str) -> (String, String)
where
    T: Make + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let (mut source, mut chained) = (source(name), Chained::default());
    for _ in 0..VALUES {
        let value: T = make(&mut source);
        let bytes = codec::encode(&value);
        assert_eq!(codec::decode::<T>(&bytes), Ok(value), "{name} reads back");
        chained.add(&bytes);
    }
    chained.named(name)
}

/// Transactions, whose bytes are not postcard's alone.
fn transactions() -> (String, String) {
    let name = "transaction";
    let (mut source, mut chained) = (source(name), Chained::default());
    for _ in 0..VALUES {
        let chain: ChainId = make(&mut source);
        let content = Content {
            version: TRANSACTION_VERSION,
            chain: ChainTag::of(&chain),
            sender: make(&mut source),
            nonce: make(&mut source),
            fee: make(&mut source),
            action: make(&mut source),
        };
        let signature: Signature = make(&mut source);
        let bytes = [codec::encode(&content).as_slice(), &signature.to_bytes()].concat();
        assert!(bytes.len() <= TRANSACTION_BYTES_MAX, "{}", bytes.len());
        let read = Transaction::decode(&chain, &bytes).expect("it reads back");
        assert_eq!((&read.content, read.signature), (&content, signature));
        chained.add(&bytes);
    }
    chained.named(name)
}

impl Make for InclusionProof {
    fn make(source: &mut Source) -> Self {
        let count = 1 + source.below(40);
        let ids: Vec<TxId> = (0..count).map(|_| make(source)).collect();
        merkle::prove(&ids, source.below(count) as u32).expect("the index is one of them")
    }
}

impl Make for HistoryProof {
    fn make(source: &mut Source) -> Self {
        let blocks = 1 + source.below(40);
        let ids: Vec<BlockId> = (0..blocks).map(|_| make(source)).collect();
        let height = Height::new(1 + source.below(blocks));
        Self::new(blocks, height, |height| ids.get(height.get() as usize - 1).copied())
            .expect("all blocks are here")
    }
}

/// One state for all proofs, and its keys.
static STATE: LazyLock<(StateTree, MemoryLeaves, Vec<LeafKey>)> = LazyLock::new(|| {
    let (mut leaves, mut source) = (MemoryLeaves::default(), source("state"));
    let keys: Vec<LeafKey> = (0..LEAVES).map(|_| make(&mut source)).collect();
    let value = |source: &mut Source| codec::encode(&make::<Account>(source)).into();
    let changes = keys.iter().map(|key| (*key, Some(value(&mut source))));
    leaves.commit(&changes.collect::<LeafChanges>());
    (StateTree::rebuild(&leaves).expect("memory is readable"), leaves, keys)
});

impl Make for StateProof {
    fn make(source: &mut Source) -> Self {
        let (tree, leaves, keys) = &*STATE;
        // Half of the keys have a leaf, the others have not.
        let drawn = keys.get(source.below(2 * LEAVES) as usize);
        let key = drawn.copied().unwrap_or_else(|| make(source));
        tree.prove(leaves, &key).expect("memory is readable")
    }
}

impl Make for Tip {
    fn make(source: &mut Source) -> Self {
        let mut history = History::default();
        (0..source.below(40)).for_each(|_| history.push(make(source)));
        Self {
            height: make(source),
            id: make(source),
            time: make(source),
            state_root: make(source),
            history,
        }
    }
}

impl Make for TransactionProof {
    fn make(source: &mut Source) -> Self {
        Self { decided: make(source), ancestor: make(source), path: make(source) }
    }
}

impl Make for StateLeafProof {
    fn make(source: &mut Source) -> Self {
        Self { decided: make(source), path: make(source) }
    }
}

impl Make for Ancestor {
    fn make(source: &mut Source) -> Self {
        Self { header: make(source), path: make(source) }
    }
}

impl Make for Question {
    fn make(source: &mut Source) -> Self {
        match source.below(5) {
            0 => Self::Follow { after: make(source), trusted: make(source) },
            1 => Self::Header { height: make(source) },
            2 => Self::Account { key: make(source) },
            3 => Self::Transaction { id: make(source) },
            _ => Self::Submit { transaction: make(source) },
        }
    }
}

impl Make for Answer {
    fn make(source: &mut Source) -> Self {
        match source.below(7) {
            0 => Self::Steps((0..source.below(4)).map(|_| make(source)).collect()),
            1 => Self::Header(Box::new(make(source))),
            2 => Self::Account { proof: Box::new(make(source)), pending: make(source) },
            3 => Self::Transaction { transaction: make(source), proof: Box::new(make(source)) },
            4 => Self::Waits(make(source)),
            5 => Self::Submitted(make(source)),
            _ => Self::Nothing(make(source)),
        }
    }
}

impl Make for Excuse {
    fn make(source: &mut Source) -> Self {
        match source.below(6) {
            0 => Self::NoBlock,
            1 => Self::NotKept,
            2 => Self::NoTransaction,
            3 => Self::NotReady { done: make(source), of: make(source) },
            4 => Self::refused(&"why ".repeat(source.below(60) as usize)),
            _ => Self::Failed,
        }
    }
}
