//! `goodwatt sim`: many validators in one thread, for people to look at.

use std::fmt::{self, Write};

use goodwatt_chain::genesis::Rule;
use goodwatt_sim::{Bill, Faults, Report, RoundReport, Scenario, Topology, run_and_tell, run_work};
use goodwatt_units::Millis;
use serde::Serialize;

use super::args::{SimArgs, SimFault, SimRule};
use super::context::Context;
use super::error::ToolError;
use super::output::{line, note};

/// The most validators a chain has.
const NODES_MAX: usize = 100;

/// What programs read: a line for each rule.
#[derive(Serialize)]
struct Summary {
    rule: &'static str,
    nodes: usize,
    seed: u64,
    rounds: u64,
    heights: u64,
    agreed: bool,
    double_signs: usize,
    money_conserved: bool,
    packets_idle: u64,
    finality_ms_median: Option<u64>,
    finality_ms_p99: Option<u64>,
    bytes_per_block: u64,
    per_block: PerBlock,
}

/// What all validators together did for one block.
#[derive(Serialize)]
struct PerBlock {
    hashes: u64,
    signatures_made: u64,
    signatures_verified: u64,
    packets: u64,
    microjoules_modelled: u64,
}

/// Runs the simulation; an error if anything happened that must not.
pub(super) fn run(context: &Context, args: &SimArgs) -> Result<(), ToolError> {
    let rules = rules(args);
    let mut summaries = Vec::new();
    let mut violations = 0;
    for rule in &rules {
        let scenario = scenario(args, *rule)?;
        let report = run_rule(context, *rule, &scenario, rules.len() > 1)?;
        let summary = summary(args, *rule, &scenario, &report);
        if context.output.json {
            context.output.print(&summary, |_| Ok(()))?;
        } else if rules.len() == 1 {
            context.output.print(&summary, |page| describe_run(page, &summary, &report))?;
        }
        for violation in &report.violations {
            note(&violation.to_string());
        }
        violations += report.violations.len();
        summaries.push(summary);
    }
    if !context.output.json && rules.len() > 1 {
        context.output.print(&summaries, |page| side_by_side(page, &summaries))?;
    }
    match violations {
        0 => Ok(()),
        count => Err(ToolError::failed(format!("{count} things happened that must not"))),
    }
}

/// The rules asked for, each once, in a fixed order.
fn rules(args: &SimArgs) -> Vec<SimRule> {
    let all = [SimRule::GoodWill, SimRule::Stake, SimRule::Delegated, SimRule::Work];
    let wanted = |rule: &SimRule| args.rule.contains(rule) || args.rule.contains(&SimRule::All);
    all.into_iter().filter(wanted).collect()
}

/// The rule of a chain; `None` for the one that no chain has.
const fn rule_of_chain(rule: SimRule) -> Option<Rule> {
    match rule {
        SimRule::GoodWill | SimRule::All => Some(Rule::GoodWill),
        SimRule::Stake => Some(Rule::Stake),
        SimRule::Delegated => Some(Rule::Delegated),
        SimRule::Work => None,
    }
}

fn run_rule(
    context: &Context,
    rule: SimRule,
    scenario: &Scenario,
    is_one_of_many: bool,
) -> Result<Report, ToolError> {
    let mut printed = Ok(());
    let mut number = 0;
    let tell = |round: &RoundReport| {
        number += 1;
        if !context.output.json && !is_one_of_many && printed.is_ok() {
            printed = line(&describe(number, round));
        }
    };
    let report = match rule_of_chain(rule) {
        Some(_) => run_and_tell(scenario, tell),
        None => run_work(scenario, tell),
    };
    printed?;
    Ok(report)
}

fn scenario(args: &SimArgs, rule: SimRule) -> Result<Scenario, ToolError> {
    let topology = match &args.topology {
        None => Topology::usual(args.nodes.min(NODES_MAX + 1)),
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
    if rule == SimRule::Work && !args.faults.is_empty() {
        note("under the rule of work nothing goes wrong: --faults is for the other rules");
    }
    Ok(Scenario {
        topology,
        transactions: args.transactions,
        latency: Millis::new(args.latency),
        faults: faults(&args.faults),
        epoch_length: Millis::from_secs(args.epoch),
        rule: rule_of_chain(rule).unwrap_or_default(),
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
        proposer: has(SimFault::Proposer),
        flood: has(SimFault::Flood),
        outage: has(SimFault::Outage),
        blackout: has(SimFault::Blackout),
        full_disk: has(SimFault::FullDisk),
        index: has(SimFault::Index),
        sets: has(SimFault::Sets),
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

fn millis(time: Option<u64>) -> String {
    time.map_or("-".to_owned(), |ms| format!("{ms} ms"))
}

fn describe_run(page: &mut String, summary: &Summary, report: &Report) -> fmt::Result {
    let (median, p99) = (summary.finality_ms_median, summary.finality_ms_p99);
    let block = &summary.per_block;
    writeln!(page, "reached   height {} with seed {}", summary.heights, summary.seed)?;
    writeln!(page, "to final  median {}, 99 % within {}", millis(median), millis(p99))?;
    writeln!(page, "idle      {} packets in a minute", summary.packets_idle)?;
    writeln!(page, "power     failed {} times", report.crashes)?;
    writeln!(page, "card      {} bytes a block on each", summary.bytes_per_block)?;
    writeln!(
        page,
        "block     {} hashes, {} signatures made, {} verified, {} packets, {} by a model",
        block.hashes,
        block.signatures_made,
        block.signatures_verified,
        block.packets,
        joules(block.microjoules_modelled)
    )
}

/// A table of what one block costs all validators together, by rule.
fn side_by_side(page: &mut String, summaries: &[Summary]) -> fmt::Result {
    writeln!(
        page,
        "{:<10} {:>7} {:>14} {:>8} {:>9} {:>8} {:>12} {:>10}",
        "rule", "blocks", "hashes", "signed", "verified", "packets", "modelled", "to final"
    )?;
    for Summary { rule, heights, per_block, finality_ms_median, .. } in summaries {
        writeln!(
            page,
            "{rule:<10} {heights:>7} {:>14} {:>8} {:>9} {:>8} {:>12} {:>10}",
            per_block.hashes,
            per_block.signatures_made,
            per_block.signatures_verified,
            per_block.packets,
            joules(per_block.microjoules_modelled),
            millis(*finality_ms_median),
        )?;
    }
    writeln!(
        page,
        "for each block, all validators together; the model stands in docs/simulation.md"
    )
}

fn joules(microjoules: u64) -> String {
    format!("{}.{:03} J", microjoules / 1_000_000, microjoules % 1_000_000 / 1_000)
}

fn summary(args: &SimArgs, rule: SimRule, scenario: &Scenario, report: &Report) -> Summary {
    let Bill { blocks, hashes, signatures_made, signatures_verified, packets, .. } = report.bill;
    let each = |sum: u64| sum / blocks.max(1);
    Summary {
        rule: rule_of_chain(rule).map_or("work", Rule::name),
        nodes: scenario.topology.nodes(),
        seed: report.seed,
        rounds: args.rounds,
        heights: report.heights,
        agreed: report.agreed(),
        double_signs: report.double_signs(),
        money_conserved: report.money_conserved(),
        packets_idle: report.packets_idle,
        finality_ms_median: report.finality(500),
        finality_ms_p99: report.finality(990),
        bytes_per_block: report.bytes_per_block,
        per_block: PerBlock {
            hashes: each(hashes),
            signatures_made: each(signatures_made),
            signatures_verified: each(signatures_verified),
            packets: each(packets),
            microjoules_modelled: each(report.bill.microjoules_modelled()),
        },
    }
}
