//! From an image to minutiae.

mod advice;
mod enhance;
mod field;
mod minutiae;
mod print;
mod thin;

pub use self::advice::{Advice, Quality};
pub use self::print::{Coverage, Print};

use self::enhance::Bank;
use self::field::Field;
use crate::image::Image;
use crate::plane::Plane;

/// Ridge patches and pores of fewer pixels are dirt.
const SPECK: usize = 40;
/// Sides below this are filled up with white: there is no ridge in them anyway.
const SIDE_LEAST: usize = 48;
/// Answers of the filter above this are as good as any.
const CLEAR: f32 = 1.5;

/// Everything that was read from an image.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// What vaults are made of and opened with.
    pub print: Print,
    /// How good the image is, and what would make it better.
    pub quality: Quality,
    /// Thinned ridges, for drawing.
    pub ridges: Vec<(u16, u16)>,
}

/// Reads the minutiae of an image.
#[must_use]
pub fn extract(image: &Image) -> Reading {
    if image.width() < SIDE_LEAST || image.height() < SIDE_LEAST {
        let (width, height) = (image.width().max(SIDE_LEAST), image.height().max(SIDE_LEAST));
        return extract(&image.centre(width, height));
    }
    let raw = Plane::from_fn(image.width(), image.height(), |x, y| {
        f32::from(image.pixels()[y * image.width() + x])
    });
    let normal = field::normalise(&raw);
    let (cosine, sine) = field::direction(&normal);
    let mask = field::mask(&raw);
    let mut field = Field { period: mask.clone(), cosine, sine, mask };
    field.period = field::period(&normal, &field);
    let rough = Bank::new(image.width(), image.height(), &field).enhance(&normal);
    // Directions are clearer on clear ridges; the image itself is filtered again with them.
    (field.cosine, field.sine) = field::direction(&rough.map(|v| v.clamp(-CLEAR, CLEAR)));
    let enhanced = Bank::new(image.width(), image.height(), &field).enhance(&normal);
    let inside = |x: usize, y: usize| field.inside(x as f32, y as f32);
    let mut bits = thin::binarise(&enhanced, inside, SPECK);
    thin::thin(&mut bits);
    minutiae::prune(&mut bits);
    let minutiae = minutiae::find(&bits, &field, &rough);
    let ridges = bits.places().map(|(x, y)| (x as u16, y as u16)).collect();
    let quality = Quality::of(&raw, &field, &minutiae);
    let print = Print { minutiae, coverage: Coverage::of(&field.mask) };
    Reading { print, quality, ridges }
}

/// Which way ridges run and how far apart they are, given rather than measured.
#[derive(Debug)]
pub(crate) struct Ridges(Field);

impl Ridges {
    /// Directions in radians and periods in pixels.
    pub(crate) fn new(width: usize, height: usize, at: impl Fn(f32, f32) -> (f32, f32)) -> Self {
        let (columns, rows) = (width / field::STEP, height / field::STEP);
        let place =
            |x: usize, y: usize| at((x * field::STEP) as f32 + 1.5, (y * field::STEP) as f32 + 1.5);
        Self(Field {
            cosine: Plane::from_fn(columns, rows, |x, y| (2.0 * place(x, y).0).cos()),
            sine: Plane::from_fn(columns, rows, |x, y| (2.0 * place(x, y).0).sin()),
            period: Plane::from_fn(columns, rows, |x, y| place(x, y).1),
            mask: Plane::from_fn(columns, rows, |_, _| 1.0),
        })
    }
}

/// Filters noise along ridges until it is ridges: the more `soft` rounds, in which strong places
/// stay strong, the fewer minutiae; `hard` ones make all ridges equal.
pub(crate) fn grow(noise: Plane, ridges: &Ridges, soft: usize, hard: usize) -> Plane {
    let bank = Bank::new(noise.width, noise.height, &ridges.0);
    (0..soft + hard).fold(noise, |skin, round| {
        let filtered = bank.enhance(&skin);
        if round < soft {
            let energy: f32 = filtered.values.iter().map(|v| v * v).sum();
            let scale = (energy / filtered.values.len() as f32).sqrt().max(1e-6);
            return filtered.map(|value| value / scale);
        }
        filtered.map(|value| (3.0 * value).clamp(-1.0, 1.0))
    })
}
