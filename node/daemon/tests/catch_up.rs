//! Real daemons that are behind, or have lost a part of their log.

mod common;

use common::network::{agree, all_at, network, pay};
use common::{Daemon, Home, flip, has, records, seal, segment, until};
use goodwatt::protocol::{Call, History, Status};
use goodwatt_chain::genesis::{Genesis, Parameters};
use goodwatt_units::Millis;

/// Folders of one chain that knows one validator, the first; its parameters are changed.
fn one_sealer(count: usize, change: impl FnOnce(&mut Parameters)) -> Vec<Home> {
    let homes = network(count);
    let genesis = std::fs::read_to_string(homes[0].path("genesis.toml")).expect("a genesis");
    let mut genesis = Genesis::from_toml(&genesis, "genesis.toml").expect("a good one");
    // Then the first one seals alone.
    genesis.founders.truncate(1);
    change(&mut genesis.parameters);
    for home in &homes {
        std::fs::write(home.path("genesis.toml"), genesis.to_toml()).expect("written");
    }
    homes
}

#[test]
fn killed_again_and_again_it_goes_on_from_what_it_has() {
    let homes = one_sealer(2, |_| {});
    let (giver, taker) = (&homes[0], &homes[1]);
    let mut source = giver.start();
    seal(giver, &mut source, 400);
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

/// Sets a key of a section in the configuration.
fn configure(home: &Home, section: &str, line: &str) {
    home.edit("goodwatt.toml", &format!("[{section}]\n"), &format!("[{section}]\n{line}\n"));
}

fn checkpoint(status: &Status) -> String {
    format!("{}:{}", status.height, status.block_id)
}

/// A chain whose blocks are too old after 40 s, and whose state is in snapshots of two daemons.
#[test]
fn a_newcomer_begins_after_a_checkpoint_and_trusts_nobody() {
    let homes = one_sealer(4, |parameters| {
        parameters.epoch_length = Millis::from_secs(20);
        parameters.vesting_delay = 2;
    });
    let mut daemons: Vec<Daemon> = homes[..2].iter().map(Home::start).collect();
    seal(&homes[0], &mut daemons[0], 1);
    let first = daemons[0].status();
    seal(&homes[0], &mut daemons[0], 279);
    let begin = std::time::Instant::now();
    for daemon in &daemons {
        daemon.says("snapshot of");
    }
    seal(&homes[0], &mut daemons[0], 3);
    let trusted = checkpoint(&daemons[0].status());

    // Another block at that height: somebody lies, and nothing is begun.
    let (height, id) = trusted.split_once(':').expect("both");
    let other = format!("{height}:{}", "00".repeat(32));
    configure(&homes[2], "chain", &format!("checkpoint = \"{other}\""));
    has(&homes[2].refuses(), &["has block", id, &"00".repeat(32), "false chain"]);
    assert!(!homes[2].path("data/log").exists(), "nothing was begun");
    // Where nobody has the state of a block below it, as it is too young for that.
    homes[2].edit("goodwatt.toml", &other, &trusted);
    configure(&homes[2], "node", "keep_blocks = 1000");
    let mut newcomer = homes[2].start();
    newcomer.says("each piece proven by the checkpoint");
    let target = daemons[0].status().height;
    daemons.push(newcomer);
    agree(&all_at(&mut daemons, target));
    // It knows what it has not.
    let address = homes[0].owner().address().to_string();
    let call = Call::History { address, limit: 200 };
    let history: History = daemons[2].client().call(call).expect("a history");
    let below = history.pruned_below.expect("the first blocks are not here");
    assert!(below > 1 && history.transactions.iter().all(|one| one.height >= Some(below)));
    seal(&homes[0], &mut daemons[0], 2);
    agree(&all_at(&mut daemons, target + 2));
    // It starts again from what it has, and others may have it from there.
    daemons.pop().expect("the newcomer").stop();
    let verified = homes[2].tool(&["verify", &homes[2].text("")]).with(0);
    has(&verified.out, &["missing", "blocks 1 to", "of which nothing is here"]);
    daemons.push(homes[2].start());
    agree(&all_at(&mut daemons, target + 2));

    // What is older than the vesting time is not taken.
    let wait = std::time::Duration::from_secs(41).saturating_sub(begin.elapsed());
    std::thread::sleep(wait);
    configure(&homes[3], "chain", &format!("checkpoint = \"{}\"", checkpoint(&first)));
    // The height has to be one that can be begun after.
    has(&homes[3].refuses(), &["HEIGHT:BLOCKID"]);
    homes[3].edit("goodwatt.toml", &checkpoint(&first), &trusted);
    has(&homes[3].refuses(), &["vesting time", "younger"]);
}
