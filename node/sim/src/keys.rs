//! Keys: of owners, of associations, and the slot keys on each board.

use std::cell::RefCell;
use std::rc::Rc;

use goodwatt_chain::hash::{Digest32, Domain};
use goodwatt_chain::reveal::RevealChain;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_validator::Signers;

const SIGNER: Domain = Domain::new(b"goodwatt/sim/signer");
const REVEAL: Domain = Domain::new(b"goodwatt/sim/reveal");
const OWNER: Domain = Domain::new(b"goodwatt/sim/owner");
const ASSOCIATION: Domain = Domain::new(b"goodwatt/sim/association");

/// Links of a reveal chain: one an epoch.
const REVEALS: u32 = 512;

fn key(domain: Domain, number: usize) -> SigningKey {
    SigningKey::from_seed(Digest32::of(domain, &[&(number as u64).to_be_bytes()]).as_bytes())
}

/// The key of an owner.
pub(crate) fn owner(index: usize) -> SigningKey {
    key(OWNER, index)
}

/// The key of an association.
pub(crate) fn association(index: usize) -> SigningKey {
    key(ASSOCIATION, index)
}

/// A slot key.
#[derive(Clone, Debug)]
struct SlotKey {
    key: SigningKey,
    reveals: RevealChain,
}

/// The slot keys of one board: the founder's, and a fresh one for each purchase. How real boards
/// keep theirs has tests of its own.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    node: usize,
    ring: Rc<RefCell<Vec<SlotKey>>>,
}

impl Keys {
    pub(crate) fn new(node: usize) -> Self {
        let keys = Self { node, ring: Rc::default() };
        keys.fresh();
        keys
    }

    /// Makes a key; gives it with the head of its hash chain.
    pub(crate) fn fresh(&self) -> (SigningKey, Digest32) {
        let mut ring = self.ring.borrow_mut();
        let name = [(self.node as u64).to_be_bytes(), (ring.len() as u64).to_be_bytes()].concat();
        let key = SigningKey::from_seed(Digest32::of(SIGNER, &[&name]).as_bytes());
        let reveals = RevealChain::new(*Digest32::of(REVEAL, &[&name]).as_bytes(), REVEALS);
        let head = reveals.head();
        ring.push(SlotKey { key: key.clone(), reveals });
        (key, head)
    }

    /// The founder's key, and the head of its hash chain.
    pub(crate) fn founding(&self) -> (PublicKey, Digest32) {
        let ring = self.ring.borrow();
        (ring[0].key.public(), ring[0].reveals.head())
    }
}

impl Signers for Keys {
    fn key(&self, public: &PublicKey) -> Option<SigningKey> {
        let ring = self.ring.borrow();
        ring.iter().find(|slot| slot.key.public() == *public).map(|slot| slot.key.clone())
    }

    fn holds(&self, public: &PublicKey) -> bool {
        self.ring.borrow().iter().any(|slot| slot.key.public() == *public)
    }

    fn next_reveal(&self, public: &PublicKey, last: &Digest32) -> Option<Digest32> {
        let ring = self.ring.borrow();
        let slot = ring.iter().find(|slot| slot.key.public() == *public)?;
        slot.reveals.next_after(last)
    }
}
