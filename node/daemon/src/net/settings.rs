//! What a network is started with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Height;

use super::budget::BudgetLimits;
use super::identity::PeerId;
use super::kind::Kind;
use crate::config::{Config, NetworkConfig, PeerAddress, Role};

/// The version of everything nodes say to each other.
pub const NETWORK_VERSION: u16 = 1;

/// Whether an announcement binds the transport key of a node to a signer key.
pub type CheckAnnouncement = Arc<dyn Fn(&PeerId, &[u8]) -> bool + Send + Sync>;

/// How many signatures a payload of a kind and a length may carry at most.
pub type SignaturesOf = fn(Kind, usize) -> u32;

/// What a network is started with; [`NetworkSettings::new`] gives the defaults.
#[derive(Clone)]
pub struct NetworkSettings {
    /// The data folder, held by this process: the transport key and saved peers lie there.
    pub data: PathBuf,
    /// The chain; nodes of another one are refused.
    pub chain: ChainId,
    /// Main or light.
    pub role: Role,
    /// Where others may connect, if at all.
    pub listen: Option<SocketAddr>,
    /// Nodes to call first.
    pub peers: Vec<PeerAddress>,
    /// How many nodes this one calls.
    pub outbound: usize,
    /// How many may call it. A quarter of the places is kept for main nodes.
    pub inbound: usize,
    /// Whether this is a development network: then any number of nodes may be called on loopback
    /// and private addresses, and such an address is never banned.
    pub development: bool,
    /// The tip at the start.
    pub tip: Height,
    /// What is said in the hello; at most [`super::ANNOUNCEMENT_MAX`] bytes.
    pub announcement: Option<Vec<u8>>,
    /// Checks what others announce; without it announcements are passed on unchecked.
    pub check_announcement: Option<CheckAnnouncement>,
    /// For the budget of signatures.
    pub signatures: SignaturesOf,
    /// What one peer may send.
    pub budget: BudgetLimits,
    /// How long to wait for others.
    pub timing: Timing,
    /// What nodes of this network say they speak.
    pub version: u16,
}

/// How long to wait for others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// For a connection with its handshakes and hellos.
    pub handshake: Duration,
    /// For the rest of a frame that began; a second more for each 16 KiB of it.
    pub frame: Duration,
    /// For a goodbye to be read.
    pub goodbye: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            frame: Duration::from_secs(10),
            goodbye: Duration::from_secs(2),
        }
    }
}

impl NetworkSettings {
    /// The defaults for a chain and a data folder: a main node that neither calls nor is called.
    #[must_use]
    pub fn new(data: PathBuf, chain: ChainId) -> Self {
        Self {
            data,
            chain,
            role: Role::Main,
            listen: None,
            peers: Vec::new(),
            outbound: 8,
            inbound: 32,
            development: false,
            tip: Height::default(),
            announcement: None,
            check_announcement: None,
            signatures: signatures_at_most,
            budget: BudgetLimits::default(),
            timing: Timing::default(),
            version: NETWORK_VERSION,
        }
    }
}

impl NetworkSettings {
    /// What the config file says; `None` where it names nobody to talk to. Tip, announcement and
    /// its check are the caller's to set.
    #[must_use]
    pub fn of(config: &Config, chain: ChainId) -> Option<Self> {
        let NetworkConfig { listen, peers, outbound, inbound, development } = &config.network;
        if listen.is_none() && peers.is_empty() {
            return None;
        }
        Some(Self {
            role: config.node.role,
            listen: *listen,
            peers: peers.clone(),
            outbound: *outbound,
            inbound: *inbound,
            development: *development,
            ..Self::new(config.node.data_dir.clone(), chain)
        })
    }
}

impl fmt::Debug for NetworkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, role, listen, peers, .. } = self;
        write!(f, "NetworkSettings({chain}, {role}, listen {listen:?}, peers {peers:?})")
    }
}

/// As many signatures of 64 bytes, each with a key or a digest, as fit into a payload.
fn signatures_at_most(kind: Kind, len: usize) -> u32 {
    match kind {
        Kind::Statements | Kind::Block | Kind::Transactions | Kind::Question => (len / 96) as u32,
        Kind::Announcement => 1,
        _ => 0,
    }
}
