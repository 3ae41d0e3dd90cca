//! Making a vault of what several placements agree on.

use zeroize::{Zeroize, Zeroizing};

use super::check::Check;
use super::galois::from_roots;
use super::helper::{ANCHORS_MAX, DEGREE, Helper};
use super::lattice::{CELLS, FEATURES, Offset, cell, hit};
use crate::fuse::{Agreed, Fused};
use crate::minutia::Minutia;
use crate::random::Random;

/// Most minutiae that are kept secret; the other roots are random.
const SECRETS_MAX: usize = 36;
/// Fewest minutiae, anchors and secret ones, of which a vault is made.
pub const MINUTIAE_LEAST: usize = 16;
/// Share of the minutiae that become anchors: each one helps to lay a print on the vault, and is
/// then no longer secret.
const ANCHOR_SHARE: f32 = 0.2;
/// Anchors farther apart than this are far enough, in pixels.
const ANCHOR_SPREAD: f32 = 60.0;

/// A vault, and what only enrolment knows about it.
pub struct Locked {
    /// What is kept.
    pub helper: Helper,
    /// Coefficients of the secret polynomial, as many as the helper's `k`.
    pub secret: Zeroizing<Vec<u16>>,
    /// The features that open it.
    pub(crate) features: Zeroizing<Vec<u16>>,
}

impl Locked {
    /// How many minutiae are kept secret.
    #[must_use]
    pub fn secret_minutiae(&self) -> usize {
        self.features.len()
    }

    /// The same lattice with a fresh secret of another size.
    pub fn set_k(&mut self, k: usize, random: &mut impl Random) {
        let mut roots = self.features.clone();
        // Roots that are no feature: a vault of few minutiae looks like one of many.
        while roots.len() < DEGREE {
            let first = u32::from(PLACE_LEAST) + FEATURES as u32;
            let filler = first + random.below(65_536 - first);
            if !roots.contains(&(filler as u16)) {
                roots.push(filler as u16);
            }
        }
        self.secret = Zeroizing::new((0..k).map(|_| random.next() as u16).collect());
        let mut vault = from_roots(&roots);
        vault.truncate(DEGREE);
        vault.iter_mut().zip(self.secret.iter()).for_each(|(v, s)| *v ^= s);
        self.helper.k = k;
        self.helper.vault.zeroize();
        self.helper.vault = vault;
        self.helper.check = Check::of(&self.secret);
    }
}

/// The element at which a feature stands in the polynomials. None stands at zero, where guesses are
/// looked at first.
pub(crate) const fn element(feature: u16) -> u16 {
    feature + PLACE_LEAST
}
const PLACE_LEAST: u16 = 1;

/// A vault that opens with `k` features of the finger, or nothing where there are too few.
pub fn lock(fused: &Fused, k: usize, random: &mut impl Random) -> Option<Locked> {
    if fused.minutiae.len() < MINUTIAE_LEAST {
        return None;
    }
    let all = centred(&fused.minutiae);
    let count = (all.len() as f32 * ANCHOR_SHARE).round() as usize;
    let chosen = anchors(&all, count.min(ANCHORS_MAX));
    let mut offsets: Vec<Offset> = (0..CELLS)
        .map(|_| {
            let [a, b, c, ..] = random.next().to_be_bytes();
            Offset::decode([a, b, c])
        })
        .collect();
    let mut kept: Vec<(usize, Minutia)> = Vec::new();
    for (index, agreed) in all.iter().enumerate() {
        let Some(cell) = cell(agreed.minutia.x, agreed.minutia.y) else { continue };
        let taken = chosen.contains(&index) || kept.iter().any(|(other, _)| *other == cell);
        if !taken && kept.len() < SECRETS_MAX {
            offsets[cell] = Offset::of(cell, &agreed.minutia);
            kept.push((cell, agreed.minutia));
        }
    }
    let mut features: Zeroizing<Vec<u16>> = Zeroizing::new(
        kept.iter().filter_map(|(_, m)| Some(element(hit(&offsets, m)?.feature))).collect(),
    );
    features.sort_unstable();
    features.dedup();
    kept.iter_mut().for_each(|(_, minutia)| minutia.zeroize());
    let anchors = chosen.iter().map(|index| all[*index].minutia).collect();
    let helper = Helper { k, anchors, offsets, vault: Vec::new(), check: Check::default() };
    let mut locked = Locked { helper, secret: Zeroizing::new(Vec::new()), features };
    locked.set_k(k, random);
    Some(locked)
}

/// Minutiae around their common centre.
fn centred(minutiae: &[Agreed]) -> Vec<Agreed> {
    let count = minutiae.len() as f32;
    let sum = |part: &dyn Fn(&Minutia) -> f32| {
        minutiae.iter().map(|agreed| part(&agreed.minutia)).sum::<f32>() / count
    };
    let (x, y) = (sum(&|m| m.x), sum(&|m| m.y));
    let mut centred = minutiae.to_vec();
    for agreed in &mut centred {
        agreed.minutia.x -= x;
        agreed.minutia.y -= y;
    }
    centred
}

/// Minutiae that are reliable and far from each other.
fn anchors(minutiae: &[Agreed], count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count {
        let gain = |index: &usize| {
            let agreed = &minutiae[*index];
            let far = |other: &usize| minutiae[*other].minutia.distance2(&agreed.minutia).sqrt();
            let nearest = chosen.iter().map(far).fold(ANCHOR_SPREAD, f32::min);
            agreed.reliability() * nearest
        };
        let free = (0..minutiae.len()).filter(|index| !chosen.contains(index));
        let Some(best) = free.max_by(|a, b| gain(a).total_cmp(&gain(b))) else { break };
        chosen.push(best);
    }
    chosen
}
