//! Where the finger is, which way its ridges run, and how far apart they are.

use std::f32::consts::{PI, TAU};

use crate::plane::{Plane, gaussian, gaussian_slope};

/// Pixels between two places of the field, in both directions.
pub(crate) const STEP: usize = 4;
/// Window of the contrast normalisation, in pixels to each side of the middle.
const CONTRAST_HALF: usize = 12;
/// Smoothing of the ridge direction, in places of the field.
const DIRECTION_SIGMA: f32 = 2.0;
/// Ridge periods that are looked for, in pixels; adults have 7 to 12 at 500 pixels an inch.
pub(crate) const PERIODS: [f32; 14] =
    [5.0, 5.5, 6.0, 6.6, 7.2, 7.9, 8.6, 9.4, 10.2, 11.1, 12.0, 13.0, 14.0, 15.0];

/// What the later steps need to know of every place, on a grid of [`STEP`] pixels.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Cosine of twice the ridge direction, times its coherence.
    pub(crate) cosine: Plane,
    /// Sine of twice the ridge direction, times its coherence.
    pub(crate) sine: Plane,
    /// Pixels from ridge to ridge.
    pub(crate) period: Plane,
    /// One where the finger is.
    pub(crate) mask: Plane,
}

impl Field {
    /// Ridge direction in 0 to pi at a pixel; y runs down.
    pub(crate) fn direction(&self, x: f32, y: f32) -> f32 {
        let (x, y) = grid(x, y);
        let angle = self.sine.between(x, y).atan2(self.cosine.between(x, y)) / 2.0;
        if angle < 0.0 { angle + PI } else { angle }
    }

    /// How much the directions around a pixel agree, 0 to 1.
    pub(crate) fn coherence(&self, x: f32, y: f32) -> f32 {
        let (x, y) = grid(x, y);
        self.sine.between(x, y).hypot(self.cosine.between(x, y))
    }

    pub(crate) fn period(&self, x: f32, y: f32) -> f32 {
        let (x, y) = grid(x, y);
        self.period.between(x, y)
    }

    /// Whether a pixel is on the finger.
    pub(crate) fn inside(&self, x: f32, y: f32) -> bool {
        let (x, y) = grid(x, y);
        self.mask.near(x.round() as isize, y.round() as isize) > 0.5
    }
}

fn grid(x: f32, y: f32) -> (f32, f32) {
    let middle = (STEP as f32 - 1.0) / 2.0;
    ((x - middle) / STEP as f32, (y - middle) / STEP as f32)
}

/// Ridges positive, of equal contrast everywhere.
pub(crate) fn normalise(raw: &Plane) -> Plane {
    let mean = raw.mean(CONTRAST_HALF);
    let mut square = raw.map(|v| v * v).mean(CONTRAST_HALF);
    for (square, mean) in square.values.iter_mut().zip(&mean.values) {
        // Eight greys of noise stay noise.
        *square = (*square - mean * mean).max(0.0).sqrt() + 8.0;
    }
    let centred = mean.zip(raw, |mean, raw| mean - raw);
    centred.zip(&square, |v, spread| (v / spread).clamp(-2.0, 2.0))
}

/// The products of gradients, on the grid.
struct Tensor {
    /// Cosine part of twice the direction across the gradients.
    cosine: Plane,
    /// Sine part.
    sine: Plane,
    energy: Plane,
}

fn tensor(image: &Plane, sigma: f32) -> Tensor {
    let (smooth, slope) = (gaussian(1.2), gaussian_slope(1.2));
    let across = image.separable(&slope, &smooth);
    let down = image.separable(&smooth, &slope);
    let (width, height) = (image.width / STEP, image.height / STEP);
    let sum = |product: &dyn Fn(f32, f32) -> f32| {
        Plane::from_fn(width, height, |x, y| {
            let mut sum = 0.0;
            for py in y * STEP..(y + 1) * STEP {
                for px in x * STEP..(x + 1) * STEP {
                    sum += product(across.at(px, py), down.at(px, py));
                }
            }
            sum / (STEP * STEP) as f32
        })
        .gauss(sigma)
    };
    Tensor {
        cosine: sum(&|a, d| d * d - a * a),
        sine: sum(&|a, d| -2.0 * a * d),
        energy: sum(&|a, d| a * a + d * d),
    }
}

/// Cosine and sine of twice the direction, each times the coherence.
pub(crate) fn direction(normal: &Plane) -> (Plane, Plane) {
    let near = tensor(normal, DIRECTION_SIGMA);
    let share = |part: &Plane, energy: &Plane| part.zip(energy, |part, e| part / (e + 1e-6));
    (share(&near.cosine, &near.energy), share(&near.sine, &near.energy))
}

/// Where there is a finger: enough gradient that agrees on a direction.
pub(crate) fn mask(raw: &Plane) -> Plane {
    let tensor = tensor(raw, 2.0);
    let strength = tensor.cosine.zip(&tensor.sine, f32::hypot);
    let mut sorted = strength.values.clone();
    sorted.sort_by(f32::total_cmp);
    let strong = sorted[sorted.len() * 9 / 10];
    let threshold = (strong * 0.10).max(4.0);
    let mask = strength.map(|value| f32::from(u8::from(value > threshold)));
    // Small holes and hairs go; then only the largest patch stays, and it has no holes.
    let mask = mask.mean(3).map(|share| f32::from(u8::from(share > 0.5)));
    largest(&mask)
}

/// The largest connected patch with its holes filled.
fn largest(mask: &Plane) -> Plane {
    let mut best: Vec<usize> = Vec::new();
    let mut seen = vec![false; mask.values.len()];
    for start in 0..mask.values.len() {
        if !seen[start] && mask.values[start] > 0.5 {
            let patch = flood(mask, start, &mut seen, |value| value > 0.5);
            if patch.len() > best.len() {
                best = patch;
            }
        }
    }
    let mut filled = Plane::new(mask.width, mask.height);
    best.iter().for_each(|place| filled.values[*place] = 1.0);
    fill_holes(&mut filled);
    filled
}

fn fill_holes(mask: &mut Plane) {
    let (width, height) = (mask.width, mask.height);
    let mut outside = vec![false; mask.values.len()];
    for start in 0..mask.values.len() {
        let (x, y) = (start % width, start / width);
        let border = x == 0 || y == 0 || x + 1 == width || y + 1 == height;
        if border && !outside[start] && mask.values[start] < 0.5 {
            flood(mask, start, &mut outside, |value| value < 0.5);
        }
    }
    for (value, outside) in mask.values.iter_mut().zip(outside) {
        *value = f32::from(u8::from(!outside));
    }
}

fn flood(
    mask: &Plane,
    start: usize,
    seen: &mut [bool],
    belongs: impl Fn(f32) -> bool,
) -> Vec<usize> {
    let (width, height) = (mask.width, mask.height);
    let mut patch = vec![start];
    seen[start] = true;
    let mut next = 0;
    while let Some(&place) = patch.get(next) {
        next += 1;
        let (x, y) = (place % width, place / width);
        let neighbours = [
            (x > 0).then(|| place - 1),
            (x + 1 < width).then(|| place + 1),
            (y > 0).then(|| place - width),
            (y + 1 < height).then(|| place + width),
        ];
        for neighbour in neighbours.into_iter().flatten() {
            if !seen[neighbour] && belongs(mask.values[neighbour]) {
                seen[neighbour] = true;
                patch.push(neighbour);
            }
        }
    }
    patch
}

/// Pixels from ridge to ridge at every place, smooth; measured along a line across the ridges.
pub(crate) fn period(normal: &Plane, field: &Field) -> Plane {
    const HALF_ACROSS: i32 = 20;
    const HALF_ALONG: i32 = 6;
    let mut weight = Plane::new(field.mask.width, field.mask.height);
    let mut weighted = weight.clone();
    let waves = waves(HALF_ACROSS);
    let mut profile = [0.0; 2 * HALF_ACROSS as usize + 1];
    for gy in (0..weight.height).step_by(2) {
        for gx in (0..weight.width).step_by(2) {
            if field.mask.at(gx, gy) < 0.5 {
                continue;
            }
            let (x, y) = ((gx * STEP + STEP / 2) as f32, (gy * STEP + STEP / 2) as f32);
            let (sin, cos) = field.direction(x, y).sin_cos();
            for (value, across) in profile.iter_mut().zip(-HALF_ACROSS..) {
                *value = 0.0;
                for along in -HALF_ALONG..=HALF_ALONG {
                    let (across, along) = (across as f32, 1.5 * along as f32);
                    let px = x + along * cos - across * sin;
                    let py = y + along * sin + across * cos;
                    *value += normal.near(px.round() as isize, py.round() as isize);
                }
            }
            let (period, strength) = strongest(&profile, &waves);
            let place = gy * weight.width + gx;
            weight.values[place] = strength;
            weighted.values[place] = strength * period;
        }
    }
    let total: f32 = weight.values.iter().sum();
    let average = if total > 0.0 { weighted.values.iter().sum::<f32>() / total } else { 9.0 };
    // A little of the average everywhere, so that there is a value where nothing was measured.
    let few = 0.02 * total / weight.values.len() as f32 + 1e-6;
    let (weight, weighted) = (weight.gauss(5.0), weighted.gauss(5.0));
    weighted.zip(&weight, |sum, weight| (sum + few * average) / (weight + few))
}

type Wave = (f32, Vec<(f32, f32)>);

/// Windowed cosines and sines of every period.
fn waves(half: i32) -> Vec<Wave> {
    let sample = |period: f32, i: i32| {
        let window = 0.5 + 0.5 * (PI * i as f32 / (half as f32 + 1.0)).cos();
        let (sin, cos) = (TAU * i as f32 / period).sin_cos();
        (window * cos, window * sin)
    };
    PERIODS.iter().map(|p| (*p, (-half..=half).map(|i| sample(*p, i)).collect())).collect()
}

/// The period with most energy, and how much of all energy it has.
fn strongest(profile: &[f32], waves: &[Wave]) -> (f32, f32) {
    let mean = profile.iter().sum::<f32>() / profile.len() as f32;
    let energy = |wave: &Wave| {
        let sum = profile.iter().zip(&wave.1).fold((0.0, 0.0), |(c, s), (value, (cos, sin))| {
            (c + (value - mean) * cos, s + (value - mean) * sin)
        });
        sum.0 * sum.0 + sum.1 * sum.1
    };
    let energies: Vec<f32> = waves.iter().map(energy).collect();
    let all: f32 = profile.iter().map(|v| (v - mean) * (v - mean)).sum();
    let best =
        (0..energies.len()).max_by(|a, b| energies[*a].total_cmp(&energies[*b])).unwrap_or(0);
    // At either end it is a slope of the contrast or noise rather than ridges.
    let inner = best > 0 && best + 1 < energies.len();
    let strength = if inner { energies[best] / (all * profile.len() as f32 + 1e-6) } else { 0.0 };
    (waves[best].0, strength * strength)
}
