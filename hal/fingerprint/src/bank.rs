//! Impostors: minutiae of a thousand fingers of nobody, against which every vault is tried.

use std::f32::consts::TAU;

use crate::extract::{Coverage, Print, extract};
use crate::image::R307;
use crate::minutia::{Kind, Minutia};
use crate::synthetic::{Finger, Placement};

/// Fingers in the bank.
pub const FINGERS: usize = 1_000;
/// Most minutiae of one of them.
const MOST: usize = 63;

/// What the example `make_bank` wrote: for every finger a count and four bytes for each minutia.
const BYTES: &[u8] = include_bytes!("../bank.bin");

/// The print of one finger of the bank, made anew as it was when the bank was written.
#[must_use]
pub fn make(finger: u64) -> Vec<u8> {
    let image = Finger::grow(finger).place(0, &Placement::usual());
    encode(&extract(&image).print)
}

fn encode(print: &Print) -> Vec<u8> {
    let count = print.minutiae.len().min(MOST);
    let mut bytes = vec![count as u8];
    for minutia in &print.minutiae[..count] {
        let (x, y) = (minutia.x as u32 & 511, minutia.y as u32 & 511);
        let angle = (minutia.angle / TAU * 256.0) as u32 & 255;
        let quality = (minutia.quality * 63.0) as u32 & 63;
        bytes.extend((x << 23 | y << 14 | angle << 6 | quality).to_be_bytes());
    }
    bytes
}

/// All prints of the bank.
#[must_use]
pub fn prints() -> Vec<Print> {
    let mut prints = Vec::with_capacity(FINGERS);
    let mut rest = BYTES;
    while let Some((count, more)) = rest.split_first() {
        let Some((minutiae, more)) = more.split_at_checked(4 * usize::from(*count)) else { break };
        let minutiae = minutiae.as_chunks().0.iter().map(|code| decode(u32::from_be_bytes(*code)));
        let (width, height) = (R307.0 / 4, R307.1 / 4);
        let coverage = Coverage { width, height, squares: vec![true; width * height] };
        prints.push(Print { minutiae: minutiae.collect(), coverage });
        rest = more;
    }
    prints
}

fn decode(code: u32) -> Minutia {
    Minutia {
        x: (code >> 23) as f32,
        y: (code >> 14 & 511) as f32,
        angle: ((code >> 6 & 255) as f32 + 0.5) * TAU / 256.0,
        quality: (code & 63) as f32 / 63.0,
        kind: Kind::Ending,
    }
}
