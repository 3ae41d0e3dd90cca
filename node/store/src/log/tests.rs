//! The log under crashes, full disks and flipped bytes.

use super::*;
use crate::faulty::FaultyDisk;

/// Small, so that a few blocks fill several segments.
const SMALL: Sizes = Sizes { segment_bytes: 2_000, ahead_bytes: 1_000 };

fn open(disk: &FaultyDisk) -> Result<(BlockLog, OpenReport), LogError> {
    BlockLog::open_sized(disk.folder(), SMALL)
}

/// A block whose bytes follow from its height; some are empty, some longer than a segment.
fn block(height: u64) -> Vec<u8> {
    let len = [0, 1, 300, 77, 1_200, 512, 2_500][height as usize % 7];
    (0..len).map(|n: u64| (n * 7 + height) as u8).collect()
}

fn h(height: u64) -> Height {
    Height::new(height)
}

fn append(log: &mut BlockLog, heights: std::ops::RangeInclusive<u64>) {
    for height in heights {
        log.append(h(height), &block(height)).expect("nothing is wrong");
    }
}

/// A log of blocks 5 to 44.
fn filled(seed: u64) -> FaultyDisk {
    let disk = FaultyDisk::new(seed);
    append(&mut open(&disk).expect("empty").0, 5..=44);
    disk
}

fn check_holds(log: &BlockLog, heights: std::ops::RangeInclusive<u64>) {
    assert_eq!((log.first(), log.tip()), (Some(h(*heights.start())), Some(h(*heights.end()))));
    for height in heights.clone() {
        assert_eq!(log.read(h(height)).expect("sound"), Some(block(height)), "{height}");
    }
    for from in [0, *heights.start() + 3, *heights.end(), heights.end() + 1] {
        let got: Vec<_> = log.blocks_from(h(from)).map(|read| read.expect("sound")).collect();
        let want: Vec<_> =
            heights.clone().filter(|n| *n >= from).map(|n| (h(n), block(n))).collect();
        assert_eq!(got, want, "from {from}");
    }
}

fn segment_names(disk: &FaultyDisk) -> Vec<String> {
    disk.folder().names().expect("the power is on")
}

#[test]
fn blocks_are_read_back_before_and_after_opening_again() {
    let disk = FaultyDisk::new(1);
    let (mut log, report) = open(&disk).expect("empty");
    assert_eq!(report, OpenReport::default());
    append(&mut log, 5..=44);
    check_holds(&log, 5..=44);
    drop(log);
    let (mut log, report) = open(&disk).expect("sound");
    assert_eq!(report, OpenReport { tip: Some(h(44)), torn_bytes: 0 });
    append(&mut log, 45..=60);
    check_holds(&log, 5..=60);
    assert_eq!(log.read(h(4)).expect("no error"), None);
    assert_eq!(log.read(h(61)).expect("no error"), None);
    let report = BlockLog::verify(&disk.folder()).expect("sound");
    assert_eq!((report.blocks, report.first, report.tip), (56, Some(h(5)), Some(h(60))));
}

#[test]
fn a_caller_cannot_leave_a_gap_or_write_too_much() {
    let disk = filled(1);
    let mut log = open(&disk).expect("sound").0;
    for got in [0, 44, 46] {
        let refused = log.append(h(got), b"").expect_err("not the next");
        assert!(matches!(refused, LogError::NotNext { want, .. } if want == h(45)));
    }
    let refused = log.append(h(45), &vec![0; PAYLOAD_BYTES_MAX + 1]).expect_err("too large");
    assert!(matches!(refused, LogError::TooLarge { .. }));
    log.append(h(45), &vec![0; PAYLOAD_BYTES_MAX]).expect("just fits");
}

#[test]
fn every_flipped_byte_is_named() {
    let disk = FaultyDisk::new(1);
    append(&mut open(&disk).expect("empty").0, 5..=12);
    let names = segment_names(&disk);
    assert!(names.len() > 2);
    for name in names {
        let bytes = disk.bytes(&name).expect("there");
        let used = bytes.iter().rposition(|byte| *byte != 0).expect("not empty") + 1;
        // Of the zeros written ahead a sample is enough.
        for at in (0..used).chain((used..bytes.len()).step_by(997)) {
            disk.flip(&name, at, 0x21);
            let error = BlockLog::verify(&disk.folder()).expect_err("a byte is wrong");
            let VerifyError::Bad(bad) = error else { panic!("{error}") };
            assert_eq!(bad.file, name, "byte {at}");
            if bad.exact {
                assert_eq!(bad.offset, at as u64, "{bad}");
            } else {
                let in_footer = bad.offset + 12 + 4 * 16 > used as u64;
                assert!(in_footer || at >= used, "{bad}, but it is byte {at}");
            }
            disk.flip(&name, at, 0x21);
        }
    }
    BlockLog::verify(&disk.folder()).expect("all is as it was");
}

#[test]
fn a_flipped_byte_is_never_read_as_a_block() {
    let disk = filled(1);
    let log = open(&disk).expect("sound").0;
    for name in segment_names(&disk) {
        let bytes = disk.bytes(&name).expect("there");
        for at in (0..bytes.len().min(2_500)).step_by(13) {
            disk.flip(&name, at, 0x80);
            for height in 5..=44 {
                match log.read(h(height)) {
                    Ok(read) => assert_eq!(read, Some(block(height)), "{name}, byte {at}"),
                    Err(LogError::Damaged(damage)) => assert_eq!(damage.file, name),
                    Err(other) => panic!("{other}"),
                }
            }
            disk.flip(&name, at, 0x80);
        }
    }
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let disk = FaultyDisk::new(1);
    append(&mut open(&disk).expect("empty").0, 7..=10);
    let name = segment_names(&disk).pop().expect("one");
    let bytes = disk.bytes(&name).expect("there");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("not empty") + 1;
    for len in 0..used {
        for zeros in [0, 700] {
            let mut file = disk.folder().open(&name, Access::Write).expect("there");
            file.set_size(0).expect("cut");
            file.write_at(0, &bytes[..len]).expect("written");
            file.set_size(len as u64 + zeros).expect("zeros behind");
            let (mut log, report) = open(&disk).expect("only the tail is torn");
            let tip = log.tip().map_or(6, Height::get);
            // Where nothing is left the file is gone, and anything may come first.
            append(&mut log, tip + 1..=12);
            drop(log);
            let (log, again) = open(&disk).expect("sound");
            assert_eq!(again.torn_bytes, 0);
            check_holds(&log, 7..=12);
            assert!(report.torn_bytes <= len as u64);
            BlockLog::verify(&disk.folder()).expect("sound");
            for other in segment_names(&disk).into_iter().filter(|other| *other != name) {
                disk.folder().remove(&other).expect("removed");
            }
        }
    }
}

#[test]
fn damage_in_the_middle_is_refused_named_and_healed() {
    let disk = FaultyDisk::new(1);
    append(&mut open(&disk).expect("empty").0, 5..=44);
    let log = open(&disk).expect("sound").0;
    let places: Vec<_> = log
        .segments
        .iter()
        .filter(|segment| segment.count > 1)
        .map(|segment| (segment.name(), segment.first, segment::HEADER_BYTES))
        .collect();
    drop(log);
    assert!(places.len() > 3);
    for (name, height, offset) in places {
        let sound = disk.bytes(&name).expect("there");
        for at in [offset, offset + 5, offset + 9, offset + 21] {
            disk.flip(&name, at, 4);
            let error = open(&disk).and_then(|(log, _)| log.read(height));
            let Err(LogError::Damaged(damage)) = error else { panic!("{error:?}") };
            assert_eq!(damage, Damage { height, file: name.clone(), offset: offset as u64 });
            BlockLog::heal(&disk.folder(), height, &[block(height.get())]).expect("healed");
            let mut healed = disk.bytes(&name).expect("there");
            healed.resize(healed.len().max(sound.len()), 0);
            assert_eq!(healed, sound, "{name}, byte {at}");
            check_holds(&open(&disk).expect("sound").0, 5..=44);
        }
    }
    BlockLog::verify(&disk.folder()).expect("sound");
}

#[test]
fn healing_may_put_a_block_of_another_length() {
    let disk = filled(1);
    let name = segment::name(h(5));
    disk.flip(&name, segment::HEADER_BYTES, 1);
    BlockLog::heal(&disk.folder(), h(5), &[b"another certificate".to_vec()]).expect("healed");
    let log = open(&disk).expect("sound").0;
    assert_eq!(log.read(h(5)).expect("sound"), Some(b"another certificate".to_vec()));
    assert_eq!(log.blocks_from(h(6)).filter(Result::is_ok).count(), 39);
    BlockLog::verify(&disk.folder()).expect("sound");
}

#[test]
fn a_log_is_cut_at_any_height() {
    for height in 5..=45 {
        let disk = filled(1);
        BlockLog::cut_from(&disk.folder(), h(height)).expect("cut");
        let (mut log, report) = open(&disk).expect("sound");
        assert_eq!(report.torn_bytes, 0);
        append(&mut log, height..=46);
        check_holds(&log, 5..=46);
        BlockLog::verify(&disk.folder()).expect("sound");
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let disk = filled(1);
    let names = segment_names(&disk);
    disk.folder().remove(&names[2]).expect("removed");
    let missing = segment::first_of(&names[2]).expect("a segment");
    let Err(LogError::Damaged(damage)) = open(&disk) else { panic!("a gap went unseen") };
    assert_eq!(damage.height, missing);
    BlockLog::verify(&disk.folder()).expect_err("a gap");
}

#[test]
fn old_segments_are_pruned_whole() {
    let disk = filled(1);
    let mut log = open(&disk).expect("sound").0;
    log.prune_below(h(30)).expect("pruned");
    let first = log.first().expect("not empty").get();
    assert!((20..=30).contains(&first), "{first}");
    check_holds(&log, first..=44);
    log.prune_below(h(1_000)).expect("pruned");
    assert_eq!(log.tip(), Some(h(44)));
    drop(log);
    let mut log = open(&disk).expect("sound").0;
    append(&mut log, 45..=45);
}

#[test]
fn a_full_disk_loses_nothing_and_may_be_tried_again() {
    // Each amount of free space fails another write: of a record, of zeros ahead, of a footer.
    for free in (0..9_000).step_by(83) {
        let disk = FaultyDisk::new(1);
        let mut log = open(&disk).expect("empty").0;
        disk.set_free(Some(free));
        let mut height = 1;
        let mut refused = 0;
        while height <= 20 {
            match log.append(h(height), &block(height)) {
                Ok(()) => height += 1,
                Err(LogError::Disk(DiskError::Full { .. })) => {
                    refused += 1;
                    assert!(refused < 3, "free {free}");
                    if let Some(tip) = log.tip() {
                        assert_eq!(tip, h(height - 1));
                        check_holds(&log, 1..=height - 1);
                    }
                    disk.set_free(if refused == 1 { Some(300) } else { None });
                }
                Err(other) => panic!("{other}"),
            }
        }
        drop(log);
        let (log, report) = open(&disk).expect("sound");
        assert_eq!(report.torn_bytes, 0);
        check_holds(&log, 1..=20);
        BlockLog::verify(&disk.folder()).expect("sound");
    }
}

#[test]
fn a_failed_sync_is_no_block() {
    for fails in 0..12 {
        let disk = FaultyDisk::new(fails);
        let mut log = open(&disk).expect("empty").0;
        append(&mut log, 1..=fails);
        disk.fail_syncs(1);
        log.append(h(fails + 1), &block(fails + 1)).expect_err("the sync failed");
        assert_eq!(log.tip().map_or(0, Height::get), fails);
        append(&mut log, fails + 1..=14);
        disk.restart();
        check_holds(&open(&disk).expect("sound").0, 1..=14);
    }
}

#[test]
fn a_read_only_disk_is_told_apart() {
    let disk = filled(1);
    let mut log = open(&disk).expect("sound").0;
    disk.set_read_only(true);
    let refused = log.append(h(45), b"x").expect_err("read-only");
    assert!(matches!(refused, LogError::Disk(DiskError::ReadOnly { .. })));
    check_holds(&log, 5..=44);
    BlockLog::verify(&disk.folder()).expect("reading is enough");
    assert!(matches!(open(&disk), Err(LogError::Disk(DiskError::ReadOnly { .. }))));
}

/// Cuts the power in the middle of every single operation, several times each: no block that was
/// acknowledged is lost or changed, and at most the one in flight is there besides.
#[test]
fn no_acknowledged_block_is_lost_at_any_crash() {
    let operations = {
        let disk = FaultyDisk::new(0);
        append(&mut open(&disk).expect("empty").0, 1..=16);
        disk.operations()
    };
    for crash_after in 0..operations {
        for seed in 0..3 {
            let disk = FaultyDisk::new(seed * 7_919 + crash_after);
            let mut log = open(&disk).expect("empty").0;
            disk.crash_after(crash_after);
            let mut acknowledged = 0;
            while log.append(h(acknowledged + 1), &block(acknowledged + 1)).is_ok() {
                acknowledged += 1;
            }
            assert!(disk.is_crashed());
            disk.restart();
            let (mut log, _) = open(&disk)
                .unwrap_or_else(|error| panic!("seed {seed}, operation {crash_after}: {error}"));
            let tip = log.tip().map_or(0, Height::get);
            assert!(tip == acknowledged || tip == acknowledged + 1, "{tip}, {acknowledged}");
            append(&mut log, tip + 1..=18);
            check_holds(&log, 1..=18);
            drop(log);
            check_holds(&open(&disk).expect("sound").0, 1..=18);
            BlockLog::verify(&disk.folder()).expect("sound");
        }
    }
}

#[test]
fn many_blocks_are_appended_with_few_syncs() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk).expect("empty").0;
    append(&mut log, 5..=9);
    let blocks: Vec<Vec<u8>> = (10..=60).map(block).collect();
    log.append_all(h(10), &blocks).expect("nothing is wrong");
    check_holds(&log, 5..=60);
    let refused = log.append_all(h(10), &blocks).expect_err("they are there");
    assert!(matches!(refused, LogError::NotNext { want, .. } if want == h(61)));
    drop(log);
    let (mut log, report) = open(&disk).expect("sound");
    assert_eq!(report, OpenReport { tip: Some(h(60)), torn_bytes: 0 });
    append(&mut log, 61..=70);
    log.append_all(h(71), &[]).expect("nothing to do");
    check_holds(&log, 5..=70);
}

#[test]
fn after_a_crash_among_many_blocks_the_log_ends_before_the_first_one_lost() {
    let mut cut_inside = 0;
    for seed in 0..60 {
        for crash_after in 0..12 {
            let disk = FaultyDisk::new(seed);
            let mut log = open(&disk).expect("empty").0;
            append(&mut log, 5..=9);
            let blocks: Vec<Vec<u8>> = (10..=40).map(block).collect();
            disk.crash_after(crash_after);
            let whole = log.append_all(h(10), &blocks).is_ok();
            let known = log.tip().map_or(0, Height::get);
            drop(log);
            disk.restart();
            let (mut log, _) = open(&disk).expect("a crash is no damage");
            let tip = log.tip().expect("the first five").get();
            assert!(tip >= known && (!whole || tip == 40), "{tip} of {known}");
            cut_inside += u32::from((10..40).contains(&tip));
            check_holds(&log, 5..=tip);
            append(&mut log, tip + 1..=45);
            drop(log);
            check_holds(&open(&disk).expect("sound").0, 5..=45);
        }
    }
    assert!(cut_inside > 20, "{cut_inside}");
}

#[test]
fn damage_below_many_blocks_is_still_damage() {
    let disk = FaultyDisk::new(3);
    let mut log = open(&disk).expect("empty").0;
    append(&mut log, 7..=8);
    log.append_all(h(9), &(9..=10).map(block).collect::<Vec<_>>()).expect("nothing is wrong");
    drop(log);
    // The header of the first record, which was appended alone.
    disk.flip(&segment_names(&disk)[0], 16, 1);
    assert!(matches!(open(&disk), Err(LogError::Damaged(bad)) if bad.height == h(7)));
}

#[test]
fn damage_in_a_row_is_healed_at_once_and_nothing_behind_it_is_lost() {
    let disk = FaultyDisk::new(1);
    // Blocks 7 to 11 lie in one segment.
    append(&mut open(&disk).expect("empty").0, 7..=20);
    let name = segment_names(&disk)[0].clone();
    let offset = |height: u64| 16 + (7..height).map(|h| 24 + block(h).len()).sum::<usize>();
    for at in [offset(8) + 2, offset(9) + 2, offset(9) + 30] {
        disk.flip(&name, at, 4);
    }
    let bad = Damage { height: h(8), file: name.clone(), offset: offset(8) as u64 };
    let (behind, payload) = BlockLog::behind(&disk.folder(), &bad).expect("no fault").expect("10");
    assert_eq!((behind, payload), (h(10), block(10)));
    let (blocks, damaged) = ([block(8), block(9)], disk.bytes(&name).expect("there"));
    BlockLog::heal(&disk.folder(), h(8), &blocks).expect("healed");
    check_holds(&open(&disk).expect("sound").0, 7..=20);
    // One after the other does as well.
    disk.folder()
        .replace::<DiskError>(&name, |file| file.write_at(0, &damaged))
        .expect("as it was");
    BlockLog::heal(&disk.folder(), h(8), &blocks[..1]).expect("healed");
    assert!(matches!(
        open(&disk).expect("its footer is good").0.read(h(9)),
        Err(LogError::Damaged(_))
    ));
    BlockLog::heal(&disk.folder(), h(9), &blocks[1..]).expect("healed");
    check_holds(&open(&disk).expect("sound").0, 7..=20);
}

#[test]
fn a_log_that_is_open_is_healed_too() {
    let disk = FaultyDisk::new(1);
    let mut log = open(&disk).expect("empty").0;
    append(&mut log, 7..=44);
    let name = segment_names(&disk)[0].clone();
    disk.flip(&name, 16 + 24 + 24, 4);
    assert!(matches!(log.read(h(8)), Err(LogError::Damaged(_))));
    log.heal_open(h(8), &[block(8)]).expect("healed");
    check_holds(&log, 7..=44);
    append(&mut log, 45..=50);
    check_holds(&log, 7..=50);
}
