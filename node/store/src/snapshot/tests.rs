use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::leaves::{LeafChanges, Leaves, MemoryLeaves};

use super::*;
use crate::faulty::FaultyDisk;

/// Small, so that a snapshot of a few leaves has several chunks.
const CHUNK: usize = 300;

/// So many leaves; `version` tells one state from another.
fn state(leaves: u32, version: u8) -> MemoryLeaves {
    let key = |number: u32| Digest32::of(Domain::new(b"test"), &[&number.to_be_bytes()]);
    let value = |number: u32| vec![version; number as usize % 40];
    let changes: LeafChanges =
        (0..leaves).map(|number| (key(number), Some(Arc::from(value(number))))).collect();
    let mut state = MemoryLeaves::default();
    state.commit(&changes);
    state
}

fn all(state: &MemoryLeaves) -> Bucket {
    let bucket = |index| state.bucket(index).expect("in memory").to_vec();
    BucketIndex::all().flat_map(bucket).collect()
}

fn write(
    folder: &Folder,
    height: u64,
    state: &MemoryLeaves,
    chunk_bytes: usize,
) -> Result<SnapshotReport, IndexError> {
    let notes = [height as u8; 70];
    let leaves = all(state).into_iter().map(Ok);
    Snapshot::write_in_chunks(folder, Height::new(height), &notes, leaves, chunk_bytes)
}

/// Height and leaves, of a snapshot that is whole.
fn read(folder: &Folder) -> Result<Option<(u64, Bucket)>, SnapshotError> {
    let Some(snapshot) = Snapshot::open(folder)? else { return Ok(None) };
    let chunks: Result<Vec<Bucket>, SnapshotError> = snapshot.chunks().collect();
    let height = snapshot.height().get();
    assert_eq!(snapshot.notes(), [height as u8; 70]);
    Ok(Some((height, chunks?.concat())))
}

#[test]
fn what_was_written_is_read_back_in_pieces() {
    for (leaves, chunk_bytes) in [(0, CHUNK), (1, CHUNK), (500, CHUNK), (5_000, CHUNK_BYTES)] {
        let folder = FaultyDisk::new(1).folder();
        assert!(Snapshot::open(&folder).expect("no error").is_none());
        let state = state(leaves, 1);
        let report = write(&folder, 7, &state, chunk_bytes).expect("written");
        assert_eq!(read(&folder).expect("whole"), Some((7, all(&state))), "{leaves}");
        let snapshot = Snapshot::open(&folder).expect("whole").expect("there");
        assert_eq!((report.height, report.bytes), (snapshot.height(), snapshot.bytes()));
        assert_eq!(report.leaves, u64::from(leaves));
        let chunks: Vec<usize> =
            snapshot.chunks().map(|chunk| chunk.expect("whole").len()).collect();
        let (count, most) = (chunks.len(), chunks.iter().max().copied().unwrap_or_default());
        assert!(leaves < 500 || (count > 3 && most < leaves as usize / 2), "{chunks:?}");
        let heads = HEAD_BYTES + 70 + count * CHUNK_HEAD_BYTES + leaves as usize * 4;
        assert_eq!(report.bytes, heads as u64 + report.leaf_bytes);
    }
}

#[test]
fn a_crash_leaves_the_old_one_or_the_new_one() {
    let (old, new) = (state(40, 1), state(60, 2));
    let operations = {
        let disk = FaultyDisk::new(0);
        write(&disk.folder(), 1, &new, CHUNK).expect("written");
        disk.operations() + 2
    };
    let mut seen = [0; 3];
    for crash_after in 0..operations {
        for seed in 0..30 {
            for has_old in [false, true] {
                let disk = FaultyDisk::new(seed);
                let folder = disk.folder();
                if has_old {
                    write(&folder, 1, &old, CHUNK).expect("written");
                }
                disk.crash_after(crash_after);
                let written = write(&folder, 2, &new, CHUNK).is_ok();
                disk.restart();
                let found = read(&folder).expect("never damaged");
                let is = |height, state: &MemoryLeaves| found == Some((height, all(state)));
                let which = match () {
                    () if is(2, &new) => 2,
                    () if !written && has_old && is(1, &old) => 1,
                    () if !written && !has_old && found.is_none() => 0,
                    () => panic!("crash {crash_after}, seed {seed}: {found:?}"),
                };
                seen[which] += 1;
                write(&folder, 3, &new, CHUNK).expect("it goes on");
                assert_eq!(folder.names().expect("names"), ["snapshot"], "one is kept");
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "every case was met: {seen:?}");
}

#[test]
fn a_full_disk_or_a_failing_source_keeps_the_old_one() {
    let disk = FaultyDisk::new(1);
    let (folder, old) = (disk.folder(), state(40, 1));
    write(&folder, 1, &old, CHUNK).expect("written");
    for free in (0..2_000).step_by(50) {
        disk.set_free(Some(free));
        let written = write(&folder, 2, &state(60, 2), CHUNK);
        assert!(matches!(written, Err(IndexError::Disk(DiskError::Full { .. }))), "{free}");
        assert_eq!(read(&folder).expect("whole"), Some((1, all(&old))));
    }
    disk.set_free(None);
    let leaves = all(&old).into_iter().map(Ok).chain([Err(IndexError::Foreign)]);
    let written = Snapshot::write(&folder, Height::new(2), &[2; 70], leaves);
    assert!(matches!(written, Err(IndexError::Foreign)));
    assert_eq!(read(&folder).expect("whole"), Some((1, all(&old))));
    assert_eq!(folder.names().expect("names"), ["snapshot"]);
}

#[test]
fn every_flipped_byte_is_seen_and_its_place_named() {
    let disk = FaultyDisk::new(1);
    let folder = disk.folder();
    let bytes = write(&folder, 1, &state(60, 1), CHUNK).expect("written").bytes;
    let mut last = SnapshotPart::Head;
    for at in 0..bytes as usize {
        for mask in [1, 0x80, 0xff] {
            disk.flip(FILE, at, mask);
            let Err(SnapshotError::Damaged { part, offset }) = read(&folder) else {
                panic!("byte {at} is not missed")
            };
            assert!(offset <= at as u64, "{part} at {offset}, byte {at}");
            last = part;
            disk.flip(FILE, at, mask);
        }
    }
    assert!(matches!(last, SnapshotPart::Buckets(first) if first > 0), "{last}");
    assert!(read(&folder).expect("as before").is_some());
}

#[test]
fn every_length_but_its_own_is_refused() {
    let disk = FaultyDisk::new(1);
    let folder = disk.folder();
    write(&folder, 1, &state(60, 1), CHUNK).expect("written");
    let whole = disk.bytes(FILE).expect("there");
    let replace = |bytes: &[u8]| folder.replace(FILE, |file| file.write_at(0, bytes));
    for len in 0..whole.len() {
        replace(&whole[..len]).expect("written");
        assert!(matches!(read(&folder), Err(SnapshotError::Damaged { .. })), "{len}");
    }
    replace(&[whole.as_slice(), &[0]].concat()).expect("written");
    let refused = read(&folder).expect_err("longer").to_string();
    assert!(refused.contains("what follows its last chunk"), "{refused}");
}

/// A file with one chunk, its checksum right whatever it says.
fn chunk(first: u16, end: u16, len: usize, leaves: &[u8]) -> Vec<u8> {
    let head = chunk_head(first, end, len);
    let crc = crc32(&[&head, leaves]).to_le_bytes();
    [head.as_slice(), &crc, leaves].concat()
}

#[test]
fn what_a_liar_would_write_is_refused() {
    let folder = FaultyDisk::new(1).folder();
    let leaf = |first: u8, len: u32, value: &[u8]| {
        [[first; KEY_BYTES].as_slice(), &len.to_le_bytes(), value].concat()
    };
    let check = |what: &str, chunks: &[Vec<u8>]| {
        let bytes = [vec![head(Height::new(1), &[1; 70])], chunks.to_vec()].concat().concat();
        folder.replace(FILE, |file| file.write_at(0, &bytes)).expect("written");
        let seen = read(&folder);
        if what == "good" {
            seen.expect("good");
        } else {
            assert!(matches!(seen, Err(SnapshotError::Damaged { .. })), "{what}: {seen:?}");
        }
    };
    let (one, two) = (leaf(0x10, 3, b"abc"), leaf(0x20, 0, b""));
    let both = [one.as_slice(), &two].concat();
    check("good", &[chunk(0, 4_096, both.len(), &both)]);
    check("good", &[chunk(0, 0x111, one.len(), &one), chunk(0x111, 4_096, two.len(), &two)]);
    check("a gap", &[chunk(0, 0x111, 0, b""), chunk(0x112, 4_096, 0, b"")]);
    check("buckets twice", &[chunk(0, 0x111, 0, b""), chunk(0x110, 4_096, 0, b"")]);
    check("no buckets", &[chunk(0, 0, 0, b""), chunk(0, 4_096, 0, b"")]);
    check("a bucket too many", &[chunk(0, 4_097, 0, b"")]);
    check("the end is missing", &[chunk(0, 4_095, 0, b"")]);
    check("a foreign leaf", &[chunk(0, 0x101, one.len(), &one), chunk(0x101, 4_096, 0, b"")]);
    let falling = [two.as_slice(), &one].concat();
    check("falling keys", &[chunk(0, 4_096, falling.len(), &falling)]);
    let twice = [one.as_slice(), &one].concat();
    check("a key twice", &[chunk(0, 4_096, twice.len(), &twice)]);
    let long = leaf(0x10, u32::MAX, b"abc");
    check("a long value", &[chunk(0, 4_096, long.len(), &long)]);
    check("a cut leaf", &[chunk(0, 4_096, 20, &one[..20])]);
    check("a long chunk", &[chunk(0, 4_096, u32::MAX as usize, &one)]);
    let huge = vec![0; CHUNK_BYTES_MAX + LEAF_BYTES];
    check("a chunk above the limit", &[chunk(0, 4_096, huge.len(), &huge)]);
    let notes = head(Height::new(1), &vec![1; NOTES_BYTES_MAX + 1]);
    folder.replace(FILE, |file| file.write_at(0, &notes)).expect("written");
    assert!(matches!(
        Snapshot::open(&folder),
        Err(SnapshotError::Damaged { part: SnapshotPart::Head, .. })
    ));
}

#[test]
fn a_bucket_that_no_chunk_takes_is_not_written() {
    let folder = FaultyDisk::new(1).folder();
    let leaves = (0..5_u8).map(|last| {
        let mut key = [0; KEY_BYTES];
        key[KEY_BYTES - 1] = last;
        Ok((LeafKey::new(key), vec![0; 1 << 20]))
    });
    let written = Snapshot::write(&folder, Height::new(1), b"", leaves);
    assert!(matches!(written, Err(IndexError::Crowded(0))), "{written:?}");
    assert!(Snapshot::open(&folder).expect("no error").is_none());
}
