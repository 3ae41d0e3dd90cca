//! Fingerprints of nobody, for tests and for the bank of impostors.
//!
//! Ridges grow as in nature's own recipe: noise, filtered again and again along a field of
//! directions. The field is that of Sherlock and Monro (1993), with a core and a delta for each
//! loop; placements of one finger differ by shift, turn, bend, pressure, contrast and noise.

use std::f32::consts::PI;

use crate::extract::{Ridges, grow};
use crate::image::Image;
use crate::plane::Plane;
use crate::random::{Random, Seeded};

/// Sides of the patch of skin that is grown, in pixels.
const SKIN: (usize, usize) = (320, 352);
/// Rounds of filtering: as many minutiae as people have come of it.
const ROUNDS: (usize, usize) = (8, 3);

/// A finger of nobody.
#[derive(Clone, Debug)]
pub struct Finger {
    /// Positive on ridges, between -1 and 1.
    skin: Plane,
    seed: u64,
}

/// What one placement does to the image of a finger.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Sides of the image in pixels.
    pub size: (usize, usize),
    /// How far the finger is moved, as a deviation in pixels.
    pub shift: f32,
    /// How far it is turned, as a deviation in radians.
    pub turn: f32,
    /// How far skin is stretched, as a deviation in pixels.
    pub bend: f32,
    /// Share of the amplitude that is noise, 0 to 1.
    pub noise: f32,
    /// Thicker ridges above zero, thinner ones below, as a deviation.
    pub pressure: f32,
}

impl Placement {
    /// As people lay a finger on a sensor of the R307 kind.
    #[must_use]
    pub const fn usual() -> Self {
        let size = crate::image::R307;
        Self { size, shift: 14.0, turn: 0.12, bend: 3.0, noise: 0.35, pressure: 0.15 }
    }

    /// In the middle, clean and straight.
    #[must_use]
    pub const fn perfect() -> Self {
        let size = crate::image::R307;
        Self { size, shift: 0.0, turn: 0.0, bend: 0.0, noise: 0.0, pressure: 0.0 }
    }
}

/// A point about which ridges turn: a core where positive, a delta where negative.
struct Turn {
    x: f32,
    y: f32,
    sign: f32,
}

impl Finger {
    /// The finger that belongs to a seed.
    #[must_use]
    pub fn grow(seed: u64) -> Self {
        let mut random = Seeded::new(seed ^ 0x00f1_a6e5);
        let turns = pattern(&mut random);
        let slope = 0.15 * random.normal();
        let period = 8.4 + 1.6 * random.unit();
        let (width, height) = SKIN;
        let wander = smooth_noise(width / 4, height / 4, 12.0, &mut random);
        let direction = |x: f32, y: f32| {
            let around: f32 = turns.iter().map(|t| t.sign * (y - t.y).atan2(x - t.x)).sum();
            // Far above the core ridges arch, far below they are flat.
            let arch = 0.5
                * ((x - width as f32 / 2.0) / width as f32)
                * if turns.is_empty() { 2.2 } else { 0.3 };
            around / 2.0 + slope + arch
        };
        let ridges = Ridges::new(width, height, |x, y| {
            let angle = direction(x, y) + 0.12 * wander.between(x / 4.0, y / 4.0);
            let wide = 1.0 + 0.05 * wander.between(y / 4.0, x / 4.0);
            (angle, period * wide)
        });
        let noise = Plane::from_fn(width, height, |_, _| random.normal());
        Self { skin: grow(noise, &ridges, ROUNDS.0, ROUNDS.1), seed }
    }

    /// One placement of the finger; another number gives another one.
    #[must_use]
    pub fn place(&self, number: u64, placement: &Placement) -> Image {
        let mut random = Seeded::new(self.seed.wrapping_mul(1_000_003) ^ number.wrapping_add(17));
        let (width, height) = placement.size;
        let (sin, cos) = (placement.turn * random.normal()).sin_cos();
        let shift = [(); 2].map(|()| placement.shift * random.normal());
        let pressure = placement.pressure * random.normal();
        let bends = [(); 2].map(|()| smooth_noise(width / 8 + 2, height / 8 + 2, 6.0, &mut random));
        let patches = smooth_noise(width / 4 + 2, height / 4 + 2, 6.0, &mut random);
        let noise = Plane::from_fn(width, height, |_, _| random.normal()).gauss(0.8);
        let pixel = |x: usize, y: usize| {
            let bend =
                [0, 1].map(|i| placement.bend * bends[i].between(x as f32 / 8.0, y as f32 / 8.0));
            let (fx, fy) = (x as f32 - width as f32 / 2.0, y as f32 - height as f32 / 2.0);
            let sx = fx * cos - fy * sin + shift[0] + bend[0] + SKIN.0 as f32 / 2.0;
            let sy = fx * sin + fy * cos + shift[1] + bend[1] + SKIN.1 as f32 / 2.0;
            let outside = sx < 0.0 || sy < 0.0 || sx >= SKIN.0 as f32 || sy >= SKIN.1 as f32;
            // The finger is an ellipse that is wider than the glass and cut off below.
            let far = (fx / (0.56 * width as f32)).powi(2)
                + ((fy.min(0.0)) / (0.56 * height as f32)).powi(2);
            if outside || far > 1.0 {
                return 238.0 + 6.0 * noise.at(x, y);
            }
            let dry = patches.between(x as f32 / 4.0, y as f32 / 4.0);
            let grain = placement.noise * (2.2 + 0.8 * dry) * noise.at(x, y);
            let ridge = (2.2 * self.skin.between(sx, sy) + pressure + grain).clamp(-1.0, 1.0);
            130.0 - 95.0 * ridge + 12.0 * dry
        };
        let plane = Plane::from_fn(width, height, pixel).gauss(0.6);
        let pixels = plane.values.iter().map(|value| value.clamp(0.0, 255.0) as u8).collect();
        let image = Image::new(width, height, pixels).expect("the sides are those of a sensor");
        image.four_bits()
    }
}

/// Cores and deltas of a loop to either side, a whorl or an arch, about as often as people have
/// them.
fn pattern(random: &mut Seeded) -> Vec<Turn> {
    let (width, height) = (SKIN.0 as f32, SKIN.1 as f32);
    let x = width / 2.0 + 12.0 * random.normal();
    let y = height * 0.45 + 15.0 * random.normal();
    let aside = 90.0 + 25.0 * random.unit();
    let below = 95.0 + 40.0 * random.unit();
    let kind = random.unit();
    let core = |x: f32, y: f32| Turn { x, y, sign: 1.0 };
    let delta = |x: f32, y: f32| Turn { x, y, sign: -1.0 };
    match () {
        () if kind < 0.30 => vec![core(x, y), delta(x + aside, y + below)],
        () if kind < 0.60 => vec![core(x, y), delta(x - aside, y + below)],
        () if kind < 0.92 => {
            let apart = 12.0 + 40.0 * random.unit();
            let cores =
                [core(x, y - apart / 2.0), core(x + 8.0 * random.normal(), y + apart / 2.0)];
            cores
                .into_iter()
                .chain([delta(x - aside, y + below), delta(x + aside, y + below)])
                .collect()
        }
        () => Vec::new(),
    }
}

/// Noise of about unit deviation that changes slowly, `sigma` places wide.
fn smooth_noise(width: usize, height: usize, sigma: f32, random: &mut Seeded) -> Plane {
    let plane = Plane::from_fn(width, height, |_, _| random.normal()).gauss(sigma);
    // What the Gaussian leaves of the deviation of white noise.
    let gain = 2.0 * PI.sqrt() * sigma;
    plane.map(|value| value * gain)
}
