//! The field of 65,536 elements in which the vault's polynomials live.

use std::sync::OnceLock;

/// x^16 + x^12 + x^3 + x + 1, for which x generates all elements but zero.
const MODULUS: u32 = 0x1_100B;
/// Elements that are not zero.
pub(crate) const ORDER: u32 = 65_535;

struct Tables {
    power: Vec<u16>,
    log: Vec<u16>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut tables = Tables { power: vec![0; 1 << 16], log: vec![0; 1 << 16] };
        let mut element = 1_u32;
        for exponent in 0..ORDER {
            tables.power[exponent as usize] = element as u16;
            tables.log[element as usize] = exponent as u16;
            element <<= 1;
            if element > ORDER {
                element ^= MODULUS;
            }
        }
        // So that an exponent that was only folded, not reduced, is right, too.
        tables.power[ORDER as usize] = 1;
        tables
    })
}

/// The generator to a power below 2^17.
pub(crate) fn power(exponent: u32) -> u16 {
    tables().power[fold(exponent) as usize]
}

/// The powers as they lie in memory, for loops that fold by themselves.
pub(crate) fn powers() -> &'static [u16] {
    &tables().power
}

/// An exponent with its upper half added to its lower one: the same power, 65,535 at most for
/// exponents below 2^31.
pub(crate) const fn fold(exponent: u32) -> u32 {
    let once = (exponent & 0xffff) + (exponent >> 16);
    (once & 0xffff) + (once >> 16)
}

/// The exponent of an element; zero has none and gives that of one.
pub(crate) fn log(element: u16) -> u32 {
    u32::from(tables().log[usize::from(element)])
}

pub(crate) fn multiply(a: u16, b: u16) -> u16 {
    if a == 0 || b == 0 { 0 } else { power(log(a) + log(b)) }
}

/// `a` over `b`, which must not be zero.
pub(crate) fn divide(a: u16, b: u16) -> u16 {
    if a == 0 { 0 } else { power(log(a) + ORDER - log(b)) }
}

/// The value of a polynomial whose constant term comes first.
pub(crate) fn evaluate(coefficients: &[u16], x: u16) -> u16 {
    coefficients.iter().rev().fold(0, |value, coefficient| multiply(value, x) ^ coefficient)
}

/// The coefficients of the product of `x - root`, the constant one first, the leading one last.
pub(crate) fn from_roots(roots: &[u16]) -> Vec<u16> {
    let mut product = vec![1];
    for root in roots {
        product.insert(0, 0);
        for i in 0..product.len() - 1 {
            product[i] ^= multiply(product[i + 1], *root);
        }
    }
    product
}

/// The polynomial of least degree through points with distinct `x` (Newton's form, expanded).
pub(crate) fn interpolate(points: &[(u16, u16)]) -> Vec<u16> {
    let mut result = vec![0; points.len()];
    let mut product = vec![1];
    for (x, y) in points {
        let gap = evaluate(&result, *x) ^ y;
        let step = divide(gap, evaluate(&product, *x));
        for (target, coefficient) in result.iter_mut().zip(&product) {
            *target ^= multiply(step, *coefficient);
        }
        product.insert(0, 0);
        for i in 0..product.len() - 1 {
            product[i] ^= multiply(product[i + 1], *x);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_reaches_every_element() {
        let mut seen = vec![false; 1 << 16];
        (0..ORDER).for_each(|exponent| seen[usize::from(power(exponent))] = true);
        assert!(!seen[0] && seen[1..].iter().all(|seen| *seen));
    }

    #[test]
    fn products_divide_again() {
        for (a, b) in [(1, 1), (2, 0x8000), (0xffff, 0xfffe), (0x1234, 0x4321), (0, 7)] {
            assert_eq!(divide(multiply(a, b), b), a, "{a} {b}");
        }
        // x^15 times x is the modulus without its leading term.
        assert_eq!(multiply(0x8000, 2), 0x100B);
    }

    #[test]
    fn a_polynomial_is_found_again_from_its_values() {
        let coefficients = [7, 0, 65_535, 1, 300];
        let points = [2, 3, 99, 40_000, 65_535].map(|x| (x, evaluate(&coefficients, x)));
        assert_eq!(interpolate(&points), coefficients);
    }

    #[test]
    fn a_product_is_zero_at_its_roots_only() {
        let product = from_roots(&[5, 77, 1000]);
        assert_eq!(product.len(), 4);
        let zeros: Vec<u16> = (0..=u16::MAX).filter(|x| evaluate(&product, *x) == 0).collect();
        assert_eq!(zeros, [5, 77, 1000]);
    }
}
