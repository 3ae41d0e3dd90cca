//! A chain in the middle of its life, and the checks that a transaction is refused on it.

use goodwatt_chain::block::RawTransaction;
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::ledger::BlockError;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::verify;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::tree::StateTree;

use super::make::transfer;
use super::{Chain, association, grains, owner};

/// Owners 0 to 3 are founders, association 0 is admitted, association 1 pending, in epoch 3.
pub(crate) struct Stage {
    pub(crate) chain: Chain,
    pub(crate) admitted: AssociationId,
    pub(crate) pending: AssociationId,
}

pub(crate) fn stage() -> Stage {
    let mut chain = Chain::with(4, |parameters| {
        parameters.vote_window = 2;
        parameters.transaction_bytes_max = 1_024;
    });
    let voters: Vec<_> = (0..4).map(owner).collect();
    let admitted = chain.admit(&[association(0)], &voters)[0];
    chain.walk_to(3);
    let (pending, request) = chain.ask(&association(1));
    chain.seal(&[request]);
    Stage { chain, admitted, pending }
}

/// The rules refuse it, a block with it is refused, and the state stays as it is.
pub(crate) fn check(chain: &Chain, name: &str, transaction: &Transaction, want: Refusal) {
    let before = chain.ledger.tip().clone();
    assert_eq!(chain.refusal(transaction), want, "{name}");

    let filler = chain.sign(&owner(11), transfer(&owner(10), grains(1)));
    let mut block = chain.propose(&[filler]).expect("a transfer is taken").block;
    block.transactions.push(RawTransaction(transaction.bytes().to_vec()));
    block.header.transaction_count += 1;
    let refused = chain.check(&block).expect_err(name);
    assert_eq!(refused, BlockError::Refused { index: 1, refusal: want }, "{name}");

    let tree = StateTree::rebuild(chain.ledger.leaves());
    assert_eq!(tree.expect("memory is readable").root(), before.state_root, "{name}");
    assert_eq!(*chain.ledger.tip(), before, "{name}");
}

/// Whether all signatures the ledger would verify are valid.
pub(crate) fn signatures_hold(chain: &Chain, transaction: &Transaction) -> bool {
    let mut hold = true;
    transaction.signatures(chain.ledger.chain(), |key, digest, signature| {
        hold &= verify(&key, &digest, &signature);
    });
    hold
}
