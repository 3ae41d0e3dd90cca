//! `docs/metrics.md` names every metric there is, no other, and says which are absent at first.

use std::collections::BTreeSet;

use goodwatt::metrics::encode;
use goodwatt::protocol::{Donations, Peers, Slots, Status};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// The metrics of the document, each with what it waits for.
fn documented() -> Vec<(String, String)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `goodwatt_"));
    let metrics = rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [names, _, _, absent] = cells[..] else { panic!("four columns, but: {row}") };
        let name = |name: &str| name.trim().trim_matches('`').to_owned();
        names.split(',').map(|one| (name(one), absent.to_owned())).collect::<Vec<_>>()
    });
    metrics.collect()
}

/// The metrics of a page, under the names that a scraper sees.
fn present(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line[..line.find(['{', ' ']).expect("a value")].to_owned()).collect()
}

/// A page of a daemon that has seen everything, or nothing yet.
fn page(everything: bool) -> String {
    let joules: Value = if everything { json!(1.5) } else { Value::Null };
    let association = json!({
        "id": "a", "name": "Seeds", "category": "hunger", "donated_grains": 2, "released_grains": 1,
    });
    let account = json!({
        "method": "modelled", "scope": "board_input", "microjoules": 3, "uncertainty_microjoules": 2,
        "marginal_microjoules": 1,
    });
    let status: Status = serde_json::from_value(json!({
        "version": "0", "chain_name": "test", "chain_id": "0", "height": 1, "block_id": "0",
        "state_root": "0", "block_time_unix_ms": 1, "epoch": 0, "validators": 1,
        "carried_on": false, "in_charge": true, "signing": true, "mempool_transactions": 0,
        "mempool_bytes": 0, "transactions": 1, "donated_grains": 0, "uptime_s": 1,
        "power": {
            "power_microwatts": 1, "power_method": "modelled", "power_scope": "board_input",
            "power_error": "+-25 %", "power_error_ppm": 250_000, "sensor": "model", "age_ms": 0,
            "energy": if everything { vec![account] } else { vec![] }, "uncovered_ms": 0,
            "joules_per_block": joules, "joules_per_transaction": joules,
            "marginal_joules_per_block": joules, "marginal_joules_per_transaction": joules,
            "notes": [], "skipped": [],
        },
        "usage": { "resident_bytes": 1, "wakeups": 1, "written_bytes": 1, "cpu_ms": 1 },
        "guard_refusals": 0,
    }))
    .expect("a status");
    let slots: Slots = serde_json::from_value(json!({
        "epoch": 0, "current": [], "next": [], "open_epoch": 2, "bids": [], "carried_on": false,
    }))
    .expect("slots");
    let donations: Donations = serde_json::from_value(json!({
        "donated_grains": 0, "released_grains": 0, "pool_grains": 0, "releasing_grains": 0,
        "associations": if everything { vec![association] } else { vec![] },
        "one_insider_saves_percent": 0.0, "cost_to_halt_grains": 0, "cost_to_rewrite_grains": 0,
    }))
    .expect("donations");
    let peers: Option<Peers> = everything.then(|| {
        let traffic = json!({
            "kind": "tip", "frames_in": 1, "frames_out": 1, "bytes_in": 1, "bytes_out": 1,
        });
        let peers = json!({
            "id": "0", "peers": [], "banned": [], "known_addresses": 0, "traffic": [traffic],
        });
        serde_json::from_value(peers).expect("peers")
    });
    encode(&status, &slots, &donations, peers.as_ref())
}

#[test]
fn the_document_names_every_metric_and_no_other() {
    let documented: BTreeSet<String> = documented().into_iter().map(|(name, _)| name).collect();
    assert_eq!(present(&page(true)), documented);
}

#[test]
fn the_document_says_which_metrics_are_absent_at_first() {
    let from_the_start =
        documented().into_iter().filter_map(|(name, absent)| absent.is_empty().then_some(name));
    assert_eq!(present(&page(false)), from_the_start.collect());
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c)).filter(|word| word.starts_with("goodwatt_"));
    words.map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_there_are() {
    let there_are = present(&page(true));
    for (file, text, least) in [
        ("grafana.json", include_str!("../../../docs/monitoring/grafana.json"), 15),
        ("alerts.yml", include_str!("../../../docs/monitoring/alerts.yml"), 8),
    ] {
        let named = named(text);
        assert!(named.len() >= least, "{file} was read: {named:?}");
        let unknown: Vec<_> = named.difference(&there_are).collect();
        assert!(unknown.is_empty(), "{file} names what there is not: {unknown:?}");
    }
}

#[test]
fn the_dashboard_is_one() {
    let text = include_str!("../../../docs/monitoring/grafana.json");
    let dashboard: Value = serde_json::from_str(text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "each panel has an id of its own: {panel}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| !named(&target["expr"].to_string()).is_empty()));
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "a unit: {panel}");
    }
}
