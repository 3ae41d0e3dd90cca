//! Guessing: few features are drawn, the polynomial through them is tested, and so on.

use zeroize::Zeroizing;

use super::check::Check;
use super::galois::{ORDER, fold, interpolate, log, powers};
use crate::random::Random;

/// Most features that one set has.
pub(crate) const SET_MAX: usize = 40;
/// Most coefficients of the secret polynomial.
pub(crate) const K_MAX: usize = 14;

/// Points of which an unknown part lies on the secret polynomial.
pub(crate) struct Points<'a> {
    /// Distinct places, none of them zero.
    pub(crate) places: &'a [u16],
    /// What the vault has there.
    pub(crate) values: &'a [u16],
    /// What is known of the secret polynomial.
    pub(crate) check: Check,
}

impl Points<'_> {
    /// Draws `guesses` times `k` of the points and gives the polynomial through them if it passes
    /// the check.
    pub(crate) fn decode(
        &self,
        k: usize,
        guesses: u32,
        random: &mut impl Random,
    ) -> Option<Zeroizing<Vec<u16>>> {
        let count = self.places.len().min(SET_MAX);
        if count < k || !(2..=K_MAX).contains(&k) {
            return None;
        }
        let table = self.table(count);
        let mut order: [u8; SET_MAX] = std::array::from_fn(|i| i as u8);
        for _ in 0..guesses {
            shuffle(&mut order, count, k, random);
            if !self.promising(&table, &order[..k]) {
                continue;
            }
            let point = |i: &u8| (self.places[usize::from(*i)], self.values[usize::from(*i)]);
            let points: Zeroizing<Vec<(u16, u16)>> =
                Zeroizing::new(order[..k].iter().map(point).collect());
            let polynomial = Zeroizing::new(interpolate(&points));
            if self.check.is_of(&polynomial) {
                return Some(polynomial);
            }
        }
        None
    }

    /// Lagrange's formula at zero, all of it as exponents: for every point that of its value over
    /// its place, and for every two points that of one over their difference.
    fn table(&self, count: usize) -> Table {
        let mut table =
            Table { own: [None; SET_MAX], place: [0; SET_MAX], apart: [[0; SET_MAX]; SET_MAX] };
        for i in 0..count {
            let (x, y) = (self.places[i], self.values[i]);
            table.place[i] = log(x);
            table.own[i] = (y != 0).then(|| log(y) + ORDER - log(x));
            for j in (0..count).filter(|j| *j != i) {
                table.apart[i][j] = ORDER - log(x ^ self.places[j]);
            }
        }
        table
    }

    /// Whether the value at zero of the polynomial through the points drawn passes the quick check.
    fn promising(&self, table: &Table, drawn: &[u8]) -> bool {
        let powers = powers();
        let mut sum = 0;
        let mut places = 0;
        for i in drawn {
            let row = &table.apart[usize::from(*i)];
            places += table.place[usize::from(*i)];
            let Some(own) = table.own[usize::from(*i)] else { continue };
            let exponent = drawn.iter().fold(own, |sum, j| sum + row[usize::from(*j)]);
            sum ^= powers[fold(exponent) as usize];
        }
        let at_zero = if sum == 0 { 0 } else { powers[fold(log(sum) + places) as usize] };
        self.check.may_be(at_zero)
    }
}

struct Table {
    own: [Option<u32>; SET_MAX],
    place: [u32; SET_MAX],
    apart: [[u32; SET_MAX]; SET_MAX],
}

/// Brings `k` of the first `count` to the front, every choice equally likely.
fn shuffle(order: &mut [u8; SET_MAX], count: usize, k: usize, random: &mut impl Random) {
    for i in 0..k {
        let other = i + random.below((count - i) as u32) as usize;
        order.swap(i, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;
    use crate::vault::galois::evaluate;

    fn decode(right: usize, wrong: usize, k: usize, guesses: u32) -> Option<Vec<u16>> {
        let mut random = Seeded::new(5);
        let secret: Vec<u16> = (0..k).map(|_| random.next() as u16).collect();
        let places: Vec<u16> = (0..(right + wrong) as u16).map(|i| 3 + 31 * i).collect();
        let value = |(i, x): (usize, &u16)| {
            evaluate(&secret, *x) ^ if i < right { 0 } else { (random.next() as u16).max(1) }
        };
        let values: Vec<u16> = places.iter().enumerate().map(value).collect();
        let check = Check::of(&secret);
        let points = Points { places: &places, values: &values, check };
        let found = points.decode(k, guesses, &mut Seeded::new(6))?;
        assert_eq!(*found, secret);
        Some(found.to_vec())
    }

    /// The test would notice a check that is a point of the polynomial, as values of it are.
    #[test]
    fn what_is_kept_of_the_polynomial_spares_no_point() {
        const K: usize = 8;
        let mut random = Seeded::new(9);
        let secret: Vec<u16> = (0..K).map(|_| random.next() as u16).collect();
        let check = Check::of(&secret);
        let known: Vec<(u16, u16)> = (1..K as u16).map(|x| (x, evaluate(&secret, x))).collect();
        // With all but one of the points, every value at zero gives another polynomial: those that
        // the quick byte leaves have to be tried one by one, and only the right one passes.
        let mut tried = 0;
        for at_zero in (0..=u16::MAX).filter(|value| check.may_be(*value)) {
            let mut points = known.clone();
            points.push((0, at_zero));
            tried += 1;
            assert_eq!(check.is_of(&interpolate(&points)), at_zero == secret[0]);
        }
        assert!(tried > 128, "{tried} tries are less than what a minutia is worth");
    }

    #[test]
    fn enough_right_points_open_and_too_few_do_not() {
        assert!(decode(10, 0, 8, 1).is_some());
        assert!(decode(12, 8, 8, 1 << 14).is_some());
        assert!(decode(14, 14, 10, 1 << 18).is_some());
        assert!(decode(7, 12, 8, 1 << 14).is_none());
        assert!(decode(5, 0, 8, 1 << 14).is_none());
        assert!(decode(0, 40, 14, 1 << 10).is_none());
    }
}
