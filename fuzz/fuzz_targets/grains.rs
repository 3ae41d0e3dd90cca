//! Money, as the command line reads it and as it stands on the wire.
#![no_main]

use goodwatt_chain::units::Grains;
use goodwatt_fuzz::{bytes_are_stable, text_is_stable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<Grains>(input);
    if let Ok(text) = std::str::from_utf8(input) {
        text_is_stable::<Grains>(text);
    }
});
