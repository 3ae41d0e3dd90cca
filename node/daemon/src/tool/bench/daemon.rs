//! `idle`, `idle-power`, `memory` and `start`: the daemon as a process of its own, watched from outside.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::UnixMillis;

use super::chain::{genesis, payment, wallet};
use super::{Bench, Scratch};
use crate::hex;
use crate::protocol::{Call, Submitted};
use crate::signers::Signers;
use crate::tool::daemon::Daemon;
use crate::tool::error::ToolError;

/// How long an idle daemon is watched.
const IDLE: Duration = Duration::from_secs(30);
/// What has to be over before idling begins: reading, opening, first looks.
const SETTLE: Duration = Duration::from_secs(3);
/// Blocks, and new accounts, of the memory and start benchmarks.
const BLOCKS: u32 = 10_000;

const CONFIG: &str = "\
[node]
data_dir = \"data\"
[chain]
genesis = \"../genesis.toml\"
[validator]
enabled = true
[api]
socket = \"../goodwatt.sock\"
http = \"off\"
";

/// A daemon on a chain of its own.
struct Alone {
    daemon: Daemon,
    folder: Scratch,
}

impl Alone {
    fn begin(bench: &Bench<'_>, name: &str, wallets: u32) -> Result<Self, ToolError> {
        Self::begin_with(bench, name, wallets, "")
    }

    /// With more in its configuration.
    fn begin_with(
        bench: &Bench<'_>,
        name: &str,
        wallets: u32,
        more: &str,
    ) -> Result<Self, ToolError> {
        let folder = bench.folder(name)?;
        let mut signers =
            Signers::open(&folder.0.join("data/signers")).map_err(ToolError::failed)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = UnixMillis::new(since.as_millis() as u64);
        let genesis = genesis(&mut signers, wallets, SealingRule::Immediate, time)?;
        std::fs::write(folder.0.join("genesis.toml"), genesis.to_toml())?;
        std::fs::write(folder.0.join("goodwatt.toml"), format!("{CONFIG}{more}"))?;
        let (daemon, _) = Daemon::launch(&folder.0)?;
        Ok(Self { daemon, folder })
    }
}

/// 30 s without a transaction: processor, wake-ups, bytes written, packets.
pub(super) fn idle(bench: &Bench<'_>) -> Result<(), ToolError> {
    let alone = Alone::begin(bench, "idle", 10)?;
    let daemon = &alone.daemon;
    std::thread::sleep(SETTLE);
    let look = || {
        let packets = sockets(daemon)?;
        Ok::<_, ToolError>([
            daemon.cpu_ms()?,
            daemon.wakeups()?,
            daemon.proc("io", "write_bytes:")?,
            packets,
        ])
    };
    let before = look()?;
    std::thread::sleep(IDLE);
    let after = look()?;
    let seconds = IDLE.as_secs_f64();
    let change = |at: usize| after[at].saturating_sub(before[at]) as f64;
    bench.print("idle-cpu", change(0) / 10.0 / seconds, "% of a core")?;
    bench.print("idle-wakeups", change(1) / seconds, "1/s")?;
    bench.print("idle-written", change(2), "bytes")?;
    // Without a socket of the internet family there is nothing a packet could leave through.
    bench.print("idle-internet-sockets", after[3] as f64, "sockets")
}

/// 60 s with a report of energy to come and a meter that counts nothing by itself, so that it has to
/// be read: wake-ups of the daemon. The meter is a server of our own on loopback.
pub(super) fn idle_power(bench: &Bench<'_>) -> Result<(), ToolError> {
    const ANSWER: &str = "{\"id\":0,\"apower\":3.4}";
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let reads = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&reads);
    // It ends with this process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            let mut stream = stream;
            let length = ANSWER.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{ANSWER}");
            // Whoever does not wait for the answer has no figure, and says so.
            drop(stream.read(&mut [0; 1_024]).and_then(|_| stream.write_all(head.as_bytes())));
        }
    });
    let more = format!("[power]\nmeter = \"shelly://{address}\"\n");
    let alone = Alone::begin_with(bench, "idle-power", 10, &more)?;
    std::thread::sleep(SETTLE);
    let (begin, read) = (alone.daemon.wakeups()?, reads.load(Ordering::Relaxed));
    std::thread::sleep(2 * IDLE);
    let seconds = 2.0 * IDLE.as_secs_f64();
    let wakeups = alone.daemon.wakeups()?.saturating_sub(begin);
    let reads = reads.load(Ordering::Relaxed) - read;
    if reads == 0 {
        return Err(ToolError::failed("the meter was not read: nothing was measured"));
    }
    bench.print("idle-power-reads", reads as f64 / seconds, "1/s")?;
    bench.print("idle-power-wakeups", wakeups as f64 / seconds, "1/s")
}

/// Open sockets of the internet families: what packets would need.
fn sockets(daemon: &Daemon) -> Result<u64, ToolError> {
    let pid = daemon.pid();
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
        let name = target.to_string_lossy().into_owned();
        if let Some(inode) = name.strip_prefix("socket:[").and_then(|n| n.strip_suffix(']')) {
            inodes.push(inode.to_owned());
        }
    }
    let mut count = 0;
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")) else {
            continue;
        };
        let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
        count += text.lines().filter_map(inode).filter(|inode| inodes.contains(inode)).count();
    }
    Ok(count as u64)
}

/// Resident memory after 10,000 blocks, each with a payment to a new account.
pub(super) fn memory(bench: &Bench<'_>) -> Result<(), ToolError> {
    let alone = Alone::begin(bench, "memory", 100)?;
    fill(&alone.daemon)?;
    report_memory(bench, "memory", &alone.daemon)
}

/// What a daemon takes, and the most it ever took.
pub(super) fn report_memory(
    bench: &Bench<'_>,
    name: &str,
    daemon: &Daemon,
) -> Result<(), ToolError> {
    let resident = daemon.proc("status", "VmRSS:")? * 1_024;
    let peak = daemon.proc("status", "VmHWM:")? * 1_024;
    bench.print(name, resident as f64, "bytes")?;
    bench.print(&format!("{name}-peak"), peak as f64, "bytes")
}

/// Seals 10,000 blocks, each with a payment to a new account.
fn fill(daemon: &Daemon) -> Result<(), ToolError> {
    let mut client = daemon.client()?;
    let chain = crate::tool::wallet::Chain::ask(&mut client)?;
    let (id, fee) = (chain.id, chain.genesis.parameters.fee_min);
    for number in 0..BLOCKS {
        let to = wallet(1_000 + number).public();
        let nonce = u64::from(number / 100);
        let transaction = Transaction::sign(&id, &wallet(number % 100), nonce, fee, payment(to));
        let transaction = hex::encode(transaction.bytes());
        let _: Submitted = client.call(Call::Submit { transaction, wait: true })?;
    }
    Ok(())
}

/// From a cold start of the process to its first answer, with 10,000 blocks.
pub(super) fn start(bench: &Bench<'_>) -> Result<(), ToolError> {
    let mut alone = Alone::begin(bench, "start", 100)?;
    fill(&alone.daemon)?;
    alone.daemon.tell_to_stop()?;
    alone.daemon.wait_for_end()?;
    let (again, clean) = Daemon::launch(&alone.folder.0)?;
    alone.daemon = again;
    bench.print("start", clean.as_secs_f64() * 1e3, "ms")?;
    alone.daemon.kill()?;
    let (again, crashed) = Daemon::launch(&alone.folder.0)?;
    alone.daemon = again;
    bench.print("start-after-kill", crashed.as_secs_f64() * 1e3, "ms")
}
