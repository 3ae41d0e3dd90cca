//! Decoded buckets in memory, up to a limit; what is not on the card yet stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafKey, put};

/// What a leaf takes beside its value: key, pointer, counts and the allocator's own.
const LEAF_OVERHEAD: usize = 80;
/// What a bucket takes beside its leaves.
const BUCKET_OVERHEAD: usize = 96;

/// Decoded buckets.
#[derive(Debug)]
pub(super) struct Cache {
    buckets: BTreeMap<BucketIndex, Arc<Bucket>>,
    pinned: BTreeSet<BucketIndex>,
    bytes: usize,
    limit: usize,
}

impl Cache {
    pub(super) const fn new(limit: usize) -> Self {
        Self { buckets: BTreeMap::new(), pinned: BTreeSet::new(), bytes: 0, limit }
    }

    pub(super) fn find(&self, index: BucketIndex) -> Option<Arc<Bucket>> {
        self.buckets.get(&index).cloned()
    }

    /// Keeps a bucket as it is on the card.
    pub(super) fn insert(&mut self, index: BucketIndex, bucket: Arc<Bucket>) {
        self.bytes += size(&bucket);
        if let Some(former) = self.buckets.insert(index, bucket) {
            self.bytes -= size(&former);
        }
        if self.bytes > self.limit {
            self.shrink(index);
        }
    }

    /// Changes one leaf; its bucket stays until [`Cache::unpin`].
    pub(super) fn change(
        &mut self,
        index: BucketIndex,
        bucket: Arc<Bucket>,
        key: LeafKey,
        value: Option<Arc<[u8]>>,
    ) {
        // Given up first, so that the bucket is changed in place and not copied.
        if let Some(former) = self.buckets.remove(&index) {
            self.bytes -= size(&former);
        }
        let mut bucket = bucket;
        put(Arc::make_mut(&mut bucket), key, value);
        self.pinned.insert(index);
        self.bytes += size(&bucket);
        self.buckets.insert(index, bucket);
    }

    /// Everything is on the card: any bucket may go.
    pub(super) fn unpin(&mut self) {
        self.pinned.clear();
    }

    /// Drops buckets that are on the card until a quarter is free, but not `last`.
    fn shrink(&mut self, last: BucketIndex) {
        let target = self.limit / 4 * 3;
        let (pinned, bytes) = (&self.pinned, &mut self.bytes);
        self.buckets.retain(|index, bucket| {
            let stays = *bytes <= target || *index == last || pinned.contains(index);
            if !stays {
                *bytes -= size(bucket);
            }
            stays
        });
    }
}

fn size(bucket: &Bucket) -> usize {
    let leaves: usize = bucket.iter().map(|(_, value)| value.len() + LEAF_OVERHEAD).sum();
    BUCKET_OVERHEAD + leaves
}
