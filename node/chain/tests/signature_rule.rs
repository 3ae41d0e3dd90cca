//! One signature rule: ZIP-215, the same alone, in every batch, and in another implementation.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::signature::{Batch, PublicKey, Signature, SigningKey, verify};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[derive(Clone, Copy, Debug)]
struct Signed {
    key: PublicKey,
    digest: Digest32,
    signature: Signature,
}

impl Signed {
    fn by(seed: u8, digest: u8) -> Self {
        let (key, digest) = (SigningKey::from_seed(&[seed; 32]), Digest32::new([digest; 32]));
        Self { key: key.public(), digest, signature: key.sign(&digest) }
    }

    fn with_bytes(self, change: impl FnOnce(&mut [u8; 64])) -> Self {
        let mut bytes = self.signature.to_bytes();
        change(&mut bytes);
        Self { signature: Signature::from_bytes(bytes), ..self }
    }

    fn is_valid(&self) -> bool {
        verify(&self.key, &self.digest, &self.signature)
    }
}

/// What the reference implementation of ZIP-215 says.
fn reference(signed: &Signed) -> bool {
    let signature = ed25519_zebra::Signature::from_bytes(&signed.signature.to_bytes());
    ed25519_zebra::VerificationKey::try_from(*signed.key.as_bytes())
        .and_then(|key| key.verify(&signature, signed.digest.as_bytes()))
        .is_ok()
}

fn batch_of<'a>(all: impl IntoIterator<Item = &'a Signed>) -> Batch {
    let mut batch = Batch::default();
    all.into_iter().for_each(|one| batch.push(one.key, one.digest, one.signature));
    batch
}

/// Alone, twice in a batch, among others, and in the reference: always `want`.
fn check(name: &str, signed: &Signed, want: bool) {
    assert_eq!(signed.is_valid(), want, "{name}: alone");
    assert_eq!(reference(signed), want, "{name}: reference");
    assert_eq!(batch_of([signed]).verify(), want, "{name}: batch of one");
    assert_eq!(batch_of([signed, signed]).verify(), want, "{name}: twice");
    let others = [Signed::by(1, 1), Signed::by(2, 2)];
    let mixed = batch_of([&others[0], signed, &others[1]]);
    assert_eq!(mixed.verify(), want, "{name}: among others");
    assert_eq!(mixed.first_invalid(), (!want).then_some(1), "{name}: whose fault");
}

/// All encodings of points of small order: seven `y`, each with either sign.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let order_eight = |index: usize| EIGHT_TORSION[index].compress().to_bytes();
    let number = |low: u8, rest: u8, high: u8| {
        let mut y = [rest; 32];
        (y[0], y[31]) = (low, high);
        y
    };
    let ys = [
        number(0, 0, 0),
        number(1, 0, 0),
        number(0xec, 0xff, 0x7f), // p - 1
        number(0xed, 0xff, 0x7f), // p, another way to write 0
        number(0xee, 0xff, 0x7f), // p + 1, another way to write 1
        order_eight(1),
        order_eight(3),
    ];
    let with_sign = |mut y: [u8; 32], sign: u8| {
        y[31] = y[31] & 0x7f | sign << 7;
        y
    };
    ys.iter().flat_map(|y| [with_sign(*y, 0), with_sign(*y, 1)]).collect()
}

fn signature(r: &[u8; 32], s: &[u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s);
    Signature::from_bytes(bytes)
}

fn small_order_cases() -> Vec<Signed> {
    let encodings = small_order_encodings();
    let digest = Digest32::new([7; 32]);
    let pairs = encodings.iter().flat_map(|a| encodings.iter().map(move |r| (*a, *r)));
    pairs
        .map(|(a, r)| Signed {
            key: PublicKey::from_bytes(a),
            digest,
            signature: signature(&r, &[0; 32]),
        })
        .collect()
}

/// The published edge cases with their verdicts.
fn published_cases() -> Vec<(Signed, bool)> {
    let parse = |hex: &str| *hex.parse::<Digest32>().expect("64 digits").as_bytes();
    include_str!("vectors/eddsa_edge_cases.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [message, key, signed, verdict] = fields[..] else { panic!("{line}: four fields") };
            let (r, s) = signed.split_at(64);
            let case = Signed {
                key: PublicKey::from_bytes(parse(key)),
                digest: Digest32::new(parse(message)),
                signature: signature(&parse(r), &parse(s)),
            };
            (case, verdict == "valid")
        })
        .collect()
}

/// A signature made by hand: key and nonce each with a part of small order.
fn with_torsion(key_part: EdwardsPoint, nonce_part: EdwardsPoint) -> Signed {
    let (secret, nonce) = (Scalar::from(1_234_567_u64), Scalar::from(7_654_321_u64));
    let key = (ED25519_BASEPOINT_POINT * secret + key_part).compress().to_bytes();
    let r = (ED25519_BASEPOINT_POINT * nonce + nonce_part).compress().to_bytes();
    let digest = Digest32::new([9; 32]);
    let k = Scalar::from_hash(
        Sha512::new().chain_update(r).chain_update(key).chain_update(digest.as_bytes()),
    );
    let s = nonce + k * secret;
    Signed { key: PublicKey::from_bytes(key), digest, signature: signature(&r, s.as_bytes()) }
}

#[test]
fn the_published_edge_cases_end_as_zip_215_says() {
    let cases = published_cases();
    assert_eq!(cases.len(), 12);
    for (number, (case, want)) in cases.iter().enumerate() {
        check(&format!("edge case {number}"), case, *want);
    }
}

#[test]
fn every_encoding_of_small_order_is_accepted() {
    let cases = small_order_cases();
    assert_eq!(cases.len(), 196);
    for (number, case) in cases.iter().enumerate() {
        check(&format!("small order {number}"), case, true);
        let wrong = case.with_bytes(|bytes| bytes[32] = 1);
        check(&format!("small order {number} with s = 1"), &wrong, false);
    }
    assert!(batch_of(&cases).verify(), "all at once");
}

#[test]
fn parts_of_small_order_cancel_out() {
    for key_part in EIGHT_TORSION {
        for nonce_part in EIGHT_TORSION {
            let case = with_torsion(key_part, nonce_part);
            check("with torsion", &case, true);
            check("with torsion, wrong s", &case.with_bytes(|bytes| bytes[40] ^= 1), false);
        }
    }
}

#[test]
fn s_from_the_group_order_on_is_refused() {
    let zero = small_order_cases()[0];
    let with_s = |s: [u8; 32]| zero.with_bytes(|bytes| bytes[32..].copy_from_slice(&s));
    check("s = order", &with_s(ORDER), false);
    check("s = 2^256 - 1", &with_s([0xff; 32]), false);
    // Valid but for the bound: the same s, one group order above.
    let honest = Signed::by(3, 3);
    check("s", &honest, true);
    let above = honest.with_bytes(|bytes| {
        let mut carry = 0;
        for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
    });
    check("s + order", &above, false);
}

#[test]
fn what_is_no_point_is_refused() {
    // y = 2 lies on no point of the curve.
    let mut two = [0; 32];
    two[0] = 2;
    let honest = Signed::by(4, 4);
    check("key", &Signed { key: PublicKey::from_bytes(two), ..honest }, false);
    check("nonce", &honest.with_bytes(|bytes| bytes[..32].copy_from_slice(&two)), false);
}

#[test]
fn signing_follows_rfc_8032() {
    // Section 7.1 holds messages of other lengths; the key pair of its first test does.
    let hex = |text: &str| *text.parse::<Digest32>().expect("64 digits").as_bytes();
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let key = SigningKey::from_seed(&seed);
    assert_eq!(key.public(), PublicKey::from_bytes(public));
    assert_eq!(key.seed(), &seed);
    let digest = Digest32::new([5; 32]);
    let other = ed25519_zebra::SigningKey::from(seed).sign(digest.as_bytes());
    assert_eq!(key.sign(&digest).to_bytes(), other.to_bytes());
}

#[test]
fn secrets_are_wiped_and_not_printed() {
    fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    // It is what a SigningKey holds; without its feature `zeroize` this does not compile.
    wiped_on_drop::<ed25519_dalek::SigningKey>();
    let key = SigningKey::from_seed(&[0xab; 32]);
    assert_eq!(format!("{key:?}"), format!("SigningKey of {}", key.public()));
}

#[test]
fn large_batches_find_the_one_that_is_wrong() {
    // Both sides of the size from which the curve library changes its method.
    for size in [2_usize, 16, 94, 95, 190, 400] {
        let mut all: Vec<Signed> =
            (0..size).map(|n| Signed::by((n % 50) as u8, (n / 50) as u8)).collect();
        assert!(batch_of(&all).verify(), "{size} valid");
        assert_eq!(batch_of(&all).first_invalid(), None);
        let at = size * 2 / 3;
        all[at].digest = Digest32::new([0xee; 32]);
        assert!(!batch_of(&all).verify(), "{size} with a wrong one");
        assert_eq!(batch_of(&all).first_invalid(), Some(at));
    }
    assert!(Batch::default().verify(), "none is wrong");
}

#[test]
fn errors_do_not_cancel_out() {
    // Each is off by the same point, once in each direction: their plain sum is valid.
    let (one, other) = (Signed::by(6, 6), Signed::by(6, 7));
    let shift = |signed: Signed, by: Scalar| {
        signed.with_bytes(|bytes| {
            let mut s = [0; 32];
            s.copy_from_slice(&bytes[32..]);
            bytes[32..].copy_from_slice((Scalar::from_bytes_mod_order(s) + by).as_bytes());
        })
    };
    let pair = [shift(one, Scalar::ONE), shift(other, -Scalar::ONE)];
    assert!(!batch_of(&pair).verify());
}

/// A signature of one of the kinds that implementations disagree on, or an honest one, or one of
/// these with a bit changed.
fn any_signed() -> impl Strategy<Value = Signed> {
    let honest = (0..4_u8, any::<u8>()).prop_map(|(seed, digest)| Signed::by(seed, digest));
    let published = (0..12_usize).prop_map(|number| published_cases()[number].0);
    let small = (0..196_usize).prop_map(|number| small_order_cases()[number]);
    let torsion = (0..8_usize, 0..8_usize)
        .prop_map(|(key, nonce)| with_torsion(EIGHT_TORSION[key], EIGHT_TORSION[nonce]));
    let kind = prop_oneof![4 => honest, 1 => published, 1 => small, 1 => torsion];
    (kind, prop::option::weighted(0.15, 0..1_024_usize)).prop_map(|(signed, bit)| match bit {
        None => signed,
        Some(bit) => flip(signed, bit),
    })
}

fn flip(signed: Signed, bit: usize) -> Signed {
    let mask = 1 << (bit % 8);
    match bit / 8 {
        at @ 0..64 => signed.with_bytes(|bytes| bytes[at] ^= mask),
        at @ 64..96 => {
            let mut key = *signed.key.as_bytes();
            key[at - 64] ^= mask;
            Signed { key: PublicKey::from_bytes(key), ..signed }
        }
        at => {
            let mut digest = *signed.digest.as_bytes();
            digest[at - 96] ^= mask;
            Signed { digest: Digest32::new(digest), ..signed }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn alone_and_reference_agree(signed in any_signed(), bit in 0..1_024_usize) {
        for one in [signed, flip(signed, bit)] {
            prop_assert_eq!(one.is_valid(), reference(&one));
        }
    }

    #[test]
    fn a_batch_is_valid_if_each_is(all in prop::collection::vec(any_signed(), 0..9)) {
        let first_invalid = all.iter().position(|one| !one.is_valid());
        let batch = batch_of(&all);
        prop_assert_eq!(batch.verify(), first_invalid.is_none());
        prop_assert_eq!(batch.first_invalid(), first_invalid);
    }

    #[test]
    fn a_signature_keeps_its_bytes(bytes: [[u8; 32]; 2]) {
        let signature = signature(&bytes[0], &bytes[1]);
        let encoded = postcard::to_allocvec(&signature).expect("a signature encodes");
        prop_assert_eq!(encoded.len(), 64);
        prop_assert_eq!(&encoded[..], &signature.to_bytes()[..]);
        prop_assert_eq!(postcard::from_bytes::<Signature>(&encoded), Ok(signature));
    }
}
