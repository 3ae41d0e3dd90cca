//! From the glass to the root with a sensor that fails or lies: there is no key but the right one,
//! nothing panics, and everything ends.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use goodwatt_fingerprint::bank;
use goodwatt_fingerprint::bench::SECURITY_BITS;
use goodwatt_fingerprint::device::SecretFile;
use goodwatt_fingerprint::extract::{Print, extract};
use goodwatt_fingerprint::fuse::fuse;
use goodwatt_fingerprint::image::Image;
use goodwatt_fingerprint::random::Seeded;
use goodwatt_fingerprint::replay::{ReplayError, Seen};
use goodwatt_fingerprint::sensor::{Driver, Fault, SensorError, Simulator, Wire, large_enough};
use goodwatt_fingerprint::synthetic::{Finger, Placement};
use goodwatt_fingerprint::vault::{Budget, K_MAX, Locked, attempt, choose_k, lock};
use goodwatt_fingerprint::wrap::{WrapError, Wrapped};

const ROOT: [u8; 32] = [7; 32];
const PIN: &[u8] = b"4711";
/// Longest that anything a sensor does may last: three transfers, and listening until it is quiet
/// after each. A transfer of its own may take a minute; none here does.
const LONGEST: Duration = Duration::from_secs(45);

/// How an attempt to get the root ended.
#[derive(Debug)]
enum End {
    Root,
    Sensor(SensorError),
    Wrong,
    Replayed,
}

/// The owner's finger; those below a thousand are in the bank, and make no vault.
const OWNER: u64 = 5_005;
/// Somebody else's, of whose placements none has any chance against the vault.
const STRANGER: u64 = 5_006;

/// Five placements of the owner and a vault of them, as enrolment makes it.
fn enrolled() -> &'static (Vec<Print>, Locked) {
    static ENROLLED: OnceLock<(Vec<Print>, Locked)> = OnceLock::new();
    ENROLLED.get_or_init(|| {
        let prints: Vec<Print> =
            (0..5).map(|number| extract(&place(OWNER, number)).print).collect();
        let random = &mut Seeded::new(1);
        let fused = fuse(&prints).expect("five placements");
        let mut vault = lock(&fused, K_MAX, random).expect("enough minutiae");
        let (k, _) = choose_k(&vault, bank::prints().iter(), SECURITY_BITS).expect("a good finger");
        vault.set_k(k, random);
        (prints, vault)
    })
}

/// A key under the owner's finger, with all that belongs to it.
struct Owner {
    wrapped: Wrapped,
    device: SecretFile,
    seen: Seen,
}

fn place(finger: u64, number: u64) -> Image {
    Finger::grow(finger).place(number, &Placement::usual())
}

impl Owner {
    fn enrol(folder: &Path) -> Self {
        let (prints, vault) = enrolled();
        let device = SecretFile::create(&folder.join("device")).expect("a new secret");
        let wrapped = Wrapped::seal(&ROOT, PIN, &device, Some(vault)).expect("sealed");
        let seen = Seen::at(&folder.join("seen"));
        seen.begin(&ROOT, prints, false).expect("stored");
        Self { wrapped, device, seen }
    }

    /// One placement on a sensor, with the right PIN.
    fn attempt(&self, driver: &mut Driver<Wire>) -> End {
        let image = driver
            .wait_for_finger(Duration::from_secs(5), &|| false)
            .and_then(|()| driver.image())
            .and_then(|image| large_enough(image.width(), image.height()).map(|()| image));
        let image = match image {
            Ok(image) => image,
            Err(error) => return End::Sensor(error),
        };
        let print = extract(&image).print;
        let root = match self.wrapped.open(PIN, &self.device, Some(&print), Budget::default()) {
            Ok(root) => root,
            Err(WrapError::Wrong) => return End::Wrong,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(*root, ROOT, "another root came out");
        match self.seen.admit(&root, &print) {
            Ok(()) => End::Root,
            Err(ReplayError::Replayed) => End::Replayed,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Three placements of a finger on a sensor with a fault, or why there is no sensor.
fn attempts(owner: &Owner, finger: u64, fault: Option<Fault>) -> Vec<End> {
    let images = (5..8).map(|number| place(finger, number)).collect();
    let wire = Wire::to(Simulator::new(images, fault));
    let begin = Instant::now();
    let ends = match Driver::probe(wire, "simulated") {
        Ok(mut driver) => (0..3)
            .map(|_| {
                let end = owner.attempt(&mut driver);
                // A sensor that lost its wits says so; whether a finger still lies there is nothing.
                driver.wait_for_lift(Duration::from_secs(5), &|| false).ok();
                end
            })
            .collect(),
        Err(error) => vec![End::Sensor(error)],
    };
    assert!(begin.elapsed() < 3 * LONGEST, "{fault:?} took {:?}", begin.elapsed());
    ends
}

#[test]
fn the_stranger_of_these_tests_has_no_chance() {
    let (_, vault) = enrolled();
    let guesses = Budget::default().guesses;
    for number in 5..8 {
        let print = extract(&place(STRANGER, number)).print;
        let (_, chance) = attempt(&vault.helper, &print).odds(vault, vault.helper.k(), guesses);
        assert_eq!(chance, 0.0, "placement {number}: k = {}", vault.helper.k());
    }
}

#[test]
fn no_fault_of_a_sensor_gives_a_key_to_another_finger() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner::enrol(folder.path());
    std::thread::scope(|scope| {
        for (name, fault) in Fault::ALL {
            let owner = &owner;
            scope.spawn(move || {
                for end in attempts(owner, STRANGER, Some(fault)) {
                    assert!(matches!(end, End::Sensor(_) | End::Wrong), "{name}: {end:?}");
                }
            });
        }
    });
}

#[test]
fn a_sensor_that_says_match_ok_gives_no_key_even_to_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner::enrol(folder.path());
    for end in attempts(&owner, OWNER, Some(Fault::Liar)) {
        assert!(matches!(end, End::Sensor(SensorError::Refused { .. })), "{end:?}");
    }
}

#[test]
fn the_owner_opens_and_a_recorded_image_does_not_open_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner::enrol(folder.path());
    let ends = attempts(&owner, OWNER, None);
    assert!(ends.iter().all(|end| matches!(end, End::Root | End::Wrong)), "{ends:?}");
    // The first of them was placement 5, and that is what these two play again.
    assert!(matches!(ends[0], End::Root), "{ends:?}");
    for fault in [Fault::Replay, Fault::ReplayWithNoise] {
        for end in attempts(&owner, OWNER, Some(fault)) {
            assert!(matches!(end, End::Replayed | End::Wrong), "{fault:?}: {end:?}");
        }
    }
    // Nor does the image of an enrolment.
    let images = vec![place(OWNER, 0)];
    let wire = Wire::to(Simulator::new(images, None));
    let mut driver = Driver::probe(wire, "simulated").expect("a sensor");
    let end = owner.attempt(&mut driver);
    assert!(matches!(end, End::Replayed), "{end:?}");
}

#[test]
fn sensors_with_small_images_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Owner::enrol(folder.path());
    for (width, height) in [(192, 192), (140, 140)] {
        let images = vec![place(OWNER, 5).centre(width, height)];
        let wire = Wire::to(Simulator::new(images, None));
        let mut driver = Driver::probe(wire, "simulated").expect("a sensor");
        let told = driver.identity().size.expect("it tells");
        assert!(large_enough(told.0, told.1).is_err(), "known before a finger is laid down");
        let End::Sensor(error) = owner.attempt(&mut driver) else { panic!("it was taken") };
        let text = error.to_string();
        assert!(text.contains(&format!("{width} x {height}")), "{text}");
        assert!(text.contains("256 x 288") && text.contains("passphrase"), "{text}");
    }
    assert!(large_enough(256, 288).is_ok());
}
