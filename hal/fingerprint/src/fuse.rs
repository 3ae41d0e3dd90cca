//! Several placements of a finger made into one set of minutiae that most of them agree on.

use crate::align::{Aligner, Alignment};
use crate::extract::Print;
use crate::minutia::{Minutia, difference, wrap};

/// A minutia that several placements have.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// The mean over the placements, in the frame of the first.
    pub minutia: Minutia,
    /// Placements that have it.
    pub seen: usize,
    /// Placements that show this part of the finger.
    pub shown: usize,
}

impl Agreed {
    /// How likely a further placement that shows the place has the minutia.
    #[must_use]
    pub fn reliability(&self) -> f32 {
        (self.seen as f32 + 0.5) / (self.shown.max(self.seen) as f32 + 1.5)
    }
}

/// What enrolment found out about a finger.
#[derive(Clone, Debug)]
pub struct Fused {
    /// Minutiae, the most reliable first.
    pub minutiae: Vec<Agreed>,
    /// How well each placement agrees with the rest, in the order given.
    pub agreement: Vec<f32>,
}

/// Reliability from which a minutia counts that one placement alone has: the only one that shows
/// the place.
const ONCE_LEAST: f32 = 0.5;
/// How near two placements of one minutia are, in pixels and radians.
const NEAR: f32 = 13.0;
const LEAN: f32 = 0.45;
/// How stiff a finger is taken to be: the larger, the less it bends.
const STIFF: f32 = 0.6;

fn align(print: &Print, target: &[Minutia]) -> Option<Alignment> {
    let covers = |x: f32, y: f32| print.covers(x, y);
    let aligner = Aligner { print: &print.minutiae, target, covers: &covers, missing: 0.0 };
    aligner.best(1).pop()
}

/// Fuses placements; the first frame is that of the placement that agrees best with the others.
#[must_use]
pub fn fuse(prints: &[Print]) -> Option<Fused> {
    let pairwise: Vec<Vec<f32>> = prints
        .iter()
        .enumerate()
        .map(|(i, a)| {
            let others = prints.iter().enumerate();
            others
                .map(
                    |(j, b)| {
                        if i == j { 0.0 } else { align(b, &a.minutiae).map_or(0.0, |x| x.score) }
                    },
                )
                .collect()
        })
        .collect();
    let sums: Vec<f32> = pairwise.iter().map(|row| row.iter().sum()).collect();
    let base = (0..prints.len()).max_by(|a, b| sums[*a].total_cmp(&sums[*b]))?;
    let mut order: Vec<usize> = (0..prints.len()).filter(|i| *i != base).collect();
    order.sort_by(|a, b| pairwise[base][*b].total_cmp(&pairwise[base][*a]));
    let mut placed: Vec<(usize, Option<Alignment>)> = vec![(base, None)];
    let mut agreed = gather(prints, &placed);
    for next in order {
        let target: Vec<Minutia> = agreed.iter().map(|a| a.minutia).collect();
        placed.push((next, align(&prints[next], &target)));
        agreed = gather(prints, &placed);
    }
    // Once more, now that everybody is there.
    let target: Vec<Minutia> = agreed.iter().filter(|a| a.seen >= 2).map(|a| a.minutia).collect();
    for (print, alignment) in &mut placed {
        *alignment = align(&prints[*print], &target);
    }
    agreed = gather(prints, &placed);
    let mut agreement = vec![0.0; prints.len()];
    placed.iter().for_each(|(i, a)| agreement[*i] = a.as_ref().map_or(0.0, |a| a.score));
    agreed.retain(|a| a.seen >= 2 || a.reliability() >= ONCE_LEAST);
    agreed.sort_by(|a, b| b.reliability().total_cmp(&a.reliability()));
    Some(Fused { minutiae: agreed, agreement })
}

/// Groups of minutiae of different placements that lie together.
fn gather(prints: &[Print], placed: &[(usize, Option<Alignment>)]) -> Vec<Agreed> {
    let mut groups: Vec<Vec<(usize, Minutia)>> = Vec::new();
    for (print, alignment) in placed {
        let moved = prints[*print].minutiae.iter().map(|m| match alignment {
            Some(alignment) => alignment.place(m, STIFF),
            None => *m,
        });
        for minutia in moved {
            let fits = |group: &Vec<(usize, Minutia)>| {
                let mean = mean(group);
                let far = mean.distance2(&minutia);
                let free = group.iter().all(|(other, _)| other != print);
                let lean = difference(mean.angle, minutia.angle).abs();
                (free && far < NEAR * NEAR && lean < LEAN).then_some(far)
            };
            let nearest = groups
                .iter_mut()
                .filter_map(|group| Some((fits(group)?, group)))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            match nearest {
                Some((_, group)) => group.push((*print, minutia)),
                None => groups.push(vec![(*print, minutia)]),
            }
        }
    }
    groups
        .iter()
        .map(|group| {
            let minutia = mean(group);
            let shown = placed
                .iter()
                .filter(|(print, alignment)| {
                    let (x, y) = alignment
                        .as_ref()
                        .map_or((minutia.x, minutia.y), |a| a.motion.back(minutia.x, minutia.y));
                    let margin = 12.0;
                    let print = &prints[*print];
                    [(0.0, 0.0), (margin, 0.0), (-margin, 0.0), (0.0, margin), (0.0, -margin)]
                        .iter()
                        .all(|(dx, dy)| print.covers(x + dx, y + dy))
                })
                .count();
            Agreed { minutia, seen: group.len(), shown }
        })
        .collect()
}

fn mean(group: &[(usize, Minutia)]) -> Minutia {
    let count = group.len() as f32;
    let sum = |part: &dyn Fn(&Minutia) -> f32| group.iter().map(|(_, m)| part(m)).sum::<f32>();
    let angle = sum(&|m| m.angle.sin()).atan2(sum(&|m| m.angle.cos()));
    Minutia {
        x: sum(&|m| m.x) / count,
        y: sum(&|m| m.y) / count,
        angle: wrap(angle),
        quality: sum(&|m| m.quality) / count,
        kind: group[0].1.kind,
    }
}
