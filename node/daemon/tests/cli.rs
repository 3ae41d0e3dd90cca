//! The tool as people and programs use it: help, exit codes, JSON, and every command against a
//! real daemon.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{Daemon, FEE, Home, get, has, run, tool, tool_command, until, with_http};
use serde_json::Value;

/// Names of an object's members.
fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn has_keys(value: &Value, wanted: &[&str]) {
    let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
    let missing: Vec<_> = wanted.difference(&keys(value)).copied().collect();
    assert!(missing.is_empty(), "no {missing:?} in {value}");
}

#[test]
fn help_names_commands_exit_codes_and_examples() {
    let help = tool(&["--help"]).with(0).out;
    has(&help, &["Exit codes:", "  4  the ledger", "Examples:", "goodwatt demo", "verify"]);
    for command in ["demo", "init", "send", "verify", "slot", "association", "guard", "key"] {
        has(&tool(&[command, "--help"]).with(0).out, &["Usage: goodwatt", command]);
    }
    has(&tool(&["--version"]).with(0).out, &["goodwatt ", env!("CARGO_PKG_VERSION")]);
    let mut daemon = std::process::Command::new(env!("CARGO_BIN_EXE_goodwattd"));
    has(&run(daemon.arg("--help"), "").with(0).out, &["--config", "/etc/goodwatt/goodwatt.toml"]);
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let address = "good1y3km3eev3dyqmr224ns05a46xkln2zxvg9nyw5ddyawxarq87chsemxs76";
    let check = |args: &[&str], words: &[&str]| has(&tool(args).with(2).err, words);
    check(&[], &["Usage"]);
    check(&["sttaus"], &["unrecognized subcommand", "status"]);
    check(&["send", "somebody", "1 good"], &["not an address", "good1"]);
    check(&["send", address, "1"], &["good"]);
    check(&["history", "--limit", "201"], &["201"]);
    check(&["signing", "maybe"], &["on", "off"]);
    check(&["demo", "--seconds", "0"], &["--seconds"]);
    check(&["association", "request", "--category", "oil"], &["climate", "hunger"]);
}

#[test]
fn without_a_daemon_or_a_folder_the_exit_code_says_which() {
    let home = Home::new();
    for args in [&["status"][..], &["balance"], &["slot", "list"], &["energy"], &["signing", "on"]]
    {
        let ended = home.tool(args).with(3);
        has(&ended.err, &["no daemon answers at", "goodwatt.sock", "start goodwattd", "--socket"]);
    }
    let ended = tool(&["--socket", "/nowhere/a.sock", "status"]).with(3);
    has(&ended.err, &["/nowhere/a.sock"]);
    has(&tool(&["--dir", "/nowhere", "status"]).with(1).err, &["/nowhere/goodwatt.toml"]);
    has(&tool(&["genesis", "check", "/nowhere"]).with(1).err, &["/nowhere"]);
}

#[test]
fn a_folder_is_made_once() {
    let home = Home::new();
    let mut again = tool_command();
    again.arg("init").arg(home.path("")).arg("--unprotected");
    has(&run(&mut again, "").with(1).err, &["is there already", "nothing was changed"]);
    for name in ["goodwatt.toml", "genesis.toml", "owner.key", "data/signers"] {
        assert!(home.path(name).exists(), "{name}");
    }
    // Joined from another place, with the same chain.
    let mut second = tool_command();
    second.arg("--json").arg("init").arg(home.path("second")).arg("--unprotected");
    let made = run(second.arg("--genesis").arg(home.path("genesis.toml")), "").json();
    assert_eq!(made["chain_id"], home.chain().to_string());
    has_keys(&made, &["folder", "address", "chain_id"]);
    assert!(made["words"].is_null(), "words go to a person only");
}

#[test]
fn the_answers_in_json_have_their_members() {
    let home = Home::new();
    let mut daemon = home.start();
    common::seal(&home, &mut daemon, 2);
    let owner = home.owner().address().to_string();

    let status = home.json(&["status"]);
    has_keys(&status, &["version", "chain_name", "chain_id", "height", "block_id", "state_root"]);
    has_keys(&status, &["epoch", "validators", "in_charge", "signing", "mempool_transactions"]);
    has_keys(&status, &["transactions", "donated_grains", "power", "usage", "guard_refusals"]);
    assert_eq!((&status["height"], &status["transactions"]), (&2.into(), &2.into()));
    assert_eq!(status["chain_id"], home.chain().to_string());

    let balance = home.json(&["balance"]);
    assert_eq!(balance["address"], owner);
    assert_eq!(balance["balance_grains"], 1_000_000_000_000 - 2 * (1_000_000 + FEE.get()));
    assert_eq!(balance["next_nonce"], 2);
    let other = home.wallet(1).address().to_string();
    assert_eq!(home.json(&["balance", &other])["balance_grains"], 2_000_000);

    let history = home.json(&["history"]);
    let sealed = history["transactions"].as_array().expect("a list");
    assert_eq!(sealed.len(), 2);
    assert_eq!((&sealed[0]["height"], &sealed[1]["height"]), (&2.into(), &1.into()));
    assert_eq!(home.json(&["history", &other, "--limit", "1"])["transactions"][0], sealed[0]);

    let id = sealed[0]["id"].as_str().expect("an id");
    let transaction = home.json(&["tx", id]);
    assert_eq!(transaction, sealed[0]);
    has_keys(&transaction, &["kind", "sender", "nonce", "fee_grains", "position", "to"]);
    assert_eq!(transaction["amount_grains"], 1_000_000);

    let slots = home.json(&["slot", "list"]);
    has_keys(&slots, &["epoch", "current", "next", "open_epoch", "bids", "carried_on"]);
    assert_eq!(
        (&slots["current"][0]["ours"], &slots["current"][0]["owner"]),
        (&true.into(), &owner.into())
    );
    assert_eq!(home.json(&["association", "list"]), Value::Array(Vec::new()));
    let donations = home.json(&["donations"]);
    has_keys(&donations, &["donated_grains", "released_grains", "pool_grains", "associations"]);
    has_keys(&donations, &["cost_to_halt_grains", "cost_to_rewrite_grains"]);
    let power = home.json(&["power"]);
    has_keys(&power, &["power_microwatts", "power_method", "power_error", "power_scope", "sensor"]);
    assert!(["measured", "modelled"].iter().any(|method| power["power_method"] == *method));
    has_keys(&home.json(&["guard", "export"]), &["guard"]);
    daemon.stop();
    let report = home.json(&["verify", &home.text("data")]);
    assert_eq!((&report["blocks"], &report["transactions"]), (&2.into(), &2.into()), "{report}");
    assert_eq!(report["state_root"], status["state_root"]);
}

#[test]
fn people_get_figures_with_their_units() {
    let home = Home::new();
    let mut daemon = home.start();
    common::seal(&home, &mut daemon, 1);
    has(
        &home.tool(&["status"]).with(0).out,
        &["at height 1", "signing   yes", "wrong     nothing", " W, "],
    );
    has(&home.tool(&["balance"]).with(0).out, &["good1", " good"]);
    has(&home.tool(&["history"]).with(0).out, &["-1 good", "good1"]);
    has(&home.tool(&["slot", "list"]).with(0).out, &["epoch 0 in charge", "ours", "on sale"]);
    has(&home.tool(&["donations"]).with(0).out, &["donated", "paid out", "to halt this chain"]);
    has(&home.tool(&["power"]).with(0).out, &[" W, ", "uncovered", "not used  hwmon: "]);
    has(&home.tool(&["association", "list"]).with(0).out, &["no association"]);
}

#[test]
fn a_payment_is_sealed_or_refused_with_its_reason() {
    let home = Home::new();
    let daemon = home.start();
    let to = home.wallet(1).address().to_string();
    let sent = home.json(&["send", &to, "2.5 good", "--memo", "thanks", "--wait"]);
    assert_eq!(sent["height"], 1, "{sent}");
    let id = sent["id"].as_str().expect("an id");
    let transaction = home.json(&["tx", id]);
    assert_eq!(
        (&transaction["memo"], &transaction["amount_grains"]),
        (&"thanks".into(), &2_500_000.into())
    );
    let text = home.tool(&["send", &to, "1 grains", "--fee", "0.5 good", "--wait"]).with(0).out;
    has(&text, &["sealed at height 2"]);
    has(&home.tool(&["send", &to, "1 good"]).with(0).out, &["admitted, waits to be sealed"]);

    let refused = |args: &[&str], words: &[&str]| has(&home.tool(args).with(1).err, words);
    refused(&["send", &to, "0 good"], &["the amount is zero"]);
    refused(&["send", &to, "2000000 good"], &["it spends", "the account has"]);
    refused(&["send", &to, "1 good", "--fee", "1 grains"], &["the fee is under the least fee"]);
    refused(&["tx", &"0".repeat(64)], &["there is no transaction"]);
    refused(&["tx", "xyz"], &["xyz"]);
    let long = "x".repeat(81);
    has(&home.tool(&["send", &to, "1 good", "--memo", &long]).with(2).err, &["81 bytes; 80 fit"]);
    let own = home.owner().address().to_string();
    let before = home.json(&["balance"])["pending_balance_grains"].as_u64().expect("money");
    home.tool(&["send", &own, "5 good", "--wait"]).with(0);
    let after = home.json(&["balance"])["balance_grains"].as_u64().expect("money");
    assert_eq!(before - after, FEE.get(), "to oneself costs the fee alone");
    daemon.stop();
}

#[test]
fn a_key_comes_back_from_its_words() {
    let home = Home::new();
    let [first, second] = ["first.key", "second.key"].map(|name| home.text(name));
    let made = home.json(&["key", "new", &first, "--unprotected"]);
    let words = made["words"].as_str().expect("words");
    assert_eq!(words.split(' ').count(), 24);
    let shown = home.json(&["key", "show", &first]);
    assert_eq!((&shown["address"], shown.get("words")), (&made["address"], None));
    assert_eq!(home.json(&["key", "show", &first, "--words"])["words"], words);

    let restore = |file: &str, words: &str| {
        home.tool_reading(&["--json", "key", "restore", file, "--unprotected"], words)
    };
    let restored = restore(&second, &format!("{}\n", words.to_uppercase())).json();
    assert_eq!(restored["address"], made["address"]);
    has(&restore(&second, words).with(1).err, &["a key is never overwritten"]);
    let third = home.text("third.key");
    has(&restore(&third, "one two three").with(1).err, &["24"]);
    let (_, rest) = words.split_once(' ').expect("24 words");
    has(&restore(&third, &format!("zoology {rest}")).with(1).err, &["word 1 is not in the list"]);
    assert!(!home.path("third.key").exists());
    has(&home.tool(&["key", "show", &third]).with(1).err, &["no key file at", "goodwatt key new"]);
    let other = home.json(&["key", "new", &third, "--unprotected"]);
    assert_ne!(other["address"], made["address"]);
}

#[test]
fn configuration_and_genesis_are_checked() {
    let home = Home::new();
    assert_eq!(home.json(&["config", "check"])["good"], true);
    let file = home.text("goodwatt.toml");
    has(&home.tool(&["config", "check", &file]).with(0).out, &["goodwatt.toml: good"]);
    has(&home.tool(&["config", "show"]).with(0).out, &["data_dir", "max_age"]);
    assert!(home.json(&["config", "show"]).is_object());
    let bad = home.text("bad.toml");
    fs::write(&bad, "[mempool]\nmax_age = 3\nmax_byte = \"1 MB\"\n").expect("written");
    let ended = home.tool(&["config", "check", &bad]).with(1);
    has(&ended.err, &["bad.toml:2:", "bad.toml:3:1: unknown key `max_byte`"]);

    let genesis = home.text("genesis.toml");
    let checked = home.json(&["genesis", "check", &genesis]);
    assert_eq!(checked["chain_id"], home.chain().to_string());
    assert_eq!((&checked["founders"], &checked["accounts"]), (&1.into(), &1.into()));
    let fresh = home.text("fresh.toml");
    let made = home.json(&["genesis", "new", &fresh, "--name", "village"]);
    assert_eq!(
        (&made["name"], made["chain_id"] == checked["chain_id"]),
        (&"village".into(), false)
    );
    assert_eq!(home.json(&["genesis", "check", &fresh])["chain_id"], made["chain_id"]);
    has(&home.tool(&["genesis", "new", &fresh]).with(1).err, &["is there already"]);
    let text = fs::read_to_string(&fresh).expect("it");
    fs::write(&fresh, text.replace("[eco]", "[eko]")).expect("written");
    has(&home.tool(&["genesis", "check", &fresh]).with(1).err, &["fresh.toml:", "eko"]);
}

#[test]
fn a_slot_is_bought_and_shown_as_ours() {
    let home = Home::new();
    let daemon = home.start();
    let bought = home.json(&["slot", "buy", "3 good", "--wait"]);
    assert_eq!(bought["height"], 1, "{bought}");
    let slots = home.json(&["slot", "list"]);
    let bid = &slots["bids"][0];
    assert_eq!(
        (&bid["ours"], &bid["donated_grains"]),
        (&true.into(), &3_000_000.into()),
        "{slots}"
    );
    assert_eq!(bid["owner"], home.owner().address().to_string());
    assert_eq!(home.json(&["donations"])["donated_grains"], 3_000_000);
    has(&home.tool(&["slot", "buy", "0.5 good"]).with(1).err, &["a slot costs at least 1 good"]);
    daemon.stop();
}

/// A second owner of the same chain, who uses the first one's daemon.
fn neighbour(home: &Home) -> impl Fn(&[&str]) -> Value {
    let folder = home.path("neighbour");
    let mut init = tool_command();
    init.arg("init").arg(&folder).arg("--unprotected");
    run(init.arg("--genesis").arg(home.path("genesis.toml")), "").with(0);
    let socket = home.path("goodwatt.sock");
    move |args| {
        let mut command = tool_command();
        command.arg("--json").arg("--dir").arg(&folder).arg("--socket").arg(&socket);
        run(command.args(args), "").json()
    }
}

#[test]
fn an_association_asks_is_voted_on_and_admitted() {
    let home = Home::new();
    home.set("epoch_length", "\"4 s\"");
    let address = with_http(&home);
    let daemon = home.start();
    let trees = neighbour(&home);
    let key = trees(&["key", "show"])["address"].as_str().expect("an address").to_owned();
    home.json(&["send", &key, "50 good", "--wait"]);
    let published = trees(&["key", "new", &home.text("published.key"), "--unprotected"]);
    let published = published["address"].as_str().expect("an address");
    let evidence = "ab".repeat(32);
    let file = home.text("published.key");
    trees(&[
        "association",
        "request",
        "--name",
        "Trees",
        "--category",
        "climate",
        "--web",
        "https://trees.example",
        "--evidence",
        &evidence,
        "--published-key",
        &file,
        "--wait",
    ]);
    let list = home.json(&["association", "list"]);
    let entry = &list[0];
    assert_eq!((&entry["name"], &entry["status"]), (&"Trees".into(), &"pending".into()), "{list}");
    assert_eq!(
        (&entry["key"], &entry["web"]),
        (&key.as_str().into(), &"https://trees.example".into())
    );
    let id = entry["id"].as_str().expect("an id").to_owned();

    let checked = home.json(&["association", "check", &id, "--published", published]);
    assert_eq!((&checked["forged"], &checked["name"]), (&false.into(), &"Trees".into()));
    let ended = home.tool(&["association", "check", &id, "--published", &key]).with(1);
    has(&ended.err, &["the proof of identity is forged"]);

    home.json(&["association", "vote", &id, "yes", "--wait"]);
    admitted(&home, &daemon, &id);
    home.json(&["slot", "buy", "8 good", "--prefer", &id, "--wait"]);
    let donated = until("a donation reaches it", || {
        let donations = home.json(&["donations"]);
        let entry = donations["associations"].get(0).cloned()?;
        (entry["donated_grains"].as_u64()? > 0).then_some(entry)
    });
    assert_eq!((&donated["name"], &donated["category"]), (&"Trees".into(), &"climate".into()));
    let metrics = get(address, "/metrics").1;
    let labels = format!("{{association=\"{id}\",category=\"climate\"}}");
    has(&metrics, &[&format!("goodwatt_association_grains{labels} ")]);
    has(&metrics, &["\ngoodwatt_category_grains{category=\"climate\"} "]);
    let unknown = "0".repeat(id.len());
    assert_eq!(home.tool(&["association", "vote", &unknown, "no"]).code, Some(1));
    daemon.stop();
    home.tool(&["verify", &home.text("")]).with(0);
}

/// Waits until the vote is counted, with the voice that was given.
fn admitted(home: &Home, daemon: &Daemon, id: &str) {
    until("the vote is counted", || {
        let list = home.json(&["association", "list"]);
        let Some(entry) = list.as_array()?.iter().find(|entry| entry["id"] == id) else {
            panic!("it was refused: {}", daemon.log());
        };
        if let Some(ballot) = entry.get("ballot") {
            assert_eq!((&ballot["yes"], &ballot["no"]), (&1.into(), &0.into()), "{entry}");
        }
        (entry["status"] == "admitted").then_some(())
    });
}

#[test]
fn the_demonstration_ends_with_its_figures_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut demo = tool_command();
    demo.env("TMPDIR", folder.path()).args(["demo", "--seconds", "3", "--json"]);
    let ended = run(&mut demo, "");
    let lines = ended.out.lines().count();
    let figures = ended.json();
    assert_eq!(lines, 1, "one object");
    let wanted = [
        "height",
        "transactions",
        "donated_grains",
        "power_microwatts",
        "power_method",
        "power_error",
        "joules_per_block",
        "resident_bytes",
        "wakeups_per_second",
    ];
    assert_eq!(keys(&figures), wanted.into_iter().collect(), "{figures}");
    assert!(figures["height"].as_u64() >= Some(3), "{figures}");
    assert!(figures["transactions"].as_u64() >= Some(3), "{figures}");
    assert_eq!(fs::read_dir(folder.path()).expect("it").count(), 0, "nothing is left");
}

#[test]
fn ten_wallets_end_with_75_and_125() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keep = folder.path().join("kept");
    let mut demo = tool_command();
    demo.args(["--json", "demo", "ten-wallets", "--keep"]).arg(&keep);
    let wallets = run(&mut demo, "").json();
    let balances: Vec<u64> = wallets
        .as_array()
        .expect("a list")
        .iter()
        .map(|wallet| wallet["balance_grains"].as_u64().expect("money"))
        .collect();
    assert_eq!(balances, [75_000_000, 125_000_000].repeat(5));
    assert!(keep.join("data/log").exists(), "it is kept");
}

#[test]
fn man_pages_and_completions_are_made_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    tool(&["man", &folder.path().display().to_string()]).with(0);
    for page in ["goodwatt.1", "goodwattd.1", "goodwatt-send.1", "goodwatt-guard-import.1"] {
        let text = fs::read_to_string(folder.path().join(page)).expect(page);
        has(&text, &[".TH", "goodwatt"]);
    }
    for shell in ["bash", "zsh", "fish"] {
        has(&tool(&["completions", shell]).with(0).out, &["goodwatt", "verify", "passphrase-file"]);
    }
    assert_eq!(tool(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn a_simulation_ends_with_its_figures_and_a_graph_in_two_parts_is_refused() {
    let args = ["--json", "sim", "--nodes", "4", "--rounds", "3", "--seed", "5"];
    let figures = tool(&args).with(0).json();
    has_keys(
        &figures,
        &[
            "seed",
            "rounds",
            "heights",
            "agreed",
            "double_signs",
            "money_conserved",
            "packets_idle",
            "finality_ms_median",
            "finality_ms_p99",
        ],
    );
    assert_eq!((&figures["seed"], &figures["rounds"]), (&5.into(), &3.into()));
    assert_eq!((&figures["agreed"], &figures["double_signs"]), (&true.into(), &0.into()));
    assert!(figures["heights"].as_u64() >= Some(3), "{figures}");
    assert_eq!((&figures["rule"], &figures["nodes"]), (&"good-will".into(), &4.into()));
    assert!(figures["per_block"]["signatures_verified"].as_u64() > Some(4), "{figures}");
    let all = tool(&["sim", "--rounds", "2", "--rule", "all"]).with(0).out;
    has(&all, &["good-will", "stake", "delegated", "work", "modelled", "docs/simulation.md"]);
    let shown = tool(&["sim", "--rounds", "2", "--faults", "loss,cuts"]).with(0).out;
    has(&shown, &["round 1", "round 2", "to final", "0 packets in a minute"]);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let graph = folder.path().join("graph.txt");
    fs::write(&graph, "0-1\n2-3\n").expect("written");
    let refused = tool(&["sim", "--topology", graph.to_str().expect("text")]).with(2).err;
    has(&refused, &["graph.txt", "not connected", "2 cannot be reached"]);
    has(&tool(&["sim", "--nodes", "101"]).with(2).err, &["--nodes", "100"]);
}
