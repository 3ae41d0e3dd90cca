//! The command line of `goodwatt`: one place for names, help and examples.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use goodwatt_chain::hash::AssociationId;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::transaction::Category;
use goodwatt_chain::units::Grains;
use goodwatt_units::MicroWatts;

use super::light::{Checkpoint, Node};
use crate::config::PeerAddress;
use crate::net::PeerId;

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused, not found, or failed; the message says why
  2  the command line is not understood
  3  no daemon answers, nor a node that a light peer asks
  4  the ledger or a file of it is damaged
  5  a node did not prove to a light peer what it says

Examples:
  goodwatt demo                        watch a validator seal blocks, nothing needed
  goodwatt init my-node                make a validator with a chain of its own
  goodwatt --dir my-node status        how it is
  goodwatt --dir my-node send good1... \"2.5 good\" --memo thanks
  goodwatt --light --connect node.example.org:9461 --genesis genesis.toml balance good1...";

/// Goodwatt: a validator for boards that sip power.
#[derive(Debug, Parser)]
#[command(
    name = "goodwatt",
    version = crate::version::LONG,
    about,
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Tool {
    /// Where and how.
    #[command(flatten)]
    pub common: Common,
    /// Without a daemon.
    #[command(flatten)]
    pub light: LightArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Folder of the validator: its goodwatt.toml names everything else
    /// [default: here, else /etc/goodwatt]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Control socket of the daemon [default: what goodwatt.toml says]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// File that holds the passphrase of the key [default: ask]
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Options of a light peer, which stand before `balance`, `tx` or `send`.
#[derive(Args, Clone, Debug)]
pub struct LightArgs {
    /// Ask other nodes, trust none, and check every answer by proof: for balance, tx and send
    #[arg(long, requires = "connect")]
    pub light: bool,
    /// Nodes to ask, with commas between; goodpeer1...@HOST:PORT takes no other one for it
    #[arg(long, requires = "light", value_name = "HOST:PORT", value_delimiter = ',', num_args = 1)]
    pub connect: Vec<Node>,
    /// Genesis of the chain [default: what goodwatt.toml says]
    #[arg(long, requires = "light", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Begin at a block that somebody you trust has told you [default: where the last call ended,
    /// else genesis]
    #[arg(long, requires = "light", value_name = "HEIGHT:ID")]
    pub checkpoint: Option<Checkpoint>,
    /// Key file to pay with [default: what goodwatt.toml says]
    #[arg(long, requires = "light", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a validator on a development chain of its own
    Demo(Demo),
    /// Several validators of one chain on this machine, each a daemon of its own
    #[command(after_help = "Examples:
  goodwatt testnet --nodes 4
  goodwatt testnet --nodes 7 --seconds 20 --json")]
    Testnet(TestnetArgs),
    /// Make a validator: configuration, key, and a development chain or a given one
    Init(Init),
    /// How the daemon is: in step, signing, watts, anything wrong
    Status,
    /// Wait until the daemon has every block that others have
    Sync,
    /// Look at everything that commonly goes wrong, with a remedy for each finding
    #[command(after_help = "Exit code 1 when something keeps the board from its work.\n\n\
        As root it sees more: keys and guard are closed to others.")]
    Doctor,
    /// Replay a ledger from genesis and name the first bad byte
    #[command(
        after_help = "Example: goodwatt verify my-node/data\n\nThe daemon must not run on it."
    )]
    Verify {
        /// Data folder of a validator, or the folder that holds its goodwatt.toml
        data: PathBuf,
    },
    /// Check or show a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The owner's key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Pay somebody
    #[command(after_help = "Example: goodwatt send good1... \"2.5 good\" --memo thanks --wait")]
    Send {
        /// Who is paid
        to: PublicKey,
        /// How much, with its unit: "2.5 good" or "2500000 grains"
        amount: Grains,
        /// A note of at most 80 bytes
        #[arg(long, default_value = "")]
        memo: String,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// What an account has
    Balance {
        /// The account [default: the owner's]
        address: Option<PublicKey>,
    },
    /// The transactions of an account, the latest first
    History {
        /// The account [default: the owner's]
        address: Option<PublicKey>,
        /// How many, at most 200
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// One transaction
    Tx {
        /// Its id, 64 hexadecimal digits
        id: String,
    },
    /// Slots of time: the right to sign
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Associations: who receives the donations
    #[command(subcommand)]
    Association(AssociationCommand),
    /// What was donated, to whom, and what an attack would cost
    Donations,
    /// Who is connected, and who is kept out
    Peers,
    /// Call a node, or keep one out
    #[command(subcommand)]
    Peer(PeerCommand),
    /// The signing guard
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Start or stop signing; the daemon goes on serving
    Signing {
        /// on or off
        state: OnOff,
        /// Your word that the daemon's clock is right, where nothing else speaks for it
        #[arg(long)]
        clock_is_right: bool,
    },
    /// Watts: what is found, what is used and why; live, recorded, drawn, calibrated
    #[command(args_conflicts_with_subcommands = true)]
    Power(PowerArgs),
    /// Watts of the network, by its validators' own reports
    Energy,
    /// Measure: one JSON object a line with --json
    #[command(after_help = "Names: validate append replay submit start idle disk memory rebuild
       light-proof catch-up
       finality throughput idle-network memory-peers (several real daemons)")]
    Bench {
        /// Which ones [default: all]
        names: Vec<String>,
        /// Folder on the disk to measure; /tmp may be memory
        #[arg(long, value_name = "DIR")]
        work: Option<PathBuf>,
    },
    /// Let many validators agree in one thread, with virtual time and made-up faults
    #[command(after_help = "Examples:
  goodwatt sim --nodes 10 --rounds 5 --topology docs/topologies/ten.txt
  goodwatt sim --nodes 4 --rounds 100 --seed 7 --faults all --json")]
    Sim(SimArgs),
    /// Begin a chain
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// What the SD-card image does beside the daemon
    #[command(subcommand)]
    Board(BoardCommand),
    /// Write the man pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `goodwatt sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub nodes: usize,
    /// How many rounds: transactions are handed in, and their block is awaited
    #[arg(long, value_name = "R", default_value_t = 5)]
    pub rounds: u64,
    /// The most transactions handed in for a round: from one to so many, within 20 ms
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub transactions: u64,
    /// Who is connected to whom: a line `0-1` for each connection [default: all to all up to 16, then
    /// rows and columns of a square]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// All chance follows from it
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// What goes wrong, with commas between
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', value_enum)]
    pub faults: Vec<SimFault>,
    /// Milliseconds from one validator to the next
    #[arg(long, value_name = "MS", default_value_t = 40)]
    pub latency: u64,
    /// Seconds of an epoch
    #[arg(long, value_name = "S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub epoch: u64,
    /// Who gets weight; several, or all, are set side by side
    #[arg(
        long,
        value_name = "RULES",
        value_delimiter = ',',
        value_enum,
        default_value = "good-will"
    )]
    pub rule: Vec<SimRule>,
}

/// Who gets weight in a simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SimRule {
    /// All of them, one after another
    All,
    /// Who donates
    GoodWill,
    /// Who locks coins
    Stake,
    /// For whom locked coins vote
    Delegated,
    /// Who finds a hash: here only, no chain runs on it
    Work,
}

/// What goes wrong in a simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SimFault {
    /// Everything below
    All,
    /// Connections break
    Cuts,
    /// Packets get lost and are sent again
    Loss,
    /// The power fails in the middle of a write
    Crashes,
    /// The network falls into two parts
    Partitions,
    /// Clocks are wrong
    Clocks,
    /// A validator votes for two different things
    Liar,
    /// A proposer shows two different blocks
    Proposer,
    /// A peer sends votes by the hundred that are good for nothing
    Flood,
    /// A third of the weight is off
    Outage,
    /// The power fails everywhere, and all start together
    Blackout,
    /// A disk is full
    FullDisk,
    /// The index is lost
    Index,
    /// Sets are bought, grow, shrink, and fall below the smallest
    Sets,
}

/// `goodwatt demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// `ten-wallets`: ten wallets pay each other, and the balances are checked
    pub scene: Option<Scene>,
    /// End by itself after this many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Folder for the chain, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `goodwatt testnet`.
#[derive(Args, Debug)]
pub struct TestnetArgs {
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub nodes: u8,
    /// End by itself after this many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Folder for them, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// A scene of the demonstration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scene {
    /// Ten wallets with 100 good each; the even ones send 25 to their neighbours.
    TenWallets,
}

/// `goodwatt init`.
#[derive(Args, Debug)]
pub struct Init {
    /// The folder to make
    pub folder: PathBuf,
    /// Join the chain of this genesis file instead of making a development chain
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Keep the key without a passphrase: for tries, and for boards that start alone
    #[arg(long)]
    pub unprotected: bool,
}

/// Fee and waiting of a command that sends a transaction.
#[derive(Args, Clone, Copy, Debug)]
pub struct Sending {
    /// What to pay for inclusion, with its unit [default: the least fee]
    #[arg(long)]
    pub fee: Option<Grains>,
    /// Answer when the block is on disk
    #[arg(long)]
    pub wait: bool,
}

/// `goodwatt config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a file: every fault with its line, and exit code 1 if there is one
    Check {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
    },
    /// Show what is in effect, and where each value comes from
    Show {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
    },
}

/// `goodwatt key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key and show its 24 words once
    New {
        /// Where to write it [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// No passphrase
        #[arg(long)]
        unprotected: bool,
    },
    /// Show the address; the words only on request
    Show {
        /// The key file [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// Show the 24 words
        #[arg(long)]
        words: bool,
    },
    /// Make a key file from 24 words, read from the terminal or standard input
    Restore {
        /// Where to write it [default: what goodwatt.toml says]
        file: Option<PathBuf>,
        /// No passphrase
        #[arg(long)]
        unprotected: bool,
    },
}

/// `goodwatt board`.
#[derive(Debug, Subcommand)]
pub enum BoardCommand {
    /// Check the goodwatt.toml of a card, before the card goes into the board
    Check {
        /// The file on the card's first partition
        file: PathBuf,
    },
    /// Read that file and make the system follow it; run at each start, before the network
    Setup {
        /// Where the card's first partition is mounted
        #[arg(long, value_name = "DIR", default_value = "/boot/firmware")]
        boot: PathBuf,
        /// Where the partition is mounted that keeps what changes
        #[arg(long, value_name = "DIR", default_value = "/data")]
        data: PathBuf,
    },
    /// Write what `goodwatt doctor` finds onto the card, and set the light
    Report {
        /// Where the card's first partition is mounted
        #[arg(long, value_name = "DIR", default_value = "/boot/firmware")]
        boot: PathBuf,
        /// Where the partition is mounted that keeps what changes
        #[arg(long, value_name = "DIR", default_value = "/data")]
        data: PathBuf,
    },
}

/// `goodwatt slot`.
#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// Buy a slot in the epoch that is on sale: the price is donated, or locked by the rule of the chain
    Buy {
        /// The price, with its unit
        amount: Grains,
        /// Association that gets the buyer's part, at most a quarter
        #[arg(long, value_name = "ID")]
        prefer: Option<AssociationId>,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Lock coins behind a bid for that epoch, on a chain whose stake votes for delegates
    Back {
        /// Owner of the bid, as `goodwatt slot list` shows it
        owner: PublicKey,
        /// How much, with its unit
        amount: Grains,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Who signs now and next, and what was bought
    List,
}

/// `goodwatt association`.
#[derive(Debug, Subcommand)]
pub enum AssociationCommand {
    /// Ask to be admitted; the owner's key receives the donations
    Request(RequestArgs),
    /// Check a proof of identity offline, and say what it proves and what not
    Check(CheckArgs),
    /// All associations
    List,
    /// Vote on one
    Vote {
        /// The association
        id: AssociationId,
        /// yes or no
        voice: YesNo,
        /// Vote on its removal instead of its admission
        #[arg(long)]
        removal: bool,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Show fresh evidence before the admission expires
    Renew {
        /// The association
        id: AssociationId,
        /// SHA-256 of a document, 64 hexadecimal digits; up to four
        #[arg(long = "evidence", value_name = "HASH", required = true, num_args = 1..=4)]
        evidence: Vec<goodwatt_chain::hash::Digest32>,
        /// Who vouches for the key
        #[command(flatten)]
        identity: IdentityArgs,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Take a pending request back; the deposit returns
    Withdraw {
        /// The association
        id: AssociationId,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
}

/// `goodwatt association request`.
#[derive(Args, Debug)]
pub struct RequestArgs {
    /// Name of the association
    #[arg(long)]
    pub name: String,
    /// climate, hunger, diseases, children or `human_condition`
    #[arg(long, value_parser = parse_category)]
    pub category: Category,
    /// Web address, https://...
    #[arg(long)]
    pub web: String,
    /// SHA-256 of a document, 64 hexadecimal digits; up to four
    #[arg(long = "evidence", value_name = "HASH", required = true, num_args = 1..=4)]
    pub evidence: Vec<goodwatt_chain::hash::Digest32>,
    /// What is held until the vote ends [default: the least]
    #[arg(long)]
    pub deposit: Option<Grains>,
    /// Who vouches for the key
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// Fee and waiting
    #[command(flatten)]
    pub sending: Sending,
}

/// A proof of identity.
#[derive(Args, Clone, Debug)]
pub struct IdentityArgs {
    /// Key file of the key that is published under the web address
    #[arg(long, value_name = "FILE", required_unless_present = "certificate")]
    pub published_key: Option<PathBuf>,
    /// Certificate of the domain, DER; with --certificate-signature
    #[arg(long, value_name = "FILE", requires = "certificate_signature")]
    pub certificate: Option<PathBuf>,
    /// Signature over the statement by the certificate's key; `--statement` prints what to sign
    #[arg(long, value_name = "FILE")]
    pub certificate_signature: Option<PathBuf>,
    /// How that key signed
    #[arg(long, value_enum, default_value = "ecdsa-p256-sha256")]
    pub certificate_scheme: Scheme,
    /// Print the 32 bytes that the certificate's key has to sign, in hexadecimal, and stop
    #[arg(long)]
    pub statement: bool,
}

/// How a certificate's key signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scheme {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
    /// Ed25519.
    Ed25519,
}

/// `goodwatt association check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The association
    pub id: AssociationId,
    /// The key as you found it under the web address: an address good1...
    #[arg(long, value_name = "ADDRESS")]
    pub published: Option<PublicKey>,
    /// Certificates between the domain's and the trusted ones, PEM
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// Trusted certificates, PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    pub trusted: PathBuf,
}

/// `goodwatt peer`.
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Call a node from now on, until the daemon's next start
    #[command(after_help = "To call it after the next start, too, name it in [network] peers.")]
    Add {
        /// Host and port
        address: PeerAddress,
    },
    /// Disconnect a node and keep it out, also over restarts
    #[command(after_help = "Example: goodwatt peer ban goodpeer1... --for 7d")]
    Ban {
        /// Its id, as `goodwatt peers` prints it
        id: PeerId,
        /// For how long: 90s, 10m, 12h, 7d
        #[arg(long = "for", value_name = "SPAN", default_value = "1d",
            value_parser = super::peers::parse_span)]
        span: Duration,
    },
    /// Forget what a node did, and let it in again
    Unban {
        /// Its id
        id: PeerId,
    },
}

/// `goodwatt guard`.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Print what this board has signed, to take it along to another
    Export,
    /// Raise the guard to what another board has signed; never lowers it
    Import {
        /// A file made by `goodwatt guard export`; the daemon must not run
        file: PathBuf,
    },
}

/// `goodwatt genesis`.
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Write a commented genesis file for a development chain of the owner's key
    New {
        /// The file to write
        file: PathBuf,
        /// Name of the chain
        #[arg(long, default_value = "development")]
        name: String,
    },
    /// Check a genesis file and print its chain id
    Check {
        /// The file
        file: PathBuf,
    },
}

/// on or off.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OnOff {
    /// Sign.
    On,
    /// Do not sign.
    Off,
}

/// yes or no.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum YesNo {
    /// For.
    Yes,
    /// Against.
    No,
}

fn parse_category(text: &str) -> Result<Category, String> {
    let found = Category::ALL.into_iter().find(|category| category.name() == text);
    found.ok_or_else(|| {
        let names = Category::ALL.map(Category::name).join(", ");
        format!("not a category: one of {names}")
    })
}

/// See [`Command::Power`].
#[derive(Args, Clone, Debug)]
pub struct PowerArgs {
    /// A figure a second, with a sparkline of the last minute
    #[arg(long)]
    pub watch: bool,
    /// What else
    #[command(subcommand)]
    pub command: Option<PowerCommand>,
}

/// What can be done with power.
#[derive(Clone, Debug, Subcommand)]
pub enum PowerCommand {
    /// Write a figure a second into a file
    Record {
        /// The file, which must not be there yet
        file: PathBuf,
        /// For how long [default: until it is broken off]
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Find the model of this very board against a meter, and write it into goodwatt.toml
    #[command(after_help = "Examples:
  goodwatt power calibrate                                 with the sensor that is attached
  goodwatt power calibrate --ask --error \"2 %\"            you read a meter, and type when asked
  goodwatt power calibrate --idle \"2.31 W\" --load \"6.4 W\"  from two figures you know")]
    Calibrate(CalibrateArgs),
    /// Draw a record: axes, units and the band of the error
    Plot {
        /// A file of `goodwatt power record`
        csv: PathBuf,
        /// The picture
        svg: PathBuf,
    },
}

/// See [`PowerCommand::Calibrate`].
#[derive(Args, Clone, Debug)]
pub struct CalibrateArgs {
    /// How long each of the three phases takes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// A meter that you read: you are asked after each phase
    #[arg(long, conflicts_with = "idle")]
    pub ask: bool,
    /// What the board draws at rest, such as "2.31 W"
    #[arg(long, value_parser = goodwatt_power::parse_power, requires = "load")]
    pub idle: Option<MicroWatts>,
    /// What it draws with all CPUs busy, such as "6.4 W"
    #[arg(long, value_parser = goodwatt_power::parse_power, requires = "idle")]
    pub load: Option<MicroWatts>,
    /// How far off the meter may be, such as "2 %" [default: its data sheet's bound, 5 % of one you
    /// read]
    #[arg(long, value_parser = goodwatt_power::parse_error_ppm)]
    pub error: Option<u32>,
    /// Show what comes of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl CalibrateArgs {
    /// The error of the meter, relative.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        self.error.map(|ppm| f64::from(ppm) / 1e6)
    }
}
