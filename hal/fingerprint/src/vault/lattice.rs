//! Places and directions made into a finite number of features.
//!
//! Every hexagonal cell has its own centre and its own zero of directions. Where a cell holds a
//! secret minutia, both are such that the minutia is in the very middle; where it does not, they
//! are random. As minutiae lie anywhere in a cell, nobody can tell which is which.

use std::f32::consts::TAU;

use zeroize::Zeroize;

use crate::minutia::Minutia;

/// Cells in a row.
const COLUMNS: usize = 20;
/// Rows of cells.
const ROWS: usize = 24;
/// Cells in all: 440 x 457 pixels, more than five placements on one sensor cover.
pub(crate) const CELLS: usize = COLUMNS * ROWS;
/// Distance of neighbouring cells, in pixels.
pub(crate) const PITCH: f32 = 22.0;
/// Distance of neighbouring rows, in pixels.
const ROW_PITCH: f32 = PITCH * 0.866_025_4;
/// Directions that are told apart.
pub(crate) const BINS: usize = 6;
/// Width of a bin, in radians.
const BIN: f32 = TAU / BINS as f32;
/// Features in all.
pub(crate) const FEATURES: usize = CELLS * BINS;
/// A minutia farther than this from a cell's own centre is none of the cell's, in pixels.
const REACH: f32 = 13.0;

/// A cell's own centre and zero of directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offset {
    /// From the middle of the hexagon, in pixels.
    dx: f32,
    dy: f32,
    /// The middle of the first bin, in radians.
    zero: f32,
}

/// What a minutia is when it is laid on the lattice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    /// Cell and bin as one number below [`FEATURES`].
    pub(crate) feature: u16,
    /// Pixels from the cell's own centre.
    pub(crate) far: f32,
    /// Bins from the middle of the bin, up to a half.
    pub(crate) lean: f32,
}

/// Where the hexagon of a cell has its middle.
fn middle(cell: usize) -> (f32, f32) {
    let (column, row) = (cell % COLUMNS, cell / COLUMNS);
    let shift = if row % 2 == 1 { 0.5 } else { 0.0 };
    let x = (column as f32 + shift - COLUMNS as f32 / 2.0) * PITCH;
    (x, (row as f32 - ROWS as f32 / 2.0) * ROW_PITCH)
}

/// The cells around a place, no matter whether near enough.
fn around(x: f32, y: f32) -> impl Iterator<Item = usize> {
    let row = (y / ROW_PITCH + ROWS as f32 / 2.0).round() as isize;
    let column = (x / PITCH + COLUMNS as f32 / 2.0).round() as isize;
    let rows = (row - 2).max(0)..(row + 3).min(ROWS as isize);
    rows.flat_map(move |row| {
        let columns = (column - 2).max(0)..(column + 3).min(COLUMNS as isize);
        columns.map(move |column| row as usize * COLUMNS + column as usize)
    })
}

/// The cell in whose hexagon a place is; none outside the lattice.
pub(crate) fn cell(x: f32, y: f32) -> Option<usize> {
    let far = |cell: usize| {
        let (cx, cy) = middle(cell);
        (cx - x).hypot(cy - y)
    };
    // A corner of a hexagon is 0.58 of the pitch from its middle.
    let near = around(x, y).filter(|cell| far(*cell) < 0.6 * PITCH);
    near.min_by(|a, b| far(*a).total_cmp(&far(*b)))
}

/// The feature of a minutia: that of the nearest centre.
pub(crate) fn hit(offsets: &[Offset], minutia: &Minutia) -> Option<Hit> {
    let far = |cell: usize, offset: &Offset| {
        let (cx, cy) = middle(cell);
        (cx + offset.dx - minutia.x).hypot(cy + offset.dy - minutia.y)
    };
    let near = around(minutia.x, minutia.y).filter_map(|cell| {
        let offset = offsets.get(cell)?;
        Some((far(cell, offset), cell, offset)).filter(|(far, _, _)| *far <= REACH)
    });
    let (far, cell, offset) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let turn = (minutia.angle - offset.zero).rem_euclid(TAU) / BIN;
    let bin = turn.round() as usize % BINS;
    Some(Hit { feature: (cell * BINS + bin) as u16, far, lean: (turn - turn.round()).abs() })
}

impl Offset {
    /// What puts a minutia into the middle of its cell and of one of its bins, as it comes back
    /// from its code. At the very edge of a hexagon the code may mean the edge across; then it is
    /// the next place inwards that is kept.
    pub(crate) fn of(cell: usize, minutia: &Minutia) -> Self {
        let (cx, cy) = middle(cell);
        let (dx, dy) = (minutia.x - cx, minutia.y - cy);
        let zero = minutia.angle.rem_euclid(BIN);
        let coded = [1.0, 0.97, 0.94, 0.9].map(|inwards| {
            Self::decode(Self { dx: dx * inwards, dy: dy * inwards, zero }.encode())
        });
        let near = |offset: &Self| (offset.dx - dx).hypot(offset.dy - dy) < 0.1 * PITCH;
        coded.into_iter().find(near).unwrap_or(coded[3])
    }

    /// Three bytes, each evenly distributed where minutiae are: the place within the lattice's
    /// parallelogram, which is the hexagon cut otherwise, and the share of a bin.
    pub(crate) fn encode(self) -> [u8; 3] {
        let down = self.dy / ROW_PITCH;
        let right = self.dx / PITCH - down / 2.0;
        [right, down, self.zero / BIN].map(|share| (share.rem_euclid(1.0) * 256.0) as i32 as u8)
    }

    /// The offset of any three bytes.
    pub(crate) fn decode(code: [u8; 3]) -> Self {
        let [right, down, turn] = code.map(|byte| (f32::from(byte) + 0.5) / 256.0);
        let at = |right: f32, down: f32| ((right + down / 2.0) * PITCH, down * ROW_PITCH);
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
        let places = corners.map(|(r, d)| at(right - r, down - d));
        let far = |place: &(f32, f32)| place.0.hypot(place.1);
        let nearest = places.into_iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        let (dx, dy) = nearest.unwrap_or_default();
        Self { dx, dy, zero: turn * BIN }
    }
}

impl Zeroize for Offset {
    fn zeroize(&mut self) {
        (self.dx, self.dy, self.zero) = (0.0, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minutia::Kind;
    use crate::random::{Random, Seeded};

    #[test]
    fn a_kept_minutia_is_in_the_middle_of_its_feature() {
        let mut random = Seeded::new(1);
        for _ in 0..2_000 {
            let mut offsets: Vec<Offset> = (0..CELLS)
                .map(|_| Offset::decode(random.next().to_be_bytes()[..3].try_into().unwrap()))
                .collect();
            let (x, y) = (random.normal() * 60.0, random.normal() * 70.0);
            let angle = random.unit() * TAU;
            let minutia = Minutia { x, y, angle, quality: 1.0, kind: Kind::Fork };
            let Some(cell) = cell(x, y) else { continue };
            offsets[cell] = Offset::of(cell, &minutia);
            let own = hit(&offsets, &minutia).expect("its own cell is near enough");
            // Another cell's random centre may be nearer than one that had to go inwards.
            assert!(own.far < 0.1 * PITCH, "{own:?}");
            let own_cell = usize::from(own.feature) / BINS == cell;
            assert!(!own_cell || own.lean < 0.01, "{own:?}");
        }
    }

    #[test]
    fn every_offset_stays_within_its_hexagon() {
        for code in 0..=u16::MAX {
            let [right, down] = code.to_be_bytes();
            let offset = Offset::decode([right, down, 7]);
            assert!(offset.dx.hypot(offset.dy) <= 0.578 * PITCH, "{offset:?}");
            let [r, d, turn] = offset.encode();
            let near = |a: u8, b: u8| a.wrapping_sub(b).wrapping_add(1) <= 2;
            assert!(near(r, right) && near(d, down) && near(turn, 7), "{offset:?}");
        }
    }
}
