//! `goodwatt verify`: replays a ledger from genesis with no daemon running.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::leaves::MemoryLeaves;
use goodwatt_chain::ledger::{Ledger, Signatures};
use goodwatt_chain::signature::Batch;
use goodwatt_chain::state::{Key, Totals};
use goodwatt_chain::units::Grains;
use goodwatt_store::{BlockLog, DataDirLock, Folder};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::context::{CONFIG_FILE, Context, read_genesis};
use super::error::ToolError;
use crate::config::Config;
use crate::validator::LoggedBlock;

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
}

/// Runs the command on a data folder, or on the folder that holds its configuration.
pub(super) fn run(context: &Context, folder: &Path) -> Result<(), ToolError> {
    let (data, genesis) = locate(context, folder)?;
    let _lock = DataDirLock::take(&data).map_err(ToolError::failed)?;
    let log = Folder::at(&data.join("log")).map_err(ToolError::failed)?;
    let checked = BlockLog::verify(&log).map_err(|error| ToolError::Damaged(error.to_string()))?;
    let (log, _) = BlockLog::open(log).map_err(|error| ToolError::Damaged(error.to_string()))?;
    let mut replay = Replay::new(genesis)?;
    let bar = progress(checked.blocks, context.output.json);
    for record in log.blocks_from(goodwatt_chain::units::Height::new(1)) {
        let (height, record) = record.map_err(|error| ToolError::Damaged(error.to_string()))?;
        replay.apply(&record).map_err(|what| {
            ToolError::Damaged(format!("the block at {height} is not valid: {what}"))
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = replay.finish(checked.blocks, checked.bytes)?;
    context.output.print(&report, |page| {
        writeln!(page, "good      {} blocks, {} transactions", report.blocks, report.transactions)?;
        writeln!(page, "read      {} bytes, each byte checked", report.bytes)?;
        writeln!(page, "state     {}", report.state_root)?;
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

pub(super) struct Replay {
    ledger: Ledger<MemoryLeaves>,
    batch: Batch,
    transactions: u64,
}

impl Replay {
    pub(super) fn new(genesis: Genesis) -> Result<Self, ToolError> {
        let ledger = Ledger::begin(Arc::new(genesis), MemoryLeaves::default());
        let ledger = ledger.map_err(ToolError::failed)?;
        Ok(Self { ledger, batch: Batch::default(), transactions: 0 })
    }

    pub(super) fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        let logged: LoggedBlock = codec::decode(record).map_err(|error| error.to_string())?;
        if logged.certificate.block != logged.block.header.id() {
            return Err("its certificate names another block".to_owned());
        }
        let validators = Arc::clone(&self.ledger.in_charge().validators);
        logged
            .certificate
            .check(self.ledger.chain(), &validators, &mut self.batch)
            .map_err(|error| error.to_string())?;
        let applied = self
            .ledger
            .check(&logged.block, Signatures::Collect(&mut self.batch))
            .map_err(|error| error.to_string())?;
        self.transactions += applied.transactions.len() as u64;
        self.ledger.commit(applied);
        if self.batch.len() >= BATCH { self.verify() } else { Ok(()) }
    }

    pub(super) fn verify(&mut self) -> Result<(), String> {
        if core::mem::take(&mut self.batch).verify() {
            return Ok(());
        }
        Err("a signature in it, or in one of the blocks just before it, is not valid".to_owned())
    }

    fn finish(mut self, blocks: u64, bytes: u64) -> Result<Report, ToolError> {
        self.verify().map_err(ToolError::Damaged)?;
        let totals: Totals =
            self.ledger.view().read_or_default(Key::Totals).map_err(ToolError::failed)?;
        let money_conserved = money_is_conserved(&self.ledger, &totals)?;
        if !money_conserved {
            let message = "the sum of all money is not what genesis and rewards make it";
            return Err(ToolError::Damaged(message.to_owned()));
        }
        Ok(Report {
            blocks,
            transactions: self.transactions,
            bytes,
            state_root: self.ledger.tip().state_root.to_string(),
            donated_grains: totals.donated.get(),
            money_conserved,
        })
    }
}

/// Invariant 1: all money is what genesis gave out and rewards minted, to the last grain.
fn money_is_conserved(ledger: &Ledger<MemoryLeaves>, totals: &Totals) -> Result<bool, ToolError> {
    let balances =
        goodwatt_chain::state::sum_of_balances(ledger.leaves()).map_err(ToolError::failed)?;
    let held =
        [totals.pool, totals.deposits, totals.fees_in_flight, totals.vesting, totals.releasing];
    let there: u64 = held.iter().map(|part| part.get()).sum::<u64>() + balances;
    let genesis = ledger.genesis().supply().map_or(0, Grains::get);
    Ok(there == genesis + totals.minted.get())
}
