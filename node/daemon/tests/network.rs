//! The memory that 32 connections take, in a process that does nothing else. The 32 nodes at the
//! other end live in a process of their own: this program, started once more.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use goodwatt::net::{Kind, Network, NetworkEvent, NetworkSettings};
use goodwatt_chain::hash::ChainId;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

const PEERS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(60);
/// What 32 connections may add while nothing is under way.
const QUIET_KIB_MAX: usize = 2 * 1024;
/// What they may add while all send blocks and nobody takes them up: 3.5 MiB of payloads, what TLS
/// holds of each connection, and what the allocator keeps.
const BUSY_KIB_MAX: usize = 10 * 1024;
/// Tells the second process whom to call.
const ADDRESS: &str = "GOODWATT_TEST_CALLS";
const NAME: &str = "memory_of_32_peers_is_bounded";

fn start(change: impl FnOnce(&mut NetworkSettings)) -> (Network, Receiver<NetworkEvent>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut settings = NetworkSettings::new(folder.path().to_owned(), ChainId::default());
    settings.development = true;
    change(&mut settings);
    let (network, events) = Network::start(settings).expect("it starts");
    (network, events, folder)
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// A child that does not outlive the test.
struct Peers(Child);

impl Drop for Peers {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn memory_of_32_peers_is_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        match std::env::var(ADDRESS) {
            Ok(address) => call(&address).await,
            Err(_) => timeout(3 * PATIENCE, measure()).await.expect("it ends"),
        }
    });
}

/// The second process: 32 nodes that answer a request by four blocks each, until they are killed.
async fn call(address: &str) {
    let mut tasks = Vec::new();
    for _ in 0..PEERS {
        let (network, mut events, folder) = start(|settings| {
            settings.outbound = 1;
            settings.peers.push(address.parse().expect("an address"));
        });
        tasks.push(tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let NetworkEvent::Frame { peer, kind: Kind::Request, .. } = event {
                    for _ in 0..4 {
                        while network.queued(peer).is_some_and(|queued| queued > 0) {
                            sleep(Duration::from_millis(5)).await;
                        }
                        let block = vec![7; Kind::Block.bytes_max()];
                        network.send(peer, Kind::Block, block).expect("connected");
                    }
                }
            }
            drop(folder);
        }));
    }
    for task in tasks {
        task.await.expect("it runs until it is killed");
    }
}

#[expect(clippy::print_stdout, reason = "a measurement is to be seen")]
async fn measure() {
    let (network, mut events, _folder) = start(|settings| {
        settings.listen = Some(([127, 0, 0, 1], 0).into());
        settings.outbound = 0;
    });
    sleep(Duration::from_millis(50)).await;
    let alone = resident_kib();
    let address = network.listens().expect("it listens").to_string();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", NAME, "--nocapture"]).env(ADDRESS, address);
    let mut peers = Peers(command.stdout(Stdio::piped()).spawn().expect("it starts again"));
    let connected = async {
        while network.peers().iter().filter(|info| info.round_trip.is_some()).count() < PEERS {
            while events.try_recv().is_ok() {}
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, connected).await.expect("all are connected");
    while events.try_recv().is_ok() {}
    let quiet = resident_kib();
    let sent = network.broadcast(Kind::Request, *b"blocks", None).expect("short");
    assert_eq!(sent, PEERS);
    sleep(Duration::from_secs(2)).await;
    let held = events.len();
    let busy = resident_kib();
    let mut blocks = 0;
    while blocks < 4 * PEERS {
        match timeout(PATIENCE, events.recv()).await.expect("an event") {
            Some(NetworkEvent::Frame { kind: Kind::Block, .. }) => blocks += 1,
            event => panic!("{event:?}"),
        }
    }
    let after = resident_kib();
    println!(
        "resident: {alone} KiB alone, {quiet} KiB with {PEERS} peers ({} KiB each), {busy} KiB \
         while {held} blocks of 1 MiB wait and the rest is held back, {after} KiB after {blocks}",
        quiet.saturating_sub(alone) / PEERS,
    );
    assert!(quiet - alone <= QUIET_KIB_MAX, "{alone} {quiet}");
    assert!(busy - alone <= BUSY_KIB_MAX, "{alone} {busy}");
    assert!(after - alone <= BUSY_KIB_MAX, "{alone} {after}");
    peers.0.kill().expect("it runs");
    let output = peers.0.stdout.take().expect("it is piped");
    for line in BufReader::new(output).lines().take(20) {
        assert!(!line.expect("text").contains("panicked"));
    }
}
