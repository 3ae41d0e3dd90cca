//! Pieces of a state on the card, so that a start that is cut short goes on where it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::codec;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::leaves::{Bucket, BucketIndex, LeafKey};
use goodwatt_chain::tree::StateSummary;
use goodwatt_chain::units::Height;
use goodwatt_store::{BlockLog, Folder, IndexError, LogError};

/// Beside the ledger, until it is begun.
const FOLDER: &str = "checkpoint";
/// The record that says of which state the pieces are; they follow it.
const HEAD: Height = Height::new(1);

/// Leaves of buckets: from the first one to the one before the second.
pub(super) type Piece = (u16, u16, Vec<(LeafKey, Vec<u8>)>);

/// The pieces that are there, each proven.
#[derive(Debug)]
pub(super) struct Journal {
    log: BlockLog,
    path: PathBuf,
    /// By first bucket: the bucket after the last one, and the record.
    pieces: BTreeMap<u16, (u16, Height)>,
}

impl Journal {
    /// Goes on with the pieces of this state, or begins with none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn open(
        data: &Path,
        height: Height,
        root: Digest32,
        summary: &StateSummary,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let path = data.join(FOLDER);
        let head = codec::encode(&(height, root));
        match Self::resume(&path, &head, summary) {
            Ok(Some(journal)) => {
                tracing::info!("of the state of {height} {} % are here already", journal.percent());
                return Ok(journal);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("pieces of the state are fetched again: {error}"),
        }
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        let (mut log, _) = BlockLog::open(Folder::at(&path)?)?;
        log.append(HEAD, &head)?;
        Ok(Self { log, path, pieces: BTreeMap::new() })
    }

    fn resume(path: &Path, head: &[u8], summary: &StateSummary) -> Result<Option<Self>, LogError> {
        let (log, _) = BlockLog::open(Folder::at(path)?)?;
        if log.read(HEAD)?.as_deref() != Some(head) {
            return Ok(None);
        }
        let mut pieces = BTreeMap::new();
        for record in log.blocks_from(HEAD.next()) {
            let (number, record) = record?;
            let Ok((first, end, leaves)) = codec::decode::<Piece>(&record) else { return Ok(None) };
            if is_proven(summary, first, end, &leaves) {
                pieces.insert(first, (end, number));
            }
        }
        Ok(Some(Self { log, path: path.to_owned(), pieces }))
    }

    /// Keeps a piece that is proven.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn keep(&mut self, piece: &Piece) -> Result<(), LogError> {
        let number = self.log.tip().unwrap_or(HEAD).next();
        self.log.append(number, &codec::encode(piece))?;
        self.pieces.insert(piece.0, (piece.1, number));
        Ok(())
    }

    /// What is missing, in ranges of at most so many buckets.
    pub(super) fn missing(&self, most: u16) -> Vec<(u16, u16)> {
        let (mut ranges, mut at) = (Vec::new(), 0);
        let ends = self.pieces.iter().map(|(first, (end, _))| (*first, *end));
        for (first, end) in ends.chain([(BucketIndex::COUNT, BucketIndex::COUNT)]) {
            while at < first {
                let next = first.min(at + most);
                ranges.push((at, next));
                at = next;
            }
            at = at.max(end);
        }
        ranges
    }

    /// How much of the state is there, in percent.
    pub(super) fn percent(&self) -> u32 {
        let buckets = self.pieces.iter().map(|(first, (end, _))| u32::from(end - first));
        buckets.sum::<u32>() * 100 / u32::from(BucketIndex::COUNT)
    }

    /// All leaves by rising key, read piece by piece.
    pub(super) fn leaves(
        &self,
    ) -> impl Iterator<Item = Result<(LeafKey, Vec<u8>), IndexError>> + '_ {
        self.pieces.values().flat_map(|(_, number)| {
            let read = self.log.read(*number).ok().flatten();
            let piece = read.and_then(|record| codec::decode::<Piece>(&record).ok());
            let leaves = piece.map(|(_, _, leaves)| leaves.into_iter().map(Ok).collect());
            leaves.unwrap_or_else(|| vec![Err(IndexError::Foreign)])
        })
    }

    /// Removes it: the ledger has begun.
    pub(super) fn remove(self) {
        let Self { log, path, .. } = self;
        drop(log);
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!("{} is not needed any more: {error}", path.display());
        }
    }
}

/// Whether a piece is exactly what a proven summary says of its buckets.
pub(super) fn is_proven(
    summary: &StateSummary,
    first: u16,
    end: u16,
    leaves: &[(LeafKey, Vec<u8>)],
) -> bool {
    let mut rest = leaves;
    let whole = (first..end).all(|number| {
        let Some(index) = BucketIndex::new(number) else { return false };
        let count = rest.iter().take_while(|(key, _)| BucketIndex::of(key) == index).count();
        let (bucket, more) = rest.split_at(count);
        rest = more;
        let bucket: Bucket = bucket.iter().map(|(k, v)| (*k, Arc::from(v.as_slice()))).collect();
        summary.holds(index, &bucket)
    });
    first < end && whole && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state with a leaf in every tenth bucket, and its pieces of 128 buckets.
    fn state() -> (StateSummary, Vec<Piece>) {
        let leaf = |number: u16| {
            let mut key = [7; 32];
            key[..2].copy_from_slice(&(number << 4).to_be_bytes());
            (Digest32::new(key), number.to_be_bytes().to_vec())
        };
        let mut summary = StateSummary::default();
        let mut pieces: Vec<Piece> = Vec::new();
        for number in 0..BucketIndex::COUNT {
            if number % 128 == 0 {
                pieces.push((number, number + 128, Vec::new()));
            }
            let leaves = if number % 10 == 0 { vec![leaf(number)] } else { Vec::new() };
            let bucket: Bucket =
                leaves.iter().map(|(key, value)| (*key, Arc::from(value.as_slice()))).collect();
            summary.push(&bucket);
            pieces.last_mut().expect("the first begins with 0").2.extend(leaves);
        }
        (summary, pieces)
    }

    fn open(data: &Path, summary: &StateSummary) -> Journal {
        let root = summary.root().expect("of all buckets");
        Journal::open(data, Height::new(9), root, summary).expect("a disk that works")
    }

    /// The only file of its log.
    fn file(data: &Path) -> PathBuf {
        let folder = std::fs::read_dir(data.join(FOLDER)).expect("it is there");
        let mut files = folder.map(|entry| entry.expect("readable").path());
        files.find(|path| path.extension().is_some_and(|end| end == "blocks")).expect("one")
    }

    #[test]
    fn cut_short_after_each_piece_it_goes_on_with_what_is_there() {
        let (summary, pieces) = state();
        let data = tempfile::tempdir().expect("a temporary folder");
        for (at, piece) in pieces.iter().enumerate() {
            assert!(is_proven(&summary, piece.0, piece.1, &piece.2));
            // Dropped without a word, as by a kill.
            let mut journal = open(data.path(), &summary);
            assert_eq!(journal.missing(128).len(), pieces.len() - at);
            assert_eq!(journal.percent(), at as u32 * 100 / 32);
            journal.keep(piece).expect("a disk that works");
        }
        let journal = open(data.path(), &summary);
        assert!(journal.missing(128).is_empty());
        let leaves: Result<Vec<_>, _> = journal.leaves().collect();
        let want: Vec<_> = pieces.into_iter().flat_map(|(_, _, leaves)| leaves).collect();
        assert_eq!(leaves.expect("whole"), want);
        journal.remove();
        assert!(!data.path().join(FOLDER).exists());
    }

    #[test]
    fn another_state_and_pieces_that_are_not_proven_are_fetched_again() {
        let (summary, pieces) = state();
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut journal = open(data.path(), &summary);
        journal.keep(&pieces[0]).expect("a disk that works");
        let mut forged = pieces[1].clone();
        forged.2.pop();
        journal.keep(&forged).expect("a disk that works");
        drop(journal);
        assert_eq!(open(data.path(), &summary).missing(128)[0], (128, 256));

        // Damage in the middle: nothing of it is used.
        let path = file(data.path());
        let mut bytes = std::fs::read(&path).expect("readable");
        let at = bytes.windows(4).position(|four| four == [0, 0, 7, 7]).expect("the first leaf");
        bytes[at + 4] ^= 1;
        std::fs::write(&path, bytes).expect("writable");
        assert_eq!(open(data.path(), &summary).missing(128).len(), 32);

        let mut journal = open(data.path(), &summary);
        journal.keep(&pieces[0]).expect("a disk that works");
        drop(journal);
        let other = Digest32::new([1; 32]);
        let journal = Journal::open(data.path(), Height::new(9), other, &summary);
        assert_eq!(journal.expect("a disk that works").missing(128).len(), 32);
    }
}
