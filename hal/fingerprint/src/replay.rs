//! Images that were here before: two placements of one finger are never alike to the pixel, so one
//! that is was recorded on the wire and is played again.
//!
//! What opened is kept, sealed under a key from the root that it opened: whoever can read the list
//! needs it no more. An image that is turned, or noisy beyond what a finger can be read through,
//! passes: this catches whoever replays, not whoever draws.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use zeroize::{Zeroize, Zeroizing};

use crate::device::derive;
use crate::durable;
use crate::extract::Print;
use crate::minutia::{MINUTIAE_MAX, Minutia, difference};

/// Captures that are remembered, the latest ones.
const CAPTURES: usize = 32;
/// Two minutiae nearer than this after shifting are the same pixel, give or take the noise.
const NEAR: f32 = 1.0;
/// Two directions that differ by more are not of one minutia, in radians.
const LEAN: f32 = 0.2;
/// Share of the minutiae of the smaller print from which two captures are one. Of 280 pairs of
/// placements of one finger the most alike have 0.32 (FVC2002 `DB3_B`, on which this was chosen)
/// and 0.41 (`DB1_B`); an image and itself with every twentieth pixel a grey lighter or darker have
/// 0.48 or more and 0.73 or more. With a third of the pixels so the median is
/// 0.57, and the least on `DB1_B` the same.
const ALIKE: f32 = 0.45;
/// Fewer minutiae than this say nothing, and open nothing.
const MINUTIAE_LEAST: usize = 8;

const MAGIC: &[u8; 8] = b"GWSEEN01";
const NONCE: usize = 24;
/// A capture: how many minutiae, and for each its place and a direction.
const CAPTURE: usize = 1 + 5 * MINUTIAE_MAX;
/// What is sealed: how many captures, and as many as there may be.
const LIST: usize = 1 + CAPTURES * CAPTURE;
const TAG: usize = 16;
const FILE: usize = 8 + NONCE + LIST + TAG;

/// Why a capture is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It was here before.
    #[error(
        "this very image was here before: lift the finger and lay it down once more; if it happens again, something on the sensor's wire plays a recorded image"
    )]
    Replayed,
    /// The list is missing, damaged, or of another root.
    #[error(
        "{path}, the list of images that opened before, is missing or was changed: `goodwatt key enroll --words` makes it anew"
    )]
    Forged {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no random number to be had.
    #[error("the system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
}

/// The list of captures that opened, in a file of always the same length.
#[derive(Clone, Debug)]
pub struct Seen {
    path: PathBuf,
}

impl Seen {
    /// The list at a path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Takes note of the placements of an enrolment. What opened the same root before is still known:
    /// it would open this enrolment of the same finger, too. A list that is not there is begun; one of
    /// another root, or a damaged one, is begun `anew` only where the root came from its words or its
    /// key file: whoever plays an image could have damaged it.
    ///
    /// # Errors
    /// [`ReplayError::Forged`] where it is damaged and not begun anew; others where it cannot be read
    /// or written.
    pub fn begin(
        &self,
        root: &[u8; 32],
        enrolled: &[Print],
        anew: bool,
    ) -> Result<(), ReplayError> {
        let mut captures = match self.load(root) {
            Err(ReplayError::Forged { .. }) if anew || !self.path.exists() => Captures(Vec::new()),
            before => before?,
        };
        captures.0.extend(enrolled.iter().map(|print| print.minutiae.clone()));
        self.store(root, &mut captures)
    }

    /// Takes note of a capture that opened, unless it was here before. The root is to be used only
    /// after this.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`] where it was; others where the list cannot be read or written.
    pub fn admit(&self, root: &[u8; 32], print: &Print) -> Result<(), ReplayError> {
        let mut captures = self.load(root)?;
        if captures.0.iter().any(|before| alike(before, &print.minutiae) >= ALIKE) {
            return Err(ReplayError::Replayed);
        }
        captures.0.push(print.minutiae.clone());
        self.store(root, &mut captures)
    }

    fn load(&self, root: &[u8; 32]) -> Result<Captures, ReplayError> {
        let forged = || ReplayError::Forged { path: self.path.clone() };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => forged(),
            _ => ReplayError::Io { path: self.path.clone(), error },
        };
        if std::fs::metadata(&self.path).map_err(failed)?.len() != FILE as u64 {
            return Err(forged());
        }
        let bytes = std::fs::read(&self.path).map_err(failed)?;
        let (nonce, sealed) = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<NONCE>())
            .ok_or_else(forged)?;
        let payload = Payload { msg: sealed, aad: MAGIC };
        let list = cipher(root).decrypt(nonce.into(), payload).map_err(|_| forged())?;
        Ok(Captures::decode(&Zeroizing::new(list)))
    }

    fn store(&self, root: &[u8; 32], captures: &mut Captures) -> Result<(), ReplayError> {
        let too_many = captures.0.len().saturating_sub(CAPTURES);
        captures.0.drain(..too_many).for_each(|mut capture| capture.zeroize());
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(ReplayError::Randomness)?;
        let payload = Payload { msg: &captures.encode(), aad: MAGIC };
        let sealed = cipher(root).encrypt(&nonce.into(), payload);
        let sealed = sealed.expect("a list is below the cipher's limit, its only error");
        let bytes = [MAGIC.as_slice(), &nonce, &sealed].concat();
        let failed = |error| ReplayError::Io { path: self.path.clone(), error };
        durable::write(&self.path, &bytes).map_err(failed)
    }
}

/// Whether two prints are of one image.
#[must_use]
pub fn same_image(a: &Print, b: &Print) -> bool {
    alike(&a.minutiae, &b.minutiae) >= ALIKE
}

fn cipher(root: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*derive(root, "goodwatt/finger/seen")).into())
}

/// Minutiae of captures, the oldest first; wiped when dropped.
struct Captures(Vec<Vec<Minutia>>);

impl Captures {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LIST));
        bytes.push(self.0.len() as u8);
        for (index, capture) in self.0.iter().enumerate() {
            bytes.push(capture.len().min(MINUTIAE_MAX) as u8);
            for minutia in capture.iter().take(MINUTIAE_MAX) {
                bytes.extend((minutia.x as u16).to_be_bytes());
                bytes.extend((minutia.y as u16).to_be_bytes());
                bytes.push((minutia.angle / std::f32::consts::TAU * 256.0) as i32 as u8);
            }
            bytes.resize(1 + (index + 1) * CAPTURE, 0);
        }
        bytes.resize(LIST, 0);
        bytes
    }

    /// The list in what was sealed, and so was written here.
    fn decode(bytes: &[u8]) -> Self {
        let Some((count, rest)) = bytes.split_first() else { return Self(Vec::new()) };
        let captures = rest.chunks_exact(CAPTURE).take(usize::from(*count)).map(|capture| {
            let codes = capture[1..].as_chunks::<5>().0;
            codes.iter().take(usize::from(capture[0])).map(decode).collect()
        });
        Self(captures.collect())
    }
}

impl Drop for Captures {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

fn decode(code: &[u8; 5]) -> Minutia {
    let [x1, x2, y1, y2, angle] = *code;
    Minutia {
        x: f32::from(u16::from_be_bytes([x1, x2])),
        y: f32::from(u16::from_be_bytes([y1, y2])),
        angle: (f32::from(angle) + 0.5) * std::f32::consts::TAU / 256.0,
        quality: 1.0,
        kind: crate::minutia::Kind::Ending,
    }
}

/// The share of the minutiae of the smaller set that lie on one of the other after the shift that
/// brings most of them together.
fn alike(a: &[Minutia], b: &[Minutia]) -> f32 {
    let least = a.len().min(b.len());
    if least < MINUTIAE_LEAST {
        return 0.0;
    }
    let pairs = || {
        let all = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
        all.filter(|(a, b)| difference(a.angle, b.angle).abs() < LEAN)
    };
    let shift = |(a, b): (&Minutia, &Minutia)| (b.x - a.x, b.y - a.y);
    let mut votes: HashMap<(i32, i32), usize> = HashMap::new();
    for (dx, dy) in pairs().map(shift) {
        *votes.entry((dx.round() as i32, dy.round() as i32)).or_default() += 1;
    }
    let around = |(x, y): (i32, i32)| {
        let near = (x - 1..=x + 1).flat_map(move |x| (y - 1..=y + 1).map(move |y| (x, y)));
        near.filter_map(|place| Some((place, *votes.get(&place)? as f32)))
    };
    let total = |place: &(i32, i32)| around(*place).map(|(_, votes)| votes).sum::<f32>();
    let best = votes.keys().max_by(|a, b| total(a).total_cmp(&total(b)).then(a.cmp(b)));
    let Some(best) = best else { return 0.0 };
    // Between whole pixels, as the votes lie.
    let mean = |part: fn((i32, i32)) -> i32| {
        let sum = around(*best).map(|(place, votes)| votes * part(place) as f32).sum::<f32>();
        sum / total(best)
    };
    let (x, y) = (mean(|place| place.0), mean(|place| place.1));
    let near = |a: &Minutia| {
        b.iter().any(|b| {
            let (dx, dy) = (b.x - a.x - x, b.y - a.y - y);
            dx.hypot(dy) <= NEAR && difference(a.angle, b.angle).abs() < LEAN
        })
    };
    a.iter().filter(|a| near(a)).count().min(least) as f32 / least as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::extract;
    use crate::synthetic::{Finger, Placement};

    /// Some placements of one finger.
    fn prints(count: u64) -> Vec<Print> {
        let finger = Finger::grow(40);
        let print = |number| extract(&finger.place(number, &Placement::usual())).print;
        (0..count).map(print).collect()
    }

    fn shifted(print: &Print, x: f32, y: f32) -> Print {
        let mut print = print.clone();
        print.minutiae.iter_mut().for_each(|m| (m.x, m.y) = (m.x + x, m.y + y));
        print
    }

    #[test]
    fn placements_differ_and_a_shifted_image_is_the_same() {
        let prints = prints(6);
        for (i, a) in prints.iter().enumerate() {
            assert!(prints[..i].iter().all(|b| !same_image(a, b)), "placement {i}");
            assert!(same_image(a, a) && same_image(&shifted(a, 7.0, 3.0), a), "placement {i}");
        }
    }

    #[test]
    fn what_opened_opens_once_and_the_oldest_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seen");
        let (seen, root) = (Seen::at(&path), [7; 32]);
        let prints = prints(CAPTURES as u64 + 1);
        let (first, later) = prints.split_first().expect("some");
        seen.begin(&root, std::slice::from_ref(first), false).expect("stored");
        assert!(matches!(seen.admit(&root, first), Err(ReplayError::Replayed)));
        let length = std::fs::metadata(&path).expect("it is there").len();
        for print in later {
            seen.admit(&root, print).expect("a new placement");
            assert!(matches!(seen.admit(&root, print), Err(ReplayError::Replayed)));
        }
        assert_eq!(std::fs::metadata(&path).expect("it is there").len(), length);
        seen.admit(&root, first).expect("forgotten by now");
    }

    #[test]
    fn enrolling_again_forgets_nothing_but_of_another_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let (seen, root) = (Seen::at(&folder.path().join("seen")), [7; 32]);
        let prints = prints(3);
        seen.begin(&root, &prints[..1], false).expect("stored");
        seen.admit(&root, &prints[1]).expect("a new placement");
        seen.begin(&root, &prints[2..], false).expect("stored");
        for print in &prints {
            assert!(matches!(seen.admit(&root, print), Err(ReplayError::Replayed)));
        }
        let other = seen.begin(&[8; 32], &prints[..1], false);
        assert!(matches!(other, Err(ReplayError::Forged { .. })), "nothing vouches for the root");
        seen.begin(&[8; 32], &prints[..1], true).expect("stored");
        seen.admit(&[8; 32], &prints[1]).expect("nothing is known of another root");
    }

    #[test]
    fn a_list_that_is_missing_flipped_or_of_another_root_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seen");
        let (seen, root) = (Seen::at(&path), [7; 32]);
        let prints = prints(2);
        let forged = |root| matches!(seen.admit(root, &prints[1]), Err(ReplayError::Forged { .. }));
        assert!(forged(&root), "nothing is there");
        seen.begin(&root, &prints[..1], false).expect("stored");
        assert!(forged(&[8; 32]), "another root");
        let whole = std::fs::read(&path).expect("it is there");
        // Ends, and one byte in a hundred of the rest: all of them take minutes.
        for at in (0..64).chain((64..whole.len()).step_by(101)).chain(whole.len() - 16..whole.len())
        {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).expect("written");
            assert!(forged(&root), "byte {at}");
        }
        std::fs::write(&path, &whole[1..]).expect("written");
        assert!(forged(&root), "a byte is missing");
    }

    #[test]
    fn prints_without_minutiae_are_no_replays() {
        let mut empty = prints(1).remove(0);
        empty.minutiae.clear();
        assert!(!same_image(&empty, &empty));
    }
}
