//! `validate` and `replay`: how much of the time goes into signatures, which nothing can save.
//!
//! Both sides are measured in processor time of this thread: others use the machine too.

use goodwatt_chain::codec;
use goodwatt_chain::mempool::{Mempool, MempoolLimits};
use goodwatt_chain::signature::Batch;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Height;
use goodwatt_store::{BlockLog, Folder};

use super::Bench;
use super::chain::Chain;
use crate::tool::error::ToolError;
use crate::tool::verify::replay as replay_all;
use crate::validator::LoggedBlock;

/// Wallets of the chain; each sends one of the transactions that are validated.
const WALLETS: u32 = 1_000;
/// How often each side is measured; the best time of each counts, as others use the machine too.
/// The longer side needs more tries to meet a quiet moment.
const ROUNDS: usize = 100;
const HEIGHTS: [u64; 3] = [3, 203, 100_000];
const REPLAY_BLOCKS: u64 = 300;
const REPLAY_TRANSFERS: u32 = 10;

/// Everything admission needs, single thread, against raw batch verification of as many signatures.
pub(super) fn validate(bench: &Bench<'_>) -> Result<(), ToolError> {
    let folder = bench.folder("validate")?;
    let mut chain = Chain::new(&folder.0, WALLETS)?;
    for height in HEIGHTS {
        while chain.ledger.tip().height.get() < height {
            let transfer = chain.transfer((chain.ledger.tip().height.get() % 100) as u32);
            chain.seal(&[transfer])?;
        }
        validate_at(bench, &mut chain, height)?;
    }
    Ok(())
}

fn validate_at(bench: &Bench<'_>, chain: &mut Chain, height: u64) -> Result<(), ToolError> {
    let transactions: Vec<Transaction> = (0..WALLETS).map(|from| chain.transfer(from)).collect();
    let bytes: Vec<&[u8]> = transactions.iter().map(Transaction::bytes).collect();
    let (mut whole, mut raw) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let begin = cpu_seconds();
        admit(chain, &bytes)?;
        whole = whole.min(cpu_seconds() - begin);
        raw = raw.min(verify_raw(chain, &transactions)?);
    }
    // What was made for the measurement is sealed, so that nonces go on.
    chain.seal(&transactions)?;
    let per_second = |seconds: f64| f64::from(WALLETS) / seconds;
    let name = format!("validate-{height}");
    bench.print_ratio(&name, per_second(whole), "transactions/s", per_second(raw))
}

/// From bytes to a place in the mempool.
fn admit(chain: &Chain, bytes: &[&[u8]]) -> Result<(), ToolError> {
    let id = chain.ledger.chain();
    let decoded: Result<Vec<Transaction>, _> =
        bytes.iter().map(|bytes| Transaction::decode(id, bytes)).collect();
    let mut mempool = Mempool::new(MempoolLimits::default());
    let now = chain.ledger.tip().time;
    let outcome = mempool.admit_all(&chain.ledger, now, decoded.map_err(ToolError::failed)?);
    match outcome.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(error) => Err(ToolError::failed(error)),
    }
}

/// Seconds for the same signatures in one batch, and nothing else.
fn verify_raw(chain: &Chain, transactions: &[Transaction]) -> Result<f64, ToolError> {
    let mut batch = Batch::with_capacity(transactions.len());
    for transaction in transactions {
        transaction.signatures(chain.ledger.chain(), |key, digest, signature| {
            batch.push(key, digest, signature);
        });
    }
    time_batch(&batch)
}

/// Processor time of this thread.
pub(super) fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

pub(super) fn time_batch(batch: &Batch) -> Result<f64, ToolError> {
    let begin = cpu_seconds();
    let valid = batch.verify();
    let seconds = cpu_seconds() - begin;
    if valid { Ok(seconds) } else { Err(ToolError::failed("a good signature was refused")) }
}

/// A ledger from disk: every byte, rule, signature and root, against raw batch verification.
pub(super) fn replay(bench: &Bench<'_>) -> Result<(), ToolError> {
    let folder = bench.folder("replay")?;
    let mut chain = Chain::new(&folder.0.join("signers"), WALLETS)?;
    let log = || Folder::at(&folder.0.join("log")).map_err(ToolError::failed);
    let (mut blocks, _) = BlockLog::open(log()?).map_err(ToolError::failed)?;
    let mut batch = Batch::default();
    for height in 1..=REPLAY_BLOCKS {
        let first = (height as u32 * REPLAY_TRANSFERS) % WALLETS;
        let transfers: Vec<Transaction> =
            (0..REPLAY_TRANSFERS).map(|n| chain.transfer((first + n) % WALLETS)).collect();
        for transfer in &transfers {
            let mut push = |key, digest, signature| batch.push(key, digest, signature);
            transfer.signatures(chain.ledger.chain(), &mut push);
        }
        let (block, certificate) = chain.seal(&transfers)?;
        let set = &chain.ledger.in_charge().validators;
        certificate.check(chain.ledger.chain(), set, &mut batch).map_err(ToolError::failed)?;
        let record = codec::encode(&LoggedBlock { certificate, block });
        blocks.append(Height::new(height), &record).map_err(ToolError::failed)?;
    }
    drop(blocks);
    let (mut whole, mut raw) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let begin = cpu_seconds();
        let (blocks, _) = BlockLog::open(log()?).map_err(ToolError::failed)?;
        let replayed = replay_all((**chain.ledger.genesis()).clone(), &blocks, || {})?;
        whole = whole.min(cpu_seconds() - begin);
        raw = raw.min(time_batch(&batch)?);
        if replayed.ledger.tip() != chain.ledger.tip() {
            return Err(ToolError::failed("the replay ended at another tip"));
        }
    }
    let per_second = |seconds: f64| batch.len() as f64 / seconds;
    bench.print_ratio("replay", per_second(whole), "signatures/s", per_second(raw))
}
