//! Energy reports: due once an epoch, signed with the slot key of a seat in the term that ended.

use goodwatt_chain::hash::TxId;
use goodwatt_chain::mempool::AdmissionError;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, StateError, Term};
use goodwatt_chain::transaction::{Action, ReportEnergy, Transaction};
use goodwatt_chain::units::{Epoch, Grains};

use crate::parts::{Now, Signers, StateStore};
use crate::validator::Validator;

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// The term that ended last, if a slot key held here sat in it and nobody has reported yet for
    /// its owner. None is due while this node is behind, or signs nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn report_due(&self, now: Now) -> Result<Option<Epoch>, StateError> {
        Ok(self.to_report(now)?.map(|(epoch, _)| epoch))
    }

    /// Submits the report of this board.
    ///
    /// # Errors
    /// When the rules refuse it, or it is not due.
    pub fn report_energy(
        &mut self,
        now: Now,
        report: ReportEnergy,
    ) -> Result<Option<TxId>, AdmissionError> {
        let due = self.to_report(now)?.and_then(|(_, signer)| self.signers.key(&signer));
        let Some(key) = due else { return Ok(None) };
        let action = Action::ReportEnergy(report);
        let sent = Transaction::sign(self.ledger.chain(), &key, 0, Grains::ZERO, action);
        self.submit(now, vec![sent]).pop().transpose()
    }

    /// The term that is due, and the slot key that reports on it.
    fn to_report(&self, now: Now) -> Result<Option<(Epoch, PublicKey)>, StateError> {
        let behind = self.ledger.genesis().epoch_at(now.wall) > self.ledger.in_charge().epoch;
        if !self.sign || self.doppelganger.is_some() || behind {
            return Ok(None);
        }
        let Some(term) = self.ledger.view().read::<Term>(Key::PreviousTerm)? else {
            return Ok(None);
        };
        let Some(seat) = term.seats.iter().find(|seat| self.signers.holds(&seat.validator.signer))
        else {
            return Ok(None);
        };
        // The report of an owner stands at its first seat.
        let owner = seat.validator.owner;
        let first = term.seats.iter().find(|seat| seat.validator.owner == owner);
        let open = first.is_some_and(|first| first.reported.is_none());
        Ok(open.then_some((term.epoch, seat.validator.signer)))
    }
}
