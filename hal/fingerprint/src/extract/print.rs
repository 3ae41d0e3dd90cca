//! What is left of an image: minutiae, and which part of the finger was seen.

use zeroize::Zeroize;

use super::field::STEP;
use crate::minutia::Minutia;
use crate::plane::Plane;

/// Minutiae of one placement of a finger.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Print {
    /// The clearest first.
    pub minutiae: Vec<Minutia>,
    /// Where the finger was.
    pub coverage: Coverage,
}

/// The part of an image that shows a finger, in squares of four pixels.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Coverage {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) squares: Vec<bool>,
}

impl Coverage {
    pub(crate) fn of(mask: &Plane) -> Self {
        let squares = mask.values.iter().map(|value| *value > 0.5).collect();
        Self { width: mask.width, height: mask.height, squares }
    }

    /// Whether the finger was at a place of the image.
    #[must_use]
    pub fn contains(&self, x: f32, y: f32) -> bool {
        let (x, y) = ((x / STEP as f32).floor(), (y / STEP as f32).floor());
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        inside && self.squares.get(y as usize * self.width + x as usize) == Some(&true)
    }
}

impl Print {
    /// Whether the finger was at a place of the image.
    #[must_use]
    pub fn covers(&self, x: f32, y: f32) -> bool {
        self.coverage.contains(x, y)
    }
}

impl Drop for Print {
    fn drop(&mut self) {
        self.minutiae.zeroize();
    }
}
