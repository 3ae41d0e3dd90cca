//! Finding transactions again: by id, and by account.
//!
//! One lookup a block, under its height: for each transaction the first four bytes of its id, of its
//! sender and of its receiver (the sender again where there is none). Keys that rise are what
//! sled writes with the least, and a search walks over 12 bytes a transaction. What is found is
//! compared with the block, so a clash costs a look and never lies.

use goodwatt_chain::hash::TxId;
use goodwatt_chain::ledger::Sealed;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Height;
use goodwatt_store::{Index, IndexError};

use crate::parts::StateStore;

/// Where a transaction stands.
pub type Place = (Height, u32);

/// The first bytes of an id or a key.
type Tag = [u8; 4];
const TAGS: usize = 3;
const ENTRY_BYTES: usize = TAGS * size_of::<Tag>();

/// Notes which transactions a block holds.
pub fn note(index: &mut Index, height: Height, transactions: &[Sealed]) {
    if let Some((key, entries)) = entries(height, transactions) {
        index.put_lookup(&key, &entries);
    }
}

/// The lookup of a block, key and value; `None` for an empty one.
pub fn entries(height: Height, transactions: &[Sealed]) -> Option<([u8; 8], Vec<u8>)> {
    let tags = |sealed: &Sealed| {
        let receiver = sealed.receiver.unwrap_or(sealed.sender);
        [tag(sealed.id.as_bytes()), tag(sealed.sender.as_bytes()), tag(receiver.as_bytes())]
    };
    let entries: Vec<u8> = transactions.iter().flat_map(tags).flatten().collect();
    (!entries.is_empty()).then_some((height.get().to_be_bytes(), entries))
}

/// How many bytes the lookups of so many blocks and transactions take, as if no block were empty.
pub const fn live_bytes(tip: Height, transactions: u64) -> u64 {
    let key = size_of::<u64>() as u64;
    tip.get().saturating_mul(key).saturating_add(transactions.saturating_mul(ENTRY_BYTES as u64))
}

/// Where the transaction of this id may stand, the latest first, at most `limit` places.
pub fn find(index: &Index, id: &TxId, limit: usize) -> Result<Vec<Place>, IndexError> {
    let wanted = tag(id.as_bytes());
    search(index, limit, |[id, ..]| *id == wanted)
}

/// Where the last transactions of this account may stand, the latest first.
pub fn history(index: &Index, account: &PublicKey, limit: usize) -> Result<Vec<Place>, IndexError> {
    let wanted = tag(account.as_bytes());
    search(index, limit, |[_, sender, receiver]| *sender == wanted || *receiver == wanted)
}

fn tag(bytes: &[u8; 32]) -> Tag {
    let [a, b, c, d, ..] = *bytes;
    [a, b, c, d]
}

fn search(
    index: &Index,
    limit: usize,
    matches: impl Fn(&[Tag; TAGS]) -> bool,
) -> Result<Vec<Place>, IndexError> {
    let mut places = Vec::new();
    index.lookups_backwards(|key, entries| {
        let Ok(height) = key.try_into().map(u64::from_be_bytes) else { return false };
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        for (position, entry) in entries.iter().enumerate().rev() {
            let (tags, _) = entry.as_chunks::<4>();
            if places.len() < limit && tags.try_into().is_ok_and(|tags: &[Tag; TAGS]| matches(tags))
            {
                places.push((Height::new(height), position as u32));
            }
        }
        places.len() >= limit
    })?;
    Ok(places)
}

impl StateStore for Index {
    fn note(&mut self, height: Height, transactions: &[Sealed]) {
        note(self, height, transactions);
    }

    fn dirty(&self) -> usize {
        Self::dirty(self)
    }

    fn checkpoint(&mut self, height: Height, notes: &[u8]) -> Result<(), IndexError> {
        Self::checkpoint(self, height, notes)
    }
}
