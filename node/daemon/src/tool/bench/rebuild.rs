//! `rebuild`: what it takes to make a lost state again, and what the snapshot for it costs.

use std::path::Path;
use std::time::Instant;

use goodwatt_chain::codec;
use goodwatt_chain::transaction::Transaction;
use goodwatt_store::{BlockLog, Folder, Index};

use super::Bench;
use super::chain::Chain;
use crate::tool::error::ToolError;
use crate::validator::{LoggedBlock, Recovery, Replayed};

/// Accounts of the chain; each pays a neighbour in turn.
const WALLETS: u32 = 10_000;
const BLOCKS: u64 = 10_000;
const TRANSFERS: u32 = 5;
/// The height of the snapshot: of so many accounts one is written every thousand blocks or so.
const SNAPSHOT_HEIGHT: u64 = 9_000;

/// A state of 10,000 accounts after 10,000 blocks of 5 transfers, made again with and without a
/// snapshot, syncs and lookups included.
pub(super) fn rebuild(bench: &Bench<'_>) -> Result<(), ToolError> {
    let scratch = bench.folder("rebuild")?;
    let folder = Folder::at(&scratch.0).map_err(ToolError::failed)?;
    let mut chain = Chain::new(&scratch.0.join("signers"), WALLETS)?;
    let log = Folder::at(&scratch.0.join("log")).map_err(ToolError::failed)?;
    let (mut log, _) = BlockLog::open(log).map_err(ToolError::failed)?;
    let path = scratch.0.join("index");

    grow(&mut chain, &mut log, SNAPSHOT_HEIGHT)?;
    let recovery = Recovery { genesis: chain.ledger.genesis(), folder: &folder, log: &log };
    let (state, _) = timed(&recovery, &path)?;
    let begin = Instant::now();
    let snapshot = state.ledger.leaves().write_snapshot(&folder).map_err(ToolError::failed)?;
    bench.print("snapshot", snapshot.bytes as f64, "bytes")?;
    bench.print("snapshot-written", begin.elapsed().as_secs_f64() * 1e3, "ms")?;
    drop(state);

    grow(&mut chain, &mut log, BLOCKS)?;
    let recovery = Recovery { genesis: chain.ledger.genesis(), folder: &folder, log: &log };
    let (_, with) = timed(&recovery, &path)?;
    std::fs::remove_file(scratch.0.join("snapshot"))?;
    let (_, without) = timed(&recovery, &path)?;
    bench.print("rebuild", with, "s")?;
    bench.print("rebuild-from-genesis", without, "s")
}

/// Seals blocks up to a height, into the log.
fn grow(chain: &mut Chain, log: &mut BlockLog, to: u64) -> Result<(), ToolError> {
    while chain.ledger.tip().height.get() < to {
        let height = chain.ledger.tip().height.next();
        let first = height.get() as u32 * TRANSFERS;
        let transfers: Vec<Transaction> =
            (0..TRANSFERS).map(|n| chain.transfer((first + n) % WALLETS)).collect();
        let (block, certificate) = chain.seal(&transfers)?;
        let record = codec::encode(&LoggedBlock { certificate, block });
        log.append(height, &record).map_err(ToolError::failed)?;
    }
    Ok(())
}

/// The state in a fresh index, and the seconds it took.
fn timed(recovery: &Recovery<'_>, path: &Path) -> Result<(Replayed<Index>, f64), ToolError> {
    let fresh = Index::replace_at(path).map_err(ToolError::failed)?;
    let begin = Instant::now();
    let state = recovery.rebuild(fresh).map_err(ToolError::failed)?;
    let seconds = begin.elapsed().as_secs_f64();
    if Some(state.ledger.tip().height) != recovery.log.tip() {
        return Err(ToolError::failed("the state ended at another tip than the log"));
    }
    Ok((state, seconds))
}
