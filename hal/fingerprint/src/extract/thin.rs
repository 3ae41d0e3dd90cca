//! Ridges as black and white, and thinned to lines of one pixel.

use crate::plane::Plane;

/// One where a ridge is, with a border of nothing that is never written.
#[derive(Clone, Debug)]
pub(crate) struct Bits {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) set: Vec<bool>,
}

/// The eight neighbours in a circle, beginning to the right.
pub(crate) const CIRCLE: [(isize, isize); 8] =
    [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];

impl Bits {
    /// Whether a pixel is set; nothing is outside.
    pub(crate) fn at(&self, x: isize, y: isize) -> bool {
        let inside = x >= 0 && y >= 0 && x < self.width as isize && y < self.height as isize;
        inside && self.set[y as usize * self.width + x as usize]
    }

    pub(crate) fn neighbours(&self, x: isize, y: isize) -> [bool; 8] {
        CIRCLE.map(|(dx, dy)| self.at(x + dx, y + dy))
    }

    /// All set pixels.
    pub(crate) fn places(&self) -> impl Iterator<Item = (isize, isize)> + '_ {
        let width = self.width;
        let set = self.set.iter().enumerate().filter(|(_, set)| **set);
        set.map(move |(i, _)| ((i % width) as isize, (i / width) as isize))
    }

    pub(crate) fn clear(&mut self, x: isize, y: isize) {
        self.set[y as usize * self.width + x as usize] = false;
    }
}

/// Ridges of an enhanced image, without islands and pores of fewer pixels than `least`.
pub(crate) fn binarise(
    enhanced: &Plane,
    inside: impl Fn(usize, usize) -> bool,
    least: usize,
) -> Bits {
    let (width, height) = (enhanced.width, enhanced.height);
    let mut set: Vec<bool> = enhanced.values.iter().map(|value| *value > 0.0).collect();
    for value in [true, false] {
        remove_specks(&mut set, width, value, least);
    }
    for (i, bit) in set.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width);
        let border = x == 0 || y == 0 || x + 1 == width || y + 1 == height;
        *bit = *bit && !border && inside(x, y);
    }
    Bits { width, height, set }
}

/// Flips patches of `value` that have fewer than `least` pixels.
fn remove_specks(set: &mut [bool], width: usize, value: bool, least: usize) {
    let mut seen = vec![false; set.len()];
    let mut patch = Vec::new();
    for start in 0..set.len() {
        if seen[start] || set[start] != value {
            continue;
        }
        patch.clear();
        patch.push(start);
        seen[start] = true;
        let mut next = 0;
        while let Some(&place) = patch.get(next) {
            next += 1;
            let (left, right) = (!place.is_multiple_of(width), !(place + 1).is_multiple_of(width));
            let neighbours = [
                left.then(|| place - 1),
                right.then_some(place + 1),
                place.checked_sub(width),
                Some(place + width),
            ];
            for neighbour in neighbours.into_iter().flatten() {
                if set.get(neighbour) == Some(&value) && !seen[neighbour] {
                    seen[neighbour] = true;
                    patch.push(neighbour);
                }
            }
        }
        if patch.len() < least {
            patch.iter().for_each(|place| set[*place] = !value);
        }
    }
}

/// Thins by taking pixels from alternating sides (Guo and Hall 1989) until none can go.
pub(crate) fn thin(bits: &mut Bits) {
    let mut candidates: Vec<usize> = (0..bits.set.len()).filter(|i| bits.set[*i]).collect();
    let mut going = Vec::new();
    loop {
        let before = candidates.len();
        for first in [true, false] {
            going.clear();
            going.extend(candidates.iter().copied().filter(|place| removable(bits, *place, first)));
            going.iter().for_each(|place| bits.set[*place] = false);
            candidates.retain(|place| bits.set[*place]);
        }
        if candidates.len() == before {
            return;
        }
    }
}

fn removable(bits: &Bits, place: usize, first: bool) -> bool {
    let (x, y) = ((place % bits.width) as isize, (place / bits.width) as isize);
    // Named as in the paper: P2 is above, then clockwise.
    let [p4, p5, p6, p7, p8, p9, p2, p3] = bits.neighbours(x, y);
    let count = |bits: [bool; 4]| bits.iter().filter(|bit| **bit).count();
    let crossings =
        count([!p2 && (p3 || p4), !p4 && (p5 || p6), !p6 && (p7 || p8), !p8 && (p9 || p2)]);
    let pairs = count([p9 || p2, p3 || p4, p5 || p6, p7 || p8]).min(count([
        p2 || p3,
        p4 || p5,
        p6 || p7,
        p8 || p9,
    ]));
    let side = if first { (p6 || p7 || !p9) && p8 } else { (p2 || p3 || !p5) && p4 };
    crossings == 1 && (2..=3).contains(&pairs) && !side
}
