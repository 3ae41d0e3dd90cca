//! Real daemons that are behind, or have lost a part of their log.

mod common;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use common::network::{agree, all_at, network, pay};
use common::{Daemon, Home, flip, has, records, seal, segment, until};
use goodwatt::net::{Kind, Network, NetworkEvent, NetworkSettings};
use goodwatt::protocol::{Call, History, Status};
use goodwatt_chain::genesis::{Genesis, Parameters};
use goodwatt_chain::hash::{ChainId, Digest32};
use goodwatt_units::Millis;
use goodwatt_validator::{Message, StateAnswer};

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
        std::thread::sleep(Duration::from_millis(40 * round));
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

/// Four with twelve blocks, of which the second is stopped.
fn three_of_four() -> (Vec<Home>, Vec<Daemon>) {
    let homes = network(4);
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    for _ in 0..12 {
        pay(&homes[0], &mut daemons[0]);
    }
    agree(&all_at(&mut daemons, 12));
    daemons.remove(1).stop();
    (homes, daemons)
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
    let (homes, _daemons) = three_of_four();
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
    let (homes, mut daemons) = three_of_four();
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
    for daemon in &daemons {
        daemon.says("snapshot of");
    }
    seal(&homes[0], &mut daemons[0], 3);
    let trusted = checkpoint(&daemons[0].status());
    let begin = Instant::now();

    // Another block at that height: somebody lies, and nothing is begun.
    let (height, id) = trusted.split_once(':').expect("both");
    let other = format!("{height}:{}", "00".repeat(32));
    configure(&homes[2], "chain", &format!("checkpoint = \"{other}\""));
    has(&homes[2].refuses(), &["has block", id, &"00".repeat(32), "false chain"]);
    assert!(!homes[2].path("data/log").exists(), "nothing was begun");
    homes[2].edit("goodwatt.toml", &other, &trusted);
    configure(&homes[2], "node", "keep_blocks = 1000");
    let liar = Liar::before(&homes[0]);
    call(&homes[2], &[&liar.address, &address(&homes[1])]);
    // These two call it by themselves, so three have to agree.
    configure(&homes[2], "chain", "checkpoint_peers = 3");
    // The power fails while the state is fetched, again and again, until it is there.
    let (log, mut said) = (homes[2].path("data/log"), String::new());
    for more in 0..6 {
        if log.exists() {
            break;
        }
        let mut cut = homes[2].spawn();
        let journal = homes[2].path("data/checkpoint");
        until("the state is fetched", || (journal.exists() || log.exists()).then_some(()));
        std::thread::sleep(Duration::from_millis(3 * more));
        cut.take_power();
        said.push_str(&cut.log());
    }
    let newcomer = homes[2].start();
    let proven = "each piece proven by the checkpoint";
    let said = until("the state is there", || {
        Some(said.clone() + &newcomer.log()).filter(|said| said.contains(proven))
    });
    has(&said, &["a piece of the state that its root does not prove"]);
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
    std::thread::sleep(Duration::from_secs(41).saturating_sub(begin.elapsed()));
    configure(&homes[3], "chain", &format!("checkpoint = \"{}\"", checkpoint(&first)));
    // The height has to be one that can be begun after.
    has(&homes[3].refuses(), &["HEIGHT:BLOCKID"]);
    homes[3].edit("goodwatt.toml", &checkpoint(&first), &trusted);
    has(&homes[3].refuses(), &["vesting time", "younger"]);
}

/// A node that hands on what others say, and changes what cannot be told by a header.
struct Liar {
    address: String,
    ends: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Liar {
    fn before(home: &Home) -> Self {
        let config = std::fs::read_to_string(home.path("goodwatt.toml")).expect("a configuration");
        let listen = config.lines().find_map(|line| line.strip_prefix("listen = "));
        let upstream = listen.expect("it listens").trim_matches('"').to_owned();
        let (chain, (tell, address)) = (home.chain(), std::sync::mpsc::channel());
        let (ends, end) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = lie(chain, upstream, tell) => {}
                    _ = end => {}
                }
            });
        });
        let address = address.recv().expect("it listens");
        Self { address, ends: Some(ends), thread: Some(thread) }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        drop(self.ends.take());
        self.thread.take().expect("it runs").join().expect("it ends well");
    }
}

async fn lie(chain: ChainId, upstream: String, tell: std::sync::mpsc::Sender<String>) {
    let start = |change: &dyn Fn(&mut NetworkSettings)| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = NetworkSettings::new(folder.path().to_owned(), chain);
        settings.development = true;
        change(&mut settings);
        let (network, events) = Network::start(settings).expect("it starts");
        (network, events, folder)
    };
    let (up, mut from_up, _one) = start(&|settings| {
        settings.outbound = 1;
        settings.peers.push(upstream.parse().expect("an address"));
    });
    let (down, mut from_down, _other) = start(&|settings| {
        settings.outbound = 0;
        settings.listen = Some(([127, 0, 0, 1], 0).into());
    });
    let address = down.listens().expect("it listens").to_string();
    let (mut source, mut tip, mut askers) = (None, None::<Vec<u8>>, VecDeque::new());
    loop {
        tokio::select! {
            event = from_up.recv() => match event.expect("it runs") {
                NetworkEvent::Connected { peer, .. } => source = Some(peer),
                NetworkEvent::Frame { kind: Kind::Tip, payload, .. } => {
                    if tip.replace(payload.to_vec()).is_none() {
                        tell.send(address.clone()).expect("the test waits for it");
                    }
                    down.broadcast(Kind::Tip, payload.to_vec(), None).expect("short");
                }
                NetworkEvent::Frame { kind: Kind::Response, payload, .. } => {
                    let asker = askers.pop_front().expect("somebody asked");
                    // Who has found it out is gone.
                    let _ = down.send(asker, Kind::Response, forge(&payload));
                }
                _ => {}
            },
            event = from_down.recv() => match event.expect("it runs") {
                NetworkEvent::Connected { peer, .. } => {
                    let tip = tip.clone().expect("it was told");
                    down.send(peer, Kind::Tip, tip).expect("connected");
                }
                NetworkEvent::Frame { peer, kind: Kind::Request, payload } => {
                    askers.push_back(peer);
                    up.send(source.expect("connected"), Kind::Request, payload.to_vec()).expect("sent");
                }
                _ => {}
            },
        }
    }
}

fn forge(payload: &[u8]) -> Vec<u8> {
    let mut message = Message::decode(payload).expect("an answer");
    match &mut message {
        Message::State(Some(answer)) => {
            if let StateAnswer::Buckets { leaves, .. } = &mut **answer {
                leaves.push((Digest32::new([7; 32]), vec![1]));
            }
        }
        Message::Blocks(blocks) => {
            let bodies = blocks.iter_mut().map(|logged| &mut logged.block.transactions);
            bodies.for_each(|transactions| drop(transactions.pop()));
        }
        _ => {}
    }
    message.encode()
}

/// Replaces the peers in a configuration.
fn call(home: &Home, peers: &[&str]) {
    let path = home.path("goodwatt.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let old = text.lines().find(|line| line.starts_with("peers = ")).expect("it has peers");
    let peers: Vec<String> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
    home.edit("goodwatt.toml", old, &format!("peers = [{}]", peers.join(", ")));
}

/// Where a daemon of these tests listens.
fn address(home: &Home) -> String {
    let text = std::fs::read_to_string(home.path("goodwatt.toml")).expect("a configuration");
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = "));
    listen.expect("it listens").trim_matches('"').to_owned()
}

#[test]
fn a_liar_is_found_out_and_others_are_asked() {
    let homes = one_sealer(3, |_| {});
    let mut source = homes[0].start();
    seal(&homes[0], &mut source, 60);
    let liar = Liar::before(&homes[0]);
    // With the liar alone nothing comes of it.
    call(&homes[1], &[&liar.address]);
    let mut misled = homes[1].start();
    misled.says("broke the rules");
    assert_eq!(misled.status().height, 0);
    misled.stop();
    // With somebody else, everything.
    call(&homes[2], &[&liar.address, &address(&homes[0])]);
    let mut daemons = [source, homes[2].start()];
    agree(&all_at(&mut daemons, 60));
}
