//! The state as typed leaves, and the view through which the rules read and change them.
//!
//! A leaf's key is a hash over its kind and name, so leaves spread evenly; its value is one byte
//! for the kind, then the canonical encoding of the record. Every record is bounded, and no rule
//! walks over accounts: what a transition needs stands in lists of its own.

mod bounded;
mod money;
mod stake;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use goodwatt_units::MicroJoules;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::bounded::Bounded;
pub use self::money::{is_money_conserved, sum_of_balances};
pub use self::stake::{BACKERS_MAX, Stake, Unlocking};
use crate::codec;
use crate::genesis::Genesis;
use crate::hash::{AssociationId, Digest32, Domain};
use crate::leaves::{LeafChanges, LeafKey, Leaves, Unavailable};
use crate::signature::PublicKey;
use crate::transaction::{BallotKind, EnergyMethod, RequestAssociation};
use crate::units::{Epoch, Grains, Height};
use crate::validators::{VALIDATORS_MAX, Validator, ValidatorSet};

/// The most associations that are admitted at one time.
pub const ADMITTED_MAX: usize = 256;
/// The most requests that are pending at one time.
pub const PENDING_MAX: usize = 32;
/// The most bids kept for an epoch: twice the largest set, so that ties at its edge can be drawn.
pub const BIDS_MAX: usize = 2 * VALIDATORS_MAX;
/// The most owners seen signing in an epoch: those of its set, and those of the set before it,
/// which decides the block that begins the epoch.
pub const LIVE_MAX: usize = 2 * VALIDATORS_MAX;

/// An account: what it has, and how many transactions it made.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Account {
    /// How many transactions it made; the nonce its next one has to carry.
    pub nonce: u64,
    /// What it has.
    pub balance: Grains,
}

/// Sums over the whole ledger.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Waits to be spread over the associations.
    pub pool: Grains,
    /// Held for pending requests.
    pub deposits: Grains,
    /// Earned by proposers, not yet scheduled to vest.
    pub fees_in_flight: Grains,
    /// Rewards and fees that wait for their epoch.
    pub vesting: Grains,
    /// Donations that wait for their epoch.
    pub releasing: Grains,
    /// All rewards ever minted.
    pub minted: Grains,
    /// All that was ever donated, into the pool or to a preferred association.
    pub donated: Grains,
    /// All that associations ever received.
    pub released: Grains,
}

/// One validator's place in a term, and what it did there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Seat {
    /// Who sits there.
    pub validator: Validator,
    /// The link of its hash chain that was revealed last, or the head.
    pub reveal: Digest32,
    /// Whether it has revealed a link in this term.
    pub revealed: bool,
    /// Certificates of this term that carry its signature.
    pub signed: u32,
    /// Blocks of this term it proposed.
    pub proposed: u32,
    /// Fees of those blocks.
    pub fees: Grains,
    /// What its board used by its own report.
    pub reported: Option<Reported>,
    /// Whether it was caught signing two different things.
    pub tombstoned: bool,
}

/// A report on energy, as it was made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reported {
    /// Energy over the term.
    pub energy: MicroJoules,
    /// How it was found.
    pub method: EnergyMethod,
    /// Relative error bound in thousandths.
    pub error_permille: u16,
}

/// The set in charge from one epoch's first block to the next one's, and what came of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Term {
    /// The epoch.
    pub epoch: Epoch,
    /// Draws the proposers of this term.
    pub seed: Digest32,
    /// Whether too few slots were bought, so that the former set carries on.
    pub carried_on: bool,
    /// Height of the block that began the epoch; its set decides from the block after it.
    pub begun_at: Height,
    /// Certificates of this term that stand in the ledger.
    pub certificates: u32,
    /// Transactions in the blocks that its set decided.
    pub transactions: u64,
    /// Links revealed in this term, folded one after another.
    pub fold: Digest32,
    /// The seats, in the order of the set.
    pub seats: Bounded<Seat, VALIDATORS_MAX>,
}

impl Term {
    /// The set of this term.
    #[must_use]
    pub fn validators(&self) -> ValidatorSet {
        ValidatorSet::new(self.seats.iter().map(|seat| seat.validator))
    }

    /// The seat of this signer key.
    pub fn seat_mut(&mut self, signer: &PublicKey) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.validator.signer == *signer)
    }
}

/// The terms that matter now: the one before, the one in charge, the one to come. Each is a leaf
/// of its own, as a block within an epoch changes the one in charge alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Ended; its rewards wait for the reports on energy.
    pub previous: Option<Term>,
    /// In charge.
    pub current: Term,
    /// Frozen.
    pub next: Term,
}

/// A purchase of a slot in the epoch that is open for buying.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bid {
    /// Owner, signer and donation.
    pub validator: Validator,
    /// Head of its hash chain.
    pub reveal_head: Digest32,
}

/// The epoch open for buying, and what was bought.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bids {
    /// Two after the present one.
    pub epoch: Epoch,
    /// The highest, at most [`BIDS_MAX`].
    pub bids: Bounded<Bid, BIDS_MAX>,
}

/// Which owners were seen signing: in the epoch that runs, and in the one before.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attendance {
    /// Seen in the epoch that runs.
    pub now: Bounded<PublicKey, LIVE_MAX>,
    /// Seen in the epoch before: these are live.
    pub before: Bounded<PublicKey, LIVE_MAX>,
}

/// Which associations there are.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Registry {
    /// Waiting for the vote.
    pub pending: Bounded<AssociationId, PENDING_MAX>,
    /// Admitted.
    pub admitted: Bounded<AssociationId, ADMITTED_MAX>,
    /// Votes on removal that are open; a place for each admitted one, so that nobody can take them
    /// all to keep one association from being voted out.
    pub removals: Bounded<AssociationId, ADMITTED_MAX>,
}

/// Where an association stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The vote is open.
    Pending,
    /// Admitted, until the epoch given unless it renews.
    Admitted {
        /// Epoch in which the admission ends.
        expires: Epoch,
    },
    /// Not admitted.
    Refused {
        /// Epoch of the decision.
        epoch: Epoch,
    },
    /// Taken back by the association itself.
    Withdrawn {
        /// Epoch of the withdrawal.
        epoch: Epoch,
    },
    /// Voted out.
    Removed {
        /// Epoch of the decision.
        epoch: Epoch,
    },
    /// Not renewed in time.
    Expired {
        /// Epoch in which the admission ended.
        epoch: Epoch,
    },
}

impl Status {
    /// The name, the same in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Admitted { .. } => "admitted",
            Self::Refused { .. } => "refused",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Removed { .. } => "removed",
            Self::Expired { .. } => "expired",
        }
    }

    /// When the association left, if it did.
    #[must_use]
    pub const fn left(self) -> Option<Epoch> {
        match self {
            Self::Pending | Self::Admitted { .. } => None,
            Self::Refused { epoch }
            | Self::Withdrawn { epoch }
            | Self::Removed { epoch }
            | Self::Expired { epoch } => Some(epoch),
        }
    }
}

/// An association's standing and money.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// The key that asked and that receives.
    pub key: PublicKey,
    /// Where it stands.
    pub status: Status,
    /// What it works on.
    pub category: crate::transaction::Category,
    /// Held while it is pending.
    pub deposit: Grains,
    /// The epoch the next figure is for.
    pub granted_in: Epoch,
    /// Scheduled for it in that epoch; the cap holds this.
    pub granted: Grains,
    /// Scheduled for it in all, less what returned to the pool.
    pub donated: Grains,
    /// Paid out to it in all.
    pub released: Grains,
}

/// A request as it was made, with what a renewal replaced. It goes away with a request that was
/// refused or withdrawn, so that requests cannot fill the state with their documents.
pub type Dossier = RequestAssociation;

/// One validator's voice in a vote.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Elector {
    /// The validator, by its account.
    pub owner: PublicKey,
    /// Its active weight when the vote opened, in grains.
    pub weight: u64,
    /// Its voice, if it gave one.
    pub approve: Option<bool>,
}

/// An open vote on an association.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ballot {
    /// Admission or removal.
    pub kind: BallotKind,
    /// The epoch at whose beginning it is counted.
    pub closes: Epoch,
    /// The active weight of all when it opened, in grains.
    pub active_weight: u64,
    /// Those who were live when it opened.
    pub electors: Bounded<Elector, LIVE_MAX>,
}

/// Money that becomes somebody's in one epoch.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Schedule<const N: usize> {
    /// Whose, and how much; each name once.
    pub entries: Bounded<(Digest32, Grains), N>,
}

/// Rewards and fees that vest in one epoch, by owner.
pub type Vesting = Schedule<VALIDATORS_MAX>;
/// Donations released in one epoch, by association.
pub type Release = Schedule<ADMITTED_MAX>;

/// Who signed for whom in a term: kept as long as a cheat can be brought to account.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Roster {
    /// Height of the block that began the epoch.
    pub begun_at: Height,
    /// The set.
    pub validators: ValidatorSet,
}

/// A mark that a key signed two different things.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tombstone {
    /// Epoch in which the evidence was accepted.
    pub epoch: Epoch,
}

/// The kind of [`Account`] records, see [`Key::kind`].
const ACCOUNT: u8 = 0;

/// Names a leaf, and with it the type of its record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// [`Account`]
    Account(PublicKey),
    /// [`Totals`]
    Totals,
    /// [`Term`] that ended last
    PreviousTerm,
    /// [`Term`] in charge
    CurrentTerm,
    /// [`Term`] to come
    NextTerm,
    /// [`Bids`]
    Bids,
    /// [`Attendance`]
    Attendance,
    /// [`Registry`]
    Registry,
    /// [`Standing`]
    Standing(AssociationId),
    /// [`Dossier`]
    Dossier(AssociationId),
    /// [`AssociationId`] of the latest request by this key
    AssociationOf(PublicKey),
    /// [`Ballot`]
    Ballot(AssociationId),
    /// [`Vesting`]
    Vesting(Epoch),
    /// [`Release`]
    Release(Epoch),
    /// [`Roster`]
    Roster(Epoch),
    /// [`Tombstone`] of a signer or owner
    Tombstone(PublicKey),
    /// [`Stake`] behind a signer
    Stake(PublicKey),
    /// [`Unlocking`]
    Unlocking(Epoch),
    /// [`Grains`] of all stakes
    Locked,
}

impl Key {
    /// The first byte of the leaf's value, which tells the kind of its record.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Account(_) => ACCOUNT,
            Self::Totals => 1,
            Self::PreviousTerm => 2,
            Self::CurrentTerm => 3,
            Self::NextTerm => 4,
            Self::Bids => 5,
            Self::Attendance => 6,
            Self::Registry => 7,
            Self::Standing(_) => 8,
            Self::Dossier(_) => 9,
            Self::AssociationOf(_) => 10,
            Self::Ballot(_) => 11,
            Self::Vesting(_) => 12,
            Self::Release(_) => 13,
            Self::Roster(_) => 14,
            Self::Tombstone(_) => 15,
            Self::Stake(_) => 16,
            Self::Unlocking(_) => 17,
            Self::Locked => 18,
        }
    }

    /// The key of the leaf in the state tree.
    #[must_use]
    pub fn leaf(&self) -> LeafKey {
        let of = |tag, name: &[u8]| Digest32::of(Domain::new(tag), &[name]);
        match self {
            Self::Account(key) => of(b"goodwatt/leaf/account", key.as_bytes()),
            Self::Totals => of(b"goodwatt/leaf/totals", &[]),
            Self::PreviousTerm => of(b"goodwatt/leaf/previous-term", &[]),
            Self::CurrentTerm => of(b"goodwatt/leaf/current-term", &[]),
            Self::NextTerm => of(b"goodwatt/leaf/next-term", &[]),
            Self::Bids => of(b"goodwatt/leaf/bids", &[]),
            Self::Attendance => of(b"goodwatt/leaf/attendance", &[]),
            Self::Registry => of(b"goodwatt/leaf/registry", &[]),
            Self::Standing(id) => of(b"goodwatt/leaf/standing", id.as_bytes()),
            Self::Dossier(id) => of(b"goodwatt/leaf/dossier", id.as_bytes()),
            Self::AssociationOf(key) => of(b"goodwatt/leaf/association-of", key.as_bytes()),
            Self::Ballot(id) => of(b"goodwatt/leaf/ballot", id.as_bytes()),
            Self::Vesting(epoch) => of(b"goodwatt/leaf/vesting", &epoch.get().to_be_bytes()),
            Self::Release(epoch) => of(b"goodwatt/leaf/release", &epoch.get().to_be_bytes()),
            Self::Roster(epoch) => of(b"goodwatt/leaf/roster", &epoch.get().to_be_bytes()),
            Self::Tombstone(key) => of(b"goodwatt/leaf/tombstone", key.as_bytes()),
            Self::Stake(key) => of(b"goodwatt/leaf/stake", key.as_bytes()),
            Self::Unlocking(epoch) => of(b"goodwatt/leaf/unlocking", &epoch.get().to_be_bytes()),
            Self::Locked => of(b"goodwatt/leaf/locked", &[]),
        }
    }
}

/// Why the state could not be read. Neither the sender nor the rules are at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A leaf does not hold a record of its kind: the index is damaged and has to be rebuilt.
    #[error("the state index is damaged: {0} is not a record of its kind; it has to be rebuilt")]
    Damaged(LeafKey),
}

/// Reads one record from leaves.
///
/// # Errors
/// When the store fails or holds something else.
pub fn read<T: Serialize + DeserializeOwned>(
    leaves: &(impl Leaves + ?Sized),
    key: Key,
) -> Result<Option<T>, StateError> {
    let leaf = key.leaf();
    leaves.leaf(&leaf)?.map(|value| parse(key, &value)).transpose()
}

/// Reads the value of a leaf.
pub(crate) fn parse<T: DeserializeOwned>(key: Key, value: &[u8]) -> Result<T, StateError> {
    // The tree proves these bytes, and this crate wrote them: kind and form alone are checked.
    let record = value.split_first().filter(|(kind, _)| **kind == key.kind());
    let record = record.and_then(|(_, record)| postcard::from_bytes(record).ok());
    record.ok_or_else(|| StateError::Damaged(key.leaf()))
}

/// The state with the changes of a block that is being carried out on top.
///
/// Changes of the transaction at work are kept apart until [`View::keep`] or [`View::drop_pending`].
#[derive(Debug)]
pub struct View<'a, L: Leaves + ?Sized> {
    /// Everything agreed before the first block.
    pub genesis: &'a Genesis,
    base: &'a L,
    kept: LeafChanges,
    pending: BTreeMap<LeafKey, Option<Arc<[u8]>>>,
}

impl<'a, L: Leaves + ?Sized> View<'a, L> {
    /// The state as `base` holds it.
    pub const fn new(genesis: &'a Genesis, base: &'a L) -> Self {
        Self { genesis, base, kept: BTreeMap::new(), pending: BTreeMap::new() }
    }

    /// The state as `base` holds it, with `kept` changed already.
    pub const fn on_top(genesis: &'a Genesis, base: &'a L, kept: LeafChanges) -> Self {
        Self { genesis, base, kept, pending: BTreeMap::new() }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the store fails or holds something else.
    pub fn read<T: Serialize + DeserializeOwned>(&self, key: Key) -> Result<Option<T>, StateError> {
        self.read_leaf(key, &key.leaf())
    }

    fn read_leaf<T: DeserializeOwned>(
        &self,
        key: Key,
        leaf: &LeafKey,
    ) -> Result<Option<T>, StateError> {
        let changed = self.pending.get(leaf).or_else(|| self.kept.get(leaf));
        let bytes = match changed {
            Some(value) => value.clone(),
            None => self.base.leaf(leaf)?,
        };
        bytes.map(|bytes| parse(key, &bytes)).transpose()
    }

    /// Reads a record that is empty until it is first written.
    ///
    /// # Errors
    /// When the store fails or holds something else.
    pub fn read_or_default<T>(&self, key: Key) -> Result<T, StateError>
    where
        T: Serialize + DeserializeOwned + Default,
    {
        self.read(key).map(Option::unwrap_or_default)
    }

    /// Writes a record.
    pub fn write<T: Serialize>(&mut self, key: Key, record: &T) {
        self.write_leaf(key, key.leaf(), record);
    }

    fn write_leaf<T: Serialize>(&mut self, key: Key, leaf: LeafKey, record: &T) {
        let value = codec::encode(&(key.kind(), record));
        self.pending.insert(leaf, Some(value.into()));
    }

    /// Changes a record that is empty until it is first written; what `change` refuses stays as
    /// it was. Of reading and writing one after another it saves a hash.
    ///
    /// # Errors
    /// What `change` says; when the store fails or holds something else.
    pub fn update<T, R, E>(
        &mut self,
        key: Key,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E>
    where
        T: Serialize + DeserializeOwned + Default,
        E: From<StateError>,
    {
        let leaf = key.leaf();
        let mut record = self.read_leaf(key, &leaf)?.unwrap_or_default();
        let outcome = change(&mut record)?;
        self.write_leaf(key, leaf, &record);
        Ok(outcome)
    }

    /// Reads the terms that matter now.
    ///
    /// # Errors
    /// When the store fails or holds something else.
    pub fn terms(&self) -> Result<Terms, StateError> {
        Ok(Terms {
            previous: self.read(Key::PreviousTerm)?,
            current: self.read_or_default(Key::CurrentTerm)?,
            next: self.read_or_default(Key::NextTerm)?,
        })
    }

    /// Writes all three terms.
    pub fn write_terms(&mut self, terms: &Terms) {
        if let Some(previous) = &terms.previous {
            self.write(Key::PreviousTerm, previous);
        }
        self.write(Key::CurrentTerm, &terms.current);
        self.write(Key::NextTerm, &terms.next);
    }

    /// Takes a record away.
    pub fn erase(&mut self, key: Key) {
        self.pending.insert(key.leaf(), None);
    }

    /// Keeps what was changed since the last call.
    pub fn keep(&mut self) {
        // Not `append`, which rebuilds the whole map: a transaction changes a few leaves of many.
        self.kept.extend(core::mem::take(&mut self.pending));
    }

    /// Forgets what was changed since the last [`View::keep`].
    pub fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Everything that was kept.
    #[must_use]
    pub fn into_changes(self) -> LeafChanges {
        self.kept
    }

    /// Everything that was kept so far.
    #[must_use]
    pub const fn changes(&self) -> &LeafChanges {
        &self.kept
    }

    /// Adds money to an account.
    ///
    /// # Errors
    /// When the store fails; money cannot overflow, as all of it is below the largest supply.
    pub fn credit(&mut self, key: &PublicKey, amount: Grains) -> Result<(), StateError> {
        if amount.is_zero() {
            return Ok(());
        }
        self.update(Key::Account(*key), |account: &mut Account| {
            account.balance = add(account.balance, amount);
            Ok(())
        })
    }
}

/// The sum of two parts of the supply.
///
/// All money together never exceeds [`Grains::MAX_SUPPLY`]: genesis is checked, minting stops
/// there, and every move takes from one place what it gives to another. So the sum exists; were
/// that broken, the cap would show in the sum of all money, which tests and `verify` check.
#[must_use]
pub fn add(a: Grains, b: Grains) -> Grains {
    a.checked_add(b).unwrap_or(Grains::MAX_SUPPLY)
}
