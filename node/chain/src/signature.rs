//! Ed25519 under one rule: the same signatures are valid alone, in a batch, and on every machine.
//!
//! RFC 8032 leaves corners open, and implementations differ in them; a block that some nodes take
//! and others refuse splits the chain. This module therefore implements the rule of
//! [ZIP-215](https://zips.z.cash/zip-0215), for single and batch verification alike:
//!
//! * the key `A` and the first half `R` of a signature are encodings of curve points, where
//!   non-canonical encodings and points of small order are allowed;
//! * the second half `s` is below the group order `l`;
//! * `[8]([s]B - [k]A - R)` is the identity, where `k = SHA-512(R || A || message) mod l`. Without
//!   the factor 8 a batch and a single check could disagree.
//!
//! A message is always a 32-byte digest with a domain tag, see [`crate::hash`].
//!
//! # The batch, and why its coefficients need no random numbers
//!
//! [`Batch::verify`] checks `[8](sum z_i ([s_i]B - [k_i]A_i - R_i))` with 128-bit coefficients
//! `z_i`. After the factor 8 each term lies in the group of prime order `l`, so if any single
//! equation fails, then for any choice of the other coefficients at most one value of its own
//! makes the sum vanish: a chance of `2^-128` for a `z_i` drawn after the signatures are fixed.
//! If no equation fails the sum vanishes always.
//!
//! Every `z_i` is derived from one SHA-512 over *all* keys, digests and signatures of the batch
//! (the Fiat-Shamir transform). Whoever changes any of them draws all coefficients anew, so the
//! equations cannot be solved one by one, nor by combining lists of partial solutions: a forger
//! who tries `q` batches succeeds with chance `q * 2^-128`, no more than against Ed25519 itself.
//!
//! | hash | bytes, in this order |
//! |---|---|
//! | seed = SHA-512 | length of the tag (1), tag `goodwatt/batch`, then per signature `A` (32), digest (32), `R` (32), `s` (32) |
//! | four coefficients = SHA-512 | seed (64), number of the group of four (8, big-endian) |
//!
//! The coefficients are nobody else's business: no two nodes have to agree on them.

use alloc::vec::Vec;
use core::fmt;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::hash::Digest32;

const BATCH_TAG: &[u8] = b"goodwatt/batch";

/// A public key: 32 bytes of which nothing is known until a signature is verified under it.
///
/// Its text form is an [address](crate::address).
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From its bytes; any bytes do, for those that are no point never verify anything.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A signature, 64 bytes: the point `R`, then the scalar `s`.
#[derive(Clone, Copy, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
}

impl Signature {
    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        let [mut r, mut s] = [[0; 32]; 2];
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A private key. Wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From its seed, the 32 secret bytes of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed: whoever reads it can sign.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a digest; the same digest always gets the same signature.
    #[must_use]
    pub fn sign(&self, digest: &Digest32) -> Signature {
        #[cfg(feature = "tally")]
        crate::tally::signature_made();
        Signature::from_bytes(self.0.sign(digest.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey of {}", self.public())
    }
}

/// Whether `signature` is `key`'s over `digest`. Takes about twice a batch's time for each.
#[must_use]
pub fn verify(key: &PublicKey, digest: &Digest32, signature: &Signature) -> bool {
    checked(&[Entry { key: *key, digest: *digest, signature: *signature }])
}

/// Signatures to be verified together.
#[derive(Clone, Debug, Default)]
pub struct Batch(Vec<Entry>);

impl Batch {
    /// A batch with room for `count` signatures.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds one signature.
    pub fn push(&mut self, key: PublicKey, digest: Digest32, signature: Signature) {
        self.0.push(Entry { key, digest, signature });
    }

    /// How many signatures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every one of them is valid; so is a batch of none.
    #[must_use]
    pub fn verify(&self) -> bool {
        checked(&self.0)
    }

    /// The position of the first one that is not valid, to tell whose fault it is.
    #[must_use]
    pub fn first_invalid(&self) -> Option<usize> {
        self.0.iter().position(|entry| !checked(core::slice::from_ref(entry)))
    }
}

/// Whether all entries are valid.
fn checked(entries: &[Entry]) -> bool {
    let verify = || match entries {
        [] => true,
        [single] => single.verify().unwrap_or(false),
        entries => verify_together(entries).unwrap_or(false),
    };
    #[cfg(feature = "tally")]
    return crate::tally::verified(entries, verify);
    #[cfg(not(feature = "tally"))]
    verify()
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Entry {
    key: PublicKey,
    digest: Digest32,
    signature: Signature,
}

impl Entry {
    /// The scalar `k` that binds the equation to key, nonce and digest.
    fn challenge(&self) -> Scalar {
        let hasher = Sha512::new()
            .chain_update(self.signature.r)
            .chain_update(self.key.0)
            .chain_update(self.digest.as_bytes());
        Scalar::from_hash(hasher)
    }

    /// The scalar `s`, or `None` from the group order on.
    fn s(&self) -> Option<Scalar> {
        Scalar::from_canonical_bytes(self.signature.s).into_option()
    }

    /// Checks the equation of this entry alone; `None` where its parts cannot be decoded.
    fn verify(&self) -> Option<bool> {
        let s = self.s()?;
        let minus_key = -point(&self.key.0)?;
        let r = point(&self.signature.r)?;
        let expected =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.challenge(), &minus_key, &s);
        Some(is_small(&(expected - r)))
    }
}

/// Checks the sum of all equations; `None` where a part of any cannot be decoded.
fn verify_together(entries: &[Entry]) -> Option<bool> {
    let mut sum = Sum::with_capacity(entries.len());
    for (entry, z) in by_key(entries).zip(Coefficients::over(entries)) {
        sum.add(entry, z)?;
    }
    let points = sum.points.iter().map(point);
    let checked = EdwardsPoint::optional_multiscalar_mul(
        core::iter::once(&sum.base).chain(&sum.scalars),
        core::iter::once(Some(ED25519_BASEPOINT_POINT)).chain(points),
    )?;
    Some(is_small(&checked))
}

/// The entries sorted by key, so that those of one key stand together.
fn by_key(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_unstable_by_key(|entry| entry.key);
    sorted.into_iter()
}

/// The weighted sum of all equations, sign turned: `[base]B + sum [scalar]point`.
struct Sum {
    base: Scalar,
    scalars: Vec<Scalar>,
    points: Vec<[u8; 32]>,
    /// The key added last, and where its term stands.
    key: Option<(PublicKey, usize)>,
}

impl Sum {
    fn with_capacity(entries: usize) -> Self {
        Self {
            base: Scalar::ZERO,
            scalars: Vec::with_capacity(2 * entries),
            points: Vec::with_capacity(2 * entries),
            key: None,
        }
    }

    fn add(&mut self, entry: &Entry, z: Scalar) -> Option<()> {
        self.base -= z * entry.s()?;
        self.push(z, entry.signature.r);
        // Signatures of one key share one term, for its point is the dearest part.
        let weight = z * entry.challenge();
        match self.key {
            Some((key, at)) if key == entry.key => self.scalars[at] += weight,
            _ => {
                self.key = Some((entry.key, self.scalars.len()));
                self.push(weight, entry.key.0);
            }
        }
        Some(())
    }

    fn push(&mut self, scalar: Scalar, point: [u8; 32]) {
        self.scalars.push(scalar);
        self.points.push(point);
    }
}

/// The coefficients of a batch, without end.
struct Coefficients {
    seed: [u8; 64],
    groups: u64,
    group: [u8; 64],
    used: usize,
}

impl Coefficients {
    const BYTES: usize = 16;

    fn over(entries: &[Entry]) -> Self {
        let mut hasher = Sha512::new();
        hasher.update([BATCH_TAG.len() as u8]);
        hasher.update(BATCH_TAG);
        for Entry { key, digest, signature } in entries {
            for part in [&key.0, digest.as_bytes(), &signature.r, &signature.s] {
                hasher.update(part);
            }
        }
        Self { seed: hasher.finalize().into(), groups: 0, group: [0; 64], used: 64 }
    }
}

impl Iterator for Coefficients {
    type Item = Scalar;

    fn next(&mut self) -> Option<Scalar> {
        if self.used == self.group.len() {
            let hasher = Sha512::new().chain_update(self.seed);
            self.group = hasher.chain_update(self.groups.to_be_bytes()).finalize().into();
            self.groups += 1;
            self.used = 0;
        }
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&self.group[self.used..self.used + Self::BYTES]);
        self.used += Self::BYTES;
        Some(Scalar::from(u128::from_le_bytes(bytes)))
    }
}

/// The point that `bytes` encode, canonically or not.
fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

/// Whether eight times the point is the identity.
fn is_small(point: &EdwardsPoint) -> bool {
    point.mul_by_cofactor().is_identity()
}
