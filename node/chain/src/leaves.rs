//! Where the leaves of the state live: the one door between the rules and a store.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::hash::Digest32;

/// Key of a leaf: a domain-separated SHA-256, so that keys spread evenly over the buckets.
pub type LeafKey = Digest32;

/// Bits of a key that choose its bucket; 2^12 = 4,096 buckets.
pub const BUCKET_BITS: u32 = 12;

/// The leaves whose keys begin with the same [`BUCKET_BITS`] bits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BucketIndex(u16);

impl BucketIndex {
    /// How many buckets there are.
    pub const COUNT: u16 = 1 << BUCKET_BITS;

    /// The bucket by its number, or `None` from [`Self::COUNT`] on.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The bucket `key` belongs to.
    #[must_use]
    pub fn of(key: &LeafKey) -> Self {
        let bytes = key.as_bytes();
        Self(u16::from_be_bytes([bytes[0], bytes[1]]) >> (16 - BUCKET_BITS))
    }

    /// Its number, below [`Self::COUNT`].
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All buckets in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

/// One bucket's leaves, sorted by key, each with its encoded value.
pub type Bucket = Vec<(LeafKey, Arc<[u8]>)>;

/// The store behind [`Leaves`] failed. It knows why; ask it. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the state index could not be read")]
pub struct Unavailable;

/// Read access to the leaves of one state.
pub trait Leaves {
    /// The leaves of one bucket, sorted by key.
    ///
    /// # Errors
    /// [`Unavailable`] when the store behind it cannot be read.
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable>;

    /// The encoded value of one leaf, or `None` where there is none.
    ///
    /// # Errors
    /// [`Unavailable`] when the store behind it cannot be read.
    fn leaf(&self, key: &LeafKey) -> Result<Option<Arc<[u8]>>, Unavailable> {
        let bucket = self.bucket(BucketIndex::of(key))?;
        let found = bucket.binary_search_by(|(other, _)| other.cmp(key));
        Ok(found.ok().and_then(|at| bucket.get(at)).map(|(_, value)| Arc::clone(value)))
    }
}

/// What a block changes: each key with its new value, or `None` where the leaf goes away.
pub type LeafChanges = alloc::collections::BTreeMap<LeafKey, Option<Arc<[u8]>>>;

/// Leaves held in memory alone: for tests, the simulator and `goodwatt verify`.
#[derive(Clone, Debug)]
pub struct MemoryLeaves(Vec<Arc<Bucket>>);

impl Default for MemoryLeaves {
    fn default() -> Self {
        Self(alloc::vec![Arc::default(); usize::from(BucketIndex::COUNT)])
    }
}

impl MemoryLeaves {
    /// Takes over what a block changed.
    pub fn commit(&mut self, changes: &LeafChanges) {
        for (key, value) in changes {
            if let Some(bucket) = self.0.get_mut(usize::from(BucketIndex::of(key).get())) {
                put(Arc::make_mut(bucket), *key, value.clone());
            }
        }
    }
}

impl Leaves for MemoryLeaves {
    fn bucket(&self, index: BucketIndex) -> Result<Arc<Bucket>, Unavailable> {
        self.0.get(usize::from(index.get())).cloned().ok_or(Unavailable)
    }
}

/// Puts one changed leaf into a sorted bucket, or takes it out.
pub fn put(bucket: &mut Bucket, key: LeafKey, value: Option<Arc<[u8]>>) {
    match (bucket.binary_search_by(|(other, _)| other.cmp(&key)), value) {
        (Ok(at), Some(value)) => bucket[at].1 = value,
        (Ok(at), None) => drop(bucket.remove(at)),
        (Err(at), Some(value)) => bucket.insert(at, (key, value)),
        (Err(_), None) => {}
    }
}
