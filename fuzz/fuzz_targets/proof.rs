//! Proofs, as a light peer gets them from a node it does not trust.
#![no_main]

use goodwatt_chain::hash::Digest32;
use goodwatt_chain::proof::{AncestorProof, StateLeafProof, TransactionProof};
use goodwatt_chain::tree::StateProof;
use goodwatt_fuzz::bytes_are_stable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<StateProof>(input);
    if let Ok(proof) = goodwatt_chain::codec::decode::<StateProof>(input) {
        let proven = proof.verify(&Digest32::new([9; 32]), &Digest32::new([7; 32]));
        assert!(proven.is_err(), "nobody can make a proof for a root out of the air");
    }
    drop(TransactionProof::decode(input));
    drop(StateLeafProof::decode(input));
    drop(AncestorProof::decode(input));
});
