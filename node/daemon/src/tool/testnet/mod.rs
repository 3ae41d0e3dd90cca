//! Several validators of one chain on this machine, each a daemon of its own.

mod watch;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use goodwatt_chain::genesis::{Founder, Genesis, SealingRule};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Epoch, Grains, UnixMillis};
use goodwatt_units::Millis;

use super::daemon::{CONFIG_FILE, Daemon, SOCKET};
use super::error::ToolError;
use crate::client::Client;
use crate::development;
use crate::protocol::{Call, Peers, Status};
use crate::signers::Signers;

pub(super) use watch::{quantile, run};

/// What each founding slot weighs: all the same.
const WEIGHT: Grains = Grains::from_good(1);
/// How long all may take to find each other.
const PATIENCE: Duration = Duration::from_secs(60);
/// A validator that starts listens for three seconds before it signs.
const LISTENS: Duration = Duration::from_millis(3_200);

/// What a test network is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    /// Its name.
    pub(super) name: &'static str,
    /// How many validators; each knows the addresses of all of them.
    pub(super) validators: usize,
    /// How many that only follow the first one.
    pub(super) observers: usize,
    /// The owner of each validator's slot, by its number.
    pub(super) owner: fn(usize) -> PublicKey,
    /// Who has money at the beginning, beside the first owner.
    pub(super) balances: &'a [(PublicKey, Grains)],
    /// How long an epoch lasts.
    pub(super) epoch_length: Millis,
}

/// A test network that runs; its daemons end when it is dropped.
#[derive(Debug)]
pub(super) struct Testnet {
    pub(super) daemons: Vec<Daemon>,
    /// A connection to each.
    pub(super) clients: Vec<Client>,
    /// The chain.
    pub(super) genesis: Genesis,
}

impl Testnet {
    /// Makes folders and genesis below `folder`, starts all, and waits until each has found the
    /// others and may sign.
    pub(super) fn begin(folder: &Path, plan: &Plan<'_>) -> Result<Self, ToolError> {
        let genesis = prepare(folder, plan)?;
        let begin = Instant::now();
        let mut daemons = Vec::new();
        for number in 0..plan.validators + plan.observers {
            daemons.push(Daemon::spawn(&folder.join(format!("{number}")))?);
        }
        for daemon in &mut daemons {
            daemon.wait_until_it_answers(begin + PATIENCE)?;
        }
        let clients = daemons.iter().map(Daemon::client).collect::<Result<_, _>>()?;
        let mut network = Self { daemons, clients, genesis };
        network.wait_until_connected(begin + PATIENCE)?;
        std::thread::sleep(LISTENS.saturating_sub(begin.elapsed()));
        Ok(network)
    }

    fn wait_until_connected(&mut self, until: Instant) -> Result<(), ToolError> {
        let (all, validators) = (self.daemons.len(), self.genesis.founders.len());
        let wanted = |number: usize| match number {
            0 => all - 1,
            _ if number < validators => validators - 1,
            _ => 1,
        };
        loop {
            let counts = self.peers()?;
            let mut numbered = counts.iter().enumerate();
            if numbered.all(|(number, peers)| peers.peers.len() >= wanted(number)) {
                return Ok(());
            }
            if Instant::now() > until {
                let counts: Vec<usize> = counts.iter().map(|peers| peers.peers.len()).collect();
                let message = format!("the validators did not find each other: peers {counts:?}");
                return Err(ToolError::failed(message));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Who each of them sees.
    pub(super) fn peers(&mut self) -> Result<Vec<Peers>, ToolError> {
        self.ask(&Call::Peers)
    }

    /// How each of them is.
    pub(super) fn statuses(&mut self) -> Result<Vec<Status>, ToolError> {
        self.ask(&Call::Status)
    }

    fn ask<T: serde::de::DeserializeOwned>(&mut self, call: &Call) -> Result<Vec<T>, ToolError> {
        self.clients.iter_mut().map(|client| Ok(client.call(call.clone())?)).collect()
    }

    /// Waits until all stand at one height, and says whether it is one block.
    pub(super) fn agree(&mut self) -> Result<bool, ToolError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.statuses()?;
            let first = &all[0];
            if all.iter().all(|status| status.height == first.height) {
                let same = |status: &Status| {
                    status.block_id == first.block_id && status.state_root == first.state_root
                };
                return Ok(all.iter().all(same));
            }
            if Instant::now() > until {
                let heights: Vec<u64> = all.iter().map(|status| status.height).collect();
                let message = format!("the validators do not come together: heights {heights:?}");
                return Err(ToolError::failed(message));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops all in order.
    pub(super) fn stop(mut self) -> Result<(), ToolError> {
        self.daemons.iter().try_for_each(Daemon::tell_to_stop)?;
        self.daemons.iter_mut().try_for_each(Daemon::wait_for_end)
    }
}

/// Makes a folder for each validator, and the genesis they share.
fn prepare(folder: &Path, plan: &Plan<'_>) -> Result<Genesis, ToolError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = UnixMillis::new(since.as_millis() as u64);
    let all = plan.validators + plan.observers;
    let addresses = free_addresses(all)?;
    let mut shared: Option<Genesis> = None;
    for number in 0..all {
        let home = folder.join(number.to_string());
        std::fs::create_dir_all(home.join("data"))?;
        std::fs::write(home.join(CONFIG_FILE), config(&addresses, number, plan))?;
        if number >= plan.validators {
            continue;
        }
        let signers = home.join("data").join("signers");
        let mut signers = Signers::open(&signers).map_err(ToolError::failed)?;
        let signer = signers.create(Epoch::ZERO).map_err(ToolError::failed)?;
        let owner = (plan.owner)(number);
        let genesis = shared.get_or_insert_with(|| {
            let (name, length) = (plan.name, plan.epoch_length);
            let mut genesis =
                development::genesis(name, time, length, owner, signer, plan.balances);
            genesis.founders.clear();
            genesis.parameters.sealing = SealingRule::Immediate;
            genesis
        });
        let (signer, reveal_head) = (signer.public(), signer.reveal_head());
        let founder = Founder { owner, signer, weight: WEIGHT, reveal_head };
        genesis.founders.push(founder).map_err(|_| ToolError::failed("too many validators"))?;
    }
    let genesis = shared.ok_or_else(|| ToolError::failed("no validator at all"))?;
    std::fs::write(folder.join("genesis.toml"), genesis.to_toml())?;
    Ok(genesis)
}

/// Addresses on loopback that nobody uses at the moment.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, ToolError> {
    let bind = |_| TcpListener::bind("127.0.0.1:0");
    let listeners = (0..count).map(bind).collect::<Result<Vec<_>, _>>()?;
    Ok(listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

fn config(addresses: &[SocketAddr], number: usize, plan: &Plan<'_>) -> String {
    let own = addresses[number];
    let is_validator = number < plan.validators;
    let called = if is_validator { plan.validators } else { 1 };
    let others = addresses[..called].iter().filter(|address| **address != own);
    let others: Vec<String> = others.map(|address| format!("\"{address}\"")).collect();
    format!(
        "[node]\ndata_dir = \"data\"\n[chain]\ngenesis = \"../../genesis.toml\"\n[validator]\n\
         enabled = {is_validator}\n[network]\nlisten = \"{own}\"\npeers = [{}]\noutbound = {}\n\
         development = true\n[api]\nsocket = \"../{SOCKET}\"\nhttp = \"off\"\n",
        others.join(", "),
        others.len().clamp(1, 32),
    )
}
