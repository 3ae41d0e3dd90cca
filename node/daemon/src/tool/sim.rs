//! `goodwatt sim`: many validators in one thread, for people to look at.

use std::fmt::Write;

use goodwatt_sim::{Faults, Report, RoundReport, Scenario, Topology, run_and_tell};
use goodwatt_units::Millis;
use serde::Serialize;

use super::args::{SimArgs, SimFault};
use super::context::Context;
use super::error::ToolError;
use super::output::{line, note};

/// The most validators a chain has.
const NODES_MAX: usize = 100;

/// What programs read.
#[derive(Serialize)]
struct Summary {
    seed: u64,
    rounds: u64,
    heights: u64,
    agreed: bool,
    double_signs: usize,
    money_conserved: bool,
    packets_idle: u64,
    finality_ms_median: Option<u64>,
    finality_ms_p99: Option<u64>,
}

/// Runs the simulation; an error if anything happened that must not.
pub(super) fn run(context: &Context, args: &SimArgs) -> Result<(), ToolError> {
    let scenario = scenario(args)?;
    let json = context.output.json;
    let mut printed = Ok(());
    let mut number = 0;
    let report = run_and_tell(&scenario, |round| {
        number += 1;
        if !json && printed.is_ok() {
            printed = line(&describe(number, round));
        }
    });
    printed?;
    let summary = summary(args, &report);
    context.output.print(&summary, |page| {
        let millis = |time: Option<u64>| time.map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let (median, p99) = (summary.finality_ms_median, summary.finality_ms_p99);
        writeln!(page, "reached   height {} with seed {}", summary.heights, summary.seed)?;
        writeln!(page, "to final  median {}, 99 % within {}", millis(median), millis(p99))?;
        writeln!(page, "idle      {} packets in a minute", summary.packets_idle)?;
        writeln!(page, "power     failed {} times", report.crashes)
    })?;
    for violation in &report.violations {
        note(&violation.to_string());
    }
    match report.violations.len() {
        0 => Ok(()),
        count => Err(ToolError::failed(format!("{count} things happened that must not"))),
    }
}

fn scenario(args: &SimArgs) -> Result<Scenario, ToolError> {
    let topology = match &args.topology {
        None => Topology::full(args.nodes),
        Some(path) => {
            let at = |error: &dyn ToString| format!("{}: {}", path.display(), error.to_string());
            let text =
                std::fs::read_to_string(path).map_err(|error| ToolError::Usage(at(&error)))?;
            Topology::parse(&text).map_err(|error| ToolError::Usage(at(&error)))?
        }
    };
    let nodes = topology.nodes();
    if nodes != args.nodes && args.topology.is_some() {
        note(&format!("the topology has {nodes} validators"));
    }
    if nodes == 0 || nodes > NODES_MAX {
        return Err(ToolError::Usage(format!("--nodes has to lie between 1 and {NODES_MAX}")));
    }
    Ok(Scenario {
        topology,
        latency: Millis::new(args.latency),
        faults: faults(&args.faults),
        ..Scenario::new(nodes, args.rounds, args.seed)
    })
}

fn faults(wanted: &[SimFault]) -> Faults {
    let has = |fault| wanted.contains(&fault) || wanted.contains(&SimFault::All);
    Faults {
        cuts: has(SimFault::Cuts),
        loss: has(SimFault::Loss),
        crashes: has(SimFault::Crashes),
        partitions: has(SimFault::Partitions),
        clocks: has(SimFault::Clocks),
        liar: has(SimFault::Liar),
    }
}

fn describe(number: usize, round: &RoundReport) -> String {
    let RoundReport { transactions, height, proposer, reach_ms, same_tip } = round;
    let made = format!("round {number:<4} {transactions} transactions");
    let tip = if *same_tip { "same tip" } else { "tips differ" };
    match (height, proposer, reach_ms) {
        (Some(height), Some(proposer), Some(reach)) => {
            format!("{made}  block {height:<4} by {proposer:<2}  {reach:>5} ms  {tip}")
        }
        _ => format!("{made}  no block  {tip}"),
    }
}

fn summary(args: &SimArgs, report: &Report) -> Summary {
    Summary {
        seed: report.seed,
        rounds: args.rounds,
        heights: report.heights,
        agreed: report.agreed(),
        double_signs: report.double_signs(),
        money_conserved: report.money_conserved(),
        packets_idle: report.packets_idle,
        finality_ms_median: report.finality(500),
        finality_ms_p99: report.finality(990),
    }
}
