//! Where ridges end or fork.

use std::f32::consts::{PI, TAU};

use zeroize::Zeroize;

/// Most minutiae that one print is taken to have; the worst are left out.
pub const MINUTIAE_MAX: usize = 96;

/// Whether a ridge ends or forks; pressure turns one into the other, so that matching ignores it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A ridge ends.
    Ending,
    /// A ridge becomes two.
    Fork,
}

/// A place where a ridge ends or forks.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Minutia {
    /// Pixels from the left.
    pub x: f32,
    /// Pixels from the top.
    pub y: f32,
    /// Radians from 0 to 2 pi, from the x axis towards y: along the ridge that ends, or into the
    /// valley that the fork encloses.
    pub angle: f32,
    /// How clear the ridges around it are, 0 to 1.
    pub quality: f32,
    /// What it is.
    pub kind: Kind,
}

impl Minutia {
    /// Whether it can be of an image of this size, in pixels.
    pub(crate) fn is_of(&self, width: usize, height: usize) -> bool {
        let within = |value: f32, most: f32| (0.0..=most).contains(&value);
        within(self.x, width as f32)
            && within(self.y, height as f32)
            && within(self.angle, TAU)
            && within(self.quality, 1.0)
    }

    /// Distance to another one in pixels, squared.
    pub(crate) fn distance2(&self, other: &Self) -> f32 {
        let (dx, dy) = (self.x - other.x, self.y - other.y);
        dx * dx + dy * dy
    }
}

impl Zeroize for Minutia {
    fn zeroize(&mut self) {
        for part in [&mut self.x, &mut self.y, &mut self.angle, &mut self.quality] {
            part.zeroize();
        }
    }
}

/// The difference of two angles, -pi to pi.
pub(crate) fn difference(a: f32, b: f32) -> f32 {
    let difference = a - b;
    difference - TAU * (difference / TAU).round()
}

/// An angle in 0 to 2 pi.
pub(crate) fn wrap(angle: f32) -> f32 {
    let wrapped = angle.rem_euclid(TAU);
    if wrapped >= TAU { 0.0 } else { wrapped }
}

/// The one of a ridge's two directions that is nearer to `towards`.
pub(crate) fn along(direction: f32, towards: f32) -> f32 {
    let turn = if difference(direction, towards).abs() > PI / 2.0 { PI } else { 0.0 };
    wrap(direction + turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_image_has_is_told() {
        let sound = Minutia { x: 9.5, y: 0.0, angle: 1.0, quality: 0.5, kind: Kind::Fork };
        assert!(sound.is_of(10, 10) && !sound.is_of(9, 10));
        for wrong in [-1.0, f32::NAN, f32::INFINITY, 1e30] {
            assert!(!Minutia { x: wrong, ..sound }.is_of(10, 10), "{wrong}");
            assert!(!Minutia { y: wrong, ..sound }.is_of(10, 10), "{wrong}");
            assert!(!Minutia { angle: wrong, ..sound }.is_of(10, 10), "{wrong}");
            assert!(!Minutia { quality: wrong, ..sound }.is_of(10, 10), "{wrong}");
        }
    }
}
