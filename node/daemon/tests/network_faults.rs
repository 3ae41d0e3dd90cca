//! Four real validators, and one of them, or somebody else, is not as it should be: the others go
//! on, the log names the cause, nothing forks, nobody signs twice.

mod common;

use std::path::PathBuf;

use common::disk::SmallDisk;
use common::network::{
    address, agree, all_at, connected, free_address, join, listened, network, pay,
};
use common::witness::{Witness, audit};
use common::{Daemon, FakeClock, Home, has, until};
use goodwatt::net::{Network, NetworkSettings};
use goodwatt_chain::hash::ChainId;

const YEAR: i64 = 365 * 86_400;

/// Validators that run, and who hears what they say.
struct Rack {
    homes: Vec<Home>,
    daemons: Vec<Daemon>,
    witness: Witness,
}

impl Rack {
    /// Four, of which the last one is started by the caller.
    fn new(homes: Vec<Home>, last: impl FnOnce(&Home) -> Daemon) -> Self {
        let count = homes.len();
        let addresses: Vec<_> = homes.iter().map(address).collect();
        let witness = Witness::of(&addresses, homes[0].chain());
        let mut daemons: Vec<Daemon> = homes[..count - 1].iter().map(Home::start).collect();
        daemons.push(last(&homes[count - 1]));
        connected(&mut daemons, count);
        listened(&mut daemons);
        Self { homes, daemons, witness }
    }

    fn pay_at(&mut self, board: usize) {
        pay(&self.homes[0], &mut self.daemons[board]);
    }

    /// All stop, and what they left and said is as it has to be; gives their last words.
    fn end(self) -> Vec<String> {
        let logs = self.daemons.into_iter().map(Daemon::stop).collect();
        let heights = audit(&self.homes.iter().collect::<Vec<_>>());
        let signatures = self.witness.signatures();
        assert!(signatures as u64 >= heights, "{signatures} of {heights} heights");
        logs
    }
}

#[test]
fn a_second_daemon_with_the_same_key_keeps_silent() {
    let mut rack = Rack::new(network(4), Home::start);
    rack.pay_at(0);
    all_at(&mut rack.daemons, 1);
    // A copy of the last board's slot key, on a board with a name and a guard of its own.
    let copy = Home::new();
    for file in ["genesis.toml", "goodwatt.toml"] {
        std::fs::copy(rack.homes[0].path(file), copy.path(file)).expect("copied");
    }
    let old = address(&rack.homes[0]);
    copy.edit(
        "goodwatt.toml",
        &format!("listen = \"{old}\""),
        &format!("listen = \"{}\"", free_address()),
    );
    let text = std::fs::read_to_string(copy.path("goodwatt.toml")).expect("it");
    has(&text, &["peers = ["]);
    std::fs::remove_dir_all(copy.path("data/signers")).expect("its own slot key");
    std::fs::create_dir(copy.path("data/signers")).expect("a folder");
    for key in std::fs::read_dir(rack.homes[3].path("data/signers")).expect("keys") {
        let key: PathBuf = key.expect("a key").path();
        let name = key.file_name().expect("a name");
        std::fs::copy(&key, copy.path("data/signers").join(name)).expect("copied");
    }
    let mut second = copy.start();
    until("it is connected", || (second.peers().peers.len() >= 3).then_some(()));
    // While it listens, the board whose key it holds is heard signing.
    for turn in 0..8 {
        rack.pay_at(turn % 4);
    }
    second.says("another board signs with the key");
    all_at(std::slice::from_mut(&mut second), 9);
    listened(std::slice::from_mut(&mut second));
    for turn in 0..4 {
        rack.pay_at(turn % 4);
    }
    all_at(std::slice::from_mut(&mut second), 13);
    agree(&all_at(&mut rack.daemons, 13));
    let status = second.status();
    assert!(!status.signing, "{status:?}");
    has(&status.not_signing_because.expect("a reason"), &["another board signs", "Stop the other"]);
    second.stop();
    rack.end();
}

#[test]
fn a_clock_of_1970_or_years_ahead_on_one_of_four() {
    for ahead in [None, Some(10 * YEAR)] {
        let clock_lies_in = Home::new();
        let clock = FakeClock::new(&clock_lies_in);
        match ahead {
            None => clock.set_to_1970(),
            Some(seconds) => clock.set(seconds),
        }
        let mut rack = Rack::new(network(4), |home| {
            home.spawn_with(&home.path("goodwatt.toml"), &clock.environment())
        });
        for turn in 0..4 {
            rack.pay_at(turn % 3);
        }
        agree(&all_at(&mut rack.daemons, 4));
        let status = rack.daemons[3].status();
        assert!(!status.signing, "{status:?}");
        has(&status.not_signing_because.expect("a reason"), &["the clock is"]);
        clock.set(0);
        until("it signs again", || rack.daemons[3].status().signing.then_some(()));
        // Now its vote is needed.
        rack.daemons.remove(0).kill();
        let owner = &rack.homes[0];
        pay(owner, &mut rack.daemons[0]);
        agree(&all_at(&mut rack.daemons, 5));
        rack.daemons.insert(0, owner.start());
        agree(&all_at(&mut rack.daemons, 5));
        rack.end();
    }
}

#[test]
fn a_full_disk_on_one_of_four() {
    let mut disk = None;
    let homes = common::network::network_with(4, |number| match number {
        3 => Home::init(|folder| disk = SmallDisk::mount(&folder.join("data"), "16m"), &[]),
        _ => Home::new(),
    });
    let Some(disk) = disk else { return };
    let mut rack = Rack::new(homes, Home::start);
    rack.pay_at(0);
    all_at(&mut rack.daemons, 1);
    let filler = disk.fill();
    let mut height = 1;
    // Until then there may be space in files that are there already.
    let because = until("its disk is full", || {
        rack.pay_at(height % 3);
        height += 1;
        rack.daemons[3].status().not_signing_because
    });
    has(&because, &["no space left for", "free some on the data partition"]);
    for turn in 0..5 {
        rack.pay_at(turn % 3);
        height += 1;
    }
    agree(&all_at(&mut rack.daemons[..3], height as u64));
    std::fs::remove_file(filler).expect("removed");
    agree(&all_at(&mut rack.daemons, height as u64));
    until("it signs again", || rack.daemons[3].status().signing.then_some(()));
    rack.pay_at(3);
    agree(&all_at(&mut rack.daemons, height as u64 + 1));
    rack.end();
}

#[test]
fn the_bootstrap_is_gone() {
    let homes = network(4);
    let bootstrap = address(&homes[0]);
    for home in &homes[1..] {
        let text = std::fs::read_to_string(home.path("goodwatt.toml")).expect("a config");
        let line = text.lines().find(|line| line.starts_with("peers = ")).expect("peers");
        home.edit("goodwatt.toml", line, &format!("peers = [\"{bootstrap}\"]"));
    }
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    connected(&mut daemons, 3);
    listened(&mut daemons);
    pay(&homes[0], &mut daemons[0]);
    agree(&all_at(&mut daemons, 1));
    daemons.remove(0).stop();
    pay(&homes[0], &mut daemons[0]);
    agree(&all_at(&mut daemons, 2));
    // Stopped in order it finds the others by what it saved; killed, it is found by them.
    daemons.pop().expect("three").stop();
    daemons.push(homes[3].start());
    connected(&mut daemons, 2);
    pay(&homes[0], &mut daemons[2]);
    agree(&all_at(&mut daemons, 3));
    daemons.pop().expect("three").kill();
    daemons.push(homes[3].start());
    connected(&mut daemons, 2);
    pay(&homes[0], &mut daemons[2]);
    agree(&all_at(&mut daemons, 4));
    daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
    audit(&homes.iter().skip(1).collect::<Vec<_>>());
}

#[test]
fn a_node_of_another_chain_or_version_is_told_apart() {
    let mut rack = Rack::new(network(4), Home::start);
    let other = Home::new();
    join(&other, free_address(), &[address(&rack.homes[0])]);
    let mut stranger = other.start();
    rack.daemons[0].says("another chain; compare the genesis files");
    stranger.says("compare genesis files and versions");
    assert_eq!(stranger.peers().peers.len(), 0);
    stranger.stop();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let old = |chain: ChainId| {
            let mut settings = NetworkSettings::new(folder.path().to_owned(), chain);
            let to = address(&rack.homes[1]).to_string();
            (settings.version, settings.development) = (0, true);
            settings.peers.push(to.parse().expect("an address"));
            settings
        };
        let (network, _events) = Network::start(old(rack.homes[1].chain())).expect("it starts");
        while !rack.daemons[1].log().contains("another protocol version; update the older") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        network.stop().await;
    });
    rack.pay_at(0);
    agree(&all_at(&mut rack.daemons, 1));
    rack.end();
}
