//! How a guess is told to be right, without a word about the secret polynomial that a guess could
//! use.
//!
//! Values of the polynomial would each be a point of it, and spare whoever has the helper a minutia
//! to guess. So what is kept is a hash, of which a byte can be told from the value at zero alone: of
//! 256 wrong guesses 255 end there. Whoever goes through the 256 values that have this byte spares
//! themselves one minutia of k, for 2^8 times the work; a minutia is worth 2^4 to 2^5
//! (docs/fingerprint.md).

use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Tags of what is hashed.
const QUICK_TAG: &[u8] = b"goodwatt/finger/quick";
const WHOLE_TAG: &[u8] = b"goodwatt/finger/check";
/// Bytes of the hash of the whole polynomial. With the quick one a wrong guess passes once in 2^48,
/// which is once in five hundred million openings.
const WHOLE: usize = 5;

/// What is kept of the secret polynomial.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Zeroize)]
pub(crate) struct Check {
    quick: u8,
    whole: [u8; WHOLE],
}

/// Bytes of a [`Check`].
pub(crate) const CHECK_BYTES: usize = 1 + WHOLE;

impl Check {
    /// That of a polynomial, whose constant coefficient comes first.
    pub(crate) fn of(polynomial: &[u16]) -> Self {
        let mut hash = Sha256::new_with_prefix(WHOLE_TAG);
        polynomial.iter().for_each(|coefficient| hash.update(coefficient.to_be_bytes()));
        let [a, b, c, d, e, ..]: [u8; 32] = hash.finalize().into();
        let at_zero = polynomial.first().copied().unwrap_or_default();
        Self { quick: quick()[usize::from(at_zero)], whole: [a, b, c, d, e] }
    }

    /// Whether the secret polynomial may have this value at zero.
    pub(crate) fn may_be(self, at_zero: u16) -> bool {
        quick()[usize::from(at_zero)] == self.quick
    }

    /// Whether this is the secret polynomial.
    pub(crate) fn is_of(self, polynomial: &[u16]) -> bool {
        Self::of(polynomial) == self
    }

    /// As it is kept.
    pub(crate) fn encode(self) -> [u8; CHECK_BYTES] {
        let [a, b, c, d, e] = self.whole;
        [self.quick, a, b, c, d, e]
    }

    /// From any bytes.
    pub(crate) const fn decode(bytes: [u8; CHECK_BYTES]) -> Self {
        let [quick, a, b, c, d, e] = bytes;
        Self { quick, whole: [a, b, c, d, e] }
    }
}

/// A byte for every value: the 32 bytes of each hash, one after another. A formula in the field would
/// be another equation for whoever solves for the polynomial.
fn quick() -> &'static [u8] {
    static QUICK: OnceLock<Vec<u8>> = OnceLock::new();
    QUICK.get_or_init(|| {
        let block = |number: u16| -> [u8; 32] {
            let hash = Sha256::new_with_prefix(QUICK_TAG).chain_update(number.to_be_bytes());
            hash.finalize().into()
        };
        (0..2_048).flat_map(block).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_tells_its_polynomial_from_others_and_survives_its_bytes() {
        let secret = [7, 0, 65_535, 1, 300, 9, 12];
        let check = Check::of(&secret);
        assert!(check.is_of(&secret) && check.may_be(7));
        assert_eq!(Check::decode(check.encode()), check);
        for place in 0..secret.len() {
            let mut other = secret;
            other[place] ^= 1;
            assert!(!check.is_of(&other), "{place}");
        }
    }

    #[test]
    fn the_quick_byte_leaves_one_value_in_256() {
        let check = Check::of(&[4_711, 1]);
        let left = (0..=u16::MAX).filter(|value| check.may_be(*value)).count();
        // 256 expected, with a deviation of 16.
        assert!((176..=336).contains(&left), "{left}");
    }
}
