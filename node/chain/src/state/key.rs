//! Names of leaves: their place in the state tree, and the kind of record that lies there.

use crate::hash::{AssociationId, Digest32, Domain};
use crate::leaves::LeafKey;
use crate::signature::PublicKey;
use crate::units::Epoch;

/// The kind of [`Account`](super::Account) records, see [`Key::kind`].
pub(super) const ACCOUNT: u8 = 0;

/// Names a leaf, and with it the type of its record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// [`Account`](super::Account)
    Account(PublicKey),
    /// [`Totals`](super::Totals)
    Totals,
    /// [`Term`](super::Term) that ended last
    PreviousTerm,
    /// [`Term`](super::Term) in charge
    CurrentTerm,
    /// [`Term`](super::Term) to come
    NextTerm,
    /// [`Bids`](super::Bids)
    Bids,
    /// [`Attendance`](super::Attendance)
    Attendance,
    /// [`Registry`](super::Registry)
    Registry,
    /// [`Standing`](super::Standing)
    Standing(AssociationId),
    /// [`Dossier`](super::Dossier)
    Dossier(AssociationId),
    /// [`AssociationId`] of the latest request by this key
    AssociationOf(PublicKey),
    /// [`Ballot`](super::Ballot)
    Ballot(AssociationId),
    /// [`Vesting`](super::Vesting)
    Vesting(Epoch),
    /// [`Release`](super::Release)
    Release(Epoch),
    /// [`Roster`](super::Roster)
    Roster(Epoch),
    /// [`Tombstone`](super::Tombstone) of a signer or owner
    Tombstone(PublicKey),
    /// [`Stake`](super::Stake) behind a signer
    Stake(PublicKey),
    /// [`Unlocking`](super::Unlocking)
    Unlocking(Epoch),
    /// [`Grains`](crate::units::Grains) of all stakes
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
