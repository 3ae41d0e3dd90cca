//! Enrolment: placements are collected until a vault of them is hard enough, or there is a reason
//! why not.

use crate::bank;
use crate::bench::SECURITY_BITS;
use crate::extract::Print;
use crate::fuse::{Fused, fuse};
use crate::random::Random;
use crate::replay::same_image;
use crate::vault::{
    Budget, Helper, K_MAX, Locked, MINUTIAE_LEAST, choose_k, lock, open as open_vault,
};

/// Placements of which a vault is made.
pub const PLACEMENTS: usize = 5;

/// Placements of one finger so far.
#[derive(Default)]
pub struct Enrolment {
    prints: Vec<Print>,
}

/// A vault that is hard enough.
pub struct Enrolled {
    /// The vault and its secret.
    pub locked: Locked,
    /// How hard one guess is for other people's fingers, in bits.
    pub bits: f64,
    /// What it was made of: these images never open it.
    pub prints: Vec<Print>,
}

/// Why no vault is made of these placements.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The placements have too little in common.
    #[error("the placements agree on {found} details only, and {MINUTIAE_LEAST} are needed")]
    TooFew {
        /// Minutiae on which they agree.
        found: usize,
    },
    /// Other fingers would open it.
    #[error(
        "other fingers come too near to what these placements agree on: no vault of them is hard enough"
    )]
    TooWeak,
}

impl Enrolment {
    /// Adds a placement; one whose image is there already is not taken, and a sensor that gives it
    /// twice plays a recorded one.
    #[must_use]
    pub fn add(&mut self, print: Print) -> bool {
        let fresh = !self.prints.iter().any(|before| same_image(before, &print));
        if fresh {
            self.prints.push(print);
        }
        fresh
    }

    /// Placements that are there.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.prints.len()
    }

    /// The vault of all placements.
    ///
    /// # Errors
    /// Where they agree on too little, or other fingers come too near.
    pub fn finish(&self, random: &mut impl Random) -> Result<Enrolled, Refusal> {
        let fused = fuse(&self.prints).ok_or(Refusal::TooFew { found: 0 })?;
        let too_few = Refusal::TooFew { found: fused.minutiae.len() };
        let mut locked = lock(&fused, K_MAX, random).ok_or(too_few)?;
        let bank = bank::prints();
        let (k, bits) = choose_k(&locked, bank.iter(), SECURITY_BITS).ok_or(Refusal::TooWeak)?;
        locked.set_k(k, random);
        Ok(Enrolled { locked, bits, prints: self.prints.clone() })
    }

    /// Takes the placement away that has least in common with the others.
    pub fn drop_worst(&mut self) {
        let agreement = fuse(&self.prints).map(|Fused { agreement, .. }| agreement);
        let worst = agreement.and_then(|agreement| {
            (0..agreement.len()).min_by(|a, b| agreement[*a].total_cmp(&agreement[*b]))
        });
        // Where nothing is known of them the oldest goes.
        if !self.prints.is_empty() {
            self.prints.remove(worst.unwrap_or(0));
        }
    }
}

impl Enrolled {
    /// Whether one more placement opens the vault, as it would come back from the file.
    pub fn opens(&self, print: &Print, random: &mut impl Random) -> bool {
        let bytes = self.locked.helper.encode(random);
        let helper = Helper::decode(&bytes);
        let secret =
            helper.and_then(|helper| open_vault(&helper, print, Budget::default(), random));
        secret.is_some_and(|secret| *secret == *self.locked.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::extract;
    use crate::random::Seeded;
    use crate::synthetic::{Finger, Placement};

    /// Fingers that are not among the impostors of the bank, which has the first thousand.
    fn print(finger: u64, number: u64) -> Print {
        extract(&Finger::grow(2_000 + finger).place(number, &Placement::usual())).print
    }

    #[test]
    fn five_placements_make_a_vault_that_a_sixth_opens_and_another_finger_does_not() {
        let mut enrolment = Enrolment::default();
        (0..5).for_each(|number| assert!(enrolment.add(print(1, number))));
        assert!(!enrolment.add(print(1, 0)), "the same image again");
        let random = &mut Seeded::new(1);
        let enrolled = enrolment.finish(random).expect("a good finger");
        assert!(enrolled.bits >= SECURITY_BITS);
        assert!(enrolled.opens(&print(1, 5), random));
        assert!(!enrolled.opens(&print(2, 0), random));
    }

    #[test]
    fn a_placement_of_another_finger_is_the_one_that_goes() {
        let mut enrolment = Enrolment::default();
        [print(1, 0), print(2, 0), print(1, 1), print(1, 2), print(1, 3)]
            .into_iter()
            .for_each(|print| assert!(enrolment.add(print)));
        let stranger = enrolment.prints[1].minutiae.clone();
        enrolment.drop_worst();
        assert_eq!(enrolment.count(), 4);
        assert!(enrolment.prints.iter().all(|print| print.minutiae != stranger));
    }

    #[test]
    fn what_is_too_little_or_too_common_is_refused() {
        let random = &mut Seeded::new(1);
        let none = Enrolment::default();
        assert_eq!(none.finish(random).err(), Some(Refusal::TooFew { found: 0 }));
        let mut bare = Enrolment::default();
        (0..5).for_each(|number| {
            let mut print = print(1, number);
            print.minutiae.truncate(6);
            assert!(bare.add(print));
        });
        assert!(matches!(bare.finish(random).err(), Some(Refusal::TooFew { .. })));
        // One of the impostors themselves.
        let mut known = Enrolment::default();
        let finger = Finger::grow(3);
        (0..5).for_each(|number| {
            assert!(known.add(extract(&finger.place(number, &Placement::usual())).print));
        });
        assert_eq!(known.finish(random).err(), Some(Refusal::TooWeak));
    }
}
