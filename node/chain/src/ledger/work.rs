//! A block on its way through the rules.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Applied, BlockError, InCharge, LeafStore, Ledger, Sealed, Tip};
use crate::block::{Certificate, Header};
use crate::genesis::SealingRule;
use crate::hash::TxId;
use crate::leaves::{LeafChanges, Leaves};
use crate::rules::{
    self, ExecuteError, Place, RevealError, record_certificate, record_proposer, take_reveal,
};
use crate::state::{Key, StateError, Term, View, add};
use crate::transaction::Transaction;
use crate::tree::TreeUpdate;
use crate::units::{Epoch, Grains, Height};

/// A block being carried out.
pub(super) struct Work<'a, L: Leaves> {
    view: View<'a, L>,
    place: Place,
    decided_by: Epoch,
    fees: Grains,
    bytes: usize,
    /// Ids of the transactions carried out so far.
    pub(super) ids: Vec<TxId>,
    sealed: Vec<Sealed>,
}

impl<'a, L: LeafStore> Work<'a, L> {
    /// Notes the parent's certificate and the reveal, and begins the epoch if the time has come.
    pub(super) fn begin(
        ledger: &'a Ledger<L>,
        header: &Header,
        certificate: Option<&Certificate>,
    ) -> Result<Self, BlockError> {
        let first = ledger.tip.height == Height::ZERO;
        let fits = match certificate {
            Some(c) => !first && c.height == ledger.tip.height && c.block == ledger.tip.id,
            None => first,
        };
        if !fits {
            return Err(BlockError::WrongCertificate);
        }
        let mut view = ledger.view();
        let mut term: Term = view.read_or_default(Key::CurrentTerm)?;
        if let Some(certificate) = certificate {
            record_certificate(&mut view, &mut term, certificate)?;
        }
        take_reveal(&mut term, &header.proposer, header.reveal.as_ref()).map_err(|error| {
            match error {
                RevealError::NoSeat => BlockError::NotProposer(header.proposer),
                RevealError::Missing | RevealError::Wrong => BlockError::WrongReveal,
            }
        })?;
        view.write(Key::CurrentTerm, &term);
        let decided_by = term.epoch;
        let epoch = ledger.genesis.epoch_at(header.time).max(decided_by);
        if epoch > decided_by {
            rules::transition(&mut view, epoch, header.height)?;
        }
        view.keep();
        let place = Place { chain: ledger.chain, height: header.height, epoch };
        Ok(Self {
            view,
            place,
            decided_by,
            fees: Grains::ZERO,
            bytes: 0,
            ids: Vec::new(),
            sealed: Vec::new(),
        })
    }

    /// Whether one more transaction may stand in this block.
    pub(super) fn has_room(&self, ledger: &Ledger<L>, transaction: &Transaction) -> bool {
        let parameters = &ledger.genesis.parameters;
        let single = parameters.sealing == SealingRule::Single;
        let most = if single { 1 } else { parameters.block_transactions_max as usize };
        let bytes = self.bytes + transaction.bytes().len();
        self.ids.len() < most && bytes <= parameters.block_bytes_max as usize
    }

    /// Carries out one transaction; one that is refused leaves no trace.
    pub(super) fn execute(&mut self, transaction: &Transaction) -> Result<(), ExecuteError> {
        let fee = rules::execute(&mut self.view, &self.place, transaction)?;
        self.fees = add(self.fees, fee);
        self.bytes += transaction.bytes().len();
        self.ids.push(transaction.id());
        self.sealed.push(transaction.into());
        Ok(())
    }

    /// Gives the fees to the proposer, and computes what all of it makes of state and set.
    pub(super) fn finish(
        mut self,
        ledger: &Ledger<L>,
        header: &Header,
    ) -> Result<Done, StateError> {
        let sealed = self.sealed.len() as u64;
        record_proposer(&mut self.view, self.decided_by, &header.proposer, self.fees, sealed)?;
        self.view.keep();
        let in_charge = if self.place.epoch > self.decided_by {
            InCharge::of(&self.view.terms()?, header.height)
        } else {
            // Within a term the set does not change, and this block was decided by it.
            let decided_tip = Arc::clone(&ledger.in_charge.validators);
            InCharge { decided_tip, ..ledger.in_charge.clone() }
        };
        let changes = self.view.into_changes();
        let update = ledger.tree.update(&ledger.leaves, &changes)?;
        Ok(Done { changes, update, in_charge, sealed: self.sealed })
    }
}

/// A block that was carried out, whose header may still be open.
pub(super) struct Done {
    changes: LeafChanges,
    pub(super) update: TreeUpdate,
    pub(super) in_charge: InCharge,
    sealed: Vec<Sealed>,
}

impl Done {
    /// With the header that says all of it.
    pub(super) fn into_applied<L>(self, ledger: &Ledger<L>, header: &Header) -> Applied {
        let id = header.id();
        let mut history = ledger.tip.history.clone();
        history.push(id);
        let tip = Tip {
            height: header.height,
            id,
            time: header.time,
            state_root: header.state_root,
            history,
        };
        Applied {
            tip,
            changes: self.changes,
            update: self.update,
            in_charge: self.in_charge,
            transactions: self.sealed,
        }
    }
}
