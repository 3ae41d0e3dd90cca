//! A block as it comes from a peer.
#![no_main]

use goodwatt_chain::block::{Block, Certificate, Header};
use goodwatt_fuzz::bytes_are_stable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<Header>(input);
    bytes_are_stable::<Certificate>(input);
    if let Ok(block) = Block::decode(input) {
        assert_eq!(block.encode(), input, "what is read is what was written");
    }
});
