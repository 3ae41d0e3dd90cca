//! The validator: its files, the daemon, and whom it talks to.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Findings, Machine, line};
use crate::config::{Config, PeerAddress};
use crate::keystore::{KeyFile, KeystoreError};
use crate::protocol::{Call, GuardText, Peers, Status};
use crate::tool::context::Context;
use crate::tool::read_genesis;

/// How long a peer may take to pick up: longer than any line on Earth.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How many peers are called at most: one after another they take this many times three seconds.
const CALLS_MAX: usize = 4;

/// Reads configuration and genesis; the findings hold every mistake.
pub(super) fn config(context: &Context, findings: &mut Findings) -> Option<Config> {
    let path = context.config_path();
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => {
            let remedy = "mend what is named; `goodwatt config check` tells when it is good. \
                          Without a configuration: `goodwatt init`, or --dir FOLDER";
            findings.wrong("config", error.to_string(), remedy);
            return None;
        }
    };
    findings.good("config", format!("{} is good", path.display()));
    match read_genesis(&config.chain.genesis) {
        Ok(genesis) => {
            findings.good("genesis", format!("{}, {}", genesis.name, genesis.chain_id()));
        }
        Err(error) => findings.wrong(
            "genesis",
            error.to_string(),
            "get the genesis file of the chain you join, the same for all, or begin a chain by \
             `goodwatt genesis new`",
        ),
    }
    Some(config)
}

/// Asks the daemon how it is.
pub(super) fn daemon(
    context: &Context,
    config: &Config,
    findings: &mut Findings,
) -> Option<Status> {
    let asked = context.connect().and_then(|mut client| Ok(client.call::<Status>(Call::Status)?));
    let status = match asked {
        Ok(status) => status,
        Err(error) => {
            let remedy = "`systemctl start goodwattd`; `journalctl -u goodwattd -n 20` tells why it \
                          stopped. Who is not root has to be in the group goodwatt";
            findings.wrong("daemon", error.to_string(), remedy);
            return None;
        }
    };
    let height = format!("{} at height {}", status.chain_name, status.height);
    match &status.not_signing_because {
        Some(why) => findings.wrong(
            "daemon",
            format!("{height}; nothing is signed: {why}"),
            "do what the sentence says; `goodwatt signing on` tries again at once",
        ),
        None if !config.validator.enabled => findings.notice(
            "daemon",
            format!("{height}; it follows the chain and does not sign"),
            "to sign in slots you hold: `enabled = true` in [validator], then restart",
        ),
        None if !status.in_charge => findings.notice(
            "daemon",
            format!("{height}; ready to sign, but no slot of this board is in charge"),
            "buy a slot: `goodwatt slot buy \"1 good\"`",
        ),
        None => findings.good("daemon", format!("{height}, signing, up {} s", status.uptime_s)),
    }
    Some(status)
}

/// The owner's key file: there, whole, and for its owner's eyes only.
pub(super) fn key(config: &Config, findings: &mut Findings) {
    let path = &config.validator.key_file;
    match KeyFile::load(path) {
        Ok(file) if file.is_protected() => {
            findings.good("key", format!("{} is protected by a passphrase", path.display()));
        }
        Ok(_) => findings.notice(
            "key",
            format!("{} has no passphrase: who takes the card takes the money", path.display()),
            "keep little money there, or make a protected key by `goodwatt key new`",
        ),
        Err(KeystoreError::Missing { .. }) => findings.notice(
            "key",
            format!("no owner's key at {}", path.display()),
            "not needed to sign; to buy slots and move money: `goodwatt key new`, or `key restore`",
        ),
        Err(KeystoreError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            findings.unknown("key", format!("{}: {source}; ask as root", path.display()));
        }
        Err(error @ KeystoreError::Exposed { .. }) => {
            let remedy = format!("chmod 600 {}", path.display());
            findings.wrong("key", error.to_string(), remedy);
        }
        Err(error) => {
            let remedy = "restore it from its 24 words: `goodwatt key restore`";
            findings.wrong("key", error.to_string(), remedy);
        }
    }
}

/// The signing guard: without it nothing is signed.
pub(super) fn guard(config: &Config, runs: bool, context: &Context, findings: &mut Findings) {
    if runs {
        let asked = context
            .connect()
            .and_then(|mut client| Ok(client.call::<GuardText>(Call::GuardExport)?));
        return match asked {
            Ok(_) => findings.good("guard", "whole"),
            Err(error) => findings.wrong(
                "guard",
                error.to_string(),
                "never delete or copy it; the book's chapter on what goes wrong tells how it is \
                 raised by `goodwatt guard import`",
            ),
        };
    }
    let data = &config.node.data_dir;
    let is_there = |name: &str| data.join(name).try_exists();
    match (is_there("guard"), is_there("chain")) {
        (Ok(true), _) => findings.good("guard", "there; the daemon reads it when it starts"),
        (Ok(false), Ok(false)) => findings.good("guard", "none yet: the first start makes it"),
        (Ok(false), _) => findings.wrong(
            "guard",
            "missing, although there is a ledger",
            "nothing is signed until `goodwatt guard import FILE`; never start with an empty one",
        ),
        (Err(error), _) => findings.unknown("guard", format!("{error}; ask as root")),
    }
}

/// Where the watts come from.
pub(super) fn sensor(daemon: Option<&Status>, findings: &mut Findings) {
    let Some(Status { power, .. }) = daemon else {
        return findings.unknown("sensor", "the daemon does not run");
    };
    if let Some(fault) = &power.fault {
        let remedy = "check its wiring and its address; `goodwatt power` tells what was tried";
        findings.wrong("sensor", fault.clone(), remedy);
    } else if power.power_method == "measured" {
        findings.good("sensor", format!("{}, {}", power.sensor, power.power_error));
    } else {
        findings.notice(
            "sensor",
            format!("watts are modelled, {}", power.power_error),
            "wire an INA226 or INA219 into the supply and state its `shunt` in [power]; \
             `goodwatt power` tells why what was found is not used",
        );
    }
}

/// What listens, and who can reach it.
pub(super) fn ports(config: &Config, runs: bool, machine: &Machine, findings: &mut Findings) {
    let listening = listening(machine);
    let wanted = [("http", config.api.http), ("listen", config.network.listen)];
    for (key, address) in wanted.into_iter().filter_map(|(key, at)| Some((key, at?))) {
        let is_open = listening.contains(&address.port());
        match (runs, is_open) {
            (true, false) => findings.wrong(
                "ports",
                format!("nothing listens at {address} (`{key}`)"),
                "restart goodwattd, so that it reads its configuration anew",
            ),
            (false, true) => findings.wrong(
                "ports",
                format!("another program listens at port {} (`{key}`)", address.port()),
                "stop it (`ss -ltnp` names it), or choose another port",
            ),
            _ if key == "http" && !address.ip().is_loopback() => findings.notice(
                "ports",
                format!("page and metrics are open to all who reach {address}"),
                "set `http` to 127.0.0.1:9460, or put something in front that asks who they are",
            ),
            _ => findings.good("ports", format!("{address} (`{key}`)")),
        }
    }
}

/// The ports on which this machine listens, of IPv4 and IPv6.
fn listening(machine: &Machine) -> Vec<u16> {
    let tables = ["net/tcp", "net/tcp6"].map(|name| machine.proc.join(name));
    let text = tables.map(|path| std::fs::read_to_string(path).unwrap_or_default()).concat();
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let digits = local.rsplit(':').next().filter(|_| state == "0A")?;
        u16::from_str_radix(digits, 16).ok()
    };
    text.lines().filter_map(port).collect()
}

/// Whether anybody whom the configuration names picks up.
pub(super) fn peers(config: &Config, findings: &mut Findings) {
    let peers = &config.network.peers;
    if peers.is_empty() {
        let found = match config.network.listen {
            Some(_) => "none named: others call this board",
            None => "none named: this board is alone",
        };
        return findings.good("peers", found);
    }
    let mut silent = Vec::new();
    for peer in peers.iter().take(CALLS_MAX) {
        match call(peer) {
            Ok(at) => return findings.good("peers", format!("{peer} ({at}) picks up")),
            Err(why) => silent.push(format!("{peer}: {why}")),
        }
    }
    let remedy = "check the board's network, the names, and that the others run; one that picks up \
                  is enough";
    findings.wrong("peers", format!("none picks up: {}", silent.join("; ")), remedy);
}

/// Whether a second board was made from this one's card: both would sign with the same keys.
pub(super) fn twin(context: &Context, findings: &mut Findings) {
    let asked = context.connect().and_then(|mut client| Ok(client.call::<Peers>(Call::Peers)?));
    match asked {
        Ok(peers) if peers.has_twin => findings.wrong(
            "twin",
            "another board that runs now has this board's transport.key: its card was copied",
            "stop one of the two at once, for good: both sign with the same keys, and what two \
             boards sign with one key is held against you. Then restart the other",
        ),
        Ok(_) => {}
        Err(error) => findings.unknown("twin", error.to_string()),
    }
}

fn call(peer: &PeerAddress) -> std::io::Result<SocketAddr> {
    let mut last = std::io::ErrorKind::NotFound.into();
    for address in peer.as_str().to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CALL_TIMEOUT) {
            Ok(_) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Tool, daemon, kernel.
pub(super) fn versions(daemon: Option<&Status>, machine: &Machine, findings: &mut Findings) {
    let tool = crate::version::SHORT;
    let kernel = line(&machine.proc.join("sys/kernel/osrelease")).unwrap_or_default();
    match daemon {
        Some(status) if status.version != tool => findings.notice(
            "versions",
            format!("the daemon is {}, this tool is {tool}, Linux {kernel}", status.version),
            "after an update: `systemctl restart goodwattd`",
        ),
        Some(_) => findings.good("versions", format!("goodwatt {tool}, Linux {kernel}")),
        None => findings.good("versions", format!("tool {tool}, Linux {kernel}")),
    }
}
