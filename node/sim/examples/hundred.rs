//! Time to final of a hundred validators, and what one seed of all faults costs.
use goodwatt_sim::{Faults, Scenario, run};
fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (nodes, rounds, faults) = (arguments[0], arguments[1], arguments[2]);
    let start = std::time::Instant::now();
    let faults = if faults == 1 { Faults::ALL } else { Faults::default() };
    let report = run(&Scenario {
        faults,
        transactions: arguments.get(3).copied().unwrap_or(3),
        ..Scenario::new(nodes as usize, rounds, 1)
    });
    println!(
        "{:?} {:?} {:?} {:?}",
        report.finality(500),
        report.finality(990),
        report.bill,
        report.violations
    );
    println!("{:?}", report.finality_ms);
    println!(
        "{:?}",
        report.rounds.iter().map(|r| (r.transactions, r.reach_ms)).collect::<Vec<_>>()
    );
    println!("{} heights, idle {}, {:?}", report.heights, report.packets_idle, start.elapsed());
}
