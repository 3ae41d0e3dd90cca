//! Several validators of one chain, on loopback.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use goodwatt::protocol::Status;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::units::Grains;

use super::{Daemon, Home, until};

const GOOD: Grains = Grains::from_good(1);

/// Validators of one chain, each with a slot of the same weight.
pub(crate) fn network(count: usize) -> Vec<Home> {
    let homes: Vec<Home> = (0..count).map(|_| Home::new()).collect();
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
    let listeners: Vec<TcpListener> =
        homes.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let ports: Vec<u16> =
        listeners.iter().map(|l| l.local_addr().expect("an address").port()).collect();
    drop(listeners);
    for (home, port) in homes.iter().zip(&ports) {
        std::fs::write(home.path("genesis.toml"), shared.to_toml()).expect("written");
        let others = ports.iter().filter(|other| *other != port);
        let peers: Vec<String> = others.map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let section = format!(
            "[network]\nlisten = \"127.0.0.1:{port}\"\npeers = [{}]\ndevelopment = true\n\n[api]\n",
            peers.join(", ")
        );
        home.edit("goodwatt.toml", "[api]\n", &section);
    }
    homes
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
    let reached = |daemons: &mut [Daemon]| {
        let all: Vec<Status> = daemons.iter_mut().map(Daemon::status).collect();
        all.iter().all(|status| status.height >= height).then_some(all)
    };
    until(&format!("everybody at {height}"), || reached(daemons))
}

#[track_caller]
pub(crate) fn agree(statuses: &[Status]) {
    let first = &statuses[0];
    for status in statuses {
        assert_eq!((status.height, &status.block_id), (first.height, &first.block_id));
        assert_eq!(status.state_root, first.state_root);
    }
}
