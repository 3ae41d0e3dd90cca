//! A transaction as it comes from a stranger.
#![no_main]

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::transaction::Transaction;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let chain = ChainId::default();
    let Ok(transaction) = Transaction::decode(&chain, input) else { return };
    assert_eq!(transaction.bytes(), input, "what is read is what was written");
    let mut signatures = 0;
    transaction.signatures(&chain, |_, _, _| signatures += 1);
    assert!((1..=3).contains(&signatures));
});
