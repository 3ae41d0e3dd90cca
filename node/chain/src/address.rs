//! Addresses: public keys as text that a typing error cannot turn into another's.
//!
//! An address is [bech32m](https://github.com/bitcoin/bips/blob/master/bip-0350.mediawiki): the
//! human part `good`, the separator `1`, 52 characters for the 32 bytes of the key with four zero
//! bits behind them, and 6 characters of checksum, 63 in all. The checksum finds every error of up
//! to four characters. Capitals are read too, as QR codes like them, but not mixed.

use core::fmt;
use core::str::FromStr;

use bech32::primitives::decode::{CheckedHrpstring, CheckedHrpstringError};
use bech32::{Bech32m, Hrp};

use crate::signature::PublicKey;

/// What every address begins with, before the separator `1`.
pub const ADDRESS_PREFIX: &str = "good";

const HUMAN_PART: Hrp = Hrp::parse_unchecked(ADDRESS_PREFIX);

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not bech32 at all.
    #[error("not an address: it has to be `{ADDRESS_PREFIX}1` and 58 letters and digits")]
    Malformed,
    /// The checksum does not fit: a character is wrong, missing or swapped.
    #[error("the address has a typing error: its checksum does not fit; copy it again")]
    Checksum,
    /// Of another system.
    #[error("not an address of this chain: it does not begin with `{ADDRESS_PREFIX}1`")]
    Prefix,
    /// Correctly written, but not 32 bytes.
    #[error("the address does not hold a key of 32 bytes")]
    Length,
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a text above bech32's limit of 1,023 characters or the formatter itself can fail.
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, HUMAN_PART, self.as_bytes())
            .map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = CheckedHrpstring::new::<Bech32m>(text).map_err(|error| match error {
            CheckedHrpstringError::Checksum(_) => AddressError::Checksum,
            _ => AddressError::Malformed,
        })?;
        if address.hrp() != HUMAN_PART {
            return Err(AddressError::Prefix);
        }
        // The padding rule of segwit is that of bech32 in general: few bits, and all zero.
        address.validate_segwit_padding().map_err(|_| AddressError::Length)?;
        let mut bytes = [0; 32];
        if address.byte_iter().len() != bytes.len() {
            return Err(AddressError::Length);
        }
        bytes.iter_mut().zip(address.byte_iter()).for_each(|(to, from)| *to = from);
        Ok(Self::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    const CHARACTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    // The key of 32 times 01, encoded by an implementation in another language.
    const ADDRESS: &str = "good1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs7d74er";

    fn key() -> PublicKey {
        PublicKey::from_bytes([1; 32])
    }

    #[test]
    fn an_address_reads_back() {
        assert_eq!(key().to_string(), ADDRESS);
        assert_eq!(ADDRESS.len(), 63);
        assert_eq!(ADDRESS.parse(), Ok(key()));
        assert_eq!(ADDRESS.to_ascii_uppercase().parse(), Ok(key()));
    }

    #[test]
    fn every_typing_error_in_one_character_is_found() {
        for at in 5..ADDRESS.len() {
            for wrong in CHARACTERS.chars().filter(|c| !ADDRESS[at..].starts_with(*c)) {
                let mut text = String::from(ADDRESS);
                text.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
                assert_eq!(text.parse::<PublicKey>(), Err(AddressError::Checksum), "{text}");
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_found() {
        for at in 5..ADDRESS.len() - 1 {
            let mut bytes = ADDRESS.as_bytes().to_vec();
            bytes.swap(at, at + 1);
            let text = String::from_utf8(bytes).expect("an address is ASCII");
            if text != ADDRESS {
                assert_eq!(text.parse::<PublicKey>(), Err(AddressError::Checksum), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let check = |text: &str, want| assert_eq!(text.parse::<PublicKey>(), Err(want), "{text}");
        let encode = |prefix, bytes: &[u8]| {
            bech32::encode::<Bech32m>(Hrp::parse_unchecked(prefix), bytes).expect("short enough")
        };
        check("", AddressError::Malformed);
        check("good", AddressError::Malformed);
        check(&ADDRESS.replace('q', "b"), AddressError::Malformed);
        check(&ADDRESS.replace('q', "Q"), AddressError::Malformed);
        check(&ADDRESS[..62], AddressError::Checksum);
        check(&encode("bc", &[1; 32]), AddressError::Prefix);
        check(&encode("good", &[1; 31]), AddressError::Length);
        check(&encode("good", &[1; 33]), AddressError::Length);
        check(&encode("good", &[]), AddressError::Length);
        // The same key with another bit behind it: each key has one address.
        check(
            "good1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyq3rm2qy3",
            AddressError::Length,
        );
        let older = bech32::encode::<bech32::Bech32>(HUMAN_PART, &[1; 32]).expect("short enough");
        check(&older, AddressError::Checksum);
    }
}
