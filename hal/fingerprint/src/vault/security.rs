//! How hard a vault is for other people's fingers.

use super::helper::K_MIN;
use super::lock::Locked;
use super::open::{Attempt, attempt};
use crate::extract::Print;

/// Impostors that have to be able to guess at all, before what they reach is believed.
const ENOUGH: usize = 8;

/// What a bank of other fingers reaches against one vault, for every `k`.
#[derive(Clone, Debug)]
pub struct Impostors {
    /// Mean success of one guess for k = 0, 1, 2, ..., and how many could succeed at all.
    means: Vec<(f64, usize)>,
    count: usize,
}

/// The share of choices of `k` among `of` that are all among the `right` ones.
fn chance(right: usize, of: usize, k: usize) -> f64 {
    if right < k {
        return 0.0;
    }
    (0..k).map(|i| (right - i) as f64 / (of - i) as f64).product()
}

impl Attempt {
    /// The success of one guess, and the probability to open with a number of guesses, against a
    /// vault whose features are known.
    #[must_use]
    pub fn odds(&self, locked: &Locked, k: usize, guesses: u32) -> (f64, f64) {
        let groups = self.groups();
        let each = f64::from(guesses / groups.len().max(1) as u32);
        let mut mean = 0.0;
        let mut miss = 0.0;
        for group in &groups {
            let right = group.iter().filter(|f| locked.features.binary_search(f).is_ok()).count();
            let chance = chance(right, group.len(), k);
            mean += chance / groups.len() as f64;
            // A certain guess makes it minus infinity, and so the miss impossible.
            miss += each * (-chance).ln_1p();
        }
        (mean, 1.0 - miss.exp())
    }
}

impl Impostors {
    /// Nobody yet, for every `k` up to `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { means: vec![(0.0, 0); most + 1], count: 0 }
    }

    /// Counts one more print of another finger.
    pub fn add(&mut self, locked: &Locked, attempt: &Attempt) {
        self.count += 1;
        for (k, (sum, able)) in self.means.iter_mut().enumerate() {
            let (chance, _) = attempt.odds(locked, k, 1);
            *sum += chance;
            *able += usize::from(chance > 0.0);
        }
    }

    /// Adds what others were counted for.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (own, other) in self.means.iter_mut().zip(&other.means) {
            *own = (own.0 + other.0, own.1 + other.1);
        }
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Minus the binary logarithm of the mean success of one guess. Where too few impostors could
    /// guess at all to say, at most as much more than for `k - 1` as that is more than for `k - 2`.
    #[must_use]
    pub fn bits(&self, k: usize) -> f64 {
        let Some((sum, able)) = self.means.get(k).filter(|_| self.count > 0) else { return 0.0 };
        let seen = -(sum / self.count as f64).log2();
        if *able >= ENOUGH || k < 2 {
            return seen;
        }
        let (before, first) = (self.bits(k - 1), self.bits(k - 2));
        seen.min(before + (before - first).max(0.0))
    }
}

/// The smallest `k` with which a vault is as hard as wanted for a bank of other fingers, and how
/// hard it then is.
pub fn choose_k<'a>(
    locked: &Locked,
    bank: impl Iterator<Item = &'a Print>,
    bits: f64,
) -> Option<(usize, f64)> {
    let mut impostors = Impostors::new(super::K_MAX);
    bank.for_each(|print| impostors.add(locked, &attempt(&locked.helper, print)));
    (K_MIN..=super::K_MAX).map(|k| (k, impostors.bits(k))).find(|(_, have)| *have >= bits)
}
