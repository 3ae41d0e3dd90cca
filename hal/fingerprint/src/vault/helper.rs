//! What is kept of a finger: numbers that mean nothing without the finger, and that look like any
//! other random bytes, so that whoever tries passphrases cannot tell a right one from a wrong one.

use std::f32::consts::TAU;

use zeroize::{Zeroize, Zeroizing};

use super::check::{CHECK_BYTES, Check};
use super::decode::K_MAX;
use super::lattice::{CELLS, Offset};
use crate::minutia::{Kind, Minutia};
use crate::random::Random;

/// Fewest coefficients of the secret polynomial.
pub const K_MIN: usize = K_MAX + 1 - K_CHOICES;
const K_CHOICES: usize = 8;
/// Most anchors; four at least are used.
pub(crate) const ANCHORS_MAX: usize = ANCHORS_MIN + ANCHOR_CHOICES - 1;
const ANCHORS_MIN: usize = 3;
const ANCHOR_CHOICES: usize = 8;
/// Roots of the vault: secret minutiae, and random ones that no finger has to fill up.
pub(crate) const DEGREE: usize = 40;
/// How far minutiae are from the middle of the finger, as a standard deviation in pixels; what is
/// coded is how many would be nearer, which is even.
const SPREAD: (f32, f32) = (62.0, 78.0);

/// Bytes of a helper.
pub const HELPER_BYTES: usize = 2 + 5 * ANCHORS_MAX + 3 * CELLS + 2 * DEGREE + CHECK_BYTES;

/// The vault and what a finger needs to be laid over it.
#[derive(Clone)]
pub struct Helper {
    pub(crate) k: usize,
    pub(crate) anchors: Vec<Minutia>,
    pub(crate) offsets: Vec<Offset>,
    /// Coefficients of the vault's polynomial without the leading one.
    pub(crate) vault: Vec<u16>,
    /// How the secret polynomial is known when it is found.
    pub(crate) check: Check,
}

impl Helper {
    /// How many features have to be right at once.
    #[must_use]
    pub const fn k(&self) -> usize {
        self.k
    }

    /// The helper as bytes that look random.
    #[must_use]
    pub fn encode(&self, random: &mut impl Random) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HELPER_BYTES));
        let choice = |value: usize, of: usize, random: &mut dyn FnMut() -> u64| {
            (value + of * (random() as usize % (256 / of))) as u8
        };
        bytes.push(choice(self.k - K_MIN, K_CHOICES, &mut || random.next()));
        bytes.push(choice(self.anchors.len() - ANCHORS_MIN, ANCHOR_CHOICES, &mut || random.next()));
        for slot in 0..ANCHORS_MAX {
            match self.anchors.get(slot) {
                Some(anchor) => bytes.extend(encode_anchor(anchor)),
                None => bytes.extend(&random.next().to_be_bytes()[..5]),
            }
        }
        self.offsets.iter().for_each(|offset| bytes.extend(offset.encode()));
        self.vault.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
        bytes.extend(self.check.encode());
        bytes
    }

    /// The helper in any bytes of the right number; none where the number is wrong.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != HELPER_BYTES {
            return None;
        }
        let k = K_MIN + usize::from(bytes[0]) % K_CHOICES;
        let count = ANCHORS_MIN + usize::from(bytes[1]) % ANCHOR_CHOICES;
        let (slots, rest) = bytes[2..].split_at(5 * ANCHORS_MAX);
        let (cells, rest) = rest.split_at(3 * CELLS);
        let (words, check) = rest.split_at(2 * DEGREE);
        let anchors = slots.as_chunks().0.iter().take(count).map(decode_anchor).collect();
        let offsets = cells.as_chunks().0.iter().map(|code| Offset::decode(*code)).collect();
        let vault = words.as_chunks().0.iter().map(|word| u16::from_be_bytes(*word)).collect();
        Some(Self { k, anchors, offsets, vault, check: Check::decode(check.try_into().ok()?) })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.anchors.zeroize();
        self.offsets.iter_mut().for_each(Zeroize::zeroize);
        self.vault.zeroize();
        self.check.zeroize();
    }
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Helper(k = {}, hidden)", self.k)
    }
}

fn encode_anchor(anchor: &Minutia) -> [u8; 5] {
    let [x1, x2] = share(anchor.x / SPREAD.0).to_be_bytes();
    let [y1, y2] = share(anchor.y / SPREAD.1).to_be_bytes();
    [x1, x2, y1, y2, (anchor.angle / TAU * 256.0) as i32 as u8]
}

fn decode_anchor(code: &[u8; 5]) -> Minutia {
    let [x1, x2, y1, y2, angle] = *code;
    Minutia {
        x: deviations(u16::from_be_bytes([x1, x2])) * SPREAD.0,
        y: deviations(u16::from_be_bytes([y1, y2])) * SPREAD.1,
        angle: (f32::from(angle) + 0.5) * TAU / 256.0,
        quality: 1.0,
        kind: Kind::Ending,
    }
}

/// The logistic distribution's share of what lies below a number of deviations, of 65,536.
fn share(deviations: f32) -> u16 {
    let share = 1.0 / (1.0 + (-deviations * LOGISTIC).exp());
    (share * 65_536.0).clamp(0.0, 65_535.0) as u16
}

fn deviations(share: u16) -> f32 {
    let share = (f32::from(share) + 0.5) / 65_536.0;
    (share / (1.0 - share)).ln() / LOGISTIC
}

/// Pi over the root of three: makes the deviation of the logistic distribution one.
const LOGISTIC: f32 = 1.813_799_4;
