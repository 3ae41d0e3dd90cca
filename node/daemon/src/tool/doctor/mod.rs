//! `goodwatt doctor`: looks at everything that commonly goes wrong with a board, and says for each
//! thing that is not as it should be what to do about it. It changes nothing.

mod card;
mod finding;
mod machine;
mod node;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::ToolError;

pub(in crate::tool) use finding::{Findings, Verdict};

/// Where the kernel shows the machine; another place in tests.
#[derive(Clone, Debug)]
pub(in crate::tool) struct Machine {
    sys: PathBuf,
    proc: PathBuf,
}

impl Machine {
    /// The one this runs on.
    pub(in crate::tool) fn this() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// `goodwatt doctor`: exit code 1 when something is wrong.
pub(super) fn run(context: &Context) -> Result<(), ToolError> {
    let findings = examine(context, &Machine::this());
    context.output.print(&findings, |page| text(page, &findings))?;
    match findings.count(Verdict::Wrong) {
        0 => Ok(()),
        1 => Err(ToolError::failed("one thing is wrong")),
        count => Err(ToolError::failed(format!("{count} things are wrong"))),
    }
}

/// Looks at everything; what cannot be looked at is a finding, too.
pub(in crate::tool) fn examine(context: &Context, machine: &Machine) -> Findings {
    let mut findings = Findings::default();
    let config = node::config(context, &mut findings);
    let daemon = config.as_ref().and_then(|config| node::daemon(context, config, &mut findings));
    machine::clock(&mut findings);
    machine::supply(machine, &mut findings);
    machine::temperature(machine, &mut findings);
    machine::memory(machine, &mut findings);
    if let Some(config) = &config {
        card::look(&config.node.data_dir, machine, &mut findings);
        node::key(config, &mut findings);
        node::guard(config, daemon.is_some(), context, &mut findings);
        node::sensor(daemon.as_ref(), &mut findings);
        node::ports(config, daemon.is_some(), machine, &mut findings);
        node::peers(config, &mut findings);
        if daemon.is_some() && config.network.is_used() {
            node::twin(context, &mut findings);
        }
    }
    node::versions(daemon.as_ref(), machine, &mut findings);
    findings
}

/// Each finding on a line, and what to do about it on the next.
pub(in crate::tool) fn text(page: &mut String, findings: &Findings) -> fmt::Result {
    for finding in findings.iter() {
        writeln!(page, "{:8} {:12} {}", finding.verdict.word(), finding.check, finding.found)?;
        if let Some(remedy) = &finding.remedy {
            writeln!(page, "{:8} {:12} -> {remedy}", "", "")?;
        }
    }
    Ok(())
}

/// The first line of a small file of the kernel.
fn line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next().unwrap_or("").trim().to_owned())
}

/// A number that stands alone in a file of the kernel.
fn number(path: &Path) -> Option<i64> {
    line(path)?.parse().ok()
}

/// What is in a folder, sorted; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
