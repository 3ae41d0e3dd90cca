//! What the store writes for an active block, part by part, and what it holds in memory after.
//!
//! ```text
//! cargo run -p goodwatt-store --example bytes_per_block -- FOLDER [BLOCKS] [LOOKUPS]
//! ```
//! `FOLDER` has to lie on a real disk and be empty. A block has a body of 4 KiB and changes 40 of
//! 10,000 accounts; three steps are signed with two guard writes; a checkpoint is made every 8
//! blocks. `LOOKUPS` are written per block besides (none unless given).
//!
//! *Process* is `write_bytes` of `/proc/self/io`: pages this process made dirty. *Device* is what
//! reached the block device, journal included: exact only when nothing else writes to it, as on a
//! loop device made for this.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use goodwatt_chain::hash::{BlockId, ChainId, Digest32, Domain};
use goodwatt_chain::leaves::{BucketIndex, LeafChanges, LeafKey, Leaves};
use goodwatt_chain::ledger::LeafStore;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_store::{BlockLog, ConsensusWal, Folder, GuardStep, Index, SignRequest, SigningGuard};

const ACCOUNTS: u64 = 10_000;
const CHANGES: u64 = 40;
const VALUE_BYTES: usize = 14;
const BODY_BYTES: usize = 4096;
/// The certificate of four validators and the header.
const BESIDE_BODY_BYTES: usize = 500;
/// Six votes of a set of four: three prevotes and three precommits of the others.
const VOTE_BYTES: usize = 180;
const CHECKPOINT_BLOCKS: u64 = 8;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let blocks = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let lookups = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let mut out = io::stdout().lock();
    writeln!(out, "before anything: {}", memory()?)?;
    let mut node = Node::open(&folder)?;
    node.fund_accounts()?;
    let mut meters: [Meter; 4] = Default::default();
    let mut random = Random(88_172_645_463_325_252);
    for height in 1..=blocks {
        node.block(Height::new(height), lookups, &mut random, &mut meters)?;
    }
    writeln!(out, "bytes per block over {blocks} blocks, {lookups} lookups in each:")?;
    writeln!(out, "{:>20} {:>10} {:>10}", "", "process", "device")?;
    let mut total = Meter::default();
    for (name, meter) in ["guard", "write-ahead log", "block log", "index"].iter().zip(&meters) {
        writeln!(out, "{name:>20} {:>10} {:>10}", meter.process / blocks, meter.device / blocks)?;
        total.process += meter.process;
        total.device += meter.device;
    }
    writeln!(out, "{:>20} {:>10} {:>10}", "all", total.process / blocks, total.device / blocks)?;
    writeln!(out, "after the last block: {}", memory()?)?;
    drop(node);
    reopen(&folder, &mut out)
}

/// Opens everything again, as at the start of a daemon.
fn reopen(folder: &Path, out: &mut impl Write) -> Outcome<()> {
    let begin = Instant::now();
    let (log, _) = BlockLog::open(Folder::at(&folder.join("blocks"))?)?;
    writeln!(out, "block log opened in {:?}", begin.elapsed())?;
    let begin = Instant::now();
    let read = log
        .blocks_from(Height::ZERO)
        .try_fold(0, |sum, block| Ok::<_, goodwatt_store::LogError>(sum + block?.1.len()))?;
    writeln!(out, "all {read} bytes of blocks replayed in {:?}", begin.elapsed())?;
    let begin = Instant::now();
    let (index, _) = Index::open(&folder.join("index"))?;
    writeln!(out, "index opened in {:?}", begin.elapsed())?;
    let begin = Instant::now();
    let mut leaves = 0;
    for bucket in BucketIndex::all() {
        leaves += index.bucket(bucket)?.len();
    }
    writeln!(out, "all {leaves} leaves read in {:?}; {}", begin.elapsed(), memory()?)?;
    Ok(())
}

/// The store of one node.
struct Node {
    device: PathBuf,
    guard: SigningGuard,
    wal: ConsensusWal,
    log: BlockLog,
    index: Index,
}

impl Node {
    fn open(path: &Path) -> Outcome<Self> {
        let folder = Folder::at(path)?;
        let device = fs::metadata(path)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let chain = ChainId(Digest32::new([1; 32]));
        Ok(Self {
            device: PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat")),
            guard: SigningGuard::create(&folder, chain)?,
            wal: ConsensusWal::open(&folder)?,
            log: BlockLog::open(Folder::at(&path.join("blocks"))?)?.0,
            index: Index::open(&path.join("index"))?.0,
        })
    }

    fn fund_accounts(&mut self) -> Outcome<()> {
        for first in (0..ACCOUNTS).step_by(400) {
            let accounts = first..ACCOUNTS.min(first + 400);
            let changes: LeafChanges =
                accounts.map(|account| (key(account), Some(Arc::from([7; VALUE_BYTES])))).collect();
            self.index.commit(Height::ZERO, &changes);
            self.index.checkpoint(Height::ZERO, b"")?;
        }
        Ok(())
    }

    fn block(
        &mut self,
        height: Height,
        lookups: u64,
        random: &mut Random,
        [guard, wal, log, index]: &mut [Meter; 4],
    ) -> Outcome<()> {
        let device = self.device.clone();
        let body = random.bytes(BODY_BYTES + BESIDE_BODY_BYTES);
        let block = Some(BlockId(Digest32::of(Domain::new(b"example"), &[&body])));
        let ask = |step| request(height, step, block);
        wal.measure(&device, || {
            self.wal.reset(height)?;
            self.wal.append(&body)?;
            self.wal.sync()
        })?;
        let first = [ask(GuardStep::Proposal), ask(GuardStep::Prevote)];
        guard.measure(&device, || self.guard.record_all(&first))?;
        wal.measure(&device, || {
            (0..6).try_for_each(|_| self.wal.append(&random.bytes(VOTE_BYTES)))?;
            self.wal.sync()
        })?;
        guard.measure(&device, || self.guard.record_all(&[ask(GuardStep::Precommit)]))?;
        log.measure(&device, || self.log.append(height, &body))?;
        let changes: LeafChanges = (0..CHANGES).map(|_| change(random)).collect();
        self.index.commit(height, &changes);
        for _ in 0..lookups {
            self.index.put_lookup(&random.bytes(32), &random.bytes(12));
        }
        if height.get().is_multiple_of(CHECKPOINT_BLOCKS) {
            index.measure(&device, || self.index.checkpoint(height, &body[..100]))?;
        }
        Ok(())
    }
}

fn request(height: Height, step: GuardStep, block: Option<BlockId>) -> SignRequest {
    SignRequest {
        signer: PublicKey::from_bytes([2; 32]),
        height,
        round: Round::ZERO,
        step,
        block,
        content: Digest32::of(Domain::new(b"example"), &[&height.get().to_le_bytes()]),
    }
}

fn key(account: u64) -> LeafKey {
    Digest32::of(Domain::new(b"account"), &[&account.to_le_bytes()])
}

fn change(random: &mut Random) -> (LeafKey, Option<Arc<[u8]>>) {
    let account = random.next() % ACCOUNTS;
    (key(account), Some(Arc::from(random.bytes(VALUE_BYTES))))
}

/// Bytes written by one part.
#[derive(Default)]
struct Meter {
    process: u64,
    device: u64,
}

impl Meter {
    fn measure<T, E: Error + 'static>(
        &mut self,
        device: &Path,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Outcome<T> {
        let before = (process_bytes()?, device_bytes(device)?);
        let done = work()?;
        self.process += process_bytes()? - before.0;
        self.device += device_bytes(device)? - before.1;
        Ok(done)
    }
}

fn process_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes")?.parse()?)
}

/// Sectors written are the seventh number, in units of 512 bytes.
fn device_bytes(stat: &Path) -> Outcome<u64> {
    let text = fs::read_to_string(stat)?;
    let sectors: u64 = text.split_whitespace().nth(6).ok_or("no seventh number")?.parse()?;
    Ok(sectors * 512)
}

fn memory() -> Outcome<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let wanted = text.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    let words: Vec<String> = wanted.map(|line| line.replace(['\t', ' '], "")).collect();
    Ok(words.join(", "))
}

/// xorshift: the same blocks in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
