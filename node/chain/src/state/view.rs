//! Reading records, and changing them on top of what is kept.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Account, Key, Terms, add};
use crate::codec;
use crate::genesis::Genesis;
use crate::leaves::{LeafChanges, LeafKey, Leaves, Unavailable};
use crate::signature::PublicKey;
use crate::units::Grains;

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
