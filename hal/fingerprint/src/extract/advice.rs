//! How good an image is, and what the person at the sensor can do about it.

use std::fmt;

use super::field::{Field, STEP};
use crate::minutia::Minutia;
use crate::plane::Plane;

/// How good an image is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quality {
    /// 0 to 100.
    pub score: u8,
    /// What to do.
    pub advice: Advice,
}

/// What a person can do to get a better image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Advice {
    /// Nothing: it is good.
    None,
    /// There is no finger.
    NoFinger,
    /// The finger is at one side.
    MoveLeft,
    /// The finger is at one side.
    MoveRight,
    /// The finger is too low or too high.
    MoveUp,
    /// The finger is too low or too high.
    MoveDown,
    /// Little of the finger touches the glass.
    TooLight,
    /// Ridges are thin and broken.
    Dry,
    /// Ridges run together.
    Wet,
    /// Ridges are smeared.
    Unclear,
    /// Few minutiae: another finger does better.
    FewMinutiae,
}

/// Share of the image below which too little of the finger is seen.
const AREA_LEAST: f32 = 0.40;
/// Share of the image below which there is no finger.
const FINGER_LEAST: f32 = 0.10;
/// Mean grey above which a finger is dry, and below which it is wet.
const GREYS: (f32, f32) = (190.0, 60.0);
/// Mean coherence of ridge directions below which they are smeared.
const COHERENCE_LEAST: f32 = 0.55;
/// Fewest minutiae of a useful image.
const MINUTIAE_LEAST: usize = 10;

impl Quality {
    pub(crate) fn of(raw: &Plane, field: &Field, minutiae: &[Minutia]) -> Self {
        let mask = &field.mask;
        let mut sums = [0.0_f32; 5];
        for (index, _) in mask.values.iter().enumerate().filter(|(_, value)| **value > 0.5) {
            let (x, y) = ((index % mask.width) as f32, (index / mask.width) as f32);
            let (px, py) = (x * STEP as f32 + 1.5, y * STEP as f32 + 1.5);
            // A window about as wide as a ridge and a valley.
            let grey =
                (0..8).map(|i| raw.near(px as isize + i - 4, py as isize + i - 4)).sum::<f32>();
            let add = [1.0, x, y, grey / 8.0, field.coherence(px, py)];
            sums.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
        }
        let count = sums[0].max(1.0);
        let area = count / mask.values.len() as f32;
        let grey = sums[3] / count;
        let coherence = sums[4] / count;
        let aside =
            (sums[1] / count / mask.width as f32 - 0.5, sums[2] / count / mask.height as f32 - 0.5);
        let clear = ((coherence - 0.3) / 0.5).clamp(0.0, 1.0);
        let enough = (minutiae.len() as f32 / 24.0).min(1.0);
        let score = 100.0 * (area / 0.6).min(1.0) * clear * (0.4 + 0.6 * enough);
        let advice = match () {
            () if area < FINGER_LEAST => Advice::NoFinger,
            () if area < 0.8 && aside.0 > 0.12 => Advice::MoveLeft,
            () if area < 0.8 && aside.0 < -0.12 => Advice::MoveRight,
            () if area < 0.8 && aside.1 > 0.15 => Advice::MoveUp,
            () if area < 0.8 && aside.1 < -0.15 => Advice::MoveDown,
            () if area < AREA_LEAST => Advice::TooLight,
            () if coherence < COHERENCE_LEAST && grey > GREYS.0 => Advice::Dry,
            () if grey < GREYS.1 => Advice::Wet,
            () if coherence < COHERENCE_LEAST => Advice::Unclear,
            () if minutiae.len() < MINUTIAE_LEAST => Advice::FewMinutiae,
            () => Advice::None,
        };
        Self { score: score as u8, advice }
    }

    /// Whether a vault may be made of such an image.
    #[must_use]
    pub const fn enrols(&self) -> bool {
        self.score >= 25
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "good",
            Self::NoFinger => "no finger on the glass",
            Self::MoveLeft => "move the finger a little to the left",
            Self::MoveRight => "move the finger a little to the right",
            Self::MoveUp => "move the finger a little up, away from you",
            Self::MoveDown => "move the finger a little down, towards you",
            Self::TooLight => "too light: lay more of the finger flat on the glass",
            Self::Dry => "dry: breathe on the finger or rub it against your forehead",
            Self::Wet => "wet or pressed hard: dry the finger and press less",
            Self::Unclear => "smeared: wipe the glass, lay the finger down once and hold it still",
            Self::FewMinutiae => "few details in this part: lay the middle of the finger on the glass, or try another finger",
        })
    }
}
