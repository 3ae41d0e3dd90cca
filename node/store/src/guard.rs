//! The signing guard: an honest validator never signs two different things for one height, round
//! and step, whatever crashes.
//!
//! # The file
//! `guard` holds two slots of 4,096 bytes, written in turn and synced **before** a signature
//! leaves. There is no rename, so no folder to sync. Of a slot one sector is used:
//!
//! | bytes | what, numbers little-endian |
//! |---|---|
//! | 0..8 | counter, higher in the newer slot |
//! | 8..12 | `GWGD` |
//! | 12..14 | version, 1 |
//! | 14..16 | length of the record |
//! | 16..16+n | record, postcard: chain id, then [`GuardRecord`] if anything was signed |
//! | 472..504 | SHA-256 over the tag `goodwatt/guard` and bytes 0..472 |
//! | 504..512 | counter again |
//!
//! # After a crash
//! The whole slot with the higher counter counts. Each attempt to write has a counter of its own; a
//! slot whose two counters differ was torn while it was written, so nothing of it ever left. Any other damaged slot may have held something
//! newer than the whole one: then nothing is signed until a person imports a guard.
//!
//! # The exchange format
//! `goodwatt guard export` prints lines `name = value`, in this order; each stands once.
//! ```text
//! goodwatt-guard = 1
//! chain = 64 hexadecimal digits
//! signer = good1...
//! height = 42
//! round = 0
//! proposal = none | (nil | block, 64 digits) (hash of what was signed, 64 digits)
//! prevote = ...
//! precommit = ...
//! ```
//! Importing merges: the guard is only ever raised. It is never part of a backup or an image.

use goodwatt_chain::hash::{BlockId, ChainId, Digest32, Domain};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use serde::{Deserialize, Serialize};

use crate::disk::{Access, DiskError, Folder, NamedFile};

mod decide;
mod exchange;
mod slot;
#[cfg(test)]
mod tests;

pub use decide::{GuardRefusal, decide};
pub use exchange::{ExchangeError, ImportError};

use slot::{Found, SLOT_BYTES, Slot};

const FILE: &str = "guard";
/// A torn slot is at most so many attempts ahead of the whole one; more is damage.
const ATTEMPTS_MAX: u64 = 1 << 20;
const GUARD: Domain = Domain::new(b"goodwatt/guard");

/// What is signed in a round, in this order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum GuardStep {
    /// The proposer's word for a block.
    Proposal,
    /// The first vote.
    Prevote,
    /// The second vote.
    Precommit,
}

/// Something that is about to be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignRequest {
    /// The key that signs.
    pub signer: PublicKey,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The step.
    pub step: GuardStep,
    /// The block, or `None`: a vote for no block.
    pub block: Option<BlockId>,
    /// Hash of everything the signature covers: one block may be proposed in two ways.
    pub content: Digest32,
}

/// What was signed in a step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SignedStep {
    /// The block, or `None`: no block.
    pub block: Option<BlockId>,
    /// See [`SignRequest::content`].
    pub content: Digest32,
}

/// What was signed last: one round of one height, step by step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GuardRecord {
    /// The key.
    pub signer: PublicKey,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// By step, in order; `None` where nothing was signed.
    pub steps: [Option<SignedStep>; 3],
}

impl GuardRecord {
    /// The last step that was signed, and for what.
    #[must_use]
    pub fn last(&self) -> Option<(GuardStep, SignedStep)> {
        let steps = [GuardStep::Proposal, GuardStep::Prevote, GuardStep::Precommit];
        steps.into_iter().zip(self.steps).rev().find_map(|(step, signed)| Some((step, signed?)))
    }
}

/// Why the guard cannot be opened. Nothing may be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no guard, but there is a ledger.
    #[error(
        "the signing guard is missing: nothing is signed. If this board was the last to sign, \
         and you know up to where, write that into a file and run `goodwatt guard import FILE`"
    )]
    Missing,
    /// A slot is damaged, and may have held what was signed last.
    #[error(
        "the signing guard is damaged: nothing is signed. Run `goodwatt guard import FILE` with \
         an export, or with one you write from the last block that carries this board's signature"
    )]
    Damaged,
    /// It guards another chain.
    #[error("the signing guard belongs to chain {0}: use another data folder for this chain")]
    WrongChain(ChainId),
}

/// The open guard of one chain.
#[derive(Debug)]
pub struct SigningGuard {
    chain: ChainId,
    file: NamedFile,
    counter: u64,
    record: Option<GuardRecord>,
}

impl SigningGuard {
    /// Makes a guard that has signed nothing yet. Only ever for keys that never signed.
    ///
    /// # Errors
    /// When the disk refuses, or a guard is there already.
    pub fn create(folder: &Folder, chain: ChainId) -> Result<Self, DiskError> {
        Self::create_with(folder, chain, None)
    }

    /// The file comes into being as a whole, both slots written: a crash leaves it or none.
    fn create_with(
        folder: &Folder,
        chain: ChainId,
        record: Option<GuardRecord>,
    ) -> Result<Self, DiskError> {
        folder.replace(FILE, |file| {
            file.write_zeros(0, 2 * SLOT_BYTES)?;
            for counter in [0, 1] {
                let slot = Slot { counter, chain, record };
                file.write_at(slot.offset(), &slot.encode())?;
            }
            Ok(())
        })?;
        Ok(Self { chain, file: folder.open(FILE, Access::Write)?, counter: 1, record })
    }

    /// Opens the guard.
    ///
    /// # Errors
    /// See [`GuardError`]: each forbids to sign.
    pub fn open(folder: &Folder, chain: ChainId) -> Result<Self, GuardError> {
        let file = folder.open_existing(FILE, Access::Write)?.ok_or(GuardError::Missing)?;
        let (newest, torn) = match [slot::read(&file, 0)?, slot::read(&file, 1)?] {
            [Found::Whole(a), Found::Whole(b)] if a.counter > b.counter => (a, 0),
            [Found::Whole(_), Found::Whole(whole)] => (whole, 0),
            [Found::Whole(whole), Found::Torn(counter)]
            | [Found::Torn(counter), Found::Whole(whole)] => (whole, counter),
            _ => return Err(GuardError::Damaged),
        };
        if newest.chain != chain {
            return Err(GuardError::WrongChain(newest.chain));
        }
        // The next write goes to the other slot, with a counter above every torn attempt there.
        let ahead = torn.saturating_sub(newest.counter).div_ceil(2) * 2;
        if ahead > ATTEMPTS_MAX || newest.counter > u64::MAX / 2 {
            return Err(GuardError::Damaged);
        }
        let counter = newest.counter + ahead;
        let mut guard = Self { chain, file, counter, record: newest.record };
        // After a failed sync the system shows a record that the card may not have. What is relied
        // upon as signed before is made durable first, in the other slot.
        guard.write(newest.record)?;
        Ok(guard)
    }

    /// What was signed last.
    #[must_use]
    pub const fn record(&self) -> Option<&GuardRecord> {
        self.record.as_ref()
    }

    /// Takes note of statements in order, in one durable write; gives for each whether it may be
    /// signed. What was signed before word for word may be signed again.
    ///
    /// # Errors
    /// When the disk refuses: then none of them may be signed.
    pub fn record_all(
        &mut self,
        requests: &[SignRequest],
    ) -> Result<Vec<Result<(), GuardRefusal>>, DiskError> {
        let mut record = self.record;
        let verdicts = requests.iter().map(|request| {
            record = Some(decide(record.as_ref(), request)?);
            Ok(())
        });
        let verdicts = verdicts.collect();
        if record != self.record {
            self.write(record)?;
        }
        Ok(verdicts)
    }

    /// Writes a record into the older slot, and waits until it is on the card.
    ///
    /// After an error the slot may hold it or not; nothing of it was signed, and the next write
    /// goes to the same slot again, with another counter.
    fn write(&mut self, record: Option<GuardRecord>) -> Result<(), DiskError> {
        let slot = Slot { counter: self.counter + 1, chain: self.chain, record };
        self.counter += 2;
        self.file.write_at(slot.offset(), &slot.encode())?;
        self.file.sync()?;
        (self.counter, self.record) = (slot.counter, record);
        Ok(())
    }
}
