//! What every fuzz target asks of a decoder.

mod disk;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use goodwatt_chain::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use disk::MemoryDisk;

/// Bytes that decode must not panic, and must mean the same after another round.
///
/// # Panics
/// Where the second reading differs from the first, which is the finding.
pub fn bytes_are_stable<T: Debug + DeserializeOwned + PartialEq + Serialize>(bytes: &[u8]) {
    let Ok(first) = codec::decode::<T>(bytes) else { return };
    assert_eq!(codec::decode::<T>(&codec::encode(&first)).as_ref(), Ok(&first));
}

/// Text that parses must not panic, and must print as text that means the same.
///
/// # Panics
/// Where the second reading differs from the first, which is the finding.
pub fn text_is_stable<T: Debug + Display + FromStr + PartialEq>(text: &str) {
    let Ok(first) = text.parse::<T>() else { return };
    assert_eq!(first.to_string().parse::<T>().ok().as_ref(), Some(&first));
}
