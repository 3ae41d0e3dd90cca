//! Many validators on a bad network: whatever happens, they agree.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use goodwatt_chain::genesis::Rule;
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
    assert!((1_000..40_000).contains(&report.bytes_per_block), "{} bytes", report.bytes_per_block);
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

/// Every kind of fault, in networks of several sizes, under each rule, with long and short epochs.
fn storm(seed: u64) -> Scenario {
    let nodes = 4 + (seed % 4) as usize;
    let epoch_length = [60, 20, 3_600][(seed % 3) as usize];
    let rule = Rule::ALL[(seed / 12 % 3) as usize];
    Scenario {
        faults: Faults::ALL,
        epoch_length: Millis::from_secs(epoch_length),
        rule,
        ..Scenario::new(nodes, HEIGHTS, seed)
    }
}

/// Runs storms in as many threads as there are processors.
fn storms(first: u64, seeds: u64) -> Vec<Report> {
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mine = numbers.take_while(|seed| *seed < first + seeds);
        mine.map(|seed| run(&storm(seed))).inspect(holds).collect::<Vec<Report>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("see above")).collect()
    })
}

#[test]
fn nothing_that_goes_wrong_makes_them_disagree_or_sign_twice_or_stop() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("GOODWATT_SIM_FIRST").unwrap_or(1);
    let seeds = number("GOODWATT_SIM_SEEDS").unwrap_or(SEEDS);
    let reports = storms(first, seeds);
    let sum = |part: fn(&Report) -> u64| reports.iter().map(part).sum::<u64>();
    let (heights, crashes) = (sum(|report| report.heights), sum(|report| report.crashes));
    let sets = sum(|report| report.sets);
    let (admitted, refused) = (sum(|report| report.admitted), sum(|report| report.refused));
    let mut troubles: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in reports.iter().flat_map(|report| &report.troubles) {
        *troubles.entry(name).or_default() += count;
    }
    #[expect(clippy::print_stdout, reason = "what happened is the result of a long run")]
    {
        println!(
            "{seeds} seeds from {first}: {heights} heights, {crashes} power cuts, {sets} sets bought, \
         {admitted} associations admitted, {refused} refused, {troubles:?}"
        );
    }
    // A storm in which nothing happens proves nothing.
    assert!(heights > seeds * HEIGHTS / 2, "{heights} heights of {seeds} seeds");
    assert!(crashes > seeds * 10, "{crashes} power cuts in {seeds} seeds");
    assert!(sets > seeds, "{sets} sets in {seeds} seeds");
    assert!(admitted > 0 && refused > 0, "{admitted} admitted, {refused} refused");
    let kinds: Vec<&str> = troubles.keys().copied().collect();
    let all =
        "blackouts clocks crashes cuts doubles floods full disks lost indexes outages partitions";
    assert_eq!(kinds.join(" "), all, "all of it happened");
}

/// One fault at a time, so that none hides behind another.
#[test]
fn each_fault_alone_is_survived() {
    type SwitchOn = fn(&mut Faults);
    let set: [(&str, SwitchOn); 13] = [
        ("cuts", |f| f.cuts = true),
        ("loss", |f| f.loss = true),
        ("crashes", |f| f.crashes = true),
        ("partitions", |f| f.partitions = true),
        ("clocks", |f| f.clocks = true),
        ("liar", |f| f.liar = true),
        ("proposer", |f| f.proposer = true),
        ("flood", |f| f.flood = true),
        ("outage", |f| f.outage = true),
        ("blackout", |f| f.blackout = true),
        ("full disk", |f| f.full_disk = true),
        ("index", |f| (f.index, f.crashes) = (true, true)),
        ("sets", |f| f.sets = true),
    ];
    for (name, switch_on) in set {
        let mut faults = Faults::default();
        switch_on(&mut faults);
        let epoch_length = Millis::from_secs(20);
        let scenario = Scenario { faults, epoch_length, ..Scenario::new(5, 30, 3) };
        let report = run(&scenario);
        assert!(report.violations.is_empty(), "{name}: {:#?}", report.violations);
        assert!(report.heights >= 20, "{name}: {} heights", report.heights);
    }
}

#[test]
fn a_hundred_validators_decide_within_400_ms() {
    let report = run(&Scenario { transactions: 1, ..Scenario::new(100, 3, 1) });
    holds(&report);
    assert!(report.heights >= 3 && report.agreed());
    assert!(report.finality(500) <= Some(400), "{:?}", report.finality_ms);
}

#[test]
fn each_rule_of_a_chain_carries_the_same_load() {
    for rule in Rule::ALL {
        let faults = Faults { sets: true, ..Faults::default() };
        let epoch_length = Millis::from_secs(20);
        let report = run(&Scenario { rule, faults, epoch_length, ..Scenario::new(5, 120, 1) });
        holds(&report);
        assert!(report.sets > 0, "{rule:?}: slots were bought");
        assert!(report.bill.signatures_verified > report.bill.blocks, "{:?}", report.bill);
    }
}
