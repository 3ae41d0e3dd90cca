//! Synthetic fingers from image to vault and back.

use goodwatt_fingerprint::bank;
use goodwatt_fingerprint::extract::{Advice, Print, extract};
use goodwatt_fingerprint::fuse::fuse;
use goodwatt_fingerprint::image::Image;
use goodwatt_fingerprint::random::Seeded;
use goodwatt_fingerprint::synthetic::{Finger, Placement};
use goodwatt_fingerprint::vault::{
    Budget, HELPER_BYTES, Helper, Locked, attempt, choose_k, lock, open,
};

/// Synthetic fingers have more minutiae than most people's, so more have to be right.
const K: usize = 12;

fn prints(finger: u64, numbers: std::ops::Range<u64>) -> Vec<Print> {
    let finger = Finger::grow(finger);
    numbers.map(|n| extract(&finger.place(n, &Placement::usual())).print).collect()
}

fn enrolled(finger: u64) -> Locked {
    let fused = fuse(&prints(finger, 0..5)).expect("five placements");
    lock(&fused, K, &mut Seeded::new(finger)).expect("enough minutiae")
}

#[test]
fn the_finger_opens_its_vault_and_always_gives_the_same_secret() {
    let locked = enrolled(1);
    let mut random = Seeded::new(9);
    let opened: Vec<_> = prints(1, 5..10)
        .iter()
        .filter_map(|print| open(&locked.helper, print, Budget::default(), &mut random))
        .collect();
    assert!(opened.len() >= 4, "{} of 5 opened", opened.len());
    assert!(opened.iter().all(|secret| **secret == *locked.secret));
}

#[test]
fn other_fingers_open_nothing() {
    let locked = enrolled(1);
    let mut random = Seeded::new(9);
    for finger in 2..10 {
        for print in prints(finger, 0..2) {
            let opened = open(&locked.helper, &print, Budget::default(), &mut random);
            assert!(opened.is_none(), "finger {finger} opened");
        }
    }
}

#[test]
fn a_helper_comes_back_from_its_bytes_and_any_bytes_are_one() {
    let locked = enrolled(3);
    let mut random = Seeded::new(1);
    let bytes = locked.helper.encode(&mut random);
    assert_eq!(bytes.len(), HELPER_BYTES);
    let helper = Helper::decode(&bytes).expect("as many bytes as it takes");
    assert_eq!(helper.k(), K);
    let print = &prints(3, 5..6)[0];
    let opened = open(&helper, print, Budget::default(), &mut random).expect("it is the finger");
    assert_eq!(*opened, *locked.secret);
    assert!(Helper::decode(&bytes[1..]).is_none());
    // What a wrong passphrase gives: no panic, no key, a time like any other.
    for seed in 0..64_u64 {
        let mut noise = vec![0; HELPER_BYTES];
        let mut source = Seeded::new(seed);
        noise.fill_with(|| goodwatt_fingerprint::random::Random::next(&mut source) as u8);
        let helper = Helper::decode(&noise).expect("any bytes are a helper");
        assert!(open(&helper, print, Budget { guesses: 1 << 10 }, &mut random).is_none());
    }
}

#[test]
fn a_helper_with_any_byte_flipped_gives_no_other_secret() {
    let locked = enrolled(3);
    let mut random = Seeded::new(1);
    let bytes = locked.helper.encode(&mut random);
    let print = &prints(3, 5..6)[0];
    // All of k, the anchors, the polynomial and its checks; of the cells, which are all of one
    // kind, one byte in seven: all of them take minutes.
    let (cells, words) = (52, HELPER_BYTES - 86);
    for at in (0..cells).chain((cells..words).step_by(7)).chain(words..HELPER_BYTES) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x41;
        let helper = Helper::decode(&flipped).expect("any bytes are a helper");
        let opened = open(&helper, print, Budget { guesses: 1 << 13 }, &mut random);
        // A larger k gives the same polynomial, with nothing in front.
        let same = |secret: &[u16]| {
            let (lower, higher) = secret.split_at(secret.len().min(K));
            *lower == *locked.secret && higher.iter().all(|c| *c == 0)
        };
        assert!(opened.is_none_or(|secret| same(&secret)), "byte {at}");
    }
}

#[test]
fn two_vaults_of_one_finger_have_nothing_in_common() {
    let fused = fuse(&prints(4, 0..5)).expect("five placements");
    let bytes = |seed| {
        let mut random = Seeded::new(seed);
        lock(&fused, K, &mut random).expect("enough minutiae").helper.encode(&mut random).to_vec()
    };
    let (a, b) = (bytes(1), bytes(2));
    // All but k, the anchors and the cells of the minutiae: those are hidden by encryption alone.
    let tail = HELPER_BYTES - 86;
    let same = a[tail..].iter().zip(&b[tail..]).filter(|(a, b)| a == b).count();
    assert!(same < 6, "{same} of 86 bytes are the same, by chance it is one in 256");
}

#[test]
fn k_follows_the_finger_and_no_finger_no_vault() {
    let bank = bank::prints();
    assert_eq!(bank.len(), bank::FINGERS);
    // The bank has the fingers 0 to 999: this one is nobody's in it.
    let locked = enrolled(5_005);
    let (k, bits) = choose_k(&locked, bank.iter(), 32.0).expect("a good finger");
    assert!((7..=14).contains(&k) && bits >= 32.0, "k = {k}, {bits} bits");
    // A finger that is in the bank itself is as weak as it should be found.
    assert!(choose_k(&enrolled(5), bank.iter(), 32.0).is_none());
    assert!(choose_k(&locked, bank.iter(), 200.0).is_none());
    assert!(choose_k(&locked, std::iter::empty(), 32.0).is_none(), "no bank, no promise");
}

#[test]
fn small_images_make_no_vault() {
    let finger = Finger::grow(6);
    let small = |number| {
        let image = finger.place(number, &Placement::usual()).centre(140, 140);
        extract(&image).print
    };
    let placements: Vec<Print> = (0..5).map(small).collect();
    let locked = fuse(&placements).and_then(|fused| lock(&fused, K, &mut Seeded::new(1)));
    let bank = bank::prints();
    let secure = locked.and_then(|locked| choose_k(&locked, bank.iter(), 32.0));
    assert!(secure.is_none(), "{secure:?}");
}

#[test]
fn the_bank_is_what_the_generator_makes() {
    // The file begins with finger 0; a changed generator needs a new file.
    let file = include_bytes!("../bank.bin");
    assert!(file.starts_with(&bank::make(0)), "run the example make_bank");
}

#[test]
fn images_without_a_finger_have_no_minutiae_and_do_no_harm() {
    let check = |pixel: &dyn Fn(usize) -> u8, what: &str| {
        for (width, height) in [(256, 288), (1, 1), (3, 500), (1024, 4)] {
            let pixels = (0..width * height).map(pixel).collect();
            let image = Image::new(width, height, pixels).expect("allowed sides");
            let reading = extract(&image);
            assert!(reading.print.minutiae.len() <= 96, "{what}");
            let fused = fuse(&[reading.print.clone(), reading.print.clone()]);
            let _locked = fused.and_then(|fused| lock(&fused, K, &mut Seeded::new(1)));
        }
    };
    check(&|_| 0, "black");
    check(&|_| 255, "white");
    check(&|i| (i % 16 * 17) as u8, "stripes");
    check(&|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8, "noise");
    let white = Image::new(256, 288, vec![255; 256 * 288]).expect("allowed sides");
    let reading = extract(&white);
    assert_eq!(reading.quality.advice, Advice::NoFinger);
    let locked = enrolled(7);
    let _sets = attempt(&locked.helper, &reading.print);
    let opened = open(&locked.helper, &reading.print, Budget::default(), &mut Seeded::new(1));
    assert!(opened.is_none());
}
