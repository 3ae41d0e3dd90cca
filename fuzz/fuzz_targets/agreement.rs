//! What validators say to each other, and what they keep of it.
#![no_main]

use goodwatt_chain::vote::{Evidence, SignedProposal, SignedVote};
use goodwatt_consensus::{Message, WalEntry};
use goodwatt_fuzz::bytes_are_stable;
use goodwatt_validator::{LoggedBlock, Message as Frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<SignedVote>(input);
    bytes_are_stable::<SignedProposal>(input);
    bytes_are_stable::<Evidence>(input);
    bytes_are_stable::<Message>(input);
    bytes_are_stable::<WalEntry>(input);
    bytes_are_stable::<Frame>(input);
    bytes_are_stable::<LoggedBlock>(input);
});
