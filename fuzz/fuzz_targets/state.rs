//! Records of the state, as a damaged index may hold them.
#![no_main]

use goodwatt_chain::history::History;
use goodwatt_chain::ledger::Tip;
use goodwatt_chain::state::{Account, Ballot, Bids, Dossier, Registry, Standing, Term, Totals};
use goodwatt_fuzz::bytes_are_stable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    bytes_are_stable::<Account>(input);
    bytes_are_stable::<Totals>(input);
    bytes_are_stable::<Term>(input);
    bytes_are_stable::<Bids>(input);
    bytes_are_stable::<Registry>(input);
    bytes_are_stable::<Standing>(input);
    bytes_are_stable::<Dossier>(input);
    bytes_are_stable::<Ballot>(input);
    bytes_are_stable::<History>(input);
    bytes_are_stable::<Tip>(input);
});
