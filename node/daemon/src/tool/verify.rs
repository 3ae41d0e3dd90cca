//! `goodwatt verify`: replays a ledger from genesis with no daemon running; a pruned one from its
//! snapshot.

mod pruned;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::ledger::Ledger;
use goodwatt_chain::state::{Key, Totals, is_money_conserved};
use goodwatt_chain::units::Height;
use goodwatt_store::{BlockLog, DataDirLock, Folder};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::context::{CONFIG_FILE, Context, read_genesis};
use super::error::ToolError;
use crate::config::Config;
use crate::validator::{Replay, Replayed};

/// How many signatures are verified together: the more, the less each costs. These take 2 MB.
const BATCH: usize = 4_096;

#[derive(Serialize)]
struct Report {
    blocks: u64,
    transactions: u64,
    bytes: u64,
    state_root: String,
    donated_grains: u64,
    money_conserved: bool,
    /// What is not here to be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_verified: Option<String>,
}

/// Runs the command on a data folder, or on the folder that holds its configuration.
pub(super) fn run(context: &Context, folder: &Path) -> Result<(), ToolError> {
    let (data, genesis) = locate(context, folder)?;
    let _lock = DataDirLock::take(&data).map_err(ToolError::failed)?;
    let log = Folder::at(&data.join("log")).map_err(ToolError::failed)?;
    let checked = BlockLog::verify(&log).map_err(damaged)?;
    let (log, _) = BlockLog::open(log).map_err(damaged)?;
    let bar = progress(checked.blocks, context.output.json);
    let is_pruned = log.first().is_some_and(|first| first > Height::new(1));
    let (replayed, not_verified) = if is_pruned {
        let (replayed, missing) = pruned::replay(genesis, &data, &log, || bar.inc(1))?;
        (replayed, Some(missing))
    } else {
        (replay(genesis, &log, || bar.inc(1))?, None)
    };
    bar.finish_and_clear();
    let report = Report { not_verified, ..summarize(&replayed, checked.blocks, checked.bytes)? };
    context.output.print(&report, |page| {
        writeln!(page, "good      {} blocks, {} transactions", report.blocks, report.transactions)?;
        writeln!(page, "read      {} bytes, each byte checked", report.bytes)?;
        writeln!(page, "state     {}", report.state_root)?;
        if let Some(missing) = &report.not_verified {
            writeln!(page, "missing   {missing}")?;
        }
        writeln!(page, "donated   {}", super::show::grains(report.donated_grains))
    })?;
    Ok(())
}

/// The data folder and the genesis of the chain in it.
fn locate(context: &Context, folder: &Path) -> Result<(PathBuf, Genesis), ToolError> {
    let config = folder.join(CONFIG_FILE);
    if config.exists() {
        let config = Config::load(&config).map_err(ToolError::failed)?.config;
        return Ok((config.node.data_dir, read_genesis(&config.chain.genesis)?));
    }
    let beside = folder.join("../genesis.toml");
    let genesis = if beside.exists() { read_genesis(&beside)? } else { context.genesis()? };
    Ok((folder.to_owned(), genesis))
}

/// A bar on a terminal, nothing elsewhere.
fn progress(blocks: u64, json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    // Drawn to standard error, and hidden by itself where that is no terminal.
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} blocks, {eta} left");
    ProgressBar::new(blocks).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Carries out all blocks of a log from genesis on, in memory; `after_each` block is called.
///
/// # Errors
/// At the first block that is damaged or not valid.
pub(super) fn replay(
    genesis: Genesis,
    log: &BlockLog,
    mut after_each: impl FnMut(),
) -> Result<Replayed<MemoryLeaves>, ToolError> {
    let ledger = Ledger::begin(Arc::new(genesis), MemoryLeaves::default());
    let replay = Replay::new(ledger.map_err(ToolError::failed)?, 0, None, BATCH);
    carry_out(replay, log, &mut after_each)
}

/// Carries out the blocks of a log that follow the ledger.
fn carry_out(
    mut replay: Replay<MemoryLeaves>,
    log: &BlockLog,
    after_each: &mut impl FnMut(),
) -> Result<Replayed<MemoryLeaves>, ToolError> {
    for record in log.blocks_from(replay.ledger().tip().height.next()) {
        let (height, record) = record.map_err(damaged)?;
        replay.apply(height, &record).map_err(damaged)?;
        replay.verify_full().map_err(damaged)?;
        after_each();
    }
    replay.finish().map_err(damaged)
}

#[expect(clippy::needless_pass_by_value, reason = "an error ends here")]
fn damaged(what: impl ToString) -> ToolError {
    ToolError::Damaged(what.to_string())
}

fn summarize(
    replayed: &Replayed<MemoryLeaves>,
    blocks: u64,
    bytes: u64,
) -> Result<Report, ToolError> {
    let ledger = &replayed.ledger;
    let totals: Totals = ledger.view().read_or_default(Key::Totals).map_err(ToolError::failed)?;
    // Invariant 1: all money is what genesis gave out and rewards minted, to the last grain.
    let money_conserved =
        is_money_conserved(ledger.genesis(), ledger.leaves()).map_err(ToolError::failed)?;
    if !money_conserved {
        return Err(damaged("the sum of all money is not what genesis and rewards make it"));
    }
    Ok(Report {
        blocks,
        transactions: replayed.transactions,
        bytes,
        state_root: ledger.tip().state_root.to_string(),
        donated_grains: totals.donated.get(),
        money_conserved,
        not_verified: None,
    })
}
