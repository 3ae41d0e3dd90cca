//! A rectangle of numbers, with the few filters that are needed.

use zeroize::Zeroize;

/// Numbers in rows, wiped when dropped.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    pub(crate) fn from_fn(
        width: usize,
        height: usize,
        mut value: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let mut plane = Self::new(width, height);
        for (y, row) in plane.values.chunks_exact_mut(width).enumerate() {
            for (x, target) in row.iter_mut().enumerate() {
                *target = value(x, y);
            }
        }
        plane
    }

    /// The value at a place, that of the nearest place inside where it is outside.
    pub(crate) fn near(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.values[y * self.width + x]
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> f32 {
        self.values[y * self.width + x]
    }

    /// The value between four places.
    pub(crate) fn between(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (right, low) = (x - left, y - top);
        let (x, y) = (left as isize, top as isize);
        let upper = self.near(x, y) * (1.0 - right) + self.near(x + 1, y) * right;
        let lower = self.near(x, y + 1) * (1.0 - right) + self.near(x + 1, y + 1) * right;
        upper * (1.0 - low) + lower * low
    }

    pub(crate) fn map(&self, value: impl Fn(f32) -> f32) -> Self {
        Self { values: self.values.iter().map(|v| value(*v)).collect(), ..*self }
    }

    pub(crate) fn zip(&self, other: &Self, value: impl Fn(f32, f32) -> f32) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        Self { values: pairs.map(|(a, b)| value(*a, *b)).collect(), ..*self }
    }

    /// Convolved with the same odd kernel along rows and columns; borders are repeated.
    pub(crate) fn separable(&self, along_rows: &[f32], along_columns: &[f32]) -> Self {
        let across = self.along_rows(along_rows);
        let mut result = Self::new(self.width, self.height);
        let half = along_columns.len() / 2;
        for y in 0..self.height {
            let target = &mut result.values[y * self.width..(y + 1) * self.width];
            for (tap, weight) in along_columns.iter().enumerate() {
                let from = (y + tap).saturating_sub(half).min(self.height - 1);
                let source = &across.values[from * self.width..(from + 1) * self.width];
                for (sum, value) in target.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
        }
        result
    }

    fn along_rows(&self, kernel: &[f32]) -> Self {
        let mut result = Self::new(self.width, self.height);
        let half = kernel.len() / 2;
        let mut padded = vec![0.0; self.width + kernel.len()];
        for y in 0..self.height {
            let row = &self.values[y * self.width..(y + 1) * self.width];
            padded[..half].fill(row[0]);
            padded[half..half + self.width].copy_from_slice(row);
            padded[half + self.width..].fill(row[self.width - 1]);
            let target = &mut result.values[y * self.width..(y + 1) * self.width];
            for (tap, weight) in kernel.iter().enumerate() {
                for (sum, value) in target.iter_mut().zip(&padded[tap..]) {
                    *sum += weight * value;
                }
            }
        }
        result
    }

    /// Smoothed by a Gaussian of the given width.
    pub(crate) fn gauss(&self, sigma: f32) -> Self {
        let kernel = gaussian(sigma);
        self.separable(&kernel, &kernel)
    }

    /// Mean over a square of `2 * half + 1`, fast for any size.
    pub(crate) fn mean(&self, half: usize) -> Self {
        let kernel = vec![1.0 / (2 * half + 1) as f32; 2 * half + 1];
        self.separable(&kernel, &kernel)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

/// A Gaussian kernel whose sum is one.
pub(crate) fn gaussian(sigma: f32) -> Vec<f32> {
    let half = (3.0 * sigma).ceil() as i32;
    let mut kernel: Vec<f32> =
        (-half..=half).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);
    kernel
}

/// The derivative of a Gaussian, to be used beside [`gaussian`] of the same width.
pub(crate) fn gaussian_slope(sigma: f32) -> Vec<f32> {
    let half = (3.0 * sigma).ceil() as i32;
    let slope = |i: i32| i as f32 / (sigma * sigma);
    gaussian(sigma).iter().zip(-half..=half).map(|(weight, i)| weight * slope(i)).collect()
}
