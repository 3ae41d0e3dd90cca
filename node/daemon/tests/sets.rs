//! Validators that come and go: slots bought in one epoch put their buyers in charge two epochs
//! later, with weights as they were donated; where too few buy, the former set carries on.

mod common;

use std::collections::BTreeMap;

use common::network::{agree, all_at, network};
use common::{Daemon, Home, until};
use goodwatt::protocol::{Call, SlotInfo, Slots, Status};
use goodwatt_chain::genesis::Genesis;

/// Four who found a chain with short epochs, and one who has nothing but money.
fn four_and_one() -> Vec<Home> {
    let homes = network(5);
    let text = std::fs::read_to_string(homes[0].path("genesis.toml")).expect("a genesis");
    let mut genesis = Genesis::from_toml(&text, "genesis.toml").expect("a good one");
    genesis.founders.truncate(4);
    for home in &homes {
        std::fs::write(home.path("genesis.toml"), genesis.to_toml()).expect("written");
        home.set("epoch_length", "\"10 s\"");
        home.set("validators_min", "2");
    }
    homes
}

fn slots(daemon: &mut Daemon) -> Slots {
    daemon.client().call(Call::Slots).expect("slots")
}

/// Who sits, by owner, with what weight.
fn seats(slots: &[SlotInfo]) -> BTreeMap<String, u64> {
    slots.iter().map(|slot| (slot.owner.clone(), slot.donated_grains)).collect()
}

#[test]
fn who_buys_is_in_charge_two_epochs_later_and_who_does_not_is_not() {
    let homes = four_and_one();
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    // Three buy for the same epoch, one of them the newcomer, with three different weights.
    let buyers = [(0, 3), (1, 5), (4, 8)];
    let bought = until("three slots for one epoch", || {
        let open = slots(&mut daemons[0]).open_epoch;
        for (number, price) in buyers {
            homes[number].tool(&["slot", "buy", &format!("{price} good"), "--wait"]).with(0);
        }
        let now = slots(&mut daemons[0]);
        (now.open_epoch == open && now.bids.len() == 3).then_some(now)
    });
    let wanted = seats(&bought.bids);
    let owners: Vec<String> =
        buyers.iter().map(|(number, _)| homes[*number].owner().address().to_string()).collect();
    assert!(owners.iter().all(|owner| wanted.contains_key(owner)), "{wanted:?}");

    let begun = until("the epoch they bought", || {
        let now = slots(&mut daemons[3]);
        (now.epoch >= bought.open_epoch).then_some(now)
    });
    assert_eq!(seats(&begun.current), wanted, "weights as they were donated");
    let height = daemons[3].status().height;
    let statuses = all_at(&mut daemons, height);
    let in_charge: Vec<bool> = statuses.iter().map(|status| status.in_charge).collect();
    assert_eq!(in_charge, [true, true, false, false, true]);

    // Those who left pay through their own boards, and the new set seals it.
    let to = homes[2].wallet(9).address();
    let mut client = daemons[2].client();
    homes[2].owner().pay(&mut client, to, common::FEE, true).expect("sealed");

    // Nobody buys any more: the set carries on, and says so.
    let carried = until("a set that carries on", || {
        let status: Status = daemons[0].status();
        (status.epoch > bought.open_epoch && status.carried_on).then_some(status)
    });
    assert_eq!(carried.validators, 3);
    let height = daemons.iter_mut().map(|daemon| daemon.status().height).max().expect("five");
    until("all of them at one block", || {
        let all = all_at(&mut daemons, height);
        all.iter().all(|status| status.height == all[0].height).then(|| agree(&all))
    });
    for (home, daemon) in homes.iter().zip(daemons) {
        daemon.stop();
        home.tool(&["verify", &home.text("")]).with(0);
    }
}
