//! When the state is put into the snapshot file, and how much of the card that may cost.

use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_store::{Folder, Index, IndexError, Snapshot, SnapshotReport};

/// Snapshots are at least so many blocks apart: a test chain whose epochs last a second seals a
/// block in each, and replaying so many takes 40 ms (`goodwatt bench rebuild`).
const BLOCKS_MIN: u64 = 256;
/// A snapshot is written once as many blocks were sealed since the former one as bring its cost
/// down to so many bytes each: 2 % of what a block writes anyway, whatever the size of the state.
const BYTES_PER_BLOCK: u64 = 1_024;

/// The one snapshot of a data folder.
#[derive(Debug)]
pub(super) struct Snapshots {
    folder: Folder,
    /// The height of the last one, and its bytes.
    last: Option<(Height, u64)>,
}

impl Snapshots {
    /// What the folder has. One that cannot be read counts as none, and is written over.
    pub(super) fn find(folder: &Folder) -> Self {
        let found = Snapshot::open(folder).unwrap_or_else(|error| {
            tracing::warn!("the snapshot cannot be read: {error}; the next one takes its place");
            None
        });
        let last = found.map(|snapshot| (snapshot.height(), snapshot.bytes()));
        Self { folder: folder.clone(), last }
    }

    /// Where it lies.
    pub(super) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether another one is worth its bytes at this tip.
    pub(super) fn is_due(&self, tip: Height) -> bool {
        // One of a height above the tip is of another log.
        let of_this_log = |(height, bytes)| Some((tip.since(height)?, bytes));
        let (blocks, bytes) =
            self.last.and_then(of_this_log).unwrap_or((HeightDelta::new(tip.get()), 0));
        blocks.get() >= BLOCKS_MIN.max(bytes / BYTES_PER_BLOCK)
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
            let snapshots = Snapshots { folder: folder.clone(), last };
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
