//! Replaying a log: one way for the daemon, `goodwatt verify` and the benchmarks.
//!
//! Nothing in the log is trusted: each block is checked against every rule, and every signature is
//! verified, once. A certificate is verified where it stands in the next block, and that of the log
//! as well where it is another one; the tip's, which stands in no block yet, at the end.

use goodwatt_chain::block::{Certificate, CertificateError};
use goodwatt_chain::codec;
use goodwatt_chain::ledger::{BlockError, LeafStore, Ledger, Sealed, Signatures};
use goodwatt_chain::signature::Batch;
use goodwatt_chain::units::Height;
use goodwatt_validator::LoggedBlock;

/// What in the log does not follow from what stands before it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A block breaks a rule.
    #[error(
        "the block at {height} in the log is not valid: {error}; fetch it from a peer, or restore the log from a copy"
    )]
    Block {
        /// Its height.
        height: Height,
        /// What is wrong.
        error: BlockError,
    },
    /// What stands in the log is no block.
    #[error(
        "the record at {0} in the log is no block; fetch it from a peer, or restore the log from a copy"
    )]
    NoBlock(Height),
}

/// Reads the record of a height: a block with the certificate that names it.
///
/// # Errors
/// When it is something else.
pub(crate) fn read_record(height: Height, record: &[u8]) -> Result<LoggedBlock, ReplayError> {
    let logged = decode_record(height, record)?;
    if logged.certificate.height == height && logged.certificate.block == logged.id() {
        return Ok(logged);
    }
    Err(ReplayError::Block { height, error: BlockError::WrongCertificate })
}

/// Reads a record without comparing block and certificate.
fn decode_record(height: Height, record: &[u8]) -> Result<LoggedBlock, ReplayError> {
    codec::decode(record).map_err(|_| ReplayError::NoBlock(height))
}

/// A ledger on its way through the blocks of a log.
#[derive(Debug)]
pub(crate) struct Replay<L> {
    ledger: Ledger<L>,
    tip_certificate: Option<Certificate>,
    transactions: u64,
    /// What is verified together: the more, the less each signature costs.
    batch: Batch,
    batch_max: usize,
    /// Up to which place in the batch the signatures of each block go.
    ends: Vec<(Height, usize)>,
}

/// A ledger at the tip of its log, everything verified.
#[derive(Debug)]
pub(crate) struct Replayed<L> {
    pub(crate) ledger: Ledger<L>,
    /// Who decided the tip; `None` before the first block.
    pub(crate) tip_certificate: Option<Certificate>,
    /// Transactions sealed since the first block.
    pub(crate) transactions: u64,
}

impl<L: LeafStore> Replay<L> {
    /// Goes on from a ledger that has sealed so many transactions; verifies `batch_max`
    /// signatures together. `tip` is what the log has at the ledger's tip, if that is above zero.
    pub(crate) fn new(
        ledger: Ledger<L>,
        transactions: u64,
        tip: Option<LoggedBlock>,
        batch_max: usize,
    ) -> Self {
        let tip_certificate = tip.map(|logged| logged.certificate);
        let (batch, ends) = (Batch::with_capacity(batch_max), Vec::new());
        Self { ledger, tip_certificate, transactions, batch, batch_max, ends }
    }

    /// Carries out the next block, and gives what it seals. Nothing of it is final before
    /// [`Self::verify_full`] says that all is verified, or [`Self::finish`] succeeds.
    ///
    /// # Errors
    /// When the record is no block, or a block that does not follow.
    pub(crate) fn apply(
        &mut self,
        height: Height,
        record: &[u8],
    ) -> Result<Vec<Sealed>, ReplayError> {
        let logged = decode_record(height, record)?;
        let bad = |error| ReplayError::Block { height, error };
        self.check_former(logged.block.parent_certificate.as_ref()).map_err(bad)?;
        let collect = Signatures::Collect(&mut self.batch);
        let mut applied = self.ledger.check(&logged.block, collect).map_err(bad)?;
        let (certificate, tip) = (&logged.certificate, applied.tip());
        if (certificate.height, certificate.block) != (tip.height, tip.id) {
            return Err(bad(BlockError::WrongCertificate));
        }
        let sealed = core::mem::take(&mut applied.transactions);
        self.ledger.commit(applied);
        self.ends.push((height, self.batch.len()));
        self.transactions += sealed.len() as u64;
        self.tip_certificate = Some(logged.certificate);
        Ok(sealed)
    }

    /// Collects the certificate that the log has for the tip, unless the next block carries the very
    /// same one. Of many validators each may have decided by other signatures than the proposer.
    fn check_former(&mut self, in_block: Option<&Certificate>) -> Result<(), BlockError> {
        match (&self.tip_certificate, in_block) {
            (Some(own), Some(other)) if own == other => Ok(()),
            (Some(own), Some(_)) => {
                let set = &self.ledger.in_charge().decided_tip;
                Ok(own.check(self.ledger.chain(), set, &mut self.batch)?)
            }
            (None, None) => Ok(()),
            _ => Err(BlockError::WrongCertificate),
        }
    }

    /// Verifies what was collected if that is enough for a batch; tells whether it was.
    ///
    /// # Errors
    /// When a signature is not valid.
    pub(crate) fn verify_full(&mut self) -> Result<bool, ReplayError> {
        let full = self.batch.len() >= self.batch_max;
        if full {
            self.verify()?;
        }
        Ok(full)
    }

    fn verify(&mut self) -> Result<(), ReplayError> {
        let tip = self.ledger.tip().height;
        let (batch, ends) = (core::mem::take(&mut self.batch), core::mem::take(&mut self.ends));
        if batch.verify() {
            return Ok(());
        }
        let first = batch.first_invalid().unwrap_or_default();
        let height = ends.iter().find(|(_, end)| *end > first).map_or(tip, |(height, _)| *height);
        Err(ReplayError::Block { height, error: BlockError::Signature })
    }

    /// Ends the replay: verifies what is left, and the certificate of the tip.
    ///
    /// # Errors
    /// When a signature or the certificate is not valid.
    pub(crate) fn finish(mut self) -> Result<Replayed<L>, ReplayError> {
        let height = self.ledger.tip().height;
        let bad = |error: CertificateError| ReplayError::Block { height, error: error.into() };
        if let Some(certificate) = &self.tip_certificate {
            let decided_tip = &self.ledger.in_charge().decided_tip;
            certificate.check(self.ledger.chain(), decided_tip, &mut self.batch).map_err(bad)?;
            self.ends.push((height, self.batch.len()));
        }
        self.verify()?;
        let Self { ledger, tip_certificate, transactions, .. } = self;
        Ok(Replayed { ledger, tip_certificate, transactions })
    }

    /// The ledger as far as it has come.
    pub(crate) const fn ledger(&self) -> &Ledger<L> {
        &self.ledger
    }

    /// The ledger, for its owner to put on the card.
    pub(crate) const fn ledger_mut(&mut self) -> &mut Ledger<L> {
        &mut self.ledger
    }

    /// Transactions sealed since the first block.
    pub(crate) const fn transactions(&self) -> u64 {
        self.transactions
    }
}

#[cfg(test)]
mod tests;
