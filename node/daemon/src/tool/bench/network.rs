//! `finality`, `throughput`, `idle-network` and `memory-peers`: several real daemons on loopback.

use std::time::{Duration, Instant};

use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Grains;
use goodwatt_units::Millis;

use super::chain::{payment, wallet};
use super::daemon::report_memory;
use super::{Bench, Scratch};
use crate::client::{Client, ClientError};
use crate::hex;
use crate::protocol::{Call, FaultKind, KindTraffic, Peers, Submitted};
use crate::tool::daemon::Daemon;
use crate::tool::demo::key;
use crate::tool::error::ToolError;
use crate::tool::testnet::{Plan, Testnet, quantile};

/// The smallest network that can lose one.
const VALIDATORS: usize = 4;
/// One epoch for the whole benchmark.
const EPOCH_LENGTH: Millis = Millis::from_secs(3_600 * 24 * 365);
/// What each wallet has at the beginning.
const BALANCE: Grains = Grains::from_good(10_000);
/// Payments whose time to final is measured, one after another.
const PAYMENTS: usize = 400;
/// Payments of the throughput benchmark, and how many wallets make them.
const LOAD: usize = 20_000;
const LOAD_WALLETS: u32 = 1_000;
/// Payments on the way at one time for each connection.
const LOAD_WAITS: usize = 500;
/// How long idle validators are watched.
const IDLE: Duration = Duration::from_secs(60);
/// What has to be over before idling begins.
const SETTLE: Duration = Duration::from_secs(5);
/// Accounts of the memory benchmark, the peers of the first validator, and its payments.
const ACCOUNTS: u32 = 10_000;
const PEERS: usize = 32;
const MEMORY_PAYMENTS: usize = 300;

/// A network with wallets that pay.
struct Stage {
    network: Testnet,
    nonces: Vec<u64>,
    _folder: Scratch,
}

impl Stage {
    fn set(
        bench: &Bench<'_>,
        name: &str,
        wallets: u32,
        observers: usize,
    ) -> Result<Self, ToolError> {
        let folder = bench.folder(name)?;
        let balances: Vec<(PublicKey, Grains)> =
            (0..wallets).map(|number| (wallet(number).public(), BALANCE)).collect();
        let plan = Plan {
            name: "bench",
            validators: VALIDATORS,
            observers,
            owner: |number| key(&format!("owner {number}")).public(),
            balances: &balances,
            epoch_length: EPOCH_LENGTH,
        };
        let network = Testnet::begin(&folder.0, &plan)?;
        Ok(Self { network, nonces: vec![0; wallets as usize], _folder: folder })
    }

    /// The next payment of a wallet to its neighbour, as the control protocol takes it.
    fn payment(&mut self, from: u32) -> String {
        let genesis = &self.network.genesis;
        let (chain, fee) = (genesis.chain_id(), genesis.parameters.fee_min);
        let to = wallet((from + 1) % self.nonces.len() as u32).public();
        let nonce = &mut self.nonces[from as usize];
        let transaction = Transaction::sign(&chain, &wallet(from), *nonce, fee, payment(to));
        *nonce += 1;
        hex::encode(transaction.bytes())
    }

    /// Pays at each validator in turn; gives the time of each until its block was on that card.
    fn pay(&mut self, payments: usize) -> Result<Vec<Duration>, ToolError> {
        let wallets = self.nonces.len();
        let mut times = Vec::with_capacity(payments);
        for turn in 0..payments {
            let transaction = self.payment((turn % wallets) as u32);
            let client = &mut self.network.clients[turn % VALIDATORS];
            let begin = Instant::now();
            let _: Submitted = client.call(Call::Submit { transaction, wait: true })?;
            times.push(begin.elapsed());
        }
        Ok(times)
    }

    fn end(mut self) -> Result<(), ToolError> {
        if !self.network.agree()? {
            return Err(ToolError::failed("the validators have different blocks at one height"));
        }
        self.network.stop()
    }
}

/// From handing in to final and on the card, payments one after another.
pub(super) fn finality(bench: &Bench<'_>) -> Result<(), ToolError> {
    let mut stage = Stage::set(bench, "finality", 100, 0)?;
    // The first blocks find cold caches and connections that were not measured yet.
    stage.pay(20)?;
    let times = stage.pay(PAYMENTS)?;
    stage.end()?;
    for (name, permille) in [("finality-median", 500), ("finality-p99", 990)] {
        bench.print(name, quantile(&times, permille).unwrap_or_default(), "ms")?;
    }
    Ok(())
}

/// Payments handed in at all validators at once, until all are sealed.
pub(super) fn throughput(bench: &Bench<'_>) -> Result<(), ToolError> {
    let mut stage = Stage::set(bench, "throughput", LOAD_WALLETS, 0)?;
    let mut loads = vec![Vec::new(); VALIDATORS];
    for turn in 0..LOAD {
        // Each wallet pays at one validator, so that its payments arrive in order.
        let from = turn as u32 % LOAD_WALLETS;
        let transaction = stage.payment(from);
        loads[from as usize % VALIDATORS].push(transaction);
    }
    let cpu = |stage: &Stage| -> Result<u64, ToolError> {
        stage.network.daemons.iter().map(Daemon::cpu_ms).sum()
    };
    let (cpu_before, begin) = (cpu(&stage)?, Instant::now());
    let before = stage.network.statuses()?[0].height;
    std::thread::scope(|scope| {
        let clients = stage.network.clients.iter_mut();
        let hand_in = |(client, load): (_, Vec<String>)| scope.spawn(|| hand_in(client, load));
        let threads: Vec<_> = clients.zip(loads).map(hand_in).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<(), ToolError>>| {
            thread.join().map_err(|_| ToolError::failed("a thread that hands in ended"))?
        };
        threads.into_iter().try_for_each(join)
    })?;
    while stage.network.statuses()?[0].transactions < LOAD as u64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let blocks = stage.network.statuses()?[0].height - before;
    let cpu = (cpu(&stage)? - cpu_before) as f64;
    stage.end()?;
    bench.print("throughput", LOAD as f64 / seconds, "1/s")?;
    bench.print("throughput-blocks", blocks as f64, "blocks")?;
    bench.print("throughput-cpu", cpu * 1e3 / (LOAD * VALIDATORS) as f64, "us each")
}

/// Hands payments in, so many before the next one is waited for.
fn hand_in(client: &mut Client, load: Vec<String>) -> Result<(), ToolError> {
    for (number, transaction) in load.into_iter().enumerate() {
        let wait = number % LOAD_WAITS == LOAD_WAITS - 1;
        loop {
            let transaction = transaction.clone();
            match client.call::<Submitted>(Call::Submit { transaction, wait }) {
                Ok(_) => break,
                // Its queue or its mempool is full: that is the load which is wanted.
                Err(ClientError::Fault(fault)) if fault.kind == FaultKind::Busy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// A minute without a transaction: packets, wake-ups, bytes written, of each validator.
pub(super) fn idle(bench: &Bench<'_>) -> Result<(), ToolError> {
    let mut stage = Stage::set(bench, "idle-network", 10, 0)?;
    stage.pay(10)?;
    std::thread::sleep(SETTLE);
    let peers = stage.network.peers()?;
    let before = look(&stage)?;
    std::thread::sleep(IDLE);
    let after = look(&stage)?;
    let peers_after = stage.network.peers()?;
    stage.end()?;
    let worst = |at: usize| {
        let change = before.iter().zip(&after).map(|(before, after)| after[at] - before[at]);
        change.max().unwrap_or_default() as f64
    };
    let seconds = IDLE.as_secs_f64();
    bench.print("idle-network-cpu", worst(0) / 10.0 / seconds, "% of a core")?;
    bench.print("idle-network-wakeups", worst(1) / seconds, "1/s")?;
    bench.print("idle-network-written", worst(2), "bytes")?;
    let sum = |peers: &[Peers], counts: fn(&KindTraffic) -> u64| -> u64 {
        peers.iter().flat_map(|peers| &peers.traffic).map(counts).sum()
    };
    let change = |counts| (sum(&peers_after, counts) - sum(&peers, counts)) as f64;
    bench.print("idle-network-consensus", change(consensus_frames), "frames")?;
    bench.print("idle-network-all", change(|of| of.frames_out), "frames")
}

/// Processor, wake-ups and bytes written of each.
fn look(stage: &Stage) -> Result<Vec<[u64; 3]>, ToolError> {
    let of = |daemon: &Daemon| {
        Ok([daemon.cpu_ms()?, daemon.wakeups()?, daemon.proc("io", "write_bytes:")?])
    };
    stage.network.daemons.iter().map(of).collect()
}

/// Frames that belong to agreement on blocks; the rest keeps connections alive.
fn consensus_frames(of: &KindTraffic) -> u64 {
    let is_consensus = ["statements", "block", "transactions", "tip", "request", "response"];
    if is_consensus.contains(&of.kind.as_str()) { of.frames_out } else { 0 }
}

/// Resident memory of a validator with 32 peers and 10,000 accounts.
pub(super) fn memory(bench: &Bench<'_>) -> Result<(), ToolError> {
    let mut stage = Stage::set(bench, "memory-peers", ACCOUNTS, PEERS + 1 - VALIDATORS)?;
    stage.pay(MEMORY_PAYMENTS)?;
    let connected = stage.network.peers()?[0].peers.len();
    bench.print("memory-peers-connected", connected as f64, "peers")?;
    report_memory(bench, "memory-peers", &stage.network.daemons[0])?;
    stage.end()
}
