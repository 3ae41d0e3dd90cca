//! A genesis file as somebody wrote it.
#![no_main]

use goodwatt_chain::genesis::Genesis;
use goodwatt_fuzz::bytes_are_stable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<Genesis>(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(genesis) = Genesis::from_toml(text, "genesis.toml") else { return };
    let again = Genesis::from_toml(&genesis.to_toml(), "again").expect("it reads its own text");
    assert_eq!(again.chain_id(), genesis.chain_id());
});
