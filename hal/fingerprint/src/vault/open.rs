//! Laying a print on a vault and guessing which of its minutiae are the right ones.

use zeroize::Zeroizing;

use super::decode::{Points, SET_MAX};
use super::galois::evaluate;
use super::helper::Helper;
use super::lattice::{Hit, hit};
use super::lock::element;
use crate::align::Aligner;
use crate::extract::Print;
use crate::minutia::Minutia;
use crate::random::Random;

/// Ways to lay a print on the anchors that are tried.
const ALIGNMENTS: usize = 12;
/// What an anchor costs that the print should show and does not.
const MISSING_ANCHOR: f32 = 0.2;
/// How stiff a finger is taken to be: the larger, the less it bends.
const STIFF: f32 = 0.6;
/// A minutia that lies on an anchor at least this well is that anchor and nothing secret.
const IS_ANCHOR: f32 = 0.3;
/// How many of the likeliest features guesses are drawn from, in turn.
const TIERS: [usize; 3] = [14, 22, 36];

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Guesses in all, spread evenly over alignments and choices of features.
    pub guesses: u32,
}

impl Default for Budget {
    /// What is shipped; see `docs/fingerprint.md` for what it costs and gives.
    fn default() -> Self {
        Self { guesses: 1 << 19 }
    }
}

/// The features of one print, for each way to lay it on the anchors.
pub struct Attempt {
    /// Elements of the field, the likeliest first.
    pub(crate) sets: Vec<Zeroizing<Vec<u16>>>,
}

impl Attempt {
    /// The groups of features from which guesses are drawn: all alignments with the likeliest few,
    /// then with more.
    pub(crate) fn groups(&self) -> Vec<&[u16]> {
        let mut groups = Vec::new();
        let mut before = 0;
        for size in TIERS {
            let fresh = self.sets.iter().filter(|set| set.len() > before);
            groups.extend(fresh.map(|set| &set[..size.min(set.len())]));
            before = size;
        }
        groups
    }
}

/// Lays a print on a helper's anchors.
#[must_use]
pub fn attempt(helper: &Helper, print: &Print) -> Attempt {
    let covers = |x: f32, y: f32| print.covers(x, y);
    let aligner = Aligner {
        print: &print.minutiae,
        target: &helper.anchors,
        covers: &covers,
        missing: MISSING_ANCHOR,
    };
    let alignments = aligner.best(ALIGNMENTS);
    let sets = alignments.iter().map(|alignment| {
        let anchors: Vec<usize> =
            alignment.matches.iter().filter(|m| m.2 > IS_ANCHOR).map(|m| m.0).collect();
        let free = print.minutiae.iter().enumerate().filter(|(i, _)| !anchors.contains(i));
        let mut hits: Vec<(f32, u16)> = free
            .filter_map(|(_, minutia)| {
                let placed = alignment.place(minutia, STIFF);
                let hit = hit(&helper.offsets, &placed)?;
                Some((likelihood(&hit, &placed), element(hit.feature)))
            })
            .collect();
        hits.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut set = Zeroizing::new(Vec::with_capacity(SET_MAX));
        for (_, feature) in hits {
            if !set.contains(&feature) && set.len() < SET_MAX {
                set.push(feature);
            }
        }
        set
    });
    Attempt { sets: sets.collect() }
}

/// Orders features: clear minutiae, near the middle of their cell, bin and finger, come first.
fn likelihood(hit: &Hit, placed: &Minutia) -> f32 {
    let near = (-hit.far * hit.far / (2.0 * 8.0 * 8.0)).exp();
    let central = (-placed.x.hypot(placed.y) / 300.0).exp();
    placed.quality * near * (1.0 - hit.lean) * central
}

/// The secret polynomial, if the print is of the finger.
pub fn open(
    helper: &Helper,
    print: &Print,
    budget: Budget,
    random: &mut impl Random,
) -> Option<Zeroizing<Vec<u16>>> {
    let attempt = attempt(helper, print);
    let groups = attempt.groups();
    let guesses = budget.guesses / (groups.len().max(1) as u32);
    groups.into_iter().find_map(|places| {
        let values: Zeroizing<Vec<u16>> =
            Zeroizing::new(places.iter().map(|place| value(&helper.vault, *place)).collect());
        let points = Points { places, values: &values, check: helper.check };
        points.decode(helper.k, guesses, random)
    })
}

/// The vault's polynomial, whose leading coefficient is one, at a place.
fn value(vault: &[u16], place: u16) -> u16 {
    let lower = evaluate(vault, place);
    let mut leading = vec![0; vault.len() + 1];
    leading[vault.len()] = 1;
    lower ^ evaluate(&leading, place)
}
