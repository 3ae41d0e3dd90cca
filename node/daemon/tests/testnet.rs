//! `goodwatt testnet`: several real daemons, which end with the tool.

mod common;

use std::path::PathBuf;
use std::process::Stdio;

use common::{has, run, tool, tool_command, until};
use goodwatt::client::Client;
use goodwatt::protocol::{Call, Status};
use serde_json::json;

#[test]
fn a_test_network_ends_with_its_figures_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut testnet = tool_command();
    testnet.env("TMPDIR", folder.path());
    testnet.args(["testnet", "--nodes", "3", "--seconds", "2", "--json"]);
    let summary = run(&mut testnet, "").json();
    assert_eq!((&summary["nodes"], &summary["agreed"]), (&json!(3), &json!(true)), "{summary}");
    assert!(summary["transactions"].as_u64() > Some(0), "{summary}");
    assert!(summary["finality_ms_median"].as_f64() > Some(0.0), "{summary}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
    has(&tool(&["testnet", "--nodes", "33"]).with(2).err, &["--nodes"]);
    let kept = folder.path().display().to_string();
    has(&tool(&["testnet", "--keep", &kept]).with(1).err, &["exists already"]);
}

#[test]
fn validators_of_a_test_network_end_with_the_tool_that_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = tool_command();
    command.env("TMPDIR", folder.path()).args(["testnet", "--nodes", "2"]);
    let mut testnet = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it");
    let inside = folder.path().join(format!("goodwatt-testnet-{}", testnet.id()));
    let sockets = [0, 1].map(|number| inside.join(format!("{number}/goodwatt.sock")));
    let answers = |socket: &PathBuf| {
        let client = Client::connect(socket);
        client.is_ok_and(|mut client| client.call::<Status>(Call::Status).is_ok())
    };
    until("both answer", || sockets.iter().all(answers).then_some(()));
    testnet.kill().expect("it runs");
    testnet.wait().expect("it is our child");
    until("both are gone", || (!sockets.iter().any(answers)).then_some(()));
    // A clean end takes the socket's file along.
    until("they ended in order", || (!sockets.iter().any(|path| path.exists())).then_some(()));
}
