//! Minutiae of thinned ridges, without those that noise made.

use super::field::Field;
use super::thin::{Bits, CIRCLE};
use crate::minutia::{Kind, MINUTIAE_MAX, Minutia, along, difference};
use crate::plane::Plane;

/// How far a branch is followed for its direction, in pixels.
const TRACE: usize = 12;
/// A branch shorter than this is a hair on a ridge, in pixels.
const SPUR: usize = 10;
/// A ridge piece shorter than this is dirt, in pixels.
const ISLAND: usize = 14;
/// A minutia nearer than this to the edge of the finger is where the finger ends, in pixels.
const EDGE: f32 = 6.0;

/// A way along a thinned ridge.
struct Branch {
    path: Vec<(isize, isize)>,
    /// What made it end.
    end: BranchEnd,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum BranchEnd {
    Open,
    Ending,
    Fork,
}

/// Half the changes from ridge to valley around a pixel: one at an ending, three at a fork.
fn crossing_number(bits: &Bits, x: isize, y: isize) -> usize {
    let circle = bits.neighbours(x, y);
    (0..8).filter(|i| circle[*i] != circle[(i + 1) % 8]).count() / 2
}

/// Where the branches of a pixel begin: one pixel for each run of set neighbours.
fn starts(bits: &Bits, x: isize, y: isize) -> Vec<(isize, isize)> {
    let circle = bits.neighbours(x, y);
    let mut starts = Vec::with_capacity(4);
    for i in 0..8 {
        if circle[i] && !circle[(i + 7) % 8] {
            // In a run a neighbour by the side comes before one by the corner.
            let next = (i + 1) % 8;
            let place = if i % 2 == 1 && circle[next] { next } else { i };
            starts.push((x + CIRCLE[place].0, y + CIRCLE[place].1));
        }
    }
    starts
}

/// Follows a ridge from a minutia over its first pixel.
fn follow(bits: &Bits, from: (isize, isize), first: (isize, isize), most: usize) -> Branch {
    let mut path = vec![first];
    let (mut before, mut here) = (from, first);
    while path.len() < most {
        if crossing_number(bits, here.0, here.1) >= 3 {
            return Branch { path, end: BranchEnd::Fork };
        }
        let near =
            |a: (isize, isize), b: (isize, isize)| (a.0 - b.0).abs() <= 1 && (a.1 - b.1).abs() <= 1;
        let mut steps = CIRCLE.iter().map(|(dx, dy)| (here.0 + dx, here.1 + dy)).filter(|next| {
            bits.at(next.0, next.1) && *next != before && !near(*next, before) && *next != from
        });
        let Some(next) = steps.next() else {
            return Branch { path, end: BranchEnd::Ending };
        };
        (before, here) = (here, next);
        path.push(next);
    }
    Branch { path, end: BranchEnd::Open }
}

/// Takes hairs and crumbs away.
pub(crate) fn prune(bits: &mut Bits) {
    let endings: Vec<_> =
        bits.places().filter(|(x, y)| crossing_number(bits, *x, *y) == 1).collect();
    for (x, y) in endings {
        if !bits.at(x, y) {
            continue;
        }
        let Some(first) = starts(bits, x, y).first().copied() else {
            bits.clear(x, y);
            continue;
        };
        let branch = follow(bits, (x, y), first, ISLAND);
        let length = branch.path.len();
        let keep = match branch.end {
            BranchEnd::Open => continue,
            BranchEnd::Ending => 0,
            BranchEnd::Fork if length >= SPUR => continue,
            // The pixel of the fork belongs to the ridge that goes on.
            BranchEnd::Fork => 1,
        };
        bits.clear(x, y);
        branch.path[..length - keep].iter().for_each(|(x, y)| bits.clear(*x, *y));
    }
}

/// All minutiae that are not on the edge of the finger, with what noise makes taken out.
pub(crate) fn find(bits: &Bits, field: &Field, enhanced: &Plane) -> Vec<Minutia> {
    let mut found: Vec<Minutia> = Vec::new();
    for (x, y) in bits.places() {
        let kind = match crossing_number(bits, x, y) {
            1 => Kind::Ending,
            3 => Kind::Fork,
            _ => continue,
        };
        let (fx, fy) = (x as f32, y as f32);
        if edge(field, bits, fx, fy) {
            continue;
        }
        let (mut tx, mut ty) = (0.0, 0.0);
        for start in starts(bits, x, y) {
            let branch = follow(bits, (x, y), start, TRACE);
            let (ex, ey) = branch.path[branch.path.len() - 1];
            let (dx, dy) = ((ex - x) as f32, (ey - y) as f32);
            let length = dx.hypot(dy).max(1.0);
            (tx, ty) = (tx + dx / length, ty + dy / length);
        }
        let angle = along(field.direction(fx, fy), ty.atan2(tx));
        found.push(Minutia {
            x: fx,
            y: fy,
            angle,
            quality: quality(field, enhanced, fx, fy),
            kind,
        });
    }
    let mut found = remove_false(&found, field);
    found.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    found.truncate(MINUTIAE_MAX);
    found
}

fn edge(field: &Field, bits: &Bits, x: f32, y: f32) -> bool {
    (0..12).any(|i| {
        let (sin, cos) = (i as f32 * std::f32::consts::TAU / 12.0).sin_cos();
        let (px, py) = (x + EDGE * cos, y + EDGE * sin);
        let (right, low) = (bits.width as f32 - 1.0, bits.height as f32 - 1.0);
        !field.inside(px, py) || px < 0.0 || py < 0.0 || px > right || py > low
    })
}

/// How clear ridges are around a place.
fn quality(field: &Field, enhanced: &Plane, x: f32, y: f32) -> f32 {
    const HALF: isize = 9;
    let mut sum = 0.0;
    for dy in (-HALF..=HALF).step_by(2) {
        for dx in (-HALF..=HALF).step_by(2) {
            sum += enhanced.near(x as isize + dx, y as isize + dy).abs();
        }
    }
    let samples = ((HALF + 1) * (HALF + 1)) as f32;
    let clear = (sum / samples / 0.6).min(1.0);
    (clear * field.coherence(x, y)).clamp(0.0, 1.0)
}

/// Pairs of opposite minutiae close together are a torn ridge, a pore or a bridge.
fn remove_false(found: &[Minutia], field: &Field) -> Vec<Minutia> {
    let mut keep = vec![true; found.len()];
    for (i, a) in found.iter().enumerate() {
        for (j, b) in found.iter().enumerate().skip(i + 1) {
            let distance2 = a.distance2(b);
            if distance2 > 400.0 {
                continue;
            }
            let period = field.period(a.x, a.y);
            let turn = difference(a.angle, b.angle).abs().to_degrees();
            let (sin, cos) = field.direction((a.x + b.x) / 2.0, (a.y + b.y) / 2.0).sin_cos();
            let (dx, dy) = (b.x - a.x, b.y - a.y);
            let along = (dx * cos + dy * sin).abs();
            let across = (dy * cos - dx * sin).abs();
            let opposite = turn > 130.0;
            let torn = opposite && across < 0.6 * period && along < 1.2 * period;
            let bridge = opposite && across < 1.4 * period && along < 0.7 * period;
            let near = distance2 < (0.6 * period).powi(2);
            if torn || bridge || (near && opposite) {
                (keep[i], keep[j]) = (false, false);
            } else if near {
                keep[j] = false;
            }
        }
    }
    found.iter().zip(keep).filter(|(_, keep)| *keep).map(|(minutia, _)| *minutia).collect()
}
