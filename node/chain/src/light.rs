//! A light peer: it keeps the last header it verified, and believes nothing that is not proven.
//!
//! [`LightPeer`] is all of its judgement, without sockets, files and clocks. It begins at genesis or
//! at a checkpoint that somebody vouches for, follows the sets of validators from one to the next
//! ([`LightPeer::follow`]), and then takes accounts and transactions that are proven below a header
//! which the set in charge decided. ADR 0015 says why this is sound, and when it is not.
//!
//! It never goes back: a node that answers for an older block than the one verified last is behind,
//! or holds newer ones back, and both are [`LightError::Behind`]. How old the last block is, only
//! somebody with a clock can tell: see [`LightPeer::outlived`] and [`Sight`].
//!
//! ```
//! # use goodwatt_chain::genesis::Genesis;
//! # use goodwatt_chain::light::{Answer, LightError, LightPeer, Question};
//! # use goodwatt_chain::signature::PublicKey;
//! # fn look(genesis: &Genesis, key: PublicKey, ask: impl Fn(Question) -> Answer)
//! # -> Result<(), LightError> {
//! let mut light = LightPeer::begin(genesis);
//! if let Answer::Steps(steps) = ask(light.next_step()) {
//!     light.follow(&steps)?;
//! }
//! if let Answer::Account { proof, .. } = ask(Question::Account { key }) {
//!     let account = light.account(&key, &proof)?;
//! }
//! # Ok(()) }
//! ```

mod wire;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::wire::{
    ANSWER_BYTES_MAX, Answer, Excuse, QUESTION_BYTES_MAX, Question, REASON_BYTES_MAX, STEPS_MAX,
};
use crate::block::{CertificateError, Header, RawTransaction};
use crate::codec::{self, DecodeError};
use crate::genesis::Genesis;
use crate::hash::{BlockId, ChainId, Digest32, TxId};
use crate::proof::{
    DecidedHeader, ProofError, StateLeafProof, TransactionProof, VerifiedHeader, check_header,
};
use crate::signature::{Batch, PublicKey};
use crate::state::{Account, Key};
use crate::transaction::{Transaction, TransactionError};
use crate::units::{Height, UnixMillis};

/// The first byte of what [`LightPeer::encode`] gives.
const FORMAT: u8 = 1;

/// The longest kept form: a decided header, and a little.
const KEPT_BYTES_MAX: usize = crate::proof::DECIDED_HEADER_BYTES_MAX + 128;

/// Why an answer is not taken. The node that gave it lied, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LightError {
    /// Something is not proven.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// An older block than the one verified last: the node is behind, or holds newer ones back.
    #[error(
        "it answers for the block at {found}, and the one at {known} was proven before: it is \
        behind, or holds newer blocks back; ask another node"
    )]
    Behind {
        /// Height of its block.
        found: Height,
        /// Height of the block verified last.
        known: Height,
    },
    /// The set in charge decided two histories: more than a third of its weight cheats.
    #[error(
        "validators decided another block at {height} than the one verified before ({known}, now \
        {found}): this chain has forked, trust neither; keep both ids and ask people you know"
    )]
    Forked {
        /// Where.
        height: Height,
        /// The block verified before.
        known: BlockId,
        /// The other one.
        found: BlockId,
    },
    /// A later block with an earlier time: no honest set decides it.
    #[error(
        "the block at {0} has an earlier time than one before it: no honest validators did that"
    )]
    Time(Height),
    /// It was asked to lead on, and did not.
    #[error("it does not lead from the block at {0} to later ones; ask another node")]
    NoStep(Height),
    /// The header is not the one that the checkpoint names.
    #[error(
        "it has block {found} where the checkpoint names {wanted}: it is of another chain or lies, \
        or the checkpoint is wrong"
    )]
    Checkpoint {
        /// The block it gave.
        found: BlockId,
        /// The block of the checkpoint.
        wanted: BlockId,
    },
    /// What it gave for a transaction is none.
    #[error("what it gives for a transaction is none: {0}")]
    Transaction(#[from] TransactionError),
    /// It gave another transaction than the one asked for.
    #[error("it gives transaction {0}, which was not asked for")]
    OtherTransaction(TxId),
}

/// Who stands behind a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Support {
    /// Validators that signed.
    pub signers: usize,
    /// Validators there were.
    pub validators: usize,
    /// Weight that signed, in grains.
    pub weight: u64,
    /// Weight there was, in grains.
    pub total: u64,
}

/// The last block that was proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sight {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// Its time.
    pub time: UnixMillis,
    /// Who decided it; `None` where it is a checkpoint, for which somebody else vouches.
    pub support: Option<Support>,
}

/// Where trust stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Anchor {
    /// Before the first block: the hash of the founding set.
    Genesis(Digest32),
    /// A header that somebody vouched for.
    Checkpoint(alloc::boxed::Box<Header>),
    /// A header that was verified.
    Decided(alloc::boxed::Box<DecidedHeader>),
}

impl Anchor {
    fn header(&self) -> Option<&Header> {
        match self {
            Self::Genesis(_) => None,
            Self::Checkpoint(header) => Some(header),
            Self::Decided(decided) => Some(&decided.header),
        }
    }

    fn height(&self) -> Height {
        self.header().map_or(Height::ZERO, |header| header.height)
    }

    /// Hash of the set that decides the next block.
    fn trusted(&self) -> Digest32 {
        match self {
            Self::Genesis(set) => *set,
            Self::Checkpoint(header) => header.next_validators_hash,
            Self::Decided(decided) => decided.header.next_validators_hash,
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LightPeer {
    chain: ChainId,
    anchor: Anchor,
}

impl LightPeer {
    /// Begins at genesis.
    #[must_use]
    pub fn begin(genesis: &Genesis) -> Self {
        let founding = genesis.founding_set().hash();
        Self { chain: genesis.chain_id(), anchor: Anchor::Genesis(founding) }
    }

    /// Begins at a header for whose id somebody vouches.
    ///
    /// # Errors
    /// [`LightError::Checkpoint`] where it is another one.
    pub fn begin_at(
        genesis: &Genesis,
        wanted: BlockId,
        header: Header,
    ) -> Result<Self, LightError> {
        let (chain, found) = (genesis.chain_id(), header.id());
        if found != wanted {
            return Err(LightError::Checkpoint { found, wanted });
        }
        if header.chain != chain {
            return Err(ProofError::WrongChain(header.chain).into());
        }
        Ok(Self { chain, anchor: Anchor::Checkpoint(header.into()) })
    }

    /// The last block that was proven; `None` before the first.
    #[must_use]
    pub fn sight(&self) -> Option<Sight> {
        let header = self.anchor.header()?;
        let support = match &self.anchor {
            Anchor::Decided(decided) => Some(support(decided)),
            Anchor::Genesis(_) | Anchor::Checkpoint(_) => None,
        };
        Some(Sight { height: header.height, block: header.id(), time: header.time, support })
    }

    /// The height of the last block that was proven.
    #[must_use]
    pub fn height(&self) -> Height {
        self.anchor.height()
    }

    /// Whether the set in charge was last looked up so long ago that its members have nothing left
    /// to lose: past the vesting delay, counted from the last block that was proven, or genesis.
    #[must_use]
    pub fn outlived(&self, genesis: &Genesis, now: UnixMillis) -> bool {
        let parameters = &genesis.parameters;
        let since = self.anchor.header().map_or(genesis.time, |header| header.time);
        let delay = parameters.epoch_length.saturating_mul(parameters.vesting_delay);
        now.saturating_since(since) > delay
    }

    /// The question for [`LightPeer::follow`].
    #[must_use]
    pub fn next_step(&self) -> Question {
        Question::Follow { after: self.anchor.height(), trusted: self.anchor.trusted() }
    }

    /// Whether a later block was decided by another set than the trusted one: then
    /// [`LightPeer::follow`] may lead to it.
    #[must_use]
    pub fn has_to_follow(&self, decided: &DecidedHeader) -> bool {
        let header = &decided.header;
        header.chain == self.chain
            && header.height > self.anchor.height()
            && header.validators_hash != self.anchor.trusted()
    }

    /// Goes on through headers that follow each other. Their signatures are one batch. What was
    /// verified up to the first fault is kept.
    ///
    /// # Errors
    /// [`LightError::NoStep`] where they lead nowhere, else the first fault.
    pub fn follow(&mut self, steps: &[DecidedHeader]) -> Result<(), LightError> {
        let before = self.anchor.height();
        let mut ahead = self.clone();
        let mut batch = Batch::default();
        let formed = steps.iter().all(|step| ahead.check(step, &mut batch).is_ok());
        if formed && batch.verify() {
            *self = ahead;
        } else {
            steps.iter().try_for_each(|step| self.advance(step).map(drop))?;
        }
        if self.anchor.height() > before { Ok(()) } else { Err(LightError::NoStep(before)) }
    }

    /// Verifies a header that is at least as new as the last one, which it becomes.
    ///
    /// # Errors
    /// See [`LightError`]; then nothing has changed.
    pub fn advance(&mut self, decided: &DecidedHeader) -> Result<VerifiedHeader, LightError> {
        let (mut ahead, mut batch) = (self.clone(), Batch::default());
        let verified = ahead.check(decided, &mut batch);
        // That the set in charge did wrong is proven by its signatures, too.
        let signed =
            matches!(verified, Ok(_) | Err(LightError::Forked { .. } | LightError::Time(_)));
        if signed && !batch.verify() {
            return Err(ProofError::from(CertificateError::Signature).into());
        }
        let verified = verified?;
        *self = ahead;
        Ok(verified)
    }

    /// An account at the block that the proof is of, or `None`: it is proven that there is none.
    ///
    /// # Errors
    /// See [`LightError`].
    pub fn account(
        &mut self,
        key: &PublicKey,
        proof: &StateLeafProof,
    ) -> Result<Option<Account>, LightError> {
        let header = self.advance(&proof.decided)?;
        Ok(header.record(Key::Account(*key), &proof.path)?)
    }

    /// A transaction, its block and its position there.
    ///
    /// # Errors
    /// See [`LightError`].
    pub fn transaction(
        &mut self,
        id: &TxId,
        raw: &RawTransaction,
        proof: &TransactionProof,
    ) -> Result<(Transaction, Height, u32), LightError> {
        let transaction = self.recognise(id, raw)?;
        let header = self.advance(&proof.decided)?;
        let (block, position) = proof.place(&header, id)?;
        Ok((transaction, block.header().height, position))
    }

    /// Reads a transaction that has to be the one of this id.
    ///
    /// # Errors
    /// [`LightError::Transaction`] and [`LightError::OtherTransaction`].
    pub fn recognise(&self, id: &TxId, raw: &RawTransaction) -> Result<Transaction, LightError> {
        let transaction = Transaction::decode(&self.chain, &raw.0)?;
        let found = transaction.id();
        if found == *id { Ok(transaction) } else { Err(LightError::OtherTransaction(found)) }
    }

    /// What to keep until the next time.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&(FORMAT, self.chain, &self.anchor))
    }

    /// Reads what was kept. It is verified once more, so that damage is found.
    ///
    /// # Errors
    /// When it is not of this form, of another chain, or damaged.
    pub fn decode(chain: &ChainId, bytes: &[u8]) -> Result<Self, ProofError> {
        match bytes.first() {
            Some(&FORMAT) => {}
            Some(other) => return Err(DecodeError::UnknownVersion(*other).into()),
            None => return Err(DecodeError::Malformed.into()),
        }
        let (_, found, anchor): (u8, ChainId, Anchor) =
            codec::decode_within(bytes, KEPT_BYTES_MAX)?;
        if found != *chain {
            return Err(ProofError::WrongChain(found));
        }
        if let Anchor::Decided(decided) = &anchor {
            decided.verify(chain, &decided.validators.hash())?;
        }
        Ok(Self { chain: found, anchor })
    }

    /// Hash of the set that has to have decided a header of this height.
    fn trusted_for(&self, height: Height) -> Digest32 {
        match &self.anchor {
            Anchor::Decided(decided) if decided.header.height == height => {
                decided.header.validators_hash
            }
            anchor => anchor.trusted(),
        }
    }

    /// Checks all but the signatures, which it adds to `batch`, and goes on to this header.
    fn check(
        &mut self,
        decided: &DecidedHeader,
        batch: &mut Batch,
    ) -> Result<VerifiedHeader, LightError> {
        let found = decided.header.height;
        let known = self.anchor.height();
        if decided.header.chain != self.chain {
            return Err(ProofError::WrongChain(decided.header.chain).into());
        }
        if found < known || found == Height::ZERO {
            return Err(LightError::Behind { found, known });
        }
        if let Anchor::Checkpoint(header) = &self.anchor
            && found == known
        {
            let (wanted, found) = (header.id(), decided.header.id());
            let same = VerifiedHeader::of_checkpoint(decided.header.clone());
            let other = LightError::Checkpoint { found, wanted };
            return if found == wanted { Ok(same) } else { Err(other) };
        }
        let DecidedHeader { header, certificate, validators } = decided;
        let trusted = self.trusted_for(found);
        let verified = check_header(&self.chain, &trusted, header, certificate, validators, batch)?;
        self.check_history(&verified)?;
        self.anchor = Anchor::Decided(decided.clone().into());
        Ok(verified)
    }

    /// Whether a header fits to the one before.
    fn check_history(&self, verified: &VerifiedHeader) -> Result<(), LightError> {
        let Some(before) = self.anchor.header() else { return Ok(()) };
        let (known, header) = (before.id(), verified.header());
        let forked = |found| LightError::Forked { height: before.height, known, found };
        if header.height == before.height {
            return if *verified.id() == known { Ok(()) } else { Err(forked(*verified.id())) };
        }
        if header.height == before.height.next() && header.parent != known {
            return Err(forked(header.parent));
        }
        if header.time <= before.time {
            return Err(LightError::Time(header.height));
        }
        Ok(())
    }
}

fn support(decided: &DecidedHeader) -> Support {
    let DecidedHeader { certificate, validators, .. } = decided;
    let signed = certificate.signatures.iter().filter_map(|commit| {
        validators.at(usize::from(commit.validator)).map(|validator| validator.weight.get())
    });
    Support {
        signers: certificate.signatures.len(),
        validators: validators.len(),
        weight: signed.sum(),
        total: validators.total_weight(),
    }
}
