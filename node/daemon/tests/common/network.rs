//! Several validators of one chain, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use goodwatt::protocol::Status;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::units::Grains;

use super::{Daemon, Home, LOOK_EVERY, PATIENCE, until};

const GOOD: Grains = Grains::from_good(1);

/// Validators of one chain on loopback, each with a slot of the same weight.
pub(crate) fn network(count: usize) -> Vec<Home> {
    network_with(count, |_| Home::new())
}

/// The same of homes that the caller makes.
pub(crate) fn network_with(count: usize, make: impl FnMut(usize) -> Home) -> Vec<Home> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect();
    let address = |listener: &TcpListener| listener.local_addr().expect("an address");
    let addresses: Vec<SocketAddr> = listeners.iter().map(address).collect();
    drop(listeners);
    connect((0..count).map(make).collect(), &addresses)
}

/// The same at given addresses; each knows all the others.
pub(crate) fn network_at(addresses: &[SocketAddr]) -> Vec<Home> {
    connect(addresses.iter().map(|_| Home::new()).collect(), addresses)
}

fn connect(homes: Vec<Home>, addresses: &[SocketAddr]) -> Vec<Home> {
    share_genesis(&homes);
    for (home, own) in homes.iter().zip(addresses) {
        let others: Vec<SocketAddr> =
            addresses.iter().filter(|other| *other != own).copied().collect();
        join(home, *own, &others);
    }
    homes
}

/// Makes one chain of all these validators.
fn share_genesis(homes: &[Home]) {
    let genesis = |home: &Home| {
        let text = std::fs::read_to_string(home.path("genesis.toml")).expect("a genesis");
        Genesis::from_toml(&text, "genesis.toml").expect("a good one")
    };
    let mut shared = genesis(&homes[0]);
    for other in homes[1..].iter().map(genesis) {
        shared.founders.extend(other.founders);
        shared.balances.extend(other.balances);
    }
    shared.balances.sort_unstable_by_key(|(key, _)| *key);
    for home in homes {
        std::fs::write(home.path("genesis.toml"), shared.to_toml()).expect("written");
    }
}

/// Where a node listens.
pub(crate) fn address(home: &Home) -> SocketAddr {
    let text = std::fs::read_to_string(home.path("goodwatt.toml")).expect("a config");
    let line = text.lines().find_map(|line| line.strip_prefix("listen = ")).expect("it listens");
    line.trim_matches('"').parse().expect("an address")
}

/// A port of loopback that nobody uses at the moment.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// Has a node listen at an address and call others.
pub(crate) fn join(home: &Home, own: SocketAddr, others: &[SocketAddr]) {
    let peers: Vec<String> = others.iter().map(|other| format!("\"{other}\"")).collect();
    let section = format!(
        "[network]\nlisten = \"{own}\"\npeers = [{}]\ndevelopment = true\n\n[api]\n",
        peers.join(", ")
    );
    home.edit("goodwatt.toml", "[api]\n", &section);
}

/// Waits until each of these is connected to so many.
#[track_caller]
pub(crate) fn connected(daemons: &mut [Daemon], count: usize) {
    until("everybody is connected", || {
        let all = daemons.iter_mut().all(|daemon| daemon.peers().peers.len() >= count);
        all.then_some(())
    });
}

/// Waits until each of these may sign: it listens for three seconds first.
pub(crate) fn listened(daemons: &mut [Daemon]) {
    until("the first seconds are over", || {
        daemons.iter_mut().all(|daemon| daemon.status().uptime_s >= 4).then_some(())
    });
}

/// Pays once from the first owner; gives the time until the block was on the card of that board.
pub(crate) fn pay(home: &Home, daemon: &mut Daemon) -> Duration {
    let begin = Instant::now();
    let to = home.wallet(9).address();
    home.owner().pay(&mut daemon.client(), to, GOOD, true).expect("sealed");
    begin.elapsed()
}

#[track_caller]
pub(crate) fn all_at(daemons: &mut [Daemon], height: u64) -> Vec<Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all: Vec<Status> = daemons.iter_mut().map(Daemon::status).collect();
        let Some(behind) = all.iter().position(|status| status.height < height) else { return all };
        let log = || daemons[behind].log();
        assert!(Instant::now() < deadline, "not at {height}: {:?}\n{}", all[behind], log());
        std::thread::sleep(LOOK_EVERY);
    }
}

#[track_caller]
pub(crate) fn agree(statuses: &[Status]) {
    let first = &statuses[0];
    for status in statuses {
        assert_eq!((status.height, &status.block_id), (first.height, &first.block_id));
        assert_eq!(status.state_root, first.state_root);
    }
}
