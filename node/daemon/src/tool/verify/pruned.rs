//! Verifying a ledger whose first bodies are not there: what is left is held against the snapshot.

use std::path::Path;
use std::sync::Arc;

use goodwatt_chain::codec;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::history::History;
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::ledger::Ledger;
use goodwatt_chain::units::Height;
use goodwatt_store::{BlockLog, Folder, Snapshot};
use goodwatt_validator::{Notes, SealedHeader};

use super::{BATCH, carry_out, damaged};
use crate::tool::error::ToolError;
use crate::validator::{LoggedBlock, Replay, Replayed, read_record, sealed_in};

/// Carries out the blocks after the snapshot; those before it have to lead up to it, and headers to
/// the first of them. Gives what could not be verified, too.
pub(super) fn replay(
    genesis: Genesis,
    data: &Path,
    log: &BlockLog,
    mut after_each: impl FnMut(),
) -> Result<(Replayed<MemoryLeaves>, String), ToolError> {
    let folder = Folder::at(data).map_err(ToolError::failed)?;
    let first = log.first().unwrap_or_default();
    let snapshot =
        Snapshot::open(&folder).map_err(|error| damaged(format!("snapshot: {error}")))?;
    let snapshot = snapshot.ok_or_else(|| {
        damaged(format!("the blocks below {first} are pruned, and there is no snapshot"))
    })?;
    let Notes { tip, transactions } =
        codec::decode(snapshot.notes()).map_err(|error| damaged(format!("snapshot: {error}")))?;
    let mut leaves = MemoryLeaves::default();
    for chunk in snapshot.chunks() {
        let chunk = chunk.map_err(|error| damaged(format!("snapshot: {error}")))?;
        leaves.commit(&chunk.into_iter().map(|(k, v)| (k, Some(v))).collect::<LeafChanges>());
    }
    let at = tip.height;
    let last = before(&genesis, log, at, &mut after_each)?;
    let last = last.filter(|logged| logged.id() == tip.id).ok_or_else(|| {
        damaged(format!("the snapshot is of another block at {at} than the log has"))
    })?;
    let missing = headers(data, log, first)?;
    let ledger = Ledger::resume(Arc::new(genesis), leaves, tip).map_err(damaged)?;
    let replay = Replay::new(ledger, transactions, Some(last), BATCH);
    let replayed = carry_out(replay, log, &mut after_each)?;
    let missing = format!(
        "{missing}; blocks {} to {} lead to the snapshot, and were not carried out again",
        first.get(),
        at.get()
    );
    Ok((replayed, missing))
}

/// The block of the snapshot, to which those before it lead.
fn before(
    genesis: &Genesis,
    log: &BlockLog,
    last: Height,
    after_each: &mut impl FnMut(),
) -> Result<Option<LoggedBlock>, ToolError> {
    let (chain, mut former) = (genesis.chain_id(), None::<LoggedBlock>);
    for record in log.blocks_from(Height::new(1)) {
        let (height, record) = record.map_err(damaged)?;
        if height > last {
            break;
        }
        let logged = read_record(height, &record).map_err(damaged)?;
        sealed_in(&chain, &logged.block).map_err(|error| damaged(format!("{height}: {error}")))?;
        if former.is_some_and(|former| former.id() != logged.block.header.parent) {
            return Err(damaged(format!("the block at {height} does not follow the one before")));
        }
        former = Some(logged);
        after_each();
    }
    Ok(former.filter(|logged| logged.block.header.height == last))
}

/// Holds the headers of pruned blocks against the first block that is there; says what is missing.
fn headers(data: &Path, log: &BlockLog, first: Height) -> Result<String, ToolError> {
    let last = first.get().saturating_sub(1);
    let nothing = format!("blocks 1 to {last}, of which nothing is here");
    let folder = data.join("headers");
    if !folder.exists() {
        return Ok(nothing);
    }
    let folder = Folder::at(&folder).map_err(ToolError::failed)?;
    let (headers, _) = BlockLog::open(folder).map_err(damaged)?;
    let Some(begin) = headers.first() else { return Ok(nothing) };
    let (mut history, mut parent) = (History::default(), None::<BlockId>);
    for record in headers.blocks_from(begin) {
        let (height, record) = record.map_err(damaged)?;
        if height >= first {
            break;
        }
        let SealedHeader { header, .. } = codec::decode(&record)
            .map_err(|error| damaged(format!("the header at {height}: {error}")))?;
        if header.height != height || parent.is_some_and(|parent| parent != header.parent) {
            return Err(damaged(format!("the header at {height} does not follow the one before")));
        }
        let id = header.id();
        history.push(id);
        parent = Some(id);
    }
    let record = log.read(first).map_err(damaged)?.unwrap_or_default();
    let next = read_record(first, &record).map_err(damaged)?.block.header;
    let is_whole = begin == Height::new(1);
    if parent != Some(next.parent) || (is_whole && history.root() != next.history_root) {
        return Err(damaged(format!("the headers do not lead to the block at {first}")));
    }
    Ok(if is_whole {
        format!("bodies of 1 to {last}, which are pruned; their headers are proven")
    } else {
        format!("blocks before {begin}, and bodies up to {last}; the headers in between are proven")
    })
}
