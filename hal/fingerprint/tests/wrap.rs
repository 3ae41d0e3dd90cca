//! The root under finger, PIN and board, and what happens to whoever tries.

use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use goodwatt_fingerprint::device::{DeviceSecret, SecretFile};
use goodwatt_fingerprint::extract::{Print, extract};
use goodwatt_fingerprint::fuse::fuse;
use goodwatt_fingerprint::random::Seeded;
use goodwatt_fingerprint::synthetic::{Finger, Placement};
use goodwatt_fingerprint::throttle::{TRIES, Throttle, ThrottleError};
use goodwatt_fingerprint::vault::{Budget, Locked, lock};
use goodwatt_fingerprint::wrap::{Mode, WrapError, Wrapped};

const ROOT: [u8; 32] = [7; 32];
const PIN: &[u8] = b"4711";

fn prints(finger: u64, numbers: std::ops::Range<u64>) -> Vec<Print> {
    let finger = Finger::grow(finger);
    numbers.map(|n| extract(&finger.place(n, &Placement::usual())).print).collect()
}

/// Five placements and one more of finger 1, and one of finger 2.
fn fingers() -> &'static (Vec<Print>, Print, Print) {
    static FINGERS: OnceLock<(Vec<Print>, Print, Print)> = OnceLock::new();
    FINGERS.get_or_init(|| (prints(1, 0..5), prints(1, 5..6).remove(0), prints(2, 0..1).remove(0)))
}

fn vault(seed: u64) -> Locked {
    let fused = fuse(&fingers().0).expect("five placements");
    // Synthetic fingers have more minutiae than most people's, so more have to be right.
    lock(&fused, 12, &mut Seeded::new(seed)).expect("enough minutiae")
}

fn device(folder: &Path, name: &str) -> SecretFile {
    SecretFile::create(&folder.join(name)).expect("a new secret")
}

#[test]
fn finger_pin_and_board_together_open_and_nothing_less_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (device(folder.path(), "own"), device(folder.path(), "other"));
    let path = folder.path().join("finger");
    let wrapped = Wrapped::seal(&ROOT, PIN, &own, Some(&vault(1))).expect("sealed");
    wrapped.store(&path, &own).expect("stored");
    let wrapped = Wrapped::load(&path, &own).expect("this board's");
    assert_eq!(wrapped.mode(), Mode::Finger);
    let (_, right, wrong) = fingers();
    let open = |pin: &[u8], print: Option<&Print>, device: &dyn DeviceSecret| {
        wrapped.open(pin, device, print, Budget::default())
    };
    assert_eq!(*open(PIN, Some(right), &own).expect("all three are right"), ROOT);
    assert!(matches!(open(b"4712", Some(right), &own), Err(WrapError::Wrong)));
    assert!(matches!(open(PIN, Some(wrong), &own), Err(WrapError::Wrong)));
    assert!(matches!(open(PIN, None, &own), Err(WrapError::Wrong)));
    assert!(matches!(open(PIN, Some(right), &other), Err(WrapError::Wrong)));
    assert!(matches!(Wrapped::load(&path, &other), Err(WrapError::OtherBoard { .. })));
}

/// What this thread used of a core so far.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_wrong_pin_takes_as_long_as_a_wrong_finger() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let wrapped = Wrapped::seal(&ROOT, PIN, &own, Some(&vault(1))).expect("sealed");
    let (_, right, wrong) = fingers();
    let time = |pin: &[u8], print: &Print| {
        let begin = processor_time();
        assert!(wrapped.open(pin, &own, Some(print), Budget::default()).is_err());
        processor_time() - begin
    };
    let (pin, finger) = (time(b"4712", right), time(PIN, wrong));
    assert!(pin < 4 * finger && finger < 4 * pin, "PIN {pin:?}, finger {finger:?}");
}

#[test]
fn without_a_sensor_the_passphrase_and_the_board_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let path = folder.path().join("finger");
    let wrapped = Wrapped::seal(&ROOT, b"correct horse", &own, None).expect("sealed");
    wrapped.store(&path, &own).expect("stored");
    let wrapped = Wrapped::load(&path, &own).expect("this board's");
    assert_eq!(wrapped.mode(), Mode::Passphrase);
    let open = |pin: &[u8]| wrapped.open(pin, &own, None, Budget::default());
    assert_eq!(*open(b"correct horse").expect("right"), ROOT);
    assert!(matches!(open(b"wrong horse"), Err(WrapError::Wrong)));
}

#[test]
fn a_file_with_any_byte_flipped_or_missing_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let path = folder.path().join("finger");
    for vault in [None, Some(&vault(1))] {
        let wrapped = Wrapped::seal(&ROOT, PIN, &own, vault).expect("sealed");
        wrapped.store(&path, &own).expect("stored");
        let whole = std::fs::read(&path).expect("it is there");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).expect("written");
            assert!(Wrapped::load(&path, &own).is_err(), "byte {at}");
        }
        for length in [0, 1, 50, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert!(Wrapped::load(&path, &own).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn enrolling_anew_keeps_the_root_and_shares_no_block_with_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let path = folder.path().join("finger");
    let file = |seed, pin: &[u8]| {
        let wrapped = Wrapped::seal(&ROOT, pin, &own, Some(&vault(seed))).expect("sealed");
        wrapped.store(&path, &own).expect("stored");
        std::fs::read(&path).expect("it is there")
    };
    let (a, b) = (file(1, PIN), file(2, b"0815"));
    let wrapped = Wrapped::load(&path, &own).expect("this board's");
    let right = Some(&fingers().1);
    assert_eq!(*wrapped.open(b"0815", &own, right, Budget::default()).expect("right"), ROOT);
    assert!(wrapped.open(PIN, &own, right, Budget::default()).is_err(), "the old PIN is gone");
    let same = a.chunks(8).zip(b.chunks(8)).skip(2).filter(|(a, b)| a == b).count();
    assert_eq!(same, 0, "blocks of eight bytes in common");
    Wrapped::revoke(&path).expect("destroyed");
    assert!(!path.exists());
}

#[test]
fn what_an_interrupted_writing_leaves_is_the_old_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let path = folder.path().join("finger");
    let wrapped = Wrapped::seal(&ROOT, PIN, &own, None).expect("sealed");
    wrapped.store(&path, &own).expect("stored");
    let whole = std::fs::read(&path).expect("it is there");
    for length in [0, 1, whole.len() / 2, whole.len()] {
        // The plug was pulled before the new file took the old one's place.
        std::fs::write(folder.path().join("finger.new"), &whole[..length]).expect("written");
        let old = Wrapped::load(&path, &own).expect("the old one is whole");
        assert!(old.open(PIN, &own, None, Budget::default()).is_ok());
        wrapped.store(&path, &own).expect("and can be replaced");
    }
}

#[test]
fn wrong_tries_cost_time_and_ten_are_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (device(folder.path(), "own"), device(folder.path(), "other"));
    let path = folder.path().join("tries");
    let throttle = Throttle::at(&path);
    throttle.reset(&own).expect("stored");
    let now = RefCell::new(1_000_000);
    let mut waited = 0;
    for count in 1..=TRIES {
        loop {
            let at = *now.borrow();
            match throttle.begin(at, &own) {
                Ok(tries) => break assert_eq!(tries.wrong, count),
                Err(ThrottleError::Wait { seconds, .. }) => {
                    waited += seconds;
                    *now.borrow_mut() += seconds;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(waited, 2 + 5 + 15 + 30 + 60 + 300 + 900);
    let later = *now.borrow() + 1_000_000;
    assert!(matches!(throttle.begin(later, &own), Err(ThrottleError::WordsOnly)));
    assert!(matches!(throttle.tries(&other), Err(ThrottleError::Forged { .. })));
    let whole = std::fs::read(&path).expect("it is there");
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).expect("written");
        assert!(matches!(throttle.begin(later, &own), Err(ThrottleError::Forged { .. })));
    }
    std::fs::remove_file(&path).expect("it was there");
    assert!(matches!(throttle.begin(later, &own), Err(ThrottleError::Forged { .. })));
}

#[test]
fn a_clock_set_back_does_not_lock_for_years() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = device(folder.path(), "own");
    let throttle = Throttle::at(&folder.path().join("tries"));
    throttle.reset(&own).expect("stored");
    (0..3).for_each(|_| assert!(throttle.begin(2_000_000_000, &own).is_ok()));
    let error = throttle.begin(1_000, &own).expect_err("it has to wait");
    assert!(matches!(error, ThrottleError::Wait { seconds: 2, .. }), "{error}");
    assert!(throttle.begin(1_002, &own).is_ok());
}

#[test]
fn a_device_secret_is_made_once_and_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own");
    let key = |secret: &SecretFile| secret.key("a purpose").map(|key| *key);
    let first = key(&device(folder.path(), "own")).expect("a key");
    assert_eq!(key(&device(folder.path(), "own")).expect("the same"), first);
    assert_ne!(*device(folder.path(), "own").key("another").expect("a key"), first);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
    assert!(key(&SecretFile::at(&path)).is_err(), "others may read it");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
    for length in [0, 31, 33] {
        std::fs::write(&path, vec![1; length]).expect("written");
        assert!(key(&SecretFile::at(&path)).is_err(), "{length} bytes");
    }
}
