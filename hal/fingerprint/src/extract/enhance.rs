//! Ridges made clear: a filter along the ridge direction and tuned to the ridge distance.

use std::f32::consts::{PI, TAU};

use super::field::{Field, PERIODS};
use crate::plane::Plane;

/// Directions for which there is a filter.
const DIRECTIONS: usize = 24;
/// Pixels to each side of the middle that a filter sees.
const HALF: usize = 11;
/// Pixels in a row of a filter, filled up to a multiple of eight.
const ROW: usize = 24;
/// Length of the filter along a ridge, in pixels.
const ALONG: f32 = 4.0;
/// Length of the filter across the ridges, in ridge periods.
const ACROSS: f32 = 0.42;

type Kernel = Vec<[f32; ROW]>;

fn kernel(direction: usize, period: f32) -> Kernel {
    let (sin, cos) = (PI * direction as f32 / DIRECTIONS as f32).sin_cos();
    let across_sigma = ACROSS * period;
    let half = HALF as f32;
    let mut kernel = vec![[0.0; ROW]; 2 * HALF + 1];
    let (mut sum, mut weights) = (0.0, 0.0);
    let bell = |x: f32, y: f32| {
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        let bell = -0.5 * ((along / ALONG).powi(2) + (across / across_sigma).powi(2));
        (bell.exp(), across)
    };
    for (y, row) in kernel.iter_mut().enumerate() {
        for (x, weight) in row.iter_mut().take(2 * HALF + 1).enumerate() {
            let (bell, across) = bell(x as f32 - half, y as f32 - half);
            *weight = bell * (TAU * across / period).cos();
            sum += *weight;
            weights += bell;
        }
    }
    // No answer to a plain area, and the same answer to ridges of any period.
    let mut norm = 0.0;
    for (y, row) in kernel.iter_mut().enumerate() {
        for (x, weight) in row.iter_mut().take(2 * HALF + 1).enumerate() {
            let (bell, across) = bell(x as f32 - half, y as f32 - half);
            *weight -= bell * sum / weights;
            norm += *weight * (TAU * across / period).cos();
        }
    }
    kernel.iter_mut().flatten().for_each(|weight| *weight /= norm);
    kernel
}

/// Which filter belongs to which place of an image.
pub(crate) struct Bank {
    kernels: Vec<Option<Kernel>>,
    /// For every square of two by two pixels; none outside the finger.
    choice: Vec<Option<u16>>,
}

impl Bank {
    /// The filters for a field.
    pub(crate) fn new(width: usize, height: usize, field: &Field) -> Self {
        let mut kernels: Vec<Option<Kernel>> = vec![None; DIRECTIONS * PERIODS.len()];
        let mut choice = Vec::with_capacity(width.div_ceil(2) * height.div_ceil(2));
        for y in 0..height.div_ceil(2) {
            for x in 0..width.div_ceil(2) {
                let (x, y) = ((2 * x) as f32 + 0.5, (2 * y) as f32 + 0.5);
                let turn = field.direction(x, y) * DIRECTIONS as f32 / PI;
                let direction = turn.round() as usize % DIRECTIONS;
                let period = nearest_period(field.period(x, y));
                let index = period * DIRECTIONS + direction;
                let inside = field.inside(x, y);
                if inside {
                    kernels[index].get_or_insert_with(|| kernel(direction, PERIODS[period]));
                }
                choice.push(inside.then_some(index as u16));
            }
        }
        Self { kernels, choice }
    }

    /// The image filtered along its ridges: positive on a ridge, about one in the middle of a good
    /// one, zero outside the finger.
    pub(crate) fn enhance(&self, normal: &Plane) -> Plane {
        let padded = pad(normal);
        let columns = normal.width.div_ceil(2);
        Plane::from_fn(normal.width, normal.height, |x, y| {
            let chosen = self.choice[y / 2 * columns + x / 2];
            let Some(kernel) = chosen.and_then(|index| self.kernels[usize::from(index)].as_ref())
            else {
                return 0.0;
            };
            let mut sums = [0.0; ROW];
            for (row, weights) in kernel.iter().enumerate() {
                let from = (y + row) * padded.width + x;
                let Some(values) = padded.values[from..].first_chunk::<ROW>() else { continue };
                for ((sum, weight), value) in sums.iter_mut().zip(weights).zip(values) {
                    *sum += weight * value;
                }
            }
            sums.iter().sum()
        })
    }
}

fn nearest_period(period: f32) -> usize {
    let distance = |index: &usize| (PERIODS[*index] - period).abs();
    (0..PERIODS.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

fn pad(image: &Plane) -> Plane {
    let half = HALF as isize;
    Plane::from_fn(image.width + ROW, image.height + ROW, |x, y| {
        image.near(x as isize - half, y as isize - half)
    })
}
