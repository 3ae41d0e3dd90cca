//! The block log seen from outside, to damage it where it hurts.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Home;

/// Bytes before the first record, and before the payload of each: `docs/wire-format.md`.
const SEGMENT_HEADER: usize = 16;
const RECORD_HEADER: usize = 24;

/// Where a record of the log lies in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) height: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The only segment of a short log.
pub(crate) fn segment(home: &Home) -> PathBuf {
    let folder = std::fs::read_dir(home.path("data/log")).expect("a log");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "blocks");
    let mut files: Vec<PathBuf> = files.filter(is_segment).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// The records in a segment.
pub(crate) fn records(segment: &Path) -> Vec<Record> {
    let bytes = std::fs::read(segment).expect("the segment");
    let (mut found, mut at) = (Vec::new(), SEGMENT_HEADER);
    while bytes.get(at..at + 4) == Some(b"GWRC") {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        let height = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"));
        let end = at + RECORD_HEADER + len as usize;
        found.push(Record { height, start: at as u64, end: end as u64 });
        at = end;
    }
    found
}

/// Flips one bit of a byte in a file.
pub(crate) fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).expect("the file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte there");
    file.write_all_at(&[byte[0] ^ 1], at).expect("written");
}
