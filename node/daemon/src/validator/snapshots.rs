//! When the state is put into the snapshot file, and how much of the card that may cost.

use goodwatt_chain::codec;
use goodwatt_chain::leaves::BucketIndex;
use goodwatt_chain::tree::StateSummary;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_store::{Folder, Index, IndexError, Snapshot, SnapshotError, SnapshotReport};
use goodwatt_validator::{Message, Notes, StateAnswer, StateQuestion};

/// Snapshots are at least so many blocks apart: a test chain whose epochs last a second seals a
/// block in each, and replaying so many takes 40 ms (`goodwatt bench rebuild`).
const BLOCKS_MIN: u64 = 256;
/// A snapshot is written once as many blocks were sealed since the former one as bring its cost
/// down to so many bytes each: 2 % of what a block writes anyway, whatever the size of the state.
const BYTES_PER_BLOCK: u64 = 1_024;

/// How many bytes of leaves go into an answer to a peer; there is room for a full bucket above.
const ANSWER_BYTES: usize = 256 << 10;

/// The one snapshot of a data folder.
#[derive(Debug)]
pub(super) struct Snapshots {
    folder: Folder,
    /// The height of the last one, and its bytes.
    last: Option<(Height, u64)>,
    /// What peers are told of it first; made when the first one asks.
    summary: Option<(Height, Message)>,
}

impl Snapshots {
    /// What the folder has. One that cannot be read counts as none, and is written over.
    pub(super) fn find(folder: &Folder) -> Self {
        let found = Snapshot::open(folder).unwrap_or_else(|error| {
            tracing::warn!("the snapshot cannot be read: {error}; the next one takes its place");
            None
        });
        let last = found.map(|snapshot| (snapshot.height(), snapshot.bytes()));
        Self { folder: folder.clone(), last, summary: None }
    }

    /// Where it lies.
    pub(super) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The height of the one there is.
    pub(super) fn height(&self) -> Option<Height> {
        self.last.map(|(height, _)| height)
    }

    /// Whether another one is worth its bytes at this tip.
    pub(super) fn is_due(&self, tip: Height) -> bool {
        // One of a height above the tip is of another log.
        let of_this_log = |(height, bytes)| Some((tip.since(height)?, bytes));
        let (blocks, bytes) =
            self.last.and_then(of_this_log).unwrap_or((HeightDelta::new(tip.get()), 0));
        blocks.get() >= BLOCKS_MIN.max(bytes / BYTES_PER_BLOCK)
    }

    /// Answers a peer that wants to begin with this state.
    pub(super) fn answer(&mut self, question: StateQuestion) -> Message {
        let answer = match question {
            StateQuestion::Summary => self.summary(),
            StateQuestion::Buckets { height, first, end } => self.buckets(height, first, end),
        };
        answer.unwrap_or_else(|error| {
            tracing::warn!("a peer asks for the state, but the snapshot cannot be read: {error}");
            Message::State(None)
        })
    }

    fn summary(&mut self) -> Result<Message, SnapshotError> {
        let Some(snapshot) = Snapshot::open(&self.folder)? else { return Ok(Message::State(None)) };
        let height = snapshot.height();
        if let Some((_, known)) = self.summary.as_ref().filter(|(of, _)| *of == height) {
            return Ok(known.clone());
        }
        let Ok(Notes { tip, .. }) = codec::decode(snapshot.notes()) else {
            return Ok(Message::State(None));
        };
        let mut buckets = StateSummary::default();
        let mut next = BucketIndex::all().peekable();
        for chunk in snapshot.chunks() {
            let leaves = chunk?;
            for bucket in leaves.chunk_by(|(a, _), (b, _)| BucketIndex::of(a) == BucketIndex::of(b))
            {
                let index = BucketIndex::of(&bucket[0].0);
                while next.next_if(|empty| *empty < index).is_some() {
                    buckets.push(&[]);
                }
                next.next();
                buckets.push(bucket);
            }
        }
        next.for_each(|_| buckets.push(&[]));
        let answer = StateAnswer::Summary { height, history: tip.history, buckets };
        let answer = Message::State(Some(Box::new(answer)));
        self.summary = Some((height, answer.clone()));
        Ok(answer)
    }

    fn buckets(&self, height: Height, first: u16, end: u16) -> Result<Message, SnapshotError> {
        let snapshot = Snapshot::open(&self.folder)?.filter(|found| found.height() == height);
        let (Some(snapshot), Some(from)) = (snapshot, BucketIndex::new(first)) else {
            return Ok(Message::State(None));
        };
        let mut chunks = snapshot.chunks();
        chunks.skip_to(from)?;
        let (mut leaves, mut bytes, mut until) = (Vec::new(), 0, end);
        'all: for chunk in chunks {
            for (key, value) in chunk? {
                let bucket = BucketIndex::of(&key).get();
                // Whole buckets only: what was begun goes to its end.
                let full = bytes >= ANSWER_BYTES
                    && leaves.last().is_some_and(|(last, _)| BucketIndex::of(last).get() != bucket);
                if bucket >= end || full {
                    until = bucket.min(end);
                    break 'all;
                }
                if bucket >= first {
                    bytes += key.as_bytes().len() + value.len() + 4;
                    leaves.push((key, value.to_vec()));
                }
            }
        }
        Ok(Message::State(Some(Box::new(StateAnswer::Buckets { first, end: until, leaves }))))
    }

    /// Writes the state of the index's checkpoint.
    ///
    /// # Errors
    /// When disk or index fail; then the former snapshot is still there.
    pub(super) fn write(&mut self, index: &Index) -> Result<SnapshotReport, IndexError> {
        let report = index.write_snapshot(&self.folder)?;
        self.last = Some((report.height, report.bytes));
        tracing::info!("snapshot of {} written: {} bytes", report.height, report.bytes);
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_when_enough_blocks_share_its_bytes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::at(dir.path()).expect("a folder");
        let check = |last: Option<(u64, u64)>, tip: u64, want: bool| {
            let last = last.map(|(height, bytes)| (Height::new(height), bytes));
            let snapshots = Snapshots { folder: folder.clone(), last, summary: None };
            assert_eq!(snapshots.is_due(Height::new(tip)), want, "{last:?} at {tip}");
        };
        check(None, 255, false);
        check(None, 256, true);
        check(Some((300, 5_000)), 555, false);
        check(Some((300, 5_000)), 556, true);
        check(Some((300, 1 << 20)), 300 + 1_023, false);
        check(Some((300, 1 << 20)), 300 + 1_024, true);
        check(Some((5_000, 1 << 20)), 300, true);
    }
}
