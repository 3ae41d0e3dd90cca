//! The config file: what an operator may decide, each with a default that works.
//!
//! The file is TOML. Durations, sizes and money are texts with their unit. What is not known is
//! refused, and every mistake is told at once, each in one line with its place and a remedy:
//!
//! ```text
//! goodwatt.toml:12:1: unknown key `sockt` in [api]; did you mean `socket`?
//! goodwatt.toml:15:10: `max_age` in [mempool]: no unit: write it as `90 s`, `5 min` or `3 h`
//! ```
//!
//! Defaults stand where the keys are read, below, and nowhere else: [`Config::default`] is what an
//! empty file gives. `docs/examples/goodwatt.toml` shows every key; a test holds it to the same.

mod error;
pub(crate) mod reader;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::units::Grains;
use goodwatt_power::PowerConfig;
use goodwatt_units::Millis;

use self::reader::{Reader, Section};
use self::value::Bytes;
use crate::logging::LogLevel;

pub use self::error::{ConfigError, ConfigErrors, LoadError, Position, Problem};
pub use self::settings::{Origin, Setting, Settings};
pub use self::value::{Checkpoint, PeerAddress, Role, SocketMode};

/// Bytes of a config file at most; the example has under 8 KiB.
pub const LARGEST_FILE: usize = 256 * 1024;

/// What the operator decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node]`
    pub node: NodeConfig,
    /// `[chain]`
    pub chain: ChainConfig,
    /// `[validator]`
    pub validator: ValidatorConfig,
    /// `[mempool]`
    pub mempool: MempoolLimits,
    /// `[api]`
    pub api: ApiConfig,
    /// `[power]`
    pub power: PowerConfig,
    /// `[network]`
    pub network: NetworkConfig,
}

/// `[node]`: where things lie, and how much is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeConfig {
    /// Where ledger, guard and keys lie.
    pub data_dir: PathBuf,
    /// How much of the ledger it keeps.
    pub role: Role,
    /// From which level on the log is written.
    pub log_level: LogLevel,
    /// How many of the last bodies are kept; all where it is `None`.
    pub keep_blocks: Option<usize>,
}

/// `[chain]`: which chain it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChainConfig {
    /// The genesis file; its hash is the chain id.
    pub genesis: PathBuf,
    /// A block to begin after, where there is no ledger yet.
    pub checkpoint: Option<Checkpoint>,
    /// How many peers the checkpoint is compared with.
    pub checkpoint_peers: usize,
}

/// `[validator]`: whether it signs, and what it may spend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValidatorConfig {
    /// Whether it signs in the slots it holds.
    pub enabled: bool,
    /// The owner's key, which buys slots and moves money.
    pub key_file: PathBuf,
    /// Whether it buys a slot in each epoch by itself.
    pub buy_slots: bool,
    /// What it pays for a slot.
    pub slot_price: Grains,
    /// What it may spend in one epoch.
    pub spending_cap_per_epoch: Grains,
}

/// `[api]`: where it can be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiConfig {
    /// The socket of the command-line tool.
    pub socket: PathBuf,
    /// Who may use that socket.
    pub socket_mode: SocketMode,
    /// Where page, API and metrics are served, if at all.
    pub http: Option<SocketAddr>,
}

/// `[network]`: whom it talks to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetworkConfig {
    /// Where others may connect, if at all.
    pub listen: Option<SocketAddr>,
    /// Nodes to connect to first.
    pub peers: Vec<PeerAddress>,
    /// How many nodes it calls.
    pub outbound: usize,
    /// How many may call it.
    pub inbound: usize,
    /// Whether all of it is on one board or in one room.
    pub development: bool,
}

/// A config together with where each value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The same values as a person or a program is shown them.
    pub settings: Settings,
}

impl Config {
    /// Reads the config file at `path`, and makes its paths whole: see [`Config::rooted`].
    ///
    /// # Errors
    /// Where it cannot be read, or with all that is wrong in it.
    pub fn load(path: &Path) -> Result<Loaded, LoadError> {
        let failed = |source: io::Error| LoadError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > LARGEST_FILE as u64 {
            return Err(LoadError::TooLarge { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let Loaded { config, settings } = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Loaded { config: config.rooted(folder), settings })
    }

    /// Reads the text of a config file; `name` is what errors call it.
    ///
    /// # Errors
    /// With all that is wrong in it.
    pub fn parse(text: &str, name: &str) -> Result<Loaded, ConfigErrors> {
        let mut reader = Reader::new(text, name);
        let config = Self::read(&mut reader);
        if reader.is_sound() {
            config.check(&mut reader);
        }
        let settings = reader.finish()?;
        Ok(Loaded { config, settings })
    }

    /// The same with every path made whole: the data directory counts from `folder`, where the
    /// config file lies, and all others count from the data directory.
    #[must_use]
    pub fn rooted(mut self, folder: &Path) -> Self {
        self.node.data_dir = folder.join(&self.node.data_dir);
        let whole = |path: &Path| self.node.data_dir.join(path);
        self.chain.genesis = whole(&self.chain.genesis);
        self.validator.key_file = whole(&self.validator.key_file);
        self.api.socket = whole(&self.api.socket);
        self
    }

    /// Every key with its default, in the order in which they are shown.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            node: reader.section("node", NodeConfig::read),
            chain: reader.section("chain", ChainConfig::read),
            validator: reader.section("validator", ValidatorConfig::read),
            mempool: reader.section("mempool", read_mempool),
            api: reader.section("api", ApiConfig::read),
            power: reader.section("power", |section| section.foreign(POWER)),
            network: reader.section("network", NetworkConfig::read),
        }
    }

    /// What is understood but has no effect: such a setting would be a lie.
    pub(crate) fn check(&self, reader: &mut Reader<'_>) {
        if self.node.role == Role::Light {
            reader.refuse("node", &["role"], Problem::LightDaemon);
        }
        #[cfg(not(feature = "finger"))]
        if self.validator.buy_slots {
            reader.refuse("validator", &["buy_slots"], Problem::NotYet);
        }
        #[cfg(feature = "finger")]
        if self.validator.buy_slots
            && self.validator.slot_price > self.validator.spending_cap_per_epoch
        {
            reader.refuse("validator", &["slot_price"], Problem::AboveCap);
        }
        if self.network.outbound == 0 && !self.network.peers.is_empty() {
            reader.refuse("network", &["outbound"], Problem::NobodyIsCalled);
        }
    }
}

impl Default for Config {
    /// What an empty file gives.
    fn default() -> Self {
        Self::read(&mut Reader::new("", "default"))
    }
}

impl NodeConfig {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            data_dir: section.value("data_dir", "/var/lib/goodwatt".into()),
            role: section.value("role", Role::Main),
            log_level: section.value("log_level", LogLevel::Info),
            keep_blocks: section.value("keep_blocks", None),
        }
    }
}

impl ChainConfig {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            genesis: section.value("genesis", "/etc/goodwatt/genesis.toml".into()),
            checkpoint: section.value("checkpoint", None),
            checkpoint_peers: section.within("checkpoint_peers", 3, 1..=32),
        }
    }
}

impl ValidatorConfig {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            enabled: section.value("enabled", false),
            key_file: section.value("key_file", "owner.key".into()),
            buy_slots: section.value("buy_slots", false),
            slot_price: section.value("slot_price", Grains::from_good(1)),
            spending_cap_per_epoch: section.value("spending_cap_per_epoch", Grains::from_good(1)),
        }
    }
}

fn read_mempool(section: &mut Section<'_, '_>) -> MempoolLimits {
    let usual = MempoolLimits::default();
    let bytes = Bytes(usual.bytes);
    // The least is one of the largest transactions (2 KiB); the most, what a board can spare.
    let (least, most) = (Bytes(2 * 1024), Bytes(64 * 1024 * 1024));
    let (second, week) = (Millis::from_secs(1), Millis::from_secs(7 * 86_400));
    MempoolLimits {
        transactions: section.within("max_transactions", usual.transactions, 1..=1_000_000),
        bytes: section.within("max_bytes", bytes, least..=most).0,
        per_account: section.within("per_account", usual.per_account, 1..=1_000_000),
        age: section.within("max_age", usual.age, second..=week),
    }
}

impl ApiConfig {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 9460));
        Self {
            socket: section.value("socket", "/run/goodwatt/goodwatt.sock".into()),
            socket_mode: section.value("socket_mode", SocketMode::new(0o660)),
            http: section.value("http", Some(loopback)),
        }
    }
}

/// Keys of `[power]` with what is shown for one that is left out; `goodwatt_power` reads them.
const POWER: &[(&str, Option<&str>)] = &[
    ("source", None),
    ("sensor", None),
    ("meter", None),
    ("channel", None),
    ("scope", None),
    ("shunt", None),
    ("error", None),
    ("idle", None),
    ("calibration", None),
    ("period", Some("12 s")),
];

impl NetworkConfig {
    /// Whether it talks to other nodes at all.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.listen.is_some() || !self.peers.is_empty()
    }

    fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            listen: section.value("listen", None),
            peers: section.list("peers", 64),
            // The memory that connections may take is measured with 32 of them.
            outbound: section.within("outbound", 8, 0..=32),
            inbound: section.within("inbound", 32, 0..=256),
            development: section.value("development", false),
        }
    }
}
