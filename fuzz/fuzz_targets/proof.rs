//! Proofs, as a light peer gets them from a node it does not trust.
#![no_main]

use std::sync::LazyLock;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::light::{Answer, LightPeer, Question};
use goodwatt_chain::proof::{StateLeafProof, TransactionProof};
use goodwatt_chain::tree::StateProof;
use goodwatt_fuzz::bytes_are_stable;
use libfuzzer_sys::fuzz_target;

static GENESIS: LazyLock<Genesis> = LazyLock::new(|| {
    let text = include_str!("../../docs/examples/genesis-development.toml");
    Genesis::from_toml(text, "genesis-development.toml").expect("a good example")
});

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<StateProof>(input);
    if let Ok(proof) = goodwatt_chain::codec::decode::<StateProof>(input) {
        let proven = proof.verify(&Digest32::new([9; 32]), &Digest32::new([7; 32]));
        assert!(proven.is_err(), "nobody can make a proof for a root out of the air");
    }
    drop(TransactionProof::decode(input));
    drop(StateLeafProof::decode(input));
    bytes_are_stable::<Question>(input);
    bytes_are_stable::<Answer>(input);
    let mut light = LightPeer::begin(&GENESIS);
    if let Ok(Answer::Steps(steps)) = Answer::decode(input) {
        assert!(light.follow(&steps).is_err(), "nobody can decide a block out of the air");
    }
    drop(LightPeer::decode(&GENESIS.chain_id(), input));
});
