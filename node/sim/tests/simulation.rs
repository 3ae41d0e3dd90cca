//! Many validators on a bad network: whatever happens, they agree.

use goodwatt_sim::{Faults, Report, Scenario, Topology, run};
use goodwatt_units::Millis;

/// How many seeds are tried; `tests/run simulation` tries more.
const SEEDS: u64 = 12;
const HEIGHTS: u64 = 100;

#[track_caller]
fn holds(report: &Report) {
    assert!(report.violations.is_empty(), "seed {}: {:#?}", report.seed, report.violations);
    assert_eq!(report.packets_idle, 0, "seed {}: an idle chain is silent", report.seed);
}

#[test]
fn without_faults_every_round_seals_a_block_and_no_packet_is_sent_when_idle() {
    let report = run(&Scenario::new(4, 20, 1));
    holds(&report);
    assert!(report.heights >= 20, "{}", report.heights);
    assert!(
        report.rounds.iter().all(|round| round.height.is_some() && round.same_tip),
        "{:?}",
        report.rounds
    );
}

#[test]
fn one_validator_alone_needs_nobody() {
    let report = run(&Scenario::new(1, 10, 1));
    holds(&report);
    assert!(report.heights >= 10 && report.packets == 0, "{report:?}");
}

#[test]
fn a_tree_of_ten_agrees_though_most_are_not_connected() {
    let tree = Topology::parse(include_str!("../../../docs/topologies/ten.txt")).expect("a graph");
    let report = run(&Scenario { topology: tree, ..Scenario::new(10, 10, 1) });
    holds(&report);
    assert!(
        report.rounds.iter().all(|round| round.height.is_some() && round.same_tip),
        "{:?}",
        report.rounds
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario { faults: Faults::ALL, ..Scenario::new(4, 15, 7) };
    let (one, other) = (run(&scenario), run(&scenario));
    holds(&one);
    assert_eq!(
        (one.rounds, one.packets, one.crashes),
        (other.rounds, other.packets, other.crashes)
    );
}

/// Every kind of fault, in networks of several sizes, with long and short epochs.
fn storm(seed: u64) -> Scenario {
    let nodes = 4 + (seed % 4) as usize;
    let epoch_length = if seed.is_multiple_of(3) { 60 } else { 3_600 };
    Scenario {
        faults: Faults::ALL,
        epoch_length: Millis::from_secs(epoch_length),
        ..Scenario::new(nodes, HEIGHTS, seed)
    }
}

#[test]
fn nothing_that_goes_wrong_makes_them_disagree_or_sign_twice_or_stop() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("GOODWATT_SIM_FIRST").unwrap_or(1);
    let seeds = number("GOODWATT_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut heights, mut crashes) = (0, 0);
    for seed in first..first + seeds {
        let report = run(&storm(seed));
        holds(&report);
        heights += report.heights;
        crashes += report.crashes;
    }
    // A storm in which nothing happens proves nothing.
    assert!(heights > seeds * HEIGHTS / 2, "{heights} heights of {seeds} seeds");
    assert!(crashes > seeds * 10, "{crashes} power cuts in {seeds} seeds");
}
