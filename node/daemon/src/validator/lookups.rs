//! Finding transactions again: by id, and by account. Short keys, checked against the block.
//!
//! | key | value |
//! |---|---|
//! | `t`, first 12 bytes of the id | height (8), position (4), big-endian |
//! | `a`, first 8 bytes of the account, height (8), position (4) | nothing |
//!
//! Two ids with the same 12 bytes do not happen by chance, and two accounts with the same 8 cost
//! 2^32 keys to make: what is found is compared with the block, so a clash hides, but never lies.

use goodwatt_chain::hash::TxId;
use goodwatt_chain::ledger::Sealed;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Height;
use goodwatt_store::{Index, IndexError};

/// Where a transaction stands.
pub(super) type Place = (Height, u32);

/// Notes where the transactions of a block stand.
pub(super) fn note(index: &mut Index, height: Height, transactions: &[Sealed]) {
    for (sealed, position) in transactions.iter().zip(0..) {
        let place = encode((height, position));
        index.put_lookup(&id_key(&sealed.id), &place);
        index.put_lookup(&[&account_key(&sealed.sender)[..], &place].concat(), &[]);
        if let Some(receiver) = &sealed.receiver {
            index.put_lookup(&[&account_key(receiver)[..], &place].concat(), &[]);
        }
    }
}

/// Where the transaction of this id may stand.
pub(super) fn find(index: &Index, id: &TxId) -> Result<Option<Place>, IndexError> {
    Ok(index.lookup(&id_key(id))?.as_deref().and_then(decode))
}

/// Where the last transactions of this account may stand, the latest first.
pub(super) fn history(
    index: &Index,
    account: &PublicKey,
    limit: usize,
) -> Result<Vec<Place>, IndexError> {
    let found = index.last_lookups(&account_key(account), limit)?;
    Ok(found.iter().filter_map(|place| decode(place)).collect())
}

fn id_key(id: &TxId) -> [u8; 13] {
    let mut key = [b't'; 13];
    key[1..].copy_from_slice(&id.as_bytes()[..12]);
    key
}

fn account_key(account: &PublicKey) -> [u8; 9] {
    let mut key = [b'a'; 9];
    key[1..].copy_from_slice(&account.as_bytes()[..8]);
    key
}

fn encode((height, position): Place) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&height.get().to_be_bytes());
    bytes[8..].copy_from_slice(&position.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Place> {
    let (height, position) = bytes.split_first_chunk::<8>()?;
    let position = u32::from_be_bytes(position.try_into().ok()?);
    Some((Height::new(u64::from_be_bytes(*height)), position))
}
