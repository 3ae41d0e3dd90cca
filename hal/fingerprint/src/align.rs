//! Laying one set of minutiae over another.

use std::f32::consts::PI;

use crate::minutia::{Minutia, difference, wrap};

/// Most that a finger is taken to be turned against its enrolment, in radians.
const TURN_MAX: f32 = 50.0 * PI / 180.0;
/// How much the distance of two minutiae may differ between placements, in pixels.
const STRETCH: f32 = 10.0;
/// How much the direction of a minutia may differ after turning, in radians.
const LEAN: f32 = 28.0 * PI / 180.0;
/// Two minutiae further apart than this after alignment are not the same, in pixels.
pub(crate) const REACH: f32 = 17.0;
/// Pairs nearer than this say little about the turn, in pixels.
const PAIR_LEAST: f32 = 24.0;
/// Hypotheses that are refined.
const REFINED: usize = 48;

/// A turn and a shift.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    turn: f32,
    sin: f32,
    cos: f32,
    dx: f32,
    dy: f32,
}

impl Motion {
    fn new(turn: f32, from: (f32, f32), to: (f32, f32)) -> Self {
        let (sin, cos) = turn.sin_cos();
        let dx = to.0 - (from.0 * cos - from.1 * sin);
        let dy = to.1 - (from.0 * sin + from.1 * cos);
        Self { turn, sin, cos, dx, dy }
    }

    /// A minutia after the motion.
    pub(crate) fn apply(&self, m: &Minutia) -> Minutia {
        let x = m.x * self.cos - m.y * self.sin + self.dx;
        let y = m.x * self.sin + m.y * self.cos + self.dy;
        Minutia { x, y, angle: wrap(m.angle + self.turn), ..*m }
    }

    /// Where a place of the target was before the motion.
    pub(crate) fn back(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.dx, y - self.dy);
        (x * self.cos + y * self.sin, y * self.cos - x * self.sin)
    }

    /// Whether both do about the same to a place.
    fn resembles(&self, other: &Self, x: f32, y: f32) -> bool {
        let (a, b) = (self.back(x, y), other.back(x, y));
        (a.0 - b.0).hypot(a.1 - b.1) < 7.0 && difference(self.turn, other.turn).abs() < 0.07
    }
}

/// One minutia that lies on another: index in what was moved, index in the target, weight.
pub(crate) type Match = (usize, usize, f32);

/// A motion, the minutiae it brings together, and how good that is.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// The motion from the print to the target.
    pub motion: Motion,
    /// Sum of the weights, less what should have been there and was not.
    pub score: f32,
    pub(crate) matches: Vec<Match>,
    /// Residuals at matched places, that [`Alignment::place`] takes back.
    residuals: Vec<[f32; 4]>,
}

/// How a print may be moved onto a target.
pub(crate) struct Aligner<'a> {
    pub(crate) print: &'a [Minutia],
    pub(crate) target: &'a [Minutia],
    /// Whether the print shows a place of its own image.
    pub(crate) covers: &'a dyn Fn(f32, f32) -> bool,
    /// What a target minutia costs that is covered and not found.
    pub(crate) missing: f32,
}

impl Aligner<'_> {
    /// The best motions that differ, best first.
    pub(crate) fn best(&self, count: usize) -> Vec<Alignment> {
        let mut rough: Vec<(f32, Motion)> =
            self.hypotheses().map(|m| (self.score(&m), m)).collect();
        rough.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (x, y) = centre(self.target);
        let mut distinct: Vec<Motion> = Vec::new();
        for (_, motion) in rough {
            if distinct.len() == REFINED {
                break;
            }
            if !distinct.iter().any(|other| other.resembles(&motion, x, y)) {
                distinct.push(motion);
            }
        }
        let mut refined: Vec<Alignment> =
            distinct.iter().map(|motion| self.refine(*motion)).collect();
        refined.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut best: Vec<Alignment> = Vec::new();
        for alignment in refined {
            if best.len() == count {
                break;
            }
            if !best.iter().any(|other| other.motion.resembles(&alignment.motion, x, y)) {
                best.push(alignment);
            }
        }
        best
    }

    /// Motions that bring two minutiae onto two others at once.
    fn hypotheses(&self) -> impl Iterator<Item = Motion> + '_ {
        let pairs = |minutiae: &[Minutia]| -> Vec<(usize, usize, f32, f32)> {
            let mut pairs = Vec::new();
            for (i, a) in minutiae.iter().enumerate() {
                for (j, b) in minutiae.iter().enumerate() {
                    let (dx, dy) = (b.x - a.x, b.y - a.y);
                    if i != j && dx.hypot(dy) >= PAIR_LEAST {
                        pairs.push((i, j, dx.hypot(dy), dy.atan2(dx)));
                    }
                }
            }
            pairs
        };
        let mut printed = pairs(self.print);
        printed.sort_by(|a, b| a.2.total_cmp(&b.2));
        // The other order of both pairs is the same motion.
        let targets: Vec<_> = pairs(self.target).into_iter().filter(|p| p.0 < p.1).collect();
        targets.into_iter().flat_map(move |(ti, tj, length, heading)| {
            let (a, b) = (&self.target[ti], &self.target[tj]);
            let stretch = STRETCH.min(0.12 * length + 3.0);
            let first = printed.partition_point(|p| p.2 < length - stretch);
            let fitting = printed[first..].iter().take_while(move |p| p.2 <= length + stretch);
            let motions: Vec<Motion> = fitting
                .filter_map(|(pi, pj, _, printed_heading)| {
                    let (c, d) = (&self.print[*pi], &self.print[*pj]);
                    let turn = difference(heading, *printed_heading);
                    let fits = turn.abs() <= TURN_MAX
                        && difference(c.angle + turn, a.angle).abs() <= LEAN
                        && difference(d.angle + turn, b.angle).abs() <= LEAN;
                    let middle = |a: &Minutia, b: &Minutia| ((a.x + b.x) / 2.0, (a.y + b.y) / 2.0);
                    fits.then(|| Motion::new(turn, middle(c, d), middle(a, b)))
                })
                .collect();
            motions
        })
    }

    fn score(&self, motion: &Motion) -> f32 {
        let moved: Vec<Minutia> = self.print.iter().map(|m| motion.apply(m)).collect();
        let mut score = 0.0;
        for target in self.target {
            let best = moved.iter().map(|m| weight(m, target)).fold(0.0, f32::max);
            score += if best > 0.0 { best } else { self.absent(motion, target) };
        }
        score
    }

    fn absent(&self, motion: &Motion, target: &Minutia) -> f32 {
        let (x, y) = motion.back(target.x, target.y);
        if (self.covers)(x, y) { -self.missing } else { 0.0 }
    }

    /// Moves by the mean of what is matched, three times.
    fn refine(&self, mut motion: Motion) -> Alignment {
        let mut matches = self.matches(&motion);
        for _ in 0..3 {
            let Some(better) = fit(self.print, self.target, &matches) else { break };
            if better.turn.abs() > TURN_MAX + 0.1 {
                break;
            }
            motion = better;
            matches = self.matches(&motion);
        }
        let mut missed = vec![true; self.target.len()];
        matches.iter().for_each(|m| missed[m.1] = false);
        let absent: f32 = self
            .target
            .iter()
            .zip(&missed)
            .filter(|(_, missed)| **missed)
            .map(|(t, _)| self.absent(&motion, t))
            .sum();
        let score = matches.iter().map(|m| m.2).sum::<f32>() + absent;
        let residual = |(i, j, weight): &Match| {
            let moved = motion.apply(&self.print[*i]);
            let target = &self.target[*j];
            [target.x, target.y, weight * (target.x - moved.x), weight * (target.y - moved.y)]
        };
        let residuals = matches.iter().map(residual).collect();
        Alignment { motion, score, matches, residuals }
    }

    /// Which minutiae lie on which, each once, best first.
    fn matches(&self, motion: &Motion) -> Vec<Match> {
        let mut all = Vec::new();
        for (i, minutia) in self.print.iter().enumerate() {
            let moved = motion.apply(minutia);
            for (j, target) in self.target.iter().enumerate() {
                let weight = weight(&moved, target);
                if weight > 0.0 {
                    all.push((i, j, weight));
                }
            }
        }
        all.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut used = (vec![false; self.print.len()], vec![false; self.target.len()]);
        all.retain(|(i, j, _)| {
            let free = !used.0[*i] && !used.1[*j];
            (used.0[*i], used.1[*j]) = (used.0[*i] || free, used.1[*j] || free);
            free
        });
        all
    }
}

impl Alignment {
    /// A minutia of the print in the target's frame, bent as the matched ones near it are.
    pub(crate) fn place(&self, minutia: &Minutia, bend: f32) -> Minutia {
        let mut moved = self.motion.apply(minutia);
        let (mut weights, mut dx, mut dy) = (bend, 0.0, 0.0);
        for [x, y, rx, ry] in &self.residuals {
            let far = (moved.x - x).powi(2) + (moved.y - y).powi(2);
            let weight = (-far / (2.0 * 55.0 * 55.0)).exp();
            weights += weight;
            dx += weight * rx;
            dy += weight * ry;
        }
        moved.x += dx / weights;
        moved.y += dy / weights;
        moved
    }
}

/// How much two minutiae look the same after alignment, 0 to 1.
fn weight(a: &Minutia, b: &Minutia) -> f32 {
    let far = a.distance2(b) / (REACH * REACH);
    if far >= 1.0 {
        return 0.0;
    }
    let lean = difference(a.angle, b.angle) / LEAN;
    if lean.abs() >= 1.0 { 0.0 } else { (1.0 - far) * (1.0 - lean * lean) }
}

fn centre(minutiae: &[Minutia]) -> (f32, f32) {
    let count = minutiae.len().max(1) as f32;
    let sum = minutiae.iter().fold((0.0, 0.0), |(x, y), m| (x + m.x, y + m.y));
    (sum.0 / count, sum.1 / count)
}

/// The rigid motion with the least squared distance over the matches.
fn fit(print: &[Minutia], target: &[Minutia], matches: &[Match]) -> Option<Motion> {
    if matches.len() < 2 {
        return None;
    }
    let total: f32 = matches.iter().map(|m| m.2).sum();
    let mean = |place: &dyn Fn(&Match) -> (f32, f32)| {
        let sum = matches.iter().fold((0.0, 0.0), |(x, y), m| {
            let (px, py) = place(m);
            (x + m.2 * px, y + m.2 * py)
        });
        (sum.0 / total, sum.1 / total)
    };
    let from = mean(&|m| (print[m.0].x, print[m.0].y));
    let to = mean(&|m| (target[m.1].x, target[m.1].y));
    let (mut dot, mut cross) = (0.0, 0.0);
    for (i, j, weight) in matches {
        let (a, b) = (&print[*i], &target[*j]);
        let (ax, ay, bx, by) = (a.x - from.0, a.y - from.1, b.x - to.0, b.y - to.1);
        dot += weight * (ax * bx + ay * by);
        cross += weight * (ax * by - ay * bx);
        // Directions say something, too: as much as a minutia thirty pixels away.
        let lean = difference(b.angle, a.angle);
        dot += weight * 900.0 * lean.cos();
        cross += weight * 900.0 * lean.sin();
    }
    Some(Motion::new(cross.atan2(dot), from, to))
}
