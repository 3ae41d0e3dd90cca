//! Several real daemons on loopback: one chain, whatever happens to some of them.

mod common;

use std::time::Duration;

use common::network::{agree, all_at, network, pay};
use common::{Daemon, Home};
use goodwatt_chain::units::Grains;

const GOOD: Grains = Grains::from_good(1);

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
