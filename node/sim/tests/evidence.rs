//! Who signs two different things is brought to account, on every ledger; nobody else ever is.

use goodwatt_sim::{Faults, Scenario, run};

#[test]
fn a_liar_is_brought_to_account_by_those_it_lied_to() {
    for seed in 1..=10 {
        let faults = Faults { liar: true, ..Faults::default() };
        let report = run(&Scenario { faults, ..Scenario::new(4, 30, seed) });
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        assert_eq!(report.tombstoned, [0], "seed {seed}");
    }
}

#[test]
fn whatever_goes_wrong_an_honest_validator_is_not_brought_to_account() {
    let faults = Faults { liar: false, proposer: false, flood: false, ..Faults::ALL };
    for seed in 1..=5 {
        let report = run(&Scenario { faults, ..Scenario::new(4, 50, seed) });
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        assert!(report.tombstoned.is_empty(), "seed {seed}: {:?}", report.tombstoned);
    }
}
