//! SHA-256 with a domain tag per kind, and the ids made by it.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Inputs of up to three blocks of SHA-256 are joined before they are hashed.
const SHORT_BYTES: usize = 192;

/// What a hash is taken over; no two kinds of content share a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Domain(&'static [u8]);

impl Domain {
    /// A domain from its tag, at most 255 bytes.
    #[must_use]
    pub const fn new(tag: &'static [u8]) -> Self {
        assert!(tag.len() <= 255, "the length of a tag is written in one byte");
        Self(tag)
    }
}

/// A SHA-256 digest, 32 bytes.
#[derive(Clone, Copy, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Digest32([u8; 32]);

impl Digest32 {
    /// Thirty-two zero bytes: the digest of nothing (an empty tree, the parent of genesis).
    pub const ZERO: Self = Self([0; 32]);

    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 over the length of the tag, the tag, and `parts` one after another.
    ///
    /// Parts are not delimited: a caller hashes fixed-size parts, or a single encoded one.
    #[must_use]
    pub fn of(domain: Domain, parts: &[&[u8]]) -> Self {
        #[cfg(feature = "tally")]
        crate::tally::hash();
        let len = parts.iter().fold(1 + domain.0.len(), |sum, part| sum + part.len());
        // Short inputs, which are nearly all, are hashed in one go: faster than in pieces.
        let mut joined = [0_u8; SHORT_BYTES];
        let Some(short) = joined.get_mut(..len) else { return Self::of_pieces(domain, parts) };
        let head = [domain.0.len() as u8];
        let mut rest = &mut *short;
        for part in [&head[..], domain.0].iter().chain(parts) {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        Self(Sha256::digest(short).into())
    }

    fn of_pieces(domain: Domain, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([domain.0.len() as u8]);
        hasher.update(domain.0);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id: it has to be 64 hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for Digest32 {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        parse_hex(text).map(Self).ok_or(ParseDigestError)
    }
}

/// Reads exactly `2 * N` hexadecimal digits.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}

/// Declares an id: a digest that names one kind of thing.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd,
            Serialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Digest32);

        impl $name {
            /// Its 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, ParseDigestError> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// Names a chain: hash of its canonical genesis.
    ChainId);
id!(
    /// Names a block: hash of its header.
    BlockId);
id!(
    /// Names a transaction: hash of all of its bytes, signature included.
    TxId);
id!(
    /// Names an association: hash of chain, key and nonce of its request.
    AssociationId);
