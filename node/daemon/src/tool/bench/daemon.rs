//! `idle`, `memory` and `start`: the daemon as a process of its own, watched from outside.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use goodwatt_chain::genesis::SealingRule;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::UnixMillis;

use super::chain::{genesis, payment, wallet};
use super::{Bench, Scratch};
use crate::client::{Client, ClientError};
use crate::hex;
use crate::protocol::{Call, Status, Submitted};
use crate::signers::Signers;
use crate::tool::error::ToolError;

/// How long an idle daemon is watched.
const IDLE: Duration = Duration::from_secs(30);
/// What has to be over before idling begins: reading, opening, first looks.
const SETTLE: Duration = Duration::from_secs(3);
/// Blocks, and new accounts, of the memory and start benchmarks.
const BLOCKS: u32 = 10_000;
/// How long a start may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

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
struct Daemon {
    child: Child,
    folder: Scratch,
}

impl Daemon {
    fn begin(bench: &Bench<'_>, name: &str, wallets: u32) -> Result<Self, ToolError> {
        let folder = bench.folder(name)?;
        let mut signers =
            Signers::open(&folder.0.join("data/signers")).map_err(ToolError::failed)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = UnixMillis::new(since.as_millis() as u64);
        let genesis = genesis(&mut signers, wallets, SealingRule::Immediate, time)?;
        std::fs::write(folder.0.join("genesis.toml"), genesis.to_toml())?;
        std::fs::write(folder.0.join("goodwatt.toml"), CONFIG)?;
        let (child, _) = launch(&folder.0)?;
        Ok(Self { child, folder })
    }

    fn client(&self) -> Result<Client, ToolError> {
        Ok(Client::connect(&self.folder.0.join("goodwatt.sock"))?)
    }

    /// One figure of the process, from outside.
    fn proc(&self, file: &str, field: &str) -> Result<u64, ToolError> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        value
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| ToolError::failed(format!("{file} has no {field}")))
    }

    /// Context switches of all threads.
    fn wakeups(&self) -> Result<u64, ToolError> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("status"))?;
            let switches = text.lines().filter(|line| line.contains("ctxt_switches:"));
            let count = |line: &str| line.split_whitespace().last()?.parse::<u64>().ok();
            sum += switches.filter_map(count).sum::<u64>();
        }
        Ok(sum)
    }

    /// Processor time in milliseconds: user and system, in ticks of 10 ms.
    fn cpu_ms(&self) -> Result<u64, ToolError> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = text.rsplit_once(") ").unwrap_or(("", ""));
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok());
        Ok(ticks.sum::<u64>() * 10)
    }

    fn stop(&mut self) -> Result<(), ToolError> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(ToolError::failed)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, or ended now: either way it does not outlive the benchmark.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the daemon beside this program, and waits until it answers; gives how long that took.
pub(super) fn launch(folder: &Path) -> Result<(Child, Duration), ToolError> {
    let program = std::env::current_exe()?.with_file_name("goodwattd");
    let begin = Instant::now();
    let mut child = Command::new(&program)
        .arg("--config")
        .arg(folder.join("goodwatt.toml"))
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| ToolError::failed(format!("{}: {error}", program.display())))?;
    let socket = folder.join("goodwatt.sock");
    loop {
        let ready =
            Client::connect(&socket).and_then(|mut client| client.call::<Status>(Call::Status));
        match ready {
            Ok(_) => return Ok((child, begin.elapsed())),
            Err(ClientError::Unreachable { .. } | ClientError::Broken(_))
                if begin.elapsed() < PATIENCE && child.try_wait()?.is_none() =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => {
                drop(child.kill());
                return Err(error.into());
            }
        }
    }
}

/// 30 s without a transaction: processor, wake-ups, bytes written, packets.
pub(super) fn idle(bench: &Bench<'_>) -> Result<(), ToolError> {
    let daemon = Daemon::begin(bench, "idle", 10)?;
    std::thread::sleep(SETTLE);
    let look = || {
        let packets = sockets(&daemon)?;
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

/// Open sockets of the internet families: what packets would need.
fn sockets(daemon: &Daemon) -> Result<u64, ToolError> {
    let pid = daemon.child.id();
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
    let daemon = Daemon::begin(bench, "memory", 100)?;
    fill(&daemon)?;
    report_memory(bench, &daemon)
}

fn report_memory(bench: &Bench<'_>, daemon: &Daemon) -> Result<(), ToolError> {
    let resident = daemon.proc("status", "VmRSS:")? * 1_024;
    let peak = daemon.proc("status", "VmHWM:")? * 1_024;
    bench.print("memory", resident as f64, "bytes")?;
    bench.print("memory-peak", peak as f64, "bytes")
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
    let mut daemon = Daemon::begin(bench, "start", 100)?;
    fill(&daemon)?;
    daemon.stop()?;
    let (child, clean) = launch(&daemon.folder.0)?;
    daemon.child = child;
    bench.print("start", clean.as_secs_f64() * 1e3, "ms")?;
    daemon.child.kill()?;
    daemon.child.wait()?;
    let (child, crashed) = launch(&daemon.folder.0)?;
    daemon.child = child;
    bench.print("start-after-kill", crashed.as_secs_f64() * 1e3, "ms")
}
