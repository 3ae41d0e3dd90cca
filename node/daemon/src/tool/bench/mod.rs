//! `goodwatt bench`: figures of this machine, each beside its limit where it has one.
//!
//! Absolute times drift on shared machines, so what matters is the ratio to a ceiling that was
//! measured in the same run. What is counted (bytes, wake-ups, memory) does not drift.

mod catch_up;
pub(crate) mod chain;
mod daemon;
mod disk;
mod light;
mod network;
mod rebuild;
mod verify;

use std::path::Path;

use serde::Serialize;

use super::context::Context;
use super::error::ToolError;
use super::output::line;
use super::scratch::Scratch;

/// Measures, and prints what it found.
type Benchmark = fn(&Bench<'_>) -> Result<(), ToolError>;

/// The benchmarks, by name, in the order in which they run.
const BENCHMARKS: [(&str, Benchmark); 16] = [
    ("validate", verify::validate),
    ("replay", verify::replay),
    ("append", disk::append),
    ("submit", disk::submit),
    ("disk", disk::bytes_per_block),
    ("idle", daemon::idle),
    ("idle-power", daemon::idle_power),
    ("memory", daemon::memory),
    ("start", daemon::start),
    ("rebuild", rebuild::rebuild),
    ("catch-up", catch_up::catch_up),
    ("finality", network::finality),
    ("throughput", network::throughput),
    ("idle-network", network::idle),
    ("memory-peers", network::memory),
    ("light-proof", light::light_proof),
];

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

/// Where figures go, and where files may be written.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    json: bool,
    work: &'a Path,
}

impl Bench<'_> {
    /// Prints a figure.
    fn print(&self, name: &str, value: f64, unit: &'static str) -> Result<(), ToolError> {
        self.print_figure(&Figure {
            name: name.to_owned(),
            value,
            unit,
            ceiling: None,
            ratio: None,
        })
    }

    /// Prints a figure beside its ceiling.
    fn print_ratio(
        &self,
        name: &str,
        value: f64,
        unit: &'static str,
        ceiling: f64,
    ) -> Result<(), ToolError> {
        let (ceiling, ratio) = (Some(ceiling), Some(value / ceiling));
        self.print_figure(&Figure { name: name.to_owned(), value, unit, ceiling, ratio })
    }

    fn print_figure(&self, figure: &Figure) -> Result<(), ToolError> {
        if self.json {
            return Ok(line(&serde_json::to_string(figure).map_err(ToolError::failed)?)?);
        }
        let beside = match (figure.ceiling, figure.ratio) {
            (Some(ceiling), Some(ratio)) => format!("  {:.0} % of {ceiling:.1}", ratio * 100.0),
            _ => String::new(),
        };
        Ok(line(&format!("{:26} {:>12.2} {}{beside}", figure.name, figure.value, figure.unit))?)
    }

    /// A fresh folder for one benchmark; it goes away with the guard that is returned.
    fn folder(&self, name: &str) -> Result<Scratch, ToolError> {
        let path = self.work.join(format!("goodwatt-bench-{name}-{}", std::process::id()));
        Scratch::make(&path)
    }
}

/// Runs the benchmarks named, or all.
pub(super) fn run(
    context: &Context,
    names: &[String],
    work: Option<&Path>,
) -> Result<(), ToolError> {
    let known = |name: &String| BENCHMARKS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        let message = format!("there is no benchmark `{unknown}`: one of {}", all.join(" "));
        return Err(ToolError::Usage(message));
    }
    let bench = Bench { json: context.output.json, work: work.unwrap_or(Path::new(".")) };
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    BENCHMARKS.iter().filter(|(name, _)| wanted(name)).try_for_each(|(_, run)| run(&bench))
}
