//! The state: typed leaves (this file), their names (`key`), and the view through which the rules read
//! and change them (`view`).
//!
//! A leaf's key is a hash over its kind and name, so leaves spread evenly; its value is one byte
//! for the kind, then the canonical encoding of the record. Every record is bounded, and no rule
//! walks over accounts: what a transition needs stands in lists of its own.

mod bounded;
mod key;
mod money;
mod stake;
mod view;

use goodwatt_units::MicroJoules;
use serde::{Deserialize, Serialize};

pub use self::bounded::Bounded;
pub use self::key::Key;
pub use self::money::{is_money_conserved, sum_of_balances};
pub use self::stake::{BACKERS_MAX, Stake, Unlocking};
pub(crate) use self::view::parse;
pub use self::view::{StateError, View, read};
use crate::hash::{AssociationId, Digest32};
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

/// The sum of two parts of the supply.
///
/// All money together never exceeds [`Grains::MAX_SUPPLY`]: genesis is checked, minting stops
/// there, and every move takes from one place what it gives to another. So the sum exists; were
/// that broken, the cap would show in the sum of all money, which tests and `verify` check.
#[must_use]
pub fn add(a: Grains, b: Grains) -> Grains {
    a.checked_add(b).unwrap_or(Grains::MAX_SUPPLY)
}
