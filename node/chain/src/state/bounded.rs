//! A list on the heap that knows its greatest length. Records of the state may be long but mostly
//! are short; in arrays they would take more stack than a thread of a small machine has.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// At most `N` items. Reads as a slice.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Bounded<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Bounded<T, N> {
    /// Puts an item at the end.
    ///
    /// # Errors
    /// Gives it back when all places are taken.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.0.len() >= N {
            return Err(item);
        }
        self.0.push(item);
        Ok(())
    }

    /// Keeps the items for which `keep` holds, in their order.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// Takes out the item at `at`, if there is one; those behind it move up.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        (at < self.0.len()).then(|| self.0.remove(at))
    }
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Deref for Bounded<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for Bounded<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Bounded<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T, const N: usize> FromIterator<T> for Bounded<T, N> {
    /// The first `N` items; what is more is left out.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().take(N).collect())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
    type Value = Bounded<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Bounded::default();
        while let Some(item) = items.next_element()? {
            list.push(item).map_err(|_| A::Error::custom("too many items"))?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    type Three = Bounded<u8, 3>;

    #[test]
    fn the_bound_holds_however_items_come() {
        let mut list: Three = (1..=9).collect();
        assert_eq!(list[..], [1, 2, 3]);
        assert_eq!(list.push(4), Err(4));
        assert_eq!(codec::decode::<Three>(&codec::encode(&list)).as_ref(), Ok(&list));
        let longer = codec::encode(&[1_u8, 2, 3, 4][..]);
        assert_eq!(codec::decode::<Three>(&longer), Err(codec::DecodeError::Malformed));
        assert_eq!((list.remove(1), list.remove(2)), (Some(2), None));
        list.retain(|item| *item > 1);
        assert_eq!(list[..], [3]);
    }
}
