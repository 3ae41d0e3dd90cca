//! `append`, `submit` and `disk`: a whole validator on a real disk, in this process.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use goodwatt_chain::genesis::{Genesis, SealingRule};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::UnixMillis;
use goodwatt_units::Millis;
use tokio::task::JoinSet;

use super::chain::{genesis, payment, wallet};
use super::{Bench, Scratch};
use crate::hex;
use crate::protocol::{Call, Fault};
use crate::signers::Signers;
use crate::tool::error::ToolError;
use crate::validator::{self, Handle, Running, Settings};

/// Transfers of 146 bytes that make a body of 4 KiB; with their receivers they change 40 accounts
/// besides the records of every block.
const BODY_TRANSFERS: u16 = 28;

/// Longer than any benchmark waits for the count to be full.
const INTERVAL: Millis = Millis::from_secs(3_600);

/// A validator in this process, with wallets that pay.
struct Stage {
    running: Option<Running>,
    genesis: Genesis,
    _folder: Scratch,
    nonces: Vec<u64>,
}

impl Stage {
    fn set(
        bench: &Bench<'_>,
        name: &str,
        wallets: u32,
        sealing: SealingRule,
    ) -> Result<Self, ToolError> {
        let folder = bench.folder(name)?;
        let data: PathBuf = folder.0.join("data");
        let mut signers = Signers::open(&data.join("signers")).map_err(ToolError::failed)?;
        let genesis = genesis(&mut signers, wallets, sealing, now())?;
        let running = validator::start(Settings {
            data,
            genesis: genesis.clone(),
            sign: true,
            mempool: goodwatt_chain::mempool::MempoolLimits::default(),
            power: goodwatt_power::PowerConfig::default(),
            has_peers: false,
            keep_blocks: None,
        });
        Ok(Self {
            running: Some(running.map_err(ToolError::failed)?),
            genesis,
            _folder: folder,
            nonces: vec![0; wallets as usize],
        })
    }

    fn handle(&self) -> Result<Handle, ToolError> {
        let running = self.running.as_ref().map(|running| running.handle.clone());
        running.ok_or_else(|| ToolError::failed("the validator is stopped"))
    }

    /// A call that pays from one wallet to another, answered when its block is on disk.
    fn pay(&mut self, from: u32, to: u32) -> Call {
        let nonce = &mut self.nonces[from as usize];
        let (chain, fee) = (self.genesis.chain_id(), self.genesis.parameters.fee_min);
        let action = payment(wallet(to).public());
        let transaction = Transaction::sign(&chain, &wallet(from), *nonce, fee, action);
        *nonce += 1;
        Call::Submit { transaction: hex::encode(transaction.bytes()), wait: true }
    }

    /// Hands calls in together and waits for all answers.
    fn together(&self, calls: Vec<Call>) -> Result<(), ToolError> {
        let handle = self.handle()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let outcome = runtime.block_on(async {
            let mut pending = JoinSet::new();
            for call in calls {
                let handle = handle.clone();
                pending.spawn(async move { handle.call(call).await });
            }
            let mut outcome = Ok(());
            while let Some(joined) = pending.join_next().await {
                outcome = outcome.and(joined.map_err(ToolError::failed)?.map(drop));
            }
            Ok::<Result<(), Fault>, ToolError>(outcome)
        })?;
        outcome.map_err(ToolError::failed)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

const fn count(transactions: u16) -> SealingRule {
    SealingRule::Count { transactions, interval: INTERVAL }
}

/// 200 blocks of 5 transfers, from admission to bytes on disk, syncs included.
pub(super) fn append(bench: &Bench<'_>) -> Result<(), ToolError> {
    const BLOCKS: u32 = 200;
    let mut stage = Stage::set(bench, "append", 100, count(5))?;
    let blocks: Vec<Vec<Call>> = (0..BLOCKS)
        .map(|block| (0..5).map(|n| stage.pay((block * 5 + n) % 100, block % 100)).collect())
        .collect();
    let begin = Instant::now();
    blocks.into_iter().try_for_each(|calls| stage.together(calls))?;
    let seconds = begin.elapsed().as_secs_f64();
    bench.print("append", f64::from(BLOCKS) / seconds, "blocks/s")
}

/// 1,000 transfers one after another, each answered when its block is on disk.
pub(super) fn submit(bench: &Bench<'_>) -> Result<(), ToolError> {
    const TRANSFERS: u32 = 1_000;
    let mut stage = Stage::set(bench, "submit", 100, SealingRule::Immediate)?;
    let calls: Vec<Call> = (0..TRANSFERS).map(|n| stage.pay(n % 100, (n + 1) % 100)).collect();
    let handle = stage.handle()?;
    let mut times: Vec<Duration> = Vec::new();
    let begin = Instant::now();
    for call in calls {
        let each = Instant::now();
        handle.call_blocking(call).map_err(ToolError::failed)?;
        times.push(each.elapsed());
    }
    let seconds = begin.elapsed().as_secs_f64();
    times.sort_unstable();
    let millis = |at: usize| times[at].as_secs_f64() * 1e3;
    bench.print("submit", f64::from(TRANSFERS) / seconds, "transactions/s")?;
    bench.print("submit-median", millis(times.len() / 2), "ms")?;
    bench.print("submit-p99", millis(times.len() * 99 / 100), "ms")
}

/// Bytes that the kernel sends to the disk for a block of 4 KiB body and 40 account changes.
pub(super) fn bytes_per_block(bench: &Bench<'_>) -> Result<(), ToolError> {
    const BLOCKS: u32 = 201;
    // 12 senders pay one and 8 pay two to 20 receivers: 28 transfers, 40 accounts.
    let mut stage = Stage::set(bench, "disk", 4_000, count(BODY_TRANSFERS))?;
    let blocks: Vec<Vec<Call>> = (0..BLOCKS)
        .map(|block| {
            let account = |n: u32| (block * 40 + n) % 4_000;
            let pairs = (0..u32::from(BODY_TRANSFERS)).map(|n| (n % 20, 20 + n % 20));
            pairs.map(|(from, to)| stage.pay(account(from), account(to))).collect()
        })
        .collect();
    let (first, blocks) = blocks.split_first().ok_or_else(|| ToolError::failed("no block"))?;
    // With the first block the accounts of genesis reach the card: that is no block's share.
    stage.together(first.clone())?;
    // Its payments are answered before the state is put on the card, this one after it.
    stage.handle()?.call_blocking(Call::Chain).map_err(ToolError::failed)?;
    let before = written()?;
    blocks.iter().try_for_each(|calls| stage.together(calls.clone()))?;
    drop(stage);
    let bytes = written()? - before;
    bench.print("disk", bytes as f64 / blocks.len() as f64, "bytes/block")
}

/// Bytes this process caused to be written to storage: `/proc/self/io`, `write_bytes`.
fn written() -> Result<u64, ToolError> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let field = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    field
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| ToolError::failed("/proc/self/io has no write_bytes: the figure is missing"))
}
