use super::files::ATTEMPTS_MAX;
use super::*;
use crate::snapshot::Snapshot;

fn key(number: u32) -> LeafKey {
    use goodwatt_chain::hash::{Digest32, Domain};
    Digest32::of(Domain::new(b"test"), &[&number.to_be_bytes()])
}

fn changes(numbers: std::ops::Range<u32>, value: &[u8]) -> LeafChanges {
    numbers.map(|number| (key(number), Some(Arc::from(value)))).collect()
}

fn leaf(index: &Index, number: u32) -> Option<Vec<u8>> {
    index.leaf(&key(number)).expect("readable").map(|value| value.to_vec())
}

fn lookups(index: &Index) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let all = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        false
    };
    index.lookups_backwards(all).expect("readable");
    found
}

fn open(path: &Path) -> (Index, IndexReport) {
    Index::open(path).expect("it opens")
}

#[test]
fn what_was_checkpointed_is_there_again_and_the_rest_is_not() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    {
        let (mut index, report) = open(&path);
        assert_eq!((report, index.checkpoint_height()), (IndexReport::default(), None));
        index.commit(Height::new(1), &changes(0..1_000, b"one"));
        index.put_lookup(b"a1", b"x");
        index.checkpoint(Height::new(1), b"notes").expect("on the card");
        index.commit(Height::new(2), &changes(0..10, b"two"));
        index.put_lookup(b"a2", b"y");
        assert_eq!(leaf(&index, 3).as_deref(), Some(b"two".as_slice()));
        assert_eq!(
            lookups(&index),
            [(b"a2".to_vec(), b"y".to_vec()), (b"a1".to_vec(), b"x".to_vec())]
        );
    }
    let (index, report) = open(&path);
    assert_eq!(report, IndexReport::default());
    assert_eq!(index.checkpoint_height(), Some(Height::new(1)));
    assert_eq!(index.notes(), Some(b"notes".as_slice()));
    for number in [0, 3, 999] {
        assert_eq!(leaf(&index, number).as_deref(), Some(b"one".as_slice()));
    }
    assert_eq!(leaf(&index, 1_000), None);
    assert_eq!(lookups(&index), [(b"a1".to_vec(), b"x".to_vec())]);
}

#[test]
fn a_removed_leaf_is_gone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut index, _) = open(&dir.path().join("index"));
    index.commit(Height::new(1), &changes(0..10, b"one"));
    index.checkpoint(Height::new(1), b"").expect("on the card");
    index.commit(Height::new(2), &[(key(4), None)].into_iter().collect());
    assert_eq!(leaf(&index, 4), None);
    index.checkpoint(Height::new(2), b"").expect("on the card");
    drop(index);
    let (index, _) = open(&dir.path().join("index"));
    assert_eq!((leaf(&index, 4), leaf(&index, 5)), (None, Some(b"one".to_vec())));
}

#[test]
fn a_checkpoint_that_reached_only_the_redo_file_is_written_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    {
        let (mut index, _) = open(&path);
        index.commit(Height::new(1), &changes(0..10, b"one"));
        index.checkpoint(Height::new(1), b"1").expect("on the card");
        let value = Some(Arc::from(b"two".as_slice()));
        let redo = Redo {
            base: Some(Height::new(1)),
            height: Height::new(2),
            notes: b"2".to_vec(),
            operations: vec![(leaf_key(&key(3)), value)],
        };
        redo.write(&index.folder).expect("on the card");
    }
    let (index, report) = open(&path);
    assert!(report.redone);
    assert_eq!(index.notes(), Some(b"2".as_slice()));
    assert_eq!(leaf(&index, 3).as_deref(), Some(b"two".as_slice()));
}

#[test]
fn a_torn_redo_file_changes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    {
        let (mut index, _) = open(&path);
        index.commit(Height::new(1), &changes(0..10, b"one"));
        index.checkpoint(Height::new(1), b"1").expect("on the card");
    }
    let file = path.join("redo");
    let mut bytes = fs::read(&file).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).expect("torn");
    let (index, report) = open(&path);
    assert_eq!(report, IndexReport::default());
    assert_eq!(leaf(&index, 3).as_deref(), Some(b"one".as_slice()));
}

#[test]
fn files_that_end_the_process_are_set_aside_and_so_is_foreign_data() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    drop(open(&path));
    fs::write(path.join("opening"), [ATTEMPTS_MAX]).expect("a marker");
    let (index, report) = open(&path);
    assert!(report.set_aside.is_some_and(|why| why.contains("ended the process")));
    assert!(dir.path().join("index.bad").exists());
    let db = index.db().expect("open");
    db.insert(b"something", b"else").expect("inserted");
    db.flush().expect("flushed");
    drop(index);
    let (index, report) = open(&path);
    assert!(report.set_aside.is_some());
    assert_eq!(index.checkpoint_height(), None);
}

#[test]
fn a_deleted_folder_gives_a_fresh_index() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    {
        let (mut index, _) = open(&path);
        for height in [1, 2] {
            index.commit(Height::new(height), &changes(0..10, b"one"));
            index.checkpoint(Height::new(height), b"1").expect("on the card");
        }
    }
    fs::remove_dir_all(path.join("sled")).expect("deleted");
    let (index, report) = open(&path);
    assert_eq!((report, index.checkpoint_height()), (IndexReport::default(), None));
    assert_eq!(leaf(&index, 3), None);
}

#[test]
fn the_cache_keeps_its_limit_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut index, _) = open(&dir.path().join("index"));
    index.cache = RefCell::new(Cache::new(64 * 1_024));
    for round in 0..20_u32 {
        index.commit(Height::new(1), &changes(round * 200..(round + 1) * 200, b"some value"));
        if round % 2 == 0 {
            index.checkpoint(Height::new(round.into()), b"").expect("on the card");
        }
    }
    for number in (0..4_000).step_by(7) {
        assert_eq!(leaf(&index, number).as_deref(), Some(b"some value".as_slice()), "{number}");
    }
    index.cache.borrow_mut().unpin();
    drop(index.bucket(BucketIndex::of(&key(9_999))));
}

/// An index with these leaves and lookups, put there by filling it.
fn filled(path: &Path, leaves: u32, height: u64) -> Index {
    let mut filling = Filling::begin(open(path).0).expect("begun");
    for number in 0..leaves {
        filling.put_leaf(&key(number), b"filled").expect("put");
    }
    // Together more than one batch takes.
    for number in 0..30_u8 {
        filling.put_lookup(&[number], &[number; 24_000]).expect("put");
    }
    filling.finish(Height::new(height), b"notes").expect("on the card")
}

#[test]
fn a_filled_index_is_as_good_as_a_grown_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    let check = |index: &Index| {
        assert_eq!(index.checkpoint_height(), Some(Height::new(9)));
        assert_eq!(index.notes(), Some(b"notes".as_slice()));
        assert_eq!(leaf(index, 999).as_deref(), Some(b"filled".as_slice()));
        assert_eq!((leaf(index, 1_000), lookups(index).len()), (None, 30));
    };
    let mut index = filled(&path, 1_000, 9);
    check(&index);
    index.commit(Height::new(10), &changes(0..10, b"ten"));
    index.checkpoint(Height::new(10), b"ten").expect("on the card");
    assert_eq!(leaf(&index, 3).as_deref(), Some(b"ten".as_slice()));
    // One that holds something is set aside first.
    drop(index);
    drop(filled(&path, 1_000, 9));
    let (index, report) = open(&path);
    assert_eq!(report, IndexReport::default());
    check(&index);
    assert!(dir.path().join("index.bad").exists());
}

#[test]
fn a_filling_that_did_not_end_is_set_aside() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    let mut filling = Filling::begin(open(&path).0).expect("begun");
    for number in 0..1_000 {
        filling.put_leaf(&key(number), b"filled").expect("put");
    }
    drop(filling);
    let (index, report) = open(&path);
    assert!(report.set_aside.is_some_and(|why| why.contains("no checkpoint of its own")));
    assert_eq!((index.checkpoint_height(), leaf(&index, 3)), (None, None));
}

#[test]
fn what_was_left_to_redo_on_another_sled_is_not_redone_on_a_filled_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    let mut index = filled(&path, 10, 9);
    index.commit(Height::new(10), &changes(0..10, b"ten"));
    index.checkpoint(Height::new(10), b"ten").expect("on the card");
    drop(index);
    fs::remove_dir_all(path.join("sled")).expect("deleted");
    drop(filled(&path, 10, 9));
    let (index, report) = open(&path);
    assert_eq!((report.redone, index.checkpoint_height()), (false, Some(Height::new(9))));
}

#[test]
fn a_closed_index_fails_and_another_takes_its_place() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("index");
    let mut closed = filled(&path, 10, 9);
    closed.close("it is too large");
    assert_eq!(closed.failure().as_deref(), Some("it is too large"));
    closed.leaf(&key(3)).expect_err("closed");
    closed.lookups_backwards(|_, _| false).expect_err("closed");
    closed.checkpoint(Height::new(10), b"").expect_err("closed");
    let index = Index::replace_at(&path).expect("fresh");
    assert_eq!((index.checkpoint_height(), leaf(&index, 3)), (None, None));
    assert!(!dir.path().join("index.bad").exists(), "nothing was wrong with it");
    drop((closed, index));
    assert_eq!(open(&path).1, IndexReport::default());
}

#[test]
fn a_snapshot_holds_the_leaves_of_the_checkpoint() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::at(dir.path()).expect("a folder");
    let (mut index, _) = open(&dir.path().join("index"));
    let refused = index.write_snapshot(&folder);
    assert!(matches!(refused, Err(IndexError::NotAtCheckpoint)), "{refused:?}");
    index.commit(Height::new(1), &changes(0..5_000, b"one"));
    index.put_lookup(b"a1", b"x");
    index.checkpoint(Height::new(1), b"notes").expect("on the card");
    let report = index.write_snapshot(&folder).expect("written");
    assert_eq!((report.height, report.leaves), (Height::new(1), 5_000));
    assert_eq!(report.leaf_bytes, 5_000 * 35);
    index.commit(Height::new(2), &changes(0..10, b"two"));
    let refused = index.write_snapshot(&folder);
    assert!(matches!(refused, Err(IndexError::NotAtCheckpoint)), "{refused:?}");

    let snapshot = Snapshot::open(&folder).expect("whole").expect("there");
    assert_eq!((snapshot.height(), snapshot.notes()), (Height::new(1), b"notes".as_slice()));
    let mut filling = Filling::begin(open(&dir.path().join("other")).0).expect("begun");
    for chunk in snapshot.chunks() {
        for (key, value) in chunk.expect("whole") {
            filling.put_leaf(&key, &value).expect("put");
        }
    }
    let other = filling.finish(snapshot.height(), snapshot.notes()).expect("on the card");
    for number in 0..5_000 {
        assert_eq!(leaf(&other, number).as_deref(), Some(b"one".as_slice()), "{number}");
    }
}

#[test]
fn files_that_have_grown_far_above_their_content_are_seen() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::at(dir.path()).expect("a folder");
    let path = dir.path().join("index");
    let (mut index, _) = open(&path);
    let large = vec![7; 1_000];
    for round in 0..30_u32 {
        index.commit(Height::new(1), &changes(round * 1_000..(round + 1) * 1_000, &large));
        index.checkpoint(Height::new(1), b"").expect("on the card");
    }
    let full = index.write_snapshot(&folder).expect("written").leaf_bytes;
    assert_eq!(full, 30_000 * 1_032);
    assert_eq!(index.bloated(full).expect("a size"), None, "30 MB are in it");
    let gone: LeafChanges = (1_000..30_000).map(|number| (key(number), None)).collect();
    index.commit(Height::new(2), &gone);
    index.checkpoint(Height::new(2), b"").expect("on the card");
    let left = index.write_snapshot(&folder).expect("written").leaf_bytes;
    assert_eq!(left, 1_000 * 1_032);
    let size = index.bloated(left).expect("a size");
    assert!(size.is_some_and(|size| size > 16 << 20), "{size:?} for {left}");
}
