//! `goodwatt power`: what is measured with, and why; live, into a file, as a picture; calibration.

mod calibrate;
mod fit;
mod look;
mod plot;
mod record;
mod trace;

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use super::args::{PowerArgs, PowerCommand};
use super::context::Context;
use super::error::ToolError;
use super::output::line;
use super::show::power_line;
use crate::protocol::PowerInfo;
use look::Looks;

/// How often somebody who watches is shown a figure: sensors are read no more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Figures in a sparkline: a minute.
const SPARKS: usize = 60;
/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `goodwatt power` and what belongs to it.
pub(super) fn run(context: &Context, args: PowerArgs) -> Result<(), ToolError> {
    match args.command {
        Some(PowerCommand::Record { file, seconds }) => record::run(context, &file, seconds),
        Some(PowerCommand::Calibrate(args)) => calibrate::run(context, &args),
        Some(PowerCommand::Plot { csv, svg }) => plot::run(context, &csv, &svg),
        None if args.watch => watch(context),
        None => {
            let info = Looks::open(context)?.look()?;
            Ok(context.output.print(&info, |page| text(page, &info))?)
        }
    }
}

fn text(page: &mut String, power: &PowerInfo) -> fmt::Result {
    writeln!(page, "power     {}", power_line(power))?;
    if let Some(shunt) = &power.shunt {
        writeln!(page, "shunt     {shunt}")?;
    }
    if power.energy.is_empty() {
        writeln!(page, "energy    none yet: there is some at the second look")?;
    }
    for account in &power.energy {
        writeln!(
            page,
            "energy    {:.3} J since start, {}, +-{:.3} J, {}",
            joules(account.microjoules),
            account.method,
            joules(account.uncertainty_microjoules),
            account.scope
        )?;
        match account.marginal_microjoules {
            Some(marginal) => writeln!(page, "marginal  {:.3} J of it by us", joules(marginal))?,
            None => writeln!(page, "marginal  not known: see the notes")?,
        }
    }
    writeln!(page, "uncovered {:.3} s without a figure", power.uncovered_ms as f64 / 1e3)?;
    for (what, whole, marginal) in [
        ("a block", power.joules_per_block, power.marginal_joules_per_block),
        ("a transaction", power.joules_per_transaction, power.marginal_joules_per_transaction),
    ] {
        if let Some(whole) = whole {
            let by_us = marginal.map_or_else(String::new, |by_us| format!(", {by_us:.3} J by us"));
            writeln!(page, "{what:<9} {whole:.3} J, whole board{by_us}")?;
        }
    }
    for note in &power.notes {
        writeln!(page, "note      {note}")?;
    }
    for skipped in &power.skipped {
        writeln!(page, "not used  {}: {}", skipped.source, skipped.reason)?;
    }
    if let Some(report) = &power.report {
        writeln!(page, "report    {report}")?;
    }
    power.fault.iter().try_for_each(|fault| writeln!(page, "fault     {fault}"))
}

fn joules(micro: u64) -> f64 {
    micro as f64 / 1e6
}

/// A figure a second, with a sparkline of the minute before, until it is broken off.
fn watch(context: &Context) -> Result<(), ToolError> {
    let mut looks = Looks::open(context)?;
    let mut minute = VecDeque::with_capacity(SPARKS);
    let live = io::stdout().is_terminal() && !context.output.json;
    loop {
        let info = looks.look()?;
        if minute.len() == SPARKS {
            minute.pop_front();
        }
        minute.push_back(info.power_microwatts);
        if context.output.json {
            context.output.print(&info, |_| Ok(()))?;
        } else {
            let fault = info.fault.as_ref().map_or_else(String::new, |fault| format!(", {fault}"));
            let shown = format!("{} {}{fault}", sparkline(&minute), power_line(&info));
            // On a terminal each figure takes the place of the one before.
            if live { line(&format!("\x1b[1A\x1b[2K{shown}"))? } else { line(&shown)? }
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The figures as bars between the least and the most of them.
fn sparkline(figures: &VecDeque<u64>) -> String {
    let (least, most) = (figures.iter().min().copied(), figures.iter().max().copied());
    let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
    let top = BARS.len() as u64 - 1;
    let bar = |figure: &u64| {
        let height = (figure - least) * top / (most - least).max(1);
        BARS[usize::try_from(height).unwrap_or(0)]
    };
    figures.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_spans_the_least_and_the_most() {
        let check = |figures: &[u64], want: &str| {
            assert_eq!(sparkline(&figures.iter().copied().collect()), want);
        };
        check(&[], "");
        check(&[5, 5], "▁▁");
        check(&[0, 7, 3, 10], "▁▅▃█");
    }
}
