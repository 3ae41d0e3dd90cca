//! Several real daemons on loopback: one chain, whatever happens to some of them.

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{Daemon, Home, until};
use goodwatt::protocol::Status;
use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::units::Grains;

const GOOD: Grains = Grains::from_good(1);

/// Validators of one chain, each with a slot of the same weight.
fn network(count: usize) -> Vec<Home> {
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
fn pay(home: &Home, daemon: &mut Daemon) -> Duration {
    let begin = Instant::now();
    let to = home.wallet(9).address();
    home.owner().pay(&mut daemon.client(), to, GOOD, true).expect("sealed");
    begin.elapsed()
}

#[track_caller]
fn all_at(daemons: &mut [Daemon], height: u64) -> Vec<Status> {
    let reached = |daemons: &mut [Daemon]| {
        let all: Vec<Status> = daemons.iter_mut().map(Daemon::status).collect();
        all.iter().all(|status| status.height >= height).then_some(all)
    };
    until(&format!("everybody at {height}"), || reached(daemons))
}

#[track_caller]
fn agree(statuses: &[Status]) {
    let first = &statuses[0];
    for status in statuses {
        assert_eq!((status.height, &status.block_id), (first.height, &first.block_id));
        assert_eq!(status.state_root, first.state_root);
    }
}

#[test]
fn four_daemons_seal_one_chain() {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    for height in 1..=5 {
        pay(&homes[0], &mut daemons[0]);
        agree(&all_at(&mut daemons, height));
    }
    let statuses = all_at(&mut daemons, 5);
    assert!(statuses.iter().all(|status| status.validators == 4), "{statuses:?}");
    for (home, daemon) in homes.iter().zip(daemons) {
        daemon.stop();
        home.tool(&["verify", &home.text("")]).with(0);
    }
}

#[test]
fn one_of_four_that_was_killed_catches_up() {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    pay(&homes[0], &mut daemons[0]);
    all_at(&mut daemons, 1);
    daemons.pop().expect("four").kill();
    for _ in 0..5 {
        pay(&homes[0], &mut daemons[0]);
    }
    daemons.push(homes[3].start());
    agree(&all_at(&mut daemons, 6));
    pay(&homes[0], &mut daemons[0]);
    agree(&all_at(&mut daemons, 7));
}

#[test]
fn with_half_of_the_weight_away_nothing_is_sealed_until_they_come_back() {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    pay(&homes[0], &mut daemons[0]);
    all_at(&mut daemons, 1);
    daemons.drain(2..).for_each(Daemon::kill);
    let to = homes[0].wallet(9).address();
    homes[0].owner().pay(&mut daemons[0].client(), to, GOOD, false).expect("admitted");
    std::thread::sleep(Duration::from_secs(3));
    assert!(daemons.iter_mut().all(|daemon| daemon.status().height == 1));
    daemons.extend(homes[2..].iter().map(Home::start));
    agree(&all_at(&mut daemons, 2));
}
