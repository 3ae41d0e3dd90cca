//! Real daemons that are behind, or have lost a part of their log.

mod common;

use common::network::{agree, all_at, network, pay};
use common::{Daemon, Home, flip, has, records, seal, segment, until};
use goodwatt::protocol::{Call, History};
use goodwatt_chain::genesis::Genesis;

/// Two folders of one chain that knows one validator, the first; the second one fetches.
fn giver_and_taker() -> (Home, Home) {
    let mut homes = network(2);
    let taker = homes.pop().expect("two");
    let giver = homes.pop().expect("two");
    let genesis = std::fs::read_to_string(giver.path("genesis.toml")).expect("a genesis");
    let mut genesis = Genesis::from_toml(&genesis, "genesis.toml").expect("a good one");
    // Then the first one seals alone.
    genesis.founders.pop().expect("the second founder");
    for home in [&giver, &taker] {
        std::fs::write(home.path("genesis.toml"), genesis.to_toml()).expect("written");
    }
    (giver, taker)
}

#[test]
fn killed_again_and_again_it_goes_on_from_what_it_has() {
    let (giver, taker) = giver_and_taker();
    let mut source = giver.start();
    seal(&giver, &mut source, 400);
    let mut height = 0;
    for round in 0..20 {
        let mut daemon = taker.start();
        let status = daemon.status();
        assert!(status.height >= height, "{} after {height}", status.height);
        std::thread::sleep(std::time::Duration::from_millis(40 * round));
        height = daemon.status().height;
        daemon.kill();
    }
    let mut daemons = [source, taker.start()];
    agree(&all_at(&mut daemons, 400));
    let status = until("it has caught up", || {
        Some(daemons[1].status()).filter(|status| status.catching_up.is_none())
    });
    assert_eq!(status.height, 400);
    let ended = taker.tool(&["sync"]).with(0);
    has(&ended.out, &["at height 400"]);
    let [source, fetched] = daemons;
    source.stop();
    fetched.stop();
    taker.tool(&["verify", &taker.text("")]).with(0);
}

/// Flips a byte in the record of a height.
fn damage(home: &Home, height: u64) {
    let file = segment(home);
    let record = records(&file).into_iter().find(|record| record.height == height);
    let record = record.expect("that height");
    flip(&file, (record.start + record.end) / 2);
}

#[test]
fn damage_that_is_met_while_running_is_healed_by_a_peer() {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    for _ in 0..12 {
        pay(&homes[0], &mut daemons[0]);
    }
    agree(&all_at(&mut daemons, 12));
    daemons.remove(1).stop();
    damage(&homes[1], 5);
    homes[1].tool(&["verify", &homes[1].text("")]).with(4);
    let mut healed = homes[1].start();
    // Whoever asks for what is in it finds the damage.
    let address = homes[0].wallet(9).address().to_string();
    until("the log is healed", || {
        let call = Call::History { address: address.clone(), limit: 50 };
        let history = healed.client().call::<History>(call).ok()?;
        assert_eq!(history.transactions.len(), 12);
        Some(())
    });
    healed.says("the block log is healed at height 5");
    healed.stop();
    homes[1].tool(&["verify", &homes[1].text("")]).with(0);
}

#[test]
fn a_log_that_cannot_be_replayed_is_healed_before_the_start() {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    for _ in 0..12 {
        pay(&homes[0], &mut daemons[0]);
    }
    agree(&all_at(&mut daemons, 12));
    daemons.remove(1).stop();
    for height in [5, 6, 9] {
        damage(&homes[1], height);
    }
    // Without its index it has to read all of them.
    std::fs::remove_dir_all(homes[1].path("data/index")).expect("an index");
    let healed = homes[1].start();
    daemons.push(healed);
    pay(&homes[0], &mut daemons[0]);
    agree(&all_at(&mut daemons, 13));
    let log = daemons.pop().expect("the last").stop();
    has(&log, &["block log is damaged at", "healed at height 5", "healed at height 9"]);
    homes[1].tool(&["verify", &homes[1].text("")]).with(0);
}
