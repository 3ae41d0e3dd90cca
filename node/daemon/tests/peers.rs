//! What an operator sees of other nodes, and does about them.

mod common;

use common::network::network;
use common::{Daemon, Home, has, until};
use serde_json::{Value, json};

fn peers(home: &Home) -> Vec<Value> {
    home.json(&["peers"])["peers"].as_array().expect("a list").clone()
}

#[track_caller]
fn sees(home: &Home, what: &str, is_so: impl Fn(&Value) -> bool) {
    until(what, || is_so(&home.json(&["peers"])).then_some(()));
}

fn connected(peers: &Value) -> usize {
    peers["peers"].as_array().expect("a list").len()
}

#[test]
fn peers_are_shown_with_the_validator_that_vouches_for_them() {
    let homes = network(3);
    let daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    sees(&homes[0], "two validators", |seen| {
        let list = seen["peers"].as_array().expect("a list");
        list.iter().filter(|peer| peer["validator"]["owner"].is_string()).count() == 2
            && list.iter().all(|peer| peer["round_trip_us"].is_u64())
    });
    let mut owners: Vec<String> = peers(&homes[0])
        .iter()
        .map(|peer| peer["validator"]["owner"].as_str().expect("an owner").to_owned())
        .collect();
    let mut want: Vec<String> =
        homes[1..].iter().map(|home| home.owner().address().to_string()).collect();
    owners.sort();
    want.sort();
    assert_eq!(owners, want);
    let one = &peers(&homes[0])[0];
    assert_eq!((&one["role"], &one["height"]), (&json!("main"), &json!(0)));
    let page = homes[0].tool(&["peers"]).with(0).out;
    has(&page, &["this node goodpeer1", "main node", "round trip", "validator good1"]);
    daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
}

#[test]
fn who_is_banned_is_gone_until_it_is_let_in_again() {
    let homes = network(2);
    let daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    sees(&homes[0], "the other", |seen| connected(seen) == 1);
    let id = peers(&homes[0])[0]["id"].as_str().expect("an id").to_owned();
    let banned = homes[0].json(&["peer", "ban", &id, "--for", "1h"]);
    assert_eq!(banned["banned"], json!([id]));
    sees(&homes[0], "nobody", |seen| connected(seen) == 0);
    has(&homes[0].tool(&["peers"]).with(0).out, &["nobody is connected", "banned    goodpeer1"]);
    homes[0].tool(&["peer", "unban", &id]).with(0);
    has(&homes[0].tool(&["peer", "unban", &id]).with(1).err, &["is not banned"]);
    sees(&homes[0], "the other again", |seen| connected(seen) == 1);
    let own = homes[0].json(&["peers"])["id"].as_str().expect("an id").to_owned();
    has(&homes[0].tool(&["peer", "ban", &own]).with(1).err, &["that is this node itself"]);
    has(&homes[0].tool(&["peer", "ban", &id, "--for", "7"]).with(2).err, &["write 90s, 10m"]);
    has(&homes[0].tool(&["peer", "ban", "good1x"]).with(2).err, &["goodpeer1"]);
    daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
}

#[test]
fn a_node_that_knows_nobody_is_given_an_address() {
    let homes = network(2);
    for home in &homes {
        let text = std::fs::read_to_string(home.path("goodwatt.toml")).expect("a config");
        let line = text.lines().find(|line| line.starts_with("peers = ")).expect("peers");
        home.edit("goodwatt.toml", line, "peers = []");
    }
    let daemons: Vec<Daemon> = homes.iter().map(Home::start).collect();
    assert_eq!(connected(&homes[0].json(&["peers"])), 0);
    let address = homes[1].json(&["peers"])["listens"].as_str().expect("it listens").to_owned();
    homes[0].tool(&["peer", "add", &address]).with(0);
    sees(&homes[1], "the other", |seen| connected(seen) == 1);
    has(&homes[0].tool(&["peer", "add", "nowhere"]).with(2).err, &["write host and port"]);
    daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
}

#[test]
fn a_daemon_that_talks_to_nobody_says_what_is_missing() {
    let home = Home::new();
    let daemon = home.start();
    for args in [&["peers"][..], &["peer", "add", "127.0.0.1:1"]] {
        has(&home.tool(args).with(1).err, &["talks to nobody", "[network] peers"]);
    }
    daemon.stop();
}
