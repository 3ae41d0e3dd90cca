//! Draws follow the weights, and are the same everywhere.

use goodwatt_chain::hash::Digest32;
use goodwatt_chain::sampling::pick;
use goodwatt_chain::units::{Height, Round};

#[test]
fn draws_are_those_of_another_implementation() {
    // Computed from the definition by an implementation in another language: rounds 0 to 11, and
    // the last round.
    let check = |seed, height, weights: &[u64], want: [usize; 13]| {
        let rounds = (0..12).chain([u32::MAX]);
        let picked = rounds.map(|round| {
            let seed = Digest32::new([seed; 32]);
            pick(&seed, Height::new(height), Round::new(round), weights.iter().copied())
        });
        assert_eq!(picked.collect::<Option<Vec<_>>>(), Some(want.to_vec()), "{weights:?}");
    };
    let ramp: Vec<u64> = (1..=100).collect();
    check(0, 1, &[1, 1], [1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0]);
    check(0, 1, &[1, 2, 3, 4], [2, 3, 2, 1, 3, 1, 3, 1, 1, 1, 3, 3, 0]);
    check(1, 1_000_000, &[5, 0, 5], [2, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0, 2, 2]);
    check(255, u64::MAX, &[1 << 63, (1 << 63) - 1, 1], [1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0]);
    check(7, 42, &ramp, [78, 99, 74, 81, 79, 81, 59, 90, 69, 73, 48, 88, 67]);
}

#[test]
fn without_weight_nobody_is_picked() {
    let check = |weights: &[u64], want| {
        let picked = pick(&Digest32::ZERO, Height::ZERO, Round::ZERO, weights.iter().copied());
        assert_eq!(picked, want, "{weights:?}");
    };
    check(&[], None);
    check(&[0, 0, 0], None);
    check(&[0, 0, 1, 0], Some(2));
    check(&[0, u64::MAX, 0], Some(1));
}

const DRAWS: u64 = 100_000;

/// How often each was picked in the first rounds of as many heights.
fn counts(weights: &[u64]) -> Vec<u64> {
    let mut counts = vec![0; weights.len()];
    for draw in 0..DRAWS {
        let round = Round::new((draw % 3) as u32);
        let seed = Digest32::new([(draw % 251) as u8; 32]);
        let picked = pick(&seed, Height::new(draw), round, weights.iter().copied());
        counts[picked.expect("there is weight")] += 1;
    }
    counts
}

/// Pearson's statistic of the counts against the weights; weight zero must never be picked.
fn chi_square(weights: &[u64]) -> f64 {
    let total: f64 = weights.iter().map(|weight| *weight as f64).sum();
    let terms = weights.iter().zip(counts(weights)).map(|(weight, count)| {
        if *weight == 0 {
            assert_eq!(count, 0, "picked without weight");
            return 0.0;
        }
        let expected = DRAWS as f64 * *weight as f64 / total;
        assert!(expected > 5.0, "the statistic needs five of each");
        (count as f64 - expected).powi(2) / expected
    });
    terms.sum()
}

#[test]
fn draws_follow_the_weights() {
    // Fair draws exceed the bound once in a thousand times: the 99.9 % quantile of chi-square
    // with as many degrees of freedom as there are weights above zero, less one.
    let check = |name: &str, weights: &[u64], bound: f64| {
        let statistic = chi_square(weights);
        assert!(statistic < bound, "{name}: {statistic} is not below {bound}");
    };
    check("two equal", &[1, 1], 10.828);
    check("the largest weights", &[u64::MAX, u64::MAX], 10.828);
    check("one in a thousand", &[1, 999], 10.828);
    check("not a divisor of 2^n", &[7, 11, 13, 17], 16.266);
    check("zeros between", &[0, 3, 0, 0, 5, 1, 0, 1], 16.266);
    check("powers of two", &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512], 27.877);
    check("a hundred equal", &[1_000_000; 100], 148.230);
    let ramp: Vec<u64> = (1..=100).map(|n| n * 90_000_000_000_000).collect();
    check("a hundred rising", &ramp, 148.230);
}

#[test]
fn a_grain_beside_all_money_is_as_good_as_never_picked() {
    assert_eq!(counts(&[1, u64::MAX, 1]), [0, DRAWS, 0]);
}
