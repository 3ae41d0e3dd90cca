//! The same blocks give the same state root on x86-64, aarch64 and armv7.

#[path = "../examples/state_root.rs"]
#[allow(dead_code, reason = "`main` is for the example")]
mod state_root;

/// The state root after the blocks of `examples/state_root.rs`. It changes only when the rules or
/// the records of the state do, which takes an ADR once a chain runs.
const ROOT: &str = "4719bf153f9145723f8d7e95f81d0c8a591113af3444229a6c3ae5a4544b6350";

#[test]
fn the_root_is_the_same_on_every_machine() {
    let world = state_root::run().expect("the chain runs");
    let kinds: Vec<_> = world.executed.keys().copied().collect();
    assert_eq!(
        kinds,
        [
            "buy_slot",
            "renew_association",
            "report_energy",
            "request_association",
            "submit_evidence",
            "transfer",
            "vote_association",
            "withdraw_request",
        ],
        "all kinds of transactions take part"
    );
    assert!(world.carried_on > 1, "a set carries on after a pause and when nobody buys");
    assert_eq!(world.root().to_string(), ROOT);
}
