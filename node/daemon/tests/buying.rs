//! `buy_slots`: the daemon buys a slot in each epoch with a key that was unlocked once.
#![cfg(feature = "finger")]

mod common;

use std::collections::BTreeSet;

use common::finger::{Owner, type_pin, type_words};
use common::{Daemon, has, until};

const PASSPHRASE: &str = "five random words and more";

/// An owner with epochs of two seconds whose daemon is to buy slots for 3 good, with this cap.
fn buyer(cap: &str) -> Owner {
    let owner = Owner::with_key_file();
    owner.home.set("epoch_length", "\"2 s\"");
    let settings = format!(
        "enabled = true\nbuy_slots = true\nslot_price = \"3 good\"\n\
         spending_cap_per_epoch = \"{cap}\""
    );
    owner.home.edit("goodwatt.toml", "enabled = true", &settings);
    owner
}

/// Enrols the key of the key file with a passphrase, and removes the file.
fn enrol(owner: &Owner) {
    let words = owner.json(&["key", "show", "--words"])["words"].as_str().expect("24").to_owned();
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger"]);
    type_pin(&mut terminal, PASSPHRASE);
    type_words(&mut terminal, &words);
    terminal.answer("[y/N] ", "y");
    assert_eq!(terminal.end().0, Some(0));
    owner.pin(PASSPHRASE);
}

/// How many slots were bought; each for 3 good.
fn bought(owner: &Owner) -> usize {
    let history = owner.json(&["history", "--limit", "200"]);
    let sealed = history["transactions"].as_array().expect("a list");
    let slots = sealed.iter().filter(|transaction| transaction["kind"] == "buy_slot");
    let slots: Vec<_> = slots.filter(|transaction| !transaction["height"].is_null()).collect();
    assert!(slots.iter().all(|slot| slot["amount_grains"] == 3_000_000), "{slots:?}");
    slots.len()
}

/// The epochs for which slots were bought, as the daemon says.
fn epochs(log: &str) -> Vec<u64> {
    let said = log.lines().filter_map(|line| line.split_once("bought a slot in epoch "));
    said.map(|(_, rest)| rest.split(':').next().expect("a part").parse().expect("a number"))
        .collect()
}

fn epoch(owner: &Owner) -> u64 {
    owner.json(&["status"])["epoch"].as_u64().expect("a number")
}

fn wait_for_epoch(owner: &Owner, wanted: u64) {
    until("an epoch begins", || (epoch(owner) >= wanted).then_some(()));
}

#[test]
fn one_unlocking_buys_a_slot_in_each_epoch_until_the_daemon_ends() {
    let owner = buyer("4 good");
    enrol(&owner);
    let daemon: Daemon = owner.home.start();
    daemon.says("buys no slots before the owner's key is unlocked: goodwatt key unlock");
    assert_eq!(owner.json(&["key", "status"])["buying"]["buyer"], serde_json::Value::Null);
    let unlocked = owner.json(&["key", "unlock"]);
    assert_eq!(unlocked["buying"]["buyer"], unlocked["address"]);
    has(unlocked["buying"]["last"].as_str().expect("a sentence"), &["bought a slot in epoch"]);
    // Unlocked once more, it buys no second one for the same epoch.
    owner.json(&["key", "unlock"]);
    owner.json(&["key", "unlock"]);
    until("three slots are bought", || (bought(&owner) >= 3).then_some(()));
    has(&owner.tool(&["key", "status"]).with(0).out, &["one an epoch for 3 good, 4 good at most"]);
    let log = daemon.stop();
    has(&log, &["buys a slot in each epoch for good1", "bought a slot in epoch"]);
    assert!(!log.contains("no slot:"), "{log}");

    // The key was in memory alone.
    let daemon = owner.home.start();
    let before = bought(&owner);
    let now = epoch(&owner);
    wait_for_epoch(&owner, now + 2);
    assert_eq!(bought(&owner), before, "nobody unlocked it");
    owner.json(&["key", "unlock"]);
    until("it buys again", || (bought(&owner) > before + 1).then_some(()));
    assert_eq!(owner.json(&["key", "lock"])["stopped_buying"], true);
    assert_eq!(owner.json(&["key", "lock"])["stopped_buying"], false);
    let now = epoch(&owner);
    wait_for_epoch(&owner, now + 1);
    let before = bought(&owner);
    wait_for_epoch(&owner, now + 3);
    assert_eq!(bought(&owner), before, "it was locked");
    // Revoking takes the key from the daemon, too.
    owner.json(&["key", "unlock"]);
    let before = before + 1;
    assert_eq!(owner.json(&["key", "revoke", "--yes"])["revoked"], true);
    assert_eq!(owner.json(&["key", "status"])["buying"]["buyer"], serde_json::Value::Null);
    let log = log + &daemon.stop();
    let (all, each) = (epochs(&log), epochs(&log).into_iter().collect::<BTreeSet<u64>>());
    assert_eq!((all.len(), each.len()), (before, before), "one for each epoch: {all:?}");
    // What was bought serves.
    owner.tool(&["verify", &owner.home.text("data")]).with(0);
}

#[test]
fn a_slot_that_costs_more_than_the_cap_with_its_fee_is_not_bought() {
    let owner = buyer("3 good");
    let daemon = owner.home.start();
    let said = owner.tool(&["key", "unlock"]).with(1).err;
    has(&said, &["a slot costs 3 good and a fee of 0.001000 good, and the cap is 3 good"]);
    assert_eq!(owner.json(&["key", "status"])["buying"]["buyer"], serde_json::Value::Null);
    assert_eq!(bought(&owner), 0);
    daemon.stop();
}

#[test]
fn who_has_no_money_buys_nothing_and_is_told() {
    let owner = buyer("4 good");
    let daemon = owner.home.start();
    let file = owner.home.text("poor.key");
    let poor = owner.json(&["key", "new", &file, "--unprotected"])["address"].clone();
    owner.home.edit("goodwatt.toml", "../owner.key", "../poor.key");
    let unlocked = owner.json(&["key", "unlock"]);
    assert_eq!(unlocked["address"], poor);
    let last = unlocked["buying"]["last"].as_str().expect("a sentence");
    has(last, &["bought no slot", "has less than 3.001000 good"]);
    daemon.stop();
}

#[test]
fn without_a_daemon_or_without_buy_slots_a_key_file_is_not_unlocked() {
    let owner = buyer("4 good");
    has(&owner.tool(&["key", "unlock"]).with(3).err, &["no daemon answers"]);
    owner.home.edit("goodwatt.toml", "buy_slots = true", "buy_slots = false");
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["needs no unlocking", "buy_slots"]);
    owner.home.edit("goodwatt.toml", "buy_slots = false", "buy_slots = true");
    owner.home.edit("goodwatt.toml", "\"4 good\"", "\"2 good\"");
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["spending_cap_per_epoch", "pay less"]);
    has(&owner.home.refuses(), &["a slot costs more than `spending_cap_per_epoch` allows"]);
}
