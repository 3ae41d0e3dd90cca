//! One byte form for each value: postcard, exact and canonical.
//!
//! Postcard by itself accepts an over-long integer and leaves what follows the value unread. Ids
//! are hashes of bytes, so [`decode`] takes only what [`encode`] would have written.

use alloc::vec::Vec;

use postcard::ser_flavors::Flavor;
use postcard::{Error, serialize_with_flavor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Room for most records and headers, so that the buffer grows for blocks alone.
const USUAL_BYTES: usize = 384;

/// Why bytes are not the encoding of a value. The sender is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Cut short, out of range, too long for its field, or of an unknown kind.
    #[error("the bytes are not of this form: cut short, out of range, or of an unknown kind")]
    Malformed,
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    TrailingBytes(usize),
    /// The value could be written shorter.
    #[error("the value is not written in its one canonical form")]
    NotCanonical,
    /// Longer than the limit for this kind.
    #[error("{len} bytes are more than the {limit} allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Written by another version of the protocol.
    #[error("version {0} is unknown here; this node speaks version 1")]
    UnknownVersion(u8),
}

/// The canonical bytes of `value`.
///
/// # Panics
/// Never for the types of this crate: their lengths are known, and memory is the only resource.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let buffer = Growing(Vec::with_capacity(USUAL_BYTES));
    serialize_with_flavor(value, buffer).expect("sequences of known length encode into memory")
}

/// Reads a value that fills `bytes` exactly and is written canonically.
///
/// # Errors
/// See [`DecodeError`]; nothing is allocated beyond the bytes given.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_front(bytes)?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes(rest.len()));
    }
    Ok(value)
}

/// Reads a value that `bytes` begin with, written canonically; gives what comes after it, too.
///
/// # Errors
/// See [`DecodeError`]; nothing is allocated beyond the bytes given.
pub fn decode_front<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, &[u8]), DecodeError> {
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    let front = &bytes[..bytes.len() - rest.len()];
    if serialize_with_flavor(&value, Same(front)).is_err() {
        return Err(DecodeError::NotCanonical);
    }
    Ok((value, rest))
}

/// Memory that grows as needed.
struct Growing(Vec<u8>);

impl Flavor for Growing {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> Result<(), Error> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> Result<Vec<u8>, Error> {
        Ok(self.0)
    }
}

/// Takes exactly the bytes it holds, and refuses the first other one.
struct Same<'a>(&'a [u8]);

impl Flavor for Same<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> Result<(), Error> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0 = self.0.strip_prefix(bytes).ok_or(Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::SerializeBufferFull) }
    }
}

/// Like [`decode`], for a kind with a largest size.
///
/// # Errors
/// [`DecodeError::TooLong`] before anything is read, else as [`decode`].
pub fn decode_within<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { len: bytes.len(), limit });
    }
    decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_read() {
        let check = |bytes: &[u8], want: Result<u32, DecodeError>| {
            assert_eq!(decode::<u32>(bytes), want, "{bytes:?}");
        };
        check(&[5], Ok(5));
        check(&[0x85, 0x00], Err(DecodeError::NotCanonical));
        check(&[5, 0], Err(DecodeError::TrailingBytes(1)));
        check(&[0x85], Err(DecodeError::Malformed));
        // One value whose bytes go on, and one whose bytes end, before the canonical form does.
        assert_eq!(decode::<(u32, u8)>(&[5, 7]), Ok((5, 7)));
        assert_eq!(decode::<(u8, u32)>(&[7, 0x80, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode_front::<u32>(&[5, 7]), Ok((5, &[7][..])));
        assert_eq!(decode_front::<u32>(&[0x85, 0x00, 7]), Err(DecodeError::NotCanonical));
        assert_eq!(
            decode_within::<u32>(&[1, 2, 3], 2),
            Err(DecodeError::TooLong { len: 3, limit: 2 })
        );
    }
}
