//! A finger as one factor of a key: what a sensor's image is made into, and what it opens.
//!
//! An [`image`] becomes minutiae ([`extract`]), five placements become one finger
//! ([`fuse`]), and that a [`vault`] which only enough of the same minutiae open again. Nothing of a
//! finger is kept but the vault. What the sensor itself says about a finger is never asked.
//!
//! This crate must not know of blocks, accounts, or the daemon. Numbers of extraction, alignment and
//! vault that name no source were chosen by trial with `goodwatt finger bench` on one set of real
//! prints, FVC2002 `DB3_B`, and are reported on another: `docs/fingerprint.md`.
//!
//! ```
//! use goodwatt_fingerprint::extract::extract;
//! use goodwatt_fingerprint::fuse::fuse;
//! use goodwatt_fingerprint::random::Seeded;
//! use goodwatt_fingerprint::synthetic::{Finger, Placement};
//! use goodwatt_fingerprint::vault::{Budget, lock, open};
//!
//! let finger = Finger::grow(1);
//! let print = |number| extract(&finger.place(number, &Placement::usual())).print;
//! let placements: Vec<_> = (0..5).map(print).collect();
//! let mut random = Seeded::new(1);
//! let fused = fuse(&placements).expect("placements");
//! let locked = lock(&fused, 8, &mut random).expect("enough minutiae");
//! let opened = open(&locked.helper, &print(5), Budget::default(), &mut random);
//! assert_eq!(opened.as_deref(), Some(&*locked.secret));
//! ```

pub mod align;
pub mod bank;
pub mod bench;
pub mod device;
pub mod drawing;
pub mod durable;
pub mod enrol;
pub mod extract;
pub mod fuse;
pub mod image;
pub mod minutia;
mod plane;
pub mod random;
pub mod replay;
pub mod sensor;
pub mod synthetic;
pub mod throttle;
pub mod vault;
pub mod worker;
pub mod wrap;
