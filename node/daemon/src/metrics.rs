//! The metrics, made anew for each scrape: nothing is sampled while nobody looks.
//!
//! Names and labels are listed in `docs/metrics.md`, and `tests/metrics.rs` compares.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::protocol::{Donations, EnergyAccount, Peer, Peers, Slots, Status};

/// The media type of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Float = Gauge<f64, AtomicU64>;

/// All metrics as `OpenMetrics` text.
#[must_use]
pub fn encode(
    status: &Status,
    slots: &Slots,
    donations: &Donations,
    peers: Option<&Peers>,
) -> String {
    let mut registry = Registry::with_prefix("goodwatt");
    chain(&mut registry, status, slots);
    money(&mut registry, donations);
    power(&mut registry, status);
    process(&mut registry, status);
    if let Some(peers) = peers {
        network(&mut registry, peers);
    }
    let mut text = String::new();
    match encode_text(&mut text, &registry) {
        Ok(()) => text,
        // Writing into a string does not fail; an empty page would look like no metrics at all.
        Err(error) => format!("# metrics could not be written: {error}\n# EOF\n"),
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let metric = Gauge::<i64>::default();
    metric.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, metric);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let metric = Counter::<u64>::default();
    metric.inc_by(value);
    registry.register(name, help, metric);
}

/// A counter in units that have fractions.
fn float_counter(registry: &mut Registry, name: &str, help: &str, values: Vec<(Labels, f64)>) {
    let family = Family::<Labels, Counter<f64, AtomicU64>>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
    registry.register(name, help, family);
}

fn float(registry: &mut Registry, name: &str, help: &str, values: Vec<(Labels, f64)>) {
    let family = Family::<Labels, Float>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

fn chain(registry: &mut Registry, status: &Status, slots: &Slots) {
    gauge(registry, "height", "Height of the tip", status.height);
    gauge(registry, "epoch", "Epoch in charge", status.epoch);
    counter(registry, "transactions", "Transactions sealed", status.transactions);
    let waiting = status.mempool_transactions as u64;
    gauge(registry, "mempool_transactions", "Transactions that wait", waiting);
    gauge(registry, "mempool_bytes", "Bytes that wait", status.mempool_bytes as u64);
    gauge(registry, "slots", "Slots in charge", slots.current.len() as u64);
    gauge(registry, "slots_next", "Slots of the next epoch", slots.next.len() as u64);
    gauge(registry, "slots_bought", "Slots bought for the epoch on sale", slots.bids.len() as u64);
    let ours = slots.current.iter().filter(|slot| slot.ours).count() as u64;
    gauge(registry, "slots_ours", "Slots in charge whose key is held here", ours);
    gauge(registry, "carried_on", "1 while a former set carries on", status.carried_on.into());
    gauge(registry, "signing", "1 while this node signs", status.signing.into());
    let refusals = status.guard_refusals;
    counter(registry, "guard_refusals", "Signatures the guard refused", refusals);
}

fn money(registry: &mut Registry, donations: &Donations) {
    let total = donations.donated_grains;
    counter(registry, "donated_grains", "Donated in all", total);
    gauge(registry, "pool_grains", "Waits to be spread", donations.pool_grains);
    gauge(registry, "releasing_grains", "Waits for its epoch", donations.releasing_grains);
    let by_association = Family::<Labels, Gauge>::default();
    let by_category = Family::<Labels, Gauge>::default();
    for entry in &donations.associations {
        let amount = i64::try_from(entry.donated_grains).unwrap_or(i64::MAX);
        let labels = vec![("association", entry.id.clone()), ("category", entry.category.clone())];
        by_association.get_or_create(&labels).set(amount);
        by_category.get_or_create(&vec![("category", entry.category.clone())]).inc_by(amount);
    }
    registry.register("association_grains", "Donated by association", by_association);
    registry.register("category_grains", "Donated by category", by_category);
}

fn power(registry: &mut Registry, status: &Status) {
    let power = &status.power;
    let labels = || {
        vec![
            ("method", power.power_method.clone()),
            ("scope", power.power_scope.clone()),
            ("sensor", power.sensor.clone()),
        ]
    };
    let joules = |micro: u64| micro as f64 / 1e6;
    float(registry, "power_watts", "Power", vec![(labels(), joules(power.power_microwatts))]);
    let error = f64::from(power.power_error_ppm) / 1e6;
    let help = "Bound of the relative error of the power figure";
    float(registry, "power_relative_error", help, vec![(labels(), error)]);
    let age = power.age_ms as f64 / 1e3;
    float(registry, "power_sample_age_seconds", "Age of the power figure", vec![(vec![], age)]);
    let help = "1 while the source of power figures does not give any";
    gauge(registry, "power_fault", help, power.fault.is_some().into());
    let uncovered = power.uncovered_ms as f64 / 1e3;
    let help = "Time without a power figure";
    float_counter(registry, "energy_uncovered_seconds", help, vec![(vec![], uncovered)]);
    // Measured and modelled energy are apart, as are scopes: a reader who adds them up knows it.
    let each = |value: fn(&EnergyAccount) -> Option<u64>| -> Vec<(Labels, f64)> {
        let labels = |account: &EnergyAccount| {
            vec![("method", account.method.clone()), ("scope", account.scope.clone())]
        };
        let accounts = power.energy.iter();
        accounts.filter_map(|one| Some((labels(one), joules(value(one)?)))).collect()
    };
    let help = "Energy since start";
    float_counter(registry, "energy_joules", help, each(|one| Some(one.microjoules)));
    let help = "Energy this process caused beyond idling";
    float_counter(registry, "energy_marginal_joules", help, each(|one| one.marginal_microjoules));
    let help = "By how much the energy may be off";
    let uncertain = each(|one| Some(one.uncertainty_microjoules));
    float_counter(registry, "energy_uncertainty_joules", help, uncertain);
    for (name, help, value) in [
        ("block_joules", "Energy per block", power.joules_per_block),
        ("transaction_joules", "Energy per transaction", power.joules_per_transaction),
        ("block_marginal_joules", "Caused per block", power.marginal_joules_per_block),
        (
            "transaction_marginal_joules",
            "Caused per transaction",
            power.marginal_joules_per_transaction,
        ),
    ] {
        if let Some(value) = value {
            float(registry, name, help, vec![(labels(), value)]);
        }
    }
}

fn process(registry: &mut Registry, status: &Status) {
    let usage = &status.usage;
    gauge(registry, "resident_bytes", "Resident memory", usage.resident_bytes);
    counter(registry, "wakeups", "Context switches of all threads", usage.wakeups);
    counter(registry, "written_bytes", "Bytes handed to the disk", usage.written_bytes);
    counter(registry, "cpu_milliseconds", "Processor time", usage.cpu_ms);
    gauge(registry, "uptime_seconds", "Time since start", status.uptime_s);
}

fn network(registry: &mut Registry, peers: &Peers) {
    let connected = Family::<Labels, Gauge>::default();
    for direction in ["in", "out"] {
        for role in ["main", "light"] {
            let is_one = |peer: &&Peer| peer.direction == direction && peer.role == role;
            let count = peers.peers.iter().filter(is_one).count();
            let labels = vec![("direction", direction.to_owned()), ("role", role.to_owned())];
            connected.get_or_create(&labels).set(count as i64);
        }
    }
    registry.register("peers", "Nodes connected", connected);
    let validators = peers.peers.iter().filter(|peer| peer.validator.is_some()).count();
    gauge(registry, "peers_validators", "Nodes connected that are in charge", validators as u64);
    gauge(registry, "peers_banned", "Nodes that are kept out", peers.banned.len() as u64);
    let known = peers.known_addresses as u64;
    gauge(registry, "peers_known_addresses", "Addresses of nodes that are known", known);
    let (frames, bytes) =
        (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
    for of in &peers.traffic {
        let ways = [("in", of.frames_in, of.bytes_in), ("out", of.frames_out, of.bytes_out)];
        for (direction, count, sum) in ways {
            let labels = vec![("direction", direction.to_owned()), ("kind", of.kind.clone())];
            frames.get_or_create(&labels).inc_by(count);
            bytes.get_or_create(&labels).inc_by(sum);
        }
    }
    registry.register("network_frames", "Frames between nodes", frames);
    registry.register("network_bytes", "Bytes of frames between nodes", bytes);
}
