//! Hash chains of a validator: it shows the head when it buys a slot, and one link in its first
//! block of each term. Nobody knows a link before it is revealed, and nobody can choose another.
//!
//! | link | what it is |
//! |---|---|
//! | 0 | SHA-256 over length of the tag, tag `goodwatt/reveal-seed`, secret seed (32) |
//! | n + 1 | [`reveals_link`] of link n |
//! | the last one | the head |
//!
//! Links are revealed from the head backwards, so each one proves that it belongs to the chain.

use zeroize::Zeroizing;

use crate::hash::{Digest32, Domain};
use crate::rules::reveals_link;

/// The usual length of a chain, in links. A slot takes one link, but a set that carries on takes
/// one each term: 16,384 terms of an hour are 22 months. The price of a longer chain is the time
/// to walk it, once a term: at most as many hashes of one block as it has links.
pub const REVEAL_LINKS: u32 = 16_384;

const SEED: Domain = Domain::new(b"goodwatt/reveal-seed");

/// A hash chain by its secret seed, which is wiped from memory when dropped. Nothing else is kept:
/// links are computed again, as one is needed once a term.
#[derive(Clone)]
pub struct RevealChain {
    seed: Zeroizing<[u8; 32]>,
    links: u32,
}

impl RevealChain {
    /// The chain of a secret seed, good for `links` reveals; see [`REVEAL_LINKS`]. The seed must
    /// have no other use, for the last reveal makes link 0 known.
    #[must_use]
    pub fn new(seed: [u8; 32], links: u32) -> Self {
        Self { seed: Zeroizing::new(seed), links }
    }

    /// What is shown when a slot is bought.
    #[must_use]
    pub fn head(&self) -> Digest32 {
        (0..self.links).fold(self.first(), |link, _| reveals_link(&link))
    }

    /// The link to reveal after `last_revealed`, which is the head at first. `None` when all links
    /// were revealed, or when `last_revealed` is not of this chain.
    #[must_use]
    pub fn next_after(&self, last_revealed: &Digest32) -> Option<Digest32> {
        let mut link = self.first();
        for _ in 0..self.links {
            let next = reveals_link(&link);
            if next == *last_revealed {
                return Some(link);
            }
            link = next;
        }
        None
    }

    fn first(&self) -> Digest32 {
        Digest32::of(SEED, &[self.seed.as_slice()])
    }
}

impl core::fmt::Debug for RevealChain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RevealChain of {} links to {}", self.links, self.head())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    #[test]
    fn links_are_revealed_from_the_head_to_the_seed() {
        let chain = RevealChain::new([7; 32], 5);
        let mut last = chain.head();
        for _ in 0..5 {
            let link = chain.next_after(&last).expect("a link is left");
            assert_eq!(reveals_link(&link), last);
            last = link;
        }
        assert_eq!(chain.next_after(&last), None, "all links were revealed");
    }

    #[test]
    fn links_of_others_are_not_known() {
        let chain = RevealChain::new([7; 32], 5);
        let check = |last: &Digest32| assert_eq!(chain.next_after(last), None, "{last}");
        check(&Digest32::ZERO);
        check(&RevealChain::new([8; 32], 5).head());
        check(&RevealChain::new([7; 32], 6).head());
        assert_eq!(RevealChain::new([7; 32], 0).next_after(&chain.head()), None);
    }

    #[test]
    fn the_seed_is_never_printed() {
        let chain = RevealChain::new([7; 32], 2);
        assert_eq!(format!("{chain:?}"), format!("RevealChain of 2 links to {}", chain.head()));
    }
}
