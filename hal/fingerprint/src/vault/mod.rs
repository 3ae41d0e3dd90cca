//! The fuzzy vault: a random polynomial hidden so that only enough minutiae of one finger give it
//! back.
//!
//! The vault is the *improved* one: the secret polynomial plus the product of `x - a` over the
//! secret features `a`. At a feature of the finger it has the secret polynomial's value, elsewhere
//! anything. There is no chaff, and no list of points that two vaults of one finger would share.

mod check;
mod decode;
mod galois;
mod helper;
mod lattice;
mod lock;
mod open;
mod security;

pub use self::helper::{HELPER_BYTES, Helper, K_MIN};
pub use self::lock::{Locked, MINUTIAE_LEAST, lock};
pub use self::open::{Attempt, Budget, attempt, open};
pub use self::security::{Impostors, choose_k};

/// Most features that may have to be right at once.
pub const K_MAX: usize = decode::K_MAX;
