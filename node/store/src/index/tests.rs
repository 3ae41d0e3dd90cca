use super::*;

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
    index.db.insert(b"something", b"else").expect("inserted");
    index.db.flush().expect("flushed");
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
