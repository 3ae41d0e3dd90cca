//! What has to hold at every step.

use std::collections::BTreeMap;

use goodwatt_chain::hash::{AssociationId, BlockId};
use goodwatt_chain::ledger::{LeafStore, Ledger};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::is_money_conserved;
use goodwatt_chain::units::Height;
use goodwatt_consensus::{Mark, SignedStatement, Statement};

/// What must never happen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Two validators have different blocks at one height.
    #[error("validator {node} has another block at {height} than those before it")]
    Disagreement {
        /// The height.
        height: Height,
        /// Who found it.
        node: usize,
    },
    /// An honest key signed two different things for one height, round and step.
    #[error("validator {node} signed two different things: {mark:?}")]
    DoubleSign {
        /// Who.
        node: usize,
        /// Where.
        mark: Mark,
    },
    /// There is more or less money than there was.
    #[error("there is more or less money than there was, at validator {node} and {height}")]
    Money {
        /// Where it shows.
        node: usize,
        /// At which height.
        height: Height,
    },
    /// A block that was sealed at a validator is gone from it.
    #[error("validator {node} had sealed {had}, and {has} is left of it")]
    Lost {
        /// Who.
        node: usize,
        /// The height it had reached.
        had: Height,
        /// What is left.
        has: Height,
    },
    /// A restart failed.
    #[error("validator {node} does not start: {why}")]
    NoStart {
        /// Who.
        node: usize,
        /// Why.
        why: String,
    },
    /// Not everybody reached the same tip in time after the last fault.
    #[error("no progress: heights {heights:?}; {stuck:#?}")]
    NoProgress {
        /// The heights reached.
        heights: Vec<u64>,
        /// Why validators do not go on, where they say so.
        stuck: Vec<String>,
    },
    /// An honest validator's key carries a tombstone.
    #[error("the key of the honest validator {accused} carries a tombstone at validator {node}")]
    Accused {
        /// Whose key.
        accused: usize,
        /// In whose ledger.
        node: usize,
    },
    /// An association was admitted without the voices it needs, or refused with them.
    #[error("association {id} at {height}: admitted is {is_admitted}, the votes say otherwise")]
    Admission {
        /// Which.
        id: AssociationId,
        /// Where it shows.
        height: Height,
        /// What the ledger says.
        is_admitted: bool,
    },
    /// A block was decided while a third of the weight was off.
    #[error("validator {node} sealed {height} while a third of the weight was off")]
    WithoutQuorum {
        /// Who.
        node: usize,
        /// What.
        height: Height,
    },
    /// A peer filled the memory of a validator.
    #[error("validator {node} keeps {words} words of others")]
    Memory {
        /// Whose.
        node: usize,
        /// How many.
        words: usize,
    },
    /// An honest validator was blamed.
    #[error("validator {by} blames an honest one: {why}")]
    Blamed {
        /// By whom.
        by: usize,
        /// For what.
        why: String,
    },
}

/// The memory of all that was said and sealed.
#[derive(Debug, Default)]
pub(crate) struct Check {
    blocks: BTreeMap<Height, BlockId>,
    signed: BTreeMap<(PublicKey, Mark), Statement>,
    pub(crate) violations: Vec<Violation>,
}

impl Check {
    /// A validator has sealed a block.
    pub(crate) fn sealed(&mut self, node: usize, height: Height, id: BlockId) {
        if *self.blocks.entry(height).or_insert(id) != id {
            self.violations.push(Violation::Disagreement { height, node });
        }
    }

    /// A statement has left an honest validator.
    pub(crate) fn said(&mut self, node: usize, signed: &SignedStatement) {
        let statement = signed.statement();
        let place = (statement.signer(), statement.mark());
        if *self.signed.entry(place).or_insert(statement) != statement {
            self.violations.push(Violation::DoubleSign { node, mark: statement.mark() });
        }
    }

    /// All money is what genesis gave out and rewards minted.
    pub(crate) fn money<L: LeafStore>(&mut self, node: usize, ledger: &Ledger<L>) {
        if is_money_conserved(ledger.genesis(), ledger.leaves()) != Ok(true) {
            let height = ledger.tip().height;
            self.violations.push(Violation::Money { node, height });
        }
    }
}
